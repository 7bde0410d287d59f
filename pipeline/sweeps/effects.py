"""Draw how the parameters of a sweep affect its metric: the plots of its report."""

import math
from collections.abc import Container, Iterable, Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from pipeline.network.published import round_metric
from pipeline.parameters import describe
from pipeline.records import SelectionMetric, SweepDefinition
from pipeline.reports import plots

SELECTED: dict[str, Any] = {"color": plots.VALIDATION, "zorder": 3}
OTHER: dict[str, Any] = {
    "color": "#8A8A8A",
    "zorder": 2,
    "linestyle": "--",
    "linewidth": 0.8,
}
MAX_DRAWN = 200  # configurations in a plot
APART = 0.13  # the least distance between two labels, as a fraction of the axis


def find_positions(values: Iterable[Any], is_log: bool) -> dict[Any, float]:
    """Return the position of each value on an axis from 0 to 1.

    Numbers are placed to scale, linear or logarithmic, and texts at equal distances.
    """
    ordered = sorted(set(values))
    numbers = [*range(len(ordered))] if isinstance(ordered[0], str) else ordered
    if is_log:
        numbers = [*map(math.log, ordered)]
    width = numbers[-1] - numbers[0]
    positions = [(number - numbers[0]) / width if width else 0.5 for number in numbers]
    return dict(zip(ordered, positions, strict=True))


def find_log_scales(
    ranking: pd.DataFrame, names: Iterable[str], sweep: SweepDefinition
) -> set[str]:
    """Return the parameters whose axes are logarithmic.

    These are the ones that were drawn log-uniformly. Among the others, they are
    those whose values span a factor of ten or more.
    """
    logs: set[str] = set()
    for name in names:
        low, high, drawn = min(ranking[name]), max(ranking[name]), sweep.drawn.get(name)
        if not isinstance(low, str) and low > 0:
            is_log = drawn.distribution == "log_uniform" if drawn else high / low >= 10
            logs |= {name} if is_log else set()
    return logs


def pick_labels(positions: dict[Any, float]) -> dict[float, str]:
    """Return the labels of an axis by their positions, but none that would overlap."""
    labels: dict[float, str] = {}
    for value, at in positions.items():
        if not labels or at - max(labels) >= APART:
            labels[at] = str(value) if isinstance(value, str) else f"{value:.4g}"
    return labels


