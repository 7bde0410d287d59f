"""Sweeps with the real thing: Dask clusters, killed clients, workers and kernels."""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import nbformat
import pandas as pd
import pexpect
import pyte
import pytest
import yaml

from pipeline import cluster as clusters
from pipeline import files, sweep
from pipeline.parameters import ParameterError

QUICK = {"num_samples": 60, "num_validation": 40, "epochs": 2, "hidden_size": 5}


def write(path, **definition):
    path.write_text(yaml.safe_dump({"name": "trial", "base": QUICK} | definition))
    return path


def points(tmp_path, **definition):
    return sweep.points_of(sweep.read(write(tmp_path / "sweep.yaml", **definition)), tmp_path)


def records(folder):
    found = {}
    for path in sorted(folder.glob("*/run.json")):
        record = json.loads(path.read_text())
        metrics = path.parent / "metrics.json"
        digest = json.loads(metrics.read_text())["weights_sha256"] if metrics.exists() else None
        found[path.parent.name] = (record["parameters"]["learning_rate"], record["parameters"]["seed"], digest)
    return found


def statuses(folder):
    found = [json.loads(path.read_text()) for path in folder.glob("*/run.json")]
    return {record["parameters"]["seed"]: record["status"] for record in found}


# ---- definitions -----------------------------------------------------------------------------------------------


def test_a_grid_is_crossed_over_the_base_and_points_are_added_each_once(tmp_path):
    found = points(
        tmp_path,
        grid={"learning_rate": [0.01, 0.02], "seed": [1, 2]},
        points=[{"seed": 2, "learning_rate": 0.02}, {"epochs": 9}],
    )
    settings = [(p.parameters.learning_rate, p.parameters.seed, p.parameters.epochs) for p in found]
    assert settings == [(0.01, 1, 2), (0.01, 2, 2), (0.02, 1, 2), (0.02, 2, 2), (0.005, 1, 9)]
    assert all(p.parameters.hidden_size == 5 for p in found)
    assert len({p.id for p in found}) == 5


def test_numbers_that_yaml_takes_for_text_are_numbers(tmp_path):
    (tmp_path / "sweep.yaml").write_text("name: a\ngrid: {learning_rate: [1e-3, 2e-3]}")
    found = sweep.points_of(sweep.read(tmp_path / "sweep.yaml"), tmp_path)
    assert [p.parameters.learning_rate for p in found] == [0.001, 0.002]


def test_every_wrong_entry_is_told_before_anything_starts(tmp_path, pipeline):
    file = write(
        tmp_path / "s.yaml", grid={"learning_rte": [1], "epochs": [0, 3, "many"]}, points=[{"dropout_rate": 1}]
    )
    refused = pipeline("sweep", file, "--sweep-dir", tmp_path / "out")
    assert refused.returncode == 2
    for part in (
        "learning_rte",
        "Did you mean learning_rate?",
        "epochs is '0'",
        "epochs is 'many'",
        "dropout_rate is '1'",
    ):
        assert part in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ({"select": "test_accuracy"}, "The test figures must not be chosen by"),
        ({"grit": {}}, "grit: There is no such entry. Did you mean grid?"),
        ({"name": "a/b"}, "name: It is 'a/b', but may have letters, digits, - and _ only"),
        ({"grid": {"seed": 3}}, "grid.seed: Input should be a valid list"),
        ({"grid": {"seed": []}}, "grid.seed: List should have at least 1 item"),
        ({"points": [{"run_dir": "x"}]}, "run_dir is not for a sweep to set"),
        ({"base": {"num_validation": 0}}, "select is validation_accuracy, but num_validation is 0"),
    ],
)
def test_a_wrong_definition_is_refused(tmp_path, definition, message):
    with pytest.raises(ParameterError, match=re.escape(message)):
        points(tmp_path, **definition)


