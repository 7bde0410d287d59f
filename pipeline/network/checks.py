"""Check what the compiled loops are given, because they check no bounds."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from helpers import Bytes, Weights

PIXELS, NUM_DIGITS = 784, 10


def fits(images: Bytes, weights: Weights, labels: Bytes | None = None) -> bool:
    """Return whether the loops, which check no bounds, can take these arrays.

    They take images (N, 784) and labels (N,) of uint8.
    """
    is_image = images.dtype == np.uint8 and images.shape[1:] == (PIXELS,)
    is_label = labels is None or (
        labels.dtype == np.uint8 and labels.shape == images.shape[:1]
    )
    return is_image and is_label and can_take(weights)


def can_take(weights: Weights) -> bool:
    """Return whether the weights are the loops' matrices, (784, H) and (H, 10)."""
    hidden_size = len(weights[-1])
    shapes = [matrix.shape for matrix in weights]
    return shapes == [(PIXELS, hidden_size), (hidden_size, NUM_DIGITS)] and all(
        matrix.dtype == np.float64 and matrix.flags.c_contiguous for matrix in weights
    )


def is_trainable(arguments: tuple[Any, ...], options: Mapping[str, Any]) -> bool:
    """Return whether the loops can train an epoch with what `train_epoch` is given.

    They draw all masks of units after all masks of pixels. Where both generators draw
    from one stream, it matters that helpers draws from them in turn, image by image.
    """
    images, labels, weights, *generators = arguments
    if not fits(images, weights, labels):
        return False
    if not options.get("input_dropout_rate"):
        return type(generators[0]) is np.random.RandomState
    if {type(each) for each in generators} != {np.random.RandomState}:
        return False
    first, second = (each._bit_generator for each in generators)
    return first is not second
