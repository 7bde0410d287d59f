"""The test that needs Keras, of the sources that keras.datasets loads.

test_keras.py runs this file in a process of its own, because Keras computes with JAX,
which starts threads. A process with threads should not fork others, as our tests do.
"""

import os

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np
import pytest

from pipeline.errors import InvalidInput
from pipeline.images import data


@pytest.mark.parametrize("source", ["mnist", "fashion_mnist"])
def test_a_source_of_keras_is_loaded_checked_or_names_the_alternatives(
    small_source, monkeypatch, source
):
    """Only the download of keras.datasets is replaced."""
    _, arrays = small_source
    x_train, y_train, x_test, y_test = arrays.values()
    module = getattr(keras.datasets, source)
    monkeypatch.setattr(
        module, "load_data", lambda: ((x_train, y_train), (x_test, y_test))
    )
    loaded = data.load_source(source)
    for name, array in arrays.items():
        expected = array.reshape(len(array), -1).squeeze()
        assert np.array_equal(getattr(loaded, name), expected)
    y_test += 10
    with pytest.raises(InvalidInput, match="y_test"):
        data.load_source(source)
    monkeypatch.setattr(module, "load_data", lambda: 1 / 0)
    with pytest.raises(InvalidInput, match=rf'"{source}" .* "sample", .* \.npz'):
        data.load_source(source)
