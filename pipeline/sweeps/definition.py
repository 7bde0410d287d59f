"""Read a sweep's YAML file, and list the parameters of its points.

A configuration consists of all points that differ only in their seeds.
"""

from collections.abc import Iterator, Mapping
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline import parameters
from pipeline.errors import InvalidInput
from pipeline.parameters import Parameters
from pipeline.sweep_records import SweepDefinition

MAX_POINTS = 10_000
ENTRIES = "base, grid, points, seeds and select"


def read_definition(source: Path | Mapping[str, Any]) -> SweepDefinition:
    """Read the definition of a sweep.

    source: the sweep's YAML file, or a mapping with the content of such a file.

    Raises InvalidInput if the definition cannot be used. The message says what is wrong
    and what is allowed.
    """
    is_path = isinstance(source, Path)
    try:
        content = YAML(typ="safe", pure=True).load(source) if is_path else source
        definition = SweepDefinition.model_validate(content)
        _check_seeds(definition)
        return definition
    except FileNotFoundError:
        raise InvalidInput(f"{source} does not exist. Name a sweep's file.") from None
    except ValidationError as error:
        reason = "; ".join(map(_describe_error, error.errors()))
    except (OSError, YAMLError, ValueError) as error:
        # ruamel.yaml ends its messages with advice to programmers: leave it out.
        reason = str(error).split("\nTo suppress")[0]
    advice = f"A sweep has a name, and may have {ENTRIES}."
    name = source if is_path else "This"
    raise InvalidInput(f"{name} is not a sweep: {reason}\n{advice}")


def _describe_error(error: Any) -> str:
    """Return a line with the entry, its value and the message of a pydantic error."""
    place = ".".join(map(str, error["loc"])) or "the file"
    text = f"{place} is {error['input']!r}: {error['msg']}"
    if place == "select":
        text += ". Other metrics are measured only for the selected points"
    return text


def _check_seeds(sweep: SweepDefinition) -> None:
    """Raise ValueError if a seed is set anywhere but in the entry `seeds`."""
    for values in (sweep.base, sweep.grid, *sweep.points):
        if "seed" in values:
            raise ValueError("the seed has an entry of its own, as seeds: [1, 2]")


def list_points(sweep: SweepDefinition) -> list[Parameters]:
    """Return the parameters of all points of a sweep, without duplicates.

    Raises InvalidInput if a value cannot be used, if there are too many points, or if
    the points have several sources of images.
    """
    count = len(sweep.points)
    if sweep.grid or not count:
        count += prod(map(len, sweep.grid.values()))
    count *= max(len(sweep.seeds), 1)
    if count > MAX_POINTS:
        problem = f"The sweep has {count:,} points, which is more than {MAX_POINTS:,}"
        raise InvalidInput(f"{problem}. Take values or seeds out of it.")
    found = _list_combinations(sweep)
    checked = [parameters.from_values(sweep.base | values) for values in found]
    needs_validation = sweep.select.startswith("validation")
    if needs_validation and any(each.num_validation == 0 for each in checked):
        problem = f"select is {sweep.select}, but num_validation is 0"
        advice = "Raise num_validation, or select a training metric"
        raise InvalidInput(f"{problem}. {advice}.")
    sources = sorted({each.source for each in checked})
    if len(sources) > 1:
        problem = f"The sweep has several sources: {', '.join(sources)}"
        reason = "accuracies on different images cannot be compared"
        raise InvalidInput(f"{problem}. Make a sweep for each, because {reason}.")
    return list(dict.fromkeys(checked))


def _list_combinations(sweep: SweepDefinition) -> Iterator[dict[str, Any]]:
    """Yield the parameters of each point, except those from the entry `base`.

    All combinations of the grid come first, then the entries of `points`. Each of these
    is yielded once for every seed. If the sweep has neither, `base` alone makes one
    point.
    """
    seeds = [{"seed": seed} for seed in sweep.seeds] or [{}]
    if sweep.grid or not sweep.points:
        for values in product(*sweep.grid.values()):
            for seed in seeds:
                yield dict(zip(sweep.grid, values, strict=True)) | seed
    for entry in sweep.points:
        for seed in seeds:
            yield entry | seed
