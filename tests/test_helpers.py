"""Every helper against a formula, and the training against the original's loop."""

import itertools

import numpy as np
import pytest

import helpers
from tests import original


def test_dropping_pixels_changes_neither_first_weights_nor_hidden_masks(sample):
    states = []
    for rate in (0, 0.4):
        rng, input_rng = helpers.generators(7)
        weights = helpers.initial_weights(rng, 5)
        examples = sample["x_train"][:30], sample["y_train"][:30]
        helpers.train_epoch(*examples, weights, rng, input_rng, input_dropout_rate=rate)
        states.append(rng.random_sample())
        unused = np.random.RandomState([7, 1]).random_sample()
        assert (input_rng.random_sample() == unused) == (rate == 0)
    assert states[0] == states[1]


def test_dropping_pixels_without_a_generator_is_refused():
    with pytest.raises(ValueError, match=r"helpers\.generators"):
        helpers.drop_pixels(np.zeros((1, 784), np.uint8), None, 0.1)


SIZES = ("hidden_size", "epochs", "seed")
OPTIONS = ("learning_rate", "normalisation", "dropout_rate", "input_dropout_rate")
CASES = [  # values of SIZES, then of OPTIONS
    ((40, 3, 1), (0.005, 255, 0.5, 0.0)),
    ((40, 3, 2), (0.005, 255, 0.0, 0.5)),
    ((40, 2, 3), (0.02, 510, 0.2, 0.1)),
    ((7, 3, 4), (0.005, 256, 0.5, 0.8)),
    ((1, 3, 5), (0.05, 255, 0.5, 0.0)),
    ((130, 2, 6), (0.001, 100, 0.8, 0.3)),
]


@pytest.mark.parametrize(("case", "inactive"), list(itertools.product(CASES, [0, 1])))
def test_train_epoch_equals_the_originals_loop(sample, case, inactive):
    examples = sample["x_train"][:300], sample["y_train"][:300]
    sizes = dict(zip(SIZES, case[0], strict=True))
    options = dict(zip(OPTIONS, case[1], strict=True)) | {
        "relu_grad_inactive": inactive
    }
    *expected, expected_history = original.train(*examples, **sizes, **options)
    rng, input_rng = helpers.generators(sizes["seed"])
    weights = helpers.initial_weights(rng, sizes["hidden_size"])
    for metrics in expected_history:
        found = helpers.train_epoch(*examples, weights, rng, input_rng, **options)
        assert found == pytest.approx(metrics, abs=1e-12)
    for matrix, expected_matrix in zip(weights, expected, strict=True):
        assert np.abs(matrix - expected_matrix).max() < 1e-12


def test_train_epoch_updates_the_weights_by_the_mean_over_the_batch(sample):
    images, labels = sample["x_train"][:7], sample["y_train"][:7]
    weights = helpers.initial_weights(np.random.RandomState(1), 5)
    expected = [matrix.copy() for matrix in weights]
    rng = np.random.RandomState(2)
    helpers.train_epoch(images, labels, weights, rng, dropout_rate=0, batch_size=3)
    for batch in ([0, 1, 2], [3, 4, 5], [6]):
        moved = []
        for i in batch:
            moved.append([matrix.copy() for matrix in expected])
            helpers.train_epoch(
                images[[i]], labels[[i]], moved[-1], rng, dropout_rate=0
            )
        expected = [np.mean(each, axis=0) for each in zip(*moved, strict=True)]
    for matrix, expected_matrix in zip(weights, expected, strict=True):
        assert np.abs(matrix - expected_matrix).max() < 1e-14
