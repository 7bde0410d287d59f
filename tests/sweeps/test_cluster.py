"""Sweeps on a cluster elsewhere, with the real thing: schedulers and workers that come, go and are killed."""

import contextlib
import json
import os
import re
import subprocess
import sys
import time

import psutil
import pytest

from pipeline import storage
from pipeline.kernels import ONE_THREAD
from tests.sweeps.conftest import QUICK, records, wait_for_points, write


class Cluster:
    """A scheduler, and workers each in a folder of its own, where the project's modules cannot be imported."""

    def __init__(self, folder):
        self.folder, self.started = folder, []
        several = {name: value for name, value in os.environ.items() if name not in ONE_THREAD}  # threads, for BLAS
        self.environment = several | {"PYTHONPATH": str(folder / "hidden")}
        for name in ("pipeline.py", "helpers.py"):
            storage.write_whole(folder / "hidden" / name, b"raise ImportError('this worker has no project')")
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

    def sweep(self, file, out, cwd=None, **environment):
        command = [sys.executable, "-m", "pipeline", "sweep", str(file), "--no-report", "--scheduler", self.address]
        return subprocess.Popen(
            [*command, "--sweep-dir", str(out)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
            env=os.environ | environment,
        )


@contextlib.contextmanager
def begun(folder):
    """Yield a scheduler without workers, which ends with the block, and its workers, too."""
    cluster = Cluster(folder)
    try:
        cluster.begin()
        yield cluster
    finally:
        for process in cluster.started:
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path):
    with begun(tmp_path / "cluster") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def staffed(tmp_path_factory):
    """A scheduler with a worker, for several tests, as both take longer to start than a sweep to run."""
    with begun(tmp_path_factory.mktemp("staffed") / "cluster") as cluster:
        cluster.present = cluster.worker("--nthreads", "1")
        yield cluster


def test_a_remote_sweep_survives_a_worker_and_equals_the_local_one(local, staffed, tmp_path):
    folder, _ = local
    first, staffed.present = staffed.present, staffed.worker("--nthreads", "2")
    running = staffed.sweep(folder / "s.yaml", tmp_path / "out")
    wait_for_points(tmp_path / "out", 2, running)
    first.kill()
    log, errors = running.communicate(timeout=240)
    assert running.returncode == 0, log + errors
    assert records(tmp_path / "out") == records(folder / "out")


def test_a_point_that_its_workers_die_of_is_given_up_and_the_others_are_not(project, cluster, tmp_path):
    cluster.start("worker", "--scheduler-file", cluster.contact, "--nthreads", "1", "--no-dashboard")  # starts again
    running = cluster.sweep(write(tmp_path / "s.yaml", grid={"seed": [1, 15, 2]}), tmp_path / "out", cwd=project)
    log, errors = running.communicate(timeout=240)
    assert running.returncode == 1, log + errors
    found = [json.loads(path.read_text()) for path in (tmp_path / "out").glob("*/run.json")]
    statuses = {record["parameters"]["seed"]: record["status"] for record in found}
    assert statuses == {1: "done", 15: "worker died", 2: "done"}
    assert "Its worker died twice." in errors


def test_batches_give_the_same_bits_on_a_worker_that_may_use_all_cores(staffed, tmp_path, pipeline):
    batches = {"num_samples": 400, "num_validation": 0, "epochs": 2, "batch_size": 200, "hidden_size": 500}
    file = write(tmp_path / "s.yaml", base=batches, select="train_error")
    log, errors = (running := staffed.sweep(file, tmp_path / "there")).communicate(timeout=120)
    assert running.returncode == 0, log + errors
    assert pipeline("sweep", file, "--no-report", "--sweep-dir", tmp_path / "here").returncode == 0
    assert len(records(tmp_path / "here")) == 1
    assert records(tmp_path / "there") == records(tmp_path / "here")


def test_two_sweeps_with_other_code_share_a_worker_at_the_same_time(local, project, cluster, tmp_path):
    folder, _ = local
    worker = cluster.worker("--nthreads", "2")
    places = {tmp_path / "here": None, tmp_path / "there": project}
    running = [cluster.sweep(folder / "s.yaml", out, cwd=place) for out, place in places.items()]
    for each, out in zip(running, places, strict=True):
        log, errors = each.communicate(timeout=240)
        assert each.returncode == 0, log + errors
        assert records(out) == records(folder / "out")
    assert len(psutil.Process(worker.pid).children()) <= 2  # a fork server for each


