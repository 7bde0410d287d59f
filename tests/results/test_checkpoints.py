"""A training continues from its own checkpoint.

That it then gives the same bits is tested in test_promises.
"""

from unittest import mock

import numpy as np
import pytest

import helpers
from pipeline.images import data
from pipeline.parameters import Parameters
from pipeline.records import RunRecord
from pipeline.results import checkpoints
from pipeline.results.checkpoints import Checkpoints
from pipeline.results.stage_folder import LabFolder, StageFolder
from tests.conftest import EPOCH

RATE = 0.0049


@pytest.fixture
def folder(small_source, tmp_path, monkeypatch):
    """A folder of a run in progress, whose checkpoint is saved after every epoch."""
    monkeypatch.setattr(checkpoints, "SECONDS", 0)
    folder = StageFolder(tmp_path)
    folder.write_data(data.split_source(str(small_source[0]), 40, 10))
    return folder


@pytest.fixture
def record():
    inputs = {"array x_train": "3" * 64, "cells 03_evaluate": "4" * 64}
    return RunRecord(parameters=Parameters(), inputs=inputs)


def save(folder, record):
    """Leave what a run killed after an epoch leaves behind; return its state."""
    folder.write_record(record)
    generators = helpers.generators(1)
    weights = helpers.initial_weights(generators[0], 3)
    Checkpoints(folder).save_when_due(weights, [EPOCH], RATE, *generators)
    return weights, generators


def begin(folder):
    """Begin a training, and return its weights, history, rate and generators."""
    generators = helpers.generators(7)
    weights = helpers.initial_weights(generators[0], 3)
    return *Checkpoints(folder).begin(weights, 0.1, *generators), generators


def test_at_least_two_seconds_lie_between_two_saves(folder, record, monkeypatch):
    clock, saved = mock.Mock(), []
    monkeypatch.setattr(checkpoints, "SECONDS", 2)
    monkeypatch.setattr(checkpoints, "time", clock)
    monkeypatch.setattr(
        checkpoints, "atomic_write", lambda *_: saved.append(clock.monotonic())
    )
    folder.write_record(record)
    clock.monotonic.return_value = 0
    running = Checkpoints(folder)
    for second in range(6):
        clock.monotonic.return_value = second
        running.save_when_due(
            helpers.initial_weights(np.random.RandomState(1), 3), [EPOCH], RATE
        )
    assert saved == [2, 4]


def change(record, name):
    return record.replace(inputs=record.inputs | {name: "5" * 64})


def test_a_change_that_no_training_depends_on_keeps_the_checkpoint(folder, record):
    save(folder, record)
    folder.write_record(change(record, "cells 03_evaluate"))
    assert begin(folder)[1] == [EPOCH]


@pytest.mark.parametrize("name", ["array x_train", "code helpers.py", "seed", "damage"])
def test_another_training_begins_with_its_own_weights(folder, record, name):
    save(folder, record)
    if name == "damage":
        folder.checkpoint_path.write_bytes(folder.checkpoint_path.read_bytes()[:1000])
    elif name == "seed":
        folder.write_record(record.replace(parameters=Parameters(seed=2)))
    else:
        folder.write_record(change(record, name))
    assert begin(folder)[1:3] == ([], 0.1)


def test_a_notebook_that_runs_alone_neither_saves_nor_continues(folder, record):
    weights, generators = save(folder, record)
    content = folder.checkpoint_path.read_bytes()
    alone = LabFolder(folder.path, {}, [])
    assert begin(alone)[1:3] == ([], 0.1)
    Checkpoints(alone).save_when_due(weights, [EPOCH, EPOCH], RATE, *generators)
    assert folder.checkpoint_path.read_bytes() == content
