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


@pytest.mark.parametrize(("pull", "target"), [(4, 0.5), (2, 1), (1, 0.5)])
def test_the_error_signal_of_a_score_is_its_pull_times_what_is_missing(
    sample, pull, target
):
    image, label = sample["x_train"][:1], sample["y_train"][:1]
    rng = np.random.RandomState(3)
    before = helpers.initial_weights(rng, HIDDEN)
    masks = helpers.dropout_mask(rng, (1, HIDDEN), 0.5)
    pulls = pull * rng.randint(2, size=(1, 10)).astype(float)
    assert 0 < np.count_nonzero(pulls) < 10
    inputs = helpers.scale(image, 255)
    hidden, scores = helpers.forward(inputs, before, masks)

    signals = pulls * (scores - target * helpers.one_hot(label))
    gradients = helpers.backward(
        inputs, scores - signals, hidden, scores, before, masks, relu_grad_inactive=0
    )
    after = tuple(matrix.copy() for matrix in before)
    options = {"pulls": pulls, "target": target, "learning_rate": 0.1}
    networks.train_epoch(image, label, after, masks, up=0, down=0, **options)
    for old, new, gradient in zip(before, after, gradients, strict=True):
        assert np.abs(old - 0.1 * gradient - new).max() < 1e-15


@pytest.mark.parametrize("name", ["up alone", "down alone", "in fours"])
def test_inactive_units_get_what_the_name_says(sample, name):
    images, labels = sample["x_train"][:COUNT], sample["y_train"][:COUNT]
    rng, _ = helpers.generators(3)
    first, second = helpers.initial_weights(rng, HIDDEN)
    masks = helpers.dropout_mask(rng, (COUNT, HIDDEN), 0.5)
    ours = first.copy(), second.copy()
    options = networks.NETWORKS[name]
    networks.train_epoch(images, labels, ours, masks, learning_rate=0.02, **options)

    inputs, targets = helpers.scale(images, 255), helpers.one_hot(labels)
    for v, target, mask in zip(inputs, targets, masks, strict=True):
        is_active = v @ first > 0
        hidden = np.maximum(0, v @ first) * mask
        delta = hidden @ second - target
        back = (second @ delta) * mask
        if name == "in fours":
            fours = (back * is_active).reshape(-1, 4).mean(axis=1)
            back = np.repeat(fours, 4)
        else:
            # The sum changes by -0.02 * (v @ v) * back, so it rises where back < 0.
            is_pushed = back < 0 if name == "up alone" else back > 0
            back = back * (is_active | is_pushed)
        first -= 0.02 * np.outer(v, back)
        second -= 0.02 * np.outer(hidden, delta)
    for matrix, expected in zip(ours, (first, second), strict=True):
        assert np.abs(matrix - expected).max() < 1e-12
