"""Wrong answers are recognised. Correct ones are tested by solutions.ipynb."""

import numpy as np

import helpers
from pipeline import exercises


def test_another_number_and_another_exercise_are_not_correct(capsys):
    for exercise, answer in ((2, 176), (1, 175), (2, None)):
        exercises.check(exercise, answer)
        assert capsys.readouterr().out == f"exercise {exercise}: not correct\n"


def test_a_derivative_is_checked_by_central_differences(sample, capsys):
    _, second = helpers.initial_weights(np.random.RandomState(1), 40)
    target = helpers.one_hot(sample["y_train"][:1])

    def leaky(sums):
        return np.where(sums > 0, sums, 0.1 * sums)

    def loss(sums):
        return float(np.sum((leaky(sums) @ second - target) ** 2) / 2)

    def signal(sums):
        return (leaky(sums) @ second - target) @ second.T * np.where(sums > 0, 1, 0.1)

    def check(loss, signal):
        exercises.check_derivative(3, loss, signal, (1, 40))
        return capsys.readouterr().out.removeprefix("exercise 3: ").strip()

    assert check(loss, signal) == "correct"
    assert check(loss, lambda sums: 0.99 * signal(sums)).endswith(
        "is not its derivative"
    )
    assert check(lambda _: 0.0, np.zeros_like) == "not correct: the loss is another one"
