"""Draw the pictures of learn.ipynb, among them networks that you can press.

In JupyterLab, and in pages of a notebook, small.js draws a network from its state
and makes it live. Where no script runs, as on GitHub, a still stands in its place.
The other functions draw a descent, directions, the slip, and one pass.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import anywidget
import matplotlib.pyplot as plt
import numpy as np
import traitlets
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.errors import InvalidInput
from pipeline.reports import live, plots

SIGN_COLOURS = {1: "#B2182B", 0: "0.6", -1: "#2166AC"}  # of a line, by its weight


class Diagram(anywidget.AnyWidget):
    """A network of one or two weight matrices, with one input and its target.

    weights: one matrix (I, O), or two, (I, H) and (H, O), with a ReLU between them.
    inputs: (I,), the numbers that go in.
    targets: (O,), what the scores should be.
    learning_rate: that of the next step.
    relu_grad_inactive: the derivative of the ReLU where a unit is inactive, 0 or 1.
    on_paper: ask for the numbers of the step before it shows them.

    Raises InvalidInput if the shapes do not fit.
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
        }
        super().__init__(state=state)

    @property
    def layers(self) -> list[np.ndarray]:
        """Return the numbers of each layer: inputs, hidden units if any, scores."""
        first, *others = map(np.array, self.state["weights"])
        layers = [np.array(self.state["inputs"]), self.state["inputs"] @ first]
        for matrix in others:
            layers[-1] = np.maximum(0, layers[-1])
            layers.append(layers[-1] @ matrix)
        return layers

    @property
    def alt(self) -> str:
        """Return the text alternative: the size, the scores and the error."""
        layers, targets = self.layers, self.state["targets"]
        size = "-".join(str(len(layer)) for layer in layers)
        scores = " and ".join(f"{score:.4g}" for score in layers[-1])
        error = f"{np.sum((layers[-1] - targets) ** 2):.4g}"
        wanted = " and ".join(f"{target:g}" for target in targets)
        begins = f"score {scores}, target {wanted}, error {error}"
        return f"A network of size {size}, as it begins: {begins}."

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], Any]:
        view, _ = super()._repr_mimebundle_(**options) or ({}, {})
        shown = {"name": "diagram", "state": self.state}
        still, metadata = plots.to_output(draw_still(self), self.alt, live=shown)
        return view | still, metadata


