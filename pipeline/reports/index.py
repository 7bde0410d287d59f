"""List all runs and sweeps below a folder in its index.html, newest first, from what is on disk and nothing else.

Whatever is wrong with one folder becomes a row that shows it; a run's own result never depends on this list.
"""

import contextlib
import logging
import os
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from urllib.parse import quote

from pydantic import JsonValue

from pipeline import console, outputs, parameters, ranking, storage
from pipeline.errors import InvalidRecord, shown
from pipeline.ranking import PointResult
from pipeline.records import Status
from pipeline.reports import pages
from pipeline.run_folder import EVALUATION, RunFolder, SweepFolder
from pipeline.statistics import rounded

SPLITS = {"train": "training", "validation": "validation", "test": "test"}
VALUES_SHOWN = 6  # of a parameter that a sweep varies
ERROR_SHOWN = 160  # characters; run.json has all of it

log = logging.getLogger(__name__)


@dataclass
class Entry:
    """A row of the index. `metrics` goes from a split's name to its accuracy and error, as text."""

    name: str
    kind: str
    when: datetime
    report: str | None
    status: str = ""
    detail: str = ""
    parameters: list[str] = field(default_factory=list)
    metrics: dict[str, tuple[str, ...]] = field(default_factory=dict)
    duration: str = ""
    best: str = ""  # of a sweep: "accuracy" or "error", which its best configuration is the best by


@contextlib.contextmanager
def refreshed_after(changed: Path, runs: Path = storage.RUNS) -> Iterator[None]:
    """Write the index of `runs` again after the block, if the changed folder is below it.

    That is done however the block ends. A failure of it is logged, not raised.
    """
    try:
        yield
    finally:
        try:
            if changed.resolve().is_relative_to(runs.resolve()):
                write_index(runs)
        except Exception as error:  # noqa: BLE001 - what has been run stands, whatever happens to a list of it
            reason = (str(error).splitlines() or [""])[0]
            log.warning(f"The list of runs, {runs / 'index.html'}, was not written ({type(error).__name__}: {reason}).")


def write_index(runs: Path) -> Path:
    """Write index.html into the folder, and return its path.

    It is written again if what is on disk has changed meanwhile, since two runs that end at once may both write it;
    three times at most, since a busy sweep may change it each time, and writes it again when it ends.
    """
    runs = runs.absolute()
    path, written = runs / "index.html", None
    outputs.check(f"The list of runs is {path}", path, {path: lambda: outputs.is_page(path)})
    log.debug(f"listing what is below {shown(runs)}")
    for _ in range(3):
        if (found := entries(runs)) == written:
            break
        page = pages.fill("index.html.j2", title="Runs", entries=found, splits=SPLITS)
        storage.write_whole(path, page.encode(errors="replace"), durable=False)  # it can be written again
        written = found
    return path


def entries(runs: Path) -> list[Entry]:
    """Return all runs and sweeps below the folder, newest first, without hidden folders and symbolic links."""
    found = []
    for record in _records(runs):
        when = datetime.fromtimestamp(0, UTC)
        with contextlib.suppress(OSError, ValueError, OverflowError):  # removed since it was found, or of no year
            when = datetime.fromtimestamp(record.stat().st_mtime, UTC)
        folder, report = record.parent, RunFolder(record.parent).report
        name = folder.relative_to(runs).as_posix() if folder != runs else runs.name
        address = quote(os.fsencode(report.relative_to(runs))) if os.path.isfile(report) else None  # noqa: PTH113
        entry = Entry(name, kind=record.stem, when=when, report=address)
        try:
            if entry.kind == "sweep":
                _describe_sweep(entry, SweepFolder(folder))
            else:
                _describe_run(entry, RunFolder(folder))
        except InvalidRecord as error:
            entry.status, entry.detail = "damaged", f"{error.path.name} {error.problem}"
        except Exception as error:  # noqa: BLE001 - one folder must not hide the others
            kind = "" if isinstance(error, OSError) else f"{type(error).__name__}: "
            entry.status, entry.detail = "damaged", _first_line(f"{kind}{error}")
        found.append(entry)
    return sorted(found, key=lambda entry: (-entry.when.timestamp(), entry.name))


def _records(runs: Path) -> Iterator[Path]:
    """Yield the record of each run and sweep; the points of a sweep belong to its own row."""
    for where, folders, _ in os.walk(runs):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (SweepFolder(where).record, RunFolder(where).record):
            if os.path.isfile(path) and not path.is_symlink():  # noqa: PTH113 - of a name that is too long pathlib raises
                if path.stem == "sweep":
                    folders.clear()
                yield path
                break


