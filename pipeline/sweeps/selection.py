"""Rank the configurations of a sweep, and select one.

Configurations are compared by their mean over the seeds, because a single seed can be
lucky.
"""

import pandas as pd

from pipeline.errors import InvalidFile
from pipeline.paths import BASE
from pipeline.records import Status
from pipeline.results.stages import SWEEP
from pipeline.sweep_records import SweepDefinition
from pipeline.sweeps.sweep import read_sweep
from pipeline.sweeps.table import ALL_BUT_SEED, has_ended, make_table


def rank_configurations(
    table: pd.DataFrame, definition: SweepDefinition
) -> pd.DataFrame:
    """Return a table with a row for each configuration of a sweep, the best first.

    table: the table of the sweep's points, from `make_table`.

    A row has the parameters except the seed, the number of `points` of the
    configuration, the number of `seeds` that have finished, and the `mean` of the
    metric over these seeds. A configuration is `complete` if all its points are done.
    Its `duration_s` is the mean over its points, or NaN if no point has one.

    Complete configurations come first, because the mean of a few seeds may be lucky.
    Then the mean decides. Configurations with equal means keep their order.
    Configurations without a finished point come last.
    """
    groups = table.groupby("configuration", sort=False)
    done = table[table["status"] == Status.DONE].groupby("configuration", sort=False)
    ranking = groups[ALL_BUT_SEED].first()
    ranking["points"] = groups.size()
    ranking["seeds"] = done.size().reindex(ranking.index, fill_value=0)
    ranking["complete"] = ranking["seeds"] == ranking["points"]
    # The last digits of a mean depend on the order of its values.
    ranking["mean"] = done[definition.select].mean().round(12)
    ranking["duration_s"] = groups["duration_s"].mean()
    ascending = [False, definition.select.endswith("error")]
    ranking = ranking.sort_values(
        ["complete", "mean"], ascending=ascending, kind="stable"
    )
    return ranking.reset_index()


def select_configuration(
    table: pd.DataFrame, definition: SweepDefinition
) -> tuple[pd.Series | None, str]:
    """Return the best configuration, and the reason why it cannot be selected yet.

    The configuration is a row of the ranking. If it is selected, the reason is "".
    Otherwise it is only the best one so far, or None if there is no such one.

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
