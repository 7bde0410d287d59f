import io
import logging
import shutil
import socket
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from unittest import mock

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from pipeline import __main__
from pipeline.images import data
from pipeline.paths import ROOT

EPOCH = {
    "train_error": 0.5,
    "train_accuracy": 0.25,
    "train_error_no_dropout": 0.4,
    "train_accuracy_no_dropout": 0.5,
}
MIDWAY = '''
import os, signal, socket

SECONDS = 0
save = Checkpoints.save_when_due


def save_and_stop(self, checkpoint, *generators):
    """Save after each epoch; then seed 13 dies, and seed 14 stops at the gate, once."""
    save(self, checkpoint, *generators)
    seed = get_ipython().user_ns["seed"]
    if seed == 13 and "DEADLY" in os.environ:
        os.kill(os.getpid(), signal.SIGKILL)
    if seed == 14 and len(checkpoint.history) == 2 and "GATE" in os.environ:
        gate = "127.0.0.1", int(os.environ["GATE"])
        socket.create_connection(gate, timeout=100).recv(1)


Checkpoints.save_when_due = save_and_stop
'''
VALIDATED = EPOCH | {"validation_error": 0.6, "validation_accuracy": 0.75}
# The commands of the README.
COMMANDS = {
    "default": ["run"],
    "true-derivative": ["run", "-p", "relu_grad_inactive", "0"],
    "small": ["sweep", "notebooks/sweeps/small.yaml"],
}


def copy_project(path, more=""):
    """Copy the code and the notebooks of the project, with all that is compiled.

    more: text that is added to checkpoints.py, such as MIDWAY.
    """
    for name in ("pipeline", "notebooks"):
        shutil.copytree(ROOT / name, path / name)
    shutil.copy2(ROOT / "helpers.py", path)
    if more:
        with (path / "pipeline/results/checkpoints.py").open("a") as file:
            file.write(more)
    return path


@pytest.fixture(scope="session")
def pipeline():
    """Return a function that runs ``python -m pipeline`` in this process.

    If it is given options of subprocess.run, it runs the command in a process of its
    own. It returns the finished process.
    """

    def call(*arguments, **options):
        command = [sys.executable, "-m", "pipeline", *map(str, arguments)]
        if options:
            return subprocess.run(command, capture_output=True, text=True, **options)
        out, errors = io.StringIO(), io.StringIO()
        handlers, level = logging.root.handlers[:], logging.getLogger("pipeline").level
        logging.root.handlers = []
        try:
            argv = mock.patch.object(sys, "argv", command[2:])
            with argv, redirect_stdout(out), redirect_stderr(errors):
                code = __main__.call_main()
        finally:
            logging.root.handlers = handlers
            logging.getLogger("pipeline").setLevel(level)
        return subprocess.CompletedProcess(
            command, code, out.getvalue(), errors.getvalue()
        )

    return call


@pytest.fixture(scope="session")
def shared(tmp_path_factory, worker_id):
    """Return a function that makes a folder once for all of pytest's processes.

    Because they share it, tests must leave the folder as it is.
    """
    base = tmp_path_factory.getbasetemp()
    # The worker is called master if there are no others.
    common = base if worker_id == "master" else base.parent

    def make_once(name, make):
        folder = common / name
        with FileLock(common / f"{name}.lock"):
            if not (common / f"{name}.made").exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                (common / f"{name}.made").touch()
        return folder

    return make_once


@pytest.fixture(scope="session")
def runs(shared, pipeline):
    """A folder with two runs and a sweep, each with its log beside it."""

    def make(folder):
        for name, command in COMMANDS.items():
            done = pipeline(*command, f"--{command[0]}-dir", folder / name)
            assert done.returncode == 0, done.stderr
            (folder / f"{name}.log").write_text(done.stdout)

    return shared("runs", make)


@pytest.fixture(scope="session")
def sample():
    """The committed sample, with x_train (2000, 784) and x_test (10000, 784)."""
    arrays = data.load_source("sample").arrays
    return {name: array for name, array in arrays.items() if "validation" not in name}


class Gate(socket.socket):
    """A socket at which trainings of `project` stop, until a test lets them go on.

    They do so if the environment variable GATE is the gate's port.
    """

    def wait(self):
        """Wait for a training, and return its connection; close it to let it go on."""
        return self.accept()[0]


@pytest.fixture(scope="module")
def gate():
    with Gate() as gate:
        gate.settimeout(100)
        gate.bind(("127.0.0.1", 0))
        gate.listen()
        gate.port = str(gate.getsockname()[1])
        yield gate


@pytest.fixture
def small_source(tmp_path):
    """An .npz file in the layout of keras.datasets, with 60 and 30 images of noise.

    Its arrays come with it.
    """
    rng = np.random.default_rng(0)
    arrays = {
        "x_train": rng.integers(0, 256, (60, 28, 28), np.uint8),
        "y_train": rng.integers(0, 10, 60, np.uint8),
        "x_test": rng.integers(0, 256, (30, 28, 28), np.uint8),
        "y_test": rng.integers(0, 10, 30, np.uint8),
    }
    np.savez(tmp_path / "small.npz", **arrays)
    return tmp_path / "small.npz", arrays


def load_optical_digits():
    """Return images (1797, 8, 8) uint8, light on dark, and their labels.

    Source: see tests/data/README.md.
    """
    arrays = np.load(ROOT / "tests" / "data" / "optical_digits.npz")
    return np.round(arrays["images"] * (255 / 16)).astype(np.uint8), arrays["labels"]


def write_pictures(folder, names, count=None):
    """Write the optical digits of some classes into a folder for each.

    Every other one is written dark on light.
    """
    digits, labels = load_optical_digits()
    for place in np.flatnonzero(np.isin(labels, list(names)))[:count]:
        picture = Image.fromarray(digits[place])
        if place % 2:
            picture = Image.eval(picture, lambda value: 255 - value)
            picture = picture.resize((64, 64), Image.Resampling.BICUBIC)
        path = folder / names[int(labels[place])] / f"{place:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
