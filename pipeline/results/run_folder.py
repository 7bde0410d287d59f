"""Read and write the files of a run.

stages.py lists the files that each notebook writes. If a stage has a new result, the
files that were made from the old result are deleted first, so that the files in a
folder always belong together.
"""

import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import digests, parameters, records
from pipeline.errors import Diverged, InvalidFile, InvalidInput
from pipeline.images.arrays import Layout, Weights, read_arrays, to_npz
from pipeline.images.data import Data
from pipeline.parameters import LAB, Parameters
from pipeline.paths import BASE, ROOT, to_display_path
from pipeline.records import Epoch, History, Metrics, RunRecord, Status
from pipeline.results import provenance, stages
from pipeline.results.files import (
    atomic_write,
    check_folder,
    check_unchanged,
    lock_folder,
    remove_partial_files,
)
from pipeline.results.model import Model
from pipeline.results.stages import Stage

# A command that executes notebooks sets this variable to their folder.
RUN_DIR_VARIABLE = "DIGITS_RUN_DIR"
# The variables that cells of the three notebooks use after another cell has set them.
BOUND = ("folder", "data", "model", "history", "weights", "x", "y", "true", "answers")


class RunFolder:
    """The folder of a run, or of a point of a sweep.

    The methods `read_*` raise InvalidFile if a file is missing or damaged. Only
    `find_record` returns None instead.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = BASE / path
        self.display_path = to_display_path(self.path)
        self.data_path = self.path / "data.npz"
        self.model_path = self.path / "model.npz"
        self.history_path = self.path / "history.json"
        self.answers_path = self.path / "answers.npz"
        self.metrics_path = self.path / "metrics.json"
        self.helpers_path = self.path / stages.HELPERS
        self.report_path = self.path / stages.REPORT
        self.checkpoint_path = self.path / stages.CHECKPOINT
        self.record_path = self.path / stages.RECORD

    @classmethod
    def open(cls, namespace: dict[str, Any]) -> "RunFolder":
        """Return the folder of a notebook's run, and check parameters and helpers.py.

        A notebook calls ``RunFolder.open(globals())``. The variables in BOUND may have
        been computed with other parameters, so they are deleted first. If a check then
        raises InvalidInput, no later cell can use their old values.
        """
        for name in BOUND:
            namespace.pop(name, None)
        parameters.check(namespace)
        folder = cls(namespace["run_dir"])
        if not folder.is_run_by_command:  # a command has already checked helpers.py
            provenance.check_helpers()
            provenance.check_imported_helpers()
        return folder

    @property
    def is_point(self) -> bool:
        """Return whether this folder belongs to a point of a sweep."""
        return (self.path.parent / "sweep.json").exists()

    @property
    def is_run_by_command(self) -> bool:
        """Return whether a command executes the run's notebooks in this process."""
        return os.environ.get(RUN_DIR_VARIABLE) == str(self.path)

    @property
    def has_results_without_record(self) -> bool:
        """Return whether the folder contains results of notebooks, but no run.json."""
        return bool(self.digest()) and not self.record_path.exists()

    @property
    def advice(self) -> str:
        """Return a sentence that says what to do if a file is missing or damaged."""
        if self.is_point:
            return "Run its sweep again, or name the folder of a run."
        if (self.path / "sweep.json").exists():
            return "It is the folder of a sweep: name one of its points."
        command = "python -m pipeline run --run-dir DIR"
        return f"Run the notebooks before this one, or, to run all three: {command}"

    def executed_path(self, stage: Stage) -> Path:
        return self.path / stage.executed_name

    def read_data(self) -> Data:
        return Data.read(self.data_path, self.advice)

    def read_model(self) -> Model:
        return Model.read(self.model_path, self.advice)

    def read_answers(self) -> np.ndarray:
        """Read the answers to the test images, (N,) uint8."""
        layout: Layout = {"answers": ("uint8", ("N",))}
        return read_arrays(self.answers_path, layout, self.advice)["answers"]

    def read_history(self) -> History:
        epochs = records.read_record(self.history_path, records.HISTORY, self.advice)
        return [epoch.model_dump(exclude_none=True) for epoch in epochs]

    def read_metrics(self) -> Metrics:
        return records.read_record(self.metrics_path, Metrics, self.advice)

    def read_record(self) -> RunRecord:
        advice = self.advice
        if self.has_results_without_record and not self.is_point:
            problem = "A run that the notebooks make alone, as in JupyterLab, has no "
            problem += "record, so it cannot be verified or compared"
            command = "python -m pipeline run --run-dir runs/NAME -p PARAMETER VALUE"
            advice = f"{problem}. To make a run that can be: {command}"
        return records.read_record(self.record_path, RunRecord, advice)

    def find_record(self) -> RunRecord | None:
        with contextlib.suppress(InvalidFile):
            return self.read_record()
        return None

    def read_finished(self, check_files: bool = True) -> tuple[RunRecord, Parameters]:
        """Return the record and the parameters of a finished run.

        Raises InvalidFile if the run has not finished, or if `check_files` is true and
        a result has been changed or removed. data.npz may be removed.
        """
        record = self.read_record()
        altered = self.list_altered(record, needs_data=False) if check_files else []
        if record.status != Status.DONE:
            problem = f"holds a run that did not finish (its status is {record.status})"
        elif altered:
            problem = f"has changed: its {altered[0]} was removed or altered"
        else:
            return record, parameters.from_values(record.parameters)
        command = parameters.make_command(record.parameters, self.display_path)
        advice = self.advice if self.is_point else f"Make it again: {command}"
        raise InvalidFile(self.path, problem, advice)

    def check_helpers(self, record: RunRecord) -> None:
        """Raise InvalidInput if another version of helpers.py trained this run."""
        if provenance.digest_helpers() != record.inputs[provenance.NETWORK]:
            step = f"Save yours, then: cp {self.find_helpers()} {ROOT}/helpers.py"
            problem = f"{self.display_path} was trained with another helpers.py"
            raise InvalidInput(f"{problem}. {step}. Then restart the kernel, if any.")

    def find_helpers(self) -> Path | None:
        """Return the path of the run's copy of helpers.py, or None if it has none."""
        places = [self.helpers_path]
        if self.is_point:
            places.append(self.path.parent / stages.HELPERS)
        return next((path for path in places if path.exists()), None)

    def write_data(self, prepared: Data) -> None:
        """Write data.npz: the images, which are split into three sets."""
        self._write_files(stages.PREPARATION, {self.data_path: prepared.to_bytes()})

    def write_model(
        self,
        weights: Weights,
        normalisation: float,
        history: History,
        trained_on: Data,
        note: str | None,
    ) -> Model:
        """Write history.json and model.npz, and return the model.

        Raises InvalidFile if data.npz has changed since the network was trained, and
        Diverged if a weight is not finite.
        """
        check_unchanged(self.data_path, self.read_data().sha256, trained_on.sha256)
        if not all(np.isfinite(matrix).all() for matrix in weights):
            raise Diverged(f"The weights are no longer finite. {Diverged.ADVICE}")
        trained = Model(weights, normalisation, trained_on.classes, note)
        content = trained.to_bytes()
        epochs = [Epoch.model_validate(epoch) for epoch in history]
        files = {self.history_path: records.to_json(epochs), self.model_path: content}
        self._write_files(stages.TRAINING, files)
        return trained

    def write_metrics(
        self, model: Model, metrics: Mapping[str, float], answers: np.ndarray
    ) -> None:
        """Write answers.npz and then metrics.json.

        metrics: the metrics of the last epoch, and the metrics on the test images.
        answers: the answers to the test images, (N,).

        Raises InvalidFile if model.npz has changed since the notebook read the model,
        and Diverged if the test error is not finite.
        """
        check_unchanged(self.model_path, self.read_model().sha256, model.sha256)
        error, count = metrics["test_error"], len(answers)
        if not np.isfinite(error):
            raise Diverged(f"The test error is {error}. {Diverged.ADVICE}")
        record = Metrics(**metrics, test_images=count, weights_sha256=model.sha256)
        content = to_npz(answers=answers.astype(np.uint8))
        files = {self.answers_path: content, self.metrics_path: records.to_json(record)}
        self._write_files(stages.EVALUATION, files)

    def write_record(self, record: RunRecord) -> None:
        """Write run.json. If the run is done, also delete its checkpoint."""
        atomic_write(self.record_path, records.to_json(record))
        if record.status == Status.DONE:
            self.checkpoint_path.unlink(missing_ok=True)

    def _write_files(self, stage: Stage, files: Mapping[Path, bytes]) -> None:
        """Write the files of a stage, and print whether they have been stored.

        files: the content of each file, by its path.

        If no command executes the notebook, and the folder contains a run that was made
        by a command, nothing is written.
        """
        names = " and ".join(path.name for path in files)
        if self.is_run_by_command:
            self._replace_files(stage, files)
        elif self.record_path.exists():
            other = LAB if self.display_path != LAB else f"{LAB}-2"
            print(
                f"{names} not stored, because {self.display_path} holds a run: set "
                f'run_dir = "{other}" in all three notebooks, and begin with 01_prepare'
            )
            return
        else:
            check_folder(
                self.path, "sweep.json", (".ipynb", *stages.list_earlier_files(stage))
            )
            with lock_folder(self.path):
                self._replace_files(stage, files)
        print(f"{names} stored")

    def _replace_files(self, stage: Stage, files: Mapping[Path, bytes]) -> None:
        if all(path.exists() and path.read_bytes() == files[path] for path in files):
            return
        made = [name for each in stages.list_stages_from(stage) for name in each.files]
        for name in (stages.REPORT, *reversed(made)):
            (self.path / name).unlink(missing_ok=True)
        for path, content in files.items():
            atomic_write(path, content)

    def clear(self) -> None:
        """Remove the files of an earlier run, but not run.json and the checkpoint.

        The metrics are removed first. If the removal is interrupted, no metrics remain
        without their data and model.
        """
        for name in stages.CLEARED_FILES:
            (self.path / name).unlink(missing_ok=True)
        remove_partial_files(self.path, stages.RUN_FILES)

    def digest(self, names: Iterable[str] = stages.RESULT_FILES) -> dict[str, str]:
        """Return the SHA-256 of each of these files by name; skip missing files."""
        paths = {name: self.path / name for name in names}
        return {name: digests.digest_file(p) for name, p in paths.items() if p.exists()}

    def list_altered(self, record: RunRecord, needs_data: bool = True) -> list[str]:
        """Return the names of result files that were altered or removed after the run.

        Notebooks and pages are not compared, because users may open and save them.

        needs_data: whether a missing data.npz counts as removed. A run may be passed on
            without data.npz, which can be made again from the source.
        """
        now, expected = self.digest(), dict(record.outputs)
        if not needs_data and not self.data_path.exists():
            expected.pop(self.data_path.name, None)
        return [name for name, digest in expected.items() if now.get(name) != digest]

    def describe_differences(self, current: RunRecord) -> list[str]:
        """Return descriptions of how this run differs from one that would be made now.

        current: the record that a run would get now.

        The list is empty if the run has finished and nothing has changed since.
        """
        before = self.find_record()
        if before is None:
            return ["a run.json that is missing or cannot be read"]
        if before.status != Status.DONE:
            last = f"the last run, which did not finish (its status is {before.status})"
            return [last, *provenance.list_changes(before, current)]
        problem = "which has been removed or altered since"
        altered = [f"{name}, {problem}" for name in self.list_altered(before)]
        return provenance.list_changes(before, current) + altered
