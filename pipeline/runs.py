"""Run the three notebooks in sequence, skip a run that is finished, and verify one.

A point of a sweep is a run for which only 02_train is executed at first. It is
evaluated later, when its sweep selects it or a command needs its metrics.
"""

import hashlib
import logging
import math
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import data, notebooks, parameters, provenance, published
from pipeline.errors import CodeChanged, CommandFailed, InvalidRecord, NotebookFailed
from pipeline.files import lock, write_whole
from pipeline.model import Model
from pipeline.parameters import NAMED_SOURCES, SIZES, Parameters
from pipeline.paths import ROOT, RUNS
from pipeline.process import open_threads
from pipeline.records import Inputs, RunRecord, Status, TestEvaluation, Trained, now
from pipeline.reports import page
from pipeline.run_folder import RunFolder
from pipeline.stages import EVALUATION, PREPARATION, RESULTS, STAGES, TRAINING, Stage

TRAINED = (TRAINING.executed, *TRAINING.files)  # the files that a training leaves
# Results of a BLAS may differ by this, because its last digits vary between machines.
TOLERANCE = 1e-9

TEST_EVALUATIONS = "test_evaluations.jsonl"  # in the folder of a sweep

# The result of training a point: its record, and files that are not in its folder yet.
Outcome = tuple[RunRecord, dict[str, bytes]]
# A function that starts the training of a point and takes what `train_point` takes.
Submit = Callable[[RunFolder, RunRecord, bytes, int | None], "Future[Outcome]"]

log = logging.getLogger(__name__)


def run(chosen: Parameters, run_dir: str = "runs/default", force: bool = False) -> None:
    """Prepare, train, evaluate and report, unless the folder holds this run finished.

    run_dir: relative to the project's root, or absolute. force: run again in any case.
    All images of a source of your own are used, see `data.fit_source`.

    Raises InvalidInput if the folder or the source cannot be used, and CommandFailed if
    another command uses the folder; then nothing has been changed. Raises
    NotebookFailed if a notebook fails; then the folder holds the notebooks as far as
    they were executed, and run.json holds the status and the error.
    """
    folder = RunFolder(run_dir)
    folder.check_free()
    parameters.check_memory(chosen.hidden_size)
    given = chosen
    chosen, images = data.fit_source(given)
    inputs = provenance.collect_inputs(chosen)
    if chosen is not given:
        sizes = parameters.describe(chosen.model_dump(include=SIZES))
        log.info(f"All images of the source are taken: {sizes}")
    with lock(folder.path):
        differences = provenance.find_differences(folder, chosen, inputs)
        if differences or force:
            if folder.record.exists():
                listed = "".join(f"\n  {each}" for each in differences or ["--force"])
                log.info(f"Replacing what is in {run_dir}, because of{listed}")
            if force:
                folder.checkpoint.unlink(missing_ok=True)
            for warning in images.warnings:
                log.warning(warning)
            arrays = dict(images.source_sha256)
            _run(
                folder, RunRecord(parameters=dict(chosen), inputs=inputs, arrays=arrays)
            )
        else:
            log.info(
                f"{run_dir} is finished, and nothing that it depends on has changed."
            )
            if not folder.report.exists():
                _finish(folder, folder.read_record())
    log.info(summarise(folder))


def _run(folder: RunFolder, record: RunRecord) -> None:
    started = time.monotonic()
    record = continue_record(folder, record)
    folder.write_record(record)
    folder.clear()
    try:
        outputs = execute_stages(folder, record.parameters, record.inputs)
        if folder.read_data().source_sha256 != record.arrays:
            raise NotebookFailed(
                "The data was changed while it was executed. Run it again."
            )
        duration = round(record.earlier_s + time.monotonic() - started, 1)
        fields = {"outputs": outputs, "note": folder.read_model().note}
        _finish(folder, record.replace(duration_s=duration, **fields))
    except BaseException as error:
        folder.metrics.unlink(missing_ok=True)
        text = None if isinstance(error, KeyboardInterrupt) else str(error)
        folder.write_record(record.replace(status=Status.of(error), error=text))
        raise


