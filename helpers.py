"""A neural network by hand: 784 pixels, a hidden layer of ReLU units with dropout, 10 linear outputs.

Arrays in, arrays out: nothing here knows a file, a notebook or a parameter cell.

    images       (N, 784) uint8      one row per image, pixels 0 .. 255
    labels       (N,)     uint8      the digit, 0 .. 9
    weights_0_1  (784, H) float64    from the pixels to the H hidden units
    weights_1_2  (H, 10)  float64    from the hidden units to the ten scores

The loss of one image is half its squared error, whose gradient with respect to the scores is (scores - target).
What is REPORTED as error is the squared error without the half, averaged over the images, as in the original.

`forward` and `backward` are the reference. `online_updates` and `online_scores` are the same arithmetic for one image
at a time, compiled. They leave out pixels that are 0, four in five of MNIST's, which add nothing. They take every sum
in one fixed order, so weights, scores and metrics are the same bits on every machine and with any number of threads.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import numpy.typing as npt
from numba import config, njit

PIXELS = 28 * 28
NUM_DIGITS = 10
MASK_VALUES_AT_ONCE = 4_000_000  # 32 MB: bounds the memory of the masks that are drawn in one call, at least a batch's
UNITS_AT_ONCE = 256  # of a large network: their weights stay in the processor's cache from image to image
HIDDEN_VALUES_PER_THREAD = 20_000  # at least: a millisecond of work, since handing over takes time, too

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]


def relu(x: Floats) -> Floats:
    """Return x where it is positive, else 0 (rectified linear unit); the shape is kept."""
    return np.maximum(0, x)


def relu_derivative(activation: Floats, inactive: float = 1) -> Floats:
    """Return the ReLU's derivative, given the ReLU's OUTPUT: 1 where a unit is active, `inactive` where it is not.

    A unit is inactive where its sum is <= 0, and there the true derivative is 0. The original computes 1, because it
    tests ``>= 0`` on activations, which cannot be negative: inactive units pass their gradient on, too.
    """
    return np.where(activation > 0, 1.0, inactive)


def dropout_mask(rng: np.random.RandomState, shape: tuple[int, ...], rate: float) -> Floats:
    """Draw an inverted dropout mask: 0 for a dropped unit, 1 / (1 - rate) for a kept one, so that the mean stays 1.

    The rate is the fraction of units to drop, in [0, 1). At 0.5 the generator draws integers, as in the original, at
    0 nothing, at any other rate floats. One call for many rows draws the same numbers as one call per row.

    Source: N. Srivastava et al. (2014), Dropout, Journal of Machine Learning Research 15, section 10.
    """
    if rate == 0:
        return np.ones(shape)
    if rate == 0.5:
        return rng.randint(2, size=shape).astype(float) * 2
    return (rng.random_sample(shape) >= rate) / (1 - rate)


def drop_pixels(images: Bytes, rng: np.random.RandomState, rate: float) -> Bytes:
    """Set a fraction of the pixels, the rate in [0, 1), to 0: (N, 784) uint8 to the same. At 0 nothing is drawn.

    Divided by normalisation * (1 - rate), the others have the mean that they had before, as with `dropout_mask`.
    """
    return images * (rng.random_sample(images.shape) >= rate) if rate else images


def generators(seed: int) -> tuple[np.random.RandomState, np.random.RandomState]:
    """Return the generator of weights and hidden masks, and another one of the pixels to drop.

    So dropping pixels changes neither first weights nor hidden masks, and runs with and without it make pairs.
    """
    return np.random.RandomState(seed), np.random.RandomState([seed, 1])


def initial_weights(rng: np.random.RandomState, hidden_size: int) -> tuple[Floats, Floats]:
    """Draw weights_0_1, then weights_1_2, uniformly from [-0.1, 0.1)."""
    weights_0_1 = rng.uniform(-0.1, 0.1, (PIXELS, hidden_size))
    weights_1_2 = rng.uniform(-0.1, 0.1, (hidden_size, NUM_DIGITS))
    return weights_0_1, weights_1_2


def scale(images: Bytes, normalisation: float) -> Floats:
    """Divide the pixels by `normalisation` (> 0): (N, 784) uint8 to (N, 784) float64."""
    return images / float(normalisation)


def one_hot(labels: Bytes) -> Floats:
    """Return 1 at the place of the label, else 0: (N,) uint8 to (N, 10) float64."""
    return np.eye(NUM_DIGITS)[labels]


def forward(
    inputs: Floats, weights_0_1: Floats, weights_1_2: Floats, mask: Floats | float = 1.0
) -> tuple[Floats, Floats]:
    """Compute the hidden activations (B, H), dropout applied, and the scores (B, 10) of a batch of B images.

    The inputs (B, 784) are scaled pixels. The mask (B, H) comes from `dropout_mask` while training; 1.0 keeps every
    unit. The largest of the ten scores is the prediction; there is no softmax.
    """
    hidden = relu(inputs @ weights_0_1) * mask  # (B, 784) @ (784, H) -> (B, H)
    scores = hidden @ weights_1_2  # (B, H) @ (H, 10) -> (B, 10)
    return hidden, scores


def backward(
    inputs: Floats,
    targets: Floats,
    hidden: Floats,
    scores: Floats,
    weights_1_2: Floats,
    mask: Floats | float = 1.0,
    relu_grad_inactive: float = 1,
) -> tuple[Floats, Floats]:
    """Compute the gradients (784, H) and (H, 10) of half the squared error, averaged over the batch.

    The inputs, weights and mask are those that `forward` was given, hidden and scores what it returned, and the
    targets (B, 10) are one-hot. Only with relu_grad_inactive 0 are the gradients true: see `relu_derivative`.

    Source: M. Nielsen (2015), Neural Networks and Deep Learning, chapter 2.
    """
    scores_delta = (scores - targets) / len(inputs)  # (B, 10)
    hidden_delta = scores_delta @ weights_1_2.T * relu_derivative(hidden, relu_grad_inactive) * mask  # (B, H)
    return inputs.T @ hidden_delta, hidden.T @ scores_delta


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
    """Train on every image once, in order. The weights, in C order, are changed IN PLACE.

    The keywords are parameters of a run; the README lists them. `generators` makes rng, which draws the masks of the
    hidden units, and input_rng, which draws the pixels to drop, both a row per image, in order. For a batch of B images
    the update is the learning rate times the mean of their gradients; the last batch may be smaller.

    Return the mean squared error per image and the accuracy (fraction), each image measured under dropout, just before
    its batch's update. Raise ValueError where pixels are to be dropped and input_rng is missing.
    """
    if input_dropout_rate and input_rng is None:
        raise ValueError("input_dropout_rate is above 0, so input_rng is needed: helpers.generators(seed) makes it.")
    hidden_size = weights_0_1.shape[1]
    images_at_once = max(1, MASK_VALUES_AT_ONCE // (max(hidden_size, PIXELS) * batch_size)) * batch_size
    divisor = normalisation * (1 - input_dropout_rate)  # so that the pixels that are left make up for the others
    hyperparameters = (float(divisor), float(learning_rate), float(relu_grad_inactive))
    squared_error, correct = 0.0, 0
    for start in range(0, len(images), images_at_once):
        chunk = slice(start, start + images_at_once)
        pixels = np.ascontiguousarray(images[chunk])  # for this layout alone the loop is compiled
        pixels = drop_pixels(pixels, input_rng, input_dropout_rate) if input_rng else pixels
        masks = dropout_mask(rng, (len(pixels), hidden_size), dropout_rate)
        arguments = (pixels, labels[chunk], masks, weights_0_1, weights_1_2, *hyperparameters)
        updates = online_updates if batch_size == 1 else partial(batch_updates, batch_size=batch_size)
        squared_error, found = updates(*arguments, squared_error)
        correct += found
    return squared_error / len(images), correct / len(images)


@np.errstate(over="ignore", invalid="ignore")  # divergence shows in the returned error
def batch_updates(
    images: Bytes,
    labels: Bytes,
    masks: Floats,
    weights_0_1: Floats,
    weights_1_2: Floats,
    normalisation: float,
    learning_rate: float,
    relu_grad_inactive: float,
    squared_error: float = 0.0,
    batch_size: int = 1,
) -> tuple[float, int]:
    """Update the weights once per batch; return squared_error with these images' added, and how many are correct."""
    correct = 0
    for start in range(0, len(images), batch_size):
        batch = slice(start, start + batch_size)
        inputs, targets, mask = scale(images[batch], normalisation), one_hot(labels[batch]), masks[batch]
        hidden, scores = forward(inputs, weights_0_1, weights_1_2, mask)
        gradient_0_1, gradient_1_2 = backward(inputs, targets, hidden, scores, weights_1_2, mask, relu_grad_inactive)
        weights_1_2 -= learning_rate * gradient_1_2
        weights_0_1 -= learning_rate * gradient_0_1
        squared_error += float(np.sum((targets - scores) ** 2))
        correct += int(np.sum(scores.argmax(axis=1) == labels[batch]))
    return squared_error, correct


