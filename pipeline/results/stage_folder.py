"""Write what the notebooks of the three stages compute.

If a stage has a new result, the files that were made from the old result are deleted
first, so that the files in a folder always belong together.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import parameters, records
from pipeline.digests import digest_modules, find_modules
from pipeline.errors import Diverged, InvalidFile, InvalidInput
from pipeline.images.arrays import Weights, to_npz
from pipeline.images.data import Data
from pipeline.parameters import Parameters
from pipeline.paths import BASE, ROOT
from pipeline.records import TEST_METRICS, Epoch, History, Metrics, RunRecord, Status
from pipeline.results import provenance, stages
from pipeline.results.files import atomic_write, check_folder, lock_folder
from pipeline.results.model import Model
from pipeline.results.run_folder import RunFolder
from pipeline.results.stages import (
    RESULT_FILES,
    RUN_DIR_VARIABLE,
    STAGES,
    USED,
    Stage,
    list_earlier,
    list_files,
)

# What this process has imported, if it has imported these modules.
_modules = find_modules(*(stage.notebook for stage in STAGES))
_imported = digest_modules(_modules)


class StageFolder(RunFolder):
    """The folder of a run, for a notebook that a command executes.

    The command has checked the folder, and holds its lock.
    """

    @classmethod
    def open(cls, namespace: dict[str, Any]) -> "StageFolder":
        """Return the folder of a notebook's run, and check parameters and code.

        The folder is a LabFolder unless a command executes the notebook. A notebook
        calls ``folder = StageFolder.open(globals())``. The old `folder` is deleted
        first, so that no later cell stores anything if a check raises InvalidInput.
        """
        namespace.pop("folder", None)
        values = parameters.check(namespace)
        run_dir = namespace["run_dir"]
        folder_of_command = os.environ.get(RUN_DIR_VARIABLE)
        if folder_of_command == str(BASE / run_dir):
            return StageFolder(run_dir)  # the command has already checked the code
        provenance.check_helpers()
        check_imported_code()
        shell = namespace["get_ipython"]()
        return LabFolder(run_dir, values, shell.history_manager.input_hist_raw)

    def find_training_key(self) -> str | None:
        """Return the key of the run's training, or None if there is no record."""
        record = self.find_record()
        if record is None:
            return None
        inputs = provenance.select_training(record.inputs)
        return parameters.make_id(record.parameters.model_dump() | inputs)

    def write_data(self, prepared: Data) -> None:
        """Write data.npz: the images, which are split into three sets."""
        files = {self.data_path: prepared.to_bytes()}
        self._store(stages.PREPARATION, files, prepared)

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
        owners = [stage for stage in STAGES if name in stage.files]
        if not owners or name in USED:
            problem = f"{name} is written by the project, or by no stage in STAGES"
            raise InvalidInput(f"{problem}. Name another one in {stages.__file__}.")
        data = content.encode() if isinstance(content, str) else content
        self._store(owners[0], {self.path / name: data})

    def _check_unchanged(
        self, path: Path, used: Data | Model, stored: Data | Model
    ) -> None:
        """Raise InvalidFile if a file is no longer what the notebook has used."""
        if used.sha256 != stored.sha256:
            problem = "has changed since this notebook read it"
            raise InvalidFile(path, problem, "Run this notebook again.")

    def _store(
        self, stage: Stage, files: Mapping[Path, bytes], images: Data | None = None
    ) -> None:
        """Write the files of a stage, and print that they have been stored.

        files: the content of each file, by its path.
        images: the images, if the stage has loaded them from their source.
        """
        self._replace(stage, files)
        print(f"{join_names(files)} stored")

    def _replace(self, stage: Stage, files: Mapping[Path, bytes]) -> None:
        if all(path.exists() and path.read_bytes() == files[path] for path in files):
            return
        # Another file of the same stage is kept: a notebook may write one by one.
        kept = {*list_files(list_earlier(stage)), *stage.files}
        outdated = [name for name in reversed(RESULT_FILES) if name not in kept]
        replaced = [path.name for path in files]
        for name in (stages.REPORT, *outdated, *reversed(replaced)):
            (self.path / name).unlink(missing_ok=True)
        for path, content in files.items():
            atomic_write(path, content)


