import base64
import itertools
import re

import nbformat
import pytest
from bs4 import BeautifulSoup

from pipeline import storage
from pipeline.reports import rendering
from pipeline.reports.pages import WIDGET


def notebook(*cells):
    return nbformat.v4.new_notebook(cells=list(cells), metadata={"language_info": {"name": "python"}})


def prose(text):
    return nbformat.v4.new_markdown_cell(text)


def code(source, *outputs):
    return nbformat.v4.new_code_cell(source, outputs=list(outputs))


PIXEL = base64.b64encode(b"\x89PNG").decode()


def picture(alt):
    return nbformat.v4.new_output(
        "display_data", {"image/png": PIXEL}, metadata={"image/png": {"alt": alt, "width": 90, "height": 40}}
    )


def rendered(*cells, **others):
    return BeautifulSoup(rendering.render({"02_train": notebook(*cells), **others}, "A title"), "html.parser")


def check_structure(page):
    """One title, headings that nest, no anchor twice, and every link within the page leading to one."""
    assert page.html["lang"] == "en"
    levels = [int(heading.name[1]) for heading in page.find_all(re.compile("^h[1-6]$"))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    anchors = [element["id"] for element in page.find_all(id=True)]
    assert len(set(anchors)) == len(anchors)
    links = {link["href"].removeprefix("#") for link in page.find_all("a") if link["href"].startswith("#")}
    assert links <= set(anchors)


@pytest.fixture(scope="module")
def run_report(tmp_path_factory, pipeline):
    folder = tmp_path_factory.mktemp("run")
    done = pipeline("run", "--run-dir", folder, "-p", "epochs", "2", "-p", "relu_grad_inactive", "0")
    assert done.returncode == 0, done.stderr
    return (folder / "report.html").read_text()


def test_nothing_is_fetched(run_report):
    page = BeautifulSoup(run_report, "html.parser")
    assert not page.find_all(["link", "iframe", "object", "embed"])
    assert not page.find_all("script", src=True)
    assert all(image["src"].startswith("data:") for image in page.find_all("img"))
    assert not re.search(r"@import|url\((?!data:)", str(page.find("style")))
    addresses = [link["href"] for link in page.find_all("a")]
    assert all(address.startswith(("#", "https://")) for address in addresses)


def test_code_is_folded_and_every_picture_described(run_report):
    page = BeautifulSoup(run_report, "html.parser")
    sources = page.find_all("details", class_="source")
    assert len(sources) > 20
    assert not any(source.has_attr("open") for source in sources)
    assert all(source.summary.text == "Code" for source in sources)
    assert all(block.find_parent("details") for block in page.find_all("div", class_="highlight"))
    assert len(page.find_all("img")) == 8
    assert all(len(image["alt"]) > 30 for image in page.find_all("img"))


def test_the_summary_compares_with_the_published_metrics(run_report):
    page = BeautifulSoup(run_report, "html.parser")
    rows = [[cell.text for cell in row.find_all(["th", "td"])] for row in page.select("table.metrics tbody tr")]
    assert [row[:2] for row in rows] == [
        ["train error", "0.420"],
        ["train accuracy", "0.817"],
        ["test error", "0.429"],
        ["test accuracy", "0.7942"],
    ]
    assert {row[3] for row in rows} == {"≠ differs"}
    assert "epochs 2" in page.select_one("section").text
    assert re.search(r"python -m pipeline run --run-dir \S+ -p epochs 2 -p relu_grad_inactive 0\n", page.text)


def test_it_shows_where_everything_came_from(run_report):
    page = BeautifulSoup(run_report, "html.parser")
    changed = [row.th.text for row in page.select("tr.changed")]
    assert changed == ["epochs", "relu_grad_inactive"]
    for word in ("helpers.py", "02_train.ipynb", "numpy", "numba"):
        assert word in page.text
    digests = {row.th.text: row.td.text for row in page.select("table.digests tbody tr")}
    arrays = {f"the source's {name}" for name in ("x_train", "y_train", "x_test", "y_test")}
    notebooks = {"01_prepare.ipynb", "02_train.ipynb", "03_evaluate.ipynb"}
    code = {name for name in digests if name.endswith(".py")}
    assert set(digests) == arrays | notebooks | {"the trained weights"} | code
    assert {"helpers.py", "pipeline/parameters.py", "pipeline/datasets.py"} <= code
    assert "pipeline/runs.py" not in code  # which no notebook of a run imports
    assert digests["helpers.py"] == storage.sha256_of_file(storage.ROOT / "helpers.py")
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests.values())


