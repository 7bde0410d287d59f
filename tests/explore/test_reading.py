from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest

import helpers
from pipeline import datasets, runs
from pipeline.errors import InvalidParameter, InvalidRecord
from pipeline.explore import reading
from pipeline.images import Classes
from pipeline.model import Model
from pipeline.run_folder import RunFolder

# ---- what each pixel adds to the scores ------------------------------------------------------------------------


def small_case(seed, hidden_size=7):
    """One image, scaled, weights and a mask, with no hidden unit near its kink and some below it."""
    rng = np.random.RandomState(seed)
    inputs = rng.uniform(0, 1, (1, 784))
    weights_0_1, weights_1_2 = helpers.initial_weights(rng, hidden_size)
    mask = helpers.dropout_mask(rng, (1, hidden_size), 0.5)
    sums = inputs @ weights_0_1
    assert np.abs(sums).min() > 1e-3
    assert (sums < 0).any()
    return inputs, weights_0_1, weights_1_2, mask


def test_pixel_contributions_follow_the_formula_and_sum_to_the_scores_exactly():
    inputs, weights_0_1, weights_1_2, mask = small_case(0)
    sums = inputs @ weights_0_1
    contributions = reading.pixel_contributions(inputs, weights_0_1, weights_1_2, mask)
    for p, d in ((0, 0), (300, 4), (783, 9)):
        units = [h for h in range(7) if sums[0, h] > 0]
        formula = inputs[0, p] * sum(weights_0_1[p, h] * mask[0, h] * weights_1_2[h, d] for h in units)
        assert contributions[p, d] == pytest.approx(formula, rel=1e-12)
    _, scores = helpers.forward(inputs, weights_0_1, weights_1_2, mask)
    assert contributions.sum(axis=0) == pytest.approx(scores[0], rel=0, abs=1e-12)


# ---- reading ---------------------------------------------------------------------------------------------------


def test_read_answers_as_predict_does(sample, trained):
    images = sample["x_test"][:50]
    expected = helpers.predict(images, *trained.weights)
    for image, scores in zip(images, expected, strict=True):
        found = reading.read(trained, image)
        assert found.scores == pytest.approx(scores, abs=1e-12)
        assert found.contributions.sum(axis=0) == pytest.approx(scores, abs=1e-12)
        assert found.answer == scores.argmax()


def test_read_divides_the_pixels_by_the_models_own_normalisation(sample, trained):
    image = sample["x_test"][0]
    brighter = Model(*trained.weights, 2 * trained.normalisation)
    assert reading.read(brighter, image).scores == pytest.approx(reading.read(trained, image).scores / 2, rel=1e-12)


def test_dropped_units_are_left_out_and_the_others_not_scaled(sample, trained):
    dropped = (0, 7, 31)
    found = reading.read(trained, sample["x_test"][0], dropped)
    kept = [unit for unit in range(40) if unit not in dropped]
    smaller = Model(trained.weights_0_1[:, kept], trained.weights_1_2[kept], 255.0)
    assert found.scores == pytest.approx(reading.read(smaller, sample["x_test"][0]).scores, abs=1e-12)
    assert np.flatnonzero(found.dropped).tolist() == list(dropped)
    assert (found.activations[list(dropped)] >= 0).all()


def made_up(activations, dropped, true=None):
    """A reading whose best score is that of 1, and its second that of 2."""
    scores = np.array([0.1, 0.9, 0.5, *[0.0] * 7])
    image = np.zeros(784, np.uint8)
    return reading.Reading(image, np.array(activations), np.array(dropped), scores, np.zeros((784, 10)), true)


def test_describe_counts_every_unit_once_and_mentions_what_is_true_where_it_is_known():
    found = made_up([1.0, 0, 2, 0, 0], [True, True, False, False, False], true=2)
    assert reading.describe(found) == (
        "The network answers 1, with the score 0.90; next comes 2, with 0.50. It is a 2, so that is a mistake. "
        "Of 5 hidden units, active: 1, inactive: 2, dropped: 2."
    )
    for true, sentence in ((1, "0.50. It is a 1. Of 1"), (8, " It is an 8, so that is a"), (None, "0.50. Of 1")):
        assert sentence in reading.describe(made_up([1.0], [False], true))


def test_of_equal_scores_the_first_is_the_answer_and_another_comes_next():
    found = made_up([0.0], [True])
    for scores in (np.zeros(10), np.array([0.5, 0.5, *[0.0] * 8])):
        assert "answers 0, with the score" in reading.describe(equal := replace(found, scores=scores))
        assert "next comes 1, with" in reading.describe(equal)


