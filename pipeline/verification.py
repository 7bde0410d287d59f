"""Verify a run: make it again in a temporary folder, and compare what it gives."""

import logging
import math
import shutil
import tempfile
from typing import Any

import numpy as np

from pipeline import provenance
from pipeline.errors import CommandFailed, InvalidRecord
from pipeline.model import Model
from pipeline.parameters import NAMED_SOURCES
from pipeline.paths import ROOT
from pipeline.run_folder import RunFolder
from pipeline.runs import execute_stages
from pipeline.stages import EVALUATION, PREPARATION, RESULTS, STAGES

log = logging.getLogger(__name__)


# Results of a BLAS may differ by this, because its last digits vary between machines.
TOLERANCE = 1e-9


def verify(run_dir: str) -> None:
    """Run a finished run or point again in a temporary folder, and log what is equal.

    If its source is missing, the images are taken from the run's data.npz. Results that
    a BLAS has computed may differ from the stored ones by TOLERANCE.

    Raises InvalidRecord if there is no finished run, or if both its source and its
    data.npz are missing. Raises CommandFailed if any result differs by more.
    """
    folder = RunFolder(run_dir)
    record, chosen = folder.read_finished(check_files=False)
    altered = folder.find_altered(record, RESULTS)
    is_named = chosen.source in NAMED_SOURCES
    has_source = is_named or (ROOT / chosen.source).exists()
    if not has_source and (not folder.data.exists() or folder.data.name in altered):
        problem = f"cannot be made again: its source {chosen.source} is missing, and "
        problem += "it has no data.npz as its run left it"
        raise InvalidRecord(folder.path, problem, "Put the source back.")
    recorded = [stage for stage in STAGES if stage.name in record.inputs.notebooks]
    inputs = provenance.collect_inputs(chosen.source, recorded)
    stages = [
        stage for stage in STAGES if stage != EVALUATION or folder.metrics.exists()
    ]
    with tempfile.TemporaryDirectory(prefix="digits-") as temporary:
        again = RunFolder(temporary)
        if not has_source:
            log.info(f"{chosen.source} is missing; the images are those of data.npz.")
            shutil.copy(folder.data, again.data)
            stages.remove(PREPARATION)
            inputs = inputs.model_copy(update={"data": record.inputs.data})
        execute_stages(again, record.parameters, stages=stages)
        before, after = _collect_facts(folder), _collect_facts(again)
        distance = _measure_distance(folder.read_model(), again.read_model())
    for name in altered:
        before[f"{name}, altered since"] = record.outputs[name]
    different = [name for name in before if before[name] != after.get(name)]
    numbers = [name for name in different if isinstance(before[name], float | int)]
    old, new = [[facts[name] for name in numbers] for facts in (before, after)]
    uses_blas = chosen.batch_size > 1 or record.note is not None
    is_close = uses_blas and not altered and distance <= TOLERANCE
    is_close = is_close and np.allclose(old, new, rtol=TOLERANCE, atol=0)
    other = "in other digits" if is_close else "NOT equal"
    for name, value in before.items():
        verdict = f"{other} {after.get(name, '')}" if name in different else "equal"
        log.info(f"  {name:25} {value}  {verdict}")
    for change in provenance.compare_inputs(record, chosen, inputs):
        log.info(f"What has changed since: {change}")
    if not different:
        log.info(f"Reproduced: all {len(before)} metrics and digests are equal.")
    elif is_close:
        log.info(
            f"Reproduced but for the last digits: metrics equal to {TOLERANCE:g}, "
            f"weights within {distance:.1g} of the stored ones. Another BLAS or "
            "processor rounds products of matrices differently. "
            f"Here: {provenance.describe_machine()}."
        )
    else:
        raise CommandFailed(f"{run_dir} is not reproduced: {', '.join(different)}.")


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
    if folder.metrics.exists():
        facts |= folder.read_metrics().model_dump(exclude_none=True)
    weights = {"weights in model.npz": folder.read_model().sha256}
    return facts | weights | folder.digest([folder.history.name])
