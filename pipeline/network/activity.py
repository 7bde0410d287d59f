"""Measure how often the hidden units of a network are active."""

import numpy as np

import helpers
from helpers import Bytes, Floats, Weights

IMAGES_PER_CALL = 1000  # limits memory


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
