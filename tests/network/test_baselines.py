"""Baselines against other implementations, and against known results."""

import numpy as np
import pytest

from pipeline.images import data
from pipeline.network import baselines

SAMPLE = data.split_source("sample", 1000, 1000)


def test_baselines_reach_what_is_known_of_them():
    """The numbers 0.7655 and 0.8690 come from another implementation.

    The range of ridge regression comes from it, too.
    """
    known = SAMPLE.x_train, SAMPLE.y_train, SAMPLE.x_test
    accuracies = {
        baselines.classify_by_frequency: np.mean(SAMPLE.y_test == 7),
        baselines.classify_by_nearest_mean: 0.7655,
        baselines.classify_by_nearest_neighbour: 0.8690,
    }
    for classify, accuracy in accuracies.items():
        assert np.mean(classify(*known) == SAMPLE.y_test) == accuracy
    validation = SAMPLE.x_validation, SAMPLE.y_validation
    answers, strength = baselines.classify_by_ridge_regression(*known, validation)
    assert 0.807 <= np.mean(answers == SAMPLE.y_test) <= 0.8215
    assert strength == 100


@pytest.mark.parametrize("darkest", [0, 254])
def test_distances_are_exact_for_the_brightest_and_the_darkest_images(darkest):
    rng = np.random.default_rng(0)
    images, others = (
        darkest + rng.integers(0, 2, (n, 784), np.uint8) for n in (100, 20)
    )
    differences = images.astype(int) - others[:, np.newaxis]  # (20, 100, 784)
    nearest = np.sum(differences**2, axis=2).argmin(axis=1)
    found = baselines.classify_by_nearest_neighbour(images, np.arange(100), others)
    assert found.tolist() == nearest.tolist()


def test_ridge_regression_solves_its_normal_equations(monkeypatch):
    """Check one strength. The constant is an extra pixel, which is not penalised."""
    monkeypatch.setattr(baselines, "STRENGTHS", [50.0])
    inputs = np.column_stack([np.ones(1000), SAMPLE.x_train / 255])
    penalty = 50.0 * np.diag([0.0, *np.ones(784)])
    targets = np.eye(10)[SAMPLE.y_train]
    weights = np.linalg.solve(inputs.T @ inputs + penalty, inputs.T @ targets)
    scores = np.column_stack([np.ones(10_000), SAMPLE.x_test / 255]) @ weights
    known = SAMPLE.x_train, SAMPLE.y_train, SAMPLE.x_test
    validation = SAMPLE.x_validation, SAMPLE.y_validation
    answers, _ = baselines.classify_by_ridge_regression(*known, validation)
    assert np.array_equal(answers, scores.argmax(axis=1))


def test_methods_are_compared_with_the_network_the_least_accurate_first():
    labels = np.array([0, 1, 1, 1])
    answers = {"network": labels, "bad": 1 - labels, "half": np.array([0, 1, 0, 0])}
    _, *rows = baselines.compare_methods(answers, labels, "network")
    assert rows == [
        ["bad", "0 %", "0", "4", "0.12"],
        ["half", "50 %", "0", "2", "0.5"],
        ["network", "100 %", "", "", ""],
    ]


@pytest.mark.parametrize(
    ("correct", "answer"),
    [
        # Of a hundred images the network has the first 80 right.
        (
            (70, 60),
            "Yes: it classifies more than each of the 2 (the best: a (70.00 %)).",
        ),
        (
            (78, 60),
            "Not clearly: a (78.00 %) and network (80.00 %) may differ by luck ",
        ),
        (
            (90, 99),
            "No: a (90.00 %) and b (99.00 %) classify more than network (80.00 %)",
        ),
        ((90, 79), "No: a (90.00 %) classifies more than network (80.00 %)."),
        (
            (81, 82),
            "Not clearly: b (82.00 %) and network (80.00 %) may differ by luck ",
        ),
    ],
)
def test_the_question_whether_it_is_better_has_an_answer(correct, answer):
    labels = np.ones(100, int)
    names = ("a, strength 10", "b", "network")
    answers = {
        name: (np.arange(100) < number).astype(int)
        for name, number in zip(names, (*correct, 80), strict=True)
    }
    found = baselines.describe_rank(answers, labels, "network")
    assert found.startswith(answer)
    assert ("(p = " in found) == ("luck" in found)
