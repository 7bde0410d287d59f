"""Train a point of a sweep.

A point is a run of which only the notebook 02_train is executed. If its sweep selects
the point, 03_evaluate is executed later.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future

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
# A function that starts training a point. It has the arguments of `train_point`.
Submit = Callable[[RunFolder, RunRecord, bytes], "Future[Trained]"]


def train_point(folder: RunFolder, record: RunRecord, data_file: bytes) -> Trained:
    """Execute 02_train in a point's folder, and return the point's new record.

    record: the record of the point before training.
    data_file: the bytes of data.npz. This file is in the folder only during training.

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
    folder.write_record(record)
    folder.clear()
    try:
        outputs = execute_stages(
            folder, record, [TRAINING], data_file=data_file, is_point=True
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