@njit(cache=True, nogil=True)
def online_forward(
    image: Bytes, scaled: Floats, weights: tuple[Floats, Floats], mask: Floats, hidden: Floats, scores: Floats
) -> npt.NDArray[np.int64]:
    """Do what `forward` does, for one image (784,), compiled: write hidden (H,), and add to scores (10,).

    scaled (256,) is what each value of a pixel is, divided by `normalisation`. Return the pixels that are not 0.
    """
    (weights_0_1, weights_1_2), places, count, hidden[:] = weights, np.empty(PIXELS, np.int64), 0, 0.0
    for p in range(PIXELS):
        places[count] = p
        count += image[p] > 0
    for k in range(1, count, 2):  # two pixels at a time, so that the sums are read and written half as often
        p, q = places[k - 1], places[k]
        row_p, pixel_p, row_q, pixel_q = weights_0_1[p], scaled[image[p]], weights_0_1[q], scaled[image[q]]
        for h in range(len(hidden)):
            hidden[h] = hidden[h] + pixel_p * row_p[h] + pixel_q * row_q[h]
    if count % 2:
        p = places[count - 1]
        for h in range(len(hidden)):
            hidden[h] += scaled[image[p]] * weights_0_1[p, h]
    for h in range(len(hidden)):
        hidden[h] = max(hidden[h], 0.0) * mask[h]  # NaN stays NaN, which max(0.0, ...) would hide
        for d in range(NUM_DIGITS):
            scores[d] += hidden[h] * weights_1_2[h, d]
    return places[:count]


