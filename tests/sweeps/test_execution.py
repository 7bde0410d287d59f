"""Sweeps on this machine, with the real thing: a Dask cluster, killed clients and kernels, and terminals."""

import collections
import contextlib
import io
import json
import logging
import os
import re
import shlex
import shutil
import subprocess
import sys
import zlib
from datetime import UTC, datetime

import nbformat
import numpy as np
import pandas as pd
import pexpect
import pyte
import pytest

from pipeline import datasets, storage
from pipeline.errors import FolderBusy, InvalidData, InvalidParameter, InvalidRecord
from pipeline.parameters import Parameters
from pipeline.records import Metrics, RunRecord, Status
from pipeline.reports import index
from pipeline.sweeps import cluster, definition, execution
from pipeline.sweeps.worker import Outcome
from tests.conftest import write_small_source
from tests.sweeps.conftest import GRID, QUICK, records, wait_for_points, write

POINT_FILES = {
    *("02_train.ipynb", "03_evaluate.ipynb", "model.npz", "history.json", "metrics.json", "report.html", "run.json")
}


def statuses(folder):
    found = [json.loads(path.read_text()) for path in folder.glob("*/run.json")]
    return {record["parameters"]["seed"]: record["status"] for record in found}


def times(folder, *patterns):
    """From the files of these patterns to when they were written."""
    return {path: path.stat().st_mtime_ns for pattern in patterns for path in folder.glob(pattern)}


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


# ---- what is refused -------------------------------------------------------------------------------------------