def draw_effects(
    ranking: pd.DataFrame,
    names: Sequence[str],
    metric: SelectionMetric,
    logs: Container[str] = (),
) -> Figure:
    """Draw the metric over the values of each parameter, in axes of its own.

    A line joins configurations that differ in that parameter alone. A bar reaches from
    the lowest to the highest seed. The large dot is the best configuration.
    """
    complete = ranking[ranking["complete"]]
    table = (ranking.dropna(subset="mean") if complete.empty else complete).head(
        MAX_DRAWN
    )
    best = table.iloc[0]
    rows = -(-len(names) // 3)  # of three axes at most
    columns = -(-len(names) // rows)
    figure = plt.figure(
        figsize=(min(9, 3.6 * columns + 1), 3.4 * rows), layout="constrained"
    )
    axes = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axis in axes.flat[len(names) :]:
        axis.remove()
    for axis, name in zip(axes.flat, names, strict=False):
        positions = find_positions(table[name], name in logs)
        others = [other for other in names if other != name]
        lines = [line for _, line in table.groupby(others)] if others else [table]
        # Several bars at one value are drawn side by side.
        apart = 0.12 if len(lines) < len(table) else 0
        for number, line in enumerate(lines):
            line = line.sort_values(name)
            shift = apart * ((number + 0.5) / len(lines) - 0.5)
            at = line[name].map(positions) + shift
            bars = [line["mean"] - line["lowest"], line["highest"] - line["mean"]]
            # Because of rounding, the mean of equal values may lie outside their range.
            bars = [bar.clip(0) for bar in bars]
            looks = SELECTED if best.name in line.index else OTHER
            axis.errorbar(
                at, line["mean"], bars, marker="o", markersize=4, capsize=2, **looks
            )
            if looks is SELECTED:
                axis.plot(
                    positions[best[name]] + shift,
                    best["mean"],
                    "o",
                    markersize=9,
                    **SELECTED,
                )
        labels = pick_labels(positions)
        axis.set(title=name, xlabel=f"{name}, values swept", xlim=(-0.1, 1.1))
        axis.set_xticks(list(labels), list(labels.values()))
    for axis in axes[:, 0]:
        axis.set_ylabel(label_metric(metric))
    return figure


def find_first_rung(ranking: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Return the candidates of a search's first rung, the leader first."""
    first = ranking[ranking["epochs"] == ranking["epochs"].min()]
    others = (first[names] != ranking.loc[0, names]).any(axis=1)
    # The leader is the one that is not among the others, and False comes first.
    return pd.DataFrame(first.loc[others.sort_values(kind="stable").index])


def describe_drawn(table: pd.DataFrame, metric: SelectionMetric) -> str:
    """Return a caption for `draw_candidates`: how many it draws, and by which metric.

    table: the ranking, whose first row is the selected configuration; in a search by
        halving, the rows of one rung.
    """
    drawn = min(len(table.dropna(subset="mean")), MAX_DRAWN)
    which = "All" if drawn == len(table) else f"{drawn} of"
    when = f" after {table['epochs'].iloc[0]} epochs" if "epochs" in table else ""
    value = round_metric(table["mean"].iloc[0])
    text = f"{which} {len(table)} candidates by their {metric}{when}"
    return f"{text}, where the selected one has {value}"


def draw_candidates(
    ranking: pd.DataFrame,
    names: Sequence[str],
    metric: SelectionMetric,
    logs: Container[str] = (),
) -> Figure:
    """Draw each configuration as a line in parallel coordinates.

    The line goes through the configuration's values and its metric. The darker it is,
    the better the configuration. The selected one, the first, is thick and orange.
    """
    # In reverse order, so that the first configuration is drawn last and lies on top.
    table = ranking.dropna(subset="mean").head(MAX_DRAWN)[::-1]
    figure, axis = plt.subplots(figsize=(9, 4), layout="constrained")
    columns = [*names, "mean"]
    positions = {name: find_positions(table[name], name in logs) for name in columns}
    for number, (_, row) in enumerate(table.iterrows(), 1):
        is_best = number == len(table)
        look = (
            SELECTED
            if is_best
            else {"color": plt.get_cmap("Blues")(0.2 + 0.7 * number / len(table))}
        )
        heights = [positions[name][row[name]] for name in columns]
        axis.plot(heights, linewidth=2.5 if is_best else 1, **look)
    for x, name in enumerate(columns):
        axis.axvline(x, color=plots.TEST, linewidth=0.8, zorder=0)
        for at, label in pick_labels(positions[name]).items():
            axis.text(
                x + 0.03,
                at,
                label,
                fontsize=9,
                bbox={"fc": "w", "ec": "none", "pad": 0.5},
            )
    axis.set(xlim=(-0.1, len(columns) - 0.7), yticks=[])
    axis.set_xticks(range(len(columns)), [*names, metric])
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    return figure


def draw_rungs(
    ranking: pd.DataFrame, names: Sequence[str], metric: SelectionMetric
) -> Figure:
    """Draw the metric over the epochs of the rungs, a line for each candidate.

    A line ends at the rung in which its candidate was eliminated.
    """
    others = [name for name in names if name != "epochs"]
    table = ranking.dropna(subset="mean")
    best = table.iloc[0]
    figure, axis = plt.subplots(figsize=(9, 4), layout="constrained")
    for _, line in table.sort_values("epochs").groupby(others or ["seeds"]):
        look = SELECTED if best.name in line.index else OTHER
        axis.plot(line["epochs"], line["mean"], marker="o", markersize=4, **look)
    epochs = sorted(table["epochs"].unique())
    label = describe({name: best[name] for name in others}).replace(", ", "\n")
    axis.annotate(
        label,
        (best["epochs"], best["mean"]),
        (8, 0),
        textcoords="offset points",
        va="top",
    )
    axis.set(
        xscale="log",
        xlabel="epochs, on a logarithmic scale",
        ylabel=label_metric(metric),
    )
    axis.set_xticks(epochs, epochs, minor=False)
    axis.set_xlim(epochs[0] / 1.1, epochs[-1] * 2)
    axis.minorticks_off()
    return figure


def label_metric(metric: SelectionMetric) -> str:
    return metric.replace("_", " ") + (
        " (fraction)" if metric.endswith("accuracy") else ""
    )
