"""Verify a run: make it again in a temporary folder, and compare what it gives."""

import logging
import math
import shutil
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from dask.system import cpu_count

from pipeline.errors import (
    CommandFailed,
    InvalidFile,
    InvalidInput,
    NotebookFailed,
    PipelineError,
)
from pipeline.execution.machine import describe_differences, describe_machine
from pipeline.execution.process import open_threads
from pipeline.execution.runs import execute_stages
from pipeline.images.data import load_source
from pipeline.parameters import NAMED_SOURCES
from pipeline.paths import ROOT, find_source
from pipeline.records import RunRecord
from pipeline.results import provenance
from pipeline.results.model import Model
from pipeline.results.run_folder import RunFolder
from pipeline.results.stages import EVALUATION, PREPARATION, STAGES

log = logging.getLogger(__name__)
# Results of a BLAS may differ by this, because its last digits vary between machines.
TOLERANCE = 1e-9


def verify_each(run_dirs: Sequence[str]) -> None:
    """Verify runs or points, several at a time, and log the result of each.

    Raises CommandFailed if any is not reproduced, after all have been verified.
    """

    def work(run_dir: str) -> tuple[list[str], PipelineError | None]:
        lines = [run_dir]
        try:
            verify(run_dir, lines.append)
        except (InvalidInput, CommandFailed, NotebookFailed) as error:
            return lines, error
        return lines, None

    errors = []
    with open_threads(min(len(run_dirs), cpu_count())) as threads:
        for lines, error in threads.map(work, run_dirs):
            log.info("\n".join([*lines, *([str(error)] if error else [])]))
            errors += [error] if error else []
    if len(run_dirs) == 1 and errors:
        raise errors[0]
    if errors:
        count = f"{len(errors)} of the {len(run_dirs)} points differ or cannot be run"
        raise CommandFailed(f"{count}. The first: {errors[0]}")


def verify(run_dir: str, say: Callable[[str], None] = log.info) -> None:
    """Run a finished run or point again in a temporary folder, and say what is equal.

    If its source is missing, the images are taken from the run's data.npz. Results that
    a BLAS has computed may differ from the stored ones by TOLERANCE.

    Raises InvalidFile if there is no finished run, or if both its source and its
    data.npz are missing. Raises CommandFailed if any result differs by more.
    """
    folder = RunFolder(run_dir)
    record, parameters = folder.read_finished(check_files=False)
    altered = folder.list_altered(record, needs_data=False)
    source = parameters.source
    has_source = source in NAMED_SOURCES or find_source(source).exists()
    has_data = folder.data_path.exists() and folder.data_path.name not in altered
    if not has_source and not has_data:
        problem = (
            f"cannot be made again: its source {source} is missing, and its data.npz "
            "is missing, too, or has been altered"
        )
        raise InvalidFile(folder.path, problem, "Put the source back.")
    inputs = provenance.collect_inputs(load_source(source) if has_source else None)
    recorded = {k: value for k, value in inputs.items() if k in record.inputs}
    now = RunRecord(parameters=record.parameters, inputs=recorded)
    stages = [
        stage for stage in STAGES if stage != EVALUATION or folder.metrics_path.exists()
    ]
    with tempfile.TemporaryDirectory(prefix="digits-") as temporary:
        again = RunFolder(temporary)
        if not has_source:
            say(f"{source} is missing; the images are those of data.npz.")
            shutil.copy(folder.data_path, again.data_path)
            stages.remove(PREPARATION)
        execute_stages(again, record.parameters, inputs, stages)
        distance = _measure_distance(folder.read_model(), again.read_model())
        before, after = _collect_facts(folder), _collect_facts(again)
    before |= {f"{name}, altered since": record.outputs[name] for name in altered}
    different = [name for name in before if before[name] != after.get(name)]
    # Only a BLAS, which the compiled loops do not use, gives other digits elsewhere.
    uses_blas = record.parameters["batch_size"] != 1 or record.note is not None
    is_close = uses_blas and distance <= TOLERANCE and not altered
    is_close = is_close and _are_close(before, after)
    other = "in other digits" if is_close else "NOT equal"
    for name, value in before.items():
        verdict = f"{other} {after.get(name)}" if name in different else "equal"
        say(f"  {name:25} {value}  {verdict}")
    _say_changes(folder, record, now, say, bool(different))
    if not different:
        say(f"Reproduced: all {len(before)} metrics and digests are equal.")
    elif is_close:
        say(
            f"Reproduced but for the last digits: metrics equal to {TOLERANCE:g}, "
            f"weights within {distance:.1g} of the stored ones. Another BLAS or "
            "processor rounds products of matrices differently."
        )
    else:
        raise CommandFailed(f"{run_dir} is not reproduced: {', '.join(different)}.")


def _say_changes(
    folder: RunFolder,
    record: RunRecord,
    now: RunRecord,
    say: Callable[[str], None],
    with_machine: bool,
) -> None:
    """Say what has changed since a run was made, and where its own helpers.py is.

    with_machine: whether to say also what differs of the machines.
    """
    if with_machine:
        _say_machines(record, say)
    for change in provenance.compare(record, now):
        say(f"What has changed since: {change}")
    own, path = record.inputs.get(provenance.NETWORK), folder.find_helpers()
    if path and now.inputs[provenance.NETWORK] != own:
        say(f"To verify it with its own helpers.py: cp {path} {ROOT}/helpers.py")


def _say_machines(record: RunRecord, say: Callable[[str], None]) -> None:
    """Say what differs between the machine that made a run and this one."""
    if not record.machines:
        say("The run does not say on which machine it was made.")
        return
    lines = describe_differences(record.machines, describe_machine())
    for line in lines:
        say(f"What differs of the machines: {line}")
    if not lines:
        say("The machine is of the same kind as that of the run.")


def _are_close(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Return whether all numbers are equal to within TOLERANCE."""
    numbers = [name for name in before if isinstance(before[name], float | int)]
    stored = [before[name] for name in numbers]
    found = [after.get(name, math.nan) for name in numbers]
    return bool(np.allclose(stored, found, rtol=TOLERANCE, atol=0))


def _measure_distance(one: Model, other: Model) -> float:
    """Return the largest difference of two models' weights, inf if shapes differ."""
    if [matrix.shape for matrix in one.weights] != [m.shape for m in other.weights]:
        return math.inf
    pairs = zip(one.weights, other.weights, strict=True)
    return max(float(np.abs(first - second).max()) for first, second in pairs)


def _collect_facts(folder: RunFolder) -> dict[str, Any]:
    """Return a run's metrics, and the digests of its weights and its history.

    The metrics on test images are among them if the run has been evaluated.
    """
    facts: dict[str, Any] = dict(folder.read_history()[-1])
    if folder.metrics_path.exists():
        facts |= folder.read_metrics().model_dump(exclude_none=True)
    weights = {"weights in model.npz": folder.read_model().sha256}
    return facts | weights | folder.digest([folder.history_path.name])
