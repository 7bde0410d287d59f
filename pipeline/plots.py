"""Draw the plots that several notebooks share, in one style, and show them with alternative text.

The colours are those of M. Okabe and K. Ito (2008), which colour-blind readers can distinguish.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import HTML, Image, display
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler
from PIL.Image import Dither, Quantize, fromarray

from pipeline.records import History

TRAIN, VALIDATION, TEST = "#0072B2", "#D55E00", "#767676"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
LINE_STYLES = (
    "-",
    "--",
    "-.",
    ":",
    (0, (8, 3)),
    (0, (5, 1, 1, 1, 1, 1)),
)  # one a colour


def use_style() -> None:
    """Set the project's look for all plots that follow, whatever the user's own settings are."""
    plt.rcdefaults()
    plt.rc("axes", prop_cycle=cycler(color=COLOURS), grid=True, axisbelow=True)
    plt.rc("axes", titlesize=11, titlelocation="left")
    plt.rc("axes.spines", top=False, right=False)
    plt.rc("grid", color="#E3E3E3")
    plt.rc("lines", linewidth=1.8)
    # A fixed layout, for figures 9 inches wide: computing one takes as long as drawing does.
    plt.rc("figure.subplot", left=0.08, right=0.99, bottom=0.15, top=0.92)
    plt.rc("text", hinting="none")  # so that characters are as wide as their font says


def to_png(figure: Figure) -> bytes:
    """Return a figure as a PNG file for dense screens, of 256 colours, and close the figure."""
    figure.set(dpi=192, facecolor="white")  # a page has 96 dots per inch
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    plt.close(figure)
    picture = fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    picture = picture.quantize(256, Quantize.FASTOCTREE, dither=Dither.NONE)
    palette = picture.getpalette() or []
    paper = int(picture.getpixel((0, 0)))  # type: ignore[arg-type]
    palette[3 * paper : 3 * paper + 3] = [255, 255, 255]  # which it was nearly
    picture.putpalette(palette)
    file = io.BytesIO()
    picture.save(file, "png")
    return file.getvalue()


def show(figure: Figure, alt: str) -> None:
    """Display a figure with its alternative text, and close it."""
    display(Image(to_png(figure), format="png", retina=True, alt=alt))


def show_table(table: str) -> None:
    """Display a table of HTML, which the keyboard can scroll where it is wide."""
    attributes = 'class="scroll" role="group" aria-label="Table" tabindex="0"'
    display(HTML(f'<div {attributes} style="overflow-x: auto">{table}</div>'))


def write_row(
    axis: Axes, y: float, texts: Sequence[str], characters: int, **options: Any
) -> None:
    """Write texts side by side at a height, each centred in a column; the columns fill the axes.

    characters: the width of a column, which fixes the size of the font. options: of `Axes.text`.
    All are drawn as one text, since each text takes a millisecond.
    """
    rows = zip_longest(*(text.split("\n") for text in texts), fillvalue="")
    row = "\n".join("".join(text.center(characters) for text in row) for row in rows)
    points = 72 * axis.bbox.width / plt.rcParams["figure.dpi"]
    size = points / (len(texts) * characters * 0.602)  # the width of DejaVu Sans Mono
    options |= {"transform": axis.get_yaxis_transform(), "ha": "left"}
    axis.text(0, y, row, family="monospace", fontsize=size, **options)


def draw_tiles(
    images: np.ndarray, captions: Sequence[str], right: float = 1.0, **colours: Any
) -> tuple[Figure, Axes]:
    """Draw images (N, 784) in rows of ten, a caption above each.

    right: where the axes end, as a fraction of the figure's width. colours: of `Axes.imshow`.
    """
    characters = max(
        11, *(len(line) + 1 for text in captions for line in text.split("\n"))
    )
    above = 7 * max(
        text.count("\n") + 1 for text in captions
    )  # for the caption, in pixels
    height, rows = 30 + above, -(-len(images) // 10)
    canvas = np.full((rows * height, 320), np.nan)
    figure = plt.figure(figsize=(9, 9 * right * rows * height / 320))
    axis = figure.add_axes((0, 0, right, 1))
    for i, image in enumerate(images):
        top, left = i // 10 * height + above, i % 10 * 32 + 2
        canvas[top : top + 28, left : left + 28] = image.reshape(28, 28)
    captions = [*captions, *[""] * 9]
    for row in range(rows):
        texts = captions[10 * row : 10 * row + 10]
        write_row(axis, row * height + above - 1.5, texts, characters, va="bottom")
    axis.imshow(canvas, **colours)
    axis.axis("off")
    return figure, axis


def draw_units(weights: np.ndarray, captions: Sequence[str]) -> Figure:
    """Draw the weights (784, H) of the first 40 hidden units as images, with captions."""
    limit = np.quantile(np.abs(weights), 0.95)
    colours = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    figure, axis = draw_tiles(weights.T[:40], captions[:40], right=0.86, **colours)
    bar = figure.add_axes((0.88, 0.02, 0.015, 0.96))
    figure.colorbar(axis.images[0], bar, label="weight", extend="both")
    return figure


def draw_digits(images: np.ndarray, captions: Sequence[str]) -> Figure:
    """Draw handwritten digits (N, 784), a caption above each."""
    return draw_tiles(images, captions, cmap="gray_r", vmin=0, vmax=255)[0]


def draw_descent(
    loss: Callable[[Any], Any], paths: Mapping[str, Sequence[float]]
) -> Figure:
    """Draw a loss by its one weight, and the steps that each path of weights makes on it."""
    figure, axes = plt.subplots(1, len(paths), figsize=(9, 3), sharex=True, sharey=True)
    every = np.concatenate(list(paths.values()))
    curve = np.linspace(every.min() - 0.2, every.max() + 0.2, 200)
    for axis, (title, path) in zip(axes, paths.items(), strict=True):
        weights = np.array(path)
        axis.plot(curve, loss(curve), color=TEST, linewidth=1)
        axis.plot(weights, loss(weights), "o-", color=TRAIN)
        axis.set(title=title, xlabel="weight")
    axes[0].set_ylabel("loss")
    return figure


def draw_pass(forward: Sequence[np.ndarray], back: Sequence[np.ndarray]) -> Figure:
    """Draw one image's way forward through the three layers, and below the way back.

    forward: pixels (784,), activations (H,) and scores (10,). back: the gradients (784,) of one
    hidden unit's weights, and the error signals (H,) and (10,).
    """
    figure, axes = plt.subplots(2, 3, figsize=(9, 4.6), width_ratios=(1, 1.5, 1.5))
    figure.subplots_adjust(left=0.02, bottom=0.08, hspace=0.5, wspace=0.75)
    looks: list[tuple[Sequence[np.ndarray], str, str, str]] = [
        (forward, "gray_r", TRAIN, "784 pixels/{} activations/10 scores"),
        (
            back,
            "RdBu_r",
            VALIDATION,
            "784 gradients of a unit/{} error signals/10 error signals",
        ),
    ]
    for row, (values, colours, colour, titles) in zip(axes, looks, strict=True):
        low, high = (
            (0, 1) if values is forward else np.abs(values[0]).max() * np.array([-1, 1])
        )
        row[0].imshow(values[0].reshape(28, 28), cmap=colours, vmin=low, vmax=high)
        row[0].axis("off")
        for axis, array in zip(row[1:], values[1:], strict=True):
            axis.bar(range(len(array)), array, color=colour)
            axis.locator_params(axis="x", integer=True)
        for axis, title in zip(
            row, titles.format(len(values[1])).split("/"), strict=True
        ):
            axis.set_title(title)
    names = f"$W_1$\n784 x {len(forward[1])}", f"$W_2$\n{len(forward[1])} x 10"
    for x, name in zip((0.25, 0.61), names, strict=True):
        for y, text in ((0.73, f"{name}\n→"), (0.27, f"←\n{name}")):
            figure.text(x, y, text, ha="center", va="center")
    return figure


def draw_confusion(confusion: np.ndarray, names: Sequence[str], noun: str) -> Figure:
    """Draw how many images (C, C) of each true class, a row, got each answer, a column."""
    size, share = (
        len(confusion),
        confusion / confusion.sum(axis=1, keepdims=True).clip(1),
    )
    is_long = max(map(len, names[:size])) > 2  # names, and no digits
    room = {"bottom": 0.23, "left": 0.23} if is_long else {"bottom": 0.1, "left": 0.08}
    figure, axis = plt.subplots(figsize=(6.4, 6), gridspec_kw=room)
    axis.pcolormesh(range(size), range(size), share**0.5, cmap="Blues", vmin=0, vmax=2)
    for row in range(size):
        write_row(
            axis, row, [*map(str, confusion[row])], 70 // size, va="center_baseline"
        )
    axis.set(xlabel="answer", ylabel=f"true {noun}", ylim=(size - 0.5, -0.5))
    axis.set_xticks(range(size), names[:size], rotation=90 * is_long)
    axis.set_yticks(range(size), names[:size])
    return figure


def draw_differences(
    labels: Sequence[str], means: Sequence[float], errors: Sequence[float]
) -> Figure:
    """Draw differences in percentage points, and two of their errors to either side."""
    room = {"left": 0.46, "bottom": 0.5 / (0.7 + 0.3 * len(labels))}
    figure, axis = plt.subplots(figsize=(9, 0.7 + 0.3 * len(labels)), gridspec_kw=room)
    places = range(len(labels))
    axis.errorbar(
        means, places, xerr=2 * np.array(errors), fmt="o", color=TRAIN, capsize=3
    )
    axis.axvline(0, color="black", linewidth=1, linestyle=":")
    axis.set_yticks(places, labels)
    axis.set(xlabel="difference (percentage points)", ylim=(len(labels) - 0.5, -0.5))
    return figure


def draw_learning_curves(history: History) -> Figure:
    """Draw error and accuracy by epoch: training, under dropout and without it, and validation."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4))
    curves = (
        ("train_{}", "training, under dropout", "#56B4E9", ":"),
        ("train_{}_no_dropout", "training", TRAIN, "-"),
        ("validation_{}", "validation", VALIDATION, "--"),
    )
    labels = {
        "error": "mean squared error per image",
        "accuracy": "accuracy (fraction)",
    }
    for axis, (measure, label) in zip(axes, labels.items(), strict=True):
        for metric, name, colour, style in curves:
            values = find_measured(history, metric.format(measure))
            look = "o" if len(values) == 1 else style  # one epoch makes no line
            if values:
                axis.plot(
                    range(1, len(values) + 1), values, look, color=colour, label=name
                )
        axis.set(title=measure.capitalize(), xlabel="epoch", ylabel=label)
        axis.legend(frameon=False, fontsize=9)
    return figure


def find_measured(history: History, name: str) -> list[float]:
    """Return a metric by epoch; an empty list if it was not measured."""
    return [epoch[name] for epoch in history if name in epoch]
