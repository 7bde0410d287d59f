"""Compare finished runs and sweeps, for compare.ipynb and its page."""

import itertools
import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from pipeline.digests import digest_arrays
from pipeline.errors import InvalidFile, InvalidInput
from pipeline.execution import notebooks, runs
from pipeline.images import data
from pipeline.network import baselines
from pipeline.parameters import Parameters
from pipeline.paths import NOTEBOOKS, to_display_path
from pipeline.records import History, Metrics, RunRecord
from pipeline.reports import page
from pipeline.results.files import check_page
from pipeline.results.model import Model
from pipeline.results.run_folder import RunFolder
from pipeline.sweeps.evaluation import evaluate
from pipeline.sweeps.table import find_selected

LETTERS = "ABCDEF"  # as many as there are colours and line styles
LEVEL = 0.05  # the probability of an error, for all pairs together

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run, or a point of a sweep, as it is on disk."""

    folder: RunFolder
    record: RunRecord
    parameters: Parameters
    metrics: Metrics
    history: History
    model: Model


def read_columns(run_dirs: Sequence[str]) -> dict[str, dict[int, Run]]:
    """Read two to six finished runs or sweeps.

    Return, for each letter from A to F, a mapping from a seed to its run.

    A sweep stands for its selected points. But if one sweep alone is given, each of its
    points has a letter of its own. A run of `runs.DEFAULT_RUNS` is made if its folder
    is missing. Raises InvalidInput if these are not two to six different folders, and
    InvalidFile if one holds no finished run.
    """
    if len(run_dirs) == 1:
        run_dirs = find_selected(run_dirs[0])
    columns = [list(map(RunFolder, find_selected(each))) for each in run_dirs]
    paths = [folder.path.resolve() for folders in columns for folder in folders]
    if not 2 <= len(columns) <= len(LETTERS) or len(set(paths)) < len(paths):
        given = ", ".join(run_dirs[:6]) or "none"
        more = f" and {len(run_dirs) - 6} more" if len(run_dirs) > 6 else ""
        message = f"Give two to six different runs or sweeps, not {given}{more}"
        raise InvalidInput(f"{message}.")
    compared: dict[str, dict[int, Run]] = {}
    for letter, folders in zip(LETTERS, columns, strict=False):
        compared[letter] = {}
        for folder in folders:
            runs.make_default_run(folder.display_path)
            run = read_run(folder)
            compared[letter][run.parameters.seed] = run
    return compared


def read_run(folder: RunFolder) -> Run:
    """Read a finished run, or a point, which is evaluated first if it has not been."""
    if not folder.path.exists():
        raise InvalidFile(folder.path, "is not there", "Name a run or a sweep.")
    if folder.is_point and folder.metrics_path.name not in folder.read_record().outputs:
        evaluate([folder])
    record, parameters = folder.read_finished()
    results = folder.read_metrics(), folder.read_history(), folder.read_model()
    return Run(folder, record, parameters, *results)


def choose_networks(compared: Mapping[str, Mapping[int, Run]]) -> dict[str, Run]:
    """Return one run of each column, with the smallest seed that all share, if any."""
    shared = set.intersection(*(set(column) for column in compared.values()))
    return {
        letter: column[min(shared or column)] for letter, column in compared.items()
    }


def find_sweep(folder: RunFolder) -> str:
    """Return the folder of a point's sweep, as a path that commands take."""
    return to_display_path(folder.path.parent)


def identify_images(run: Run, split: str) -> tuple[Any, ...]:
    """Return what identifies the images of this split that a run was measured on.

    split: "validation" or "test".

    Validation images depend on how the training images were split, so the sizes of the
    split are part of the result.
    """
    parameters, inputs = run.parameters, run.record.inputs
    if split == "test":
        return inputs["array x_test"], inputs["array y_test"]
    sizes = parameters.num_samples, parameters.num_validation
    return inputs["array x_train"], inputs["array y_train"], *sizes


