"""Have the points of a sweep trained, and write each whole as it ends."""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pipeline import kernels, signals, storage
from pipeline.errors import InvalidParameter
from pipeline.images import Data
from pipeline.ranking import PointResult
from pipeline.records import Inputs, Metric
from pipeline.reports import rendering
from pipeline.run_folder import SweepFolder
from pipeline.sweeps import definition, progress, results
from pipeline.sweeps.definition import DataKey, Point
from pipeline.sweeps.local import Job, LocalPool
from pipeline.sweeps.worker import Outcome

if TYPE_CHECKING:
    from pipeline.sweeps.pool import Pool  # with which Dask is imported, for 0.5 s

WRITE_INTERVAL = 1.0  # seconds, at least, between two versions of results.csv


def run_points(
    found: "LocalPool | Pool", jobs: Sequence[Job], points: Sequence[Point], folder: SweepFolder, select: Metric
) -> None:
    """Have the jobs done, and write what comes of each as soon as it is there.

    points: all of the sweep. select: what configurations are ranked by while it goes on.
    """
    waiting, written = list(jobs)[::-1], time.monotonic()
    ended: list[tuple[Job, Outcome | None]] = []
    for point, _ in jobs:  # so that an old result is not counted
        point.result = PointResult(point.id, point.result.parameters)
    try:
        with progress.Progress(definition.configurations(points), select, len(jobs)) as shown, signals.handled():
            while True:
                try:
                    signals.check()
                    found.submit(waiting)  # before the writing, so that no worker waits for it
                finally:  # also if there is nobody left to give to
                    for (point, _), outcome in ended:
                        if outcome:
                            _keep(point, outcome)
                            shown.finished(point, found.at_a_time)
                if not waiting and not found.running:
                    break
                if not waiting:  # the evaluation comes next
                    kernels.prepare(side_by_side=True)
                    rendering.exporter()
                if ended and time.monotonic() - written > WRITE_INTERVAL:
                    results.write(points, folder)
                    written = time.monotonic()
                ended = found.completed()
                shown.bar.refresh()  # its clock
                waiting += [job for job, outcome in ended if not outcome]
    finally:
        results.write(points, folder)


def _keep(point: Point, outcome: Outcome) -> None:
    """Write a point's files, its record last."""
    folder = point.folder
    folder.record.unlink(missing_ok=True)
    folder.clear()
    for name, content in outcome.files.items():
        storage.write_whole(folder.path / name, content, durable=False)  # the record would tell that one is lost
    folder.write_record(outcome.record)
    point.result = PointResult(point.id, point.result.parameters, outcome.record)


@contextlib.contextmanager
def workers(
    scheduler: str | None, count: int, data: Mapping[DataKey, Data], inputs: Mapping[str, Inputs], timeout: float
) -> Iterator["LocalPool | Pool"]:
    """Yield those who train the points: the workers of a scheduler, or `count` at a time on this machine."""
    if scheduler is None:
        with storage.scratch() as scratch, contextlib.closing(LocalPool(count, data, scratch)) as found:
            yield found
    else:
        try:
            from pipeline.sweeps import cluster, pool  # Dask takes 0.5 s to import
        except (ValueError, KeyError) as error:  # which it raises at a file or a variable of its settings
            what = str(error).splitlines()[0].rstrip(":")
            raise InvalidParameter(f"Dask's settings cannot be used: {what}. Correct or remove them.") from None
        with cluster.connect(scheduler, timeout) as client:
            yield pool.Pool(client, data, inputs)
