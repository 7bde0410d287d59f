"""Rank the configurations of a sweep: the one ranking that progress, index and report use.

A configuration is all points that differ in their seed alone. Configurations are compared by the mean over their
seeds, since a single seed can be lucky.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from operator import attrgetter
from statistics import fmean

from pydantic import JsonValue

from pipeline import parameters
from pipeline.records import Metric, RunRecord, Status, Trained
from pipeline.statistics import rounded


@dataclass(frozen=True)
class PointResult:
    """What is known of a point: no record where it has not been run."""

    id: str
    parameters: Mapping[str, JsonValue]
    record: RunRecord | None = None

    @property
    def metrics(self) -> Trained | None:
        """Return the metrics of a point that has finished."""
        return self.record.metrics if self.record else None

    @property
    def status(self) -> str:
        return self.record.status if self.record else "not run"

    @property
    def is_done(self) -> bool:
        return self.status == Status.DONE


class Configuration:
    """Points that differ in their seed alone, and the metric of those that have finished."""

    def __init__(self, points: Sequence[PointResult], metric: Metric) -> None:
        self.points, self.metric = points, metric
        split, measure = metric.split("_")
        other = f"{split}_{'error' if measure == 'accuracy' else 'accuracy'}"  # decides where means are equal
        self.finished = [point for point in points if getattr(point.metrics, metric, None) is not None]
        self.values = self.values_of(metric)
        self.mean = self.mean_of(metric)
        self.is_complete = len(self.finished) == len(points)
        names = (metric, other) if self.finished else ()
        means = [self.mean_of(name) * (-1 if name.endswith("accuracy") else 1) for name in names]
        # What configurations are sorted by, the best first. Sums differ by their order, in their last digits.
        self.sort_key = not self.is_complete, not self.finished, [round(mean, 12) for mean in means]

    def values_of(self, name: str) -> list[float]:
        """Return any metric of the finished points."""
        return [getattr(point.metrics, name) for point in self.finished]

    def mean_of(self, name: str) -> float:
        """Return the mean over the finished points, which is what configurations are compared by."""
        values = self.values_of(name)
        try:
            return fmean(values) if values else nan
        except OverflowError:  # the sum of huge errors is infinite, their mean is not
            return fmean(value / 2**20 for value in values) * 2**20

    @property
    def parameters(self) -> dict[str, JsonValue]:
        """Return what the points have in common."""
        return {name: value for name, value in (self.finished or self.points)[0].parameters.items() if name != "seed"}

    def describe(self, names: Iterable[str]) -> str:
        """Name the configuration by those of its parameters that the sweep varies."""
        chosen = {name: self.parameters[name] for name in names if name in self.parameters}
        return parameters.described(chosen) or "the only configuration"

    def describe_seeds(self) -> str:
        """Say over how many seeds the mean is, if not over one of one."""
        done, total = len(self.finished), len(self.points)
        return f", {done} of {total} seeds" if done < total else f", mean of {done} seeds" if done > 1 else ""

    def describe_best(self, names: Iterable[str]) -> str:
        """Say how good the configuration is, over how many seeds."""
        return f"{self.metric} {rounded(self.mean)}{self.describe_seeds()}: {self.describe(names)}"


def rank(configurations: Iterable[Sequence[PointResult]], metric: Metric) -> list[Configuration]:
    """Sort configurations, the best first, by the mean of the metric over their points.

    One of which a point has not finished comes after all that are complete: the mean of those that went well would
    flatter it. One of which none has finished comes last.
    """
    return sorted((Configuration(points, metric) for points in configurations if points), key=attrgetter("sort_key"))


def best(ranked: Sequence[Configuration]) -> Configuration | None:
    """Return the first configuration, if any of its points has finished."""
    return ranked[0] if ranked and ranked[0].finished else None


def varied_names(results: Iterable[PointResult]) -> list[str]:
    """Return the parameters, other than the seed, that differ among the points."""
    listed = [result.parameters for result in results]
    return [name for name in parameters.NAMES if name != "seed" and len({values.get(name) for values in listed}) > 1]


def remark(names: Iterable[str], metric: Metric) -> str:
    """Say that configurations are measured on different images, if these parameters vary; "" if not."""
    other = [name for name in ("source", "num_samples", "num_validation") if name in names]
    if not other or (other == ["num_validation"] and metric.startswith("train")):
        return ""
    varied = f"{' and '.join(other)} var{'ies' if len(other) == 1 else 'y'}"
    return f"The configurations are measured on different images, as {varied}. The best may be best for that reason."
