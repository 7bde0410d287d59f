"""Intervals and tests against SciPy."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.stats import binomtest

from pipeline import statistics


@pytest.mark.parametrize(
    ("correct", "images"), [(0, 10), (7942, 10_000), (0, 21), (16, 16), (1, 3)]
)
def test_the_interval_is_wilsons(correct, images):
    expected = binomtest(correct, images).proportion_ci(0.95, method="wilson")
    interval = statistics.compute_wilson_interval(correct / images, images)
    assert interval == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= interval.low < interval.high <= 1


@pytest.mark.parametrize("counts", [(9, 2), (2, 9), (5, 5), (1, 0), (0, 0), (900, 700)])
def test_a_pair_is_compared_by_the_images_that_only_one_classifies_correctly(counts):
    """McNemar's exact test is a binomial test on these images."""
    first, second = np.array([(1, 0), (0, 1), (1, 1), (0, 0)], bool).T
    repeats = [*counts, 30, 20]
    *found, p = statistics.compare_pair(first.repeat(repeats), second.repeat(repeats))
    expected = binomtest(counts[0], sum(counts)).pvalue if any(counts) else 1
    assert found == list(counts)
    assert p == pytest.approx(expected)


def make_accuracies(seeds):
    """Return five accuracies, and four of these seeds."""
    rng = np.random.default_rng(0)
    first = pd.Series(rng.normal(0.80, 0.02, 5), [1, 2, 3, 4, 5])
    return first, pd.Series(rng.normal(0.82, 0.01, 4), seeds)


def check_interval(first, second, middle, error, freedom):
    """Check an interval, with the quantile of Student's t from SciPy."""
    reach = error * stats.t.ppf(0.975, freedom)
    found = statistics.estimate_difference(first, second)
    assert found == pytest.approx((middle, reach))
    assert found.is_sure == (abs(middle) > reach)


@pytest.mark.parametrize("seeds", [[9, 5, 3, 2], [9, 5, 8, 2]])
def test_the_interval_over_shared_seeds_is_students_for_pairs(seeds):
    first, second = make_accuracies(seeds)
    pairs = [second[seed] - first[seed] for seed in {2, 3, 5} & {*seeds}]
    error = np.std(pairs, ddof=1) / len(pairs) ** 0.5
    check_interval(first, second, np.mean(pairs), error, len(pairs) - 1)


def test_the_interval_over_other_seeds_is_welchs():
    first, second = make_accuracies([5, 6, 7, 8])
    a, b = np.var(first, ddof=1) / 5, np.var(second, ddof=1) / 4
    freedom = (a + b) ** 2 / (a**2 / 4 + b**2 / 3)
    middle = second.mean() - first.mean()
    check_interval(first, second, middle, (a + b) ** 0.5, freedom)


@pytest.mark.parametrize("step", [0, 0.1])
def test_the_interval_over_equal_differences_is_a_point(step):
    paired, equal = pd.Series([0.8, 0.9, 0.7]), pd.Series([0.9, 0.9], [8, 9])
    for first, second in (
        (paired, paired + step),
        (equal, equal.set_axis([6, 7]) + step),
    ):
        with warnings.catch_warnings(action="error"):
            found = statistics.estimate_difference(first, second)
        assert found == pytest.approx((step, 0))
        assert found.is_sure == (step > 0)
