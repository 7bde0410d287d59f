"""Check the functions that a reader writes in learn.ipynb and choose.ipynb.

The first shape or number that is wrong is printed, and the known mistakes that give the
same results. Wrong numbers are looked for in the network on paper
and in a random one, in which no two layers have equal sizes. Causes are compared on
paper and in a square one, whose layers have four each: there a forgotten .T, which the
network on paper lets pass, raises no error either.
"""

import re
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

FORWARD = """
def run(inputs, weights):
    weights_1, weights_2 = weights
    sums = inputs @ weights_1
    hidden = np.maximum(0, sums)
    scores = hidden @ weights_2
    return hidden, scores
"""
BACKWARD = """
def run(inputs, target, hidden, scores, weights):
    weights_1, weights_2 = weights
    signal = scores - target
    back = signal @ weights_2.T
    hidden_signal = back * (hidden > 0)
    gradient_1 = inputs.T @ hidden_signal
    gradient_2 = hidden.T @ signal
    results = gradient_1, gradient_2
    return results
"""
# Each line may stand in the place of the line of the same name, and says what it means.
MISTAKES = """
hidden = sums  # the sums are not cut at 0
hidden = np.abs(sums)  # sums below 0 only lose their sign
hidden = sums > 0  # active units pass on 1 instead of their sums
hidden = factor * np.maximum(0, sums)  # the activations are multiplied by {factor:g}
scores = sums @ weights_2  # the scores come from sums that are not cut at 0
scores = hidden @ weights_2.T  # weights_2 is transposed
scores = np.maximum(0, hidden @ weights_2)  # the scores are cut at 0, too
scores = factor * hidden @ weights_2  # the scores are multiplied by {factor:g}
signal = factor * (scores - target)  # both gradients are multiplied by {factor:g}
signal = (scores - target) / scores.size  # a mean over the scores is taken
signal = 2 * (scores - target) / scores.size  # twice a mean over the scores is taken
signal = (scores - target) ** 2  # scores - target is squared
signal = (scores - target) ** 2 / 2  # the loss stands in the place of its slope
signal = np.abs(scores - target)  # scores - target loses its sign
signal = np.maximum(0, scores - target)  # scores - target is cut at 0
signal = scores  # the target is not subtracted
signal = target  # the target stands in the place of scores - target
signal = -target  # minus the target stands in the place of scores - target
back = signal @ weights_2  # weights_2 is not transposed on the way back
back = signal  # the way back leaves out weights_2
hidden_signal = back  # inactive units have the slope 1
hidden_signal = back * (hidden <= 0)  # inactive units have the slope 1, active ones 0
hidden_signal = back * hidden  # the slope of a unit is its activation
hidden_signal = np.maximum(0, back)  # what comes back is cut at 0, not the slope
hidden_signal = np.maximum(0, back) * (hidden > 0)  # what comes back is cut at 0, too
hidden_signal = np.abs(back) * (hidden > 0)  # what comes back loses its sign
hidden_signal = factor * back * (hidden > 0)  # gradient_1 is multiplied by {factor:g}
gradient_1 = inputs.T @ signal  # gradient_1 comes from scores_signal
gradient_1 = hidden_signal.T @ inputs  # gradient_1 is transposed
gradient_2 = hidden.T @ hidden_signal  # gradient_2 comes from hidden_signal
gradient_2 = signal.T @ hidden  # gradient_2 is transposed
gradient_2 = factor * hidden.T @ signal  # gradient_2 is multiplied by {factor:g}
results = gradient_2, gradient_1  # the two results are swapped
results = inputs.T @ signal, hidden.T @ hidden_signal  # the two signals are swapped
results = gradient_1.T, gradient_2.T  # both results are transposed
results = weights_1 - 0.1 * gradient_1, weights_2 - 0.1 * gradient_2  # a step was made
"""


def check_line(name: str, function: Any, *arrays: Any) -> None:
    """Print whether a function returns what the function in `LINES` returns."""
    wrong, _ = find_difference([name], function, LINES[name], {"": arrays})
    print(wrong or "equal")


