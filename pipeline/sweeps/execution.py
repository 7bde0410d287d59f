"""Train what is left of a sweep, write each point whole as it ends, evaluate the selected configuration, and report.

Only this process writes: a point's folder is whole once its run.json is there.
"""

import logging
import os
import textwrap
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from statistics import fmean

from pipeline import console, datasets, limits, provenance, ranking, runs, storage
from pipeline.errors import InvalidParameter, InvalidRecord, PointsFailed, shown
from pipeline.images import Data
from pipeline.records import Inputs, Status, SweepDefinition, SweepRecord
from pipeline.reports import index
from pipeline.run_folder import TRAINING, RunFolder, SweepFolder, check_not_within_a_run
from pipeline.sweeps import definition, results
from pipeline.sweeps.definition import MAX_POINTS, MOST_POINTS, DataKey, Point

NOTEBOOK = storage.NOTEBOOKS / "sweep.ipynb"
MAX_LISTED = 20  # points that did not finish, in a message
REPORT_TIMEOUT = 60.0  # seconds to wait for somebody's report of a selected point

log = logging.getLogger(__name__)


def run_sweep(
    path: Path | str,
    sweep_dir: str | None = None,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    connect_timeout: float = 10,
    retry_failed: bool = False,
    time_limit: int | None = None,
    with_report: bool = True,
    many: bool = False,
) -> list[Point]:
    """Run what is left of a sweep. Return the points that have failed, now or before.

    path: the YAML file. sweep_dir: runs/sweeps/NAME unless given. workers: points trained or evaluated at a time on
    this machine, one more than it has cores unless given. scheduler: the address of a running Dask scheduler to use
    instead. connect_timeout: seconds that it may take to answer. retry_failed: run the points that failed before, and
    no others. time_limit: seconds that a cell of a training may take. with_report: write the sweep's sweep.ipynb and
    report.html, too. many: also a sweep of more than 100,000 points, up to a million.

    Raises
    ------
    InvalidParameter, InvalidData, FolderBusy
        If the definition, the data of a point, the folder or the scheduler is wrong; nothing has been started then.
    ClusterFailed
        If the scheduler goes away, or no worker can run the points; finished points are kept.
    PointsFailed
        If the folder is removed, or the code changed, meanwhile.
    InvalidData, FolderBusy, NotebookFailed
        If a selected point cannot be evaluated; all points are kept.
    """
    sweep = definition.read(path := Path(path))
    place = str(storage.RUNS / "sweeps" / sweep.name) if sweep_dir is None else sweep_dir
    folder = SweepFolder(storage.project_path(place).resolve())
    points = definition.points_of(sweep, folder, f"{shown(path)} cannot be run:\n", MOST_POINTS if many else MAX_POINTS)
    _check_folder(sweep, folder, points)
    one_of_each = {point.parameters.source: point.parameters for point in points}
    for source in one_of_each:
        datasets.check_apart(source, folder.path, folder.names)
    whole = {source: datasets.load_source(source) for source in one_of_each}
    keys = dict.fromkeys(point.data_key for point in points)
    data = {key: datasets.split(whole[key[0]], *key[1:]) for key in keys}
    inputs = {source: provenance.inputs_of(chosen, [TRAINING]) for source, chosen in one_of_each.items()}
    with index.refreshed_after(folder.path), storage.lock(folder.path):
        storage.remove_parts(folder.path, folder.names)
        todo = _left(points, inputs, data, retry_failed)
        if todo and scheduler is None:
            limits.check_memory(max(point.parameters.hidden_size for point in todo))
        for point in todo:
            if point.folder.path.is_symlink():  # into a run of its own
                raise InvalidParameter(f"A point's folder is a link: {shown(point.folder.path)}. Remove it.")
            point.folder.check_own(f"A point's folder is {point.folder.path}")
        log.info(_counted(points, todo))
        if remark := ranking.remark(ranking.varied_names(point.result for point in points), sweep.select):
            log.info(remark)
        groups = [[point.id for point in group] for group in definition.configurations(points)]
        record = SweepRecord(**dict(sweep), ids=[point.id for point in points], configurations=groups)
        most = workers or (os.cpu_count() or 1) + 1  # so that no core waits while a kernel starts or ends
        if (at_a_time := limits.kernels_at_a_time(most)) < most:
            log.info(f"{at_a_time} points at a time, since this shell allows no more open files (ulimit -Hn).")
        if todo:
            from pipeline import kernels  # jupyter_client takes 0.1 s to import

            if scheduler is None:
                kernels.prepare(side_by_side=True)
            from pipeline.sweeps import training, worker  # papermill takes 0.4 s more, in which the fork server starts

            used = {point.data_key: data[point.data_key] for point in todo}
            with training.workers(scheduler, min(at_a_time, len(todo)), used, inputs, connect_timeout) as found:
                _write_record(folder, record, keep_report=False)
                jobs = []
                for point in todo:
                    chosen, arrays = point.parameters, data[point.data_key].source_sha256
                    task = worker.Task(point.folder.place, chosen, inputs[chosen.source], arrays, time_limit)
                    jobs.append((point, task))
                training.run_points(found, jobs, points, folder, sweep.select)
            if not folder.record.exists():
                raise PointsFailed(f"{folder.path} was removed while its points ran. Give the same command again.")
        else:
            _write_record(folder, record)
            results.write(points, folder)
        failed = [point for point in points if not point.result.is_done]
        try:
            if all(point.result.record for point in points):  # else the test images would be looked at too early
                _select(points, sweep, at_a_time)
            if with_report:
                _write_report(sweep, folder, points)
                log.info(console.wrote("report", folder.report))
        except InvalidRecord as error:  # the code or a file was changed meanwhile
            also = f"\n{described(failed, retry_failed)}" if failed else ""
            raise PointsFailed(f"{error}{also}") from error
    return failed


