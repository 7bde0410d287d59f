"""A small network's text, its still, and what JupyterLab and pages get of it."""

import base64
import io
import re

import pytest
from PIL import Image

from pipeline.errors import InvalidInput
from pipeline.lessons.diagram import Diagram

ON_PAPER = [[[1, -2], [2, 1], [-1, 0]], [[1, 2], [-1, 1]]]  # whole numbers, 3-2-2


@pytest.mark.parametrize(
    ("weights", "inputs", "targets", "numbers"),
    [
        ([[[1.5]]], [2], [1], "1-1 3 1 4"),
        ([[[2]], [[-3]]], [-1], [0.5], "1-1-1 0 0.5 0.25"),
        (ON_PAPER, [1, 2, 3], [0, 1], "3-2-2 2 4 0 1 13"),
    ],
)
def test_the_text_has_the_size_the_scores_the_targets_and_the_error(
    weights, inputs, targets, numbers
):
    alt = Diagram(weights, inputs, targets).alt
    assert re.findall(r"\d(?:[\d.-]*\d)?", alt) == numbers.split()


def test_a_view_has_its_still_its_text_and_its_state_beside_the_widget():
    diagram = Diagram(ON_PAPER, [1, 2, 3], [0, 1], learning_rate=0.05)
    data, metadata = diagram._repr_mimebundle_()
    assert data["text/plain"] == metadata["image/png"]["alt"] == diagram.alt
    assert "application/vnd.jupyter.widget-view+json" in data
    assert metadata["image/png"]["live"] == {
        "name": "diagram",
        "state": {
            "weights": ON_PAPER,
            "inputs": [1, 2, 3],
            "targets": [0, 1],
            "learningRate": 0.05,
            "reluGradInactive": 0,
            "onPaper": False,
            "hasSwitches": False,
        },
    }
    still = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    colours = {colour for _, colour in still.convert("RGB").getcolors(still.width**2)}
    assert {(178, 24, 43), (33, 102, 172)} <= colours  # weights above and below 0


@pytest.mark.parametrize(
    "weights",
    [[], [[1]], [[[1, 2]]], [[[1], [1]]], [[[1, 2]], [[1]]], [[[1]]] * 3],
)
def test_weights_that_do_not_fit_one_input_and_one_score_are_refused(weights):
    with pytest.raises(InvalidInput):
        Diagram(weights, [1], [1])
