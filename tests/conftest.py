import gc
import io
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

import numpy as np
import psutil
import pytest
from filelock import FileLock
from PIL import Image
from xdist.scheduler import LoadScopeScheduling

from pipeline import __main__, datasets, storage

gc.set_threshold(10_000)  # as in commands
log = logging.getLogger("pipeline")
EPOCH = {"train_error": 0.5, "train_accuracy": 0.25, "train_error_no_dropout": 0.4, "train_accuracy_no_dropout": 0.5}
VALIDATED = EPOCH | {"validation_error": 0.6, "validation_accuracy": 0.75}
IN_ONE_PROCESS = ("tests/test_browser.py", "tests/test_bad_inputs.py")  # a browser and JupyterLab, and a fork server
LONGEST = ("test_cluster", "test_every_output", "test_browser", "test_execution", "test_training", "test_project")


for _name in ("SIGINT", "SIGHUP", "SIGQUIT", "SIGTERM"):
    if (_number := getattr(signal, _name, None)) and signal.getsignal(_number) == signal.SIG_IGN:
        # as a shell has it that starts these tests in the background
        signal.signal(_number, signal.default_int_handler if _name == "SIGINT" else signal.SIG_DFL)


def pytest_xdist_auto_num_workers():
    """Have one process more than there are cores, since many tests wait for another: a browser, a cluster, a kernel."""
    return (os.cpu_count() or 1) + 1


class Scheduler(LoadScopeScheduling):
    """Give each process the next test, but for those files whose tests share what takes long to start."""

    def _split_scope(self, nodeid):
        return next((name for name in IN_ONE_PROCESS if name in nodeid), nodeid)


def pytest_xdist_make_scheduler(config, log):
    return Scheduler(config, log)


def pytest_collection_finish():
    """Have what has been imported not looked through for garbage any more: 2 s of processor time in each process."""
    gc.freeze()


def pytest_collection_modifyitems(items):
    """Begin with what takes longest, so that no process works on it alone at the end."""
    items.sort(key=lambda item: next((n for n, name in enumerate(LONGEST) if name in item.nodeid), len(LONGEST)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """Escape what was captured of hostile names: pytest's processes send each other UTF-8 alone."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(scope="session")
def sample():
    """Return the committed sample, flattened: x_train (2000, 784), y_train, x_test (10000, 784), y_test."""
    arrays = datasets.load_source("sample").arrays
    return {name: array for name, array in arrays.items() if "validation" not in name}


@pytest.fixture(scope="session")
def pipeline():
    """Return a function that does what ``python -m pipeline`` does, and returns its output and exit code.

    It does so in this process, which has everything imported and a fork server; with options for subprocess.run, in a
    process of its own. An error that the command line does not handle is raised here, and is a traceback there.
    """

    def call(*arguments, **options):
        command = [sys.executable, "-m", "pipeline", *map(str, arguments)]
        if options:
            return without_log(subprocess.run(command, capture_output=True, text=True, **options))
        out, errors, level = io.StringIO(), io.StringIO(), log.level
        with mock.patch.object(sys, "argv", command[2:]), redirect_stdout(out), redirect_stderr(errors):
            try:
                code = __main__._exit_code()
            finally:
                log.handlers = []
                log.setLevel(level)
        return without_log(subprocess.CompletedProcess(command, code, out.getvalue(), errors.getvalue()))

    return call


@pytest.fixture(scope="session")
def shared(tmp_path_factory, worker_id):
    """Return a function that makes a folder once for all of pytest's processes: shared(name, make).

    Tests must leave the folder as it is.
    """
    base = tmp_path_factory.getbasetemp()
    common = base if worker_id == "master" else base.parent  # master: there are no others

    def made(name, make):
        folder = common / name
        with FileLock(common / f"{name}.lock"):
            if not (common / f"{name}.made").exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                (common / f"{name}.made").touch()
        return folder

    return made


def without_log(done):
    """Remove the log of an error that a test has provoked from runs/. Return the finished process that was given."""
    for left in map(Path, re.findall("The traceback is in (.*)", done.stderr)):
        if left.is_relative_to(storage.RUNS):
            left.unlink(missing_ok=True)
    return done


@pytest.fixture(scope="session")
def only_here(tmp_path_factory, worker_id):
    """Return a function that fails if another of pytest's processes has called it with this name; see `Scheduler`.

    One that has crashed is no other: xdist has its tests go on elsewhere.
    """
    base = tmp_path_factory.getbasetemp()

    def check(name):
        path = (base if worker_id == "master" else base.parent) / f"{name}.process"
        assert not (path.exists() and psutil.pid_exists(int(path.read_text()))), f"{name} was started twice"
        path.write_text(str(os.getpid()))

    return check


MADE_ONCE = {
    "default": ["run"],
    "true-derivative": ["run", "-p", "relu_grad_inactive", "0"],
    "small": ["sweep", "notebooks/sweeps/small.yaml"],
}  # by the commands of the README


@pytest.fixture(scope="session")
def runs(shared, pipeline):
    """A folder with two runs and a sweep, from `MADE_ONCE`, each with its log beside it."""

    def make(folder):
        for name, command in MADE_ONCE.items():
            done = pipeline(*command, f"--{command[0]}-dir", folder / name)
            assert done.returncode == 0, done.stderr
            (folder / f"{name}.log").write_text(done.stdout)

    return shared("runs", make)


def write_small_source(folder):
    """Write an .npz file in the layout of keras.datasets.mnist: 60 training and 30 test images of noise."""
    rng = np.random.default_rng(0)
    arrays = {
        "x_train": rng.integers(0, 256, (60, 28, 28), np.uint8),
        "y_train": rng.integers(0, 10, 60, np.uint8),
        "x_test": rng.integers(0, 256, (30, 28, 28), np.uint8),
        "y_test": rng.integers(0, 10, 30, np.uint8),
    }
    np.savez(folder / "small.npz", **arrays)
    return folder / "small.npz", arrays


@pytest.fixture
def small_source(tmp_path):
    return write_small_source(tmp_path)


def optical_digits():
    """Return images (1797, 8, 8) uint8, light on dark, and labels; tests/data/README.md says whose they are."""
    arrays = np.load(storage.ROOT / "tests" / "data" / "optical_digits.npz")
    return np.round(arrays["images"] * (255 / 16)).astype(np.uint8), arrays["labels"]


def write_pictures(folder, names, count=None):
    """Write the first optical digits that have a name into the folders of these names; every other one dark on light.

    Those are larger, too.
    """
    digits, labels = optical_digits()
    for place in np.flatnonzero(np.isin(labels, list(names)))[:count]:
        picture = Image.fromarray(digits[place])
        if place % 2:
            picture = Image.eval(picture, lambda value: 255 - value).resize((64, 64), Image.Resampling.BICUBIC)
        path = folder / names[int(labels[place])] / f"{place:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)


@pytest.fixture(scope="session")
def pictures_run(shared, pipeline):
    """A folder with all optical digits as pictures, by names, and beside it the run that the README shows."""
    names = dict(enumerate(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]))

    def make(folder):
        write_pictures(folder / "pictures", names)
        values = {"source": folder / "pictures", "num_samples": 1154, "num_validation": 288, "relu_grad_inactive": 0}
        options = [text for name, value in values.items() for text in ("-p", name, value)]
        done = pipeline("run", "--run-dir", folder / "run", *options)
        assert done.returncode == 0, done.stderr

    return shared("pictures", make)
