"""Check the functions that a reader writes in learn.ipynb and choose.ipynb.

The first shape or number that is wrong is printed. Each pass is called twice: for the
network on paper, and for a random network, in which no two layers have equal sizes.
"""

from functools import partial
from typing import Any

import numpy as np

import helpers


def find_softmax_signal(scores: Any, target: Any) -> Any:
    """Return how fast the cross-entropy of the softmax grows with each score."""
    powers = np.exp(scores)
    return powers / powers.sum() - target


def find_leaky_signal(sums: Any, weights_2: Any, target: Any) -> Any:
    """Return how fast the loss grows with each sum before a leaky ReLU."""
    slope = np.where(sums > 0, 1, 0.1)
    return (sums * slope @ weights_2 - target) @ weights_2.T * slope


LINES = {  # what a function of one line returns, by its name
    "leaky": find_leaky_signal,
    "softmax": find_softmax_signal,
    "velocity": lambda velocity, gradient: 0.9 * velocity - 0.0005 * gradient,
    "mean": lambda inputs, signals: inputs.T @ signals / len(inputs),
    "slope": helpers.relu_derivative,
    "mask": lambda draws: 2 * (draws >= 0.5),
}
true_backward = partial(helpers.backward, relu_grad_inactive=0)
CAUSES = {  # what is said of gradients that equal those of a mistaken function
    "Both gradients have the opposite sign.": lambda *case: [
        -gradient for gradient in true_backward(*case)
    ],
    "This is the result if inactive units have the slope 1.": helpers.backward,
}


def check_line(name: str, function: Any, *arrays: Any) -> None:
    """Print whether a function returns what the function in `LINES` returns."""
    print(find_difference([name], function, LINES[name], {"": arrays}) or "equal")


def check(forward: Any, backward: Any, *paper: Any) -> list[bool]:
    """Print and return whether each pass is right.

    paper: the inputs, the targets and the weights of the network on paper. These arrays
        become read-only, so that a pass that changes them stops with an error.
    """
    __tracebackhide__ = True  # an error shows the reader's own lines
    draw = np.random.RandomState(13).randn
    cases = {
        "": make_case(*paper),
        "in a random network, ": make_case(
            draw(1, 5), draw(1, 3), (draw(5, 4), draw(4, 3))
        ),
    }
    ends = {where: (case[0], case[-1]) for where, case in cases.items()}
    wrong = find_difference(["hidden", "scores"], forward, helpers.forward, ends)
    print("forward pass:", wrong or "equal")
    passes = ["gradient_1", "gradient_2"], backward
    also_wrong = find_difference(*passes, true_backward, cases, -1)
    print("backward pass:", also_wrong or "equal")
    for cause, mistaken in CAUSES.items():
        if not find_difference(*passes, mistaken, cases):
            print(cause)
    return [not wrong, not also_wrong]


def make_case(inputs: Any, target: Any, weights: Any) -> Any:
    """Return the arguments of a backward pass, as read-only arrays."""
    passed = helpers.forward(inputs, weights)
    for array in (inputs, target, *passed, *weights):
        array.flags.writeable = False
    return inputs, target, *passed, weights


def find_difference(
    names: list[str],
    function: Any,
    expected: Any,
    cases: dict[str, Any],
    step: int = 1,
) -> str:
    """Return where the results of two functions first differ, or what is missing.

    The text is "" if all results are equal.

    names: what the results are called.
    cases: the arguments of each call, by where they come from.
    step: 1, or -1 to compare the last result first.
    """
    __tracebackhide__ = True
    if ... in function.__code__.co_consts:
        return "not written yet, because a ... is left"
    for where, case in cases.items():
        right, found = expected(*case), function(*case)
        if len(names) == 1:
            right, found = (right,), (found,)
        if not isinstance(found, tuple):
            return "return both results, with a comma between them"
        results = [*zip(names, found, right, strict=True)]
        for name, result, true in results[::step]:
            mine = np.array(result, float)
            if mine.shape != true.shape:
                return f"{where}{name} has the shape {mine.shape}, not {true.shape}"
            for place, number in np.ndenumerate(true):
                if not np.isclose(mine[place], number):
                    which = f"{where}{name}{list(place)}"
                    return f"{which} is {mine[place] + 0:g}, not {number + 0:g}"
    return ""
