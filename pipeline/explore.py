"""A trained network to play with: the panels of explore.ipynb, and what they show.

First functions that know no widget: how a digit is read, how one is drawn, how training goes on before one's eyes.
Then the panels, a class each, which share the network in use through a `Bench`.
"""

import base64
import html
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ipycanvas
import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import traitlets
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

import helpers
from pipeline import figures, files, parameters, run

EPOCHS = 100  # the original's
REDRAWN_EVERY = 20  # epochs: a picture takes as long as all of them
CANVAS_SIDE = 280  # pixels, ten for each of an image's
PEN_WIDTH = 22
INK, ANSWER, QUIET = figures.TRAIN, figures.VALIDATION, figures.TEST


# ---- the network, and how it reads a digit ----------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Network:
    """Trained weights, and what pixels are divided by."""

    weights_0_1: np.ndarray
    weights_1_2: np.ndarray
    normalisation: float

    @property
    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        return self.weights_0_1, self.weights_1_2

    @property
    def hidden_size(self) -> int:
        return self.weights_0_1.shape[1]


@dataclass(frozen=True, eq=False)
class Reading:
    """One digit as the network reads it, some of its hidden units being dropped.

    image (784,) uint8; activations (H,) as without dropout; dropped (H,) bool; scores (10,);
    contributions (784, 10), see `helpers.pixel_contributions`; true, the digit that it is, where that is known.
    """

    image: np.ndarray
    activations: np.ndarray
    dropped: np.ndarray
    scores: np.ndarray
    contributions: np.ndarray
    true: int | None

    @property
    def answer(self) -> int:
        return int(self.scores.argmax())


def load_network(run_dir: str) -> tuple[files.Data, Network]:
    """The data and the trained network of a run; where the folder has neither, a run with the default parameters.

    Raises DataError where only one of the two is there, or one is damaged: then it is not for us to replace them.
    """
    folder = files.run_path(run_dir)
    if not any((folder / name).exists() for name in ("data.npz", "model.npz")):
        print("\rNothing is trained there yet: preparing, training and evaluating ...", end="", flush=True)
        run.run(parameters.from_values({"run_dir": run_dir}), say=lambda line: None)
    data = files.load_data(run_dir)
    weights_0_1, weights_1_2, _ = files.load_model(run_dir)
    return data, Network(weights_0_1, weights_1_2, data.normalisation)


def read(network: Network, image: np.ndarray, dropped: Iterable[int] = (), true: int | None = None) -> Reading:
    """Show an image, (784,) uint8, to the network with the given hidden units dropped.

    The kept units are not scaled up, as they are while training: that would multiply all ten scores by the same
    factor, which never changes the answer.
    """
    mask = np.ones((1, network.hidden_size))
    mask[0, list(dropped)] = 0
    inputs = helpers.scale(image[np.newaxis], network.normalisation)  # (1, 784)
    activations, _ = helpers.forward(inputs, *network.weights)
    _, scores = helpers.forward(inputs, *network.weights, mask)
    contributions = helpers.pixel_contributions(inputs, *network.weights, mask)
    return Reading(image, activations[0], mask[0] == 0, scores[0], contributions, true)


def in_words(reading: Reading) -> str:
    """What the network answers, whether that is right, and how many of its hidden units took part."""
    second = int(reading.scores.argsort()[-2])
    told = (
        f"The network answers {reading.answer}, with the score {reading.scores[reading.answer]:.2f}; "
        f"next comes {second}, with {reading.scores[second]:.2f}. "
    )
    if reading.true is not None:
        told += f"It is a {reading.true}{'' if reading.true == reading.answer else ', so that is a mistake'}. "
    dropped, active = reading.dropped, reading.activations > 0
    return told + (
        f"Of {len(dropped)} hidden units, active: {np.sum(active & ~dropped)}, "
        f"silent: {np.sum(~active & ~dropped)}, dropped: {np.sum(dropped)}."
    )


def matching(
    said: np.ndarray, true: np.ndarray, mistakes: bool = False, digit: int | None = None, answer: int | None = None
) -> np.ndarray:
    """The places of the images that are asked for: mistakes only, of one true digit, with one answer."""
    wanted = np.ones(len(true), bool)
    if mistakes:
        wanted &= said != true
    if digit is not None:
        wanted &= true == digit
    if answer is not None:
        wanted &= said == answer
    return np.flatnonzero(wanted)