def test_headings_nest_and_the_contents_lead_to_them(run_report):
    page = BeautifulSoup(run_report, "html.parser")
    check_structure(page)
    assert len(page.nav.find_all("a")) > 15


def test_paper_gets_light_colours_and_neither_contents_nor_folded_code(run_report):
    style = BeautifulSoup(run_report, "html.parser").style.text
    dark = re.findall(r"@media ([^{]*prefers-color-scheme: dark[^{]*)\{", style)
    assert dark == ["screen and (prefers-color-scheme: dark) "]
    printed = style.split("@media print")[1]
    (hidden,) = re.findall(r"([^}]+) \{ display: none; \}", printed)
    assert {part.strip() for part in hidden.split(",")} == {"nav", ".skip", "details:not([open])"}
    (whole,) = re.findall(r"\n  (img.*) \{ break-inside: avoid; \}", printed)
    assert {"img", "table", "pre"} <= set(whole.split(", "))


@pytest.mark.parametrize("path", sorted(storage.NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_every_notebook_renders_by_itself(path, tmp_path, pipeline):
    done = pipeline("report", path, "--output", tmp_path / "report.html")
    assert done.stdout == f"report: {tmp_path / 'report.html'}\n"
    page = BeautifulSoup((tmp_path / "report.html").read_text(), "html.parser")
    check_structure(page)
    assert page.title.text == page.h1.text
    assert not page.find_all(["link", "iframe"])
    assert not page.find_all("script", src=True)
    for element in page.find_all(["pre", "code"]):
        element.decompose()
    assert "$" not in page.main.text  # mathematics that was not rendered
    prose_cells = [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown"]
    assert len(page.find_all("math")) == len(re.findall(r"\$\$[^$]+\$\$|\$[^$]+\$", "".join(prose_cells)))


def test_mathematics_needs_no_script():
    page = rendered(prose("Inline $x_1$ and\n\n$$h = \\max(0, x W_1)$$"))
    inline, block = page.find_all("math")
    assert (inline["display"], block["display"]) == ("inline", "block")
    assert block.find("mi") is not None
    assert "$" not in page.main.text


def test_links_to_notebooks_in_the_report_stay_in_it_and_others_become_text():
    page = rendered(
        prose("# Train\n\n[on](03_evaluate.ipynb), [code](../helpers.py), [a site](https://example.org)"),
        **{"03_evaluate": notebook(prose("# Evaluate"))},
    )
    links = {link.text: link["href"] for link in page.main.find_all("a")}
    assert links == {"on": "#03_evaluate", "a site": "https://example.org"}
    assert "code" in page.main.text


def test_outputs_are_shown_and_escaped():
    stream = nbformat.v4.new_output("stream", name="stdout", text="<b>5 < 6</b>")
    error = nbformat.v4.new_output(
        "error", ename="ValueError", evalue="no", traceback=["\x1b[31mValueError\x1b[0m: no"]
    )
    page = rendered(code("print(1)", stream, picture("what the picture shows")), code("1/0", error))
    assert "<b>5 < 6</b>" in page.select_one(".output_stdout").text
    assert page.select_one(".output_error").text.strip() == "ValueError: no"
    image = page.find("img")
    assert (image["alt"], image["width"], image["height"]) == ("what the picture shows", "90", "40")


def test_of_a_widget_the_text_that_stands_for_it_is_shown():
    view = nbformat.v4.new_output(
        "display_data", {WIDGET: {"model_id": "1f"}, "text/plain": "A panel: choose a digit."}
    )
    page = rendered(code("panel", view))
    assert page.select_one(".output").text.strip() == "A panel: choose a digit."
    assert len(page.find_all("script")) == 1  # the page's own


def test_a_long_formula_can_be_scrolled_by_keyboard():
    (block,) = rendered(prose("$$h = \\max(0, x W_1)$$")).find_all("math")
    assert block["tabindex"] == "0"


def test_what_is_no_notebook_is_refused(tmp_path, pipeline):
    (tmp_path / "a.ipynb").write_text("# no notebook")
    refused = pipeline("report", tmp_path / "a.ipynb", "--output", tmp_path / "a.html")
    assert refused.returncode == 2
    assert "is no notebook" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_report_that_cannot_be_written_is_refused(tmp_path, pipeline):
    (tmp_path / "a file").touch()
    place = tmp_path / "a file" / "report.html"
    refused = pipeline("report", storage.NOTEBOOKS / "01_prepare.ipynb", "--output", place)
    assert refused.returncode == 2
    assert f"{place} cannot be written" in refused.stderr
    assert "Traceback" not in refused.stderr
