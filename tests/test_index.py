"""The index of runs: what is on disk, whatever its state."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from urllib.parse import unquote

import pytest
from bs4 import BeautifulSoup

from pipeline import files, index, run
from pipeline.parameters import Parameters

METRICS = {
    "train_error": 0.25,
    "train_accuracy": 0.75,
    "validation_error": 0.3125,
    "validation_accuracy": 0.6875,
    "test_error": 0.375,
    "test_accuracy": 0.625,
}


def add_run(folder, status="done", started="2026-01-02T03:04:05+00:00", metrics=METRICS, error=None, **changed):
    chosen = Parameters(**changed, run_dir=str(folder))
    record = {"status": status, "started": started, "parameters": chosen.model_dump(), "duration_s": 282.4}
    files.write_json(folder / "run.json", record | ({"error": error} if error else {}))
    if status == "done":
        files.write_json(folder / "metrics.json", metrics)
        files.write_whole(folder / "report.html", b"report")


def add_sweep(folder, statuses, left=0, seeds=1, **definition):
    """A sweep whose n-th point has the n-th status, and a validation accuracy of n tenths; its settings have seeds."""
    ids = [f"{number:012x}" for number in range(len(statuses) + left)]
    settings = [ids[first : first + seeds] for first in range(0, len(ids), seeds)]
    sweep = {"name": folder.name, "base": {}, "grid": {}, "points": [], "select": "validation_accuracy", "ids": ids}
    sweep |= {"settings": settings}
    files.write_json(folder / "sweep.json", sweep | definition)
    for number, (point, status) in enumerate(zip(ids, statuses, strict=False)):
        metrics = METRICS | {"validation_accuracy": number / 10, "test_accuracy": 0.99}
        chosen = {"learning_rate": 0.005 * (1 + number // seeds), "seed": 1 + number % seeds}
        add_run(folder / point, status, None, metrics, **chosen)


def rows(runs):
    """What the written page says: a dict a row, from the heading of a column to its text."""
    page = BeautifulSoup(index.write_index(runs).read_text(), "html.parser")
    heads = [head.text for head in page.select("thead th")]
    return [
        {head: " ".join(cell.text.split()) for head, cell in zip(heads, row.find_all(["th", "td"]), strict=True)}
        for row in page.select("tbody tr")
    ]


@contextmanager
def held(folder):
    """As another process holds it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


# ---- runs ------------------------------------------------------------------------------------------------------


def test_a_finished_run_is_a_row_with_its_figures_and_a_link_to_its_report(tmp_path):
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


def test_a_failed_run_shows_the_first_line_of_its_error_and_no_figures(tmp_path):
    add_run(tmp_path / "bad", "failed", error="02_train.ipynb failed: Diverged: <nan>\nThe executed notebook: x")
    (row,) = rows(tmp_path)
    assert row["Status"] == "✗ failed02_train.ipynb failed: Diverged: <nan>"
    assert row["Test accuracy"] == row["Validation accuracy"] == ""


def test_a_run_is_running_while_its_folder_is_held_and_interrupted_after(tmp_path):
    add_run(tmp_path / "now", "running")
    with held(tmp_path / "now"):
        assert rows(tmp_path)[0]["Status"] == "… running"
    assert rows(tmp_path)[0]["Status"].startswith("✗ interrupted")


