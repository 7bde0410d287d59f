"""Define which values a reader may enter into the fields of a page that trains."""

from collections.abc import Mapping
from typing import Any

from pipeline.parameters import NAMES, describe_allowed, find_range

# The largest values with which a page trains in a few minutes. If the run of the page
# has a larger value, the field accepts all values up to that one.
LIMITS = {"hidden_size": 1000, "epochs": 10_000}


def collect_ranges(parameters: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the allowed values of each parameter, as attributes and in words.

    parameters: the parameters of the run that the page shows.

    In the result, `ranges` has the HTML attributes of each parameter's field, and
    `allowed` describes the same range in words.
    """
    ranges = {name: find_range(name) for name in NAMES}
    allowed = {name: describe_allowed(name) for name in NAMES}
    for name, limit in LIMITS.items():
        ranges[name]["max"] = max(limit, parameters.get(name, 0))
        allowed[name] = f"a whole number from 1 to {ranges[name]['max']:,} in a page"
        allowed[name] += ", though python -m pipeline run accepts larger values"
    return {"ranges": ranges, "allowed": allowed}
