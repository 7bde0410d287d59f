"""Go through the rungs of a sweep, and say what is left of each and how far it is.

A sweep without halving is a single rung.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from datetime import datetime

import pandas as pd
from dask.system import cpu_count

from pipeline.network import compiled
from pipeline.network.published import format_duration, round_metric
from pipeline.parameters import describe
from pipeline.records import RunRecord, Status
from pipeline.sweeps.definition import list_rungs
from pipeline.sweeps.sweep import Point, PreparedSweep, Sweep
from pipeline.sweeps.table import count_of, find_varied, make_table

# The bytes of model.npz for each hidden unit, and those of a point's other files.
BYTES_PER_UNIT, BYTES_PER_POINT = 8 * (784 + 10), 40_000

log = logging.getLogger(__name__)


def log_plan(sweep: PreparedSweep, jobs: Sequence[Point], workers: int | None) -> None:
    """Log what would be trained, up to the first rung that has something left."""
    waiting = {point.id for point in jobs}
    for epochs, rung in iterate_rungs(sweep):
        left = rung[rung["id"].isin(waiting)]
        log.info(describe_rung(epochs, rung, len(left)))
        if len(left):
            break
    halving, rungs = sweep.definition.halving, list_rungs(sweep.definition)
    if halving and (later := [each for each in rungs if each > epochs]):
        listed = ", ".join(map(str, later))
        log.info(f"then the best 1/{halving.factor} of each, for {listed} epochs")
    if former := sweep.list_former_folders():
        names = ", ".join(former[:5]) + (", ..." if len(former) > 5 else "")
        log.info(f"folders that no longer count ({len(former)}): {names}")
    if not compiled.follows_helpers():
        log.info(compiled.NOTE)
    if left.empty:
        return
    needed = BYTES_PER_UNIT * left["hidden_size"].sum() + BYTES_PER_POINT * len(left)
    free = sweep.count_free_bytes()
    log.info(f"disk: {needed / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free")
    at_a_time = min(workers or cpu_count(), len(left))
    done = rung[rung["status"] == Status.DONE]
    time_left = "start it, and read the time after three points"
    if len(done):
        seconds = done["duration_s"].mean() * len(left) / at_a_time
        time_left = f"about {format_duration(seconds)}, by the points that are done"
    log.info(f"{at_a_time} at a time: {time_left}")


def iterate_rungs(sweep: Sweep) -> Iterator[tuple[int, pd.DataFrame]]:
    """Yield the epochs of each rung, and the rows of its points that can still win.

    The table is made anew for each rung. If the caller trains a rung before it asks for
    the next one, the next one has no losers in it. A rung without such points is left
    out. Without halving, there is one rung of all points, with 0 epochs.
    """
    for epochs in list_rungs(sweep.definition) or [0]:
        found = make_table(sweep)
        going = found[found["status"] != Status.ELIMINATED]
        rung = going[going["epochs"] == epochs] if epochs else going
        if len(rung):
            yield epochs, rung


def describe_rung(epochs: int, rung: pd.DataFrame, left: int) -> str:
    """Say how many points of a rung are done and left; epochs is 0 without halving."""
    points = count_of(len(rung), "point")
    where = f"rung of {count_of(epochs, 'epoch')}, {points}" if epochs else points
    done = sum(rung["status"] == Status.DONE)
    failed = len(rung) - done - left
    more = f", {failed:,} failed or diverged before" if failed else ""
    return f"{where}: {done:,} done, {left:,} to run{more}"


class Progress:
    """Log each point as soon as its training ends, and how long its rung still takes.

    with_report: whether the sweep ends with a report.
    """

    def __init__(self, sweep: Sweep, with_report: bool) -> None:
        self.definition, self.with_report = sweep.definition, with_report
        self.names = [*find_varied(make_table(sweep)), "seed"]
        self.total = 0  # of all rungs
        self.has_note = False  # whether the note of a record has been logged

    def begin(self, epochs: int, rung: pd.DataFrame, left: int) -> None:
        """Begin a rung, of which so many points are left to train."""
        log.info(describe_rung(epochs, rung, left))
        self.left, self.count, self.first_at = left, 0, 0.0
        self.next = "the next rung"
        if not epochs or epochs == list_rungs(self.definition)[-1]:
            seeds = rung["configuration"].value_counts().max()
            self.next = f"evaluation of {count_of(seeds, 'point')}"
            self.next += ", report" if self.with_report else ""

    def log_point(self, point: Point, record: RunRecord) -> None:
        self.total += 1
        self.count += 1
        if record.note and not self.has_note:
            log.warning(record.note)
            self.has_note = True
        result = describe(point.parameters.model_dump(include={*self.names}))
        metric = self.definition.select
        if record.metrics:
            value = round_metric(getattr(record.metrics, metric))
            result = f"{metric} {value}, {result}"
        when = f"[{self.count}/{self.left}] {datetime.now():%H:%M:%S}"
        left = self._describe_time_left()
        log.info(f"{when} {point.id} {point.status}: {result}{left}")

    def _describe_time_left(self) -> str:
        """Return how long the rung still takes, from its third point on.

        The rate is that of the points after the first, which also loads all code.
        """
        now = time.monotonic()
        self.first_at = self.first_at or now
        if self.count < 3 or self.count == self.left:
            return ""
        rate = (now - self.first_at) / (self.count - 1)
        seconds = rate * (self.left - self.count)
        return f" | about {format_duration(seconds)}, then: {self.next}"
