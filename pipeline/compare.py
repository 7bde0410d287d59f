"""Finished runs side by side: what differs between them, their figures, and the digits on which they disagree.

First plain data, computed from the files of the runs, then a page of it.
"""

import itertools
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

import helpers
from pipeline import figures, files, pages, parameters, run
from pipeline.parameters import ParameterError, Parameters

LETTERS = "ABCDEF"  # as many runs as there are colours and line styles to tell them apart
FIGURES = ("train_error", "train_accuracy", "validation_error", "validation_accuracy", "test_error", "test_accuracy")
LEVEL = 0.05  # of significance, shared among the pairs
TELLING = 20  # digits that are shown


@dataclass(frozen=True)
class Run:
    """A finished run, or a point of a sweep, as it is on disk. `arrays` has the digests of its source's arrays."""

    letter: str
    name: str
    folder: Path
    parameters: Parameters
    inputs: dict[str, Any]
    arrays: dict[str, str]
    started: str | None
    metrics: dict[str, Any]
    history: list[dict[str, float]]
    weights_0_1: np.ndarray  # (784, H)
    weights_1_2: np.ndarray  # (H, 10)


@dataclass(frozen=True)
class Row:
    """One thing of every run, in the runs' order; None where a run has none."""

    name: str
    values: list[Any]


@dataclass(frozen=True)
class Pair:
    """How many of the test digits two runs answer rightly, both, one of them or neither."""

    first: str
    second: str
    both_right: int
    only_first: int
    only_second: int
    both_wrong_alike: int
    both_wrong_differently: int

    @property
    def one_right(self) -> int:
        return self.only_first + self.only_second

    @property
    def chance(self) -> float:
        return mcnemar(self.only_first, self.only_second)


@dataclass(frozen=True)
class Digits:
    """The answers of R runs to the same N test images.

    images (N, 784) uint8, labels (N,) uint8, answers (R, N) int64; telling: the places of the images on which the
    runs' answers differ most decidedly, at most `TELLING`.
    """

    images: np.ndarray
    labels: np.ndarray
    answers: np.ndarray
    pairs: list[Pair]
    telling: np.ndarray

    @property
    def disagreeing(self) -> int:
        """Images that are not answered alike by all runs."""
        return int((self.answers != self.answers[0]).any(axis=0).sum())

    @property
    def right(self) -> list[int]:
        """Images that each run answers rightly."""
        return [int(count) for count in (self.answers == self.labels).sum(axis=1)]


@dataclass(frozen=True)
class Comparison:
    """All that is told of some runs. `digits` is None where they cannot be compared, and `no_digits` says why."""

    runs: list[Run]
    differing_parameters: list[Row]
    equal_parameters: dict[str, Any]
    differing_inputs: list[Row]
    equal_inputs: list[str]
    figures: list[Row]
    digits: Digits | None
    no_digits: str = ""


def compare(run_dirs: Sequence[str]) -> Comparison:
    """Compare two to six finished runs or points of a sweep.

    Raises
    ------
    ParameterError, DataError
        If there are too few or too many, one is given twice, or one is no finished, whole run.
    """
    folders = [files.run_path(run_dir).resolve() for run_dir in run_dirs]
    if not 2 <= len(folders) <= len(LETTERS):
        raise ParameterError(
            f"compare was given {len(folders)} run folder{'s' if len(folders) != 1 else ''}"
            f"{': ' + ', '.join(run_dirs) if run_dirs else ''}, but takes 2 to {len(LETTERS)}. "
            + ("Name another finished run." if len(folders) < 2 else "Leave some out; a sweep compares many.")
        )
    for place, folder in enumerate(folders):
        if folder in folders[:place]:
            raise ParameterError(
                f"{run_dirs[place]!r} is the same folder as {run_dirs[folders.index(folder)]!r}, which is given "
                "already. Each run is compared once: name another, or leave it out."
            )
    runs = [_read(letter, folder) for letter, folder in zip(LETTERS, folders, strict=False)]
    settings = [finished.parameters.model_dump(exclude={"run_dir"}) for finished in runs]
    inputs = [run.flat(finished.inputs) for finished in runs]
    digits, no_digits = _digits(runs)
    return Comparison(
        runs=runs,
        differing_parameters=[row for row in _rows(settings) if not _alike(row)],
        equal_parameters={row.name: row.values[0] for row in _rows(settings) if _alike(row)},
        differing_inputs=[row for row in _rows(inputs) if not _alike(row)],
        equal_inputs=[row.name for row in _rows(inputs) if _alike(row)],
        figures=[row for row in _rows([finished.metrics for finished in runs]) if row.name in FIGURES],
        digits=digits,
        no_digits=no_digits,
    )


def default_output(comparison: Comparison) -> Path:
    """runs/reports/, and a name made of the runs'."""
    runs = (files.ROOT / "runs").resolve()
    names = [
        finished.folder.relative_to(runs).as_posix() if finished.folder.is_relative_to(runs) else finished.folder.name
        for finished in comparison.runs
    ]
    return files.ROOT / "runs" / "reports" / f"{'_and_'.join(names).replace('/', '-')[:200]}.html"


