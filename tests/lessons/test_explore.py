"""How a network reads an image, and what explore.ipynb's panel shows and returns."""

import base64
import io
import re
import shutil
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

import helpers
from pipeline.errors import InvalidFile, InvalidInput
from pipeline.images.data import Classes
from pipeline.lessons import explore
from pipeline.results.model import Model
from pipeline.results.run_folder import RunFolder
from tests.reports.test_plots import check_signs

MODEL = Model(helpers.initial_weights(np.random.RandomState(1), 40), 510.0)


def test_contributions_follow_the_formula():
    rng = np.random.RandomState(0)
    inputs = rng.uniform(0, 1, (1, 784))
    first, second = helpers.initial_weights(rng, 7)
    mask, sums = helpers.dropout_mask(rng, (1, 7), 0.5), inputs @ first
    assert 0 < np.sum(sums > 0) < 7
    contributions = explore.compute_gradient_times_input(inputs, (first, second), mask)
    for p, d in ((0, 0), (300, 4), (783, 9)):
        units = [h for h in range(7) if sums[0, h] > 0]
        formula = inputs[0, p] * sum(
            first[p, h] * mask[0, h] * second[h, d] for h in units
        )
        assert contributions[p, d] == pytest.approx(formula, rel=1e-12)


@pytest.mark.parametrize("dropped", [(), (0, 7, 31)])
def test_an_image_is_read_as_by_a_network_without_the_dropped_units(sample, dropped):
    image = sample["x_test"][0]
    reading = explore.classify_image(MODEL, image, dropped)
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
    activations = np.array([1.0, 0, 2, 0, 0])
    dropped = np.array([True, True, False, False, False])
    image, contributions = np.zeros(784, np.uint8), np.zeros((784, 10))
    return explore.Reading(image, activations, dropped, scores, contributions, label=2)


def test_describe_has_answer_second_label_and_every_unit_once(reading):
    text = explore.describe_reading(reading)
    numbers = re.findall(r"\d(?:\.\d+)?", text)
    assert numbers == ["1", "0.90", "2", "0.50", "2", "5", "1", "2", "2"]
    assert "mistake" in text
    assert "mistake" not in explore.describe_reading(replace(reading, label=1))
    assert "digit" not in explore.describe_reading(replace(reading, label=None))
    named = replace(reading, classes=Classes(("cat", "a dog", "hippopotamus")))
    assert "hippopota…" in explore.describe_reading(named)


def test_the_drawing_shows_scores_active_and_dropped_units(reading):
    figure = explore.draw_reading(reading)
    _, pixels, scores, units, _ = figure.axes
    check_signs(pixels.images[0])
    assert [scores.get_xlabel(), units.get_xlabel()] == ["score", "hidden unit"]
    assert units.get_ylabel() == "activation"
    names = [label.get_text() for label in scores.get_yticklabels()]
    assert names == list("0123456789")
    (answer,) = scores.containers[1]
    assert (answer.get_y() + answer.get_height() / 2, answer.get_width()) == (1, 0.9)
    # The dot marks the true digit.
    assert [line.get_xydata().tolist() for line in scores.lines] == [[[0.5, 2]]]
    assert [bar.get_height() for bar in units.containers[0]] == [1, 0, 2, 0, 0]
    # The crosses mark the dropped units.
    assert [line.get_xydata().tolist() for line in units.lines] == [[[0, 1], [1, 0]]]
    plt.close(figure)


def check_picture(panel):
    """Check that a panel has a picture and a text beside its widget; return both."""
    data, metadata = panel._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert metadata["image/png"]["alt"] == data["text/plain"]
    Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).verify()
    return data["image/png"], data["text/plain"]


def test_the_panel_reads_what_is_chosen(sample):
    named = replace(MODEL, classes=Classes(["<img>", *"123456789"]))

    def read(place, dropped):
        label = int(sample["y_test"][place])
        return explore.classify_image(named, sample["x_test"][place], dropped, label)

    panel = explore.ReadingPanel(read, 5, 40)
    assert "The class is 7" in panel.view.value
    pictures = {check_picture(panel)[0]}
    panel.index.value = 3
    assert "The class is &lt;img&gt;" in panel.view.value
    pictures.add(check_picture(panel)[0])
    panel.dropped.value = (2, 3)
    picture, text = check_picture(panel)
    assert "dropped: 2." in panel.view.value
    assert "dropped: 2." in text
    assert picture in panel.view.value
    assert len(pictures | {picture}) == 3


def test_load_reads_a_run_that_this_helpers_has_trained(runs, tmp_path):
    shutil.copytree(runs / "default", tmp_path / "run")
    data, model = explore.load_run(tmp_path / "run")
    assert (len(data.x_train), model.weights[0].shape) == (1000, (784, 40))
    with pytest.raises(InvalidFile, match=r"data\.npz"):
        explore.load_run(tmp_path / "none")
    folder = RunFolder(tmp_path / "run")
    record = folder.read_record()
    other = record.inputs | {"code helpers.py": "0" * 64}
    folder.write_record(record.replace(inputs=other))
    with pytest.raises(InvalidInput, match=r"helpers\.py"):
        explore.load_run(folder.path)
    folder.write_record(record.replace(status="failed"))
    with pytest.raises(InvalidFile, match="did not finish"):
        explore.load_run(folder.path)
