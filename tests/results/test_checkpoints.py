"""A training continues from its own checkpoint.

That it then gives the same bits is tested in test_promises.
"""

import numpy as np
import pytest

import helpers
from pipeline.images import data
from pipeline.parameters import Parameters
from pipeline.records import RunRecord
from pipeline.results import checkpoints
from pipeline.results.checkpoints import Checkpoint, Checkpoints, prepare_to_resume
from pipeline.results.run_folder import RUN_DIR_VARIABLE, RunFolder
from tests.conftest import EPOCH

WEIGHTS = np.zeros((784, 3)), np.zeros((3, 10))


@pytest.fixture
def folder(small_source, tmp_path, monkeypatch):
    """A folder of a run in progress, whose checkpoint is saved after every epoch."""
    monkeypatch.setattr(checkpoints, "SECONDS", 0)
    folder = RunFolder(tmp_path / "run")
    monkeypatch.setenv(RUN_DIR_VARIABLE, str(folder.path))
    folder.write_data(data.split_source(str(small_source[0]), 40, 10))
    return folder


@pytest.fixture
def record():
    inputs = {"array x_train": "3" * 64, "cells 03_evaluate": "4" * 64}
    return RunRecord(parameters=dict(Parameters()), inputs=inputs)


def save(folder, record):
    """Leave what a run killed after an epoch leaves behind; return its state."""
    folder.write_record(record)
    generators = helpers.generators(1)
    state = Checkpoint(helpers.initial_weights(generators[0], 3), [EPOCH], 0.0049)
    Checkpoints(folder).save_when_due(state, *generators)
    return state, generators


def test_a_checkpoint_holds_all_of_its_training(folder, record, capsys):
    state, generators = save(folder, record)
    found = Checkpoints(folder).load(*(others := helpers.generators(7)))
    assert "Continuing after epoch 1" in capsys.readouterr().out
    for ours, theirs in zip(found.weights, state.weights, strict=True):
        assert np.array_equal(ours, theirs)
    assert (found.history, found.learning_rate) == ([EPOCH], 0.0049)
    draws = [[rng.random_sample() for rng in each] for each in (others, generators)]
    assert draws[0] == draws[1]


def test_generators_of_numpys_newer_kind_continue_too(folder, record):
    folder.write_record(record)
    before, after = np.random.default_rng(1), np.random.default_rng(2)
    state = Checkpoint(helpers.initial_weights(before, 3), [EPOCH], 0.1)
    Checkpoints(folder).save_when_due(state, before)
    Checkpoints(folder).load(after)
    assert before.random() == after.random()


def change(record, name):
    return record.replace(inputs=record.inputs | {name: "5" * 64})


def test_a_checkpoint_survives_a_change_that_no_training_depends_on(folder, record):
    save(folder, record)
    record = change(record, "cells 03_evaluate")
    assert prepare_to_resume(folder, record).resumed_after_epoch == 1
    assert folder.checkpoint_path.exists()


@pytest.mark.parametrize("name", ["array x_train", "code helpers.py", "seed", "damage"])
def test_a_checkpoint_of_another_training_is_deleted(folder, record, name):
    save(folder, record)
    if name == "damage":
        folder.checkpoint_path.write_bytes(folder.checkpoint_path.read_bytes()[:1000])
    elif name == "seed":
        record = record.replace(parameters=record.parameters | {"seed": 2})
    else:
        record = change(record, name)
    assert prepare_to_resume(folder, record) == record
    assert not folder.checkpoint_path.exists()


def test_a_notebook_does_not_continue_another_training(folder, record):
    save(folder, record)
    folder.write_record(change(record, "code helpers.py"))
    assert Checkpoints(folder).load(*helpers.generators(1)) is None


def test_a_notebook_that_runs_alone_neither_saves_nor_continues(
    folder, record, monkeypatch
):
    save(folder, record)
    content = folder.checkpoint_path.read_bytes()
    monkeypatch.delenv(RUN_DIR_VARIABLE)
    alone, generators = Checkpoints(folder), helpers.generators(1)
    assert alone.load(*generators) is None
    weights = helpers.initial_weights(generators[0], 4)
    alone.save_when_due(Checkpoint(weights, [EPOCH], 0.1), *generators)
    assert folder.checkpoint_path.read_bytes() == content