def described(failed: Sequence[Point], retried: bool) -> str:
    """Describe the points that have not finished, a line each, and what to do. retried: only those that failed ran."""
    lines = [f"{len(failed)} {'point' if len(failed) == 1 else 'points'} did not finish"]
    may_do_better = any(point.result.status != Status.DIVERGED for point in failed)
    lines[0] += " (--retry-failed gives what failed another try):" if may_do_better and not retried else ":"
    for point in failed[:MAX_LISTED]:
        error = (point.result.record.error or "").split(" Each update overshoots")[0] if point.result.record else None
        label = textwrap.shorten(point.label, 160, placeholder=" ...")
        parts = [f"{point.id} {point.result.status}", label, error]
        lines.append(textwrap.shorten(": ".join(filter(None, parts)), 320, placeholder=" ..."))
    if len(failed) > MAX_LISTED:
        lines.append(f"and {len(failed) - MAX_LISTED} more, which results.csv has, too")
    if retried and not all(point.result.record for point in failed):
        lines.append("The points that have not been run yet run without --retry-failed.")
    return "\n".join(lines)


def _check_folder(sweep: SweepDefinition, folder: SweepFolder, points: Sequence[Point]) -> None:
    """Refuse a folder in which the sweep would overwrite what is not its own, or hide it."""
    given = f"--sweep-dir is {folder.path}"
    if wrong := [mark for mark in '"\\' if mark in str(folder.path)]:
        raise InvalidParameter(f"{given}, with {wrong[0]!r}, which a notebook cannot hold. Choose another folder.")
    folder.check_own(given)
    check_not_within_a_run(folder.path, given)
    if storage.exists(folder.record):
        if (other := folder.read_record().name) != sweep.name:
            raise InvalidParameter(f"{given}, which holds the sweep {other}. Choose another folder.")
        return
    if RunFolder(folder.path).sweep:
        raise InvalidParameter(f"{given}, in the folder of a sweep, where nobody would find it. Choose another.")
    patterns = ("run.json", "*/run.json", "*/*/run.json", "*/sweep.json", "*/*/sweep.json")
    own = {point.folder.record for point in points}  # as where sweep.json was lost
    if found := [path for pattern in patterns for path in folder.path.glob(pattern) if path not in own]:
        theirs = found[0].relative_to(folder.path)
        raise InvalidParameter(f"{given}, which holds {theirs}, but no sweep. Choose another folder.")


