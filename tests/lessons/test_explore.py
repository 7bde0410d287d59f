"""How a network reads an image, and what explore.ipynb's panels show and return."""

import base64
import io
import shutil
from dataclasses import replace
from unittest import mock

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

import helpers
from pipeline import paths
from pipeline.errors import InvalidFile, InvalidInput
from pipeline.execution import runs as execution_runs
from pipeline.images.data import DIGITS, Classes
from pipeline.lessons import explore
from pipeline.parameters import Parameters
from pipeline.results import run_folder
from pipeline.results.model import Model
from pipeline.results.run_folder import RunFolder

MODEL = Model(helpers.initial_weights(np.random.RandomState(1), 40), 510.0)


def test_contributions_follow_the_formula_and_add_up_to_the_scores():
    rng = np.random.RandomState(0)
    inputs = rng.uniform(0, 1, (1, 784))
    first, second = helpers.initial_weights(rng, 7)
    mask, sums = helpers.dropout_mask(rng, (1, 7), 0.5), inputs @ first
    assert 0 < np.sum(sums > 0) < 7
    contributions = explore.compute_contributions(inputs, (first, second), mask)
    for p, d in ((0, 0), (300, 4), (783, 9)):
        units = [h for h in range(7) if sums[0, h] > 0]
        formula = inputs[0, p] * sum(
            first[p, h] * mask[0, h] * second[h, d] for h in units
        )
        assert contributions[p, d] == pytest.approx(formula, rel=1e-12)
    _, scores = helpers.forward(inputs, (first, second), mask)
    assert contributions.sum(axis=0) == pytest.approx(scores[0], rel=0, abs=1e-12)


@pytest.mark.parametrize("dropped", [(), (0, 7, 31)])
def test_an_image_is_read_as_by_a_network_without_the_dropped_units(sample, dropped):
    image = sample["x_test"][0]
    reading = explore.read_image(MODEL, image, dropped)
    kept = [unit for unit in range(40) if unit not in dropped]
    weights = MODEL.weights[0][:, kept], MODEL.weights[1][kept]
    (scores,) = helpers.predict(image[np.newaxis], weights, 510)
    assert reading.scores == pytest.approx(scores, abs=1e-12)
    assert reading.contributions.sum(axis=0) == pytest.approx(scores, abs=1e-12)
    assert reading.answer == scores.argmax()
    assert np.flatnonzero(reading.dropped).tolist() == list(dropped)


@pytest.fixture
def reading():
    """Return a reading that answers 1.

    Two of its units are dropped, one is active, and two are inactive.
    """
    scores = np.array([0.1, 0.9, 0.5, *[0.0] * 7])
    activations, dropped = (
        np.array([1.0, 0, 2, 0, 0]),
        np.array([True, True, *[False] * 3]),
    )
    image, contributions = np.zeros(784, np.uint8), np.zeros((784, 10))
    return explore.Reading(image, activations, dropped, scores, contributions, label=2)


def test_describe_counts_every_unit_once_and_names_the_true_class(reading):
    assert explore.describe(reading) == (
        "The network answers 1, with the score 0.90; next comes 2, with 0.50. "
        "The digit is 2, so that is a mistake. "
        "Of 5 hidden units, active: 1, inactive: 2, dropped: 2."
    )
    assert "The digit is 1. Of" in explore.describe(replace(reading, label=1))
    assert "with 0.50. Of" in explore.describe(replace(reading, label=None))
    named = replace(reading, classes=Classes(("cat", "a dog", "hippopotamus")))
    assert "The class is hippopota…, so" in explore.describe(named)


def test_the_drawing_shows_scores_active_and_dropped_units(reading):
    figure = explore.draw(reading)
    _, pixels, scores, units, _ = figure.axes
    assert "Pixels for and against 1" in (pixels.get_title(), pixels.get_title("left"))
    (answer,) = scores.containers[1]
    assert (answer.get_y() + answer.get_height() / 2, answer.get_width()) == (1, 0.9)
    # The dot marks the true digit.
    assert [line.get_xydata().tolist() for line in scores.lines] == [[[0.5, 2]]]
    assert [bar.get_height() for bar in units.containers[0]] == [1, 0, 2, 0, 0]
    # The crosses mark the dropped units.
    assert [line.get_xydata().tolist() for line in units.lines] == [[[0, 1], [1, 0]]]
    plt.close(figure)


