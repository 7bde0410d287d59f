"""Sweeps on this machine, with the real thing: kernels, killed clients and kernels, and terminals."""

import builtins
import collections
import contextlib
import io
import json
import logging
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pexpect
import pyte
import pytest
from papermill.translators import PythonTranslator

from pipeline import datasets, notebooks, provenance, storage
from pipeline.errors import (
    FolderBusy,
    InvalidData,
    InvalidParameter,
    InvalidRecord,
    NotebookFailed,
    PointsFailed,
)
from pipeline.records import Epoch, RunRecord, Status
from pipeline.reports import index
from pipeline.run_folder import SweepFolder
from pipeline.sweeps import definition, execution, training, worker
from pipeline.sweeps.worker import Outcome
from tests.conftest import write_pictures, write_small_source
from tests.sweeps.conftest import GRID, QUICK, records, wait_for_points, write

TRAINED = {"02_train.ipynb", "model.npz", "history.json", "run.json"}
EVALUATED = TRAINED | {"03_evaluate.ipynb", "metrics.json", "report.html"}


def statuses(folder):
    found = [json.loads(path.read_text()) for path in folder.glob("*/run.json")]
    return {record["parameters"]["seed"]: record["status"] for record in found}


def selected_of(folder):
    """Return the ids of the points of the best configuration, by results.csv."""
    table = pd.read_csv(folder / "results.csv")
    best = table.groupby("learning_rate")["validation_accuracy"].mean().idxmax()
    return set(table["id"][table["learning_rate"] == best])


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


# ---- what is refused -------------------------------------------------------------------------------------------


def test_a_sweep_overwrites_neither_the_project_nor_a_run_nor_another_sweep(tmp_path, pipeline):
    file = write(tmp_path / "s.yaml")
    write_json(tmp_path / "run" / "run.json", {"status": "done"})
    write_json(
        tmp_path / "other" / "sweep.json", {"name": "other", "ids": [], "configurations": []}
    )
    storage.write_whole(tmp_path / "mine" / "results.csv", b"mine")
    write_json(tmp_path / "deep" / "a" / "b" / "run.json", {"status": "done"})
    for folder, reason in (
        (storage.ROOT / "notebooks", "where the project's own files are"),
        (tmp_path / "run", "holds run.json, but no sweep"),
        (tmp_path, "holds run/run.json, but no sweep"),
        (tmp_path / "mine", "mine, but results.csv was not made by this project. It would be"),
        (tmp_path / "other", "holds the sweep other"),
        (tmp_path / "other" / "inner", "in the folder of a sweep, where nobody would find it"),
        (tmp_path / "deep", "holds a/b/run.json, but no sweep"),
        (tmp_path / 'quo"ted', "which a notebook cannot hold"),
        ("/proc/none", "cannot be made"),
        (tmp_path / "s.yaml" / "below", "s.yaml is not a folder that can be written to"),
    ):
        with pytest.raises(InvalidParameter, match=reason):
            execution.run_sweep(file, str(folder))
    refused = pipeline("sweep", file, "--sweep-dir", tmp_path / "run")
    assert refused.returncode == 2
    assert "holds run.json, but no sweep" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["run.json"]


