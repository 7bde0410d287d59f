"""The list of runs and sweeps, whatever their state."""

import shutil
from datetime import UTC, datetime
from urllib.parse import unquote

import pytest
from bs4 import BeautifulSoup

from pipeline import listing
from pipeline.errors import InvalidInput
from pipeline.network.published import HELPERS_SHA256
from pipeline.parameters import Parameters, make_id
from pipeline.records import (
    Metrics,
    RunRecord,
    SweepRecord,
    TrainingMetrics,
    to_json,
)
from pipeline.results.files import lock, write_whole
from pipeline.results.run_folder import RunFolder
from pipeline.sweeps.definition import list_points, read_definition
from pipeline.sweeps.execution import write_state
from pipeline.sweeps.sweep import read_sweep
from tests.conftest import VALIDATED

STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TRAINED = VALIDATED | {"train_error": 0.25, "train_accuracy": 0.75}
TRAINED |= {"weights_sha256": "0" * 64}
INPUTS = {"code helpers.py": HELPERS_SHA256}
METRICS = TRAINED | {"test_error": 0.375, "test_accuracy": 0.625, "test_images": 9}


def write_record(path, status="done", parameters=None, **fields):
    values = {"started": STARTED, "duration_s": 282.4, "inputs": INPUTS}
    values["parameters"] = parameters or Parameters().model_dump()
    RunFolder(path).write_record(RunRecord(status=status, **values | fields))


def add_run(path, **fields):
    """Write a finished run."""
    folder = RunFolder(path)
    write_whole(folder.metrics_path, to_json(Metrics(**METRICS)))
    write_whole(folder.report_path, b"report")
    write_record(path, outputs=folder.digest(["metrics.json"]), **fields)


def add_sweep(path, statuses, select="validation_accuracy", state="done"):
    """Write a sweep of two learning rates with two seeds each, with these statuses.

    state: what its command wrote last of the sweep as a whole.

    The n-th point has a validation accuracy of n tenths. None stands for a point that
    has not been run.
    """
    grid = {"learning_rate": [0.005, 0.01]}
    entries = {"name": "trial", "select": select, "grid": grid, "seeds": [1, 2]}
    entries |= {"base": {"epochs": 10}}
    points = map(dict, list_points(read_definition(entries)))
    ids = {make_id(parameters): parameters for parameters in points}
    record = SweepRecord(**entries, ids=ids, inputs={"sample": INPUTS})
    write_whole(path / "sweep.json", to_json(record))
    for number, (name, status) in enumerate(zip(ids, statuses, strict=True)):
        metrics = TrainingMetrics(**TRAINED | {"validation_accuracy": number / 10})
        if status:
            write_record(path / name, status, ids[name], metrics=metrics)
    write_state(read_sweep(path), state)


def read_rows(runs):
    """Write the page, and return its rows: texts, by the heads of their columns."""
    html = BeautifulSoup(listing.write_index(runs).read_text(), "html.parser")
    heads = [head.text for head in html.select("thead th")]
    rows = []
    for row in html.select("tbody tr"):
        texts = [" ".join(cell.text.split()) for cell in row.find_all(["th", "td"])]
        rows.append(dict(zip(heads, texts, strict=True)))
    return rows


def test_a_finished_run_is_a_row_with_its_metrics_and_a_link_to_its_report(tmp_path):
    parameters = Parameters(learning_rate=0.01, epochs=20).model_dump()
    add_run(tmp_path / "a" / "b", parameters=parameters)
    (row,) = read_rows(tmp_path)
    assert [*row.values()] == [
        *("a/b", "run", "✓ done"),
        *("0.7500error 0.2500", "0.7500error 0.6000", "0.6250error 0.3750"),
        *("learning_rate 0.01, epochs 20", "2026-01-02 03:04", "5 min"),
    ]
    html = BeautifulSoup((tmp_path / "index.html").read_text(), "html.parser")
    assert [link["href"] for link in html.select("tbody a")] == ["a/b/report.html"]
    assert html.title.text == html.h1.text == "Runs"
    assert {head["scope"] for head in html.find_all("th")} == {"row", "col"}
    assert not html.find_all(["script", "link", "img"])


def test_a_network_of_ones_own_is_named_by_its_digest_and_guides_are_linked(tmp_path):
    add_run(tmp_path / "a", inputs={"code helpers.py": "5d6bcf45" + "9" * 56})
    add_run(tmp_path / "b")
    own, other = (row["Parameters"] for row in sorted(read_rows(tmp_path), key=str))
    assert own.endswith("with a changed helpers.py, 5d6bcf45")
    assert "helpers.py" not in other
    html = BeautifulSoup((tmp_path / "index.html").read_text(), "html.parser")
    links = [unquote(link["href"]) for link in html.select("p.note a")]
    assert len(links) == 3
    assert all((tmp_path / link).exists() for link in links)


