"""The page of a lesson: its text, its parts, its questions, and its run."""

import re
import shutil

import pytest

from lesson import builder
from lesson.assets import FOLDER
from pipeline.errors import InvalidInput
from pipeline.parameters import Parameters
from pipeline.results.run_folder import RunFolder
from tests.reports.test_page import check_page, parse

TEXT = (FOLDER / "lesson.md").read_text()
*TITLES, _ = re.findall("^## (.*)", TEXT, re.M)  # the last one is the glossary
QUESTION = "**Predict**: Which?\n\n- [x] One.\n  Yes.\n- [ ] Two.\n  No.\n"


def write_lesson(folder, run, text=TEXT):
    """Write the page of a lesson with the network of a run, and return its path."""
    path = folder / "lesson.html"
    path.write_text(builder.render_lesson(text, RunFolder(run)))
    return path


@pytest.fixture(scope="module")
def lesson(runs, tmp_path_factory):
    path = write_lesson(tmp_path_factory.mktemp("lesson"), runs / "default")
    return parse(path.read_text())


def describe(html):
    """Return what a reader sees of a lesson: text, scripts and style."""
    code = [each.string for each in html.select("script:not(#run), style")]
    return html.text, code


def test_the_committed_lesson_is_what_its_command_makes(lesson):
    committed = FOLDER / "lesson.html"
    found = describe(parse(committed.read_text()))
    assert found == describe(lesson), "run: make notebooks"


@pytest.mark.parametrize("name", ["worksheet-1", "worksheet-2"])
def test_the_committed_pages_to_print_are_what_their_command_makes(name, tmp_path):
    builder.write_page(FOLDER / f"{name}.md", tmp_path / f"{name}.html")
    made, committed = (folder / f"{name}.html" for folder in (tmp_path, FOLDER))
    found = [describe(parse(path.read_text())) for path in (made, committed)]
    assert found[0] == found[1], "run: make notebooks"


def test_each_stop_stands_in_the_bar_and_begins_with_what_is_pressed(lesson):
    check_page(lesson)
    stops = lesson.select("section.lesson-stop")
    names = [stop["id"] for stop in stops]
    assert names[:5] == ["draw", "train", "one-weight", "a-chain", "on-paper"]
    assert len(names) == len(TITLES) == 7
    links = lesson.select("nav.lesson-bar a")
    assert [link["href"] for link in links] == [f"#{name}" for name in names]
    places = [" ".join(link.text.split()) for link in links]
    assert places == [f"{i} {title}" for i, title in enumerate(TITLES, 1)]
    assert len(lesson.select(".lesson-stop .live")) == TEXT.count("{network ")


def test_a_question_has_one_right_choice_and_a_word_on_each(lesson):
    asked = re.findall(r"\*\*Predict\*\*: (.*)", TEXT)
    questions = lesson.select(".prediction")
    rows = lesson.select(".sheet tbody tr")
    assert len(asked) == len(questions) == len(rows) >= 5
    for question, row in zip(questions, rows, strict=True):
        assert row["data-question"] == question["id"]
        assert question.p.text.removeprefix("Predict: ") in row.th.text
        letters = [each.text[:3] for each in question.select("summary")]
        assert letters == ["(a)", "(b)", "(c)"]
        marks = [each.b.text for each in question.select("details")]
        assert sorted(marks) == ["No.", "No.", "Right."]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{pads}", "{pads}"),
        ("{ pad }", "{ pad }"),
        ('{network {"weights": [[[1]]]}}', "inputs"),
        ('{network {"weights": [[[1]]}}', "weights"),
        (QUESTION.replace("[x]", "[ ]"), "Which?"),
        (QUESTION.replace("[ ]", "[x]"), "Which?"),
        (QUESTION.replace("[x]", "[X]"), "Which?"),
        (QUESTION.replace("Predict**:", "Predict:**"), "Which?"),
        (QUESTION.replace("  No.\n", ""), "- [ ] Two."),
        (QUESTION.replace("Which?", "Which\none?"), "Predict"),
    ],
)
def test_what_is_written_wrong_is_refused_and_not_turned_into_prose(
    runs, tmp_path, text, named
):
    right = f"# Title\n\n## Stop\n\n{{pad}}\n\n{QUESTION}\nProse.\n\n## Glossary\n"
    write_lesson(tmp_path, runs / "default", right)
    with pytest.raises(InvalidInput) as raised:
        write_lesson(tmp_path, runs / "default", right.replace("Prose.", text))
    assert named in str(raised.value)


def test_a_lesson_whose_run_is_missing_or_cannot_be_trained_is_refused(
    runs, tmp_path, pipeline, monkeypatch
):
    with pytest.raises(InvalidInput, match="run"):
        write_lesson(tmp_path, tmp_path / "nowhere")
    folder = RunFolder(shutil.copytree(runs / "default", tmp_path / "run"))
    record = folder.read_record()
    parameters = Parameters(batch_size=10)
    folder.write_record(record.replace(parameters=parameters))
    with pytest.raises(InvalidInput, match="cannot be made"):
        write_lesson(tmp_path, folder.path)
    monkeypatch.setattr(builder, "RUNS", tmp_path)
    done = pipeline("report", FOLDER / "lesson.md", "--output", tmp_path / "a.html")
    assert done.returncode == 2
    assert not (tmp_path / "a.html").exists()
