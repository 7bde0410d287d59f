"""Train what is left of a sweep, evaluate the selected configuration alone, and report."""

import csv
import logging
import operator
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, as_completed
from contextlib import contextmanager
from datetime import datetime
from io import StringIO
from pathlib import Path
from statistics import fmean
from typing import Any

from pipeline import data, notebooks, parameters, provenance, records, run_folder, runs
from pipeline.errors import InvalidData, InvalidRecord, PointsFailed
from pipeline.parameters import NOTEBOOKS, RUNS
from pipeline.published import format_duration, round_metric
from pipeline.records import (
    METRICS,
    RunRecord,
    Status,
    SweepDefinition,
    SweepRecord,
    Trained,
)
from pipeline.reports import page
from pipeline.run_folder import TRAINING, write_whole
from pipeline.shell import open_threads
from pipeline.sweeps import definition
from pipeline.sweeps.definition import LEFT, Configuration, DataKey, Point, SweepFolder

UNTESTED = METRICS[:4]  # what may be looked at before the choice is made
# Seconds of a point on one core of 2.5 GHz: to begin it, and for an image and a hidden unit.
BEGIN_S, IMAGE_S = 0.5, 2e-7

log = logging.getLogger(__name__)


def run_sweep(
    source: Path | str | Mapping[str, Any],
    sweep_dir: str | None = None,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    retry_failed: bool = False,
    time_limit: int | None = None,
    with_report: bool = True,
    dry_run: bool = False,
) -> list[Configuration]:
    """Run what is left of a sweep, and return its configurations, the best first.

    source: the YAML file, or what it holds. sweep_dir: runs/sweeps/NAME unless given. workers:
    points at a time on this machine, one a core unless given. scheduler: the address of a Dask
    scheduler to use instead. retry_failed: run failed points, too. time_limit: seconds for a cell
    of a training. dry_run: log what would run, and do nothing.

    Raises InvalidParameter, InvalidData or FolderBusy before anything starts; ClusterFailed or
    PointsFailed if points cannot be trained or evaluated, and finished ones are kept.
    """
    source = Path(source) if isinstance(source, str) else source
    sweep = definition.read_definition(source)
    folder = SweepFolder(sweep_dir or RUNS / "sweeps" / sweep.name)
    run_folder.check_folder(folder.path, definition.FILES, "run.json")
    points = definition.make_points(sweep, folder)
    parameters.check_memory(max(point.parameters.hidden_size for point in points))
    contents: dict[DataKey, bytes] = {}  # of data.npz
    drafts: dict[DataKey, RunRecord] = {}  # of run.json
    warnings: list[str] = []
    for key, chosen in {point.data_key: point.parameters for point in points}.items():
        images = data.split_source(*key).without_test()
        contents[key] = images.to_bytes()
        inputs = provenance.collect_inputs(chosen, [TRAINING])
        drafts[key] = RunRecord(
            parameters={}, inputs=inputs, arrays=dict(images.source_sha256)
        )
        warnings += [note for note in images.notes if note.startswith("Warning")]
    ids = {point.id: dict(point.parameters) for point in points}
    record = records.to_json(SweepRecord(**dict(sweep), ids=ids, warnings=warnings))
    at_a_time = workers or os.cpu_count() or 1
    cores = 1 if scheduler else at_a_time  # nobody knows how many a cluster will have
    for warning in warnings:
        log.warning(warning)
    if dry_run:
        _log_plan(points, _find_jobs(points, drafts, retry_failed), sweep, cores)
        return definition.rank(points, sweep.select)
    with run_folder.lock(folder.path):
        jobs = _find_jobs(points, drafts, retry_failed)
        total = _log_plan(points, jobs, sweep, cores)
        if total and scheduler:
            from pipeline.sweeps import cluster  # Dask takes 0.5 s to import

            training = cluster.train_there(scheduler, contents.values())
        else:
            training = _train_here(at_a_time)
        try:
            with training as submit:
                if (
                    total
                    or not folder.record.exists()
                    or folder.record.read_bytes() != record
                ):
                    folder.report.unlink(missing_ok=True)
                    write_whole(folder.record, record)
                progress = _Progress(points, sweep, total)
                for rung in definition.climb(points, sweep):
                    futures = {}
                    going = set(rung)
                    for point in (point for point in jobs if point in going):
                        new = drafts[point.data_key].replace(
                            parameters=dict(point.parameters)
                        )
                        future = submit(
                            point.folder, new, contents[point.data_key], time_limit
                        )
                        futures[future] = point
                    progress.record(futures)
        finally:
            for point in jobs:
                begun = point.folder.find_record() if point.record is None else None
                if begun and begun.status == Status.RUNNING:
                    point.folder.write_record(begun.replace(status=Status.INTERRUPTED))
            if folder.record.exists():  # else the scheduler was refused
                write_results(points, folder)
        try:
            best = definition.select(points, sweep.select)
            if best:  # its points are the first to meet the test images
                log.info(f"best {best.describe_best(definition.find_varied(points))}")
                runs.evaluate([point.folder for point in best.finished], at_a_time)
                accuracy = fmean(
                    each.folder.read_metrics().test_accuracy for each in best.finished
                )
                log.info(f"its test accuracy: {accuracy:.4f}{best.describe_seeds()}")
                write_results(points, folder)
            if with_report and (total or not folder.report.exists()):
                write_report(folder)
        except (InvalidData, InvalidRecord) as error:
            raise PointsFailed(f"All points are kept, but: {error}") from error
    if with_report:
        log.info(f"report: {os.path.relpath(folder.report)}")
    return definition.rank(points, sweep.select)


