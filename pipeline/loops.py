"""Train and predict with compiled loops over the images, some 30 times faster.

The activation is helpers' own `relu`, compiled, while the sums around it are written a
second time here. So `compiled` uses these loops only if they agree with helpers.

The loops give the same bits wherever they were tried, and with any number of threads,
because every sum is taken in one fixed order. Pixels of 0 add nothing, so they are left
out.
"""
# mypy: allow-untyped-defs

import hashlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
from numba import config, njit

import helpers
from helpers import NUM_DIGITS, PIXELS, Bytes, Floats, Weights
from pipeline.digests import digest_syntax

PIXEL_VALUES = np.arange(256, dtype=np.uint8)
IMAGES_PER_CALL = 1000  # limits memory: a call holds the masks of so many images
UNITS_PER_BLOCK = 256  # so few that their weights stay in the processor's cache
VALUES_PER_THREAD = 20_000  # with fewer, to start a thread costs more than it saves
_files = Path(helpers.__file__), Path(__file__)
_digest = hashlib.sha256("".join(map(digest_syntax, _files)).encode()).hexdigest()


def compile_loop(function: Any) -> Any:
    """Compile a loop, and cache it for the present helpers.py alone.

    Numba finds a cached function by its name, and looks for changes only in the file in
    which it is defined. But the loops also depend on helpers.py, so a digest of both
    files is added to the name.
    """
    function.__qualname__ += f"_{_digest[:12]}"
    return njit(cache=True, nogil=True)(function)


def compile_activation(function: Any) -> Any:
    """Compile a function of helpers, under a name that no older helpers.py has used.

    Otherwise, after a change of helpers, a process would call the old function of that
    name.
    """
    copy = FunctionType(
        function.__code__,
        function.__globals__,
        argdefs=function.__defaults__,
        closure=function.__closure__,
    )
    copy.__qualname__ = f"{function.__name__}_{_digest[:12]}"
    return njit(copy)


relu = compile_activation(helpers.relu)
relu_derivative = compile_activation(helpers.relu_derivative)


@compile_loop
def forward_image(image, scaled, weights, mask, hidden, scores):
    """Compute an image's hidden activations and scores; return the indices of its ink.

    image: (784,) uint8.
    scaled: (256,), the scaled value of each pixel value.
    weights: both matrices.
    mask: (H,).

    The activations are written into hidden (H,), and the scores are added to scores
    (10,). The ink consists of the pixels above 0.
    """
    weights_0_1, weights_1_2 = weights
    places = np.empty(PIXELS, np.uint16)
    count = 0
    for p in range(PIXELS):
        places[count] = p  # the next pixel overwrites it if this one is 0
        count += image[p] > 0
    hidden[:] = 0.0
    if count % 2:
        p = places[0]
        for h in range(len(hidden)):
            hidden[h] += scaled[image[p]] * weights_0_1[p, h]
    # Rows are added in pairs, so that hidden is read and written half as often.
    for k in range(count % 2, count, 2):
        p, q = places[k], places[k + 1]
        pixel_p, pixel_q = scaled[image[p]], scaled[image[q]]
        for h in range(len(hidden)):
            hidden[h] = (
                hidden[h] + pixel_p * weights_0_1[p, h] + pixel_q * weights_0_1[q, h]
            )
    activations = relu(hidden)
    for h in range(len(hidden)):
        hidden[h] = activations[h] * mask[h]
        for d in range(NUM_DIGITS):
            scores[d] += hidden[h] * weights_1_2[h, d]
    return places[:count]


@compile_loop
def update_weights(
    images, labels, masks, scaled, weights, learning_rate, relu_grad_inactive
):
    """Train on each image in turn, and return the scores (N, 10) before each update.

    images: (N, 784) uint8.
    labels: (N,).
    masks: (N, H).

    The weights are changed in place.
    """
    weights_0_1, weights_1_2 = weights
    scores = np.zeros((len(images), NUM_DIGITS))
    scores_delta = np.empty(NUM_DIGITS)
    hidden, hidden_delta = np.empty(len(weights_1_2)), np.empty(len(weights_1_2))
    for i in range(len(images)):
        places = forward_image(images[i], scaled, weights, masks[i], hidden, scores[i])
        for d in range(NUM_DIGITS):
            scores_delta[d] = scores[i, d] - (d == labels[i])
        slopes = relu_derivative(hidden, relu_grad_inactive)
        for h in range(len(hidden)):
            delta = 0.0
            for d in range(NUM_DIGITS):
                delta += scores_delta[d] * weights_1_2[h, d]
                weights_1_2[h, d] -= learning_rate * hidden[h] * scores_delta[d]
            hidden_delta[h] = delta * slopes[h] * masks[i, h]
        for p in places:  # the gradient of the other rows is 0
            step = learning_rate * scaled[images[i, p]]
            for h in range(len(hidden)):
                weights_0_1[p, h] -= step * hidden_delta[h]
    return scores


@compile_loop
def add_scores(scaled, weights, images, scores):
    """Add the scores of images (N, 784), without dropout, to scores (N, 10).

    The hidden units are taken in blocks, see UNITS_PER_BLOCK.
    """
    for start in range(0, len(weights[1]), UNITS_PER_BLOCK):
        units = slice(start, start + UNITS_PER_BLOCK)
        block = weights[0][:, units].copy(), weights[1][units]
        mask, hidden = np.ones(len(block[1])), np.empty(len(block[1]))
        for i in range(len(images)):
            forward_image(images[i], scaled, block, mask, hidden, scores[i])


def fits(weights: Weights) -> bool:
    """Return whether the weights are the loops' two matrices, (784, H) and (H, 10)."""
    shapes = [matrix.shape for matrix in weights]
    known = [(PIXELS, len(weights[-1])), (len(weights[-1]), NUM_DIGITS)]
    return shapes == known and all(
        matrix.dtype == np.float64 and matrix.flags.c_contiguous for matrix in weights
    )


def train_epoch(
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
    scaled = helpers.scale(PIXEL_VALUES, normalisation * (1 - input_dropout_rate))
    hidden_size = len(weights[1])
    scores = []
    for start in range(0, len(images), IMAGES_PER_CALL):
        chunk = slice(start, start + IMAGES_PER_CALL)
        pixels = np.ascontiguousarray(images[chunk])  # as the loops are compiled for
        pixels = helpers.drop_pixels(pixels, input_rng, input_dropout_rate)
        masks = helpers.dropout_mask(rng, (len(pixels), hidden_size), dropout_rate)
        inputs = pixels, labels[chunk], masks, scaled
        rates = float(learning_rate), float(relu_grad_inactive)
        scores.append(update_weights(*inputs, tuple(weights), *rates))
    return helpers.measure(np.concatenate(scores), labels)


def predict(images: Bytes, weights: Weights, normalisation: float) -> Floats:
    scores = np.zeros((len(images), NUM_DIGITS))
    cores = config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    count = max(1, min(cores, len(images) * len(weights[1]) // VALUES_PER_THREAD))
    parts = (
        np.array_split(np.ascontiguousarray(images), count),
        np.array_split(scores, count),
    )
    scaled = helpers.scale(PIXEL_VALUES, normalisation)
    add = partial(add_scores, scaled, tuple(weights))
    with ThreadPoolExecutor(count) as threads:
        list(threads.map(add, *parts) if count > 1 else map(add, *parts))
    return scores


def evaluate(
    images: Bytes, labels: Bytes, weights: Weights, normalisation: float
) -> tuple[float, float]:
    return helpers.measure(predict(images, weights, normalisation), labels)
