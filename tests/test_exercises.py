"""The exercises of why.ipynb can be solved, and wrong answers are seen."""

import numpy as np
import pytest

import helpers
from pipeline import exercises


def softmax(scores):
    return np.exp(scores) / np.exp(scores).sum()


def leaky(sums):
    return np.where(sums > 0, sums, 0.1 * sums)


@pytest.fixture
def network(sample):
    return helpers.initial_weights(np.random.RandomState(1), 40), helpers.one_hot(sample["y_train"][:1])


def said(capsys, check, *arguments):
    check(*arguments)
    return capsys.readouterr().out.strip()


def trained(sample, seed=1):
    rng, _ = helpers.generators(seed)
    weights = helpers.initial_weights(rng, 40)
    for _ in range(100):
        helpers.train_epoch(sample["x_train"][:1000], sample["y_train"][:1000], *weights, rng)
    return weights


def test_the_numbers_are_what_the_project_computes(sample, capsys):
    _, accuracy = helpers.evaluate(sample["x_test"], sample["y_test"], *trained(sample, 3))
    assert said(capsys, exercises.check, 1, round(10_000 * accuracy)) == "exercise 1: correct"
    assert said(capsys, exercises.check, 1, 10_000 * accuracy) == "exercise 1: correct"
    assert said(capsys, exercises.check, 1, accuracy) == "exercise 1: not correct: it is a whole number"
    unchanged = np.sum(np.all(trained(sample)[0] == helpers.initial_weights(np.random.RandomState(1), 40)[0], axis=1))
    assert unchanged == np.sum(~sample["x_train"][:1000].any(axis=0))
    assert said(capsys, exercises.check, 2, int(unchanged)) == "exercise 2: correct"
    weights = helpers.initial_weights(np.random.RandomState(1), 40)
    velocities = [np.zeros_like(matrix) for matrix in weights]
    inputs, targets = helpers.scale(sample["x_train"][:1000], 255), helpers.one_hot(sample["y_train"][:1000])
    for i in list(range(1000)) * 5:
        pixels, target = inputs[i : i + 1], targets[i : i + 1]
        hidden, scores = helpers.forward(pixels, *weights)
        gradients = helpers.backward(pixels, target, hidden, scores, weights[1], relu_grad_inactive=0)
        for matrix, velocity, gradient in zip(weights, velocities, gradients, strict=True):
            velocity *= 0.9
            velocity -= 0.0005 * gradient
            matrix += velocity
    _, accuracy = helpers.evaluate(sample["x_test"], sample["y_test"], *weights)
    assert said(capsys, exercises.check, 4, f"{accuracy:.3f}") == "exercise 4: correct"
    for form in (accuracy, f" {accuracy:.3f}", f"{accuracy:.3f}".removeprefix("0")):
        assert said(capsys, exercises.check, 4, form) == 'exercise 4: not correct: it is text such as "0.812"'


def test_the_derivatives_are_checked_by_measuring(network, capsys):
    (_, second), target = network

    def loss(sums):
        return float(np.sum((leaky(sums) @ second - target) ** 2) / 2)

    def signal(sums):
        return (leaky(sums) @ second - target) @ second.T * np.where(sums > 0, 1, 0.1)

    def cross_entropy_signal(scores):
        return softmax(scores) - np.eye(10)[[3]]

    cross_entropy = (5, lambda scores: -np.log(softmax(scores)[0, 3]))
    assert said(capsys, exercises.check_derivative, 3, loss, signal, (1, 40)) == "exercise 3: correct"
    assert said(capsys, exercises.check_derivative, 3, loss, lambda sums: signal(sums) * 0.99, (1, 40)).endswith(
        ": not correct: the loss is, but the error signal is not its derivative"
    )
    assert said(capsys, exercises.check_derivative, *cross_entropy, cross_entropy_signal, (1, 10)).endswith(": correct")
    assert said(capsys, exercises.check_derivative, *cross_entropy, softmax, (1, 10)).startswith(
        "exercise 5: not correct: the loss is, but the error signal"
    )
    found = said(capsys, exercises.check_derivative, 3, loss, lambda sums: signal(sums)[0], (1, 40))
    assert found == "exercise 3: not correct: the error signal has the shape (40,), but must have (1, 40)"


def test_an_answer_may_work_in_place(network, capsys):
    def loss(scores):
        scores -= np.log(np.sum(np.exp(scores)))
        return [-scores[0, 3]]

    def signal(scores):
        scores[:] = softmax(scores)
        scores[0, 3] -= 1
        return scores

    assert said(capsys, exercises.check_derivative, 5, loss, signal, (1, 10)) == "exercise 5: correct"


def test_another_function_with_its_own_derivative_is_not_the_answer(capsys):
    zero, square = (3, lambda sums: 0.0, np.zeros_like, (1, 40)), (5, lambda x: np.sum(x**2), lambda x: 2 * x, (1, 10))
    assert said(capsys, exercises.check_derivative, *zero) == "exercise 3: not correct: the loss is another one"
    assert said(capsys, exercises.check_derivative, *square) == "exercise 5: not correct: the loss is another one"
    for loss in (lambda sums: sums**2, lambda sums: None):
        found = said(capsys, exercises.check_derivative, 3, loss, lambda sums: 2 * sums, (1, 40))
        assert found == "exercise 3: not correct: the loss must be one number"


def test_an_answer_that_is_wrong_or_missing_is_described_as_such(capsys):
    assert said(capsys, exercises.check, 1, 7942) == "exercise 1: not correct"
    assert said(capsys, exercises.check, 1, None) == "exercise 1: no answer yet"
    assert said(capsys, exercises.check_derivative, 3, None, None, (1, 40)) == "exercise 3: no answer yet"
