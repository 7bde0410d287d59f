"""Show how a trained network reads one image: in numbers, in words, as a picture, and beside controls."""

import base64
import html
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

import helpers
from pipeline import parameters, plots, runs
from pipeline.errors import InvalidParameter
from pipeline.images import DIGITS, Classes, Data
from pipeline.model import Model
from pipeline.run_folder import RunFolder

NEEDS_JUPYTERLAB = "It needs JupyterLab."
INK, ANSWER, QUIET = plots.TRAIN, plots.VALIDATION, plots.TEST


@dataclass(frozen=True, eq=False)
class Reading:
    """One image as the network reads it, some of its hidden units being dropped.

    image (784,) uint8; activations (H,) as without dropout; dropped (H,) bool; scores (10,);
    contributions (784, 10), see `pixel_contributions`; true, the label of its digit or class, where that is known.
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
    """Read the data and the trained network of a run; first run the notebooks where the folder has neither.

    Raises InvalidRecord where only one of the two is there, or one is damaged: they are not replaced here.
    """
    folder = RunFolder(run_dir)
    if not folder.data.exists() and not folder.model.exists():
        print("\rNothing is trained there yet: preparing, training and evaluating ...", end="", flush=True)
        runs.run(parameters.from_values({}), run_dir)
    return folder.read_data(), folder.read_model()


def read(model: Model, image: np.ndarray, dropped: Iterable[int] = (), true: int | None = None) -> Reading:
    """Show an image, (784,) uint8, to the network with the given hidden units dropped.

    The kept units are not scaled up, as they are in training: that would multiply all ten scores by the same factor,
    which never changes the answer.
    """
    mask = np.ones((1, model.hidden_size))
    mask[0, list(dropped)] = 0
    inputs = helpers.scale(image[np.newaxis], model.normalisation)  # (1, 784)
    activations, _ = helpers.forward(inputs, *model.weights)
    _, scores = helpers.forward(inputs, *model.weights, mask)
    contributions = pixel_contributions(inputs, *model.weights, mask)
    return Reading(image, activations[0], mask[0] == 0, scores[0], contributions, true, model.classes)


def pixel_contributions(
    inputs: np.ndarray, weights_0_1: np.ndarray, weights_1_2: np.ndarray, mask: np.ndarray | float = 1.0
) -> np.ndarray:
    """Compute what each pixel of one image, (1, 784) scaled, adds to each of the ten scores, as (784, 10).

    The network has no biases, and where a hidden unit is active the ReLU passes its sum on unchanged. So the score
    of digit d is a sum over the pixels p, of x_p * sum_h W1[p, h] * mask_h * [h is active] * W2[h, d], and nothing
    is left over.

    References
    ----------
    A. Shrikumar et al. (2016), Not just a black box, arXiv:1605.01713: the gradient times the input.
    """
    gate = (inputs @ weights_0_1 > 0) * mask  # (1, H)
    contributions: np.ndarray = inputs.T * ((weights_0_1 * gate) @ weights_1_2)  # (784, 1) * (784, 10) -> (784, 10)
    return contributions


def describe(reading: Reading) -> str:
    """Describe what the network answers, whether that is correct, and how many of its hidden units took part."""
    others, names = np.where(np.arange(10) == reading.answer, -np.inf, reading.scores), reading.classes.outputs
    second = int(others.argmax())
    sentence = (
        f"The network answers {names[reading.answer]}, with the score {reading.scores[reading.answer]:.2f}; "
        f"next comes {names[second]}, with {reading.scores[second]:.2f}. "
    )
    if reading.true is not None:
        it_is = "It is an" if reading.true == 8 else "It is a"
        known = f"{it_is if reading.classes == DIGITS else 'The class is'} {names[reading.true]}"
        sentence += f"{known}{'' if reading.true == reading.answer else ', so that is a mistake'}. "
    dropped, active = reading.dropped, reading.activations > 0
    return sentence + (
        f"Of {len(dropped)} hidden units, active: {np.sum(active & ~dropped)}, "
        f"inactive: {np.sum(~active & ~dropped)}, dropped: {np.sum(dropped)}."
    )


def units_in(text: str, hidden_size: int) -> tuple[int, ...]:
    """Read hidden units as they are typed into a field: "3, 15-17". Raises InvalidParameter."""
    units = set[int]()
    for part in filter(None, re.split(r"[\s,;]+", text)):
        found = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", part, re.ASCII)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if not first <= last < hidden_size:
            raise InvalidParameter(
                f"Dropped units has {part!r}, but must be whole numbers from 0 to {hidden_size - 1}, "
                "or spans of them, with commas between: 3, 15-17."
            )
        units |= set(range(first, last + 1))
    return tuple(sorted(units))


def picture(reading: Reading) -> Figure:
    """Draw the image, the pixels for and against the answer, the ten scores, and the hidden units."""
    figure = plt.figure(figsize=(9, 4.7))  # axes at fixed places, so that nothing jumps when it is drawn again
    names = reading.classes.outputs
    title = "The image" if reading.true is None else f"The image: {names[reading.true]}"
    _draw_pixels(figure.add_axes((0.06, 0.52, 0.21, 0.41)), reading.image, title, "gray_r", 0, 255)
    parts = reading.contributions[:, reading.answer]
    limit = np.abs(parts).max() or 1.0
    title = f"Pixels for and against {names[reading.answer]}"
    image = _draw_pixels(figure.add_axes((0.295, 0.52, 0.21, 0.41)), parts, title, "RdBu_r", -limit, limit)
    figure.colorbar(image, cax=figure.add_axes((0.515, 0.52, 0.013, 0.41)), label="part of the score")
    _draw_scores(figure.add_axes((0.71, 0.52, 0.28, 0.41)), reading)
    _draw_units(figure.add_axes((0.06, 0.1, 0.93, 0.26)), reading)
    return figure


def _draw_pixels(axis: Axes, pixels: np.ndarray, title: str, cmap: str, low: float, high: float) -> AxesImage:
    axis.set(title=title, xticks=[], yticks=[])
    axis.spines[:].set(visible=True, color=QUIET)
    return axis.imshow(pixels.reshape(28, 28), cmap=cmap, vmin=low, vmax=high)


def _draw_scores(axis: Axes, reading: Reading) -> None:
    noun, names = reading.classes.nouns[0], reading.classes.outputs
    axis.barh(range(10), reading.scores, color=[ANSWER if k == reading.answer else QUIET for k in range(10)])
    axis.axvline(0, color="black", linewidth=0.8)
    low, high = min(-0.4, *reading.scores), max(1.2, *reading.scores)
    axis.set(title=f"Score of each {noun}", xlabel="score", ylim=(9.6, -0.6))
    axis.set_yticks(range(10), names, fontsize=10 if reading.classes == DIGITS else 8)
    axis.set_xlim(low, high + 0.45 * (high - low))  # room for what is written beside the bars
    marks = {"◀ answer": reading.answer, f"● true {noun}": reading.true}
    for label in set(marks.values()) - {None}:
        text, place = "\n".join(mark for mark in marks if marks[mark] == label), (max(0, reading.scores[label]), label)
        axis.annotate(text, place, (4, 0), textcoords="offset points", va="center", fontsize=9)


def _draw_units(axis: Axes, reading: Reading) -> None:
    """Draw a bar for an active unit, a circle for an inactive one, and a cross over a hatched bar for a dropped one."""
    units = np.arange(len(reading.dropped))
    active, dropped = (reading.activations > 0) & ~reading.dropped, reading.dropped
    inactive = ~active & ~dropped
    bars = axis.bar(units[active], reading.activations[active], color=INK)
    axis.bar(units[dropped], reading.activations[dropped], color="none", edgecolor=QUIET, hatch="////", linewidth=0.8)
    (circles,) = axis.plot(units[inactive], 0 * units[inactive], "o", color=INK, markerfacecolor="white")
    (crosses,) = axis.plot(units[dropped], 0 * units[dropped], "X", color="black")
    plt.setp([circles, crosses], markersize=5, clip_on=False)
    axis.set(title="Hidden units", xlabel="hidden unit", ylabel="activation", xlim=(-1, len(units) - 0.4))
    axis.set_ylim(0, 1.05 * max(reading.activations.max(), 0.1))
    labels = ["active", "inactive", "dropped, and what it would be"]
    above = {"bbox_to_anchor": (1, 1), "borderaxespad": 0.1}
    axis.legend([bars, circles, crosses], labels, loc="lower right", ncols=3, frameon=False, fontsize=9, **above)


class ReadingPanel(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """Show the reading that a function gives of a place, 0 to count - 1, and of dropped units as they are typed."""

    def __init__(self, read: Callable[[int, str], Reading], count: int) -> None:
        if not count:
            raise InvalidParameter("No test image is chosen. Choose some: chosen = np.arange(len(data.x_test))")
        self.read = read
        whole = {"continuous_update": False, "style": {"description_width": "initial"}, "layout": {"width": "40em"}}
        self.place = widgets.IntSlider(0, 0, count - 1, description="Place among the chosen", **whole)
        self.dropped = widgets.Text(description="Dropped units", placeholder="none; or such as 3, 15-17", **whole)
        self.sentence, self.picture = widgets.HTML(), widgets.HTML()
        super().__init__([self.place, self.dropped, self.sentence, self.picture])
        for control in (self.place, self.dropped):
            control.observe(lambda _: self.show(), "value")
        self.show()

    def show(self) -> None:
        """Read the image that is chosen, or name what is wrong with what was typed."""
        try:
            found = self.read(self.place.value, self.dropped.value)
            sentence, source = html.escape(describe(found)), base64.b64encode(plots.png(picture(found))).decode()
            look = 'style="width: 864px; max-width: 100%"'
            answer = html.escape(found.classes.outputs[found.answer])
            alt = f"The image, the pixels for and against {answer}, scores, hidden units"
            self.picture.value = f'<img {look} src="data:image/png;base64,{source}" alt="{alt}">'
        except InvalidParameter as error:
            sentence = html.escape(str(error))
        self.sentence.value = f'<p role="status" style="line-height: 1.4">{sentence}</p>'

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = super()._repr_mimebundle_(**options)
        return bundle | {"text/plain": f"A panel: choose an image, drop hidden units. {NEEDS_JUPYTERLAB}"}
