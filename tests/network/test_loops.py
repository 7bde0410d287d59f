"""What the compiled loops train: the published helpers.py, with what they support."""

import functools

import numpy as np
import pytest

import helpers
from pipeline.digests import digest_code, read_code
from pipeline.network import compiled
from pipeline.network.published import HELPERS_SHA256
from pipeline.paths import ROOT


def test_the_committed_helpers_is_the_published_one():
    # If you change both it and the loops, the failure tells the new digest.
    assert digest_code(read_code(ROOT / "helpers.py")) == HELPERS_SHA256


def train_both():
    """Return the weights that the loops, or else helpers, and helpers train."""
    rng = np.random.RandomState(0)
    images = rng.randint(256, size=(20, 784)).astype(np.uint8)
    labels = rng.randint(10, size=20).astype(np.uint8)
    results = []
    for network in (compiled, helpers):
        weights = helpers.initial_weights(np.random.RandomState(1), 3)
        rng = np.random.RandomState(2)
        network.train_epoch(images, labels, weights, rng)
        results.append(weights)
    return results


@pytest.mark.parametrize("decorate", [lambda f: f, functools.wraps(helpers.backward)])
def test_a_function_that_a_cell_replaces_is_trained(monkeypatch, decorate):
    original = helpers.backward

    def mine(*arguments):
        return tuple(2 * gradient for gradient in original(*arguments))

    plain, _ = train_both()
    monkeypatch.setattr(helpers, "backward", decorate(mine))
    assert not compiled.is_published()
    ours, theirs = train_both()
    for some, others, before in zip(ours, theirs, plain, strict=True):
        assert np.array_equal(some, others)
        assert not np.allclose(some, before)


IMAGES, LABELS = np.zeros((5, 784), np.uint8), np.zeros(5, np.uint8)
WEIGHTS = helpers.initial_weights(np.random.RandomState(1), 3)


@pytest.mark.parametrize(
    "arguments",
    [
        (np.zeros((5, 785), np.uint8), LABELS, WEIGHTS),
        (IMAGES, np.zeros(5, np.int64), WEIGHTS),
        (IMAGES[:4], LABELS, WEIGHTS),
        (IMAGES, LABELS, (np.asfortranarray(WEIGHTS[0]), WEIGHTS[1])),
        (IMAGES, LABELS, (*WEIGHTS, np.zeros((10, 10)))),
    ],
)
def test_what_the_loops_could_misread_is_left_to_helpers(arguments):
    assert compiled.loops_fit(IMAGES, LABELS, WEIGHTS)
    assert not compiled.loops_fit(*arguments)
