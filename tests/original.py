"""The training loop of the original, with its own names and order of operations."""

import numpy as np


def relu(arr):
    return np.maximum(0, arr)


def relu2deriv(arr, inactive):
    """Return 1 where arr > 0, else `inactive`.

    The original tests ``>= 0``, so it always gives 1.
    """
    return (arr >= 0).astype(int) if inactive == 1 else (arr > 0).astype(int)


def train(
    images,
    labels,
    hidden_size=40,
    alpha=0.005,
    iterations=100,
    seed=1,
    inactive=1,
    normalisation=255,
    rate=0.5,
    input_rate=0,
    decay=1,
):
    """Return the weights and each iteration's (error, accuracy).

    Its rates other than 0.5, its input_rate and its decay are ours.
    """
    train_images = images / normalisation
    train_labels = np.eye(10)[labels]
    input_rng = np.random.RandomState([seed, 1])
    np.random.seed(seed)
    weights_0_1 = np.random.uniform(-0.1, 0.1, (images.shape[1], hidden_size))
    weights_1_2 = np.random.uniform(-0.1, 0.1, (hidden_size, 10))
    history = []
    for _ in range(iterations):
        error, correct = 0, 0
        for i in range(len(train_images)):
            layer_0 = train_images[i : i + 1]
            if input_rate:
                layer_0 = (
                    layer_0
                    * (input_rng.random_sample(layer_0.shape) >= input_rate)
                    / (1 - input_rate)
                )
            layer_1 = relu(np.dot(layer_0, weights_0_1))
            if rate == 0.5:
                mask = np.random.randint(2, size=layer_1.shape) * 2
            elif rate == 0:
                mask = 1
            else:
                mask = (np.random.random_sample(layer_1.shape) >= rate) / (1 - rate)
            layer_1 *= mask
            layer_2 = np.dot(layer_1, weights_1_2)

            layer_2_delta = train_labels[i : i + 1] - layer_2
            layer_1_delta = layer_2_delta.dot(weights_1_2.T) * relu2deriv(
                layer_1, inactive
            )
            layer_1_delta *= mask

            error += np.sum(layer_2_delta**2)
            correct += int(np.argmax(layer_2) == np.argmax(train_labels[i : i + 1]))

            weights_1_2 += alpha * layer_1.T.dot(layer_2_delta)
            weights_0_1 += alpha * layer_0.T.dot(layer_1_delta)
        history.append((error / len(train_images), correct / len(train_images)))
        alpha *= decay
    return weights_0_1, weights_1_2, history
