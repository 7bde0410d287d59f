"""Make the table of a sweep, with a row for each point; rank its configurations.

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
from pipeline.sweeps.sweep import UNFINISHED, Point, Sweep, read_sweep

CONFIGURATION = [name for name in NAMES if name != "seed"]
RESULTS = [*TrainingMetrics.model_fields, *TEST_METRICS]
TIMES = ["started", "duration_s", "error"]
NOT_RUN = "not run"
LEFT = (NOT_RUN, *filter(None, UNFINISHED))  # statuses of points that have not ended
# What to do about points that ended with these statuses.
ADVICE = {
    Status.DIED: "Give the same command again to train dead points once more, or "
    "remove them from the file",
    Status.FAILED: "The option --retry-failed trains failed points again",
    Status.DIVERGED: "The same parameters diverge again: change them",
}


def make_config_key(parameters: Any) -> str:
    """Return the key of a configuration: the id of its parameters without the seed."""
    return make_id({name: parameters[name] for name in CONFIGURATION})


def make_table(sweep: Sweep) -> pd.DataFrame:
    """Return a row for each point, in the order of the points.

    A row has the point's configuration, status, parameters, metrics and times. Unknown
    values are None, or NaN if they are numbers.
    """
    table = pd.DataFrame(map(_make_row, sweep.points.values()))
    # Until a point has ended, pandas does not recognise these as numbers and times.
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
    row |= {"status": str(point.status or NOT_RUN)} | values
    row |= {name: getattr(metrics, name, None) for name in TrainingMetrics.model_fields}
    row |= {name: getattr(tested, name, None) for name in TEST_METRICS}
    return row | {name: getattr(record, name, None) for name in TIMES}


def rank_configurations(
    table: pd.DataFrame, definition: SweepDefinition
) -> pd.DataFrame:
    """Return a row for each configuration of a sweep's table, the best first.

    A row has the parameters except the seed, the number of its `points`, the number of
    `seeds` that have finished, and the `mean`, the `lowest` and the `highest` value of
    the metric over these seeds. A configuration is `complete` if all its points have
    finished and there are as many of them as in most configurations.

    Complete configurations come first, because fewer seeds may favour the others. Then
    the mean decides and, if means are equal, the other metric of the same images. Equal
    configurations keep their order, and those without any finished point come last.
    """
    split, _, measure = definition.select.partition("_")
    other = f"{split}_{'accuracy' if measure == 'error' else 'error'}"
    groups = table.groupby("configuration", sort=False)
    done = table[table["status"] == Status.DONE].groupby("configuration", sort=False)
    ranking = groups[CONFIGURATION].first()
    ranking["points"] = groups.size()
    ranking["seeds"] = done.size().reindex(ranking.index, fill_value=0)
    has_all = ranking["seeds"] == ranking["points"]
    usual = ranking["points"].mode().max()  # the largest of several modes
    ranking["complete"] = has_all & (ranking["points"] >= usual)
    for name, end in (("mean", "mean"), ("lowest", "min"), ("highest", "max")):
        ranking[name] = done[definition.select].agg(end).reindex(ranking.index)
    keys = pd.DataFrame(
        {
            "incomplete": ~ranking["complete"],
            "mean": _make_sort_key(ranking["mean"], definition.select),
            "other": _make_sort_key(done[other].mean().reindex(ranking.index), other),
        }
    )
    order = keys.sort_values(list(keys.columns), kind="stable").index
    return pd.DataFrame(ranking.loc[order]).reset_index()


def _make_sort_key(means: pd.Series, metric: str) -> pd.Series:
    """Return means, with the sign changed if necessary, so that the best is smallest.

    They are rounded, because a sum in another order differs in its last digits.
    """
    return (means if metric.endswith("error") else -means).round(12)


def select_configuration(
    table: pd.DataFrame, definition: SweepDefinition
) -> tuple[pd.Series | None, str]:
    """Return the best configuration (a row of the ranking) and a reason.

    The reason says why the configuration cannot be selected yet, and is "" if it is
    selected. If the sweep has not ended, the best configuration so far is returned. If
    there is nothing to select, it is None. Only complete ones are selected. If a point
    has died, nothing is selected, because the next start of the sweep trains that point
    again, and may select another configuration.
    """
    best = rank_configurations(table, definition).iloc[0]
    if best["seeds"] == 0:
        return None, "Nothing is selected: no point has finished"
    if table["status"].isin(LEFT).any():
        done = sum(table["status"] == Status.DONE)
        return best, f"leads so far, of {done} of {len(table)} points"
    died = table[table["status"] == Status.DIED]
    if len(died):
        point = died.iloc[0]
        values = describe_values(point, [*find_varied(table), "seed"])
        more = f", and {len(died) - 1} more have" if len(died) > 1 else " has"
        problem = f"point {point['id']} ({values}){more} died"
        return None, f"Nothing is selected: {problem}. {ADVICE[Status.DIED]}"
    if not best["complete"]:
        problem = "no configuration has finished with as many seeds as most have"
        return None, f"Nothing is selected: {problem}"
    return best, ""


def find_points(table: pd.DataFrame, best: pd.Series) -> list[str]:
    """Return the ids of the finished points of a configuration, such as the best."""
    done = table[table["status"] == Status.DONE]
    return list(done.loc[done["configuration"] == best["configuration"], "id"])


def find_varied(table: pd.DataFrame) -> list[str]:
    """Return the parameters, other than the seed, that differ among the points."""
    return [name for name in CONFIGURATION if table[name].nunique() > 1]


def has_failed(table: pd.DataFrame, definition: SweepDefinition) -> pd.Series:
    """Return, for each point of a sweep's table, whether it ended without a result.

    If a candidate of a random search diverges, that counts as a result.
    """
    not_failed = [*LEFT, Status.DONE]
    if definition.random:
        not_failed.append(Status.DIVERGED)
    return ~table["status"].isin(not_failed)


def describe_values(row: pd.Series, parameter_names: Sequence[str]) -> str:
    """Return the values of these parameters in a row of a table, as text."""
    values = {name: row[name] for name in parameter_names}
    return format_parameters(values) or "the only configuration"


def describe_seeds(best: pd.Series) -> str:
    """Describe a configuration's seeds: ", mean of 3 seeds", ", 2 of 3 seeds" or ""."""
    if best["seeds"] < best["points"]:
        return f", {best['seeds']} of {best['points']} seeds"
    return f", mean of {best['seeds']} seeds" if best["seeds"] > 1 else ""


