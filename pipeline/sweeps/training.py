"""Train a point of a sweep.

A point is a run of which only the notebook 02_train is executed. If its sweep selects
the point, 03_evaluate is executed later.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future

from pipeline.errors import InvalidFile, NotebookFailed
from pipeline.execution.machine import collect_origin
from pipeline.paths import hide_folders
from pipeline.records import RunRecord, Status, TrainingMetrics, now
from pipeline.results.checkpoints import prepare_to_resume
from pipeline.results.files import atomic_write
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
    from pipeline.execution import notebooks  # see `runs.execute_stages`

    begun = {"status": Status.RUNNING, "started": now()}
    record = record.replace(**begun, origin=collect_origin())
    record = prepare_to_resume(folder, record)
    started, earlier_s = time.monotonic(), record.duration_s or 0
    folder.write_record(record)
    folder.clear()
    atomic_write(folder.data_path, data_file)
    try:
        notebooks.execute(
            TRAINING.notebook,
            folder.executed_path(TRAINING),
            record.parameters | {"run_dir": folder.display_path},
            inputs=record.inputs,
            is_point=True,
        )
        model = folder.read_model()
        last = folder.read_history()[-1]
        trained = TrainingMetrics(**last, weights_sha256=model.sha256)
        results = {"metrics": trained, "note": model.note}
        record = record.replace(status=Status.DONE, **results)
    except (NotebookFailed, InvalidFile) as error:
        text = hide_folders(str(error))
        record = record.replace(status=Status.from_error(error), error=text)
    finally:
        folder.data_path.unlink(missing_ok=True)
    duration = round(earlier_s + time.monotonic() - started, 1)
    outputs = folder.digest(TRAINING.files)
    return record.replace(duration_s=duration, outputs=outputs), {}
