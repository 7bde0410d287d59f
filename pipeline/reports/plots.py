"""Draw the plots that several notebooks share, in one style, with alternative text.

The colours are those of M. Okabe and K. Ito (2008), which colour-blind readers can
distinguish.
"""

import io
import math
import re
import textwrap
from collections.abc import Sequence
from html import escape
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
from pipeline.reports.answers import fold_answer as fold_answer  # for notebooks
from pipeline.reports.tiles import to_data_address
from pipeline.statistics import compute_wilson_interval

TRAIN, VALIDATION, TEST = "#0072B2", "#D55E00", "#767676"
# Without it, an SVG file names the version of Matplotlib.
NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
PANEL_SIZE = (3.7, 2.4)  # inches: as wide as the screen of a phone
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def use_style() -> None:
    """Set the project's style for all later plots, in place of the user's style."""
    plt.rcdefaults()
    plt.rc("axes", prop_cycle=cycler(color=COLOURS), grid=True, axisbelow=True)
    plt.rc("axes", titlesize=11, titlelocation="left")
    plt.rc("axes.spines", top=False, right=False)
    plt.rc("grid", color="#E3E3E3")
    plt.rc("lines", linewidth=1.8)
    # These margins suit figures that are 9 inches wide. They are fixed, because
    # computing margins takes as long as drawing a figure.
    plt.rc("figure.subplot", left=0.08, right=0.99, bottom=0.15, top=0.92)


def make_panel(label: str, metric: str) -> tuple[Figure, Axes]:
    """Return an empty panel of a metric, for `show_svg`.

    label: the label of the x axis.
    """
    figure, axis = plt.subplots(figsize=PANEL_SIZE, layout="constrained")
    unit = " (%)" if "accuracy" in metric else ""
    axis.set(xlabel=label, ylabel=f"{metric.replace('_', ' ')}{unit}")
    axis.grid(color="#808080", alpha=0.3)
    return figure, axis


def to_png(figure: Figure) -> bytes:
    """Return a figure as a PNG file for dense screens, and close the figure."""
    figure.set_dpi(192)  # a page has 96 dots per inch
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    plt.close(figure)
    picture = fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    file = io.BytesIO()
    # With 256 colours the file is a third as large. MAXCOVERAGE keeps pure white.
    picture.quantize(method=Quantize.MAXCOVERAGE).save(file, "png")
    return file.getvalue()


def show(figure: Figure, alt: str) -> None:
    """Display a figure with its alternative text, and close the figure."""
    display(Image(to_png(figure), format="png", retina=True, alt=alt))


def show_svg(figure: Figure, alt: str) -> None:
    """Display a figure as SVG in the reader's colours, and close the figure.

    Text and axes, which are black in the figure, get the colour of the text around it.
    """
    file = io.StringIO()
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": alt}):
        figure.savefig(file, format="svg", transparent=True, metadata=NO_METADATA)
    plt.close(figure)
    svg = file.getvalue().partition("<svg ")[2].replace("#000000", "currentColor")
    svg = re.sub('<g id="[^"]*"', "<g", svg)  # ids must differ between figures
    attributes = f'class="panel" role="img" aria-label="{escape(alt)}"'
    display(HTML(f'<div {attributes}><svg fill="currentColor" {svg}</div>'))


def make_table(rows: Sequence[Sequence[str]], marked: str = "") -> str:
    """Return an HTML table of texts, with the first row as its head.

    marked: the first text of a row that is printed in bold.

    Notebooks of a run use this function instead of pandas, which a run does not import.
    """
    names, *others = rows
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    body = ""
    for row in others:
        mark = ' class="marked"' if row[0] == marked else ""
        texts = (f"<b>{escape(text)}</b>" if mark else escape(text) for text in row)
        line = "".join(f"<td>{text}</td>" for text in texts)
        body += f"<tr{mark}>{line}</tr>\n"
    return f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table>"


def shade(share: float) -> str:
    """Return the style of a table's cell whose colour shows a share from 0 to 1."""
    return f"background: rgb(0 114 178 / {0.6 * share:.0%})"


