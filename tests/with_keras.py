"""The tests that need Keras: of the sources of keras.datasets.

test_keras.py runs this file in a process of its own, because Keras computes with JAX,
which starts threads. A process with threads should not fork others, as our tests do.
"""

import gzip
import os
import urllib.request

os.environ["KERAS_BACKEND"] = "jax"

import numpy as np
import pytest

from pipeline.errors import InvalidInput
from pipeline.images import data


@pytest.fixture
def keras_home(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))


def check_arrays(loaded, arrays):
    for name, array in arrays.items():
        expected = array.reshape(-1, 784) if name.startswith("x") else array
        assert np.array_equal(getattr(loaded, name), expected)


def test_mnist_comes_through_keras_datasets(keras_home, small_source, monkeypatch):
    """Only the download of keras.datasets.mnist is replaced, by a small local file."""
    import keras.src.datasets.mnist as module

    path, arrays = small_source
    calls = []

    def get_file(fname, **options):
        calls.append((fname, options))
        return str(path)

    monkeypatch.setattr(module, "get_file", get_file)
    check_arrays(data.load_source("mnist"), arrays)
    assert calls[0][0] == "mnist.npz"
    assert len(calls[0][1]["file_hash"]) == 64


def test_fashion_mnist_comes_through_keras_datasets(
    keras_home, small_source, tmp_path, monkeypatch
):
    import keras.src.datasets.fashion_mnist as module

    _, arrays = small_source
    names = {
        "train-images": "x_train",
        "train-labels": "y_train",
        "t10k-images": "x_test",
        "t10k-labels": "y_test",
    }

    def get_file(fname, **options):
        # Keras skips the IDX header.
        header = bytes(16 if "images" in fname else 8)
        content = arrays[names["-".join(fname.split("-")[:2])]].tobytes()
        path = tmp_path / fname
        path.write_bytes(gzip.compress(header + content))
        return str(path)

    monkeypatch.setattr(module, "get_file", get_file)
    check_arrays(data.load_source("fashion_mnist"), arrays)
    arrays["y_test"] = arrays["y_test"] + np.uint8(10)
    with pytest.raises(InvalidInput, match="y_test"):
        data.load_source("fashion_mnist")


@pytest.mark.parametrize("source", ["mnist", "fashion_mnist"])
def test_without_a_network_one_message_names_the_alternatives(
    keras_home, source, monkeypatch
):
    """The real download goes to a port of this machine where nothing listens."""
    addresses = {"https": "http://127.0.0.1:9", "http": "http://127.0.0.1:9"}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(addresses))
    monkeypatch.setattr(urllib.request, "_opener", opener)
    with pytest.raises(InvalidInput, match=rf'"{source}" .* "sample", .* \.npz'):
        data.load_source(source)
