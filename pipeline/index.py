"""runs/index.html: all runs and sweeps below a folder, newest first, from what is on disk and nothing else.

Whatever is wrong with one folder becomes a row that says so; a run's own result never hangs on this list.
"""

import os
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import quote

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from pipeline import files, pages, run
from pipeline.parameters import Parameters

RUNS = files.ROOT / "runs"
SPLITS = {"train": "training", "validation": "validation", "test": "test"}
VALUES_SHOWN = 6  # of a parameter that a sweep varies
ERROR_SHOWN = 160  # characters; run.json has all of it

Content = TypeVar("Content", bound=BaseModel)
Identity = Annotated[str, Field(pattern=r"^\w+$")]
Number = Annotated[float, Field(allow_inf_nan=False)]


class _Record(BaseModel):
    """What the index needs of a run.json; where it does not fit, the file is damaged."""

    status: str
    started: AwareDatetime | None = None
    parameters: dict[str, Any]
    duration_s: Number | None = None
    error: str | None = None


class _Metrics(BaseModel):
    """What it needs of a metrics.json."""

    train_error: Number
    train_accuracy: Number
    validation_error: Number | None = None
    validation_accuracy: Number | None = None
    test_error: Number
    test_accuracy: Number


class _SweepRecord(BaseModel):
    """What it needs of a sweep.json."""

    base: dict[str, Any] = {}
    grid: dict[str, list[Any]] = {}
    points: list[dict[str, Any]] = []
    select: Literal["validation_accuracy", "validation_error", "train_accuracy", "train_error"]
    ids: list[Identity]
    settings: list[list[Identity]] = []  # of those that differ in their seed alone


class Figures(BaseModel):
    """An accuracy, a fraction, and an error, as text."""

    accuracy: str
    error: str


@dataclass
class Entry:
    """A row of the index. `figures` goes from a split's name to its figures, `good` is whether all went well."""

    name: str
    kind: str
    when: datetime
    status: str
    detail: str = ""
    good: bool = False
    report: str | None = None
    settings: list[str] = field(default_factory=list)
    figures: dict[str, Figures] = field(default_factory=dict)
    duration: str = ""


def refresh(changed: Path, say: Callable[[str], None] = print, runs: Path = RUNS) -> None:
    """Write the index of `runs` anew, if the changed folder is below it; a failure is told in a line, not raised."""
    try:
        if changed.resolve().is_relative_to(runs.resolve()):
            write_index(runs)
    except Exception as error:  # noqa: BLE001 - what has been run stands, whatever happens to a list of it
        reason = (str(error).splitlines() or [""])[0]
        say(f"The list of runs, {runs / 'index.html'}, was not written ({type(error).__name__}: {reason}).")


def write_index(runs: Path = RUNS) -> Path:
    """Write index.html into the folder, and return its path.

    It is written again if what is on disk has changed meanwhile, since two runs that end at once may both write it;
    three times at most, since a busy sweep may change it each time, and writes it again when it ends.
    """
    path, written = runs / "index.html", None
    for _ in range(3):
        if (found := entries(runs)) == written:
            break
        page = pages.fill("index.html.j2", title="Runs", entries=found, splits=SPLITS)
        files.write_whole(path, page.encode(errors="replace"))
        written = found
    return path


def entries(runs: Path) -> list[Entry]:
    """All runs and sweeps below the folder, newest first. Hidden folders and symbolic links are left out."""
    found = [_sweep(folder, runs) if kind == "sweep" else _run(folder, runs) for folder, kind in _folders(runs)]
    return sorted(found, key=lambda entry: (-entry.when.timestamp(), entry.name))


def _folders(runs: Path) -> Iterator[tuple[Path, str]]:
    """Each folder of a run or a sweep; the points of a sweep belong to its own row."""
    for where, folders, names in os.walk(runs):
        folder = Path(where)
        folders[:] = [name for name in folders if not name.startswith(".")]
        records = {name for name in ("sweep.json", "run.json") if name in names and _is_plain(folder / name)}
        if "sweep.json" in records:
            folders.clear()
            yield folder, "sweep"
        elif records:
            yield folder, "run"


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


# ---- a run ------------------------------------------------------------------------------------------------------


def _run(folder: Path, runs: Path) -> Entry:
    entry = _entry(folder, runs, "run")
    try:
        record = _read(_Record, folder / "run.json")
        entry.when = (record.started or entry.when).astimezone(UTC)
        entry.settings = [_named(_changed(record.parameters)) or "all defaults"]
        entry.duration = _duration(record.duration_s)
        entry.status, entry.detail = record.status, _first_line(record.error)
        if record.status == "done":
            entry.figures = _figures(_read(_Metrics, folder / "metrics.json"), SPLITS)
            entry.good = True
        elif record.status == "running" and not run.is_held(folder):
            entry.status, entry.detail = "interrupted", "It was killed; the same command runs it again."
    except (_Damaged, OSError) as error:
        entry.status, entry.detail = "damaged", str(error)
    return entry


def _changed(values: dict[str, Any]) -> dict[str, Any]:
    """The parameters that are not at their defaults; those of an older or newer project count as such."""
    defaults = {name: known.default for name, known in Parameters.model_fields.items()}
    return {
        name: value
        for name, value in values.items()
        if name != "run_dir" and (name not in defaults or value != defaults[name])
    }


# ---- a sweep ----------------------------------------------------------------------------------------------------


