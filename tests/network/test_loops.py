"""What the compiled loops train: the published helpers.py, with what they support."""

import functools

import numpy as np
import pytest

import helpers
from pipeline.digests import digest_code, read_code
from pipeline.network import compiled
from pipeline.network.published import HELPERS_SHA256, NOTE
from pipeline.paths import ROOT


def test_the_committed_helpers_is_the_published_one():
    # If you change both it and the loops, the failure tells the new digest.
    assert digest_code(read_code(ROOT / "helpers.py")) == HELPERS_SHA256


def test_what_the_loops_cannot_take_is_told():
    weights = helpers.initial_weights(np.random.RandomState(1), 3)
    assert compiled.find_fallback_note(weights, *helpers.generators(1)) is None
    turned = np.asfortranarray(weights[0]), weights[1]
    assert compiled.find_fallback_note(turned) == NOTE
    assert compiled.find_fallback_note(weights, np.random.default_rng(1)) == NOTE


def train_both(**options):
    """Return the weights that the loops, or helpers in their place, and helpers train.

    shares: whether one generator draws both the dropped units and the dropped pixels.
    """
    shares = options.pop("shares", False)
    rng = np.random.RandomState(0)
    images = rng.randint(256, size=(20, 784)).astype(np.uint8)
    labels = rng.randint(10, size=20).astype(np.uint8)
    results = []
    for network in (compiled, helpers):
        weights = helpers.initial_weights(np.random.RandomState(1), 3)
        rng = np.random.RandomState(2)
        input_rng = rng if shares else None
        network.train_epoch(images, labels, weights, rng, input_rng, **options)
        results.append(weights)
    return results


@pytest.mark.parametrize("decorate", [lambda f: f, functools.wraps(helpers.backward)])
def test_a_function_that_a_cell_replaces_is_trained(monkeypatch, decorate):
    original = helpers.backward

    def mine(*arguments):
        return tuple(2 * gradient for gradient in original(*arguments))

    plain, _ = train_both()
    monkeypatch.setattr(helpers, "backward", decorate(mine))
    assert compiled.find_fallback_note(plain) == NOTE
    ours, theirs = train_both()
    for some, others, before in zip(ours, theirs, plain, strict=True):
        assert np.array_equal(some, others)
        assert not np.allclose(some, before)


@pytest.mark.parametrize("dropout_rate", [0.5, 0.2])
def test_generators_that_share_their_numbers_leave_an_epoch_to_helpers(dropout_rate):
    """helpers draws masks of units and pixels in turn, image by image."""
    rates = {"input_dropout_rate": 0.2, "dropout_rate": dropout_rate}
    for ours, theirs in zip(*train_both(shares=True, **rates), strict=True):
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("images", "labels"),
    [((5, 785), "uint8"), ((5, 784), "int64"), ((4, 784), "uint8")],
)
def test_arrays_that_the_loops_could_read_beyond_are_left_to_helpers(images, labels):
    weights = helpers.initial_weights(np.random.RandomState(1), 3)
    pixels, numbers = np.zeros(images, np.uint8), np.zeros(5, labels)
    assert not compiled.arrays_fit(pixels, weights, numbers)
    assert compiled.arrays_fit(
        np.zeros((5, 784), np.uint8), weights, np.zeros(5, np.uint8)
    )
