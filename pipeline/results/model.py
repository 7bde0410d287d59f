"""Store and read a trained network."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import digests
from pipeline.errors import InvalidInput
from pipeline.images import data
from pipeline.images.arrays import (
    Arrays,
    Layout,
    Weights,
    check_layout,
    read_arrays,
    to_npz,
)
from pipeline.images.data import Classes

WEIGHTS = "weights_{}_{}"  # a matrix is named after the two layers that it connects


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network, with all that is needed to classify images.

    weights: float64 matrices, as the functions of helpers.py take and return them.
    normalisation: the number by which pixels are divided.
    classes: the names of the classes.
    """

    weights: Weights
    normalisation: float
    classes: Classes = data.DIGITS

    @classmethod
    def read(cls, path: Path, advice: str) -> "Model":
        """Read a model.npz. Raises InvalidFile if the file is missing or damaged."""
        layout: Layout = {"normalisation": ("float64", ())}
        arrays = read_arrays(path, layout, advice)
        weights = select_weights(arrays, path, advice)
        normalisation = float(arrays["normalisation"])
        return cls(weights, normalisation, data.read_classes(arrays))

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of the weights. It is also recorded in metrics.json."""
        return digests.digest_arrays(*self.weights)

    def to_bytes(self) -> bytes:
        """Return the content of model.npz.

        Raises InvalidInput if the weights are not a tuple of float64 matrices.
        """
        arrays = name_weights(self.weights) | self.classes.to_arrays()
        return to_npz(normalisation=float(self.normalisation), **arrays)


def name_weights(weights: Weights) -> dict[str, np.ndarray]:
    """Return the weight matrices by their names: weights_0_1, weights_1_2, and so on.

    Raises InvalidInput if the weights are not a tuple of float64 matrices.
    """
    check_weights(weights)
    return {WEIGHTS.format(i, i + 1): each for i, each in enumerate(weights)}


def check_weights(weights: Weights) -> None:
    """Raise InvalidInput if the weights are not a tuple of float64 matrices."""
    if not isinstance(weights, tuple):
        kind = type(weights).__name__
        problem = f"The weights of helpers.py are a {kind}, but must be a tuple"
        raise InvalidInput(f"{problem} of float64 matrices. Change initial_weights.")
    for i, matrix in enumerate(weights):
        name = WEIGHTS.format(i, i + 1)
        array = np.asarray(matrix)
        if array.ndim != 2 or array.dtype != np.float64:
            problem = f"{name} of helpers.py is {array.dtype} {array.shape}"
            needed = "a float64 matrix, such as (1, H) for a bias"
            raise InvalidInput(f"{problem}, but must be {needed}.")


def select_weights(arrays: Arrays, path: Path, advice: str) -> Weights:
    """Return the weight matrices of a file, in the order of the layers.

    arrays: all arrays in the file, by name.
    path, advice: the path of the file and a sentence of advice, for the error message.

    Raises InvalidFile if a matrix is missing or is not a float64 matrix.
    """
    count = sum(name.startswith("weights") for name in arrays)
    at_least_one = max(count, 1)  # so that a file without weights is refused
    names = [WEIGHTS.format(i, i + 1) for i in range(at_least_one)]
    layout: Layout = {
        name: ("float64", (f"rows of {name}", f"columns of {name}")) for name in names
    }
    check_layout(arrays, layout, path, advice)
    return tuple(arrays[name] for name in names)
