"""Define a sweep: its YAML file, its folder and its points.

A configuration consists of all points that differ in their seed alone. A search by
halving has rungs. All points of all rungs are known from the start, so a rung needs no
record of its own: its points are stored like all others.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline import parameters, paths, records
from pipeline.errors import InvalidFile, InvalidInput
from pipeline.parameters import Parameters
from pipeline.records import (
    Inputs,
    Metrics,
    RunRecord,
    Status,
    SweepDefinition,
    SweepRecord,
)
from pipeline.results import provenance
from pipeline.results.run_folder import RunFolder
from pipeline.results.stages import HELPERS
from pipeline.sweeps.search import draw_candidates, list_rungs

MAX_POINTS = 10_000
RANGE = "such as {min: 0, max: 1} or {values: [1, 2]}"
UNFINISHED = (None, Status.RUNNING, Status.INTERRUPTED, Status.OUTDATED)


class ImagesKey(NamedTuple):
    """What the images of a point depend on: points that share it have the same ones."""

    source: str
    num_samples: int
    num_validation: int


class SweepFolder:
    """The folder of a sweep, which holds a folder for each of its points."""

    def __init__(self, path: Path | str) -> None:
        self.path = paths.BASE / path
        self.record_path = self.path / "sweep.json"
        self.results_path = self.path / "results.csv"
        self.notebook_path = self.path / "sweep.ipynb"
        self.helpers_path = self.path / HELPERS
        self.report_path = self.path / "report.html"

    def read_record(self) -> SweepRecord:
        next_step = "Run the sweep: python -m pipeline sweep FILE.yaml"
        record = records.read_record(self.record_path, SweepRecord, next_step)
        if not record.inputs:
            problem = "is of version 2, which did not record the code of its points"
            raise InvalidFile(self.record_path, problem, next_step)
        return record

    def point(self, identity: str) -> RunFolder:
        return RunFolder(self.path / identity)


@dataclass(eq=False)
class Point:
    """One point of a sweep, with its record if it has been run.

    rung: its epochs in a search by halving, else 0.
    is_candidate: whether it belongs to a search, where a training that diverges is a
        result.
    is_eliminated: whether its candidate lost in an earlier rung.
    changes: what has changed in its inputs since it was trained.
    """

    parameters: Parameters
    folder: RunFolder
    record: RunRecord | None = None
    rung: int = 0
    is_candidate: bool = False
    is_eliminated: bool = False
    changes: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.folder.path.name

    @property
    def images(self) -> ImagesKey:
        return ImagesKey(
            self.parameters.source,
            self.parameters.num_samples,
            self.parameters.num_validation,
        )

    @property
    def candidate(self) -> str:
        """Return the parameters that identify the point's candidate in all rungs."""
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
        """Return whether the point ended without a result.

        If the training of a candidate diverges, that counts as a result.
        """
        results = [*UNFINISHED, Status.DONE, Status.ELIMINATED]
        if self.is_candidate:
            results.append(Status.DIVERGED)
        return self.status not in results

    def find_metrics(self) -> Metrics | None:
        """Return the point's metrics on the test images, or None if it has none.

        Those of an earlier training do not count.
        """
        if not (self.is_done and self.record and self.folder.metrics_path.exists()):
            return None
        metrics, trained = self.folder.read_metrics(), self.record.metrics
        is_own = trained and metrics.weights_sha256 == trained.weights_sha256
        return metrics if is_own else None

    def load(self, inputs: Inputs) -> None:
        """Read the point's record, and find how its inputs differ from these."""
        self.record, self.changes = self.folder.find_record(), []
        if self.record:
            now = RunRecord(parameters=dict(self.parameters), inputs=inputs)
            self.changes = provenance.compare_records(self.record, now)

    def record_result(self, record: RunRecord) -> None:
        """Store the record of the point's training, here and in its folder."""
        self.record, self.changes = record, []
        self.folder.write_record(record)


