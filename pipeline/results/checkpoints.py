"""Save a training every few seconds, so that it can continue after it was killed.

A training that continues gives the same weights, to the last bit, as one without a
break. Only a notebook that a command executes saves and resumes. The command keeps a
checkpoint only if the record in the folder has the same parameters, data, code and
versions.
"""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import Diverged, InvalidFile
from pipeline.images.arrays import Layout, Weights, read_arrays, to_npz
from pipeline.records import History, RunRecord
from pipeline.results import provenance
from pipeline.results.files import write_whole
from pipeline.results.model import name_weights, take_weights
from pipeline.results.run_folder import DIVERGED_ADVICE, RunFolder

SECONDS = 2.0  # between two saves
LAYOUT: Layout = {"progress": ("U", ())}
NEXT_STEP = "Training starts from the beginning."


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
    """Save and load the checkpoints of the training of a run.

    A training that takes less than SECONDS writes none, nor does a notebook that runs
    alone.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.path, self.saved_at = folder.checkpoint_path, time.monotonic()
        self.is_used = folder.is_run_by_command

    def load(self, *generators: np.random.RandomState) -> Checkpoint | None:
        """Read the checkpoint, and set the generators to their states in it.

        Return None if there is none.
        """
        if not self.is_used or not self.path.exists():
            return None
        weights, progress = read_checkpoint(self.path)
        for generator, state in zip(generators, progress.pop("states"), strict=True):
            generator.set_state(state)
        epoch = len(progress["history"])
        print(f"Continuing after epoch {epoch}, from {self.path.name}.")
        return Checkpoint(weights, **progress)

    def save_when_due(
        self, checkpoint: Checkpoint, *generators: np.random.RandomState
    ) -> None:
        """Save the checkpoint if the last save was at least SECONDS ago."""
        if not self.is_used or time.monotonic() - self.saved_at < SECONDS:
            return
        states = [generator.get_state(legacy=False) for generator in generators]
        progress = {
            "history": checkpoint.history,
            "learning_rate": checkpoint.learning_rate,
        }
        text = json.dumps(progress | {"states": states}, default=np.ndarray.tolist)
        weights = name_weights(checkpoint.weights)
        write_whole(self.path, to_npz(progress=text, **weights))
        self.saved_at = time.monotonic()


def read_checkpoint(path: Path) -> tuple[Weights, dict[str, Any]]:
    """Return the weights of a checkpoint, and how far its training was.

    Raises InvalidFile if it is missing or damaged.
    """
    arrays = read_arrays(path, LAYOUT, NEXT_STEP)
    weights = take_weights(arrays, path, NEXT_STEP)
    return weights, json.loads(str(arrays["progress"]))


def keep_checkpoint(folder: RunFolder, now: RunRecord) -> RunRecord:
    """Keep a folder's checkpoint only if its training is the one that begins now.

    now: the record of the run that begins.

    Return it with the epoch to resume after, and the seconds and the machines of the
    earlier parts. If
    the record in the folder differs, the checkpoint is deleted, before that record is
    replaced.
    """
    before, path = folder.find_record(), folder.checkpoint_path
    if not path.exists():
        return now
    try:
        if before and not provenance.compare_records(before, now):
            _, progress = read_checkpoint(path)
            saved = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            part_s = max((saved - before.started).total_seconds(), 0)
            epoch, earlier_s = len(progress["history"]), before.earlier_s + part_s
            machines = dict.fromkeys([*before.machines, *now.machines])
            return now.replace(
                resumed_after_epoch=epoch,
                earlier_s=round(earlier_s, 1),
                machines=list(machines),
            )
    except InvalidFile:
        pass
    path.unlink()
    return now


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
