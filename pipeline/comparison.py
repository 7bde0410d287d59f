"""Compare finished runs: what compare.ipynb computes, and the page that it makes."""

import itertools
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import bdtr

from pipeline import data, notebooks, parameters, runs
from pipeline.data import compute_sha256
from pipeline.errors import InvalidData, InvalidParameter
from pipeline.parameters import NOTEBOOKS, RUNS, Parameters
from pipeline.records import History, Metrics, RunRecord
from pipeline.reports import page
from pipeline.run_folder import Model, RunFolder, check_page

NOTEBOOK = NOTEBOOKS / "compare.ipynb"
LETTERS = "ABCDEF"  # as many runs as there are colours and line styles
DEFAULTS = {"runs/default": {}, "runs/true-derivative": {"relu_grad_inactive": 0}}


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run, or a point of a sweep, as it is on disk."""

    folder: RunFolder
    record: RunRecord
    parameters: Parameters
    metrics: Metrics
    history: History
    model: Model


def read_runs(run_dirs: Sequence[str]) -> dict[str, Run]:
    """Read two to six finished runs, by letter. The two default runs are made if missing.

    Raises InvalidParameter if they are too few, too many or not different, and InvalidRecord if a
    folder holds no finished run.
    """
    folders = [RunFolder(run_dir) for run_dir in run_dirs]
    different = {folder.path.resolve() for folder in folders}
    if not 2 <= len(different) == len(folders) <= len(LETTERS):
        raise InvalidParameter(f"Give two to six different runs, not {', '.join(run_dirs)}.")
    if list(run_dirs) == list(DEFAULTS):
        for folder, values in zip(folders, DEFAULTS.values(), strict=True):
            if not folder.record.exists():
                runs.run(parameters.from_values(values), folder.place)
    return dict(zip(LETTERS, map(_read_run, folders), strict=False))


def _read_run(folder: RunFolder) -> Run:
    if folder.is_point:
        runs.evaluate([folder])
    finished = folder.read_finished()
    return Run(folder, *finished, folder.read_metrics(), folder.read_history(), folder.read_model())


def find_test_images(compared: Sequence[Run]) -> tuple[np.ndarray, np.ndarray]:
    """Return the test images (N, 784) and labels (N,) of all runs, from data.npz or the source.

    Raises InvalidData if the runs had different ones, or theirs have changed.
    """
    digests = {(run.record.arrays["x_test"], run.record.arrays["y_test"]) for run in compared}
    if len(digests) > 1:
        problem = "The runs were evaluated on different test images."
        raise InvalidData(f"{problem} Compare runs of one source.")
    folder, source = compared[0].folder, compared[0].parameters.source
    images = folder.read_data() if folder.data.exists() else data.load_source(source)
    if (compute_sha256(images.x_test), compute_sha256(images.y_test)) not in digests:
        raise InvalidData(f"The test images of {source} have changed since they were evaluated.")
    return images.x_test, images.y_test


def count_pairs(correct: np.ndarray, answers: np.ndarray) -> pd.DataFrame:
    """Count for each pair of R runs who is correct, with McNemar's exact test: a row a pair.

    correct (R, N) bool and answers (R, N), image by image. p: the probability that chance alone
    splits the images on which one of the two is correct at least as unevenly.

    Source: Q. McNemar (1947), Note on the sampling error of the difference between correlated
    proportions or percentages, Psychometrika 12, 153-157.
    """
    rows = {}
    for i, j in itertools.combinations(range(len(correct)), 2):
        first = int(np.sum(correct[i] & ~correct[j]))
        second = int(np.sum(correct[j] & ~correct[i]))
        wrong, alike = ~correct[i] & ~correct[j], answers[i] == answers[j]
        rows[f"{LETTERS[i]}, {LETTERS[j]}"] = {
            "both correct": int(np.sum(correct[i] & correct[j])),
            "only first": first,
            "only second": second,
            "both wrong, alike": int(np.sum(wrong & alike)),
            "both wrong, differently": int(np.sum(wrong & ~alike)),
            "p": min(1.0, 2 * bdtr(min(first, second), first + second, 0.5)),  # binomial, 2 sides
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def find_most_telling(scores: np.ndarray, labels: np.ndarray, count: int = 20) -> np.ndarray:
    """Return the images on which the answers differ and the runs' margins are furthest apart.

    scores (R, N, 10), labels (N,). The margin is how far the score of the true class is above the
    largest other score.
    """
    answers, true = scores.argmax(axis=2), np.arange(10) == labels[:, np.newaxis]  # (R, N), (N, 10)
    margins = scores[:, true] - np.where(true, -np.inf, scores).max(axis=2)  # (R, N)
    spread = np.ptp(margins, axis=0)  # (N,)
    different = np.flatnonzero((answers != answers[0]).any(axis=0))
    return different[np.argsort(-spread[different], kind="stable")][:count]


def write_report(run_dirs: Sequence[str], output: Path | None = None) -> Path:
    """Execute compare.ipynb for these runs, and write its page, by default into runs/reports."""
    places = [run.folder.place for run in read_runs(run_dirs).values()]
    names = [place.removeprefix("runs/").strip("/").replace("/", "-") for place in places]
    output = output or RUNS / "reports" / f"{'_and_'.join(names)[:100]}.html"
    check_page(output)
    title = f"{' and '.join(places) if len(places) == 2 else f'{len(places)} runs'} compared"
    with tempfile.TemporaryDirectory(prefix="digits-") as temporary:
        executed = Path(temporary) / NOTEBOOK.name
        notebooks.execute(NOTEBOOK, executed, {"run_dirs": list(run_dirs)})
        page.write_notebook_report(executed, output, title)
    return output
