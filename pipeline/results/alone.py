"""Check a notebook that is run by itself, and not by a command."""

from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

from pipeline import digests
from pipeline.errors import InvalidInput
from pipeline.parameters import DEFAULT_RUNS, Parameters, make_command
from pipeline.paths import NOTEBOOKS, RUNS
from pipeline.records import RunRecord
from pipeline.results import provenance
from pipeline.results.stages import RECORD, RESULT_FILES


def check(
    stage: str, values: Mapping[str, Any], run_dir: str, before: RunRecord | None
) -> None:
    """Raise InvalidInput if a notebook differs from the run in its folder.

    stage: such as "02_train".
    values: the notebook's parameters.
    before: the record of the run in the folder, if there is one.

    Its parameters, its cells and helpers.py are compared. Besides, helpers.py must be
    all of the network, and the one that was imported.
    """
    provenance.check_helpers()
    provenance.check_imported()
    if before is None:
        return
    inputs = {
        f"cells {stage}": provenance.digest_cells(NOTEBOOKS / f"{stage}.ipynb"),
        provenance.NETWORK: digests.digest_modules(["helpers.py"])["helpers.py"],
    }
    now = before.replace(parameters=dict(values), inputs=inputs)
    if changes := provenance.compare(before, now):
        listed = "; ".join(changes)
        problem = f"{run_dir} holds a run that differs: {listed}"
        raise InvalidInput(f"{problem}. {describe_other_folder()}")


def describe_refusal(run_dir: str, is_other: bool) -> str:
    """Say why a notebook that runs alone has not stored its results.

    is_other: whether the run has such files; a run that was interrupted has none.
    """
    what = "a run with other results" if is_other else "a run without these results"
    problem = f"{run_dir} holds {what}, so nothing was written"
    return f"{problem}. {describe_other_folder()}"


def describe_other_folder() -> str:
    """Say how a notebook that runs alone gets a folder of its own."""
    names = (f"lab-{number}" if number > 1 else "lab" for number in count(1))
    name = next(each for each in names if not (RUNS / each / RECORD).exists())
    return (
        "A notebook that runs alone changes no run. To keep what it computes, set "
        f'run_dir = "runs/{name}" in all three notebooks, and run 01_prepare first.'
    )


def has_results(path: Path) -> bool:
    """Return whether notebooks that ran alone have written into a folder."""
    results = [path / name for name in RESULT_FILES]
    return not (path / RECORD).exists() and any(each.exists() for each in results)


def describe_next_step(path: Path, run_dir: str) -> str:
    """Return what to do about a file of a run that is missing or damaged."""
    if (path / "sweep.json").exists():
        return "It is the folder of a sweep: name one of its points."
    if has_results(path):
        return "Notebooks that ran alone have made what is there. Run all three."
    values = Parameters().model_dump() | DEFAULT_RUNS.get(run_dir, {})
    command = make_command(values, run_dir)
    return f"Run the notebooks before this one, or, in the project's folder: {command}"
