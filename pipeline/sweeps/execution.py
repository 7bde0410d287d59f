"""Train the points that are left of a sweep, evaluate the selected ones, and report."""

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, as_completed
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import Any

from pipeline import parameters, records
from pipeline.errors import CommandFailed, InvalidInput, NotebookFailed
from pipeline.execution.process import open_threads, start_fork_server
from pipeline.network.published import round_metric
from pipeline.paths import NOTEBOOKS
from pipeline.records import (
    Status,
)
from pipeline.results.files import lock, write_whole
from pipeline.sweeps import evaluation, plan, training
from pipeline.sweeps.points import (
    Point,
    SweepFolder,
    find_varied,
)
from pipeline.sweeps.preparation import Sweep, prepare
from pipeline.sweeps.ranking import (
    Configuration,
    group,
    iterate_rungs,
    mark_eliminated,
    rank,
    select,
)
from pipeline.sweeps.results import describe_failures, write_results

RESULTS_INTERVAL = 10.0  # seconds between two versions of results.csv

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
    """Train the points that are left of a sweep, and rank its configurations.

    source: the YAML file, or its content.
    sweep_dir: the folder of the sweep; by default runs/sweeps/NAME.
    workers: how many points to train at a time on this machine; by default one for each
        core.
    scheduler: the address of a Dask scheduler to use instead.
    retry_failed: whether to train failed points, too.
    time_limit: seconds for a cell of a training; by default there is none.
    with_report: whether to write report.html.
    dry_run: whether only to log what would be trained.

    Return the configurations, the best first.

    Raises InvalidInput before anything starts. Raises CommandFailed if another command
    uses the folder, if no worker can train the points, if none of them has finished, or
    if a selected one cannot be evaluated. Raises CodeChanged if the code on disk has
    changed meanwhile. Finished points are kept.
    """
    sweep = prepare(source, sweep_dir)
    at_a_time = workers or plan.count_cores()
    # A cluster's number of cores is unknown, so its plan is for one.
    cores = 1 if scheduler else min(at_a_time, plan.count_cores())
    for warning in sweep.warnings:
        log.warning(warning)
    if dry_run:
        log_plan(sweep, retry_failed, cores)
        return rank(sweep.points, sweep.definition.select)
    with lock(sweep.folder.path):
        start_fork_server()
        jobs, number_left = log_plan(sweep, retry_failed, cores)
        if number_left and scheduler:
            # Imported here, because importing Dask takes half a second.
            from pipeline.sweeps import cluster

            contents = [each.content for each in sweep.images.values()]
            trainer = cluster.open_cluster_trainer(scheduler, contents)
        else:
            trainer = open_local_trainer(at_a_time)
        train(sweep, jobs, number_left, trainer, time_limit)
        is_new = select_and_evaluate(sweep, at_a_time)
        has_report = sweep.folder.report_path.exists()
        if with_report and (number_left or is_new or not has_report):
            write_report(sweep.folder)
    if with_report:
        log.info(f"report: {os.path.relpath(sweep.folder.report_path)}")
    if not any(point.is_done for point in sweep.points):
        raise CommandFailed(describe_failures(sweep.points))
    return rank(sweep.points, sweep.definition.select)


def log_plan(sweep: Sweep, retry_failed: bool, cores: int) -> tuple[list[Point], int]:
    """Log the plan of a sweep; return the points to train, and how many will be.

    With halving, fewer will be trained, because most points are eliminated before.
    """
    jobs = plan.find_jobs(sweep.points, sweep.training_inputs, retry_failed)
    made = plan.make_plan(sweep.points, jobs, sweep.definition)
    for line in made.describe(cores):
        log.info(line)
    return jobs, made.left


def train(
    sweep: Sweep,
    jobs: Sequence[Point],
    number_left: int,
    trainer: AbstractContextManager[training.Submit],
    time_limit: int | None,
) -> None:
    """Train the points rung by rung, and record each as soon as it ends.

    jobs: the points to train, of all rungs.
    number_left: how many of the jobs will be trained; halving eliminates the rest.
    trainer: yields the function that starts the training of a point.

    sweep.json is written before the first point is trained, so that results of other
    code count as outdated from then on.
    """
    folder, record = sweep.folder, records.to_json(sweep.to_record())
    with ExitStack() as afterwards, trainer as submit:
        path = folder.record_path
        if number_left or not path.exists() or path.read_bytes() != record:
            folder.report_path.unlink(missing_ok=True)
            write_whole(folder.helpers_path, sweep.helpers)
            write_whole(path, record)
        write_results(sweep.points, folder)
        # This is called after the trainer has ended all trainings, also on Ctrl-C.
        afterwards.callback(record_end, sweep, jobs)
        progress = _Progress(sweep, number_left)
        # The next rung is chosen only when this one is trained, see `iterate_rungs`.
        for rung in iterate_rungs(sweep.points, sweep.definition):
            mark_eliminated(sweep.points, sweep.definition)
            going = set(rung)
            futures = {}
            for point in jobs:
                if point in going:
                    content = sweep.images[point.images].content
                    begun = sweep.make_record(point)
                    future = submit(point.folder, begun, content, time_limit)
                    futures[future] = point
            progress.collect(futures)


