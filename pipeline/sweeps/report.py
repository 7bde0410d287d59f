"""Write the sentences of sweep.ipynb, and draw its plot."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.records import Distribution
from pipeline.reports import plots
from pipeline.results.provenance import has_published_helpers
from pipeline.sweeps.sweep import Point

SELECTED: dict[str, Any] = {"color": plots.VALIDATION, "zorder": 3}
OTHER: dict[str, Any] = {"color": "#8A8A8A", "linewidth": 0.8}
MAX_DRAWN = 200  # configurations in a plot
MAX_TICKS = 8  # values that stand side by side on an axis


def find_remarks(points: Iterable[Point]) -> list[str]:
    """Return remarks about the points' code: their notes, and a changed helpers.py."""
    records = [point.record for point in points if point.record]
    remarks = {record.note for record in records if record.note}
    if not all(has_published_helpers(record.inputs) for record in records):
        remarks.add(
            "The network is that of a changed helpers.py, and not the project's own."
        )
    return sorted(remarks)


def describe_extremes(
    selected: pd.Series, ranking: pd.DataFrame, parameter_names: Iterable[str]
) -> list[str]:
    """Describe the parameters whose selected value is the smallest or largest tried.

    Of two values, one is always the largest, so at least three values are needed.
    """
    edges = []
    for name in parameter_names:
        value, tried = selected[name], ranking[name]
        count = tried.nunique()
        if count >= 3 and not isinstance(value, str):
            for which, end in (("smallest", tried.min()), ("largest", tried.max())):
                if value == end:
                    edges.append(
                        f"at the edge: {name} {value} is the {which} of {count}"
                    )
    return edges


def describe_overlap(selected: pd.Series, ranking: pd.DataFrame) -> list[str]:
    """Say how many other configurations overlap with the selected one's range."""
    low, high = selected[["lowest", "highest"]]
    others = ranking[ranking["configuration"] != selected["configuration"]]
    count = sum((others["lowest"] <= high) & (others["highest"] >= low))
    if low == high or not count:
        return []
    ranges = "other configurations whose range over seeds overlaps with its own"
    return [f"{ranges}: {count} of {len(others)}, so luck may have decided"]


def describe_certainty(values: pd.Series, metric: str, images: int) -> str:
    """Describe a metric's mean over the seeds, and how certain it is.

    values: the value of each seed; their range is included.
    images: the number of images that each value was measured on.

    For an accuracy, its standard error with this number of images is added. The error
    is not 0, even if all images are classified correctly.

    Source: A. Agresti and B. Coull (1998), The American Statistician 52, 119-126.
    """
    mean, measured = values.mean(), f"{images:,} images"
    if metric.endswith("accuracy"):
        centre = (mean * images + 2) / (images + 4)
        error = math.sqrt(centre * (1 - centre) / (images + 4))
        measured = f"standard error of {measured}: {error:.2g}"
    spread = "one seed"
    if len(values) > 1:
        ends = f"{values.min():.4f} to {values.max():.4f}"
        spread = f"range over {len(values)} seeds: {ends}"
    return f"{metric} {mean:.4f} ({spread}; {measured})"


def draw_configurations(
    ranking: pd.DataFrame,
    parameter_names: Sequence[str],
    metric: str,
    selected: str,
    drawn: Mapping[str, Distribution],
) -> Figure:
    """Draw the metric of all configurations, in one panel for each parameter.

    selected: the key of the configuration that a large dot marks.
    drawn: the distributions that parameters were drawn from.

    A line joins configurations that differ only in that parameter. A bar reaches from
    the lowest to the highest result of the seeds. A hollow dot means a missing seed.
    """
    table = ranking.dropna(subset="mean").head(MAX_DRAWN).set_index("configuration")
    figure = plt.figure(figsize=(5, 2.8 * len(parameter_names)), layout="constrained")
    axes = figure.subplots(len(parameter_names), sharey=True, squeeze=False)
    for axis, name in zip(axes.flat, parameter_names, strict=True):
        places = _place_values(axis, table[name], drawn.get(name))
        others = [other for other in parameter_names if other != name]
        groups = table.groupby(others) if others else [("", table)]
        _draw_parameter_panel(axis, places, [line for _, line in groups], selected)
        axis.set_xlabel(name)
    label = metric.replace("_", " ")
    for axis in axes.flat:
        axis.set_ylabel(f"{label} (fraction)" if "accuracy" in metric else label)
    return figure


def _place_values(
    ax: Axes, values: pd.Series, distribution: Distribution | None
) -> pd.Series:
    """Set the ticks or scale of a panel's x axis; return the places of values on it.

    If there are only a few different values, their places are 0, 1, 2, ...
    """
    different = sorted(values.unique())
    if len(different) <= MAX_TICKS:
        ax.set_xticks(range(len(different)), different)
        places = {value: place for place, value in enumerate(different)}
        return values.map(places)
    if distribution and distribution.distribution == "log_uniform":
        ax.set_xscale("log")
    return values


def _draw_parameter_panel(
    ax: Axes, places: pd.Series, lines: Sequence[pd.DataFrame], selected: str
) -> None:
    for line in lines:
        look = SELECTED if selected in line.index else OTHER
        line = line.assign(x=places).sort_values("x")
        # Because of rounding, the mean of equal values may lie outside their range.
        below = (line["mean"] - line["lowest"]).clip(0)
        above = (line["highest"] - line["mean"]).clip(0)
        bars: dict[str, Any] = {"fmt": "o-", "markersize": 4, "capsize": 2, **look}
        ax.errorbar(line["x"], line["mean"], [below, above], **bars)
        hollow = line[~line["complete"]]
        ax.plot(hollow["x"], hollow["mean"], "o", markersize=2.5, color="w", zorder=4)
        if selected in line.index:
            own = line.loc[[selected]]
            ax.plot(own["x"], own["mean"], "o", markersize=9, **look)
