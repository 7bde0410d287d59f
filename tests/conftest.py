import socket
import subprocess
from functools import partial

import numpy as np
import pytest
from PIL import Image

from pipeline.images import data
from pipeline.paths import ROOT
from tests.commands import (
    COMMANDS,
    MIDWAY,
    PATIENCE,
    Project,
    call,
    make_once,
    make_run,
)

EPOCH = {
    "train_error": 0.5,
    "train_accuracy": 0.25,
    "train_error_no_dropout": 0.4,
    "train_accuracy_no_dropout": 0.5,
}
VALIDATED = EPOCH | {"validation_error": 0.6, "validation_accuracy": 0.75}


@pytest.fixture(scope="session")
def pipeline():
    """Return a function that carries out ``python -m pipeline`` in this process."""

    def give(*words):
        return subprocess.CompletedProcess(words, *call(words))

    return give


@pytest.fixture(scope="session")
def shared(request):
    """Return a function that makes a folder once, see `make_once`."""
    return partial(make_once, request.config)


@pytest.fixture(scope="session")
def runs(request):
    """A folder with two runs and a sweep, each with its log beside it."""
    folders = [make_run(request.config, name) for name in COMMANDS]
    return folders[0].parent


@pytest.fixture(scope="session")
def midway(tmp_path_factory):
    """A copy of the project in which trainings with some seeds die, or stop midway."""
    project = Project(tmp_path_factory.mktemp("midway"), MIDWAY)
    yield project
    project.end()


@pytest.fixture
def changing(midway):
    """The same copy, which a test may change."""
    yield midway
    midway.restore()


@pytest.fixture(scope="session")
def copied_project(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("project"))
    yield project
    project.end()


@pytest.fixture
def project(copied_project):
    """A copy of the project, in which a test may change and run whatever it likes."""
    yield copied_project
    copied_project.restore()


@pytest.fixture(scope="session")
def sample():
    """The committed sample, with x_train (2000, 784) and x_test (10000, 784)."""
    arrays = data.load_source("sample").arrays
    return {name: array for name, array in arrays.items() if "validation" not in name}


class Gate(socket.socket):
    """A socket at which trainings of `midway` stop, until a test lets them go on.

    They stop there if the environment variable GATE is the gate's port.
    """

    def wait(self):
        """Wait for a training, and return its connection; close it to let it go on."""
        return self.accept()[0]


@pytest.fixture(scope="module")
def gate():
    with Gate() as gate:
        gate.settimeout(PATIENCE)
        gate.bind(("127.0.0.1", 0))
        gate.listen()
        gate.port = str(gate.getsockname()[1])
        yield gate


def write_noise(path):
    """Write 60 and 30 images of noise in the layout of keras.datasets.

    No image is of the classes 0 to 2. Return the arrays.
    """
    rng = np.random.default_rng(0)
    arrays = {
        "x_train": rng.integers(0, 256, (60, 28, 28), np.uint8),
        "y_train": rng.integers(3, 10, 60, np.uint8),
        "x_test": rng.integers(0, 256, (30, 28, 28), np.uint8),
        "y_test": rng.integers(3, 10, 30, np.uint8),
    }
    np.savez(path, **arrays)
    return arrays


@pytest.fixture
def small_source(tmp_path):
    """An .npz file with images of noise, and its arrays."""
    path = tmp_path / "small.npz"
    return path, write_noise(path)


def load_optical_digits():
    """Return images (1797, 8, 8) uint8, light on dark, and their labels.

    Source: see tests/data/README.md.
    """
    arrays = np.load(ROOT / "tests" / "data" / "optical_digits.npz")
    return np.round(arrays["images"] * (255 / 16)).astype(np.uint8), arrays["labels"]


def write_pictures(folder, names, count=None):
    """Write the optical digits of some classes into a folder for each.

    Every second one is written dark on light.
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
