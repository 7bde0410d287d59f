import importlib.metadata
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import helpers
from pipeline import checkpoints, datasets, provenance, readers, storage
from pipeline.checkpoints import Checkpoints
from pipeline.errors import InvalidParameter
from pipeline.model import Model
from pipeline.records import Epoch
from pipeline.run_folder import RunFolder
from tests.conftest import EPOCH


@pytest.fixture
def training(small_source, tmp_path):
    """Return arguments of Checkpoints, and of save_when_due after one epoch."""
    data = datasets.split_source(str(small_source[0]), 40, 10)
    generators = helpers.generators(1)
    weights = helpers.initial_weights(generators[0], 3)
    error, accuracy = helpers.train_epoch(data.x_train, data.y_train, *weights, *generators, input_dropout_rate=0.1)
    history = [Epoch(**EPOCH | {"train_error": error, "train_accuracy": accuracy})]
    hyperparameters = {"seed": 1, "normalisation": 255.0, "hidden_size": 3, "epochs": 1}
    return (RunFolder(tmp_path), data, hyperparameters, 0), (*weights, history, 0.0049, *generators)


def test_a_checkpoint_holds_all_that_training_needs(training, capsys):
    arguments, state = training
    Checkpoints(*arguments).save_when_due(*state)
    afterwards = helpers.generators(7)
    loaded = Checkpoints(*arguments).load(*afterwards)
    assert "Going on after epoch 1" in capsys.readouterr().out
    assert np.array_equal(loaded.weights[0], state[0])
    assert np.array_equal(loaded.weights[1], state[1])
    assert (loaded.history, loaded.learning_rate) == state[2:4]
    for generator, rng in zip(state[4:], afterwards, strict=True):
        assert rng.random_sample() == generator.random_sample()


@pytest.mark.parametrize("change", ["seed", "normalisation", "data", "code", "numpy", "numba"])
def test_a_checkpoint_of_something_else_is_not_used(training, change, monkeypatch, tmp_path, capsys):
    (folder, data, hyperparameters, seconds), state = training
    Checkpoints(folder, data, hyperparameters, seconds).save_when_due(*state)
    if change in hyperparameters:
        hyperparameters = hyperparameters | {change: 254.0}
    elif change == "data":
        data = replace(data, y_train=data.y_train[::-1])
    elif change == "code":
        (project := tmp_path / "project").mkdir()
        (project / "helpers.py").write_text((storage.ROOT / "helpers.py").read_text() + "# changed\n")
        monkeypatch.setattr(storage, "ROOT", project)
        assert Checkpoints(folder, data, hyperparameters, seconds).load() is not None  # this session has the old code
        monkeypatch.setattr(checkpoints, "IMPORTED_CODE", provenance.code_of("helpers"))  # as of another session
    else:
        version = importlib.metadata.version
        monkeypatch.setattr(importlib.metadata, "version", lambda name: version(name) + "+1" * (name == change))
    assert Checkpoints(folder, data, hyperparameters, seconds).load() is None
    assert "is of other parameters, data or code" in capsys.readouterr().out


def test_a_checkpoint_does_not_depend_on_code_that_the_weights_do_not_depend_on(training, monkeypatch, tmp_path):
    arguments, state = training
    Checkpoints(*arguments).save_when_due(*state)
    (project := tmp_path / "project").mkdir()
    (project / "helpers.py").write_text((storage.ROOT / "helpers.py").read_text())
    monkeypatch.setattr(storage, "ROOT", project)  # which has no other module
    assert Checkpoints(*arguments).load() is not None


DAMAGES = [0, 0.3, 0.99, {"history": "[{}]"}, {"learning_rate": "fast"}, {"random_positions": None}, {"random_keys": 1}]
DAMAGES += [{"random_positions": np.array([0, 10**9])}]  # of which NumPy would read from elsewhere
DAMAGES += [{"history": f"[{json.dumps(EPOCH)}, {json.dumps(EPOCH)}]"}, {"learning_rate": -1.0}]  # two epochs of one
DAMAGES += [{"weights_0_1": np.full((784, 3), np.nan)}]
DAMAGES += [{"weights_0_1": np.zeros((784, 2)), "weights_1_2": np.zeros((2, 10))}]  # of three hidden units
DAMAGES += [{"random_keys": np.zeros((2, 5), np.uint32)}, {"random_keys": np.zeros((1, 624), np.uint32)}]


