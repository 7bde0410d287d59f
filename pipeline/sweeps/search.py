"""Draw the candidates of a random search, and list the rungs of successive halving."""

import math
from itertools import chain
from typing import Any

import numpy as np

from pipeline import parameters
from pipeline.errors import InvalidInput
from pipeline.parameters import Parameters
from pipeline.records import Distribution, RandomSearch, SweepDefinition

# The parameters that are integers.
WHOLE = {
    name for name, field in Parameters.model_fields.items() if field.annotation is int
}
MAX_DRAWS = 100  # for each candidate, because a repeated one is replaced by a new draw


def draw_candidates(search: RandomSearch | None) -> list[dict[str, Any]]:
    """Draw the different candidates of a random search, one after the other.

    For each parameter, in the order of the file, one number is taken from NumPy's
    RandomState, whose sequence never changes. So the first candidates stay the same if
    more are drawn. Raises InvalidInput if there are fewer different ones than
    wanted.
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
    problem = (
        f"n_candidates is {search.n_candidates}, "
        f"but there are {len(candidates)} different"
    )
    raise InvalidInput(f"random: {problem} candidates. Lower it, or widen the ranges.")


def draw(distribution: Distribution, fraction: float, whole: bool) -> Any:
    """Return the value of a distribution at this fraction, in [0, 1).

    whole: whether the parameter is an integer.

    Numbers are rounded to three significant digits, so they do not depend on how a
    machine rounds the last bit of a power.
    """
    if distribution.values is not None:
        return distribution.values[int(fraction * len(distribution.values))]
    low, high = float(distribution.min or 0), float(distribution.max or 0)
    end = high + whole  # integers are rounded down, so their range ends at high + 1
    if distribution.distribution == "log_uniform":
        value = low * (end / low) ** fraction
    else:
        value = low + fraction * (end - low)
    value = min(max(float(f"{value:.3g}"), low), high)
    return math.floor(value) if whole else value


def list_rungs(sweep: SweepDefinition) -> list[dict[str, int]]:
    """Return the epochs of each rung, the fewest first, or [{}] without halving.

    Raises InvalidInput if `epochs` is also set elsewhere, or if the first rung has
    more epochs than the base.
    """
    if sweep.halving is None:
        return [{}]
    if "epochs" in {*sweep.grid, *sweep.drawn, *chain(*sweep.points)}:
        problem = "epochs is in grid, points or random, but halving sets it"
        raise InvalidInput(f"{problem}. Put the largest number into base.")
    least, most = sweep.halving.min_resources, parameters.from_values(sweep.base).epochs
    if least > most:
        problem = f"min_resources is {least}, but base has {most} epochs"
        raise InvalidInput(f"halving: {problem}. Lower it, or raise epochs.")
    count = int(math.log(most / least, sweep.halving.factor) + 1e-9) + 1
    return [{"epochs": least * sweep.halving.factor**rung} for rung in range(count)]
