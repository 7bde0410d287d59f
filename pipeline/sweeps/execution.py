"""Run a sweep: train its points, evaluate the selected ones, and write the report."""

import importlib.util
import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pandas as pd
from loky import cpu_count

from pipeline.engine.process import open_thread_pool, start_fork_server
from pipeline.errors import CommandFailed, InvalidInput
from pipeline.network.formats import to_plain
from pipeline.paths import NOTEBOOKS
from pipeline.records import Status
from pipeline.reports.origins import SWEEP_README
from pipeline.results import provenance, stages
from pipeline.results.files import atomic_write, lock_folder
from pipeline.sweeps import evaluation, selection, table
from pipeline.sweeps.progress import Progress, log_plan, log_state
from pipeline.sweeps.sweep import Point, Sweep, find_sweep_record
from pipeline.sweeps.table import make_table
from pipeline.sweeps.training import Refusal, Trainer
from pipeline.sweeps.verdict import describe_sweep

log = logging.getLogger(__name__)


def run_sweep(
    sweep: Sweep,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    dry_run: bool = False,
) -> pd.DataFrame:
    """Train the remaining points of a sweep, and return the table of all points.

    The function also selects the best configuration, evaluates its points on the test
    images, and writes the report of the sweep.

    sweep: the sweep, from `prepare_sweep`.
    workers: how many points to train at a time on this machine; by default one for each
        core.
    scheduler: the address of a Dask scheduler, to train on its cluster instead.
    dry_run: whether only to log how many points would be trained.

    Raises InvalidInput if the sweep cannot be started. In this case nothing has been
    trained. Raises CommandFailed if another command uses the folder, if a worker cannot
    train the points, if points have failed, or if the code was changed after the
    command started. Raises NotebookFailed if a selected point cannot be evaluated.
    Finished points are kept.
    """
    if scheduler and not importlib.util.find_spec("distributed"):
        problem = "A Dask cluster needs the package distributed, which is not installed"
        advice = "(uv) pip install -e '.[cluster]' in the project's folder adds it"
        raise InvalidInput(f"{problem}: {advice}.")
    for warning in sweep.record.warnings:
        log.warning(warning)
    if dry_run:
        sweep.refresh()
        jobs = sweep.list_jobs()
        log_state(sweep, jobs)
        log_plan(sweep, jobs)
        return make_table(sweep)
    with lock_folder(sweep.path):
        start_fork_server()
        sweep.refresh()
        jobs = sweep.list_jobs()
        log_state(sweep, jobs)
        train_points(sweep, jobs, workers, scheduler)
        is_new = evaluate_selected(sweep, workers or cpu_count())
        if jobs or is_new or not sweep.report_path.exists():
            log.info("writing the report")
            write_sweep_report(sweep)
    found = make_table(sweep)
    log.info(to_plain(describe_sweep(sweep, found)))
    log.info(f"report: {os.path.relpath(sweep.report_path)}")
    if table.has_failed(found).any():
        raise CommandFailed(table.describe_failures(found))
    return found


@contextmanager
def open_trainer(
    sweep: Sweep, jobs: Sequence[Point], workers: int | None, scheduler: str | None
) -> Iterator[Trainer]:
    """Yield the trainer of the points, which works here or on a Dask cluster.

    jobs: the points to train.
    workers, scheduler: see `run_sweep`.
    """
    if jobs and scheduler:
        # Imported here, because importing distributed takes half a second.
        from pipeline.sweeps import cluster

        data_files = {sweep.make_training_data(point.parameters) for point in jobs}
        wanted = jobs[0].expected_record
        with cluster.open_cluster(scheduler, wanted, data_files) as trainer:
            yield trainer
    else:
        if jobs:
            from pipeline.engine import notebooks  # see `runs.execute_stages`

            notebooks.check_loaded_code(sweep.record.inputs)
        with open_thread_pool(workers or cpu_count()) as threads:  # unused without jobs
            yield Trainer(threads)


