"""The network against an independent one: the same weights and images in Keras, in float64."""

import os

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np
import pytest

import helpers


@pytest.fixture(autouse=True)
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
def test_train_epoch_equals_keras(sample, batch_size):
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
