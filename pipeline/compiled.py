"""The arithmetic of helpers.py for one image at a time, compiled by Numba, which infers types.

Results equal helpers' to 1e-12. They are the same bits on every machine and with any number of
threads, since every sum is taken in one fixed order. Pixels of 0 add nothing and are left out.
"""
# mypy: allow-untyped-defs

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from numba import config, njit

import helpers
from helpers import NUM_DIGITS, PIXELS, Bytes, Floats

# The fork server imports Numba before a notebook's process gets its environment.
config.reload_config()  # type: ignore[no-untyped-call]

PIXEL_VALUES = np.arange(256, dtype=np.uint8)
IMAGES_PER_CALL = 1000  # bounds memory: their masks are little larger than weights_0_1
UNITS_PER_BLOCK = 256  # their weights stay in the processor's cache from image to image
HIDDEN_VALUES_PER_THREAD = (
    20_000  # at least: a millisecond of work, more than a thread costs
)


@njit(cache=True, nogil=True)
def forward_image(image, scaled, weights, mask, hidden, scores):
    """Write hidden (H,), add to scores (10,), and return the places of the pixels above 0.

    image (784,) uint8; scaled (256,): PIXEL_VALUES, scaled; weights: both matrices; mask (H,).
    """
    weights_0_1, weights_1_2 = weights
    places = np.empty(PIXELS, np.uint16)
    count = 0
    for p in range(PIXELS):
        places[count] = p
        count += image[p] > 0
    hidden[:] = 0.0
    if count % 2:
        p = places[0]
        for h in range(len(hidden)):
            hidden[h] += scaled[image[p]] * weights_0_1[p, h]
    for k in range(
        count % 2, count, 2
    ):  # in pairs, so hidden is read and written half as often
        p, q = places[k], places[k + 1]
        pixel_p, pixel_q = scaled[image[p]], scaled[image[q]]
        for h in range(len(hidden)):
            hidden[h] = (
                hidden[h] + pixel_p * weights_0_1[p, h] + pixel_q * weights_0_1[q, h]
            )
    for h in range(len(hidden)):
        hidden[h] = max(hidden[h], 0.0) * mask[h]  # max(0.0, ...) would hide NaN
        for d in range(NUM_DIGITS):
            scores[d] += hidden[h] * weights_1_2[h, d]
    return places[:count]


@njit(cache=True, nogil=True)
def update_weights(
    images, labels, masks, scaled, weights, learning_rate, relu_grad_inactive
):
    """Update the weights after each image. Return its scores (N, 10) before the update."""
    weights_0_1, weights_1_2 = weights
    scores = np.zeros((len(images), NUM_DIGITS))
    scores_delta = np.empty(NUM_DIGITS)
    hidden, hidden_delta = np.empty(len(weights_1_2)), np.empty(len(weights_1_2))
    for i in range(len(images)):
        places = forward_image(images[i], scaled, weights, masks[i], hidden, scores[i])
        for d in range(NUM_DIGITS):
            scores_delta[d] = scores[i, d] - (d == labels[i])
        for h in range(len(hidden)):
            delta = 0.0
            for d in range(NUM_DIGITS):
                delta += scores_delta[d] * weights_1_2[h, d]
                weights_1_2[h, d] -= learning_rate * hidden[h] * scores_delta[d]
            hidden_delta[h] = (
                delta * (1.0 if hidden[h] > 0 else relu_grad_inactive) * masks[i, h]
            )
        for p in places:  # the gradient of the other rows is 0
            step = learning_rate * scaled[images[i, p]]
            for h in range(len(hidden)):
                weights_0_1[p, h] -= step * hidden_delta[h]
    return scores


@njit(cache=True, nogil=True)
def add_scores(scaled, weights, images, scores):
    """Add the scores without dropout to scores (N, 10), block by block of hidden units."""
    for start in range(0, len(weights[1]), UNITS_PER_BLOCK):
        units = slice(start, start + UNITS_PER_BLOCK)
        block = weights[0][:, units].copy(), weights[1][units]
        mask, hidden = np.ones(len(block[1])), np.empty(len(block[1]))
        for i in range(len(images)):
            forward_image(images[i], scaled, block, mask, hidden, scores[i])


def train_epoch(
    images: Bytes,
    labels: Bytes,
    weights_0_1: Floats,
    weights_1_2: Floats,
    rng: np.random.RandomState,
    input_rng: np.random.RandomState | None = None,
    *,
    normalisation: float = 255,
    learning_rate: float = 0.005,
    dropout_rate: float = 0.5,
    input_dropout_rate: float = 0,
    relu_grad_inactive: float = 1,
    batch_size: int = 1,
) -> tuple[float, float]:
    """Train on every image once. Batches of several images are left to `helpers.train_epoch`."""
    if batch_size != 1:
        return helpers.train_epoch(**locals())
    scaled = helpers.scale(PIXEL_VALUES, normalisation * (1 - input_dropout_rate))
    constants = (
        scaled,
        (weights_0_1, weights_1_2),
        float(learning_rate),
        float(relu_grad_inactive),
    )
    scores = []
    for start in range(0, len(images), IMAGES_PER_CALL):
        chunk = slice(start, start + IMAGES_PER_CALL)
        pixels = np.ascontiguousarray(
            images[chunk]
        )  # the layout that the loop is compiled for
        pixels = helpers.drop_pixels(pixels, input_rng, input_dropout_rate)
        masks = helpers.dropout_mask(rng, (len(pixels), len(weights_1_2)), dropout_rate)
        scores.append(update_weights(pixels, labels[chunk], masks, *constants))
    return helpers.measure(np.concatenate(scores), labels)


def predict(
    images: Bytes, weights_0_1: Floats, weights_1_2: Floats, normalisation: float = 255
) -> Floats:
    """Compute the scores of every image, without dropout: (N, 784) uint8 to (N, 10) float64."""
    scores = np.zeros((len(images), NUM_DIGITS))
    cores = config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    count = max(
        1, min(cores, len(images) * len(weights_1_2) // HIDDEN_VALUES_PER_THREAD)
    )
    parts = (
        np.array_split(np.ascontiguousarray(images), count),
        np.array_split(scores, count),
    )
    scaled = helpers.scale(PIXEL_VALUES, normalisation)
    add = partial(add_scores, scaled, (weights_0_1, weights_1_2))
    with ThreadPoolExecutor(count) as threads:
        list(threads.map(add, *parts) if count > 1 else map(add, *parts))
    return scores


def evaluate(
    images: Bytes,
    labels: Bytes,
    weights_0_1: Floats,
    weights_1_2: Floats,
    normalisation: float = 255,
) -> tuple[float, float]:
    """Return the mean squared error per image and the accuracy (fraction), without dropout."""
    return helpers.measure(
        predict(images, weights_0_1, weights_1_2, normalisation), labels
    )
