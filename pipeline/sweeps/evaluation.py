"""Evaluate points of a sweep on the test images, and remember which ones have been.

Each sweep lists them in its folder, in test_evaluations.jsonl. Lines are only ever
added to the list, because a result that has been seen cannot be unseen.
"""

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import fmean

from pydantic import ValidationError

from pipeline.errors import InvalidFile
from pipeline.execution import runs
from pipeline.execution.machine import describe_origin
from pipeline.execution.process import open_threads
from pipeline.images import data
from pipeline.images.data import Data
from pipeline.parameters import Parameters, describe
from pipeline.records import RunRecord, TestEvaluation
from pipeline.results import provenance
from pipeline.results.files import lock, write_whole
from pipeline.results.run_folder import RunFolder
from pipeline.results.stages import EVALUATION, TRAINING
from pipeline.sweeps.sweep import PreparedSweep
from pipeline.sweeps.table import identify

FILE = "test_evaluations.jsonl"
DEFAULTS = Parameters().model_dump()


def evaluate(
    folders: Sequence[RunFolder],
    at_a_time: int = 1,
    sweep: PreparedSweep | None = None,
) -> bool:
    """Execute 03_evaluate for points of a sweep, and write their reports.

    at_a_time: how many points to evaluate at once.
    sweep: has the images of each source, loaded before the points were trained, and
        what an evaluation depends on. Without it, both are collected now.

    A point that has been evaluated is skipped, unless what its evaluation depends on
    has changed. Return whether it was executed for any.

    Raises InvalidInput if a folder holds no finished point, or one that was trained
    with other code, data or versions. Raises CommandFailed if another command uses a
    folder, and NotebookFailed if 03_evaluate fails.
    """
    with open_threads(at_a_time) as threads:
        return any(list(threads.map(partial(_evaluate_point, sweep), folders)))


def _evaluate_point(sweep: PreparedSweep | None, folder: RunFolder) -> bool:
    with lock(folder.path):
        record, parameters = folder.read_finished()
        source = parameters.source
        images = (sweep.split if sweep else _load_images)(parameters)
        inputs = (
            sweep.evaluation_inputs[source]
            if sweep
            else provenance.collect_inputs(images, [TRAINING, EVALUATION])
        )
        now = RunRecord(parameters=dict(parameters), inputs=inputs)
        is_evaluated = folder.metrics_path.name in record.outputs
        is_new = not is_evaluated or bool(provenance.compare(record, now))
        if is_new:
            trained = now.replace(inputs=provenance.keep_training_inputs(inputs))
            if changed := provenance.compare(record, trained):
                problem = f"was trained with other inputs: {changed[0]}"
                raise InvalidFile(folder.path, problem, "Run its sweep again.")
            record = _execute_evaluation(folder, record, inputs, images)
            add_test_evaluation(folder, record)
        if is_new or not folder.report_path.exists():
            runs.finish(folder, record)
    return is_new


def _load_images(parameters: Parameters) -> Data:
    sizes = parameters.num_samples, parameters.num_validation
    return data.split_source(parameters.source, *sizes)


def _execute_evaluation(
    folder: RunFolder, record: RunRecord, inputs: dict[str, str], images: Data
) -> RunRecord:
    """Execute 03_evaluate, and return the record with its inputs and files."""
    outputs = {name: record.outputs[name] for name in TRAINING.files}
    record = record.replace(outputs=outputs)
    # If this process is killed now, the record names only the files of the training.
    folder.write_record(record)
    write_whole(folder.data_path, images.to_bytes())
    write_whole(folder.helpers_path, provenance.take_helpers(inputs))
    try:
        evaluated = runs.execute_stages(folder, record.parameters, inputs, [EVALUATION])
    finally:
        folder.data_path.unlink(missing_ok=True)
    return record.replace(
        inputs=inputs,
        outputs=outputs | evaluated,
        origin=describe_origin(),
    )


