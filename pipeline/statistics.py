"""Estimate how certain accuracies are, and how certain differences between them are."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:  # a run does not need pandas
    import pandas as pd

Correct = npt.NDArray[np.bool_]
CONFIDENCE = 0.95
# 95 % of a normal distribution lies within this many standard deviations of its mean.
Z = 1.959963984540054


class Interval(NamedTuple):
    """A 95 % confidence interval."""

    low: float
    high: float


class Difference(NamedTuple):
    """A mean difference, and the half-width of its 95 % confidence interval."""

    mean: float
    reach: float

    @property
    def is_sure(self) -> bool:
        """Return whether the interval does not contain 0."""
        return abs(self.mean) > self.reach


def compute_wilson_interval(accuracy: float, images: int) -> Interval:
    """Return the 95 % confidence interval of an accuracy, by Wilson's method.

    accuracy: the fraction of images that were classified correctly.
    images: the number of images that were classified, at least 1.

    Source: E. Wilson (1927), Journal of the American Statistical Association 22,
    209-212.
    """
    shrinkage = 1 + Z**2 / images
    centre = (accuracy + Z**2 / (2 * images)) / shrinkage
    variance = accuracy * (1 - accuracy) / images + Z**2 / (4 * images**2)
    reach = Z * math.sqrt(variance) / shrinkage
    return Interval(max(0.0, centre - reach), min(1.0, centre + reach))


def compare_pair(first: Correct, second: Correct) -> tuple[int, int, float]:
    """Compare two classifiers by McNemar's exact test.

    first, second: (N,), whether the classifier classified each image correctly.

    Return the number of images that only the first classifier classified correctly, the
    number for only the second classifier, and the two-sided p-value of the test.

    Source: Q. McNemar (1947), Psychometrika 12, 153-157.
    """
    only_first = int(np.sum(first & ~second))
    only_second = int(np.sum(second & ~first))
    count = only_first + only_second
    smaller = min(only_first, only_second)
    # If both were equally good, each image would go to either with probability 1/2. So
    # the number of one classifier's images would have a binomial distribution.
    tail = sum(math.comb(count, k) for k in range(smaller + 1)) / 2**count
    return only_first, only_second, min(1.0, 2 * tail)


def estimate_difference(first: pd.Series, second: pd.Series) -> Difference:
    """Return the mean difference second - first, and how sure it is.

    first, second: the values of one metric, by seed.

    Runs with different seeds are assumed to be independent. If at least two seeds are
    in both series, only the values for these seeds are used: the two values for a seed
    form a pair, and the confidence interval is Student's. Otherwise all values are
    used, and the confidence interval is Welch's.
    """
    # This import takes half a second, and a comparison of two runs does not need it.
    from scipy import stats

    shared = first.index.intersection(second.index)
    # If all values are equal, scipy returns the right limits, but prints a warning.
    with warnings.catch_warnings(action="ignore"):
        if len(shared) > 1:
            first = first[shared]
            second = second[shared]
            test = stats.ttest_rel(second, first)
        else:
            test = stats.ttest_ind(second, first, equal_var=False)
        low, high = test.confidence_interval(CONFIDENCE)
    # Rounded, because equal differences may differ in their last digits.
    return Difference(second.mean() - first.mean(), round((high - low) / 2, 12))
