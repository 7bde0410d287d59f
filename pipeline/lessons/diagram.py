"""Draw the pictures of learn.ipynb, among them networks with buttons to press.

In JupyterLab and in the page of a notebook, the script small.js draws a network from
its state and makes the network interactive. Where scripts do not run, as on GitHub, a
still picture of the network is shown. Other functions draw the steps of a weight down
its loss, the directions of gradients, the original's slip, and one pass through the
network.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import anywidget
import matplotlib.pyplot as plt
import numpy as np
import traitlets
from matplotlib.figure import Figure

from pipeline.errors import InvalidInput
from pipeline.reports import live, plots

SIGN_COLOURS = {1: "#B2182B", 0: "0.6", -1: "#2166AC"}  # by the sign of a weight


class Diagram(anywidget.AnyWidget):
    """A network of one or two weight matrices, with one input and its target.

    weights: one matrix (I, O), or two, (I, H) and (H, O), with a ReLU between them.
    inputs: (I,), the values of the inputs.
    targets: (O,), the values that the scores should have.
    learning_rate: the learning rate of the next step.
    relu_grad_inactive: the derivative of the ReLU where a unit is inactive, 0 or 1.
    on_paper: whether to ask the reader for each number of a step before showing it.
    without_buttons: whether to show only the network, without buttons for a step.
    has_switches: whether to show two switches. One flips the signs of all weights, and
        the other gives a silent unit the slope 1. The unit has to be silent at first.

    Raises InvalidInput if the shapes do not match.
    """

    _esm = live.read_widget("diagram")
    _css = live.read_style("live")
    state = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        weights: Sequence[Any],
        inputs: Sequence[float],
        targets: Sequence[float],
        *,
        learning_rate: float = 0.1,
        relu_grad_inactive: int = 0,
        on_paper: bool = False,
        without_buttons: bool = False,
        has_switches: bool = False,
    ) -> None:
        matrices = [np.asarray(matrix, float) for matrix in weights]
        shapes = [matrix.shape for matrix in matrices]
        hidden = [matrix.shape[:1] for matrix in matrices[1:]]  # none, or (H,)
        edges = [(len(inputs),), *hidden, (len(targets),)]
        if len(edges) > 3 or [a + b for a, b in itertools.pairwise(edges)] != shapes:
            fitting = f"one of ({len(inputs)}, {len(targets)}), or two with H between"
            raise InvalidInput(f"weights has the shapes {shapes}; give {fitting}.")
        state = {
            "weights": [matrix.tolist() for matrix in matrices],
            "inputs": np.asarray(inputs, float).tolist(),
            "targets": np.asarray(targets, float).tolist(),
            "learningRate": learning_rate,
            "reluGradInactive": relu_grad_inactive,
            "onPaper": on_paper,
            "withoutButtons": without_buttons,
            "hasSwitches": has_switches,
        }
        super().__init__(state=state)

    @property
    def layers(self) -> list[np.ndarray]:
        """Return the values of each layer: inputs, hidden units if any, and scores."""
        first, *others = map(np.array, self.state["weights"])
        layers = [np.array(self.state["inputs"]), self.state["inputs"] @ first]
        for matrix in others:
            layers[-1] = np.maximum(0, layers[-1])
            layers.append(layers[-1] @ matrix)
        return layers

    @property
    def alt(self) -> str:
        """Return the text alternative, with the network's size, scores and loss."""
        layers, targets = self.layers, self.state["targets"]
        size = "-".join(str(len(layer)) for layer in layers)
        scores = " and ".join(f"{score:.4g}" for score in layers[-1])
        loss = f"{np.sum((layers[-1] - targets) ** 2) / 2:.4g}"
        wanted = " and ".join(f"{target:g}" for target in targets)
        begins = f"score {scores}, target {wanted}, loss {loss}"
        return f"A network of size {size}, as it begins: {begins}."

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], Any]:
        view, _ = super()._repr_mimebundle_(**options) or ({}, {})
        shown = {"name": "diagram", "state": self.state}
        still, metadata = plots.to_output(draw_static(self), self.alt, live=shown)
        return view | still, metadata


