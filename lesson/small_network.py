"""Check a small network, describe it in words, and draw a still picture of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.errors import InvalidInput
from pipeline.reports import plots

RED, BLUE = "#B2182B", "#2166AC"
CENTRED: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 10}
BOX = {"fc": "white", "ec": "none"}


@dataclass
class SmallNetwork:
    """A network of one or two weight matrices, with one input and its target.

    weights: one matrix (I, O), or two, (I, H) and (H, O), with a ReLU between them.
    inputs: (I,), the values of the inputs.
    targets: (O,), the values that the scores should have.
    learning_rate: the learning rate of the next step.
    on_paper: whether to ask the reader for each number of a step before showing it.
    without_buttons: whether to show only the network, without buttons for a step.
    has_switches: whether to show two switches. One flips the signs of all weights, and
        the other gives a silent unit the slope 1. The unit has to be silent at first.

    Raises InvalidInput if the shapes do not match.
    """

    weights: Sequence[Any]
    inputs: Sequence[float]
    targets: Sequence[float]
    learning_rate: float = 0.1
    on_paper: bool = False
    without_buttons: bool = False
    has_switches: bool = False

    def __post_init__(self) -> None:
        shapes = [np.shape(matrix) for matrix in self.weights]
        hidden = [len(matrix) for matrix in self.weights[1:]]  # none, or H
        sizes = [len(self.inputs), *hidden, len(self.targets)]
        if len(sizes) > 3 or shapes != [*pairwise(sizes)]:
            needed = f"one of ({sizes[0]}, {sizes[-1]}), or two with H between"
            raise InvalidInput(f"weights has the shapes {shapes}; give {needed}.")
        self.weights = [np.array(matrix).tolist() for matrix in self.weights]
        self.inputs = list(self.inputs)
        self.targets = list(self.targets)

    @property
    def state(self) -> dict[str, Any]:
        """Return the fields, which the script small.js reads."""
        return vars(self)

    @property
    def layers(self) -> list[np.ndarray]:
        """Return the values of each layer: inputs, hidden units if any, and scores."""
        first, *others = map(np.array, self.weights)
        layers = [np.array(self.inputs), self.inputs @ first]
        for matrix in others:
            layers[-1] = np.maximum(0, layers[-1])
            layers.append(layers[-1] @ matrix)
        return layers

    @property
    def alt(self) -> str:
        """Return the text alternative, with the network's size, scores and loss."""
        layers = self.layers
        size = "-".join(str(len(layer)) for layer in layers)
        scores = " and ".join(f"{score:.4g}" for score in layers[-1])
        loss = f"{np.sum((layers[-1] - self.targets) ** 2) / 2:.4g}"
        wanted = " and ".join(f"{target:g}" for target in self.targets)
        begins = f"score {scores}, target {wanted}, loss {loss}"
        return f"A network of size {size}, as it begins: {begins}."

    def to_png(self, *, is_blank: bool = False) -> bytes:
        """Return a still picture of the network, as it begins.

        is_blank: whether the circles after the inputs are empty, to be filled in by
            hand.
        """
        return plots.to_png(draw(self, is_blank))


def draw(network: SmallNetwork, is_blank: bool) -> Figure:
    """Draw a network: values as circles, weights as lines (red above 0, else blue)."""
    layers = network.layers
    rows = max(map(len, layers))
    figure, axis = plt.subplots(figsize=(9, 1 + 0.9 * rows), layout="constrained")
    heights = [(len(layer) - 1) / 2 - np.arange(len(layer)) for layer in layers]
    draw_weights(axis, network.weights, heights)
    names = ["inputs", "units", "scores"] if len(layers) > 2 else ["inputs", "scores"]
    for column, name in enumerate(names):
        axis.text(column, rows / 2 + 0.1, name, ha="center")
        for value, height in zip(layers[column], heights[column], strict=True):
            is_empty = is_blank and column > 0
            face = "white" if is_empty else "#F0F4F8"
            axis.plot(column, height, "o", markersize=34, mfc=face, mec=plots.TRAIN)
            axis.text(column, height, "" if is_empty else f"{value:.4g}", **CENTRED)
    for target, height in zip(network.targets, heights[-1], strict=True):
        axis.text(len(names) - 0.8, height, f"target {target:g}", va="center")
    axis.set(xlim=(-0.3, len(names) - 0.4), ylim=(-rows / 2, rows / 2 + 0.5))
    axis.axis("off")
    return figure


def draw_weights(
    axis: Axes, weights: Sequence[Any], heights: Sequence[np.ndarray]
) -> None:
    """Draw each weight as a line with a number.

    heights: those of the circles in each layer.
    """
    for column, matrix in enumerate(weights):
        for (row, to), weight in np.ndenumerate(matrix):
            ends = [heights[column][row], heights[column + 1][to]]
            colour = RED if weight > 0 else BLUE
            width = 2 * abs(weight) ** 0.5  # so a weight of 0 has no line
            axis.plot([column, column + 1], ends, c=colour, lw=width, zorder=0)
            share = 0.3 + 0.08 * (to % 2)  # so that numbers do not overlap
            middle = np.interp(share, [0, 1], ends)
            axis.text(column + share, middle, f"{weight:g}", bbox=BOX, **CENTRED)