def describe_selection(
    best: pd.Series | None, reason: str, parameter_names: Sequence[str]
) -> str:
    """Describe what `select_configuration` returned: a configuration and a reason."""
    if best is None:
        return reason
    return f"{reason or 'selected'}: {describe_values(best, parameter_names)}"


def describe_failures(table: pd.DataFrame, definition: SweepDefinition) -> str:
    """Describe the points of a sweep's table that have failed, and what to do about it.

    Points with equal errors share a line. At most 20 such lines are returned.
    """
    failed = table[has_failed(table, definition)]
    if failed.empty:  # all candidates of a search have diverged
        failed = table[table["status"] == Status.DIVERGED]
    lines = [f"{len(failed)} of {format_count(len(table), 'point')} did not finish:"]
    errors = failed["error"].fillna("").str.partition("\n")[0]
    groups = failed.groupby(["status", errors], sort=False)["id"]
    for (status, error), ids in list(groups)[:20]:
        more = f" and {len(ids) - 1} more" if len(ids) > 1 else ""
        lines.append(f"{ids.iloc[0]}{more} {status}: {error}")
    statuses = set(failed["status"])
    lines += [f"{ADVICE[status]}." for status in ADVICE if status in statuses]
    return "\n".join(lines)


def format_count(number: int, noun: str) -> str:
    """Return a number with its noun: "1 point", "2 points" and so on."""
    return f"1 {noun}" if number == 1 else f"{number:,} {noun}s"


def find_selected(run_dir: str) -> list[str]:
    """Return the folders of a sweep's selected points, or the folder of a run itself.

    Raises InvalidFile if the sweep has not ended, or has nothing to select.
    """
    if not (BASE / run_dir / "sweep.json").exists():
        return [run_dir]
    sweep = read_sweep(run_dir)
    table = make_table(sweep)
    best, reason = select_configuration(table, sweep.definition)
    if best is None or reason:
        is_unfinished = table["status"].isin(LEFT).any()
        step = "Run the sweep again." if is_unfinished else ""
        problem = f"has not ended with a selection: {reason}"
        raise InvalidFile(sweep.path, problem, step)
    return [sweep.points[name].folder.display_path for name in find_points(table, best)]
