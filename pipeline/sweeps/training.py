"""Train a point of a sweep.

A point is a run of which only the notebook 02_train is executed. If its sweep selects
the point, 03_evaluate is executed later.
"""

import time
from concurrent.futures import Executor, Future
from typing import NamedTuple

from pipeline.errors import InvalidFile, NotebookFailed
from pipeline.execution.machine import collect_origin
from pipeline.execution.runs import execute_stages, measure_duration
from pipeline.paths import hide_folders
from pipeline.records import RunRecord, Status, TrainingMetrics, now
from pipeline.results.run_folder import RunFolder
from pipeline.results.stages import TRAINING

# The record of a point that has been trained, and the contents of its files by name.
# There are files only if a worker of a cluster has trained the point.
Trained = tuple[RunRecord, dict[str, bytes]]


class Refusal(NamedTuple):
    """The answer of a cluster's worker that cannot train points.

    worker: its address.
    reason: a clause that follows the address in a message.
    """

    worker: str
    reason: str


class Trainer:
    """Train points in threads, each of which executes one notebook at a time."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor

    def submit(
        self, folder: RunFolder, record: RunRecord, data_npz: bytes
    ) -> "Future[Trained | Refusal]":
        """Start training a point. The arguments are those of `train_point`."""
        return self.executor.submit(train_point, folder, record, data_npz)

    def refuse(self, refusal: Refusal) -> None:
        """Give no more points to a worker that has refused one."""
        raise AssertionError(refusal)  # threads do not refuse any point


def train_point(folder: RunFolder, record: RunRecord, data_npz: bytes) -> Trained:
    """Execute 02_train in a point's folder, and return the point's new record.

    record: the record of the point before training.
    data_npz: the bytes of data.npz. This file is in the folder only during training.

    The function also returns an empty mapping, because the point's files are already in
    its folder.

    Until the caller writes the returned record, run.json says that the point is
    running. If training fails, the returned record has the status and the error, and no
    error is raised. Raises CommandFailed if the project's code has changed since the
    command started.
    """
    has_checkpoint = folder.checkpoint_path.exists()
    started = time.monotonic()
    record = record.replace(
        status=Status.RUNNING, started=now(), origin=collect_origin()
    )
    folder.path.mkdir(exist_ok=True)
    folder.write_record(record)
    folder.clear()
    try:
        outputs = execute_stages(
            folder,
            record,
            [TRAINING],
            data_npz=data_npz,
            label=None,
            has_pictures=False,
        )
        last = folder.read_history()[-1]
        digest = folder.read_model().sha256
        metrics = TrainingMetrics(**last, weights_sha256=digest)
        result = {"status": Status.DONE, "metrics": metrics, "outputs": outputs}
    except (NotebookFailed, InvalidFile) as error:
        status = Status.from_error(error)
        result = {"status": status, "error": hide_folders(str(error))}
    duration = measure_duration(started, has_checkpoint)
    return record.replace(**result, duration_s=duration), {}
