"""Sweeps on a cluster, with real schedulers and workers that come late, are killed, or differ."""

import json
import os
import re
import signal
import subprocess
import sys

import psutil
import pytest

from pipeline.parameters import ROOT
from pipeline.sweeps import cluster
from tests.sweeps.conftest import read_digests, read_statuses, start, write

ALONE = f"import sys\nsys.path = [path for path in sys.path if path != {str(ROOT)!r}]\n"


class Dask:
    """A scheduler, and workers in folders of their own; none finds the project on a path."""

    def __init__(self, folder):
        self.folder, self.processes = folder, []
        (folder / "path").mkdir()
        (folder / "path" / "sitecustomize.py").write_text(ALONE)
        options = ("--port", "0", "--dashboard-address", "127.0.0.1:0")
        self.scheduler = self.start("scheduler", *options)
        self.address = wait_for(r"Scheduler at: +(\S+)", self.scheduler.stderr)

    def start(self, kind, *options, **environment):
        """Start a scheduler or a worker; environment: more of it."""
        folder = self.folder / str(len(self.processes))
        folder.mkdir()
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", kind, "--host", "127.0.0.1", *options],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(self.folder / "path")} | environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def add_worker(self, *options, **environment):
        """Start a worker with a thread, and return its process when it has registered."""
        more = (self.address, "--nthreads", "1", "--dashboard-address", "127.0.0.1:0")
        worker = self.start("worker", *more, *options, **environment)
        wait_for("Registered to", worker.stderr)
        return worker

    def sweep(self, file, out, **options):
        place = ("--no-report", "--sweep-dir", out, "--scheduler", self.address)
        return start("sweep", file, *place, **options)

    def close(self, processes):
        for process in processes:
            for each in [*psutil.Process(process.pid).children(recursive=True), process]:
                each.kill()
            process.wait()


def wait_for(pattern, stream):
    """Read lines until one has the pattern; return its group, if it has one."""
    for line in stream:
        if found := re.search(pattern, line):
            return found[found.lastindex or 0]
    raise AssertionError(f"{pattern} was not written")


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """A scheduler without workers, for several tests."""
    dask = Dask(tmp_path_factory.mktemp("dask"))
    yield dask
    dask.close(dask.processes[:1])


@pytest.fixture
def dask(scheduler):
    """The scheduler; the workers of a test end with it."""
    yield scheduler
    scheduler.close(scheduler.processes[1:])
    del scheduler.processes[1:]


def test_a_sweep_survives_a_worker_and_equals_a_local_one(dask, project, local, gate, tmp_path):
    first = dask.add_worker("--no-nanny", GATE=gate.port)
    out = tmp_path / "out"
    running = dask.sweep(local / "s.yaml", out, cwd=project)
    gate.wait()
    first.kill()
    dask.add_worker("--nthreads", "2")
    log, errors = running.communicate()
    assert running.returncode == 0, log + errors
    assert read_digests(out) == read_digests(local / "out")
    for path in out.glob("*/run.json"):
        assert f'run_dir = \\"{path.parent}\\"' in path.with_name("02_train.ipynb").read_text()
