"""What came of a sweep: its settings ranked, as tables and as pictures.

A setting is all points that differ in their seed alone. Settings are compared by the mean over their seeds, since a
single seed can be lucky. Nothing here knows a test figure.
"""

import base64
import html
from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pipeline import figures, parameters


def swept(table: pd.DataFrame) -> list[str]:
    """The parameters that differ among the points of `sweep.results`."""
    return [name for name in parameters.NAMES if name in table and table[name].nunique() > 1]


def ranked(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """A row a setting, that is, the points that differ in their seed alone; the best by the mean of the metric first.

    Columns: the swept parameters, ids (of the points), points and finished (how many), and mean, lowest and highest
    of the metric. A setting of which a point has not finished comes after all that are whole: the mean of those that
    went well would flatter it.
    """
    fixed = [name for name in parameters.NAMES if name in table and name != "seed"]
    settings = (
        table.assign(figure=table[metric])
        .groupby(fixed, sort=False, as_index=False)
        .agg(
            ids=("id", tuple),
            points=("id", "size"),
            finished=("figure", "count"),
            mean=("figure", "mean"),
            lowest=("figure", "min"),
            highest=("figure", "max"),
        )
    )
    whole = settings["finished"] == settings["points"]
    best = (-settings["mean"] if metric.endswith("accuracy") else settings["mean"]).round(12)  # sums differ by order
    order = pd.DataFrame({"whole": ~whole, "best": best}).sort_values(["whole", "best"], kind="stable").index
    shown = [name for name in swept(table) if name != "seed"]
    return settings.loc[order, [*shown, "ids", "points", "finished", "mean", "lowest", "highest"]].reset_index(
        drop=True
    )


def _whole(ranked: pd.DataFrame) -> pd.DataFrame:
    """The settings of which every point has finished; where there is none, those of which one has."""
    whole = ranked[ranked["finished"] == ranked["points"]]
    return whole if len(whole) else ranked.dropna(subset="mean")


def by_two(ranked: pd.DataFrame, swept: Sequence[str], metric: str) -> pd.DataFrame:
    """The metric by the two swept parameters that change it most; of more settings in a cell, the best."""
    ranked = _whole(ranked)
    spans = {name: np.ptp(ranked.groupby(name)["mean"].mean().dropna().to_numpy()) for name in swept}
    row, column = sorted(sorted(swept, key=lambda name: -spans[name])[:2], key=list(swept).index)
    best = "max" if metric.endswith("accuracy") else "min"
    return ranked.pivot_table(index=row, columns=column, values="mean", aggfunc=best, dropna=False)


def as_html(
    table: pd.DataFrame, name: str, links: Callable[[str], str] | None = None, whole: pd.DataFrame | None = None
) -> str:
    """A table for a notebook, which a report makes sortable, and a link that downloads it as CSV.

    links: from an id to the page that it leads to. whole: what the CSV holds, if that is more than is shown. The CSV
    travels in the page, with six digits a figure: those after them may differ from one machine to another.
    """
    csv = base64.b64encode(
        (table if whole is None else whole).to_csv(index=False, float_format="%.6g").encode()
    ).decode()
    shown = table.map(lambda value: html.escape(value) if isinstance(value, str) else value)
    for column in table:
        if column in ("mean", "lowest", "highest") or column.startswith(("train_", "validation_")):
            shown[column] = table[column].map("{:.4f}".format, na_action="ignore")
    if links:
        shown["id"] = [f'<a href="{links(value)}">{value}</a>' for value in table["id"]]
    shown = shown.rename(columns=lambda column: column.replace("_", " ") if column not in parameters.NAMES else column)
    body = shown.to_html(
        index=False, border=0, classes="sortable", escape=False, na_rep="-", float_format="{:.4g}".format
    )
    return f'{body}\n<p><a download="{name}.csv" href="data:text/csv;base64,{csv}">Download as CSV</a></p>'


def effects(ranked: pd.DataFrame, swept: Sequence[str], metric: str) -> Figure:
    """What each swept parameter does: the metric by its value, in axes of its own.

    A line joins settings that differ in that parameter alone; a bar reaches from the lowest to the highest seed.
    ranked, metric: as of `ranked`. swept: names of its columns.
    """
    ranked = _whole(ranked)
    figure, axes = plt.subplots(
        1, len(swept), figsize=(min(9, 3.6 * len(swept) + 1), 3.4), layout="constrained", sharey=True, squeeze=False
    )
    for axis, name in zip(axes[0], swept, strict=True):
        values = sorted(ranked[name].unique())
        places = {value: place for place, value in enumerate(values)}
        others = [other for other in swept if other != name]
        lines = [line for _, line in ranked.groupby(others)] if others else [ranked]
        for number, line in enumerate(lines):
            line = line.sort_values(name)
            shift = 0.24 * ((number + 0.5) / len(lines) - 0.5)  # side by side, so that bars do not hide each other
            bars = [line["mean"] - line["lowest"], line["highest"] - line["mean"]]
            best = ranked.index[0] in line.index
            look = {"color": figures.VALIDATION if best else "#8A8A8A", "zorder": 3 if best else 2, "marker": "o"}
            look |= {"linestyle": "-" if best else "--", "linewidth": 1.8 if best else 0.8, "markersize": 4}
            axis.errorbar([places[value] + shift for value in line[name]], line["mean"], bars, capsize=2, **look)
        axis.set(title=name, xlabel=f"{name}, values swept", xlim=(-0.5, len(values) - 0.5))
        axis.set_xticks(range(len(values)), [str(value) for value in values])
    axes[0, 0].set_ylabel(metric.replace("_", " ") + (" (fraction)" if metric.endswith("accuracy") else ""))
    return figure


def heat_map(cells: pd.DataFrame, metric: str) -> Figure:
    """A metric by two parameters, one a row and one a column: its figures in the cells, the better the darker."""
    figure, axis = plt.subplots(figsize=(1.9 + 1.1 * cells.shape[1], 1.6 + 0.6 * cells.shape[0]), layout="constrained")
    colours = "Blues" if metric.endswith("accuracy") else "Blues_r"
    values = cells.to_numpy(float)
    image = axis.imshow(values, cmap=colours, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        red, green, blue, _ = image.cmap(image.norm(value)) if np.isfinite(value) else (1, 1, 1, 1)
        colour = "black" if 0.3 * red + 0.6 * green + 0.1 * blue > 0.5 else "white"
        axis.text(column, row, f"{value:.4f}" if np.isfinite(value) else "-", ha="center", va="center", color=colour)
    axis.set(title=metric.replace("_", " "), xlabel=cells.columns.name, ylabel=cells.index.name)
    axis.set_xticks(range(cells.shape[1]), [str(value) for value in cells.columns])
    axis.set_yticks(range(cells.shape[0]), [str(value) for value in cells.index])
    axis.grid(False)
    return figure