def read_definition(source: Path | Mapping[str, Any]) -> SweepDefinition:
    """Read the definition of a sweep from its file, or from a mapping.

    Raises InvalidInput, which says what is wrong and what is allowed.
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
        # What follows in a message of ruamel.yaml is advice to programmers.
        reason = str(error).split("\nTo suppress")[0]
    reason = reason.replace("a valid dictionary or instance of Distribution", RANGE)
    names = "names with values, such as name: trial"
    reason = reason.replace("a valid dictionary or instance of SweepDefinition", names)
    *entries, last = list(SweepDefinition.model_fields)[1:]
    advice = f"A sweep has a name, and may have {', '.join(entries)} and {last}."
    raise InvalidInput(
        f"{source if is_path else 'This'} is no sweep: {reason}\n{advice}"
    )


def make_points(sweep: SweepDefinition, folder: SweepFolder) -> list[Point]:
    """Make all points of a sweep, rung by rung, and each only once.

    Raises InvalidInput if there are too many, or if a value or a source cannot be used.
    """
    rungs = list_rungs(sweep)
    both = [name for name in sweep.grid if name in sweep.drawn]
    if both:
        raise InvalidInput(
            f"{both[0]} is in grid and in random. Leave it in one of them."
        )
    if sweep.seeds and "seed" in {*sweep.grid, *sweep.drawn}:
        raise InvalidInput("seed is in grid or random, and in seeds. Leave it in one.")
    seeds = [{"seed": seed} for seed in sweep.seeds] or [{}]
    # Counted before any is made, because a few lines of YAML can mean more points than
    # fit into memory.
    count = count_combinations(sweep) * len(seeds) * len(rungs)
    if count > MAX_POINTS:
        problem = f"The sweep has {count:,} points, but may have {MAX_POINTS:,} at most"
        raise InvalidInput(f"{problem}. Make several sweeps of them.")
    points: dict[str, Point] = {}
    for rung, values, seed in product(rungs, list_combinations(sweep), seeds):
        point = make_point(sweep.base | seed | values | rung, folder, sweep)
        check_point(point, sweep)
        points[point.id] = point
    return list(points.values())


def uses_grid(sweep: SweepDefinition) -> bool:
    """Return whether the grid gives points, be it only the base if it is empty.

    It gives none only if it is empty and all points come from `points`.
    """
    return bool(sweep.grid or sweep.drawn) or not sweep.points


def count_combinations(sweep: SweepDefinition) -> int:
    """Return how many combinations of values `list_combinations` would return."""
    if not uses_grid(sweep):
        return len(sweep.points)
    candidates = sweep.random.n_candidates if sweep.random else 1
    return candidates * math.prod(map(len, sweep.grid.values())) + len(sweep.points)


def list_combinations(sweep: SweepDefinition) -> list[dict[str, Any]]:
    """Return the values of the points, apart from their seed and their rung.

    Each candidate of a search is combined with each point of the grid. The entries of
    `points` follow as they are.
    """
    if not uses_grid(sweep):
        return sweep.points
    crossed = product(*sweep.grid.values())
    grid = [dict(zip(sweep.grid, values, strict=True)) for values in crossed]
    candidates = draw_candidates(sweep.random)
    return [*(drawn | values for drawn in candidates for values in grid), *sweep.points]


def check_point(point: Point, sweep: SweepDefinition) -> None:
    """Raise InvalidInput if a point has no source, or not the metric to select by."""
    parameters.check_source(point.parameters.source)
    needs_validation = sweep.select.startswith("validation")
    if needs_validation and point.parameters.num_validation == 0:
        problem = f"select is {sweep.select}, but num_validation is 0"
        raise InvalidInput(f"{problem}. Select a training metric, or raise it.")


def make_point(
    values: Mapping[str, object], folder: SweepFolder, sweep: SweepDefinition
) -> Point:
    checked = parameters.from_values(values)
    return Point(
        checked,
        folder.point(parameters.make_id(dict(checked))),
        rung=checked.epochs if sweep.halving else 0,
        is_candidate=bool(sweep.random or sweep.halving),
    )


def find_varied(points: Iterable[Point]) -> list[str]:
    """Return the parameters, other than the seed, that differ among the points."""
    values = [point.parameters.model_dump(exclude={"seed"}) for point in points]
    return [name for name in values[0] if len({each[name] for each in values}) > 1]
