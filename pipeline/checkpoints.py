"""Save a training every few seconds, so that it can continue after it was killed.

A training that continues gives the same weights, to the last bit, as one without a
break.
"""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from IPython import get_ipython

from pipeline import provenance
from pipeline.arrays import Layout, Weights, read_arrays, to_npz
from pipeline.data import Data
from pipeline.errors import Diverged, InvalidFile
from pipeline.files import write_whole
from pipeline.model import name_weights, take_weights
from pipeline.records import History
from pipeline.run_folder import DIVERGED_ADVICE, RunFolder

SECONDS = 2.0  # between two saves
LAYOUT: Layout = {"identity": ("U", ()), "progress": ("U", ())}
# Digested on import, because a session keeps the code that it has imported.
IMPORTED_CODE = provenance.digest_code()


@dataclass
class Checkpoint:
    """What a training needs to continue after an epoch, apart from its generators.

    The learning rate is that of the next epoch. Raises InvalidInput if the weights
    cannot be stored, so that a training is refused before its first epoch and not after
    its last.
    """

    weights: Weights
    history: History
    learning_rate: float

    def __post_init__(self) -> None:
        name_weights(self.weights)


class Checkpoints:
    """Save and load the checkpoints of one training.

    A checkpoint is loaded only if all that the training depends on is the same. A
    training that takes less than SECONDS writes no checkpoint.

    hyperparameters: every parameter that the weights depend on.
    """

    def __init__(
        self, folder: RunFolder, trained_on: Data, hyperparameters: Mapping[str, float]
    ) -> None:
        folder.check_free([folder.checkpoint_path.name])
        shell = get_ipython()
        versions = provenance.find_versions(provenance.PACKAGES)
        self.path, self.saved_at = folder.checkpoint_path, time.monotonic()
        self.depends_on = [
            trained_on.sha256,
            dict(hyperparameters),
            IMPORTED_CODE,
            versions,
        ]
        self.cells: list[str] = shell.user_ns["In"] if shell else [""]

    @property
    def identity(self) -> str:
        """Return all that the training depends on, as JSON.

        The source of the cell that trains is part of it.
        """
        return json.dumps([*self.depends_on, self.cells[-1]], sort_keys=True)

    def load(self, *generators: np.random.RandomState) -> Checkpoint | None:
        """Read the checkpoint, and set the generators to their states in it.

        Return None if there is no checkpoint, or if it cannot be used; then print why.
        """
        if not self.path.exists():
            return None
        try:
            next_step = "Training starts from the beginning."
            arrays = read_arrays(self.path, LAYOUT, next_step)
            weights = take_weights(arrays, self.path, next_step)
        except InvalidFile as error:
            print(error)
            return None
        if str(arrays["identity"]) != self.identity:
            print(
                f"{self.path.name} is of other parameters, data or code, "
                "and is not used."
            )
            return None
        progress = json.loads(str(arrays["progress"]))
        for generator, state in zip(generators, progress.pop("states"), strict=True):
            generator.set_state(state)
        print(
            f"Continuing after epoch {len(progress['history'])}, from {self.path.name}."
        )
        return Checkpoint(weights, **progress)

    def save_when_due(
        self, checkpoint: Checkpoint, *generators: np.random.RandomState
    ) -> None:
        """Save the checkpoint if the last save was at least SECONDS ago."""
        if time.monotonic() - self.saved_at < SECONDS:
            return
        states = [generator.get_state(legacy=False) for generator in generators]
        progress = {
            "history": checkpoint.history,
            "learning_rate": checkpoint.learning_rate,
        }
        text = json.dumps(progress | {"states": states}, default=np.ndarray.tolist)
        weights = name_weights(checkpoint.weights)
        write_whole(self.path, to_npz(identity=self.identity, progress=text, **weights))
        self.saved_at = time.monotonic()


def check_finite(
    metrics: Mapping[str, float], epoch: int, learning_rate: float
) -> None:
    """Raise Diverged if a metric of an epoch is infinite or not a number.

    The epoch is counted from 0.
    """
    for name, value in metrics.items():
        if not math.isfinite(value):
            place = f"in epoch {epoch + 1}, with learning_rate {learning_rate:g}"
            problem = (
                f"{name} became {value} {place}: "
                "each update overshoots by more than the last"
            )
            raise Diverged(f"{problem}. {DIVERGED_ADVICE}")