def write_report(folder: SweepFolder) -> Path:
    """Execute sweep.ipynb for a sweep as far as it is, write its report, and return its path."""
    name = folder.read_record().name
    notebook = NOTEBOOKS / folder.notebook.name
    notebooks.execute(notebook, folder.notebook, {"sweep_dir": str(folder.path)})
    page.write_notebook_report(folder.notebook, folder.report, f"Sweep {name}")
    return folder.report


def _find_jobs(
    points: list[Point], drafts: Mapping[DataKey, RunRecord], retry_failed: bool
) -> list[Point]:
    """Read the records of all points, log why finished ones run again, and return what is to run.

    New points come first. Of a search, the points of all rungs are returned.
    """
    jobs: list[Point] = []
    again: list[Point] = []
    reasons = Counter[str]()
    for point in points:
        point.record = point.folder.find_record()
        changes = []
        if point.is_done:
            inputs = drafts[point.data_key].inputs
            changes = provenance.find_differences(
                point.folder, point.parameters, inputs
            )
            reasons.update(changes[:1])
        if changes or point.status in LEFT or (retry_failed and not point.is_done):
            point.record = None  # an old result does not count
            (again if changes else jobs).append(point)
    for reason, count in reasons.items():
        replaced = "run again, and their old results are replaced"
        log.info(f"{count} of the finished points {replaced}, because of {reason}")
    return jobs + again


