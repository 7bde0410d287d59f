"""Write sentences about a sweep for sweep.ipynb, and draw the plot of this notebook."""

from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.network.published import NOTE, format_accuracy
from pipeline.reports import plots
from pipeline.results.provenance import has_published_helpers
from pipeline.sweeps.sweep import Point

SELECTED: dict[str, Any] = {"color": plots.VALIDATION, "zorder": 3}
OTHER: dict[str, Any] = {"color": "#8A8A8A", "linewidth": 0.8}
MAX_DRAWN = 200  # the most configurations in a plot
MAX_TICKS = 8  # the most values that get a tick each


def find_remarks(points: Iterable[Point]) -> list[str]:
    """Return remarks about the code that trained the points.

    If any of the points was not trained with the published helpers.py, two remarks say
    so.
    """
    records = [point.record for point in points if point.record]
    if all(has_published_helpers(record.inputs) for record in records):
        return []
    own = "The network is that of a changed helpers.py, and not the project's own."
    return [NOTE, own]


def describe_extremes(
    selected: pd.Series, ranking: pd.DataFrame, parameter_names: Iterable[str]
) -> list[str]:
    """Return a line for each parameter whose selected value is the smallest or largest.

    selected: the selected configuration, a row of the ranking.

    The value is compared with all values of the parameter in the ranking. Parameters
    with fewer than three different values are left out, because one of two values is
    always the largest.
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
    """Return a line that counts configurations with results like the selected one's.

    selected: the selected configuration, a row of the ranking.

    The line counts the configurations whose range overlaps with the range of the
    selected configuration. A range goes from the lowest to the highest result over the
    seeds. If no range overlaps, or if all results of the selected configuration are
    equal, no line is returned.
    """
    low, high = selected[["lowest", "highest"]]
    others = ranking[ranking["configuration"] != selected["configuration"]]
    others = others.dropna(subset="mean")  # without configurations that have no result
    count = sum((others["lowest"] <= high) & (others["highest"] >= low))
    if low == high or not count:
        return []
    which = "other configurations whose range over seeds overlaps the selected one's"
    return [f"{which}: {count} of {len(others)}, so luck may have decided"]


def describe_certainty(values: pd.Series, metric: str, images: int) -> str:
    """Return a text with the mean of a metric over the seeds, and with its uncertainty.

    values: the value of the metric for each seed. The text includes their range.
    images: the number of images that each value was measured on.

    For an accuracy, the text also has the confidence interval of a measurement on this
    number of images.
    """
    mean = values.mean()
    certain = f"{mean:.4f}"
    if metric.endswith("accuracy"):
        certain = format_accuracy(mean, images)
    spread = "one seed"
    if len(values) > 1:
        ends = f"{values.min():.4f} to {values.max():.4f}"
        spread = f"range over {len(values)} seeds: {ends}"
    return f"{metric} {certain} ({images:,} images; {spread})"


def draw_configurations(
    ranking: pd.DataFrame,
    parameter_names: Sequence[str],
    metric: str,
    selected: str,
) -> Figure:
    """Draw the metric of all configurations, in one panel for each parameter.

    parameter_names: the parameters, in the order of their panels.
    selected: the key of the selected configuration, which gets a large dot.

    A line joins configurations that differ only in the parameter of the panel. A bar
    goes from the lowest to the highest result of the seeds. A dot is hollow if a result
    of the configuration is missing.
    """
    table = ranking.dropna(subset="mean").head(MAX_DRAWN).set_index("configuration")
    figure = plt.figure(figsize=(5, 2.8 * len(parameter_names)), layout="constrained")
    axes = figure.subplots(len(parameter_names), sharey=True, squeeze=False)
    for axis, name in zip(axes.flat, parameter_names, strict=True):
        places = _place_values(axis, table[name])
        others = [other for other in parameter_names if other != name]
        groups = table.groupby(others) if others else [("", table)]
        _draw_parameter_panel(axis, places, [line for _, line in groups], selected)
        axis.set_xlabel(name)
    label = metric.replace("_", " ")
    for axis in axes.flat:
        axis.set_ylabel(f"{label} (fraction)" if "accuracy" in metric else label)
    return figure


def _place_values(ax: Axes, values: pd.Series) -> pd.Series:
    """Prepare the x axis of a panel, and return the place of each value on this axis.

    If there are at most MAX_TICKS different values, their places are 0, 1, 2, ..., and
    each has a tick. Otherwise the values are the places.
    """
    different = sorted(values.unique())
    if len(different) <= MAX_TICKS:
        ax.set_xticks(range(len(different)), different)
        places = {value: place for place, value in enumerate(different)}
        return values.map(places)
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
