"""What the tests of sweeps share: definitions, one finished sweep, and what is on disk of it."""

import json
import shutil
import time

import nbformat
import pytest
import yaml

from pipeline import storage

QUICK = {"num_samples": 60, "num_validation": 40, "epochs": 2, "hidden_size": 5}
GRID = {"learning_rate": [0.005, 0.01, 0.02], "seed": [1, 2]}


def write(path, **definition):
    path.write_text(yaml.safe_dump({"name": "trial", "base": QUICK} | definition))
    return path


def records(folder):
    """From a point's id to its learning rate, its seed, and the digest of its weights."""
    found = {}
    for path in sorted(folder.glob("*/run.json")):
        record = json.loads(path.read_text())
        digest = record.get("metrics", {}).get("weights_sha256")
        found[path.parent.name] = (record["parameters"]["learning_rate"], record["parameters"]["seed"], digest)
    return found


def wait_for_points(out, count, running):
    deadline = time.monotonic() + 120
    while len(list(out.glob("*/run.json"))) < count:
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="session")
def local(shared, pipeline):
    """A finished sweep of six points, and its log."""

    def make(folder):
        done = pipeline("sweep", write(folder / "s.yaml", grid=GRID), "--workers", "2", "--sweep-dir", folder / "out")
        assert done.returncode == 0, done.stderr
        (folder / "log").write_text(done.stdout)

    folder = shared("local", make)
    return folder, (folder / "log").read_text()


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project whose 02_train, for some seeds, kills its kernel, its Dask worker, or takes for ever."""
    copy = tmp_path_factory.mktemp("project")
    for name in ("pipeline", "notebooks", "__pycache__"):  # the last with what Numba has compiled
        shutil.copytree(storage.ROOT / name, copy / name, ignore=shutil.ignore_patterns("*.pyc"))
    shutil.copy2(storage.ROOT / "helpers.py", copy)
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
