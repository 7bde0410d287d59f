"""Tell whether the compiled loops compute what helpers.py computes."""

import inspect
from functools import cache
from importlib.util import module_from_spec
from types import CodeType
from typing import Any

import numpy as np

import helpers
from helpers import PIXELS
from pipeline import loops

TOLERANCE = 1e-12  # relative, because both add the same numbers in different orders


@cache
def agrees_with_helpers() -> bool:
    """Return whether the loops give the same results as helpers, to TOLERANCE.

    Both train, predict and evaluate with the same few images, and the results are
    compared. Shapes and types are compared before that, because Numba checks no bounds.
    An error in helpers or in a loop counts as a difference. A second copy of helpers is
    imported for the comparison, so that whatever helpers keeps between epochs stays as
    it was.
    """
    try:
        twin = _load_twin()
        return _gives_known_arrays(twin) and all(
            _trains_and_predicts_alike(twin, slope) for slope in (0.0, 1.0)
        )
    except Exception:  # noqa: BLE001 - of whatever somebody writes into helpers.py
        return False


def _load_twin() -> Any:
    """Import helpers.py a second time, and return this copy.

    Raises ImportError if the file has been changed since helpers was imported.
    """
    spec: Any = helpers.__spec__
    twin = module_from_spec(spec)
    spec.loader.exec_module(twin)
    for name, function in inspect.getmembers(helpers, inspect.isfunction):
        ours, theirs = map(inspect.unwrap, (function, getattr(twin, name)))
        if strip_lines(ours.__code__) != strip_lines(theirs.__code__):
            raise ImportError(f"{name} has been changed")
    return twin


def strip_lines(code: CodeType) -> CodeType:
    """Return the code of a function without its place in the file."""
    constants = (
        strip_lines(each) if isinstance(each, CodeType) else each
        for each in code.co_consts
    )
    return code.replace(co_firstlineno=1, co_linetable=b"", co_consts=tuple(constants))


def _gives_known_arrays(twin: Any) -> bool:
    """Return whether helpers has the names, shapes and types that the loops need."""
    rng = np.random.RandomState(0)
    images = np.ones((3, PIXELS), np.uint8)
    vector = np.linspace(-1, 1, 5)
    checks: list[tuple[Any, tuple[int, ...], str]] = [
        (twin.scale(loops.PIXEL_VALUES, 255), (256,), "float64"),
        (twin.dropout_mask(rng, (3, 5), 0.5), (3, 5), "float64"),
        (twin.drop_pixels(images, rng, 0.5), (3, PIXELS), "uint8"),
        (twin.relu(vector), (5,), "float64"),
        (twin.relu_derivative(vector, 0.0), (5,), "float64"),
    ]
    for array, shape, dtype in checks:
        if array.shape != shape or array.dtype.name != dtype:
            return False
    theirs = inspect.signature(twin.train_epoch).parameters.keys()
    ours = inspect.signature(loops.train_epoch).parameters.keys()
    return theirs == ours | {"batch_size"} and loops.fits(twin.initial_weights(rng, 5))


def _trains_and_predicts_alike(twin: Any, relu_grad_inactive: float) -> bool:
    """Return whether the loops and the copy of helpers agree, to TOLERANCE.

    Both train for two epochs on three images, predict and evaluate.
    """
    rng = np.random.RandomState(0)
    images = rng.randint(256, size=(3, PIXELS)).astype(np.uint8)
    images[rng.random_sample(images.shape) < 0.8] = 0  # a digit's share of paper
    labels = np.array([3, 0, 9], np.uint8)
    options = {
        "normalisation": 100.0,
        "learning_rate": 0.01,
        "dropout_rate": 0.5,
        "input_dropout_rate": 0.2,
        "relu_grad_inactive": relu_grad_inactive,
    }
    results = []
    for network in (loops, twin):
        generators = twin.generators(1)
        # With one unit more than a block, a ReLU that is not elementwise is noticed.
        weights = twin.initial_weights(generators[0], loops.UNITS_PER_BLOCK + 1)
        arguments = images, labels, weights
        first = network.train_epoch(*arguments, *generators, **options)
        second = network.train_epoch(*arguments, *generators, **options)
        scores = network.predict(images, weights, 100.0)
        metrics = network.evaluate(*arguments, 100.0)
        results.append([first, second, *weights, scores, metrics])
    return all(
        np.max(np.abs(np.subtract(ours, theirs))) <= TOLERANCE * np.max(np.abs(theirs))
        for ours, theirs in zip(*results, strict=True)
    )
