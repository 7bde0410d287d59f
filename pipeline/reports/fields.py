"""Define which values a reader may enter into the fields of a page that trains."""

from collections.abc import Mapping
from typing import Any

from pipeline.parameters import NAMES, describe_allowed, find_range

# A page can train with these values in a few minutes. Those of its run may be larger.
LIMITS = {"hidden_size": 1000, "epochs": 10_000}


def collect_ranges(parameters: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the range of each parameter as attributes of a field, and in words.

    parameters: the parameters of the run that the page shows.
    """
    ranges = {name: find_range(name) for name in NAMES}
    allowed = {name: describe_allowed(name) for name in NAMES}
    for name, limit in LIMITS.items():
        ranges[name]["max"] = max(limit, parameters.get(name, 0))
        allowed[name] = f"a whole number from 1 to {ranges[name]['max']:,} in a page"
        allowed[name] += ", though python -m pipeline run takes more"
    return {"ranges": ranges, "allowed": allowed}
