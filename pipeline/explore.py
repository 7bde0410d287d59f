"""Explore a trained network: how it reads one image, and the two panels of explore.ipynb."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import anywidget
import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import traitlets
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

import helpers
from pipeline import parameters, plots, runs
from pipeline.data import DIGITS, Classes, Data
from pipeline.records import Status
from pipeline.reports import network
from pipeline.run_folder import Model, RunFolder

Reader = Callable[[int, Sequence[int]], "Reading"]
INK, ANSWER, QUIET = plots.TRAIN, plots.VALIDATION, plots.TEST


@dataclass(frozen=True, eq=False)
class Reading:
    """One image as the network reads it, with some of its hidden units dropped.

    image (784,) uint8; activations (H,), as without dropout; dropped (H,) bool; scores (10,);
    contributions (784, 10), see `compute_contributions`; true: the label, if it is known.
    """

    image: np.ndarray
    activations: np.ndarray
    dropped: np.ndarray
    scores: np.ndarray
    contributions: np.ndarray
    true: int | None
    classes: Classes = DIGITS

    @property
    def answer(self) -> int:
        return int(self.scores.argmax())


def load(run_dir: str) -> tuple[Data, Model]:
    """Read the data and the network of a run; make the default run if the folder has neither."""
    folder = RunFolder(run_dir)
    if not folder.data.exists() and not folder.model.exists():
        runs.run(parameters.Parameters(), run_dir)
    return folder.read_data(), folder.read_model()


def read_image(
    model: Model, image: np.ndarray, dropped: Sequence[int] = (), true: int | None = None
) -> Reading:
    """Show an image (784,) uint8 to the network with these hidden units dropped.

    The kept units are not scaled up as in training, which would multiply all scores by one factor.
    """
    mask = np.ones((1, model.hidden_size))
    mask[0, list(dropped)] = 0
    inputs = helpers.scale(image[np.newaxis], model.normalisation)  # (1, 784)
    activations, _ = helpers.forward(inputs, *model.weights)
    _, scores = helpers.forward(inputs, *model.weights, mask)
    parts = compute_contributions(inputs, *model.weights, mask)
    return Reading(image, activations[0], mask[0] == 0, scores[0], parts, true, model.classes)


def compute_contributions(
    inputs: np.ndarray, weights_0_1: np.ndarray, weights_1_2: np.ndarray, mask: np.ndarray
) -> np.ndarray:
    """Compute what each pixel of an image (1, 784), scaled, adds to each score: (784, 10).

    The network has no biases, and the ReLU passes the sum of an active unit on unchanged. So the
    score of digit d is the sum over the pixels p of x_p * sum_h W1[p, h] * mask_h * [h is active]
    * W2[h, d]. Source: A. Shrikumar et al. (2016), Not just a black box, arXiv:1605.01713.
    """
    gate = (inputs @ weights_0_1 > 0) * mask  # (1, H)
    contributions: np.ndarray = inputs.T * ((weights_0_1 * gate) @ weights_1_2)  # (784, 10)
    return contributions


def describe(reading: Reading) -> str:
    """Describe what the network answers, whether it is correct, and what its hidden units do."""
    names, scores, answer = reading.classes.outputs, reading.scores, reading.answer
    second = int(np.where(np.arange(10) == answer, -np.inf, scores).argmax())
    text = f"The network answers {names[answer]}, with the score {scores[answer]:.2f}; "
    text += f"next comes {names[second]}, with {scores[second]:.2f}. "
    if reading.true is not None:
        mistake = "" if reading.true == answer else ", so that is a mistake"
        text += f"The {reading.classes.nouns[0]} is {names[reading.true]}{mistake}. "
    active, dropped = reading.activations > 0, reading.dropped
    text += f"Of {len(dropped)} hidden units, active: {np.sum(active & ~dropped)}, "
    return text + f"inactive: {np.sum(~active & ~dropped)}, dropped: {np.sum(dropped)}."


def draw(reading: Reading) -> Figure:
    """Draw the image, the pixels for and against the answer, the scores and the hidden units."""
    figure = plt.figure(figsize=(9, 4.7))  # axes at fixed places, so nothing jumps in the panel
    axis = figure.add_axes((0.06, 0.52, 0.21, 0.41), title="The image")
    _draw_pixels(axis, reading.image, cmap="gray_r", vmin=0, vmax=255)
    parts = reading.contributions[:, reading.answer]
    limit = np.abs(parts).max() or 1.0
    title = f"Pixels for and against {reading.classes.outputs[reading.answer]}"
    axis = figure.add_axes((0.295, 0.52, 0.21, 0.41), title=title)
    pixels = _draw_pixels(axis, parts, cmap="RdBu_r", vmin=-limit, vmax=limit)
    bar = figure.add_axes((0.515, 0.52, 0.013, 0.41))
    figure.colorbar(pixels, cax=bar, label="part of the score")
    _draw_scores(figure.add_axes((0.71, 0.52, 0.28, 0.41)), reading)
    _draw_units(figure.add_axes((0.06, 0.1, 0.93, 0.26)), reading)
    return figure


def _draw_pixels(axis: Axes, pixels: np.ndarray, **colours: Any) -> AxesImage:
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set(visible=True, color=QUIET)
    return axis.imshow(pixels.reshape(28, 28), **colours)


def _draw_scores(axis: Axes, reading: Reading) -> None:
    noun, scores = reading.classes.nouns[0], reading.scores
    bars = axis.barh(range(10), scores, color=QUIET)
    bars[reading.answer].set_color(ANSWER)
    axis.axvline(0, color="black", linewidth=0.8)
    low, high = min(-0.4, *scores), max(1.2, *scores)
    room = high + 0.45 * (high - low)  # for the marks beside the bars
    axis.set(title=f"Score of each {noun}", xlabel="score", xlim=(low, room), ylim=(9.6, -0.6))
    axis.set_yticks(range(10), reading.classes.outputs, fontsize=8)
    for k in {reading.answer, reading.true} - {None}:
        marks = ["◀ answer"] * (k == reading.answer) + [f"● true {noun}"] * (k == reading.true)
        look: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": 9}
        axis.annotate("\n".join(marks), (max(0, scores[k]), k), (4, 0), **look)


def _draw_units(axis: Axes, reading: Reading) -> None:
    """Draw a bar for an active unit, a circle for an inactive one, a cross for a dropped one."""
    heights, dropped = reading.activations, reading.dropped
    active = np.flatnonzero((heights > 0) & ~dropped)
    inactive = np.flatnonzero((heights <= 0) & ~dropped)
    out = np.flatnonzero(dropped)
    bars = axis.bar(active, heights[active], color=INK)
    axis.bar(out, heights[out], color="none", edgecolor=QUIET, hatch="////", linewidth=0.8)
    look: dict[str, Any] = {"markersize": 5, "clip_on": False}
    (circles,) = axis.plot(inactive, 0 * inactive, "o", color=INK, markerfacecolor="white", **look)
    (crosses,) = axis.plot(out, 0 * out, "X", color="black", **look)
    axis.set(title="Hidden units", xlabel="hidden unit", ylabel="activation")
    axis.set(xlim=(-1, len(heights) - 0.4), ylim=(0, 1.05 * max(heights.max(), 0.1)))
    labels = ["active", "inactive", "dropped, and what it would be"]
    place: dict[str, Any] = {"bbox_to_anchor": (1, 1), "borderaxespad": 0.1, "loc": "lower right"}
    axis.legend([bars, circles, crosses], labels, **place, ncols=3, frameon=False, fontsize=9)


class ReadingPanel(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """Show what `read` gives for a place, 0 to count - 1, and the hidden units chosen to drop."""

    def __init__(self, read: Reader, count: int, hidden_size: int) -> None:
        self.read = read
        self.place = widgets.IntSlider(
            max=count - 1, description="Image", continuous_update=False, layout={"width": "40em"}
        )
        self.dropped = widgets.SelectMultiple(options=range(hidden_size), description="Dropped")
        self.sentence, self.picture = widgets.HTML(), widgets.HTML()
        super().__init__([self.place, self.dropped, self.sentence, self.picture])
        self.place.observe(self.update, "value")
        self.dropped.observe(self.update, "value")
        self.update()

    def update(self, change: object = None) -> None:
        """Read the chosen image again, and show the sentence and the picture."""
        reading = self.read(self.place.value, self.dropped.value)
        self.sentence.value = f'<p role="status">{escape(describe(reading))}</p>'
        source = base64.b64encode(plots.to_png(draw(reading))).decode()
        look = 'style="width: 864px; max-width: 100%" alt="What the sentence above describes"'
        self.picture.value = f'<img {look} src="data:image/png;base64,{source}">'

    def __repr__(self) -> str:
        return "A panel: choose an image, drop hidden units. It needs JupyterLab."


class LivePanel(anywidget.AnyWidget):
    """Draw and train as in a run's report: Python gets what is drawn and trained."""

    _esm = "\n".join(map(network.read_script, ("network", "draw", "train", "widget")))
    _css = network.read_style("live")
    html = traitlets.Unicode().tag(sync=True)
    page = traitlets.Dict().tag(sync=True)
    source = traitlets.Unicode(network.read_script("network")).tag(sync=True)  # for its worker
    drawn = traitlets.CBytes(bytes(784)).tag(sync=True)
    trained = traitlets.Dict().tag(sync=True)

    def __init__(self, run_dir: str) -> None:
        folder = RunFolder(run_dir)
        record = folder.find_record()
        if record and record.status == Status.DONE:
            chosen = parameters.from_values(record.parameters)
            parts = network.collect_parts(folder, chosen, folder.read_metrics())
        else:  # these files may have other parameters
            parts = network.collect_parts(folder, None, None)
        page = network.ENVIRONMENT.get_template("live.html.j2").render(live=parts)
        super().__init__(html=page, page=parts["page"])

    @property
    def image(self) -> np.ndarray:
        """Return what has been drawn, in the form of MNIST's digits: (784,) uint8, 0 at first."""
        return np.frombuffer(self.drawn, np.uint8)

    @property
    def model(self) -> Model | None:
        """Return the network that was last trained in the browser; None before."""
        if not self.trained:
            return None
        first, second = (np.frombuffer(self.trained[name], "<f8") for name in ("first", "second"))
        classes = Classes(self.page["training"]["parameters"]["classes"])
        normalisation = float(self.trained["normalisation"])
        return Model(first.reshape(784, -1), second.reshape(-1, 10), normalisation, classes)

    def __repr__(self) -> str:
        return "A panel: draw a digit, train again. It needs JupyterLab."
