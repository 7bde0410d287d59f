"""Read the files of a run, and say what has become of them.

stages.py lists the files. stage_folder.py has what the three notebooks write.
"""

import logging
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np

from pipeline import digests, parameters, records
from pipeline.errors import InvalidFile, InvalidInput
from pipeline.images.arrays import Layout, read_arrays
from pipeline.images.data import Data
from pipeline.paths import BASE, ROOT, to_display_path
from pipeline.records import History, Metrics, RunRecord, Status
from pipeline.results import provenance, stages
from pipeline.results.files import atomic_write
from pipeline.results.model import Model
from pipeline.results.provenance import AFTER_TRAINING
from pipeline.results.stages import Stage

log = logging.getLogger(__name__)


class RunFolder:
    """The folder of a run. `PointFolder` is that of a point of a sweep.

    The methods `read_*` raise InvalidFile if a file is missing or damaged. Only
    `find_record` returns None instead.

    advice: a sentence that says what to do if a file is missing or damaged.
    """

    advice = (
        "Run the notebooks before this one, or, to run all three: "
        "python -m pipeline run --run-dir DIR"
    )

    def __init__(self, path: Path | str) -> None:
        self.path = BASE / path
        self.display_path = to_display_path(self.path)
        self.data_path = self.path / stages.DATA
        self.model_path = self.path / stages.MODEL
        self.history_path = self.path / stages.HISTORY
        self.answers_path = self.path / stages.ANSWERS
        self.metrics_path = self.path / stages.METRICS
        self.helpers_path = self.path / stages.HELPERS
        self.report_path = self.path / stages.REPORT
        self.checkpoint_path = self.path / stages.CHECKPOINT
        self.record_path = self.path / stages.RECORD

    @property
    def has_results(self) -> bool:
        """Return whether the folder contains a result of a notebook."""
        return any((self.path / name).exists() for name in stages.RESULT_FILES)

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
        if not self.record_path.exists():
            raise self._explain_missing_record()
        return records.read_record(self.record_path, RunRecord, self.advice)

    def find_record(self) -> RunRecord | None:
        with suppress(InvalidFile):
            return self.read_record()
        return None

    def _explain_missing_record(self) -> InvalidFile:
        if not self.path.exists():
            return InvalidFile(self.path, "does not exist", "Name a run or a sweep.")
        if (self.path / stages.SWEEP).exists():
            return InvalidFile(self.path, "holds a sweep", "Name one of its points.")
        problem = "holds neither a run nor a sweep"
        return InvalidFile(self.path, problem, "Name the folder of one of these.")

    def read_finished(self) -> RunRecord:
        """Read the record of a run that is done.

        Raises InvalidFile if it is not, or if its results are no longer as they were.
        If notebooks have run alone, this is logged.
        """
        record = self.read_record()
        if record.status != Status.DONE:
            problem = f"holds a run that did not finish (its status is {record.status})"
            raise InvalidFile(self.path, problem, self._describe_repetition(record))
        altered = self.list_altered(record)
        if altered:
            problem = f"has changed: its {altered[0]} was removed or altered"
            raise InvalidFile(self.path, problem, self._describe_repetition(record))
        making = provenance.describe_making(record)
        if making:
            log.info(f"{self.display_path}: {making}")
        return record

    def read_evaluated(self) -> RunRecord:
        """Read the record of a finished run that was evaluated on the test images.

        Raises InvalidFile as `read_finished` does, or if it was not evaluated.
        """
        record = self.read_finished()
        if stages.METRICS not in record.outputs:
            problem = "was not selected by its sweep, so it has no test metrics"
            raise InvalidFile(self.path, problem, "Name a run or a selected point.")
        return record

    def _describe_repetition(self, record: RunRecord) -> str:
        command = parameters.make_command(record.parameters, self.display_path)
        return f"Make it again: {command}"

    def check_helpers(self, record: RunRecord) -> None:
        """Raise InvalidInput if another version of helpers.py trained this run."""
        trained_with = record.inputs[provenance.HELPERS_INPUT]
        if provenance.remember_helpers() != trained_with:
            step = f"Save yours, then: cp {self.helpers_path} {ROOT}/helpers.py"
            problem = f"{self.display_path} was trained with another helpers.py"
            raise InvalidInput(f"{problem}. {step}. Then restart the kernel, if any.")

    def write_record(self, record: RunRecord) -> None:
        """Write run.json. If the run is done, also delete its checkpoint."""
        atomic_write(self.record_path, records.to_json(record))
        if record.status == Status.DONE:
            self.checkpoint_path.unlink(missing_ok=True)

    def clear(self, kept: Collection[str] = ()) -> None:
        """Remove the files of an earlier run, but not run.json and the checkpoint.

        kept: the names of other files that are not removed.
        """
        for name in stages.CLEARED_FILES:
            if name not in kept:
                (self.path / name).unlink(missing_ok=True)

    def digest(self, names: Iterable[str] = stages.RESULT_FILES) -> dict[str, str]:
        """Return the SHA-256 of each of these files by name; skip missing files."""
        present = [name for name in names if (self.path / name).exists()]
        return {name: digests.digest_file(self.path / name) for name in present}

    def list_altered(self, record: RunRecord) -> list[str]:
        """Return the names of result files that were altered or removed after the run.

        Notebooks and pages are not compared, because users may open and save them.
        data.npz may be missing, because it can be made again from the source.
        """
        current = self.digest()
        expected = dict(record.outputs)
        if not self.data_path.exists():
            expected.pop(stages.DATA, None)
        return [name for name in expected if expected[name] != current.get(name)]

    def find_trained(self, current: RunRecord) -> dict[str, str]:
        """Return the digests of the files of training, if these need no repetition.

        current: the record that the run would get now.

        The dictionary is empty if the network has not been trained, or if anything that
        its training depends on has changed since.
        """
        before = self.find_record()
        if before is None or provenance.list_changes(before, current, AFTER_TRAINING):
            return {}
        files = stages.list_files([stages.PREPARATION, stages.TRAINING])
        recorded = {name: before.outputs.get(name) for name in files}
        trained = self.digest(files)
        is_whole = trained == recorded and not self.list_missing(stages.TRAINED_PAGES)
        return trained if is_whole else {}

    def list_missing(self, names: Iterable[str]) -> list[str]:
        """Return the names of those of these files that are missing or empty."""
        paths = [self.path / name for name in names]
        return [
            path.name for path in paths if not path.exists() or not path.stat().st_size
        ]

    def list_differences(self, current: RunRecord) -> list[str]:
        """Return descriptions of how this run differs from one that would be made now.

        current: the record that a run would get now.

        The list is empty if the run has finished and nothing has changed since.
        """
        before = self.find_record()
        if before is None:
            return ["a run.json that is missing or cannot be read"]
        changes = provenance.list_changes(before, current)
        if before.status != Status.DONE:
            last = f"the last run, which did not finish (its status is {before.status})"
            return [last, *changes]
        for name in self.list_altered(before):
            changes.append(f"{name}, which has been removed or altered since")
        for name in self.list_missing((stages.DATA, *stages.EXECUTED_NOTEBOOKS)):
            changes.append(f"{name}, which is missing or empty")
        return changes