def digit_or_any(name: str, text: str) -> int | None:
    """A digit as it is typed into a field; None for an empty one. Raises ValueError, which says what is allowed."""
    if not text.strip():
        return None
    if re.fullmatch(r"\s*[0-9]\s*", text, re.ASCII) is None:
        raise ValueError(f"{name} is {text!r}, but must be a digit from 0 to 9, or empty for any.")
    return int(text)


def units_in(text: str, hidden_size: int) -> tuple[int, ...]:
    """Hidden units as they are typed into a field: "3, 15-17". Raises ValueError, which says what is allowed."""
    units = set()
    for part in filter(None, re.split(r"[\s,;]+", text)):
        found = re.fullmatch(r"(\d+)(?:-(\d+))?", part, re.ASCII)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if not first <= last < hidden_size:
            raise ValueError(
                f"Dropped units has {part!r}, but must be whole numbers from 0 to {hidden_size - 1}, "
                "or spans of them, with commas between: 3, 15-17."
            )
        units |= set(range(first, last + 1))
    return tuple(sorted(units))


def accuracy_under_dropout(
    network: Network, images: np.ndarray, true: np.ndarray, rng: np.random.RandomState, rate: float
) -> float:
    """The fraction of images that is answered rightly with one dropout mask for all of them."""
    mask = helpers.dropout_mask(rng, network.hidden_size, rate)
    _, scores = helpers.forward(helpers.scale(images, network.normalisation), *network.weights, mask)
    return float(np.mean(scores.argmax(axis=1) == true))


# ---- pictures of a reading --------------------------------------------------------------------------------------


def picture(reading: Reading) -> Figure:
    """The image, the pixels for and against the answer, the ten scores, and the hidden units."""
    figure = plt.figure(figsize=(9, 4.7))  # axes at fixed places, so that nothing jumps when it is drawn again
    _draw_image(figure.add_axes((0.06, 0.5, 0.225, 0.43)), reading)
    _draw_contributions(figure.add_axes((0.315, 0.5, 0.225, 0.43)), figure.add_axes((0.55, 0.5, 0.013, 0.43)), reading)
    _draw_scores(figure.add_axes((0.70, 0.5, 0.29, 0.43)), reading)
    _draw_units(figure.add_axes((0.06, 0.1, 0.93, 0.26)), reading)
    return figure


def _draw_image(axis: Axes, reading: Reading) -> None:
    axis.imshow(reading.image.reshape(28, 28), cmap="gray_r", vmin=0, vmax=255)
    told = "The digit" if reading.true is None else f"The digit, a {reading.true}"
    axis.set(title=told, xticks=[], yticks=[])
    axis.spines[:].set(visible=True, color=QUIET)


def _draw_contributions(axis: Axes, scale: Axes, reading: Reading) -> None:
    argued = reading.contributions[:, reading.answer].reshape(28, 28)
    limit = np.abs(argued).max() or 1.0
    image = axis.imshow(argued, cmap="RdBu_r", vmin=-limit, vmax=limit)
    axis.set(title=f"Pixels for and against {reading.answer}", xticks=[], yticks=[])
    axis.spines[:].set(visible=True, color=QUIET)
    axis.figure.colorbar(image, cax=scale, label="part of the score")


def _draw_scores(axis: Axes, reading: Reading) -> None:
    colours = [ANSWER if digit == reading.answer else QUIET for digit in range(10)]
    axis.barh(range(10), reading.scores, color=colours)
    axis.axvline(0, color="black", linewidth=0.8)
    low, high = min(-0.4, *reading.scores), max(1.2, *reading.scores)
    axis.set(title="Scores", xlabel="score", ylabel="digit", yticks=range(10), ylim=(9.6, -0.6))
    axis.set_xlim(low, high + 0.45 * (high - low))  # room for what is written beside the bars
    for digit in {reading.answer, reading.true} - {None}:
        marks = {"◀ answer": reading.answer, "● true digit": reading.true}
        told = "\n".join(mark for mark, marked in marks.items() if marked == digit)
        axis.annotate(
            told, (max(0, reading.scores[digit]), digit), (4, 0), textcoords="offset points", va="center", fontsize=9
        )