def test_too_few_images_are_refused_before_anything_is_written(tmp_path):
    source, _ = write_small_source(tmp_path)
    file = write(
        tmp_path / "s.yaml", base=QUICK | {"source": str(source)}, grid={"num_samples": [20, 21]}
    )
    with pytest.raises(
        InvalidData, match="num_samples \\+ num_validation is 21 \\+ 40 = 61, but the source"
    ):
        execution.run_sweep(file, str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_network_larger_than_memory_is_refused_before_anything_is_written(tmp_path):
    file = write(tmp_path / "s.yaml", grid={"hidden_size": [5, 1_000_000_000]})
    with pytest.raises(
        InvalidParameter, match="hidden_size is 1000000000, but its weights take 6,352 GB of memory"
    ):
        execution.run_sweep(file, str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_two_sweeps_do_not_write_to_one_folder(tmp_path):
    file = write(tmp_path / "s.yaml")
    with (
        storage.lock(tmp_path / "out"),
        pytest.raises(FolderBusy, match=f"is writing to {tmp_path}/out"),
    ):
        execution.run_sweep(file, str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()  # since there was nothing in it


def test_workers_of_this_machine_and_a_scheduler_exclude_each_other(tmp_path, pipeline):
    options = (
        "--workers",
        "1",
        "--scheduler",
        "tcp://127.0.0.1:1",
        "--sweep-dir",
        tmp_path / "out",
    )
    refused = pipeline("sweep", write(tmp_path / "s.yaml"), *options)
    assert refused.returncode == 2
    assert "--workers is for this machine" in refused.stderr
    assert not (tmp_path / "out").exists()


# ---- on this machine -------------------------------------------------------------------------------------------


def test_a_sweep_runs_every_point_and_logs_how_far_it_is(local):
    folder, log = local
    assert log.startswith("6 points: 0 done, 6 to run\n")
    assert re.search(
        r"\[4/6\] \w{12} done: learning_rate 0.0\d+, seed \d \| about [\d.]+ s left \| best so far validation_",
        log,
    )
    found = records(folder / "out")
    assert len(found) == 6
    assert len({digest for *_, digest in found.values()}) == 6
    for path in (folder / "out").glob("*/run.json"):
        files = {p.name for p in path.parent.iterdir()} - {storage.LOCK}
        assert files == (EVALUATED if path.parent.name in selected_of(folder / "out") else TRAINED)
        text = (path.parent / "02_train.ipynb").read_text()
        assert f'run_dir = \\"{path.parent}\\"' in text
        (picture,) = (
            cell
            for cell in nbformat.reads(text, 4).cells
            if "picture" in cell.metadata.get("tags", [])
        )
        assert [output.text for output in picture.outputs] == [notebooks.LEFT_OUT]
    beside = {
        "sweep.json",
        "results.csv",
        "sweep.ipynb",
        "report.html",
        "report.json",
    }  # and no images
    assert {path.name for path in (folder / "out").iterdir()} - {
        storage.LOCK
    } == beside | found.keys()


def test_results_hold_no_test_metric_and_rank_by_validation(local):
    folder, log = local
    table = pd.read_csv(folder / "out" / "results.csv")
    assert len(table) == 6
    assert set(table["status"]) == {"done"}
    assert not [name for name in table if name.startswith("test")]
    means = table.groupby("learning_rate")["validation_accuracy"].mean()
    best = f"{means.max():.4f}, mean of 2 seeds: learning_rate {means.idxmax()}"
    *_, leader, winner, first, second, tested, _ = log.splitlines()
    assert f"best so far validation_accuracy {best}" in leader
    assert winner == f"best validation_accuracy {best}"
    found = (
        re.fullmatch(r"03_evaluate\.ipynb of (\w+)  \d+\.\d s", line)[1] for line in (first, second)
    )
    assert sorted(found) == sorted(selected_of(folder / "out"))
    assert re.fullmatch(r"its test accuracy: 0\.\d{4}, mean of 2 seeds", tested)


def test_of_several_evaluations_one_that_is_refused_leaves_the_others(runs, tmp_path):
    out = SweepFolder(shutil.copytree(runs / "small", tmp_path / "out"))
    losers = [
        folder for folder in map(out.point, out.read_record().ids) if not folder.metrics.exists()
    ]
    losers[0].history.write_bytes(losers[1].history.read_bytes())
    with pytest.raises(
        InvalidRecord, match=f"{losers[0].place} is no longer what its run left: history.json was"
    ):
        execution.runs.evaluate(losers, 2)
    assert [folder.metrics.exists() for folder in losers] == [False, True]
    assert [folder.report.exists() for folder in losers] == [False, True]
    assert not any(folder.data.exists() for folder in losers)


def test_an_evaluation_that_was_altered_is_made_again(runs, tmp_path):
    out = SweepFolder(shutil.copytree(runs / "small", tmp_path / "out"))
    chosen = next(
        folder for folder in map(out.point, out.read_record().ids) if folder.metrics.exists()
    )
    before, text = chosen.read_record(), chosen.metrics.read_text()
    chosen.metrics.write_text(re.sub(r'"test_accuracy": [\d.]+', '"test_accuracy": 0.9', text))
    execution.runs.evaluate([chosen])
    assert chosen.metrics.read_text() == text
    assert chosen.read_record().status == Status.DONE
    assert chosen.read_record().outputs["metrics.json"] == before.outputs["metrics.json"]


def test_a_sweep_of_one_seed_waits_for_somebodys_report_of_its_selected_point_too(runs, tmp_path):
    out = SweepFolder(shutil.copytree(runs / "small", tmp_path / "out"))
    file = write(
        tmp_path / "s.yaml",
        name="small",
        base={"epochs": 10},
        grid={"learning_rate": [0.01], "seed": [1]},
    )
    with contextlib.ExitStack() as held:
        for point in out.read_record().ids:
            held.enter_context(storage.lock(out.point(point).path))
        threading.Timer(1, held.close).start()
        assert execution.run_sweep(file, str(out.path), with_report=False) == []


def test_what_changes_while_a_point_is_evaluated_fails_that(runs, tmp_path, monkeypatch):
    out = SweepFolder(shutil.copytree(runs / "small", tmp_path / "out"))
    loser = next(
        folder for folder in map(out.point, out.read_record().ids) if not folder.metrics.exists()
    )
    before, inputs_of = loser.read_record(), provenance.inputs_of

    def executing(folder, *_, **__):
        monkeypatch.setattr(
            provenance,
            "inputs_of",
            lambda *given: inputs_of(*given).model_copy(update={"code": {"helpers.py": "1"}}),
        )
        return folder.digests(["data.npz"])

    monkeypatch.setattr("pipeline.stages.execute", executing)
    with pytest.raises(
        NotebookFailed, match="Something changed while it was run: code helpers.py, which was "
    ):
        execution.runs.evaluate([loser])
    assert loser.read_record() == before
    assert not loser.data.exists()


def test_a_sweep_whose_code_is_changed_before_its_evaluation_has_failed_points_and_lists_them(
    runs, tmp_path, monkeypatch
):
    out = SweepFolder(shutil.copytree(runs / "small", tmp_path / "out"))
    identity = next(
        identity for identity in out.read_record().ids if not out.point(identity).metrics.exists()
    )
    failed = (
        out.point(identity)
        .read_record()
        .changed(status=Status.FAILED, error="It has failed.", metrics=None)
    )
    out.point(identity).write_record(failed)

    def refusing(*_):
        raise InvalidRecord(
            out.path, "was trained with other code helpers.py", "Run its sweep again."
        )

    monkeypatch.setattr(execution.runs, "evaluate", refusing)
    with pytest.raises(
        PointsFailed,
        match=rf"was trained with other code helpers\.py.*\n1 point did not.*:\n{identity} f",
    ):
        execution.run_sweep(storage.NOTEBOOKS / "sweeps" / "small.yaml", str(out.path))


def test_the_report_of_a_finished_sweep_is_written_again_only_if_it_is_another(
    runs, tmp_path, pipeline
):
    out = shutil.copytree(runs / "small", tmp_path / "out")
    report, arguments = (
        out / "report.html",
        ("sweep", "notebooks/sweeps/small.yaml", "--sweep-dir", out),
    )
    before = report.stat().st_mtime_ns
    assert pipeline(*arguments).returncode == 0
    assert report.stat().st_mtime_ns == before
    shutil.copy(runs / "default" / "report.html", report)
    assert pipeline(*arguments).returncode == 0
    assert "<title>Sweep small</title>" in report.read_text()


def test_a_point_equals_a_run_of_its_parameters(local, tmp_path, pipeline):
    folder, _ = local
    options = [
        text
        for name, value in (QUICK | {"learning_rate": 0.02, "seed": 2}).items()
        for text in ("-p", name, value)
    ]
    assert pipeline("run", "--run-dir", tmp_path, *options).returncode == 0
    digest = json.loads((tmp_path / "metrics.json").read_text())["weights_sha256"]
    assert (0.02, 2, digest) in records(folder / "out").values()


def test_a_finished_sweep_runs_nothing_again_and_a_larger_one_the_rest(local, tmp_path, pipeline):
    folder, _ = local
    shutil.copytree(folder / "out", tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*/run.json")}
    report_before = (tmp_path / "out" / "report.html").stat().st_mtime_ns
    again = pipeline("sweep", folder / "s.yaml", "--sweep-dir", tmp_path / "out")
    best = r"best validation_accuracy 0\.\d{4}, mean of 2 seeds: learning_rate 0\.0\d+"
    tested = r"its test accuracy: 0\.\d{4}, mean of 2 seeds"
    assert re.fullmatch(
        rf"6 points: 6 done, 0 to run\n{best}\n{tested}\nreport: \S+/out/report\.html\n",
        again.stdout,
    )
    assert (tmp_path / "out" / "report.html").stat().st_mtime_ns == report_before
    larger = write(tmp_path / "s.yaml", grid=GRID, points=[{"seed": 3}])
    more = pipeline("sweep", larger, "--no-report", "--sweep-dir", tmp_path / "out")
    assert re.match(
        r"7 points: 6 done, 1 to run\n\[7/7\]", more.stdout
    )  # and not that any had gone
    assert all(path.stat().st_mtime_ns == was for path, was in before.items())
    (next(iter(before)).parent / "model.npz").write_bytes(b"")
    record = json.loads(list(before)[1].read_text())
    record["inputs"]["versions"]["numpy"] = "1.0"
    list(before)[1].write_text(json.dumps(record))
    repaired = pipeline(
        "sweep", larger, "--workers", "1", "--no-report", "--sweep-dir", tmp_path / "out"
    )
    assert "7 points: 5 done, 2 to run" in repaired.stdout
    assert "because of files that have been removed or altered" in repaired.stdout
    assert "because of versions numpy, which was 1.0" in repaired.stdout
    assert {**records(folder / "out")}.items() <= records(tmp_path / "out").items()


def test_a_killed_client_loses_nothing_and_repeats_nothing(local, tmp_path, pipeline):
    folder, _ = local
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "pipeline",
        "sweep",
        str(folder / "s.yaml"),
        "--workers",
        "2",
        "--no-report",
    ]
    kept = {}
    for count in (1, 3):
        running = subprocess.Popen(
            [*command, "--sweep-dir", str(out)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for_points(out, count, running)
        running.send_signal(signal.SIGKILL)
        running.wait()
        for path in (record.with_name("model.npz") for record in out.glob("*/run.json")):
            kept.setdefault(path, path.stat().st_mtime_ns)
    rest = pipeline("sweep", folder / "s.yaml", "--workers", "1", "--no-report", "--sweep-dir", out)
    assert rest.returncode == 0, rest.stderr
    assert f"6 points: {len(kept)} done, {6 - len(kept)} to run" in rest.stdout
    assert all(path.stat().st_mtime_ns == was for path, was in kept.items())
    assert records(out) == records(folder / "out")


# ---- in a terminal ---------------------------------------------------------------------------------------------


class Terminal:
    """A command in a terminal, and the lines that a person sees there at this moment."""

    def __init__(self, command, rows, columns):
        self.child = pexpect.spawn(
            "sh",
            ["-c", f"exec {command}"],
            dimensions=(rows, columns),
            encoding="utf-8",
            timeout=120,
        )
        self.screen = pyte.Screen(columns or 100, rows or 40)
        self.stream, self.lines = pyte.Stream(self.screen), []

    def until(self, pattern):
        """Wait until a line of the screen is of the pattern."""
        while not any(re.search(pattern, line) for line in self.lines):
            self.read()
        return self

    def until_it_ends(self):
        with contextlib.suppress(pexpect.EOF):
            while True:
                self.read()
        self.child.close()
        return self.child.exitstatus

    def read(self):
        self.stream.feed(
            self.child.read_nonblocking(64)
        )  # little at a time, so that no state of the bar is missed
        self.lines = [line.rstrip() for line in self.screen.display if line.strip()]
        assert not any("Train-Err" in line for line in self.lines), (
            "a worker writes over the progress bar"
        )


def sweep_command(file, out):
    return shlex.join(
        [
            sys.executable,
            "-m",
            "pipeline",
            "sweep",
            str(file),
            "--workers",
            "1",
            "--sweep-dir",
            str(out),
        ]
    )


def test_a_terminal_shows_a_bar_with_what_failed_the_time_left_and_the_best(tmp_path):
    file = write(tmp_path / "s.yaml", grid={"learning_rate": [0.005, 1e6, 0.01]})
    terminal = Terminal(sweep_command(file, tmp_path / "out"), 40, 100)
    terminal.until(r"^ 33%\|█+.? +\| 1/3 \[00:\d\d, about [\d.]+ s left, best 0\.\d{4}\]$")
    terminal.until(
        r"^ 67%\|█+.? +\| 2/3 \[00:\d\d, about [\d.]+ s left, 1 failed, best 0\.\d{4}\]$"
    )
    assert terminal.until_it_ends() == 1
    best = pd.read_csv(tmp_path / "out" / "results.csv")["validation_accuracy"].max()
    ids = {
        json.loads(path.read_text())["status"]: path.parent.name
        for path in (tmp_path / "out").glob("*/run.json")
    }
    shown = "\n".join(terminal.lines)
    assert "\nError: 1 point did not finish:\n" in shown  # another try would diverge, too
    assert f"\n[2/3] {ids['diverged']} diverged: learning_rate 1000000.0\n" in shown
    assert re.search(
        rf"\nbest so far validation_accuracy {best:.4f}: learning_rate 0.0\d+\n", shown
    )
    assert re.search(
        rf"\n100%\|█+\| 3/3 \[00:\d\d, 1 failed, best {best:.4f}\]\nbest validation_accuracy ",
        shown,
    )


def test_a_log_is_whole_beside_a_bar_in_a_terminal_that_does_not_know_its_size(tmp_path):
    file = write(tmp_path / "s.yaml", grid={"learning_rate": [0.005, 0.01]})
    terminal = Terminal(
        f"{sweep_command(file, tmp_path / 'out')} --no-report > {shlex.quote(str(tmp_path / 'log'))}",
        0,
        0,
    )
    assert terminal.until_it_ends() == 0
    assert re.fullmatch(r"100%\|█+\| 2/2 \[00:\d\d, best 0\.\d{4}\]", "\n".join(terminal.lines))
    log = (tmp_path / "log").read_text()
    assert re.search(r"\n\[2/2\] \w{12} done: learning_rate 0.01 \| best so far validation_", log)


def test_ctrl_c_keeps_what_has_finished_and_the_same_command_goes_on(tmp_path, pipeline):
    long = QUICK | {"epochs": 3000}  # so that the sweep has not ended when the key is pressed
    file = write(tmp_path / "s.yaml", base=long, grid={"learning_rate": [0.005, 0.01, 0.02]})
    terminal = Terminal(sweep_command(file, tmp_path / "out"), 40, 100).until(r"\| 1/3 \[")
    terminal.child.sendintr()
    assert terminal.until_it_ends() == 130
    kept = r"(\d) of 3 points have finished and are kept; the same command runs the rest\.\nInterrupted\."
    finished = re.search(kept, "\n".join(terminal.lines)).group(1)
    assert "Traceback" not in "\n".join(terminal.lines)
    rest = pipeline("sweep", file, "--workers", "1", "--no-report", "--sweep-dir", tmp_path / "out")
    assert f"3 points: {finished} done, " in rest.stdout
    assert rest.returncode == 0


# ---- points that fail ------------------------------------------------------------------------------------------


def test_points_that_fail_are_distinguished_and_leave_the_others_alone(project, tmp_path, pipeline):
    file = write(
        tmp_path / "s.yaml",
        grid={"seed": [1, 13, 14, 2]},
        points=[{"seed": 16, "learning_rate": 1e6}],
    )
    arguments = (
        "sweep",
        file,
        "--workers",
        "2",
        "--sweep-dir",
        tmp_path / "out",
        "--time-limit",
        "6",
    )
    done = pipeline(*arguments, cwd=project)
    assert done.returncode == 1
    expected = {1: "done", 2: "done", 13: "kernel died", 14: "timed out", 16: "diverged"}
    assert statuses(tmp_path / "out") == expected
    assert "3 points did not finish" in done.stderr
    for part in (
        "its kernel was killed by SIGKILL in the cell 'weights'",
        "out of time in the cell 'weights'",
        "Diverged: The error",
    ):
        assert part in done.stderr
    for path in (tmp_path / "out").glob("*/run.json"):
        record = json.loads(path.read_text())
        assert ("metrics" in record) == (record["status"] == "done")
        assert (path.parent / "02_train.ipynb").exists()
    again = pipeline(*arguments, cwd=project)
    assert (
        "5 points: 2 done, 3 failed before (--retry-failed runs them again), 0 to run"
        in again.stdout
    )
    assert again.returncode == 1


def test_to_retry_what_was_never_run_is_refused_with_what_to_do(tmp_path, pipeline):
    refused = pipeline(
        "sweep", write(tmp_path / "s.yaml"), "--retry-failed", "--sweep-dir", tmp_path / "out"
    )
    assert refused.returncode == 1
    expected = r"Error: 1 point did not finish:\n\w{12} not run: the base\nThe points .* run without --retry-failed\.\n"
    assert re.fullmatch(expected, refused.stderr)


# ---- without workers: what a point came to is known in memory --------------------------------------------------


class Workers:
    """Stands for those who train points: each point ends at once, as `outcome` has it."""

    def __init__(self, outcome):
        self.outcome, self.running, self.given, self.when_given = outcome, [], [], lambda: None
        self.data, self.evaluated, self.at_a_time = {}, [], 1

    def __call__(self, scheduler, count, data, inputs, timeout):
        self.data, self.count = data, count
        return contextlib.nullcontext(self)

    def submit(self, waiting):
        self.when_given()
        while waiting:
            self.running.append(waiting.pop())

    def completed(self):
        point, task = job = self.running.pop(0)
        self.given.append((point, task))
        return [(job, self.outcome(point, task))]


def outcome(point, task):
    """A point that reaches a validation accuracy of ten times its learning rate, and diverges with seed 13.

    Its history.json holds no history: whoever reads it back from the disk fails.
    """
    status = Status.DIVERGED if task.parameters.seed == 13 else Status.DONE
    record = RunRecord(
        status=status,
        started=datetime.now(UTC),
        parameters=task.parameters.model_dump(),
        inputs=task.inputs,
    )
    if status == Status.DIVERGED:
        return Outcome(record)
    measured = dict.fromkeys(Epoch.model_fields, 0.5)
    measured |= {
        "validation_accuracy": 10 * task.parameters.learning_rate,
        "weights_sha256": "0" * 64,
    }
    return Outcome(
        record.changed(metrics=measured), {"history.json": b"none", "model.npz": b"none"}
    )


@pytest.fixture
def workers(monkeypatch):
    """Have sweeps run on `Workers`."""
    workers = Workers(outcome)
    monkeypatch.setattr(training, "workers", workers)
    monkeypatch.setattr(
        execution.runs, "evaluate", lambda folders, *_: workers.evaluated.extend(folders)
    )
    return workers


@pytest.fixture
def read(monkeypatch, tmp_path):
    """The files in folders of points, below tmp_path/out, that are opened to be read, in order."""
    opened, original = [], io.open

    def noting(file, mode="r", *arguments, **options):
        if (
            not isinstance(file, int)
            and "r" in mode
            and Path(file).is_relative_to(tmp_path / "out")
        ):
            opened.append(Path(file).relative_to(tmp_path / "out").as_posix())
        return original(file, mode, *arguments, **options)

    monkeypatch.setattr(io, "open", noting)
    monkeypatch.setattr(builtins, "open", noting)
    return opened


def test_the_outcome_of_a_point_is_not_read_back_from_its_folder(tmp_path, workers, read):
    before = []
    workers.when_given = lambda: before.append([path for path in read if "/" in path])

    def run(seeds):
        read.clear()
        before.clear()
        file = write(tmp_path / "s.yaml", grid={"learning_rate": [0.01, 0.02], "seed": seeds})
        failed = execution.run_sweep(file, str(tmp_path / "out"), with_report=False)
        assert [path for path in read if "/" in path] == before[
            0
        ]  # none since the first point was given
        return [point.id for point in failed], collections.Counter(
            path.split("/")[1] for path in before[0]
        )

    failed, names = run([1, 13])
    assert names == {}  # looked for, before any point is run, and not there
    assert statuses(tmp_path / "out") == {1: "done", 13: "diverged"}
    again, names = run([1, 13, 2])
    assert again == failed
    assert len(failed) == 2
    assert names["run.json"] == 4
    assert names["history.json"] <= 2  # of the two that are done: the file's digest


def test_what_a_kill_left_of_the_sweeps_files_is_removed(tmp_path, workers):
    file, out = write(tmp_path / "s.yaml", grid={"seed": [1, 2]}), tmp_path / "out"
    execution.run_sweep(file, str(out), with_report=False)
    for name in (".results.csv.0123abcd.part", ".sweep.json.0123abcd.part", ".mine.part"):
        (out / name).touch()
    execution.run_sweep(file, str(out), with_report=False)
    assert [path.name for path in out.glob(".*.part")] == [".mine.part"]


def test_a_sweep_whose_folder_is_removed_while_it_runs_fails_and_the_same_command_runs_it(
    tmp_path, workers
):
    file, out = write(tmp_path / "s.yaml", grid={"seed": [1, 2]}), tmp_path / "out"
    workers.when_given = lambda: shutil.rmtree(out) if len(workers.given) == 1 else None
    with pytest.raises(
        PointsFailed, match=r"out was removed while its points ran. Give the same command again\."
    ):
        execution.run_sweep(file, str(out), with_report=False)
    assert workers.evaluated == []
    workers.when_given = lambda: None
    assert execution.run_sweep(file, str(out), with_report=False) == []
    assert statuses(out) == {1: "done", 2: "done"}


def test_results_and_ranking_are_those_that_the_workers_returned(tmp_path, workers, caplog):
    caplog.set_level(logging.INFO, "pipeline")
    file = write(
        tmp_path / "s.yaml",
        grid={"learning_rate": [0.01, 0.03, 0.02], "seed": [1, 2]},
        points=[{"seed": 13}],
    )
    (failed,) = execution.run_sweep(file, str(tmp_path / "out"), with_report=False)
    assert failed.result.status == "diverged"
    best = [point.id for point, _ in workers.given if point.parameters.learning_rate == 0.03]
    assert sorted(folder.path.name for folder in workers.evaluated) == sorted(
        best
    )  # and nobody else, before or after
    table = pd.read_csv(tmp_path / "out" / "results.csv")
    assert list(table["validation_accuracy"].dropna()) == [0.1, 0.1, 0.3, 0.3, 0.2, 0.2]
    assert list(table["status"]) == ["done"] * 6 + ["diverged"]
    assert (
        caplog.messages[-1]
        == "best validation_accuracy 0.3000, mean of 2 seeds: learning_rate 0.03"
    )
    leaders = [line.split("best so far ")[1] for line in caplog.messages if "best so far" in line]
    assert leaders[0] == "validation_accuracy 0.1000, 1 of 2 seeds: learning_rate 0.01"
    assert leaders[1] == "validation_accuracy 0.1000, mean of 2 seeds: learning_rate 0.01"
    assert leaders[2] == leaders[1]  # one seed of a better configuration does not lead yet
    assert leaders[3] == "validation_accuracy 0.3000, mean of 2 seeds: learning_rate 0.03"


@pytest.mark.parametrize(("counts", "remarked"), [([60], False), ([50, 60], True)])
def test_it_is_said_once_where_configurations_are_measured_on_different_images(
    tmp_path, workers, caplog, counts, remarked
):
    caplog.set_level(logging.INFO, "pipeline")
    file = write(tmp_path / "s.yaml", grid={"num_samples": counts, "learning_rate": [0.01, 0.02]})
    execution.run_sweep(file, str(tmp_path / "out"), with_report=False)
    remark = "The configurations are measured on different images, as num_samples varies. The best may be best for"
    assert sum(line.startswith(remark) for line in caplog.messages) == remarked


def test_to_retry_runs_what_failed_and_no_others(tmp_path, workers):
    def run(seeds, **options):
        workers.given.clear()
        file = write(tmp_path / "s.yaml", grid={"seed": seeds})
        failed = execution.run_sweep(file, str(tmp_path / "out"), with_report=False, **options)
        return [point.parameters.seed for point in failed], [
            point.parameters.seed for point, _ in workers.given
        ]

    assert run([1, 13]) == ([13], [1, 13])
    assert run([1, 13]) == ([13], [])
    workers.evaluated.clear()
    assert run([1, 13, 2], retry_failed=True) == ([13, 2], [13])  # what was never run is left, too
    assert workers.evaluated == []  # nobody looks at the test images before all points have ended
    workers.outcome = lambda point, task: Outcome(
        outcome(point, task).record.changed(status=Status.DONE)
    )
    assert run([1, 13, 2], retry_failed=True) == ([2], [13])
    assert run([1, 13, 2]) == ([], [2])
    assert len(workers.evaluated) == 2


def test_points_of_other_code_run_again_and_are_not_mixed_with_a_retry(tmp_path, workers, caplog):
    caplog.set_level(logging.INFO, "pipeline")
    file, out = write(tmp_path / "s.yaml", grid={"seed": [1, 2, 13]}), tmp_path / "out"
    execution.run_sweep(file, str(out), with_report=False)
    for path in out.glob("*/run.json"):
        record = json.loads(path.read_text())
        record["inputs"]["code"]["helpers.py"] = "0" * 64
        path.write_text(json.dumps(record))
        for name in ("model.npz", "history.json"):  # which hold no model and no history here
            path.with_name(name).unlink(missing_ok=True)
    workers.given.clear()
    with pytest.raises(
        InvalidParameter,
        match=r"^Leave out --retry-failed: \w+, \w+ run again, because of code helpers",
    ):
        execution.run_sweep(file, str(out), with_report=False, retry_failed=True)
    assert workers.given == []
    execution.run_sweep(file, str(out), with_report=False)
    assert sorted(point.parameters.seed for point, _ in workers.given) == [1, 2, 13]
    assert any(
        "run again, because of code helpers.py, which was 000000000000..." in line
        for line in caplog.messages
    )


def test_one_point_more_than_there_are_cores_is_trained_at_a_time(tmp_path, workers, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    for seeds, options, count in (
        (range(9), {}, 5),
        (range(3), {}, 3),
        (range(9), {"workers": 2}, 2),
    ):
        file = write(tmp_path / "s.yaml", grid={"seed": list(seeds)})
        execution.run_sweep(file, str(tmp_path / f"out-{count}"), with_report=False, **options)
        assert workers.count == count


def test_a_point_that_is_a_link_into_a_run_is_refused_and_the_run_stays(tmp_path, workers):
    file, out = write(tmp_path / "s.yaml", grid={"seed": [1]}), tmp_path / "out"
    execution.run_sweep(file, str(out), with_report=False)
    (point,) = (path.parent for path in out.glob("*/run.json"))
    point.rename(tmp_path / "run")
    (tmp_path / "run" / "run.json").unlink()
    (tmp_path / "run" / "report.html").write_text("mine")
    point.symlink_to(tmp_path / "run")
    with pytest.raises(InvalidParameter, match=f"^A point's folder is a link: {point}. Remove it."):
        execution.run_sweep(file, str(out), with_report=False)
    assert (tmp_path / "run" / "report.html").read_text() == "mine"


def test_where_the_record_of_a_sweep_is_lost_its_points_are_not(tmp_path, workers):
    file, out = write(tmp_path / "s.yaml", grid={"seed": [1, 2]}), tmp_path / "out"
    execution.run_sweep(file, str(out), with_report=False)
    (out / "sweep.json").unlink()
    workers.given.clear()
    assert execution.run_sweep(file, str(out), with_report=False) == []
    assert workers.given == []
    (out / "sweep.json").unlink()
    other = write(tmp_path / "other.yaml", grid={"seed": [3]})
    with pytest.raises(InvalidParameter, match=r"which holds \w+/run.json, but no sweep"):
        execution.run_sweep(other, str(out), with_report=False)


@pytest.mark.parametrize(
    "name", ["plain", "Zürich b", 'a "quoted" one', os.fsdecode(b"no UTF-8 \xff")]
)
def test_the_temporary_folder_of_a_point_is_named_as_papermill_names_it(name):
    written = json.dumps(PythonTranslator.translate(f"/tmp/{name}")).encode()
    assert worker._as_parameter(f"/tmp/{name}") in written


def test_points_of_the_same_data_share_them_and_each_is_given_its_own_split(
    tmp_path, workers, monkeypatch
):
    source, arrays = write_small_source(tmp_path)
    asked, original = [], datasets.load_source
    monkeypatch.setattr(datasets, "load_source", lambda name: asked.append(name) or original(name))
    base = {"source": str(source), "num_validation": 5}
    file = write(tmp_path / "s.yaml", base=base, grid={"num_samples": [20, 30], "seed": [1, 2]})
    assert execution.run_sweep(file, str(tmp_path / "out"), with_report=False) == []
    assert asked == [str(source)]
    assert {point.data_key for point, _ in workers.given} == workers.data.keys()
    for (_, count, _), data in workers.data.items():
        given = np.load(io.BytesIO(data.without_test().to_bytes()))
        assert len(given["x_test"]) == len(given["y_test"]) == 0  # of no use for training
        assert np.array_equal(given["x_train"], arrays["x_train"][:count].reshape(-1, 784))
        assert np.array_equal(given["y_validation"], arrays["y_train"][count : count + 5])
    assert not list((tmp_path / "out").rglob("data*"))


def test_a_sweep_is_below_runs_by_its_name_unless_a_folder_is_given(tmp_path, workers, monkeypatch):
    monkeypatch.setattr(storage, "RUNS", tmp_path)
    execution.run_sweep(write(tmp_path / "s.yaml"), with_report=False)
    assert (tmp_path / "sweeps" / "trial" / "sweep.json").exists()


# ---- sweeps of an older version --------------------------------------------------------------------------------

OLD_IDS = ("a10391477902", "2067e5870eba")


def write_old_sweep(folder, **base):
    """A finished sweep of one configuration and two seeds, of a version with other ids and parameters."""
    base = {"epochs": 10} | base
    definition = {"name": "trial", "base": base, "grid": {"seed": [1, 2]}, "points": []}
    sweep = definition | {
        "select": "validation_accuracy",
        "ids": OLD_IDS,
        "configurations": [OLD_IDS],
    }
    write_json(folder / "sweep.json", sweep)
    for seed, identity in enumerate(OLD_IDS, 1):
        parameters = {
            **{
                "source": "sample",
                "num_samples": 1000,
                "num_validation": 1000,
                "normalisation": 255.0,
            },
            **{"hidden_size": 40, "learning_rate": 0.005, "learning_rate_decay": 1.0, "epochs": 10},
            **{"dropout_rate": 0.5, "batch_size": 1, "seed": seed},
        }
        record = {
            **{"duration_s": 6.9, "status": "done", "started": "2026-11-25T17:39:58+00:00"},
            **{"parameters": parameters | base, "arrays": {}, "outputs": {}},
            "inputs": {
                **{
                    "data": "3" * 64,
                    "notebooks": {"02_train": "a" * 64, "03_evaluate": "b" * 64},
                    "code": {"pipeline/files.py": "2" * 64},
                },
                "versions": {"python": "3.11.7", "numpy": "2.4.6"},
            },
        }
        metrics = {
            **{"train_error": 0.56155, "train_accuracy": 0.656, "validation_error": 0.50052},
            **{"validation_accuracy": 0.78 + seed / 100, "train_error_no_dropout": 0.4},
            **{"train_accuracy_no_dropout": 0.75},
            "weights_sha256": "4" * 64,
        }
        write_json(folder / identity / "run.json", record | {"metrics": metrics})
    return folder


def test_the_index_shows_a_sweep_of_an_older_version(tmp_path):
    write_old_sweep(tmp_path / "old", former=0)
    for identity in OLD_IDS:
        write_json(tmp_path / "old" / identity / "metrics.json", {"former": 0})
    (entry,) = index.entries(tmp_path)
    assert (entry.name, entry.kind, entry.status, entry.detail) == (
        "old",
        "sweep",
        "done",
        "2 of 2 points done",
    )
    assert "fixed: epochs 10, former 0" in entry.parameters
    assert entry.parameters[-1] == "best: the only configuration, mean of 2 seeds"
    assert entry.metrics == {"validation": ("0.7950", "0.5005")}  # of 0.79 and 0.80


@pytest.mark.parametrize("base", [{}, {"former": 0}], ids=["same-names", "old-name"])
def test_a_sweep_of_an_older_version_is_not_opened(tmp_path, base):
    """Its points have other ids than these parameters have now: none of them would be found."""
    folder = write_old_sweep(tmp_path / "old", **base)
    with pytest.raises(
        InvalidRecord, match=r"sweep.json is of another version of this project .*Run it again"
    ) as refused:
        definition.opened(str(folder))
    if base:
        assert "There is no parameter 'former'" in str(refused.value)


def test_a_sweep_of_an_older_version_runs_again_beside_its_old_points(tmp_path, workers, caplog):
    caplog.set_level(logging.INFO, "pipeline")
    folder = write_old_sweep(tmp_path / "out")
    before = {path: path.read_bytes() for path in folder.glob("*/*.json")}
    file = write(tmp_path / "s.yaml", base={"epochs": 10}, grid={"seed": [1, 2]})
    assert execution.run_sweep(file, str(folder), with_report=False) == []
    assert "The sweep in this folder had points that this one has not. They are kept" in caplog.text
    assert all(path.read_bytes() == was for path, was in before.items())
    _, points = definition.opened(str(folder))
    assert len({point.id for point in points} - set(OLD_IDS)) == 2


def test_a_sweep_that_is_not_there_is_not_opened(tmp_path):
    with pytest.raises(
        InvalidRecord, match=r"sweep.json is not there. Run the sweep: python -m pipeline sweep"
    ):
        definition.opened(str(tmp_path))


# ---- verify ----------------------------------------------------------------------------------------------------


def test_verify_finds_a_point_equal_and_an_altered_one_not(local, tmp_path, pipeline):
    folder, _ = local
    chosen = selected_of(folder / "out")
    point = folder / "out" / min(chosen)
    loser = next(
        path.parent
        for path in (folder / "out").glob("*/run.json")
        if path.parent.name not in chosen
    )
    measured = ("validation_error", "weights in model.npz", "history.json")
    for place, names in (
        (point, ("test_accuracy", "weights_sha256", *measured)),
        (loser, measured),
    ):
        equal = pipeline("verify", place)
        assert equal.returncode == 0, equal.stderr
        assert "NOT" not in equal.stdout
        assert ("test" in equal.stdout) == (place == point)
        for name in names:
            assert re.search(rf"^  {name} +equal ", equal.stdout, re.M)
    shutil.copytree(loser, tmp_path / "better")
    record = json.loads((loser / "run.json").read_text())
    record["metrics"]["validation_accuracy"] = 1.0
    write_json(tmp_path / "better" / "run.json", record)
    assert (
        "is not reproduced: validation_accuracy." in pipeline("verify", tmp_path / "better").stderr
    )
    shutil.copytree(point, tmp_path / "other")
    metrics = json.loads((point / "metrics.json").read_text())
    write_json(tmp_path / "other" / "metrics.json", metrics | {"train_accuracy": 0.99})
    assert (
        "is not reproduced: metrics.json since its run."
        in pipeline("verify", tmp_path / "other").stderr
    )
    shutil.copytree(point, tmp_path / "altered")
    metrics = json.loads((point / "metrics.json").read_text())
    write_json(tmp_path / "altered" / "metrics.json", metrics | {"test_accuracy": 0.99})
    record = json.loads((point / "run.json").read_text())
    record["inputs"]["versions"]["numpy"] = "1.0"
    write_json(tmp_path / "altered" / "run.json", record)
    differing = pipeline("verify", tmp_path / "altered")
    assert differing.returncode == 1
    assert re.search(r"^  test_accuracy +NOT equal  0.99, and now", differing.stdout, re.M)
    assert "and may be why:\n  versions numpy, which was 1.0" in differing.stdout
    assert f"{tmp_path / 'altered'} is not reproduced" in differing.stderr


def test_verify_needs_a_finished_point_of_this_version(local, tmp_path, pipeline):
    folder, _ = local
    refused = pipeline("verify", tmp_path)
    assert refused.returncode == 2
    assert "run.json is not there. Name the folder of a finished run" in refused.stderr
    record = json.loads(next((folder / "out").glob("*/run.json")).read_text())
    write_json(tmp_path / "run.json", record | {"status": "failed"})
    refused = pipeline("verify", tmp_path)
    assert refused.returncode == 2
    assert "its status is failed" in refused.stderr
    refused = pipeline("verify", write_old_sweep(tmp_path / "old", former=0) / OLD_IDS[0])
    assert refused.returncode == 2
    assert (
        "was written by another version of this project (There is no parameter 'former'"
        in refused.stderr
    )


def test_a_sweep_into_its_own_source_is_refused(tmp_path):
    write_pictures(tmp_path / "pictures", {0: "zero", 1: "one"}, 40)
    base = QUICK | {"source": str(tmp_path / "pictures"), "num_samples": 10, "num_validation": 5}
    with pytest.raises(InvalidParameter, match="which the results would overwrite"):
        execution.run_sweep(
            write(tmp_path / "s.yaml", base=base), str(tmp_path / "pictures" / "out")
        )
    assert not (tmp_path / "pictures" / "out").exists()


def test_a_sweep_of_other_points_leaves_no_report_of_the_old_ones(local, tmp_path, workers):
    out = shutil.copytree(local[0] / "out", tmp_path / "out")
    assert (out / "report.html").exists()
    execution.run_sweep(write(tmp_path / "s.yaml", grid={"seed": [7]}), str(out), with_report=False)
    assert not [
        path.name
        for path in out.iterdir()
        if path.name in ("report.html", "report.json", "sweep.ipynb")
    ]


def test_a_report_goes_as_soon_as_a_point_runs_again_or_the_choice_is_another(
    local, tmp_path, workers
):
    for name, options in (("again", {}), ("other", {"select": "train_error"})):
        out = SweepFolder(shutil.copytree(local[0] / "out", tmp_path / name))
        if name == "again":
            out.point(out.read_record().ids[0]).model.unlink()
        execution.run_sweep(
            write(tmp_path / "s.yaml", grid=GRID, **options), str(out.path), with_report=False
        )
        assert len(workers.given) == 1
        assert not out.report.exists()


def test_a_point_whose_evaluation_is_not_whole_is_not_trained_again(local, tmp_path, workers):
    out = SweepFolder(shutil.copytree(local[0] / "out", tmp_path / "out"))
    chosen = [folder for folder in map(out.point, out.read_record().ids) if folder.metrics.exists()]
    chosen[0].report.unlink()
    chosen[1].notebook("03_evaluate").write_text("half")
    execution.run_sweep(local[0] / "s.yaml", str(out.path), with_report=False)
    assert workers.given == []
    assert {folder.path for folder in workers.evaluated} == {folder.path for folder in chosen}


def test_points_whose_images_were_replaced_while_the_sweep_began_run_again(
    tmp_path, workers, caplog
):
    def run():
        workers.given.clear()
        execution.run_sweep(write(tmp_path / "s.yaml"), str(tmp_path / "out"), with_report=False)
        return len(workers.given)

    caplog.set_level(logging.INFO, "pipeline")
    workers.outcome = lambda point, task: Outcome(
        outcome(point, task).record.changed(arrays={"x_train": "0" * 64})
    )
    assert (run(), run()) == (1, 1)
    assert "runs again, because of other images than those it was trained on" in caplog.text
    workers.outcome = lambda point, task: Outcome(
        outcome(point, task).record.changed(arrays=task.arrays)
    )
    assert (run(), run()) == (1, 0)


@pytest.mark.parametrize(
    "command", [["run", "--run-dir"], ["run", "-p", "run_dir"], ["sweep", "s", "--sweep-dir"]]
)
def test_a_folder_that_is_given_begins_where_one_stands(command, monkeypatch, tmp_path, pipeline):
    monkeypatch.chdir(storage.NOTEBOOKS)
    file = write(tmp_path / "s.yaml")
    refused = pipeline(*[file if word == "s" else word for word in command], "../pipeline/x")
    assert refused.returncode == 2
    assert re.search(r"is '?(\S*/)?pipeline/x'?, where the project's own files are", refused.stderr)
    assert "notebooks/pipeline" not in refused.stderr


def test_results_may_be_as_large_as_they_come(tmp_path):
    (tmp_path / "results.csv").write_bytes(b"id,status,source,seed\n" + b"x" * 2**24)
    SweepFolder(tmp_path).check_own("It is")


def test_the_report_is_written_again_where_a_point_has_been_evaluated_again(
    local, tmp_path, pipeline
):
    out = shutil.copytree(local[0] / "out", tmp_path / "out")
    before = (out / "report.html").read_bytes()
    metrics = next(out.glob("*/metrics.json"))
    metrics.write_text(
        re.sub(r'"test_accuracy": [\d.]+', '"test_accuracy": 0.0123', metrics.read_text())
    )
    execution._write_report(
        definition.read(local[0] / "s.yaml"), SweepFolder(out), definition.opened(str(out))[1]
    )
    assert (out / "report.html").read_bytes() != before
    assert "0.0123" in (out / "report.html").read_text()


def test_the_report_is_written_again_where_a_report_that_it_leads_to_has_gone(
    local, tmp_path, monkeypatch
):
    out, again = SweepFolder(shutil.copytree(local[0] / "out", tmp_path / "out")), []
    monkeypatch.setattr(notebooks, "execute", lambda *given: again.append(given))
    monkeypatch.setattr("pipeline.reports.rendering.write_notebook_report", lambda *_: None)
    for expected in (0, 1, 0):
        again.clear()
        sweep, points = definition.opened(str(out.path))
        execution._write_report(sweep, out, points)
        assert len(again) == expected
        if expected == 0:
            next(point.folder for point in points if point.folder.metrics.exists()).report.unlink(
                missing_ok=True
            )


def test_a_sweep_that_is_refused_leaves_the_report_of_the_one_before(local, tmp_path, pipeline):
    out = shutil.copytree(local[0] / "out", tmp_path / "out")
    before = (out / "report.html").read_bytes()
    more = write(tmp_path / "s.yaml", grid=GRID, points=[{"seed": 3}])
    options = ("--scheduler", "tcp://127.0.0.1:1", "--connect-timeout", "1", "--sweep-dir", out)
    assert pipeline("sweep", more, *options).returncode == 2
    assert (out / "report.html").read_bytes() == before
    turned = {"learning_rate": GRID["learning_rate"][::-1], "seed": GRID["seed"]}  # the same points
    done = pipeline(
        "sweep", write(tmp_path / "s.yaml", grid=turned), "--no-report", "--sweep-dir", out
    )
    assert "other points" not in done.stdout
    assert (out / "report.html").read_bytes() == before


def test_what_another_has_just_run_is_not_run_again(tmp_path, workers, monkeypatch):
    file, load, nested = write(tmp_path / "s.yaml"), datasets.load_source, []

    def loading(source):
        if not nested:
            nested.append(source)
            execution.run_sweep(file, str(tmp_path / "out"), with_report=False)
            workers.given.clear()
        return load(source)

    monkeypatch.setattr(datasets, "load_source", loading)
    execution.run_sweep(file, str(tmp_path / "out"), with_report=False)
    assert workers.given == []


def test_of_many_points_that_failed_a_message_names_some(tmp_path):
    points = definition.points_of(
        definition.read(write(tmp_path / "s.yaml", grid={"seed": list(range(50))})),
        SweepFolder(tmp_path / "out"),
    )
    lines = execution.described(points, retried=False).splitlines()
    assert len(lines) == 22
    assert lines[-1] == "and 30 more, which results.csv has, too"
