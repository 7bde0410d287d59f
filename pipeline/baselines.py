"""Classify images without a network: what a network has to be better than.

Each function takes images (N, 784) uint8 with labels (N,) to learn from, and images (M, 784) to
classify, and returns the classes (M,). Pixels that are 0 in all images to learn from are left out.
"""

import numpy as np
import numpy.typing as npt

from helpers import Bytes, Floats, one_hot

Classes = npt.NDArray[np.intp]
STRENGTHS = 10.0 ** np.arange(-1, 5)  # of the penalty, to choose from
IMAGES_AT_ONCE = 500  # bounds the memory of the distances: 240 MB for 60,000 images to learn from


def classify_by_frequency(images: Bytes, labels: Bytes, others: Bytes) -> Classes:
    """Return the most frequent class for every image."""
    return np.full(len(others), np.bincount(labels).argmax())


def classify_by_nearest_mean(images: Bytes, labels: Bytes, others: Bytes) -> Classes:
    """Return the class whose mean image is nearest, by squared distance."""
    classes = np.unique(labels)
    means = np.array([images[labels == label].mean(axis=0) for label in classes])
    return classes[_find_nearest(means, others)].astype(np.intp)


def classify_by_nearest_neighbour(images: Bytes, labels: Bytes, others: Bytes) -> Classes:
    """Return the class of the nearest image, by squared distance (T. Cover and P. Hart 1967)."""
    return labels[_find_nearest(images, others)].astype(np.intp)


def classify_by_ridge_regression(
    images: Bytes, labels: Bytes, others: Bytes, validation: tuple[Bytes, Bytes]
) -> tuple[Classes, float]:
    """Fit the one-hot labels by a linear function of the pixels. Return also the strength.

    The strength multiplies the sum of the squared weights (A. Hoerl and R. Kennard 1970). It is
    the one of STRENGTHS that classifies most of the validation images correctly.
    """
    used = images.any(axis=0)  # (784,), P of them
    inputs, targets = images[:, used] / 255, one_hot(labels)  # (N, P), (N, 10)
    centre, mean = inputs.mean(axis=0), targets.mean(axis=0)
    inputs -= centre
    values, vectors = np.linalg.eigh(inputs.T @ inputs)
    products = vectors.T @ (inputs.T @ (targets - mean))  # (P, 10)

    def classify(strength: float, pixels: Bytes) -> Classes:
        weights = vectors @ (products / (values[:, np.newaxis] + strength))  # (P, 10)
        scores = (pixels[:, used] / 255 - centre) @ weights + mean  # (M, 10)
        return scores.argmax(axis=1)  # type: ignore[no-any-return]

    x, y = validation
    best = max(STRENGTHS, key=lambda strength: np.mean(classify(strength, x) == y))
    return classify(best, others), float(best)


def _find_nearest(points: Bytes | Floats, others: Bytes) -> Classes:
    """Return the index of the nearest of the points (K, 784) for each image (M, 784)."""
    used = points.any(axis=0)
    # With 0 in the middle of the pixels, products of bytes are exact in float32, which is fast.
    known = points[:, used].astype(np.result_type(points, np.float32)) - 128
    half = np.sum(known**2, axis=1, dtype=float) / 2
    nearest = []
    for start in range(0, len(others), IMAGES_AT_ONCE):
        pixels = others[start : start + IMAGES_AT_ONCE, used].astype(known.dtype) - 128
        nearest.append(np.argmax(pixels @ known.T - half, axis=1))  # |a - b|^2 = a^2 + b^2 - 2 a b
    return np.concatenate(nearest)