def _sweep(folder: Path, runs: Path) -> Entry:
    entry = _entry(folder, runs, "sweep")
    try:
        sweep = _read(_SweepRecord, folder / "sweep.json")
        held = run.is_held(folder)
    except (_Damaged, OSError) as error:
        entry.status, entry.detail = "damaged", str(error)
        return entry
    records = {point: record for point in sweep.ids if (record := _point(folder / point)) is not None}
    counts = Counter(record.status for record in records.values())
    done, left = counts.pop("done", 0), len(sweep.ids) - len(records)
    told = [f"{done} of {len(sweep.ids)} points done", *(f"{count} {status}" for status, count in counts.items())]
    entry.detail = ", ".join([*told, *([f"{left} left"] if left else [])])
    entry.status = "running" if held else "interrupted" if left else "failures" if counts else "done"
    entry.good = entry.status == "done"
    fixed = _named(_changed({name: value for name, value in sweep.base.items() if name not in _varied(sweep)}))
    entry.settings = [f"varied: {_swept(sweep) or 'nothing'}", *([f"fixed: {fixed}"] if fixed else [])]
    entry.duration = _duration(sum(record.duration_s or 0 for record in records.values()))
    _add_best(entry, sweep, folder, records)
    return entry


def _point(folder: Path) -> _Record | None:
    """A point's record; none where it has not been run, or has to be again."""
    try:
        return _read(_Record, folder / "run.json")
    except _Damaged:
        return None


def _swept(sweep: _SweepRecord) -> str:
    """Each parameter that is varied, with its values, in words."""
    told = []
    for name, listed in _varied(sweep).items():
        distinct = list(dict.fromkeys(map(str, listed)))
        more = f" and {len(distinct) - VALUES_SHOWN} more" if len(distinct) > VALUES_SHOWN else ""
        told.append(f"{name} {', '.join(distinct[:VALUES_SHOWN])}{more}")
    return "; ".join(told)


def _varied(sweep: _SweepRecord) -> dict[str, list[Any]]:
    """Each parameter that is varied, and its values."""
    values = {name: list(listed) for name, listed in sweep.grid.items()}
    for point in sweep.points:
        for name, value in point.items():
            values.setdefault(name, []).append(value)
    return values


def _add_best(entry: Entry, sweep: _SweepRecord, folder: Path, records: dict[str, _Record]) -> None:
    """The best setting, as in the sweep's report: by the mean over its seeds, those with points missing after others.

    The test's figures are not even looked at here.
    """
    split = sweep.select.split("_")[0]
    sign = -1 if sweep.select.endswith("accuracy") else 1
    ranked = []
    for ids in sweep.settings or [[identity] for identity in sweep.ids]:
        metrics = {i: found for i in ids if i in records and (found := _finished(folder / i, records[i])) is not None}
        figures = [pair for found in metrics.values() if None not in (pair := _of_split(found, split))]
        if figures:
            accuracy, error = (sum(values) / len(figures) for values in zip(*figures, strict=True))
            order = (len(figures) < len(ids), sign * round(accuracy if sign < 0 else error, 12))
            ranked.append((order, accuracy, error, len(figures), records[next(iter(metrics))].parameters))
    if ranked:
        _, accuracy, error, count, parameters = min(ranked, key=lambda setting: setting[0])
        entry.figures = {split: Figures(accuracy=f"{accuracy:.4f}", error=f"{error:.4f}")}
        chosen = _named({name: parameters[name] for name in _varied(sweep) if name != "seed" and name in parameters})
        mean = f"mean of {count} seeds" if count > 1 else ""
        entry.settings.append("best: " + ", ".join(filter(None, [chosen or "the only setting", mean])))


def _finished(folder: Path, record: _Record) -> _Metrics | None:
    try:
        return _read(_Metrics, folder / "metrics.json") if record.status == "done" else None
    except _Damaged:
        return None


def _of_split(metrics: _Metrics, split: str) -> tuple[float | None, float | None]:
    return getattr(metrics, f"{split}_accuracy"), getattr(metrics, f"{split}_error")


# ---- what both have ---------------------------------------------------------------------------------------------


class _Damaged(Exception):
    """A file cannot be read, or does not hold what it should."""


def _read(content: type[Content], path: Path) -> Content:
    try:
        return content.model_validate_json(path.read_bytes())
    except OSError as error:
        raise _Damaged(f"{path.name} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise _Damaged(f"{path.name} is damaged: {where + ': ' if where else ''}{problem['msg']}") from None


def _entry(folder: Path, runs: Path, kind: str) -> Entry:
    try:
        when = (folder / f"{kind}.json").stat().st_mtime
    except OSError:  # removed since it was found
        when = 0
    report = folder / "report.html"
    return Entry(
        name=folder.relative_to(runs).as_posix() if folder != runs else runs.name,
        kind=kind,
        when=datetime.fromtimestamp(when, UTC),
        status="",
        report=quote(os.fsencode(report.relative_to(runs))) if report.is_file() else None,
    )


def _named(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _figures(metrics: _Metrics, splits: Any) -> dict[str, Figures]:
    found = {split: _of_split(metrics, split) for split in splits}
    return {
        split: Figures(accuracy=f"{accuracy:.4f}", error=f"{error:.4f}")
        for split, (accuracy, error) in found.items()
        if None not in (accuracy, error)
    }


def _first_line(error: str | None) -> str:
    first = (error or "").strip().split("\n")[0].rstrip(": ")
    return textwrap.shorten(first, ERROR_SHOWN, placeholder=" …")


def _duration(seconds: float | None) -> str:
    """Seconds as people say them: 12 s, 4 min 42 s, 1 h 3 min."""
    if not seconds:
        return ""
    if seconds < 59.5:
        return f"{seconds:.0f} s" if seconds >= 9.5 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
