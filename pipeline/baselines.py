"""Classify digits without a network: what a network has to be better than.

Each takes images (N, 784) uint8 with their labels (N,) to learn from and images (M, 784) to classify, and returns the
answers (M,).
"""

import numpy as np
import numpy.typing as npt

from helpers import Bytes, one_hot

Answers = npt.NDArray[np.intp]
RIDGES = 10.0 ** np.arange(-1, 5)  # strengths to choose from
IMAGES_AT_ONCE = 1000


def most_frequent(images: Bytes, labels: Bytes, others: Bytes) -> Answers:
    """Always answer the most frequent class."""
    return np.full(len(others), np.bincount(labels).argmax())


def nearest_mean(images: Bytes, labels: Bytes, others: Bytes) -> Answers:
    """Answer the class whose mean image is nearest, by squared distance."""
    classes = np.unique(labels)
    means = np.array([images[labels == label].mean(axis=0) for label in classes])
    answers: Answers = classes[_nearest(means, others)].astype(np.intp)
    return answers


def nearest_neighbour(images: Bytes, labels: Bytes, others: Bytes) -> Answers:
    """Answer the class of the nearest image, by squared distance (T. Cover and P. Hart 1967)."""
    answers: Answers = labels[_nearest(images.astype(float), others)].astype(np.intp)
    return answers


def ridge_regression(
    images: Bytes, labels: Bytes, others: Bytes, validation: tuple[Bytes, Bytes]
) -> tuple[Answers, float]:
    """Fit the one-hot labels by a linear function of the pixels, with its weights kept small, and return its strength.

    The strength multiplies the sum of the squared weights, with pixels from 0 to 1 (A. Hoerl and R. Kennard 1970); the
    one of RIDGES is taken that classifies most of the validation images correctly. The constant is not kept small.
    """
    inputs, targets = images / 255, one_hot(labels)
    centre, mean = inputs.mean(axis=0), targets.mean(axis=0)
    values, vectors = np.linalg.eigh((inputs - centre).T @ (inputs - centre))
    products = vectors.T @ ((inputs - centre).T @ (targets - mean))  # (784, 10)

    def answer(strength: float, shown: Bytes) -> Answers:
        weights = vectors @ (products / (values[:, np.newaxis] + strength))
        scores = (shown / 255 - centre) @ weights + mean  # (M, 10)
        found: Answers = np.argmax(scores, axis=1)
        return found

    best = max(RIDGES, key=lambda strength: np.mean(answer(strength, validation[0]) == validation[1]))
    return answer(best, others), float(best)


def _nearest(points: np.ndarray, others: Bytes) -> np.ndarray:
    """Return the place of the nearest of the points (K, 784) for each image (M, 784); of several, the first."""
    half = np.sum(points**2, axis=1) / 2
    chunks = np.array_split(others, max(1, -(-len(others) // IMAGES_AT_ONCE)))  # to spare memory
    return np.concatenate([np.argmax(chunk.astype(float) @ points.T - half, axis=1) for chunk in chunks])