def make_confusion_table(confusion: np.ndarray, names: Sequence[str], noun: str) -> str:
    """Return a confusion matrix as an HTML table.

    confusion: (C, A), the number of images by true class (row) and answer (column).
    names: the names of the classes.
    noun: the word for one class, such as "digit".

    An answer that never occurs has no column. The colour of a count shows its share of
    the sum of its row. `data-kind` names the class and the answer of a count.
    """
    answers = np.flatnonzero(confusion.any(axis=0)).tolist()
    shares = confusion / confusion.sum(axis=1, keepdims=True).clip(1)
    corner = f'<th scope="col">true {noun} \\ answer</th>'
    head = corner + "".join(f'<th scope="col">{escape(names[i])}</th>' for i in answers)
    body = ""
    for true in np.flatnonzero(confusion.any(axis=1)).tolist():
        body += f'<tr><th scope="row">{escape(names[true])}</th>'
        for answer in answers:
            style = shade(shares[true, answer])
            about = f'data-kind="{true}-{answer}" style="{style}"'
            body += f"<td {about}>{confusion[true, answer] or ''}</td>"
        body += "</tr>\n"
    table = f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>"
    return f'<table class="confusion shaded">{table}</table>'


def make_tiles(images: np.ndarray, captions: Sequence[str]) -> str:
    """Return an HTML table of images (N, 784), five in a row, with captions below."""
    tiles = []
    for image, caption in zip(images, captions, strict=True):
        # Uncompressed, a picture is the same with each version of the compression.
        address = to_data_address(image[np.newaxis], compress_level=0)
        picture = f'<img src="{address}" alt="" width="56">'
        tiles.append(f"<td>{picture}<br>{escape(caption)}</td>")
    rows = (tiles[i : i + 5] for i in range(0, len(tiles), 5))
    body = "\n".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return f'<table class="tiles">\n{body}\n</table>'


def show_table(table: str) -> None:
    """Display an HTML table, which a keyboard can scroll if it is too wide."""
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
    height = above + 30  # of a row: its captions, images of 28 pixels, and a gap
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


def draw_class_accuracies(
    accuracies: np.ndarray, counts: np.ndarray, names: Sequence[str], noun: str
) -> Figure:
    """Draw the accuracy of each class (C,), with its 95 % interval.

    counts: the number of images of each class.
    names: the names of the classes.
    noun: the word for one class, such as "digit".
    """
    places = range(len(names))
    intervals = np.array(list(map(compute_wilson_interval, accuracies, counts)))
    reach = abs(intervals.T - accuracies)  # (2, C), down and up
    figure, axis = plt.subplots(figsize=(9, 3), gridspec_kw={"bottom": 0.2})
    axis.errorbar(places, accuracies, reach, fmt="o", color=TRAIN, capsize=3)
    axis.set(xlabel=noun, ylabel="accuracy (fraction)")
    axis.set_xticks(places, names)
    return figure


def draw_differences(
    labels: Sequence[str], means: Sequence[float], reaches: Sequence[float]
) -> Figure:
    """Draw differences in percentage points, with their 95 % intervals.

    labels: what each difference compares, in words. Long labels are wrapped.
    means: the mean of each difference.
    reaches: how far the interval of each mean reaches to either side.
    """
    labels = [textwrap.fill(label, 54) for label in labels]  # the characters that fit
    lines = max(label.count("\n") for label in labels) + 1
    height = 0.7 + (0.1 + 0.2 * lines) * len(labels)
    room = {"left": 0.46, "bottom": 0.5 / height}
    figure, axis = plt.subplots(figsize=(9, height), gridspec_kw=room)
    places = range(len(labels))
    axis.errorbar(means, places, xerr=reaches, fmt="o", color=TRAIN, capsize=3)
    axis.axvline(0, color="black", linewidth=1, linestyle=":")
    axis.set_yticks(places, labels)
    axis.set_xlabel("difference (percentage points), with 95 % intervals")
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
    """Return the values of a metric by epoch, or [] if the run did not measure it."""
    return [epoch[name] for epoch in history if name in epoch]