def test_classes_with_names_are_called_by_them():
    found = replace(made_up([1.0], [False], true=2), classes=Classes(("cat", "a dog", "hippopotamus")))
    assert "answers a dog, with the score 0.90; next comes hippopota…, with 0.50. The class is hippopota…, so" in (
        reading.describe(found)
    )
    image, pixels, _, scores, _ = reading.picture(found).axes
    titles = [axis.get_title("left") + axis.get_title() for axis in (image, pixels)]
    assert titles == ["The image: hippopota…", "Pixels for and against a dog"]
    assert [label.get_text() for label in scores.get_yticklabels()][:4] == ["cat", "a dog", "hippopota…", "unused"]
    assert {text.get_text() for text in scores.texts} == {"◀ answer", "● true class"}
    plt.close("all")


def test_the_picture_tells_active_inactive_and_dropped_units_apart():
    found = made_up([1.0, 0, 2, 0, 0], [True, True, False, False, False], true=2)
    figure = reading.picture(found)
    digit, pixels, _, scores, units = figure.axes
    assert digit.get_title(loc="center") + digit.get_title(loc="left") == "The image: 2"
    assert "Pixels for and against 1" in (pixels.get_title(loc="center"), pixels.get_title(loc="left"))
    marks = {text.get_text(): text.xy[1] for text in scores.texts}
    assert marks == {"◀ answer": 1, "● true digit": 2}
    shown = {line.get_marker(): line.get_xdata().tolist() for line in units.lines}
    assert shown == {"o": [3, 4], "X": [0, 1]}
    active, dropped = units.containers
    assert [bar.get_x() + bar.get_width() / 2 for bar in active] == [2]
    assert [bar.get_hatch() for bar in dropped] == ["////", "////"]
    plt.close(figure)


def test_units_are_read_from_numbers_and_spans():
    for text, units in (("", ()), ("5, 3", (3, 5)), ("2-4;9  0", (0, 2, 3, 4, 9)), ("9-9,9", (9,))):
        assert reading.units_in(text, 10) == units


@pytest.mark.parametrize("text", ["10", "x", "-1", "4-2", "3-", "1.5", "8-10", "²", "9" * 5000])
def test_units_that_are_none_are_refused(text):
    with pytest.raises(InvalidParameter, match="Dropped units has .*, but must be whole numbers from 0 to 9, or spans"):
        reading.units_in(text, 10)


def test_a_panel_reads_what_is_chosen_and_says_what_was_typed_wrongly(data, trained):
    def read(place, dropped):
        return reading.read(trained, data.x_test[place], reading.units_in(dropped, 40), int(data.y_test[place]))

    panel = reading.ReadingPanel(read, 5)
    assert "It is a 7" in panel.sentence.value
    before = panel.picture.value
    panel.place.value = 4
    assert "It is a 4" in panel.sentence.value
    assert panel.picture.value != before
    panel.dropped.value = "2-3"
    assert "dropped: 2." in panel.sentence.value
    panel.dropped.value = "<40>"
    assert "Dropped units has &#x27;&lt;40&gt;&#x27;, but must be" in panel.sentence.value
    assert panel._repr_mimebundle_()["text/plain"].startswith("A panel: choose an image")


# ---- a run to explore ------------------------------------------------------------------------------------------


def test_half_a_run_is_left_alone_and_the_next_step_named(tmp_path, small_source):
    source, _ = small_source
    folder = RunFolder(tmp_path / "half")
    folder.write_data(datasets.split_source(str(source), 40, 0))
    before = folder.data.read_bytes()
    with pytest.raises(InvalidRecord, match="Run 02_train.ipynb first, with the same run_dir"):
        reading.load(str(tmp_path / "half"))
    assert folder.data.read_bytes() == before


def test_a_run_is_made_where_there_is_none_and_read_where_there_is(tmp_path, small_source, trained, monkeypatch):
    source, _ = small_source
    made = []

    def run(chosen, run_dir):
        made.append((chosen.epochs, run_dir))
        RunFolder(run_dir).write_data(datasets.split_source(str(source), 40, 0))
        RunFolder(run_dir).write_model(trained, [])

    monkeypatch.setattr(runs, "run", run)
    place = str(tmp_path / "new")
    for _ in range(2):
        data, model = reading.load(place)
        assert (len(data.x_train), model.sha256) == (40, trained.sha256)
    assert made == [(100, place)]


def test_a_name_of_a_class_is_text_in_the_panel(sample, trained):
    named = Model(*trained.weights, trained.normalisation, Classes(["<img>", *"123456789"]))
    zero = sample["x_test"][sample["y_test"] == 0][0]
    panel = reading.ReadingPanel(lambda place, dropped: reading.read(named, zero), 1)
    assert "answers &lt;img&gt;, with" in panel.sentence.value
    assert 'alt="The image, the pixels for and against &lt;img&gt;, scores' in panel.picture.value
