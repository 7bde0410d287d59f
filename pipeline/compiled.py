"""Compute what helpers.py computes, in loops over the images that Numba compiles.

`train_epoch`, `predict` and `evaluate` do what those of helpers do, but some 30 times
faster. The activation is helpers' own `relu`, compiled, while the sums around it are
written a second time. So before the loops are used, `agrees_with_helpers` trains and
predicts with both, and compares the results. If they differ, helpers does the work.

The loops give the same bits on every machine and with any number of threads, because
every sum is taken in one fixed order. Pixels of 0 add nothing, so they are left out.
"""
# mypy: allow-untyped-defs

import hashlib
import inspect
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial, wraps
from importlib.util import module_from_spec
from pathlib import Path
from typing import Any

import numpy as np
from numba import config, njit

import helpers
from helpers import NUM_DIGITS, PIXELS, Bytes, Floats, Weights
from pipeline.digests import digest_syntax

PIXEL_VALUES = np.arange(256, dtype=np.uint8)
IMAGES_PER_CALL = 1000  # limits memory: a call holds the masks of so many images
UNITS_PER_BLOCK = 256  # so few that their weights stay in the processor's cache
VALUES_PER_THREAD = 20_000  # hidden values that take longer than to start a thread
TOLERANCE = 1e-12  # relative, because both add the same numbers in different orders
NOTE = (
    "helpers.py computes something else than pipeline/compiled.py, so helpers.py "
    "itself trains: some 30 times slower, and its last digits may differ from machine "
    "to machine."
)

relu: Any = njit(helpers.relu)
relu_derivative: Any = njit(helpers.relu_derivative)
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


@compile_loop
def forward_image(image, scaled, weights, mask, hidden, scores):
    """Compute an image's hidden activations and scores; return the indices of its ink.

    image (784,) uint8. scaled (256,): the scaled value of each pixel value. weights:
    both matrices. mask (H,). The activations are written into hidden (H,), and the
    scores are added to scores (10,). The ink consists of the pixels above 0.
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

    The weights are changed in place. images (N, 784) uint8, labels (N,), masks (N, H).
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
    elif batch_size == 1 and fits(weights):
        return _train_epoch(*arguments, **options)
    return helpers.train_epoch(*arguments, batch_size=batch_size, **options)


def predict(images: Bytes, weights: Weights, normalisation: float = 255) -> Floats:
    """Compute the scores of every image, without dropout: (N, 784) uint8 to (N, 10)."""
    if agrees_with_helpers() and fits(weights):
        return _predict(images, weights, normalisation)
    return helpers.predict(images, weights, normalisation)


def evaluate(
    images: Bytes, labels: Bytes, weights: Weights, normalisation: float = 255
) -> tuple[float, float]:
    """Return the mean squared error per image and the accuracy, without dropout."""
    if agrees_with_helpers() and fits(weights):
        return _evaluate(images, labels, weights, normalisation)
    return helpers.evaluate(images, labels, weights, normalisation)


def measure_activity(
    images: Bytes, weights: Weights, normalisation: float = 255
) -> Floats | None:
    """Return the fraction of images on which each hidden unit is active: (H,).

    Return None if the activations of `helpers.forward` are not one for each column of
    the first matrix, as after a change of the network.
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


def find_note() -> str | None:
    """Return NOTE if helpers computes something else than the loops, else None."""
    return None if agrees_with_helpers() else NOTE


@cache
def print_note() -> None:
    print(NOTE, file=sys.stderr)


@cache
def agrees_with_helpers() -> bool:
    """Return whether the loops give the same results as helpers, to TOLERANCE.

    Numba checks no bounds, so shapes and types are compared before the loops run. An
    error in helpers or in a loop counts as a difference. The comparison runs a second
    copy of helpers, so that whatever helpers keeps between epochs stays as it was.
    """
    try:
        twin = _load_twin()
        return _gives_known_arrays(twin) and all(
            _trains_and_predicts_alike(twin, slope) for slope in (0.0, 1.0)
        )
    except Exception:  # noqa: BLE001 - of whatever somebody writes into helpers.py
        return False


