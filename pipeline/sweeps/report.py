"""Write the sentences and draw the plots of sweep.ipynb."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.network.formats import format_percent, format_percent_interval
from pipeline.reports import plots
from pipeline.sweeps.table import describe_values

SELECTED: dict[str, Any] = {"color": plots.VALIDATION, "zorder": 3}
OTHER: dict[str, Any] = {"color": "#8A8A8A", "linewidth": 0.8}
ENDS = ["mean", "lowest", "highest"]
MAX_TICKS = 8  # the most values that get a tick
MAX_PANELS = 4
PANEL_SIZE = (3.7, 2.4)  # inches: as wide as the screen of a phone


def describe_result(
    selected: pd.Series,
    ranking: pd.DataFrame,
    parameter_names: Sequence[str],
    metric: str,
    tested: pd.Series,
    images: int,
) -> str:
    """Return sentences with the test accuracy of a sweep, and how sure it is.

    selected: the selected configuration, a row of the ranking.
    parameter_names: the parameters that vary between configurations.
    metric: the metric that selects.
    tested: the test accuracy of each seed.
    images: the number of test images.

    The sentences are Markdown. They say whether luck may have decided.
    """
    accuracy = format_percent(tested.mean(), images)
    values = describe_values(selected, parameter_names)
    seeds = "with one seed"
    if len(tested) > 1:
        low = format_percent(tested.min(), images)
        high = format_percent(tested.max(), images)
        seeds = f"the mean of {len(tested)} seeds from {low} to {high}"
    interval = format_percent_interval(tested.mean(), images)
    sentences = [
        f"**{accuracy}** of {images:,} test images classified correctly by "
        f"**{values}**, {seeds}.",
        f"The 95 % interval for other images is {interval}.",
    ]
    if len(ranking) > 1:
        rank = f"{len(ranking)} configurations by {metric.replace('_', ' ')}"
        luck = describe_luck(selected, ranking, metric)
        sentences.append(f"It is the best of {rank}. {luck}.")
    return " ".join(sentences)


def describe_luck(selected: pd.Series, ranking: pd.DataFrame, metric: str) -> str:
    """Return a sentence that says whether luck may have decided.

    selected: the selected configuration, the first row of the ranking.

    Luck may have decided if another configuration's range overlaps with the range of
    the selected one. A range goes from the lowest to the highest result over the seeds.
    """
    low, high = selected[["lowest", "highest"]]
    others = ranking[1:].dropna(subset="mean")  # without those that have no result
    if others.empty:
        return "No other configuration has a result"
    first, second = ranking["mean"][:2]
    if first == second:
        return "The second has the same result, and stands later in the YAML file"
    gap = abs(round(first, 4) - round(second, 4))
    behind = f"{100 * gap:.2f} points" if "accuracy" in metric else f"{gap:.3f}"
    result = f"The second is {behind} behind"
    if selected["seeds"] == 1:
        return f"{result}, with one seed, so luck may have decided"
    if any((others["lowest"] <= high) & (others["highest"] >= low)):
        return f"{result}, and ranges over the seeds overlap: luck may have decided"
    return f"{result}, and no range over the seeds overlaps with that of the best"


def order_by_effect(ranking: pd.DataFrame, parameter_names: Sequence[str]) -> list[str]:
    """Return at most four parameters, the one with the largest effect first.

    The effect of a parameter is how far apart the best and the worst of its values are,
    each by the mean of all configurations with this value.
    """
    effects = {}
    for name in parameter_names:
        means = ranking.groupby(name)["mean"].mean()
        effects[name] = means.max() - means.min()
    return sorted(effects, key=lambda name: effects[name], reverse=True)[:MAX_PANELS]


def draw_panel(
    ranking: pd.DataFrame,
    name: str,
    parameter_names: Sequence[str],
    metric: str,
    selected: str,
) -> Figure:
    """Draw the metric of all configurations by the values of one parameter.

    name: the parameter.
    parameter_names: all parameters that vary.
    selected: the key of the selected configuration, which gets a large dot.

    A line joins configurations that differ only in this parameter. A bar goes from the
    lowest to the highest result of the seeds.
    """
    table = ranking.dropna(subset="mean").set_index("configuration")
    figure, axis = make_panel(name, metric)
    scale = 100 if "accuracy" in metric else 1
    table = table.assign(**{end: scale * table[end] for end in ENDS})
    places = _place_values(axis, table[name])
    others = [other for other in parameter_names if other != name]
    groups = table.groupby(others) if others else [("", table)]
    for _, line in groups:
        look = SELECTED if selected in line.index else OTHER
        line = line.assign(x=places).sort_values("x")
        # Because of rounding, the mean of equal values may lie outside their range.
        below = (line["mean"] - line["lowest"]).clip(0)
        above = (line["highest"] - line["mean"]).clip(0)
        bars: dict[str, Any] = {"fmt": "o-", "markersize": 4, "capsize": 2, **look}
        axis.errorbar(line["x"], line["mean"], [below, above], **bars)
        if selected in line.index:
            own = line.loc[[selected]]
            axis.plot(own["x"], own["mean"], "o", markersize=9, **look)
    return figure


def make_panel(name: str, metric: str) -> tuple[Figure, Axes]:
    """Return an empty panel whose axes have labels."""
    figure, axis = plt.subplots(figsize=PANEL_SIZE, layout="constrained")
    unit = " (%)" if "accuracy" in metric else ""
    axis.set(xlabel=name, ylabel=f"{metric.replace('_', ' ')}{unit}")
    axis.grid(color="#808080", alpha=0.3)
    return figure, axis


def _place_values(ax: Axes, values: pd.Series) -> pd.Series:
    """Prepare the x axis of a panel, and return the place of each value on this axis.

    The places are 0, 1, 2, ..., and at most MAX_TICKS of them have a tick.
    """
    different = sorted(values.unique())
    places = {value: place for place, value in enumerate(different)}
    shown = different[:: len(different) // MAX_TICKS + 1]
    ax.set_xticks([places[value] for value in shown], shown)
    return values.map(places)
