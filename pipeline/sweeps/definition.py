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
MAX_DRAWS = 100  # per candidate, because repeated candidates are drawn again
# The parameters that are integers.
WHOLE = {
    name for name, field in Parameters.model_fields.items() if field.annotation is int
}
ENTRIES = "base, grid, points, seeds, random and select"


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
    return f"{place} is {error['input']!r}: {error['msg']}"


def _check_seeds(sweep: SweepDefinition) -> None:
    """Raise ValueError if a seed is set anywhere but in the entry `seeds`."""
    entries = {"base": sweep.base, "grid": sweep.grid, "random": sweep.drawn}
    entries["points"] = {name: None for point in sweep.points for name in point}
    for name, values in entries.items():
        if "seed" in values:
            raise ValueError(f"seed is in {name}. Write it as seeds: [1, 2]")


def list_points(sweep: SweepDefinition) -> list[Parameters]:
    """Return the parameters of all points of a sweep, without duplicates.

    Raises InvalidInput if there are more than MAX_POINTS points, or if a value or a
    source of images cannot be used.
    """
    both = [name for name in sweep.grid if name in sweep.drawn]
    if both:
        problem = f"{both[0]} is in grid and in random"
        raise InvalidInput(f"{problem}. Remove it from either of the two.")
    found = list(islice(_list_combinations(sweep), MAX_POINTS + 1))
    if len(found) > MAX_POINTS:
        problem = f"The sweep has more than {MAX_POINTS:,} points"
        raise InvalidInput(f"{problem}. Split it into several sweeps.")
    checked = [parameters.from_values(sweep.base | values) for values in found]
    needs_validation = sweep.select.startswith("validation")
    if needs_validation and any(each.num_validation == 0 for each in checked):
        problem = f"select is {sweep.select}, but num_validation is 0"
        advice = "Raise num_validation, or select a training metric"
        raise InvalidInput(f"{problem}. {advice}.")
    return list({each.model_dump_json(): each for each in checked}.values())


def _list_combinations(sweep: SweepDefinition) -> Iterator[dict[str, Any]]:
    """Yield the parameters of each point, except those from the entry `base`.

    Each candidate of the random search is combined with each combination of the grid.
    The entries of `points` follow. Each of these is yielded once for every seed.

    If the sweep has neither a grid nor a random search, `base` alone makes one point,
    but only if the sweep has no entries of `points`.
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
    """Yield the parameters of each candidate of a random search.

    All candidates are different. If the search is None, one empty candidate is yielded.

    For each candidate, NumPy's RandomState draws one number for each parameter, in the
    order of the file. The sequence of these numbers never changes, so the first
    candidates stay the same if more candidates are requested.

    Raises InvalidInput if there are fewer different candidates than requested.
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
        f"random: {problem} different candidates. Lower n_candidates, or widen the "
        "ranges."
    )


def _compute_quantile(distribution: Distribution, fraction: float, is_int: bool) -> Any:
    """Return the quantile of a distribution for a fraction.

    fraction: the fraction, from 0 to below 1.
    is_int: whether the parameter is an integer.

    Numbers are rounded to three significant digits, because the last bit of a power
    differs between machines.
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