def draw_static(diagram: Diagram, *, is_blank: bool = False) -> Figure:
    """Draw a network: values as circles, weights as lines (red above 0, blue below).

    is_blank: whether the circles after the inputs are empty, to be filled in by hand.
    """
    layers, targets = diagram.layers, diagram.state["targets"]
    rows = max(map(len, layers))
    figure, axis = plt.subplots(figsize=(9, 1 + 0.9 * rows), layout="constrained")
    places = [  # of each circle, as (across, up)
        [(column, (len(layer) - 1) / 2 - row) for row in range(len(layer))]
        for column, layer in enumerate(layers)
    ]
    matrices = [np.array(matrix) for matrix in diagram.state["weights"]]
    largest = max(np.abs(matrix).max() for matrix in matrices) or 1
    centred: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 10}
    for column, matrix in enumerate(matrices):
        for (row, to), weight in np.ndenumerate(matrix):
            (x, y), (right, up) = places[column][row], places[column + 1][to]
            width = 0.8 + 3 * abs(weight) / largest
            colour = SIGN_COLOURS[int(np.sign(weight))]
            axis.plot([x, right], [y, up], color=colour, linewidth=width, zorder=0)
            share = 0.3 + 0.08 * (to % 2)  # so that numbers do not overlap
            at = x + share * (right - x), y + share * (up - y)
            axis.text(*at, f"{weight:g}", bbox={"fc": "white", "ec": "none"}, **centred)
    names = ["inputs", "units", "scores"] if len(layers) > 2 else ["inputs", "scores"]
    for name, layer, circles in zip(names, layers, places, strict=True):
        axis.text(circles[0][0], rows / 2 + 0.1, name, ha="center")
        for value, (x, y) in zip(layer, circles, strict=True):
            is_inactive = name == "units" and value == 0
            face = "white" if is_inactive or is_blank else "#F0F4F8"
            axis.plot(x, y, "o", markersize=34, mfc=face, mec=plots.TRAIN)
            if x == 0 or not is_blank:
                axis.text(x, y, f"{value:.4g}", **centred)
    for target, (x, y) in zip(targets, places[-1], strict=True):
        axis.text(x + 0.2, y, f"target {target:g}", va="center")
    axis.set(xlim=(-0.3, len(layers) - 0.4), ylim=(-rows / 2, rows / 2 + 0.5))
    axis.axis("off")
    return figure


def draw_descent(
    loss: Callable[[Any], Any], paths: Mapping[str, Sequence[float]]
) -> Figure:
    """Draw a loss as a function of one weight, and the steps of the weight.

    loss: a function that takes weights and returns the loss for each.
    paths: the values that the weight takes one after the other, by the title of a plot.
    """
    figure, axes = plt.subplots(1, len(paths), figsize=(9, 3), sharex=True, sharey=True)
    every = np.concatenate(list(paths.values()))
    curve = np.linspace(every.min() - 0.2, every.max() + 0.2, 200)
    for axis, (title, path) in zip(axes, paths.items(), strict=True):
        weights = np.array(path)
        axis.plot(curve, loss(curve), color=plots.TEST, linewidth=1)
        axis.plot(weights, loss(weights), "o-", color=plots.TRAIN)
        axis.set(title=title, xlabel="weight")
    axes[0].set_ylabel("loss")
    return figure


def draw_directions(cosines: Mapping[str, Sequence[float]]) -> Figure:
    """Draw the directions of gradients as lines from one point.

    cosines: the cosine of the angle between each gradient and the mean gradient, in a
        list for each plot, by the title of the plot.

    The mean gradient is drawn as a horizontal line.
    """
    figure, axes = plt.subplots(1, len(cosines), figsize=(9, 2.9), squeeze=False)
    for axis, (title, each) in zip(axes[0], cosines.items(), strict=True):
        for cosine in each:
            height = math.sqrt(max(0, 1 - cosine**2))
            colour, style = (plots.TRAIN, "-") if cosine > 0 else (plots.TEST, "--")
            axis.plot((0, cosine), (0, height), style, color=colour, linewidth=1.2)
        axis.plot((0, 1), (0, 0), color=plots.VALIDATION, linewidth=3)
        axis.text(0.55, 0.04, "mean gradient", color=plots.VALIDATION, ha="center")
        axis.set(title=title, xlim=(-1.1, 1.15), ylim=(-0.06, 1.08), aspect="equal")
        axis.axis("off")
    return figure


