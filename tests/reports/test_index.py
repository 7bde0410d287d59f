"""The index of runs: what is on disk, whatever its state."""

import fcntl
import json
import os
import shutil
from contextlib import contextmanager
from urllib.parse import unquote

import pytest
from bs4 import BeautifulSoup

from pipeline import storage
from pipeline.parameters import Parameters
from pipeline.records import Inputs, Metrics, RunRecord, Trained
from pipeline.reports import index
from pipeline.run_folder import RunFolder
from tests.conftest import EPOCH
from tests.test_runs import copy_project

METRICS = EPOCH | {
    "train_error": 0.25,
    "train_accuracy": 0.75,
    "validation_error": 0.3125,
    "validation_accuracy": 0.6875,
}
METRICS |= {"test_error": 0.375, "test_accuracy": 0.625, "test_images": 9, "weights_sha256": "0" * 64}
STARTED = "2026-01-02T03:04:05+00:00"


def record_of(status="done", started=STARTED, error=None, **changed):
    inputs = Inputs(data="0" * 64, notebooks={"03_evaluate": "0" * 64}, code={}, versions={})
    chosen = Parameters(**changed).model_dump()
    return RunRecord(status=status, started=started, parameters=chosen, inputs=inputs, duration_s=282.4, error=error)


def add_run(path, status="done", started=STARTED, metrics=METRICS, error=None, **changed):
    folder = RunFolder(path)
    folder.write_record(record_of(status, started, error, **changed))
    if status == "done":
        folder.write_metrics(Metrics(**metrics))
        storage.write_whole(folder.report, b"report")


def write_json(path, content):
    storage.write_whole(path, json.dumps(content).encode())


