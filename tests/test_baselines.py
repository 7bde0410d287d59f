"""What a network has to be better than, and how certain an accuracy is."""

import numpy as np
import pytest

from pipeline import baselines
from pipeline.statistics import wilson_interval


@pytest.fixture
def digits(sample):
    parts = [(sample["x_train"][part], sample["y_train"][part]) for part in (slice(1000), slice(1000, 2000))]
    return *parts[0], sample["x_test"], sample["y_test"], parts[1]


def test_baselines_reach_what_is_known_of_them(digits):
    """0.7655 and 0.8690 were computed by another implementation, and so was ridge regression's range."""
    images, labels, others, answers, validation = digits
    share = {baseline: np.mean(baseline(images, labels, others) == answers) for baseline in BASELINES}
    assert list(share.values()) == [np.mean(answers == 7), 0.7655, 0.8690]
    found, strength = baselines.ridge_regression(images, labels, others, validation)
    assert (np.mean(found == answers), strength) == (0.8210, 100)  # between 0.807 and 0.821, by how it is set up


BASELINES = (baselines.most_frequent, baselines.nearest_mean, baselines.nearest_neighbour)


def test_nearest_is_by_squared_distance_and_of_several_the_first(monkeypatch):
    images = np.zeros((4, 784), np.uint8)
    images[:, 0], labels = (0, 10, 10, 255), np.array([3, 1, 2, 9], np.uint8)
    others = np.zeros((5, 784), np.uint8)
    others[:, 0] = (4, 6, 200, 0, 255)
    monkeypatch.setattr(baselines, "IMAGES_AT_ONCE", 3)
    assert baselines.nearest_neighbour(images, labels, others).tolist() == [3, 1, 9, 3, 9]
    assert baselines.nearest_mean(images, labels, others).tolist() == [3, 1, 9, 3, 9]


@pytest.mark.parametrize("darkest", [0, 127, 254])
def test_distances_are_exact_also_of_the_brightest_and_the_darkest_images(darkest):
    rng = np.random.default_rng(0)
    images, others = (darkest + rng.integers(0, 2, (count, 784), np.uint8) for count in (100, 20))
    differences = images.astype(int) - others[:, np.newaxis].astype(int)  # (20, 100, 784)
    nearest = np.sum(differences**2, axis=2).argmin(axis=1)
    assert baselines.nearest_neighbour(images, np.arange(100), others).tolist() == nearest.tolist()


def test_ridge_regression_answers_as_its_normal_equations_do(digits, monkeypatch):
    """Here they are solved for one strength, with the constant as one more pixel that costs nothing."""
    images, labels, others, _, validation = digits
    monkeypatch.setattr(baselines, "RIDGES", [50.0])
    inputs = np.column_stack([np.ones(1000), images / 255])
    penalty = 50.0 * np.diag([0.0, *np.ones(784)])
    weights = np.linalg.solve(inputs.T @ inputs + penalty, inputs.T @ np.eye(10)[labels])
    expected = (np.column_stack([np.ones(len(others)), others / 255]) @ weights).argmax(axis=1)
    found, _ = baselines.ridge_regression(images, labels, others, validation)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(("correct", "images"), [(0, 10), (7942, 10_000), (10, 10), (1, 3)])
def test_the_interval_is_wilsons(correct, images):
    from scipy.stats import binomtest  # takes 0.7 s to import, in each of pytest's processes

    expected = binomtest(correct, images).proportion_ci(0.95, method="wilson")
    assert wilson_interval(correct / images, images) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("accuracy", [0.0, 1.0])
def test_the_interval_stays_within_0_and_1(accuracy):
    for images in range(1, 500):
        low, high = wilson_interval(accuracy, images)
        assert 0 <= low < high <= 1
