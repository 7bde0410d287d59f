"""Train and predict with compiled loops, which are faster than helpers.py.

The loops compute what the published helpers.py computes. If helpers.py has another
digest than the published version, the functions in helpers.py are called instead.

The loops gave the same bits on every machine on which they were tried, because each
sum is computed in one fixed order. Pixels of 0 are skipped.
"""
# mypy: allow-untyped-defs

import sys
from functools import cache, wraps
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

import helpers
from helpers import Bytes, Floats, Weights
from pipeline.digests import digest_code, read_code
from pipeline.network.published import HELPERS_SHA256, NOTE

PIXELS, NUM_DIGITS = 784, 10
PIXEL_VALUES = np.arange(256, dtype=np.uint8)
IMAGES_PER_CALL = 1000  # a limit, because the masks of all these images are in memory


@wraps(helpers.train_epoch, assigned=())  # shows the signature of helpers.train_epoch
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
    """Train for one epoch, with the same arguments and result as helpers.train_epoch.

    The two generators must not be the same, because the loops draw all masks of pixels
    before all masks of units. The loops are used if `loops_fit` and the batch size is
    1. Otherwise helpers.train_epoch is called. If helpers.py is not the published
    version, this is said once.
    """
    arrays = images, labels, weights
    if batch_size == 1 and loops_fit(*arrays):
        return _train(*arrays, rng, input_rng, **options)
    if not is_published():
        print_note()
    return helpers.train_epoch(
        *arrays, rng, input_rng, batch_size=batch_size, **options
    )


def predict(images: Bytes, weights: Weights, normalisation: float = 255) -> Floats:
    """Return the scores (N, 10) of images (N, 784) uint8, without dropout."""
    no_labels = np.zeros(len(images), np.uint8)
    if loops_fit(images, no_labels, weights):
        return _predict(images, weights, normalisation)
    return helpers.predict(images, weights, normalisation)


def evaluate(
    images: Bytes, labels: Bytes, weights: Weights, normalisation: float = 255
) -> tuple[float, float]:
    """Return the mean squared error per image and the accuracy, without dropout."""
    if loops_fit(images, labels, weights):
        return helpers.measure(_predict(images, weights, normalisation), labels)
    return helpers.evaluate(images, labels, weights, normalisation)


def measure_activity(
    images: Bytes, weights: Weights, normalisation: float = 255
) -> Floats | None:
    """Return the fraction of images on which each hidden unit is active, (H,).

    If somebody has changed the network, `helpers.forward` may not return one activation
    for each column of the first matrix. In that case, the function returns None.
    """
    count = np.zeros(weights[0].shape[1])
    for start in range(0, len(images), IMAGES_PER_CALL):
        inputs = helpers.scale(images[start : start + IMAGES_PER_CALL], normalisation)
        hidden = helpers.forward(inputs, weights)[0]
        expected = (len(inputs), len(count))
        if not isinstance(hidden, np.ndarray) or hidden.shape != expected:
            return None
        count += np.sum(hidden > 0, axis=0)
    return count / len(images)


def loops_fit(images: Bytes, labels: Bytes, weights: Weights) -> bool:
    """Return whether the loops compute the same as helpers.py with these arguments.

    helpers.py has to be the published version. The loops check no bounds, so the arrays
    need the right types and shapes: images (N, 784) uint8, labels (N,) uint8, and
    weights (784, H) and (H, 10) float64 in C order.
    """
    arrays: list[np.ndarray] = [images, labels, *weights]
    hidden_size = len(weights[-1])
    shapes = [(len(images), PIXELS), (len(images),)]
    shapes += [(PIXELS, hidden_size), (hidden_size, NUM_DIGITS)]
    types = [np.uint8, np.uint8, np.float64, np.float64]
    return (
        is_published()
        and [array.shape for array in arrays] == shapes
        and [array.dtype for array in arrays] == types
        and all(matrix.flags.c_contiguous for matrix in weights)
    )


@cache
def print_note() -> None:
    """Print NOTE to stderr, but only the first time."""
    print(NOTE, file=sys.stderr)


def is_published() -> bool:
    """Return whether helpers.py is the published version, and unchanged in memory.

    A cell of a notebook may have replaced a function of the imported helpers.py.
    """
    return _IS_PUBLISHED and all(
        getattr(helpers, name) is part for name, part in _PARTS.items()
    )


_IS_PUBLISHED = digest_code(read_code(Path(helpers.__file__))) == HELPERS_SHA256
_PARTS = {**vars(helpers)}


def compile_loops() -> None:
    """Compile the loops, or load them from the cache, before a notebook needs them."""
    image, labels = np.ones((1, PIXELS), np.uint8), np.zeros(1, np.uint8)
    weights = np.zeros((PIXELS, 1)), np.zeros((1, NUM_DIGITS))
    if _IS_PUBLISHED:
        _train(image, labels, weights, np.random.RandomState(0))
        _predict(image, weights, 255)