def _draw_units(axis: Axes, reading: Reading) -> None:
    """Bars of the active units; a circle for a silent one; a cross, and what would have been, for a dropped one."""
    units = np.arange(len(reading.dropped))
    active, dropped = (reading.activations > 0) & ~reading.dropped, reading.dropped
    silent = ~active & ~dropped
    marks = {"clip_on": False, "linestyle": "none", "markersize": 5}
    bars = axis.bar(units[active], reading.activations[active], color=INK)
    axis.bar(units[dropped], reading.activations[dropped], color="none", edgecolor=QUIET, hatch="////", linewidth=0.8)
    (circles,) = axis.plot(units[silent], 0 * units[silent], "o", color=INK, markerfacecolor="white", **marks)
    (crosses,) = axis.plot(units[dropped], 0 * units[dropped], "X", color="black", **marks)
    axis.set(title="Hidden units", xlabel="hidden unit", ylabel="activation", xlim=(-1, len(units) - 0.4))
    axis.set_ylim(0, 1.05 * max(reading.activations.max(), 0.1))
    names = {"active": bars, "silent": circles, "dropped, and what it would be": crosses}
    place = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0.1}
    axis.legend(names.values(), names.keys(), ncols=3, frameon=False, fontsize=9, **place)


# ---- a digit drawn by hand --------------------------------------------------------------------------------------

Stroke = Sequence[tuple[float, float]]


def ink(strokes: Iterable[Stroke], side: int = CANVAS_SIDE, width: int = PEN_WIDTH) -> np.ndarray:
    """Strokes of a round pen as a picture: (side, side) uint8, 0 for paper and 255 for ink.

    strokes: lists of points (x, y), in pixels from the top left corner.
    """
    paper = Image.new("L", (side, side))
    pen, radius = ImageDraw.Draw(paper), width / 2
    for stroke in strokes:
        pen.line([tuple(point) for point in stroke], fill=255, width=width)
        for x, y in stroke:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(paper)


