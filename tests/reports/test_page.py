"""Pages of notebooks and of runs: structure, links, figures, formulas, and policy."""

import base64
import itertools
import re
import shutil

import nbformat
import numpy as np
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from pipeline.digests import digest_file
from pipeline.network import published
from pipeline.parameters import Parameters
from pipeline.paths import NOTEBOOKS, ROOT
from pipeline.records import to_json
from pipeline.reports import page, run_report, tiles
from pipeline.reports.markdown import Renderer
from pipeline.results.files import atomic_write
from pipeline.results.run_folder import RunFolder
from pipeline.results.stages import STAGES

PNG = base64.b64encode(b"\x89PNG").decode()


def parse(html):
    return BeautifulSoup(html, "html.parser")


def render(*cells, **others):
    """Render the cells of a notebook 02_train, and of other notebooks, for one page.

    A string stands for a Markdown cell.
    """
    node = new_notebook(
        cells=[new_markdown_cell(c) if isinstance(c, str) else c for c in cells]
    )
    notebooks = {"02_train": node, **others}
    sections = page.render_sections(notebooks, Renderer(list(notebooks)))
    return parse(f"<main>{''.join(sections.values())}</main>")


def make_code(source, *outputs):
    return new_code_cell(source, outputs=list(outputs))


def make_picture(**metadata):
    return new_output(
        "display_data", {"image/png": PNG}, metadata={"image/png": metadata}
    )


def check_page(html):
    """Check that a page has one title, nested headings, and no dead links."""
    assert html.html["lang"] == "en"
    levels = [int(heading.name[1]) for heading in html.find_all(re.compile("^h[1-6]$"))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    anchors = [element["id"] for element in html.find_all(id=True)]
    assert len(set(anchors)) == len(anchors)
    addresses = [link["href"] for link in html.find_all("a")]
    inside = {each[1:] for each in addresses if each.startswith("#")}
    assert inside - {"slip=off"} <= set(anchors)


@pytest.fixture(scope="module")
def report(runs):
    """The report of a run with another ReLU derivative."""
    return parse((runs / "true-derivative" / "report.html").read_text())


@pytest.mark.parametrize(
    "path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem
)
def test_every_notebook_is_a_page(path, tmp_path):
    page.write_notebook_page(path, tmp_path / "report.html")
    html = parse((tmp_path / "report.html").read_text())
    check_page(html)
    assert html.title.text == html.h1.text
    for element in html.find_all(["pre", "code"]):
        element.decompose()
    assert "$" not in html.main.text
    cells = nbformat.read(path, 4).cells
    prose = "".join(cell.source for cell in cells if cell.cell_type == "markdown")
    formulas = re.findall(r"\$\$[^$]+\$\$|\$[^$]+\$", prose)
    assert len(html.find_all("math")) == len(formulas)


def test_formulas_are_mathml_and_one_that_cannot_be_converted_is_shown_as_typed():
    html = render("Inline $x_1$ and $\\frac{1}{$ and\n\n$$h = \\max(0, x W_1)$$")
    inline, block = html.find_all("math")
    assert (inline["display"], block["display"]) == ("inline", "block")
    assert (block.parent["class"], block.parent["tabindex"]) == (["formula"], "0")
    assert html.main.code.text == r"\frac{1}{"


def test_figures_are_numbered_through_the_page_and_captioned_by_their_texts():
    first = make_code("show()", make_picture(alt="x < y"), make_picture(alt="second"))
    other = new_notebook(cells=[make_code("show()", make_picture(alt="third"))])
    html = render("# Title", first, make_code("plot()", make_picture()), other=other)
    captions = [caption.text.strip() for caption in html.select("figcaption")]
    assert captions == ["Figure 1. x < y", "Figure 2. second", "Figure 3. third"]
    images = html.find_all("img")
    undescribed = "A picture without a description"
    texts = [image["alt"] for image in images]
    assert texts == ["x < y", "second", undescribed, "third"]


def test_code_is_folded_and_outputs_are_shown_as_text():
    stream = new_output("stream", text="<b>5 < 6</b>")
    trace = ["\x1b[31mE\x1b[0m: no"]
    error = new_output("error", ename="E", evalue="no", traceback=trace)
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}}
    display = new_output("display_data", view | {"text/plain": "A"})
    html = render(
        "# Title", make_code("print(1)", stream), make_code("1/0", error, display)
    )
    assert len(html.select("details.source")) == 2
    assert not html.select("details[open].source")
    assert "<b>5 < 6</b>" in html.select_one(".output_stdout").text
    assert html.select_one(".output_error").text.strip() == "E: no"
    assert html.select_one(".ansi-red-fg")
    assert html.select(".output_text")[-1].text.strip() == "A"


