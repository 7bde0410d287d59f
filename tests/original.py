"""The training loop of the original, with its own order of operations.

Its parameters are named as in this project.
"""

import numpy as np


def relu(arr):
    return np.maximum(0, arr)


def relu2deriv(arr, relu_grad_inactive):
    """Return 1 where arr > 0, else `relu_grad_inactive`.

    The original tests ``>= 0``, so it always gives 1.
    """
    if relu_grad_inactive == 1:
        return (arr >= 0).astype(int)
    return np.where(arr > 0, 1, relu_grad_inactive)


def train(
    images,
    labels,
    hidden_size=40,
    learning_rate=0.005,
    epochs=100,
    seed=1,
    relu_grad_inactive=1,
    normalisation=255,
    dropout_rate=0.5,
    input_dropout_rate=0,
    learning_rate_decay=1,
):
    """Return the weights and each epoch's (error, accuracy).

    Dropout at other rates than 0.5, dropped pixels and the decay are this project's.
    """
    train_images = images / normalisation
    train_labels = np.eye(10)[labels]
    input_rng = np.random.RandomState([seed, 1])
    np.random.seed(seed)
    weights_0_1 = np.random.uniform(-0.1, 0.1, (images.shape[1], hidden_size))
    weights_1_2 = np.random.uniform(-0.1, 0.1, (hidden_size, 10))
    history = []
    for _ in range(epochs):
        error, correct = 0, 0
        for i in range(len(train_images)):
            layer_0 = train_images[i : i + 1]
            if input_dropout_rate:
                layer_0 = (
                    layer_0
                    * (input_rng.random_sample(layer_0.shape) >= input_dropout_rate)
                    / (1 - input_dropout_rate)
                )
            layer_1 = relu(np.dot(layer_0, weights_0_1))
            if dropout_rate == 0.5:
                mask = np.random.randint(2, size=layer_1.shape) * 2
            elif dropout_rate == 0:
                mask = 1
            else:
                kept = np.random.random_sample(layer_1.shape) >= dropout_rate
                mask = kept / (1 - dropout_rate)
            layer_1 *= mask
            layer_2 = np.dot(layer_1, weights_1_2)

            layer_2_delta = train_labels[i : i + 1] - layer_2
            layer_1_delta = layer_2_delta.dot(weights_1_2.T) * relu2deriv(
                layer_1, relu_grad_inactive
            )
            layer_1_delta *= mask

            error += np.sum(layer_2_delta**2)
            correct += int(np.argmax(layer_2) == np.argmax(train_labels[i : i + 1]))

            weights_1_2 += learning_rate * layer_1.T.dot(layer_2_delta)
            weights_0_1 += learning_rate * layer_0.T.dot(layer_1_delta)
        history.append((error / len(train_images), correct / len(train_images)))
        learning_rate *= learning_rate_decay
    return weights_0_1, weights_1_2, history