def draw_still(diagram: Diagram) -> Figure:
    """Draw numbers as circles, and weights as lines, red above 0 and blue below."""
    layers, targets = diagram.layers, diagram.state["targets"]
    rows = max(map(len, layers))
    figure, axis = plt.subplots(figsize=(9, 1 + 0.9 * rows), layout="constrained")
    places = [  # of each circle: across, up
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
            share = 0.3 + 0.08 * (to % 2)  # so that numbers do not lie on each other
            at = x + share * (right - x), y + share * (up - y)
            axis.text(*at, f"{weight:g}", bbox={"fc": "white", "ec": "none"}, **centred)
    names = ["inputs", "units", "scores"] if len(layers) > 2 else ["inputs", "scores"]
    for name, layer, circles in zip(names, layers, places, strict=True):
        axis.text(circles[0][0], rows / 2 + 0.1, name, ha="center")
        for value, (x, y) in zip(layer, circles, strict=True):
            face = "white" if name == "units" and value == 0 else "#F0F4F8"
            axis.plot(x, y, "o", markersize=34, mfc=face, mec=plots.TRAIN)
            axis.text(x, y, f"{value:.4g}", **centred)
    for target, (x, y) in zip(targets, places[-1], strict=True):
        axis.text(x + 0.2, y, f"target {target:g}", va="center")
    axis.set(xlim=(-0.3, len(layers) - 0.4), ylim=(-rows / 2, rows / 2 + 0.5))
    axis.axis("off")
    return figure


def draw_descent(
    loss: Callable[[Any], Any], paths: Mapping[str, Sequence[float]]
) -> Figure:
    """Draw a loss by its one weight, and the steps of each path of weights on it."""
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
    """Draw directions as lines from one point, by the angle to a mean direction.

    cosines: those of the angles between each direction and the mean, by the title.
    """
    figure, axes = plt.subplots(1, len(cosines), figsize=(9, 2.9), squeeze=False)
    figure.subplots_adjust(left=0.01, bottom=0.02, top=0.88, wspace=0.05)
    for axis, (title, each) in zip(axes[0], cosines.items(), strict=True):
        for cosine in each:
            height = math.sqrt(max(0, 1 - cosine**2))
            colour, style = (plots.TRAIN, "-") if cosine > 0 else (plots.TEST, "--")
            axis.plot((0, cosine), (0, height), style, color=colour, linewidth=1.2)
        axis.arrow(0, 0, 1, 0, color=plots.VALIDATION, width=0.012, zorder=3)
        axis.axvline(0, color="black", linewidth=1, linestyle=":")
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
    """Draw the ReLU's true slope, the original's, and beside it what each sends back.

    derivative: takes activations and the slope of inactive units, which is 0 for the
        true derivative and 1 for the original's.
    sums: (H,), those of the hidden units on one image.
    true, slip: (H,), their error signals with the true slope, and with the original's.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
    inactive, active = np.linspace(-2, 0), np.linspace(1e-9, 2)
    # Nothing joins the two parts of a slope, because it jumps at 0.
    for part in (inactive, active):
        activation = np.maximum(0, part)
        axes[0].plot(part, derivative(activation, 0), color=plots.TRAIN, linewidth=4)
        axes[0].plot(part, derivative(activation, 1), "--", color=plots.VALIDATION)
    before, after = derivative(np.array([0.0, active[0]]), 0)
    dot = {"color": plots.TRAIN, "markersize": 8, "zorder": 3}
    axes[0].plot(0, before, "o", **dot)
    axes[0].plot(0, after, "o", **dot, markerfacecolor="white")
    place = {"textcoords": "offset points", "xytext": (0, 7)}
    axes[0].annotate("true slope", (-1.95, before), color=plots.TRAIN, **place)
    axes[0].annotate("the original's", (-1.95, after), color=plots.VALIDATION, **place)
    axes[0].set(title="Slope of the ReLU", xlabel="sum of a unit", ylabel="slope")
    axes[0].set(ylim=(-0.1, 1.3), yticks=(0, 0.5, 1))
    ring = {"markersize": 8, "markerfacecolor": "none"}
    axes[1].plot(
        sums, slip, "o", color=plots.VALIDATION, label="the original's", **ring
    )
    axes[1].plot(sums, true, "o", color=plots.TRAIN, markersize=4, label="true")
    axes[1].axvline(0, color="black", linewidth=1, linestyle=":")
    axes[1].set(title=f"Error signals of {len(sums)} units, one image")
    axes[1].set(xlabel="sum of a unit", ylabel="error signal")
    axes[1].legend(frameon=False)
    return figure


def draw_pass(
    inputs: np.ndarray, target: np.ndarray, weights: tuple[np.ndarray, np.ndarray]
) -> tuple[Figure, str]:
    """Draw one image's way forward through the three layers, and below the way back.

    inputs, target: (1, 784) and (1, 10).

    Return the figure and its text alternative. The gradients in it are those of the
    hidden unit with the largest error signal.
    """
    import helpers  # not earlier, as a mistake in it must stop no other command

    hidden, scores = helpers.forward(inputs, weights)
    signal = scores - target
    hidden_signal = signal @ weights[1].T * helpers.relu_derivative(hidden, 0)
    unit = np.abs(hidden_signal[0]).argmax()
    forward = inputs[0], hidden[0], scores[0]
    back = inputs[0] * hidden_signal[0, unit], hidden_signal[0], signal[0]
    alt = (
        f"Forward: an image, {np.sum(hidden > 0)} active units, ten scores. Back: "
        f"error signals for active units alone; the gradients of unit {unit} look like "
        "the image."
    )
    figure, axes = plt.subplots(2, 3, figsize=(9, 4.8), width_ratios=(1, 1.4, 1.4))
    figure.subplots_adjust(left=0.01, bottom=0.11, top=0.93, hspace=0.6, wspace=0.95)
    size = len(forward[1])
    titles = ("784 pixels", f"{size} activations", "10 scores")
    draw_layers(axes[0], forward, titles, plots.TRAIN, cmap="gray_r", vmin=0, vmax=1)
    titles = ("784 gradients of a unit", f"{size} error signals", "10 error signals")
    limit = np.abs(back[0]).max()
    colours = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    draw_layers(axes[1], back, titles, plots.VALIDATION, **colours)
    quantities = ("activation", "score", "error signal", "error signal")
    for axis, quantity in zip([*axes[0, 1:], *axes[1, 1:]], quantities, strict=True):
        axis.set_ylabel(quantity)
    axes[1, 0].text(0, 31, "blue below 0, red above", fontsize=9)
    # The first matrix has no part in the way back: the second one, transposed, carries
    # the error signals to the hidden units, and pixels make them gradients.
    arrows = {
        (0.245, 0.74): f"$W_1$\n784 x {size}\n→",
        (0.625, 0.74): f"$W_2$\n{size} x 10\n→",
        (0.245, 0.26): "←\ntimes\npixels",
        (0.625, 0.26): f"←\n$W_2^T$\n10 x {size}\ntimes\nslopes",
    }
    for (x, y), name in arrows.items():
        figure.text(x, y, name, ha="center", va="center")
    return figure, alt


def draw_layers(
    axes: Sequence[Axes],
    arrays: Sequence[np.ndarray],
    titles: Sequence[str],
    bar_colour: str,
    **colours: Any,
) -> None:
    """Draw the first array (784,) as an image and the others as bars, one on each axes.

    colours: options of `Axes.imshow`.
    """
    axes[0].imshow(arrays[0].reshape(28, 28), **colours)
    axes[0].axis("off")
    bars = zip(axes[1:], arrays[1:], ("hidden unit", "class"), strict=True)
    for axis, array, place in bars:
        axis.bar(range(len(array)), array, color=bar_colour)
        axis.locator_params(axis="x", integer=True)
        axis.set_xlabel(place)
    for axis, title in zip(axes, titles, strict=True):
        axis.set_title(title)
