"""Make the table of a sweep's points, and rank the configurations of the sweep.

Configurations are compared by their mean over the seeds, because a single seed can be
lucky.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from pipeline.errors import InvalidFile
from pipeline.parameters import NAMES, format_parameters, make_id
from pipeline.paths import BASE
from pipeline.records import TEST_METRICS, Status, SweepDefinition, TrainingMetrics
from pipeline.results.stages import SWEEP
from pipeline.sweeps.sweep import ENDED, Point, Sweep, read_sweep

CONFIGURATION = [name for name in NAMES if name != "seed"]
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
    return make_id({name: parameters[name] for name in CONFIGURATION})


def make_table(sweep: Sweep) -> pd.DataFrame:
    """Return the table of a sweep, with a row for each point.

    A row has the id of the point, the key of its configuration, its status, parameters,
    metrics and times. Unknown values are None, or NaN if they are numbers.
    """
    table = pd.DataFrame(map(_make_row, sweep.points.values()))
    # Before a point has ended, pandas cannot tell that these are numbers and times.
    numbers = [name for name in RESULTS if name != "weights_sha256"]
    table = table.astype(dict.fromkeys(numbers, float))
    table["started"] = pd.to_datetime(table["started"], utc=True)
    return table


def _make_row(point: Point) -> dict[str, object]:
    record = None if point.status == Status.OUTDATED else point.record
    metrics = record.metrics if record else None
    tested = point.find_metrics()
    values = dict(point.parameters)
    row: dict[str, object] = {"id": point.id, "configuration": make_config_key(values)}
    row |= {"status": str(point.status)} | values
    row |= {name: getattr(metrics, name, None) for name in TrainingMetrics.model_fields}
    row |= {name: getattr(tested, name, None) for name in TEST_METRICS}
    return row | {name: getattr(record, name, None) for name in TIMES}


def rank_configurations(
    table: pd.DataFrame, definition: SweepDefinition
) -> pd.DataFrame:
    """Return a table with a row for each configuration of a sweep, the best first.

    table: the table of the sweep's points, from `make_table`.

    A row has the parameters except the seed, the number of `points` of the
    configuration, the number of `seeds` that have finished, and the `mean`, the
    `lowest` and the `highest` value of the metric over these seeds. A configuration is
    `complete` if all its points are done.

    Complete configurations come first, because the mean of a few seeds may be lucky.
    Then the mean decides. Configurations with equal means keep their order.
    Configurations without a finished point come last.
    """
    groups = table.groupby("configuration", sort=False)
    done = table[table["status"] == Status.DONE].groupby("configuration", sort=False)
    ranking = groups[CONFIGURATION].first()
    ranking["points"] = groups.size()
    ranking["seeds"] = done.size().reindex(ranking.index, fill_value=0)
    ranking["complete"] = ranking["seeds"] == ranking["points"]
    ends = done[definition.select].agg(["mean", "min", "max"])
    ranking = ranking.join(ends.set_axis(["mean", "lowest", "highest"], axis="columns"))
    # The last digits of a mean depend on the order of its values.
    ranking["mean"] = ranking["mean"].round(12)
    ascending = [False, definition.select.endswith("error")]
    ranking = ranking.sort_values(
        ["complete", "mean"], ascending=ascending, kind="stable"
    )
    return ranking.reset_index()


def select_configuration(
    table: pd.DataFrame, definition: SweepDefinition
) -> tuple[pd.Series | None, str]:
    """Return the best configuration, and the reason why it cannot be selected yet.

    The configuration is a row of the ranking. If the configuration is selected, the
    reason is "". Before all points have ended, the best configuration so far is
    returned with a reason. In all other cases, None is returned with a reason.

    Only complete configurations are selected. Failed points have not ended: the next
    start of the sweep trains them again, and may then select another configuration.
    """
    best = rank_configurations(table, definition).iloc[0]
    if best["seeds"] == 0:
        return None, "Nothing is selected: no point has finished"
    if not has_ended(table).all():
        done = sum(table["status"] == Status.DONE)
        return best, f"only {done} of {len(table)} points have finished"
    if not best["complete"]:
        problem = "no configuration has finished all its seeds"
        return None, f"Nothing is selected: {problem}"
    return best, ""


def find_points(table: pd.DataFrame, best: pd.Series) -> list[str]:
    """Return the ids of the finished points of a configuration.

    best: the configuration, a row of the ranking.
    """
    done = table[table["status"] == Status.DONE]
    return list(done.loc[done["configuration"] == best["configuration"], "id"])


def find_varied(table: pd.DataFrame) -> list[str]:
    """Return the names of parameters, except the seed, that differ between points."""
    return [name for name in CONFIGURATION if table[name].nunique() > 1]


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


def describe_seeds(best: pd.Series) -> str:
    """Return a text about the seeds of a complete configuration, or "" for one seed."""
    return f", mean of {best['seeds']} seeds" if best["seeds"] > 1 else ""


def describe_selection(
    best: pd.Series | None, reason: str, parameter_names: Sequence[str]
) -> str:
    """Return a text describing the configuration that `select_configuration` returned.

    best: the configuration, or None.
    reason: the reason why the configuration is not selected, or "".
    parameter_names: the parameters whose values the text has.
    """
    if best is None:
        return reason
    which = f"{reason}, best so far" if reason else "selected"
    return f"{which}: {describe_values(best, parameter_names)}"


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


def find_selected(run_dir: str) -> list[str]:
    """Return the folders of the selected points of a sweep.

    run_dir: the folder of a sweep, or the folder of a run, which is returned as it is.

    Raises InvalidFile if the sweep has not ended, or has nothing to select.
    """
    if not (BASE / run_dir / SWEEP).exists():
        return [run_dir]
    sweep = read_sweep(run_dir)
    table = make_table(sweep)
    best, reason = select_configuration(table, sweep.record)
    if best is None or reason:
        step = "" if has_ended(table).all() else "Run the sweep again."
        problem = f"has not ended with a selection: {reason}"
        raise InvalidFile(sweep.path, problem, step)
    return [sweep.points[name].folder.display_path for name in find_points(table, best)]
