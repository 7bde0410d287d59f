"""Draw the plots that several notebooks share, in one style, and show them with alternative text.

The colours are those of M. Okabe and K. Ito (2008), which colour-blind readers can distinguish.
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
UNDER_DROPOUT = "#56B4E9"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
LINE_STYLES = ("-", "--", "-.", ":", (0, (8, 3)), (0, (5, 1, 1, 1, 1, 1)))  # one a colour
DOTS_PER_INCH = 96  # of the page; the file has twice as many, for dense screens
CHARACTER_WIDTH = 0.602  # of DejaVu Sans Mono, as a fraction of its size


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
    # Characters are as wide as their font says, and names of classes may have dollars in them.
    plt.rc("text", hinting="none", parse_math=False)
    warnings.filterwarnings("ignore", "Glyph .* missing from font")  # boxes for another script


def to_png(figure: Figure) -> bytes:
    """Return a figure as a PNG file for dense screens, of 256 colours, and close the figure."""
    figure.set(dpi=2 * DOTS_PER_INCH, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    plt.close(figure)
    file = io.BytesIO()
    picture = PIL.Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    reduce_colours(picture).save(file, "png")
    return file.getvalue()


def reduce_colours(picture: PIL.Image.Image, count: int = 256) -> PIL.Image.Image:
    """Return a picture with a palette of so many colours; its paper, in a corner, stays white."""
    reduced = picture.quantize(count, PIL.Image.Quantize.FASTOCTREE, dither=PIL.Image.Dither.NONE)
    palette = reduced.getpalette() or []
    paper = int(reduced.getpixel((0, 0)))  # type: ignore[arg-type]
    palette[3 * paper : 3 * paper + 3] = [255, 255, 255]
    reduced.putpalette(palette)
    return reduced


def show(figure: Figure, alt: str) -> None:
    """Display a figure with its alternative text, and close it."""
    display(Image(to_png(figure), format="png", retina=True, alt=alt))


def show_table(table: str) -> None:
    """Display a table of HTML, which the keyboard can scroll where it is wide."""
    attributes = 'class="scroll" role="group" aria-label="Table" tabindex="0"'
    display(HTML(f'<div {attributes} style="overflow-x: auto">{table}</div>'))


def write_row(axis: Axes, y: float, texts: Sequence[str], characters: int, **options: Any) -> None:
    """Write texts side by side at a height, each centred in a column; the columns fill the axes.

    characters: the width of a column, which fixes the size of the font. The options are those of
    `Axes.text`. All are drawn as one text, since each text takes a millisecond.
    """
    rows = zip_longest(*(text.split("\n") for text in texts), fillvalue="")
    points = 72 * axis.bbox.width / plt.rcParams["figure.dpi"]
    size = points / (len(texts) * characters * CHARACTER_WIDTH)
    row = "\n".join("".join(text.center(characters) for text in row) for row in rows)
    options |= {"transform": axis.get_yaxis_transform(), "ha": "left"}
    axis.text(0, y, row, family="monospace", fontsize=size, **options)


def draw_tiles(
    images: np.ndarray, captions: Sequence[str], right: float = 1.0, **colours: Any
) -> tuple[Figure, Axes]:
    """Draw images (N, 784), or (N, 28 k, 28 k), in rows of ten, a caption above each.

    right: where the axes end, as a fraction of the figure's width. The colours are those of
    `Axes.imshow`: cmap, vmin, vmax.
    """
    widths = [len(line) + 1 for caption in captions for line in caption.split("\n")]
    lines = max((caption.count("\n") + 1 for caption in captions), default=1)
    height = 30 + 7 * lines  # of a tile, in pixels
    rows = max(1, -(-len(images) // 10))
    k = round((images[:1].size / 784) ** 0.5) or 1
    canvas = np.full((k * rows * height, k * 10 * 32), np.nan)
    figure = plt.figure(figsize=(9, 9 * right * rows * height / 320))
    axis = figure.add_axes((0, 0, right, 1))
    for i, image in enumerate(images):
        top, left = k * (i // 10 * height + 7 * lines), k * (i % 10 * 32 + 2)
        canvas[top : top + 28 * k, left : left + 28 * k] = image.reshape(28 * k, 28 * k)
    for row in range(rows):
        texts = [*captions[10 * row : 10 * row + 10], *[""] * 10][:10]
        y = row * height + 7 * lines - 1.5
        write_row(axis, y, texts, max([11, *widths]), va="bottom")
    axis.imshow(canvas, extent=(-0.5, 319.5, rows * height - 0.5, -0.5), **colours)
    axis.axis("off")
    return figure, axis


def draw_digits(images: np.ndarray, captions: Sequence[str]) -> Figure:
    """Draw handwritten digits (N, 784), a caption above each."""
    return draw_tiles(images, captions, cmap="gray_r", vmin=0, vmax=255)[0]


def draw_network(
    forward: Sequence[str], edges: Sequence[str], signals: Sequence[str], gradients: Sequence[str]
) -> Figure:
    """Draw three layers and one path through them: what goes forward above, what comes back below.

    forward and signals: a text for a node of each layer; edges and gradients: a text for the
    weights on each of the two ways between.
    """
    figure = plt.figure(figsize=(9, 4.2))
    axis = figure.add_axes((0, 0, 1, 1), xlim=(0, 9), ylim=(0, 4.2))
    axis.axis("off")
    middle, columns, red = 2.1, (1.2, 4.5, 7.8), "#B2182B"
    heights = [(*np.linspace(0.25, 1.05, n), *np.linspace(3.15, 3.95, n)) for n in (4, 3, 4)]
    for x, ys in zip(columns, heights, strict=True):
        axis.plot([x] * len(ys), ys, "o", color="white", markeredgecolor="#999999", markersize=7)
        axis.plot(x, middle, "o", color="white", markeredgecolor="black", markersize=16)
    for i in (0, 1):
        ways = columns[i : i + 2]
        for y in (*heights[i], middle):
            ends = [y] * (len(heights[i + 1]) + 1), (*heights[i + 1], middle)
            axis.plot(ways, ends, color="#E8E8E8", linewidth=0.6, zorder=1)
        for (tail, tip), above, colour in ((ways, 0.09, TRAIN), (ways[::-1], -0.09, red)):
            end, start = (tip - 0.2 * np.sign(tip - tail), middle + above), (tail, middle + above)
            arrow = {"arrowstyle": "->", "color": colour, "linewidth": 1.8}
            axis.annotate("", end, start, arrowprops=arrow, zorder=1.5)
    centres, backward = (2.85, 6.15), [f"gradient\n{gradient}" for gradient in gradients]
    rows: list[tuple[Sequence[float], Sequence[str], float]]
    rows = [(columns, forward, 0.35), (columns, signals, -0.35)]
    rows += [(centres, edges, 0.17), (centres, backward, -0.17)]
    for xs, texts, above in rows:
        colour, va = (TRAIN, "bottom") if above > 0 else (red, "top")
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        for x, text in zip(xs, texts, strict=True):
            place = x, middle + above
            axis.text(*place, text, ha="center", va=va, color=colour, bbox=box, zorder=4)
    return figure


def draw_learning_curves(history: History) -> Figure:
    """Draw error and accuracy by epoch: training, under dropout and without it, and validation."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4))
    curves = (
        ("train_{}", "training, under dropout", UNDER_DROPOUT, ":"),
        ("train_{}_no_dropout", "training", TRAIN, "-"),
        ("validation_{}", "validation", VALIDATION, "--"),
    )
    labels = {"error": "mean squared error per image", "accuracy": "accuracy (fraction)"}
    for axis, (measure, label) in zip(axes, labels.items(), strict=True):
        for metric, name, colour, style in curves:
            values = find_measured(history, metric.format(measure))
            if values:
                marker = "o" if len(values) == 1 else ""  # which has no line
                epochs = range(1, len(values) + 1)
                axis.plot(epochs, values, style + marker, color=colour, label=name)
        axis.set(title=measure.capitalize(), xlabel="epoch", ylabel=label)
        corner = "upper right" if measure == "error" else "lower right"
        axis.legend(loc=corner, frameon=False, fontsize=9)
    return figure


def find_measured(history: History, name: str) -> list[float]:
    """Return a metric by epoch; an empty list if it was not measured."""
    return [epoch[name] for epoch in history if name in epoch]
