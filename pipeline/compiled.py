"""Train and predict as helpers.py does, with the compiled loops where they agree.

`train_epoch`, `predict` and `evaluate` have the same parameters and results as those of
helpers. The loops do the work, which is some 30 times faster. But if they do not
compute what helpers.py computes, because somebody has changed it, helpers does it.
"""
# mypy: allow-untyped-defs

import sys
from functools import cache, wraps
from typing import Any

import numpy as np

import helpers
from helpers import Bytes, Floats, Weights
from pipeline import loops
from pipeline.agreement import agrees_with_helpers

NOTE = (
    "helpers.py computes something else than pipeline/loops.py, so helpers.py "
    "itself trains: some 30 times slower, and its last digits may differ from machine "
    "to machine."
)


@wraps(helpers.train_epoch, assigned=())  # so that its signature is helpers' own
def train_epoch(
    images: Bytes,
    labels: Bytes,
    weights: Weights,
    rng: np.random.RandomState,
    input_rng: np.random.RandomState | None = None,
    *,
    batch_size: int = 1,
    **options: Any,
) -> tuple[float, float]:
    """Do what `helpers.train_epoch` does, with the same parameters.

    Batches of several images are left to helpers. If helpers computes something else
    than the loops, all work is left to it, and NOTE is printed once.
    """
    arguments = images, labels, weights, rng, input_rng
    if not agrees_with_helpers():
        print_note()
    elif batch_size == 1 and loops.fits(weights):
        return loops.train_epoch(*arguments, **options)
    return helpers.train_epoch(*arguments, batch_size=batch_size, **options)


def predict(images: Bytes, weights: Weights, normalisation: float = 255) -> Floats:
    """Compute the scores of every image, without dropout: (N, 784) uint8 to (N, 10)."""
    if agrees_with_helpers() and loops.fits(weights):
        return loops.predict(images, weights, normalisation)
    return helpers.predict(images, weights, normalisation)


def evaluate(
    images: Bytes, labels: Bytes, weights: Weights, normalisation: float = 255
) -> tuple[float, float]:
    """Return the mean squared error per image and the accuracy, without dropout."""
    if agrees_with_helpers() and loops.fits(weights):
        return loops.evaluate(images, labels, weights, normalisation)
    return helpers.evaluate(images, labels, weights, normalisation)


def measure_activity(
    images: Bytes, weights: Weights, normalisation: float = 255
) -> Floats | None:
    """Return the fraction of images on which each hidden unit is active: (H,).

    Return None if the activations of `helpers.forward` are not one for each column of
    the first matrix, as after a change of the network.
    """
    count = np.zeros(weights[0].shape[1])
    for start in range(0, len(images), loops.IMAGES_PER_CALL):
        chunk = images[start : start + loops.IMAGES_PER_CALL]
        inputs = helpers.scale(chunk, normalisation)
        hidden = helpers.forward(inputs, weights)[0]
        expected = (len(inputs), len(count))
        if not isinstance(hidden, np.ndarray) or hidden.shape != expected:
            return None
        count += np.sum(hidden > 0, axis=0)
    return count / len(images)


def find_note() -> str | None:
    """Return NOTE if helpers computes something else than the loops, else None."""
    return None if agrees_with_helpers() else NOTE


@cache
def print_note() -> None:
    print(NOTE, file=sys.stderr)
