"""Evaluate the selected points of a sweep on the test images, and list these points.

The list is the file test_evaluations.jsonl in the sweep's folder. Lines are only added
to this file, never removed, because an evaluation cannot be undone.
"""

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from pipeline.errors import InvalidFile
from pipeline.execution import runs
from pipeline.execution.process import open_thread_pool
from pipeline.records import TestEvaluation
from pipeline.results import provenance
from pipeline.results.files import atomic_write
from pipeline.results.run_folder import RunFolder
from pipeline.results.stages import EVALUATION, TRAINING
from pipeline.sweeps.sweep import Point, Sweep
from pipeline.sweeps.table import make_config_key

FILE = "test_evaluations.jsonl"


def evaluate_points(sweep: Sweep, points: Sequence[Point], at_a_time: int) -> None:
    """Add finished points to the list of test evaluations, then evaluate these points.

    03_evaluate is executed for each point, with the images and the code that the sweep
    was started with.

    at_a_time: how many points to evaluate at once.

    Raises NotebookFailed if 03_evaluate fails.
    """
    register_test_evaluations(sweep.path, points)
    with open_thread_pool(at_a_time) as threads:
        list(threads.map(partial(_evaluate_point, sweep), points))


def is_evaluated(point: Point) -> bool:
    """Return whether a point has metrics on the test images, and unaltered results."""
    if not point.record or not point.find_metrics():
        return False
    return not point.folder.list_altered(point.record)


def _evaluate_point(sweep: Sweep, point: Point) -> None:
    """Execute 03_evaluate for a point, and add the new files to the point's record.

    Before 03_evaluate starts, the record is changed to name only the files of training.
    If this process is killed before the end, the point is therefore evaluated again.
    """
    folder, inputs = point.folder, point.expected_record.inputs
    record = folder.read_record()
    outputs = {name: record.outputs[name] for name in TRAINING.files}
    record = record.replace(inputs=point.training_record.inputs, outputs=outputs)
    point.record_result(record)
    atomic_write(folder.data_path, sweep.split_images(point.parameters).to_bytes())
    atomic_write(folder.helpers_path, sweep.helpers)
    try:
        found = runs.execute_stages(folder, record.parameters, inputs, [EVALUATION])
    finally:
        folder.data_path.unlink(missing_ok=True)
    point.record_result(record.replace(inputs=inputs, outputs=outputs | found))


def write_report(run_dir: str) -> Path:
    """Write the report of a run or of a selected point, and return the report's path.

    Raises InvalidFile if the run has not finished. Also raises InvalidFile for a point
    that has not been evaluated, because only selected points may use the test images.
    """
    folder = RunFolder(run_dir)
    if folder.is_point and folder.metrics_path.name not in folder.read_record().outputs:
        problem = "was not selected by its sweep, so it has no test metrics"
        raise InvalidFile(folder.path, problem, "Name its sweep, or a selected point.")
    return runs.write_report(folder)


def register_test_evaluations(sweep_dir: Path, points: Sequence[Point]) -> None:
    """Add points to the list of test evaluations, before these points are evaluated."""
    path = sweep_dir / FILE
    lines = path.read_bytes() if path.exists() else b""
    for point in points:
        line = TestEvaluation(
            point=point.id,
            parameters=dict(point.parameters),
            code=digest_training_code(point.expected_record.inputs),
        )
        lines += line.model_dump_json().encode() + b"\n"
    atomic_write(path, lines)


def digest_training_code(inputs: dict[str, str]) -> str:
    """Return the first 12 digits of a digest of all the code that trains a point.

    inputs: the inputs of the point, see provenance.py.
    """
    trained = provenance.select_training_inputs(inputs)
    names = [name for name in sorted(trained) if name.startswith(("cells ", "code "))]
    code = [trained[name] for name in names]
    return hashlib.sha256("".join(code).encode()).hexdigest()[:12]


def read_test_evaluations(sweep_dir: Path) -> list[TestEvaluation]:
    """Read a sweep's list of test evaluations, the oldest first.

    The list includes points that were later removed from the sweep's file or trained
    again.

    Raises InvalidFile if the list is damaged.
    """
    path = sweep_dir / FILE
    lines = path.read_bytes().splitlines() if path.exists() else []
    try:
        return [TestEvaluation.model_validate_json(line) for line in lines]
    except ValidationError as error:
        problem = f"is damaged ({error.errors()[0]['msg']})"
        raise InvalidFile(path, problem, "Remove the line that is wrong.") from None


def describe_test_evaluations(
    evaluations: Sequence[TestEvaluation], selected: Sequence[str]
) -> list[str]:
    """Return sentences about the configurations that were evaluated on the test images.

    The sentences say how many configurations were evaluated, and whether the selected
    configuration was the first.

    evaluations: all evaluations of a sweep, the oldest first.
    selected: the ids of the points of the selected configuration.

    If a configuration was trained again with other code, it counts as another one.
    """
    keys = [(make_config_key(each.parameters), each.code) for each in evaluations]
    different = list(dict.fromkeys(keys))
    count = len(different)
    lines = [f"configurations of this sweep, evaluated on the test images: {count}"]
    # The selected configuration may have been evaluated several times, with different
    # versions of the code. The last evaluation counts.
    own = [keys[i] for i, each in enumerate(evaluations) if each.point in selected]
    if own:
        before = different.index(own[-1])  # the number of earlier configurations
        unseen = "of images that this sweep had not seen"
        if before == 0:
            lines.append(f"The selected one was the first: its accuracy is {unseen}.")
        else:
            who = "1 other was" if before == 1 else f"{before} others were"
            verdict = f"its accuracy is no longer {unseen}"
            lines.append(f"{who} evaluated before the selected one: {verdict}.")
    if count:
        lines.append("Other sweeps and runs are not counted.")
    return lines
