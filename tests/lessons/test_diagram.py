"""A small network's text, its still, and what JupyterLab and pages get of it."""

import base64
import io

import pytest
from PIL import Image

from pipeline.errors import InvalidInput
from pipeline.lessons.diagram import Diagram

ON_PAPER = [[[1, -2], [2, 1], [-1, 0]], [[1, 2], [-1, 1]]]  # whole numbers, 3-2-2


@pytest.mark.parametrize(
    ("weights", "inputs", "targets", "alt"),
    [
        ([[[1.5]]], [2], [1], "size 1-1, as it begins: score 3, target 1, error 4."),
        (
            [[[2]], [[-3]]],
            [-1],
            [0.5],
            "size 1-1-1, as it begins: score 0, target 0.5, error 0.25.",
        ),
        (
            ON_PAPER,
            [1, 2, 3],
            [0, 1],
            "size 3-2-2, as it begins: score 2 and 4, target 0 and 1, error 13.",
        ),
    ],
)
def test_the_text_has_the_size_the_scores_and_the_error(weights, inputs, targets, alt):
    assert Diagram(weights, inputs, targets).alt == f"A network of {alt}"


def test_a_view_has_its_still_its_text_and_its_state_beside_the_widget():
    diagram = Diagram(ON_PAPER, [1, 2, 3], [0, 1], learning_rate=0.05)
    data, metadata = diagram._repr_mimebundle_()
    assert data["text/plain"] == diagram.alt
    assert "application/vnd.jupyter.widget-view+json" in data
    about = metadata["image/png"]
    assert about["alt"] == diagram.alt
    assert about["live"] == {"name": "diagram", "state": diagram.state}
    assert diagram.state["weights"] == ON_PAPER
    assert (diagram.state["learningRate"], diagram.state["reluGradInactive"]) == (
        0.05,
        0,
    )
    still = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert still.width == 2 * about["width"]
    colours = {colour for _, colour in still.convert("RGB").getcolors(still.width**2)}
    assert {(178, 24, 43), (33, 102, 172)} <= colours  # weights above and below 0


@pytest.mark.parametrize(
    ("weights", "inputs"),
    [
        ([[[1, 2]]], [1]),
        ([[[1]]], [1, 2]),
        ([[[1, 2]], [[1]]], [1]),
        ([[1]], [1]),
        ([], [1]),
        ([[[1]]] * 3, [1]),
    ],
)
def test_weights_that_do_not_fit_are_refused(weights, inputs):
    with pytest.raises(InvalidInput, match="has the shapes .* give one of"):
        Diagram(weights, inputs, [1])