def centred(drawn: np.ndarray) -> np.ndarray:
    """A drawn digit as MNIST has its own: fitted into 20 x 20 pixels, its centre of mass in the middle of 28 x 28.

    The proportions are kept. Each pixel of the result is the mean of those that it covers, so edges become grey.
    The middle is the pixel (14, 14), counted from 0, which is where MNIST's digits have it.

    Parameters
    ----------
    drawn : ndarray, (H, W) uint8
        0 for paper, 255 for ink. No ink at all gives an empty image.

    Returns
    -------
    ndarray, (784,) uint8

    References
    ----------
    Y. LeCun et al. (1998), Gradient-based learning applied to document recognition, Proceedings of the IEEE 86,
    section III.A.
    """
    image = np.zeros((28, 28), np.uint8)
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    if rows.size == 0:
        return image.ravel()
    box = Image.fromarray(drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    size = [max(1, round(20 * length / max(box.size))) for length in box.size]
    small = np.asarray(box.resize(size, Image.Resampling.BOX))
    top, left = (_start(small.sum(axis=1 - axis, dtype=float)) for axis in (0, 1))
    image[top : top + small.shape[0], left : left + small.shape[1]] = small
    return image.ravel()


def _start(mass: np.ndarray) -> int:
    """Where a digit begins along one axis, so that its centre of mass is nearest to 14 and it stays in the field."""
    centre = mass @ np.arange(len(mass)) / mass.sum()
    return int(np.clip(np.floor(14 - centre + 0.5), 0, 28 - len(mass)))


# ---- training before one's eyes ---------------------------------------------------------------------------------


def train(
    data: files.Data, hidden_size: int, epochs: int = EPOCHS, seed: int = 1, **settings: Any
) -> Iterator[tuple[np.ndarray, np.ndarray, list[dict[str, float]]]]:
    """The loop of 02_train, an epoch at a time: after each one the weights, and the history so far.

    settings: learning_rate, dropout_rate and relu_grad_at_zero. Raises helpers.Diverged.
    """
    rng = np.random.RandomState(seed)
    weights = helpers.initial_weights(rng, hidden_size)
    rate, history = settings["learning_rate"], []
    for epoch in range(epochs):
        error, accuracy = helpers.train_epoch(
            data.x_train, data.y_train, *weights, rng, normalisation=data.normalisation, **settings
        )
        helpers.check_finite(error, epoch, rate, data.normalisation)
        history.append({"train_error": error, "train_accuracy": accuracy})
        if len(data.x_validation):
            measured = helpers.evaluate(data.x_validation, data.y_validation, *weights, data.normalisation)
            helpers.check_finite(measured[0], epoch, rate, data.normalisation)
            history[-1] |= {"validation_error": measured[0], "validation_accuracy": measured[1]}
        yield *weights, history


def training_in_words(history: Sequence[dict[str, float]]) -> str:
    """Where a training stands."""
    now = history[-1]
    told = f"After {len(history)} epochs: accuracy {now['train_accuracy']:.3f} on the training images, under dropout"
    if "validation_accuracy" in now:
        told += f", and {now['validation_accuracy']:.3f} on the validation images"
    return told + "."


def growing_curves(history: Sequence[dict[str, float]], epochs: int = EPOCHS) -> Figure:
    """Learning curves so far, in axes that have room for all epochs."""
    figure = figures.learning_curves(history)
    for axis in figure.axes:
        axis.set_xlim(0, epochs + 1)
    return figure


# ---- the panels -------------------------------------------------------------------------------------------------


class Bench(traitlets.HasTraits):
    """What the panels share: the network in use."""

    network = traitlets.Instance(Network)

    def __init__(self, network: Network) -> None:
        super().__init__(network=network)


class Panel(widgets.VBox):
    """Controls, then a sentence and a picture. `told` stands for it where a notebook is read and not run."""

    told = "A panel of controls."

    def __init__(self, controls: Sequence[widgets.Widget]) -> None:
        self.sentence, self.shown = widgets.HTML(), widgets.HTML()
        super().__init__([*controls, self.sentence, self.shown])

    def say(self, sentence: str) -> None:
        self.sentence.value = f'<p role="status" style="line-height: 1.4">{html.escape(sentence)}</p>'

    def draw(self, figure: Figure, alt: str) -> None:
        """Show a figure with its text alternative."""
        source = base64.b64encode(figures.png(figure)).decode()
        self.shown.value = (
            f'<img alt="{html.escape(alt)}" style="width: 864px; max-width: 100%" src="data:image/png;base64,{source}">'
        )

    def show_reading(self, reading: Reading) -> None:
        self.say(in_words(reading))
        self.draw(picture(reading), f"The digit, the pixels for and against {reading.answer}, scores and hidden units.")

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        bundle = super()._repr_mimebundle_(**options)
        return bundle | {"text/plain": f"{self.told} It is alive in JupyterLab, after Run All."}


ROW = {"flex_flow": "row wrap", "align_items": "center"}


def _named(kind: type[widgets.Widget], description: str, width: str = "12em", **options: Any) -> widgets.Widget:
    """A control with its description whole beside it, which tells of a change when it is complete.

    Selection lists are not used: JupyterLab takes arrow keys and letters away from them, as commands on cells.
    """
    if kind is not widgets.Checkbox:
        options["continuous_update"] = False
    style = {"description_width": "initial"}
    return kind(description=description, style=style, layout={"width": width}, **options)


def _button(description: str, pressed: Callable[[], None]) -> widgets.Button:
    button = widgets.Button(description=description, layout={"width": "max-content"})
    button.on_click(lambda _: pressed())
    return button


class ReadingPanel(Panel):
    """Choose a test digit, switch hidden units off, and see how it is read."""

    told = "A panel: choose a test digit, drop hidden units, and see the answer change."

    def __init__(self, data: files.Data, bench: Bench) -> None:
        self.data, self.bench = data, bench
        self.rng = np.random.RandomState(1)
        digits = {"options": [str(digit) for digit in range(10)], "placeholder": "any"}
        self.mistakes = _named(widgets.Checkbox, "Mistakes only", indent=False)
        self.digit = _named(widgets.Combobox, "True digit", **digits)
        self.answer = _named(widgets.Combobox, "Answer", **digits)
        self.index = _named(widgets.BoundedIntText, "Test image", min=0, max=len(data.x_test) - 1)
        self.next = _button("Next such image", self.go_on)
        self.found = widgets.HTML()
        self.dropped = _named(widgets.Text, "Dropped units", width="54em", placeholder="none; or such as 3, 15-17")
        self.rate = _named(widgets.FloatSlider, "Dropout rate", width="24em", value=0.5, min=0, max=0.9, step=0.1)
        self.draw_mask = _button("Draw a dropout mask", self.drop_at_random)
        self.reset = _button("All units on", self.drop_none)
        super().__init__(
            [
                widgets.Box([self.mistakes, self.digit, self.answer, self.found], layout=ROW),
                widgets.Box([self.index, self.next], layout=ROW),
                self.dropped,
                widgets.Box([self.rate, self.draw_mask, self.reset], layout=ROW),
            ]
        )
        bench.observe(lambda _: self.take_network(), "network")
        for control in (self.mistakes, self.digit, self.answer):
            control.observe(lambda _: self.look(), "value")
        for control in (self.index, self.dropped):
            control.observe(lambda _: self.show(), "value")
        self.take_network()

    def take_network(self) -> None:
        """Read all test images anew, the one that is shown among them, with no unit dropped."""
        network = self.bench.network
        self.said = helpers.predict(self.data.x_test, *network.weights, network.normalisation).argmax(axis=1)
        self.drop_none()
        self.look(stay=True)

    def look(self, stay: bool = False) -> None:
        """Find the images that are asked for, and go to the first unless the one shown is among them."""
        try:
            digit = digit_or_any("True digit", self.digit.value)
            answer = digit_or_any("Answer", self.answer.value)
        except ValueError as error:
            self.say(str(error))
            return
        self.matches = matching(self.said, self.data.y_test, self.mistakes.value, digit, answer)
        self.found.value = f"{len(self.matches):,} such images"
        if len(self.matches) and not stay and self.index.value not in self.matches:
            self.index.value = int(self.matches[0])
        else:
            self.show()

    def go_on(self) -> None:
        """To the next image that is asked for, from the last to the first."""
        if len(self.matches):
            after = self.matches[self.matches > self.index.value]
            self.index.value = int(after[0] if len(after) else self.matches[0])

    def drop_at_random(self) -> None:
        mask = helpers.dropout_mask(self.rng, self.bench.network.hidden_size, self.rate.value)
        self.dropped.value = ", ".join(str(unit) for unit in np.flatnonzero(mask == 0))

    def drop_none(self) -> None:
        self.dropped.value = ""

    def show(self) -> None:
        i, network = self.index.value, self.bench.network
        try:
            dropped = units_in(self.dropped.value, network.hidden_size)
        except ValueError as error:
            self.say(str(error))
            return
        self.show_reading(read(network, self.data.x_test[i], dropped, true=int(self.data.y_test[i])))


class TrainingPanel(Panel):
    """Choose settings, train, and hand the network on to the other panels."""

    told = "A panel: choose learning rate, hidden size and dropout rate, and see the curves grow as it trains."

    def __init__(self, data: files.Data, bench: Bench) -> None:
        self.data, self.bench = data, bench
        self.of_the_run = self.trained = bench.network
        wide = {"width": "26em"}
        self.learning_rate = _named(
            widgets.FloatLogSlider, "Learning rate", value=0.005, min=-4, max=0, readout_format=".2g", **wide
        )
        self.hidden_size = _named(widgets.IntSlider, "Hidden units", value=40, min=1, max=200, **wide)
        self.dropout_rate = _named(widgets.FloatSlider, "Dropout rate", value=0.5, min=0, max=0.9, step=0.1, **wide)
        self.at_zero = _named(widgets.IntSlider, "relu_grad_at_zero", value=1, min=0, max=1, **wide)
        self.start = _button("Train", self.train)
        self.use = _named(
            widgets.Checkbox, "Use the network trained here", width="max-content", indent=False, disabled=True
        )
        self.use.observe(lambda _: self.choose(), "value")
        super().__init__(
            [
                widgets.Box([self.learning_rate, self.hidden_size], layout=ROW),
                widgets.Box([self.dropout_rate, self.at_zero], layout=ROW),
                widgets.Box([self.start, self.use], layout=ROW),
            ]
        )
        self.say("Nothing is trained here yet.")

    def choose(self) -> None:
        """Give all panels the network trained here, or the run's."""
        self.bench.network = self.trained if self.use.value else self.of_the_run

    def train(self) -> None:
        """Train, drawing every few epochs; a training that diverges says so, and changes nothing."""
        self.start.disabled = True
        settings = {
            "learning_rate": float(f"{self.learning_rate.value:.2g}"),  # as it is shown
            "dropout_rate": round(self.dropout_rate.value, 1),  # a slider can give 0.30000000000000004
            "relu_grad_at_zero": self.at_zero.value,
        }
        try:
            for trained in train(self.data, self.hidden_size.value, **settings):
                *weights, history = trained
                if len(history) % REDRAWN_EVERY == 0:
                    self.say(training_in_words(history))
                    self.draw(growing_curves(history), f"Learning curves. {training_in_words(history)}")
        except helpers.Diverged as error:
            self.say(f"This training diverged: {error}")
            self.shown.value = ""
            return
        finally:
            self.start.disabled = False
        self.trained = Network(*weights, self.data.normalisation)
        self.use.disabled, self.use.value = False, True
        self.choose()
        self.say(f"{training_in_words(history)} The other panels now use this network.")


class DrawingPanel(Panel):
    """Draw a digit, and have it read."""

    told = "A panel: draw a digit with the mouse, and have it read."

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.strokes: list[list[tuple[float, float]]] = []
        self.pen_down = False
        self.canvas = ipycanvas.Canvas(
            width=CANVAS_SIDE, height=CANVAS_SIDE, layout={"border": f"2px solid {QUIET}", "width": f"{CANVAS_SIDE}px"}
        )
        self.canvas.line_width, self.canvas.line_cap, self.canvas.line_join = PEN_WIDTH, "round", "round"
        self.canvas.on_mouse_down(self.begin)
        self.canvas.on_mouse_move(self.move)
        self.canvas.on_mouse_up(self.end)
        self.canvas.on_mouse_out(self.end)
        self.canvas.on_touch_start(lambda touches: self.begin(*touches[0]))
        self.canvas.on_touch_move(lambda touches: self.move(*touches[0]))
        self.canvas.on_touch_end(lambda touches: self.end())
        self.undo = _button("Take the last stroke back", self.take_back)
        self.clear = _button("Clear", self.begin_anew)
        self.canvas.on_key_down(self.key)
        label = widgets.HTML("<p>Draw a digit in the square, with a mouse, a pen or a finger:</p>")
        super().__init__([label, self.undo, self.canvas, self.clear])
        bench.observe(lambda _: self.show(), "network")
        self.begin_anew()

    def key(self, key: str, *modifiers: bool) -> None:
        """Let the tabulator lead on: the canvas keeps every key that it gets, and would hold the keyboard for good."""
        if key == "Tab":
            shift, *_ = modifiers
            (self.undo if shift else self.clear).focus()

    def begin(self, x: float, y: float) -> None:
        self.pen_down = True
        self.strokes.append([(x, y)])
        self._line((x, y), (x, y))

    def move(self, x: float, y: float) -> None:
        if self.pen_down:
            self._line(self.strokes[-1][-1], (x, y))
            self.strokes[-1].append((x, y))

    def end(self, *_: float) -> None:
        if self.pen_down:
            self.pen_down = False
            self.show()

    def take_back(self) -> None:
        self.strokes = self.strokes[:-1]
        self.draw_strokes()

    def begin_anew(self) -> None:
        self.strokes = []
        self.draw_strokes()

    def draw_strokes(self) -> None:
        self.pen_down = False
        with ipycanvas.hold_canvas():
            self.canvas.fill_style = "white"
            self.canvas.fill_rect(0, 0, CANVAS_SIDE, CANVAS_SIDE)
            for stroke in self.strokes:
                for start, end in itertools.pairwise([stroke[0], *stroke]):
                    self._line(start, end)
        self.show()

    def show(self) -> None:
        if not self.strokes:
            self.say("Nothing is drawn yet.")
            self.shown.value = ""
        else:
            self.show_reading(read(self.bench.network, centred(ink(self.strokes))))

    def _line(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.canvas.stroke_line(*start, end[0] + 0.1, end[1])  # so that a point makes a dot
