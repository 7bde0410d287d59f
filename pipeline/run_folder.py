"""Read and write the files of a run.

01_prepare writes data.npz, 02_train writes model.npz and history.json, and 03_evaluate
writes metrics.json. The pipeline itself writes run.json and report.html. A stage whose
result changes first deletes all that was made from the old one, so the files in a
folder always belong together.
"""

import contextlib
import os
import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import digests, parameters, records
from pipeline.arrays import Weights, read_arrays
from pipeline.data import DATA, Data
from pipeline.errors import Diverged, InvalidFile
from pipeline.files import check_folder, lock, write_whole
from pipeline.model import Model
from pipeline.parameters import Parameters
from pipeline.paths import BASE, to_display_path
from pipeline.records import Epoch, History, Metrics, RunRecord, Status
from pipeline.stages import (
    CHECKPOINT,
    DIGESTED_FILES,
    EVALUATION,
    EXECUTED_NOTEBOOKS,
    PREPARATION,
    RECORD,
    REPORT,
    RESULT_FILES,
    RUN_FILES,
    TRAINING,
    Stage,
    list_made_from,
)

# This environment variable tells a notebook which folder its run has locked.
RUN_DIR_VARIABLE = "DIGITS_RUN_DIR"
# A killed process leaves a temporary file of `write_whole`, with such a name.
PART = re.compile(rf"\.({'|'.join(map(re.escape, RUN_FILES))})\.\d+\.part")
DIVERGED_ADVICE = (
    "Make learning_rate smaller, by a factor of ten at first, or normalisation larger."
)


