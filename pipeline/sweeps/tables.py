"""Make the tables and plots of a sweep's report. None of them holds a test metric."""

import base64
import html
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal
from urllib.parse import quote

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pipeline import parameters, plots
from pipeline.ranking import Configuration
from pipeline.records import Metric
from pipeline.statistics import rounded
from pipeline.sweeps import results
from pipeline.sweeps.definition import Point

BEST: dict[str, Any] = {"color": plots.VALIDATION, "zorder": 3, "linestyle": "-", "linewidth": 1.8}  # a line of effects
MAX_VALUES = 30  # of a parameter, in a table by two
MAX_LINES = 100  # in an axis, where more cannot be distinguished
MAX_LABELS = 8  # below an axis
OTHER: dict[str, Any] = {"color": "#8A8A8A", "zorder": 2, "linestyle": "--", "linewidth": 0.8}


def results_table(points: Iterable[Point]) -> pd.DataFrame:
    """Return a row for each point: its parameters, status and metrics, without the test's."""
    return pd.DataFrame(map(results.row, points))


def ranking_table(configurations: Sequence[Configuration], names: Iterable[str]) -> pd.DataFrame:
    """Return a row for each configuration: the parameters named, its points, and the metric over its seeds."""
    chosen, rows = list(names), []
    for configuration in configurations:
        values = configuration.values or [float("nan")]
        counts = [len(configuration.points), len(configuration.finished)]
        spread = [configuration.mean, min(values), max(values)]
        rows.append([*(configuration.parameters[name] for name in chosen), *counts, *spread])
    return pd.DataFrame(rows, columns=[*chosen, "points", "finished", "mean", "lowest", "highest"])


def complete(table: pd.DataFrame) -> pd.DataFrame:
    """Return the configurations of which every point has finished; where there is none, those of which one has."""
    complete = table[table["finished"] == table["points"]]
    return complete if len(complete) else table.dropna(subset="mean")


def by_two(table: pd.DataFrame, names: Sequence[str], metric: Metric) -> pd.DataFrame:
    """Return the metric by the two parameters that change it most; of several configurations in a cell, the best.

    Where one of the two has more than MAX_VALUES values, only the best configurations are there, as many as these.
    """
    table = complete(table)
    spans = {name: np.ptp(table.groupby(_classed(table[name]))["mean"].mean().dropna().to_numpy()) for name in names}
    row, column = sorted(sorted(names, key=lambda name: -spans[name])[:2], key=list(names).index)
    if table[[row, column]].nunique().max() > MAX_VALUES:
        table = table.head(MAX_VALUES)
    best: Literal["max", "min"] = "max" if metric.endswith("accuracy") else "min"
    return table.pivot_table(index=row, columns=column, values="mean", aggfunc=best, dropna=False)


def _classed(values: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return numbers that hardly repeat, as of a random search, in five classes of equal size.

    The mean of one such value would be that of one dot.
    """
    if values.nunique() <= max(MAX_LABELS, len(values) // 2) or not pd.api.types.is_numeric_dtype(values):
        return values
    return pd.qcut(values, 5, labels=False, duplicates="drop")


def as_html(
    table: pd.DataFrame, name: str, links: Callable[[str], str] | None = None, downloaded: pd.DataFrame | None = None
) -> str:
    """Return a table for a notebook, which a report makes sortable, and a link that downloads it as CSV.

    links: from an id to the page that it leads to, or "". downloaded: what the CSV holds, if that is more than is
    shown. It travels in the page, with six digits per metric: those after them may differ between machines.
    """
    guarded = (table if downloaded is None else downloaded).map(results.guarded)
    shown = table.map(lambda value: html.escape(value) if isinstance(value, str) else value).fillna(np.nan)
    for frame in (guarded, shown):
        for swept in frame.select_dtypes("float").columns.intersection(list(parameters.NAMES)):  # no two look alike
            frame[swept] = frame[swept].map("{:.15g}".format, na_action="ignore")
    csv = base64.b64encode(guarded.to_csv(index=False, float_format="%.6g").encode()).decode()
    for column in table.columns.intersection(["mean", "lowest", "highest", *results.MEASURED]):
        shown[column] = table[column].map(rounded, na_action="ignore")
    if links:
        pages = {value: links(value) for value in table["id"]}
        shown["id"] = [f'<a href="{quote(page)}">{value}</a>' if page else value for value, page in pages.items()]
    shown = shown.rename(columns=lambda column: column if column in parameters.NAMES else column.replace("_", " "))
    widths = {"error": "22rem"} if "error" in shown else None
    options: dict[str, Any] = {"na_rep": "-", "float_format": "{:.4g}".format, "col_space": widths}
    body = shown.to_html(index=False, border=0, classes="sortable", escape=False, **options)
    return f'{body}\n<p><a download="{name}.csv" href="data:text/csv;base64,{csv}">Download as CSV</a></p>'


def effects(table: pd.DataFrame, names: Sequence[str], metric: Metric) -> Figure:
    """Draw what each parameter does: the metric by its value, in axes of its own.

    A line joins configurations that differ in that parameter alone; where there are none, or too many, as in a random
    search, each is a dot. A bar reaches from the lowest to the highest seed. A large dot is the best configuration.
    table: as of `ranking_table`. names: of its columns.
    """
    table = complete(table)
    rows = -(-len(names) // 3)  # of three axes at most
    columns = -(-len(names) // rows)
    size = (min(9, 3.6 * columns + 1), 3.4 * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, layout="constrained", sharey=True, squeeze=False)
    for axis in axes.flat[len(names) :]:
        axis.remove()
    for axis, name in zip(axes.flat, names, strict=False):
        values = sorted(table[name].unique())
        places = {value: place for place, value in enumerate(values)}
        others = [other for other in names if other != name]
        lines = [line for _, line in table.groupby(others)] if others else [table]
        if apart := len(lines) == len(table) or len(lines) > MAX_LINES:
            lines = [table]
        for number, line in enumerate(lines):
            line = line.sort_values(name)
            shift = 0.24 * ((number + 0.5) / len(lines) - 0.5)  # side by side, so that bars do not hide each other
            bars = [line["mean"] - line["lowest"], line["highest"] - line["mean"]]
            bars = [bar.clip(0) for bar in bars]  # a mean may be rounded to beyond what it is the mean of
            best = table.index[0] in line.index
            looks = OTHER | {"linestyle": "none"} if apart else BEST if best else OTHER
            shifted = [places[value] + shift for value in line[name]]
            axis.errorbar(shifted, line["mean"], bars, marker="o", markersize=4, capsize=2, **looks)
            if best:
                place = places[table[name].iloc[0]] + shift
                axis.plot(place, table["mean"].iloc[0], "o", color=plots.VALIDATION, markersize=9, zorder=4)
        axis.set(title=name, xlabel=f"{name}, values swept", xlim=(-0.5, len(values) - 0.5))
        step = 1 if len(values) <= MAX_LABELS else -(-len(values) // 5)
        labels = [str(value) for value in values[::step]]
        if step > 1 and isinstance(values[0], float):  # as short as tells them apart
            shorter = ([f"{value:.{digits}g}" for value in values[::step]] for digits in range(3, 18))
            labels = next(found for found in shorter if len(set(found)) == len(found))
        axis.set_xticks(range(0, len(values), step), labels)
    for axis in axes[:, 0]:
        axis.set_ylabel(metric.replace("_", " ") + (" (fraction)" if metric.endswith("accuracy") else ""))
    return figure
