"""Read the records of trainings, and estimate means over blocks of images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats


def read_record(name: str) -> pd.DataFrame:
    """Return a record: a row for each training."""
    return pd.read_csv(Path(__file__).with_name(f"{name}.csv"))


def estimate_mean(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean, and how far its 95 % interval reaches to either side.

    The interval is Student's, with len(values) - 1 degrees of freedom.
    """
    error = np.std(values, ddof=1) / len(values) ** 0.5
    return float(np.mean(values)), float(stats.t.ppf(0.975, len(values) - 1) * error)


def format_mean(values: Sequence[float]) -> str:
    """Return the mean and the reach of its 95 % interval, such as "5.7 ± 0.6"."""
    return "{:.1f} ± {:.1f}".format(*estimate_mean(values))


def choose_on_others(rows: pd.DataFrame, settings: list[str]) -> pd.Series:
    """Return the test accuracy of each block at a setting that other blocks choose.

    rows: one training for each block and each combination of the columns `settings`.

    A setting is such a combination and a number of epochs. For each block the setting
    is chosen that has the best mean validation accuracy on all other blocks.
    """
    rows = rows.dropna(axis="columns", how="all").fillna(0)  # 0 after an overflow
    tests = [name for name in rows if name.startswith("test_")]
    validations = [name.replace("test", "validation") for name in tests]
    test = rows.pivot(index="block", columns=settings, values=tests)
    validation = rows.pivot(index="block", columns=settings, values=validations)
    accuracies = {}
    for block in test.index:
        best = validation.drop(block).mean().argmax()
        accuracies[block] = test.loc[block].iloc[best] / 100
    return pd.Series(accuracies)
