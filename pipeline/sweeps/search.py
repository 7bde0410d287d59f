"""Draw the candidates of a search, and list the rungs that they iterate_rungs."""

import math
from itertools import chain
from typing import Any

import numpy as np

from pipeline import parameters
from pipeline.errors import InvalidParameter
from pipeline.parameters import Parameters
from pipeline.records import Distribution, RandomSearch, SweepDefinition

WHOLE = {
    name for name, field in Parameters.model_fields.items() if field.annotation is int
}
MAX_DRAWS = 100  # for each candidate, since none is taken twice


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
