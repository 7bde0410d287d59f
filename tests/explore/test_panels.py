"""The panels, driven as a browser would drive them, without one."""

import html
import re

import ipywidgets as widgets

from pipeline.explore.panels import ReadingPanel
from pipeline.run_folder import Model


def sentence(panel):
    return html.unescape(re.sub("<[^>]+>", "", panel.sentence.value))


def alternative(panel):
    return re.search('alt="([^"]+)"', panel.picture.value)[1]


def test_every_control_has_a_description(data, trained):
    controls = [each for each in vars(ReadingPanel(data, trained)).values() if hasattr(each, "description")]
    named = [each.description for each in controls if not isinstance(each, widgets.HTML)]
    assert len(named) == 10
    assert all(named)


def test_a_panel_is_described_in_words_where_widgets_or_pictures_are_not_drawn(data, trained):
    panel = ReadingPanel(data, trained)
    assert panel._repr_mimebundle_()["text/plain"] == (
        "A panel: choose a test digit, drop hidden units, and see the answer change. "
        "It is alive in JupyterLab, after Run All."
    )
    assert len(alternative(panel)) > 30


def test_what_is_typed_wrongly_is_answered_and_a_correction_clears_it(data, trained):
    panel = ReadingPanel(data, trained)
    panel.digit.value = "x"
    assert sentence(panel) == "True digit is 'x', but must be a digit from 0 to 9, or empty for any."
    panel.digit.value = str(data.y_test[0])
    assert sentence(panel).startswith("The network answers")
    panel.dropped.value = "<b>"
    assert sentence(panel).startswith("Dropped units has '<b>', but must be")
    panel.reset.click()
    assert sentence(panel).endswith("dropped: 0.")


def test_the_next_image_goes_round(data, trained):
    panel = ReadingPanel(data, trained)
    panel.mistakes.value = True
    panel.digit.value = "0"
    first, last = int(panel.matches[0]), int(panel.matches[-1])
    assert panel.index.value == first
    panel.index.value = last
    panel.next.click()
    assert panel.index.value == first


def test_a_network_that_was_trained_is_used_until_it_is_unticked(data, trained):
    panel = ReadingPanel(data, trained)
    panel.dropped.value = "39"
    small = Model(trained.weights_0_1[:, :3], trained.weights_1_2[:3], 255.0)
    panel.take(small)
    assert panel.model is small
    assert "Of 3 hidden units" in sentence(panel)
    panel.use.value = False
    assert panel.model is trained
    assert "Of 40 hidden units" in sentence(panel)
    panel.take(trained)
    assert panel.use.value
