"""Train what is left of a sweep, evaluate the selected configuration alone, and report."""

import csv
import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, as_completed
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from statistics import fmean

from pipeline import data, notebooks, parameters, provenance, records, run_folder, runs
from pipeline.errors import InvalidData, InvalidRecord, PointsFailed
from pipeline.parameters import NOTEBOOKS, RUNS
from pipeline.records import METRICS, Metric, RunRecord, Status, SweepRecord
from pipeline.reports import page
from pipeline.run_folder import TRAINING, write_whole
from pipeline.shell import open_threads
from pipeline.sweeps import definition
from pipeline.sweeps.definition import DataKey, Point, SweepFolder

LEFT = (None, Status.RUNNING, Status.INTERRUPTED)  # of points that have not come to an end
UNTESTED = METRICS[:4]  # no result of a sweep has a test metric

log = logging.getLogger(__name__)


def run_sweep(
    path: Path | str,
    sweep_dir: str | None = None,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    retry_failed: bool = False,
    time_limit: int | None = None,
    with_report: bool = True,
) -> list[Point]:
    """Run what is left of a sweep. Return the points that have failed, now or before.

    path: the YAML file. sweep_dir: runs/sweeps/NAME unless given. workers: points at a time on this
    machine, one a core unless given. scheduler: the address of a Dask scheduler to use instead.
    retry_failed: run failed points, too. time_limit: seconds for a cell of a training.

    Raises InvalidParameter, InvalidData or FolderBusy before anything starts; ClusterFailed or
    PointsFailed if points cannot be trained or evaluated, and finished ones are kept.
    """
    sweep = definition.read_definition(Path(path))
    folder = SweepFolder(sweep_dir or RUNS / "sweeps" / sweep.name)
    run_folder.check_folder(folder.path, definition.FILES, "run.json")
    points = definition.make_points(sweep, folder)
    parameters.check_memory(max(point.parameters.hidden_size for point in points))
    contents: dict[DataKey, bytes] = {}  # of data.npz
    drafts: dict[DataKey, RunRecord] = {}  # of run.json
    for key, chosen in {point.data_key: point.parameters for point in points}.items():
        images = data.split_source(*key).without_test()
        contents[key] = images.to_bytes()
        inputs = provenance.collect_inputs(chosen, [TRAINING])
        drafts[key] = RunRecord(parameters={}, inputs=inputs, arrays=dict(images.source_sha256))
    ids = {point.id: dict(point.parameters) for point in points}
    record = records.to_json(SweepRecord(**dict(sweep), ids=ids))
    at_a_time = workers or os.cpu_count() or 1
    with run_folder.lock(folder.path):
        jobs = _find_jobs(points, drafts, retry_failed)
        log.info(f"{len(points)} points: {len(jobs)} to run")
        if jobs and scheduler:
            from pipeline.sweeps import cluster  # Dask takes 0.5 s to import

            training = cluster.train_there(scheduler, contents.values())
        else:
            training = _train_here(at_a_time)
        try:
            with training as submit:
                if jobs or not folder.record.exists() or folder.record.read_bytes() != record:
                    folder.report.unlink(missing_ok=True)
                    write_whole(folder.record, record)
                futures = {}
                for point in jobs:
                    new = drafts[point.data_key].replace(parameters=dict(point.parameters))
                    future = submit(point.folder, new, contents[point.data_key], time_limit)
                    futures[future] = point
                _record_results(futures, points, sweep.select)
        finally:
            for point in jobs:
                begun = point.folder.find_record() if point.record is None else None
                if begun and begun.status == Status.RUNNING:
                    point.folder.write_record(begun.replace(status=Status.INTERRUPTED))
            write_results(points, folder)
        try:
            best = definition.find_best(definition.rank(points, sweep.select))
            if best:  # its points are the first to meet the test images
                log.info(f"best {best.describe_best(definition.find_varied(points))}")
                runs.evaluate([point.folder for point in best.finished], at_a_time)
                accuracy = fmean(each.folder.read_metrics().test_accuracy for each in best.finished)
                log.info(f"its test accuracy: {accuracy:.4f}{best.describe_seeds()}")
            if with_report and not folder.report.exists():
                notebook = NOTEBOOKS / folder.notebook.name
                notebooks.execute(notebook, folder.notebook, {"sweep_dir": str(folder.path)})
                page.write_notebook_report(folder.notebook, folder.report, f"Sweep {sweep.name}")
        except (InvalidData, InvalidRecord) as error:
            raise PointsFailed(f"All points are kept, but: {error}") from error
    if with_report:
        log.info(f"report: {os.path.relpath(folder.report)}")
    return [point for point in points if not point.is_done]


def _find_jobs(
    points: list[Point], drafts: Mapping[DataKey, RunRecord], retry_failed: bool
) -> list[Point]:
    """Read the records of all points, find what to run, and log why finished ones run again."""
    jobs = []
    reasons = Counter[str]()
    for point in points:
        point.record = point.folder.find_record()
        changes = []
        if point.is_done:
            inputs = drafts[point.data_key].inputs
            changes = provenance.find_differences(point.folder, point.parameters, inputs)
            reasons.update(changes[:1])
        if changes or point.status in LEFT or (retry_failed and not point.is_done):
            point.record = None  # an old result does not count
            jobs.append(point)
    for reason, count in reasons.items():
        log.info(f"{count} of the finished points run again, because of {reason}")
    return jobs


def _record_results(
    futures: dict["Future[runs.Outcome]", Point], points: list[Point], select: Metric
) -> None:
    """Record each point as soon as its training ends, and log how far the sweep is."""
    configurations = definition.group(points, select)
    names = definition.find_varied(points)
    total = len(futures)
    for count, future in enumerate(as_completed(futures), 1):
        point = futures.pop(future)
        record, files = future.result()
        for name, content in files.items():
            write_whole(point.folder.path / name, content)
        point.record = record.replace(outputs=point.folder.digest(runs.TRAINED))
        point.folder.write_record(point.record)
        best = min(configurations, key=lambda each: each.sort_key)
        label = best.describe_best(names) if best.finished else "none"
        values = parameters.describe(point.parameters.model_dump(include={*names, "seed"}))
        log.info(f"[{count}/{total}] {point.id} {point.status}: {values} | best so far {label}")


@contextmanager
def _train_here(count: int) -> Iterator[runs.Submit]:
    """Yield a function that has a thread execute `runs.train_point`, so many at a time."""
    with open_threads(count) as threads:
        yield lambda *job: threads.submit(runs.train_point, *job)


def write_results(points: list[Point], folder: SweepFolder) -> None:
    """Write results.csv, a row a point."""
    rows = [make_row(point) for point in points]
    text = StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(folder.results, text.getvalue().encode())


def make_row(point: Point) -> dict[str, object]:
    """Return a point's id, status, parameters and metrics; no test metric is among them."""
    metrics = point.record and point.record.metrics
    row = {"id": point.id, "status": point.status or "not run"} | dict(point.parameters)
    row |= {name: getattr(metrics, name, None) for name in (*UNTESTED, "weights_sha256")}
    return row | {name: getattr(point.record, name, None) for name in ("duration_s", "error")}


def describe_failures(failed: list[Point]) -> str:
    """Describe points that have not finished, the first 20 in a line each, and what to do."""
    lines = [f"{len(failed)} points did not finish (--retry-failed gives them another try):"]
    for point in failed[:20]:
        error = str(point.record and point.record.error).split("\n")[0]
        lines.append(f"{point.id} {point.status}: {error}")
    return "\n".join(lines)
