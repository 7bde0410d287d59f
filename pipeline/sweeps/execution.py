"""Train what is left of a sweep, evaluate the selected configuration alone, and report."""

import csv
import logging
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from statistics import fmean

from pipeline import data, notebooks, parameters, provenance, records, runs
from pipeline.data import Data
from pipeline.errors import InvalidData, InvalidRecord, NotebookFailed, PointsFailed
from pipeline.parameters import NOTEBOOKS, RUNS
from pipeline.records import METRICS, Inputs, Metric, RunRecord, Status, SweepRecord, Trained
from pipeline.reports import page
from pipeline.run_folder import FILES, TRAINING, RunFolder, lock, write_whole
from pipeline.shell import open_threads, start_fork_server
from pipeline.sweeps import definition
from pipeline.sweeps.definition import DataKey, Point, SweepFolder

REPORT = NOTEBOOKS / "sweep.ipynb"
TRAINED = (f"{TRAINING}.ipynb", *FILES[TRAINING])  # the files that training leaves
LEFT = (None, Status.RUNNING, Status.INTERRUPTED)  # of points that have not come to an end
UNTESTED = METRICS[:4]  # no result of a sweep has a test metric
MAX_LISTED = 20  # points that did not finish, in a message

# What came of a point: its record, and files that are not in its folder yet, by their names.
Outcome = tuple[RunRecord, dict[str, bytes]]
Job = tuple[Point, RunRecord]  # a point to train, and its new record
Futures = dict["Future[Outcome]", Point]
Submit = Callable[[Sequence[Job]], Futures]

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
    machine, as many as it has cores unless given. scheduler: the address of a Dask scheduler to
    use instead. retry_failed: run the points that failed before, too. time_limit: seconds that a
    cell of a training may take. with_report: write sweep.ipynb and report.html.

    Raises
    ------
    InvalidParameter, InvalidData, FolderBusy
        If the definition, the data or the folder is wrong, or no scheduler answers; nothing has
        been started.
    ClusterFailed
        If no worker can run the points, or the scheduler ends; finished points are kept.
    PointsFailed
        If the selected points cannot be evaluated; all points are kept.
    """
    sweep = definition.read_definition(Path(path))
    folder = SweepFolder(sweep_dir or RUNS / "sweeps" / sweep.name)
    folder.check_free()
    points = definition.make_points(sweep, folder)
    parameters.check_memory(max(point.parameters.hidden_size for point in points))
    images = _load_images(points)
    inputs = {
        each.parameters.source: provenance.collect_inputs(each.parameters, [TRAINING])
        for each in {point.data_key[0]: point for point in points}.values()
    }
    ids = {point.id: dict(point.parameters) for point in points}
    record = SweepRecord(**dict(sweep), ids=ids)
    at_a_time = workers or os.cpu_count() or 1
    with lock(folder.path):
        jobs = _find_jobs(points, inputs, images, retry_failed)
        log.info(f"{len(points)} points: {len(jobs)} to run")
        if jobs and scheduler:
            from pipeline.sweeps import cluster  # Dask takes 0.5 s to import

            with cluster.train_there(scheduler, inputs, images, time_limit) as submit:
                _train(jobs, points, folder, record, submit)
        elif jobs:
            with _train_here(folder, images, at_a_time, time_limit) as submit:
                _train(jobs, points, folder, record, submit)
        before = folder.record.read_bytes() if folder.record.exists() else b""
        write_whole(folder.record, records.to_json(record))
        write_results(points, folder)
        try:
            if all(point.record for point in points):  # else a test metric could guide what is left
                _select(points, sweep.select, at_a_time)
            if with_report and (
                jobs or before != records.to_json(record) or not folder.report.exists()
            ):
                notebooks.execute(REPORT, folder.notebook, {"sweep_dir": str(folder.path)})
                page.write_notebook_report(folder.notebook, folder.report, f"Sweep {sweep.name}")
        except (InvalidData, InvalidRecord) as error:
            raise PointsFailed(f"All points are kept, but: {error}") from error
    if with_report:
        log.info(f"report: {os.path.relpath(folder.report)}")
    return [point for point in points if not point.is_done]


def _load_images(points: Sequence[Point]) -> dict[DataKey, Data]:
    """Return the training and validation images of all points, by what they depend on."""
    keys = dict.fromkeys(point.data_key for point in points)
    sources = {source: data.load_source(source) for source in {key[0] for key in keys}}
    return {key: data.split(sources[key[0]], *key[1:]).without_test() for key in keys}


def _find_jobs(
    points: Sequence[Point],
    inputs: Mapping[str, Inputs],
    images: Mapping[DataKey, Data],
    retry_failed: bool,
) -> list[Job]:
    """Return the points to run, and log why finished ones are run again.

    Read the records of all points.
    """
    with ThreadPoolExecutor() as threads:  # digests of many files take long
        altered = list(threads.map(_read_result, points))
    jobs, reasons = [], Counter[str]()
    for point, names in zip(points, altered, strict=True):
        new = RunRecord(
            parameters=dict(point.parameters),
            inputs=inputs[point.parameters.source],
            arrays=dict(images[point.data_key].source_sha256),
        )
        changes = []
        if point.record and point.status not in LEFT:
            changes = provenance.compare_inputs(point.record, point.parameters, new.inputs)
            changes += [f"{name}, which has been removed or altered since" for name in names]
            if point.record.arrays != new.arrays:
                changes.append("data, which has changed since")
            reasons.update(changes[:1])
        if changes or point.status in LEFT or (retry_failed and not point.is_done):
            jobs.append((point, new))
    for reason, count in reasons.items():
        log.info(f"{count} of the finished points run again, because of {reason}")
    return jobs


def _read_result(point: Point) -> list[str]:
    """Read a point's record, and return the files of its training that have been altered."""
    point.read_record()
    return point.folder.find_altered(point.record, TRAINED) if point.record else []


