"""Check the functions that a reader writes in learn.ipynb and choose.ipynb.

The first shape or number that is wrong is printed. Each pass is called twice: for the
network on paper, and for a random network, in which no two layers have equal sizes.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import helpers

Function = Callable[..., Any]
LINES: dict[str, Function] = {  # what a function of one line returns, by its name
    "mean": lambda inputs, signals: inputs.T @ signals / len(inputs),
    "slope": helpers.relu_derivative,
    "mask": lambda draws: 2 * (draws >= 0.5),
}
true_backward = partial(helpers.backward, relu_grad_inactive=0)


def check_line(name: str, function: Function, *arrays: Any) -> None:
    """Print whether a function returns what the function in `LINES` returns."""
    print(find_difference(name, function, LINES[name], {"": arrays}) or "equal")


def check(forward: Function, backward: Function, *paper: Any) -> list[bool]:
    """Print and return whether each pass is right.

    paper: the inputs, the targets and the weights of the network on paper. These arrays
        become read-only, so that a pass that changes them stops with an error.
    """
    __tracebackhide__ = True  # an error shows the reader's own lines
    draw = np.random.RandomState(1).standard_normal
    cases = {
        "": make_case(*paper),
        "in a random network, ": make_case(
            draw((1, 5)), draw((1, 3)), (draw((5, 4)), draw((4, 3)))
        ),
    }
    ends = {where: (case[0], case[-1]) for where, case in cases.items()}
    wrong = find_difference("hidden scores", forward, helpers.forward, ends)
    print("forward pass:", wrong or "equal")
    passes = "gradient_1 gradient_2", backward
    also_wrong = find_difference(*passes, true_backward, cases)
    print("backward pass:", also_wrong or "equal")
    for mistaken, reason in (
        (negate, "This is the result of target - scores, not of scores - target."),
        (helpers.backward, "This is the result if inactive units have the slope 1."),
    ):
        if also_wrong and not find_difference(*passes, mistaken, cases):
            print(reason)
    return [not wrong, not also_wrong]


def negate(*case: Any) -> Any:
    """Return the gradients with the wrong sign."""
    return tuple(-each for each in true_backward(*case))


def make_case(inputs: Any, target: Any, weights: Any) -> Any:
    """Return the arguments of a backward pass, as read-only arrays."""
    passed = helpers.forward(inputs, weights)
    for array in (inputs, target, *passed, *weights):
        array.flags.writeable = False
    return inputs, target, *passed, weights


def find_difference(
    names: str, function: Function, expected: Function, cases: dict[str, Any]
) -> str:
    """Return where the results of two functions first differ, or "".

    names: of the results, with a space between two.
    cases: the arguments of each call, by where they come from.
    """
    __tracebackhide__ = True
    for where, case in cases.items():
        right, found = expected(*case), function(*case)
        if " " not in names:
            right, found = (right,), (found,)
        for name, result, true in zip(names.split(), found, right, strict=True):
            if result is ...:
                return f"{name} is not written yet"
            mine = np.array(result, float)
            if mine.shape != true.shape:
                return f"{where}{name} has the shape {mine.shape}, not {true.shape}"
            for place in np.argwhere(~np.isclose(mine, true)).tolist():
                at = tuple(place)
                return f"{where}{name}{place} is {mine[at]:g}, not {true[at] + 0:g}"
    return ""
