"""A training continues to the same bits, and only from a checkpoint of its own."""

import importlib.metadata
from dataclasses import replace

import nbformat
import numpy as np
import pytest

import helpers
from pipeline import checkpoints, data
from pipeline.checkpoints import Checkpoint, Checkpoints
from pipeline.errors import Diverged, InvalidParameter
from pipeline.parameters import NOTEBOOKS, Parameters
from pipeline.run_folder import RunFolder
from tests.conftest import EPOCH


@pytest.fixture
def training(small_source, tmp_path, monkeypatch):
    """Return the arguments of Checkpoints, and those of save_when_due, which are due."""
    monkeypatch.setattr(checkpoints, "SECONDS", 0)
    images = data.split_source(str(small_source[0]), 40, 10)
    generators = helpers.generators(1)
    weights = helpers.initial_weights(generators[0], 3)
    generators[1].random_sample(5)
    state = Checkpoint(weights, [EPOCH], 0.0049)
    folder = RunFolder(tmp_path / "run")
    folder.write_data(images)
    return [folder, images, {"seed": 1, "epochs": 3}], (state, *generators)


def test_a_checkpoint_holds_all_that_training_needs(training, capsys):
    arguments, (state, *generators) = training
    assert Checkpoints(*arguments).load() is None
    Checkpoints(*arguments).save_when_due(state, *generators)
    others = helpers.generators(7)
    found = Checkpoints(*arguments).load(*others)
    assert "Continuing after epoch 1" in capsys.readouterr().out
    assert all(np.array_equal(a, b) for a, b in zip(found.weights, state.weights, strict=True))
    assert (found.history, found.learning_rate) == (state.history, state.learning_rate)
    draws = [[rng.random_sample() for rng in each] for each in (others, generators)]
    assert draws[0] == draws[1]


@pytest.mark.parametrize("change", ["hyperparameters", "data", "code", "numba", "damage"])
def test_a_checkpoint_of_something_else_is_not_used(training, change, monkeypatch, capsys):
    arguments, state = training
    Checkpoints(*arguments).save_when_due(*state)
    folder, images, _ = arguments
    if change == "hyperparameters":
        arguments[2] = {"seed": 2, "epochs": 3}
    elif change == "data":
        arguments[1] = replace(images, y_train=images.y_train[::-1])
    elif change == "code":
        monkeypatch.setattr(checkpoints, "IMPORTED_CODE", {"helpers.py": "0" * 64})
    elif change == "numba":
        monkeypatch.setattr(importlib.metadata, "version", lambda name: f"0 of {name}")
    else:
        folder.checkpoint.write_bytes(folder.checkpoint.read_bytes()[:1000])
    assert Checkpoints(*arguments).load() is None
    problem = "is not a whole" if change == "damage" else "is of other parameters, data or code"
    assert f"checkpoint.npz {problem}" in capsys.readouterr().out


def test_another_ones_file_of_that_name_is_not_replaced(training, tmp_path):
    (tmp_path / "checkpoint.npz").write_bytes(b"mine")
    with pytest.raises(InvalidParameter, match=r"holds checkpoint\.npz, which would be replaced"):
        Checkpoints(RunFolder(tmp_path), *training[0][1:])


def test_a_metric_that_is_not_finite_has_diverged():
    checkpoints.check_finite(EPOCH, 3, 0.5)
    message = "train_error became inf in epoch 4, with learning_rate 0.5: .* Make learning_rate"
    with pytest.raises(Diverged, match=message):
        checkpoints.check_finite(EPOCH | {"train_error": np.inf}, 3, 0.5)


def test_the_notebook_continues_with_every_parameter_of_the_training(training):
    """Its loop is interrupted within its second epoch, and begun again."""
    (folder, _, _), _ = training
    cells = nbformat.read(NOTEBOOKS / "02_train.ipynb", as_version=4).cells
    source = {cell.id: cell.source for cell in cells}
    names = {"In": ["", source["parameters"], source["check"]]}  # as IPython keeps them
    for cell in ("imports", "parameters"):
        exec(source[cell], names)
    names |= {"run_dir": str(folder.path), "epochs": 3, "input_dropout_rate": 0.1}
    for cell in ("check", "checkpoint", "loop"):
        exec(source[cell], names)
    expected = data.compute_sha256(*names["weights"]), names["history"]
    folder.checkpoint.unlink()
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
    assert (data.compute_sha256(*names["weights"]), names["history"]) == expected
    assert len(calls) == 4
    used = set(names["options"]) | set(names["schedule"]) | {"hidden_size", "seed"}
    assert used == set(Parameters.model_fields) - {"source", "num_samples", "num_validation"}