class LabFolder(StageFolder):
    """The folder of a notebook that no command executes, as in JupyterLab.

    The notebook records its own stage when it stores files. It saves no checkpoint, and
    replaces no run that a command has made.

    values: the parameters of the notebook's run.
    executed: the cells that the kernel has executed, including the current one.
    """

    def __init__(
        self,
        path: Path | str,
        values: Mapping[str, Any],
        executed: Sequence[str],
    ) -> None:
        super().__init__(path)
        self.values = values
        self.executed = executed

    def find_training_key(self) -> None:
        return None

    def _store(
        self, stage: Stage, files: Mapping[Path, bytes], images: Data | None = None
    ) -> None:
        before = self.find_record()
        if self.record_path.exists() and not (before and before.made_by):
            where = f"{self.display_path} holds a run of a command"
            print(f"{join_names(files)} not stored, because {where}: change run_dir")
            return
        check_imported_code()
        check_folder(self.path, stages.SWEEP, (".ipynb",))
        before = before or RunRecord(parameters=Parameters(), inputs={})
        record = self._extend_record(before, stage, images)
        with lock_folder(self.path):
            self.write_record(record)
            super()._store(stage, files)
            if provenance.HELPERS_INPUT in record.inputs:
                atomic_write(self.helpers_path, provenance.get_helpers(record.inputs))
            outputs = record.outputs | self.digest(path.name for path in files)
            is_done = outputs.keys() >= {*stages.RESULT_FILES}
            status = Status.DONE if is_done else Status.RUNNING
            self.write_record(record.replace(outputs=outputs, status=status))

    def _extend_record(
        self, before: RunRecord, stage: Stage, images: Data | None
    ) -> RunRecord:
        """Return a record with the inputs and parameters of a stage that has ended.

        before: the record of the folder, of which the part of earlier stages is kept.
        images: see `_store`.

        Raises InvalidInput if an earlier stage is not recorded, or has recorded another
        value for an input of this stage.
        """
        inputs = provenance.collect_inputs(images, [stage], [stage])
        cells = provenance.digest_executed_cells(self.executed, stage.notebook)
        inputs[f"cells {stage.name}"] = cells
        earlier = list_earlier(stage)
        names = {*provenance.collect_inputs(None, earlier, earlier)}
        kept = {name: before.inputs[name] for name in before.inputs if name in names}
        if earlier:
            arrays = provenance.select_group(before.inputs, "array")
            kept |= {f"array {name}": arrays[name] for name in arrays}
        needed = list_files(earlier)
        missing = [name for name in needed if name not in before.outputs]
        changed = [
            name for name in inputs if kept.get(name, inputs[name]) != inputs[name]
        ]
        for name in (*missing, *changed):
            problem = f"{name} is not as this notebook needs it, so nothing is stored"
            raise InvalidInput(f"{problem}. Begin with 01_prepare.")
        files = (*needed, *stage.files)
        outputs = {
            name: before.outputs[name] for name in files if name in before.outputs
        }
        return RunRecord(
            parameters=Parameters(**{**dict(before.parameters), **self.values}),
            inputs=kept | inputs,
            outputs=outputs,
            made_by="notebooks alone",
        )


def check_imported_code() -> None:
    """Raise InvalidInput if this kernel has not imported the code that is on disk.

    A file may have been saved later, or the kernel may have imported another file.
    """
    modules = {name: _modules[name] for name in _modules if name in sys.modules}
    current = digest_modules(modules)
    for name, file in modules.items():
        imported = str(sys.modules[name].__file__)
        is_same = (ROOT / file).samefile(imported)
        if not is_same or _imported.get(file) != current.get(file):
            problem = f"{file} is not as this kernel imported it, from {imported}"
            raise InvalidInput(f"{problem}. Restart the kernel, and run all cells.")


def join_names(files: Mapping[Path, bytes]) -> str:
    return " and ".join(path.name for path in files)