def fits(weights: Weights) -> bool:
    """Return whether the weights are the loops' two matrices, (784, H) and (H, 10)."""
    shapes = [matrix.shape for matrix in weights]
    known = [(PIXELS, len(weights[-1])), (len(weights[-1]), NUM_DIGITS)]
    return shapes == known and all(
        matrix.dtype == np.float64 and matrix.flags.c_contiguous for matrix in weights
    )


def _load_twin() -> Any:
    """Import helpers.py a second time, and return this copy.

    Raises ImportError if the file has been changed since helpers was imported.
    """
    spec: Any = helpers.__spec__
    twin = module_from_spec(spec)
    spec.loader.exec_module(twin)
    for name, function in inspect.getmembers(helpers, inspect.isfunction):
        ours, theirs = map(inspect.unwrap, (function, getattr(twin, name)))
        if ours.__code__ != theirs.__code__:
            raise ImportError(f"{name} has been changed")
    return twin


def _gives_known_arrays(twin: Any) -> bool:
    """Return whether helpers takes and gives the names, shapes and types known here."""
    rng, vector = np.random.RandomState(0), np.linspace(-1, 1, 5)
    given: list[Any] = [
        twin.scale(PIXEL_VALUES, 255),
        twin.dropout_mask(rng, (3, 5), 0.5),
        twin.drop_pixels(np.ones((3, PIXELS), np.uint8), rng, 0.5),
        twin.relu(vector),
        twin.relu_derivative(vector, 0.0),
    ]
    found = [(array.shape, array.dtype.name) for array in given]
    vectors = [((5,), "float64"), ((5,), "float64")]
    images = ((3, PIXELS), "uint8")
    known = [((256,), "float64"), ((3, 5), "float64"), images, *vectors]
    parameters = inspect.signature(twin.train_epoch).parameters.keys()
    ours = inspect.signature(_train_epoch).parameters.keys()
    is_known = found == known and parameters == ours | {"batch_size"}
    return is_known and fits(twin.initial_weights(rng, 5))


def _trains_and_predicts_alike(twin: Any, relu_grad_inactive: float) -> bool:
    """Return whether the loops and the copy of helpers agree, to TOLERANCE.

    Both train for two epochs on three images, predict and evaluate.
    """
    rng = np.random.RandomState(0)
    images = rng.randint(256, size=(3, PIXELS)).astype(np.uint8)
    images[rng.random_sample(images.shape) < 0.8] = 0  # as much paper as a digit has
    labels = np.array([3, 0, 9], np.uint8)
    options: Any = {"normalisation": 100.0, "learning_rate": 0.01, "dropout_rate": 0.5}
    options |= {"input_dropout_rate": 0.2, "relu_grad_inactive": relu_grad_inactive}
    results = []
    for train, predict_, evaluate_ in (
        (_train_epoch, _predict, _evaluate),
        (twin.train_epoch, twin.predict, twin.evaluate),
    ):
        generators = twin.generators(1)
        # With one unit more than a block, a ReLU that is not elementwise is noticed.
        weights = twin.initial_weights(generators[0], UNITS_PER_BLOCK + 1)
        metrics = [train(images, labels, weights, *generators, **options) for _ in "12"]
        metrics.append(evaluate_(images, labels, weights, 100.0))
        results.append([*weights, predict_(images, weights, 100.0), *metrics])
    return all(
        np.max(np.abs(np.subtract(ours, theirs))) <= TOLERANCE * np.max(np.abs(theirs))
        for ours, theirs in zip(*results, strict=True)
    )


def _train_epoch(
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


def _predict(images: Bytes, weights: Weights, normalisation: float) -> Floats:
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


def _evaluate(
    images: Bytes, labels: Bytes, weights: Weights, normalisation: float
) -> tuple[float, float]:
    return helpers.measure(_predict(images, weights, normalisation), labels)
