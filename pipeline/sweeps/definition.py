"""Read the YAML file of a sweep and make points of it, every one checked before anything starts."""

import functools
import itertools
import math
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import AliasEvent

from pipeline import console, parameters, ranking, storage
from pipeline.errors import InvalidParameter, InvalidRecord, shown
from pipeline.parameters import Parameters
from pipeline.ranking import Configuration, PointResult
from pipeline.readers import read_bytes
from pipeline.records import Metric, SweepDefinition
from pipeline.run_folder import SweepFolder

DataKey = tuple[str, int, int]  # source, num_samples, num_validation

MAX_POINTS = 100_000  # points, beyond which a sweep is more likely a mistake
MOST_POINTS = 1_000_000  # which take some GB of memory
MAX_DEPTH = 10  # of lists and maps in its file
MAX_PROBLEMS = 15  # things that a message names
WRONG = {  # by pydantic's names, what is said of an entry
    "missing": "It is missing.",
    "model_type": "It must consist of entries, such as name: my-sweep.",
    "list_type": "It must be a list, such as [1, 2].",
    "dict_type": "It must be a map, such as {{epochs: 20}}.",
    "extra_forbidden": "There is no such entry.",
    "string_type": "It is {value}, but must be text; quote it, if it is.",
    "string_pattern_mismatch": "It is {value}, but may have letters, digits, - and _ only, and begins with a letter or "
    "digit.",
    "literal_error": "It is {value}, but must be {expected}.",
    "too_short": "It is empty, but must have one value at least.",
    "invalid_key": "It is {value}, but must be text; quote it.",
    "string_too_long": "It is {value}, but may have {max_length} characters at most.",
    "invalid-json-value": "It is {value}, but must be a number or text; quote it, if it is text.",
    "value_error": "It is {value}, but {error}.",
}
FORM = "A sweep's file has a name, and may have base, grid, points and select; see notebooks/sweeps/README.md."


class Point:
    """One point of a sweep: its parameters, its folder, and what is known of it.

    label: the parameters that the sweep varies, as words. Whoever runs the point replaces its result.
    """

    def __init__(self, chosen: Parameters, sweep: SweepFolder, varied: Iterable[str]) -> None:
        values = chosen.model_dump()
        self.parameters = chosen
        self.id = parameters.identity(values)
        self.folder = sweep.point(self.id)
        self.label = parameters.described({name: values[name] for name in varied}) or "the base"

    @functools.cached_property
    def result(self) -> PointResult:
        """Return what is known of it: as it is on disk when first asked, which is late, since another may run it."""
        values, record = self.parameters.model_dump(), self.folder.find_record()
        return PointResult(self.id, values, record if record and record.parameters == values else None)

    @property
    def data_key(self) -> DataKey:
        """Return the parameters that data.npz depends on."""
        return self.parameters.source, self.parameters.num_samples, self.parameters.num_validation


def read(path: Path) -> SweepDefinition:
    """Read a sweep's definition. Raises InvalidParameter with what is wrong and what is allowed."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer, yaml.max_depth = _Composer, MAX_DEPTH
    example = console.from_cwd(storage.NOTEBOOKS / "sweeps" / "small.yaml")
    text = read_bytes(path, "sweep file", f"Give the path of a sweep's file, such as {example}.")
    try:
        with warnings.catch_warnings(action="ignore"):  # of anchors, which mean nothing without aliases
            content = yaml.load(text.decode())
    except Exception as error:  # noqa: BLE001 - ruamel.yaml raises nearly anything at wrong numbers, dates and tags
        raise InvalidParameter(f"{shown(path)} cannot be read as a YAML file: {_plain(error)}") from None
    try:
        return SweepDefinition.model_validate(content)
    except ValidationError as error:
        lines = [f"{shown(path)}: {_explained(problem)}" for problem in error.errors()]
        raise InvalidParameter("\n".join([*lines[:MAX_PROBLEMS], FORM])) from None


class _Composer(Composer):
    """Refuse aliases, by which a short file may stand for a list that never ends."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.parser.check_event(AliasEvent):
            raise ValueError("it has an alias (*); write out what it stands for")
        return super().compose_node(parent, index)


def _plain(error: Exception) -> str:
    """Return what ruamel.yaml found wrong and where, without its names for files and its advice to programmers."""
    if not isinstance(error, MarkedYAMLError):
        known = isinstance(error, ValueError | RecursionError)
        return ("" if known else "a value does not fit its tag or escape: ") + str(error).split('\n  in "')[0][:1000]
    problem = str(error.problem).split(" with value")[0].split(", if necessary")[0]
    found = {str(error.context): error.context_mark, problem: error.problem_mark}
    places = [f"{text} (line {mark.line + 1}, column {mark.column + 1})" for text, mark in found.items() if mark]
    return ", ".join(places)[:1000]