def continue_record(folder: RunFolder, record: RunRecord) -> RunRecord:
    """Add the time before a checkpoint to a record whose training continues from one.

    Such a training began when it was first started, and has already taken the time up
    to its checkpoint. A checkpoint of other parameters, data or code is not used, so
    its time does not count.
    """
    before, wanted = folder.find_record(), parameters.from_values(record.parameters)
    if before is None or not folder.checkpoint.exists():
        return record
    if provenance.compare_inputs(before, wanted, record.inputs):
        return record
    saved = datetime.fromtimestamp(folder.checkpoint.stat().st_mtime, UTC)
    leg = max(saved - (before.resumed or before.started), timedelta())
    return record.replace(
        started=before.started,
        resumed=record.started,
        earlier_s=round(before.earlier_s + leg.total_seconds(), 1),
    )


def execute_stages(
    folder: RunFolder,
    values: Mapping[str, object],
    inputs: Inputs | None = None,
    stages: Iterable[Stage] = STAGES,
) -> dict[str, str]:
    """Execute the notebooks of these stages, and return the digests of their files.

    inputs: the code and cells that have to be executed; None for what is on disk.
    """
    outputs: dict[str, str] = {}
    for stage in stages:
        started, executed = time.monotonic(), folder.notebook(stage)
        values = {**values, "run_dir": folder.display_path}
        notebooks.execute(stage.notebook, executed, values, inputs=inputs)
        outputs |= folder.digest([executed.name, *stage.files])
        log.info(f"{executed.name}  {time.monotonic() - started:.1f} s")
    return outputs


def _finish(folder: RunFolder, record: RunRecord) -> None:
    """Write the report, then record that the run is done."""
    page.write_run_report(folder, record)
    outputs = record.outputs | folder.digest([folder.report.name])
    folder.write_record(record.replace(status=Status.DONE, outputs=outputs))


def summarise(folder: RunFolder) -> str:
    """Return a run's metrics beside the published ones, and the path of its report."""
    record, model = folder.read_record(), folder.read_model()
    changed = parameters.find_unoriginal(parameters.from_values(record.parameters))
    verdicts = ("", "") if changed else ("equal", "NOT equal")
    differences = [parameters.describe(changed)] if changed else []
    if not provenance.has_published_helpers(record.inputs):
        differences.append("helpers.py, whose code has been changed")
    metrics, has_digits = (
        folder.read_metrics().model_dump(),
        model.classes == data.DIGITS,
    )
    parts = [published.format_table(metrics, *verdicts, has_digits)]
    if differences:
        parts.insert(0, f"What differs from the original: {', '.join(differences)}")
    if record.note:
        parts.append(record.note)
    parts.append(f"report: {os.path.relpath(folder.report)}")
    return "\n" + "\n\n".join(parts)


def train_point(
    folder: RunFolder, record: RunRecord, content: bytes, time_limit: int | None
) -> Outcome:
    """Train a point by executing 02_train in its folder, and return its record.

    content: the bytes of data.npz, which is in the folder only while the point trains.
    time_limit: seconds for a cell, or None. A failed training is recorded, not raised.
    Raises CodeChanged if the project's code has changed since the command started.
    """
    started = time.monotonic()
    executed = folder.notebook(TRAINING)
    record = continue_record(folder, record.replace(started=now()))
    folder.write_record(record)
    folder.clear()
    write_whole(folder.data, content)
    try:
        notebooks.execute(
            TRAINING.notebook,
            executed,
            record.parameters | {"run_dir": folder.display_path},
            inputs=record.inputs,
            time_limit=time_limit,
            is_point=True,
        )
        model = folder.read_model()
        trained = Trained(**folder.read_history()[-1], weights_sha256=model.sha256)
        record = record.replace(status=Status.DONE, metrics=trained, note=model.note)
    except CodeChanged:
        folder.record.unlink()  # because nothing was trained
        raise
    except (NotebookFailed, InvalidRecord) as error:
        record = record.replace(status=Status.of(error), error=str(error))
    finally:
        folder.data.unlink()
    duration = round(record.earlier_s + time.monotonic() - started, 1)
    return record.replace(duration_s=duration), {}


