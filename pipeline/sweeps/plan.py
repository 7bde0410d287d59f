"""Plan a sweep: find the points to train, and estimate their time and disk space."""

import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.network.published import format_duration
from pipeline.records import Inputs, Status, SweepDefinition
from pipeline.sweeps.points import UNFINISHED, Point
from pipeline.sweeps.ranking import mark_eliminated

# The seconds that a point takes on one core of 2.5 GHz: to start it, for each epoch,
# for each image, and for each hidden unit of each image. A training image is trained on
# and then measured after the epoch, while a validation image is only measured.
BEGIN_S, EPOCH_S = 0.25, 1e-3
TRAIN_S, TRAIN_UNIT_S = 4e-7, 1.0e-7
MEASURE_S, MEASURE_UNIT_S = 1.3e-6, 4.6e-8
# The bytes of model.npz for each hidden unit, and those of a point's other files.
BYTES_PER_UNIT, BYTES_PER_POINT = 8 * (784 + 10), 40_000

log = logging.getLogger(__name__)


def count_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def find_jobs(
    points: Sequence[Point], inputs: Mapping[str, Inputs], retry_failed: bool
) -> list[Point]:
    """Read the records of all points, and return those to train, the new ones first.

    inputs: from a source to what a training with it depends on now.
    retry_failed: whether to train failed points, too.

    With halving, points of all rungs are returned. The log gets the reasons why points
    are trained again.
    """
    jobs: list[Point] = []
    again: list[Point] = []
    reasons = Counter[str]()
    # A process that died may have been killed, and succeeds the next time.
    again_if = (*UNFINISHED, Status.DIED)
    for point in points:
        point.load(inputs[point.parameters.source])
        if point.is_done and point.record:
            point.changes = point.folder.describe_altered(point.record)
        if point.changes:
            reasons[point.changes[0]] += 1
            again.append(point)
        elif point.status in again_if or (retry_failed and point.has_failed):
            point.record = None  # an old result does not count
            jobs.append(point)
    for reason, count in reasons.items():
        which = "1 point is" if count == 1 else f"{count} points are"
        log.info(f"{which} outdated and trained again, because of {reason}")
    return jobs + again


@dataclass(frozen=True)
class Plan:
    """How many points of a sweep are done and left, and the cost of the rest.

    seconds: the time of the points that are left, on one core.
    bytes: the room that they need on the disk.
    rungs: the number of candidates and the epochs of each rung, in a search by halving.
    """

    points: int
    done: int
    left: int
    failed: int
    seconds: float
    bytes: int
    rungs: list[tuple[int, int]]

    def describe(self, cores: int) -> list[str]:
        """Return the plan as lines of text."""
        lines = []
        if self.rungs:
            stages = ", ".join(
                f"{count} candidate{'s' if count > 1 else ''} at {epochs} epochs"
                for count, epochs in self.rungs
            )
            trained = sum(count * epochs for count, epochs in self.rungs)
            most = self.rungs[0][0] * self.rungs[-1][1]
            share = f"{trained / most:.0%} of the epochs of all at {self.rungs[-1][1]}"
            lines.append(f"{len(self.rungs)} rungs: {stages}; {share}")
        points = "1 point" if self.points == 1 else f"{self.points} points"
        parts = [f"{points}: {self.done} done", f"{self.left} to run"]
        if self.failed:
            parts.append(f"{self.failed} failed before")
        if self.left:
            used = max(min(cores, self.left), 1)
            where = f"on {used} cores" if used > 1 else "on one core"
            parts.append(f"about {format_duration(self.seconds / used)} {where}")
            parts.append(f"{self.bytes / 1e6:,.0f} MB of disk")
        return [*lines, ", ".join(parts)]


def make_plan(
    points: Sequence[Point], jobs: Sequence[Point], sweep: SweepDefinition
) -> Plan:
    """Count the points of a sweep that are done and left, and estimate the costs.

    jobs: the points that may be trained, see `find_jobs`.
    """
    rungs = forecast_rungs(points, sweep)
    waiting = set(jobs)
    planned = [point for rung in rungs for point in rung]
    left = [point for point in planned if point in waiting]
    done = [point for point in planned if point.is_done]
    seconds = sum(map(estimate_seconds, left))
    if done:  # the time that these took tells how fast this machine is
        spent = sum(point.record.duration_s or 0 for point in done if point.record)
        seconds *= spent / sum(map(estimate_seconds, done))
    units = sum(point.parameters.hidden_size for point in left)
    sizes = [len({point.candidate for point in rung}) for rung in rungs]
    return Plan(
        points=len(planned),
        done=len(done),
        left=len(left),
        failed=sum(point.has_failed for point in planned),
        seconds=seconds,
        bytes=BYTES_PER_UNIT * units + BYTES_PER_POINT * len(left),
        rungs=[(size, rung[0].rung) for size, rung in zip(sizes, rungs, strict=True)]
        if sweep.halving
        else [],
    )


def forecast_rungs(
    points: Sequence[Point], sweep: SweepDefinition
) -> list[list[Point]]:
    """Return the points of each rung that go on, with a guess for later rungs.

    Which candidates go on to a later rung is known only when the rung before is
    finished. Until then we guess: first those that were already trained in the later
    rung, then the others in their order.
    """
    rungs = mark_eliminated(points, sweep)
    known = {point.rung for rung in rungs for point in rung}
    for epochs in sorted({point.rung for point in points} - known):
        before = len({point.candidate for point in rungs[-1]})
        factor = sweep.halving.factor if sweep.halving else 1
        count = max(before // factor, 1)
        rungs.append(guess_rung([p for p in points if p.rung == epochs], count))
    return rungs


def guess_rung(points: Sequence[Point], count: int) -> list[Point]:
    """Return the points of the first `count` candidates, trained ones first."""
    trained_first = sorted(points, key=lambda point: not point.is_done)
    candidates = list(dict.fromkeys(point.candidate for point in trained_first))
    return [point for point in points if point.candidate in candidates[:count]]


def estimate_seconds(point: Point) -> float:
    """Estimate how many seconds a point takes on one core."""
    parameters = point.parameters
    units = parameters.hidden_size
    trained = parameters.num_samples
    measured = parameters.num_samples + parameters.num_validation
    training = trained * (TRAIN_S + TRAIN_UNIT_S * units)
    measuring = measured * (MEASURE_S + MEASURE_UNIT_S * units)
    return BEGIN_S + parameters.epochs * (EPOCH_S + training + measuring)