def estimate_difference(
    first: pd.Series, second: pd.Series, level: float = LEVEL
) -> dict[str, float]:
    """Estimate the mean of second - first, with its confidence interval.

    first, second: a metric by seed.
    level: the probability that the interval misses the mean.

    Seeds are independent. If at least two are shared, the differences are paired, and
    the interval is Student's. Otherwise it is Welch's, over all seeds, or nan if one
    side has a single seed.

    Source: B. L. Welch (1947), Biometrika 34, 28-35.
    """
    paired = (second - first).dropna()  # pandas aligns them by seed
    if len(paired) > 1:
        difference = paired.mean()
        error = np.sqrt(paired.var() / len(paired))
        degrees_of_freedom = len(paired) - 1.0
    else:
        difference = second.mean() - first.mean()
        counts = np.array([len(first), len(second)])
        variances = np.array([first.var(), second.var()]) / counts
        error = np.sqrt(variances.sum())
        # By Welch and Satterthwaite. 0 / 0 if neither side varies, or has one seed.
        with np.errstate(invalid="ignore"):
            degrees_of_freedom = error**4 / np.sum(variances**2 / (counts - 1))
    # If all seeds differ by the same amount, there is nothing to be uncertain about.
    reach = error * stdtrit(degrees_of_freedom, 1 - level / 2) if error != 0 else 0.0
    return {
        "first": len(first),
        "second": len(second),
        "shared": len(paired),
        "difference": difference,
        "standard error": error,
        "low": difference - reach,
        "high": difference + reach,
    }


def make_table(compared: Mapping[str, Mapping[int, Run]]) -> pd.DataFrame:
    """Return a row for each run, by its letter and its seed, with its metrics.

    Metrics that were not measured are nan. Two further columns, `validation images` and
    `test images`, are equal where the images are.
    """
    runs = {
        (letter, seed): run
        for letter, column in compared.items()
        for seed, run in column.items()
    }
    others = {"weights_sha256", "test_images"}
    rows = [run.metrics.model_dump(exclude=others) for run in runs.values()]
    index = pd.MultiIndex.from_tuples(runs, names=["letter", "seed"])
    table = pd.DataFrame(rows, index, dtype=float)
    for split in ("validation", "test"):
        images = [repr(identify_images(run, split)) for run in runs.values()]
        table[f"{split} images"] = images
    return table


def compare_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """Estimate, for each pair, the difference of each accuracy over the seeds.

    table: that of `make_table`.

    Accuracies that were measured on different images are left out. The interval of each
    pair has the level LEVEL / number of pairs (Bonferroni).
    """
    pairs = list(itertools.combinations(table.index.unique("letter"), 2))
    rows = {}
    for pair, split in itertools.product(pairs, ("validation", "test")):
        name, both = f"{split}_accuracy", table.loc[list(pair)]
        if both[f"{split} images"].nunique() == 1 and both[name].notna().all():
            first, second = (table.loc[letter, name] for letter in pair)
            row = estimate_difference(first, second, LEVEL / len(pairs))
            rows[", ".join(pair), f"{split} accuracy"] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def find_test_images(compared: Sequence[Run]) -> tuple[np.ndarray, np.ndarray]:
    """Return the test images (N, 784) and labels (N,) that all runs were evaluated on.

    Raises InvalidInput if a run had others.
    """
    folder, source = compared[0].folder, compared[0].parameters.source
    has_data = folder.data_path.exists()
    images = folder.read_data() if has_data else data.load_source(source)
    tests = {"array x_test": images.x_test, "array y_test": images.y_test}
    digests = {name: digest_arrays(array) for name, array in tests.items()}
    if any(
        run.record.inputs[name] != digests[name] for run in compared for name in tests
    ):
        problem = (
            f"Not all runs were evaluated on the test images that {source} has now"
        )
        raise InvalidInput(
            f"{problem}. Compare runs of one source, and run them again."
        )
    return images.x_test, images.y_test


def collect_answers(compared: Sequence[Run]) -> np.ndarray:
    """Return the answers (R, N) of R runs to the test images, as they stored them."""
    return np.stack([run.folder.read_answers() for run in compared])


