import pytest

from pipeline import datasets
from pipeline.explore import training


@pytest.fixture(scope="session")
def data():
    return datasets.split_source("sample", 1000, 1000)


@pytest.fixture(scope="session")
def trained(data):
    """A network after ten epochs of the original's hyperparameters with the true gradient."""
    *_, (model, _) = training.train(data, 40, epochs=10, learning_rate=0.005, dropout_rate=0.5, relu_grad_inactive=0)
    return model
