"""How the files of runs and sweeps appear and disappear, whichever process writes them.

A kill at any moment leaves no file that is half written, and none without the files it
was made from.
"""

import os
from pathlib import Path

import pytest

from pipeline.paths import ROOT
from tests.conftest import write_noise

# Python imports this when it starts, as does the fork server, and so each notebook.
WATCH = """
import os, sys

def watch(event, arguments):
    if event == "os.rename":
        log("rename", arguments[1])  # the new name
    elif event == "os.remove":
        log("remove", arguments[0])
    elif event == "open" and not isinstance(arguments[0], int):
        path, mode, flags = arguments
        if flags & (os.O_WRONLY | os.O_RDWR) and os.fspath(path) != LOG:
            log("write", path)

def log(action, path):
    with open(LOG, "a") as file:
        file.write(f"{action} {os.fspath(path)}\\n")

if LOG := os.environ.get("WATCHED"):
    sys.addaudithook(watch)
"""
# Makes a run, then again with fewer images, and at last a sweep.
SCRIPT = """
import sys
from pipeline import parameters
from pipeline.execution import runs
from pipeline.sweeps.execution import run_sweep
from pipeline.sweeps.sweep import prepare_sweep

source, *folders = sys.argv[1:]
for count in (40, 30):
    values = {"source": source, "num_samples": count, "num_validation": 10, "epochs": 1}
    runs.run(parameters.from_values(values), folders[0], force=True)
run_sweep(prepare_sweep({"name": "a", "base": values}, folders[1]))
"""
pytestmark = pytest.mark.xdist_group("order")  # so that `log` is made once
ORDER = ["data.npz", "history.json", "model.npz", "answers.npz", "metrics.json"]


def read_changes(log, folder):
    """Return the changes of a folder's results, each as an action and a file."""
    changes, present = [], set()
    for line in log.read_text().splitlines():
        kind, _, text = line.partition(" ")
        path = Path(text)
        if path.parent == folder and path.name in ORDER:
            if kind == "rename" or path.name in present:
                changes.append((kind, path.name))
            (present.add if kind == "rename" else present.discard)(path.name)
    return changes


@pytest.fixture(scope="module")
def log(tmp_path_factory, midway):
    """What SCRIPT changes; in this copy of the project, an epoch saves a checkpoint."""
    folder = tmp_path_factory.mktemp("watched")
    (folder / "sitecustomize.py").write_text(WATCH)
    write_noise(folder / "small.npz")
    path = os.pathsep.join([str(folder), str(midway.path), str(ROOT)])
    words = ["-c", SCRIPT, folder / "small.npz", folder / "run", folder / "sweep"]
    log = folder / "log"
    midway.run_python(*words, PYTHONPATH=path, WATCHED=str(log))
    return log


def test_no_file_is_written_in_place(log):
    lines = log.read_text().splitlines()
    written = [Path(line.removeprefix("write ")) for line in lines if "write " in line]
    folders = log.with_name("run"), log.with_name("sweep")
    # filelock opens each folder, to find out whether files in it can be locked.
    files = {path.name for path in written if log.parent in path.parents}
    files -= {path.name for path in folders}
    assert not {name for name in files if not name.startswith(".")}
    assert {name.split(".")[1] for name in files} > {"checkpoint", "sweep"}


def test_results_appear_after_what_they_are_made_from_and_go_before_it(log):
    changes = read_changes(log, log.with_name("run"))
    written = [("rename", name) for name in ORDER]
    assert changes[:5] == changes[10:] == written
    *first, _, _, last = changes[5:10]  # of those of the training, any goes first
    assert first == [("remove", "metrics.json"), ("remove", "answers.npz")]
    assert last == ("remove", "data.npz")
