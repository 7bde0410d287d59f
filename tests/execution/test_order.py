"""How the files of runs and sweeps appear and disappear, whichever process writes them.

A kill at any moment leaves no file that is half written, and none without the files it
was made from.
"""

import os
from pathlib import Path

from pipeline.paths import ROOT

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
# Makes a run, and lets notebooks run in a folder without a record; then again, with
# fewer images. At last it makes a sweep.
SCRIPT = """
import sys
from pathlib import Path
from pipeline import parameters
from pipeline.engine import notebooks
from pipeline.execution import runs
from pipeline.results.stages import STAGES
from pipeline.sweeps.execution import run_sweep
from pipeline.sweeps.sweep import prepare_sweep

source, *folders = sys.argv[1:]
Path(folders[1]).mkdir()
for count in (40, 30):
    values = {"source": source, "num_samples": count, "num_validation": 10, "epochs": 1}
    runs.run(parameters.from_values(values), folders[0], force=True)
    for stage in STAGES:
        executed = Path(folders[1]) / stage.executed_name
        notebooks.execute(stage.notebook, executed, values | {"run_dir": folders[1]})
run_sweep(prepare_sweep({"name": "a", "base": values}, folders[2]))
"""
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


def test_results_appear_whole_after_what_they_are_made_from_and_go_before_it(
    small_source, tmp_path, midway
):
    """In this copy of the project, each epoch writes a checkpoint."""
    (tmp_path / "sitecustomize.py").write_text(WATCH)
    log = tmp_path / "log"
    folders = [tmp_path / name for name in ("run", "alone", "sweep")]
    path = os.pathsep.join([str(tmp_path), str(midway.path), str(ROOT)])
    words = ["-c", SCRIPT, small_source[0], *folders]
    midway.run_python(*words, PYTHONPATH=path, WATCHED=str(log))
    lines = log.read_text().splitlines()
    written = [Path(line.removeprefix("write ")) for line in lines if "write " in line]
    inside = [path for path in written if path.is_relative_to(tmp_path)]
    # filelock opens each folder, to find out whether files in it can be locked.
    files = {path.name for path in inside if path not in folders}
    in_place = {name for name in files if not name.startswith(".")}
    assert not in_place
    assert {name.split(".")[1] for name in files} > {"checkpoint", "sweep"}
    for folder in folders[:2]:
        changes = read_changes(log, folder)
        written = [("rename", name) for name in ORDER]
        assert changes[:5] == changes[10:] == written
        *first, _, _, last = changes[5:10]  # of those of the training, any goes first
        assert first == [("remove", "metrics.json"), ("remove", "answers.npz")]
        assert last == ("remove", "data.npz")
