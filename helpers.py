"""A neural network by hand: 784 pixels, hidden ReLU units with dropout, ten scores.

Arrays in, arrays out: nothing here knows a file, a notebook or a parameters cell.

    images       (N, 784) uint8      one row per image, pixels 0 .. 255
    labels       (N,)     uint8      the digit, 0 .. 9
    weights      a tuple of float64 matrices, here two:
      weights_0_1  (784, H)            from the pixels to the H hidden units
      weights_1_2  (H, 10)             from the hidden units to the ten scores

The loss of one image is half its squared error; its gradient with respect to the
scores is (scores - target). The reported error is the squared error without the half,
averaged over the images, as in the original.

These functions define the network that is trained, measured and stored, so you change
the network by changing them. "Your own network" in notebooks/README.md says what each
function must take and return, and how much longer a changed file takes to train. It is
all of the network: it imports NumPy and the standard library, and nothing else.
"""

import numpy as np
import numpy.typing as npt

PIXELS = 28 * 28
NUM_DIGITS = 10

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Weights = tuple[Floats, ...]


def relu(x: Floats) -> Floats:
    """Return x where it is positive, else 0, elementwise (rectified linear unit)."""
    return np.maximum(0, x)


def relu_derivative(activation: Floats, inactive: float = 1) -> Floats:
    """Return the ReLU's derivative, given its OUTPUT: 1 where active, else `inactive`.

    In training the output comes after the dropout mask, so only its sign can be used.

    A unit is inactive where its weighted sum is <= 0, and the true derivative is 0
    there. But the original computes 1, because it tests ``>= 0`` on activations, which
    cannot be negative. So inactive units pass their gradient on, too.
    """
    return np.where(activation > 0, 1.0, inactive)


def dropout_mask(
    rng: np.random.RandomState, shape: tuple[int, ...], rate: float
) -> Floats:
    """Draw an inverted dropout mask: 0 drops a unit, 1 / (1 - rate) keeps one.

    The rate is the fraction of units to drop, in [0, 1), so the mean of the mask is 1.
    At rate 0.5 the generator draws integers, because the original does. At 0 it draws
    nothing, and at any other rate floats. One call for many rows draws the same numbers
    as one call per row.

    Source: N. Srivastava et al. (2014), Dropout, Journal of Machine Learning Research
    15, section 10.
    """
    if rate == 0:
        return np.ones(shape)
    if rate == 0.5:
        return rng.randint(2, size=shape).astype(bool) / (1 - rate)
    return (rng.random_sample(shape) >= rate) / (1 - rate)


def drop_pixels(images: Bytes, rng: np.random.RandomState | None, rate: float) -> Bytes:
    """Set a random fraction of the pixels to 0: (N, 784) uint8 to the same.

    The rate is that fraction, in [0, 1); at 0 nothing is drawn. The kept pixels are not
    scaled up here. So that their mean stays the same, the caller divides them by
    normalisation * (1 - rate). Raises ValueError if pixels are to be dropped and there
    is no generator.
    """
    if rate == 0:
        return images
    if rng is None:
        problem = "input_rng is needed to drop pixels"
        raise ValueError(f"{problem}; helpers.generators(seed) makes it.")
    return images * (rng.random_sample(images.shape) >= rate)


def generators(seed: int) -> tuple[np.random.RandomState, np.random.RandomState]:
    """Return two generators: of weights and hidden masks, and of dropped pixels.

    They are separate so that dropping pixels changes neither the initial weights nor
    the hidden masks.
    """
    return np.random.RandomState(seed), np.random.RandomState([seed, 1])


def initial_weights(rng: np.random.RandomState, hidden_size: int) -> Weights:
    """Draw weights_0_1, then weights_1_2, uniformly from [-0.1, 0.1)."""
    weights_0_1 = rng.uniform(-0.1, 0.1, (PIXELS, hidden_size))
    weights_1_2 = rng.uniform(-0.1, 0.1, (hidden_size, NUM_DIGITS))
    return weights_0_1, weights_1_2


@np.errstate(over="ignore")  # a normalisation near 0 makes pixels infinite
def scale(images: Bytes, normalisation: float) -> Floats:
    """Divide pixels by `normalisation` (> 0): (N, 784) uint8 to (N, 784) float64."""
    return images / float(normalisation)


def one_hot(labels: Bytes) -> Floats:
    """Return 1 at the index of the label, else 0: (N,) uint8 to (N, 10) float64."""
    return np.eye(NUM_DIGITS)[labels]


