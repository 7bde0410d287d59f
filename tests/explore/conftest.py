import pytest

import helpers
from pipeline import datasets
from pipeline.model import Model


@pytest.fixture(scope="session")
def data():
    return datasets.split_source("sample", 1000, 1000)


@pytest.fixture(scope="session")
def trained(data):
    """A network after ten epochs of the original's hyperparameters with the true derivative."""
    rng, _ = helpers.generators(1)
    model = Model(*helpers.initial_weights(rng, 40), 255.0)
    for _ in range(10):
        helpers.train_epoch(data.x_train, data.y_train, *model.weights, rng, relu_grad_inactive=0)
    return model
