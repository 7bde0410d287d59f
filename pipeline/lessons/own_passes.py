"""Check the passes and lines that a student writes in learn.ipynb.

The first argument of each `check_` function is the student's function. Its result is
compared with the result of the correct function, `compute_true`, and with the results
of common mistakes. `replace_incorrect` chooses the passes for training: the student's
passes if they are correct, or else those of helpers.py.
"""

import itertools
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

import helpers
from pipeline.lessons import student_calls
from pipeline.lessons.student_calls import Pass

# The names of the arguments of a backward pass.
BACKWARD = "inputs", "target", "hidden", "scores", "weights"
Arrays = tuple[np.ndarray, ...]
true_backward: Pass = partial(helpers.backward, relu_grad_inactive=0)


def check_forward(forward: Pass, inputs: np.ndarray, weights: Arrays) -> None:
    """Print what a student's forward pass returns, beside the true arrays.

    inputs: (1, I), the inputs of one image.
    weights: the matrices (I, H) and (H, H). The network has as many scores as hidden
        units, so that a student who transposes the second matrix gets scores, too.
    """

    def compute_true(inputs: np.ndarray, weights: Arrays) -> Arrays:
        hidden = np.maximum(0, inputs @ weights[0])
        return hidden, hidden @ weights[1]

    first, second = weights
    sums = inputs @ first
    hidden, scores = compute_true(inputs, weights)
    mistakes = {
        "a sum below 0 is not cut, so the ReLU is missing": (sums, sums @ second),
        "the second matrix must not be transposed here": (hidden, hidden @ second.T),
        "only activations are cut at 0, scores are not": (hidden, scores.clip(0)),
        "return hidden first, and then scores": (scores, hidden),
    }
    arguments = {"inputs": inputs, "weights": weights}
    _compare(("hidden", "scores"), forward, compute_true, arguments, mistakes)


def check_backward(
    backward: Pass, inputs: np.ndarray, target: np.ndarray, weights: Arrays
) -> None:
    """Print the gradients that a student's function returns, beside the true ones.

    inputs, weights: as for `check_forward`.
    target: (1, H), the targets of the scores.
    """

    def compute_true(
        inputs: np.ndarray,
        target: np.ndarray,
        hidden: np.ndarray,
        scores: np.ndarray,
        weights: Arrays,
    ) -> Arrays:
        back = (scores - target) @ weights[1].T * (hidden > 0)
        return inputs.T @ back, hidden.T @ (scores - target)

    first, second = weights
    hidden = np.maximum(0, inputs @ first)
    scores = hidden @ second
    signal = scores - target
    given = inputs, target, hidden, scores, weights
    true = compute_true(*given)
    signals = {
        "": signal,
        "the sign is wrong: it is the score minus the target": -signal,
        "a factor of 2 is too much, because the loss has a half": 2 * signal,
        "the error signal of a score is not squared": signal**2,
    }
    backs = {
        "": second.T,
        "on the way back the second matrix has to be transposed": second,
    }
    slopes: dict[str, Any] = {
        "": hidden > 0,
        "the slope of the ReLU, 0 for an inactive unit, is missing, or you ask >= 0, "
        "which is always true: that is the original's slip": 1,
        "the ReLU's slope is 0 or 1, and not the activation": hidden,
    }
    mistakes = {
        "put hidden > 0 in parentheses, because * comes before >": (
            inputs.T @ (signal @ second.T * hidden > 0),
            true[1],
        ),
        "gradient_1 takes the error signals of the units, not those of the scores": (
            inputs.T @ signal,
            true[1],
        ),
        "return the gradients, and not the weights after a step": (
            first - 0.1 * true[0],
            second - 0.1 * true[1],
        ),
        "return gradient_1 first, and then gradient_2": true[::-1],
    }
    kinds = signals.items(), backs.items(), slopes.items()
    for (why, mine), (also, back), (too, slope) in itertools.product(*kinds):
        words = "; ".join(filter(None, (why, also, too)))
        mistakes[words] = inputs.T @ (mine @ back * slope), hidden.T @ mine
    names = "gradient_1", "gradient_2"
    arguments = dict(zip(BACKWARD, given, strict=True))
    _compare(names, backward, compute_true, arguments, mistakes)


def replace_incorrect(forward: Pass, backward: Pass) -> tuple[Pass, Pass]:
    """Return the forward and the backward pass with which to train.

    A student's pass is returned if it is correct, or else the pass of helpers.py. The
    function also prints which passes it returns.
    """
    chosen = []
    for name, mine, theirs, names in (
        ("forward", forward, helpers.forward, ("inputs", "weights")),
        ("backward", backward, true_backward, BACKWARD),
    ):
        problem = student_calls.find_problem(mine, theirs, names)
        whose = f"that of helpers, because yours {problem}" if problem else "yours"
        print(f"{name}: {whose}")
        chosen.append(theirs if problem else mine)
    return chosen[0], chosen[1]


