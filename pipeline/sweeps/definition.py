"""Read a sweep's YAML file, and list the parameters of its points.

A configuration consists of all points that differ only in their seeds.
"""

import math
from collections.abc import Iterator, Mapping
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline import parameters
from pipeline.errors import InvalidInput
from pipeline.parameters import Parameters
from pipeline.records import Distribution, RandomSearch, SweepDefinition

MAX_POINTS = 10_000
MAX_DRAWS = 100  # for each candidate, because a repeated one is drawn again
# The parameters that are integers.
WHOLE = {
    name for name, field in Parameters.model_fields.items() if field.annotation is int
}
ENTRIES = "base, grid, points, seeds, random and select"


def read_definition(source: Path | Mapping[str, Any]) -> SweepDefinition:
    """Read the definition of a sweep from its file, or from a mapping.

    Raises InvalidInput, which says what is wrong and what is allowed.
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
        # The rest of a message of ruamel.yaml is advice to programmers.
        reason = str(error).split("\nTo suppress")[0]
    advice = f"A sweep has a name, and may have {ENTRIES}."
    name = source if is_path else "This"
    raise InvalidInput(f"{name} is not a sweep: {reason}\n{advice}")


def _describe_error(error: Any) -> str:
    """Describe an error of pydantic in one line: entry, its value, and the message."""
    place = ".".join(map(str, error["loc"])) or "the file"
    return f"{place} is {error['input']!r}: {error['msg']}"


def _check_seeds(sweep: SweepDefinition) -> None:
    """Raise ValueError if a seed is set anywhere but in the entry `seeds`."""
    entries = {"base": sweep.base, "grid": sweep.grid, "random": sweep.drawn}
    entries["points"] = {name: None for point in sweep.points for name in point}
    for name, values in entries.items():
        if "seed" in values:
            raise ValueError(f"seed is in {name}. Write it as seeds: [1, 2]")


def list_points(sweep: SweepDefinition) -> list[Parameters]:
    """Return the parameters of all points, each only once.

    Raises InvalidInput if there are too many, or if a value or a source cannot be used.
    """
    both = [name for name in sweep.grid if name in sweep.drawn]
    if both:
        problem = f"{both[0]} is in grid and in random"
        raise InvalidInput(f"{problem}. Remove it from one of them.")
    found = list(islice(_list_combinations(sweep), MAX_POINTS + 1))
    if len(found) > MAX_POINTS:
        problem = f"The sweep has more than {MAX_POINTS:,} points"
        raise InvalidInput(f"{problem}. Split it into several sweeps.")
    checked = [parameters.from_values(sweep.base | values) for values in found]
    needs_validation = sweep.select.startswith("validation")
    if needs_validation and any(each.num_validation == 0 for each in checked):
        problem = f"select is {sweep.select}, but num_validation is 0"
        raise InvalidInput(f"{problem}. Raise it, or select a training metric.")
    return list({each.model_dump_json(): each for each in checked}.values())


def _list_combinations(sweep: SweepDefinition) -> Iterator[dict[str, Any]]:
    """Yield the parameters of each point, without those of the entry `base`.

    Each candidate of a search is combined with each point of the grid. The entries of
    `points` follow. Each combination and entry gets every seed. If there are only
    entries of `points`, the base alone is not a point.
    """
    seeds = [{"seed": seed} for seed in sweep.seeds] or [{}]
    has_only_entries = sweep.points and not sweep.grid and not sweep.random
    if not has_only_entries:
        for drawn in sample_candidates(sweep.random):
            for values in product(*sweep.grid.values()):
                for seed in seeds:
                    yield drawn | dict(zip(sweep.grid, values, strict=True)) | seed
    for entry in sweep.points:
        for seed in seeds:
            yield entry | seed


def sample_candidates(search: RandomSearch | None) -> Iterator[dict[str, Any]]:
    """Yield the parameters of each candidate of a random search, all different.

    For each parameter, in the order of the file, one number is taken from NumPy's
    RandomState, whose sequence never changes, so the first candidates stay the same if
    more are drawn. Without a search there is one empty candidate. Raises InvalidInput
    if there are fewer different candidates than requested.
    """
    if search is None:
        yield {}
        return
    rng = np.random.RandomState(search.random_state)
    seen: set[str] = set()
    for _ in range(MAX_DRAWS * search.n_candidates):
        candidate = {
            name: _compute_quantile(each, rng.random_sample(), name in WHOLE)
            for name, each in search.parameters.items()
        }
        if repr(candidate) not in seen:
            seen.add(repr(candidate))
            yield candidate
        if len(seen) == search.n_candidates:
            return
    problem = f"n_candidates is {search.n_candidates}, but there are {len(seen)}"
    raise InvalidInput(
        f"random: {problem} different candidates. Lower it, or widen the ranges."
    )


def _compute_quantile(distribution: Distribution, fraction: float, is_int: bool) -> Any:
    """Return the quantile of a distribution for this fraction, in [0, 1).

    Numbers are rounded to three significant digits, so they do not depend on how a
    machine rounds the last bit of a power.
    """
    if distribution.values is not None:
        return distribution.values[int(fraction * len(distribution.values))]
    low, high = float(distribution.min or 0), float(distribution.max or 0)
    end = high + is_int  # integers are rounded down, so their range ends at high + 1
    if distribution.distribution == "log_uniform":
        value = low * (end / low) ** fraction
    else:
        value = low + fraction * (end - low)
    value = min(max(float(f"{value:.3g}"), low), high)
    return math.floor(value) if is_int else value