def check_picture(panel, text):
    """Check that a panel has a picture and its text beside the widget; return both."""
    data, metadata = panel._repr_mimebundle_()
    assert data["text/plain"].startswith(text)
    assert "application/vnd.jupyter.widget-view+json" in data
    assert metadata["image/png"]["alt"] == data["text/plain"]
    picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert picture.width == 2 * metadata["image/png"]["width"]
    return data, metadata


def test_the_panel_reads_what_is_chosen(sample):
    named = replace(MODEL, classes=Classes(["<img>", *"123456789"]))

    def read(place, dropped):
        label = int(sample["y_test"][place])
        return explore.read_image(named, sample["x_test"][place], dropped, label)

    panel = explore.ReadingPanel(read, 5, 40)
    assert "The class is 7" in panel.view.value
    before = panel.view.value.partition("base64,")[2]
    panel.index.value = 3
    assert "The class is &lt;img&gt;" in panel.view.value
    assert panel.view.value.partition("base64,")[2] not in ("", before)
    panel.dropped.value = (2, 3)
    assert "dropped: 2." in panel.view.value
    before = check_picture(panel, "A panel: choose an image, drop hidden units. ")
    assert before[0]["text/plain"].endswith("dropped: 2.")
    panel.index.value = 4
    after = check_picture(panel, "A panel: choose an image, drop hidden units. ")
    assert before[0]["image/png"] != after[0]["image/png"]


def test_load_makes_a_default_run_where_its_folder_is_missing_and_no_other(
    runs, tmp_path, monkeypatch
):
    monkeypatch.setattr(run_folder, "BASE", tmp_path)
    monkeypatch.setattr(paths, "BASE", tmp_path)

    def copy(_, run_dir):
        shutil.copytree(runs / "default", tmp_path / run_dir)

    run = mock.Mock(side_effect=copy)
    monkeypatch.setattr(execution_runs, "run", run)
    for _ in range(2):  # the second time it is there
        data, model = explore.load("runs/default")
    run.assert_called_once_with(Parameters(), "runs/default")
    assert (len(data.x_train), model.weights[0].shape) == (1000, (784, 40))
    with pytest.raises(InvalidFile, match=r"data\.npz is missing\. Run the notebooks"):
        explore.load("runs/other")
    folder = RunFolder("runs/default")
    record = folder.read_record()
    syntax = {"syntax": record.inputs.syntax | {"helpers.py": "0" * 64}}
    other = record.inputs.model_copy(update=syntax)
    folder.write_record(record.replace(inputs=other))
    with pytest.raises(InvalidInput, match=r"another helpers\.py\. Take its own: cp"):
        explore.load("runs/default")
    folder.write_record(folder.read_record().replace(status="failed"))
    with pytest.raises(InvalidFile, match=r"has not finished .* Finish it: python -m"):
        explore.load("runs/default")
    run.assert_called_once()


def test_the_live_panel_has_the_runs_network_and_gives_what_comes(runs, tmp_path):
    panel = explore.LivePanel(str(runs / "default"))
    assert panel.page["training"]["parameters"]["epochs"] == 100
    assert 'aria-label="Drawing pad"' in panel.html
    check_picture(panel, "A panel: draw a digit, train again. The curves of the run")
    assert not panel.image.any()
    assert panel.model is None
    # The browser sends a drawing in this form.
    panel.drawn = memoryview(bytes([*range(256)] * 3 + [7] * 16))
    assert (panel.image.shape, panel.image[-1]) == ((784,), 7)
    first, second = (matrix.tobytes() for matrix in MODEL.weights)
    panel.trained = {"first": first, "second": second, "normalisation": 510}
    assert panel.model.sha256 == MODEL.sha256
    assert (panel.model.normalisation, panel.model.classes) == (510, DIGITS)
    for name in ("data.npz", "model.npz", "history.json"):
        (tmp_path / name).write_bytes((runs / "default" / name).read_bytes())
    without_record = explore.LivePanel(str(tmp_path))
    assert without_record.page["training"] is None
    assert "so their parameters are not recorded" in without_record.html