def _describe_run(entry: Entry, folder: RunFolder) -> None:
    record = folder.read_record()
    entry.when = record.started.astimezone(UTC)
    entry.parameters = [parameters.described(parameters.differing(record.parameters)) or "all defaults"]
    entry.duration = console.duration(record.duration_s)
    entry.status, entry.detail = record.status, _first_line(record.error)
    if record.status == Status.DONE:
        if folder.metrics.name in record.outputs and folder.altered(record, [folder.metrics.name]):
            raise InvalidRecord(folder.metrics, "was removed or altered since its run ended", "Run it again.")
        metrics = folder.read_metrics()
        entry.metrics = {split: tuple(map(rounded, pair)) for split in SPLITS if (pair := metrics.of(split))}
    elif record.status == Status.RUNNING and not storage.is_locked(folder.path):
        entry.status, entry.detail = Status.INTERRUPTED, "It was killed; the same command runs it again."


def _describe_sweep(entry: Entry, folder: SweepFolder) -> None:
    sweep = folder.read_record()
    records = {i: record for i in sweep.ids if (record := folder.point(i).find_record())}
    counts = Counter(record.status for record in records.values())
    done, left = counts.pop(Status.DONE, 0), len(sweep.ids) - len(records)
    counted = [f"{done} of {len(sweep.ids)} points done", *(f"{count} {status}" for status, count in counts.items())]
    results = {i: PointResult(i, records[i].parameters if i in records else {}, records.get(i)) for i in sweep.ids}
    ranked = ranking.rank(([results[i] for i in ids] for ids in sweep.configurations), sweep.select)
    best = ranking.best(ranked)
    evaluated = all(
        EVALUATION in records[point.id].inputs.notebooks and folder.point(point.id).metrics.exists()  # written last
        for point in (best.finished if best else ())
    )
    missing = f"{left} left" if left else "" if evaluated else "the best not evaluated"
    entry.detail = ", ".join(filter(None, [*counted, missing]))
    ended = Status.INTERRUPTED if missing else "failures" if counts else Status.DONE
    unknown = not missing and not os.access(folder.path / storage.LOCK, os.W_OK)  # of one that one may only read
    entry.status = Status.RUNNING if storage.is_locked(folder.path) and not unknown else ended
    entry.when = max((record.started.astimezone(UTC) for record in records.values()), default=entry.when)
    varied, defaults = sweep.varied(), parameters.Parameters().model_dump()
    for name, values in varied.items():
        crossed = bool(sweep.grid) and name not in sweep.grid
        if crossed or any(name not in point for point in sweep.points):  # these have the base's, or the default
            values.append(sweep.base.get(name, defaults.get(name)))
    fixed = parameters.described(parameters.differing({k: v for k, v in sweep.base.items() if k not in varied}))
    listed = "; ".join(_listed(*each) for each in varied.items()) or "nothing"
    entry.parameters = [f"varied: {listed}", *([f"fixed: {fixed}"] if fixed else [])]
    entry.duration = console.duration(sum(record.duration_s or 0 for record in records.values()))
    if best:  # as the sweep's report puts it first, without its test metrics
        split, entry.best = sweep.select.split("_")
        entry.metrics = {split: (rounded(best.mean_of(f"{split}_accuracy")), rounded(best.mean_of(f"{split}_error")))}
        names = [name for name in varied if name != "seed"]
        entry.parameters.append(f"best: {best.describe(names)}{best.describe_seeds()}")


def _listed(name: str, values: Iterable[JsonValue]) -> str:
    """Write a parameter that is varied, with its values, numbers first."""
    by_size = sorted(values, key=lambda value: (value if isinstance(value, int | float) else inf, str(value)))
    found = [*map(str, dict.fromkeys(v if isinstance(v, int | float) else str(v) for v in by_size))]  # 255 is 255.0
    more = f" and {len(found) - VALUES_SHOWN} more" if len(found) > VALUES_SHOWN else ""
    return f"{name} {', '.join(found[:VALUES_SHOWN])}{more}"


def _first_line(error: str | None) -> str:
    first = (error or "").strip().split("\n")[0].rstrip(": ")
    return textwrap.shorten(first, ERROR_SHOWN, placeholder=" …")
