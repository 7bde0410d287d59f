"""The page of a lesson: its text, its parts, its questions, and whose run."""

import json
import re
import shutil

import pytest

from pipeline.errors import InvalidInput
from pipeline.lessons import lesson as lessons
from pipeline.paths import NOTEBOOKS
from pipeline.results.run_folder import RunFolder
from tests.reports.test_page import check_page, parse

TEXT = (NOTEBOOKS / "lesson.md").read_text()
TITLES = re.findall("^## (.*)", TEXT, re.M)


def write_lesson(folder, run, text=TEXT):
    """Write the page of a lesson with the network of a run, and return its path."""
    path = folder / "lesson.html"
    path.write_text(lessons.render(text, RunFolder(run)))
    return path


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
    assert committed.stat().st_size <= 820_000
    found = describe(parse(committed.read_text()))
    assert found == describe(lesson), "run: make notebooks"


def test_each_stop_has_its_part_and_stands_in_the_bar(lesson):
    check_page(lesson)
    stops = lesson.select("section.lesson-stop")
    names = ["draw", "train", "one-weight", "a-chain", "on-paper", "step", "class"]
    assert [stop["id"] for stop in stops] == names
    parts = [".pad", ".training .train", ".live", ".live", ".live", ".steps", ".class"]
    for stop, part in zip(stops, parts, strict=True):
        assert stop.select(part), part
    links = lesson.select("nav.lesson-bar a")
    assert [link["href"] for link in links] == [f"#{name}" for name in names]
    places = [" ".join(link.text.split()) for link in links]
    assert places == [f"{i} {title}" for i, title in enumerate(TITLES, 1)]
    assert len(lesson.select(".lesson-stop .live")) == TEXT.count("{network ")


def test_a_question_has_one_right_choice_and_a_word_on_each(lesson):
    questions = lesson.select(".prediction")
    assert len(questions) == len(re.findall(r"^\*\*Predict\*\*: ", TEXT, re.M)) > 3
    rows = lesson.select(".sheet tbody tr")
    assert [row["data-question"] for row in rows] == [each["id"] for each in questions]
    for row, question in zip(rows, questions, strict=True):
        asked = question.legend.get_text(" ", strip=True).removeprefix("Predict : ")
        assert asked.endswith("?")
        assert asked in row.get_text(" ", strip=True)
        letters = [label.text.strip()[:3] for label in question.select("label")]
        answer = question.find_next_sibling()
        reasons = [answer.b.text, *(each.text for each in answer.select("li"))]
        found = sorted(re.search(r"\(\w\)", reason)[0] for reason in reasons)
        assert found == letters == ["(a)", "(b)", "(c)"]
        assert answer.b.text == f"{letters[int(answer['data-right'])]} is right."


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{networks 1-1}", "{networks 1-1}"),
        ("**Predict**: Which?\n\n- [ ] One.\n- [ ] Two.\n", "Which?"),
        ("**Predict**: Which?\n\n- [x] One.\n- [x] Two.\n", "Which?"),
    ],
)
def test_a_mistake_in_the_text_is_named(runs, tmp_path, text, named):
    with pytest.raises(InvalidInput) as raised:
        write_lesson(tmp_path, runs / "default", f"# Title\n\n## Stop\n\n{text}\n")
    assert named in str(raised.value)
    is_part = "{" in text
    assert ("{network 3-2-2}" in str(raised.value)) == is_part


def write_run(runs, path, **changes):
    """Write a copy of a run with other parameters in its record, and return it."""
    folder = RunFolder(shutil.copytree(runs / "default", path))
    record = folder.read_record()
    folder.write_record(record.replace(parameters=record.parameters | changes))
    return folder


def test_a_lesson_whose_run_is_missing_or_outdated_is_refused(
    runs, tmp_path, pipeline, monkeypatch
):
    with pytest.raises(InvalidInput, match="missing or no longer"):
        write_lesson(tmp_path, tmp_path / "nowhere")
    other = write_run(runs, tmp_path / "default", relu_grad_inactive=0)
    record = json.loads(other.record_path.read_text())
    record["inputs"]["code helpers.py"] = "0" * 64
    other.record_path.write_text(json.dumps(record))
    with pytest.raises(InvalidInput, match="code helpers.py, which was 0000") as raised:
        write_lesson(tmp_path, other.path)
    command = "python -m pipeline run --run-dir .*/default -p relu_grad_inactive 0"
    raised.match(command)
    monkeypatch.setattr(lessons, "RUNS", tmp_path)
    done = pipeline("report", NOTEBOOKS / "lesson.md", "--output", tmp_path / "a.html")
    assert done.returncode == 2
    assert "python -m pipeline run" in done.stderr
    assert not (tmp_path / "a.html").exists()


def test_a_lesson_of_a_run_that_pages_cannot_train_is_refused(runs, tmp_path):
    run = write_run(runs, tmp_path / "run", batch_size=10)
    with pytest.raises(InvalidInput, match="cannot be made"):
        write_lesson(tmp_path, run.path)