def train_points(
    sweep: Sweep, jobs: Sequence[Point], workers: int | None, scheduler: str | None
) -> None:
    """Train points, and record the result of each point as soon as it has ended.

    jobs: the points to train.
    workers, scheduler: see `run_sweep`.

    sweep.json is written before the first point is trained. From then on, results that
    were made with other code count as outdated. If no point can be trained, the old
    sweep.json stays.
    """
    progress = Progress(sweep, len(jobs))
    has_begun = False
    try:
        with open_trainer(sweep, jobs, workers, scheduler) as trainer:
            has_begun = True
            _prepare_folder(sweep, bool(jobs))
            write_results(sweep)
            ended: SimpleQueue[Future[Any]] = SimpleQueue()
            running = {begin(sweep, point, trainer, ended): point for point in jobs}
            while running:
                future = ended.get()
                point = running.pop(future)
                result = future.result()
                if isinstance(result, Refusal):
                    trainer.refuse(result)
                    running[begin(sweep, point, trainer, ended)] = point
                else:
                    point.record_result(*result)
                    progress.log_point(point)
    finally:  # after all training has ended, also after Ctrl-C
        for point in jobs:
            begun = point.folder.find_record()
            if begun and begun.status == Status.RUNNING:
                point.record_result(begun.replace(status=Status.INTERRUPTED))
        if has_begun:
            write_results(sweep)


def begin(
    sweep: Sweep, point: Point, trainer: Trainer, ended: "SimpleQueue[Future[Any]]"
) -> "Future[Any]":
    """Begin training a point, and return a future, which is put into `ended` later."""
    data_npz = sweep.make_training_data(point.parameters)
    future = trainer.submit(point.folder, point.expected_record, data_npz)
    future.add_done_callback(ended.put)
    return future


def _prepare_folder(sweep: Sweep, has_jobs: bool) -> None:
    """Write sweep.json and the files beside it, and delete the report.

    has_jobs: whether there are points to train. If there are none, and if the sweep has
        not changed, the function does nothing.
    """
    before = find_sweep_record(sweep.path)
    evaluated = before.evaluated if before else []
    sweep.change_record(evaluated=evaluated)
    if has_jobs or before != sweep.record:
        sweep.report_path.unlink(missing_ok=True)
        helpers = provenance.get_helpers(sweep.record.inputs)
        atomic_write(sweep.path / stages.HELPERS, helpers)
        atomic_write(sweep.path / stages.README, SWEEP_README.encode())
        sweep.write_record()


def write_results(sweep: Sweep) -> None:
    """Write results.csv, which has no outdated points."""
    found = make_table(sweep)
    current = found[found["status"] != Status.OUTDATED]
    content = current.to_csv(index=False, lineterminator="\n")
    atomic_write(sweep.path / "results.csv", content.encode())


def evaluate_selected(sweep: Sweep, at_a_time: int) -> bool:
    """Evaluate the points of the selected configuration on the test images.

    Points of other configurations are not evaluated. Points that have already been
    evaluated are not evaluated again.

    at_a_time: how many points to evaluate at once.

    Return whether any point had to be evaluated.
    """
    points = make_table(sweep)
    best, reason = selection.select_configuration(points, sweep.record)
    if best is None or reason:  # there is at most a best configuration so far
        return False
    selected = [sweep.points[name] for name in selection.find_points(points, best)]
    remaining = [point for point in selected if not evaluation.is_evaluated(point)]
    if remaining:
        count = table.format_count(len(remaining), "point")
        log.info(f"evaluating {count} on the test images")
        evaluation.evaluate_points(sweep, remaining, at_a_time)
        write_results(sweep)
    return bool(remaining)


def write_sweep_report(sweep: Sweep) -> Path:
    """Execute sweep.ipynb for a sweep in its current state, and write the report.

    Return the path of the report.
    """
    from pipeline.engine import notebooks  # see `runs.execute_stages`
    from pipeline.reports import cells, origins, page

    executed = sweep.notebook_path
    values = {"sweep_dir": sweep.display_path}
    notebooks.execute(NOTEBOOKS / executed.name, executed, values)
    html = page.render_report(
        "sweep.html.j2",
        {executed.stem: cells.read_notebook(executed)},
        title=f"Sweep {sweep.record.name}",
        names=table.find_varied(make_table(sweep)),
        credits=origins.collect_credits(sweep.source, sweep.record.inputs),
    )
    atomic_write(sweep.report_path, html.encode())
    return sweep.report_path