@pytest.mark.parametrize("damage", DAMAGES, ids=str)
def test_a_damaged_checkpoint_is_not_used(training, damage, capsys):
    arguments, state = training
    saved = Checkpoints(*arguments)
    saved.save_when_due(*state)
    if isinstance(damage, dict):
        arrays = readers.read_arrays(saved.path, "") | damage
        np.savez(saved.path, **{name: value for name, value in arrays.items() if value is not None})
    else:
        whole = saved.path.read_bytes()
        saved.path.write_bytes(whole[: int(len(whole) * damage)])
    assert saved.load() is None
    assert "is damaged" in capsys.readouterr().out


def test_a_checkpoint_is_removed_with_the_models_arrival(training):
    (folder, *others), state = training
    Checkpoints(folder, *others).save_when_due(*state)
    assert folder.checkpoint.exists()
    folder.write_model(Model(*state[:2], 255.0), state[2])
    assert not folder.checkpoint.exists()
    assert Checkpoints(folder, *others).load() is None


def test_the_time_until_the_next_checkpoint_begins_with_the_last_one(training, monkeypatch):
    (folder, *others, _), state = training
    now = [100.0]
    monkeypatch.setattr(checkpoints, "time", SimpleNamespace(monotonic=lambda: now[0]))
    saved = Checkpoints(folder, *others, seconds=2)
    found = []
    for now[0] in (101.9, 102.0, 103.9, 104.0):
        saved.save_when_due(*state)
        found.append(folder.checkpoint.exists())
        folder.checkpoint.unlink(missing_ok=True)
    assert found == [False, True, False, True]


def test_the_notebook_has_its_checkpoints_depend_on_every_parameter_of_the_training():
    """Run only the two cells that matter, with a class that keeps what it is given in place of Checkpoints."""
    cells = json.loads((storage.NOTEBOOKS / "02_train.ipynb").read_text())["cells"]
    source = {cell["id"]: "".join(cell["source"]) for cell in cells}

    class Given:
        def __init__(self, *arguments):
            self.arguments = arguments

        def load(self):
            return None

    declared = {}
    exec(source["parameters"], {}, declared)
    namespace = declared | {"Checkpoints": Given, "folder": "the folder", "data": "the data"}
    exec(source["checkpoint"], namespace)
    declared.pop("run_dir")
    declared.pop("__annotations__", None)
    assert namespace["checkpoints"].arguments == ("the folder", "the data", declared)


def test_a_checkpoint_depends_on_the_loop_too(training, monkeypatch, capsys):
    arguments, state = training
    Checkpoints(*arguments).save_when_due(*state)
    monkeypatch.setattr("pipeline.provenance.cells_digest", lambda notebook, what_it_does: notebook.stem)
    assert Checkpoints(*arguments).load() is None
    assert "is of other parameters, data or code" in capsys.readouterr().out


def test_a_checkpoint_depends_on_the_cell_that_runs_which_may_not_be_the_one_on_disk(training, monkeypatch):
    arguments, state = training
    monkeypatch.setattr("pipeline.in_view.running_cell", lambda: "rate *= 0.9")
    Checkpoints(*arguments).save_when_due(*state)
    assert Checkpoints(*arguments).load() is not None
    monkeypatch.setattr("pipeline.in_view.running_cell", lambda: "rate *= learning_rate_decay")
    assert Checkpoints(*arguments).load() is None


def test_a_file_of_anothers_that_is_named_like_a_checkpoint_stays(training):
    (folder, *others), _ = training
    folder.checkpoint.write_bytes(b"mine")
    with pytest.raises(
        InvalidParameter, match=r"checkpoint\.npz is not a whole \.npz file .* It would be written over"
    ):
        Checkpoints(folder, *others)
    assert folder.checkpoint.read_bytes() == b"mine"


def test_a_checkpoint_does_not_depend_on_prose_nor_on_the_parameters_that_a_notebook_declares(training, monkeypatch):
    arguments, state = training
    Checkpoints(*arguments).save_when_due(*state)
    cells = [("markdown", "# Other prose"), ("code", "# Parameters\nepochs: int = 7"), ("code", "1")]
    found = provenance._cells
    monkeypatch.setattr(provenance, "_cells", lambda path: [*cells[:2], *(cell for cell in found(path) if kept(cell))])
    assert Checkpoints(*arguments).load() is not None
    monkeypatch.setattr(provenance, "_cells", lambda path: [*cells, *(cell for cell in found(path) if kept(cell))])
    assert Checkpoints(*arguments).load() is None


def kept(cell):
    return cell[0] == "code" and not cell[1].startswith("# Parameters")
