"""Train a network before the reader's eyes: the loop of 02_train, an epoch at a time."""

from collections.abc import Iterator
from typing import Any

import helpers
from pipeline.datasets import Data
from pipeline.errors import check_finite
from pipeline.records import Epoch, History
from pipeline.run_folder import Model

EPOCHS = 100  # the original's


def train(
    data: Data,
    hidden_size: int,
    learning_rate: float,
    normalisation: float = 255.0,
    epochs: int = EPOCHS,
    **options: Any,
) -> Iterator[tuple[Model, History]]:
    """Run the loop of 02_train with seed 1, and yield after each epoch the network and the history so far.

    The options are others of `helpers.train_epoch`. Raises Diverged.
    """
    rng, input_rng = helpers.generators(1)
    model = Model(*helpers.initial_weights(rng, hidden_size), normalisation)
    options |= {"normalisation": normalisation, "learning_rate": learning_rate}
    history: History = []
    for epoch in range(epochs):
        metrics: tuple[float, ...] = helpers.train_epoch(
            data.x_train, data.y_train, *model.weights, rng, input_rng, **options
        )
        metrics += helpers.evaluate(data.x_train, data.y_train, *model.weights, normalisation)
        if len(data.x_validation):
            metrics += helpers.evaluate(data.x_validation, data.y_validation, *model.weights, normalisation)
        for metric in metrics:
            check_finite(metric, epoch, learning_rate, normalisation)
        history.append(Epoch(**dict(zip(Epoch.model_fields, metrics, strict=False))))
        yield model, history


def describe(history: History) -> str:
    """Describe where a training stands."""
    now = history[-1]
    sentence = f"After {len(history)} epochs: accuracy {now.train_accuracy_no_dropout:.3f} on the training images"
    if now.validation_accuracy is not None:
        sentence += f", and {now.validation_accuracy:.3f} on the validation images"
    return sentence + "."
