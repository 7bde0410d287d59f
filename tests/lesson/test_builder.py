"""The pages of the lesson: their text, their parts and their questions."""

import json
import re

import pytest

from lesson import builder
from lesson.assets import FOLDER
from pipeline.parameters import Parameters
from pipeline.reports import live
from pipeline.results.run_folder import RunFolder
from tests.reports.test_page import check_page, parse

TEXT = (FOLDER / "lesson.md").read_text()
*TITLES, _ = re.findall("^## (.*)", TEXT, re.M)  # the last one is the glossary


def write_lesson(folder, **parameters):
    """Write the page of a lesson that trains with these parameters; return its path."""
    path = folder / "lesson.html"
    path.write_text(builder.render_lesson(TEXT, Parameters(**parameters)))
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The pages that `python -m lesson` makes, by their names."""
    folder = tmp_path_factory.mktemp("lesson")
    builder.write_pages(folder)
    return {path.name: parse(path.read_text()) for path in folder.iterdir()}


@pytest.fixture
def lesson(made):
    return made["lesson.html"]


def describe(html):
    """Return what a reader sees of a lesson: text, scripts and style."""
    code = [each.string for each in html.select("script:not(#run), style")]
    return html.text, code


@pytest.mark.parametrize(
    "path", sorted(FOLDER.glob("*.html")), ids=lambda path: path.name
)
def test_the_committed_pages_are_what_the_command_makes(made, path):
    found = describe(parse(path.read_text()))
    assert found == describe(made[path.name]), "run: python -m lesson"


def test_the_page_begins_with_the_network_of_the_default_run(lesson, runs):
    made = json.loads(lesson.select_one("#run").string)
    run = RunFolder(runs / "default")
    data = live.collect_run_data(run, run.read_record())
    expected = json.loads(json.dumps(data))
    assert made["network"] == expected["network"]
    assert made["training"].items() > expected["training"].items()


def test_each_stop_stands_in_the_bar_and_begins_with_what_is_pressed(lesson):
    check_page(lesson)
    stops = lesson.select("section.lesson-stop")
    names = [stop["id"] for stop in stops]
    assert names[:5] == ["draw", "train", "one-weight", "a-chain", "on-paper"]
    assert len(names) == len(TITLES) == 8
    links = lesson.select("nav.lesson-bar a")
    assert [link["href"] for link in links] == [f"#{name}" for name in names]
    places = [" ".join(link.text.split()) for link in links]
    assert places == [f"{i} {title}" for i, title in enumerate(TITLES, 1)]
    assert len(lesson.select(".lesson-stop .live")) == TEXT.count("{network ")
    assert not re.search(r"\{\w+", lesson.main.text)  # a part with a mistake


def test_a_question_has_one_right_choice_and_a_word_on_each(lesson):
    asked = re.findall(r"\*\*Predict\*\*: (.*)", TEXT)
    questions = lesson.select(".prediction")
    rows = lesson.select(".sheet tbody tr")
    assert len(asked) == len(questions) == len(rows) >= 5
    for question, row in zip(questions, rows, strict=True):
        assert row["data-question"] == question["id"]
        assert question.p.text.removeprefix("Predict: ") in row.th.text
        assert len(question.select("summary")) == 3
        marks = [each.b.text for each in question.select("details")]
        assert sorted(marks) == ["No.", "No.", "Right."]
