"""Save the state of training every few seconds, to continue after an interruption.

Training that continues from a checkpoint gives the same weights, to the last bit, as
training without an interruption. Only the process of the notebook reads and writes
checkpoints. The key in a checkpoint is a digest of everything that the training depends
on, so that no other training continues from this checkpoint.
"""

import json
import math
import time
from collections.abc import Mapping

import numpy as np

from pipeline.errors import Diverged, InvalidFile
from pipeline.images.arrays import Layout, Weights, read_arrays, to_npz
from pipeline.records import History
from pipeline.results.files import atomic_write
from pipeline.results.model import check_weights, name_weights, select_weights
from pipeline.results.stage_folder import StageFolder

SECONDS = 2.0  # the shortest time between two saves
LAYOUT: Layout = {"progress": ("U", ())}


class Checkpoints:
    """Begin training, and save its state from time to time.

    Training that takes less than SECONDS saves no checkpoint. A notebook that no
    command executes does not save or load any.
    """

    def __init__(self, folder: StageFolder) -> None:
        self.path = folder.checkpoint_path
        self.key = folder.find_training_key()
        self.saved_at = time.monotonic()

    def begin(
        self,
        weights: Weights,
        learning_rate: float,
        *generators: np.random.RandomState,
    ) -> tuple[Weights, History, float]:
        """Return the weights, the history and the learning rate to begin with.

        weights, learning_rate: those of the first epoch. They are returned, with an
            empty history, unless the folder has a checkpoint of the same training.
        generators: if there is a checkpoint, their states are restored.

        Raises InvalidInput if the weights cannot be stored.
        """
        check_weights(weights)  # before the first epoch is trained
        try:
            arrays = read_arrays(self.path, LAYOUT, "")
            saved_weights = select_weights(arrays, self.path, "")
        except InvalidFile:
            return weights, [], learning_rate
        progress = json.loads(str(arrays["progress"]))
        if progress["key"] != self.key:
            return weights, [], learning_rate
        for generator, state in zip(generators, progress["states"], strict=True):
            generator.set_state(state)
        history = progress["history"]
        print(f"Continuing after epoch {len(history)}, from {self.path.name}.")
        return saved_weights, history, progress["learning_rate"]

    def save_when_due(
        self,
        weights: Weights,
        history: History,
        learning_rate: float,
        *generators: np.random.RandomState,
    ) -> None:
        """Save a checkpoint if the last one was saved at least SECONDS ago.

        history: the metrics of all epochs so far.
        learning_rate: the learning rate of the next epoch.
        """
        if self.key is None or time.monotonic() - self.saved_at < SECONDS:
            return
        progress = {
            "key": self.key,
            "history": history,
            "learning_rate": learning_rate,
            "states": [generator.get_state(legacy=False) for generator in generators],
        }
        # The states contain arrays, which JSON stores as lists.
        text = json.dumps(progress, default=np.ndarray.tolist)
        atomic_write(self.path, to_npz(progress=text, **name_weights(weights)))
        self.saved_at = time.monotonic()


def check_finite(
    metrics: Mapping[str, float], epoch: int, learning_rate: float
) -> None:
    """Raise Diverged if one of these metrics is infinite or not a number.

    epoch: the number of the epoch, from 0. The message counts epochs from 1.
    """
    for name, value in metrics.items():
        if not math.isfinite(value):
            place = f"in epoch {epoch + 1}, with learning_rate {learning_rate:g}"
            cause = "each update overshoots by more than the last"
            raise Diverged(f"{name} became {value} {place}: {cause}. {Diverged.ADVICE}")
