"""Log how many points of a sweep have ended, and how long the others will take."""

import logging
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from pipeline.network.formats import format_duration, format_result
from pipeline.network.published import NOTE
from pipeline.results.provenance import has_published_helpers
from pipeline.sweeps.sweep import Point, Sweep
from pipeline.sweeps.table import count_images, format_count, make_table

MAX_LISTED = 20  # the most points that a dry run lists
log = logging.getLogger(__name__)


def log_state(sweep: Sweep, jobs: Sequence[Point]) -> None:
    """Log how many points of a sweep have ended, and why others are outdated.

    If points remain and helpers.py is not the published one, NOTE is also logged. So is
    the number of points that have been run and are no longer in the sweep's file.

    jobs: the points to train.
    """
    reasons = Counter(point.changes[0] for point in jobs if point.changes)
    for reason, number in reasons.items():
        which = "1 point is" if number == 1 else f"{number} points are"
        log.info(f"{which} outdated and trained again, because of {reason}")
    remaining = len(jobs)
    count = len(sweep.points)
    total = format_count(count, "point")
    log.info(f"{total}: {count - remaining:,} ended, {remaining:,} to run")
    left_out = sweep.list_left_out()
    if left_out:
        which = f"{format_count(len(left_out), 'point')} in {sweep.display_path}"
        log.info(f"no longer in the file, so in no table: {which}")
    if remaining and not has_published_helpers(sweep.record.inputs):
        log.info(NOTE)


def log_plan(sweep: Sweep, jobs: Sequence[Point]) -> None:
    """Log which points would be trained, and how long finished ones have taken.

    jobs: the points to train, of which at most MAX_LISTED are listed.
    """
    for point in jobs[:MAX_LISTED]:
        log.info(f"  {sweep.describe_point(point)}")
    if len(jobs) > MAX_LISTED:
        log.info(f"  and {len(jobs) - MAX_LISTED:,} more")
    mean = make_table(sweep)["duration_s"].mean()
    if mean > 0:  # it is NaN before a point has finished
        log.info(f"a finished point took {format_duration(mean)} on average")


class Progress:
    """Log a line for each point that has ended, with an estimate of the remaining time.

    total: the number of points to train.
    """

    def __init__(self, sweep: Sweep, total: int) -> None:
        self.sweep = sweep
        self.total = total
        self.count = 0
        self.started = time.monotonic()

    def log_point(self, point: Point) -> None:
        self.count += 1
        record = point.record
        result = str(point.status)
        if record and record.metrics:
            metric = self.sweep.record.select
            images = count_images(dict(record.parameters), metric)
            value = getattr(record.metrics, metric)
            result = f"{metric} {format_result(metric, value, images)}"
        when = f"[{self.count}/{self.total}] {datetime.now():%H:%M:%S}"
        name = self.sweep.describe_point(point)
        left = ""
        if self.count < self.total:
            mean = (time.monotonic() - self.started) / self.count
            left = f" | about {format_duration(mean * (self.total - self.count))} left"
        log.info(f"{when} {name}: {result}{left}")
