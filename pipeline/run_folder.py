"""Know every file of a run: its name, how it is read, and how it is written whole.

01_prepare writes data.npz, 02_train model.npz and history.json, 03_evaluate metrics.json, and the pipeline run.json and
report.html. When a file changes, the files made from its old version are removed, so a folder never mixes two runs.
"""

import contextlib
import shlex
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from pipeline import console, outputs, parameters, readers, storage
from pipeline.errors import SMALLER, Diverged, FolderBusy, InvalidParameter, InvalidRecord, shown
from pipeline.images import Classes, Data
from pipeline.model import MODEL, Model
from pipeline.parameters import Parameters, Value
from pipeline.readers import Layout
from pipeline.records import Digest, History, Metrics, RunRecord, Status, SweepRecord

PREPARATION, TRAINING, EVALUATION = STAGES = ("01_prepare", "02_train", "03_evaluate")
MADE = ("data.npz", "model.npz", "history.json", "metrics.json")
REPORT = "report.html"
OUTPUTS = (*(f"{stage}.ipynb" for stage in STAGES), *MADE, REPORT)
WRITTEN, SWEEP = (*OUTPUTS, "checkpoint.npz", "run.json"), "sweep.json"
IMAGES = {f"{kind}_{split}": split for split in ("train", "validation", "test") for kind in "xy"}
DATA: Layout = {name: ("uint8", (split, 784) if name[0] == "x" else (split,)) for name, split in IMAGES.items()} | {
    "provenance": ("str", ())
}


