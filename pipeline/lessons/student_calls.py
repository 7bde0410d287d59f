"""Call a student's functions from learn.ipynb, and explain their errors."""

import copy
import linecache
import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import helpers

# Hints about errors. The key of a hint is a word in the message of the error.
HINTS = {
    "matmul": "The array left of an @ needs as many columns as the right one has rows. "
    "The comments give the shapes, and an image is one row, such as (1, 784).",
    "broadcast": "These shapes do not match. The comments give the right ones.",
    "ambiguous": "One number is needed: np.maximum compares each entry, max does not.",
    "item assignment": "weights is a tuple, so move each matrix in it: matrix -= ...",
}
Pass = Callable[..., Any]


def call_function(
    function: Pass, arguments: Mapping[str, Any]
) -> tuple[Sequence[Any], str]:
    """Call a student's function with copies of these arguments.

    Return what the function returned, as a sequence, and the names of the arguments
    that the function has changed, joined by "and".
    """
    copies = copy.deepcopy(dict(arguments))
    found = function(*copies.values())
    changed = [
        name
        for name, given in arguments.items()
        if not all(map(np.array_equal, given, copies[name]))
    ]
    return found if isinstance(found, tuple | list) else [found], " and ".join(changed)


def find_problem(function: Pass, compute_true: Pass, names: Sequence[str]) -> str:
    """Return why a student's function is not correct, in a few words.

    function: the student's function.
    compute_true: the correct function.
    names: the names of the arguments of both functions.

    Both functions are called with the numbers of a small random network, in which no
    two layers have equal sizes. Return "" if the student's function is correct.
    """
    rng = np.random.RandomState(1)
    weights = rng.uniform(-1, 1, (5, 4)), rng.uniform(-1, 1, (4, 3))
    inputs, target = rng.uniform(0, 1, (1, 5)), np.eye(3)[:1]
    hidden, scores = helpers.forward(inputs, weights)
    known = {"inputs": inputs, "target": target, "weights": weights}
    known |= {"hidden": hidden, "scores": scores}
    known |= {"signals": rng.uniform(-1, 1, (1, 4)), "draws": rng.uniform(0, 1, (1, 4))}
    arguments = {name: known[name] for name in names}
    true = compute_true(*arguments.values())
    try:
        found, changed = call_function(function, arguments)
        if any(each is ... for each in found):
            return "is not written yet"
        if changed:
            return f"changes {changed}, which it must not change"
        if are_equal([np.asarray(each, float) for each in found], true):
            return ""
    except Exception as error:  # noqa: BLE001 - a student may make any mistake
        line, values = find_line(function, error)
        if any(each is ... for each in values.values()):
            return "is not written yet"
        text = str(error).strip()
        return f"stops with {type(error).__name__}: {text}, in the line {line}"
    return "computes something else"


def print_error(function: Pass, error: Exception) -> None:
    """Print the error that a student's function has raised, and a hint about it.

    The function also prints the line that has raised the error, and the shapes of the
    arrays in that line.
    """
    if not callable(function):
        print("Pass the function itself, by its name without parentheses behind it.")
        return
    text = f"{type(error).__name__}: {error}"
    print(f"{getattr(function, '__name__', 'it')} stops with an error. {text}")
    line, values = find_line(function, error)
    if line:
        print(f"in the line: {line}")
    shapes = [
        f"{name} is not written yet" if each is ... else f"{name} {each.shape}"
        for name, each in values.items()
    ]
    if shapes:
        print("where the shapes are:", ", ".join(shapes))
    if any(each is ... for each in values.values()):
        return
    for word, hint in HINTS.items():
        if word in text:
            print(hint)


def find_line(function: Pass, error: Exception) -> tuple[str, dict[str, Any]]:
    """Return the line of a student's function that has raised an error.

    Also return the values of the variables in that line, by name. Only arrays are
    included, and each `...` that the student has not replaced yet. If the error was not
    raised inside the function, return "" and {}.
    """
    code = getattr(function, "__code__", None)
    frames = [*traceback.walk_tb(error.__traceback__)]
    places = traceback.extract_tb(error.__traceback__)
    for (frame, number), place in zip(frames, places, strict=True):
        if frame.f_code is code:
            lines = linecache.getlines(frame.f_code.co_filename)
            lines = lines[number - 1 : place.end_lineno]
            line = " ".join(each.partition("#")[0].strip() for each in lines)
            names = dict.fromkeys(re.findall(r"\w+", line))
            local = {name: frame.f_locals.get(name) for name in names}
            return line, {
                name: value
                for name, value in local.items()
                if value is ... or isinstance(value, np.ndarray)
            }
    return "", {}


def are_equal(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> bool:
    """Return whether two lists of arrays have equal shapes and nearly equal values."""
    return len(first) == len(second) and all(
        one.shape == other.shape and np.allclose(one, other, atol=1e-12)
        for one, other in zip(first, second, strict=True)
    )
