"""Evaluate the selected points of a sweep on the test images, and count the looks."""

from collections.abc import Sequence
from functools import partial

from pipeline.engine.process import open_thread_pool
from pipeline.execution import runs
from pipeline.parameters import make_id
from pipeline.results import provenance
from pipeline.results.stages import LATER_STAGES, TRAINING
from pipeline.sweeps.sweep import Point, Sweep
from pipeline.sweeps.table import make_config_key


def evaluate_points(sweep: Sweep, points: Sequence[Point], at_a_time: int) -> None:
    """Evaluate finished points, after sweep.json says that they are evaluated.

    The stages after training are executed for each point, with the images and the code
    that the sweep was started with.

    at_a_time: how many points to evaluate at once.

    Raises NotebookFailed if one of these stages fails.
    """
    keys = [make_evaluation_key(sweep, point) for point in points]
    evaluated = dict.fromkeys([*sweep.record.evaluated, *keys])
    sweep.change_record(evaluated=list(evaluated))
    sweep.write_record()
    with open_thread_pool(at_a_time) as threads:
        list(threads.map(partial(_evaluate_point, sweep), points))


def make_evaluation_key(sweep: Sweep, point: Point) -> str:
    """Return the key of a point's configuration and of what its training depends on."""
    configuration = make_config_key(dict(point.parameters))
    inputs = provenance.select_training(sweep.record.inputs)
    return f"{configuration}-{make_id(inputs)}"


def is_evaluated(point: Point) -> bool:
    """Return whether a point has metrics on the test images, and unaltered results."""
    if not point.record or not point.find_metrics():
        return False
    return not point.folder.list_altered(point.record)


def _evaluate_point(sweep: Sweep, point: Point) -> None:
    """Execute the stages after training for a point, and add their files to its record.

    Before they start, the record is changed to name only the files of training.
    If this process is killed before the end, the point is therefore evaluated again.
    """
    record = point.folder.read_record()
    outputs = {name: record.outputs[name] for name in TRAINING.files}
    record = record.replace(inputs=sweep.record.inputs, outputs=outputs)
    point.record_result(record)
    added = runs.execute_stages(
        point.folder,
        record,
        LATER_STAGES,
        data_npz=sweep.split_images(point.parameters).to_bytes(),
        label=sweep.describe_point(point),
    )
    point.record_result(record.replace(outputs=outputs | added))


def describe_evaluations(evaluated: Sequence[str], selected: str) -> list[str]:
    """Return lines about the configurations that were evaluated on the test images.

    The lines say how many configurations were evaluated, and which of them is selected.

    evaluated: the keys of all evaluated configurations, the oldest first.
    selected: the key of the selected configuration, or "".
    """
    count = len(evaluated)
    lines = [f"configurations of this sweep, evaluated on the test images: {count}"]
    if selected in evaluated:
        place = evaluated.index(selected) + 1
        lines.append(f"The selected one was number {place} of them.")
        lines.append("Only for number 1 were these test images new to this sweep.")
    lines.append("Other sweeps and runs are not counted.")
    return lines
