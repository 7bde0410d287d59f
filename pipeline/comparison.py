"""Compare finished runs: what compare.ipynb computes, and the page that it makes."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import bdtr

from pipeline import datasets, outputs, parameters, runs, storage
from pipeline.errors import InvalidData, InvalidParameter
from pipeline.model import Model
from pipeline.parameters import Parameters
from pipeline.records import History, Metrics, RunRecord
from pipeline.reports import index
from pipeline.run_folder import REPORT, RunFolder

LETTERS = "ABCDEF"  # as many runs as there are colours and line styles to tell them apart
NOTEBOOK = storage.NOTEBOOKS / "compare.ipynb"
PUBLISHED_AND_TWIN = {"runs/default": {}, "runs/true-derivative": {"relu_grad_inactive": 0}}


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
    """Read two to six finished runs, by a letter each.

    Points of sweeps are evaluated, where they are only trained. The runs that compare.ipynb compares by default are
    made first, where they are missing.

    Raises
    ------
    InvalidParameter, InvalidRecord
        If there are too few or too many, one is given twice, or one is no finished, whole run.
    """
    if not 2 <= len(run_dirs) <= len(LETTERS):
        raise InvalidParameter(f"Give 2 to {len(LETTERS)} folders of runs, not {len(run_dirs)}.")
    paths = [RunFolder(run_dir).path.resolve() for run_dir in run_dirs]
    if same := [run_dir for place, run_dir in enumerate(run_dirs) if paths[place] in paths[:place]]:
        raise InvalidParameter(f"{same[0]!r} is given twice. Each run is compared once: name another, or leave it out.")
    if list(run_dirs) == list(PUBLISHED_AND_TWIN):
        for run_dir, values in PUBLISHED_AND_TWIN.items():
            if not storage.exists(RunFolder(run_dir).record):
                runs.run(parameters.from_values(values), run_dir)
    return {letter: _read(RunFolder(path)) for letter, path in zip(LETTERS, paths, strict=False)}


def _read(folder: RunFolder) -> Run:
    record, chosen = folder.read_finished()
    if folder.sweep:
        with index.refreshed_after(folder.path):
            runs.evaluate([folder])
        record = folder.read_record()
    runs.check_unaltered(folder, record, [REPORT])
    return Run(folder, record, chosen, *folder.read_results(chosen))


def test_images(compared: Sequence[Run]) -> tuple[np.ndarray, np.ndarray]:
    """Return the test images (N, 784) and labels (N,) that all runs had: from a run's data.npz, or from the source.

    Raises InvalidData if they had different ones, or if they are gone or altered.
    """
    digests = [(run.record.arrays.get("x_test"), run.record.arrays.get("y_test")) for run in compared]
    if len(set(digests)) > 1:
        raise InvalidData("The runs were evaluated on different test images. Compare runs of one source.")
    chosen, kept = compared[0].parameters, [run.folder for run in compared if storage.exists(run.folder.data)]
    where = kept[0].data if kept else f"the source {chosen.source!r}"
    data = kept[0].read_data() if kept else datasets.split_source(chosen.source, chosen.num_samples, 0)
    if (storage.sha256_of(data.x_test), storage.sha256_of(data.y_test)) != digests[0]:
        raise InvalidData(f"The test images in {where} are not those that the runs were evaluated on.")
    return data.x_test, data.y_test


def pairs(correct: np.ndarray, answers: np.ndarray) -> pd.DataFrame:
    """Count, for each pair of R runs, who is correct, with McNemar's exact test of whether they are equally good.

    correct (R, N) bool and answers (R, N): of the runs, image by image. p: the probability that chance alone splits
    the images on which one of the two is correct at least as unevenly; 1 where there is none.

    References
    ----------
    Q. McNemar (1947), Note on the sampling error of the difference between correlated proportions or percentages,
    Psychometrika 12, 153-157.
    """
    rows = {}
    for i, j in itertools.combinations(range(len(correct)), 2):
        first, second = int(np.sum(correct[i] & ~correct[j])), int(np.sum(~correct[i] & correct[j]))
        wrong, alike = ~correct[i] & ~correct[j], answers[i] == answers[j]
        rows[f"{LETTERS[i]}, {LETTERS[j]}"] = {
            "both correct": int(np.sum(correct[i] & correct[j])),
            "only first": first,
            "only second": second,
            "both wrong, alike": int(np.sum(wrong & alike)),
            "both wrong, differently": int(np.sum(wrong & ~alike)),
            "p": min(1.0, 2 * bdtr(min(first, second), first + second, 0.5)),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def most_telling(scores: np.ndarray, labels: np.ndarray, count: int = 20) -> np.ndarray:
    """Return the places of the images on which the answers differ and the runs' margins are furthest apart.

    scores (R, N, 10), labels (N,). A margin is how far the score of the correct digit is above the largest other one.
    """
    answers, true = scores.argmax(axis=2), np.arange(10) == labels[:, np.newaxis]  # (R, N), (N, 10)
    margins = scores[:, true] - np.where(true, -np.inf, scores).max(axis=2)  # (R, N)
    spread = np.ptp(margins, axis=0)  # (N,)
    differing = np.flatnonzero((answers != answers[0]).any(axis=0))
    return differing[np.argsort(-spread[differing], kind="stable")][:count]


def write_report(run_dirs: Sequence[str], output: Path | None = None) -> Path:
    """Execute compare.ipynb for these runs, and render it. Return the path of the page, in runs/reports by default."""
    from pipeline import notebooks  # papermill takes 0.4 s to import, and a notebook's kernel does not need it
    from pipeline.reports import rendering  # nbconvert takes another 0.3 s

    compared = read_runs(run_dirs)
    places = [run.folder.place for run in compared.values()]
    names = "_and_".join(place.removeprefix("runs/").replace("/", "-") for place in places)
    name = names.strip("-").encode(errors="replace")
    if len(name) > 200:  # as much as a file's name may have, with the digest of what is cut off
        name = name[:190] + b"-" + sha256(name).hexdigest()[:8].encode()
    page = outputs.page(output, name.decode(errors="ignore"))
    with storage.scratch() as scratch:
        executed = scratch / NOTEBOOK.name
        notebooks.execute(NOTEBOOK, executed, {"run_dirs": list(run_dirs)})
        title = f"{' and '.join(places)} compared" if len(places) == 2 else f"{len(places)} runs compared"
        rendering.write_notebook_report(executed, page, title)
    return page