def test_a_worker_is_waited_for_and_given_nothing_if_its_packages_differ(cluster, tmp_path):
    other = tmp_path / "other.py"
    other.write_text(
        "import importlib.metadata as metadata\n"
        "true = getattr(metadata, 'true', metadata.version)\n"
        "metadata.true, metadata.version = true, lambda name: '1.0' if name == 'numpy' else true(name)\n"
    )
    file = write(tmp_path / "s.yaml", base=QUICK | {"epochs": 2000}, grid={"seed": list(range(12))})
    running = cluster.sweep(file, tmp_path / "out")
    log = [running.stdout.readline() for _ in range(2)]
    assert (
        log[1]
        == f"The scheduler has no worker. Waiting for one: dask worker {cluster.address} --nworkers -1 --nthreads 1\n"
    )
    able = cluster.worker("--nthreads", "1")
    wait_for_points(tmp_path / "out", 1, running)
    cluster.worker("--nthreads", "1", "--preload", str(other))
    line = running.stdout.readline()
    while "gets no points" not in line:
        assert line
        line = running.stdout.readline()
    assert re.match(r"The worker at tcp://\S+ gets no points: it has numpy 1\.0, not 2", line)
    able.kill()
    log, errors = running.communicate(timeout=120)
    assert running.returncode == 1
    assert re.search(r"The worker at tcp://\S+ has gone\. Workers left: 1\n", log)
    assert re.search(r"Error: No worker can run the points\. .*\ntcp://\S+: it has numpy 1\.0, not 2", errors)


def test_a_scheduler_that_goes_away_ends_the_sweep_which_keeps_what_has_finished(local, cluster, tmp_path, pipeline):
    folder, _ = local
    cluster.worker("--nthreads", "1")
    running = cluster.sweep(folder / "s.yaml", tmp_path / "out", DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT="5s")
    wait_for_points(tmp_path / "out", 1, running)
    cluster.scheduler.kill()
    log, errors = running.communicate(timeout=120)
    assert running.returncode == 1
    kept = re.search(r"(\d) of 6 points have finished and are kept; the same command runs the rest\.\n$", log).group(1)
    assert re.fullmatch(r"Error: The Dask scheduler has gone \(.*\)\. Start it again first\.\n", errors)
    rest = pipeline("sweep", folder / "s.yaml", "--workers", "1", "--no-report", "--sweep-dir", tmp_path / "out")
    assert f"6 points: {kept} done, " in rest.stdout
    assert records(tmp_path / "out") == records(folder / "out")


def test_a_worker_in_the_process_that_runs_the_sweep_is_refused_and_spoils_nothing(tmp_path):
    script = """
import sys
from pathlib import Path
from distributed import LocalCluster
from pipeline.errors import ClusterFailed
from pipeline.sweeps import execution

before = sys.path[:]
with LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster:
    try:
        execution.run_sweep(Path(sys.argv[1]), sys.argv[2], scheduler=cluster.scheduler_address)
    except ClusterFailed as error:
        print(error)
from pipeline import comparison
print(sys.path == before)
"""
    file = write(tmp_path / "s.yaml", grid={"seed": [1]})
    command = [sys.executable, "-c", script, str(file), str(tmp_path / "out")]
    environment = os.environ | {"PYTHONPATH": str(storage.ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert "it works in a process that uses the project itself, as of a LocalCluster with proc" in done.stdout, (
        done.stderr
    )
    assert done.stdout.endswith("True\n")


def test_a_scheduler_that_does_not_answer_is_refused_and_nothing_is_written(tmp_path, pipeline):
    file = write(tmp_path / "s.yaml")
    for address in ("tcp://127.0.0.1:1", "nonsense://here"):
        refused = pipeline(
            *("sweep", file, "--scheduler", address, "--sweep-dir", tmp_path / "out", "--connect-timeout", "1"),
        )
        assert refused.returncode == 2
        assert f"Error: No Dask scheduler answers at '{address}'" in refused.stderr
        assert "Traceback" not in refused.stderr
        assert not (tmp_path / "out").exists()


def test_settings_of_dask_that_it_cannot_read_are_named_and_nothing_is_written(tmp_path, pipeline):
    settings = tmp_path / "dask.yaml"
    settings.write_text("a: [")
    command = ["sweep", write(tmp_path / "s.yaml"), "--scheduler", "tcp://127.0.0.1:1", "--sweep-dir", tmp_path / "out"]
    refused = pipeline(*command, env=os.environ | {"DASK_CONFIG": str(settings)})
    assert refused.returncode == 2
    assert f"Error: Dask's settings cannot be used: A dask config file at '{settings}' is malformed" in refused.stderr
    assert not (tmp_path / "out").exists()
