"""Verify a run: repeat it in a temporary folder, and compare old and new results."""

import logging
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from loky import cpu_count

from pipeline.engine.process import open_thread_pool
from pipeline.errors import CommandFailed, PipelineError
from pipeline.execution.runs import execute_stages
from pipeline.images.data import is_available, load_source
from pipeline.records import RunRecord
from pipeline.reports.origins import describe_origins
from pipeline.results import provenance, stages
from pipeline.results.point_folder import open_run
from pipeline.results.run_folder import RunFolder
from pipeline.results.stages import (
    EVALUATION,
    LATER_STAGES,
    PREPARATION,
    RESULT_FILES,
    TRAINING,
)

log = logging.getLogger(__name__)
# Results that a BLAS computes may differ by this much, because their last digits vary
# between machines.
TOLERANCE = 1e-9
# Files whose bytes do not depend on the weights, or for which nobody says how.
EXACT = {*RESULT_FILES}.difference(TRAINING.files, EVALUATION.files)

Results = dict[str, Any]  # metrics and digests by name


def verify_each(run_dirs: Sequence[str]) -> None:
    """Verify runs or points of a sweep, one on each core, and log the results of each.

    If there is only one folder, this function raises the errors of `verify`. If there
    are several, all are verified. Then CommandFailed is raised if any of them was not
    reproduced or could not be repeated.
    """
    if len(run_dirs) == 1:
        verify(run_dirs[0])
        return
    count = 0
    with open_thread_pool(cpu_count()) as threads:
        for lines, is_reproduced in threads.map(_verify_beside_others, run_dirs):
            log.info("\n".join(lines))
            count += not is_reproduced
    if count:
        which = f"{count} of the {len(run_dirs)} points"
        raise CommandFailed(f"{which} are not reproduced, or cannot be run.")


def _verify_beside_others(run_dir: str) -> tuple[list[str], bool]:
    """Verify a run, and return what is to be logged, and whether it is reproduced."""
    lines = [run_dir]
    try:
        verify(run_dir, lines.append)
    except PipelineError as error:
        return [*lines, str(error)], False
    return lines, True


def verify(run_dir: str, say: Callable[[str], None] = log.info) -> None:
    """Repeat a finished run or point, and compare its results with the stored ones.

    The run is repeated in a temporary folder. Each result gets a line.

    say: what gets the lines.

    Raises InvalidInput if the folder has no finished run, if a file of the run was
    altered, if the run was trained with another helpers.py, or if there are no images.
    Raises CommandFailed if any result differs by more than is allowed.
    """
    folder = open_run(run_dir)
    record = folder.read_finished()
    folder.check_helpers(record)
    with tempfile.TemporaryDirectory(prefix="digits-") as temporary:
        again = RunFolder(temporary)
        inputs = repeat(folder, record, again)
        repeated = again.digest()
        both = [name for name in folder.digest() if name in repeated]
        before = read_results(folder, both)
        after = read_results(again, both)
        names = list(before | after)
        different = [name for name in names if before.get(name) != after.get(name)]
        is_close = (
            before.keys() == after.keys()
            and EXACT.isdisjoint(different)
            and may_differ_in_last_digits(record)
            and np.allclose(
                collect_numbers(folder, before),
                collect_numbers(again, after),
                TOLERANCE,
                TOLERANCE,
            )
        )
    for name in names:
        value = before.get(name, "not measured")
        verdict = describe_match(value, after.get(name, "not measured"), is_close)
        say(f"  {name:25} {value}  {verdict}")
    if not different:
        say(f"Reproduced: all {len(names)} metrics and digests are equal.")
        return
    say_circumstances(record, inputs, say)
    if not is_close:
        raise CommandFailed(f"{run_dir} is not reproduced: {', '.join(different)}.")
    say(
        f"Reproduced but for the last digits: metrics and weights are equal to within "
        f"{TOLERANCE:g}. Another BLAS or processor rounds products of matrices "
        "differently."
    )


def repeat(folder: RunFolder, record: RunRecord, again: RunFolder) -> dict[str, str]:
    """Repeat a run in another folder, and return the inputs of the repetition.

    If the source of the images is missing, the images are those of data.npz.
    """
    source = record.parameters.source
    executed = [PREPARATION, TRAINING]
    data_npz = None
    if is_available(source) or not folder.data_path.exists():
        images = load_source(source)
    else:
        images = folder.read_data()
        executed = [TRAINING]
        data_npz = images.to_bytes()
    if stages.METRICS in record.outputs:
        executed += LATER_STAGES
    inputs = provenance.collect_inputs(images)
    execute_stages(
        again,
        record.replace(inputs=inputs),
        executed,
        data_npz=data_npz,
        label=None,
    )
    return inputs


def describe_match(before: object, after: object, is_close: bool) -> str:
    """Return whether a result is equal to the one of the repeated run, as text."""
    if before == after:
        return "equal"
    if is_close:
        return f"equal but for rounding: {after}"
    return f"NOT equal: {after}"


def say_circumstances(
    record: RunRecord, inputs: dict[str, str], say: Callable[[str], None]
) -> None:
    """Say where a run was made, and which of its inputs have changed since."""
    say(f"The run was made {describe_origins([record.origin])}.")
    # A point that was not evaluated has recorded no inputs of an evaluation.
    recorded = {name: inputs[name] for name in inputs if name in record.inputs}
    now = record.replace(inputs=recorded)
    for change in provenance.list_changes(record, now):
        say(f"What has changed since: {change}")


def read_results(folder: RunFolder, names: Sequence[str]) -> Results:
    """Return the metrics in metrics.json by name, and the digests of other files.

    names: the names of the files that are read.
    """
    results: Results = {}
    if stages.METRICS in names:
        results |= folder.read_metrics().model_dump(exclude_none=True)
    elif stages.HISTORY in names:
        results |= folder.read_history()[-1]
    others = [name for name in names if name != stages.METRICS]
    return results | folder.digest(others)


def may_differ_in_last_digits(record: RunRecord) -> bool:
    """Return whether the last digits of a run's results depend on the machine.

    The compiled loops give the same digits everywhere. They train single images with
    the published helpers.py. In all other cases NumPy's BLAS multiplies matrices.
    """
    is_published = provenance.has_published_helpers(record.inputs)
    has_used_loops = is_published and record.parameters.batch_size == 1
    return not has_used_loops


def collect_numbers(folder: RunFolder, results: Results) -> np.ndarray:
    """Return all metrics and weights of a run as one array."""
    metrics = [each for each in results.values() if not isinstance(each, str)]
    weights = [matrix.ravel() for matrix in folder.read_model().weights]
    return np.concatenate([metrics, *weights])
