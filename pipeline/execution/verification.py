"""Verify a run: repeat it in a temporary folder, and compare old and new results."""

import logging
import shutil
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from loky import cpu_count

from pipeline.digests import digest_arrays
from pipeline.errors import CommandFailed, InvalidFile, PipelineError
from pipeline.execution.process import open_thread_pool
from pipeline.execution.runs import execute_stages
from pipeline.images.data import load_source
from pipeline.parameters import NAMED_SOURCES
from pipeline.paths import resolve_source
from pipeline.records import RunRecord
from pipeline.reports.origins import describe_origins
from pipeline.results import provenance
from pipeline.results.run_folder import RunFolder
from pipeline.results.stages import EVALUATION, PREPARATION, STAGES

log = logging.getLogger(__name__)
# Results that a BLAS computes may differ by this much, because their last digits vary
# between machines.
TOLERANCE = 1e-9


def verify_each(run_dirs: Sequence[str]) -> None:
    """Verify runs or points of a sweep, and log the results of each.

    run_dirs: the folders of the runs or points. Several are verified at the same time.

    If there is only one folder, this function raises the errors of `verify`. If there
    are several, all are verified. Then CommandFailed is raised if any of them was not
    reproduced or could not be repeated.
    """
    if len(run_dirs) == 1:
        verify(run_dirs[0])
        return

    def verify_and_log(run_dir: str) -> bool:
        lines = [run_dir]
        try:
            verify(run_dir, lines.append)
        except PipelineError as error:
            lines.append(str(error))
            return False
        finally:
            log.info("\n".join(lines))
        return True

    with open_thread_pool(min(len(run_dirs), cpu_count())) as threads:
        results = list(threads.map(verify_and_log, run_dirs))
    if not all(results):
        count = f"{results.count(False)} of the {len(results)} points"
        raise CommandFailed(f"{count} are not reproduced, or cannot be run.")


def verify(run_dir: str, log_line: Callable[[str], None] = log.info) -> None:
    """Repeat a finished run or point, and compare its results with the stored ones.

    log_line: a function that logs a line. Each result gets a line, which says whether
        the new value equals the stored one.

    The run is repeated in a temporary folder. If the source of the images is missing,
    the images are read from the run's data.npz. If a BLAS has computed the results,
    they may differ from the stored ones by TOLERANCE.

    Raises InvalidInput if the folder has no finished run, if the run was trained with
    another helpers.py, or if both the source and data.npz are missing. Raises
    CommandFailed if any result differs by more than is allowed.
    """
    folder = RunFolder(run_dir)
    record, parameters = folder.read_finished(check_files=False)
    folder.check_helpers(record)
    altered = folder.list_altered(record, needs_data=False)
    source = parameters.source
    has_source = source in NAMED_SOURCES or resolve_source(source).exists()
    has_data = folder.data_path.exists() and folder.data_path.name not in altered
    if not has_source and not has_data:
        problem = (
            f"cannot be made again: its source {source} is missing, and its data.npz "
            "is missing, too, or has been altered"
        )
        raise InvalidFile(folder.path, problem, "Put the source back.")
    inputs = provenance.collect_inputs(load_source(source) if has_source else None)
    stages = [
        stage for stage in STAGES if stage != EVALUATION or folder.metrics_path.exists()
    ]
    with tempfile.TemporaryDirectory(prefix="digits-") as temporary:
        again = RunFolder(temporary)
        if not has_source:
            log_line(f"{source} is missing; the images are those of data.npz.")
            shutil.copy(folder.data_path, again.data_path)
            stages.remove(PREPARATION)
        execute_stages(again, record.parameters, inputs, stages)
        # Training uses a BLAS only with batches or with a changed helpers.py.
        uses_blas = parameters.batch_size != 1 or record.note is not None
        is_close = uses_blas and not altered and _are_close(folder, again)
        before, after = _read_results(folder), _read_results(again)
    before |= {f"{name}, altered since": record.outputs[name] for name in altered}
    different = [name for name in before if before[name] != after.get(name)]
    other = "equal but for rounding:" if is_close else "NOT equal"
    for name, value in before.items():
        verdict = f"{other} {after.get(name)}" if name in different else "equal"
        log_line(f"  {name:25} {value}  {verdict}")
    if not different:
        log_line(f"Reproduced: all {len(before)} metrics and digests are equal.")
        return
    log_line(f"The run was made {describe_origins([record.origin])}.")
    named = {name: each for name, each in inputs.items() if name in record.inputs}
    now = RunRecord(parameters=record.parameters, inputs=named)
    for change in provenance.list_changes(record, now):
        log_line(f"What has changed since: {change}")
    if not is_close:
        raise CommandFailed(f"{run_dir} is not reproduced: {', '.join(different)}.")
    log_line(
        f"Reproduced but for the last digits: metrics and weights are equal to within "
        f"{TOLERANCE:g}. Another BLAS or processor rounds products of matrices "
        "differently."
    )


def _read_results(folder: RunFolder) -> dict[str, Any]:
    """Return a run's metrics, and digests of its weights, history and answers, by name.

    Test metrics and answers are returned only if the run has been evaluated.
    """
    facts: dict[str, Any] = dict(folder.read_history()[-1])
    facts |= {"weights in model.npz": folder.read_model().sha256}
    facts |= folder.digest([folder.history_path.name])
    if folder.metrics_path.exists():
        facts |= folder.read_metrics().model_dump(exclude_none=True)
        facts |= {"answers in answers.npz": digest_arrays(folder.read_answers())}
    return facts


def _are_close(first: RunFolder, second: RunFolder) -> bool:
    """Return whether all metrics and weights of two runs differ by at most TOLERANCE.

    The differences of metrics are relative, and those of weights are absolute.
    """
    numbers = [
        [value for value in _read_results(each).values() if not isinstance(value, str)]
        for each in (first, second)
    ]
    one, other = first.read_model().weights, second.read_model().weights
    if [matrix.shape for matrix in one] != [matrix.shape for matrix in other]:
        return False
    distances = [np.abs(a - b).max() for a, b in zip(one, other, strict=True)]
    are_close = np.allclose(numbers[0], numbers[1], rtol=TOLERANCE, atol=0)
    return bool(are_close and max(distances) <= TOLERANCE)
