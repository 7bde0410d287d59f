"""Know the files of a run: read them, write them whole, and say whose a folder is.

01_prepare writes data.npz, 02_train model.npz and history.json, 03_evaluate metrics.json, and the
pipeline run.json and report.html. A stage that gives something new removes what was made from its
old result, so a folder never shows numbers that do not belong together.
"""

import contextlib
import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from pipeline import data, digests, parameters, records
from pipeline.data import DATA, Classes, Data, Layout, Weights
from pipeline.errors import (
    Diverged,
    FolderBusy,
    InvalidData,
    InvalidParameter,
    InvalidRecord,
)
from pipeline.parameters import BASE, ROOT, RUNS, Parameters
from pipeline.records import Epoch, History, Metrics, RunRecord, Status

PREPARATION, TRAINING, EVALUATION = STAGES = ("01_prepare", "02_train", "03_evaluate")
RESULTS = (
    "data.npz",
    "model.npz",
    "history.json",
    "metrics.json",
)  # each made from those before
FILES = {PREPARATION: RESULTS[:1], TRAINING: RESULTS[1:3], EVALUATION: RESULTS[3:]}
OUTPUTS = (*(f"{stage}.ipynb" for stage in STAGES), *RESULTS, "report.html")
WRITTEN = (*OUTPUTS, "checkpoint.npz", "run.json")
LOCK = ".digits.lock"
MARKS: dict[str, Any] = {"run.json": RunRecord, "sweep.json": records.SweepRecord}
RUN_DIR = "DIGITS_RUN_DIR"  # names, to a notebook, the folder that its run has locked
PROJECT_FOLDERS = (".git", ".ci", ".venv", "notebooks", "pipeline", "tests")
GENERATOR = (
    b'<meta name="generator" content="python -m pipeline">'  # the mark of our pages
)
# A temporary file of `write_whole`, which a process that was killed has left.
PART = re.compile(rf"\.({'|'.join(map(re.escape, WRITTEN))})\.\d+\.part")
WEIGHTS = "weights_{}_{}"  # the name of a matrix, from one layer to the next
SMALLER = (
    "Make learning_rate smaller, by a factor of ten at first, or normalisation larger."
)


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network: its weights, its normalisation, and the names of its classes.

    The weights are float64 matrices, as helpers.py takes and returns them.
    """

    weights: Weights
    normalisation: float
    classes: Classes = data.DIGITS
    note: str | None = (
        None  # if helpers.py itself has trained it, not the compiled loops
    )

    @property
    def sha256(self) -> str:
        """Return the digest of the weights that metrics.json has."""
        return digests.digest_arrays(*self.weights)


def name_weights(weights: Weights) -> dict[str, np.ndarray]:
    """Return weight matrices by name: weights_0_1, weights_1_2, weights_2_3, ...

    Raises InvalidData if they are no tuple of float64 matrices.
    """
    if not isinstance(weights, tuple):
        kind = type(weights).__name__
        problem = f"The weights of helpers.py are a {kind}, but must be a tuple"
        raise InvalidData(f"{problem} of float64 matrices. Change initial_weights.")
    for number, matrix in enumerate(weights):
        if np.ndim(matrix) != 2 or np.asarray(matrix).dtype != np.float64:
            found = f"{np.asarray(matrix).dtype} {np.shape(matrix)}"
            name = WEIGHTS.format(number, number + 1)
            problem = f"{name} of helpers.py is {found}, but must be a float64 matrix"
            raise InvalidData(f"{problem}, such as (1, H) for a bias.")
    return {WEIGHTS.format(i, i + 1): matrix for i, matrix in enumerate(weights)}


def take_weights(arrays: data.Arrays, path: Path, next_step: str) -> Weights:
    """Return the weight matrices of a file, in order. Raises InvalidRecord."""
    found = {
        name: array for name, array in arrays.items() if name.startswith("weights")
    }
    count = max(len(found), 1)
    names = [WEIGHTS.format(number, number + 1) for number in range(count)]
    for name in names:
        if name not in found:
            raise InvalidRecord(path, f"has no array {name}", next_step)
        if found[name].ndim != 2 or found[name].dtype != np.float64:
            problem = f"has {name} {found[name].dtype} {found[name].shape}"
            problem += ", but must have a float64 matrix"
            raise InvalidRecord(path, problem, next_step)
    return tuple(found[name] for name in names)


class RunFolder:
    """The folder of a run, or of a point of a sweep.

    `read_*` raise InvalidRecord if a file is missing or damaged; `find_record` returns None then.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = BASE / path
        self.place = parameters.to_project(self.path)
        self.data, self.model, self.history, self.metrics = map(
            self.path.joinpath, RESULTS
        )
        self.report, self.checkpoint, self.record = map(
            self.path.joinpath, WRITTEN[-3:]
        )

    @classmethod
    def open(cls, namespace: Mapping[str, Any]) -> "RunFolder":
        """Check a notebook's parameters, and return its folder: ``RunFolder.open(globals())``.

        Print which run in the folder will be replaced, if it has other parameters.
        """
        values = parameters.check(namespace)
        folder = cls(namespace["run_dir"])
        record = None if folder.is_held else folder.find_record()
        before = record.parameters if record else values
        changed = {
            name: before.get(name)
            for name in values
            if before.get(name) != values[name]
        }
        if changed:
            found = f"{folder.place} holds a run with {parameters.describe(changed)}"
            print(f"{found}. It will be replaced; to keep it, choose another run_dir.")
        return folder

    @property
    def is_point(self) -> bool:
        return (self.path.parent / "sweep.json").exists()

    @property
    def is_held(self) -> bool:
        """Return whether this is a notebook's process, whose run has locked the folder."""
        return os.environ.get(RUN_DIR) == str(self.path)

    @property
    def next_step(self) -> str:
        """Return what to do about a file that is missing or damaged."""
        if self.is_point:
            return "Run its sweep again, or name the folder of a run."
        if (self.path / "sweep.json").exists():
            return "It is the folder of a sweep: name one of its points."
        command = f"python -m pipeline run --run-dir {shlex.quote(self.place)}"
        return (
            f"Run the notebooks before this one, or, in the project's folder: {command}"
        )

    def notebook(self, stage: str) -> Path:
        return self.path / f"{stage}.ipynb"

    def read_data(self) -> Data:
        return Data.from_arrays(data.read_arrays(self.data, DATA, self.next_step))

    def read_model(self) -> Model:
        layout: Layout = {"normalisation": ("float64", ())}
        arrays = data.read_arrays(self.model, layout, self.next_step)
        weights = take_weights(arrays, self.model, self.next_step)
        note = str(arrays["note"]) if "note" in arrays else None
        normalisation = float(arrays["normalisation"])
        return Model(weights, normalisation, data.read_classes(arrays), note)

    def read_history(self) -> History:
        epochs = records.read_record(self.history, records.HISTORY, self.next_step)
        return [epoch.model_dump(exclude_none=True) for epoch in epochs]

    def read_metrics(self) -> Metrics:
        return records.read_record(self.metrics, Metrics, self.next_step)

    def read_record(self) -> RunRecord:
        return records.read_record(self.record, RunRecord, self.next_step)

    def find_record(self) -> RunRecord | None:
        with contextlib.suppress(InvalidRecord):
            return self.read_record()
        return None

    def read_finished(self, check_files: bool = True) -> tuple[RunRecord, Parameters]:
        """Return the record of a finished run, and its parameters.

        Raises InvalidRecord if the run has not finished, or a file is not what it has left.
        """
        record = self.read_record()
        altered = self.find_altered(record, OUTPUTS[:-1]) if check_files else []
        if record.status != Status.DONE:
            command = parameters.make_command(record.parameters, self.place)
            next_step = self.next_step if self.is_point else f"Finish it: {command}"
            problem = (
                f"holds a run that has not finished (its status is {record.status})"
            )
            raise InvalidRecord(self.path, problem, next_step)
        if altered:
            problem = (
                f"is not what its run left: {altered[0]} has been removed or altered"
            )
            raise InvalidRecord(self.path, problem, self.next_step)
        return record, parameters.from_values(record.parameters)

    def write_data(self, prepared: Data) -> None:
        """Write data.npz."""
        self._write({self.data: prepared.to_bytes()})

    def write_model(
        self,
        weights: Weights,
        normalisation: float,
        history: History,
        trained_on: Data,
        note: str | None = None,
    ) -> Model:
        """Write history.json and model.npz, and return the model.

        note: what is to be said about the training, see `Model`.

        Raises InvalidRecord if data.npz is no longer what it was trained on, and Diverged if a
        weight is not finite, as after a last epoch whose error still was.
        """
        if self.read_data().sha256 != trained_on.sha256:
            raise InvalidRecord(
                self.data,
                "has changed since this notebook read it",
                "Run this notebook again.",
            )
        if not all(np.isfinite(matrix).all() for matrix in weights):
            raise Diverged(f"The weights are no longer finite numbers. {SMALLER}")
        arrays = name_weights(weights) | trained_on.classes.to_arrays()
        notes = {} if note is None else {"note": note}
        content = data.to_npz(normalisation=float(normalisation), **arrays, **notes)
        epochs = [Epoch.model_validate(epoch) for epoch in history]
        self._write({self.history: records.to_json(epochs), self.model: content})
        self.checkpoint.unlink(missing_ok=True)
        return self.read_model()

    def write_metrics(
        self, model: Model, metrics: Mapping[str, float], test_images: int
    ) -> None:
        """Write metrics.json: the last epoch's metrics, and those on so many test images.

        Raises InvalidRecord if model.npz is no longer the network that was measured, and Diverged
        if the error on the test images is not finite.
        """
        if self.read_model().sha256 != model.sha256:
            raise InvalidRecord(
                self.model,
                "has changed since this notebook read it",
                "Run this notebook again.",
            )
        if not np.isfinite(metrics["test_error"]):
            raise Diverged(
                f"The error on the test images is {metrics['test_error']}. {SMALLER}"
            )
        record = Metrics(
            **metrics, test_images=test_images, weights_sha256=model.sha256
        )
        self._write({self.metrics: records.to_json(record)})

    def write_record(self, record: RunRecord) -> None:
        write_whole(self.record, records.to_json(record))

    def _write(self, files: Mapping[Path, bytes]) -> None:
        """Write a stage's results, unless they are there. First remove what the old ones led to."""
        first = min(WRITTEN.index(path.name) for path in files)
        self.check_free(WRITTEN[first:])
        names = OUTPUTS[first:]
        with contextlib.nullcontext() if self.is_held else lock(self.path):
            if all(
                path.exists() and path.read_bytes() == files[path] for path in files
            ):
                return
            record = self.find_record()
            if record and not self.is_held:
                command = parameters.make_command(record.parameters, self.place)
                print(f"Replacing the run in {self.place}. To make it again: {command}")
                stages = [stage for stage, made in FILES.items() if {*made} & {*names}]
                for path in (self.record, *map(self.notebook, stages)):
                    path.unlink(missing_ok=True)
            for name in reversed(names):
                (self.path / name).unlink(missing_ok=True)
            for path, content in files.items():
                write_whole(path, content)

    def clear(self) -> None:
        """Remove an earlier run's files, but for its checkpoint; its report and metrics first."""
        parts = [each.name for each in self.path.iterdir() if PART.fullmatch(each.name)]
        for name in (*reversed(OUTPUTS), *parts):
            (self.path / name).unlink(missing_ok=True)

    def digest(self, names: Iterable[str] = OUTPUTS) -> dict[str, str]:
        """Return the SHA-256 of each of the files that is there."""
        paths = {name: self.path / name for name in names}
        return {name: digests.digest_file(p) for name, p in paths.items() if p.exists()}

    def find_altered(
        self, record: RunRecord, names: Iterable[str] = OUTPUTS
    ) -> list[str]:
        """Return those of the recorded files that have been removed or altered since."""
        recorded = [name for name in names if name in record.outputs]
        digests = self.digest(recorded)
        return [name for name in recorded if digests.get(name) != record.outputs[name]]

    def check_free(self, names: Iterable[str] = WRITTEN) -> None:
        """Raise InvalidParameter if a run may not write files of these names into the folder."""
        if not self.is_held:
            check_folder(self.path, names, "sweep.json")