def test_an_answer_is_folded_with_its_text_and_its_pictures():
    html = "<details class='answer'><pre>5 &lt; 6</pre></details>"
    data = {"text/html": html, "text/plain": "5 < 6"}
    fold = new_output("display_data", data, metadata={"answer": True})
    shown = new_output("stream", text="shown")
    picture = make_picture(alt="a picture")
    html = render(
        "# Title",
        make_code("1", fold, picture),
        make_code("3", shown, picture),
    )
    (answer,) = html.select("details.answer")
    assert answer.pre.text == "5 < 6"
    assert len(answer.select("img")) == 1
    assert len(html.select("img")) == 2


def test_links_lead_within_the_page_or_to_other_sites_and_dead_ones_are_text():
    text = (
        "[on](03_evaluate.ipynb), [in](03_evaluate.ipynb#Its-part), [own](#One-way), "
        "[out](https://example.org), [code](../helpers.py), [keras](keras.ipynb)"
    )
    other = new_notebook(cells=[new_markdown_cell("# Evaluate\n\n## Its part")])
    again = "\n\n## One way"
    cell = f"# Train\n\n## One way\n\n{text}{2 * again}"
    html = render(cell, **{"03_evaluate": other})
    assert {link.text: link["href"] for link in html.main.find_all("a")} == {
        "on": "#03_evaluate",
        "in": "#03_evaluate-its-part",
        "own": "#02_train-one-way",
        "out": "https://example.org",
    }
    assert "code, keras.ipynb" in html.main.text
    anchors = [heading["id"] for heading in html.find_all("h2")]
    ends = ["", "-2", "-2-2"]
    assert anchors == [f"02_train-one-way{end}" for end in ends] + [
        "03_evaluate-its-part"
    ]


@pytest.mark.parametrize(
    ("source", "heading"), [("# Read a `sweep`", "Read a sweep"), ("Text.", "<i>")]
)
def test_a_page_is_headed_by_what_it_shows(tmp_path, source, heading):
    notebook = tmp_path / "<i>.ipynb"  # is text, and no element
    cells = [make_code("# TODO"), new_markdown_cell(source)]
    nbformat.write(new_notebook(cells=cells), notebook)
    page.write_notebook_page(notebook, tmp_path / "mine.html")
    html = parse((tmp_path / "mine.html").read_text())
    (found,) = html.find_all("h1")
    assert found.text == html.title.text.replace("`", "") == heading


def test_a_report_shows_only_what_tagged_cells_display(tmp_path):
    fold = new_output(
        "display_data",
        {"text/html": "<details>5</details>", "text/plain": "5"},
        metadata={"answer": True},
    )
    html = new_output("display_data", {"text/html": "<b>table</b>"})
    tagged, other = make_code("print(5)", fold, html), make_code("6", fold)
    tagged.metadata["tags"] = ["report"]
    heading = new_markdown_cell("## Found")
    notebook = new_notebook(cells=[other, heading, tagged])
    outputs = page.render_tagged_outputs({"03_evaluate": notebook, "04": notebook})
    assert list(outputs) == [tagged.id, f"04 {tagged.id}"]
    above, html = outputs[tagged.id]
    assert above == "Found"
    shown = parse(html)
    assert shown.text.split() == ["5", "table"]
    assert not shown.select("details, code")


