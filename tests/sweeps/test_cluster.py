"""Sweeps on a cluster, with real schedulers and workers."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from pipeline.parameters import Parameters
from pipeline.records import RunRecord, to_json
from pipeline.results import provenance
from pipeline.results.files import LOCK
from pipeline.sweeps import cluster
from tests.commands import PATIENCE, make_environment, wait_for
from tests.sweeps.conftest import read_results, write

pytestmark = pytest.mark.xdist_group("cluster")

OTHER_VERSIONS = """
import importlib.metadata as metadata
true = metadata.version
metadata.version = lambda name: "1.0" if name == "numpy" else true(name)
"""
# A worker of this environment could import the project, which is installed in it.
ALONE = """
import sys
sys.modules["pipeline"] = None
"""


class Dask:
    """A scheduler and its workers, each in a folder of its own."""

    def __init__(self, folder, project):
        self.folder, self.project, self.processes = folder, project, []
        self.scheduler = self.start("scheduler", "--port", "0")
        self.address = wait_for(r"Scheduler at: +(\S+)", self.scheduler.stderr)

    def start(self, kind, *options, code="", **environment):
        """Start a scheduler or a worker, which first runs the code."""
        folder = self.folder / str(len(self.processes))
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(code)
        own = make_environment(self.project.path)
        path = os.pathsep.join([str(folder), own["PYTHONPATH"]])
        place = ("--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0")
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", kind, *place, *options],
            cwd=folder,
            env=own | {"PYTHONPATH": path} | environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def add_worker(self, *options, **more):
        """Start a worker with one thread; return its process once it is registered."""
        options = options or ("--no-nanny",)
        worker = self.start("worker", self.address, "--nthreads", "1", *options, **more)
        wait_for("Registered to", worker.stderr)
        return worker

    def remove(self, worker):
        children = psutil.Process(worker.pid).children(recursive=True)
        for each in (*children, worker):
            each.kill()
        worker.wait()

    def sweep(self, file, out):
        place = ("--sweep-dir", out, "--scheduler", self.address)
        return self.project.start("sweep", file, *place)

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                self.remove(process)


@pytest.fixture
def dask(tmp_path, midway):
    dask = Dask(tmp_path, midway)
    yield dask
    dask.close()


def test_points_of_a_killed_worker_run_on_a_late_one_to_the_same_bits(
    dask, local, gate
):
    """Between the two there is no worker."""
    out = dask.folder / "out"
    killed = dask.add_worker(GATE=gate.port)
    running = dask.sweep(local / "s.yaml", out)
    training = gate.wait()
    killed.kill()
    assert training.recv(1) == b""  # it has ended with its worker
    late = dask.add_worker(GATE=gate.port)
    for _ in range(3):
        gate.wait().close()
    log, errors = running.communicate(timeout=PATIENCE)
    assert running.returncode == 0, log + errors
    assert late.poll() is None
    assert read_results(out) == read_results(local / "out")
    for path in out.glob("*/run.json"):
        executed = path.with_name("02_train.ipynb").read_text()
        assert f'run_dir = \\"{path.parent}\\"' in executed


def test_ctrl_c_and_a_scheduler_that_ends_keep_what_has_finished(dask, local, gate):
    dask.add_worker(GATE=gate.port)
    out = dask.folder / "out"
    for finished, code, message in (
        (1, 130, "Interrupted. "),
        (2, 1, "Error: The scheduler ended"),
    ):
        running = dask.sweep(local / "s.yaml", out)
        gate.wait().close()
        training = gate.wait()
        wait_for(rf"\[1/{4 - finished}\]", running.stdout)
        if code == 130:
            running.send_signal(signal.SIGINT)
        else:
            dask.scheduler.kill()
        log, errors = running.communicate(timeout=PATIENCE)
        training.close()
        assert running.returncode == code
        assert message in errors
        assert "Traceback" not in log + errors
        assert len(read_results(out)) == finished
        assert not [*out.glob("*/metrics.json")]


def test_workers_that_cannot_train_are_named_once_and_others_train(dask, local, gate):
    """The first two are there from the start, and the third comes in the night."""
    dask.add_worker(code=ALONE)
    dask.add_worker("--nanny")
    out = dask.folder / "out"
    running = dask.sweep(local / "s.yaml", out)
    named = [wait_for("(The worker at tcp:.*)", running.stdout) for _ in range(2)]
    for reason in ("cannot import the project", "has a nanny"):
        assert sum(reason in each for each in named) == 1
    wait_for("The cluster has no worker", running.stdout)
    assert [path.name for path in out.iterdir()] == [LOCK]  # nothing is written
    first = dask.add_worker(GATE=gate.port)
    training = gate.wait()
    dask.add_worker(code=OTHER_VERSIONS)
    dask.remove(first)  # so that the other one gets its points
    differs = wait_for("(The worker at tcp:.*)", running.stdout)
    assert " version numpy, which was " in differs
    wait_for("The cluster has no worker", running.stdout)
    training.close()
    dask.add_worker()
    log, errors = running.communicate(timeout=PATIENCE)
    assert running.returncode == 0, log + errors
    assert "The worker at" not in log
    assert read_results(out) == read_results(local / "out")


class SixWorkers:
    """A client of a cluster with six workers, of which only the last one can train.

    A real client lists only five workers, too, unless it is asked for all.
    """

    addresses = tuple(f"tcp://h:{port}" for port in range(6))

    def run(self, *_, **__):
        return dict.fromkeys(self.addresses[:5], "differs in x")

    def scheduler_info(self, n_workers=5):
        listed = self.addresses[:n_workers] if n_workers >= 0 else self.addresses
        return {"workers": dict.fromkeys(listed)}

    def retire_workers(self, workers):
        """Do nothing: a worker may leave late."""

    def get_executor(self, **options):
        executor = ThreadPoolExecutor(1)
        executor.options = options
        return executor


def test_one_worker_of_six_gets_all_points():
    trainer = cluster.ClusterTrainer(SixWorkers())
    trainer.refuse_incompatible_workers(RunRecord(parameters=Parameters(), inputs={}))
    trainer._wait_for_worker()
    assert trainer.executor.options["workers"] == ["tcp://h:5"]


def test_the_threads_of_a_worker_read_its_code_one_after_the_other(monkeypatch):
    """Python 3.11 may fail to parse code in two threads at once."""
    reading = threading.Lock()

    def collect_inputs(*_):
        assert reading.acquire(blocking=False)
        time.sleep(0.05)
        reading.release()
        return {}

    monkeypatch.setattr(provenance, "collect_inputs", collect_inputs)
    record = to_json(RunRecord(parameters=Parameters(), inputs={}))
    with ThreadPoolExecutor(2) as threads:
        checked = threads.map(cluster.describe_incompatibility, [record, record])
    assert list(checked) == ["", ""]


def test_without_the_extra_a_sweep_says_how_to_install_it(
    tmp_path, pipeline, monkeypatch
):
    monkeypatch.setitem(sys.modules, "distributed", None)
    file, out = write(tmp_path / "s.yaml"), tmp_path / "out"
    refused = pipeline("sweep", file, "--sweep-dir", out, "--scheduler", "tcp://h:1")
    assert refused.returncode == 2
    assert "pip install -e '.[cluster]'" in refused.stderr
    assert not out.exists()


def test_a_scheduler_that_does_not_answer_is_refused(tmp_path, pipeline, monkeypatch):
    monkeypatch.setattr(cluster, "TIMEOUT", 0.5)
    out = tmp_path / "out"
    command = ("sweep", write(tmp_path / "s.yaml"), "--sweep-dir", out, "--scheduler")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mute = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        for address, reason in (
            (mute, "silence"),
            ("nonsense://here", "unknown address scheme"),
        ):
            refused = pipeline(*command, address)
            assert refused.returncode == 2
            message = f"Error: No Dask scheduler answers at '{address}' ({reason}"
            assert refused.stderr.startswith(message)
            assert [path.name for path in out.iterdir()] == [LOCK]
