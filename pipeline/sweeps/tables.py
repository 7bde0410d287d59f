"""Make the tables and plots of a sweep's report. None of them holds a test metric."""

import base64
import html
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pipeline import plots
from pipeline.parameters import NAMES
from pipeline.published import round_metric
from pipeline.records import Metric
from pipeline.sweeps.definition import Configuration, Point
from pipeline.sweeps.execution import UNTESTED, make_row

SELECTED: dict[str, Any] = {"color": plots.VALIDATION, "zorder": 3, "linestyle": "-"}
OTHER: dict[str, Any] = {"color": "#8A8A8A", "zorder": 2, "linestyle": "--", "linewidth": 0.8}
MAX_VALUES = 30  # of a parameter, in a table by two
MAX_LINES = 100  # in an axis: more cannot be distinguished
MAX_LABELS = 8  # below an axis
ROUNDED = ("mean", "lowest", "highest", *UNTESTED)


def make_results(points: Iterable[Point]) -> pd.DataFrame:
    """Return a row for each point: its parameters, status and metrics."""
    return pd.DataFrame(map(make_row, points))


def make_ranking(configurations: Iterable[Configuration], names: Sequence[str]) -> pd.DataFrame:
    """Return a row for each configuration: these parameters, and the metric over its seeds."""
    rows = []
    for each in configurations:
        values = each.find_values(each.metric) or [np.nan]
        row = {name: each.parameters[name] for name in names}
        row |= {"points": len(each.points), "finished": len(each.finished), "mean": each.mean}
        rows.append(row | {"lowest": min(values), "highest": max(values)})
    return pd.DataFrame(rows)


def find_complete(ranking: pd.DataFrame) -> pd.DataFrame:
    """Return the complete configurations, or, if there are none, those with a finished point."""
    complete = ranking[ranking["finished"] == ranking["points"]]
    return complete if len(complete) else ranking.dropna(subset="mean")


def make_pivot(ranking: pd.DataFrame, names: Sequence[str], metric: Metric) -> pd.DataFrame:
    """Return the metric by the two parameters that change it most.

    A cell has the best of its configurations. If a parameter has more than MAX_VALUES values, only
    as many of the best configurations are there.
    """
    table = find_complete(ranking)
    spans = {name: np.ptp(table.groupby(name)["mean"].mean()) for name in names}
    largest = sorted(names, key=lambda name: -spans[name])[:2]
    row, column = sorted(largest, key=list(names).index)
    if table[[row, column]].nunique().max() > MAX_VALUES:
        table = table.head(MAX_VALUES)
    best: Any = "max" if metric.endswith("accuracy") else "min"
    return table.pivot_table(index=row, columns=column, values="mean", aggfunc=best, dropna=False)


def style_pivot(cells: pd.DataFrame, metric: Metric) -> str:
    """Return the table of two parameters as HTML, the better a cell's rank the darker."""
    ranks: Any = cells.stack().rank(ascending=metric.endswith("accuracy")).unstack()
    named = cells.rename_axis(index=None, columns=f"{cells.index.name} ↓ {cells.columns.name} →")
    styled = named.style.format("{:.4f}", na_rep="-").background_gradient(
        "Blues", gmap=ranks.reindex(cells.index, columns=cells.columns), axis=None, high=0.5
    )
    empty = styled.highlight_null(props="background-color: transparent; color: inherit")
    return empty.to_html(table_uuid="two-parameters")


def to_html(
    table: pd.DataFrame,
    name: str,
    find_page: Callable[[str], str] | None = None,
    downloaded: pd.DataFrame | None = None,
) -> str:
    """Return a table that a report makes sortable, and a link that downloads it as CSV.

    find_page: returns the address of a point's report by its id, or "". downloaded: what the CSV
    holds, if that is more; with six digits a metric, since those after them may differ.
    """
    shown = table.map(lambda value: html.escape(value) if isinstance(value, str) else value)
    for column in table.columns:
        if column in ROUNDED:
            shown[column] = table[column].map(round_metric, na_action="ignore")
        elif column in NAMES:
            shown[column] = table[column].map(str)
    if find_page:
        pages = {value: find_page(value) for value in table["id"]}
        shown["id"] = [f'<a href="{page}">{v}</a>' if page else v for v, page in pages.items()]
    columns = {c: c if c in NAMES else c.replace("_", " ") for c in table.columns}
    options: Any = {"index": False, "border": 0, "escape": False, "na_rep": "-"}
    body = shown.fillna(np.nan).rename(columns=columns).to_html(classes="sortable", **options)
    content = (table if downloaded is None else downloaded).to_csv(index=False, float_format="%.6g")
    address = f"data:text/csv;base64,{base64.b64encode(content.encode()).decode()}"
    return f'{body}\n<p><a download="{name}.csv" href="{address}">Download as CSV</a></p>'


def draw_effects(ranking: pd.DataFrame, names: Sequence[str], metric: Metric) -> Figure:
    """Draw what each parameter does: the metric by its value, in axes of its own.

    A line joins configurations that differ in that parameter alone; if there are none, or too many
    as in a random search, each is a dot. A bar reaches from the lowest to the highest seed. The
    large dot is the best configuration.
    """
    table = find_complete(ranking)
    rows = -(-len(names) // 3)  # of three axes at most
    columns = -(-len(names) // rows)
    size = (min(9, 3.6 * columns + 1), 3.4 * rows)
    options: Any = {"layout": "constrained", "sharey": True, "squeeze": False}
    figure: Figure
    figure, axes = plt.subplots(rows, columns, figsize=size, **options)
    for axis in axes.flat[len(names) :]:
        axis.remove()
    for axis, name in zip(axes.flat, names, strict=False):
        values = sorted(table[name].unique())
        others = [other for other in names if other != name]
        lines = [line for _, line in table.groupby(others)] if others else [table]
        are_dots = len(lines) == len(table) or len(lines) > MAX_LINES
        lines = [table] if are_dots else lines
        for number, line in enumerate(lines):
            line = line.sort_values(name)
            shift = 0.24 * ((number + 0.5) / len(lines) - 0.5)  # so that bars stand apart
            places = [values.index(value) + shift for value in line[name]]
            bars = [line["mean"] - line["lowest"], line["highest"] - line["mean"]]
            bars = [bar.clip(0) for bar in bars]  # a mean of equal values may be rounded
            looks = SELECTED if table.index[0] in line.index else OTHER
            looks = OTHER | {"linestyle": "none"} if are_dots else looks
            axis.errorbar(places, line["mean"], bars, marker="o", markersize=4, capsize=2, **looks)
            if table.index[0] in line.index:
                place, best = values.index(table[name].iloc[0]) + shift, table["mean"].iloc[0]
                axis.plot(place, best, "o", color=plots.VALIDATION, markersize=9, zorder=4)
        axis.set(title=name, xlabel=f"{name}, values swept", xlim=(-0.5, len(values) - 0.5))
        step = 1 if len(values) <= MAX_LABELS else -(-len(values) // 5)
        labels = [f"{v:.4g}" if isinstance(v, float) else str(v) for v in values[::step]]
        axis.set_xticks(range(0, len(values), step), labels)
    unit = " (fraction)" if metric.endswith("accuracy") else ""
    for axis in axes[:, 0]:
        axis.set_ylabel(metric.replace("_", " ") + unit)
    return figure
