"""Check what the compiled loops are given, because they check no bounds."""

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


def are_separate(rng: object, input_rng: object | None) -> bool:
    """Return whether masks of units and masks of pixels come from separate streams.

    helpers.py draws both in turn, image by image, while the loops draw all masks of
    pixels first. From one stream they would so draw other masks than helpers.py.
    """
    generators = [rng] if input_rng is None else [rng, input_rng]
    streams = {id(getattr(each, "_bit_generator", None)) for each in generators}
    are_known = all(type(each) is np.random.RandomState for each in generators)
    return are_known and len(streams) == len(generators)
