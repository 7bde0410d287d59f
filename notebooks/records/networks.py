"""Train networks that differ from the network in helpers.py in one thing.

A network may differ in what inactive units get, in whether negative sums become 0, in
whether units move alike, or in the error signals of its scores. Like the loops in
compiled.py, the loops here give the same bits on every machine on which they were
tried, so anyone can check the records.
"""

from typing import Any

import numpy as np
from numba import njit

import helpers
from helpers import Bytes, Floats, Weights
from pipeline.network.compiled import PIXEL_VALUES

# The networks in slip.csv, and the options of `train_epoch` for each.
NETWORKS: dict[str, dict[str, Any]] = {
    "true": {"up": 0, "down": 0},
    "slip": {"up": 1, "down": 1},
    "up alone": {"up": 1, "down": 0},
    "down alone": {"up": 0, "down": 1},
    "no cut": {"has_relu": False},
    "in fours": {"up": 0, "down": 0, "alike": 4},
}


def train_epoch(
    images: Bytes,
    labels: Bytes,
    weights: Weights,
    masks: Floats,
    *,
    up: float = 1,
    down: float = 1,
    has_relu: bool = True,
    alike: int = 1,
    pulls: Floats | None = None,
    target: float = 1,
    learning_rate: float = 0.005,
) -> None:
    """Train on every image once, in order. The weights are changed IN PLACE.

    masks: (N, H), the dropout masks of the hidden units.
    up, down: the derivative of the ReLU where a unit is inactive. It is `up` if the
        step would raise the unit's sum on this image, and else `down`.
    has_relu: whether negative sums become 0. If not, all derivatives are 1.
    alike: how many units move alike. They all get the mean of their error signals.
    pulls: (N, 10), factors for the error signals of the scores. By default, they are 1.
    target: the target for the score of the true class. All other targets are 0.
    """
    if pulls is None:
        pulls = np.ones((len(images), helpers.NUM_DIGITS))
    if has_relu:
        floor = 0.0
    else:
        floor, up, down = -np.inf, 1, 1
    scaled = helpers.scale(PIXEL_VALUES, 255)
    options = float(learning_rate), float(up), float(down), floor, float(target)
    inputs = images, labels, masks, pulls
    _train_on_images(inputs, scaled, tuple(weights), options, alike)


@njit(cache=True, nogil=True)
def _train_on_images(inputs, scaled, weights, options, alike):
    images, labels, masks, pulls = inputs
    weights_0_1, weights_1_2 = weights
    learning_rate, up, down, floor, target = options
    units, delta = np.arange(len(weights_1_2)), np.empty(len(weights_1_2))
    for i in range(len(images)):
        ink = np.flatnonzero(images[i])  # pixels of 0 add nothing
        pixels = scaled[images[i][ink]]
        sums = _sum_weighted_rows(weights_0_1, ink, pixels)
        hidden = np.maximum(floor, sums) * masks[i]
        scores = _sum_weighted_rows(weights_1_2, units, hidden)
        scores[labels[i]] -= target
        signals = scores * pulls[i]
        for h in range(len(hidden)):
            back = 0.0
            for d in range(len(signals)):
                back += signals[d] * weights_1_2[h, d]
                weights_1_2[h, d] -= learning_rate * hidden[h] * signals[d]
            if hidden[h] > 0:
                slope = 1.0
            elif back < 0:  # a step goes against the gradient
                slope = up
            else:
                slope = down
            delta[h] = back * slope * masks[i, h]
        if alike > 1:
            for first in range(0, len(delta), alike):
                group = delta[first : first + alike]
                group[:] = np.sum(group) / alike
        for p, pixel in zip(ink, pixels):  # noqa: B905 - Numba has no `strict`
            step = learning_rate * pixel
            for h in range(len(delta)):
                weights_0_1[p, h] -= step * delta[h]


@njit(cache=True, nogil=True)
def _sum_weighted_rows(matrix, rows, factors):
    """Return the sum of these rows of a matrix, each row multiplied by its factor."""
    total = np.zeros(matrix.shape[1])
    for row, factor in zip(rows, factors):  # noqa: B905
        for column in range(len(total)):
            total[column] += factor * matrix[row, column]
    return total
