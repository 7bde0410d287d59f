"""The explorer beneath its widgets: how digits are read, drawn and trained on; and the panels, without a browser."""

import html
import re

import numpy as np
import pytest

import helpers
from pipeline import explore, files
from tests.conftest import write_small_source


@pytest.fixture(scope="module")
def data():
    return files.split("sample", 1000, 1000, 255.0)


@pytest.fixture(scope="module")
def trained(data):
    """A network after ten epochs of the original's settings with the true gradient."""
    *_, (*weights, _) = explore.train(data, 40, epochs=10, learning_rate=0.005, dropout_rate=0.5, relu_grad_at_zero=0)
    return explore.Network(*weights, data.normalisation)


# ---- drawn digits ----------------------------------------------------------------------------------------------


def enlarged(image, top, left):
    """An image of MNIST ten times as large, moved in a field of 500 x 500."""
    field = np.zeros((500, 500), np.uint8)
    field[top : top + 280, left : left + 280] = image.reshape(28, 28).repeat(10, axis=0).repeat(10, axis=1)
    return field


def test_centred_gives_an_enlarged_and_moved_mnist_digit_back_to_the_pixel(sample, trained):
    rng = np.random.default_rng(0)
    images = sample["x_test"][:200]
    back = np.array([explore.centred(enlarged(image, *rng.integers(0, 220, 2))) for image in images])
    assert np.array_equal(back, images)
    answers = [helpers.predict(each, *trained.weights).argmax(axis=1) for each in (back, images)]
    assert np.array_equal(*answers)


