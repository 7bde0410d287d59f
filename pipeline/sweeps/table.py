"""Make the table of a sweep's points, and describe its rows."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from pipeline.parameters import NAMES, format_parameters, make_id
from pipeline.records import TEST_METRICS, Status, TrainingMetrics
from pipeline.sweeps.sweep import ENDED, Point, Sweep

ALL_BUT_SEED = [name for name in NAMES if name != "seed"]
RESULTS = [*TrainingMetrics.model_fields, *TEST_METRICS]
TIMES = ["started", "duration_s", "error"]
# What to do about points that ended with these statuses.
ADVICE = {
    Status.FAILED: "The same command trains failed points again. If a point fails "
    "every time, take it out of the file",
    Status.DIVERGED: "The same parameters diverge again: change them",
}


def count_images(parameters: Any, metric: str) -> int:
    """Return the number of images that a metric of training is measured on."""
    split = "num_samples" if metric.startswith("train") else "num_validation"
    return int(parameters[split])


def make_config_key(parameters: Any) -> str:
    """Return the key of a configuration: the id of its parameters without the seed."""
    return make_id({name: parameters[name] for name in ALL_BUT_SEED})


def make_table(sweep: Sweep) -> pd.DataFrame:
    """Return the table of a sweep, with a row for each point.

    A row has the id of the point, the key of its configuration, its status, parameters,
    metrics and times. Unknown values are None, or NaN if they are numbers.
    """
    # With the type object, pandas keeps 0 and 1 in a column that also has 0.5.
    table = pd.DataFrame(map(_make_row, sweep.points.values()), dtype=object)
    numbers = [*RESULTS, *list_other_metrics(table), "duration_s"]
    numbers.remove("weights_sha256")
    return table.astype(dict.fromkeys(numbers, float))


def _make_row(point: Point) -> dict[str, object]:
    record = None if point.status == Status.OUTDATED else point.record
    metrics = record.metrics if record else None
    tested = point.find_metrics()
    values = dict(point.parameters)
    row: dict[str, object] = {"id": point.id, "configuration": make_config_key(values)}
    row |= {"status": str(point.status)} | values
    row |= {name: getattr(metrics, name, None) for name in TrainingMetrics.model_fields}
    row |= {name: getattr(tested, name, None) for name in TEST_METRICS}
    row |= {name: getattr(record, name, None) for name in TIMES}
    others = tested.model_extra if tested else None
    return row | (others or {})


def list_other_metrics(table: pd.DataFrame) -> list[str]:
    """Return the names of the metrics that only the notebooks of this project have."""
    known = {"id", "configuration", "status", *NAMES, *RESULTS, *TIMES}
    return [name for name in table.columns if name not in known]


def find_varied(table: pd.DataFrame) -> list[str]:
    """Return the names of parameters, except the seed, that differ between points."""
    return [name for name in ALL_BUT_SEED if table[name].nunique() > 1]


def has_ended(table: pd.DataFrame) -> pd.Series:
    """Return, for each point of a sweep's table, whether no start trains it again."""
    return table["status"].isin(ENDED)


def has_failed(table: pd.DataFrame) -> pd.Series:
    """Return, for each point of a sweep's table, whether it failed or diverged."""
    return table["status"].isin([*ADVICE])


def describe_values(row: pd.Series, parameter_names: Sequence[str]) -> str:
    """Return the values of some parameters as text.

    row: a row of the table of points or of the ranking.
    """
    values = {name: row[name] for name in parameter_names}
    return format_parameters(values) or "the only configuration"


def describe_failures(table: pd.DataFrame) -> str:
    """Return a text that lists the points that have failed, and says what to do.

    At most 20 points are listed.
    """
    failed = table[has_failed(table)]
    lines = [f"{len(failed)} of {format_count(len(table), 'point')} did not finish:"]
    names = [*find_varied(table), "seed"]
    for _, row in failed.head(20).iterrows():
        error, _, _ = str(row["error"]).partition("\n")
        lines.append(f"{describe_values(row, names)} {row['status']}: {error}")
    for status, advice in ADVICE.items():
        if (failed["status"] == status).any():
            lines.append(f"{advice}.")
    return "\n".join(lines)


def format_count(number: int, noun: str) -> str:
    """Return a number with its noun: "1 point", "2 points" and so on."""
    return f"1 {noun}" if number == 1 else f"{number:,} {noun}s"