def test_the_page_of_a_failed_notebook_shows_the_error_and_no_markers(
    tmp_path, pipeline
):
    folder, output = tmp_path / "run", tmp_path / "page.html"
    options = ["-p", "normalisation", "0.001", "-p", "epochs", "3"]
    assert pipeline("run", "--run-dir", folder, *options).returncode == 1
    refused = pipeline("report", folder)
    assert refused.returncode == 2
    assert "diverged" in refused.stderr
    page.write_notebook_page(folder / "02_train.ipynb", output)
    html = parse(output.read_text())
    check_page(html)
    (error,) = html.select(".output_error")
    assert "Diverged" in error.text
    assert "papermill-error-cell" not in str(html.main)


def test_a_report_says_first_what_came_out_and_then_what_was_trained(report):
    check_page(report)
    assert report.h1.text == "40 hidden units, trained on 1,000 digits"
    result = " ".join(report.select_one("section").text.split())
    assert "85.00 % of 10,000 test images" in result
    assert "95 % interval for other images is 84.29 to 85.69 %" in result
    assert "differs from the original in relu_grad_inactive 0" in result
    assert not report.select(".compared")  # it is not meant to be equal
    values = [each.text.split()[0] for each in report.select(".values dt")]
    assert values[:2] == ["relu_grad_inactive", "source"]
    assert len(values) == len(set(values)) == len(Parameters.model_fields)
    assert report.select_one(".values .changed dd").text.split() == [
        "0",
        "original",
        "1",
    ]


def test_a_report_has_what_its_reader_asks_in_this_order_and_folds_the_rest(report):
    anchors = [each["id"] for each in report.select(".report h2")]
    order = "result trained baselines learned confusion mistakes draw"
    assert anchors == order.split()
    (row,) = report.select(".report .marked")
    assert [cell.text for cell in row.select("td")[:2]] == ["this network", "85.00 %"]
    baseline = report.find("td", string="1-nearest neighbour")
    assert baseline.find_next("td").text == "86.90 %"
    assert not report.select(".report .plot")
    folds = [fold.summary.text for fold in report.select("section > details")]
    assert folds[-4:] == [stage.name for stage in STAGES] + ["How it was made"]
    assert "Save the metrics" in report.main.text


def test_the_mistakes_of_a_report_are_counted_and_have_their_first_images(runs, report):
    folder = RunFolder(runs / "true-derivative")
    answers, data = folder.read_answers(), folder.read_data()
    cells = {cell["data-kind"]: cell for cell in report.select(".report [data-kind]")}
    figures = {
        each["id"].removeprefix("kind-"): each for each in report.select(".kind")
    }
    for kind, cell in cells.items():
        true, answer = map(int, kind.split("-"))
        places = np.flatnonzero((data.y_test == true) & (answers == answer))
        assert int(cell.text or 0) == len(places)
        is_mistake = true != answer and len(places) > 0
        assert (kind in figures) == is_mistake
        if is_mistake:
            picture = tiles.to_data_address(data.x_test[places[:6]])
            assert figures[kind].img["src"] == picture
            assert str(len(places)) in figures[kind].figcaption.text


def test_the_report_of_the_original_run_is_equal_to_what_was_published(runs):
    html = parse((runs / "default" / "report.html").read_text())
    result = " ".join(html.select_one("section").text.split())
    assert "The original published 0.7942: ✓ equal, as are all four" in result
    assert "≠" not in html.main.text
    polylines = html.select("polyline.run")
    names = ["run-masked", "run-fitted", "run-validation"]
    assert [line["class"][1] for line in polylines] == names
    assert {len(line["points"].split()) for line in polylines} == {100}


def test_the_caption_of_the_curves_has_the_accuracies_of_the_last_epoch(runs, report):
    last = RunFolder(runs / "true-derivative").read_history()[-1]
    names = "train_accuracy_no_dropout", "train_accuracy", "validation_accuracy"
    found = re.findall(r"[\d.]+(?= %)", report.select_one(".training figcaption").text)
    *found, floor = found
    assert found == [f"{100 * last[name]:.2f}" for name in names]
    assert floor == "70"  # where the axis begins


