"""Make learning.gif, the picture at the top of README: hidden units as they learn.

Run it from the project's root, with the environment active:
python notebooks/pictures/learning.py
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

import helpers
from pipeline.images.data import split_source
from pipeline.reports import plots

EPOCHS = 100
# The epochs that have a frame: all of the first ones, then fewer and fewer.
SHOWN = {0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 18, 22, 26, 30, 36, 42, 50, 58, 66, 74}
SHOWN |= {82, 91, 100}
LIMIT = 0.6  # of a weight, where its colour is full
STEP, REST = 250, 4000  # milliseconds that a frame stays, and the last one


def mosaic(weights: np.ndarray) -> np.ndarray:
    """Lay out the weights of 40 hidden units, (784, 40), as 4 rows of 10 images."""
    images = np.pad(
        weights.T.reshape(4, 10, 28, 28),
        ((0, 0), (0, 0), (1, 1), (1, 1)),
        constant_values=np.nan,
    )
    return images.transpose(0, 2, 1, 3).reshape(120, 300)


def frame(epoch: int, weights: np.ndarray, curve: list[float]) -> Image.Image:
    """Draw the units beside the validation accuracy by epoch."""
    figure = Figure(figsize=(8, 2.6), dpi=100, facecolor="white")
    units = figure.add_axes((0.01, 0.03, 0.62, 0.84))
    units.imshow(
        mosaic(weights),
        cmap="RdBu_r",
        vmin=-LIMIT,
        vmax=LIMIT,
        interpolation="nearest",
        aspect="auto",
    )
    units.set_title("the weights of 40 hidden units", fontsize=10, loc="left")
    units.axis("off")
    axis = figure.add_axes((0.70, 0.17, 0.28, 0.70))
    axis.plot(range(len(curve)), curve, color=plots.TRAIN)
    axis.set(xlim=(0, EPOCHS), ylim=(0, 1), xlabel=f"epoch {epoch}")
    title = f"validation accuracy {curve[-1]:.2f}"
    axis.set_title(title, fontsize=10, loc="left")
    axis.spines[["top", "right"]].set_visible(False)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    return picture.quantize(48, Image.Quantize.FASTOCTREE)


def main() -> None:
    """Train with the original's parameters, and write the animation."""
    data = split_source("sample", 1000, 1000)
    rng, _ = helpers.generators(1)
    weights = helpers.initial_weights(rng, 40)
    validation = data.x_validation, data.y_validation
    curve = [helpers.evaluate(*validation, weights)[1]]
    frames = [frame(0, weights[0], curve)]
    for epoch in range(1, EPOCHS + 1):
        helpers.train_epoch(data.x_train, data.y_train, weights, rng)
        curve.append(helpers.evaluate(*validation, weights)[1])
        if epoch in SHOWN:
            frames.append(frame(epoch, weights[0], curve))
    path = Path(__file__).with_name("learning.gif")
    durations = [STEP] * (len(frames) - 1) + [REST]
    frames[0].save(
        path,
        save_all=True,
        append_images=frames[1:],
        duration=durations,
        loop=0,
        optimize=True,
    )
    print(
        f"{path}: {path.stat().st_size / 1e3:.0f} kB, validation accuracy {curve[-1]}"
    )


if __name__ == "__main__":
    plt.rcParams["font.size"] = 9
    main()
