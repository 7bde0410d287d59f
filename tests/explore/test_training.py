import math

import pytest

from pipeline import datasets, plots
from pipeline.errors import Diverged
from pipeline.explore import training
from pipeline.records import Epoch


def test_training_here_is_the_published_training(data):
    *_, (model, history) = training.train(data, 40, learning_rate=0.005, dropout_rate=0.5, relu_grad_inactive=1)
    assert model.sha256 == "ebf6a5840e35c96db0737370bf9e523cdf7a0522d11a06e747ebb00c2c9f03d6"
    assert len(history) == 100
    assert training.describe(history) == (
        "After 100 epochs: accuracy 0.947 on the training images, and 0.800 on the validation images."
    )


@pytest.fixture
def unvalidated(small_source):
    return datasets.split_source(str(small_source[0]), 40, 0)


def test_training_without_validation_images_does_not_mention_them(unvalidated):
    (_, history), *_ = training.train(unvalidated, 5, 0.005, epochs=1)
    assert (history[0].validation_error, history[0].validation_accuracy) == (None, None)
    assert training.describe(history).endswith(" on the training images.")


def test_a_training_that_diverges_is_stopped_with_what_to_change(unvalidated):
    with pytest.raises(Diverged, match="in epoch 0, with learning_rate 1e.06 .*Make learning_rate smaller"):
        list(training.train(unvalidated, 5, 1e6))


def test_growing_curves_have_room_for_all_epochs():
    history = [Epoch(train_error=1.0, train_accuracy=0.5)] * 3
    for axis in plots.learning_curves(history, 40).axes:
        assert axis.get_xlim()[1] >= 40
        assert math.isclose(axis.lines[0].get_xdata()[-1], 3)
