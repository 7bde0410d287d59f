"""Log how many points of a sweep have ended, and how long the others will take."""

import logging
import time
from datetime import datetime

from pipeline.network.published import NOTE, format_duration, format_metric
from pipeline.parameters import format_parameters
from pipeline.records import Status
from pipeline.results.provenance import has_published_helpers
from pipeline.sweeps.sweep import Point, Sweep
from pipeline.sweeps.table import find_varied, format_count, make_table

log = logging.getLogger(__name__)


def log_state(sweep: Sweep, remaining: int) -> None:
    """Log how many points of a sweep are done, and how many remain to be trained.

    If points remain and helpers.py is not the published one, NOTE is also logged.

    remaining: the number of points to train.
    """
    statuses = [point.status for point in sweep.points.values()]
    done = statuses.count(Status.DONE)
    diverged = len(statuses) - done - remaining
    more = f", {diverged:,} diverged before" if diverged else ""
    total = format_count(len(statuses), "point")
    log.info(f"{total}: {done:,} done, {remaining:,} to run{more}")
    if remaining and not has_published_helpers(sweep.inputs):
        log.info(NOTE)


class Progress:
    """Log a line for each point that has ended, with an estimate of the remaining time.

    total: the number of points to train.
    """

    def __init__(self, sweep: Sweep, total: int) -> None:
        self.metric, self.total = sweep.definition.select, total
        self.names = {*find_varied(make_table(sweep)), "seed"}
        self.count, self.first_at = 0, 0.0

    def log_point(self, point: Point) -> None:
        self.count += 1
        record = point.record
        result = format_parameters(point.parameters.model_dump(include=self.names))
        if record and record.metrics:
            value = format_metric(getattr(record.metrics, self.metric))
            result = f"{self.metric} {value}, {result}"
        when = f"[{self.count}/{self.total}] {datetime.now():%H:%M:%S}"
        left = self._describe_time_left()
        log.info(f"{when} {point.id} {point.status}: {result}{left}")

    def _describe_time_left(self) -> str:
        """Return a text that says how long the other points will take.

        The text is empty for the first two points and for the last point. The first
        point also loads all code, so the rate is measured from the end of the first
        point.
        """
        now = time.monotonic()
        self.first_at = self.first_at or now
        if self.count < 3 or self.count == self.total:
            return ""
        rate = (now - self.first_at) / (self.count - 1)
        return f" | about {format_duration(rate * (self.total - self.count))} left"
