"""Show a small network as a picture that you can press, and as a still of its state.

In JupyterLab, and in pages of a notebook, diagram.js draws the picture from the state
and makes it live. Where no script runs, as on GitHub, the still stands in its place.
"""

import base64
from collections.abc import Sequence
from typing import Any

import anywidget
import matplotlib.pyplot as plt
import numpy as np
import traitlets
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline import plots
from pipeline.reports import live

NAMES = ("input", "unit", "score")  # what the numbers of each layer are called
SCRIPTS = ("sums", "explain", "diagram")


class Diagram(anywidget.AnyWidget):
    """A network of one or two weight matrices, with one input and its target.

    weights: one matrix (I, O), or two, (I, H) and (H, O), with a ReLU between them.
    inputs: (I,), the numbers that go in.
    targets: (O,), what the scores should be.
    learning_rate: that of the next step.
    relu_grad_inactive: the derivative of the ReLU where a unit is inactive, 0 or 1.
    """

    _esm = "".join(map(live.read_script, SCRIPTS)) + "export default diagram_js;\n"
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
    ) -> None:
        state = {
            "weights": [np.asarray(matrix, float).tolist() for matrix in weights],
            "inputs": np.asarray(inputs, float).tolist(),
            "targets": np.asarray(targets, float).tolist(),
            "learningRate": learning_rate,
            "reluGradInactive": relu_grad_inactive,
        }
        super().__init__(state=state)

    @property
    def layers(self) -> list[np.ndarray]:
        """Return the numbers of each layer: inputs, hidden units if any, scores."""
        layers = [np.array(self.state["inputs"])]
        matrices = self.state["weights"]
        for number, matrix in enumerate(matrices, 1):
            sums = layers[-1] @ np.array(matrix)
            layers.append(np.maximum(0, sums) if number < len(matrices) else sums)
        return layers

    @property
    def alt(self) -> str:
        """Return the text alternative: the size, the scores and the error."""
        layers = self.layers
        size = "-".join(str(len(layer)) for layer in layers)
        scores = ", ".join(f"{score:g}" for score in layers[-1].round(3))
        targets = ", ".join(f"{target:g}" for target in self.state["targets"])
        error = float(np.sum((layers[-1] - self.state["targets"]) ** 2))
        noun = "score" if len(layers[-1]) == 1 else "scores"
        return (
            f"A network of size {size}: {noun} {scores}, target {targets}, "
            f"error {error:.4g}."
        )

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], Any]:
        data, metadata = super()._repr_mimebundle_(**options) or ({}, {})
        still = base64.b64encode(plots.to_png(draw_still(self))).decode()
        alive = {"name": "diagram", "state": self.state}
        about = {"alt": self.alt, "live": alive, "width": 864}
        return (
            {**data, "image/png": still, "text/plain": self.alt},
            {**metadata, "image/png": about},
        )


def draw_still(diagram: Diagram) -> Figure:
    """Draw a diagram's numbers as columns of circles, and its weights as lines."""
    layers = diagram.layers
    tallest = max(map(len, layers))
    size = (9, 1 + 0.9 * tallest)
    figure, axis = plt.subplots(figsize=size, layout="constrained")
    names = (NAMES[0], NAMES[2]) if len(layers) == 2 else NAMES
    places = [
        [(column, (len(layer) - 1) / 2 - row) for row in range(len(layer))]
        for column, layer in enumerate(layers)
    ]
    for column, matrix in enumerate(diagram.state["weights"]):
        draw_weights(axis, places[column], places[column + 1], np.array(matrix))
    for name, layer, circles in zip(names, layers, places, strict=True):
        for value, (x, y) in zip(layer, circles, strict=True):
            face = "white" if name == NAMES[1] and value == 0 else "#F0F4F8"
            axis.plot(x, y, "o", markersize=34, mfc=face, mec=plots.TRAIN)
            axis.text(x, y, f"{value:g}"[:6], ha="center", va="center", fontsize=10)
        axis.text(circles[0][0], tallest / 2 + 0.1, name, ha="center")
    for target, (x, y) in zip(diagram.state["targets"], places[-1], strict=True):
        axis.text(x + 0.2, y, f"target {target:g}", va="center")
    axis.set(xlim=(-0.3, len(layers) - 0.4), ylim=(-tallest / 2, tallest / 2 + 0.5))
    axis.axis("off")
    return figure


def draw_weights(
    axis: Axes,
    starts: Sequence[tuple[float, float]],
    ends: Sequence[tuple[float, float]],
    matrix: np.ndarray,
) -> None:
    """Draw a line for each weight, red above 0 and blue below, with its number."""
    largest = np.abs(matrix).max() or 1.0
    for (row, column), weight in np.ndenumerate(matrix):
        (x, y), (right, down) = starts[row], ends[column]
        width = 0.8 + 3 * abs(weight) / largest
        colour = "#B2182B" if weight > 0 else "#2166AC"
        axis.plot([x, right], [y, down], color=colour, linewidth=width, zorder=0)
        part = 0.3 + 0.08 * (column % 2)  # so that numbers do not lie on each other
        at = x + part * (right - x), y + part * (down - y)
        look = {"fc": "white", "ec": "none", "pad": 1}
        axis.text(*at, f"{weight:g}", ha="center", va="center", bbox=look, fontsize=9)
