"""A small network's text and still picture, and what JupyterLab and pages get."""

import base64
import io
import re

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from lesson.diagram import Diagram
from lesson.small_network import SmallNetwork, draw
from pipeline.errors import InvalidInput

ON_PAPER = [[[1, -2], [2, 1], [-1, 0]], [[1, 2], [-1, 1]]]  # whole numbers, 3-2-2


@pytest.mark.parametrize(
    ("weights", "inputs", "targets", "numbers"),
    [
        ([[[1.5]]], [2], [1], "1-1 3 1 2"),
        ([[[2]], [[-3]]], [-1], [0.5], "1-1-1 0 0.5 0.125"),
        (ON_PAPER, [1, 2, 3], [0, 1], "3-2-2 2 4 0 1 6.5"),
    ],
)
def test_the_text_has_the_size_the_scores_the_targets_and_the_loss(
    weights, inputs, targets, numbers
):
    alt = SmallNetwork(weights, inputs, targets).alt
    assert re.findall(r"\d(?:[\d.-]*\d)?", alt) == numbers.split()


def test_a_view_has_its_still_and_its_text_beside_the_widget():
    diagram = Diagram(ON_PAPER, [1, 2, 3], [0, 1], learning_rate=0.05)
    data, metadata = diagram._repr_mimebundle_()
    assert data["text/plain"] == metadata["image/png"]["alt"] == diagram.network.alt
    assert "application/vnd.jupyter.widget-view+json" in data
    assert diagram.state["weights"] == ON_PAPER
    Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).verify()


def test_a_still_shows_weights_above_0_in_red_and_those_below_in_blue():
    network = SmallNetwork(ON_PAPER, [1, 2, 3], [0, 1])
    (axis,) = draw(network, is_blank=False).axes
    weights = [weight for matrix in ON_PAPER for row in matrix for weight in row]
    assert [float(text.get_text()) for text in axis.texts[:10]] == weights
    for weight, line in zip(weights, axis.lines[:10], strict=True):
        red, _, blue = to_rgb(line.get_color())
        shown = np.sign(red - blue) if line.get_linewidth() > 0 else 0
        assert shown == np.sign(weight)


@pytest.mark.parametrize(
    "weights",
    [[], [[1]], [[[1, 2]]], [[[1], [1]]], [[[1, 2]], [[1]]], [[[1]]] * 3],
)
def test_weights_that_do_not_fit_one_input_and_one_score_are_refused(weights):
    with pytest.raises(InvalidInput):
        SmallNetwork(weights, [1], [1])
