"""Check the passes that a student writes in learn.ipynb, and let them train.

They are compared with the true ones, and with mistakes that are often made. Once they
are right, they take the place of those in helpers.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

import helpers
from pipeline.network import compiled

# What may help, by a word in an error of Python.
HINTS = {
    "ellipsis": "There are dots left in a line that another one needs.",
    "matmul": "What stands left of an @ needs as many columns as the right has rows.",
    "broadcast": "The two arrays have shapes that do not fit together.",
    "NoneType": "The function has to end with a return of its arrays.",
    "ambiguous": "It wants one number: np.maximum takes each entry, max does not.",
}
Arrays = tuple[np.ndarray, ...]
Pass = Callable[..., Any]
true_backward: Pass = partial(helpers.backward, relu_grad_inactive=0)


def check_forward(forward: Pass, inputs: np.ndarray, weights: Arrays) -> None:
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
    _compare(("hidden", "scores"), forward, (inputs, weights), true, mistakes)


def check_backward(
    backward: Pass, inputs: np.ndarray, target: np.ndarray, weights: Arrays
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

    true = find_gradients(signal, second.T, active)
    mistakes = {
        "the slope of the ReLU, 0 for an inactive unit, is missing, or you ask >= 0, "
        "which is always true: that is the original's slip": find_gradients(
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
        "the error signal of a score is not squared": find_gradients(
            signal**2, second.T, active
        ),
        "the error signal of a score keeps its sign": find_gradients(
            np.abs(signal), second.T, active
        ),
        "gradient_1 takes the error signals of the units, not those of the scores": (
            inputs.T @ signal,
            true[1],
        ),
        "return the gradients, and not the weights after a step": (
            first - 0.1 * true[0],
            second - 0.1 * true[1],
        ),
    }
    _compare(
        ("gradient_1", "gradient_2"),
        backward,
        (inputs, target, hidden, scores, weights),
        true,
        mistakes,
    )


def choose(forward: Pass, backward: Pass) -> tuple[Pass, Pass]:
    """Return a student's two passes, or helpers' for one that is not right yet.

    Print whose they are. Each is tried on a small random network.
    """
    rng = np.random.RandomState(1)
    weights = rng.uniform(-1, 1, (5, 4)), rng.uniform(-1, 1, (4, 3))
    inputs, target = rng.uniform(0, 1, (1, 5)), np.eye(3)[:1]
    passed = helpers.forward(inputs, weights)
    chosen = []
    for name, mine, theirs, arguments in (
        ("forward", forward, helpers.forward, (inputs, weights)),
        ("backward", backward, true_backward, (inputs, target, *passed, weights)),
    ):
        problem = _find_problem(mine, arguments, theirs(*arguments))
        whose = f"that of helpers, because yours {problem}" if problem else "yours"
        print(f"{name}: {whose}")
        chosen.append(theirs if problem else mine)
    return chosen[0], chosen[1]


def _find_problem(function: Pass, arguments: Any, true: Arrays) -> str:
    """Return in a few words why a student's function is not right, or ""."""
    try:
        found = function(*arguments)
        if found is None or any(each is ... for each in found):
            return "is not written yet"
        if _are_equal([np.asarray(each, float) for each in found], true):
            return ""
    except Exception as error:  # noqa: BLE001 - a student may make any mistake
        return "is not written yet" if "ellipsis" in str(error) else "stops"
    return "computes something else"