def test_a_sweep_overwrites_neither_the_project_nor_a_run_nor_another_sweep(tmp_path, pipeline):
    file = write(tmp_path / "s.yaml")
    files.write_json(tmp_path / "run" / "run.json", {"status": "done"})
    files.write_json(tmp_path / "other" / "sweep.json", {"name": "other"})
    files.write_whole(tmp_path / "mine" / "results.csv", b"mine")
    for folder, told in (
        (files.ROOT / "notebooks", "where the project's own files are"),
        (tmp_path / "run", "holds run.json, but no sweep"),
        (tmp_path, "holds run/run.json, but no sweep"),
        (tmp_path / "mine", "holds results.csv, but no sweep"),
        (tmp_path / "other", "holds the sweep other"),
        (tmp_path / 'quo"ted', "which notebooks cannot hold"),
        ("/proc/none", "cannot be made"),
        (tmp_path / "s.yaml" / "below", "s.yaml is not a folder that can be written to"),
    ):
        refused = pipeline("sweep", file, "--sweep-dir", folder)
        assert refused.returncode == 2
        assert told in refused.stderr
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["run.json"]


def test_the_readmes_example_is_a_sweep(tmp_path):
    (example,) = re.findall(r"```yaml\n(.*?)```", (files.ROOT / "README.md").read_text(), re.S)
    (tmp_path / "s.yaml").write_text(example)
    found = sweep.points_of(sweep.read(tmp_path / "s.yaml"), tmp_path)
    assert len(found) == 7
    assert found[-1].parameters.dropout_rate == 0.2
    assert {point.parameters.epochs for point in found} == {20}


def test_a_key_given_twice_and_a_file_without_entries_are_refused(tmp_path):
    for content, message in (
        ("name: a\ngrid: {seed: [1], epochs: [1], seed: [2]}", "seed is given twice"),
        ("name: a\nname: b", "name is given twice"),
        ("", "It must consist of entries"),
    ):
        (tmp_path / "s.yaml").write_text(content)
        with pytest.raises(ParameterError, match=message):
            sweep.read(tmp_path / "s.yaml")


def test_a_file_that_is_no_yaml_or_not_there_is_refused(tmp_path, pipeline):
    (tmp_path / "s.yaml").write_text("name: [")
    for name in ("s.yaml", "none.yaml"):
        refused = pipeline("sweep", tmp_path / name)
        assert refused.returncode == 2
        assert "cannot be read as a YAML file" in refused.stderr


# ---- on a cluster of this machine ------------------------------------------------------------------------------

GRID = {"learning_rate": [0.005, 0.01, 0.02], "seed": [1, 2]}


@pytest.fixture(scope="module")
def local(shared, pipeline):
    """A finished sweep of six points, and what was told of it."""

    def make(folder):
        done = pipeline("sweep", write(folder / "s.yaml", grid=GRID), "--workers", "2", "--sweep-dir", folder / "out")
        assert done.returncode == 0, done.stderr
        (folder / "told").write_text(done.stdout)

    folder = shared("local", make)
    return folder, (folder / "told").read_text()


def test_a_sweep_runs_every_point_and_tells_how_far_it_is(local):
    folder, told = local
    assert told.startswith("6 points: 0 done, 6 to run\n")
    assert re.search(
        r"\[4/6\] \w{12} done: learning_rate 0.0\d+, seed \d \| about \d+ s left \| best so far validation_", told
    )
    assert len(records(folder / "out")) == 6
    assert len({digest for *_, digest in records(folder / "out").values()}) == 6
    for path in (folder / "out").glob("*/run.json"):
        assert {p.name for p in path.parent.iterdir()} == {"run.json", *clusters.FILES}
        text = (path.parent / "02_train.ipynb").read_text()
        assert f'run_dir = \\"{path.parent}\\"' in text


def test_results_hold_no_test_figure_and_rank_by_validation(local):
    folder, told = local
    table = pd.read_csv(folder / "out" / "results.csv")
    assert len(table) == 6
    assert set(table["status"]) == {"done"}
    assert not [name for name in table if name.startswith("test")]
    means = table.groupby("learning_rate")["validation_accuracy"].mean()
    best = f"{means.max():.4f}, mean of 2 seeds: learning_rate {means.idxmax()}"
    assert f"best so far validation_accuracy {best}" in told.splitlines()[-3]
    assert told.splitlines()[-2] == f"best validation_accuracy {best}"


