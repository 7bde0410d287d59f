"""Make the tables and plots of a sweep's report.

They also say which configurations have met the test images, that is, have been
evaluated on them.
"""

import base64
import html
import math
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from pydantic import ValidationError

from pipeline import plots
from pipeline.errors import InvalidRecord
from pipeline.parameters import NAMES, describe
from pipeline.provenance import has_published_helpers
from pipeline.published import round_metric
from pipeline.records import (
    SELECTION_METRICS,
    TRAIN_METRICS,
    SelectionMetric,
    SweepDefinition,
    TestEvaluation,
)
from pipeline.runs import TEST_EVALUATIONS
from pipeline.sweeps.execution import make_row
from pipeline.sweeps.points import Point, SweepFolder
from pipeline.sweeps.ranking import Configuration

SELECTED: dict[str, Any] = {"color": plots.VALIDATION, "zorder": 3}
OTHER: dict[str, Any] = {
    "color": "#8A8A8A",
    "zorder": 2,
    "linestyle": "--",
    "linewidth": 0.8,
}
MAX_DRAWN = 200  # configurations in a plot
APART = 0.13  # the least distance between two labels, as a fraction of the axis
ROUNDED = ("mean", "lowest", "highest", *SELECTION_METRICS)


def make_results(points: Iterable[Point]) -> pd.DataFrame:
    """Return a row for each point: its parameters, status and metrics."""
    return pd.DataFrame(map(make_row, points))


def make_ranking(
    configurations: Iterable[Configuration], names: Sequence[str]
) -> pd.DataFrame:
    """Return a row for each configuration: these parameters, and its metric.

    The metric has three columns: its mean over the seeds, the lowest and the highest.
    """
    rows = []
    for each in configurations:
        values = each.find_values(each.metric) or [math.nan]
        row = {name: each.parameters[name] for name in names}
        row |= {
            "seeds": len(each.finished),
            "complete": each.is_complete,
            "mean": each.mean,
        }
        rows.append(row | {"lowest": min(values), "highest": max(values)})
    return pd.DataFrame(rows)


def read_test_evaluations(folder: SweepFolder) -> list[TestEvaluation]:
    """Read which points have met the test images, in the order in which they have.

    Points that are no longer in the sweep's file, or have been trained again since, are
    among them. Raises InvalidRecord if the file is damaged.
    """
    path = folder.path / TEST_EVALUATIONS
    if not path.exists():
        return []
    lines = path.read_bytes().splitlines()
    try:
        return [TestEvaluation.model_validate_json(line) for line in lines]
    except ValidationError as error:
        problem = f"is damaged ({error.errors()[0]['msg']})"
        next_step = "Remove the line that was not written by this project."
        raise InvalidRecord(path, problem, next_step) from None


def find_looks(evaluations: Sequence[TestEvaluation]) -> dict[str, str]:
    """Describe each configuration that has met the test images, by its key.

    The key consists of the parameters without the seed, and the code. So a
    configuration that was trained again with other code counts once more.
    """
    looks: dict[str, list[TestEvaluation]] = {}
    for evaluation in evaluations:
        key = make_look_key(evaluation.parameters, evaluation.code)
        looks.setdefault(key, []).append(evaluation)
    firsts = [look[0].parameters for look in looks.values()]
    names = [
        name
        for name in NAMES
        if name != "seed" and len({str(first.get(name)) for first in firsts}) > 1
    ]
    texts = {}
    for key, look in looks.items():
        first = look[0]
        what = describe({name: first.parameters.get(name) for name in names})
        accuracy = fmean(each.test_accuracy for each in look)
        seeds = len({each.point for each in look})
        texts[key] = (
            f"{first.time:%Y-%m-%d %H:%M} UTC: {what or 'the only configuration'}, "
            f"code {first.code}: test_accuracy {accuracy:.4f}, "
            f"over {seeds} seed{'s' * (seeds > 1)}"
        )
    return texts


