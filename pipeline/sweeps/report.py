"""Draw the plots of sweep.ipynb, and make its table of means."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.network.formats import format_result
from pipeline.records import Status
from pipeline.reports import plots

SELECTED: dict[str, Any] = {"color": plots.VALIDATION, "zorder": 3}
OTHER: dict[str, Any] = {"color": "#8A8A8A", "linewidth": 0.8}
SHIFT = 0.06  # between the lines of a panel, of the distance between two values
MAX_TICKS = 8  # the most values that get a tick
MAX_NAMES = 6  # the most lines that get a name
MAX_VALUES = 8  # of each parameter in a table of means


def draw_panel(
    points: pd.DataFrame,
    name: str,
    parameter_names: Sequence[str],
    metric: str,
    selected: str,
) -> Figure:
    """Draw the metric of all points by the values of one parameter.

    points: the table of the sweep's points, from `make_table`.
    name: the parameter.
    parameter_names: all parameters that vary.
    selected: the key of the selected configuration, which gets a large dot.

    A line joins the means of configurations that differ only in this parameter. A pale
    dot is a seed. The lines are shifted a little, so that they do not hide each other.
    """
    figure, axis = plots.make_panel(name, metric)
    scale = 100 if "accuracy" in metric else 1
    done = points[points["status"] == Status.DONE]
    done = done.assign(y=scale * done[metric], x=_place_values(axis, done[name]))
    others = [other for other in parameter_names if other != name]
    groups = list(done.groupby(others)) if others else [("", done)]
    ends = {}
    for place, (values, line) in enumerate(groups):
        x = line["x"] + SHIFT * (place - (len(groups) - 1) / 2)
        means = line["y"].groupby(x).mean()
        own = x[line["configuration"] == selected]
        look = OTHER if own.empty else SELECTED
        axis.plot(x, line["y"], ".", alpha=0.4, **look)
        axis.plot(means.index, means, "o-", markersize=4, **look)
        if not own.empty:
            axis.plot(own[:1], means[own[:1]], "o", markersize=9, **look)
        ends[values] = means.index[-1], means.iloc[-1]
    if len(others) == 1 and len(groups) <= MAX_NAMES:
        _name_ends(axis, others[0], {str(value): end for (value,), end in ends.items()})
    return figure


def _name_ends(axis: Axes, name: str, ends: dict[str, tuple[float, float]]) -> None:
    """Write the values of the other parameter beside the ends of the lines.

    name: the other parameter, which is written above them.
    ends: the last dot of each line, by the value of the parameter.
    """
    low, high = axis.get_ylim()
    height = low
    for value, (x, y) in sorted(ends.items(), key=lambda item: item[1][1]):
        height = max(y, height)
        axis.annotate(value, (x, height), (8, 0), textcoords="offset points", size=8)
        height += (high - low) / 12  # so that no two names overlap
    axis.set_title(name, loc="right", fontsize=8)


def _place_values(axis: Axes, values: pd.Series) -> pd.Series:
    """Prepare the x axis of a panel, and return the place of each value on this axis.

    The places are 0, 1, 2, ..., and at most MAX_TICKS of them have a tick.
    """
    different = sorted(values.unique())
    places = {value: place for place, value in enumerate(different)}
    labelled = different[:: len(different) // MAX_TICKS + 1]
    axis.set_xticks([places[value] for value in labelled], labelled)
    return values.map(places)


def make_mean_table(
    ranking: pd.DataFrame, parameter_names: Sequence[str], metric: str, images: int
) -> str:
    """Return an HTML table of the means of a full grid of two parameters.

    images: the number of images that the metric is measured on.

    The better a mean, the darker its cell. For any other sweep, the table is "".
    """
    if len(parameter_names) != 2:
        return ""
    rows, columns = parameter_names
    grid = ranking.pivot(index=rows, columns=columns, values="mean")
    if max(grid.shape) > MAX_VALUES or grid.isna().any(axis=None):
        return ""
    ends = np.sort([grid.min(axis=None), grid.max(axis=None)])
    worst, best = ends[::-1] if metric.endswith("error") else ends
    shares = (grid - worst) / ((best - worst) or 1)
    shades = shares.map(plots.shade)
    texts = grid.map(lambda mean: format_result(metric, mean, images))
    style = texts.style.apply(lambda _: shades, axis=None).set_uuid("means")
    style = style.format_index(str, axis=0).format_index(str, axis=1)
    html: str = style.set_table_attributes('class="shaded"').to_html()
    return html
