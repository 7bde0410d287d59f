"""Know every file of a run: its name, how it is read, and how it is written whole.

01_prepare writes data.npz, 02_train model.npz and history.json, 03_evaluate metrics.json, and the pipeline run.json and
report.html. Writing another file removes those that were made from the one before it, so a folder never mixes two runs.
"""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import parameters, storage
from pipeline.datasets import Data
from pipeline.errors import InvalidParameter, InvalidRecord
from pipeline.parameters import Parameters
from pipeline.ranking import PointResult
from pipeline.records import History, Metrics, RunRecord, Status, SweepRecord

PREPARATION, TRAINING, EVALUATION = STAGES = ("01_prepare", "02_train", "03_evaluate")
MADE = ("data.npz", "model.npz", "history.json", "metrics.json")  # in this order
OUTPUTS = (*(f"{stage}.ipynb" for stage in STAGES), *MADE, "report.html")
ALL_THREE = "with the same run_dir, or run all three notebooks with: python -m pipeline run"


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network: weights_0_1 (784, H), weights_1_2 (H, 10), and what its pixels are divided by."""

    weights_0_1: np.ndarray
    weights_1_2: np.ndarray
    normalisation: float

    @property
    def weights(self) -> tuple[np.ndarray, np.ndarray]:
        return self.weights_0_1, self.weights_1_2

    @property
    def hidden_size(self) -> int:
        return int(self.weights_0_1.shape[1])

    @property
    def sha256(self) -> str:
        return storage.sha256_of(*self.weights)


class RunFolder:
    """The folder of a run, or of a point of a sweep. What cannot be read raises InvalidRecord."""

    def __init__(self, path: Path | str) -> None:
        self.path = storage.project_path(str(path))
        self.place = storage.place_of(self.path)
        self.data, self.model, self.history, self.metrics = (self.path / name for name in MADE)
        self.record, self.report = self.path / "run.json", self.path / "report.html"
        self.checkpoint = self.path / "checkpoint.npz"

    @property
    def is_point(self) -> bool:
        """Tell whether this is the folder of a point of a sweep."""
        return SweepFolder(self.path.parent).record.exists()

    @property
    def title(self) -> str:
        """Return the title of the report."""
        if self.is_point:
            return f"Point {self.path.name} of the sweep {SweepFolder(self.path.parent).read_record().name}"
        return f"Run {self.path.name}"

    @property
    def place_to_repeat(self) -> str:
        """Return the folder that a command should name which runs the same again: for a point, a folder of its own."""
        if self.is_point:
            return f"runs/{SweepFolder(self.path.parent).read_record().name}-{self.path.name}"
        return self.place

    def notebook(self, stage: str) -> Path:
        return self.path / f"{stage}.ipynb"

    def executed(self) -> list[Path]:
        """Return the executed notebooks that are there, in order."""
        return [self.notebook(stage) for stage in STAGES if self.notebook(stage).exists()]

    def read_data(self) -> Data:
        advice = f"Run 01_prepare.ipynb first, {ALL_THREE}"
        arrays = storage.read_arrays(self.data, advice)
        try:
            return Data.of(arrays)
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidRecord(self.data, f"is not what 01_prepare writes ({error})", advice) from None

    def read_model(self) -> Model:
        advice = f"Run 02_train.ipynb first, {ALL_THREE}"
        arrays = storage.read_arrays(self.model, advice)
        try:
            return Model(arrays["weights_0_1"], arrays["weights_1_2"], float(arrays["normalisation"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidRecord(self.model, f"is not what 02_train writes ({error})", advice) from None

    def read_history(self) -> History:
        return storage.read_record(self.history, History, f"Run 02_train.ipynb first, {ALL_THREE}")

    def read_metrics(self) -> Metrics:
        return storage.read_record(self.metrics, Metrics, f"Run 03_evaluate.ipynb first, {ALL_THREE}")

    def read_record(self) -> RunRecord:
        return storage.read_record(self.record, RunRecord, "Run it with: python -m pipeline run")

    def read_finished(self) -> tuple[RunRecord, Parameters]:
        """Read run.json of a finished run, and check its parameters."""
        record = storage.read_record(self.record, RunRecord, "Name the folder of a finished run, or of a point.")
        if record.status != Status.DONE:
            problem = f"holds no finished run: its status is {record.status}"
            raise InvalidRecord(self.path, problem, "Name the folder of a finished one.")
        try:
            return record, parameters.from_values(record.parameters)
        except InvalidParameter as error:
            problem = f"was written by another version of this project ({str(error).splitlines()[0].rstrip('.')})"
            raise InvalidRecord(self.path, problem, "Run it again first.") from None

    def find_record(self) -> RunRecord | None:
        """Return None where there is no run.json that can be read."""
        with contextlib.suppress(InvalidRecord):
            return self.read_record()
        return None

    def find_metrics(self) -> Metrics | None:
        """Return None where there is no metrics.json that can be read."""
        with contextlib.suppress(InvalidRecord):
            return self.read_metrics()
        return None

    def find_result(self) -> PointResult:
        """Read what is known of a point: its record, which has its metrics if it has finished."""
        if (record := self.find_record()) is None:
            return PointResult(self.path.name, {})
        metrics = record.metrics
        if metrics is None and record.status == Status.DONE:  # written by version 1.0, with its test metrics
            metrics = self.find_metrics()
        return PointResult(self.path.name, record.parameters, record, metrics)

    def write_data(self, data: Data) -> None:
        """Write data.npz, and remove what was made from the old one. The same one stays, and so does all."""
        self._replace("data.npz", {self.data: data.to_bytes()})

    def write_model(self, model: Model, history: History) -> None:
        """Write history.json, then model.npz, and remove what was made from the old ones. The same ones stay."""
        files = {self.history: storage.json_bytes(history), self.model: storage.npz_bytes(**vars(model))}
        self._replace("model.npz", files)
        self.checkpoint.unlink(missing_ok=True)

    def write_metrics(self, metrics: Metrics) -> None:
        """Write metrics.json; if there was another one, remove the record and the report that quote it."""
        if self.metrics.exists():  # not of a point, which has a record before it is evaluated
            self._replace("metrics.json", {self.metrics: storage.json_bytes(metrics)})
        else:
            storage.write_whole(self.metrics, storage.json_bytes(metrics))

    def write_record(self, record: RunRecord) -> None:
        storage.write_whole(self.record, storage.json_bytes(record))

    def clear(self) -> None:
        """Remove an earlier run's files, results first, so that no old file passes for a new one."""
        for path in (*(self.path / name for name in reversed(OUTPUTS)), *self.path.glob(".*.part")):
            path.unlink(missing_ok=True)

    def _replace(self, first: str, files: Mapping[Path, bytes]) -> None:
        """Write files, unless they are there with this content. `first` and all that was made from it goes before that.

        The last goes first, and of a finished run its record, too.
        """
        if all(path.exists() and path.read_bytes() == content for path, content in files.items()):
            return
        self._remove_from(first)
        for path, content in files.items():
            storage.write_whole(path, content)

    def _remove_from(self, first: str) -> None:
        if (record := self.find_record()) and record.status == Status.DONE:
            self.record.unlink()
        self.report.unlink(missing_ok=True)
        for name in reversed(MADE[MADE.index(first) :]):
            (self.path / name).unlink(missing_ok=True)

    def present(self) -> list[str]:
        """Return the names of the run's files that are there."""
        return [name for name in OUTPUTS if (self.path / name).exists()]

    def digests(self) -> dict[str, str]:
        """Return the SHA-256 of each of the run's files that is there."""
        return {name: storage.sha256_of_file(self.path / name) for name in self.present()}

    def altered(self, record: RunRecord, names: Iterable[str]) -> list[str]:
        """Return those of the files that are not the ones that the record names."""
        now = self.digests()
        return [name for name in names if now.get(name) is None or now[name] != record.outputs.get(name)]


class SweepFolder:
    """The folder of a sweep, which holds a folder for each of its points."""

    def __init__(self, path: Path | str) -> None:
        self.path = storage.project_path(str(path))
        self.record, self.results, self.notebook, self.report, self.report_inputs = (
            self.path / name for name in ("sweep.json", "results.csv", "sweep.ipynb", "report.html", "report.json")
        )

    def read_record(self) -> SweepRecord:
        return storage.read_record(self.record, SweepRecord, "Run the sweep: python -m pipeline sweep FILE.yaml")

    def point(self, identity: str) -> RunFolder:
        return RunFolder(self.path / identity)
