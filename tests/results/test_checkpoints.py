"""A training continues from its own checkpoint, and gives the same bits."""

import importlib.metadata
from dataclasses import replace

import nbformat
import numpy as np
import pytest

import helpers
from pipeline import digests
from pipeline.images import data
from pipeline.parameters import Parameters
from pipeline.paths import NOTEBOOKS
from pipeline.results import checkpoints
from pipeline.results.checkpoints import Checkpoint, Checkpoints
from pipeline.results.run_folder import RunFolder
from tests.conftest import EPOCH


@pytest.fixture
def training(small_source, tmp_path, monkeypatch):
    """Return the arguments of Checkpoints, which are then saved after every epoch."""
    monkeypatch.setattr(checkpoints, "SECONDS", 0)
    images, folder = (
        data.split_source(str(small_source[0]), 40, 10),
        RunFolder(tmp_path / "run"),
    )
    folder.write_data(images)
    return [folder, images, {"seed": 1, "epochs": 3}]


@pytest.mark.parametrize(
    "change", ["", "hyperparameters", "data", "code", "numba", "damage"]
)
def test_a_checkpoint_holds_all_of_its_training_and_serves_no_other(
    training, change, monkeypatch, capsys
):
    generators, others = helpers.generators(1), helpers.generators(7)
    state = Checkpoint(helpers.initial_weights(generators[0], 3), [EPOCH], 0.0049)
    Checkpoints(*training).save_when_due(state, *generators)
    folder, images, _ = training
    if change == "hyperparameters":
        training[2] = {"seed": 2, "epochs": 3}
    elif change == "data":
        training[1] = replace(images, y_train=images.y_train[::-1])
    elif change == "code":
        monkeypatch.setattr(checkpoints, "IMPORTED_CODE", {"helpers.py": "0" * 64})
    elif change == "numba":
        monkeypatch.setattr(importlib.metadata, "version", lambda name: f"0 of {name}")
    elif change == "damage":
        folder.checkpoint_path.write_bytes(folder.checkpoint_path.read_bytes()[:1000])
    found = Checkpoints(*training).load(*others)
    if change:
        assert found is None
        problem = (
            "not a whole" if change == "damage" else "of other parameters, data or code"
        )
        assert f"checkpoint.npz is {problem}" in capsys.readouterr().out
        return
    assert "Continuing after epoch 1" in capsys.readouterr().out
    assert all(
        np.array_equal(a, b) for a, b in zip(found.weights, state.weights, strict=True)
    )
    assert (found.history, found.learning_rate) == ([EPOCH], 0.0049)
    draws = [[rng.random_sample() for rng in each] for each in (others, generators)]
    assert draws[0] == draws[1]


def test_the_notebook_continues_with_every_parameter_of_the_training(training):
    """The loop is interrupted at the end of its second epoch, and started again."""
    cells = nbformat.read(NOTEBOOKS / "02_train.ipynb", as_version=4).cells
    source = {cell.id: cell.source for cell in cells}
    names = {"In": ["", source["parameters"], source["check"]]}  # as IPython keeps them
    for cell in ("imports", "parameters"):
        exec(source[cell], names)
    names |= {"run_dir": str(training[0].path), "epochs": 3, "learning_rate_decay": 0.9}
    for cell in ("check", "loop"):
        exec(source[cell], names)
    expected = digests.digest_arrays(*names["weights"]), names["history"]
    training[0].checkpoint_path.unlink()
    train_epoch, calls = names["train_epoch"], []

    def train_some(*arguments, **options):
        metrics = train_epoch(*arguments, **options)
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return metrics

    names["train_epoch"] = train_some
    with pytest.raises(KeyboardInterrupt):
        exec(source["loop"], names)
    exec(source["loop"], names)
    assert (digests.digest_arrays(*names["weights"]), names["history"]) == expected
    assert len(calls) == 4
    used = set(names["options"]) | set(names["depends_on"])
    assert used == set(Parameters.model_fields) - {
        "source",
        "num_samples",
        "num_validation",
    }
