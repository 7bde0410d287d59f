"""The exercises of why.ipynb can be solved, and wrong answers are seen."""

import numpy as np
import pytest

import helpers
from pipeline import compiled, exercises


@pytest.fixture
def judge(capsys):
    def call(check, exercise, *arguments):
        check(exercise, *arguments)
        return capsys.readouterr().out.strip().removeprefix(f"exercise {exercise}: ")

    return call


def train(sample, seed):
    rng, _ = helpers.generators(seed)
    weights = helpers.initial_weights(rng, 40)
    for _ in range(100):
        compiled.train_epoch(sample["x_train"][:1000], sample["y_train"][:1000], *weights, rng)
    return weights


def test_the_first_two_answers_come_from_trainings(sample, judge):
    _, accuracy = helpers.evaluate(sample["x_test"], sample["y_test"], *train(sample, 3))
    assert judge(exercises.check, 1, round(10_000 * accuracy)) == "correct"
    assert judge(exercises.check, 1, 7942) == "not correct"
    assert judge(exercises.check, 1, None) == "no answer yet"
    first, _ = helpers.initial_weights(np.random.RandomState(1), 40)
    unchanged = np.sum(np.all(train(sample, 1)[0] == first, axis=1))  # weights of pixels
    assert judge(exercises.check, 2, unchanged) == "correct"


def test_the_fourth_answer_is_the_accuracy_with_momentum(sample, judge):
    weights = helpers.initial_weights(np.random.RandomState(1), 40)
    velocities = [np.zeros_like(matrix) for matrix in weights]
    inputs, targets = helpers.scale(sample["x_train"], 255), helpers.one_hot(sample["y_train"])
    for i in list(range(1000)) * 5:
        step = inputs[i : i + 1], targets[i : i + 1]
        hidden, scores = helpers.forward(step[0], *weights)
        gradients = helpers.backward(*step, hidden, scores, weights[1], relu_grad_inactive=0)
        for matrix, velocity, gradient in zip(weights, velocities, gradients, strict=True):
            velocity *= 0.9
            velocity -= 0.0005 * gradient
            matrix += velocity
    _, accuracy = helpers.evaluate(sample["x_test"], sample["y_test"], *weights)
    assert judge(exercises.check, 4, f"{accuracy:.3f}") == "correct"


def test_a_derivative_is_checked_by_central_differences(sample, judge):
    _, second = helpers.initial_weights(np.random.RandomState(1), 40)
    target = helpers.one_hot(sample["y_train"][:1])

    def leaky(sums):
        return np.where(sums > 0, sums, 0.1 * sums)

    def loss(sums):
        return float(np.sum((leaky(sums) @ second - target) ** 2) / 2)

    def signal(sums):
        return (leaky(sums) @ second - target) @ second.T * np.where(sums > 0, 1, 0.1)

    def check(loss, signal):
        return judge(exercises.check_derivative, 3, loss, signal, (1, 40))

    assert check(loss, signal) == "correct"
    assert check(loss, lambda sums: 0.99 * signal(sums)).endswith("is not its derivative")
    assert check(lambda _: 0.0, np.zeros_like) == "not correct: the loss is another one"
    assert check(None, None) == "no answer yet"