def add_sweep(folder, statuses, left=0, seeds=1, **definition):
    """Write a sweep whose n-th point has the n-th status, and a validation accuracy of n tenths.

    Each of its configurations has so many seeds.
    """
    ids = [f"{number:012x}" for number in range(len(statuses) + left)]
    configurations = [ids[first : first + seeds] for first in range(0, len(ids), seeds)]
    sweep = {"name": folder.name, "base": {}, "grid": {}, "points": [], "select": "validation_accuracy", "ids": ids}
    write_json(folder / "sweep.json", sweep | {"configurations": configurations} | definition)
    for number, (point, status) in enumerate(zip(ids, statuses, strict=False)):
        metrics = METRICS | {"validation_accuracy": number / 10, "test_accuracy": 0.99}
        chosen = {"learning_rate": 0.005 * (1 + number // seeds), "seed": 1 + number % seeds}
        add_run(folder / point, status, metrics=metrics, **chosen)
        if status == "done":
            change_metrics(folder / point, **metrics)


def change_metrics(path, **changed):
    """Change the metrics in the record of a point."""
    record = RunFolder(path).read_record()
    trained = {name: value for name, value in changed.items() if name in Trained.model_fields}
    before = record.metrics.model_dump() if record.metrics else {}
    RunFolder(path).write_record(record.changed(metrics=before | trained))


def rows(runs):
    """Write the page and read it: a dict for each row, from the heading of a column to its text."""
    page = BeautifulSoup(index.write_index(runs).read_text(), "html.parser")
    heads = [head.text for head in page.select("thead th")]
    return [
        {head: " ".join(cell.text.split()) for head, cell in zip(heads, row.find_all(["th", "td"]), strict=True)}
        for row in page.select("tbody tr")
    ]


@contextmanager
def held(folder):
    """Hold the folder as another process does."""
    with (folder / storage.LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# ---- runs ------------------------------------------------------------------------------------------------------


def test_a_finished_run_is_a_row_with_its_metrics_and_a_link_to_its_report(tmp_path):
    add_run(tmp_path / "a" / "b", learning_rate=0.01, epochs=20)
    (row,) = rows(tmp_path)
    assert row == {
        "Name": "a/b",
        "Kind": "run",
        "Status": "✓ done",
        "Training accuracy": "0.7500error 0.2500",
        "Validation accuracy": "0.6875error 0.3125",
        "Test accuracy": "0.6250error 0.3750",
        "Parameters": "learning_rate 0.01, epochs 20",
        "Started, UTC": "2026-01-02 03:04",
        "Took": "4 min 42 s",
    }
    page = BeautifulSoup((tmp_path / "index.html").read_text(), "html.parser")
    assert [link["href"] for link in page.select("tbody a")] == ["a/b/report.html"]


def test_the_newest_comes_first_wherever_it_is(tmp_path):
    add_run(tmp_path / "b", started="2026-01-01T00:00:00+00:00")
    add_run(tmp_path / "x" / "y", started="2026-01-03T01:00:00+02:00")  # 23:00 of the 2nd in UTC
    add_run(tmp_path / "c", started="2026-01-02T23:30:00+00:00")
    assert [(row["Name"], row["Started, UTC"]) for row in rows(tmp_path)] == [
        ("c", "2026-01-02 23:30"),
        ("x/y", "2026-01-02 23:00"),
        ("b", "2026-01-01 00:00"),
    ]


def test_a_run_is_running_while_its_folder_is_locked_and_interrupted_after(tmp_path):
    add_run(tmp_path / "now", "running")
    with held(tmp_path / "now"):
        assert rows(tmp_path)[0]["Status"] == "… running"
    assert rows(tmp_path)[0]["Status"].startswith("✗ interrupted")


def test_a_folder_that_cannot_be_looked_at_is_a_row_with_the_reason(tmp_path, monkeypatch):
    def refuse(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    add_run(tmp_path / "now", "running")
    monkeypatch.setattr(storage, "is_locked", refuse)
    assert rows(tmp_path)[0]["Status"].startswith("✗ damaged[Errno 13] Permission denied")


@pytest.mark.parametrize("status", ["failed", "diverged", "timed out", "kernel died", "worker died", "interrupted"])
def test_how_a_run_has_ended_is_its_status_with_the_first_line_of_its_error(tmp_path, status):
    add_run(tmp_path / "bad", status, error="02_train.ipynb failed: Diverged: <nan>\nThe executed notebook: x")
    (row,) = rows(tmp_path)
    assert row["Status"] == f"✗ {status}02_train.ipynb failed: Diverged: <nan>"
    assert row["Test accuracy"] == row["Validation accuracy"] == ""


def test_a_lock_left_over_is_no_run_and_in_no_list(tmp_path):
    add_run(tmp_path / "good")
    for name in ("begun", "good"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / storage.LOCK).touch()
    assert [(row["Name"], row["Status"]) for row in rows(tmp_path)] == [("good", "✓ done")]
    assert storage.LOCK not in (tmp_path / "index.html").read_text()


def test_a_run_without_validation_images_has_no_validation_metric(tmp_path):
    add_run(tmp_path / "a", metrics={name: METRICS[name] for name in METRICS if not name.startswith("validation")})
    (row,) = rows(tmp_path)
    assert (row["Validation accuracy"], row["Test accuracy"]) == ("", "0.6250error 0.3750")


WHOLE = record_of().model_dump_json(exclude_none=True).encode()
DAMAGES = {
    "cut short": WHOLE[:-20],
    "no text": b"\xff\xfe\x00",
    "parameters of another kind": WHOLE.replace(b'"parameters":{', b'"parameters":5,"unheard_of":{'),
    "no number": WHOLE.replace(b"282.4", b"NaN"),
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("content", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_record_is_a_row_with_the_reason_beside_the_others(tmp_path, content):
    add_run(tmp_path / "good")
    add_run(tmp_path / "hurt")
    (tmp_path / "hurt" / "run.json").write_bytes(content)
    statuses = {row["Name"]: row["Status"] for row in rows(tmp_path)}
    assert statuses["good"] == "✓ done"
    assert statuses["hurt"].startswith("✗ damagedrun.json is damaged: ")
    (tmp_path / "hurt" / "run.json").write_bytes(WHOLE)
    assert {row["Status"] for row in rows(tmp_path)} == {"✓ done"}


@pytest.mark.parametrize("content", [b"{", b'{"test_accuracy": "high"}', None])
def test_a_finished_run_whose_metrics_are_damaged_or_gone_is_damaged(tmp_path, content):
    add_run(tmp_path / "hurt")
    (tmp_path / "hurt" / "metrics.json").unlink()
    if content is not None:
        (tmp_path / "hurt" / "metrics.json").write_bytes(content)
    (row,) = rows(tmp_path)
    assert row["Status"].startswith("✗ damagedmetrics.json ")
    assert row["Test accuracy"] == ""


def test_a_record_that_is_no_file_is_no_run_and_harms_nothing(tmp_path):
    (tmp_path / "odd" / "run.json").mkdir(parents=True)
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / "run.json")  # reading it would wait for ever
    add_run(tmp_path / "good")
    assert [row["Name"] for row in rows(tmp_path)] == ["good"]


def test_hidden_folders_and_symbolic_links_are_left_out(tmp_path):
    runs, elsewhere = tmp_path / "runs", tmp_path / "elsewhere"
    add_run(runs / "seen")
    add_run(runs / ".hidden" / "a")
    add_run(elsewhere)
    (runs / "linked").symlink_to(elsewhere)
    (runs / "round").symlink_to(runs)
    (runs / "half").mkdir()
    (runs / "half" / "run.json").symlink_to(elsewhere / "run.json")
    assert [row["Name"] for row in rows(runs)] == ["seen"]


def test_names_are_escaped_and_their_links_lead_there(tmp_path):
    name = 'a <b> & "c" 50% {d}:#?é'
    add_run(tmp_path / name, source="<i>.npz")
    (row,) = rows(tmp_path)
    assert (row["Name"], row["Parameters"]) == (name, "source <i>.npz")
    page = BeautifulSoup((tmp_path / "index.html").read_text(), "html.parser")
    (link,) = page.select("tbody a")
    assert (tmp_path / unquote(link["href"])).read_text() == "report"
    assert not set(link["href"]) & set(':#? <>"')  # a colon would make it an address of its own


def test_a_removed_run_is_gone_from_the_next_index(tmp_path):
    add_run(tmp_path / "a")
    assert len(rows(tmp_path)) == 1
    shutil.rmtree(tmp_path / "a")
    assert "no runs here yet" in index.write_index(tmp_path).read_text()


# ---- sweeps ----------------------------------------------------------------------------------------------------


def test_a_sweep_is_one_row_with_its_counts_and_its_best_validation_metric(tmp_path):
    add_sweep(
        tmp_path / "sweeps" / "trial",
        ["done", "done", "diverged", "timed out"],
        left=2,
        base={"epochs": 10, "seed": 1},
        grid={"learning_rate": [0.005, 0.01], "hidden_size": list(range(1, 9))},
        points=[{"learning_rate": 0.5}],
    )
    (row,) = rows(tmp_path)
    assert (row["Name"], row["Kind"]) == ("sweeps/trial", "sweep")
    assert row["Status"] == "✗ interrupted2 of 6 points done, 1 diverged, 1 timed out, 2 left"
    assert row["Parameters"] == (
        "varied: learning_rate 0.005, 0.01, 0.5; hidden_size 1, 2, 3, 4, 5, 6 and 3 more"
        "fixed: epochs 10best: learning_rate 0.01, hidden_size 40"
    )
    assert row["Validation accuracy"].startswith("0.1000 best")
    assert row["Training accuracy"] == row["Test accuracy"] == ""
    assert row["Took"] == "18 min 50 s"  # 4 points of 282.4 s
    assert "0.99" not in (tmp_path / "index.html").read_text()


def test_a_sweeps_status_is_what_its_points_come_to(tmp_path):
    add_sweep(tmp_path / "whole", ["done", "done"])
    add_sweep(tmp_path / "partly", ["done", "failed"])
    add_sweep(tmp_path / "damaged", ["done", "done"])
    (tmp_path / "damaged" / f"{1:012x}" / "run.json").write_text("{")
    add_sweep(tmp_path / "begun", ["done"], left=1)
    add_sweep(tmp_path / "trained", ["done", "done"])
    RunFolder(tmp_path / "trained" / f"{1:012x}").metrics.unlink()  # it is the best, and its test metrics are missing
    RunFolder(tmp_path / "whole" / f"{0:012x}").metrics.unlink()
    add_sweep(tmp_path / "killed", ["done"])  # between its metrics and their record
    point = RunFolder(tmp_path / "killed" / f"{0:012x}")
    record = point.read_record()
    point.write_record(record.changed(inputs=record.inputs.model_copy(update={"notebooks": {"02_train": "0" * 64}})))
    with held(tmp_path / "begun"):
        found = {row["Name"]: row for row in rows(tmp_path)}
    assert {name: row["Status"] for name, row in found.items()} == {
        "whole": "✓ done2 of 2 points done",
        "partly": "✗ failures1 of 2 points done, 1 failed",
        "damaged": "✗ interrupted1 of 2 points done, 1 left",
        "begun": "… running1 of 2 points done, 1 left",
        "trained": "✗ interrupted2 of 2 points done, the best not evaluated",
        "killed": "✗ interrupted1 of 1 points done, the best not evaluated",
    }


def test_a_swept_parameter_is_listed_with_what_points_without_it_have(tmp_path):
    points = [{"hidden_size": 7}, {"learning_rate": 0.5}]
    add_sweep(tmp_path / "trial", ["done"], grid={"learning_rate": [0.01, 0.02]}, points=points)
    assert rows(tmp_path)[0]["Parameters"].startswith("varied: learning_rate 0.005, 0.01, 0.02, 0.5; hidden_size 7, 40")


def test_a_value_is_listed_once_whatever_way_it_is_written(tmp_path):
    add_sweep(tmp_path / "trial", ["done"], grid={"normalisation": [255, 510]}, points=[{"learning_rate": 0.02}])
    assert rows(tmp_path)[0]["Parameters"].startswith("varied: normalisation 255, 510; learning_rate")


def test_a_sweep_is_as_old_as_its_newest_point(tmp_path):
    add_sweep(tmp_path / "trial", ["done"])
    os.utime(tmp_path / "trial" / "sweep.json", (0, 0))
    assert index.entries(tmp_path)[0].when.isoformat() == STARTED


def test_a_finished_sweep_that_one_may_only_read_is_done(tmp_path, monkeypatch):
    add_sweep(tmp_path / "whole", ["done"])
    add_sweep(tmp_path / "begun", ["done"], left=1)
    monkeypatch.setattr(storage, "is_locked", lambda folder: True)  # as of a lock that is another's
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert {entry.name: entry.status for entry in index.entries(tmp_path)} == {"whole": "done", "begun": "running"}


def test_the_best_configuration_is_the_first_of_the_ranking(tmp_path):
    grid = {"learning_rate": [0.005, 0.01, 0.015], "seed": [1, 2]}
    add_sweep(tmp_path / "trial", ["done"] * 5, left=1, seeds=2, grid=grid)
    (row,) = rows(tmp_path)
    assert row["Validation accuracy"] == "0.2500 besterror 0.3125"
    assert row["Parameters"].endswith("best: learning_rate 0.01, mean of 2 seeds")
    (tmp_path / "trial" / f"{3:012x}" / "run.json").write_text("{")
    assert rows(tmp_path)[0]["Validation accuracy"].startswith("0.0500 best")


def test_a_run_that_ends_while_the_index_is_written_is_in_it_even_if_others_end_all_the_time(tmp_path, monkeypatch):
    write_whole = storage.write_whole

    def meanwhile(path, content, durable=True):
        write_whole(path, content, durable)
        if path.name == "index.html":
            add_run(tmp_path / f"run-{len(list(tmp_path.iterdir()))}")

    monkeypatch.setattr(storage, "write_whole", meanwhile)
    assert len(rows(tmp_path)) == 2


def test_the_best_configuration_has_the_least_error_where_the_sweep_selects_by_an_error(tmp_path):
    add_sweep(tmp_path / "trial", ["done", "done"], select="train_error")
    change_metrics(tmp_path / "trial" / f"{1:012x}", train_error=0.125)
    (row,) = rows(tmp_path)
    assert row["Training accuracy"] == "0.7500error 0.1250 best"
    assert row["Validation accuracy"] == ""


@pytest.mark.parametrize("wrong", [{"ids": ["../../x"]}, {"select": "test_accuracy"}, {"name": "a/b"}])
def test_a_damaged_sweep_is_a_row_with_the_reason_and_leads_nowhere_else(tmp_path, wrong):
    add_sweep(tmp_path / "hurt", ["done"], **wrong)
    (row,) = rows(tmp_path)
    assert row["Status"].startswith("✗ damagedsweep.json is damaged: ")


# ---- the page --------------------------------------------------------------------------------------------------


def test_the_page_can_be_read_by_everyone_and_fetches_nothing(tmp_path):
    add_run(tmp_path / "a")
    page = BeautifulSoup(index.write_index(tmp_path).read_text(), "html.parser")
    assert page.html["lang"] == "en"
    assert page.title.text == page.h1.text == "Runs"
    assert {head["scope"] for head in page.find_all("th")} == {"row", "col"}
    assert [region["aria-label"] for region in page.select('.scroll[role="group"][tabindex="0"]')]
    assert not page.find_all(["script", "link", "img", "iframe"])
    assert "--paper" in page.style.text  # the pages' common style


# ---- when it is written ----------------------------------------------------------------------------------------


def test_only_changes_below_the_folder_are_listed(tmp_path):
    for name in ("elsewhere", "runs/a"):
        add_run(tmp_path / name)
        with index.refreshed_after(tmp_path / name, tmp_path / "runs"):
            pass
        assert (tmp_path / "runs" / "index.html").exists() == (name == "runs/a")


def test_an_index_that_cannot_be_written_is_logged_in_one_line_and_not_raised(tmp_path, caplog):
    caplog.set_level("WARNING")
    add_run(tmp_path / "a")
    (tmp_path / "index.html").mkdir()
    with index.refreshed_after(tmp_path / "a", tmp_path):
        pass
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("pipeline.reports.index", "WARNING")
    message = record.getMessage()
    assert f"The list of runs, {tmp_path / 'index.html'}, was not written (InvalidParameter: " in message
    assert "\n" not in message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "index.html"]


def test_every_run_and_sweep_below_runs_leaves_an_index_and_fails_by_none(pipeline, tmp_path):
    where = copy_project(tmp_path)
    page = tmp_path / "runs" / "index.html"

    def statuses():
        lines = BeautifulSoup(page.read_text(), "html.parser").select("tbody tr")
        return {row.th.text: row.select_one(".status span").text for row in lines}

    small = ["-p", "epochs", "2", "-p", "num_samples", "60"]
    page.mkdir(parents=True)
    failed = pipeline("run", "--run-dir", "runs/a/b", *small, "-p", "normalisation", "0.001", **where)
    assert failed.returncode == 1
    assert "index.html, was not written (InvalidParameter: " in failed.stdout
    assert "Traceback" not in failed.stdout + failed.stderr
    refused = pipeline("index", **where)
    assert refused.returncode == 2
    assert "index.html, but it cannot be read: it is a folder, not a file. It would be written over" in refused.stderr
    page.rmdir()
    assert pipeline("index", **where).stdout == f"index: {page.relative_to(tmp_path)}\n"
    assert statuses() == {"a/b": "✗ diverged"}
    (tmp_path / "s.yaml").write_text("{name: trial, base: {epochs: 1, num_samples: 60}, grid: {seed: [1]}}")
    swept = pipeline("sweep", tmp_path / "s.yaml", "--workers", 1, **where)
    assert swept.returncode == 0, swept.stderr
    assert statuses() == {"a/b": "✗ diverged", "sweeps/trial": "✓ done"}
    shutil.rmtree(tmp_path / "runs" / "a")
    assert pipeline("index", "runs", **where).stdout == f"index: {page.relative_to(tmp_path)}\n"
    assert statuses() == {"sweeps/trial": "✓ done"}
    assert pipeline("index", tmp_path / "none", **where).returncode == 2


def test_a_link_to_a_name_that_is_too_long_hides_no_other_folder(tmp_path):
    add_run(tmp_path / "good")
    for name in ("run.json", "sweep.json", "report.html"):
        add_run(tmp_path / name[:3])
        (tmp_path / name[:3] / name).unlink(missing_ok=True)
        (tmp_path / name[:3] / name).symlink_to("x" * 300)
    assert {row["Name"] for row in rows(tmp_path)} == {"good", "swe", "rep"}
    assert RunFolder(tmp_path / "rep").present() == ["metrics.json"]


def test_whatever_is_wrong_with_a_folder_is_a_row(tmp_path, monkeypatch):
    add_run(tmp_path / "good")
    add_run(tmp_path / "odd", "running")
    os.utime(tmp_path / "odd" / "run.json", (1e12, 1e12))
    monkeypatch.setattr(storage, "is_locked", lambda folder: 1 / 0)
    assert {row["Name"]: row["Status"] for row in rows(tmp_path)} == {
        "good": "✓ done",
        "odd": "✗ damagedZeroDivisionError: division by zero",
    }


def test_metrics_that_are_not_those_of_their_run_are_not_shown(tmp_path):
    add_run(tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    folder.write_record(record_of().changed(outputs=folder.digests()))
    assert "0.6250" in str(rows(tmp_path))
    folder.metrics.write_bytes(folder.metrics.read_bytes().replace(b"0.625", b"0.999"))
    assert "0.999" not in (shown := str(rows(tmp_path)))
    assert "metrics.json was removed or altered since its run ended" in shown
