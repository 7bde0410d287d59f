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
    assert committed.stat().st_size <= 1_100_000
    found = describe(parse(committed.read_text()))
    assert found == describe(lesson), "run: make notebooks"


def test_each_stop_begins_with_its_part_and_stands_in_the_bar(lesson):
    check_page(lesson)
    stops = lesson.select("section.lesson-stop")
    names = ["draw", "train", "one-weight", "a-chain", "on-paper", "step", "tries"]
    assert [stop["id"] for stop in stops] == names
    parts = [".drawing", ".training .train", ".live", ".live", ".live", ".steps"]
    for stop, part in zip(stops, [*parts, ".own-tries"], strict=True):
        first = stop.h2.find_next_sibling()
        assert first.select(part) or first in stop.select(part), part
    links = lesson.select("nav.lesson-bar a")
    assert [link["href"] for link in links] == [f"#{name}" for name in names]
    places = [" ".join(link.text.split()) for link in links]
    assert places == [f"{i} {title}" for i, title in enumerate(TITLES, 1)]
    assert len(lesson.select(".lesson-stop .live")) == TEXT.count("{network ")


def test_a_question_has_one_right_choice_and_a_word_on_each(lesson):
    rows = [
        row.th.get_text(" ", strip=True) for row in lesson.select(".sheet tbody tr")
    ]
    asked = re.findall(r"\*\*Predict\*\*: (.*)", TEXT)
    assert len(rows) - 1 == len(asked) == len(TITLES) - 2  # from One weight on
    assert rows[0].startswith("Train ")  # which the training asks
    assert rows[1].startswith("One weight The learning rate is 0.5.")
    assert all(row.endswith("?") for row in rows)
    pieces = lesson.select(".invitation p, .cell p:has(> strong:first-child)")
    questions = [piece.text.removeprefix("Predict: ") for piece in pieces]
    asked = [each for each in questions if each.strip().endswith("?")]
    heads = [each.th for each in lesson.select(".sheet tbody tr")]
    for head in heads:
        head.b.decompose()
    assert [head.text.strip() for head in heads] == [each.strip() for each in asked]
    for answer in lesson.select(".answer"):
        choices = answer.find_parent().find_previous_sibling().select("li")
        letters = [choice.text[:3] for choice in choices]
        reasons = [answer.b.text, *(each.text for each in answer.select("li"))]
        found = sorted(re.search(r"\(\w\)", reason)[0] for reason in reasons)
        assert found == letters == ["(a)", "(b)", "(c)"]
        assert answer.b.text.endswith("is right.")


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