@njit(cache=True, nogil=True)
def forward_image(image, lookup, weights, mask, hidden, scores):
    """Compute the hidden activations and the scores of one image.

    image: (784,) uint8.
    lookup: (256,), the input of the network for each pixel value.
    weights: both matrices.
    mask: (H,), the dropout mask of the hidden units.
    hidden: (H,), the array into which the activations are written.
    scores: (10,), the array to which the scores are added.

    Return the places of the pixels that are not 0.
    """
    weights_0_1, weights_1_2 = weights
    places = np.empty(PIXELS, np.uint16)
    count = 0
    for p in range(PIXELS):
        places[count] = p  # if this pixel is 0, the next one overwrites its place
        count += image[p] > 0
    hidden[:] = 0.0
    # Rows of weights are added in pairs, so that hidden is read and written half as
    # often. If the number of rows is odd, the first row is added alone.
    if count % 2:
        p = places[0]
        for h in range(len(hidden)):
            hidden[h] += lookup[image[p]] * weights_0_1[p, h]
    for k in range(count % 2, count, 2):
        p, q = places[k], places[k + 1]
        pixel_p, pixel_q = lookup[image[p]], lookup[image[q]]
        for h in range(len(hidden)):
            hidden[h] = (
                hidden[h] + pixel_p * weights_0_1[p, h] + pixel_q * weights_0_1[q, h]
            )
    activations = np.maximum(0, hidden)
    for h in range(len(hidden)):
        hidden[h] = activations[h] * mask[h]
        for d in range(NUM_DIGITS):
            scores[d] += hidden[h] * weights_1_2[h, d]
    return places[:count]


@njit(cache=True, nogil=True)
def update_weights(
    images, labels, masks, lookup, weights, learning_rate, relu_grad_inactive
):
    """Train on each image in turn. The weights are changed IN PLACE.

    images: (N, 784) uint8.
    labels: (N,).
    masks: (N, H), the dropout masks of the hidden units.
    lookup: (256,), the input of the network for each pixel value.

    Return the scores (N, 10) of each image before its own update.
    """
    weights_0_1, weights_1_2 = weights
    scores = np.zeros((len(images), NUM_DIGITS))
    scores_delta = np.empty(NUM_DIGITS)
    hidden, hidden_delta = np.empty(len(weights_1_2)), np.empty(len(weights_1_2))
    for i in range(len(images)):
        places = forward_image(images[i], lookup, weights, masks[i], hidden, scores[i])
        for d in range(NUM_DIGITS):
            scores_delta[d] = scores[i, d] - (d == labels[i])
        slopes = np.where(hidden > 0, 1.0, relu_grad_inactive)
        for h in range(len(hidden)):
            delta = 0.0
            for d in range(NUM_DIGITS):
                delta += scores_delta[d] * weights_1_2[h, d]
                weights_1_2[h, d] -= learning_rate * hidden[h] * scores_delta[d]
            hidden_delta[h] = delta * slopes[h] * masks[i, h]
        for p in places:  # for all other rows of the matrix, the gradient is 0
            step = learning_rate * lookup[images[i, p]]
            for h in range(len(hidden)):
                weights_0_1[p, h] -= step * hidden_delta[h]
    return scores


@njit(cache=True, nogil=True)
def compute_scores(images, lookup, weights):
    """Return the scores (N, 10) of images (N, 784), without dropout."""
    scores = np.zeros((len(images), NUM_DIGITS))
    mask, hidden = np.ones(len(weights[1])), np.empty(len(weights[1]))
    for i in range(len(images)):
        forward_image(images[i], lookup, weights, mask, hidden, scores[i])
    return scores


def _train(
    images: Bytes,
    labels: Bytes,
    weights: Weights,
    rng: np.random.RandomState,
    input_rng: np.random.RandomState | None = None,
    *,
    normalisation: float = 255,
    learning_rate: float = 0.005,
    dropout_rate: float = 0.5,
    input_dropout_rate: float = 0,
    relu_grad_inactive: float = 1,
) -> tuple[float, float]:
    lookup = helpers.scale(PIXEL_VALUES, normalisation * (1 - input_dropout_rate))
    rates = float(learning_rate), float(relu_grad_inactive)
    scores = []  # the scores of each image before its own update
    for start in range(0, len(images), IMAGES_PER_CALL):
        chunk = slice(start, start + IMAGES_PER_CALL)
        pixels = np.ascontiguousarray(images[chunk])  # the loops need C order
        pixels = helpers.drop_pixels(pixels, input_rng, input_dropout_rate)
        masks = helpers.dropout_mask(rng, (len(pixels), len(weights[1])), dropout_rate)
        scores.append(
            update_weights(pixels, labels[chunk], masks, lookup, tuple(weights), *rates)
        )
    return helpers.measure(np.concatenate(scores), labels)


def _predict(images: Bytes, weights: Weights, normalisation: float) -> Floats:
    pixels = np.ascontiguousarray(images)  # the loops need C order
    lookup = helpers.scale(PIXEL_VALUES, normalisation)
    return compute_scores(pixels, lookup, tuple(weights))  # type: ignore[no-any-return]
