"""Rank the configurations of a sweep, and select one.

Configurations are compared by their mean over the seeds, because a single seed can be
lucky. In a search by halving, the best of each rung go on to the next one.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean, multimode

from pipeline import parameters
from pipeline.errors import InvalidFile
from pipeline.network.published import round_metric
from pipeline.records import SelectionMetric, SweepDefinition
from pipeline.sweeps.points import (
    UNFINISHED,
    Point,
    SweepFolder,
    make_point,
)


def iterate_rungs(
    points: Sequence[Point], sweep: SweepDefinition
) -> Iterator[list[Point]]:
    """Yield the points of each rung whose candidates have not been eliminated before.

    points: in the order of their rungs.

    Which candidates go on depends on the results of a rung, so train it before you ask
    for the next one: after a rung that is not finished, the generator stops. Without
    halving there is a single rung.
    """
    candidates = {point.candidate for point in points}
    for _, rung in groupby(points, key=lambda point: point.rung):
        going = [point for point in rung if point.candidate in candidates]
        yield going
        if sweep.halving is None or any(point.status in UNFINISHED for point in going):
            return
        ranked = rank(going, sweep.select)
        best = ranked[: max(len(ranked) // sweep.halving.factor, 1)]
        candidates = {each.points[0].candidate for each in best}


def mark_eliminated(
    points: Sequence[Point], sweep: SweepDefinition
) -> list[list[Point]]:
    """Mark the points that are eliminated, and return the rungs that are known so far.

    A point of a known rung is eliminated if its candidate lost in an earlier one.
    """
    rungs = list(iterate_rungs(points, sweep))
    going = {point for rung in rungs for point in rung}
    known = {point.rung for point in going}
    for point in points:
        point.is_eliminated = point.rung in known and point not in going
    return rungs


def read_points(folder: SweepFolder) -> list[Point]:
    """Read the points of a sweep that has been started, with their records.

    Raises InvalidFile if sweep.json is missing or damaged.
    """
    sweep = folder.read_record()
    points = [make_point(values, folder, sweep) for values in sweep.ids.values()]
    for point in points:
        point.load(sweep.inputs[point.parameters.source])
    mark_eliminated(points, sweep)
    return points


class Configuration:
    """Points that differ in their seed alone, ranked by a metric.

    seeds: the usual number of seeds, which most configurations of the sweep have.
    """

    def __init__(
        self, points: Sequence[Point], metric: SelectionMetric, seeds: int
    ) -> None:
        self.points = points
        self.metric = metric
        self.seeds = max(len(points), seeds)
        self.parameters = points[0].parameters.model_dump(exclude={"seed"})

    @property
    def finished(self) -> list[Point]:
        return [point for point in self.points if point.is_done]

    def find_values(self, name: str) -> list[float]:
        """Return a metric of each finished point that has it."""
        values = [
            getattr(point.record.metrics, name)
            for point in self.finished
            if point.record
        ]
        return [value for value in values if value is not None]

    def compute_mean(self, name: str) -> float:
        """Return the mean of a metric over the finished points, nan without any."""
        return fmean(self.find_values(name) or [math.nan])

    @property
    def mean(self) -> float:
        """Return the mean of the metric that configurations are ranked by."""
        return self.compute_mean(self.metric)

    @property
    def is_complete(self) -> bool:
        return len(self.finished) >= self.seeds

    @property
    def sort_key(self) -> list[float]:
        """Return the key by which configurations are sorted, the best first.

        A later rung comes before an earlier one. Within a rung, configurations whose
        seeds have all finished come first, then those that have fewer seeds than most.
        Those with a point that has not finished come last, because the mean of the
        others flatters them. Then the mean decides, and between equal means the other
        metric of the same images.
        """
        if not self.finished:
            return [math.inf]
        split, _, measure = self.metric.partition("_")
        error, accuracy = f"{split}_error", f"{split}_accuracy"
        other = accuracy if measure == "error" else error
        # A small error is good, and so is a large value of any other metric.
        means = [
            self.compute_mean(name) if name == error else -self.compute_mean(name)
            for name in (self.metric, other)
        ]
        if len(self.finished) < len(self.points):
            tier = 2
        elif self.is_complete:
            tier = 0
        else:
            tier = 1
        # Rounded, because a sum in another order differs in its last digits.
        return [-self.points[0].rung, tier, *(round(mean, 12) for mean in means)]

    def describe(self, names: Iterable[str]) -> str:
        """Return the values of these parameters as words."""
        values = {name: self.parameters[name] for name in names}
        return parameters.describe(values) or "the only configuration"

    def describe_seeds(self) -> str:
        """Return ", mean of 3 seeds", ", 2 of 3 seeds", or "" for a single seed."""
        done = len(self.finished)
        if done < self.seeds:
            return f", {done} of {self.seeds} seeds"
        return f", mean of {done} seeds" if done > 1 else ""

    def describe_best(self, names: Iterable[str]) -> str:
        """Return its mean, the number of seeds and these parameters, as words."""
        best = f"{self.metric} {round_metric(self.mean)}{self.describe_seeds()}"
        return f"{best}: {self.describe(names)}"


def group(points: Iterable[Point], metric: SelectionMetric) -> list[Configuration]:
    """Group points into configurations, in the order of the points.

    Eliminated points are left out.
    """
    groups: dict[str, list[Point]] = {}
    for point in points:
        if not point.is_eliminated:
            groups.setdefault(
                point.parameters.model_dump_json(exclude={"seed"}), []
            ).append(point)
    seeds = max(multimode(map(len, groups.values())))
    return [Configuration(points, metric, seeds) for points in groups.values()]


def rank(points: Iterable[Point], metric: SelectionMetric) -> list[Configuration]:
    """Group points into configurations, and return these with the best first."""
    return sorted(group(points, metric), key=lambda each: each.sort_key)


@dataclass(frozen=True)
class Selection:
    """The configuration that a sweep selects, or that leads until it has ended.

    reason: why nothing is selected yet, or "" if the configuration is.
    """

    configuration: Configuration | None
    reason: str = ""

    @property
    def selected(self) -> Configuration | None:
        return None if self.reason else self.configuration

    def describe(self, names: Iterable[str]) -> str:
        """Return in words the selected configuration, or why there is none."""
        if self.configuration is None:
            return self.reason
        who = self.configuration.describe(names)
        return f"{self.reason}: {who}" if self.reason else f"selected: {who}"


def select(points: Sequence[Point], metric: SelectionMetric) -> Selection:
    """Select the best configuration of the last rung, once all points have ended."""
    best, *_ = rank(points, metric)
    going = [point for point in points if not point.is_eliminated]
    done = sum(point.is_done for point in going)
    if not best.finished:
        return Selection(None, "Nothing is selected: no point has finished")
    if any(point.status in UNFINISHED for point in going):
        return Selection(best, f"leads so far, of {done} of {len(going)} points")
    if best.points[0].rung != points[-1].rung:
        problem = (
            f"no candidate of the last rung, {points[-1].rung} epochs, has finished"
        )
        return Selection(None, f"Nothing is selected: {problem}")
    return Selection(best)


def find_selected(run_dir: str) -> list[str]:
    """Return the folders of a sweep's selected points, or the folder of a run itself.

    Raises InvalidFile if the sweep has not ended, or has nothing to select.
    """
    folder = SweepFolder(run_dir)
    if not folder.record_path.exists():
        return [run_dir]
    selection = select(read_points(folder), folder.read_record().select)
    if selection.selected is None:
        problem = f"has not ended with a selection: {selection.reason}"
        raise InvalidFile(folder.path, problem, "Run the sweep again.")
    return [point.folder.display_path for point in selection.selected.finished]
