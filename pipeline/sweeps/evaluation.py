"""Evaluate points of a sweep on the test images, and remember which ones have been.

Each sweep lists them in its folder, in test_evaluations.jsonl. Lines are only ever
added to the list, because a result that has been seen cannot be unseen.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean

from pydantic import ValidationError

from pipeline.errors import InvalidFile
from pipeline.execution import runs
from pipeline.execution.process import open_threads
from pipeline.images import data
from pipeline.parameters import NAMES, describe, from_values
from pipeline.records import Inputs, RunRecord, TestEvaluation
from pipeline.results import provenance
from pipeline.results.files import lock, write_whole
from pipeline.results.run_folder import RunFolder
from pipeline.results.stages import EVALUATION, TRAINING
from pipeline.sweeps.training import TRAINING_FILES

FILE = "test_evaluations.jsonl"

Groups = Mapping[str, Sequence[TestEvaluation]]  # by configuration, see `identify`


def evaluate(
    folders: Sequence[RunFolder],
    at_a_time: int = 1,
    inputs: Mapping[str, Inputs] | None = None,
) -> bool:
    """Execute 03_evaluate for points of a sweep, and write their reports.

    Return whether it was executed for any.

    A point that has been evaluated is skipped, unless what its evaluation depends on
    has changed.

    at_a_time: how many points to evaluate at once.
    inputs: for each source of images, what an evaluation with them depends on. What is
        missing is collected now.

    Raises InvalidInput if a folder holds no finished point, or one that was trained
    with other code, data or versions. Raises CommandFailed if another command uses a
    folder, and NotebookFailed if 03_evaluate fails.
    """
    with open_threads(at_a_time) as threads:
        work = partial(_evaluate_point, given=inputs or {})
        return any(list(threads.map(work, folders)))


def _evaluate_point(folder: RunFolder, given: Mapping[str, Inputs]) -> bool:
    with lock(folder.path):
        record, parameters = folder.read_finished()
        inputs = given.get(parameters.source) or provenance.collect_inputs(
            parameters.source, [TRAINING, EVALUATION]
        )
        is_evaluated = folder.metrics_path.name in record.outputs
        now = RunRecord(parameters=dict(parameters), inputs=inputs)
        changes = provenance.compare_records(record, now)
        is_new = not is_evaluated or bool(changes)
        if is_new:
            trained = now.replace(inputs=provenance.keep_training_inputs(inputs))
            if changed := provenance.compare_records(record, trained):
                problem = f"was trained with other inputs: {changed[0]}"
                raise InvalidFile(folder.path, problem, "Run its sweep again.")
            record = _execute_evaluation(folder, record, inputs)
            add_test_evaluation(folder, record)
        if is_new or not folder.report_path.exists():
            runs.finish(folder, record)
    return is_new


def _execute_evaluation(
    folder: RunFolder, record: RunRecord, inputs: Inputs
) -> RunRecord:
    """Execute 03_evaluate, and return the record with its inputs and files."""
    outputs = {name: record.outputs[name] for name in TRAINING_FILES}
    record = record.replace(outputs=outputs)
    # If this process is killed now, the record names only the files of the training.
    folder.write_record(record)
    parameters = from_values(record.parameters)
    images = data.split_source(
        parameters.source, parameters.num_samples, parameters.num_validation
    )
    write_whole(folder.data_path, images.to_bytes())
    write_whole(folder.helpers_path, provenance.take_helpers(inputs))
    try:
        evaluated = runs.execute_stages(folder, record.parameters, inputs, [EVALUATION])
    finally:
        folder.data_path.unlink(missing_ok=True)
    return record.replace(inputs=inputs, outputs=outputs | evaluated)


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
    code = "".join([*trained.syntax.values(), *trained.notebooks.values()])
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

    They also say whether the selected one was the first.

    selected: the ids of its points.
    """
    groups: dict[str, list[TestEvaluation]] = {}
    for evaluation in evaluations:
        groups.setdefault(identify(evaluation), []).append(evaluation)
    lines = [
        f"configurations of this sweep, evaluated on the test images: {len(groups)}"
    ]
    of_selected = [each for each in evaluations if each.point in selected]
    if of_selected:
        last = of_selected[-1]
        earlier = evaluations[: evaluations.index(last)]
        others = {identify(each) for each in earlier} - {identify(last)}
        lines.append(describe_order(len(others)))
    return lines + (describe_groups(groups) if len(groups) > 1 else [])


def identify(evaluation: TestEvaluation) -> str:
    """Return what identifies a configuration: its code and all parameters but the seed.

    So a configuration that was trained again with other code is another one.
    """
    names = [name for name in NAMES if name != "seed"]
    return evaluation.code + describe(pick(evaluation, names))


def pick(evaluation: TestEvaluation, names: Sequence[str]) -> dict[str, object]:
    return {name: evaluation.parameters.get(name) for name in names}


def describe_order(others: int) -> str:
    """Say whether the test images were unseen when the selected points were evaluated.

    others: how many other configurations had been evaluated before.
    """
    if others == 0:
        return "The selected one was the first: its accuracy is of unseen images."
    who = "1 other was" if others == 1 else f"{others} others were"
    return (
        f"{who} evaluated before the selected one, "
        "so its test accuracy is no longer that of unseen images."
    )


def describe_groups(groups: Groups) -> list[str]:
    """Describe each configuration by the parameters that differ among them."""
    firsts = [evaluations[0] for evaluations in groups.values()]
    varied = [
        name
        for name in NAMES
        if name != "seed"
        and len({str(first.parameters.get(name)) for first in firsts}) > 1
    ]
    lines = []
    for evaluations in groups.values():
        first = evaluations[0]
        what = describe(pick(first, varied)) or "the only configuration"
        accuracy = fmean(each.test_accuracy for each in evaluations)
        seeds = len({each.point for each in evaluations})
        lines.append(
            f"{first.time:%Y-%m-%d %H:%M} UTC: {what}, code {first.code}: "
            f"test_accuracy {accuracy:.4f}, over {seeds} "
            + ("seed" if seeds == 1 else "seeds")
        )
    return lines
