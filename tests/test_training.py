"""A training that is killed or interrupted continues to the same bits."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pytest

from pipeline import data
from pipeline.run_folder import RunFolder

ROOT = Path(__file__).parents[1]
LONG = {"hidden_size": 200, "epochs": 40, "learning_rate_decay": 0.99, "relu_grad_inactive": 0}
LONG |= {"dropout_rate": 0.3, "input_dropout_rate": 0.2}


@pytest.fixture
def often_saved(tmp_path):
    """Return how to run in a copy of the project that saves a training ten times as often."""
    copy = tmp_path / "project"
    for name in ("pipeline", "notebooks"):
        shutil.copytree(ROOT / name, copy / name)
    shutil.copy2(ROOT / "helpers.py", copy)
    checkpoints = copy / "pipeline" / "checkpoints.py"
    text = checkpoints.read_text()
    assert text.count("SECONDS = 2.0") == 1
    checkpoints.write_text(text.replace("SECONDS = 2.0", "SECONDS = 0.2"))
    environment = os.environ | {"PYTHONPATH": str(copy)}
    return {"cwd": copy, "env": environment, "stdout": subprocess.PIPE, "text": True}


def count_epochs(folder):
    try:
        with np.load(folder / "checkpoint.npz") as file:
            return len(json.loads(str(file["progress"]))["history"])
    except FileNotFoundError:
        return 0


def test_a_killed_training_continues_to_the_same_bits(tmp_path, often_saved):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    options = [text for name, value in LONG.items() for text in ("-p", name, str(value))]
    command = [sys.executable, "-m", "pipeline", "run", *options, "--run-dir"]
    subprocess.run([*command, whole], check=True, **often_saved)
    done = 0
    for _ in range(2):
        running = subprocess.Popen([*command, killed], start_new_session=True, **often_saved)
        deadline = time.monotonic() + 120
        while count_epochs(killed) <= done:
            assert running.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.005)
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
        done = count_epochs(killed)
        assert not (killed / "metrics.json").exists()
        assert json.loads((killed / "run.json").read_text())["status"] == "running"
    subprocess.run([*command, killed], check=True, **often_saved)
    assert "Continuing after epoch" in (killed / "02_train.ipynb").read_text()
    for name in ("metrics.json", "history.json"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes()
    assert not (killed / "checkpoint.npz").exists()


def test_the_cell_of_the_loop_runs_again_after_an_interruption_within_an_epoch(tmp_path):
    source = data.split_source("sample", 40, 10)
    RunFolder(tmp_path).write_data(
        replace(source, x_test=source.x_test[:9], y_test=source.y_test[:9])
    )
    notebook = nbformat.read(ROOT / "notebooks" / "02_train.ipynb", 4)
    cells = {cell.id: cell.source for cell in notebook.cells}
    results = []
    for interrupted in (False, True):
        names = {"In": [cells["parameters"], cells["check"]]}  # as IPython keeps them
        for cell in ("imports", "parameters"):
            exec(cells[cell], names)
        names |= {"run_dir": str(tmp_path), "epochs": 3, "input_dropout_rate": 0.1}
        for cell in ("check", "weights", "checkpoint"):
            exec(cells[cell], names)
        if interrupted:
            train_epoch = names["train_epoch"]

            def train_half(images, labels, *others, train_epoch=train_epoch, **options):
                train_epoch(images[:20], labels[:20], *others, **options)
                raise KeyboardInterrupt

            names["train_epoch"] = train_half
            with pytest.raises(KeyboardInterrupt):
                exec(cells["loop"], names)
            names["train_epoch"] = train_epoch
        exec(cells["loop"], names)
        results.append((data.compute_sha256(*names["weights"]), names["history"]))
    assert results[0] == results[1]