def _checked(values: Mapping[str, object]) -> Parameters:
    """Return the parameters of a point. They are read as text, so that one check serves the command line and sweeps."""
    if "run_dir" in values:
        raise InvalidParameter("run_dir cannot be set in a sweep: each point has a folder of its own.")
    return parameters.from_strings({name: str(value) for name, value in values.items()})


def _problems(sweep: SweepDefinition) -> list[str]:
    """Return what is wrong with the parameters of a sweep, value by value, MAX_PROBLEMS lines at most."""
    varied = ((name, value) for name, values in sweep.varied().items() for value in values)
    lines = dict[str, None]()  # each once
    for name, text in dict.fromkeys((name, str(value)) for name, value in (*sweep.base.items(), *varied)):
        try:
            _checked({name: text})
        except InvalidParameter as error:
            lines[str(error)] = None
        if len(lines) == MAX_PROBLEMS:
            break
    return list(lines)


def _explained(problem: ErrorDetails) -> str:
    """Say where in a sweep's file an entry is wrong, and why."""
    where, kind, found = ".".join(map(str, problem["loc"])), problem["type"], problem["input"]
    try:
        value = shown(found if kind == "invalid-json-value" else repr(found))
    except ValueError:  # of Python, which writes no more than 4,300 digits
        value = "a number of thousands of digits"
    text = WRONG[kind].format(value=value, **problem.get("ctx", {})) if kind in WRONG else problem["msg"]
    if where == "points":
        text = "It must be a list of maps, such as [{epochs: 20}]."
    elif kind == "extra_forbidden" and (near := parameters.nearest(where, SweepDefinition.model_fields)):
        text += f" Did you mean {near[0]}?"
    elif kind == "literal_error" and value.startswith("'test"):
        text += " A test metric must not be used to choose: nothing would be left to judge the choice."
    return f"{where or 'the file'}: {text}"


def points_of(sweep: SweepDefinition, folder: SweepFolder, preface: str = "", most: float = MAX_POINTS) -> list[Point]:
    """Make all points, checked, each once: of the base with the grid crossed, and with each of the points.

    most: how many there may be. They are counted, and each value is checked, before any is made. Raises
    InvalidParameter with what is wrong, after a preface.
    """
    if (count := math.prod(map(len, sweep.grid.values())) + len(sweep.points)) > most:
        way = "To run them all, add --many." if most < MOST_POINTS else "Make several sweeps of them."
        raise InvalidParameter(f"{preface}It has {count:,} points, more than {most:,}. {way}")
    if wrong := _problems(sweep):
        raise InvalidParameter(preface + "\n".join(wrong))
    points, varied = dict[str, Point](), list(sweep.varied())
    crossed = itertools.product(*sweep.grid.values()) if sweep.grid or not sweep.points else ()
    for values in itertools.chain((dict(zip(sweep.grid, each, strict=True)) for each in crossed), sweep.points):
        point = Point(_checked(sweep.base | values), folder, varied)
        points[point.id] = point
    if sweep.select.startswith("validation") and any(p.parameters.num_validation == 0 for p in points.values()):
        why = f"select is {sweep.select}, but num_validation is 0. Select by a training metric, or validate."
        raise InvalidParameter(preface + why)
    return list(points.values())


def opened(sweep_dir: str) -> tuple[SweepDefinition, list[Point]]:
    """Read the definition and the points of a sweep that has been run, or begun. Raises InvalidRecord."""
    folder = SweepFolder(sweep_dir)
    sweep, problem = folder.read_record(), "its points have other ids"
    try:
        points = points_of(sweep, folder, most=max(MAX_POINTS, 2 * len(sweep.ids)))
    except InvalidParameter as error:
        points, problem = [], str(error).splitlines()[0].rstrip(".")
    if [point.id for point in points] != sweep.ids:
        raise InvalidRecord(folder.record, f"is of another version of this project ({problem})", "Run it again.")
    return sweep, points


def configurations(points: Iterable[Point]) -> list[list[Point]]:
    """Group the points: those of a configuration differ in their seed alone."""
    found: dict[str, list[Point]] = {}
    for point in points:
        found.setdefault(point.parameters.model_dump_json(exclude={"seed"}), []).append(point)
    return list(found.values())


def ranked(points: Iterable[Point], metric: Metric) -> list[Configuration]:
    """Return the configurations, the best first, as the points' results have it."""
    return ranking.rank(([point.result for point in group] for group in configurations(points)), metric)
