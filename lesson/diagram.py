"""Draw the pictures of learn and choose, among them networks with buttons to press.

In JupyterLab and in the page of the lesson, the script small.js draws a network from
its state and makes the network interactive. Elsewhere, as on GitHub and in the page of
a notebook, a still picture of the network is shown. Other functions show the steps of a
weight down its loss, one pass through the network, what training has changed, and the
accuracy after each epoch.
"""

import base64
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import anywidget
import matplotlib.pyplot as plt
import numpy as np
import traitlets
from matplotlib.figure import Figure

from lesson.assets import LESSON
from pipeline.errors import InvalidInput
from pipeline.reports import plots

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

    _esm = LESSON.read_widget("diagram")
    _css = LESSON.read_style("live")
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
        still, metadata = to_output(draw_static(self), self.alt)
        return view | still, metadata


def to_output(figure: Figure, alt: str) -> tuple[dict[str, Any], Any]:
    """Return a figure as the data and metadata of an output, and close the figure.

    alt: the alternative text of the picture.
    """
    picture = base64.b64encode(plots.to_png(figure)).decode()
    about = {"alt": alt, "width": 864}  # a figure of 9 inches
    return {"image/png": picture, "text/plain": alt}, {"image/png": about}


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


def show_descent(
    pixel: float, target: float, paths: Mapping[str, Sequence[float]]
) -> None:
    """Show the loss as a function of one weight, and the steps of the weight.

    paths: the values that the weight takes one after the other, by the title of a plot.
    """
    figure, axes = plt.subplots(1, len(paths), figsize=(9, 3), sharex=True, sharey=True)
    every = np.concatenate(list(paths.values()))
    curve = np.linspace(every.min() - 0.2, every.max() + 0.2, 200)
    for axis, (title, path) in zip(axes, paths.items(), strict=True):
        for weights, style in ((curve, "-"), (np.array(path), "o-")):
            axis.plot(weights, (weights * pixel - target) ** 2 / 2, style)
        axis.set(title=title, xlabel="weight")
    axes[0].set_ylabel("loss")
    ends = "; ".join(f"{title} ends at {path[-1]:.3f}" for title, path in paths.items())
    plots.show(figure, f"Steps of a weight down its loss: {ends}.")


def show_changes(before: tuple[np.ndarray, ...], after: tuple[np.ndarray, ...]) -> None:
    """Show how the weights of the first ten hidden units have changed."""
    changes = (after[0] - before[0])[:, :10]
    captions = [f"unit {unit}" for unit in range(changes.shape[1])]
    alt = "Training has added red and blue strokes to the weights of each unit."
    plots.show(plots.draw_units(changes, captions), alt)


def show_curves(curves: Mapping[str, np.ndarray]) -> None:
    """Show the accuracy on training and on validation images after each epoch.

    curves: (epochs, 2), both accuracies, by the title of a plot.
    """
    figure, axes = plt.subplots(1, len(curves), figsize=(9, 3), sharey=True)
    ends = []
    for axis, (title, curve) in zip(axes, curves.items(), strict=True):
        epochs = range(1, len(curve) + 1)
        axis.plot(epochs, curve[:, 0], color=plots.TRAIN, label="training")
        axis.plot(epochs, curve[:, 1], "--", color=plots.VALIDATION, label="validation")
        axis.set(title=title, xlabel="epoch", ylim=(0.6, 1.01))
        known, unseen = curve[-1]
        ends.append(f"{title}: training {known:.3f}, validation {unseen:.3f}")
    axes[0].set_ylabel("accuracy (fraction)")
    axes[-1].legend(frameon=False)
    plots.show(figure, f"Accuracy at the end; {'; '.join(ends)}.")


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