def check(forward: Any, backward: Any, *paper: Any) -> list[bool]:
    """Print and return whether each pass is right.

    paper: the inputs, the targets and the weights of the network on paper. These arrays
        become read-only, so that a pass that changes them stops with an error.
    """
    __tracebackhide__ = True  # an error shows the reader's own lines
    cases = [make_case(*paper), draw_case(13, 5, 4, 3), draw_case(6, 4, 4, 4)]
    ends = [case[::4] for case in cases]  # the inputs and the weights
    gradients = ["gradient_1", "gradient_2"]
    return [
        check_pass("forward", ["hidden", "scores"], forward, FORWARD, ends, 1),
        check_pass("backward", gradients, backward, BACKWARD, cases, -1),
    ]


def draw_case(seed: int, inputs: int, units: int, scores: int) -> Any:
    """Return the arguments of a backward pass in a random network."""
    draw = np.random.RandomState(seed).randn
    images = draw(1, inputs), draw(1, scores)
    return make_case(*images, (draw(inputs, units), draw(units, scores)))


def make_case(inputs: Any, target: Any, weights: Any) -> Any:
    """Return the arguments of a backward pass, as read-only arrays."""
    passed = helpers.forward(inputs, weights)
    for array in (inputs, target, *passed, *weights):
        array.flags.writeable = False
    return inputs, target, *passed, weights


def check_pass(
    title: str, names: list[str], function: Any, lines: str, cases: Any, step: int
) -> bool:
    """Print whether a pass is right, and if not, which mistakes give its results.

    names: what its two results are called.
    lines: the right pass.
    cases: the arguments on paper, in the random network and in the square one.
    step: 1, or -1 to compare the last result first.
    """
    __tracebackhide__ = True
    paper, random, square = cases
    sought = {"": paper, "in a random network, ": random}
    wrong, factor = find_difference(names, function, define(lines), sought, step)
    print(f"{title} pass:", wrong or "equal")
    compared = {"": paper, "in a square network, ": square}
    meanings = list_mistakes(names, function, lines, factor, compared) if wrong else []
    if meanings:
        print(f"This is the result if {', or if '.join(meanings)}.")
    return not wrong


def list_mistakes(
    names: list[str], function: Any, lines: str, factor: float, cases: Any
) -> list[str]:
    """Return what those mistakes mean that give the same results in all cases."""
    meanings = []
    for mistake in MISTAKES.format(factor=factor).strip().splitlines():
        line, meaning = mistake.split("  # ")
        name = line.split(" = ")[0]
        mistaken = re.sub(rf"\b{name} = .*", line, lines)
        together = names, function, define(mistaken, factor), cases
        if mistaken != lines and not find_difference(*together)[0]:
            meanings.append(meaning)
    return meanings


def define(lines: str, factor: float = 1) -> Any:
    """Return the pass that these lines define."""
    names = {"np": np, "factor": factor}
    exec(lines, names)
    return names["run"]


def find_difference(
    names: list[str],
    function: Any,
    expected: Any,
    cases: dict[str, Any],
    step: int = 1,
) -> tuple[str, float]:
    """Return where the results of two functions first differ, and by which factor.

    The text is "" if all results are equal. If the factor is 0 or unknown, it is NaN.

    names: what the results are called.
    cases: the arguments of each call, by where they come from.
    step: 1, or -1 to compare the last result first.
    """
    __tracebackhide__ = True
    if ... in function.__code__.co_consts:
        return "not written yet, because a ... is left", np.nan
    for where, case in cases.items():
        right, found = expected(*case), function(*case)
        if len(names) == 1:
            right, found = (right,), (found,)
        if not isinstance(found, tuple):
            return "return both results, with a comma between them", np.nan
        results = [*zip(names, found, right, strict=True)]
        for name, result, true in results[::step]:
            mine = np.array(result, float)
            if mine.shape != true.shape:
                shapes = f"the shape {mine.shape}, not {true.shape}"
                return f"{where}{name} has {shapes}", np.nan
            for place, number in np.ndenumerate(true):
                if not np.isclose(mine[place], number):
                    numbers = f"{mine[place] + 0:g}, not {number + 0:g}"
                    factor = mine[place] / number if number and mine[place] else np.nan
                    return f"{where}{name}{list(place)} is {numbers}", factor
    return "", np.nan