def find_lost(folder: RunFolder, record: RunRecord) -> list[str]:
    """Describe each file of a finished run that is not what it left, but for its report."""
    altered = folder.find_altered(record, OUTPUTS[:-1])  # a report can be written again
    return [f"{name}, which has been removed or altered since" for name in altered]


def check_folder(path: Path, names: Iterable[str], other: str) -> None:
    """Raise InvalidParameter unless a run, or a sweep, may write such files into the folder.

    other: what marks a folder of the other kind. In a folder that is not ours nothing is replaced.
    """
    resolved = path.resolve()
    marks = [above / name for above in resolved.parents for name in MARKS]
    holders = [mark for mark in marks if mark.exists() and is_ours(mark.parent)]
    files = [above for above in resolved.parents if above.is_file()]
    foreign = [name for name in names if (path / name).exists()]
    is_own = any(resolved.is_relative_to(ROOT / name) for name in PROJECT_FOLDERS)
    if is_own or resolved in (RUNS, RUNS / "sweeps"):
        problem = "one of the project's own folders"
    elif ROOT.is_relative_to(resolved):
        problem = f"a folder that holds the project, {ROOT}"
    elif holders:
        problem = f"inside another result, whose mark is {holders[0]}"
    elif files:
        problem = f"below a file, {files[0]}"
    elif (path / other).exists():
        problem = f"the folder of another kind of result: it holds {other}"
    elif foreign and not is_ours(path):
        problem = f"not a folder of this project, and holds {foreign[0]}, which would be replaced"
    else:
        return
    raise InvalidParameter(f"{path} is {problem}. Choose another folder.")


