"""Draw the plots that several notebooks share, in one style, with alternative text.

The colours are those of M. Okabe and K. Ito (2008), which colour-blind readers can
distinguish.
"""

import io
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import HTML, Image, display
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler
from PIL.Image import Quantize, fromarray

from pipeline.records import History

TRAIN, VALIDATION, TEST = "#0072B2", "#D55E00", "#767676"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
LINE_STYLES = ("-", "--", "-.", ":", (0, (8, 3)), (0, (5, 1, 1, 1, 1, 1)))


def use_style() -> None:
    """Set the project's look for all later plots, whatever the user's own settings."""
    plt.rcdefaults()
    plt.rc("axes", prop_cycle=cycler(color=COLOURS), grid=True, axisbelow=True)
    plt.rc("axes", titlesize=11, titlelocation="left")
    plt.rc("axes.spines", top=False, right=False)
    plt.rc("grid", color="#E3E3E3")
    plt.rc("lines", linewidth=1.8)
    # A fixed layout for figures 9 inches wide: to compute one takes as long as to draw.
    plt.rc("figure.subplot", left=0.08, right=0.99, bottom=0.15, top=0.92)


def to_png(figure: Figure) -> bytes:
    """Return a figure as a PNG file for dense screens, and close the figure."""
    figure.set_dpi(192)  # a page has 96 dots per inch
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    plt.close(figure)
    picture = fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    file = io.BytesIO()
    # 256 colours make a file a third as large, and this method keeps the paper white.
    picture.quantize(method=Quantize.MAXCOVERAGE).save(file, "png")
    return file.getvalue()


def show(figure: Figure, alt: str) -> None:
    """Display a figure with its alternative text, and close it."""
    display(Image(to_png(figure), format="png", retina=True, alt=alt))


def show_table(table: str) -> None:
    """Display a table of HTML, which the keyboard can scroll where it is wide."""
    attributes = 'class="scroll" role="group" aria-label="Table" tabindex="0"'
    display(HTML(f'<div {attributes} style="overflow-x: auto">{table}</div>'))


