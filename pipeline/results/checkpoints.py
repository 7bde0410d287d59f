"""Save the state of training every few seconds, to continue after an interruption.

Training that was interrupted and continued gives the same weights, to the last bit, as
training without an interruption. Only notebooks that a command executes save and load
checkpoints. A checkpoint's key is the digest of everything that training depends on.
"""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import Diverged, InvalidFile
from pipeline.images.arrays import Layout, Weights, read_arrays, to_npz
from pipeline.records import History, RunRecord
from pipeline.results import provenance
from pipeline.results.files import atomic_write
from pipeline.results.model import name_weights, select_weights
from pipeline.results.run_folder import RunFolder

SECONDS = 2.0  # between two saves
LAYOUT: Layout = {"progress": ("U", ())}
ADVICE = "Training starts from the beginning."
Generator = np.random.RandomState | np.random.Generator


@dataclass
class Checkpoint:
    """What is needed to continue training after an epoch, apart from random generators.

    The learning rate is that of the next epoch. Raises InvalidInput for weights that
    cannot be stored, so that training fails before its first epoch, not at its end.
    """

    weights: Weights
    history: History
    learning_rate: float

    def __post_init__(self) -> None:
        name_weights(self.weights)


class Checkpoints:
    """Save and load the checkpoints of a run.

    Training that takes less than SECONDS and notebooks that run alone write none.
    """

    def __init__(self, folder: RunFolder) -> None:
        record = folder.find_record() if folder.is_run_by_command else None
        self.key = provenance.make_training_key(record) if record else None
        self.path, self.saved_at = folder.checkpoint_path, time.monotonic()
        self.started_at = self.saved_at

    def load(self, *generators: Generator) -> Checkpoint | None:
        """Read the checkpoint, and restore the states of the random generators from it.

        Return None if there is no checkpoint, or if it has the key of another run.
        """
        if not self.key or not self.path.exists():
            return None
        weights, progress = read_checkpoint(self.path)
        if progress["key"] != self.key:
            return None
        for generator, state in zip(generators, progress["states"], strict=True):
            _restore_generator(generator, state)
        self.started_at -= progress["seconds"]  # so that the next save counts them, too
        epoch = len(progress["history"])
        print(f"Continuing after epoch {epoch}, from {self.path.name}.")
        return Checkpoint(weights, progress["history"], progress["learning_rate"])

    def save_when_due(self, checkpoint: Checkpoint, *generators: Generator) -> None:
        """Save the checkpoint if the last save was at least SECONDS ago."""
        now = time.monotonic()
        if not self.key or now - self.saved_at < SECONDS:
            return
        progress = {
            "key": self.key,
            "seconds": now - self.started_at,  # including earlier parts
            "history": checkpoint.history,
            "learning_rate": checkpoint.learning_rate,
            "states": [_get_state(generator) for generator in generators],
        }
        text = json.dumps(progress, default=np.ndarray.tolist)
        weights = name_weights(checkpoint.weights)
        atomic_write(self.path, to_npz(progress=text, **weights))
        self.saved_at = time.monotonic()


def _get_state(generator: Generator) -> Any:
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    return generator.get_state(legacy=False)


def _restore_generator(generator: Generator, state: Any) -> None:
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    else:
        generator.set_state(state)


def read_checkpoint(path: Path) -> tuple[Weights, dict[str, Any]]:
    """Return the weights in a checkpoint, and the other values in it by name.

    Raises InvalidFile if the file is missing or damaged.
    """
    arrays = read_arrays(path, LAYOUT, ADVICE)
    weights = select_weights(arrays, path, ADVICE)
    return weights, json.loads(str(arrays["progress"]))


def prepare_to_resume(folder: RunFolder, record: RunRecord) -> RunRecord:
    """Return the record of a run that starts now, with the epoch to resume after.

    The record also gets the seconds that the run took up to that epoch. If the folder's
    checkpoint has another key, it is deleted, and the run starts at its first epoch.
    """
    try:
        _, progress = read_checkpoint(folder.checkpoint_path)
        if progress["key"] == provenance.make_training_key(record):
            epoch, seconds = len(progress["history"]), round(progress["seconds"], 1)
            return record.replace(resumed_after_epoch=epoch, duration_s=seconds)
    except InvalidFile:
        pass
    folder.checkpoint_path.unlink(missing_ok=True)
    return record


def check_finite(
    metrics: Mapping[str, float], epoch: int, learning_rate: float
) -> None:
    """Raise Diverged if a metric of an epoch is infinite or not a number.

    The epoch is counted from 0.
    """
    for name, value in metrics.items():
        if not math.isfinite(value):
            place = f"in epoch {epoch + 1}, with learning_rate {learning_rate:g}"
            cause = "each update overshoots by more than the last"
            raise Diverged(f"{name} became {value} {place}: {cause}. {Diverged.ADVICE}")
