"""Make the tables and plots of a sweep's report. None of them holds a test metric."""

import base64
import html
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from pipeline import plots
from pipeline.parameters import NAMES
from pipeline.published import round_metric
from pipeline.records import Metric
from pipeline.sweeps.definition import Configuration, Point
from pipeline.sweeps.execution import UNTESTED, make_row

SELECTED: dict[str, Any] = {"color": plots.VALIDATION, "zorder": 3}
OTHER: dict[str, Any] = {"color": "#8A8A8A", "zorder": 2, "linestyle": "--", "linewidth": 0.8}
MAX_DRAWN = 200  # configurations in a plot
MAX_LABELS = 8  # below an axis
ROUNDED = ("mean", "lowest", "highest", *UNTESTED)


def make_results(points: Iterable[Point]) -> pd.DataFrame:
    """Return a row for each point: its parameters, status and metrics."""
    return pd.DataFrame(map(make_row, points))


def make_ranking(configurations: Iterable[Configuration], names: Sequence[str]) -> pd.DataFrame:
    """Return a row for each configuration: these parameters, and the metric over its seeds."""
    rows = []
    for each in configurations:
        values = each.find_values(each.metric) or [math.nan]
        row = {name: each.parameters[name] for name in names}
        row |= {"points": len(each.points), "finished": len(each.finished), "mean": each.mean}
        rows.append(row | {"lowest": min(values), "highest": max(values)})
    return pd.DataFrame(rows)


def to_html(table: pd.DataFrame, name: str, find_page: Callable[[str], str] | None = None) -> str:
    """Return a table that a report makes sortable, and a link that downloads it as CSV.

    find_page: returns the address of a point's report by its id, or "". The CSV has six digits a
    metric, since those after them may differ.
    """

    def to_text(column: str, value: Any) -> str:
        if pd.isna(value):
            return "-"
        if column in ROUNDED:
            return round_metric(value)
        page = find_page(value) if find_page and column == "id" else ""
        text = html.escape(str(value))
        return f'<a href="{page}">{text}</a>' if page else text

    texts = {name: [to_text(name, value) for value in table[name]] for name in table.columns}
    words = {name: name.replace("_", " ") for name in table.columns if name not in NAMES}
    shown = pd.DataFrame(texts).rename(columns=words)
    body = shown.to_html(classes="sortable", index=False, border=0, escape=False)
    content = table.to_csv(index=False, float_format="%.6g")
    address = f"data:text/csv;base64,{base64.b64encode(content.encode()).decode()}"
    return f'{body}\n<p><a download="{name}.csv" href="{address}">Download as CSV</a></p>'


def draw_effects(ranking: pd.DataFrame, names: Sequence[str], metric: Metric) -> Figure:
    """Draw what each parameter does: the metric by its value, in axes of its own.

    A line joins configurations that differ in that parameter alone. A bar reaches from the lowest
    to the highest seed. The large dot is the best configuration.
    """
    complete = ranking[ranking["finished"] == ranking["points"]]
    table = (ranking.dropna(subset="mean") if complete.empty else complete).head(MAX_DRAWN)
    best = table.iloc[0]
    rows = -(-len(names) // 3)  # of three axes at most
    columns = -(-len(names) // rows)
    figure = plt.figure(figsize=(min(9, 3.6 * columns + 1), 3.4 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axis in axes.flat[len(names) :]:
        axis.remove()
    for axis, name in zip(axes.flat, names, strict=False):
        values = sorted(table[name].unique())
        others = [other for other in names if other != name]
        lines = [line for _, line in table.groupby(others)] if others else [table]
        for number, line in enumerate(lines):
            line = line.sort_values(name)
            shift = 0.24 * ((number + 0.5) / len(lines) - 0.5)  # so that bars stand apart
            places = [values.index(value) + shift for value in line[name]]
            bars = [line["mean"] - line["lowest"], line["highest"] - line["mean"]]
            bars = [bar.clip(0) for bar in bars]  # a mean of equal values may be rounded
            looks = SELECTED if best.name in line.index else OTHER
            axis.errorbar(places, line["mean"], bars, marker="o", markersize=4, capsize=2, **looks)
            if looks is SELECTED:
                place = values.index(best[name]) + shift
                axis.plot(place, best["mean"], "o", markersize=9, **SELECTED)
        axis.set(title=name, xlabel=f"{name}, values swept", xlim=(-0.5, len(values) - 0.5))
        step = 1 if len(values) <= MAX_LABELS else -(-len(values) // 5)
        labels = [f"{v:.4g}" if isinstance(v, float) else str(v) for v in values[::step]]
        axis.set_xticks(range(0, len(values), step), labels)
    unit = " (fraction)" if metric.endswith("accuracy") else ""
    for axis in axes[:, 0]:
        axis.set_ylabel(metric.replace("_", " ") + unit)
    return figure
