"""Compare two finished runs or sweeps, which are called A and B.

A sweep is represented by its selected points. compare.ipynb calls these functions. The
command `compare` executes compare.ipynb, and makes a page of the executed notebook.
"""

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.engine import notebooks
from pipeline.errors import InvalidInput
from pipeline.images.data import Data, load_source
from pipeline.network.formats import format_gap, format_p, format_percent, to_plain
from pipeline.parameters import NAMES, Parameters, make_command
from pipeline.paths import NOTEBOOKS
from pipeline.reports import cells, origins, page
from pipeline.results.files import check_page, write_page
from pipeline.results.point_folder import open_run
from pipeline.results.provenance import has_published_helpers
from pipeline.results.run_folder import RunFolder
from pipeline.statistics import CONFIDENCE, compare_pair, estimate_difference
from pipeline.sweeps.selection import find_selected

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Side:
    """One side of a comparison: a run, or the selected points of a sweep.

    name: the folder of the run or of the sweep.
    folders: the folder of the run or of each selected point, by its seed.
    metrics: a table of the metrics in metrics.json, with a row for each seed.
    """

    name: str
    folders: dict[int, RunFolder]
    metrics: pd.DataFrame

    def select(self, seeds: Sequence[int]) -> "Side":
        """Return this side with the runs of these seeds alone."""
        folders = {seed: self.folders[seed] for seed in seeds}
        return Side(self.name, folders, self.metrics.loc[list(seeds)])


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two sides that were evaluated on the same test images.

    sides: the two sides, by the letters A and B.
    networks: the folder of one network of each side, by the letters A and B. The
        networks have the lowest seed that both sides contain. If the sides share no
        seed, each network has the lowest seed of its own side.
    answers: the answers of these two networks to the N test images, (2, N).
    data: the images of the first run. All runs have the same test images.
    left_out: how many runs are left out, because the other side lacks their seeds.
    """

    sides: dict[str, Side]
    networks: dict[str, RunFolder]
    answers: np.ndarray
    data: Data
    left_out: int = 0

    @property
    def has_seeds(self) -> bool:
        """Return whether both sides are sweeps with several seeds."""
        return all(len(side.folders) > 1 for side in self.sides.values())

    @property
    def correct(self) -> np.ndarray:
        """Return whether each of the answers is correct, (2, N)."""
        correct: np.ndarray = self.answers == self.data.y_test
        return correct


def read_comparison(run_dirs: Sequence[str]) -> Comparison:
    """Read two finished runs or sweeps, so that they can be compared.

    run_dirs: the folders of the two runs or sweeps.

    Raises InvalidInput if there are not exactly two folders, or if the runs have
    different test images or contradict themselves. Raises InvalidFile if a run or a
    sweep has not finished.
    """
    if len(run_dirs) != 2:
        raise InvalidInput(f"Give two runs or sweeps, not {len(run_dirs)}.")
    first, second = map(read_side, run_dirs)
    folders = [*first.folders.values(), *second.folders.values()]
    data = read_shared_data(folders)
    sides = select_compared_runs(first, second)
    count = sum(len(side.folders) for side in sides.values())
    shared = sides["A"].folders.keys() & sides["B"].folders.keys()
    networks = {}
    for letter, side in sides.items():
        seeds = shared or side.folders.keys()
        networks[letter] = side.folders[min(seeds)]
    for side in sides.values():
        for folder in side.folders.values():
            check_answers(folder, data)
    answers = np.stack([folder.read_answers() for folder in networks.values()])
    left_out = len(folders) - count
    return Comparison(sides, networks, answers, data, left_out)


def select_compared_runs(first: Side, second: Side) -> dict[str, Side]:
    """Return the sides A and B with the runs that are compared.

    A run and a sweep are compared by the seed of the run. Two runs are compared
    whatever their seeds, and so are two sweeps with fewer than two seeds in common. Two
    other sweeps are compared by the seeds that they have in common.

    Raises InvalidInput if a run is compared with a sweep that lacks its seed.
    """
    sides = {"A": first, "B": second}
    shared = sorted(first.folders.keys() & second.folders.keys())
    is_run_and_sweep = (len(first.folders) == 1) != (len(second.folders) == 1)
    if is_run_and_sweep and not shared:
        problem = f"{first.name} and {second.name} have no seed in common"
        raise InvalidInput(f"{problem}. Compare a run with a sweep that has its seed.")
    if not is_run_and_sweep and len(shared) < 2:
        return sides
    return {letter: side.select(shared) for letter, side in sides.items()}


def read_side(run_dir: str) -> Side:
    """Read a finished run, or the selected points of a sweep.

    Raises InvalidFile if a folder does not exist, if its run has not finished, or if
    the folder belongs to a point that its sweep did not select.
    """
    folders = {}
    metrics = {}
    for path in find_selected(run_dir):
        folder = open_run(path)
        seed = folder.read_evaluated().parameters.seed
        folders[seed] = folder
        metrics[seed] = folder.read_metrics().model_dump()
    table = pd.DataFrame.from_dict(metrics, orient="index")
    return Side(RunFolder(run_dir).display_path, folders, table)


def read_shared_data(folders: Sequence[RunFolder]) -> Data:
    """Return the images of the first run, which has the same test images as the others.

    folders: the folders of all runs that are compared.

    If the first run has no data.npz any more, its images are loaded from their source.
    Raises InvalidInput if the runs were evaluated on different test images.
    """
    records = [folder.read_record() for folder in folders]
    source = records[0].parameters.source
    if folders[0].data_path.exists():
        data = folders[0].read_data()
    else:
        data = load_source(source)
    for name in ("x_test", "y_test"):
        found = {record.inputs[f"array {name}"] for record in records}
        if found != {data.source_sha256[name]}:
            problem = f"Not all runs were evaluated on the test images of {source}"
            raise InvalidInput(f"{problem}. Compare runs with the same test images.")
    return data


def check_answers(folder: RunFolder, data: Data) -> None:
    """Raise InvalidInput if a run's answers and its test accuracy do not agree.

    data: the test images that the run was evaluated on.

    A helpers.py of the user may measure in another way, so only runs with the published
    one are checked.
    """
    record = folder.read_record()
    if not has_published_helpers(record.inputs):
        return
    images = len(data.y_test)
    correct = np.mean(folder.read_answers() == data.y_test)
    accuracy = folder.read_metrics().test_accuracy
    if round(images * correct) != round(images * accuracy):
        answered = format_percent(correct, images)
        stated = format_percent(accuracy, images)
        name = folder.display_path
        problem = f"The answers of {name} are correct for {answered} of the images"
        advice = f"Make it again: {make_command(record.parameters, name)} --force"
        raise InvalidInput(f"{problem}, but metrics.json says {stated}. {advice}")


def compare_metrics(comparison: Comparison) -> pd.DataFrame:
    """Return a table with a row for each metric: the means of A and B, and B - A.

    The last column, `reach`, has the half-width of the difference's 95 % interval. It
    is NaN unless both sides have several seeds. So is a metric that only the other side
    has measured. A metric that neither has measured has no row.
    """
    first, second = (side.metrics for side in comparison.sides.values())
    names = first.columns.union(second.columns, sort=False)
    names = names.drop(["weights_sha256", "test_images"])
    first = first.reindex(columns=names).astype(float)
    second = second.reindex(columns=names).astype(float)
    table = pd.DataFrame({"A": first.mean(), "B": second.mean()})
    table["difference"] = table["B"] - table["A"]
    table["reach"] = np.nan
    if comparison.has_seeds:
        for name in names:
            found = estimate_difference(first[name], second[name])
            table.loc[name, "reach"] = found.reach
    return table.dropna(how="all", subset=["A", "B"])


def describe_verdict(comparison: Comparison) -> str:
    """Return a sentence, in Markdown, that says whether A or B is better.

    If both sides have several seeds, the confidence interval of the mean difference
    decides. Otherwise McNemar's test of the answers of two networks decides.
    """
    first, second = (side.metrics for side in comparison.sides.values())
    if first.equals(second):
        pair = " and ".join(list_names(comparison))
        return f"**{pair} are identical**: their weights and their metrics are equal."
    if comparison.has_seeds:
        return describe_verdict_by_seeds(comparison)
    return describe_verdict_by_images(comparison)


def describe_verdict_by_seeds(comparison: Comparison) -> str:
    """Return the verdict on two sweeps with several seeds each."""
    name = "test_accuracy"
    first, second = (side.metrics[name] for side in comparison.sides.values())
    found = estimate_difference(first, second)
    leading, other = list_names(comparison)
    if found.mean > 0:
        leading, other = other, leading
    images = len(comparison.data.y_test)
    gap = format_gap(name, abs(found.mean), found.reach, images)
    numbers = (
        f"{gap} points of test accuracy (95 %, {describe_seeds(comparison)}, "
        f"{images:,} images)"
    )
    if found.is_sure:
        return f"**{leading} is better than {other}**, also for other seeds: {numbers}."
    return f"**The seeds may explain how {leading} differs from {other}**: {numbers}."


def describe_verdict_by_images(comparison: Comparison) -> str:
    """Return the verdict on two networks, by the test images that one alone reads."""
    only_a, only_b, p = compare_pair(*comparison.correct)
    leading, other = list_names(comparison)
    if only_b > only_a:
        leading, other = other, leading
    images = len(comparison.data.y_test)
    a, b = (format_percent(each, images) for each in comparison.correct.mean(axis=1))
    numbers = (
        f"A classifies {a} and B {b} of {images:,} test images correctly; "
        f"only A is right on {only_a:,}, and only B on {only_b:,} ({format_p(p)})"
    )
    if comparison.left_out:
        numbers += f" (left out, with other seeds: {comparison.left_out})"
    if p < 1 - CONFIDENCE:
        limits = "by more than the luck of the test images, but with one seed each"
        return f"**{leading} is better than {other}**, {limits}: {numbers}."
    cause = "The luck of the test images"
    return f"**{cause} may explain how {leading} differs from {other}**: {numbers}."


def list_names(comparison: Comparison) -> list[str]:
    """Return the letters and names of A and B, in Markdown."""
    return [f"{letter} (`{side.name}`)" for letter, side in comparison.sides.items()]


def describe_seeds(comparison: Comparison) -> str:
    """Return how many seeds a comparison of two sweeps counts, and how."""
    first, second = (side.folders for side in comparison.sides.values())
    if first.keys() == second.keys():
        more = ""
        if comparison.left_out:
            more = f", without {comparison.left_out} that only one of the two has"
        return f"{len(first)} seeds of both{more}"
    return f"all {len(first)} and {len(second)} seeds, as if they were independent"


def find_differences(comparison: Comparison) -> pd.DataFrame:
    """Return a table with what differs between A and B, parameters first.

    The rows are parameters and inputs. An input that only one side has is left out.
    """
    columns = {}
    for letter, side in comparison.sides.items():
        record = comparison.networks[letter].read_record()
        seeds = ", ".join(map(str, sorted(side.folders)))
        values = record.parameters.model_dump()
        columns[letter] = values | {"seed": seeds} | record.inputs
    table = pd.DataFrame(columns, dtype=object).dropna().astype(str)
    return table[table["A"] != table["B"]]


def make_title(comparison: Comparison) -> str:
    """Return a title: the parameters that differ or, if none or many do, the names."""
    differing = find_differences(comparison)
    parts = [
        f"{name} {row['A']} or {row['B']}"
        for name, row in differing.iterrows()
        if name in NAMES
    ]
    if 1 <= len(parts) <= 2:
        return ", ".join(parts)
    return " or ".join(side.name for side in comparison.sides.values())


def write_comparison(run_dirs: Sequence[str], output: Path | None) -> Path:
    """Write a page that compares two runs or sweeps, and return the page's path.

    output: the path of the page. By default, the page goes to runs/reports.

    To make the page, compare.ipynb is executed with the two folders as its parameter.
    The verdict is also logged.
    """
    names = [RunFolder(run_dir).display_path for run_dir in run_dirs]
    output = output or page.choose_page_path("_and_".join(names))
    check_page(output)
    page.check_tagged_cells("comparison.html.j2", [NOTEBOOKS / "compare.ipynb"])
    comparison = read_comparison(run_dirs)  # raises its errors before the notebook runs
    with tempfile.TemporaryDirectory(prefix="digits-") as temporary:
        executed = Path(temporary) / "compare.ipynb"
        values = {"run_dirs": list(run_dirs)}
        notebooks.execute(NOTEBOOKS / executed.name, executed, values)
        notebook = cells.read_notebook(executed)
    sides = {}
    for letter, side in comparison.sides.items():
        sides[letter] = describe_side(side, comparison.networks[letter])
    record = comparison.networks["A"].read_record()
    html = page.render_report(
        "comparison.html.j2",
        {executed.stem: notebook},
        title=make_title(comparison),
        has_seeds=comparison.has_seeds,
        fields=Parameters.model_fields,
        differing=[*find_differences(comparison).index],
        origins=sides,
        credits=origins.collect_credits(record.parameters.source, record.inputs),
    )
    write_page(output, html)
    log.info(to_plain(describe_verdict(comparison)))
    return output


def describe_side(side: Side, network: RunFolder) -> dict[str, object]:
    """Return how a side was made, as comparison.html.j2 shows it.

    network: the folder of one of its networks, whose command is shown.
    """
    record = network.read_record()
    return {
        "name": side.name,
        "place": origins.describe_place(record),
        "command": make_command(record.parameters, "runs/again"),
    }