@njit(cache=True, nogil=True)
def online_updates(
    images: Bytes,
    labels: Bytes,
    masks: Floats,
    weights_0_1: Floats,
    weights_1_2: Floats,
    normalisation: float,
    learning_rate: float,
    relu_grad_inactive: float,
    squared_error: float = 0.0,
) -> tuple[float, int]:
    """Do what `batch_updates` does for batch_size 1, compiled."""
    hidden_size = weights_0_1.shape[1]
    hidden, hidden_delta = np.empty(hidden_size), np.empty(hidden_size)
    scores, scores_delta = np.empty(NUM_DIGITS), np.empty(NUM_DIGITS)
    scaled, correct = np.arange(256) / normalisation, 0
    for i in range(len(images)):
        image, label, mask, scores[:] = images[i], labels[i], masks[i], 0.0
        places = online_forward(image, scaled, (weights_0_1, weights_1_2), mask, hidden, scores)
        correct += np.argmax(scores) == label
        for d in range(NUM_DIGITS):
            scores_delta[d] = scores[d] - (d == label)
            squared_error += scores_delta[d] ** 2
        for h in range(hidden_size):
            row, step, delta = weights_1_2[h], learning_rate * hidden[h], 0.0  # a row is used, then updated
            for d in range(NUM_DIGITS):
                delta += scores_delta[d] * row[d]
            hidden_delta[h] = delta * (1.0 if hidden[h] > 0 else relu_grad_inactive) * mask[h]
            for d in range(NUM_DIGITS):
                row[d] -= step * scores_delta[d]
        for p in places:  # where a pixel is 0, so is the gradient of its row
            row, step = weights_0_1[p], learning_rate * scaled[image[p]]
            for h in range(hidden_size):
                row[h] -= step * hidden_delta[h]
    return squared_error, correct


@njit(cache=True, nogil=True)
def online_scores(weights_0_1: Floats, weights_1_2: Floats, divisor: float, images: Bytes, scores: Floats) -> None:
    """Do what `forward` does without a mask, compiled, and write the scores (N, 10) in place."""
    scaled, scores[:] = np.arange(256) / divisor, 0.0
    for start in range(0, weights_0_1.shape[1], UNITS_AT_ONCE):
        weights = weights_0_1[:, start : start + UNITS_AT_ONCE].copy(), weights_1_2[start : start + UNITS_AT_ONCE]
        mask, hidden = np.ones(len(weights[1])), np.empty(len(weights[1]))
        for i in range(len(images)):
            online_forward(images[i], scaled, weights, mask, hidden, scores[i])


def predict(images: Bytes, weights_0_1: Floats, weights_1_2: Floats, normalisation: float = 255) -> Floats:
    """Compute the scores of every image, without dropout: (N, 784) uint8 to (N, 10) float64."""
    images, scores = np.ascontiguousarray(images), np.empty((len(images), NUM_DIGITS))
    limit = config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]  # one a core, unless a variable says otherwise
    count = max(1, min(limit, len(images) * weights_0_1.shape[1] // HIDDEN_VALUES_PER_THREAD))
    parts = np.array_split(images, count), np.array_split(scores, count)
    fill = partial(online_scores, weights_0_1, weights_1_2, float(normalisation))
    with ThreadPoolExecutor(count) as threads:
        list(threads.map(fill, *parts) if count > 1 else map(fill, *parts))
    return scores


@np.errstate(over="ignore", invalid="ignore")
def evaluate(
    images: Bytes, labels: Bytes, weights_0_1: Floats, weights_1_2: Floats, normalisation: float = 255
) -> tuple[float, float]:
    """Return the mean squared error per image and the accuracy (fraction), without dropout."""
    scores = predict(images, weights_0_1, weights_1_2, normalisation)  # (N, 10)
    error = np.cumsum((scores - one_hot(labels)) ** 2)[-1] / len(images)  # in order, which np.sum does not promise
    return float(error), float(np.mean(scores.argmax(axis=1) == labels))