def test_a_report_shows_where_everything_came_from_and_describes_its_pictures(report):
    rows = report.select("table.digests tbody tr")
    digests = {row.th.text: row.td.text for row in rows}
    assert digests.keys() >= {"array x_train", "the trained weights"}
    assert digests.keys() >= {"cells 02_train", "version numba", "version numpy"}
    assert digests["code helpers.py"] == published.HELPERS_SHA256
    assert digests["helpers.py.txt"] == digest_file(ROOT / "helpers.py")
    images = report.select("img:not(.tiles img)")  # the captions of tiles are texts
    assert images
    descriptions = {image["alt"] for image in images}  # each of another picture
    assert len(descriptions) == len(images)


def test_a_report_names_its_machine_and_reading_a_run_changes_no_record(runs, pipeline):
    folder = RunFolder(runs / "default")
    before = folder.record_path.read_bytes()
    origin = folder.read_record().origin
    facts = [origin.system, origin.blas, "UTC"]
    assert all(facts)
    assert pipeline("report", runs / "default").returncode == 0
    assert folder.record_path.read_bytes() == before
    html = parse(folder.report_path.read_text())
    facts += ["Creative Commons Attribution-ShareAlike 3.0", "under the MIT licence"]
    section = html.select_one("#made").text
    assert [fact for fact in facts if fact not in section] == []


def test_a_report_of_other_images_says_nothing_of_mnists_writers(runs, tmp_path):
    """With few test images, decimals would promise too much."""
    folder = RunFolder(shutil.copytree(runs / "default", tmp_path / "own"))
    record = folder.read_record()
    writers = ("by different people", "two groups of people")
    text = run_report.render_run(folder, record)
    assert [each for each in writers if each not in text] == []
    few = {"test_accuracy": 48 / 49, "test_images": 49}
    metrics = folder.read_metrics().model_copy(update=few)
    atomic_write(folder.metrics_path, to_json(metrics))
    parameters = Parameters(source="../pictures")
    inputs = record.inputs | {"array x_test": "0" * 64}
    own = record.replace(parameters=parameters, inputs=inputs)
    text = run_report.render_run(folder, own)
    assert [each for each in writers if each in text] == []
    assert "<strong>98 %</strong> of 49 test images" in text


@pytest.mark.parametrize("name", ["train_error", "test_accuracy"])
def test_one_metric_that_differs_is_marked_and_mistakes_need_data(runs, tmp_path, name):
    folder = RunFolder(shutil.copytree(runs / "default", tmp_path / "own"))
    folder.data_path.unlink()
    metrics = folder.read_metrics().model_copy(update={name: 0.5})
    atomic_write(folder.metrics_path, to_json(metrics))
    record = folder.read_record()
    for code, title in ((published.HELPERS_SHA256, "40 hidden"), ("0", "A network of")):
        inputs = record.inputs | {"code helpers.py": code}
        html = parse(run_report.render_run(folder, record.replace(inputs=inputs)))
        assert html.h1.text.startswith(title)
        rows = html.select(".compared tbody tr")
        marks = {row.th.text: row.select("td")[-1].text[0] for row in rows}
        assert marks.pop(name.replace("_", " ")) == "≠"
        assert list(marks.values()) == ["✓"] * 3
        assert "as are all" not in html.main.text
        assert not html.select(".kind")


def test_one_epoch_without_validation_is_reported_too(pipeline, tmp_path):
    options = ["-p", "epochs", "1", "-p", "num_validation", "0"]
    assert pipeline("run", "--run-dir", tmp_path / "run", *options).returncode == 0
    html = parse((tmp_path / "run" / "report.html").read_text())
    lines = html.select("polyline.run")
    assert [len(line["points"].split()) for line in lines] == [2, 2]
    assert "validation" not in html.select_one(".training figcaption").text
