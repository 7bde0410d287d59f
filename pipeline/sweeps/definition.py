"""Define a sweep: its YAML file, its points, their configurations, and how these are ranked.

A configuration is all points that differ in their seed alone. Configurations are compared by the
mean over their seeds, since a single seed can be lucky.

A search by halving has rungs. Each candidate is a configuration in the first rung; the best of a
rung are configurations with more epochs in the next one. All points of all rungs are known from
the start, so a rung is nothing but more points.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby, product
from pathlib import Path
from statistics import fmean, multimode
from typing import Any

import numpy as np
from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline import parameters, provenance, records
from pipeline.errors import InvalidParameter, InvalidRecord
from pipeline.parameters import Parameters
from pipeline.published import round_metric
from pipeline.records import (
    Distribution,
    Inputs,
    Metric,
    Metrics,
    RandomSearch,
    RunRecord,
    Status,
    SweepDefinition,
    SweepRecord,
)
from pipeline.run_folder import RunFolder

DataKey = tuple[str, int, int]  # source, num_samples, num_validation

MAX_POINTS = 10_000
RANGE = "such as {min: 0, max: 1} or {values: [1, 2]}"
WHOLE = {
    name for name, field in Parameters.model_fields.items() if field.annotation is int
}
MAX_DRAWS = 100  # for each candidate, since none is taken twice
UNFINISHED = (None, Status.RUNNING, Status.INTERRUPTED, Status.OUTDATED)
FILES = ("sweep.json", "results.csv", "sweep.ipynb", "report.html")


class SweepFolder:
    """The folder of a sweep, which holds a folder for each of its points."""

    def __init__(self, path: Path | str) -> None:
        self.path = parameters.BASE / path
        self.record, self.results, self.notebook, self.report = map(
            self.path.joinpath, FILES
        )

    def read_record(self) -> SweepRecord:
        next_step = "Run the sweep: python -m pipeline sweep FILE.yaml"
        record = records.read_record(self.record, SweepRecord, next_step)
        if not record.inputs:
            problem = "is of version 2, which did not record the code of its points"
            raise InvalidRecord(self.record, problem, next_step)
        return record

    def point(self, identity: str) -> RunFolder:
        return RunFolder(self.path / identity)


@dataclass(eq=False)
class Point:
    """One point of a sweep, with its record if it has been run."""

    parameters: Parameters
    folder: RunFolder
    record: RunRecord | None = None
    rung: int = 0  # its epochs, in a search by halving
    is_candidate: bool = False  # of a search, where it may diverge
    is_eliminated: bool = False
    changes: list[str] = field(default_factory=list)  # in its inputs since

    @property
    def id(self) -> str:
        return self.folder.path.name

    @property
    def data_key(self) -> DataKey:
        """Return the parameters that its images depend on."""
        return (
            self.parameters.source,
            self.parameters.num_samples,
            self.parameters.num_validation,
        )

    @property
    def candidate(self) -> str:
        """Return what it shares with the points of its candidate, in all rungs."""
        return self.parameters.model_dump_json(exclude={"seed", "epochs"})

    @property
    def status(self) -> Status | None:
        if self.is_eliminated:
            return Status.ELIMINATED
        if self.changes:
            return Status.OUTDATED
        return self.record.status if self.record else None

    @property
    def is_done(self) -> bool:
        return self.status == Status.DONE

    @property
    def has_failed(self) -> bool:
        """Return whether it ended without a result; of a candidate, inf is one."""
        results = [*UNFINISHED, Status.DONE, Status.ELIMINATED]
        if self.is_candidate:
            results.append(Status.DIVERGED)
        return self.status not in results

    def find_metrics(self) -> Metrics | None:
        """Return its metrics on the test images, if its network has met them."""
        if not (self.is_done and self.record and self.folder.metrics.exists()):
            return None
        metrics, trained = self.folder.read_metrics(), self.record.metrics
        is_own = trained and metrics.weights_sha256 == trained.weights_sha256
        return metrics if is_own else None

    def load(self, inputs: Inputs) -> None:
        """Read its record, and find what differs from what its sweep was started with."""
        self.record, self.changes = self.folder.find_record(), []
        if self.record:
            self.changes = provenance.compare_inputs(
                self.record, self.parameters, inputs
            )

    def record_result(self, record: RunRecord) -> None:
        """Take and write the record of what came of its training."""
        self.record, self.changes = record, []
        self.folder.write_record(record)


def read_definition(source: Path | Mapping[str, Any]) -> SweepDefinition:
    """Read a sweep's file, or the same as a mapping.

    Raises InvalidParameter with what is wrong and what is allowed.
    """
    is_path = isinstance(source, Path)
    try:
        content = YAML(typ="safe", pure=True).load(source) if is_path else source
        return SweepDefinition.model_validate(content)
    except ValidationError as error:
        reason = "\n".join(
            f"{'.'.join(map(str, each['loc'])) or 'the file'}: "
            f"{each['msg'].removeprefix('Value error, ')}, not {each['input']!r}"
            for each in error.errors()
        )
    except (OSError, YAMLError, ValueError) as error:
        reason = str(error).split("\nTo suppress")[
            0
        ]  # ruamel.yaml's advice to programmers
    reason = reason.replace("a valid dictionary or instance of Distribution", RANGE)
    *entries, last = list(SweepDefinition.model_fields)[1:]
    advice = f"A sweep has a name, and may have {', '.join(entries)} and {last}."
    raise InvalidParameter(
        f"{source if is_path else 'This'} is no sweep: {reason}\n{advice}"
    )


def make_points(sweep: SweepDefinition, folder: SweepFolder) -> list[Point]:
    """Make all points, each once, rung by rung: grid and candidates crossed, `points`, the seeds.

    They are counted before any is made. Raises InvalidParameter.
    """
    rungs = list_rungs(sweep)
    both = [name for name in sweep.grid if name in sweep.drawn]
    if both:
        raise InvalidParameter(
            f"{both[0]} is in grid and in random. Leave it in one of them."
        )
    has_grid = (
        bool(sweep.grid or sweep.drawn) or not sweep.points
    )  # without both, the base is a point
    candidates = sweep.random.n_candidates if sweep.random else 1
    count = has_grid * candidates * math.prod(map(len, sweep.grid.values())) + len(
        sweep.points
    )
    count *= max(len(sweep.seeds), 1) * len(rungs)
    if count > MAX_POINTS:
        message = (
            f"The sweep has {count:,} points, but may have {MAX_POINTS:,} at most."
        )
        raise InvalidParameter(f"{message} Make several sweeps of them.")
    crossed = list(product(*sweep.grid.values())) if has_grid else []
    grid = [dict(zip(sweep.grid, values, strict=True)) for values in crossed]
    chosen = [
        values | each for each in draw_candidates(sweep.random) for values in grid
    ]
    seeds = [{"seed": seed} for seed in sweep.seeds] or [{}]
    points: dict[str, Point] = {}
    for rung, values, seed in product(rungs, [*chosen, *sweep.points], seeds):
        point = make_point(sweep.base | seed | values | rung, folder, sweep)
        parameters.check_source(point.parameters.source)
        if (
            sweep.select.startswith("validation")
            and point.parameters.num_validation == 0
        ):
            problem = f"select is {sweep.select}, but num_validation is 0"
            raise InvalidParameter(f"{problem}. Select a training metric, or raise it.")
        points[point.id] = point
    return list(points.values())


def make_point(
    values: Mapping[str, object], folder: SweepFolder, sweep: SweepDefinition
) -> Point:
    chosen = parameters.from_values(values)
    return Point(
        chosen,
        folder.point(parameters.make_id(dict(chosen))),
        rung=chosen.epochs if sweep.halving else 0,
        is_candidate=bool(sweep.random or sweep.halving),
    )


def draw_candidates(search: RandomSearch | None) -> list[dict[str, Any]]:
    """Draw the candidates of a random search, one after the other and no one twice.

    Each takes one number a parameter from NumPy's RandomState, whose sequence is frozen, in the
    order of the file. So the first ones stay the same if more are drawn. Raises InvalidParameter.
    """
    if search is None:
        return [{}]
    rng = np.random.RandomState(search.random_state)
    candidates: dict[str, dict[str, Any]] = {}
    for _ in range(MAX_DRAWS * search.n_candidates):
        drawn = {
            name: draw(each, rng.random_sample(), name in WHOLE)
            for name, each in search.parameters.items()
        }
        candidates.setdefault(repr(drawn), drawn)
        if len(candidates) == search.n_candidates:
            return list(candidates.values())
    problem = f"n_candidates is {search.n_candidates}, but there are {len(candidates)} different"
    raise InvalidParameter(
        f"random: {problem} candidates. Lower it, or widen the ranges."
    )


def draw(distribution: Distribution, fraction: float, whole: bool) -> Any:
    """Return the value at this fraction, from 0 to below 1, of a distribution.

    Numbers have three significant digits, so no last bit of a power matters.
    """
    if distribution.values is not None:
        return distribution.values[int(fraction * len(distribution.values))]
    low, high = float(distribution.min or 0), float(distribution.max or 0)
    end = high + whole  # a whole number is what is left of its decimals
    if distribution.distribution == "log_uniform":
        value = low * (end / low) ** fraction
    else:
        value = low + fraction * (end - low)
    value = min(max(float(f"{value:.3g}"), low), high)
    return math.floor(value) if whole else value


def list_rungs(sweep: SweepDefinition) -> list[dict[str, int]]:
    """Return the epochs of each rung, the fewest first; [{}] without halving.

    Raises InvalidParameter if `epochs` stands elsewhere, too, or the first rung has too many.
    """
    if sweep.halving is None:
        return [{}]
    if "epochs" in {*sweep.grid, *sweep.drawn, *chain(*sweep.points)}:
        problem = "epochs is in grid, points or random, but halving sets it"
        raise InvalidParameter(f"{problem}. Put the largest number into base.")
    least, most = sweep.halving.min_resources, parameters.from_values(sweep.base).epochs
    if least > most:
        problem = f"min_resources is {least}, but base has {most} epochs"
        raise InvalidParameter(f"halving: {problem}. Lower it, or raise epochs.")
    count = int(math.log(most / least, sweep.halving.factor) + 1e-9) + 1
    return [{"epochs": least * sweep.halving.factor**rung} for rung in range(count)]


def climb(points: Sequence[Point], sweep: SweepDefinition) -> Iterator[list[Point]]:
    """Yield the points of each rung that go on, and mark those that do not as eliminated.

    points: in the order of their rungs. It ends at a rung of which a point is left to train, so who
    asks for the next rung has to train this one before. Without halving there is one rung.
    """
    candidates = {point.candidate for point in points}
    for _, rung in groupby(points, key=lambda point: point.rung):
        going = []
        for point in rung:
            point.is_eliminated = point.candidate not in candidates
            if not point.is_eliminated:
                going.append(point)
        yield going
        if sweep.halving is None or any(point.status in UNFINISHED for point in going):
            return
        ranked = rank(going, sweep.select)
        best = ranked[: max(len(ranked) // sweep.halving.factor, 1)]
        candidates = {each.points[0].candidate for each in best}


def read_points(folder: SweepFolder) -> list[Point]:
    """Return the points of a sweep that has begun, with their records. Raises InvalidRecord."""
    sweep = folder.read_record()
    points = [make_point(values, folder, sweep) for values in sweep.ids.values()]
    for point in points:
        point.load(sweep.inputs[point.parameters.source])
    for _ in climb(points, sweep):
        pass
    return points


class Configuration:
    """Points that differ in their seed alone, ranked by a metric."""

    def __init__(self, points: Sequence[Point], metric: Metric, seeds: int) -> None:
        self.points = points
        self.metric = metric
        self.seeds = max(
            len(points), seeds
        )  # as many as most configurations have, at least
        self.parameters = points[0].parameters.model_dump(exclude={"seed"})

    @property
    def finished(self) -> list[Point]:
        return [point for point in self.points if point.is_done]

    def find_values(self, name: str) -> list[float]:
        """Return a metric of each finished point."""
        values = [
            getattr(point.record.metrics, name)
            for point in self.finished
            if point.record
        ]
        return [value for value in values if value is not None]

    def compute_mean(self, name: str) -> float:
        """Return the mean of a metric over the finished points."""
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
        """Return what configurations are sorted by, the best first.

        A later rung comes before an earlier one. In it, complete ones come first, then those with
        fewer seeds than most, then those of which a point has failed: the mean of what went well
        flatters. Equal means are ranked by the other metric of the same images.
        """
        if not self.finished:
            return [math.inf]
        split, measure = self.metric.split("_")
        means = [
            -self.compute_mean(f"{split}_accuracy"),
            self.compute_mean(f"{split}_error"),
        ]
        if measure == "error":
            means.reverse()
        missing = 2 if len(self.finished) < len(self.points) else not self.is_complete
        # Sums of the same numbers in another order differ in their last digits.
        return [-self.points[0].rung, missing, *(round(mean, 12) for mean in means)]

    def describe(self, names: Iterable[str]) -> str:
        """Return these of its parameters as words."""
        values = {name: self.parameters[name] for name in names}
        return parameters.describe(values) or "the only configuration"

    def describe_seeds(self) -> str:
        """Return ", mean of 3 seeds", ", 2 of 3 seeds", or "" for a single seed."""
        done = len(self.finished)
        if done < self.seeds:
            return f", {done} of {self.seeds} seeds"
        return f", mean of {done} seeds" if done > 1 else ""

    def describe_best(self, names: Iterable[str]) -> str:
        """Return how good it is, over how many seeds, and its parameters."""
        best = f"{self.metric} {round_metric(self.mean)}{self.describe_seeds()}"
        return f"{best}: {self.describe(names)}"


def group(points: Iterable[Point], metric: Metric) -> list[Configuration]:
    """Return the configurations of the points, in their order."""
    groups: dict[str, list[Point]] = {}
    for point in points:
        if not point.is_eliminated:
            groups.setdefault(
                point.parameters.model_dump_json(exclude={"seed"}), []
            ).append(point)
    seeds = max(multimode(map(len, groups.values())))
    return [Configuration(points, metric, seeds) for points in groups.values()]


def rank(points: Iterable[Point], metric: Metric) -> list[Configuration]:
    """Return the configurations of the points, the best first."""
    return sorted(group(points, metric), key=lambda each: each.sort_key)


@dataclass(frozen=True)
class Selection:
    """What a sweep selects, or who leads it as long as it has not ended.

    reason: why nothing is selected, or "" if something is.
    """

    configuration: Configuration | None
    reason: str = ""

    @property
    def selected(self) -> Configuration | None:
        return None if self.reason else self.configuration

    def describe(self, names: Iterable[str]) -> str:
        """Return the selected configuration as words, or what there is in its place."""
        if self.configuration is None:
            return self.reason
        who = self.configuration.describe(names)
        return f"{self.reason}: {who}" if self.reason else f"selected: {who}"


def select(points: Sequence[Point], metric: Metric) -> Selection:
    """Return the selection of a sweep: the best of its last rung, once all have ended."""
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
    """Return the folders of a sweep's selected points, or the one folder of anything else.

    Raises InvalidRecord if the sweep has not ended, or has nothing to select.
    """
    folder = SweepFolder(run_dir)
    if not folder.record.exists():
        return [run_dir]
    selection = select(read_points(folder), folder.read_record().select)
    if selection.selected is None:
        problem = f"has not ended with a selection: {selection.reason}"
        raise InvalidRecord(folder.path, problem, "Run the sweep again.")
    return [point.folder.place for point in selection.selected.finished]


def find_varied(points: Iterable[Point]) -> list[str]:
    """Return the parameters, other than the seed, that differ among the points."""
    values = [point.parameters.model_dump(exclude={"seed"}) for point in points]
    return [name for name in values[0] if len({each[name] for each in values}) > 1]