def check_epoch(
    epoch: Pass,
    images: np.ndarray,
    labels: np.ndarray,
    weights: Arrays,
    learning_rate: float,
) -> None:
    """Print whether a student's loop moves the weights as an epoch should.

    epoch: takes images, labels and weights, and moves the weights in place.
    """

    def train(count: int, run: Pass, **options: Any) -> Arrays:
        moved = tuple(matrix.copy() for matrix in weights)
        run(images[:count], labels[:count], moved, **options)
        return moved

    try:
        first, yours = train(1, epoch), train(len(images), epoch)
    except Exception as error:  # noqa: BLE001 - a student may make any mistake
        _explain(epoch, error)
        return
    true: dict[str, Any] = {
        "rng": np.random.RandomState(1),
        "learning_rate": learning_rate,
        "dropout_rate": 0,
        "relu_grad_inactive": 0,
    }
    steps: dict[str, dict[str, float]] = {
        "the first step is right, but not all steps are made": {},
        "the weights move up the slope: it is -= and not +=": {
            "learning_rate": -learning_rate
        },
        "learning_rate is missing": {"learning_rate": 1},
        "inactive units have the slope 1: that is the original's slip": {
            "relu_grad_inactive": 1
        },
    }
    if _are_equal(yours, weights):
        print("Not written yet. Or do the weights not move in place, as by -= ?")
    elif _are_equal(yours, train(len(images), compiled.train_epoch, **true)):
        accuracy = compiled.evaluate(images, labels, yours)[1]
        print(f"equal: your network now gets {accuracy:.3f} of the images right")
    else:
        words = [
            why
            for why, options in steps.items()
            if _are_equal(first, train(1, compiled.train_epoch, **true | options))
        ]
        print("not equal:", "; ".join(words or ["the first step is another one"]))


def _compare(
    names: Sequence[str],
    function: Pass,
    arguments: Sequence[Any],
    true: Arrays,
    mistakes: Mapping[str, Arrays],
) -> None:
    """Print each of the student's arrays beside the true one, and what is wrong.

    names: what the arrays are called.
    function, arguments: what returns the student's arrays.
    mistakes: what a common mistake would return, by the words that explain it.
    """
    try:
        found = tuple(function(*arguments))
    except Exception as error:  # noqa: BLE001 - a student may make any mistake
        _explain(function, error)
        return
    if all(each is ... for each in found):
        print(f"{' and '.join(names)} are not written yet")
        return
    try:
        pairs = [
            (name, None if mine is ... else np.asarray(mine, float), right)
            for name, mine, right in zip(names, found, true, strict=True)
        ]
    except (TypeError, ValueError):
        wanted = f"{len(names)} arrays of numbers, {' and '.join(names)}"
        print(f"not equal: your function has to return {wanted}.")
        return
    words = []
    for name, mine, right in pairs:
        if mine is None:
            print(f"{name:10} not written yet")
            continue
        print(f"{name:10} yours {_describe(mine)} / true {_describe(right)}")
        words += _compare_shapes(name, mine, right)
    written = [(mine, right) for _, mine, right in pairs if mine is not None]
    yours, wanted_arrays = zip(*written, strict=True)
    if _are_equal(yours, wanted_arrays):
        print("equal" if len(written) == len(pairs) else "right so far")
        return
    if len(written) == len(pairs):
        words += [why for why, wrong in mistakes.items() if _are_equal(yours, wrong)]
    words = words or ["work out by hand the first number that differs"]
    print("not equal:", "; ".join(words))


def _explain(function: Pass, error: Exception) -> None:
    """Print the error that a student's function has raised, and what may help."""
    text = f"{type(error).__name__}: {error}"
    print(f"{function.__name__} stops with an error. {text}")
    for word, hint in HINTS.items():
        if word in text:
            print(hint)


def _compare_shapes(name: str, mine: np.ndarray, right: np.ndarray) -> list[str]:
    """Return what is wrong with the shape of an array, in a list of one or none."""
    if _are_equal([mine], [right]):
        return []
    if _are_equal([mine.T], [right]):
        return [f"the rows and columns of {name} are exchanged, so a .T is misplaced"]
    if mine.shape != right.shape:
        return [f"{name} has the shape {mine.shape}, but {right.shape} is wanted"]
    return []


def _are_equal(some: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> bool:
    return all(
        one.shape == other.shape and np.allclose(one, other)
        for one, other in zip(some, others, strict=True)
    )


def _describe(array: np.ndarray) -> str:
    """Return the numbers of an array, with a semicolon after each row."""
    rows = np.atleast_2d(array) + 0.0  # which makes -0.0 the same as 0.0
    rows = rows.reshape(-1, rows.shape[-1])
    return "; ".join(" ".join(f"{value:g}" for value in row) for row in rows)
