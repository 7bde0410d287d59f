"""Compare finished runs: what compare.ipynb computes, and the page that it makes."""

import itertools
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import bdtr

import helpers
from pipeline import data, notebooks, parameters, runs
from pipeline.digests import digest_arrays
from pipeline.errors import InvalidData, InvalidParameter
from pipeline.parameters import NOTEBOOKS, RUNS, Parameters
from pipeline.records import History, Metrics, RunRecord
from pipeline.reports import page
from pipeline.run_folder import Model, RunFolder, check_page
from pipeline.sweeps.definition import find_selected

LETTERS = "ABCDEF"  # as many runs as there are colours and line styles
DEFAULTS = {"runs/default": {}, "runs/true-derivative": {"relu_grad_inactive": 0}}


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run, or a point of a sweep, as it is on disk; given: how it was named."""

    given: str
    folder: RunFolder
    record: RunRecord
    parameters: Parameters
    metrics: Metrics
    history: History
    model: Model


def read_runs(run_dirs: Sequence[str]) -> dict[str, Run]:
    """Read two to six different finished runs, by letter. The default two are made if missing.

    A sweep stands for its selected points. Raises InvalidParameter, or InvalidRecord if a folder
    holds no finished run.
    """
    given = {place: each for each in run_dirs for place in find_selected(each)}
    folders = [RunFolder(place) for place in given]
    different = {folder.path.resolve() for folder in folders}
    if not 2 <= len(different) == len(folders) <= len(LETTERS) or len(given) < len(
        run_dirs
    ):
        raise InvalidParameter(
            f"Give two to six different runs, not {', '.join(given)}."
        )
    compared = {}
    for letter, folder, name in zip(LETTERS, folders, given.values(), strict=False):
        if list(run_dirs) == list(DEFAULTS) and not folder.record.exists():
            runs.run(parameters.from_values(DEFAULTS[folder.place]), folder.place)
        if folder.is_point:
            runs.evaluate([folder])
        record, chosen = folder.read_finished()
        results = folder.read_metrics(), folder.read_history(), folder.read_model()
        compared[letter] = Run(name, folder, record, chosen, *results)
    return compared


def find_test_images(compared: Sequence[Run]) -> tuple[np.ndarray, np.ndarray]:
    """Return the test images (N, 784) and labels (N,). Raises InvalidData if a run had others."""
    folder, source = compared[0].folder, compared[0].parameters.source
    images = folder.read_data() if folder.data.exists() else data.load_source(source)
    tests = {"x_test": images.x_test, "y_test": images.y_test}
    digests = {name: digest_arrays(array) for name, array in tests.items()}
    if any(
        run.record.arrays[name] != digests[name] for run in compared for name in tests
    ):
        problem = (
            f"Not all runs were evaluated on the test images that {source} has now"
        )
        raise InvalidData(f"{problem}. Compare runs of one source, and run them again.")
    return images.x_test, images.y_test


def compute_scores(
    compared: Sequence[Run], images: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Return the scores (R, N, 10) of each run's network on the test images.

    Raises InvalidData if they do not give the metrics that the run has stored, because
    helpers.py has been changed since.
    """
    scores = []
    for run in compared:
        try:
            found = helpers.predict(images, run.model.weights, run.model.normalisation)
            metrics = helpers.measure(found, labels)
        except ValueError:  # as NumPy raises for weights of other shapes
            metrics = (np.nan, np.nan)
        stored = run.metrics.test_error, run.metrics.test_accuracy
        if not np.allclose(metrics, stored, rtol=1e-9, atol=0):
            problem = (
                f"helpers.py does not give the stored metrics of {run.folder.place}"
            )
            raise InvalidData(f"{problem}: it has been changed. Make the run again.")
        scores.append(found)
    return np.stack(scores)


def count_pairs(correct: np.ndarray, answers: np.ndarray) -> pd.DataFrame:
    """Count for each pair of R runs who is correct, with McNemar's exact test: a row a pair.

    correct (R, N) bool, answers (R, N). p: the probability that chance alone splits the images on
    which only one is correct at least as unevenly. Source: Q. McNemar (1947), Psychometrika 12.
    """
    rows = {}
    for i, j in itertools.combinations(range(len(correct)), 2):
        first, second = (
            np.sum(correct[i] & ~correct[j]),
            np.sum(correct[j] & ~correct[i]),
        )
        wrong, alike = ~correct[i] & ~correct[j], answers[i] == answers[j]
        rows[f"{LETTERS[i]}, {LETTERS[j]}"] = {
            "both correct": np.sum(correct[i] & correct[j]),
            "only first": first,
            "only second": second,
            "both wrong, alike": np.sum(wrong & alike),
            "both wrong, differently": np.sum(wrong & ~alike),
            "p": min(
                1.0, 2 * bdtr(min(first, second), first + second, 0.5)
            ),  # binomial, 2 sides
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def write_report(run_dirs: Sequence[str], output: Path | None = None) -> Path:
    """Execute compare.ipynb for these runs, and write its page, by default into runs/reports."""
    read_runs(run_dirs)  # what is wrong is said before anything is executed
    folders = [RunFolder(run_dir) for run_dir in run_dirs]
    name = "_and_".join(folder.path.name for folder in folders)
    output = output or RUNS / "reports" / f"{name}.html"
    check_page(output)
    title = f"{' and '.join(folder.place for folder in folders)} compared"
    with tempfile.TemporaryDirectory(prefix="digits-") as temporary:
        executed = Path(temporary) / "compare.ipynb"
        notebooks.execute(
            NOTEBOOKS / executed.name, executed, {"run_dirs": list(run_dirs)}
        )
        page.write_notebook_report(executed, output, title)
    return output