def describe_looks(
    evaluations: Sequence[TestEvaluation], selected: Sequence[str]
) -> list[str]:
    """Return lines that say which configurations have met the test images.

    They also say whether the selected one was the first. selected: the ids of its
    points.
    """
    looks = find_looks(evaluations)
    own = [each for each in evaluations if each.point in selected]
    lines = [
        f"configurations of this sweep that have met the test images: {len(looks)}"
    ]
    if own:
        last = own[-1]
        earlier = evaluations[: evaluations.index(last)]
        keys = {make_look_key(each.parameters, each.code) for each in earlier}
        before = len(keys - {make_look_key(last.parameters, last.code)})
        if before:
            others = "1 other" if before == 1 else f"{before} others"
            lines.append(
                f"{others} had met them before the selected one was evaluated, "
                "so its test accuracy is no longer that of unseen images."
            )
        else:
            lines.append(
                "The selected one was the first: its accuracy is of unseen images."
            )
    return lines + (list(looks.values()) if len(looks) > 1 else [])


def make_look_key(values: Mapping[str, Any], code: str) -> str:
    return describe({name: values.get(name) for name in NAMES if name != "seed"}) + code


def find_edges(ranking: pd.DataFrame, names: Iterable[str]) -> list[str]:
    """Describe the parameters whose selected value is the smallest or largest tried."""
    edges = []
    for name in names:
        values, chosen = sorted(ranking[name].unique()), ranking.loc[0, name]
        for which, end in (("smallest", values[0]), ("largest", values[-1])):
            if chosen == end and not isinstance(end, str):
                edges.append(
                    f"{name} {end} is the {which} of {len(values)} values tried"
                )
    return edges


def describe_certainty(values: Sequence[float], metric: str, images: int) -> str:
    """Return in words a metric's mean, and how certain it is.

    values: one for each seed; their range is given. images: on how many each was
    measured; of an accuracy, the standard error for so many images is given. It is not
    0 even if all of them are classified correctly.

    Source: A. Agresti and B. Coull (1998), The American Statistician 52, 119-126.
    """
    mean, measured = fmean(values), f"{images:,} images"
    if metric.endswith("accuracy"):
        centre = (mean * images + 2) / (images + 4)
        error = math.sqrt(centre * (1 - centre) / (images + 4))
        measured = f"standard error of {measured}: {error:.2g}"
    spread = f"range over {len(values)} seeds: {min(values):.4f} to {max(values):.4f}; "
    return (
        f"{metric} {mean:.4f} ({spread if len(values) > 1 else 'one seed; '}{measured})"
    )


def to_html(
    table: pd.DataFrame,
    name: str,
    find_page: Callable[[str], str] | None = None,
    download: pd.DataFrame | None = None,
) -> str:
    """Return a table as HTML, and below it a link that downloads it as CSV.

    The scripts of a report make the table sortable. find_page: returns the address of a
    point's report by the point's id, or "". download: another table for the link.
    """

    def to_text(column: str, value: Any) -> str:
        if pd.isna(value):
            return "-"
        if column in ROUNDED:
            return round_metric(value)
        page = find_page(value) if find_page and column == "id" else ""
        text = html.escape(str(value))
        return f'<a href="{page}">{text}</a>' if page else text

    texts = {
        name: [to_text(name, value) for value in table[name]] for name in table.columns
    }
    words = {
        name: name.replace("_", " ") for name in table.columns if name not in NAMES
    }
    words |= {
        name: f"{words[name]}, under dropout" for name in TRAIN_METRICS if name in words
    }
    shown = pd.DataFrame(texts).rename(columns=words)
    body = shown.to_html(classes="sortable", index=False, border=0, escape=False)
    content = (table if download is None else download).to_csv(index=False)
    address = f"data:text/csv;base64,{base64.b64encode(content.encode()).decode()}"
    return (
        f'{body}\n<p><a download="{name}.csv" href="{address}">Download as CSV</a></p>'
    )


def place(values: Iterable[Any], is_log: bool) -> dict[Any, float]:
    """Return the position of each value on an axis from 0 to 1.

    Numbers are placed to scale, linear or logarithmic, and texts at equal distances.
    """
    ordered = sorted(set(values))
    numbers = [*range(len(ordered))] if isinstance(ordered[0], str) else ordered
    if is_log:
        numbers = [*map(math.log, ordered)]
    width = numbers[-1] - numbers[0]
    places = [(number - numbers[0]) / width if width else 0.5 for number in numbers]
    return dict(zip(ordered, places, strict=True))