def test_a_point_equals_a_run_of_its_parameters(local, tmp_path, pipeline):
    folder, _ = local
    options = [
        text for name, value in (QUICK | {"learning_rate": 0.02, "seed": 2}).items() for text in ("-p", name, value)
    ]
    assert pipeline("run", "--run-dir", tmp_path, *options).returncode == 0
    digest = json.loads((tmp_path / "metrics.json").read_text())["weights_sha256"]
    assert (0.02, 2, digest) in records(folder / "out").values()


def test_a_finished_sweep_runs_nothing_again_and_a_larger_one_the_rest(local, tmp_path, pipeline):
    folder, _ = local
    shutil.copytree(folder / "out", tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*/run.json")}
    again = pipeline("sweep", folder / "s.yaml", "--sweep-dir", tmp_path / "out")
    best = r"best validation_accuracy 0\.\d{4}, mean of 2 seeds: learning_rate 0\.0\d+"
    assert re.fullmatch(rf"6 points: 6 done, 0 to run\n{best}\nreport: \S+/out/report\.html\n", again.stdout)
    larger = write(tmp_path / "s.yaml", grid=GRID, points=[{"seed": 3}])
    more = pipeline("sweep", larger, "--no-report", "--sweep-dir", tmp_path / "out")
    assert "7 points: 6 done, 1 to run\nThe sweep in this folder had other points." in more.stdout
    assert all(path.stat().st_mtime_ns == was for path, was in before.items())
    (next(iter(before)).parent / "model.npz").write_bytes(b"")
    record = json.loads(list(before)[1].read_text())
    record["inputs"]["versions"]["numpy"] = "1.0"
    list(before)[1].write_text(json.dumps(record))
    repaired = pipeline("sweep", larger, "--no-report", "--sweep-dir", tmp_path / "out")
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
        "--sweep-dir",
        str(out),
    ]
    kept = {}
    for wanted in (1, 3):
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while len(list(out.glob("*/run.json"))) < wanted:
            assert running.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        running.send_signal(signal.SIGKILL)
        running.wait()
        for path in out.glob("*/run.json"):
            kept.setdefault(path, path.stat().st_mtime_ns)
    rest = pipeline("sweep", folder / "s.yaml", "--workers", "2", "--no-report", "--sweep-dir", out)
    assert rest.returncode == 0, rest.stderr
    assert f"6 points: {len(kept)} done, {6 - len(kept)} to run" in rest.stdout
    assert all(path.stat().st_mtime_ns == was for path, was in kept.items())
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


