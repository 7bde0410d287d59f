"""Draw the pictures that several notebooks share, in one style, show them with a text alternative, and show a table.

Colours are Okabe and Ito's (2008), which colour-blind readers can distinguish; each line also has a style of its own.
"""

import io
import warnings
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import PIL.Image
from IPython.display import HTML, Image, display
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler

from pipeline.records import History

TRAIN, VALIDATION, TEST = "#0072B2", "#D55E00", "#767676"
UNDER_DROPOUT = "#56B4E9"  # of the training metrics that are measured with units dropped
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
LINE_STYLES = ("-", "--", "-.", ":", (0, (8, 3)), (0, (5, 1, 1, 1, 1, 1)))  # one for each colour
DOTS_PER_INCH = 96  # of the page; the file has twice as many, for dense screens
CHARACTER_WIDTH = 0.602  # of DejaVu Sans Mono, as a part of its size


def use_style() -> None:
    """Set the project's look for all pictures that follow, whatever the user's own settings are."""
    plt.rcdefaults()
    warnings.filterwarnings("ignore", "Glyph .* missing from font")  # a name in another script has boxes in a plot
    plt.rc("axes", prop_cycle=cycler(color=COLOURS), titlesize=11, titlelocation="left", grid=True, axisbelow=True)
    plt.rc("axes.spines", top=False, right=False)
    plt.rc("grid", color="#E3E3E3")
    plt.rc("lines", linewidth=1.8)
    # A fixed layout, for pictures 9 inches wide: computing one takes as long as drawing does.
    plt.rc("figure.subplot", left=0.08, right=0.99, bottom=0.15, top=0.92)
    # A character is as wide as its font says, and names of classes may have dollars in them.
    plt.rc("text", hinting="none", parse_math=False)