def test_a_sweep_overwrites_neither_the_project_nor_a_run_nor_another_sweep(tmp_path, pipeline):
    file = write(tmp_path / "s.yaml")
    write_json(tmp_path / "run" / "run.json", {"status": "done"})
    write_json(tmp_path / "other" / "sweep.json", {"name": "other", "ids": [], "configurations": []})
    storage.write_whole(tmp_path / "mine" / "results.csv", b"mine")
    for folder, reason in (
        (storage.ROOT / "notebooks", "where the project's own files are"),
        (tmp_path / "run", "holds run.json, but no sweep"),
        (tmp_path, "holds run/run.json, but no sweep"),
        (tmp_path / "mine", "holds results.csv, but no sweep"),
        (tmp_path / "other", "holds the sweep other"),
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
    file = write(tmp_path / "s.yaml", base=QUICK | {"source": str(source)}, grid={"num_samples": [20, 21]})
    with pytest.raises(InvalidData, match="num_samples \\+ num_validation is 21 \\+ 40 = 61, but the source"):
        execution.run_sweep(file, str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_two_sweeps_do_not_write_to_one_folder(tmp_path):
    file = write(tmp_path / "s.yaml")
    with storage.lock(tmp_path / "out"), pytest.raises(FolderBusy, match=f"is writing to {tmp_path}/out"):
        execution.run_sweep(file, str(tmp_path / "out"))
    assert [path.name for path in (tmp_path / "out").iterdir()] == [storage.LOCK]


def test_workers_of_this_machine_and_a_scheduler_exclude_each_other(tmp_path, pipeline):
    options = ("--workers", "1", "--scheduler", "tcp://127.0.0.1:1", "--sweep-dir", tmp_path / "out")
    refused = pipeline("sweep", write(tmp_path / "s.yaml"), *options)
    assert refused.returncode == 2
    assert "--workers is for a cluster of this machine" in refused.stderr
    assert not (tmp_path / "out").exists()


# ---- on a cluster of this machine ------------------------------------------------------------------------------


def test_a_sweep_runs_every_point_and_logs_how_far_it_is(local):
    folder, log = local
    assert log.startswith("4 points: 0 done, 4 to run\n")
    assert re.search(
        r"\[3/4\] \w{12} done: learning_rate 0.0\d+, seed \d \| about \d+ s left \| best so far validation_", log
    )
    found = records(folder / "out")
    assert len({digest for *_, digest in found.values()}) == len(found) == 4
    for path in (folder / "out").glob("*/run.json"):
        assert {p.name for p in path.parent.iterdir()} == POINT_FILES
        assert f'run_dir = \\"{path.parent}\\"' in (path.parent / "02_train.ipynb").read_text()
    beside = {"sweep.json", "results.csv", "sweep.ipynb", "report.html", "report.json"}  # and no images
    assert {path.name for path in (folder / "out").iterdir()} - {storage.LOCK} == beside | found.keys()


def test_results_hold_no_test_metric_and_rank_by_validation(local):
    folder, log = local
    table = pd.read_csv(folder / "out" / "results.csv")
    assert list(table["status"]) == ["done"] * 4
    assert not [name for name in table if name.startswith("test")]
    means = table.groupby("learning_rate")["validation_accuracy"].mean()
    best = f"{means.max():.4f}, mean of 2 seeds: learning_rate {means.idxmax()}"
    assert f"best so far validation_accuracy {best}" in log.splitlines()[-3]
    assert log.splitlines()[-2] == f"best validation_accuracy {best}"


def test_a_point_equals_a_run_of_its_parameters(local, tmp_path, pipeline):
    folder, _ = local
    options = [
        text for name, value in (QUICK | {"learning_rate": 0.02, "seed": 2}).items() for text in ("-p", name, value)
    ]
    assert pipeline("run", "--run-dir", tmp_path, *options).returncode == 0
    digest = json.loads((tmp_path / "metrics.json").read_text())["weights_sha256"]
    assert (0.02, 2, digest) in records(folder / "out").values()


def test_a_finished_sweep_runs_nothing_again(local, tmp_path, pipeline):
    folder, _ = local
    shutil.copytree(folder / "out", tmp_path / "out")
    before = times(tmp_path / "out", "*/run.json", "report.html")
    again = pipeline("sweep", folder / "s.yaml", "--sweep-dir", tmp_path / "out")
    best = r"best validation_accuracy 0\.\d{4}, mean of 2 seeds: learning_rate 0\.0\d+"
    assert re.fullmatch(rf"4 points: 4 done, 0 to run\n{best}\nreport: \S+/out/report\.html\n", again.stdout)
    assert times(tmp_path / "out", "*/run.json", "report.html") == before


def test_a_larger_sweep_runs_the_rest_and_what_was_altered(local, tmp_path, pipeline):
    folder, _ = local
    shutil.copytree(folder / "out", tmp_path / "out")
    emptied, changed, *kept = sorted((tmp_path / "out").glob("*/run.json"))
    storage.write_whole(emptied.parent / "model.npz", b"")
    record = json.loads(changed.read_text())
    record["inputs"]["versions"]["numpy"] = "1.0"
    write_json(changed, record)
    before = times(tmp_path / "out", "*/run.json")
    larger = write(tmp_path / "s.yaml", grid=GRID, points=[{"seed": 3}])
    more = pipeline("sweep", larger, "--no-report", "--sweep-dir", tmp_path / "out")
    assert "5 points: 2 done, 3 to run\nThe sweep in this folder had other points." in more.stdout
    assert "because of files that have been removed or altered" in more.stdout
    assert "because of versions numpy, which was 1.0" in more.stdout
    after = times(tmp_path / "out", "*/run.json")
    assert {path for path in before if after[path] == before[path]} == set(kept)
    assert records(folder / "out").items() <= records(tmp_path / "out").items()


def test_a_killed_client_loses_nothing_and_repeats_nothing(local, tmp_path, pipeline):
    folder, _ = local
    out = tmp_path / "out"
    arguments = ["sweep", folder / "s.yaml", "--workers", "2", "--no-report", "--sweep-dir", out]
    running = subprocess.Popen([sys.executable, "-m", "pipeline", *map(str, arguments)], stdout=subprocess.DEVNULL)
    wait_for_points(out, 1, running)
    running.kill()
    running.wait()
    kept = times(out, "*/run.json")
    rest = pipeline(*arguments)
    assert rest.returncode == 0, rest.stderr
    assert f"4 points: {len(kept)} done, {4 - len(kept)} to run" in rest.stdout
    assert kept.items() <= times(out, "*/run.json").items()
    assert records(out) == records(folder / "out")


# ---- in a terminal ---------------------------------------------------------------------------------------------


class Terminal:
    """A command in a terminal, and the lines that a person sees there at this moment."""

    def __init__(self, command, rows, columns):
        self.child = pexpect.spawn(
            "sh", ["-c", f"exec {command}"], dimensions=(rows, columns), encoding="utf-8", timeout=120
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
        self.stream.feed(self.child.read_nonblocking(64))  # little at a time, so that no state of the bar is missed
        self.lines = [line.rstrip() for line in self.screen.display if line.strip()]
        assert not any("Train-Err" in line for line in self.lines), "a worker writes over the progress bar"


def sweep_command(file, out):
    return shlex.join([sys.executable, "-m", "pipeline", "sweep", str(file), "--workers", "1", "--sweep-dir", str(out)])


def test_a_terminal_shows_a_bar_with_what_failed_the_time_left_and_the_best(tmp_path):
    file = write(tmp_path / "s.yaml", grid={"learning_rate": [0.005, 1e6, 0.01]})
    terminal = Terminal(sweep_command(file, tmp_path / "out"), 40, 100)
    terminal.until(r"^ 33%\|█+.? +\| 1/3 \[00:\d\d<00:\d\d, best 0\.\d{4}\]$")
    terminal.until(r"^ 67%\|█+.? +\| 2/3 \[00:\d\d<00:\d\d, 1 failed, best 0\.\d{4}\]$")
    assert terminal.until_it_ends() == 1
    best = pd.read_csv(tmp_path / "out" / "results.csv")["validation_accuracy"].max()
    ids = {json.loads(path.read_text())["status"]: path.parent.name for path in (tmp_path / "out").glob("*/run.json")}
    shown = "\n".join(terminal.lines)
    assert "\nError: 1 point did not finish (--retry-failed runs what failed again):\n" in shown
    assert f"\n[2/3] {ids['diverged']} diverged: learning_rate 1000000.0\n" in shown
    assert re.search(rf"\nbest so far validation_accuracy {best:.4f}: learning_rate 0.0\d+\n", shown)
    assert re.search(
        rf"\n100%\|█+\| 3/3 \[00:\d\d<00:00, 1 failed, best {best:.4f}\]\nbest validation_accuracy ", shown
    )


def test_a_log_is_whole_beside_a_bar_in_a_terminal_that_does_not_know_its_size(tmp_path):
    file = write(tmp_path / "s.yaml", grid={"learning_rate": [0.005, 0.01]})
    terminal = Terminal(
        f"{sweep_command(file, tmp_path / 'out')} --no-report > {shlex.quote(str(tmp_path / 'log'))}", 0, 0
    )
    assert terminal.until_it_ends() == 0
    assert re.fullmatch(r"100%\|█+\| 2/2 \[00:\d\d<00:00, best 0\.\d{4}\]", "\n".join(terminal.lines))
    log = (tmp_path / "log").read_text()
    assert re.search(r"\n\[2/2\] \w{12} done: learning_rate 0.01 \| about 0 s left \| best so far validation_", log)


def test_ctrl_c_keeps_what_has_finished_and_the_same_sweep_goes_on(tmp_path, workers, caplog):
    caplog.set_level(logging.INFO, "pipeline")
    file = write(tmp_path / "s.yaml", grid={"learning_rate": [0.005, 0.01, 0.02]})
    terminal = Terminal(sweep_command(file, tmp_path / "out"), 40, 100).until(r"\| 1/3 \[")
    terminal.child.sendintr()
    assert terminal.until_it_ends() == 130
    shown = "\n".join(terminal.lines)
    kept = r"(\d) of 3 points have finished and are kept; the same command runs the rest\.\nInterrupted\."
    finished = re.search(kept, shown).group(1)
    assert "Traceback" not in shown
    assert execution.run_sweep(file, str(tmp_path / "out"), with_report=False) == []
    assert caplog.messages[0] == f"3 points: {finished} done, {3 - int(finished)} to run"


# ---- points that fail ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project whose 02_train, for some seeds, kills its kernel, its worker, or takes for ever."""
    copy = tmp_path_factory.mktemp("project")
    for name in ("helpers.py", "pipeline", "notebooks"):
        source = storage.ROOT / name
        shutil.copytree(source, copy / name) if source.is_dir() else shutil.copy(source, copy / name)
    notebook = nbformat.read(copy / "notebooks" / "02_train.ipynb", 4)
    (cell,) = [cell for cell in notebook.cells if cell.id == "weights"]
    cell.source = (
        "import os, signal, time\n"
        "import psutil\n"
        "if seed == 13: os.kill(os.getpid(), signal.SIGKILL)\n"
        "if seed == 14: time.sleep(600)\n"
        "if seed == 15: psutil.Process().parents()[1].kill(); time.sleep(600)\n" + cell.source
    )
    nbformat.write(notebook, copy / "notebooks" / "02_train.ipynb")
    return copy


def test_points_that_fail_are_distinguished_and_leave_the_others_alone(project, tmp_path, pipeline):
    file = write(tmp_path / "s.yaml", grid={"seed": [15, 14, 13, 1]}, points=[{"seed": 16, "learning_rate": 1e6}])
    arguments = ("sweep", file, "--workers", "2", "--no-report", "--sweep-dir", tmp_path / "out", "--time-limit", "15")
    once = os.environ | {
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"
    }  # a point is given to two workers, not four
    done = pipeline(*arguments, cwd=project, env=once)
    assert done.returncode == 1
    expected = {1: "done", 13: "kernel died", 14: "timed out", 15: "worker died", 16: "diverged"}
    assert statuses(tmp_path / "out") == expected
    assert "4 points did not finish" in done.stderr
    for part in ("its kernel died in the cell 'weights'", "out of time in the cell 'weights'", "Diverged: The error"):
        assert part in done.stderr
    for path in (tmp_path / "out").glob("*/run.json"):
        status = json.loads(path.read_text())["status"]
        assert (path.parent / "metrics.json").exists() == (status == "done")
        assert (path.parent / "02_train.ipynb").exists() == (status != "worker died")


def test_to_retry_what_was_never_run_is_refused_with_what_to_do(tmp_path, pipeline):
    refused = pipeline("sweep", write(tmp_path / "s.yaml"), "--retry-failed", "--sweep-dir", tmp_path / "out")
    assert refused.returncode == 1
    expected = r"Error: 1 point did not finish:\n\w{12} not run: the base\nThe points .* run without --retry-failed\.\n"
    assert re.fullmatch(expected, refused.stderr)


# ---- without a cluster: what a point came to is known in memory ------------------------------------------------


class Workers:
    """Stands for the workers of a cluster: each point ends at once, as `outcome` has it."""

    def __init__(self, outcome):
        self.outcome, self.running, self.given = outcome, [], []

    def __call__(self, client):
        return self

    def give(self, waiting):
        while waiting:
            self.running.append(waiting.pop())

    def ended(self):
        point, task = job = self.running.pop(0)
        self.given.append((point, task))
        return [(job, self.outcome(point, task))]


def outcome(point, task):
    """A point that reaches a validation accuracy of ten times its learning rate, and diverges with seed 13.

    Its metrics.json holds no metrics: whoever reads it back from the disk fails.
    """
    status = Status.DIVERGED if task.parameters.seed == 13 else Status.DONE
    record = RunRecord(
        status=status, started=datetime.now(UTC), parameters=task.parameters.model_dump(), inputs=task.inputs
    )
    if status == Status.DIVERGED:
        return Outcome(record)
    measured = dict.fromkeys(("train_error", "train_accuracy", "validation_error", "test_error", "test_accuracy"), 0.5)
    measured |= {"validation_accuracy": 10 * task.parameters.learning_rate, "weights_sha256": "0" * 64}
    return Outcome(record, Metrics(**measured), {"metrics.json": b"none", "model.npz": b"none"})


@pytest.fixture
def workers(monkeypatch):
    """Have sweeps run on `Workers`."""
    workers = Workers(outcome)
    monkeypatch.setattr(cluster, "connect", lambda scheduler, count: contextlib.nullcontext())
    monkeypatch.setattr(cluster, "Pool", workers)
    return workers


def test_points_that_failed_run_again_only_if_asked(tmp_path, workers, caplog):
    caplog.set_level(logging.INFO, "pipeline")
    file = write(tmp_path / "s.yaml", grid={"seed": [1, 13, 2]})

    def given(**options):
        caplog.clear()
        workers.given.clear()
        (failed,) = execution.run_sweep(file, str(tmp_path / "out"), with_report=False, **options)
        assert failed.parameters.seed == 13
        return caplog.messages[0], [point.parameters.seed for point, _ in workers.given]

    assert given() == ("3 points: 0 done, 3 to run", [1, 13, 2])
    assert statuses(tmp_path / "out") == {1: "done", 13: "diverged", 2: "done"}
    assert given() == ("3 points: 2 done, 1 failed before (--retry-failed runs them again), 0 to run", [])
    assert given(retry_failed=True) == ("3 points: 2 done, 1 to run", [13])


def test_results_and_ranking_are_those_that_the_workers_returned(tmp_path, workers, caplog):
    caplog.set_level(logging.INFO, "pipeline")
    file = write(tmp_path / "s.yaml", grid={"learning_rate": [0.01, 0.03, 0.02], "seed": [1, 2]}, points=[{"seed": 13}])
    (failed,) = execution.run_sweep(file, str(tmp_path / "out"), with_report=False)
    assert failed.result.status == "diverged"
    table = pd.read_csv(tmp_path / "out" / "results.csv")
    assert list(table["validation_accuracy"].dropna()) == [0.1, 0.1, 0.3, 0.3, 0.2, 0.2]
    assert list(table["status"]) == ["done"] * 6 + ["diverged"]
    assert caplog.messages[-1] == "best validation_accuracy 0.3000, mean of 2 seeds: learning_rate 0.03"
    leaders = [line.split("best so far ")[1] for line in caplog.messages if "best so far" in line]
    assert leaders[0] == "validation_accuracy 0.1000, 1 of 2 seeds: learning_rate 0.01"
    assert leaders[1] == "validation_accuracy 0.1000, mean of 2 seeds: learning_rate 0.01"
    assert leaders[2] == leaders[1]  # one seed of a better configuration does not lead yet
    assert leaders[3] == "validation_accuracy 0.3000, mean of 2 seeds: learning_rate 0.03"


def test_points_of_the_same_data_share_them_and_each_is_given_its_own_split(tmp_path, workers, monkeypatch):
    source, arrays = write_small_source(tmp_path)
    asked, original = [], datasets.split_source
    monkeypatch.setattr(datasets, "split_source", lambda *key: asked.append(key) or original(*key))
    base = {"source": str(source), "num_validation": 5}
    file = write(tmp_path / "s.yaml", base=base, grid={"num_samples": [20, 30], "seed": [1, 2]})
    assert execution.run_sweep(file, str(tmp_path / "out"), with_report=False) == []
    assert asked == [(str(source), 20, 5), (str(source), 30, 5)]
    data = collections.defaultdict(list)
    for point, task in workers.given:
        data[point.parameters.num_samples].append(task.data)
    for count, (first, second) in data.items():
        assert first is second
        given = np.load(io.BytesIO(zlib.decompress(first)))
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
    """A finished sweep of one configuration and two seeds, as version 1.0 wrote it, but for what is not read."""
    sweep = {"name": "trial", "base": {"epochs": 10} | base, "grid": {"seed": [1, 2]}, "points": []}
    sweep |= {"select": "validation_accuracy", "ids": OLD_IDS, "settings": [OLD_IDS]}
    write_json(folder / "sweep.json", sweep)
    for seed, identity in enumerate(OLD_IDS, 1):
        parameters = Parameters(epochs=10, seed=seed).model_dump(exclude={"relu_grad_inactive"})
        parameters |= {"relu_grad_at_zero": 1, "run_dir": str(folder / identity)} | base
        inputs = {"data": "3" * 64, "notebooks": {}, "code": {"pipeline/files.py": "2" * 64}, "versions": {}}
        record = {"status": "done", "started": "2026-11-25T17:39:58+00:00", "duration_s": 6.9}
        write_json(folder / identity / "run.json", record | {"parameters": parameters, "inputs": inputs})
        metrics = dict.fromkeys(("train_error", "train_accuracy", "test_error", "test_accuracy"), 0.7)
        metrics |= {"validation_error": 0.50052, "validation_accuracy": 0.78 + seed / 100, "weights_sha256": "4" * 64}
        write_json(folder / identity / "metrics.json", metrics)
    return folder


def test_the_index_shows_a_sweep_of_an_older_version(tmp_path):
    write_old_sweep(tmp_path / "old", relu_grad_at_zero=0)
    (entry,) = index.entries(tmp_path)
    assert (entry.name, entry.kind, entry.status, entry.detail) == ("old", "sweep", "done", "2 of 2 points done")
    assert "fixed: epochs 10, relu_grad_at_zero 0" in entry.parameters
    assert entry.parameters[-1] == "best: the only configuration, mean of 2 seeds"
    assert entry.metrics == {"validation": ("0.7950", "0.5005")}  # of 0.79 and 0.80


def test_a_sweep_of_an_older_version_is_not_opened(tmp_path):
    """Its points have other ids than these parameters have now: none of them would be found."""
    refusal = r"sweep.json is of another version of this project .*Run it again"
    with pytest.raises(InvalidRecord, match=refusal):
        definition.opened(str(write_old_sweep(tmp_path / "same-names")))
    with pytest.raises(InvalidRecord, match=refusal) as refused:
        definition.opened(str(write_old_sweep(tmp_path / "old-name", relu_grad_at_zero=0)))
    assert "'relu_grad_at_zero' is now called relu_grad_inactive" in str(refused.value)


def test_a_sweep_of_an_older_version_runs_again_beside_its_old_points(tmp_path, workers, caplog):
    caplog.set_level(logging.INFO, "pipeline")
    folder = write_old_sweep(tmp_path / "out")
    before = {path: path.read_bytes() for path in folder.glob("*/*.json")}
    file = write(tmp_path / "s.yaml", base={"epochs": 10}, grid={"seed": [1, 2]})
    assert execution.run_sweep(file, str(folder), with_report=False) == []
    assert "The sweep in this folder had other points." in caplog.text
    assert all(path.read_bytes() == was for path, was in before.items())
    _, points = definition.opened(str(folder))
    assert len({point.id for point in points} - set(OLD_IDS)) == 2


# ---- verify ----------------------------------------------------------------------------------------------------


def test_verify_finds_a_point_equal(local, pipeline):
    folder, _ = local
    equal = pipeline("verify", next((folder / "out").glob("*/run.json")).parent)
    assert equal.returncode == 0, equal.stderr
    assert "NOT" not in equal.stdout
    for name in ("test_accuracy", "validation_error", "weights_sha256", "model.npz", "history.json"):
        assert re.search(rf"^{name} +equal ", equal.stdout, re.M)