def test_ctrl_c_keeps_what_has_finished_and_the_same_command_goes_on(tmp_path, pipeline):
    file = write(tmp_path / "s.yaml", grid={"learning_rate": [0.005, 0.01, 0.02]})
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


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project whose 02_train, for some seeds, kills its kernel, its worker, or takes for ever."""
    copy = tmp_path_factory.mktemp("project")
    for name in ("helpers.py", "pipeline", "notebooks"):
        source = files.ROOT / name
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


def test_points_that_fail_are_told_apart_and_leave_the_others_alone(project, tmp_path, pipeline):
    file = write(tmp_path / "s.yaml", grid={"seed": [1, 13, 14, 15, 2]}, points=[{"seed": 16, "learning_rate": 1e6}])
    arguments = ("sweep", file, "--workers", "2", "--sweep-dir", tmp_path / "out", "--time-limit", "15")
    done = pipeline(*arguments, cwd=project)
    assert done.returncode == 1
    expected = {1: "done", 2: "done", 13: "kernel died", 14: "timed out", 15: "worker died", 16: "diverged"}
    assert statuses(tmp_path / "out") == expected
    assert "4 points did not finish" in done.stderr
    for part in ("its kernel died in the cell 'weights'", "out of time in the cell 'weights'", "Diverged: the error"):
        assert part in done.stderr
    for path in (tmp_path / "out").glob("*/run.json"):
        record = json.loads(path.read_text())
        assert (path.parent / "metrics.json").exists() == (record["status"] == "done")
        assert (path.parent / "02_train.ipynb").exists() == (record["status"] != "worker died")
    again = pipeline(*arguments, cwd=project)
    assert "6 points: 2 done, 4 failed before (--retry-failed runs them again), 0 to run" in again.stdout
    assert again.returncode == 1
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*/run.json")}
    retried = pipeline(*arguments, "--retry-failed", cwd=project)
    assert "6 points: 2 done, 4 to run" in retried.stdout
    changed = {
        json.loads(p.read_text())["parameters"]["seed"] for p, was in times.items() if p.stat().st_mtime_ns != was
    }
    assert changed == {13, 14, 15, 16}


def test_damaged_data_is_prepared_again(local, tmp_path, pipeline):
    folder, _ = local
    shutil.copytree(folder / "out", tmp_path / "out")
    (data,) = (tmp_path / "out").glob("data-*/data.npz")
    whole = data.read_bytes()
    data.write_bytes(whole[:1000])
    file = write(tmp_path / "s.yaml", grid=GRID, points=[{"seed": 3}])
    done = pipeline("sweep", file, "--workers", "1", "--no-report", "--sweep-dir", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "7 points: 6 done, 1 to run" in done.stdout
    assert data.read_bytes() == whole


def test_to_retry_what_was_never_run_is_told_how(tmp_path, pipeline):
    refused = pipeline("sweep", write(tmp_path / "s.yaml"), "--retry-failed", "--sweep-dir", tmp_path / "out")
    assert refused.returncode == 1
    expected = r"Error: 1 point did not finish:\n\w{12} not run: the base\nThe points .* run without --retry-failed\.\n"
    assert re.fullmatch(expected, refused.stderr)


# ---- on a cluster elsewhere ------------------------------------------------------------------------------------


class Cluster:
    """A scheduler, and workers each in a folder of its own, where the project's modules cannot be imported."""

    def __init__(self, folder):
        self.folder, self.started = folder, []
        self.environment = os.environ | {"PYTHONPATH": str(folder / "hidden")}
        for name in ("pipeline.py", "helpers.py"):
            files.write_whole(folder / "hidden" / name, b"raise ImportError('this worker has no project')")
        self.contact = folder / "scheduler.json"
        self.scheduler = None

    def begin(self):
        self.scheduler = self.start(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", self.contact
        )
        deadline = time.monotonic() + 60
        while not self.contact.exists() or not self.contact.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        self.address = json.loads(self.contact.read_text())["address"]

    def start(self, kind, *options):
        folder = self.folder / f"{kind}-{len(self.started)}"
        folder.mkdir()
        command = [sys.executable, "-m", "dask", kind, *options]
        process = subprocess.Popen(command, cwd=folder, env=self.environment, stderr=(folder / "log").open("w"))
        self.started.append(process)
        return process

    def worker(self, *options):
        return self.start("worker", "--scheduler-file", self.contact, "--no-nanny", "--no-dashboard", *options)

    def sweep(self, file, out, **environment):
        command = [sys.executable, "-m", "pipeline", "sweep", str(file), "--no-report", "--scheduler", self.address]
        return subprocess.Popen(
            [*command, "--sweep-dir", str(out)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
        )


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path / "cluster")
    try:
        cluster.begin()
        yield cluster
    finally:
        for process in cluster.started:
            process.kill()
            process.wait()


def wait_for_points(out, count, running):
    deadline = time.monotonic() + 120
    while len(list(out.glob("*/run.json"))) < count:
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_remote_sweep_survives_a_worker_and_equals_the_local_one(local, cluster, tmp_path):
    folder, _ = local
    first, _ = cluster.worker("--nthreads", "1"), cluster.worker("--nthreads", "2")
    running = cluster.sweep(folder / "s.yaml", tmp_path / "out")
    wait_for_points(tmp_path / "out", 2, running)
    first.kill()
    told, errors = running.communicate(timeout=240)
    assert running.returncode == 0, told + errors
    assert records(tmp_path / "out") == records(folder / "out")


def test_batches_give_the_same_bits_on_a_worker_that_may_use_all_cores(cluster, tmp_path, pipeline):
    cluster.worker("--nthreads", "1")
    batches = {"num_samples": 400, "num_validation": 0, "epochs": 2, "batch_size": 200, "hidden_size": 500}
    file = write(tmp_path / "s.yaml", base=batches, select="train_error")
    told, errors = (running := cluster.sweep(file, tmp_path / "there")).communicate(timeout=120)
    assert running.returncode == 0, told + errors
    assert pipeline("sweep", file, "--no-report", "--sweep-dir", tmp_path / "here").returncode == 0
    assert len(records(tmp_path / "here")) == 1
    assert records(tmp_path / "there") == records(tmp_path / "here")


