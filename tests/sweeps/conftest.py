"""What the tests of sweeps share: definitions, commands that are stopped midway, and results."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from functools import partial

import pytest
import yaml

from pipeline.parameters import ROOT

QUICK = {"num_samples": 60, "num_validation": 40, "epochs": 4, "hidden_size": 5}
MIDWAY = '''

import os
import signal
import socket

SECONDS, save = 0, Checkpoints.save_when_due


def save_and_stop(self, checkpoint, *generators):
    """Save after each epoch. From the second on seed 13 dies; seed 14 waits at the gate."""
    save(self, checkpoint, *generators)
    seed = get_ipython().user_ns["seed"]
    if len(checkpoint.history) >= 2 and seed == 13 and "DEADLY" in os.environ:
        os.kill(os.getpid(), signal.SIGKILL)
    if len(checkpoint.history) == 2 and seed == 14 and "GATE" in os.environ:
        socket.create_connection(("127.0.0.1", int(os.environ["GATE"]))).recv(1)


Checkpoints.save_when_due = save_and_stop
'''


def write(path, **definition):
    path.write_text(yaml.safe_dump({"name": "trial", "base": QUICK} | definition))
    return path


def read_records(folder):
    """Return the records of all points by their seeds, learning rates and epochs."""
    records = [json.loads(path.read_text()) for path in folder.glob("*/run.json")]
    names = ("seed", "learning_rate", "epochs")
    return {tuple(each["parameters"][name] for name in names): each for each in records}


def read_digests(folder):
    records = read_records(folder)
    return {key: each["metrics"]["weights_sha256"] for key, each in records.items()}


def read_statuses(folder):
    """Return the statuses of all points by their seeds."""
    return {seed: each["status"] for (seed, *_), each in read_records(folder).items()}


def start(*arguments, cwd=ROOT, **environment):
    """Start ``python -m pipeline`` in a process of its own, which Ctrl-C ends."""
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=os.environ | environment,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # ignored in background
    )


class Gate:
    """Where a training with seed 14 that knows the gate's port waits midway."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.settimeout(60)
        self.port = str(self.server.getsockname()[1])

    def wait(self):
        """Return when the training has come midway; it goes on if what is returned is closed."""
        return self.server.accept()[0]


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.server.close()


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """A copy of the project in which trainings with some seeds stop midway, if they are told to."""
    copy = tmp_path_factory.mktemp("project")
    for name in ("pipeline", "notebooks"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("*.pyc"))
    shutil.copy2(ROOT / "helpers.py", copy)
    with (copy / "pipeline" / "checkpoints.py").open("a") as file:
        file.write(MIDWAY)
    return copy


@pytest.fixture(scope="session")
def local(shared, pipeline):
    """A finished sweep over three seeds, and a point of another learning rate, without a report."""

    def make(folder):
        file = write(folder / "s.yaml", grid={"seed": [1, 14, 2]}, points=[{"learning_rate": 0.01}])
        done = pipeline("sweep", file, "--no-report", "--sweep-dir", folder / "out")
        assert done.returncode == 0, done.stderr
        (folder / "log").write_text(done.stdout)

    return shared("local", make)