def report(run_dir: str) -> Path:
    """Write the report of a finished run or point, and return its path.

    A point that has not been evaluated is evaluated first. Raises what `evaluate` does.
    """
    folder = RunFolder(run_dir)
    if folder.is_point:
        evaluate([folder])
        return folder.report_path
    return runs.report(folder)


def add_test_evaluation(folder: RunFolder, record: RunRecord) -> None:
    """Add a point that has just been evaluated to the list of its sweep."""
    metrics = folder.read_metrics()
    trained = provenance.keep_training_inputs(record.inputs)
    code = "".join(
        value for name, value in trained.items() if name.startswith(("code", "cells"))
    )
    evaluation = TestEvaluation(
        point=folder.path.name,
        parameters=record.parameters,
        code=hashlib.sha256(code.encode()).hexdigest()[:12],
        test_error=metrics.test_error,
        test_accuracy=metrics.test_accuracy,
    )
    with (folder.path.parent / FILE).open("a", encoding="utf-8") as file:
        file.write(f"{evaluation.model_dump_json()}\n")


def read_test_evaluations(sweep_dir: Path) -> list[TestEvaluation]:
    """Read the list of a sweep, oldest evaluation first.

    Points that are no longer in the sweep's file, or have been trained again since, are
    among them. Raises InvalidFile if the file is damaged.
    """
    path = sweep_dir / FILE
    if not path.exists():
        return []
    lines = path.read_bytes().splitlines()
    try:
        return [TestEvaluation.model_validate_json(line) for line in lines]
    except ValidationError as error:
        problem = f"is damaged ({error.errors()[0]['msg']})"
        next_step = "Remove the line that was not written by this project."
        raise InvalidFile(path, problem, next_step) from None


def describe_test_evaluations(
    evaluations: Sequence[TestEvaluation], selected: Sequence[str]
) -> list[str]:
    """Return lines that say which configurations of a sweep have been evaluated.

    selected: the ids of the points of the selected configuration.

    The lines also say whether the selected configuration was evaluated before all
    others. Configurations stand in the order of their first evaluations. If one was
    trained again with other code, it counts as a new configuration, but not if its
    results are the same.
    """
    groups: dict[tuple[str, str], list[TestEvaluation]] = {}
    codes: dict[tuple[str, float, float], str] = {}  # which first gave these results
    for each in evaluations:
        result = each.point, each.test_error, each.test_accuracy
        code = codes.setdefault(result, each.code)
        key = identify(DEFAULTS | each.parameters), code
        groups.setdefault(key, []).append(each)
    lines = [
        f"configurations of this sweep, evaluated on the test images: {len(groups)}"
    ]
    # They may have been evaluated with several codes. The last one is that of today.
    last = [each for each in evaluations if each.point in selected][-1:]
    for others, group in enumerate(groups.values()):
        if last and last[0] in group:
            lines.append(_describe_order(others))
    if groups:
        lines.append("Other sweeps and runs are not counted.")
    if len(groups) > 1:
        lines += map(_describe_group, groups.values())
    return lines


def _describe_order(others: int) -> str:
    """Say whether the test images were unseen when the selected points were evaluated.

    others: how many other configurations of the sweep had been evaluated before.
    """
    if others == 0:
        return (
            "The selected one was the first: "
            "its accuracy is of images that this sweep had not seen."
        )
    who = "1 other was" if others == 1 else f"{others} others were"
    return (
        f"{who} evaluated before the selected one: "
        "its accuracy is no longer of unseen images."
    )


def _describe_group(evaluations: Sequence[TestEvaluation]) -> str:
    """Describe a configuration by its parameters that are not at their defaults."""
    first = evaluations[0]
    changed = {
        name: value
        for name, value in first.parameters.items()
        if name != "seed" and value != DEFAULTS.get(name)
    }
    accuracy = fmean(each.test_accuracy for each in evaluations)
    count = len({each.point for each in evaluations})
    return (
        f"{first.time:%Y-%m-%d %H:%M} UTC: {describe(changed) or 'all defaults'}, "
        f"code {first.code}: test_accuracy {accuracy:.4f}, over {count} "
        + ("seed" if count == 1 else "seeds")
    )
