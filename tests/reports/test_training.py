"""What a run's page is given to train its network again."""

import base64
import zlib

import numpy as np
import pytest

from pipeline import datasets, parameters
from pipeline.model import Model
from pipeline.records import Epoch
from pipeline.reports import training
from pipeline.run_folder import RunFolder
from tests.conftest import VALIDATED


@pytest.fixture
def folder(tmp_path, small_source):
    made = RunFolder(tmp_path / "run")
    made.path.mkdir()
    made.write_data(datasets.split_source(str(small_source[0]), 40, 10))
    made.write_model(Model(np.zeros((784, 2)), np.zeros((2, 10)), 255.0), [Epoch(**VALIDATED)])
    return made


def test_a_page_has_the_runs_images_parameters_and_errors(folder, small_source):
    chosen = parameters.from_values({"num_samples": 40, "epochs": 1, "seed": 5})
    found = training.training_of(folder, chosen, "0" * 64)
    page = found["page"]
    images = np.frombuffer(zlib.decompress(base64.b64decode(page["images"])), np.uint8)
    assert np.array_equal(images.reshape(40, 28, 28), small_source[1]["x_train"][:40])
    assert list(zlib.decompress(base64.b64decode(page["labels"]))) == small_source[1]["y_train"][:40].tolist()
    others = np.frombuffer(zlib.decompress(base64.b64decode(page["validation_images"])), np.uint8)
    assert np.array_equal(others.reshape(10, 28, 28), small_source[1]["x_train"][40:50])
    assert (
        list(zlib.decompress(base64.b64decode(page["validation_labels"]))) == small_source[1]["y_train"][40:50].tolist()
    )
    assert (page["errors"], page["digest"], page["parameters"]["seed"]) == ([0.5], "0" * 64, 5)
    assert page["curves"] == {"masked": [0.25], "fitted": [0.5], "validation": [0.75]}


@pytest.mark.parametrize(
    "values", [{"hidden_size": 1000}, {"epochs": 5000}, {"learning_rate": 1e-9}, {"dropout_rate": 0.995}, {}]
)
def test_the_runs_own_values_are_allowed_by_its_controls(folder, values):
    chosen = parameters.from_values({"num_samples": 40} | values)
    found = training.training_of(folder, chosen, "0" * 64)
    for name, (least, most, _) in found["controls"].items():
        assert least <= found["page"]["parameters"][name] <= most


@pytest.mark.parametrize(
    ("values", "reason"), [({"batch_size": 2}, "has batch_size 2"), ({"num_samples": 5001}, "has 5001 training images")]
)
def test_what_a_page_cannot_train_has_a_reason(folder, values, reason):
    assert reason in training.training_of(folder, parameters.from_values(values), "0" * 64)


def test_a_parameter_that_a_page_does_not_know_has_its_default_or_the_page_does_not_train(folder, monkeypatch):
    monkeypatch.setattr(training, "TRAINED_WITH", (*training.CONTROLS, "normalisation"))
    chosen = parameters.from_values({"num_samples": 40, "learning_rate_decay": 0.1})
    reason = "This run has another learning_rate_decay, with which a page cannot train yet."
    assert training.training_of(folder, chosen, "0" * 64) == reason


def test_a_point_of_a_sweep_has_no_images(folder):
    folder.data.unlink()
    assert "not kept" in training.training_of(folder, parameters.from_values({}), "0" * 64)


def test_curves_and_caption_leave_out_what_was_not_measured():
    unmeasured = {"validation_error": None, "validation_accuracy": None}
    without = [Epoch(**VALIDATED | unmeasured | {"train_accuracy": accuracy}) for accuracy in (0.25, 0.5)]
    assert training.curves(without) == {"masked": "300,150.0 600,100.0", "fitted": "300,100.0 600,100.0"}
    assert training.caption(without) == (
        "Accuracy by epoch, 2 in all; at the end 0.500 on the training images (solid), "
        "0.500 on them under dropout, as the original prints it (dotted)."
    )
    assert training.caption([Epoch(**VALIDATED)]).endswith("0.750 on validation images (dashed).")


def test_a_curve_of_one_epoch_can_be_seen():
    assert training.curves([Epoch(**VALIDATED)])["fitted"] == "0,100.0 600,100.0"