class RunFolder:
    """The folder of a run, or of a point of a sweep.

    `read_*` raise InvalidFile if a file is missing or damaged, while `find_record`
    returns None.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = BASE / path
        self.display_path = to_display_path(self.path)
        self.data_path = self.path / "data.npz"
        self.model_path = self.path / "model.npz"
        self.history_path = self.path / "history.json"
        self.metrics_path = self.path / "metrics.json"
        self.report_path = self.path / REPORT
        self.checkpoint_path = self.path / CHECKPOINT
        self.record_path = self.path / RECORD

    @classmethod
    def open(cls, namespace: Mapping[str, Any]) -> "RunFolder":
        """Check a notebook's parameters, and return the folder of its run.

        A notebook calls ``RunFolder.open(globals())``. If the folder holds a run with
        other parameters, print that it will be replaced.
        """
        values = parameters.check(namespace)
        folder = cls(namespace["run_dir"])
        record = folder.find_record()
        if record is None or folder.is_locked_by_our_run:
            return folder
        before = record.parameters
        changed = {
            name: before.get(name)
            for name in values
            if before.get(name) != values[name]
        }
        if changed:
            others = parameters.describe(changed)
            print(f"{folder.display_path} holds a run with {others}.", end=" ")
            print("It will be replaced; to keep it, choose another run_dir.")
        return folder

    @property
    def is_point(self) -> bool:
        return (self.path.parent / "sweep.json").exists()

    @property
    def is_locked_by_our_run(self) -> bool:
        """Return whether this process runs a notebook for the run that has the lock."""
        return os.environ.get(RUN_DIR_VARIABLE) == str(self.path)

    @property
    def next_step(self) -> str:
        """Return advice on what to do about a file that is missing or damaged."""
        if self.is_point:
            return "Run its sweep again, or name the folder of a run."
        if (self.path / "sweep.json").exists():
            return "It is the folder of a sweep: name one of its points."
        command = f"python -m pipeline run --run-dir {shlex.quote(self.display_path)}"
        return (
            f"Run the notebooks before this one, or, in the project's folder: {command}"
        )

    def executed_path(self, stage: Stage) -> Path:
        return self.path / stage.executed_name

    def read_data(self) -> Data:
        return Data.from_arrays(read_arrays(self.data_path, DATA, self.next_step))

    def read_model(self) -> Model:
        return Model.read(self.model_path, self.next_step)

    def read_history(self) -> History:
        epochs = records.read_record(self.history_path, records.HISTORY, self.next_step)
        return [epoch.model_dump(exclude_none=True) for epoch in epochs]

    def read_metrics(self) -> Metrics:
        return records.read_record(self.metrics_path, Metrics, self.next_step)

    def read_record(self) -> RunRecord:
        return records.read_record(self.record_path, RunRecord, self.next_step)

    def find_record(self) -> RunRecord | None:
        with contextlib.suppress(InvalidFile):
            return self.read_record()
        return None

    def read_finished(self, check_files: bool = True) -> tuple[RunRecord, Parameters]:
        """Return the record of a finished run, and its parameters.

        Raises InvalidFile if the run has not finished, or if one of its files has
        been changed or removed since.
        """
        record = self.read_record()
        altered = describe_altered(self, record) if check_files else []
        if record.status != Status.DONE:
            command = parameters.make_command(record.parameters, self.display_path)
            next_step = self.next_step if self.is_point else f"Finish it: {command}"
            problem = (
                f"holds a run that has not finished (its status is {record.status})"
            )
            raise InvalidFile(self.path, problem, next_step)
        if altered:
            problem = f"is not what its run left: {altered[0]}"
            raise InvalidFile(self.path, problem, self.next_step)
        return record, parameters.from_values(record.parameters)

    def write_data(self, prepared: Data) -> None:
        """Write data.npz."""
        self._write(PREPARATION, {self.data_path: prepared.to_bytes()})

    def write_model(
        self,
        weights: Weights,
        normalisation: float,
        history: History,
        trained_on: Data,
        note: str | None = None,
    ) -> Model:
        """Write history.json and model.npz, and return the model.

        note: see `Model`.

        Raises InvalidFile if data.npz has changed since the training read it, and
        Diverged if a weight is not finite, even if the metrics are.
        """
        if self.read_data().sha256 != trained_on.sha256:
            raise InvalidFile(
                self.data_path,
                "has changed since this notebook read it",
                "Run this notebook again.",
            )
        if not all(np.isfinite(matrix).all() for matrix in weights):
            raise Diverged(
                f"The weights are no longer finite numbers. {DIVERGED_ADVICE}"
            )
        trained = Model(weights, normalisation, trained_on.classes, note)
        content = trained.to_bytes()
        epochs = [Epoch.model_validate(epoch) for epoch in history]
        files = {self.history_path: records.to_json(epochs), self.model_path: content}
        self._write(TRAINING, files)
        self.checkpoint_path.unlink(missing_ok=True)
        return trained

    def write_metrics(
        self, model: Model, metrics: Mapping[str, float], test_images: int
    ) -> None:
        """Write metrics.json: the metrics of the last epoch and of the test images.

        test_images: how many there are.

        Raises InvalidFile if model.npz has changed since the network was measured,
        and Diverged if the test error is not finite.
        """
        if self.read_model().sha256 != model.sha256:
            raise InvalidFile(
                self.model_path,
                "has changed since this notebook read it",
                "Run this notebook again.",
            )
        if not np.isfinite(metrics["test_error"]):
            problem = f"The error on the test images is {metrics['test_error']}"
            raise Diverged(f"{problem}. {DIVERGED_ADVICE}")
        record = Metrics(
            **metrics, test_images=test_images, weights_sha256=model.sha256
        )
        self._write(EVALUATION, {self.metrics_path: records.to_json(record)})

    def write_record(self, record: RunRecord) -> None:
        write_whole(self.record_path, records.to_json(record))

    def _write(self, stage: Stage, files: Mapping[Path, bytes]) -> None:
        """Write the files of a stage if their content differs.

        First delete what was made from the old files, so that the results in a folder
        always belong together.
        """
        made = list_made_from(stage)
        names = [name for each in made for name in each.files]
        self.check_free([*names, REPORT, CHECKPOINT, RECORD])
        with contextlib.nullcontext() if self.is_locked_by_our_run else lock(self.path):
            if all(p.exists() and p.read_bytes() == files[p] for p in files):
                return
            if not self.is_locked_by_our_run:
                self._remove_run(made)
            for name in (REPORT, *reversed(names)):
                (self.path / name).unlink(missing_ok=True)
            for path, content in files.items():
                write_whole(path, content)

    def _remove_run(self, made: Iterable[Stage]) -> None:
        """Remove the record of a run when a stage that runs alone replaces its results.

        made: the stages whose results are replaced. The command that makes the run
        again is printed.
        """
        record = self.find_record()
        if record is None:
            return
        command = parameters.make_command(record.parameters, self.display_path)
        print(f"Replacing the run in {self.display_path}. To make it again: {command}")
        for path in (self.record_path, *map(self.executed_path, made)):
            path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove the files of an earlier run, except its checkpoint.

        The report and the metrics go first, so that none is left without the files that
        it was made from.
        """
        parts = [each.name for each in self.path.iterdir() if PART.fullmatch(each.name)]
        for name in (*reversed(DIGESTED_FILES), *parts):
            (self.path / name).unlink(missing_ok=True)

    def digest(self, names: Iterable[str] = DIGESTED_FILES) -> dict[str, str]:
        """Return the SHA-256 of each of these files that exists, by its name."""
        paths = {name: self.path / name for name in names}
        return {name: digests.digest_file(p) for name, p in paths.items() if p.exists()}

    def find_altered(
        self, record: RunRecord, names: Iterable[str] = DIGESTED_FILES
    ) -> list[str]:
        """Return the recorded files that have been removed or altered since."""
        recorded = [name for name in names if name in record.outputs]
        digests = self.digest(recorded)
        return [name for name in recorded if digests.get(name) != record.outputs[name]]

    def check_free(self, names: Iterable[str] = RUN_FILES) -> None:
        """Raise InvalidInput if a run may not write these files into the folder."""
        if not self.is_locked_by_our_run:
            check_folder(self.path, names, "sweep.json")


def describe_altered(folder: RunFolder, record: RunRecord) -> list[str]:
    """Describe each file of a finished run that has been removed or altered since.

    The report does not count, because it can be made again from the other files.
    """
    altered = folder.find_altered(record, [*EXECUTED_NOTEBOOKS, *RESULT_FILES])
    return [f"{name}, which has been removed or altered since" for name in altered]