def record_end(sweep: Sweep, jobs: Sequence[Point]) -> None:
    """Record which points were eliminated or interrupted, and write results.csv."""
    mark_eliminated(sweep.points, sweep.definition)
    mark_interrupted(jobs)
    write_results(sweep.points, sweep.folder)


def mark_interrupted(jobs: Sequence[Point]) -> None:
    """Change the status of points that are still recorded as running to interrupted."""
    for point in jobs:
        begun = point.folder.find_record()
        if begun and begun.status == Status.RUNNING:
            point.record_result(begun.replace(status=Status.INTERRUPTED))


def select_and_evaluate(sweep: Sweep, at_a_time: int) -> bool:
    """Evaluate the selected configuration, and no other one, on the test images.

    Return whether any of its points had to be evaluated.
    """
    selection = select(sweep.points, sweep.definition.select)
    best = selection.selected
    if best is None:
        log.info(selection.reason)
        return False
    names = find_varied(sweep.points)
    log.info(f"selected: {best.describe_best(names)}")
    folders = [point.folder for point in best.finished]
    try:
        is_new = evaluation.evaluate(folders, at_a_time, sweep.inputs)
    except (InvalidInput, NotebookFailed) as error:
        raise CommandFailed(f"All points are kept, but: {error}") from error
    accuracy = fmean(folder.read_metrics().test_accuracy for folder in folders)
    log.info(f"its test accuracy: {accuracy:.4f}{best.describe_seeds()}")
    write_results(sweep.points, sweep.folder)
    return is_new


def write_report(folder: SweepFolder) -> Path:
    """Execute sweep.ipynb for a sweep in its present state, and write its report.

    Return the path of the report.
    """
    from pipeline.execution import notebooks  # see `runs.execute_stages`
    from pipeline.reports import page

    title = f"Sweep {folder.read_record().name}"
    executed = folder.notebook_path
    values = {"sweep_dir": str(folder.path)}
    notebooks.execute(NOTEBOOKS / executed.name, executed, values)
    page.write_notebook_report(executed, folder.report_path, title)
    return folder.report_path


class _Progress:
    """Record each point as soon as its training ends, and log how far the sweep is."""

    def __init__(self, sweep: Sweep, total: int) -> None:
        configurations = group(sweep.points, sweep.definition.select)
        self.sweep, self.total, self.count = sweep, total, 0
        self.configurations = {
            point: each for each in configurations for point in each.points
        }
        self.names = find_varied(sweep.points)
        self.has_note = False  # whether the note of a record has been logged
        complete = [each for each in configurations if each.is_complete]
        self.best = min(complete, key=lambda each: each.sort_key, default=None)
        self.written_at = time.monotonic()

    def collect(self, futures: dict["Future[training.Outcome]", Point]) -> None:
        for future in as_completed(futures):
            point = futures.pop(future)
            record, files = future.result()
            for name, content in files.items():
                write_whole(point.folder.path / name, content)
            if record.note and not self.has_note:
                log.warning(record.note)
                self.has_note = True
            outputs = point.folder.digest(training.TRAINING_FILES)
            point.record_result(record.replace(outputs=outputs))
            self._log(point)
            if time.monotonic() - self.written_at > RESULTS_INTERVAL:
                write_results(self.sweep.points, self.sweep.folder)
                self.written_at = time.monotonic()

    def _log(self, point: Point) -> None:
        self.count += 1
        configuration = self.configurations[point]
        label = ""
        if configuration.is_complete and (
            self.best is None or configuration.sort_key < self.best.sort_key
        ):
            self.best = configuration
            label = f" | the best so far: {configuration.describe_best(self.names)}"
        varied = point.parameters.model_dump(include={*self.names, "seed"})
        result = parameters.describe(varied)
        if point.record and point.record.metrics:
            metric = configuration.metric
            value = round_metric(getattr(point.record.metrics, metric))
            result = f"{metric} {value}, {result}"
        when = f"[{self.count}/{self.total}] {datetime.now():%H:%M:%S}"
        log.info(f"{when} {point.id} {point.status}: {result}{label}")


@contextmanager
def open_local_trainer(count: int) -> Iterator[training.Submit]:
    """Yield a function that trains a point on this machine, `count` at a time."""
    with open_threads(count) as threads:
        yield lambda *job: threads.submit(training.train_point, *job)
