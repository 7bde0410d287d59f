"""Check the answers to the exercises of why.ipynb, without holding them."""

import hashlib
from collections.abc import Callable

import numpy as np

DIGESTS = {
    1: "c0f66771364555ba",
    2: "cf2e653037fd6eeb",
    3: "ca926c83efb347a5",
    4: "20f84e06907ef340",
    5: "b35ee7ecb2c96380",
}
Function = Callable[[np.ndarray], float]
Derivative = Callable[[np.ndarray], np.ndarray]
STEP = 1e-6


def check(exercise: int, answer: object) -> None:
    """Print whether an answer is correct, by the digest of its text; None is no answer yet."""
    digest = hashlib.sha256(f"exercise {exercise}: {answer}".encode()).hexdigest()[:16]
    _print(exercise, answer is not None, digest == DIGESTS[exercise])


def check_derivative(
    exercise: int, function: Function | None, derivative: Derivative | None, shape: tuple[int, ...]
) -> None:
    """Print whether a function and its derivative are correct, at a random place of that shape.

    The function by the digest of its value, the derivative by central differences.
    """
    if function is None or derivative is None:
        _print(exercise, False, False)
        return
    place = np.random.RandomState(exercise).uniform(-2, 2, shape)
    value = hashlib.sha256(f"exercise {exercise}: {function(place):.6f}".encode()).hexdigest()[:16]
    measured = np.empty(shape)
    for index in np.ndindex(*shape):
        moved = np.zeros(shape)
        moved[index] = STEP
        measured[index] = (function(place + moved) - function(place - moved)) / (2 * STEP)
    _print(exercise, True, value == DIGESTS[exercise] and bool(np.abs(measured - derivative(place)).max() < 1e-6))


def _print(exercise: int, given: bool, correct: bool) -> None:
    print(f"exercise {exercise}:", ("correct" if correct else "not correct") if given else "no answer yet")