class RunFolder:
    """The folder of a run, or of a point. Of an unreadable file, `read_` raises InvalidRecord, `find_` returns None."""

    def __init__(self, path: Path | str) -> None:
        self.path = storage.project_path(str(path))
        self.place = storage.place_of(self.path)
        self.data, self.model, self.history, self.metrics = (self.path / name for name in MADE)
        self.report, self.checkpoint, self.record = (self.path / name for name in WRITTEN[-3:])

    @property
    def sweep(self) -> "SweepFolder | None":
        """Return the sweep of which this is a point, if it is one; a link may lead here."""
        folder = self.path.parent if storage.exists(self.path.parent / SWEEP) else self.path.resolve().parent
        return SweepFolder(folder) if storage.exists(folder / SWEEP) else None

    @property
    def title(self) -> str:
        if sweep := self.sweep:
            return f"Point {self.path.resolve().name} of the sweep {sweep.read_record().name}"
        return f"Run {self.path.name}"

    def command(self, values: Parameters | Mapping[str, object], seen: Callable[[Path], str] = storage.place_of) -> str:
        """Return the command that runs these again, a point in a folder of its own. seen: how to name the folder."""
        sweep = self.sweep
        path = storage.RUNS / f"{sweep.read_record().name}-{self.path.resolve().name}" if sweep else self.path
        return parameters.command(values, seen(path))

    def notebook(self, stage: str) -> Path:
        return self.path / f"{stage}.ipynb"

    def executed(self) -> list[Path]:
        """Return the executed notebooks that are there, in order."""
        return [path for path in map(self.notebook, STAGES) if storage.exists(path)]

    def _advice(self, stage: str = "") -> str:
        here = shlex.quote(console.from_cwd(self.path))
        if self.sweep and stage == PREPARATION:
            return f"A point keeps no images. Name a run. To evaluate the point: python -m pipeline report {here}"
        if self.sweep:
            return "Run its sweep again, or name the folder of a run."
        notebook = f"Run {stage}.ipynb first, with the same run_dir, or run all three notebooks"
        first = notebook if stage else "The pipeline writes it"
        command = f"python -m pipeline run --run-dir {here}"
        return f"{first}, with -p NAME VALUE for each parameter that is not at its default: {command}"

    def read_data(self) -> Data:
        arrays = readers.read_arrays(self.data, advice := self._advice(PREPARATION), DATA)
        try:
            if max(arrays[name].max(initial=0) for name in DATA if name.startswith("y_")) > 9:
                raise ValueError("it has labels above 9")
            return Data.of(arrays)
        except ValueError as error:
            raise InvalidRecord(self.data, f"is not what 01_prepare writes ({error})", advice) from None

    def read_model(self) -> Model:
        arrays = readers.read_arrays(self.model, advice := self._advice(TRAINING), MODEL)
        weights, normalisation = (arrays["weights_0_1"], arrays["weights_1_2"]), float(arrays["normalisation"])
        try:
            model = Model(*weights, normalisation, Classes.of(arrays))
            if not (model.hidden_size and model.normalisation > 0 and model.is_finite):
                raise ValueError("it has no hidden unit, infinite numbers, or a normalisation that is not above 0")
            return model
        except ValueError as error:
            raise InvalidRecord(self.model, f"is not what 02_train writes ({error})", advice) from None

    def read_history(self) -> History:
        return readers.read_record(self.history, History, self._advice(TRAINING))

    def read_metrics(self) -> Metrics:
        return readers.read_record(self.metrics, Metrics, self._advice(EVALUATION))

    def read_record(self) -> RunRecord:
        advice = self._advice() if storage.exists(self.model) else "Name the folder of a finished run, or of a point."
        return readers.read_record(self.record, RunRecord, advice)

    def read_finished(self) -> tuple[RunRecord, Parameters]:
        """Read run.json of a finished run, and check its parameters."""
        if storage.exists(SweepFolder(self.path).record):
            raise InvalidRecord(self.path, "is a whole sweep", "Name the folder of one of its points instead.")
        record = self.read_record()
        if record.status == Status.RUNNING and storage.is_locked(self.path):
            raise FolderBusy(f"A run is writing to {shown(self.path)}. Wait until it has ended.")
        if record.status != Status.DONE:
            reason = shown((record.error or "").split("\n")[0])
            problem = f"holds no finished run: its status is {record.status}. {reason}".rstrip(". ")
            ways = {Status.DIVERGED: "", Status.CHANGED: ", or run it whole (for the defaults leave out each -p)"}
            way = ways.get(record.status, ", or run it again")
            end = f"{way}: {console.plain(self.command(record.parameters, console.from_cwd))}" if way else "."
            raise InvalidRecord(self.path, problem, f"Name the folder of a finished one{end}")
        try:
            chosen = parameters.from_values(record.parameters)
        except InvalidParameter as error:
            problem = f"was written by another version of this project ({str(error).splitlines()[0].rstrip('.')})"
            raise InvalidRecord(self.path, problem, "Run it again first.") from None
        if self.sweep and parameters.identity(chosen.model_dump()) != self.path.resolve().name:
            raise InvalidRecord(self.record, "is that of another point", "Run the sweep again.")
        return record, chosen

    def read_results(self, chosen: Parameters) -> tuple[Metrics, History, Model]:
        """Read what a finished run of these parameters has made, and check that it belongs together."""
        metrics, history, model = self.read_metrics(), self.read_history(), self.read_model()
        if problem := model.contradiction(chosen, history, metrics):
            raise InvalidRecord(self.path, f"holds files of different runs: {problem}", "Run it again.")
        return metrics, history, model

    def find_record(self) -> RunRecord | None:
        return _found(self.read_record)

    def find_metrics(self) -> Metrics | None:
        return _found(self.read_metrics)

    def write_data(self, data: Data, given: Mapping[str, Value] = {}) -> None:
        """Write data.npz. If its content differs, remove what was made from the old one. given: the parameters."""
        self.check_place(f"run_dir is {self.place!r}")
        self._replace(PREPARATION, given, {self.data: data.to_bytes()})

    def write_model(
        self, model: Model, history: History, given: Mapping[str, Value] = {}, data: Data | None = None
    ) -> None:
        """Write history.json, then model.npz. If their content differs, remove what was made from the old ones.

        data: what it was trained on. Raises InvalidRecord if data.npz holds something else by now, and Diverged if a
        weight is infinite or not a number, as after a last epoch whose error was still finite.
        """
        if data and self.read_data().sha256 != data.sha256:
            raise InvalidRecord(self.data, "is no longer what this network was trained on", "Run the notebook again.")
        if not model.is_finite:
            raise Diverged(f"The weights are no longer finite numbers. {SMALLER}")
        arrays = {"weights_0_1": model.weights_0_1, "weights_1_2": model.weights_1_2} | model.classes.stored()
        content = storage.npz_bytes(**arrays, normalisation=float(model.normalisation))  # the same for 255 and 255.0
        files = {self.history: storage.json_bytes(history), self.model: content}
        self._replace(TRAINING, given, files)
        self.checkpoint.unlink(missing_ok=True)

    def write_metrics(self, metrics: Metrics, given: Mapping[str, Value] = {}) -> None:
        """Write metrics.json. If its content differs, remove the report that quotes the old one.

        Raises InvalidRecord if model.npz holds another network by now than the one that was measured.
        """
        if storage.exists(self.model) and self.read_model().sha256 != metrics.weights_sha256:
            raise InvalidRecord(self.model, "is no longer the network that was measured", "Run the notebook again.")
        self._replace(EVALUATION, given, {self.metrics: storage.json_bytes(metrics)})

    def write_record(self, record: RunRecord) -> None:
        storage.write_whole(self.record, storage.json_bytes(record))

    def clear(self) -> None:
        """Remove an earlier run's files, results first, so that no old file passes for a new one."""
        for name in reversed(OUTPUTS):
            (self.path / name).unlink(missing_ok=True)
        storage.remove_parts(self.path, WRITTEN)

    def check_own(self, given: str, names: Iterable[str] = WRITTEN) -> None:
        """Raise InvalidParameter if a run here would write over a file that no run has made.

        A file is a run's if the record has its digest, or it can be read as one. given: how the message begins.
        """
        read: dict[str, Callable[[], object]] = {
            "run.json": self.read_record,
            "data.npz": self.read_data,
            "model.npz": self.read_model,
            "history.json": self.read_history,
            "metrics.json": self.read_metrics,
            "report.html": lambda: outputs.is_page(self.report),
            "checkpoint.npz": lambda: "identity" in readers.read_arrays(self.checkpoint, ""),
        }
        read |= {path.name: partial(outputs.is_executed, path) for path in map(self.notebook, STAGES)}
        digests = record.outputs if (record := self.find_record()) else {}

        def is_own(name: str) -> object:
            known = digests.get(name)
            return (known and known == storage.sha256_of_file(self.path / name)) or read[name]()

        outputs.check(given, self.path, {self.path / name: partial(is_own, name) for name in names})

    def check_place(self, given: str) -> None:
        """Raise InvalidParameter if this is the folder of a point, whose model comes from its sweep, or of others."""
        for pattern in (SWEEP, "*/run.json", f"*/{SWEEP}"):
            for path in self.path.glob(pattern):
                held = path.relative_to(self.path)
                raise InvalidParameter(f"{given}, which holds other results: {held}. Choose another folder.")
        if self.sweep:
            raise InvalidParameter(f"{given}, the folder of a point of a sweep. Choose another folder.")
        check_not_within_a_run(self.path, given)

    def _replace(self, stage: str, given: Mapping[str, Value], files: Mapping[Path, bytes]) -> None:
        """Write what a stage gives, unless its content is there. First remove all that was made from the old."""
        if all(path.is_file() and path.read_bytes() == content for path, content in files.items()):
            return
        made = MADE[min(MADE.index(path.name) for path in files) :]
        self.check_own(f"run_dir is {self.place!r}", [*made, "report.html"])
        if stage != EVALUATION or storage.exists(self.metrics):  # the first metrics of a point replace nothing
            self._mark_changed(stage, given)
            self.report.unlink(missing_ok=True)
        for name in reversed(made):
            (self.path / name).unlink(missing_ok=True)
        for path, content in files.items():
            storage.write_whole(path, content)

    def _mark_changed(self, stage: str, given: Mapping[str, Value]) -> None:
        """Record that a finished run is no longer what it was, and print it in the notebook."""
        if (record := self.find_record()) is None or record.status not in (Status.DONE, Status.CHANGED):
            return
        other = {name: value for name, value in given.items() if value != record.parameters.get(name)}
        what = f"with {parameters.described(other)}" if other else "with the same parameters, but other data or code"
        change = f"changed by {stage} run alone, {what}"
        values = record.parameters | other
        made = f"Its report and later results are removed. To make them: {self.command(values)}"
        self.write_record(record.changed(status=Status.CHANGED, error=f"It was {change}.", parameters=values))
        print(f"The finished run in {self.place} was {change}. {made}")

    def present(self) -> list[str]:
        """Return the names of the run's files that are there."""
        return [name for name in OUTPUTS if storage.exists(self.path / name)]

    def digests(self, names: Iterable[str] = OUTPUTS) -> dict[str, str]:
        """Return the SHA-256 of each of the run's files that is there."""
        return {name: storage.sha256_of_file(self.path / name) for name in names if storage.exists(self.path / name)}

    def altered(self, record: RunRecord, names: Iterable[str]) -> list[str]:
        """Return those of the files that are not the ones that the record names."""
        now = self.digests(names := list(names))
        return [name for name in names if now.get(name) is None or now[name] != record.outputs.get(name)]