def draw_slip(
    derivative: Callable[[Any, float], Any],
    sums: np.ndarray,
    true: np.ndarray,
    slip: np.ndarray,
) -> Figure:
    """Draw the true slope of the ReLU and the original's, with their error signals.

    derivative: a function of activations and of the slope of inactive units. This slope
        is 0 in the true derivative, and 1 in the original's.
    sums: (H,), the sums of the hidden units for one image, before the ReLU.
    true: (H,), the error signals of the hidden units with the true slope.
    slip: (H,), the error signals of the hidden units with the original's slope.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
    places = np.array([-2, -1e-9, np.nan, 1e-9, 2])  # the slope jumps at 0
    activations = np.maximum(0, places)
    original, right_one = derivative(activations, 1), derivative(activations, 0)
    left.plot(places, original, "--", color=plots.VALIDATION, label="original's")
    left.plot(places, right_one, color=plots.TRAIN, label="true")
    left.set(title="Slope of the ReLU", xlabel="sum of a unit", ylabel="slope")
    right.plot(sums, slip, "o", color=plots.VALIDATION, mfc="none", label="original's")
    right.plot(sums, true, ".", color=plots.TRAIN, label="true")
    right.set(title=f"Error signals of {len(sums)} units, one image")
    right.set(xlabel="sum of a unit", ylabel="error signal")
    right.legend(frameon=False)
    return figure


def draw_pass(
    inputs: np.ndarray, target: np.ndarray, weights: tuple[np.ndarray, np.ndarray]
) -> tuple[Figure, str]:
    """Draw the forward pass of one image, and below it the backward pass.

    inputs: (1, 784), the scaled pixels of the image.
    target: (1, 10), the one-hot label of the image.
    weights: the two weight matrices of the network.

    The gradients are those of the hidden unit with the largest error signal.

    Return the figure and its text alternative.
    """
    import helpers  # here, so that a mistake in helpers.py stops no other command

    hidden, scores = helpers.forward(inputs, weights)
    signal = scores - target
    hidden_signal = signal @ weights[1].T * helpers.relu_derivative(hidden, 0)
    unit = np.abs(hidden_signal[0]).argmax()
    gradients = inputs[0] * hidden_signal[0, unit]
    figure, axes = plt.subplots(2, 3, figsize=(9, 4.8), layout="constrained")
    axes[0, 0].imshow(inputs.reshape(28, 28), cmap="gray_r")
    axes[0, 0].set_title("Forward: 784 pixels")
    limit = np.abs(gradients).max()
    colours = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    axes[1, 0].imshow(gradients.reshape(28, 28), **colours)
    axes[1, 0].set_title("Back: gradients of one unit")
    bars = {
        (0, 1): ("activation", hidden[0], plots.TRAIN),
        (0, 2): ("score", scores[0], plots.TRAIN),
        (1, 1): ("error signal", hidden_signal[0], plots.VALIDATION),
        (1, 2): ("error signal", signal[0], plots.VALIDATION),
    }
    for (row, column), (quantity, values, colour) in bars.items():
        axes[row, column].bar(range(len(values)), values, color=colour)
        place = "hidden unit" if column == 1 else "class"
        axes[row, column].set(xlabel=place, ylabel=quantity)
        axes[row, column].locator_params(axis="x", integer=True)
    for axis in axes[:, 0]:
        axis.axis("off")
    alt = (
        f"Forward: an image, {np.sum(hidden > 0)} active units, ten scores. Back: "
        f"error signals for active units alone; the gradients of unit {unit} look like "
        "the image."
    )
    return figure, alt
