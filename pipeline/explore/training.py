"""Train a network before the reader's eyes: the loop of 02_train, an epoch at a time."""

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure

import helpers
from pipeline import plots
from pipeline.datasets import Data
from pipeline.errors import check_finite
from pipeline.records import Epoch, History
from pipeline.run_folder import Model

EPOCHS = 100  # the original's


def train(
    data: Data,
    hidden_size: int,
    learning_rate: float,
    dropout_rate: float,
    relu_grad_inactive: int,
    normalisation: float = 255.0,
    epochs: int = EPOCHS,
) -> Iterator[tuple[Model, History]]:
    """Run the loop of 02_train with seed 1, and yield after each epoch the network and the history so far.

    Raises Diverged.
    """
    rng = np.random.RandomState(1)
    model = Model(*helpers.initial_weights(rng, hidden_size), normalisation)
    history: History = []
    for epoch in range(epochs):
        trained = helpers.train_epoch(
            data.x_train,
            data.y_train,
            *model.weights,
            rng,
            normalisation=normalisation,
            learning_rate=learning_rate,
            dropout_rate=dropout_rate,
            relu_grad_inactive=relu_grad_inactive,
        )
        check_finite(trained[0], epoch, learning_rate, normalisation)
        validated: tuple[float, float] | tuple[()] = ()
        if len(data.x_validation):
            validated = helpers.evaluate(data.x_validation, data.y_validation, *model.weights, normalisation)
            check_finite(validated[0], epoch, learning_rate, normalisation)
        history.append(Epoch(**dict(zip(Epoch.model_fields, (*trained, *validated), strict=False))))
        yield model, history


def describe(history: History) -> str:
    """Say where a training stands."""
    now = history[-1]
    sentence = f"After {len(history)} epochs: accuracy {now.train_accuracy:.3f} on the training images, under dropout"
    if now.validation_accuracy is not None:
        sentence += f", and {now.validation_accuracy:.3f} on the validation images"
    return sentence + "."


def growing_curves(history: History, epochs: int = EPOCHS) -> Figure:
    """Draw the learning curves so far, in axes that have room for all epochs."""
    figure = plots.learning_curves(history)
    for axis in figure.axes:
        axis.set_xlim(0, epochs + 1)
    return figure
