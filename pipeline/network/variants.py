"""Train networks that differ slightly from the network in helpers.py, for the lessons.

A network may differ in what happens to the sums of its hidden units, in what inactive
units pass on, or in the error signals of its scores. Like the loops in compiled.py, the
loops here give the same bits on every machine on which they were tried, so the records
that the lessons read can be reproduced.
"""
# mypy: allow-untyped-defs

from typing import Any

import numpy as np
from numba import njit

import helpers
from helpers import Bytes, Floats, Weights
from pipeline.network.compiled import PIXEL_VALUES

# The names of the networks in the lessons, and the options of `train_epoch` for each.
NETWORKS: dict[str, dict[str, Any]] = {
    "true": {"relu_grad_inactive": 0},
    "slip": {"relu_grad_inactive": 1},
    "no cut": {"has_relu": False},
    "ratchet alone": {"relu_grad_inactive": 0, "mean_inactive": 1},
    "all but the ratchet": {"relu_grad_inactive": 1, "mean_inactive": 0},
}


def train_epoch(
    images: Bytes,
    labels: Bytes,
    weights: Weights,
    masks: Floats,
    *,
    learning_rate: float = 0.005,
    relu_grad_inactive: float = 1,
    mean_inactive: float | None = None,
    slopes: Floats | None = None,
    has_relu: bool = True,
    pulls: Floats | None = None,
    target: float = 1,
) -> None:
    """Train on every image once, in order. The weights are changed IN PLACE.

    masks: (N, H), the dropout masks of the hidden units.
    relu_grad_inactive: the derivative of the ReLU where a unit is inactive.
    mean_inactive: the derivative that replaces relu_grad_inactive for one part of each
        image: the projection of the image onto the mean of all images. By default, both
        parts of an image have the derivative relu_grad_inactive.
    slopes: (N, H), the derivatives of the ReLU for each image and unit. By default, the
        sum of each unit decides whether its derivative is 1 or relu_grad_inactive.
    has_relu: whether negative sums become 0. If not, all derivatives are 1.
    pulls: (N, 10), factors for the error signals of the scores. By default, they are 1.
    target: the target for the score of the true class. All other targets are 0.
    """
    pulls = np.ones((len(images), helpers.NUM_DIGITS)) if pulls is None else pulls
    inactive = float(relu_grad_inactive) if has_relu else 1.0
    extra = 0.0 if mean_inactive is None else mean_inactive - inactive
    floor = 0.0 if has_relu else -np.inf
    slopes = np.empty((0, masks.shape[1])) if slopes is None else slopes
    total = images.sum(axis=0, dtype=np.int64)  # a sum of integers is not rounded
    mean = total / np.sqrt(max(1, np.sum(total**2)))  # (784,), scaled to length 1
    inputs = images, labels, masks, slopes, pulls, mean
    scaled = helpers.scale(PIXEL_VALUES, 255)
    options = float(learning_rate), inactive, extra, floor, float(target)
    _train_on_images(inputs, scaled, tuple(weights), options)


@njit(cache=True, nogil=True)
def _train_on_images(inputs, scaled, weights, options):
    images, labels, masks, other_slopes, pulls, mean = inputs
    weights_0_1, weights_1_2 = weights
    learning_rate, inactive, extra, floor, target = options
    units, delta = np.arange(len(weights_1_2)), np.empty(len(weights_1_2))
    # The multiple of the mean that each column of the first matrix has to gain.
    gained = np.zeros(len(delta))
    for i in range(len(images)):
        ink = np.flatnonzero(images[i])  # pixels of 0 add nothing
        pixels = scaled[images[i][ink]]
        length = np.sum(pixels * mean[ink]) if extra else 0.0  # of the projection
        sums = _sum_weighted_rows(weights_0_1, ink, pixels) + length * gained
        hidden = np.maximum(floor, sums) * masks[i]
        scores = _sum_weighted_rows(weights_1_2, units, hidden)
        scores[labels[i]] -= target
        signals, slopes = scores * pulls[i], np.where(hidden > 0, 1.0, inactive)
        if len(other_slopes):
            slopes = other_slopes[i]
        for h in range(len(hidden)):
            back = 0.0
            for d in range(len(signals)):
                back += signals[d] * weights_1_2[h, d]
                weights_1_2[h, d] -= learning_rate * hidden[h] * signals[d]
            delta[h] = back * slopes[h] * masks[i, h]
            if hidden[h] <= 0:
                gained[h] -= learning_rate * length * extra * back * masks[i, h]
        for p, pixel in zip(ink, pixels):  # noqa: B905 - Numba has no `strict`
            step = learning_rate * pixel
            for h in range(len(delta)):
                weights_0_1[p, h] -= step * delta[h]
    if extra:
        weights_0_1 += np.outer(mean, gained)


@njit(cache=True, nogil=True)
def _sum_weighted_rows(matrix, rows, factors):
    """Return the sum of these rows of a matrix, each row multiplied by its factor."""
    total = np.zeros(matrix.shape[1])
    for row, factor in zip(rows, factors):  # noqa: B905
        for column in range(len(total)):
            total[column] += factor * matrix[row, column]
    return total