@pytest.mark.parametrize("times", [7, 13])
def test_centred_is_near_the_digit_at_scales_that_are_no_multiple(sample, trained, times):
    images = sample["x_test"][:200]
    sides = [np.round(np.arange(28 * times) // times).astype(int)] * 2
    back = np.array([explore.centred(image.reshape(28, 28)[np.ix_(*sides)][3:-2]) for image in images])
    assert np.abs(back.astype(float) - images).mean() < 2
    same = helpers.predict(back, *trained.weights).argmax(1) == helpers.predict(images, *trained.weights).argmax(1)
    assert same.mean() > 0.95


@pytest.mark.parametrize(("height", "width"), [(200, 50), (50, 200), (3, 3), (1, 280)])
def test_centred_fits_twenty_pixels_keeps_proportions_and_centres(height, width):
    drawn = np.zeros((280, 280), np.uint8)
    drawn[:height, :width] = 255
    image = explore.centred(drawn).reshape(28, 28)
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    assert max(len(rows), len(columns)) == 20
    assert min(len(rows), len(columns)) == max(1, round(20 * min(height, width) / max(height, width)))
    for places in (rows, columns):
        assert abs(places.mean() - 14) <= 0.5


def test_centred_has_grey_edges():
    drawn = explore.ink([[(60, 40), (200, 230)]])
    assert set(np.unique(drawn)) == {0, 255}
    assert len(np.unique(explore.centred(drawn))) > 10


def test_nothing_drawn_is_an_empty_image():
    assert not explore.centred(explore.ink([])).any()
    assert explore.centred(explore.ink([])).shape == (784,)


def test_ink_is_round_and_joins_the_points():
    dot = explore.ink([[(100, 50)]])
    assert dot.sum() / 255 == pytest.approx(np.pi * (explore.PEN_WIDTH / 2) ** 2, rel=0.1)
    line = explore.ink([[(100, 50), (100, 150)]])
    assert line[50:150, 100].all()
    assert not line[50:150, 120].any()


def test_a_drawn_seven_and_one_are_read(trained):
    for strokes, digit in (([[(70, 60), (210, 60), (130, 230)]], 7), ([[(140, 50), (140, 230)]], 1)):
        assert explore.read(trained, explore.centred(explore.ink(strokes))).answer == digit


# ---- reading ---------------------------------------------------------------------------------------------------


def test_read_answers_as_predict_does(sample, trained):
    images = sample["x_test"][:50]
    expected = helpers.predict(images, *trained.weights)
    for image, scores in zip(images, expected, strict=True):
        reading = explore.read(trained, image)
        assert reading.scores == pytest.approx(scores, abs=1e-12)
        assert reading.contributions.sum(axis=0) == pytest.approx(scores, abs=1e-12)


def test_dropped_units_are_left_out_and_the_others_not_scaled(sample, trained):
    dropped = (0, 7, 31)
    reading = explore.read(trained, sample["x_test"][0], dropped)
    kept = [unit for unit in range(40) if unit not in dropped]
    smaller = explore.Network(trained.weights_0_1[:, kept], trained.weights_1_2[kept], 255.0)
    assert reading.scores == pytest.approx(explore.read(smaller, sample["x_test"][0]).scores, abs=1e-12)
    assert np.flatnonzero(reading.dropped).tolist() == list(dropped)
    assert (reading.activations[list(dropped)] >= 0).all()


def test_in_words_counts_every_unit_once_and_tells_a_mistake():
    image = np.zeros(784, np.uint8)
    scores = np.array([0.1, 0.9, 0.5, *[0.0] * 7])
    reading = explore.Reading(
        image, np.array([1.0, 0, 2, 0, 0]), np.array([True, True, False, False, False]), scores, np.zeros((784, 10)), 2
    )
    assert explore.in_words(reading) == (
        "The network answers 1, with the score 0.90; next comes 2, with 0.50. It is a 2, so that is a mistake. "
        "Of 5 hidden units, active: 1, silent: 2, dropped: 2."
    )


def test_matching_narrows_by_mistake_digit_and_answer():
    said, true = np.array([3, 5, 5, 3, 8]), np.array([3, 3, 5, 8, 8])
    assert explore.matching(said, true).tolist() == [0, 1, 2, 3, 4]
    assert explore.matching(said, true, mistakes=True).tolist() == [1, 3]
    assert explore.matching(said, true, digit=3).tolist() == [0, 1]
    assert explore.matching(said, true, answer=3).tolist() == [0, 3]
    assert explore.matching(said, true, mistakes=True, digit=0, answer=0).tolist() == []


@pytest.mark.parametrize(
    ("text", "units"), [("", ()), ("3", (3,)), ("5, 3", (3, 5)), ("2-4;9  0", (0, 2, 3, 4, 9)), ("9-9,9", (9,))]
)
def test_units_are_read_from_numbers_and_spans(text, units):
    assert explore.units_in(text, 10) == units


@pytest.mark.parametrize("text", ["10", "x", "-1", "4-2", "3-", "1.5", "8-10", "²"])
def test_units_that_are_none_are_refused(text):
    with pytest.raises(ValueError, match="Dropped units has .*, but must be whole numbers from 0 to 9, or spans"):
        explore.units_in(text, 10)


def test_a_digit_or_any_is_read_and_others_are_refused():
    assert [explore.digit_or_any("Answer", text) for text in ("", "  ", "0", " 7 ")] == [None, None, 0, 7]
    for text in ("10", "x", "-1", "1.0", "²"):
        with pytest.raises(ValueError, match="Answer is '.*', but must be a digit from 0 to 9, or empty for any."):
            explore.digit_or_any("Answer", text)


def test_accuracy_under_dropout_without_dropout_is_the_accuracy(sample, trained):
    images, labels = sample["x_test"][:500], sample["y_test"][:500]
    rng = np.random.RandomState(0)
    _, accuracy = helpers.evaluate(images, labels, *trained.weights)
    assert explore.accuracy_under_dropout(trained, images, labels, rng, 0.0) == pytest.approx(accuracy)
    assert explore.accuracy_under_dropout(trained, images, labels, rng, 0.9) < accuracy


# ---- training --------------------------------------------------------------------------------------------------


def test_training_here_is_the_published_training(data):
    *_, (*weights, history) = explore.train(data, 40, learning_rate=0.005, dropout_rate=0.5, relu_grad_at_zero=1)
    assert files.sha256_of(*weights) == "ebf6a5840e35c96db0737370bf9e523cdf7a0522d11a06e747ebb00c2c9f03d6"
    assert len(history) == 100
    assert explore.training_in_words(history) == (
        "After 100 epochs: accuracy 0.817 on the training images, under dropout, and 0.800 on the validation images."
    )


def test_training_without_validation_images_says_nothing_of_them():
    assert explore.training_in_words([{"train_error": 1.0, "train_accuracy": 0.5}]) == (
        "After 1 epochs: accuracy 0.500 on the training images, under dropout."
    )


# ---- a run to explore ------------------------------------------------------------------------------------------


def test_half_a_run_is_left_alone_and_the_next_step_named(tmp_path):
    source, _ = write_small_source(tmp_path)
    folder = tmp_path / "half"
    files.save_data(str(folder), files.split(str(source), 40, 0, 255.0))
    before = (folder / "data.npz").read_bytes()
    with pytest.raises(files.DataError, match="Run 02_train.ipynb first, with the same run_dir"):
        explore.load_network(str(folder))
    assert (folder / "data.npz").read_bytes() == before


# ---- the panels, driven as a browser would ---------------------------------------------------------------------


def said(panel):
    return html.unescape(re.sub("<[^>]+>", "", panel.sentence.value))


def alternative(panel):
    return re.search('alt="([^"]+)"', panel.shown.value)[1]


def test_pictures_of_panels_have_text_alternatives(data, trained):
    panel = explore.ReadingPanel(data, explore.Bench(trained))
    assert len(alternative(panel)) > 30


def test_every_control_has_a_description(data, trained):
    bench = explore.Bench(trained)
    for panel in (explore.ReadingPanel(data, bench), explore.TrainingPanel(data, bench), explore.DrawingPanel(bench)):
        controls = [each for each in vars(panel).values() if hasattr(each, "description")]
        named = [each.description for each in controls if not isinstance(each, explore.widgets.HTML)]
        assert len(named) >= 2
        assert all(named)


def test_a_panel_stands_for_itself_in_words_where_widgets_are_not_drawn(data, trained):
    panel = explore.ReadingPanel(data, explore.Bench(trained))
    told = panel._repr_mimebundle_()["text/plain"]
    assert told == (
        "A panel: choose a test digit, drop hidden units, and see the answer change. "
        "It is alive in JupyterLab, after Run All."
    )


def test_what_is_typed_wrongly_is_said_and_a_correction_clears_it(data, trained):
    panel = explore.ReadingPanel(data, explore.Bench(trained))
    panel.digit.value = "x"
    assert said(panel) == "True digit is 'x', but must be a digit from 0 to 9, or empty for any."
    panel.digit.value = str(data.y_test[0])
    assert said(panel).startswith("The network answers")
    panel.dropped.value = "<b>"
    assert said(panel).startswith("Dropped units has '<b>', but must be")
    panel.reset.click()
    assert said(panel).endswith("dropped: 0.")


def test_the_next_image_goes_round(data, trained):
    panel = explore.ReadingPanel(data, explore.Bench(trained))
    panel.mistakes.value = True
    panel.digit.value = "0"
    first, last = int(panel.matches[0]), int(panel.matches[-1])
    assert panel.index.value == first
    panel.index.value = last
    panel.next.click()
    assert panel.index.value == first


def test_a_training_that_diverges_is_a_sentence_and_changes_no_network(data, trained):
    bench = explore.Bench(trained)
    panel = explore.TrainingPanel(data, bench)
    panel.learning_rate.value = 0.5
    panel.start.click()
    assert said(panel).startswith("This training diverged: the error became")
    assert panel.shown.value == ""
    assert bench.network is trained
    assert not panel.start.disabled
    assert panel.use.disabled


def test_the_trained_network_is_used_by_the_other_panels_until_it_is_unticked(data, trained):
    bench = explore.Bench(trained)
    reading, training = explore.ReadingPanel(data, bench), explore.TrainingPanel(data, bench)
    reading.dropped.value = "39"
    training.hidden_size.value = 3
    training.start.click()
    assert bench.network.hidden_size == 3
    assert "Of 3 hidden units" in said(reading)
    assert alternative(training).startswith("Learning curves. After 100 epochs")
    training.start.click()
    assert bench.network is training.trained
    training.use.value = False
    assert bench.network is trained
    assert "Of 40 hidden units" in said(reading)


def test_a_drawing_is_read_taken_back_and_read_anew_by_another_network(data, trained):
    bench = explore.Bench(trained)
    panel = explore.DrawingPanel(bench)
    assert said(panel) == "Nothing is drawn yet."
    panel.move(10, 10)  # with the pen up
    panel.begin(70, 60)
    panel.move(210, 60)
    panel.move(130, 230)
    panel.end()
    panel.end()
    assert panel.strokes == [[(70, 60), (210, 60), (130, 230)]]
    assert said(panel).startswith("The network answers 7")
    bench.network = explore.Network(trained.weights_0_1, trained.weights_1_2[:, ::-1], 255.0)
    assert said(panel).startswith("The network answers 2")
    panel.undo.click()
    assert said(panel) == "Nothing is drawn yet."
    assert panel.shown.value == ""