def test_a_worker_is_waited_for_and_given_nothing_if_its_packages_differ(local, cluster, tmp_path):
    folder, _ = local
    other = tmp_path / "other.py"
    other.write_text(
        "import importlib.metadata as metadata\n"
        "true = getattr(metadata, 'true', metadata.version)\n"
        "metadata.true, metadata.version = true, lambda name: '1.0' if name == 'numpy' else true(name)\n"
    )
    running = cluster.sweep(folder / "s.yaml", tmp_path / "out")
    told = [running.stdout.readline() for _ in range(2)]
    assert told[1] == f"The scheduler has no worker. Waiting for one: dask worker {cluster.address} --nworkers auto\n"
    able = cluster.worker("--nthreads", "1")
    wait_for_points(tmp_path / "out", 1, running)
    cluster.worker("--nthreads", "1", "--preload", str(other))
    line = running.stdout.readline()
    while "gets no points" not in line:
        assert line
        line = running.stdout.readline()
    assert re.match(r"The worker at tcp://\S+ gets no points: it has numpy 1\.0, not 2", line)
    able.kill()
    told, errors = running.communicate(timeout=120)
    assert running.returncode == 1
    assert re.search(r"The worker at tcp://\S+ has gone\. Workers left: 1\n", told)
    assert re.search(r"Error: No worker can run the points\. .*\ntcp://\S+: it has numpy 1\.0, not 2", errors)
    assert {metrics for *_, metrics in records(tmp_path / "out").values()} <= {
        metrics for *_, metrics in records(folder / "out").values()
    }


def test_a_scheduler_that_goes_away_ends_the_sweep_which_keeps_what_has_finished(local, cluster, tmp_path, pipeline):
    folder, _ = local
    cluster.worker("--nthreads", "1")
    running = cluster.sweep(folder / "s.yaml", tmp_path / "out", DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT="5s")
    wait_for_points(tmp_path / "out", 1, running)
    cluster.scheduler.kill()
    told, errors = running.communicate(timeout=120)
    assert running.returncode == 1
    kept = re.search(r"(\d) of 6 points have finished and are kept; the same command runs the rest\.\n$", told).group(1)
    assert re.fullmatch(r"Error: The Dask scheduler has gone \(.*\)\. Start it again first\.\n", errors)
    rest = pipeline("sweep", folder / "s.yaml", "--no-report", "--sweep-dir", tmp_path / "out")
    assert f"6 points: {kept} done, " in rest.stdout
    assert records(tmp_path / "out") == records(folder / "out")


# ---- verify ----------------------------------------------------------------------------------------------------


def test_verify_finds_a_point_equal_and_an_altered_one_not(local, tmp_path, pipeline):
    folder, _ = local
    point = next((folder / "out").glob("*/run.json")).parent
    equal = pipeline("verify", point)
    assert equal.returncode == 0, equal.stderr
    assert "NOT" not in equal.stdout
    for name in ("test_accuracy", "validation_error", "weights_sha256", "model.npz", "history.json"):
        assert re.search(rf"^{name} +equal ", equal.stdout, re.M)
    shutil.copytree(point, tmp_path / "altered")
    metrics = json.loads((point / "metrics.json").read_text())
    files.write_json(tmp_path / "altered" / "metrics.json", metrics | {"test_accuracy": 0.99})
    record = json.loads((point / "run.json").read_text())
    record["inputs"]["versions"]["numpy"] = "1.0"
    files.write_json(tmp_path / "altered" / "run.json", record)
    differing = pipeline("verify", tmp_path / "altered")
    assert differing.returncode == 1
    assert re.search(r"^test_accuracy +NOT equal  0.99, and now", differing.stdout, re.M)
    assert "NOT equal: versions numpy, which was 1.0" in differing.stdout
    assert "does not come out equal" in differing.stderr


def test_verify_wants_a_finished_run(tmp_path, pipeline):
    assert "verify needs the folder of a finished run" in pipeline("verify", tmp_path).stderr
    files.write_json(tmp_path / "run.json", {"status": "failed"})
    refused = pipeline("verify", tmp_path)
    assert refused.returncode == 2
    assert "its status is failed" in refused.stderr
