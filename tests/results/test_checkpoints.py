"""A training continues from its own checkpoint.

That it then gives the same bits is tested in test_promises.
"""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

import helpers
from pipeline import digests
from pipeline.images import data
from pipeline.parameters import Parameters
from pipeline.records import Inputs, Machine, RunRecord, Status
from pipeline.results import checkpoints
from pipeline.results.checkpoints import Checkpoint, Checkpoints, keep_checkpoint
from pipeline.results.run_folder import RUN_DIR_VARIABLE, RunFolder
from tests.conftest import EPOCH


@pytest.fixture
def folder(small_source, tmp_path, monkeypatch):
    """A folder in which a run goes on, whose checkpoint is saved after every epoch."""
    monkeypatch.setattr(checkpoints, "SECONDS", 0)
    folder = RunFolder(tmp_path / "run")
    monkeypatch.setenv(RUN_DIR_VARIABLE, str(folder.path))
    folder.write_data(data.split_source(str(small_source[0]), 40, 10))
    return folder


@pytest.fixture
def record():
    inputs = Inputs(data="d", notebooks={}, rule=digests.RULE, versions={"numpy": "2"})
    started = datetime.now(UTC) - timedelta(seconds=60)
    fields = {"parameters": dict(Parameters()), "arrays": {"x_train": "3" * 64}}
    return RunRecord(inputs=inputs, started=started, **fields)


def save(folder, record):
    """Leave what a run leaves that was killed after an epoch; return its state."""
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


def test_a_checkpoint_of_the_same_run_is_kept_and_its_time_added(folder, record):
    save(folder, record.replace(earlier_s=100))
    begun = record.replace(started=datetime.now(UTC))
    kept = keep_checkpoint(folder, begun)
    assert folder.checkpoint_path.exists()
    assert kept.resumed_after_epoch == 1
    assert 159 < kept.earlier_s < 200
    assert kept.started == begun.started


def test_a_run_that_is_continued_elsewhere_names_both_machines(folder, record):
    fields = {"system": "Linux", "processor": "p", "blas": "b 1"}
    first, second = (Machine(cores=cores, **fields) for cores in (2, 8))
    save(folder, record.replace(machines=[first]))
    kept = keep_checkpoint(folder, record.replace(machines=[second]))
    assert kept.machines == [first, second]
    folder.write_record(kept)
    assert keep_checkpoint(folder, record.replace(machines=[first])).machines == [
        first,
        second,
    ]


@pytest.mark.parametrize(
    "name", ["seed", "images", "code", "versions", "damage", "no record"]
)
def test_a_checkpoint_of_another_run_is_deleted(folder, record, name):
    save(folder, record)
    if name == "damage":
        folder.checkpoint_path.write_bytes(folder.checkpoint_path.read_bytes()[:1000])
    elif name == "no record":
        folder.record_path.unlink()
    elif name == "seed":
        record = record.replace(parameters=record.parameters | {"seed": 2})
    elif name == "images":
        record = record.replace(arrays={"x_train": "4" * 64})
    else:
        other = {"syntax": {"helpers.py": "5" * 64}, "versions": {"numpy": "3"}}
        field = "syntax" if name == "code" else "versions"
        inputs = record.inputs.model_copy(update={field: other[field]})
        record = record.replace(inputs=inputs)
    assert keep_checkpoint(folder, record) == record
    assert not folder.checkpoint_path.exists()


def test_a_run_that_is_done_keeps_no_checkpoint(folder, record):
    save(folder, record)
    folder.write_record(record.replace(status=Status.DONE))
    assert not folder.checkpoint_path.exists()


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
