"""Sweeps on a cluster, with real schedulers and workers.

Some workers come late, are killed, or have another version of a package.
"""

import copy
import json
import logging
import os
import signal
import socket
import subprocess
import sys

import psutil
import pytest
from dask import config

from pipeline.results.files import LOCK
from pipeline.sweeps import cluster
from tests.sweeps.conftest import read_results, wait_for, write

pytestmark = pytest.mark.xdist_group("cluster")

# A worker of this environment could import the project, because of the editable
# install. So this code takes the project off its path.
ALONE = """
import os, sys
sys.path = [path for path in sys.path if not os.path.exists(path + "/helpers.py")]
"""
OTHER_NUMPY = """
import importlib.metadata as metadata

class Numpy:
    name, version = "numpy", "1.0"

true, all = metadata.version, metadata.distributions
metadata.version = lambda name: "1.0" if name == "numpy" else true(name)
metadata.distributions = lambda: [
    Numpy if each.name == "numpy" else each for each in all()
]
"""


class Dask:
    """A scheduler and its workers, each in a folder of its own.

    None of them has the project on its path.
    """

    def __init__(self, folder):
        self.folder, self.processes = folder, []
        self.scheduler = self.start("scheduler", "--port", "0")
        self.address = wait_for(r"Scheduler at: +(\S+)", self.scheduler.stderr)

    def start(self, kind, *options, code="", **environment):
        """Start a scheduler or a worker, which first runs the code."""
        folder = self.folder / str(len(self.processes))
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(ALONE + code)
        own = ("--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0")
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", kind, *own, *options],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(folder)} | environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def add_worker(self, *options, **more):
        """Start a worker with one thread; return its process once it is registered."""
        worker = self.start("worker", self.address, "--nthreads", "1", *options, **more)
        wait_for("Registered to", worker.stderr)
        return worker

    def sweep(self, project, file, out):
        place = ("--no-report", "--sweep-dir", out, "--scheduler", self.address)
        return project.start("sweep", file, *place)

    def close(self):
        for process in self.processes:
            children = psutil.Process(process.pid).children(recursive=True)
            for each in (*children, process):
                each.kill()
            process.wait()


def read_global_state():
    """Return the global state that a sweep changes in its process while it runs."""
    return logging.getLogger("distributed").level, copy.deepcopy(config.config)


@pytest.fixture(scope="module")
def dask(tmp_path_factory, midway, local, gate):
    """A scheduler whose sweep lost its first worker and was finished by a late one.

    It also has a worker with another NumPy. The late worker stops at the gate in each
    training.
    """
    dask = Dask(tmp_path_factory.mktemp("dask"))
    try:
        dask.add_worker("--no-nanny", code=OTHER_NUMPY)
        killed = dask.add_worker("--no-nanny", GATE=gate.port)
        dask.out = dask.folder / "out"
        running = dask.sweep(midway, local / "s.yaml", dask.out)
        training = gate.wait()
        killed.kill()
        assert training.recv(1) == b""  # it has ended with its worker
        lines = []
        while not lines or "points are waiting" not in lines[-1]:
            lines.append(next(running.stdout))
        dask.add_worker(GATE=gate.port)
        for _ in range(3):
            gate.wait().close()
        dask.log, errors = running.communicate(timeout=120)
        assert running.returncode == 0, dask.log + errors
        dask.log = "".join(lines) + dask.log
        yield dask
    finally:
        dask.close()


def test_a_sweep_that_lost_a_worker_says_so_once_and_equals_a_local_one(dask, local):
    assert read_results(dask.out) == read_results(local / "out")
    for path in dask.out.glob("*/run.json"):
        executed = path.with_name("02_train.ipynb").read_text()
        assert f'run_dir = \\"{path.parent}\\"' in executed
    (worker,) = json.loads((dask.out / "sweep.json").read_text())["workers"]
    assert worker["points"] == 3
    assert dask.log.count("3 points are waiting. Start one with dask worker") == 1


def test_workers_that_differ_are_named_and_get_no_points(
    dask, local, tmp_path, pipeline
):
    assert dask.log.count("gets no points") == 1
    assert "gets no points: its numpy is 1.0, not 2." in dask.log
    state = read_global_state()
    place = ("--sweep-dir", tmp_path, "--scheduler", dask.address)
    # By the project, and not by the copy.
    refused = pipeline("sweep", local / "s.yaml", *place)
    assert refused.returncode == 1
    assert "Error: No worker can run the points.\n" in refused.stderr
    assert "its numpy is 1.0, not 2." in refused.stderr
    reason = "it has another version of the project; restart it"
    assert reason in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == [LOCK]
    assert read_global_state() == state


def test_ctrl_c_and_the_end_of_the_scheduler_keep_what_has_finished(
    dask, midway, local, gate, tmp_path
):
    """This has to be the last test, because its second round kills the scheduler."""
    for finished, code, message in (
        (1, 130, "Interrupted. "),
        (2, 1, "Error: The Dask sched"),
    ):
        running = dask.sweep(midway, local / "s.yaml", tmp_path)
        gate.wait().close()
        training = gate.wait()
        wait_for(rf"\[1/{4 - finished}\]", running.stdout)
        if code == 130:
            running.send_signal(signal.SIGINT)
        else:
            dask.scheduler.kill()
        _, errors = running.communicate(timeout=60)
        training.close()
        assert running.returncode == code
        assert message in errors
        assert "Traceback" not in errors
        results = list(read_results(tmp_path).values())
        assert len(results) - results.count("interrupted") == finished


def test_a_scheduler_that_does_not_answer_is_refused(tmp_path, pipeline, monkeypatch):
    monkeypatch.setattr(cluster, "TIMEOUT", 0.5)
    state, out = read_global_state(), tmp_path / "out"
    command = ("sweep", write(tmp_path / "s.yaml"), "--sweep-dir", out, "--scheduler")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mute = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        for address, reason in (
            (mute, "nothing for 0.5 seconds"),
            ("tcp://127.0.0.1:1", "nothing for 0.5 seconds"),
            ("nonsense://here", "unknown address scheme"),
        ):
            refused = pipeline(*command, address)
            assert refused.returncode == 2
            message = f"Error: No Dask scheduler answers at '{address}' ({reason}"
            assert refused.stderr.startswith(message)
            assert [path.name for path in out.iterdir()] == [LOCK]
    assert read_global_state() == state