def draw_tiles(images: np.ndarray, captions: Sequence[str], **colours: Any) -> Figure:
    """Draw images (N, 784) in rows of ten, with a caption above each.

    colours: options of `Axes.imshow`.
    """
    lines = [caption.split("\n") for caption in captions]
    longest = max(len(line) for caption in lines for line in caption)
    size = min(9, 110 / longest)  # so that captions side by side do not touch
    above = 7 * max(map(len, lines))  # the room for a caption, in pixels of the images
    height = above + 30  # of a row
    rows = math.ceil(len(images) / 10)
    room = {"left": 0, "right": 1, "bottom": 0, "top": 1}
    figure, axis = plt.subplots(figsize=(9, 9 * rows * height / 320), gridspec_kw=room)
    for i, (image, caption) in enumerate(zip(images, captions, strict=True)):
        left = 32 * (i % 10) + 2
        top = height * (i // 10) + above
        extent = (left, left + 28, top + 28, top)
        axis.imshow(image.reshape(28, 28), extent=extent, **colours)
        axis.text(left + 14, top - 1.5, caption, fontsize=size, ha="center")
    axis.set(xlim=(0, 320), ylim=(rows * height, 0))
    axis.axis("off")
    return figure


def draw_units(weights: np.ndarray, captions: Sequence[str]) -> Figure:
    """Draw the weights (784, H) of the first 40 hidden units as images, with captions.

    captions: one for each hidden unit.
    """
    limit = np.quantile(np.abs(weights), 0.95)
    colours = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    figure = draw_tiles(weights.T[:40], captions[:40], **colours)
    (axis,) = figure.axes
    # The bar takes 0.14 of the width, so the tiles are that much smaller.
    figure.set_figheight(0.86 * figure.get_figheight())
    image = axis.images[0]
    bar = figure.colorbar(image, extend="both", fraction=0.1, pad=0.04, shrink=0.96)
    bar.set_label("weight")
    return figure


def draw_digits(images: np.ndarray, captions: Sequence[str]) -> Figure:
    """Draw handwritten digits (N, 784), with a caption above each."""
    return draw_tiles(images, captions, cmap="gray_r", vmin=0, vmax=255)


def draw_descent(
    loss: Callable[[Any], Any], paths: Mapping[str, Sequence[float]]
) -> Figure:
    """Draw a loss by its one weight, and the steps of each path of weights on it."""
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


def draw_directions(cosines: Mapping[str, Sequence[float]]) -> Figure:
    """Draw directions as lines from one point, by the angle to a mean direction.

    cosines: those of the angles between each direction and the mean, by the title.
    """
    figure, axes = plt.subplots(1, len(cosines), figsize=(9, 2.9), squeeze=False)
    figure.subplots_adjust(left=0.01, bottom=0.02, top=0.88, wspace=0.05)
    for axis, (title, each) in zip(axes[0], cosines.items(), strict=True):
        for cosine in each:
            height = math.sqrt(max(0, 1 - cosine**2))
            colour, style = (TRAIN, "-") if cosine > 0 else (TEST, "--")
            axis.plot((0, cosine), (0, height), style, color=colour, linewidth=1.2)
        axis.arrow(0, 0, 1, 0, color=VALIDATION, width=0.012, zorder=3)
        axis.axvline(0, color="black", linewidth=1, linestyle=":")
        axis.text(0.55, 0.04, "mean gradient", color=VALIDATION, ha="center")
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
        axes[0].plot(part, derivative(activation, 0), color=TRAIN, linewidth=4)
        axes[0].plot(part, derivative(activation, 1), "--", color=VALIDATION)
    before, after = derivative(np.array([0.0, active[0]]), 0)
    dot = {"color": TRAIN, "markersize": 8, "zorder": 3}
    axes[0].plot(0, before, "o", **dot)
    axes[0].plot(0, after, "o", **dot, markerfacecolor="white")
    place = {"textcoords": "offset points", "xytext": (0, 7)}
    axes[0].annotate("true slope", (-1.95, before), color=TRAIN, **place)
    axes[0].annotate("the original's", (-1.95, after), color=VALIDATION, **place)
    axes[0].set(title="Slope of the ReLU", xlabel="sum of a unit", ylabel="slope")
    axes[0].set(ylim=(-0.1, 1.3), yticks=(0, 0.5, 1))
    ring = {"markersize": 8, "markerfacecolor": "none"}
    axes[1].plot(sums, slip, "o", color=VALIDATION, label="the original's", **ring)
    axes[1].plot(sums, true, "o", color=TRAIN, markersize=4, label="true")
    axes[1].axvline(0, color="black", linewidth=1, linestyle=":")
    axes[1].set(title=f"Error signals of {len(sums)} units, one image")
    axes[1].set(xlabel="sum of a unit", ylabel="error signal")
    axes[1].legend(frameon=False)
    return figure


def draw_pass(forward: Sequence[np.ndarray], back: Sequence[np.ndarray]) -> Figure:
    """Draw one image's way forward through the three layers, and below the way back.

    forward: pixels (784,), activations (H,) and scores (10,).
    back: the gradients (784,) of one hidden unit's weights, and the error signals (H,)
        and (10,).
    """
    figure, axes = plt.subplots(2, 3, figsize=(9, 4.8), width_ratios=(1, 1.4, 1.4))
    figure.subplots_adjust(left=0.01, bottom=0.11, top=0.93, hspace=0.6, wspace=0.95)
    size = len(forward[1])
    titles = ("784 pixels", f"{size} activations", "10 scores")
    draw_layers(axes[0], forward, titles, TRAIN, cmap="gray_r", vmin=0, vmax=1)
    titles = ("784 gradients of a unit", f"{size} error signals", "10 error signals")
    limit = np.abs(back[0]).max()
    colours = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    draw_layers(axes[1], back, titles, VALIDATION, **colours)
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
    return figure


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


def draw_confusion(confusion: np.ndarray, names: Sequence[str], noun: str) -> Figure:
    """Draw how many images (C, C) of each true class (row) got each answer (column).

    The colour is the share of the row, from white for none to dark blue for all.
    """
    size = len(confusion)
    share = confusion / confusion.sum(axis=1, keepdims=True).clip(1)
    is_long = max(map(len, names[:size])) > 2  # names, and no digits
    room = {"bottom": 0.23, "left": 0.23} if is_long else {"bottom": 0.1, "left": 0.08}
    figure, axis = plt.subplots(figsize=(6.4, 6), gridspec_kw=room | {"top": 0.98})
    axis.pcolormesh(range(size), range(size), share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(confusion):
        # the colour that has more contrast: 4.4 to 1 or more
        colour = "white" if share[row, column] > 0.7 else "black"
        number = axis.text(column, row, str(count), color=colour)
        number.set(ha="center", va="center_baseline")
    axis.set(xlabel="answer", ylabel=f"true {noun}", ylim=(size - 0.5, -0.5))
    axis.set_xticks(range(size), names[:size], rotation=90 if is_long else 0)
    axis.set_yticks(range(size), names[:size])
    return figure


def draw_differences(
    labels: Sequence[str], means: Sequence[float], errors: Sequence[float]
) -> Figure:
    """Draw differences in percentage points, and two of their errors to either side.

    labels: what is compared, in words. Those that are too long for a line are folded.
    """
    labels = [textwrap.fill(label, 54) for label in labels]  # as many as there is room
    lines = max(label.count("\n") for label in labels) + 1
    height = 0.7 + (0.1 + 0.2 * lines) * len(labels)
    room = {"left": 0.46, "bottom": 0.5 / height}
    figure, axis = plt.subplots(figsize=(9, height), gridspec_kw=room)
    places = range(len(labels))
    axis.errorbar(
        means, places, xerr=2 * np.array(errors), fmt="o", color=TRAIN, capsize=3
    )
    axis.axvline(0, color="black", linewidth=1, linestyle=":")
    axis.set_yticks(places, labels)
    axis.set_xlabel("difference (percentage points), with two standard errors")
    axis.set_ylim(len(labels) - 0.5, -0.5)
    return figure


def draw_learning_curves(history: History) -> Figure:
    """Draw error and accuracy by epoch, for training and validation images."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4))
    curves = (
        ("train_{}", "training, under dropout", "#56B4E9", ":"),
        ("train_{}_no_dropout", "training", TRAIN, "-"),
        ("validation_{}", "validation", VALIDATION, "--"),
    )
    units = {"error": "mean squared error per image", "accuracy": "accuracy (fraction)"}
    for axis, (measure, unit) in zip(axes, units.items(), strict=True):
        for metric, label, colour, style in curves:
            values = find_measured(history, metric.format(measure))
            look = "o" if len(values) == 1 else style  # one epoch makes no line
            if values:
                epochs = range(1, len(values) + 1)
                axis.plot(epochs, values, look, color=colour, label=label)
        axis.set(title=measure.capitalize(), xlabel="epoch", ylabel=unit)
        axis.legend(frameon=False, fontsize=9)
    return figure


def find_measured(history: History, name: str) -> list[float]:
    """Return a metric by epoch; an empty list if it was not measured."""
    return [epoch[name] for epoch in history if name in epoch]


def draw_factors(
    axis: Axes, divisors: np.ndarray, factors: np.ndarray, title: str
) -> None:
    """Draw by which factor a limit is exceeded, for each way to normalise and seed.

    divisors: (D,), what the pixels are divided by.
    factors: (S, D) for S seeds; nan if there is none, drawn as a cross at the top.
    """
    top = 3 * np.nanmax(factors)
    for row in factors:
        axis.loglog(divisors, row, "o", color=TRAIN, alpha=0.5)
        missing = np.isnan(row)
        axis.loglog(divisors[missing], np.full(missing.sum(), top), "x", color=TEST)
    axis.axhline(1, color=VALIDATION)
    axis.annotate("the limit", (divisors[-1], 1), (0, 5), textcoords="offset points")
    axis.set(title=title, xlabel="normalisation", ylim=(0.02, 2 * top))
    axis.set_ylabel("learning rate / limit")
    axis.label_outer()