def check_mean(mean: Pass, inputs: np.ndarray, error_signals: np.ndarray) -> None:
    """Print the mean gradient that a student's function returns, beside the true one.

    inputs: (B, I), the inputs, one row for each image of a batch.
    error_signals: (B, H), the error signals of the hidden units for each image.
    """

    def compute_true(inputs: np.ndarray, signals: np.ndarray) -> Arrays:
        return (inputs.T @ signals / len(inputs),)

    total = inputs.T @ error_signals
    mistakes = {
        "that is the sum, so divide it by the number of images": (total,),
        "divide by the number of images, not of inputs": (total / inputs.shape[1],),
        "the mean of products is not the product of the means": (
            np.outer(inputs.mean(axis=0), error_signals.mean(axis=0)),
        ),
    }
    arguments = {"inputs": inputs, "signals": error_signals}
    _compare(("mean",), mean, compute_true, arguments, mistakes)


def check_slope(slope: Pass, hidden: np.ndarray) -> None:
    """Print the slopes of the ReLU that a student's function returns.

    The function compares them with the slopes that the original has.

    hidden: (N, H), the activations, which are never below 0.
    """

    def compute_true(hidden: np.ndarray) -> Arrays:
        return (np.ones_like(hidden),)

    strict = 1.0 * (hidden > 0)
    mistakes = {"that is the true slope, but the original has >=": (strict,)}
    _compare(("slope",), slope, compute_true, {"hidden": hidden}, mistakes)


def check_mask(mask: Pass, draws: np.ndarray) -> None:
    """Print the dropout mask that a student's function returns, beside the true one.

    The mask drops half of the units on average.

    draws: (1, H), a random number from 0 to 1 for each unit.
    """

    def compute_true(draws: np.ndarray) -> Arrays:
        return ((draws >= 0.5) / 0.5,)

    kept = draws >= 0.5
    mistakes = {
        "a unit that is kept has to count twice": (1.0 * kept,),
        "a unit that is kept counts twice, not half": (0.5 * kept,),
        "the units with a draw below 0.5 are the ones to drop": (2.0 * ~kept,),
    }
    _compare(("mask",), mask, compute_true, {"draws": draws}, mistakes)


def _compare(
    names: Sequence[str],
    function: Pass,
    compute_true: Pass,
    arguments: Mapping[str, Any],
    mistakes: Mapping[str, Arrays],
) -> None:
    """Print each of the student's arrays beside the true one, and what is wrong.

    names: the names of the arrays that both functions return.
    function: the student's function.
    compute_true: the correct function.
    arguments: the arguments of both functions, by name.
    mistakes: the arrays that common mistakes give, by an explanation of the mistake.
    """
    try:
        found, changed = student_calls.call_function(function, arguments)
    except Exception as error:  # noqa: BLE001 - a student may make any mistake
        student_calls.print_error(function, error)
        return
    if all(each is ... for each in found):
        verb = "is" if len(names) == 1 else "are"
        print(f"{' and '.join(names)} {verb} not written yet")
        return
    true = compute_true(*arguments.values())
    try:
        pairs = [
            (name, None if mine is ... else np.asarray(mine, float), right)
            for name, mine, right in zip(names, found, true, strict=True)
        ]
    except (TypeError, ValueError):
        wanted = " and ".join(names)
        print(f"not equal: your function has to return arrays of numbers, {wanted}.")
        return
    words = []
    for pair in pairs:
        words += _print_pair(*pair)
    written = [i for i, (_, mine, _) in enumerate(pairs) if mine is not None]
    yours = [mine for _, mine, _ in pairs if mine is not None]
    is_equal = student_calls.are_equal(yours, [true[i] for i in written])
    if not is_equal:
        words += [
            why
            for why, wrong in mistakes.items()
            if student_calls.are_equal(yours, [wrong[i] for i in written])
        ][:1]
        words = words or ["work out by hand the first number that differs"]
    if changed:
        words += [f"it changes {changed}: a -= b changes a, while c = a - b does not"]
    elif is_equal and len(written) == len(pairs):
        problem = student_calls.find_problem(function, compute_true, [*arguments])
        if problem:
            words = [f"for a network of other sizes and numbers it {problem}"]
    if words:
        print("right on paper, but" if is_equal else "not equal:", "; ".join(words))
    else:
        print("equal" if len(written) == len(pairs) else "right so far")


def _print_pair(name: str, found: np.ndarray | None, true: np.ndarray) -> list[str]:
    """Print a student's array beside the true one.

    found: the student's array, or None if it is not written yet.

    Return what is wrong with the array's shape, or an empty list if the shape is right.
    """
    if found is None:
        print(f"{name:10} not written yet")
        return []
    print(f"{name:10} yours {_format_array(found)} / true {_format_array(true)}")
    if student_calls.are_equal([found], [true]):
        return []
    if student_calls.are_equal([found.T], [true]):
        return [f"the rows and columns of {name} are exchanged, so a .T is misplaced"]
    if found.shape != true.shape:
        return [f"{name} has the shape {found.shape}, but {true.shape} is wanted"]
    return []


def _format_array(array: np.ndarray) -> str:
    """Return the numbers of an array as a text, with semicolons between the rows."""
    rows = np.atleast_2d(array) + 0.0  # makes -0.0 the same as 0.0
    rows = rows.reshape(-1, rows.shape[-1])
    return "; ".join(" ".join(f"{value:g}" for value in row) for row in rows)