def _train(
    jobs: Sequence[Job],
    points: Sequence[Point],
    folder: SweepFolder,
    record: SweepRecord,
    submit: Submit,
) -> None:
    """Train the points, record each as soon as it ends, and log how far the sweep is."""
    write_whole(folder.record, records.to_json(record))
    for point, _ in jobs:
        point.record = None  # an old result does not count
    configurations = definition.group(points, record.select)
    configuration_of = {each.id: found for found in configurations for each in found.points}
    keys = {each: each.sort_key for each in configurations if each.finished}
    varied, started = definition.find_varied(points), time.monotonic()
    try:
        futures = submit(jobs)
        for count, future in enumerate(as_completed(futures), 1):
            point = futures[future]
            point.record, files = future.result()
            for name, content in files.items():
                write_whole(point.folder.path / name, content)
            point.folder.write_record(point.record)
            if point.is_done:
                configuration = configuration_of[point.id]
                keys[configuration] = configuration.sort_key
            best = min(keys, key=keys.__getitem__).describe_best(varied) if keys else "none"
            described = {name: getattr(point.parameters, name) for name in (*varied, "seed")}
            left = (time.monotonic() - started) / count * (len(jobs) - count)
            log.info(
                f"[{count}/{len(jobs)}] {point.id} {point.status}: {parameters.describe(described)}"
                f" | about {left:.0f} s left | best so far {best}"
            )
    finally:
        write_results(points, folder)


@contextmanager
def _train_here(
    folder: SweepFolder, images: Mapping[DataKey, Data], count: int, time_limit: int | None
) -> Iterator[Submit]:
    """Yield what has a point trained in its own folder, so many of them at a time."""
    start_fork_server()
    shared = folder.path / ".data"
    paths = {key: shared / f"{number}.npz" for number, key in enumerate(images)}
    try:
        for key, path in paths.items():
            write_whole(path, images[key].to_bytes())
        with open_threads(count) as threads:

            def submit(jobs: Sequence[Job]) -> Futures:
                return {
                    threads.submit(
                        train_point, point.folder, record, paths[point.data_key], time_limit
                    ): point
                    for point, record in jobs
                }

            yield submit
    finally:
        shutil.rmtree(shared, ignore_errors=True)


def train_point(
    folder: RunFolder, record: RunRecord, data_path: Path, time_limit: int | None
) -> Outcome:
    """Execute 02_train in the folder, and return the record of what came of it.

    data_path: of data.npz, which is linked into the folder meanwhile.
    """
    started, executed = time.monotonic(), folder.notebook(TRAINING)
    folder.write_record(record)
    folder.clear()
    try:
        folder.data.hardlink_to(data_path)
    except OSError:  # a file system without links
        shutil.copyfile(data_path, folder.data)
    try:
        notebooks.execute(
            NOTEBOOKS / executed.name,
            executed,
            record.parameters | {"run_dir": str(folder.path)},
            time_limit=time_limit,
            show_progress=False,
            with_pictures=False,
        )
        provenance.check_code(record.inputs)
        weights = folder.read_model().sha256
        trained = Trained(**folder.read_history()[-1], weights_sha256=weights)
        record = record.replace(status=Status.DONE, metrics=trained, outputs=folder.digest(TRAINED))
    except NotebookFailed as error:
        record = record.replace(status=Status.of(error), error=str(error))
    folder.data.unlink()
    return record.replace(duration_s=round(time.monotonic() - started, 1)), {}


def write_results(points: Sequence[Point], folder: SweepFolder) -> None:
    """Write results.csv, a row a point."""
    rows, text = [make_row(point) for point in points], StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(folder.results, text.getvalue().encode())


def make_row(point: Point) -> dict[str, object]:
    """Return a point's id, status, parameters and metrics; no test metric is among them."""
    metrics = point.record.metrics if point.record else None
    row = {"id": point.id, "status": point.status or "not run"} | dict(point.parameters)
    row |= {name: getattr(metrics, name, None) for name in (*UNTESTED, "weights_sha256")}
    return row | {name: getattr(point.record, name, None) for name in ("duration_s", "error")}


def _select(points: Sequence[Point], select: Metric, at_a_time: int) -> None:
    """Evaluate the points of the best configuration: the first look at the test images."""
    best = definition.find_best(definition.rank(points, select))
    if best:
        log.info(f"best {best.describe_best(definition.find_varied(points))}")
        runs.evaluate([point.folder for point in best.finished], at_a_time)
        accuracy = fmean(each.folder.read_metrics().test_accuracy for each in best.finished)
        log.info(f"its test accuracy: {accuracy:.4f}{best.describe_seeds()}")


def describe_failures(failed: Sequence[Point]) -> str:
    """Describe the points that have not finished, a line each, and what to do."""
    lines = [f"{len(failed)} points did not finish (--retry-failed gives them another try):"]
    for point in failed[:MAX_LISTED]:
        error = ((point.record and point.record.error) or "").split("\n")[0]
        lines.append(f"{point.id} {point.status}: {error}")
    if len(failed) > MAX_LISTED:
        lines.append(f"and {len(failed) - MAX_LISTED} more, which results.csv has")
    return "\n".join(lines)
