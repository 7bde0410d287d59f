"""Classify digits without a network: what a network has to be better than.

Each takes images (N, 784) uint8 with their labels (N,) to learn from and images (M, 784) to classify, and returns the
answers (M,). Pixels that no image to learn from has ink in are left out: they change no answer, and take half the time.
"""

import numpy as np
import numpy.typing as npt

from helpers import NUM_DIGITS, Bytes, one_hot

Answers = npt.NDArray[np.intp]
RIDGES = 10.0 ** np.arange(-1, 5)  # strengths to choose from
IMAGES_AT_ONCE = 2000  # to spare memory


def most_frequent(images: Bytes, labels: Bytes, others: Bytes) -> Answers:
    """Always answer the most frequent class."""
    return np.full(len(others), np.bincount(labels).argmax())


def nearest_mean(images: Bytes, labels: Bytes, others: Bytes) -> Answers:
    """Answer the class whose mean image is nearest, by squared distance."""
    classes = np.unique(labels)
    means = np.array([images[labels == label].mean(axis=0) for label in classes])
    return classes[_nearest(means, others)].astype(np.intp)


def nearest_neighbour(images: Bytes, labels: Bytes, others: Bytes) -> Answers:
    """Answer the class of the nearest image, by squared distance (T. Cover and P. Hart 1967)."""
    return labels[_nearest(images, others)].astype(np.intp)


def ridge_regression(
    images: Bytes, labels: Bytes, others: Bytes, validation: tuple[Bytes, Bytes]
) -> tuple[Answers, float]:
    """Fit the one-hot labels by a linear function of the pixels, with its weights kept small, and return its strength.

    The strength multiplies the sum of the squared weights, with pixels from 0 to 1 (A. Hoerl and R. Kennard 1970); the
    one of RIDGES is taken that classifies most of the validation images correctly. The constant is not kept small.
    """
    used = images.any(axis=0)  # (784,), of which P are
    centre, mean = images[:, used].mean(axis=0) / 255, one_hot(labels).mean(axis=0)
    squares, products = np.zeros((len(centre), len(centre))), np.zeros((len(centre), NUM_DIGITS))  # (P, P), (P, 10)
    for part in _parts(len(images)):
        inputs = images[part][:, used] / 255 - centre
        squares += inputs.T @ inputs
        products += inputs.T @ (one_hot(labels[part]) - mean)
    values, vectors = np.linalg.eigh(squares)
    products = vectors.T @ products

    def answer(strength: float, shown: Bytes) -> Answers:
        weights = vectors @ (products / (values[:, np.newaxis] + strength))
        scores = shown[:, used] @ (weights / 255) + (mean - centre @ weights)  # (M, 10)
        found: Answers = np.argmax(scores, axis=1)
        return found

    best = max(RIDGES, key=lambda strength: np.mean(answer(strength, validation[0]) == validation[1]))
    return answer(best, others), float(best)


def _nearest(points: np.ndarray, others: Bytes) -> Answers:
    """Return the place of the nearest of the points (K, 784) for each image (M, 784); of several, the first."""
    used = points.any(axis=0)
    points, others = points[:, used], others[:, used]
    nearest, best = np.zeros(len(others), np.intp), np.full(len(others), -np.inf)
    for part in _parts(len(points)):
        known = _centred(points[part])
        half = np.sum(known**2, axis=1, dtype=float) / 2
        for shown in _parts(len(others)):
            closeness = _centred(others[shown]) @ known.T - half  # largest where the distance is smallest
            place = closeness.argmax(axis=1)
            found = closeness[np.arange(len(place)), place]
            closer = found > best[shown]
            nearest[shown] = np.where(closer, part.start + place, nearest[shown])
            best[shown] = np.where(closer, found, best[shown])
    return nearest


def _centred(images: np.ndarray) -> np.ndarray:
    """Return images with 0 in the middle, which changes no distance; of bytes in float32, which is twice as fast.

    It is as exact, since sums of products of 784 such numbers stay below 2**24.
    """
    return images.astype(np.float32 if images.dtype == np.uint8 else np.float64) - 128


def _parts(count: int) -> list[slice]:
    return [slice(start, start + IMAGES_AT_ONCE) for start in range(0, count, IMAGES_AT_ONCE)]
