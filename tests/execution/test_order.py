"""The order in which a run's files appear and disappear, whichever process writes them.

It ensures that a kill at any moment leaves no file without those it was made from.
"""

import os
import subprocess
import sys
from pathlib import Path

from pipeline.paths import ROOT

# Python imports this when it starts, as does the fork server, and so each notebook.
WATCH = """
import os, sys

def watch(event, arguments):
    if event in ("os.rename", "os.remove"):
        path = os.fspath(arguments[event == "os.rename"])  # of a rename, the new one
        with open(LOG, "a") as file:
            file.write(f"{event.removeprefix('os.')} {path}\\n")

if LOG := os.environ.get("WATCHED"):
    sys.addaudithook(watch)
"""
# Makes a run, and lets notebooks run in a folder without a record; then again, with
# fewer images.
TWICE = """
import sys
from pathlib import Path
from pipeline import parameters
from pipeline.execution import notebooks, runs
from pipeline.results.stages import STAGES

source, *folders = sys.argv[1:]
for count in (40, 30):
    values = {"source": source, "num_samples": count, "num_validation": 10, "epochs": 1}
    runs.run(parameters.from_values(values), folders[0], force=True)
    for stage in STAGES:
        executed = Path(folders[1]) / stage.executed_name
        notebooks.execute(stage.notebook, executed, values | {"run_dir": folders[1]})
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


def test_results_appear_after_what_they_are_made_from_and_go_before_it(
    small_source, tmp_path
):
    (tmp_path / "sitecustomize.py").write_text(WATCH)
    log, folders = tmp_path / "log", [tmp_path / "run", tmp_path / "alone"]
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    command = [sys.executable, "-c", TWICE, small_source[0], *folders]
    environment = os.environ | {"PYTHONPATH": path, "WATCHED": str(log)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for folder in folders:
        changes = read_changes(log, folder)
        written = [("rename", name) for name in ORDER]
        assert changes[:5] == changes[10:] == written
        *first, _, _, last = changes[5:10]  # of those of the training, any goes first
        assert first == [("remove", "metrics.json"), ("remove", "answers.npz")]
        assert last == ("remove", "data.npz")
