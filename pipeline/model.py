"""Hold a trained network, as model.npz has it."""

from dataclasses import dataclass

import numpy as np

from pipeline import storage
from pipeline.images import DIGITS, Classes
from pipeline.parameters import Parameters
from pipeline.readers import Layout
from pipeline.records import History, Metrics

MODEL: Layout = {
    "weights_0_1": ("float64", (784, "H")),
    "weights_1_2": ("float64", ("H", 10)),
    "normalisation": ("float", ()),
}


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network: weights_0_1 (784, H), weights_1_2 (H, 10), what its pixels are divided by, and its classes."""

    weights_0_1: np.ndarray
    weights_1_2: np.ndarray
    normalisation: float
    classes: Classes = DIGITS

    @property
    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        return self.weights_0_1, self.weights_1_2

    @property
    def hidden_size(self) -> int:
        return int(self.weights_0_1.shape[1])

    @property
    def is_finite(self) -> bool:
        return all(np.isfinite(numbers).all() for numbers in (*self.weights, self.normalisation))

    @property
    def sha256(self) -> str:
        return storage.sha256_of(*self.weights)

    def contradiction(self, chosen: Parameters, history: History, metrics: Metrics) -> str:
        """Return what shows that it was trained with other parameters, or not measured so; nothing if all agrees."""
        if self.sha256 != metrics.weights_sha256:
            return "metrics.json was measured on another network than model.npz holds"
        made = {"hidden_size": self.hidden_size, "normalisation": self.normalisation, "epochs": len(history)}
        other = [name for name, value in made.items() if value != getattr(chosen, name)]
        return f"{other[0]} is {getattr(chosen, other[0])} in run.json, but was {made[other[0]]}" if other else ""