def find_log_scales(
    ranking: pd.DataFrame, names: Iterable[str], sweep: SweepDefinition
) -> set[str]:
    """Return the parameters whose axes are logarithmic.

    These are the ones that were drawn log-uniformly. Of parameters that were not drawn,
    they are those whose values span a factor of ten or more.
    """
    logs: set[str] = set()
    for name in names:
        low, high, drawn = min(ranking[name]), max(ranking[name]), sweep.drawn.get(name)
        if not isinstance(low, str) and low > 0:
            is_log = drawn.distribution == "log_uniform" if drawn else high / low >= 10
            logs |= {name} if is_log else set()
    return logs


def pick_labels(places: dict[Any, float]) -> dict[float, str]:
    """Return the labels of an axis by their positions, but none that would overlap."""
    labels: dict[float, str] = {}
    for value, at in places.items():
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
        places = place(table[name], name in logs)
        others = [other for other in names if other != name]
        lines = [line for _, line in table.groupby(others)] if others else [table]
        # Several bars at one value are drawn side by side.
        apart = 0.12 if len(lines) < len(table) else 0
        for number, line in enumerate(lines):
            line = line.sort_values(name)
            shift = apart * ((number + 0.5) / len(lines) - 0.5)
            at = line[name].map(places) + shift
            bars = [line["mean"] - line["lowest"], line["highest"] - line["mean"]]
            # Because of rounding, the mean of equal values may lie outside their range.
            bars = [bar.clip(0) for bar in bars]
            looks = SELECTED if best.name in line.index else OTHER
            axis.errorbar(
                at, line["mean"], bars, marker="o", markersize=4, capsize=2, **looks
            )
            if looks is SELECTED:
                axis.plot(
                    places[best[name]] + shift,
                    best["mean"],
                    "o",
                    markersize=9,
                    **SELECTED,
                )
        labels = pick_labels(places)
        axis.set(title=name, xlabel=f"{name}, values swept", xlim=(-0.1, 1.1))
        axis.set_xticks(list(labels), list(labels.values()))
    for axis in axes[:, 0]:
        axis.set_ylabel(label_metric(metric))
    return figure


def find_remarks(points: Iterable[Point]) -> list[str]:
    """Return remarks on the code that trained the points: a note, a changed network."""
    records = [point.record for point in points if point.record]
    remarks = {record.note for record in records if record.note}
    if not all(has_published_helpers(record.inputs) for record in records):
        remarks.add(
            "The network is that of a changed helpers.py, and not the project's own."
        )
    return sorted(remarks)


def order_metrics(metric: SelectionMetric) -> list[str]:
    """Return the metrics that a sweep can select by, first the one that it does."""
    return sorted(SELECTION_METRICS, key=lambda name: name != metric)


def find_first_rung(ranking: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Return the candidates of a search's first rung, the one that leads in front."""
    first = ranking[ranking["epochs"] == ranking["epochs"].min()]
    others = (first[names] != ranking.loc[0, names]).any(axis=1)
    return pd.DataFrame(first.loc[others.sort_values(kind="stable").index])


def describe_drawn(table: pd.DataFrame, metric: SelectionMetric) -> str:
    """Return a caption for `draw_candidates`: how many it draws, and by which metric.

    table: the ranking, whose first row is the selected configuration. In a search by
    halving it has the rows of one rung.
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
    places = {name: place(table[name], name in logs) for name in columns}
    for number, (_, row) in enumerate(table.iterrows(), 1):
        is_best = number == len(table)
        look = (
            SELECTED
            if is_best
            else {"color": plt.get_cmap("Blues")(0.2 + 0.7 * number / len(table))}
        )
        heights = [places[name][row[name]] for name in columns]
        axis.plot(heights, linewidth=2.5 if is_best else 1, **look)
    for x, name in enumerate(columns):
        axis.axvline(x, color=plots.TEST, linewidth=0.8, zorder=0)
        for at, label in pick_labels(places[name]).items():
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
