"""Classify images by simple methods, which a network has to outperform.

Each `classify_` function learns from images (N, 784) uint8 with labels (N,), and
returns the classes (M,) of new images (M, 784). `compare_methods` compares them with
the network.
"""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from helpers import Bytes, Floats, one_hot
from pipeline.network.formats import format_p, format_percent
from pipeline.statistics import CONFIDENCE, compare_pair

Classes = npt.NDArray[np.intp]
# Factors of the penalty on squared weights, of which ridge regression chooses one.
STRENGTHS = 10.0 ** np.arange(-1, 5)
# If 128 is subtracted from all pixels, sums of their products are exact in float32.
MIDDLE = np.float32(128)


def classify_by_frequency(images: Bytes, labels: Bytes, new_images: Bytes) -> Classes:
    """Assign to every new image the class that is most frequent among the labels."""
    return np.full(len(new_images), np.bincount(labels).argmax())


def classify_by_nearest_mean(
    images: Bytes, labels: Bytes, new_images: Bytes
) -> Classes:
    """Assign to each new image the class whose mean image is nearest.

    The distance is the squared distance between pixels.
    """
    classes = np.unique(labels)
    means = np.array([images[labels == label].mean(axis=0) for label in classes])
    return classes[_find_nearest(means, new_images)].astype(np.intp)


def classify_by_nearest_neighbour(
    images: Bytes, labels: Bytes, new_images: Bytes
) -> Classes:
    """Assign to each new image the class of the nearest image.

    The distance is the squared distance between pixels.

    Source: T. Cover and P. Hart (1967), IEEE Transactions on Information Theory 13,
    21-27.
    """
    return labels[_find_nearest(images, new_images)].astype(np.intp)


def classify_by_ridge_regression(
    images: Bytes, labels: Bytes, new_images: Bytes, validation: tuple[Bytes, Bytes]
) -> tuple[Classes, float]:
    """Classify by a linear function of the pixels, fitted to the one-hot labels.

    validation: images and labels that are used to choose the strength of the penalty.

    Return the classes of the new images and the chosen strength. It is the one of
    STRENGTHS with which the accuracy on the validation images is highest.

    Source: A. Hoerl and R. Kennard (1970), Technometrics 12, 55-67.
    """
    used = images.any(axis=0)  # (784,), true for the P pixels that are not always 0
    inputs = images[:, used] / 255  # (N, P)
    targets = one_hot(labels)  # (N, 10)
    centre = inputs.mean(axis=0)
    mean = targets.mean(axis=0)
    inputs -= centre
    values, vectors = np.linalg.eigh(inputs.T @ inputs)
    products = vectors.T @ (inputs.T @ (targets - mean))  # (P, 10)

    def classify(strength: float, pixels: Bytes) -> Classes:
        weights = vectors @ (products / (values[:, np.newaxis] + strength))  # (P, 10)
        scores = (pixels[:, used] / 255 - centre) @ weights + mean  # (M, 10)
        return scores.argmax(axis=1)  # type: ignore[no-any-return]

    x, y = validation
    best = max(STRENGTHS, key=lambda strength: np.mean(classify(strength, x) == y))
    return classify(best, new_images), float(best)


def compare_methods(
    answers: Mapping[str, Classes], labels: Bytes, reference: str
) -> list[list[str]]:
    """Return the rows of a table of methods, the least accurate first.

    answers: the classes (M,) that each method gave to the same images, by its name.
    reference: the name of the method with which all others are compared.

    The first row is the heading. For each method but the reference, a row has the
    number of images that only the method classified correctly, the number that only the
    reference did, and the p-value of McNemar's test.
    """
    correct = {name: each == labels for name, each in answers.items()}
    rows = [["method", "accuracy", "only it", "only the network", "p"]]
    for name in sorted(correct, key=lambda name: correct[name].mean()):
        cells = ["", "", ""]
        if name != reference:
            first, second, p = compare_pair(correct[name], correct[reference])
            p_value = format_p(p).removeprefix("p ").removeprefix("= ")
            cells = [f"{first:,}", f"{second:,}", p_value]
        accuracy = format_percent(correct[name].mean(), len(labels))
        rows.append([name, accuracy, *cells])
    return rows


def describe_rank(answers: Mapping[str, Classes], labels: Bytes, reference: str) -> str:
    """Return a sentence that says whether the reference is better than all others.

    answers, labels, reference: see `compare_methods`. Of a name, only the text before
        the first comma is used.

    Two methods differ if McNemar's test has p below 0.05. If a method is better than
    the reference, the sentence names each such method, whatever else is worse.
    """
    correct = {name.partition(",")[0]: each == labels for name, each in answers.items()}
    texts = {
        name: f"{name} ({format_percent(each.mean(), len(labels))})"
        for name, each in correct.items()
    }
    own, own_text = correct.pop(reference), texts[reference]
    names = sorted(correct, key=lambda name: correct[name].mean())
    better, unclear = [], []
    for name in names:
        only_it, only_own, p = compare_pair(correct[name], own)
        if p >= 1 - CONFIDENCE:
            pair = f"{texts[name]} and {own_text}"
            unclear.append(f"{pair} may differ by luck ({format_p(p)})")
        elif only_it > only_own:
            better.append(texts[name])
    if better:
        verb = "classify" if len(better) > 1 else "classifies"
        return f"No: {' and '.join(better)} {verb} more than {own_text}."
    if unclear:
        return f"Not clearly: {unclear[-1]}."
    best = texts[names[-1]]
    return f"Yes: it classifies more than each of the {len(names)} (the best: {best})."


def _find_nearest(points: Bytes | Floats, images: Bytes) -> Classes:
    """Return the index (M,) of the point (K, 784) nearest to each image (M, 784)."""
    known = points - MIDDLE
    half = np.sum(known**2, axis=1, dtype=float) / 2
    # Blocks of some 500 images limit the memory that a thread needs.
    blocks = np.array_split(images, -(-len(images) // 500))
    # For an image a and a point b, |a - b|^2 = a^2 + b^2 - 2 a b. All points have the
    # same a^2, so the nearest point b is that with the largest a b - b^2 / 2.

    def find(block: Bytes) -> Classes:
        found: Classes = np.argmax((block - MIDDLE) @ known.T - half, axis=1)
        return found

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as threads:
        return np.concatenate(list(threads.map(find, blocks)))
