"""Say what a sweep has chosen, how far ahead it is, and how sure this is."""

import math
from collections.abc import Sequence

import pandas as pd

from pipeline.network.formats import (
    format_gap,
    format_percent,
    format_percent_interval,
    format_result,
)
from pipeline.records import Status
from pipeline.statistics import Difference, estimate_difference
from pipeline.sweeps import selection
from pipeline.sweeps.sweep import Sweep
from pipeline.sweeps.table import count_images, describe_values, find_varied

SPLITS = {"train": "training", "validation": "validation"}


def measure_gap(
    points: pd.DataFrame, metric: str, first: str, second: str
) -> Difference:
    """Return how much better one configuration is than another, paired by seed.

    points: the table of the sweep's points, from `make_table`.
    first, second: the keys of the two configurations.

    The reach is NaN if they share fewer than two seeds, because nothing then shows how
    much the difference varies.
    """
    done = points[points["status"] == Status.DONE].set_index("seed")
    ours, other = (
        done.loc[done["configuration"] == key, metric] for key in (first, second)
    )
    better, worse = (other, ours) if metric.endswith("error") else (ours, other)
    if len(ours.index.intersection(other.index)) < 2:
        return Difference(better.mean() - worse.mean(), math.nan)
    return estimate_difference(worse, better)


def describe_sweep(sweep: Sweep, points: pd.DataFrame) -> str:
    """Return sentences, in Markdown, on what a sweep has chosen, and how sure this is.

    points: the table of the sweep's points, from `make_table`. If all points of the
        chosen configuration have been evaluated, the sentences end with their test
        accuracy.
    """
    metric = sweep.record.select
    best, reason = selection.select_configuration(points, sweep.record)
    if best is None:
        return f"{reason}."
    names = find_varied(points)
    choice = f"**{describe_values(best, names)}**: {describe_mean(best, metric)}"
    if reason:
        return f"Best so far: {choice}. But {reason}."
    ranking = selection.rank_configurations(points, sweep.record)
    chosen = selection.find_points(points, best)
    tested = points.set_index("id").loc[chosen, "test_accuracy"]
    test = ""
    if tested.notna().all():
        images = sweep.points[chosen[0]].folder.read_metrics().test_images
        test = describe_test(tested, images, is_alone=len(ranking) == 1)
    if len(ranking) == 1:
        return test or f"{choice}."
    lead = describe_lead(points, ranking, metric)
    return " ".join([choice + lead, *list_unchosen(ranking, names, metric), test])


def describe_mean(best: pd.Series, metric: str) -> str:
    """Return the mean result of a configuration, a row of the ranking, as text."""
    images = count_images(best, metric)
    split = SPLITS[metric.partition("_")[0]]
    mean = format_result(metric, best["mean"], images)
    seeds = f", mean of {best['seeds']} seeds" if best["seeds"] > 1 else ""
    if metric.endswith("error"):
        return f"{split} error {mean}{seeds}"
    return f"{mean} of {images:,} {split} images{seeds}"


def describe_lead(points: pd.DataFrame, ranking: pd.DataFrame, metric: str) -> str:
    """Return how far the best configuration is ahead of the second, and how sure it is.

    The text continues a sentence, or ends it and begins the next one. Configurations
    that lack seeds are never the second.
    """
    best, others = ranking.iloc[0], ranking[1:]
    if others["mean"].isna().all():
        return ". No other configuration has a result."
    others = others[others["complete"]]
    if others.empty:
        return ". No other configuration has finished all its seeds."
    second = others.iloc[0]
    if best["mean"] == second["mean"]:
        return ". The second has the same result, and stands later in the YAML file."
    keys = best["configuration"], second["configuration"]
    gap = measure_gap(points, metric, *keys)
    size = format_gap(metric, gap.mean, gap.reach, count_images(best, metric))
    is_error = metric.endswith("error")
    ahead = f"{size} lower than the second's" if is_error else f"{size} points ahead"
    if gap.reach == 0:
        return f", {ahead} with each of {second['seeds']} seeds."
    ahead += "" if is_error else " of the second"
    if math.isnan(gap.reach):
        return f", {ahead}: nothing here shows how sure this is. Train more seeds."
    luck = "more than luck with the seeds" if gap.is_sure else "this may be luck"
    return f", {ahead} (paired by seed, 95 %): {luck}."


def list_unchosen(
    ranking: pd.DataFrame, parameter_names: Sequence[str], metric: str
) -> list[str]:
    """Return a sentence on each configuration whose mean is better, but lacks seeds."""
    best = ranking["mean"][0]
    is_error = metric.endswith("error")
    is_better = ranking["mean"] < best if is_error else ranking["mean"] > best
    return [
        f"{describe_values(row, parameter_names)} has a better mean, but only "
        f"{row['seeds']} of {row['points']} seeds: it was not chosen."
        for _, row in ranking[is_better].iterrows()
    ]


def describe_test(tested: pd.Series, images: int, is_alone: bool) -> str:
    """Return sentences, in Markdown, on the test accuracies of a configuration's seeds.

    images: the number of test images.
    is_alone: whether the sweep has no other configuration.
    """
    accuracy = format_percent(tested.mean(), images)
    seeds = ""
    if len(tested) > 1:
        low = format_percent(tested.min(), images).removesuffix(" %")
        high = format_percent(tested.max(), images)
        seeds = f", the mean of {len(tested)} seeds from {low} to {high}"
    interval = format_percent_interval(tested.mean(), images)
    result = f"Test: {accuracy} of {images:,} images{seeds}"
    if is_alone:
        result = f"**{accuracy}** of {images:,} test images classified correctly{seeds}"
    return f"{result}. The 95 % interval for other images is {interval}."
