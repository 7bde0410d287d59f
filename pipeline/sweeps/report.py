"""Make the tables, the sentences and the plots of a sweep's report, for sweep.ipynb."""

import base64
import html
import math
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.network.published import round_metric
from pipeline.parameters import NAMES
from pipeline.records import SELECTION_METRICS, TRAIN_METRICS, SweepDefinition
from pipeline.reports import plots
from pipeline.results.provenance import has_published_helpers
from pipeline.sweeps.sweep import Point

ROUNDED = ("mean", "lowest", "highest", *SELECTION_METRICS)
BEST: dict[str, Any] = {"color": plots.VALIDATION, "zorder": 3}
OTHER: dict[str, Any] = {"color": "#8A8A8A", "linestyle": "--", "linewidth": 0.8}
MAX_DRAWN = 200  # configurations in a plot


def find_remarks(points: Iterable[Point]) -> list[str]:
    """Return remarks on the code that trained the points: a note, a changed network."""
    records = [point.record for point in points if point.record]
    remarks = {record.note for record in records if record.note}
    if not all(has_published_helpers(record.inputs) for record in records):
        remarks.add(
            "The network is that of a changed helpers.py, and not the project's own."
        )
    return sorted(remarks)


def find_edges(ranking: pd.DataFrame, names: Iterable[str]) -> list[str]:
    """Describe the parameters whose selected value is the smallest or largest tried."""
    edges = []
    for name in names:
        values, selected = ranking[name], ranking[name].iloc[0]
        count = values.nunique()
        for which, end in (("smallest", values.min()), ("largest", values.max())):
            if selected == end and not isinstance(end, str):
                edges.append(f"{name} {end} is the {which} of {count} values tried")
    return edges


def describe_certainty(values: pd.Series, metric: str, images: int) -> str:
    """Return in words a metric's mean, and how certain it is.

    values: the metric of each seed, whose range is given.
    images: the number of images that each was measured on.

    For an accuracy, the standard error for so many images is added. It is not 0 even if
    all of them are classified correctly.

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


def to_html(
    table: pd.DataFrame,
    name: str,
    find_page: Callable[[str], str] | None = None,
    download: pd.DataFrame | None = None,
) -> str:
    """Return a table as HTML, and below it a link that downloads it as CSV.

    find_page: returns the address of a point's report by the point's id, or "".
    download: another table for the link.

    The scripts of a report make the table sortable.
    """

    def to_text(column: str, value: Any) -> str:
        if pd.isna(value):
            return "-"
        if column in ROUNDED:
            return round_metric(value)
        page = find_page(value) if find_page and column == "id" else ""
        text = html.escape(str(value))
        return f'<a href="{page}">{text}</a>' if page else text

    texts, titles = {}, {}
    for column in table.columns:
        texts[column] = [to_text(column, value) for value in table[column]]
        if column not in NAMES:
            titles[column] = column.replace("_", " ")
        if column in TRAIN_METRICS:
            titles[column] += ", under dropout"
    shown = pd.DataFrame(texts).rename(columns=titles)
    body = shown.to_html(classes="sortable", index=False, border=0, escape=False)
    content = (table if download is None else download).to_csv(index=False)
    address = f"data:text/csv;base64,{base64.b64encode(content.encode()).decode()}"
    return (
        f'{body}\n<p><a download="{name}.csv" href="{address}">Download as CSV</a></p>'
    )


def find_log_scales(
    ranking: pd.DataFrame, names: Iterable[str], sweep: SweepDefinition
) -> set[str]:
    """Return the parameters whose axes are logarithmic.

    These are the ones that were drawn log-uniformly. Among those that were not drawn,
    they are the ones whose values span a factor of ten or more.
    """
    logs: set[str] = set()
    for name in names:
        low, high, drawn = min(ranking[name]), max(ranking[name]), sweep.drawn.get(name)
        if not isinstance(low, str) and low > 0:
            is_log = drawn.distribution == "log_uniform" if drawn else high / low >= 10
            logs |= {name} if is_log else set()
    return logs


def draw_effects(
    ranking: pd.DataFrame, names: Sequence[str], metric: str, logs: Container[str]
) -> Figure:
    """Draw the metric over the values of each parameter, in axes of its own.

    A line joins configurations that differ in that parameter alone. A bar reaches from
    the lowest to the highest seed. The large dot is the best configuration.
    """
    complete = ranking[ranking["complete"]]
    table = ranking.dropna(subset="mean") if complete.empty else complete
    table = table.head(MAX_DRAWN)
    varied = [name for name in NAMES if name in table and table[name].nunique() > 1]
    rows = math.ceil(len(names) / 3)
    columns = math.ceil(len(names) / rows)
    size = (min(9, 3.6 * columns + 1), 3.4 * rows)
    figure = plt.figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axis in axes.flat[len(names) :]:
        axis.remove()
    for axis, name in zip(axes.flat, names, strict=False):
        others = [other for other in varied if other != name]
        lines = [line for _, line in table.groupby(others)] if others else [table]
        for line in lines:
            _draw_line(axis, line.sort_values(name), name, table.index[0])
        if name in logs:
            axis.set_xscale("log")
        axis.set(title=name, xlabel=f"{name}, values swept")
    label = metric.replace("_", " ")
    for axis in axes[:, 0]:
        axis.set_ylabel(f"{label} (fraction)" if "accuracy" in metric else label)
    return figure


def _draw_line(axis: Axes, line: pd.DataFrame, name: str, best: Any) -> None:
    """Draw the means of configurations over a parameter, with bars for the seeds."""
    # Because of rounding, the mean of equal values may lie outside their range.
    below = (line["mean"] - line["lowest"]).clip(0)
    above = (line["highest"] - line["mean"]).clip(0)
    look = BEST if best in line.index else OTHER
    bars: dict[str, Any] = {"marker": "o", "markersize": 4, "capsize": 2, **look}
    axis.errorbar(line[name], line["mean"], [below, above], **bars)
    if best in line.index:
        axis.plot([line[name][best]], [line["mean"][best]], "o", markersize=9, **BEST)
