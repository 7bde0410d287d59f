"""Sweeps on a cluster, with real schedulers and workers."""

import re
import shlex
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from functools import partial
from types import SimpleNamespace
from unittest import mock

import pytest

from pipeline.errors import CommandFailed
from pipeline.parameters import Parameters
from pipeline.paths import NOTEBOOKS
from pipeline.records import RunRecord, to_json
from pipeline.results import provenance
from pipeline.results.files import LOCK
from pipeline.sweeps import cluster
from pipeline.sweeps.training import Refusal
from tests.commands import PATIENCE, make_environment, wait_for
from tests.sweeps.conftest import read_results, write

pytestmark = pytest.mark.xdist_group("cluster")
GUIDE = (NOTEBOOKS / "sweeps" / "README.md").read_text()


class Dask:
    """A scheduler and its workers, each in a folder of its own."""

    def __init__(self, folder, project):
        self.folder, self.project, self.processes = folder, project, []
        place = ("--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0")
        self.scheduler = self.start("scheduler", "--port", "0", *place)
        self.address = wait_for(r"Scheduler at: +(\S+)", self.scheduler.stderr)

    def start(self, kind, *options, **environment):
        """Start a scheduler or a worker."""
        folder = self.folder / str(len(self.processes))
        folder.mkdir()
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", kind, *options],
            cwd=folder,
            env=make_environment(self.project.path) | environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def add_worker(self, **environment):
        """Start the worker of the guide with one thread, and wait until it is known."""
        options = shlex.split(re.search(r"^dask worker \S+ (.*)", GUIDE, re.M)[1])
        place = (self.address, "--nthreads", "1")
        worker = self.start("worker", *place, *options, **environment)
        wait_for("Registered to", worker.stderr)
        return worker

    def sweep(self, file, out):
        place = ("--sweep-dir", out, "--scheduler", self.address)
        return self.project.start("sweep", file, *place)

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()


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


RECORD = RunRecord(parameters=Parameters(), inputs={})
SIX = [f"tcp://h:{port}" for port in range(6)]


@pytest.fixture
def open_cluster(monkeypatch):
    """Return a function that opens a cluster of six workers; only the last can train.

    A real client lists only five workers, too, unless it is asked for all.
    """
    client = mock.MagicMock()
    client.__enter__.return_value = client
    failed = {SIX[0]: ImportError("no pipeline")}
    client.run.return_value = dict.fromkeys(SIX[:5], "differs") | failed
    client.scheduler_info = lambda n_workers=5: {
        "workers": SIX[: n_workers if n_workers > 0 else None]
    }
    client.get_executor = mock.Mock
    monkeypatch.setattr(cluster, "check_scheduler", lambda address: None)
    monkeypatch.setattr(cluster, "Client", lambda *_, **__: client)
    waits = mock.Mock(side_effect=AssertionError("no worker is accepted"))
    monkeypatch.setattr(cluster.time, "sleep", waits)
    return partial(cluster.open_cluster, "tcp://h:1", RECORD, [b"1"])


def test_one_worker_of_six_gets_all_points_and_the_others_are_named(
    open_cluster, caplog
):
    with open_cluster() as trainer:
        assert trainer.executor.workers == SIX[5:]
        trainer.refuse(Refusal(SIX[0], "is named only once"))
    named = [text for text in caplog.messages if "The worker at tcp://h:" in text]
    reasons = [text.partition(" cannot import the project (no")[1] for text in named]
    assert [bool(reason) for reason in reasons] == [True] + 4 * [False]


@pytest.mark.parametrize("error", [CancelledError, RuntimeError])
def test_a_cluster_that_ends_fails_the_sweep(open_cluster, error):
    with pytest.raises(CommandFailed), open_cluster():
        raise error


def test_a_worker_with_a_nanny_or_with_other_versions_cannot_train(monkeypatch):
    monkeypatch.setattr(provenance, "collect_inputs", lambda *_: {"version numpy": "1"})
    wanted = to_json(RECORD.replace(inputs={"version numpy": "2"}))
    reason = cluster.describe_incompatibility(wanted)
    assert reason == "differs in version numpy, which was 2 and is 1"
    daemon = SimpleNamespace(daemon=True)
    monkeypatch.setattr("multiprocessing.current_process", lambda: daemon)
    assert "--no-nanny" in cluster.describe_incompatibility(wanted)


def test_the_threads_of_a_worker_read_its_code_one_after_the_other(monkeypatch):
    """Python 3.11 may fail to parse code in two threads at once."""
    reading = threading.Lock()

    def collect_inputs(*_):
        assert reading.acquire(blocking=False)
        time.sleep(0.05)
        reading.release()
        return {}

    monkeypatch.setattr(provenance, "collect_inputs", collect_inputs)
    record = to_json(RECORD)
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