def png(figure: Figure) -> bytes:
    """Return a figure as a PNG file, crisp on dense screens, and close it. Its 256 colours make it a third as large."""
    figure.set(dpi=2 * DOTS_PER_INCH, facecolor="white")
    canvas, file = FigureCanvasAgg(figure), io.BytesIO()
    canvas.draw()
    plt.close(figure)
    with_few_colours(PIL.Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")).save(file, "png")
    return file.getvalue()


def with_few_colours(picture: PIL.Image.Image, count: int = 256) -> PIL.Image.Image:
    """Return a picture on white paper with a palette of so many colours; the paper, in its corner, stays white."""
    found = picture.quantize(count, PIL.Image.Quantize.FASTOCTREE, dither=PIL.Image.Dither.NONE)
    palette, paper = found.getpalette() or [], int(found.getpixel((0, 0)))  # type: ignore[arg-type]
    palette[3 * paper : 3 * paper + 3] = [255, 255, 255]
    found.putpalette(palette)
    return found


def show(figure: Figure, alt: str) -> None:
    """Display a figure with its text alternative, and close it."""
    display(Image(png(figure), format="png", retina=True, alt=alt))


def show_table(table: str) -> None:
    """Display a table, as HTML, which the keyboard can scroll where it is wide."""
    begin = '<div class="scroll" role="group" aria-label="Table" tabindex="0" style="overflow-x: auto">'
    display(HTML(f"{begin}{table}</div>"))


def write_row(axis: Axes, y: float, texts: Sequence[str], characters: int, **options: Any) -> None:
    """Write texts side by side at a height, each centred in a column of its own; the columns fill the axes.

    characters: the width of a column, which fixes the size of the font. A text may have several lines. All are drawn
    as one text, since each takes a millisecond. The options are those of matplotlib's texts.
    """
    rows = zip_longest(*(text.split("\n") for text in texts), fillvalue="")
    points = 72 * axis.bbox.width / plt.rcParams["figure.dpi"]
    size = points / (len(texts) * characters * CHARACTER_WIDTH)
    written = "\n".join("".join(text.center(characters) for text in row) for row in rows)
    options |= {"transform": axis.get_yaxis_transform(), "ha": "left"}
    axis.text(0, y, written, family="monospace", fontsize=size, **options)


def tiles(images: np.ndarray, captions: Sequence[str], right: float = 1.0, **colours: Any) -> tuple[Figure, Axes]:
    """Draw images (N, 784) in rows of ten, a caption above each, which is smaller beyond ten characters, in one axes.

    Images may have 28 k by 28 k pixels, too. right: where the axes end, as a fraction of the picture's width. The
    colours are imshow's: cmap, vmin, vmax.
    """
    lines = max((caption.count("\n") + 1 for caption in captions), default=1)
    width = max((1 + len(line) for caption in captions for line in caption.split("\n")), default=0)
    height, rows, k = 30 + 7 * lines, max(1, -(-len(images) // 10)), round((images[:1].size / 784) ** 0.5) or 1
    canvas = np.full((k * rows * height, k * 10 * 32), np.nan)
    figure = plt.figure(figsize=(9, 9 * right * rows * height / 320))
    axis = figure.add_axes((0, 0, right, 1))
    for place, image in enumerate(images):
        top, left = k * (place // 10 * height + 7 * lines), k * (place % 10 * 32 + 2)
        canvas[top : top + 28 * k, left : left + 28 * k] = image.reshape(28 * k, 28 * k)
    for row in range(rows):
        beside = [*captions[10 * row : 10 * row + 10], *[""] * 10][:10]
        write_row(axis, row * height + 7 * lines - 1.5, beside, max(11, width), va="bottom")
    axis.imshow(canvas, extent=(-0.5, 319.5, rows * height - 0.5, -0.5), **colours)
    axis.axis("off")
    return figure, axis


def digits(images: np.ndarray, captions: Sequence[str]) -> Figure:
    """Draw handwritten digits (N, 784), a caption above each."""
    return tiles(images, captions, cmap="gray_r", vmin=0, vmax=255)[0]


def network(forward: Sequence[str], edges: Sequence[str], signals: Sequence[str], gradients: Sequence[str]) -> Figure:
    """Draw a network of three layers, and one path through it: what goes forward above, what comes back below.

    forward and signals: a text for a node of each layer; edges and gradients: for the weights on the two ways between.
    """
    figure = plt.figure(figsize=(9, 4.2))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.axis("off")
    axis.set(xlim=(0, 9), ylim=(0, 4.2))
    middle, columns, towards = 2.1, (1.2, 4.5, 7.8), "#B2182B"
    heights = [[*np.linspace(0.25, 1.05, n), middle, *np.linspace(3.15, 3.95, n)] for n in (4, 3, 4)]
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
    for x, ys, value, signal in zip(columns, heights, forward, signals, strict=True):
        axis.plot([x] * len(ys), ys, "o", color="white", markeredgecolor="#999999", markersize=7, zorder=2)
        axis.plot(x, middle, "o", color="white", markeredgecolor="black", markersize=16, zorder=3)
        axis.text(x, middle + 0.35, value, ha="center", va="bottom", color=TRAIN, bbox=box, zorder=4)
        axis.text(x, middle - 0.35, signal, ha="center", va="top", color=towards, bbox=box, zorder=4)
    ways = zip(columns, columns[1:], heights, heights[1:], edges, gradients, strict=False)
    for left, right, below, above, weight, gradient in ways:
        for y in below:
            axis.plot([left, right], [[y] * len(above), above], color="#E8E8E8", linewidth=0.6, zorder=1)
        for start, end, y, colour in ((left, right, 0.09, TRAIN), (right, left, -0.09, towards)):
            tip, tail = (end - 0.2 * np.sign(end - start), middle + y), (start, middle + y)
            axis.annotate("", tip, tail, arrowprops={"arrowstyle": "->", "color": colour, "linewidth": 1.8}, zorder=2)
        centre, back = (left + right) / 2, f"gradient\n{gradient}"
        axis.text(centre, middle + 0.17, weight, ha="center", va="bottom", color=TRAIN, bbox=box, zorder=4)
        axis.text(centre, middle - 0.17, back, ha="center", va="top", color=towards, bbox=box, zorder=4)
    return figure


def learning_curves(history: History) -> Figure:
    """Draw error and accuracy by epoch: of training, under dropout and without it, and of validation, if measured."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4))
    named = (("error", "mean squared error per image", "upper"), ("accuracy", "accuracy (fraction)", "lower"))
    for axis, (measure, label, corner) in zip(axes, named, strict=True):
        for metric, name, colour, style in (
            (f"train_{measure}", "training, under dropout", UNDER_DROPOUT, ":"),
            (f"train_{measure}_no_dropout", "training", TRAIN, "-"),
            (f"validation_{measure}", "validation", VALIDATION, "--"),
        ):
            if values := measured(history, metric):
                dot = "o" * (len(values) == 1)  # which has no line
                axis.plot(range(1, len(values) + 1), values, style + dot, color=colour, label=name)
        axis.set(title=measure.capitalize(), xlabel="epoch", ylabel=label)
        axis.legend(loc=f"{corner} right", frameon=False, fontsize=9)
    return figure


def measured(history: History, name: str) -> list[float]:
    """Return a metric by epoch; empty where it was not measured."""
    values = (getattr(epoch, name) for epoch in history)
    return [value for value in values if value is not None]
