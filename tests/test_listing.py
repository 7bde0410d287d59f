"""The list of runs and sweeps, whatever their state."""

import shutil
from datetime import UTC, datetime
from urllib.parse import unquote

import pytest
from bs4 import BeautifulSoup

from pipeline import listing
from pipeline.network.published import HELPERS_SHA256
from pipeline.parameters import Parameters
from pipeline.records import Metrics, RunRecord, SweepRecord, SweepState, to_json
from pipeline.results.files import lock, write_whole
from pipeline.results.run_folder import RunFolder
from tests.conftest import VALIDATED

STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
INPUTS = {"code helpers.py": HELPERS_SHA256}
METRICS = {"weights_sha256": "0" * 64, "test_error": 0.375, "test_accuracy": 0.625}


def write_record(path, status="done", parameters=None, **fields):
    values = {"started": STARTED, "duration_s": 282.4, "inputs": INPUTS}
    values["parameters"] = parameters or Parameters().model_dump()
    RunFolder(path).write_record(RunRecord(status=status, **values | fields))


def add_run(path, **fields):
    """Write a finished run."""
    folder = RunFolder(path)
    metrics = Metrics(**VALIDATED, **METRICS, test_images=9)
    write_whole(folder.metrics_path, to_json(metrics))
    write_whole(folder.report_path, b"report")
    write_record(path, outputs=folder.digest(["metrics.json"]), **fields)


def add_sweep(path, **state):
    """Write the record of a sweep in some state."""
    record = SweepRecord(name="a", ids={"p": {}}, inputs={}, state=SweepState(**state))
    write_whole(path / "sweep.json", to_json(record))


def read_rows(runs):
    """Write the page, and return its rows: texts, by the heads of their columns."""
    html = BeautifulSoup(listing.write_index(runs).read_text(), "html.parser")
    heads = [head.text for head in html.select("thead th")]
    rows = []
    for row in html.select("tbody tr"):
        texts = [" ".join(cell.text.split()) for cell in row.find_all(["th", "td"])]
        rows.append(dict(zip(heads, texts, strict=True)))
    return rows


def test_a_finished_run_is_a_row_with_its_accuracies_and_a_link_to_its_report(tmp_path):
    parameters = Parameters(learning_rate=0.01, epochs=20).model_dump()
    network = {"code helpers.py": "5d6bcf45" + "9" * 56}
    add_run(tmp_path / "a" / "b", parameters=parameters, inputs=network)
    (row,) = read_rows(tmp_path)
    assert [*row.values()] == [
        *("a/b", "✓ done", "0.7500", "0.6250"),
        "learning_rate 0.01, epochs 20 with a changed helpers.py, 5d6bcf45",
        "2026-01-02 03:04",
    ]
    html = BeautifulSoup((tmp_path / "index.html").read_text(), "html.parser")
    assert [link["href"] for link in html.select("tbody a")] == ["a/b/report.html"]
    assert {head["scope"] for head in html.find_all("th")} == {"row", "col"}
    links = [unquote(link["href"]) for link in html.select("p.note a")]
    assert links
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


@pytest.mark.parametrize("name", ["run.json", "metrics.json", "sweep.json"])
def test_what_cannot_be_read_is_a_row_with_the_reason_beside_the_others(tmp_path, name):
    for folder in ("good", "hurt"):
        add_run(tmp_path / folder)
    (tmp_path / "hurt" / name).write_text("{")
    statuses = {row["Name"]: row["Status"] for row in read_rows(tmp_path)}
    assert statuses["good"] == "✓ done"
    assert statuses["hurt"].startswith(f"✗ damaged{name}")


def test_names_are_escaped_and_their_links_lead_there(tmp_path):
    name = 'a <b> & "c" 50% {d}:#?é'
    add_run(tmp_path / name)
    assert read_rows(tmp_path)[0]["Name"] == name
    html = BeautifulSoup((tmp_path / "index.html").read_text(), "html.parser")
    (link,) = html.select("tbody a")
    assert (tmp_path / unquote(link["href"])).read_text() == "report"


def test_an_empty_folder_has_a_page_that_says_so(tmp_path):
    assert "no runs here yet" in listing.write_index(tmp_path).read_text()


def test_a_sweep_is_a_row_of_what_it_has_written_and_its_points_are_none(tmp_path):
    metrics = {"validation_accuracy": 0.25, "test_accuracy": 0.125}
    written = {"started": STARTED, "sentence": "2 done; selected: epochs 3"}
    add_sweep(tmp_path / "s" / "trial", status="done", metrics=metrics, **written)
    add_run(tmp_path / "s" / "trial" / "p")
    (row,) = read_rows(tmp_path)
    assert [*row.values()] == [
        *("s/trial", "✓ done", "0.2500", "0.1250"),
        *("2 done; selected: epochs 3", "2026-01-02 03:04"),
    ]
    add_sweep(tmp_path / "s" / "trial", status="running", **written)
    assert read_rows(tmp_path)[0]["Status"].startswith("✗ interrupted")  # killed
    with lock(tmp_path / "s" / "trial"):
        assert read_rows(tmp_path)[0]["Status"] == "… running"


def test_the_command_lists_real_runs(pipeline, runs, tmp_path):
    shutil.copytree(runs, tmp_path / "runs")
    assert pipeline("index", tmp_path / "runs").returncode == 0
    rows = {row["Name"]: row for row in read_rows(tmp_path / "runs")}
    assert rows.keys() == {"default", "true-derivative", "small"}
    assert rows["default"]["Test accuracy"] == "0.7942"
    small = rows["small"]
    assert (small["Validation accuracy"], small["Test accuracy"]) == (
        "0.7685",
        "0.7616",
    )
    assert "4 done; selected: learning_rate 0.005" in small["What it is"]