# ---- the runs ---------------------------------------------------------------------------------------------------


def _read(letter: str, folder: Path) -> Run:
    """A run as it is on disk. Raises DataError if it is not finished, or not whole."""
    advice = "compare takes folders of finished runs, or of finished points of a sweep. Finish it, or leave it out."
    if (folder / "sweep.json").exists():
        raise files.DataError(f"{folder} is a whole sweep. Name the folders of some of its points instead.")
    record = files.read_json(folder / "run.json", advice)
    status = record.get("status") if isinstance(record, dict) else None
    if status != "done":
        raise files.DataError(f"{folder} holds no finished run: its status is {status!r}. {advice}")
    metrics = files.read_json(folder / "metrics.json", advice)
    weights_0_1, weights_1_2, history = files.load_model(str(folder))
    try:
        chosen = parameters.from_values(record["parameters"])
        if metrics["weights_sha256"] != files.sha256_of(weights_0_1, weights_1_2):
            raise files.DataError(
                f"{folder / 'model.npz'} is not the model that {folder / 'metrics.json'} was measured on. {advice}"
            )
        return Run(
            letter=letter,
            name=files.run_dir_of(folder),
            folder=folder,
            parameters=chosen,
            inputs=record["inputs"],
            arrays=record["arrays"],
            started=record.get("started"),
            metrics={name: float(metrics[name]) for name in FIGURES if name in metrics or "validation" not in name},
            history=[{name: float(value) for name, value in epoch.items()} for epoch in history],
            weights_0_1=weights_0_1,
            weights_1_2=weights_1_2,
        )
    except (ParameterError, KeyError, TypeError, AttributeError) as error:
        raise files.DataError(f"The records in {folder} are not those of this project ({error}). {advice}") from None


