"""Wrong answers are recognised, and so are right ones in any notation.

solutions.ipynb shows that the correct answers of why.ipynb are recognised.
"""

import numpy as np
import pytest

from pipeline.lessons import exercises


def test_another_number_and_another_exercise_are_not_correct(capsys):
    for exercise, answer in ((2, 176), (1, 175), (2, None)):
        exercises.check(exercise, answer)
        assert "not correct" in capsys.readouterr().out


def find_loss(scores):
    return float(np.log(np.sum(np.exp(scores))) - scores[0, 3])


def find_signal(scores):
    return np.exp(scores) / np.sum(np.exp(scores)) - np.eye(10)[3]


@pytest.mark.parametrize(
    ("loss", "signal", "said"),
    [
        (find_loss, lambda scores: 0.99 * find_signal(scores), "not its derivative"),
        (lambda _: 0.0, np.zeros_like, "the loss is another"),
    ],
)
def test_a_wrong_loss_and_a_wrong_error_signal_are_told_apart(
    loss, signal, said, capsys
):
    exercises.check_derivative(8, loss, signal, (1, 10))
    printed = capsys.readouterr().out
    assert "not correct" in printed
    assert said in printed


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [(1, 24720.0), (2, "175.0"), (5, 0.25), (5, "0.250"), (6, 0.827 * 10000)],
)
def test_a_number_may_be_written_in_any_way(exercise, answer, capsys):
    exercises.check(exercise, answer)
    assert capsys.readouterr().out == f"exercise {exercise}: correct\n"