def _left(
    points: Sequence[Point], inputs: Mapping[str, Inputs], data: Mapping[DataKey, Data], retry_failed: bool
) -> list[Point]:
    """Return the points to run: those without a record that still holds; with retry_failed only those that failed."""
    with ThreadPoolExecutor(os.cpu_count()) as threads:  # since it is the digests of files that take long
        altered = dict(zip(points, threads.map(_is_altered, points), strict=True))
    todo, again = [], dict[str, list[str]]()
    for point in points:
        record = point.result.record
        if record is None or (retry_failed and not point.result.is_done):
            if retry_failed == (record is not None):
                todo.append(point)
            continue
        reasons = provenance.changes(record, point.parameters, inputs[point.parameters.source])
        if not reasons and record.arrays and record.arrays != data[point.data_key].source_sha256:
            reasons = ["other images than those it was trained on"]
        if not reasons and altered[point]:
            reasons = ["files that have been removed or altered since"]
        if reasons:
            again.setdefault("; ".join(reasons), []).append(point.id)
            todo.append(point)
    for reason, ids in again.items():
        listed = ", ".join(ids[:3]) + (f" and {len(ids) - 3} more" if len(ids) > 3 else "")
        line = f"{listed} {'runs' if len(ids) == 1 else 'run'} again, because of {reason}"
        if retry_failed:  # and nothing else: results of two versions would be ranked together
            raise InvalidParameter(f"Leave out --retry-failed: {line}, and so does what failed.")
        log.info(line)
    return todo


def _is_altered(point: Point) -> bool:
    """Tell whether a file of a finished point is not as training left it; the evaluation looks after its own."""
    record = point.result.record
    return record is not None and bool(point.folder.altered(record, record.outputs.keys() - set(runs.EVALUATED)))


def _counted(points: Sequence[Point], todo: Collection[Point]) -> str:
    """Count the points, and what is going to be done with them."""
    running = set(todo)
    resting = [point.result for point in points if point not in running]
    never = sum(result.record is None for result in resting)
    done = sum(result.is_done for result in resting)
    counts = {"failed before (--retry-failed runs them again)": len(resting) - never - done, "never run": never}
    parts = [f"{done} done", *(f"{count} {name}" for name, count in counts.items() if count), f"{len(todo)} to run"]
    return f"{len(points)} {'point' if len(points) == 1 else 'points'}: {', '.join(parts)}"


def _write_record(folder: SweepFolder, record: SweepRecord, keep_report: bool = True) -> None:
    """Write sweep.json, unless it is there. A report of other points, or by another metric, goes."""
    found = folder.read_record() if folder.record.exists() else None
    if found and not set(found.ids) <= set(record.ids):
        log.info("The sweep in this folder had points that this one has not. They are kept, but no result shows them.")
    if not keep_report or (found and (set(found.ids), found.select) != (set(record.ids), record.select)):
        for path in (folder.report, folder.notebook, folder.report_inputs):
            path.unlink(missing_ok=True)
    if found != record:
        storage.write_whole(folder.record, storage.json_bytes(record))


def _select(points: Sequence[Point], sweep: SweepDefinition, at_a_time: int) -> None:
    """Log the best configuration, and evaluate its points: the first time that anyone looks at the test images."""
    if best := ranking.best(definition.ranked(points, sweep.select)):
        log.info(f"best {best.describe_best(ranking.varied_names(point.result for point in points))}")
        selected = [point.folder for point in points if point.result in best.finished]
        runs.evaluate(selected, at_a_time, REPORT_TIMEOUT)
        if all(tested := [folder.find_metrics() for folder in selected]):
            mean = fmean(metrics.test_accuracy for metrics in tested if metrics)
            log.info(f"its test accuracy: {mean:.4f}{best.describe_seeds()}")


def _write_report(sweep: SweepDefinition, folder: SweepFolder, points: Sequence[Point]) -> None:
    """Execute sweep.ipynb for this sweep, and render it; not again where nothing that they show has changed."""
    digests, code = _digest_of(folder.record) | _digest_of(folder.results), provenance.code_of(NOTEBOOK)
    depends_on = digests | code | {"cells": provenance.cells_digest(NOTEBOOK), "pages": provenance.report_code()}
    evaluated = [(each.id, each.folder.digests(["metrics.json"]), each.folder.report.exists()) for each in points]
    depends_on |= {"evaluated": sha256(repr(evaluated).encode()).hexdigest()}
    there = folder.report.exists() and folder.notebook.exists()
    if not there or folder.find_report_inputs() != depends_on | _digest_of(folder.report):
        from pipeline import notebooks  # papermill takes 0.4 s to import, which a finished sweep should not cost
        from pipeline.reports import rendering  # and nbconvert 0.3 s

        notebooks.execute(NOTEBOOK, folder.notebook, {"sweep_dir": storage.place_of(folder.path)})
        rendering.write_notebook_report(folder.notebook, folder.report, f"Sweep {sweep.name}")
        storage.write_whole(folder.report_inputs, storage.json_bytes(depends_on | _digest_of(folder.report)))


def _digest_of(path: Path) -> dict[str, str]:
    return {path.name: storage.sha256_of_file(path)}