def count_pairs(correct: np.ndarray, answers: np.ndarray) -> pd.DataFrame:
    """Count, for each pair of R runs, the images that both, one or neither reads right.

    correct (R, N) bool, answers (R, N). A row for each pair; p is that of McNemar's
    test, see `baselines.compare_pair`.
    """
    rows = {}
    for i, j in itertools.combinations(range(len(correct)), 2):
        first, second, p = baselines.compare_pair(correct[i], correct[j])
        wrong, alike = ~correct[i] & ~correct[j], answers[i] == answers[j]
        rows[f"{LETTERS[i]}, {LETTERS[j]}"] = {
            "both correct": np.sum(correct[i] & correct[j]),
            "only first": first,
            "only second": second,
            "both wrong, alike": np.sum(wrong & alike),
            "both wrong, differently": np.sum(wrong & ~alike),
            "p": p,
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def judge(counts: pd.Series, level: float) -> str:
    """Return in words which network of a pair is better, by McNemar's test.

    counts: a row of `count_pairs`.
    level: the probability of calling one better if both are equally good.
    """
    if counts["only first"] == counts["only second"] == 0:
        return "No image tells the two apart."
    if counts["p"] >= level:
        return "Chance may explain the difference."
    first, second = str(counts.name).split(", ")
    better = first if counts["only first"] > counts["only second"] else second
    return f"{better} is better by more than chance explains."


def describe_verdicts(compared: Mapping[str, Mapping[int, Run]]) -> list[str]:
    """Return for each pair a sentence that says whether one of the two is better.

    Two sweeps are judged over their seeds, others by the answers to the test images.
    """
    networks = list(choose_networks(compared).values())
    estimates, problem = compare_seeds(make_table(compared)), ""
    try:
        _, labels = find_test_images(networks)
        answers = collect_answers(networks)
        correct = answers == labels
        counts = count_pairs(correct, answers)
    except InvalidInput as error:
        problem = str(error)
    names = [describe_place(column) for column in compared.values()]
    numbers = [len(column) for column in compared.values()]
    pairs = list(itertools.combinations(range(len(names)), 2))
    lines = []
    for i, j in pairs:
        pair, level = f"{LETTERS[i]}, {LETTERS[j]}", LEVEL / len(pairs)
        over_seeds = (pair, "test accuracy")
        if min(numbers[i], numbers[j]) > 1 and over_seeds in estimates.index:
            row = estimates.loc[[over_seeds]].iloc[0]
            lines.append(describe_over_seeds(row, names[i], names[j], level))
        elif problem:
            lines.append(f"{names[i]} and {names[j]} are not compared. {problem}")
        else:
            verdict = judge(counts.loc[[pair]].iloc[0], level)
            shares = {
                networks[place].folder.display_path: float(correct[place].mean())
                for place in (i, j)
            }
            lines.append(describe_by_images(verdict, shares, len(labels)))
    return lines


def describe_over_seeds(row: pd.Series, first: str, second: str, level: float) -> str:
    """Say whether the second of two sweeps is better than the first, over their seeds.

    row: of `compare_seeds`.
    level: the probability that the interval misses the mean difference.
    """
    interval = f"{row['low']:+.4f} to {row['high']:+.4f}"
    measured = (
        f"the test accuracy differs by {row['difference']:+.4f} "
        f"({100 * (1 - level):.3g} % interval {interval})"
    )
    if row["low"] > 0:
        return f"{second} is better than {first}, also for other seeds: {measured}."
    if row["high"] < 0:
        return f"{first} is better than {second}, also for other seeds: {measured}."
    return f"The seeds may explain how {second} differs from {first}: {measured}."


def describe_by_images(verdict: str, shares: Mapping[str, float], images: int) -> str:
    """Say whether one of two networks is better, by the images that each gets right.

    verdict: that of `judge`.
    shares: the accuracy of each network by its name.
    """
    best, other = sorted(shares, key=lambda name: -shares[name])
    measured = (
        f"{100 * shares[best]:.2f} against {100 * shares[other]:.2f} % "
        f"of {images:,} test images"
    )
    if "better" in verdict:
        return (
            f"{best} is better than {other}, by more than chance explains: {measured}."
        )
    if "Chance" in verdict:
        return f"Chance may explain how {best} differs from {other}: {measured}."
    return f"No image tells {best} and {other} apart: {measured}."


def describe_place(column: Mapping[int, Run]) -> str:
    """Return the folder of a run, or of the sweep that a column stands for."""
    folder = next(iter(column.values())).folder
    return find_sweep(folder) if len(column) > 1 else folder.display_path


def write_report(run_dirs: Sequence[str], output: Path | None) -> Path:
    """Execute compare.ipynb for these runs, write its page, and return the page's path.

    output: the page; None for one in runs/reports.

    Raises what `read_columns` does, InvalidInput if the page may not be written there,
    and NotebookFailed.
    """
    names = [RunFolder(run_dir).display_path for run_dir in run_dirs]
    output = output or page.choose_path("_and_".join(names))
    check_page(output)
    compared = read_columns(run_dirs)  # raises before anything is executed
    verdicts = describe_verdicts(compared)
    sources = {
        run.parameters.source for column in compared.values() for run in column.values()
    }
    with tempfile.TemporaryDirectory(prefix="digits-") as temporary:
        executed = Path(temporary) / "compare.ipynb"
        values = {"run_dirs": list(run_dirs)}
        notebooks.execute(NOTEBOOKS / executed.name, executed, values)
        title = f"{' and '.join(names)} compared"
        page.write_notebook_report(
            executed, output, title, lead=verdicts, sources=sources
        )
    log.info("\n".join(verdicts))
    return output