def test_the_newest_is_first_and_runs_while_its_folder_is_locked(tmp_path):
    write_record(tmp_path / "now", "running")
    add_run(tmp_path / "x" / "old", started=STARTED.replace(day=1))
    add_run(tmp_path / ".hidden", started=STARTED.replace(day=3))
    with lock(tmp_path / "now"):
        rows = [(row["Name"], row["Status"]) for row in read_rows(tmp_path)]
        assert rows == [("now", "… running"), ("x/old", "✓ done")]
    assert read_rows(tmp_path)[0]["Status"].startswith("✗ interrupted")


def test_how_a_run_has_failed_is_the_first_line_of_its_error(tmp_path):
    write_record(tmp_path / "bad", "failed", error="02_train.ipynb: <nan>\nmore")
    (row,) = read_rows(tmp_path)
    assert row["Status"] == "✗ failed02_train.ipynb: <nan>"
    assert row["Test accuracy"] == ""


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("hurt/run.json", "{", "damaged"),
        ("hurt/metrics.json", "a folder", "damaged"),
        ("sweep/summary.json", "{", "damaged"),
        ("sweep/summary.json", None, "unknown"),  # sweeps of version 3 have none
    ],
)
def test_what_cannot_be_read_is_a_row_with_the_reason_beside_the_others(
    tmp_path, name, content, word
):
    for folder in ("good", "hurt"):
        add_run(tmp_path / folder)
    add_sweep(tmp_path / "sweep", ["done"] * 4)
    path = tmp_path / name
    path.unlink()
    if content == "a folder":
        path.mkdir()
    elif content:
        path.write_text(content)
    statuses = {row["Name"]: row["Status"] for row in read_rows(tmp_path)}
    assert statuses["good"] == "✓ done"
    assert statuses[path.parent.name].startswith(f"✗ {word}")
    assert path.name in statuses[path.parent.name]


def test_names_are_escaped_and_their_links_lead_there(tmp_path):
    name = 'a <b> & "c" 50% {d}:#?é'
    add_run(tmp_path / name)
    assert read_rows(tmp_path)[0]["Name"] == name
    html = BeautifulSoup((tmp_path / "index.html").read_text(), "html.parser")
    (link,) = html.select("tbody a")
    assert (tmp_path / unquote(link["href"])).read_text() == "report"


def test_an_empty_folder_says_so_and_another_page_is_not_replaced(tmp_path):
    assert "no runs here yet" in listing.write_index(tmp_path).read_text()
    (tmp_path / "index.html").write_text("mine")
    with pytest.raises(InvalidInput, match="index.html"):
        listing.write_index(tmp_path)


def test_a_sweep_is_a_row_with_its_best_configuration_and_what_it_chose_by(tmp_path):
    add_sweep(tmp_path / "sweeps" / "trial", ["done"] * 4)
    add_sweep(tmp_path / "x" / "by-error", ["done"] * 4, select="train_error")
    rows = {row["Name"]: row for row in read_rows(tmp_path)}
    row, label = rows["sweeps/trial"], "Training (dropout) accuracy"
    assert rows["x/by-error"][label] == "0.7500error 0.2500 selected by"
    assert (row["Name"], row["Kind"]) == ("sweeps/trial", "sweep")
    assert row["Status"] == "✓ done4 done"
    assert row["Parameters"] == (
        "base: epochs 10grid: learning_rate [0.005, 0.01], seed [1, 2]"
        "selected: learning_rate 0.01, mean of 2 seeds"
    )
    assert row["Validation accuracy"] == "0.2500 selected byerror 0.6000"
    assert row[label] == "0.7500error 0.2500"
    assert row["Test accuracy"] == ""  # nothing was evaluated
    assert row["Started, UTC"] == "2026-01-02 03:04"
    assert row["Took"] == "19 min"  # all four trainings together


RUNNING = ["done", "running", None, "done"]


@pytest.mark.parametrize(
    ("statuses", "state", "expected"),
    [
        (["done", "done", "diverged", "failed"], "failures", "2 done, 1 diverged, 1"),
        (["done", None, None, "failed"], "interrupted", "1 done, 2 not run, 1 failed"),
        (RUNNING, "running", "2 done, 1 running, 1 not run"),  # it was killed
        ([None] * 4, "interrupted", "4 not run"),
    ],
)
def test_the_status_of_a_sweep_is_what_its_summary_says(
    tmp_path, statuses, state, expected
):
    add_sweep(tmp_path / "trial", statuses, state=state)
    word = "interrupted" if state == "running" else state
    assert read_rows(tmp_path)[0]["Status"].startswith(f"✗ {word}{expected}")
    with lock(tmp_path / "trial"):
        assert read_rows(tmp_path)[0]["Status"].startswith("… running")


def test_the_command_lists_real_runs(pipeline, runs, tmp_path):
    shutil.copytree(runs, tmp_path / "runs")
    assert pipeline("index", tmp_path / "runs").returncode == 0
    rows = {row["Name"]: row for row in read_rows(tmp_path / "runs")}
    assert rows.keys() == {"default", "true-derivative", "small"}
    assert rows["default"]["Test accuracy"] == "0.7942error 0.4294"
    assert rows["small"]["Validation accuracy"] == "0.7685 selected byerror 0.4952"
    assert rows["small"]["Test accuracy"].startswith("0.7616")