def is_ours(folder: Path) -> bool:
    """Return whether a folder has our lock, or a record that reads as one of ours."""
    for name, kind in MARKS.items():
        with contextlib.suppress(InvalidRecord, OSError):
            records.read_record(folder / name, kind, "")
            return True
    return (folder / LOCK).exists()


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Lock the folder, made if need be, until the block or the process ends.

    Raises FolderBusy if another command has locked it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / LOCK, timeout=0.3):  # `is_locked` holds it for a moment
            yield
    except Timeout:
        message = f"Another command is writing to {folder}. Wait for it, or choose another folder."
        raise FolderBusy(message) from None


def is_locked(folder: Path) -> bool:
    """Return whether a command is writing to the folder at this moment."""
    if not (folder / LOCK).exists():
        return False
    try:
        with FileLock(folder / LOCK, timeout=0):
            return False
    except (Timeout, OSError):
        return True


def write_whole(path: Path, content: bytes) -> None:
    """Write a temporary file beside the path, then rename it: a reader finds the old or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:  # of which a full disk names no file
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        temporary.unlink(missing_ok=True)


def check_page(path: Path) -> None:
    """Raise InvalidParameter if a page cannot stand there, or something else does."""
    files = [above for above in path.parents if above.is_file()]
    if files:
        raise InvalidParameter(
            f"{path} is below a file, {files[0]}. Choose another --output."
        )
    if path.exists() and (path.is_dir() or GENERATOR not in path.read_bytes()[:2000]):
        raise InvalidParameter(
            f"{path} was not made by this project. Move it, or choose another --output."
        )
