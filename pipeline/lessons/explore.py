"""Show how a network classifies an image, for the panel of explore.ipynb."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import helpers
from helpers import Weights
from pipeline.images.data import DIGITS, Classes, Data
from pipeline.lessons.diagram import to_output
from pipeline.reports import plots
from pipeline.results.model import Model
from pipeline.results.run_folder import RunFolder

NO_PICTURE = "This network has no such picture:\n"
NO_PICTURE += "its helpers.py computes in another way."


@dataclass(frozen=True, eq=False)
class Reading:
    """How a network classifies one image, with some of its hidden units dropped.

    If helpers.py was changed, the network may compute in another way. `activations` or
    `contributions` is None if the changed network does not have them.
    """

    image: np.ndarray  # (784,) uint8
    activations: np.ndarray | None  # (H,), before units are dropped
    dropped: np.ndarray  # (H,) bool, whether each unit is dropped
    scores: np.ndarray  # (10,)
    contributions: np.ndarray | None  # (784, 10), see `compute_contributions`
    label: int | None  # the label, if it is known
    classes: Classes = DIGITS

    @property
    def noun(self) -> str:
        return "digit" if self.classes == DIGITS else "class"

    @property
    def answer(self) -> int:
        return int(self.scores.argmax())


def load_run(run_dir: str) -> tuple[Data, Model]:
    """Return the data and the network of a run.

    run_dir: the run's folder.
    """
    folder = RunFolder(run_dir)
    if folder.record_path.exists():
        folder.check_helpers(folder.read_finished())
    return folder.read_data(), folder.read_model()


def classify_image(
    model: Model,
    image: np.ndarray,
    dropped: Sequence[int] = (),
    label: int | None = None,
) -> Reading:
    """Classify an image with the network of a model.

    image: (784,) uint8, its pixels.
    dropped: the indices of the hidden units to drop.
    label: the label of the image, if it is known.
    """
    units = model.weights[0].shape[1]
    # Training also scales the mask up. Here this would not change any answer.
    mask = np.ones((1, units))
    mask[0, list(dropped)] = 0
    inputs = helpers.scale(image[np.newaxis], model.normalisation)  # (1, 784)
    hidden = helpers.forward(inputs, model.weights)[0]
    is_known = isinstance(hidden, np.ndarray) and hidden.shape == (1, units)
    _, scores = helpers.forward(inputs, model.weights, mask)
    return Reading(
        image,
        hidden[0] if is_known else None,
        mask[0] == 0,
        scores[0],
        compute_contributions(inputs, model.weights, mask, scores[0]),
        label,
        model.classes,
    )


def compute_contributions(
    inputs: np.ndarray, weights: Weights, mask: np.ndarray, scores: np.ndarray
) -> np.ndarray | None:
    """Return the contribution of each pixel to each score: (784, 10).

    inputs: (1, 784), the scaled pixels.
    mask: (1, H), 0 for each dropped unit and 1 for each other unit.
    scores: (10,), the scores that helpers.py has computed.

    Return None if the contributions to a score do not add up to it. This happens if
    helpers.py has been changed so that the network computes in another way.
    """
    size = mask.shape[1]
    if [matrix.shape for matrix in weights] != [(784, size), (size, 10)]:
        return None
    contributions = compute_gradient_times_input(inputs, weights, mask)
    total = contributions.sum(axis=0)
    return contributions if np.allclose(total, scores, rtol=1e-9) else None


def compute_gradient_times_input(
    inputs: np.ndarray, weights: Weights, mask: np.ndarray
) -> np.ndarray:
    """Return the gradient of each score, multiplied by the inputs: (784, 10).

    inputs, mask: see `compute_contributions`.

    These products are contributions: as there are no biases, the score of digit d is
    the sum over the pixels p of

        x_p * sum_h W1[p, h] * mask_h * [h is active] * W2[h, d].

    Source: A. Shrikumar et al. (2016), arXiv:1605.01713.
    """
    weights_0_1, weights_1_2 = weights
    gate = (inputs @ weights_0_1 > 0) * mask  # (1, H)
    return np.asarray(inputs.T * ((weights_0_1 * gate) @ weights_1_2))


def describe_reading(reading: Reading) -> str:
    """Describe a reading in words.

    The text has the answer, says whether the answer is correct, and counts the active,
    inactive and dropped units.
    """
    names, scores, true = reading.classes.outputs, reading.scores, reading.label
    answer, second = np.argsort(-scores, stable=True)[:2]
    text = f"The network answers {names[answer]}, with the score {scores[answer]:.2f}; "
    text += f"next comes {names[second]}, with {scores[second]:.2f}. "
    if true is not None:
        mistake = "" if true == answer else ", so that is a mistake"
        text += f"The {reading.noun} is {names[true]}{mistake}. "
    if reading.activations is None:
        return text.rstrip()
    total, dropped = len(reading.dropped), np.sum(reading.dropped)
    active = np.sum((reading.activations > 0) & ~reading.dropped)
    text += f"Of {total} hidden units, active: {active}, "
    return text + f"inactive: {total - active - dropped}, dropped: {dropped}."


def draw_reading(reading: Reading) -> Figure:
    """Draw a reading: the image, contributions of pixels, scores and hidden units."""
    names, scores = reading.classes.outputs, reading.scores
    figure, axes = plt.subplot_mosaic("abc;ddd", figsize=(9, 4.8))
    figure.subplots_adjust(left=0.06, bottom=0.1, hspace=0.6, wspace=0.4)
    image, pixels, bars, units = axes.values()
    image.imshow(reading.image.reshape(28, 28), cmap="gray_r", vmin=0, vmax=255)
    image.set(title="The image", xticks=[], yticks=[])
    pixels.set(title=f"Pixels for and against {names[reading.answer]}")
    pixels.set(xticks=[], yticks=[])
    if reading.contributions is None:
        pixels.text(0.5, 0.5, NO_PICTURE, ha="center", transform=pixels.transAxes)
    else:
        parts = reading.contributions[:, reading.answer].reshape(28, 28)
        limit = np.abs(parts).max() or 1.0
        colours = pixels.imshow(parts, cmap="RdBu_r", vmin=-limit, vmax=limit)
        figure.colorbar(colours, ax=pixels, label="part of the score")
    bars.barh(range(10), scores, color=plots.TEST)
    bars.barh(reading.answer, scores.max(), color=plots.VALIDATION, label="answer")
    if reading.label is not None:
        label = f"true {reading.noun}"
        bars.plot(scores[reading.label], reading.label, "ko", label=label)
    bars.set(xlabel="score", ylim=(9.6, -0.6))
    bars.set_xlim(min(-0.4, *scores), 1.05 * max(1.2, *scores))
    bars.set_yticks(range(10), names, fontsize=8)
    units.set(title="Hidden units", xlabel="hidden unit", ylabel="activation")
    draw_activations(units, reading)
    for axis in (bars, units):
        axis.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
    return figure


def draw_activations(ax: Axes, reading: Reading) -> None:
    """Draw the activation of each hidden unit, and a cross on each dropped unit."""
    heights = reading.activations
    if heights is None:
        ax.text(0.5, 0.5, NO_PICTURE, ha="center", transform=ax.transAxes)
        return
    dropped = np.flatnonzero(reading.dropped)
    ax.bar(range(len(heights)), heights, color=plots.TRAIN, label="active")
    ax.plot(dropped, heights[dropped], "kX", label="dropped, and what it would be")
    low, high = min(heights.min(), 0.0), max(heights.max(), 0.1)
    ax.set(xlim=(-1, len(heights) - 0.4), ylim=(1.1 * low, 1.1 * high))


class ReadingPanel(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """Show a slider for the image, a list of units to drop, and the resulting reading.

    make_reading: takes the index of an image and the indices of the units to drop, and
        returns a `Reading`.
    count: the number of images.
    hidden_size: the number of hidden units.
    """

    def __init__(
        self, make_reading: Callable[..., Reading], count: int, hidden_size: int
    ) -> None:
        self.make_reading = make_reading
        self.index = widgets.IntSlider(
            max=count - 1, description="Image", continuous_update=False
        )
        self.dropped = widgets.SelectMultiple(
            options=range(hidden_size), description="Dropped"
        )
        self.view = widgets.HTML()
        super().__init__([self.index, self.dropped, self.view])
        self.index.observe(self.update, "value")
        self.dropped.observe(self.update, "value")
        self.update()

    def update(self, change: object = None) -> None:
        """Classify the chosen image again, and show the sentence and the picture."""
        reading = self.make_reading(self.index.value, self.dropped.value)
        alt = (
            f"A panel: choose an image, drop hidden units. {describe_reading(reading)}"
        )
        self.still, self.metadata = to_output(draw_reading(reading), alt)
        sentence = escape(describe_reading(reading))
        source = f"data:image/png;base64,{self.still['image/png']}"
        picture = f'<img width="864" alt="{sentence}" src="{source}">'
        self.view.value = f'<p role="status">{sentence}</p>{picture}'

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], Any]:
        return super()._repr_mimebundle_(**options) | self.still, self.metadata
