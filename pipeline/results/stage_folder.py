"""Write what the notebooks of the three stages compute.

If a stage has a new result, the files that were made from the old result are deleted
first, so that the files in a folder always belong together.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import parameters, records
from pipeline.errors import Diverged, InvalidFile, InvalidInput
from pipeline.images.arrays import Weights, to_npz
from pipeline.images.data import Data
from pipeline.parameters import LAB
from pipeline.paths import BASE
from pipeline.records import TEST_METRICS, Epoch, History, Metrics
from pipeline.results import provenance, stages
from pipeline.results.files import atomic_write, check_folder, lock_folder
from pipeline.results.model import Model
from pipeline.results.run_folder import RunFolder
from pipeline.results.stages import RESULT_FILES, STAGES, USED, Stage

# A command that executes notebooks sets this variable to their folder.
RUN_DIR_VARIABLE = "DIGITS_RUN_DIR"
# The variables that cells of the three notebooks use after another cell has set them.
BOUND = ("folder", "data", "model", "history", "weights", "x", "y", "true", "answers")


class StageFolder(RunFolder):
    """The folder of a run, for a notebook that a command executes.

    The command has checked the folder, and holds its lock.
    """

    @classmethod
    def open(cls, namespace: dict[str, Any]) -> "StageFolder":
        """Return the folder of a notebook's run, and check parameters and helpers.py.

        The folder is a LabFolder unless a command executes the notebook. A notebook
        calls ``StageFolder.open(globals())``. The variables in BOUND may have been
        computed with other parameters, so they are deleted first. If a check then
        raises InvalidInput, no later cell can use their old values.
        """
        for name in BOUND:
            namespace.pop(name, None)
        parameters.check(namespace)
        run_dir = namespace["run_dir"]
        folder_of_command = os.environ.get(RUN_DIR_VARIABLE)
        if folder_of_command == str(BASE / run_dir):
            return StageFolder(run_dir)  # the command has already checked helpers.py
        provenance.check_helpers()
        provenance.check_imported_helpers()
        return LabFolder(run_dir)

    def find_training_key(self) -> str | None:
        """Return the key of the run's training, or None if there is no record."""
        record = self.find_record()
        if record is None:
            return None
        inputs = provenance.select_training(record.inputs)
        return parameters.make_id(record.parameters.model_dump() | inputs)

    def write_data(self, prepared: Data) -> None:
        """Write data.npz: the images, which are split into three sets."""
        self._store(stages.PREPARATION, {self.data_path: prepared.to_bytes()})

    def write_model(
        self, weights: Weights, normalisation: float, history: History, trained_on: Data
    ) -> Model:
        """Write history.json and model.npz, and return the model.

        Raises InvalidFile if data.npz has changed since the network was trained, and
        Diverged if a weight is not finite.
        """
        self._check_unchanged(self.data_path, trained_on, self.read_data())
        if not all(np.isfinite(matrix).all() for matrix in weights):
            raise Diverged(f"A weight is not finite. {Diverged.ADVICE}")
        trained = Model(weights, normalisation, trained_on.classes)
        epochs = [Epoch.model_validate(epoch) for epoch in history]
        files = {
            self.history_path: records.to_json(epochs),
            self.model_path: trained.to_bytes(),
        }
        self._store(stages.TRAINING, files)
        return trained

    def write_metrics(
        self, model: Model, metrics: Mapping[str, float], answers: np.ndarray
    ) -> None:
        """Write answers.npz and then metrics.json.

        metrics: the metrics of the last epoch, test_error and test_accuracy, and any
            other finite numbers.
        answers: the answers to the test images, (N,).

        Raises InvalidFile if model.npz has changed since the notebook read the model,
        InvalidInput if one of the other numbers cannot be stored, and Diverged if the
        test error is not finite.
        """
        self._check_unchanged(self.model_path, model, self.read_model())
        error = metrics["test_error"]
        if not np.isfinite(error):
            raise Diverged(f"The test error is {error}. {Diverged.ADVICE}")
        required = {*Epoch.model_fields, *TEST_METRICS}
        others = {name: metrics[name] for name in metrics if name not in required}
        records.check_other_metrics(others)
        record = Metrics(
            **metrics, test_images=len(answers), weights_sha256=model.sha256
        )
        files = {
            self.answers_path: to_npz(answers=answers.astype(np.uint8)),
            self.metrics_path: records.to_json(record),
        }
        self._store(stages.EVALUATION, files)

    def write(self, name: str, content: bytes | str) -> None:
        """Write a file that STAGES names, and that no other method writes.

        content: bytes, or text, which is stored as UTF-8.

        Raises InvalidInput if STAGES does not name the file, or if another method
        writes it.
        """
        for stage in STAGES:
            if name in stage.files and name not in USED:
                break
        else:
            problem = f"{name} is written by the project, or by no stage in STAGES"
            raise InvalidInput(f"{problem}. Name another one in {stages.__file__}.")
        data = content.encode() if isinstance(content, str) else content
        self._store(stage, {self.path / name: data})

    def _check_unchanged(
        self, path: Path, used: Data | Model, stored: Data | Model
    ) -> None:
        """Raise InvalidFile if a file is no longer what the notebook has used."""
        if used.sha256 != stored.sha256:
            problem = "has changed since this notebook read it"
            raise InvalidFile(path, problem, "Run this notebook again.")

    def _store(self, stage: Stage, files: Mapping[Path, bytes]) -> None:
        """Write the files of a stage, and print that they have been stored.

        files: the content of each file, by its path.
        """
        self._replace(stage, files)
        print(f"{join_names(files)} stored")

    def _replace(self, stage: Stage, files: Mapping[Path, bytes]) -> None:
        if all(path.exists() and path.read_bytes() == files[path] for path in files):
            return
        own = {path.name for path in files}
        kept = {*stages.list_earlier_files(stage), *stage.files} - own
        outdated = [name for name in reversed(RESULT_FILES) if name not in kept]
        for name in (stages.REPORT, *outdated):
            (self.path / name).unlink(missing_ok=True)
        for path, content in files.items():
            atomic_write(path, content)


class LabFolder(StageFolder):
    """The folder of a notebook that no command executes, as in JupyterLab.

    The notebook saves no checkpoint, and replaces no run that a command has made.
    """

    def find_training_key(self) -> None:
        return None

    def _store(self, stage: Stage, files: Mapping[Path, bytes]) -> None:
        if self.record_path.exists():
            other = f"{LAB}-2" if self.display_path == LAB else LAB
            print(
                f"{join_names(files)} not stored, because {self.display_path} holds a "
                f'run: set run_dir = "{other}" in all three notebooks, and begin with '
                "01_prepare"
            )
            return
        earlier = stages.list_earlier_files(stage)
        check_folder(self.path, stages.SWEEP, (".ipynb", *earlier))
        with lock_folder(self.path):
            super()._store(stage, files)


def join_names(files: Mapping[Path, bytes]) -> str:
    return " and ".join(path.name for path in files)
