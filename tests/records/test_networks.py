"""The networks compute the same as helpers after a patch, or as a formula."""

import subprocess
import types

import numpy as np
import pytest

import helpers
from notebooks.records import networks
from pipeline.network import compiled
from pipeline.paths import ROOT

COUNT, HIDDEN = 60, 12


def load_patched(name, folder):
    """Return helpers.py after a patch of tests/networks, as a module."""
    (folder / "helpers.py").write_text((ROOT / "helpers.py").read_text())
    patch = ROOT / "tests" / "networks" / f"{name}.patch"
    subprocess.run(["git", "apply", patch], cwd=folder, check=True)
    module = types.ModuleType(name)
    exec((folder / "helpers.py").read_text(), vars(module))
    return module


def train(sample, train_epoch, **options):
    """Return the weights after two epochs of a network, or of helpers' function."""
    images, labels = sample["x_train"][:COUNT], sample["y_train"][:COUNT]
    rng, _ = helpers.generators(3)
    weights = helpers.initial_weights(rng, HIDDEN)
    for _ in range(2):
        if train_epoch is networks.train_epoch:
            masks = helpers.dropout_mask(rng, (COUNT, HIDDEN), 0.5)
            train_epoch(images, labels, weights, masks, learning_rate=0.02, **options)
        else:
            train_epoch(images, labels, weights, rng, learning_rate=0.02, **options)
    return weights


@pytest.mark.parametrize("inactive", [0, 1, 0.3, -0.2])
def test_with_one_slope_the_bits_are_those_of_the_compiled_loops(sample, inactive):
    ours = train(sample, networks.train_epoch, up=inactive, down=inactive)
    theirs = train(sample, compiled.train_epoch, relu_grad_inactive=inactive)
    assert all(map(np.array_equal, ours, theirs))


def test_without_the_cut_it_is_the_network_of_the_patch(sample, tmp_path):
    patched = load_patched("linear", tmp_path)
    ours = train(sample, networks.train_epoch, has_relu=False)
    theirs = train(sample, patched.train_epoch, relu_grad_inactive=0)
    for matrix, expected in zip(ours, theirs, strict=True):
        assert np.abs(matrix - expected).max() < 1e-12


NAMES = "up alone", "down alone", "in fours"
HALF = {"up": 0, "down": 0, "target": 0.5}


def train_slowly(images, targets, weights, masks, pulls, *, up, down, alike=1, **_):
    """Train an epoch by the formula, one image at a time."""
    first, second = weights
    for v, target, mask, pull in zip(images, targets, masks, pulls, strict=True):
        hidden = np.maximum(0, v @ first) * mask
        delta = pull * (hidden @ second - target)
        back = (second @ delta) * mask
        # The sum changes by -0.02 * (v @ v) * back, so it rises where back < 0.
        back *= np.where(v @ first > 0, 1, np.where(back < 0, up, down))
        back = back.reshape(-1, alike).mean(axis=1).repeat(alike)
        first -= 0.02 * np.outer(v, back)
        second -= 0.02 * np.outer(hidden, delta)


@pytest.mark.parametrize("options", [*map(networks.NETWORKS.get, NAMES), HALF])
def test_scores_pull_and_inactive_units_get_what_the_options_say(sample, options):
    images, labels = sample["x_train"][:COUNT], sample["y_train"][:COUNT]
    rng, _ = helpers.generators(3)
    weights = helpers.initial_weights(rng, HIDDEN)
    masks = helpers.dropout_mask(rng, (COUNT, HIDDEN), 0.5)
    pulls = rng.choice([0.0, 1.0, 4.0], (COUNT, 10))
    ours = [matrix.copy() for matrix in weights]
    networks.train_epoch(
        images, labels, ours, masks, pulls=pulls, learning_rate=0.02, **options
    )
    targets = options.get("target", 1) * helpers.one_hot(labels)
    inputs = helpers.scale(images, 255)
    train_slowly(inputs, targets, weights, masks, pulls, **options)
    for matrix, expected in zip(ours, weights, strict=True):
        assert np.abs(matrix - expected).max() < 1e-12
