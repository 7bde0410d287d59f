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
    the lowest to the highest seed. The large dot is the best configuration. In a search
    by halving, the lines over the epochs end where a candidate was eliminated.
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


def find_first_rung(ranking: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Return the candidates of a search's first rung, the leader first."""
    first = ranking[ranking["epochs"] == ranking["epochs"].min()]
    leads = (first[names] == ranking.iloc[0][names]).all(axis=1)
    return pd.DataFrame(pd.concat([first[leads], first[~leads]]))


def describe_drawn(table: pd.DataFrame, metric: str) -> str:
    """Return a caption for `draw_candidates`: how many it draws, and by which metric.

    table: the ranking, whose first row is the selected configuration; in a search by
        halving, the rows of one rung.
    """
    drawn = min(len(table.dropna(subset="mean")), MAX_DRAWN)
    which = "All" if drawn == len(table) else f"{drawn} of"
    value = round_metric(table["mean"].iloc[0])
    text = f"{which} {len(table)} candidates by their {metric}"
    return f"{text}, where the selected one has {value}"


def draw_candidates(
    ranking: pd.DataFrame, names: Sequence[str], metric: str, logs: Container[str]
) -> Figure:
    """Draw each configuration as a line in parallel coordinates.

    The line goes through the configuration's values and its metric, each from the
    smallest at the bottom to the largest at the top. The darker it is, the better the
    configuration. The selected one, the first, is thick and orange.
    """
    table = ranking.dropna(subset="mean").head(MAX_DRAWN)
    figure, axis = plt.subplots(figsize=(9, 4), layout="constrained")
    columns = [*names, "mean"]
    heights = pd.DataFrame(
        {name: _scale(table[name], name in logs) for name in columns}
    )
    # In reverse order, so that the first configuration is drawn last and lies on top.
    for place in reversed(range(len(table))):
        shade = plt.get_cmap("Blues")(0.9 - 0.7 * place / len(table))
        look = BEST | {"linewidth": 2.5} if place == 0 else {"color": shade}
        axis.plot(heights.iloc[place].to_numpy(), **look)
    for x, name in enumerate(columns):
        axis.axvline(x, color=plots.TEST, linewidth=0.8, zorder=0)
        for height, end in ((-0.02, table[name].min()), (1.02, table[name].max())):
            label = end if isinstance(end, str) else f"{end:.4g}"
            side = "top" if height < 0 else "bottom"
            axis.text(x, height, label, ha="center", va=side, fontsize=9)
    axis.set(ylim=(-0.15, 1.15), yticks=[])
    axis.set_xticks(range(len(columns)), [*names, metric])
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    return figure


def _scale(values: pd.Series, is_log: bool) -> pd.Series:
    """Return values from 0 to 1; texts by their order."""
    if isinstance(values.iloc[0], str):
        values = values.rank(method="dense")
    numbers = values.map(math.log) if is_log else values.astype(float)
    width = numbers.max() - numbers.min()
    return (numbers - numbers.min()) / width if width else numbers * 0 + 0.5