def forward(
    inputs: Floats, weights: Weights, mask: Floats | float = 1.0
) -> tuple[Floats, Floats]:
    """Compute the hidden activations (B, H), after dropout, and the scores (B, 10).

    The inputs (B, 784) are the scaled pixels of B images. In training the mask (B, H)
    comes from `dropout_mask`, while 1.0 keeps every unit. There is no softmax: the
    prediction is the digit with the largest score.
    """
    weights_0_1, weights_1_2 = weights
    hidden = relu(inputs @ weights_0_1) * mask  # (B, 784) @ (784, H) -> (B, H)
    scores = hidden @ weights_1_2  # (B, H) @ (H, 10) -> (B, 10)
    return hidden, scores


def backward(
    inputs: Floats,
    targets: Floats,
    hidden: Floats,
    scores: Floats,
    weights: Weights,
    mask: Floats | float = 1.0,
    relu_grad_inactive: float = 1,
) -> Weights:
    """Compute the gradients of half the squared error, averaged over the batch.

    There is one gradient for each weight matrix, in the same order and of the same
    shape. The inputs, weights and mask are those that `forward` took, while hidden and
    scores are what it returned. The targets (B, 10) are one-hot. The gradients are the
    true ones only if relu_grad_inactive is 0, see `relu_derivative`.

    Source: M. Nielsen (2015), Neural Networks and Deep Learning, chapter 2.
    """
    _, weights_1_2 = weights
    scores_delta = (scores - targets) / len(inputs)  # (B, 10)
    hidden_delta = scores_delta @ weights_1_2.T  # (B, 10) @ (10, H) -> (B, H)
    hidden_delta = hidden_delta * relu_derivative(hidden, relu_grad_inactive) * mask
    return inputs.T @ hidden_delta, hidden.T @ scores_delta  # (784, H), (H, 10)


@np.errstate(over="ignore", invalid="ignore")  # divergence shows in the returned error
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
    batch_size: int = 1,
) -> tuple[float, float]:
    """Train on every image once, in order. The weights are changed IN PLACE.

    `generators` makes both generators: rng draws the masks of the hidden units, and
    input_rng the pixels to drop. Each draws one row per image, in order. The update of
    a batch is the learning rate times the mean of its gradients. The last batch may be
    smaller than the others.

    Return the mean squared error per image and the accuracy (fraction). Each image is
    measured under dropout, before the update of its batch. Raises ValueError if pixels
    are to be dropped and there is no input_rng.
    """
    hidden_size = weights[0].shape[1]
    divisor = normalisation * (1 - input_dropout_rate)  # makes up for dropped pixels
    targets = one_hot(labels)  # (N, 10)
    squared_error = 0.0
    correct = 0
    for start in range(0, len(images), batch_size):
        batch = slice(start, start + batch_size)
        pixels = drop_pixels(images[batch], input_rng, input_dropout_rate)
        inputs = scale(pixels, divisor)  # (B, 784)
        mask = dropout_mask(rng, (len(inputs), hidden_size), dropout_rate)  # (B, H)

        hidden, scores = forward(inputs, weights, mask)
        gradients = backward(
            inputs, targets[batch], hidden, scores, weights, mask, relu_grad_inactive
        )
        for matrix, gradient in zip(weights, gradients, strict=True):
            matrix -= learning_rate * gradient

        squared_error += float(np.sum((scores - targets[batch]) ** 2))
        correct += int(np.sum(scores.argmax(axis=1) == labels[batch]))
    return squared_error / len(images), correct / len(images)


def predict(images: Bytes, weights: Weights, normalisation: float = 255) -> Floats:
    """Compute the scores of every image, without dropout: (N, 784) uint8 to (N, 10)."""
    _, scores = forward(scale(images, normalisation), weights)
    return scores


@np.errstate(over="ignore", invalid="ignore")
def measure(scores: Floats, labels: Bytes) -> tuple[float, float]:
    """Return the mean squared error per image and the accuracy of scores (N, 10)."""
    # cumsum adds in one fixed order, which np.sum does not promise.
    errors = np.cumsum((scores - one_hot(labels)) ** 2)
    accuracy = np.mean(scores.argmax(axis=1) == labels)
    return float(errors[-1] / len(labels)), float(accuracy)


def evaluate(
    images: Bytes, labels: Bytes, weights: Weights, normalisation: float = 255
) -> tuple[float, float]:
    """Return the mean squared error per image and the accuracy, without dropout."""
    return measure(predict(images, weights, normalisation), labels)
