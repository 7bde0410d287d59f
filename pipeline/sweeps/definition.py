"""Define a sweep: its YAML file, its points, their configurations, and how these are ranked.

A configuration is all points that differ in their seed alone. Configurations are compared by the
mean over their seeds, since a single seed can be lucky.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import fmean

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline import parameters, records
from pipeline.errors import InvalidParameter
from pipeline.parameters import Parameters
from pipeline.published import round_metric
from pipeline.records import Metric, RunRecord, Status, SweepDefinition, SweepRecord
from pipeline.run_folder import RunFolder

DataKey = tuple[str, int, int]  # source, num_samples, num_validation

MAX_POINTS = 10_000
FILES = ("sweep.json", "results.csv", "sweep.ipynb", "report.html")


class SweepFolder:
    """The folder of a sweep, which holds a folder for each of its points."""

    def __init__(self, path: Path | str) -> None:
        self.path = parameters.ROOT / path
        self.record, self.results, self.notebook, self.report = map(self.path.joinpath, FILES)

    def read_record(self) -> SweepRecord:
        next_step = "Run the sweep: python -m pipeline sweep FILE.yaml"
        return records.read_record(self.record, SweepRecord, next_step)

    def point(self, identity: str) -> RunFolder:
        return RunFolder(self.path / identity)


@dataclass(eq=False)
class Point:
    """One point of a sweep, with its record if it has been run."""

    parameters: Parameters
    folder: RunFolder
    record: RunRecord | None = None

    @property
    def id(self) -> str:
        return self.folder.path.name

    @property
    def data_key(self) -> DataKey:
        """Return the parameters that its images depend on."""
        return self.parameters.source, self.parameters.num_samples, self.parameters.num_validation

    @property
    def status(self) -> Status | None:
        return self.record.status if self.record else None

    @property
    def is_done(self) -> bool:
        return self.status == Status.DONE


def read_definition(path: Path) -> SweepDefinition:
    """Read a sweep's file. Raises InvalidParameter with what is wrong and what is allowed."""
    try:
        return SweepDefinition.model_validate(YAML(typ="safe", pure=True).load(path))
    except ValidationError as error:
        reason = "\n".join(
            f"{'.'.join(map(str, each['loc'])) or 'the file'}: {each['msg']}, not {each['input']!r}"
            for each in error.errors()
        )
    except (OSError, YAMLError, ValueError) as error:
        reason = str(error).split("\nTo suppress")[0]  # ruamel.yaml's advice to programmers
    advice = "A sweep has a name, and may have base, grid, points and select."
    raise InvalidParameter(f"{path} is no sweep: {reason}\n{advice}")


def make_points(sweep: SweepDefinition, folder: SweepFolder) -> list[Point]:
    """Make all points, each once: the base with the grid crossed, and with each of `points`.

    They are counted before any is made. Raises InvalidParameter.
    """
    has_grid = bool(sweep.grid) or not sweep.points  # without both, the base is the one point
    count = has_grid * math.prod(map(len, sweep.grid.values())) + len(sweep.points)
    if count > MAX_POINTS:
        message = f"The sweep has {count:,} points, but may have {MAX_POINTS:,} at most."
        raise InvalidParameter(f"{message} Make several sweeps of them.")
    crossed = product(*sweep.grid.values()) if has_grid else ()
    grid = [dict(zip(sweep.grid, values, strict=True)) for values in crossed]
    points: dict[str, Point] = {}
    for values in [*grid, *sweep.points]:
        chosen = parameters.from_values(sweep.base | values)
        parameters.check_source(chosen.source)
        if sweep.select.startswith("validation") and chosen.num_validation == 0:
            problem = f"select is {sweep.select}, but num_validation is 0"
            raise InvalidParameter(f"{problem}. Select a training metric, or raise it.")
        identity = parameters.make_id(dict(chosen))
        points[identity] = Point(chosen, folder.point(identity))
    return list(points.values())


def read_points(folder: SweepFolder) -> list[Point]:
    """Return the points of a sweep that has begun, with their records. Raises InvalidRecord."""
    ids = folder.read_record().ids
    points = [Point(parameters.from_values(ids[each]), folder.point(each)) for each in ids]
    for point in points:
        point.record = point.folder.find_record()
    return points


class Configuration:
    """Points that differ in their seed alone, ranked by a metric."""

    def __init__(self, points: Sequence[Point], metric: Metric) -> None:
        self.points = points
        self.metric = metric
        self.parameters = points[0].parameters.model_dump(exclude={"seed"})

    @property
    def finished(self) -> list[Point]:
        return [point for point in self.points if point.is_done]

    def find_values(self, name: str) -> list[float]:
        """Return a metric of each finished point."""
        values = [getattr(point.record.metrics, name) for point in self.finished if point.record]
        return [value for value in values if value is not None]

    def compute_mean(self, name: str) -> float:
        """Return the mean of a metric over the finished points."""
        return fmean(self.find_values(name) or [math.nan])

    @property
    def mean(self) -> float:
        """Return the mean of the metric that configurations are ranked by."""
        return self.compute_mean(self.metric)

    @property
    def sort_key(self) -> list[float]:
        """Return what configurations are sorted by, the best first.

        Complete ones come first: the mean of those seeds that went well would flatter. Equal means
        are ranked by the other metric of the same images.
        """
        if not self.finished:
            return [math.inf]
        split, measure = self.metric.split("_")
        means = [-self.compute_mean(f"{split}_accuracy"), self.compute_mean(f"{split}_error")]
        if measure == "error":
            means.reverse()
        # Sums of the same numbers in another order differ in their last digits.
        return [len(self.finished) < len(self.points), *(round(mean, 12) for mean in means)]

    def describe(self, names: Iterable[str]) -> str:
        """Return these of its parameters as words."""
        values = {name: self.parameters[name] for name in names}
        return parameters.describe(values) or "the only configuration"

    def describe_seeds(self) -> str:
        """Return ", mean of 3 seeds", ", 2 of 3 seeds", or "" for a single seed."""
        done, total = len(self.finished), len(self.points)
        if done < total:
            return f", {done} of {total} seeds"
        return f", mean of {done} seeds" if done > 1 else ""

    def describe_best(self, names: Iterable[str]) -> str:
        """Return how good it is, over how many seeds, and its parameters."""
        best = f"{self.metric} {round_metric(self.mean)}{self.describe_seeds()}"
        return f"{best}: {self.describe(names)}"


def group(points: Iterable[Point], metric: Metric) -> list[Configuration]:
    """Return the configurations of the points, in their order."""
    groups: dict[str, list[Point]] = {}
    for point in points:
        groups.setdefault(point.parameters.model_dump_json(exclude={"seed"}), []).append(point)
    return [Configuration(points, metric) for points in groups.values()]


def rank(points: Iterable[Point], metric: Metric) -> list[Configuration]:
    """Return the configurations of the points, the best first."""
    return sorted(group(points, metric), key=lambda each: each.sort_key)


def find_best(configurations: Sequence[Configuration]) -> Configuration | None:
    """Return the first configuration, if any of its points has finished."""
    return configurations[0] if configurations[0].finished else None


def find_varied(points: Iterable[Point]) -> list[str]:
    """Return the parameters, other than the seed, that differ among the points."""
    values = [point.parameters.model_dump(exclude={"seed"}) for point in points]
    return [name for name in values[0] if len({each[name] for each in values}) > 1]
