"""The panels, driven as a browser would drive them, without one."""

import html
import re

import ipywidgets as widgets

from pipeline.explore.drawing import DrawingPanel
from pipeline.explore.panels import Bench, ReadingPanel, TrainingPanel
from pipeline.run_folder import Model


def sentence(panel):
    return html.unescape(re.sub("<[^>]+>", "", panel.sentence.value))


def alternative(panel):
    return re.search('alt="([^"]+)"', panel.shown.value)[1]


def test_every_control_has_a_description(data, trained):
    bench = Bench(model=trained)
    for panel in (ReadingPanel(data, bench), TrainingPanel(data, bench), DrawingPanel(bench)):
        controls = [each for each in vars(panel).values() if hasattr(each, "description")]
        named = [each.description for each in controls if not isinstance(each, widgets.HTML)]
        assert len(named) >= 2
        assert all(named)


def test_a_panel_is_described_in_words_where_widgets_or_pictures_are_not_drawn(data, trained):
    panel = ReadingPanel(data, Bench(model=trained))
    assert panel._repr_mimebundle_()["text/plain"] == (
        "A panel: choose a test digit, drop hidden units, and see the answer change. "
        "It is alive in JupyterLab, after Run All."
    )
    assert len(alternative(panel)) > 30


def test_what_is_typed_wrongly_is_answered_and_a_correction_clears_it(data, trained):
    panel = ReadingPanel(data, Bench(model=trained))
    panel.digit.value = "x"
    assert sentence(panel) == "True digit is 'x', but must be a digit from 0 to 9, or empty for any."
    panel.digit.value = str(data.y_test[0])
    assert sentence(panel).startswith("The network answers")
    panel.dropped.value = "<b>"
    assert sentence(panel).startswith("Dropped units has '<b>', but must be")
    panel.reset.click()
    assert sentence(panel).endswith("dropped: 0.")


def test_the_next_image_goes_round(data, trained):
    panel = ReadingPanel(data, Bench(model=trained))
    panel.mistakes.value = True
    panel.digit.value = "0"
    first, last = int(panel.matches[0]), int(panel.matches[-1])
    assert panel.index.value == first
    panel.index.value = last
    panel.next.click()
    assert panel.index.value == first


def test_a_training_that_diverges_is_a_sentence_and_changes_no_network(data, trained):
    bench = Bench(model=trained)
    panel = TrainingPanel(data, bench)
    panel.learning_rate.value = 0.5
    panel.start.click()
    assert sentence(panel).startswith("This training diverged: The error became")
    assert panel.shown.value == ""
    assert bench.model is trained
    assert not panel.start.disabled
    assert panel.use.disabled


def test_the_trained_network_is_used_by_the_other_panels_until_it_is_unticked(data, trained):
    bench = Bench(model=trained)
    reading, training = ReadingPanel(data, bench), TrainingPanel(data, bench)
    reading.dropped.value = "39"
    training.hidden_size.value = 3
    training.start.click()
    assert bench.model.hidden_size == 3
    assert "Of 3 hidden units" in sentence(reading)
    assert alternative(training).startswith("Learning curves. After 100 epochs")
    training.start.click()
    assert bench.model is training.trained
    training.use.value = False
    assert bench.model is trained
    assert "Of 40 hidden units" in sentence(reading)


def test_a_drawing_is_read_taken_back_and_read_again_by_another_network(data, trained):
    bench = Bench(model=trained)
    panel = DrawingPanel(bench)
    assert sentence(panel) == "Nothing is drawn yet."
    panel.move(10, 10)  # with the pen up
    panel.begin(70, 60)
    panel.move(210, 60)
    panel.move(130, 230)
    panel.end()
    panel.end()
    assert panel.strokes == [[(70, 60), (210, 60), (130, 230)]]
    assert sentence(panel).startswith("The network answers 7")
    bench.model = Model(trained.weights_0_1, trained.weights_1_2[:, ::-1], 255.0)
    assert sentence(panel).startswith("The network answers 2")
    panel.undo.click()
    assert sentence(panel) == "Nothing is drawn yet."
    assert panel.shown.value == ""