def _found(read: Callable[[], readers.Record]) -> readers.Record | None:
    with contextlib.suppress(InvalidRecord):
        return read()
    return None


def check_not_within_a_run(path: Path, given: str) -> None:
    """Raise InvalidParameter if the folder is below that of a run, which would then hold other results, too."""
    for above in path.parents:
        if RunFolder(above).find_record():
            raise InvalidParameter(f"{given}, inside the folder of a run: {above}. Choose another folder.")


class SweepFolder:
    """The folder of a sweep, which holds a folder for each of its points."""

    names = (SWEEP, "results.csv", "sweep.ipynb", "report.html", "report.json")

    def __init__(self, path: Path | str) -> None:
        self.path = storage.project_path(str(path))
        self.record, self.results, self.notebook, self.report, self.report_inputs = map(self.path.joinpath, self.names)

    def read_record(self) -> SweepRecord:
        return readers.read_record(self.record, SweepRecord, "Run the sweep: python -m pipeline sweep FILE.yaml")

    def find_report_inputs(self) -> dict[str, str]:
        """Return what the report was made from, and its own digest; empty where that cannot be read."""
        return _found(lambda: readers.read_record(self.report_inputs, dict[str, Digest], "")) or {}

    def check_own(self, given: str) -> None:
        """Raise InvalidParameter if a sweep here would write over a file that no sweep has made."""
        made: dict[Path, Callable[[], object]] = {
            self.record: self.read_record,
            self.results: lambda: outputs.head(self.results).startswith(b"id,status,source,"),
            self.notebook: lambda: outputs.is_executed(self.notebook),
            self.report: lambda: outputs.is_page(self.report),
            self.report_inputs: lambda: (
                self.record.name in readers.read_record(self.report_inputs, dict[str, Digest], "")
            ),
        }
        outputs.check(given, self.path, made)

    def point(self, identity: str) -> RunFolder:
        return RunFolder(self.path / identity)