def test_a_folder_that_cannot_be_looked_at_is_a_row_that_says_so(tmp_path, monkeypatch):
    def refuse(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    add_run(tmp_path / "now", "running")
    monkeypatch.setattr(run, "is_held", refuse)
    assert rows(tmp_path)[0]["Status"].startswith("✗ damaged[Errno 13] Permission denied")


def test_looking_whether_a_folder_is_held_keeps_no_run_out(tmp_path, monkeypatch):
    """A run that begins while the index looks waits for that moment; one whose folder stays held is refused."""
    look = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(look, fcntl.LOCK_SH)
    monkeypatch.setattr(time, "sleep", lambda seconds: os.close(look))
    with run.alone_in(tmp_path):
        assert run.is_held(tmp_path)
    assert not run.is_held(tmp_path)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    with held(tmp_path), pytest.raises(run.RunFailed, match="Another run is writing"), run.alone_in(tmp_path):
        pass


def test_a_run_without_validation_images_has_no_validation_figure(tmp_path):
    without = {name: value for name, value in METRICS.items() if not name.startswith("validation")}
    add_run(tmp_path / "a", metrics=without, num_validation=0)
    (row,) = rows(tmp_path)
    assert (row["Validation accuracy"], row["Test accuracy"]) == ("", "0.6250error 0.3750")


DAMAGES = {
    "cut short": b'{"status": "done", ',
    "empty": b"",
    "no text": b"\xff\xfe\x00",
    "a list": b"[1, 2]",
    "numbers for words": b'{"status": 5, "parameters": {}}',
    "no parameters": b'{"status": "done"}',
    "parameters of another kind": b'{"status": "done", "parameters": "epochs"}',
    "no time": b'{"status": "done", "parameters": {}, "started": "yesterday"}',
    "no number": b'{"status": "done", "parameters": {}, "duration_s": NaN}',
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("content", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_record_is_a_row_that_says_so_beside_the_others(tmp_path, content):
    add_run(tmp_path / "good")
    add_run(tmp_path / "hurt")
    (tmp_path / "hurt" / "run.json").write_bytes(content)
    statuses = {row["Name"]: row["Status"] for row in rows(tmp_path)}
    assert statuses["good"] == "✓ done"
    assert statuses["hurt"].startswith("✗ damagedrun.json is damaged: ")


@pytest.mark.parametrize("content", [b"{", b'{"test_accuracy": "high"}', None])
def test_a_finished_run_whose_figures_are_damaged_or_gone_is_damaged(tmp_path, content):
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
    add_run(tmp_path / "b")
    assert len(rows(tmp_path)) == 2
    shutil.rmtree(tmp_path / "a")
    assert [row["Name"] for row in rows(tmp_path)] == ["b"]
    shutil.rmtree(tmp_path / "b")
    assert "no runs here yet" in index.write_index(tmp_path).read_text()


def test_a_run_that_ends_while_the_index_is_written_is_in_it(tmp_path, monkeypatch):
    write, late = files.write_whole, [tmp_path / "ended-late"]
    add_run(tmp_path / "early")

    def meanwhile(path, content):
        write(path, content)
        if path.name == "index.html" and late:
            add_run(late.pop())

    monkeypatch.setattr(files, "write_whole", meanwhile)
    assert "ended-late" in index.write_index(tmp_path).read_text()


# ---- sweeps ----------------------------------------------------------------------------------------------------


def test_a_sweep_is_one_row_with_its_counts_and_its_best_validation_figure(tmp_path):
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
        "varied: learning_rate 0.005, 0.01, 0.5; hidden_size 1, 2, 3, 4, 5, 6 and 2 more"
        "fixed: epochs 10best: learning_rate 0.01, hidden_size 40"
    )
    assert row["Validation accuracy"].startswith("0.1000 best")
    assert row["Training accuracy"] == row["Test accuracy"] == ""
    assert row["Took"] == "18 min 50 s"  # 4 points of 282.4 s
    assert "0.99" not in (tmp_path / "index.html").read_text()


def test_a_sweeps_status_is_what_its_points_come_to(tmp_path):
    add_sweep(tmp_path / "whole", ["done", "done"])
    add_sweep(tmp_path / "partly", ["done", "failed"])
    add_sweep(tmp_path / "begun", ["done"], left=1)
    with held(tmp_path / "begun"):
        told = {row["Name"]: row["Status"] for row in rows(tmp_path)}
    assert told == {
        "whole": "✓ done2 of 2 points done",
        "partly": "✗ failures1 of 2 points done, 1 failed",
        "begun": "… running1 of 2 points done, 1 left",
    }


def test_the_best_setting_is_the_one_of_the_sweeps_report(tmp_path):
    grid = {"learning_rate": [0.005, 0.01, 0.015], "seed": [1, 2]}
    add_sweep(tmp_path / "trial", ["done"] * 5, left=1, seeds=2, grid=grid)
    (row,) = rows(tmp_path)
    assert row["Validation accuracy"] == "0.2500 besterror 0.3125"
    assert row["Parameters"].endswith("best: learning_rate 0.01, mean of 2 seeds")
    (tmp_path / "trial" / f"{3:012x}" / "metrics.json").write_text("{")
    assert rows(tmp_path)[0]["Validation accuracy"].startswith("0.0500 best")


def test_an_index_of_what_changes_all_the_time_is_written_all_the_same(tmp_path, monkeypatch):
    write_whole = files.write_whole

    def meanwhile(path, content):
        write_whole(path, content)
        if path.name == "index.html":
            add_run(tmp_path / f"run-{len(list(tmp_path.iterdir()))}")

    monkeypatch.setattr(index.files, "write_whole", meanwhile)
    assert len(rows(tmp_path)) == 2


def test_the_best_setting_has_the_least_error_where_the_sweep_selects_by_an_error(tmp_path):
    add_sweep(tmp_path / "trial", ["done", "done"], select="train_error")
    files.write_json(tmp_path / "trial" / f"{1:012x}" / "metrics.json", METRICS | {"train_error": 0.125})
    (row,) = rows(tmp_path)
    assert row["Training accuracy"] == "0.7500 besterror 0.1250"
    assert row["Validation accuracy"] == ""


def test_damaged_sweeps_and_points_are_told_and_lead_nowhere_else(tmp_path):
    add_sweep(tmp_path / "hurt", ["done"])
    (tmp_path / "hurt" / "sweep.json").write_text('{"ids": ["../../x"], "select": "test_accuracy"}')
    add_sweep(tmp_path / "point", ["done", "done"])
    (tmp_path / "point" / f"{1:012x}" / "run.json").write_text("{")
    told = {row["Name"]: row["Status"] for row in rows(tmp_path)}
    assert told["hurt"].startswith("✗ damagedsweep.json is damaged: ")
    assert told["point"] == "✗ interrupted1 of 2 points done, 1 left"


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
    add_run(tmp_path / "elsewhere")
    (tmp_path / "runs").mkdir()
    index.refresh(tmp_path / "elsewhere", runs=tmp_path / "runs")
    assert list((tmp_path / "runs").iterdir()) == []
    add_run(tmp_path / "runs" / "a")
    index.refresh(tmp_path / "runs" / "a", runs=tmp_path / "runs")
    assert (tmp_path / "runs" / "index.html").exists()


def test_an_index_that_cannot_be_written_is_told_in_one_line_and_not_raised(tmp_path):
    add_run(tmp_path / "a")
    (tmp_path / "index.html").mkdir()
    told = []
    index.refresh(tmp_path / "a", told.append, tmp_path)
    assert len(told) == 1
    assert f"The list of runs, {tmp_path / 'index.html'}, was not written (IsADirectoryError: " in told[0]
    assert "\n" not in told[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "index.html"]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project, so that its runs/ are not the user's, and a way to call its command line."""
    copy = tmp_path_factory.mktemp("project")
    shutil.copytree(files.ROOT / "pipeline", copy / "pipeline")
    shutil.copytree(files.ROOT / "notebooks", copy / "notebooks")
    shutil.copy2(files.ROOT / "helpers.py", copy)
    compiled = files.ROOT / "__pycache__"
    if compiled.exists():  # Numba's, which saves compiling anew
        shutil.copytree(compiled, copy / "__pycache__")
    environment = os.environ | {"PYTHONPATH": str(copy)}
    return copy, {"cwd": copy, "env": environment}


def statuses(project):
    page = BeautifulSoup((project / "runs" / "index.html").read_text(), "html.parser")
    return {row.th.text: row.select_one(".status span").text for row in page.select("tbody tr")}


def test_every_run_and_sweep_below_runs_leaves_an_index(project, pipeline, tmp_path):
    copy, where = project
    small = ["-p", "epochs", "2", "-p", "num_samples", "60"]
    assert pipeline("run", *small, **where).returncode == 0
    assert statuses(copy) == {"default": "✓ done"}
    failed = pipeline("run", "--run-dir", "runs/a/b", *small, "-p", "normalisation", "0.001", **where)
    assert failed.returncode == 1
    assert statuses(copy) == {"default": "✓ done", "a/b": "✗ failed"}
    (tmp_path / "s.yaml").write_text("{name: trial, base: {epochs: 1, num_samples: 60}, grid: {seed: [1]}}")
    swept = pipeline("sweep", tmp_path / "s.yaml", "--workers", 1, **where)
    assert swept.returncode == 0, swept.stderr
    assert statuses(copy) == {"default": "✓ done", "a/b": "✗ failed", "sweeps/trial": "✓ done"}
    shutil.rmtree(copy / "runs" / "a")
    again = pipeline("index", **where)
    assert again.stdout == f"index: {copy / 'runs' / 'index.html'}\n"
    assert statuses(copy) == {"default": "✓ done", "sweeps/trial": "✓ done"}


def test_a_stopped_run_is_listed_and_a_finished_one_is_not_failed_by_its_index(project, pipeline):
    copy, where = project
    shutil.rmtree(copy / "runs", ignore_errors=True)
    command = [sys.executable, "-m", "pipeline", "run", "-p", "epochs", "100000", "-p", "hidden_size", "400"]
    running = subprocess.Popen(command, **where, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (copy / "runs" / "default" / "01_prepare.ipynb").exists():
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    running.send_signal(signal.SIGTERM)
    running.wait(timeout=60)
    assert statuses(copy) == {"default": "✗ failed"}
    (copy / "runs" / "index.html").unlink()
    (copy / "runs" / "index.html").mkdir()
    done = pipeline("run", "-p", "epochs", "2", "-p", "num_samples", "60", **where)
    assert done.returncode == 0, done.stderr
    assert "index.html, was not written (IsADirectoryError" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert json.loads((copy / "runs" / "default" / "run.json").read_text())["status"] == "done"
    refused = pipeline("index", **where)
    assert refused.returncode == 2
    assert "index.html cannot be written (Is a directory)" in refused.stderr
    assert pipeline("index", copy / "none", **where).returncode == 2
