"""Draw a digit by hand, and bring it into the form of MNIST's own."""

import itertools
from collections.abc import Iterable, Sequence

import ipycanvas
import ipywidgets as widgets
import numpy as np
from PIL import Image, ImageDraw

from pipeline.explore import reading
from pipeline.explore.panels import Bench, Panel, button

CANVAS_SIDE = 280  # pixels, ten for each of an image's
PEN_WIDTH = 22


def ink(strokes: Iterable[Sequence[tuple[float, float]]]) -> np.ndarray:
    """Return strokes of a round pen as a picture: (280, 280) uint8, 0 for paper and 255 for ink.

    strokes: lists of points (x, y), in pixels from the top left corner.
    """
    paper = Image.new("L", (CANVAS_SIDE, CANVAS_SIDE))
    pen = ImageDraw.Draw(paper)
    for stroke in strokes:
        pen.line(stroke, fill=255, width=PEN_WIDTH)
        for point in stroke:
            pen.circle(point, PEN_WIDTH / 2, fill=255)
    return np.asarray(paper)


def centred(drawn: np.ndarray) -> np.ndarray:
    """Fit a drawn digit into 20 x 20 pixels, and its centre of mass into the middle of 28 x 28, as MNIST has its own.

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
    """Return where a digit begins along an axis, so that its centre of mass is nearest to 14 and it stays inside."""
    centre = mass @ np.arange(len(mass)) / mass.sum()
    return int(np.clip(np.floor(14 - centre + 0.5), 0, 28 - len(mass)))


class DrawingPanel(Panel):
    """Draw a digit, and have it read."""

    description = "A panel: draw a digit with the mouse, and have it read."

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        layout = {"border": f"2px solid {reading.QUIET}", "width": f"{CANVAS_SIDE}px"}
        self.canvas = ipycanvas.Canvas(width=CANVAS_SIDE, height=CANVAS_SIDE, layout=layout)
        self.canvas.line_width, self.canvas.line_cap, self.canvas.line_join = PEN_WIDTH, "round", "round"
        self.canvas.on_mouse_down(self.begin)
        self.canvas.on_mouse_move(self.move)
        self.canvas.on_mouse_up(self.end)
        self.canvas.on_mouse_out(self.end)
        self.canvas.on_touch_start(lambda touches: self.begin(*touches[0]))
        self.canvas.on_touch_move(lambda touches: self.move(*touches[0]))
        self.canvas.on_touch_end(self.end)
        self.undo = button("Take the last stroke back", lambda: self.keep(self.strokes[:-1]))
        self.clear = button("Clear", lambda: self.keep([]))
        self.canvas.on_key_down(self.key)
        label = widgets.HTML("<p>Draw a digit in the square, with a mouse, a pen or a finger:</p>")
        super().__init__(label, self.undo, self.canvas, self.clear)
        bench.observe(lambda _: self.show(), "model")
        self.keep([])

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

    def end(self, *_: object) -> None:
        if self.pen_down:
            self.pen_down = False
            self.show()

    def keep(self, strokes: list[list[tuple[float, float]]]) -> None:
        """Draw these strokes and no others."""
        self.strokes, self.pen_down = strokes, False
        with ipycanvas.hold_canvas():
            self.canvas.fill_style = "white"
            self.canvas.fill_rect(0, 0, CANVAS_SIDE, CANVAS_SIDE)
            for stroke in self.strokes:
                for start, end in itertools.pairwise([stroke[0], *stroke]):
                    self._line(start, end)
        self.show()

    def show(self) -> None:
        if not self.strokes:
            self.write("Nothing is drawn yet.")
            self.shown.value = ""
        else:
            self.show_reading(reading.read(self.bench.model, centred(ink(self.strokes))))

    def _line(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.canvas.stroke_line(*start, end[0] + 0.1, end[1])  # so that a point makes a dot
