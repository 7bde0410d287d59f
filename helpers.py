"""A neural network by hand: 784 pixels, a hidden layer of ReLU units with dropout, 10 linear outputs.

Arrays in, arrays out: nothing here knows a file, a notebook or a parameter cell.

    images       (N, 784) uint8      one row an image, pixels 0 .. 255
    labels       (N,)     uint8      the digit, 0 .. 9
    weights_0_1  (784, H) float64    from the pixels to the hidden layer
    weights_1_2  (H, 10)  float64    from the hidden layer to the ten scores

The loss of one image is half its squared error, 1/2 * sum((scores - target)**2), whose derivative by
the scores is exactly (scores - target). What is REPORTED as error is the squared error without the half,
averaged over the images, as the original notebook prints it.

There are two ways through an epoch. `batch_updates` calls forward and backward on a batch at a time and is
the reference. `online_updates` is the same arithmetic for one image at a time, compiled.
"""

import numpy as np
from numba import njit

PIXELS = 28 * 28
NUM_DIGITS = 10
MASK_VALUES_AT_ONCE = 4_000_000  # 32 MB: bounds the memory of the masks that are drawn in one call
IMAGES_AT_ONCE = 1_000  # 6 MB as float64: bounds the memory of an evaluation


class Diverged(ArithmeticError):
    """Training overshot until its numbers could no longer be held; the message says what to change."""


def relu(x):
    """Rectified linear unit: x where x is positive, else 0. Any shape; the shape is kept."""
    return np.maximum(0, x)


def relu_derivative(activation, at_zero=1):
    """Derivative of the ReLU, told from its OUTPUT: 1 where a unit is active, `at_zero` where it is not.

    Parameters
    ----------
    activation : ndarray, any shape
        What relu returned, so never negative.
    at_zero : {0, 1}
        0 is the derivative that every framework uses: a unit at 0 passes no gradient. 1 is what the original
        computes, because it tests ``>= 0`` on values that cannot be negative: every unit passes its gradient,
        the inactive ones too.
    """
    return np.where(activation > 0, 1, at_zero)


def dropout_mask(rng, shape, rate):
    """Inverted dropout: 0 for a dropped unit, 1 / (1 - rate) for a kept one, so that the mean stays 1.

    Parameters
    ----------
    rng : numpy.random.RandomState
        At rate 0.5 it draws integers as the original does, at any other rate floats, and at rate 0 nothing.
        One call for many rows draws the same numbers as one call a row.
    shape : tuple of int
    rate : float
        Fraction of the units to drop, in [0, 1).

    Returns
    -------
    ndarray of float64

    References
    ----------
    N. Srivastava et al. (2014), Dropout, Journal of Machine Learning Research 15, section 10, for scaling while
    training.
    """
    if rate == 0:
        return np.ones(shape)
    if rate == 0.5:
        return rng.randint(2, size=shape) * 2.0
    return (rng.random_sample(shape) >= rate) / (1 - rate)


def initial_weights(rng, hidden_size):
    """Uniform weights in [-0.1, 0.1), the first matrix drawn first.

    Parameters
    ----------
    rng : numpy.random.RandomState
    hidden_size : int
        Hidden units H.

    Returns
    -------
    weights_0_1 : ndarray, (784, H) float64
    weights_1_2 : ndarray, (H, 10) float64
    """
    weights_0_1 = rng.uniform(-0.1, 0.1, (PIXELS, hidden_size))
    weights_1_2 = rng.uniform(-0.1, 0.1, (hidden_size, NUM_DIGITS))
    return weights_0_1, weights_1_2


def scale(images, normalisation):
    """Pixels divided by `normalisation` (> 0): (N, 784) uint8 to (N, 784) float64."""
    return images / float(normalisation)


def one_hot(labels):
    """A 1 at the label's place, else 0: (N,) digits to (N, 10) float64."""
    return np.eye(NUM_DIGITS)[labels]


def forward(inputs, weights_0_1, weights_1_2, mask=1.0):
    """From scaled pixels to scores.

    Parameters
    ----------
    inputs : ndarray, (B, 784) float64
        Scaled pixels of a batch of B images.
    weights_0_1, weights_1_2 : ndarray, (784, H) and (H, 10)
    mask : ndarray, (B, H), or 1.0
        From `dropout_mask` while training; 1.0, the default, keeps every unit.

    Returns
    -------
    hidden : ndarray, (B, H)
        Activations, the mask applied.
    scores : ndarray, (B, 10)
        One number a digit, no softmax; the largest is the answer.
    """
    hidden = relu(inputs @ weights_0_1) * mask  # (B, 784) @ (784, H) -> (B, H)
    scores = hidden @ weights_1_2  # (B, H) @ (H, 10) -> (B, 10)
    return hidden, scores