def _log_plan(
    points: list[Point], jobs: list[Point], sweep: SweepDefinition, cores: int
) -> int:
    """Log how many points are done and will run, and about how long that takes; return the latter.

    Of a rung that is not known yet, candidates that are done there, and then the first ones, stand
    for those that will go on.
    """
    rungs = list(definition.climb(points, sweep))
    waiting, sizes = (
        set(jobs),
        [len({point.candidate for point in rung}) for rung in rungs],
    )
    epochs = sorted({point.rung for point in points})
    for rung in epochs[len(rungs) :]:
        factor = sweep.halving.factor if sweep.halving else 1
        sizes.append(max(sizes[-1] // factor, 1))
        everyone = [point for point in points if point.rung == rung]
        order = sorted(everyone, key=lambda point: not point.is_done)
        going = set([*dict.fromkeys(point.candidate for point in order)][: sizes[-1]])
        rungs.append([point for point in everyone if point.candidate in going])
    if sweep.halving:
        pairs = zip(sizes, epochs, strict=True)
        stages = ", ".join(
            f"{size} candidates at {epoch} epochs" for size, epoch in pairs
        )
        share = sum(map(operator.mul, sizes, epochs)) / (sizes[0] * epochs[-1])
        log.info(
            f"{len(sizes)} rungs: {stages}; {share:.0%} of the epochs of all at {epochs[-1]}"
        )
    planned = [point for rung in rungs for point in rung]
    left = [point for point in planned if point in waiting]
    seconds = sum(map(_estimate, left))
    done = [point for point in planned if point.is_done]
    if done:
        spent = sum(point.record.duration_s or 0 for point in done if point.record)
        seconds *= spent / sum(map(_estimate, done))
    failed = sum(point.has_failed for point in planned)
    parts = [f"{len(planned)} points: {len(done)} done", f"{len(left)} to run"]
    parts += [f"{failed} failed before"] if failed else []
    cores = max(min(cores, len(left)), 1)
    where = f"on {cores} cores" if cores > 1 else "on one core"
    parts += [f"about {format_duration(seconds / cores)} {where}"] if left else []
    log.info(", ".join(parts))
    return len(left)


def _estimate(point: Point) -> float:
    """Return about how many seconds a point takes on one core."""
    chosen = point.parameters
    return BEGIN_S + IMAGE_S * chosen.epochs * chosen.num_samples * chosen.hidden_size


class _Progress:
    """Record each point as soon as its training ends, and log how far the sweep is."""

    def __init__(self, points: list[Point], sweep: SweepDefinition, total: int) -> None:
        configurations = definition.group(points, sweep.select)
        self.configurations = {
            point: each for each in configurations for point in each.points
        }
        self.names = definition.find_varied(points)
        self.total, self.count = total, 0
        self.has_note = False  # has been logged, see records.RunRecord
        complete = [each for each in configurations if each.is_complete]
        self.best = min(complete, key=lambda each: each.sort_key, default=None)

    def record(self, futures: dict["Future[runs.Outcome]", Point]) -> None:
        for future in as_completed(futures):
            point = futures.pop(future)
            record, files = future.result()
            for name, content in files.items():
                write_whole(point.folder.path / name, content)
            if record.note and not self.has_note:
                log.warning(record.note)
                self.has_note = True
            point.record = record.replace(outputs=point.folder.digest(runs.TRAINED))
            point.folder.write_record(point.record)
            self._log(point)

    def _log(self, point: Point) -> None:
        self.count += 1
        configuration = self.configurations[point]
        label = ""
        if configuration.is_complete and (
            self.best is None or configuration.sort_key < self.best.sort_key
        ):
            self.best = configuration
            label = f" | the best so far: {configuration.describe_best(self.names)}"
        chosen = parameters.describe(
            point.parameters.model_dump(include={*self.names, "seed"})
        )
        if point.record and point.record.metrics:
            metric = configuration.metric
            chosen = f"{metric} {round_metric(getattr(point.record.metrics, metric))}, {chosen}"
        when = f"{datetime.now():%H:%M:%S}"
        log.info(
            f"[{self.count}/{self.total}] {when} {point.id} {point.status}: {chosen}{label}"
        )


@contextmanager
def _train_here(count: int) -> Iterator[runs.Submit]:
    """Yield a function that has a thread execute `runs.train_point`, so many at a time."""
    with open_threads(count) as threads:
        yield lambda *job: threads.submit(runs.train_point, *job)


def write_results(points: list[Point], folder: SweepFolder) -> None:
    """Write results.csv, a row a point, with all digits."""
    rows = [make_row(point) for point in points]
    text = StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(folder.results, text.getvalue().encode())


def make_row(point: Point) -> dict[str, object]:
    """Return a point's row: what it is, its metrics, and those on test images if it has met them.

    Points that differ in their seed alone have the same `configuration`.
    """
    record = None if point.is_eliminated else point.record
    metrics = record and record.metrics
    tested = point.folder.read_metrics() if point.folder.metrics.exists() else None
    configuration = parameters.make_id(point.parameters.model_dump(exclude={"seed"}))
    row: dict[str, object] = {"id": point.id, "configuration": configuration}
    row |= {"status": point.status or "not run"} | dict(point.parameters)
    row |= {name: getattr(metrics, name, None) for name in Trained.model_fields}
    row |= {name: getattr(tested, name, None) for name in METRICS[4:]}
    return row | {
        name: getattr(record, name, None) for name in ("started", "duration_s", "error")
    }


def describe_failures(failed: list[Point]) -> str:
    """Describe points that have not finished, the first 20 in a line each, and what to do."""
    lines = [
        f"{len(failed)} points did not finish (--retry-failed gives them another try):"
    ]
    for point in failed[:20]:
        error = str(point.record and point.record.error).split("\n")[0]
        lines.append(f"{point.id} {point.status}: {error}")
    return "\n".join(lines)
