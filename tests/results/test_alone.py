"""A notebook that is run by itself repeats the run in its folder, or refuses."""

import pytest

from pipeline.errors import InvalidInput
from pipeline.images.data import load_source
from pipeline.parameters import Parameters
from pipeline.records import RunRecord
from pipeline.results import alone, provenance

VALUES = {"epochs": 100, "learning_rate": 0.005, "seed": 1}


@pytest.fixture(scope="module")
def record():
    inputs = provenance.collect_inputs(load_source("sample"))
    return RunRecord(parameters=dict(Parameters()), inputs=inputs)


def change(record, name):
    return record.replace(inputs=record.inputs | {name: "0" * 64})


def test_the_same_notebook_or_a_folder_without_a_run_passes(record):
    alone.check("02_train", VALUES, "runs/a", record)
    alone.check("02_train", VALUES | {"epochs": 3}, "runs/a", None)
    other = change(record, "cells 01_prepare")
    alone.check("02_train", VALUES, "runs/a", other)  # of another stage


def test_another_parameter_cell_or_helpers_is_refused_with_the_line_to_set(record):
    for values, before, problem in (
        (VALUES | {"epochs": 3}, record, "epochs, which was 100 and is 3"),
        (VALUES, change(record, "cells 02_train"), "cells 02_train"),
        (VALUES, change(record, "code helpers.py"), "code helpers.py"),
    ):
        with pytest.raises(InvalidInput) as caught:
            alone.check("02_train", values, "runs/a", before)
        message = str(caught.value)
        assert "runs/a" in message
        assert problem in message
        assert 'run_dir = "runs/' in message


def test_the_folder_that_is_advised_has_no_run(tmp_path, monkeypatch):
    monkeypatch.setattr(alone, "RUNS", tmp_path)
    assert '"runs/lab"' in alone.describe_other_folder()
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "run.json").touch()
    assert '"runs/lab-2"' in alone.describe_other_folder()


def test_results_without_a_record_are_of_notebooks_that_ran_alone(tmp_path):
    assert not alone.has_results(tmp_path)
    (tmp_path / "model.npz").touch()
    assert alone.has_results(tmp_path)
    assert "ran alone" in alone.describe_next_step(tmp_path, "runs/lab")
    (tmp_path / "run.json").touch()
    assert not alone.has_results(tmp_path)
    for name, end in (("lab", ""), ("true-derivative", " -p relu_grad_inactive 0")):
        step = alone.describe_next_step(tmp_path, f"runs/{name}")
        assert step.endswith(f"python -m pipeline run --run-dir runs/{name}{end}")
