"""Check answers to the exercises of why.ipynb by their digests.

This file has digests instead of the right answers, so that nobody reads an answer by
accident.
"""

import contextlib
import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np

# The digests of the right answers, in the order of the exercises.
DIGESTS = (
    *("ca4e43bd", "cf2e6530", "ca926c83", "20f84e06"),
    *("960ab9ae", "fead7641", "891eb196", "ea438b44"),
)
STEP = 1e-6
Function = Callable[[np.ndarray], np.ndarray]


def check(exercise: int, answer: Any) -> None:
    """Print whether an answer to an exercise is correct.

    exercise: the number of the exercise, from 1.
    answer: the reader's answer. If it is a number, it may be written in any way, for
        example as 24720, 24720.0 or "24720".
    """
    verdict = "correct" if _is_correct(exercise, answer) else "not correct"
    print(f"exercise {exercise}: {verdict}")


def check_derivative(
    exercise: int, loss: Function, signal: Function, shape: tuple[int, ...]
) -> None:
    """Print whether the reader's functions for a loss and its error signal are correct.

    exercise: the number of the exercise, from 1.
    loss: takes an array and returns the loss, a number.
    signal: takes an array and returns the derivative of the loss, an array.
    shape: the shape of the arrays.

    Both functions are called with a random array. The digest of the loss tells whether
    `loss` is correct. The result of `signal` is compared with central differences of
    the loss.
    """
    at = np.random.RandomState(exercise).uniform(-2, 2, shape)
    steps = STEP * np.eye(at.size).reshape(-1, *shape)
    rises = [loss(at + step) - loss(at - step) for step in steps]
    derivative = np.reshape(rises, shape) / (2 * STEP)
    if not _is_correct(exercise, f"{loss(at.copy()):.6f}"):
        verdict = "not correct: the loss is another one"
    elif not np.allclose(derivative, signal(at.copy()), rtol=0, atol=1e-6):
        problem = "the loss is correct, but the error signal is not its derivative"
        verdict = f"not correct: {problem}"
    else:
        verdict = "correct"
    print(f"exercise {exercise}: {verdict}")


def _is_correct(exercise: int, answer: Any) -> bool:
    texts = [str(answer)]
    with contextlib.suppress(TypeError, ValueError):  # the answer may not be a number
        texts.append(f"{float(answer):.10g}")  # 24720.0 is as good as 24720
    digests = [
        hashlib.sha256(f"exercise {exercise}: {text}".encode()).hexdigest()[:8]
        for text in texts
    ]
    return DIGESTS[exercise - 1] in digests
