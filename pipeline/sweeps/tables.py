"""Make the tables of a sweep's report, and the sentences about its metrics."""

import base64
import html
import math
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean
from typing import Any

import pandas as pd

from pipeline.network.published import round_metric
from pipeline.parameters import NAMES
from pipeline.records import (
    SELECTION_METRICS,
    TRAIN_METRICS,
    SelectionMetric,
)
from pipeline.results.provenance import has_published_helpers
from pipeline.sweeps.points import Point
from pipeline.sweeps.ranking import Configuration
from pipeline.sweeps.results import make_row

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


def find_edges(ranking: pd.DataFrame, names: Iterable[str]) -> list[str]:
    """Describe the parameters whose selected value is the smallest or largest tried."""
    edges = []
    for name in names:
        values = sorted(ranking[name].unique())
        selected = ranking.loc[0, name]
        for which, end in (("smallest", values[0]), ("largest", values[-1])):
            if selected == end and not isinstance(end, str):
                edges.append(
                    f"{name} {end} is the {which} of {len(values)} values tried"
                )
    return edges


def describe_certainty(values: Sequence[float], metric: str, images: int) -> str:
    """Return in words a metric's mean, and how certain it is.

    values: the metric of each seed, whose range is given.
    images: the number of images that each was measured on.

    For an accuracy, the standard error for so many images is added. It is not 0 even if
    all of them are classified correctly.

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

    The scripts of a report make the table sortable.

    find_page: returns the address of a point's report by the point's id, or "".
    download: another table for the link.
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
        column: [to_text(column, value) for value in table[column]]
        for column in table.columns
    }
    titles = {}
    for column in table.columns:
        if column not in NAMES:
            titles[column] = column.replace("_", " ")
        if column in TRAIN_METRICS:
            titles[column] += ", under dropout"
    body = (
        pd.DataFrame(texts)
        .rename(columns=titles)
        .to_html(classes="sortable", index=False, border=0, escape=False)
    )
    content = (table if download is None else download).to_csv(index=False)
    address = f"data:text/csv;base64,{base64.b64encode(content.encode()).decode()}"
    return (
        f'{body}\n<p><a download="{name}.csv" href="{address}">Download as CSV</a></p>'
    )


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
