"""Check the exercises: the answers of why.ipynb, and the functions of learn.ipynb.

The answers of why.ipynb are checked by their digests. They are not in this file, so
that nobody reads them by accident. The functions that a student writes in learn.ipynb
are compared with the true ones, and with mistakes that are often made.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

# The digests of the answers, from exercise 1 on.
DIGESTS = (
    *("ca4e43bd", "cf2e6530", "ca926c83", "20f84e06"),
    *("960ab9ae", "fead7641", "891eb196", "ea438b44"),
)
STEP = 1e-6
NOT_WRITTEN = "Not written yet: the lesson goes on with helpers."
Arrays = tuple[np.ndarray, ...]
Function = Callable[[np.ndarray], np.ndarray]


def check(exercise: int, answer: object) -> None:
    """Print whether an answer is correct, by the digest of its text."""
    print(
        f"exercise {exercise}: "
        f"{'correct' if _is_correct(exercise, answer) else 'not correct'}"
    )


def check_derivative(
    exercise: int, loss: Function, signal: Function, shape: tuple[int, ...]
) -> None:
    """Print whether a loss and its error signal are correct.

    Both are computed at a random point, an array of that shape. The loss is checked by
    the digest of its value, and the error signal, its derivative, by central
    differences.
    """
    at = np.random.RandomState(exercise).uniform(-2, 2, shape)
    steps = STEP * np.eye(at.size).reshape(-1, *shape)
    rises = [loss(at + step) - loss(at - step) for step in steps]
    derivative = np.reshape(rises, shape) / (2 * STEP)
    if not _is_correct(exercise, f"{loss(at.copy()):.6f}"):
        verdict = "not correct: the loss is another one"
    elif not np.allclose(derivative, signal(at.copy()), rtol=0, atol=1e-6):
        verdict = "not correct: the loss is, but the error signal is not its derivative"
    else:
        verdict = "correct"
    print(f"exercise {exercise}: {verdict}")


def check_forward(
    forward: Callable[..., Any], inputs: np.ndarray, weights: Arrays
) -> None:
    """Print what a student's forward pass returns, beside what is true.

    inputs: (1, I), one row.
    weights: the matrices (I, H) and (H, H), so as many scores as hidden units.
    """
    first, second = weights
    sums = inputs @ first
    hidden = np.maximum(0, sums)
    mistakes = {
        "a sum below 0 is not cut, so the ReLU is missing": (sums, sums @ second),
        "the second matrix must not be transposed here": (hidden, hidden @ second.T),
        "only activations are cut at 0, scores are not": (
            hidden,
            np.maximum(0, hidden @ second),
        ),
    }
    true = hidden, hidden @ second
    names = "hidden", "scores"
    _compare(names, lambda: forward(inputs, weights), true, mistakes)


def check_backward(
    backward: Callable[..., Any],
    inputs: np.ndarray,
    target: np.ndarray,
    weights: Arrays,
) -> None:
    """Print the gradients that a student's function returns, beside the true ones.

    inputs, weights: as for `check_forward`.
    target: (1, H).
    """
    first, second = weights
    hidden = np.maximum(0, inputs @ first)
    scores = hidden @ second
    signal, active = scores - target, hidden > 0

    def find_gradients(signal: np.ndarray, back: np.ndarray, slope: Any) -> Arrays:
        return inputs.T @ (signal @ back * slope), hidden.T @ signal

    mistakes = {
        "the ReLU's slope, 0 for an inactive unit, is missing": find_gradients(
            signal, second.T, 1
        ),
        "on the way back the second matrix has to be transposed": find_gradients(
            signal, second, active
        ),
        "the sign is wrong: it is the score minus the target": find_gradients(
            -signal, second.T, active
        ),
        "the ReLU's slope is 0 or 1, and not the activation": find_gradients(
            signal, second.T, hidden
        ),
        "a factor of 2 is too much, because the loss has a half": find_gradients(
            2 * signal, second.T, active
        ),
    }
    _compare(
        ("gradient_1", "gradient_2"),
        lambda: backward(inputs, target, hidden, scores, weights),
        find_gradients(signal, second.T, active),
        mistakes,
    )


def _compare(
    names: Sequence[str],
    compute: Callable[[], Any],
    true: Arrays,
    mistakes: Mapping[str, Arrays],
) -> None:
    """Print each of the student's arrays beside the true one, and what is wrong.

    names: what the arrays are called.
    compute: returns the student's arrays.
    mistakes: what a common mistake would return, by the words that explain it.
    """
    try:
        found = tuple(compute())
    except (AttributeError, TypeError, ValueError) as error:
        print(f"It stops with an error: {error}")
        print("Are there dots left? Or do the shapes not fit? What stands left of an @")
        print("needs as many columns as what stands right of it has rows.")
        return
    if any(each is ... for each in found):
        print(NOT_WRITTEN)
        return
    try:
        yours = [np.asarray(each, float) for each in found]
        pairs = list(zip(names, yours, true, strict=True))
    except (TypeError, ValueError):
        wanted = f"{len(names)} arrays of numbers, {' and '.join(names)}"
        print(f"not equal: your function has to return {wanted}.")
        return
    for name, mine, right in pairs:
        print(f"{name:10} yours {_describe(mine)} / true {_describe(right)}")
    if _are_equal(yours, true):
        print("equal")
        return
    words = [
        f"the rows and columns of {name} are exchanged, so a .T is misplaced"
        for name, mine, right in pairs
        if not _are_equal([mine], [right]) and _are_equal([mine.T], [right])
    ]
    words += [why for why, wrong in mistakes.items() if _are_equal(yours, wrong)]
    words = words or ["work out by hand the first number that differs"]
    print("not equal:", "; ".join(words))


def _are_equal(some: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> bool:
    return all(
        one.shape == other.shape and np.allclose(one, other)
        for one, other in zip(some, others, strict=True)
    )


def _describe(array: np.ndarray) -> str:
    """Return the numbers of an array, with a semicolon after each row."""
    rows = np.atleast_2d(array) + 0.0  # which makes -0.0 the same as 0.0
    return "; ".join(" ".join(f"{value:g}" for value in row) for row in rows)


def _is_correct(exercise: int, answer: object) -> bool:
    digest = hashlib.sha256(f"exercise {exercise}: {answer}".encode()).hexdigest()
    return digest[:8] == DIGESTS[exercise - 1]
