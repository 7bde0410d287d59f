"""Show a small network as a picture that you can press, and as a still of its state.

In JupyterLab, and in pages of a notebook, diagram.js draws the picture from the state
and makes it live. Where no script runs, as on GitHub, the still stands in its place.
"""

import base64
import itertools
from collections.abc import Sequence
from typing import Any

import anywidget
import matplotlib.pyplot as plt
import numpy as np
import traitlets
from matplotlib.figure import Figure

from pipeline import plots
from pipeline.errors import InvalidInput
from pipeline.reports import live


class Diagram(anywidget.AnyWidget):
    """A network of one or two weight matrices, with one input and its target.

    weights: one matrix (I, O), or two, (I, H) and (H, O), with a ReLU between them.
    inputs: (I,), the numbers that go in.
    targets: (O,), what the scores should be.
    learning_rate: that of the next step.
    relu_grad_inactive: the derivative of the ReLU where a unit is inactive, 0 or 1.

    Raises InvalidInput if the shapes do not fit.
    """

    _scripts = ("sums", "explain", "diagram")
    _esm = "".join(map(live.read_script, _scripts)) + "export default diagram_js;\n"
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
        return (
            f"A network of size {size}: score {scores}, target {wanted}, error {error}."
        )

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], Any]:
        data, metadata = super()._repr_mimebundle_(**options) or ({}, {})
        still = base64.b64encode(plots.to_png(draw_still(self))).decode()
        alive = {"name": "diagram", "state": self.state}
        about = {"image/png": {"alt": self.alt, "live": alive, "width": 864}}
        return {**data, "image/png": still, "text/plain": self.alt}, metadata | about


def draw_still(diagram: Diagram) -> Figure:
    """Draw numbers as circles, and weights as lines: red above 0, and blue below."""
    layers, targets = diagram.layers, diagram.state["targets"]
    tall = max(map(len, layers))
    figure, axis = plt.subplots(figsize=(9, 1 + 0.9 * tall), layout="constrained")
    places = [  # of each circle: across, up
        [(column, (len(layer) - 1) / 2 - row) for row in range(len(layer))]
        for column, layer in enumerate(layers)
    ]
    number: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 10}
    for column, matrix in enumerate(map(np.array, diagram.state["weights"])):
        for (row, to), weight in np.ndenumerate(matrix):
            (x, y), (right, up) = places[column][row], places[column + 1][to]
            width = 0.8 + 3 * abs(weight) / (np.abs(matrix).max() or 1)
            colour = "#B2182B" if weight > 0 else "#2166AC"
            axis.plot([x, right], [y, up], color=colour, linewidth=width, zorder=0)
            part = 0.3 + 0.08 * (to % 2)  # so that numbers do not lie on each other
            at = x + part * (right - x), y + part * (up - y)
            axis.text(*at, f"{weight:g}", bbox={"fc": "white", "ec": "none"}, **number)
    names = ["inputs", "units", "scores"] if len(layers) > 2 else ["inputs", "scores"]
    for name, layer, circles in zip(names, layers, places, strict=True):
        axis.text(circles[0][0], tall / 2 + 0.1, name, ha="center")
        for value, (x, y) in zip(layer, circles, strict=True):
            face = "white" if name == "units" and value == 0 else "#F0F4F8"
            axis.plot(x, y, "o", markersize=34, mfc=face, mec=plots.TRAIN)
            axis.text(x, y, f"{value:.4g}", **number)
    for target, (x, y) in zip(targets, places[-1], strict=True):
        axis.text(x + 0.2, y, f"target {target:g}", va="center")
    axis.set(xlim=(-0.3, len(layers) - 0.4), ylim=(-tall / 2, tall / 2 + 0.5))
    axis.axis("off")
    return figure