def _rows(records: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Records side by side, every name of any of them once."""
    names = dict.fromkeys(itertools.chain(*records))
    return [Row(name, [record.get(name) for record in records]) for name in names]


def _alike(row: Row) -> bool:
    return all(value == row.values[0] for value in row.values)


# ---- the digits -------------------------------------------------------------------------------------------------


def _digits(runs: Sequence[Run]) -> tuple[Digits | None, str]:
    """The runs' answers to their test images, or why there are none to compare."""
    sets = [(finished.arrays.get("x_test"), finished.arrays.get("y_test")) for finished in runs]
    if len(set(sets)) > 1 or None in sets[0]:
        other = next((finished for finished, test in zip(runs, sets, strict=True) if test != sets[0]), runs[0])
        return None, (
            f"{runs[0].letter} and {other.letter} were tried on different test images, so their answers cannot be laid "
            "side by side, nor their test figures. Compare runs of one source."
        )
    try:
        images, labels = _test_images(runs, sets[0])
    except files.DataError as error:
        return None, f"The test images cannot be had any more, so the runs' answers are not compared: {error}"
    scores = np.stack(
        [
            helpers.predict(images, finished.weights_0_1, finished.weights_1_2, finished.parameters.normalisation)
            for finished in runs
        ]
    )  # (R, N, 10)
    return disagreement(images, labels, scores, [finished.letter for finished in runs]), ""


def _test_images(runs: Sequence[Run], digests: tuple[str, str]) -> tuple[np.ndarray, np.ndarray]:
    """The test images (N, 784) and labels (N,) that all the runs had: from a run's data.npz, or from the source.

    Raises DataError if they are gone or altered.
    """
    kept = [finished for finished in runs if (finished.folder / "data.npz").exists()]
    if kept:
        data = files.load_data(str(kept[0].folder))
        where = kept[0].folder / "data.npz"
    else:
        chosen = runs[0].parameters
        data = files.split(chosen.source, chosen.num_samples, chosen.num_validation, chosen.normalisation)
        where = f"the source {chosen.source!r}"
    if (files.sha256_of(data.x_test), files.sha256_of(data.y_test)) != digests:
        raise files.DataError(f"The test images in {where} are not those that the runs were tried on.")
    return data.x_test, data.y_test


def disagreement(images: np.ndarray, labels: np.ndarray, scores: np.ndarray, letters: Sequence[str]) -> Digits:
    """Count, pair by pair, who is right, and find the digits that tell the runs apart best.

    Parameters
    ----------
    images, labels : ndarray, (N, 784) uint8 and (N,) uint8
    scores : ndarray, (R, N, 10)
        Of each of R runs.
    letters : sequence of R str
    """
    answers = scores.argmax(axis=2)  # (R, N, 10) -> (R, N)
    right = answers == labels
    pairs = []
    for i, j in itertools.combinations(range(len(letters)), 2):
        wrong, alike = ~right[i] & ~right[j], answers[i] == answers[j]
        counted = (
            right[i] & right[j],
            right[i] & ~right[j],
            ~right[i] & right[j],
            wrong & alike,
            wrong & ~alike,
        )
        pairs.append(Pair(letters[i], letters[j], *(int(which.sum()) for which in counted)))
    margins = label_margins(scores, labels)
    spread = margins.max(axis=0) - margins.min(axis=0)  # (R, N) -> (N,)
    differing = np.flatnonzero((answers != answers[0]).any(axis=0))
    telling = differing[np.argsort(-spread[differing], kind="stable")][:TELLING]
    return Digits(images, labels, answers, pairs, telling)


def label_margins(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How far the score of the right digit is above the largest of the others: above 0 where it is the answer.

    scores (R, N, 10) and labels (N,) give (R, N).
    """
    places = np.arange(len(labels))
    of_label = scores[:, places, labels]
    others = scores.copy()
    others[:, places, labels] = -np.inf
    return of_label - others.max(axis=2)


def mcnemar(only_first: int, only_second: int) -> float:
    """How probable it is that chance alone parts the digits on which one of two is right at least as unevenly.

    McNemar's test in its exact form: if both are equally good, each of those digits goes to either with probability
    1/2. Two-sided; 1 where there is no such digit.

    References
    ----------
    Q. McNemar (1947), Note on the sampling error of the difference between correlated proportions or percentages,
    Psychometrika 12, 153-157.
    """
    count = only_first + only_second
    ways, tail = 1, 1  # to give none of the digits to one of the two, and to give it so few
    for few in range(min(only_first, only_second)):
        ways = ways * (count - few) // (few + 1)
        tail += ways
    return min(1.0, 2 * tail / 2**count)


# ---- the page ----------------------------------------------------------------------------------------------------


def write_report(comparison: Comparison, output: Path) -> None:
    """Runs side by side as one HTML file, their curves and the digits that they differ on as pictures in it."""
    histories = {finished.letter: finished.history for finished in comparison.runs}
    with plt.rc_context():
        figures.use_style()
        curves = {
            measure: _picture(figures.compared_curves(histories, measure), _told_curves(comparison, measure))
            for measure in ("accuracy", "error")
        }
        telling = None
        if comparison.digits is not None and len(places := comparison.digits.telling):
            images = comparison.digits.images[places]
            telling = _picture(figures.digits(images, _captions(comparison)), _told_digits(comparison))
    names = [finished.name for finished in comparison.runs]
    changed = {row.name for row in comparison.differing_inputs}
    groups = {name.split(" ")[0] for name in [*changed, *comparison.equal_inputs]}
    page = pages.fill(
        "compare.html.j2",
        title=f"{names[0]} and {names[1]} compared" if len(names) == 2 else f"{len(names)} runs compared",
        equal_groups=sorted(groups - {name.split(" ")[0] for name in changed}),
        comparison=comparison,
        curves=curves,
        telling=telling,
        level=LEVEL / len(comparison.digits.pairs) if comparison.digits else None,
    )
    files.write_whole(output, page.encode())


def _picture(figure: Figure, alt: str) -> dict[str, Any]:
    """A figure for a page: its file as an address, its size on the page in pixels, and its text alternative."""
    png = figures.png(figure)
    width, height = (int.from_bytes(png[start : start + 4]) // 2 for start in (16, 20))  # of the header; dense
    return {"src": f"data:image/png;base64,{b64encode(png).decode()}", "width": width, "height": height, "alt": alt}


def _told_curves(comparison: Comparison, measure: str) -> str:
    """What the curves of a measure come to."""
    told = []
    for split, name in (("validation", "validation"), ("train", "training")):
        ends = [
            f"{finished.letter} {finished.history[-1][f'{split}_{measure}']:.3f} after {len(finished.history)}"
            for finished in comparison.runs
            if finished.history and f"{split}_{measure}" in finished.history[-1]
        ]
        told.append(f"{name} {measure} ends at {', '.join(ends)} epochs" if ends else f"there is no {name} {measure}")
    return f"{measure.capitalize()} by epoch: {'; '.join(told)}."


def _captions(comparison: Comparison) -> list[str]:
    """Above each digit that is shown: its label, and the runs' answers, two a line."""
    digits, captions = comparison.digits, []
    for place in digits.telling:
        said = [
            f"{finished.letter} {answer}"
            for finished, answer in zip(comparison.runs, digits.answers[:, place], strict=True)
        ]
        lines = [", ".join(said[start : start + 2]) for start in range(0, len(said), 2)]
        captions.append("\n".join([f"is {digits.labels[place]}", *lines]))
    return captions


def _told_digits(comparison: Comparison) -> str:
    digits = comparison.digits
    right = (digits.answers[:, digits.telling] == digits.labels[digits.telling]).sum(axis=1)
    counts = ", ".join(f"{finished.letter} {count}" for finished, count in zip(comparison.runs, right, strict=True))
    return (
        f"{len(digits.telling)} handwritten digits on which the answers differ most decidedly; of these the runs "
        f"answer rightly: {counts}. A table below says the same."
    )
