"""Save a training every few seconds, so that it goes on to the same bits after a kill."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from pydantic import TypeAdapter

from pipeline import in_view, provenance, readers, storage
from pipeline.errors import InvalidRecord
from pipeline.images import Data
from pipeline.model import MODEL
from pipeline.records import History
from pipeline.run_folder import TRAINING, RunFolder

HISTORY = TypeAdapter(History)
LAYOUT: readers.Layout = {
    "weights_0_1": MODEL["weights_0_1"],
    "weights_1_2": MODEL["weights_1_2"],
    "identity": ("str", ()),
    "history": ("str", ()),
    "learning_rate": ("float", ()),
    "random_keys": ("uint32", (2, 624)),
    "random_positions": ("int", (2,)),
}


IMPORTED_CODE = provenance.code_of("helpers")  # of this moment: a session goes on with what it has imported


@dataclass(frozen=True)
class Checkpoint:
    """Hold what training needs, beside its generators, to go on after so many epochs of history, to the same bits."""

    weights: tuple[np.ndarray, np.ndarray]
    history: History
    learning_rate: float


class Checkpoints:
    """The checkpoints of one training: saved every few seconds, trusted only if all that they depend on matches.

    hyperparameters: every parameter that the weights depend on. seconds: how much work a kill may cost; a training
    that takes less time writes no checkpoint.
    """

    def __init__(
        self, folder: RunFolder, data: Data, hyperparameters: Mapping[str, float], seconds: float = 2.0
    ) -> None:
        folder.check_own(f"run_dir is {folder.place!r}", [folder.checkpoint.name])
        self.path, self.hyperparameters = folder.checkpoint, dict(hyperparameters)
        self.seconds, self.saved_at, self.begun = seconds, time.monotonic(), False
        self.depends_on = {
            "data": data.sha256,
            "hyperparameters": self.hyperparameters,
            "code": IMPORTED_CODE,
            "notebook": provenance.cells_digest(storage.NOTEBOOKS / f"{TRAINING}.ipynb", what_it_does=True),
            "versions": provenance.versions_of(("numpy", "numba")),
        }

    @property
    def identity(self) -> str:
        """Return what the training depends on, with the cell that runs now, which may not be the one on disk."""
        return json.dumps(self.depends_on | {"cell": in_view.running_cell()}, sort_keys=True)

    def load(self, *generators: np.random.RandomState) -> Checkpoint | None:
        """Read the last checkpoint, and set the generators as it has them.

        Return None, and print why, where there is none that can be trusted.
        """
        if not storage.exists(self.path):
            return None
        try:
            arrays = readers.read_arrays(self.path, "", LAYOUT)
            if str(arrays["identity"]) != self.identity:
                print(f"{self.path.name} is of other parameters, data or code. Training starts from the beginning.")
                return None
            history, rate = HISTORY.validate_json(str(arrays["history"])), float(arrays["learning_rate"])
            weights, positions = (arrays["weights_0_1"], arrays["weights_1_2"]), arrays["random_positions"].tolist()
            if not (
                all(0 <= position <= 624 for position in positions)  # else NumPy would read from elsewhere
                and all(np.isfinite(matrix).all() for matrix in weights)
                and len(weights[1]) == self.hyperparameters["hidden_size"]
                and len(history) <= self.hyperparameters["epochs"]
                and 0 <= rate < np.inf
            ):
                raise ValueError("no training leaves this")
            states = [("MT19937", *state) for state in zip(arrays["random_keys"], positions, strict=True)]
        except (InvalidRecord, ValueError):
            print(f"{self.path.name} is damaged. Training starts from the beginning.")
            return None
        for generator, state in zip(generators, states, strict=False):
            generator.set_state(state)  # type: ignore[arg-type]  # a tuple of three will do, as NumPy says
        print(f"Going on after epoch {len(history)}, from {self.path.name}.")
        return Checkpoint(weights, history, rate)

    def save_when_due(
        self,
        weights_0_1: np.ndarray,
        weights_1_2: np.ndarray,
        history: History,
        learning_rate: float,
        *generators: np.random.RandomState,
    ) -> None:
        """Save, if the last save is long enough ago. learning_rate is the next epoch's."""
        if not self.begun:  # later it would part the line of progress in two
            self.begun = True
            in_view.bring_into_view(after_ms=2000, if_running=True)
        if time.monotonic() - self.saved_at < self.seconds:
            return
        _, keys, positions, *_ = zip(*(generator.get_state() for generator in generators), strict=True)
        content = storage.npz_bytes(
            identity=self.identity,
            weights_0_1=weights_0_1,
            weights_1_2=weights_1_2,
            history=HISTORY.dump_json(history).decode(),
            learning_rate=learning_rate,
            random_keys=keys,
            random_positions=positions,
        )
        storage.write_whole(self.path, content)
        self.saved_at = time.monotonic()