def evaluate(
    folders: Sequence[RunFolder],
    at_a_time: int = 1,
    inputs: Mapping[str, Inputs] | None = None,
) -> None:
    """Execute 03_evaluate for points of a sweep, and write their reports.

    A point that has been evaluated is skipped, unless what its evaluation depends on
    has changed. at_a_time: how many points to evaluate at once. inputs: what the
    evaluation depends on, by the source of the images; collected now for a source that
    is left out.

    Raises InvalidInput if a folder holds no finished point, or one that was trained
    with other code, data or versions. Raises CommandFailed if another command uses a
    folder, and NotebookFailed if 03_evaluate fails.
    """
    with open_threads(at_a_time) as threads:
        list(threads.map(partial(_evaluate, given=inputs or {}), folders))


def _evaluate(folder: RunFolder, given: Mapping[str, Inputs]) -> None:
    with lock(folder.path):
        record, chosen = folder.read_finished()
        inputs = given.get(chosen.source) or provenance.collect_inputs(
            chosen, [TRAINING, EVALUATION]
        )
        is_evaluated = folder.metrics.name in record.outputs
        if not is_evaluated or provenance.compare_inputs(record, chosen, inputs):
            trained = provenance.leave_out_evaluation(inputs)
            if changed := provenance.compare_inputs(record, chosen, trained):
                problem = f"was trained with other {changed[0]}"
                raise InvalidRecord(folder.path, problem, "Run its sweep again.")
            images = data.split_source(
                chosen.source, chosen.num_samples, chosen.num_validation
            )
            outputs = {name: record.outputs[name] for name in TRAINED}
            record = record.replace(outputs=outputs)
            # If this process is killed now, the record names only the trained files.
            folder.write_record(record)
            write_whole(folder.data, images.to_bytes())
            try:
                outputs = execute_stages(
                    folder, record.parameters, inputs, [EVALUATION]
                )
            finally:
                folder.data.unlink(missing_ok=True)
            record = record.replace(inputs=inputs, outputs=record.outputs | outputs)
            add_test_evaluation(folder, record)
        elif folder.report.exists():
            return
        _finish(folder, record)


def add_test_evaluation(folder: RunFolder, record: RunRecord) -> None:
    """Add a point to the sweep's list of those that have met the test images.

    Lines are only ever added, because a result that has been seen cannot be unseen.
    """
    metrics = folder.read_metrics()
    code = "".join(record.inputs.syntax.values())
    evaluation = TestEvaluation(
        point=folder.path.name,
        parameters=record.parameters,
        code=hashlib.sha256(code.encode()).hexdigest()[:12],
        test_error=metrics.test_error,
        test_accuracy=metrics.test_accuracy,
    )
    with (folder.path.parent / TEST_EVALUATIONS).open("a", encoding="utf-8") as file:
        file.write(f"{evaluation.model_dump_json()}\n")


def report(run_dir: str) -> Path:
    """Write the report of a finished run or point, and return its path.

    A point that has not been evaluated is evaluated first. Raises what `evaluate` does.
    """
    folder = RunFolder(run_dir)
    if folder.is_point:
        evaluate([folder])
    else:
        folder.read_record()  # raises before a folder without a run gets a lock file
        with lock(folder.path):
            _finish(folder, folder.read_finished()[0])
    return folder.report


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
    inputs = provenance.collect_inputs(chosen, recorded)
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


def show_source(values: Mapping[str, str], output: Path | None = None) -> Path:
    """Write a page about the images of a source, and return its path.

    Also log how many images it has, and the command that trains with them. values: the
    "source", and other parameters, as text; see `data.fit_source`. output: the page, by
    default one in runs/reports. Raises InvalidInput and NotebookFailed.
    """
    chosen = parameters.from_strings(values)
    parameters.check_source(chosen.source)
    chosen, _ = data.fit_source(chosen)
    name = Path(chosen.source).stem
    output = output or RUNS / "reports" / f"{name}-data.html"
    with tempfile.TemporaryDirectory(prefix="digits-") as temporary:
        folder = RunFolder(temporary)
        execute_stages(folder, dict(chosen), stages=[PREPARATION])
        executed = folder.notebook(PREPARATION)
        page.write_notebook_report(executed, output, f"The images of {chosen.source}")
        cells = notebooks.read_notebook(executed).cells
    for cell in cells:
        if cell.id in ("split", "counts-printed"):
            log.info("".join(each.text for each in cell.outputs))
    command = parameters.make_command(dict(chosen), f"runs/{name}-run")
    log.info(f"Train with, in the project's folder: {command}")
    return output
