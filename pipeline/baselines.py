"""Classify images without a network: what a network has to be better than.

Each function takes images (N, 784) uint8 with labels (N,) to learn from, and images (M, 784) to
classify, and returns the classes (M,).
"""

import numpy as np
import numpy.typing as npt

from helpers import Bytes, Floats, one_hot

Classes = npt.NDArray[np.intp]
STRENGTHS = 10.0 ** np.arange(-1, 5)  # of the penalty, the sum of the squared weights
MIDDLE = np.float32(
    128
)  # of the pixels: so shifted, their products are exact in float32


def classify_by_frequency(images: Bytes, labels: Bytes, others: Bytes) -> Classes:
    """Return the most frequent class for every image."""
    return np.full(len(others), np.bincount(labels).argmax())


def classify_by_nearest_mean(images: Bytes, labels: Bytes, others: Bytes) -> Classes:
    """Return the class whose mean image is nearest, by squared distance."""
    classes = np.unique(labels)
    means = np.array([images[labels == label].mean(axis=0) for label in classes])
    return classes[_find_nearest(means, others)].astype(np.intp)


def classify_by_nearest_neighbour(
    images: Bytes, labels: Bytes, others: Bytes
) -> Classes:
    """Return the class of the nearest image, by squared distance (T. Cover and P. Hart 1967)."""
    return labels[_find_nearest(images, others)].astype(np.intp)


def classify_by_ridge_regression(
    images: Bytes, labels: Bytes, others: Bytes, validation: tuple[Bytes, Bytes]
) -> tuple[Classes, float]:
    """Fit the one-hot labels by a linear function of the pixels (A. Hoerl and R. Kennard 1970).

    Return also the one of STRENGTHS that classifies most of the validation images correctly.
    """
    used = images.any(axis=0)  # (784,), P of them: the others are 0 in all images
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
    known = points - MIDDLE
    half = np.sum(known**2, axis=1, dtype=float) / 2
    blocks = np.array_split(others, -(-len(others) // 500))  # which bounds the memory
    # |a - b|^2 = a^2 + b^2 - 2 a b, and a^2 is the same for all points b
    return np.concatenate(
        [np.argmax((block - MIDDLE) @ known.T - half, axis=1) for block in blocks]
    )
