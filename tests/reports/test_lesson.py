"""The page of a lesson: which cells, which parts, which questions, and whose run."""

import json
import shutil

import nbformat
import pytest

from pipeline.errors import InvalidInput
from pipeline.paths import NOTEBOOKS
from pipeline.reports import page
from pipeline.results.run_folder import RunFolder
from tests.reports.test_page import check_page, parse

LEARN = nbformat.read(NOTEBOOKS / "learn.ipynb", as_version=4).cells
LEFT_OUT = [cell for cell in LEARN if "notebook" in cell.metadata.get("tags", ())]


def write_lesson(folder, run):
    """Write the page of learn.ipynb with the network of a run, and return its path."""
    source = (NOTEBOOKS / "learn.ipynb").read_text()
    notebook = folder / "learn.ipynb"
    text = source.replace("runs/default", str(run))
    notebook.write_text(text)
    page.write_notebook_report(notebook, folder / "lesson.html", with_parts=True)
    return folder / "lesson.html"


@pytest.fixture(scope="module")
def lesson(runs, tmp_path_factory):
    path = write_lesson(tmp_path_factory.mktemp("lesson"), runs / "default")
    return parse(path.read_text())


def describe(html):
    """Return what a reader sees of a lesson: text, pictures, scripts and style."""
    code = [each.string for each in html.select("script:not(#run), style")]
    return html.text, [image["alt"] for image in html.select("img")], code


def test_the_committed_lesson_is_what_its_command_makes(lesson):
    committed = NOTEBOOKS / "lesson.html"
    assert committed.stat().st_size <= 1_500_000
    found = describe(parse(committed.read_text()))
    assert found == describe(lesson), "run: make notebooks"


def test_a_lesson_leaves_out_what_needs_a_notebook_and_nothing_else(lesson):
    check_page(lesson)
    text = "".join(lesson.main.text.split())
    for cell in LEARN:
        if cell.cell_type == "code":
            is_shown = "".join(cell.source.split()) in text
            assert is_shown == (cell not in LEFT_OUT), cell.id
        for output in cell.get("outputs", ()):
            printed = "".join(output.get("text", "").split())
            assert (printed in text) == (cell not in LEFT_OUT or not printed), cell.id
    headings = {
        line
        for cell in LEARN
        for line in cell.source.splitlines()
        if line.startswith("## ")
    }
    shown = {f"## {heading.text}" for heading in lesson.select(".notebook h2")}
    assert headings - shown == {"## Write it yourself", "## Change the network"}
    assert {cell.id for cell in LEFT_OUT} >= {
        "imports",
        "parameters",
        "my-forward",
        "my-backward",
    }
    assert not lesson.select("details.set-up")


def test_the_parts_stand_in_their_order_in_place_of_the_paragraphs_about_them(lesson):
    diagram = ".live[data-name=diagram]"
    stops = "#draw .drawing", diagram, f".answer {diagram}", "#step .steps"
    stops += "#train .training .train", "#tries .own-tries", "#tries .many"
    elements = [id(element) for element in lesson.find_all(True)]
    places = [elements.index(id(lesson.select_one(stop))) for stop in stops]
    assert places == sorted(places)
    headings = [heading.text for heading in lesson.select("h2")]
    names = ["Draw", "One weight", "A network on paper", "The real network"]
    names += ["Many tries"]
    assert [each for each in headings if each in names] == names
    assert len(lesson.select(".part")) == 4
    assert len(lesson.select(diagram)) == 3
    assert "the page of this lesson" not in lesson.main.text


def test_a_sheet_has_each_question_in_short(lesson):
    rows = [
        row.th.get_text(" ", strip=True) for row in lesson.select(".sheet tbody tr")
    ]
    assert len(rows) == sum("**Predict**" in cell.source for cell in LEARN)
    assert rows[6] == (
        "The loop How many of the thousand images does this network get right in its "
        "first epoch, each just before its own step?"
    )
    assert rows[-1] == "The original's slip Does the slip matter for the result?"
    assert all(row.endswith("?") and len(row) < 250 for row in rows)


def write_run(runs, path, **changes):
    """Write a copy of a run with other parameters in its record, and return it."""
    folder = RunFolder(shutil.copytree(runs / "default", path))
    record = folder.read_record()
    folder.write_record(record.replace(parameters=record.parameters | changes))
    return folder


def test_a_lesson_whose_run_is_missing_or_outdated_is_refused(runs, tmp_path, pipeline):
    with pytest.raises(InvalidInput, match="missing or no longer"):
        write_lesson(tmp_path, tmp_path / "nowhere")
    assert not (tmp_path / "lesson.html").exists()
    other = write_run(runs, tmp_path / "other", relu_grad_inactive=0)
    record = json.loads(other.record_path.read_text())
    record["inputs"]["syntax"]["helpers.py"] = "0" * 64
    other.record_path.write_text(json.dumps(record))
    with pytest.raises(InvalidInput, match="code helpers.py, which was 0000") as raised:
        write_lesson(tmp_path, other.path)
    command = "python -m pipeline run --run-dir .*/other -p relu_grad_inactive 0"
    raised.match(command)
    done = pipeline("report", tmp_path / "learn.ipynb", "--output", tmp_path / "a.html")
    assert done.returncode == 2
    assert "python -m pipeline run" in done.stderr


def test_a_lesson_of_a_run_that_pages_cannot_train_says_why(runs, tmp_path):
    run = write_run(runs, tmp_path / "run", batch_size=10)
    html = parse(write_lesson(tmp_path, run.path).read_text())
    check_page(html)
    reasons = [note for note in html.select(".part .note") if "batch_size" in note.text]
    assert len(reasons) == 3  # one step, the training, and many tries
    assert html.select_one(".drawing")
