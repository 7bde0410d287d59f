"""Verify a run: make it again in a temporary folder, and compare what it gives."""

import logging
import math
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline import provenance
from pipeline.errors import CommandFailed, InvalidFile
from pipeline.model import Model
from pipeline.parameters import NAMED_SOURCES
from pipeline.paths import ROOT
from pipeline.records import RunRecord
from pipeline.run_folder import RunFolder
from pipeline.runs import execute_stages
from pipeline.stages import EVALUATION, PREPARATION, RESULT_FILES, STAGES

log = logging.getLogger(__name__)
# Results of a BLAS may differ by this, because its last digits vary between machines.
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Comparison:
    """The results of a run, and those of the same run made again, by their names.

    is_close: whether they differ in no more than the last digits, by TOLERANCE.
    """

    before: dict[str, Any]
    after: dict[str, Any]
    is_close: bool

    @property
    def different(self) -> list[str]:
        return [name for name in self.before if self.before[name] != self.find(name)]

    def find(self, name: str) -> Any:
        """Return a result of the run made again, or None if it has none."""
        return self.after.get(name)

    def log(self) -> None:
        different = self.different
        other = "in other digits" if self.is_close else "NOT equal"
        for name, value in self.before.items():
            verdict = f"{other} {self.find(name)}" if name in different else "equal"
            log.info(f"  {name:25} {value}  {verdict}")


def verify(run_dir: str) -> None:
    """Run a finished run or point again in a temporary folder, and log what is equal.

    If its source is missing, the images are taken from the run's data.npz. Results that
    a BLAS has computed may differ from the stored ones by TOLERANCE.

    Raises InvalidFile if there is no finished run, or if both its source and its
    data.npz are missing. Raises CommandFailed if any result differs by more.
    """
    folder = RunFolder(run_dir)
    record, parameters = folder.read_finished(check_files=False)
    altered = folder.find_altered(record, RESULT_FILES)
    source = parameters.source
    has_source = source in NAMED_SOURCES or (ROOT / source).exists()
    has_data = folder.data_path.exists() and folder.data_path.name not in altered
    if not has_source and not has_data:
        problem = f"cannot be made again: its source {source} is missing, and its "
        problem += "data.npz is missing, too, or has been altered"
        raise InvalidFile(folder.path, problem, "Put the source back.")
    recorded = [stage for stage in STAGES if stage.name in record.inputs.notebooks]
    inputs = provenance.collect_inputs(source, recorded)
    stages = [
        stage for stage in STAGES if stage != EVALUATION or folder.metrics_path.exists()
    ]
    with tempfile.TemporaryDirectory(prefix="digits-") as temporary:
        again = RunFolder(temporary)
        if not has_source:
            log.info(f"{source} is missing; the images are those of data.npz.")
            shutil.copy(folder.data_path, again.data_path)
            stages.remove(PREPARATION)
            inputs = inputs.model_copy(update={"data": record.inputs.data})
        execute_stages(again, record.parameters, stages=stages)
        distance = _measure_distance(folder.read_model(), again.read_model())
        comparison = _compare(folder, again, record, altered, distance)
    comparison.log()
    for change in provenance.compare_inputs(record, parameters, inputs):
        log.info(f"What has changed since: {change}")
    different = comparison.different
    if not different:
        count = len(comparison.before)
        log.info(f"Reproduced: all {count} metrics and digests are equal.")
    elif comparison.is_close:
        log.info(
            f"Reproduced but for the last digits: metrics equal to {TOLERANCE:g}, "
            f"weights within {distance:.1g} of the stored ones. Another BLAS or "
            "processor rounds products of matrices differently. "
            f"Here: {provenance.describe_machine()}."
        )
    else:
        raise CommandFailed(f"{run_dir} is not reproduced: {', '.join(different)}.")


def _compare(
    folder: RunFolder,
    again: RunFolder,
    record: RunRecord,
    altered: Sequence[str],
    distance: float,
) -> Comparison:
    """Compare the results in two folders, of which the second has just been made.

    altered: files of the first that are not as its run left them.
    distance: the largest difference of two weights.
    """
    before, after = _collect_facts(folder), _collect_facts(again)
    for name in altered:
        before[f"{name}, altered since"] = record.outputs[name]
    numbers = [name for name in before if isinstance(before[name], float | int)]
    stored = [before[name] for name in numbers]
    found = [after.get(name, math.nan) for name in numbers]
    # Only a BLAS, which the compiled loops do not use, gives other digits elsewhere.
    uses_blas = record.parameters["batch_size"] != 1 or record.note is not None
    is_close = uses_blas and not altered and distance <= TOLERANCE
    are_close = np.allclose(stored, found, rtol=TOLERANCE, atol=0)
    return Comparison(before, after, is_close and are_close)


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