def backward(inputs, targets, hidden, scores, weights_1_2, mask=1.0, relu_grad_at_zero=1):
    """Gradients of half the squared error, averaged over the batch, by the chain rule.

    Parameters
    ----------
    inputs, targets : ndarray, (B, 784) and (B, 10)
        Scaled pixels, and labels as `one_hot` gives them.
    hidden, scores : ndarray, (B, H) and (B, 10)
        What `forward` returned for these inputs.
    weights_1_2 : ndarray, (H, 10)
    mask : ndarray, (B, H), or 1.0
        The one that `forward` was given.
    relu_grad_at_zero : {0, 1}
        See `relu_derivative`. Only with 0 is the result the true gradient.

    Returns
    -------
    gradient_0_1 : ndarray, (784, H)
    gradient_1_2 : ndarray, (H, 10)

    References
    ----------
    M. Nielsen (2015), Neural Networks and Deep Learning, chapter 2.
    """
    scores_delta = (scores - targets) / len(inputs)  # (B, 10)
    hidden_delta = scores_delta @ weights_1_2.T * relu_derivative(hidden, relu_grad_at_zero) * mask  # (B, H)
    return inputs.T @ hidden_delta, hidden.T @ scores_delta


def train_epoch(
    images,
    labels,
    weights_0_1,
    weights_1_2,
    rng,
    *,
    normalisation=255,
    learning_rate=0.005,
    dropout_rate=0.5,
    relu_grad_at_zero=1,
    batch_size=1,
):
    """One pass over the images in their order. The weights are changed IN PLACE.

    Parameters
    ----------
    images, labels : ndarray, (N, 784) uint8 and (N,) uint8
    weights_0_1, weights_1_2 : ndarray, (784, H) and (H, 10) float64, C order
    rng : numpy.random.RandomState
        The dropout masks are drawn from it, one row an image, in order.
    normalisation, learning_rate, dropout_rate, relu_grad_at_zero, batch_size
        As in the parameter table of the README. For a batch of B images the update is the learning rate times
        the mean of their gradients; the last batch may be smaller.

    Returns
    -------
    error : float
        Mean squared error of an image, each measured just before its batch's update, under dropout.
    accuracy : float
        Fraction of images whose largest score was at the label, measured likewise.
    """
    hidden_size = weights_0_1.shape[1]
    images_at_once = max(1, MASK_VALUES_AT_ONCE // (hidden_size * batch_size)) * batch_size
    squared_error, correct = 0.0, 0
    for start in range(0, len(images), images_at_once):
        part = slice(start, start + images_at_once)
        masks = dropout_mask(rng, (len(images[part]), hidden_size), dropout_rate)
        arguments = (images[part], labels[part], masks, weights_0_1, weights_1_2)
        settings = (float(normalisation), float(learning_rate), float(relu_grad_at_zero))
        if batch_size == 1:
            part_error, part_correct = online_updates(*arguments, *settings)
        else:
            part_error, part_correct = batch_updates(*arguments, *settings, batch_size)
        squared_error += part_error
        correct += part_correct
    return squared_error / len(images), correct / len(images)


def check_finite(error, epoch, learning_rate, normalisation):
    """Stop a training whose error is no longer a number.

    Parameters
    ----------
    error : float
        Of the epoch that has just been trained or evaluated.
    epoch : int
        Counted from 0, as the original counts.
    learning_rate, normalisation : float
        Named in the message.

    Raises
    ------
    Diverged
        If the error is infinite or not a number.
    """
    if not np.isfinite(error):
        raise Diverged(
            f"the error became {error} in epoch {epoch}, with learning_rate {learning_rate:g} and normalisation "
            f"{normalisation:g}: each step overshoots by more than the last. Make learning_rate smaller, by a factor "
            "of ten at first, or normalisation larger; 0.005 and 255 are the defaults."
        )


@np.errstate(over="ignore", invalid="ignore")  # check_finite says it once
def batch_updates(
    images, labels, masks, weights_0_1, weights_1_2, normalisation, learning_rate, relu_grad_at_zero, batch_size
):
    """An update a batch, by `forward` and `backward`: the reference. Returns the summed squared error and the
    number of correct answers.
    """
    squared_error, correct = 0.0, 0
    for start in range(0, len(images), batch_size):
        batch = slice(start, start + batch_size)
        inputs, targets, mask = scale(images[batch], normalisation), one_hot(labels[batch]), masks[batch]
        hidden, scores = forward(inputs, weights_0_1, weights_1_2, mask)
        gradient_0_1, gradient_1_2 = backward(inputs, targets, hidden, scores, weights_1_2, mask, relu_grad_at_zero)
        weights_1_2 -= learning_rate * gradient_1_2
        weights_0_1 -= learning_rate * gradient_0_1
        squared_error += np.sum((targets - scores) ** 2)
        correct += np.sum(scores.argmax(axis=1) == labels[batch])
    return squared_error, correct


@njit(cache=True)
def online_updates(images, labels, masks, weights_0_1, weights_1_2, normalisation, learning_rate, relu_grad_at_zero):
    """`batch_updates` for batch_size 1, compiled, over the non-zero pixels only.

    A pixel that is 0 adds nothing to the forward pass, and its row of weights gets a gradient of 0, so both loops
    leave it out: 148 of 784 pixels are not 0 in a mean MNIST image. Every sum is taken in one fixed order,
    without fused or reordered additions, so the weights are the same bits on every machine.
    """
    hidden_size = weights_0_1.shape[1]
    hidden, hidden_delta = np.empty(hidden_size), np.empty(hidden_size)
    scores, scores_delta = np.empty(NUM_DIGITS), np.empty(NUM_DIGITS)
    pixels = np.empty(PIXELS, np.int64)  # the places of the pixels that are not 0, `count` of them
    scaled = np.arange(256) / normalisation  # a pixel has one of 256 values: each is divided once
    squared_error, correct = 0.0, 0
    for i in range(len(images)):
        image, label, mask = images[i], labels[i], masks[i]
        count = 0
        for p in range(PIXELS):
            pixels[count] = p
            count += image[p] > 0

        # forward: hidden = relu(inputs @ weights_0_1) * mask, scores = hidden @ weights_1_2
        hidden[:] = 0.0
        for p in pixels[:count]:
            row, pixel = weights_0_1[p], scaled[image[p]]
            for h in range(hidden_size):
                hidden[h] += pixel * row[h]
        scores[:] = 0.0
        for h in range(hidden_size):
            hidden[h] = max(0.0, hidden[h]) * mask[h]
            for d in range(NUM_DIGITS):
                scores[d] += hidden[h] * weights_1_2[h, d]
        correct += np.argmax(scores) == label

        # backward: the deltas, and each row of the second matrix updated once its old values have been used
        for d in range(NUM_DIGITS):
            scores_delta[d] = scores[d] - (d == label)
            squared_error += scores_delta[d] ** 2
        for h in range(hidden_size):
            row, step, delta = weights_1_2[h], learning_rate * hidden[h], 0.0
            for d in range(NUM_DIGITS):
                delta += scores_delta[d] * row[d]
            hidden_delta[h] = delta * (1.0 if hidden[h] > 0 else relu_grad_at_zero) * mask[h]
            for d in range(NUM_DIGITS):
                row[d] -= step * scores_delta[d]
        for p in pixels[:count]:
            row, step = weights_0_1[p], learning_rate * scaled[image[p]]
            for h in range(hidden_size):
                row[h] -= step * hidden_delta[h]
    return squared_error, correct


def pixel_contributions(inputs, weights_0_1, weights_1_2, mask=1.0):
    """What each pixel adds to, or takes from, each of the ten scores of one image.

    The network has no biases, and where a hidden unit is active the ReLU passes its sum on unchanged. So the score
    of digit d is a sum over the pixels p, of x_p * sum_h W1[p, h] * mask_h * [h is active] * W2[h, d], and nothing
    is left over.

    Parameters
    ----------
    inputs : ndarray, (1, 784) float64
        The scaled pixels of the image.
    weights_0_1, weights_1_2, mask
        As for `forward`.

    Returns
    -------
    ndarray, (784, 10)
        Its sum over the pixels is the image's scores.

    References
    ----------
    A. Shrikumar et al. (2016), Not just a black box, arXiv:1605.01713: the gradient times the input.
    """
    gate = (inputs @ weights_0_1 > 0) * mask  # (1, H)
    return inputs.T * ((weights_0_1 * gate) @ weights_1_2)  # (784, 1) * (784, 10) -> (784, 10)


@np.errstate(over="ignore", invalid="ignore")  # check_finite says it once
def predict(images, weights_0_1, weights_1_2, normalisation=255):
    """Scores of every image, without dropout: (N, 784) uint8 to (N, 10) float64."""
    scores = np.empty((len(images), NUM_DIGITS))
    for start in range(0, len(images), IMAGES_AT_ONCE):
        batch = slice(start, start + IMAGES_AT_ONCE)
        _, scores[batch] = forward(scale(images[batch], normalisation), weights_0_1, weights_1_2)
    return scores


@np.errstate(over="ignore", invalid="ignore")
def evaluate(images, labels, weights_0_1, weights_1_2, normalisation=255):
    """Mean squared error of an image, and the fraction answered correctly, without dropout.

    Parameters as for `predict`, and labels (N,) uint8. Returns two floats.
    """
    scores = predict(images, weights_0_1, weights_1_2, normalisation)
    error = np.sum((one_hot(labels) - scores) ** 2) / len(images)
    accuracy = np.mean(scores.argmax(axis=1) == labels)
    return float(error), float(accuracy)
