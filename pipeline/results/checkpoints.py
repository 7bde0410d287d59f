"""Save the state of training every few seconds, to continue after an interruption.

Training that continues from a checkpoint gives the same weights, to the last bit, as
training without an interruption. Checkpoints are saved and loaded only if a command
executes the notebook. The key in a checkpoint is a digest of everything that the
training depends on, so that no other training continues from this checkpoint.
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

SECONDS = 2.0  # the shortest time between two saves
LAYOUT: Layout = {"progress": ("U", ())}
ADVICE = "Training starts from the beginning."
Generator = np.random.RandomState | np.random.Generator


@dataclass
class Checkpoint:
    """The state of training after an epoch, without the states of random generators.

    history: the metrics of all epochs so far.
    learning_rate: the learning rate of the next epoch.

    Raises InvalidInput if the weights cannot be stored. Training creates a checkpoint
    before its first epoch, so such weights stop the training at once.
    """

    weights: Weights
    history: History
    learning_rate: float

    def __post_init__(self) -> None:
        name_weights(self.weights)


class Checkpoints:
    """Save and load the checkpoints of a run.

    Training that takes less than SECONDS saves no checkpoint. A notebook that no
    command executes does not save or load any.
    """

    def __init__(self, folder: RunFolder) -> None:
        record = folder.find_record() if folder.is_run_by_command else None
        self.key = provenance.make_training_key(record) if record else None
        self.path, self.saved_at = folder.checkpoint_path, time.monotonic()
        self.started_at = self.saved_at

    def load(self, *generators: Generator) -> Checkpoint | None:
        """Return the run's checkpoint, and restore the states of these generators.

        If the run has no checkpoint, or if the checkpoint has another key than the run,
        the function returns None and does not change the generators.
        """
        if not self.key or not self.path.exists():
            return None
        weights, progress = read_checkpoint(self.path)
        if progress["key"] != self.key:
            return None
        for generator, state in zip(generators, progress["states"], strict=True):
            _restore_generator(generator, state)
        self.started_at -= progress["seconds"]  # the next save includes this time
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
            "seconds": now - self.started_at,  # includes the time before interruptions
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
    """Return the weights in a checkpoint, and a dictionary of its other values.

    Raises InvalidFile if the file is missing or damaged.
    """
    arrays = read_arrays(path, LAYOUT, ADVICE)
    weights = select_weights(arrays, path, ADVICE)
    return weights, json.loads(str(arrays["progress"]))


def prepare_to_resume(folder: RunFolder, record: RunRecord) -> RunRecord:
    """Return a run's record with the epoch after which its training will continue.

    record: the record of the run that starts now.

    If the folder has a checkpoint of this training, the returned record contains the
    epoch of the checkpoint and the seconds that the run had taken until then. Otherwise
    the record is returned unchanged, any other checkpoint in the folder is deleted, and
    training will start at its first epoch.
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
    """Raise Diverged if one of these metrics is infinite or not a number.

    epoch: the number of the epoch, from 0. The message counts epochs from 1.
    """
    for name, value in metrics.items():
        if not math.isfinite(value):
            place = f"in epoch {epoch + 1}, with learning_rate {learning_rate:g}"
            cause = "each update overshoots by more than the last"
            raise Diverged(f"{name} became {value} {place}: {cause}. {Diverged.ADVICE}")
