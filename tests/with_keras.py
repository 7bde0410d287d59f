"""What needs Keras: the network against an independent one, and the sources that keras.datasets loads.

test_keras.py runs this file in a process of its own: JAX, with which Keras computes, has threads, and a process that
has them should not fork others, as tests do. To import the two takes each process some seconds, too.
"""

import gzip
import os
import urllib.request

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np
import pytest

import helpers
from pipeline import datasets
from pipeline.errors import InvalidData
from tests.test_datasets import holds


@pytest.fixture
def float64():
    before = jax.config.jax_enable_x64, keras.config.floatx(), keras.config.dtype_policy()
    jax.config.update("jax_enable_x64", True)
    keras.config.set_floatx("float64")  # the optimizer's learning rate, too
    keras.config.set_dtype_policy("float64")
    yield
    jax.config.update("jax_enable_x64", before[0])
    keras.config.set_floatx(before[1])
    keras.config.set_dtype_policy(before[2])


def half_squared_error(targets, scores):
    """Return our loss. Keras 3.15 computes its own mean_squared_error with a factor in float32, which is wrong in the
    eighth digit, whatever the dtype policy.
    """
    return keras.ops.sum(keras.ops.square(scores - targets), axis=-1) / 2


@pytest.mark.parametrize("batch_size", [1, 8])
def test_train_epoch_equals_keras(float64, sample, batch_size):
    images, labels = sample["x_train"][:500], sample["y_train"][:500]
    weights = helpers.initial_weights(np.random.RandomState(1), 40)
    model = keras.Sequential(
        [
            keras.Input((784,)),
            keras.layers.Dense(40, activation="relu", use_bias=False),
            keras.layers.Dense(10, use_bias=False),
        ]
    )
    model.set_weights([matrix.copy() for matrix in weights])
    model.compile(keras.optimizers.SGD(learning_rate=0.01), loss=half_squared_error)
    model.fit(images / 255, helpers.one_hot(labels), batch_size=batch_size, epochs=1, shuffle=False, verbose=0)

    helpers.train_epoch(
        images,
        labels,
        *weights,
        np.random.RandomState(0),
        learning_rate=0.01,
        dropout_rate=0,
        relu_grad_inactive=0,
        batch_size=batch_size,
    )
    for ours, theirs in zip(weights, model.get_weights(), strict=True):
        assert theirs.dtype == np.float64
        assert np.abs(ours - theirs).max() < 1e-12
    predicted = model.predict(sample["x_test"] / 255, verbose=0)
    assert np.abs(helpers.predict(sample["x_test"], *weights) - predicted).max() < 1e-12


# ---- sources ---------------------------------------------------------------------------------------------------


@pytest.fixture
def keras_home(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))


def test_mnist_comes_through_keras_datasets(keras_home, small_source, monkeypatch):
    """Replace only the download of keras.datasets.mnist, by a small local file."""
    import keras.src.datasets.mnist as module

    path, arrays = small_source
    asked = []
    monkeypatch.setattr(module, "get_file", lambda fname, **options: asked.append((fname, options)) or str(path))
    monkeypatch.setenv("KERAS_BACKEND", "a user's own")
    loaded = datasets.load_source("mnist")
    assert os.environ["KERAS_BACKEND"] == "jax"
    assert asked[0][0] == "mnist.npz"
    assert len(asked[0][1]["file_hash"]) == 64
    assert holds(loaded, arrays)


def test_fashion_mnist_comes_through_keras_datasets(keras_home, small_source, tmp_path, monkeypatch):
    import keras.src.datasets.fashion_mnist as module

    _, arrays = small_source
    names = {"train-images": "x_train", "train-labels": "y_train", "t10k-images": "x_test", "t10k-labels": "y_test"}

    def local(name, **options):
        header = bytes(16 if "images" in name else 8)  # the IDX header, which keras skips
        path = tmp_path / name
        path.write_bytes(gzip.compress(header + arrays[names["-".join(name.split("-")[:2])]].tobytes()))
        return str(path)

    monkeypatch.setattr(module, "get_file", local)
    loaded = datasets.load_source("fashion_mnist")
    assert holds(loaded, arrays)
    arrays["y_test"] = arrays["y_test"] + np.uint8(10)
    with pytest.raises(InvalidData, match="y_test in keras.datasets.fashion_mnist has the label"):
        datasets.load_source("fashion_mnist")


@pytest.mark.parametrize("source", ["mnist", "fashion_mnist"])
def test_without_a_network_one_message_names_the_alternatives(keras_home, source, monkeypatch):
    """Send the real download to a port of this machine where nothing listens."""
    proxy = urllib.request.ProxyHandler({"https": "http://127.0.0.1:9", "http": "http://127.0.0.1:9"})
    monkeypatch.setattr(urllib.request, "_opener", urllib.request.build_opener(proxy))
    with pytest.raises(InvalidData) as caught:
        datasets.load_source(source)
    message = str(caught.value)
    assert "\n" not in message
    for part in (f'"{source}" could not be loaded through keras', 'use source "sample"', "path of an .npz file"):
        assert part in message
