"""The compiled loops agree bit for bit with helpers and the published digests."""

import hashlib

import numpy as np
import pytest

import helpers
from pipeline.network import compiled

OTHER = {"dropout_rate": 0.3, "input_dropout_rate": 0.2, "relu_grad_inactive": 0}


def train(train_epoch, examples, hidden_size=40, epochs=3, **options):
    rng, input_rng = helpers.generators(1)
    weights = helpers.initial_weights(rng, hidden_size)
    for _ in range(epochs):
        metrics = train_epoch(*examples, weights, rng, input_rng, **options)
    return weights, metrics, hashlib.sha256(b"".join(map(bytes, weights))).hexdigest()


@pytest.mark.parametrize("hidden_size", [1, 40, 300])
@pytest.mark.parametrize(
    "options", [{}, OTHER, {"dropout_rate": 0, "normalisation": 300}]
)
def test_results_equal_helpers(sample, hidden_size, options):
    examples = sample["x_train"][:100], sample["y_train"][:100]
    weights, metrics, _ = train(compiled.train_epoch, examples, hidden_size, **options)
    others, expected, _ = train(helpers.train_epoch, examples, hidden_size, **options)
    assert metrics == pytest.approx(expected, rel=1e-12)
    for ours, theirs in zip(weights, others, strict=True):
        assert np.abs(ours - theirs).max() < 1e-12
    evaluated = helpers.evaluate(*examples, weights, 100)
    found = compiled.evaluate(*examples, weights, 100)
    assert found == pytest.approx(evaluated, rel=1e-12)


def test_images_in_several_calls_give_the_same_bits(sample, monkeypatch):
    examples = np.tile(sample["x_train"], (3, 1)), np.tile(sample["y_train"], 3)
    found = train(compiled.train_epoch, examples, epochs=1, **OTHER)
    monkeypatch.setattr(compiled, "IMAGES_PER_CALL", 6000)
    assert found[1:] == train(compiled.train_epoch, examples, epochs=1, **OTHER)[1:]


def test_the_activity_of_a_unit_counts_each_image_once(sample):
    images = sample["x_test"][: compiled.IMAGES_PER_CALL + 10]
    weights = helpers.initial_weights(np.random.RandomState(1), 5)
    expected = np.mean(images @ weights[0] > 0, axis=0)
    found = compiled.measure_activity(images, weights, 100)
    assert np.array_equal(found, expected)


def test_scores_are_the_bits_of_sums_in_order(sample):
    images = sample["x_test"][:12].copy()
    images[3, [0, 783]] = 255  # the corners, which MNIST leaves empty
    # The compiled loop takes pixels in pairs, so test odd and even numbers of them.
    assert set((images > 0).sum(axis=1) % 2) == {0, 1}
    weights = helpers.initial_weights(np.random.RandomState(1), 6)
    for image, scores in zip(images, compiled.predict(images, weights), strict=True):
        hidden = np.cumsum((image / 255)[:, np.newaxis] * weights[0], axis=0)[-1]
        products = helpers.relu(hidden)[:, np.newaxis] * weights[1]
        assert np.array_equal(scores, np.cumsum(products, axis=0)[-1])
