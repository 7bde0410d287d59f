"""Make runs: execute the three notebooks of a run, and write the report of the run."""

import logging
import os
import time
from collections.abc import Sequence

from pipeline.engine.process import start_fork_server
from pipeline.errors import InvalidInput, NotebookFailed
from pipeline.execution.machine import collect_origin
from pipeline.images import data
from pipeline.network import formats, published
from pipeline.parameters import (
    Parameters,
    choose_run_dir,
    find_changed_from_original,
    format_parameters,
)
from pipeline.paths import hide_folders
from pipeline.records import Metrics, RunRecord, Status
from pipeline.results import provenance
from pipeline.results.files import atomic_write, check_folder, lock_folder
from pipeline.results.provenance import AFTER_TRAINING
from pipeline.results.run_folder import RunFolder
from pipeline.results.stages import (
    LATER_STAGES,
    PREPARATION,
    README,
    REPORT,
    STAGES,
    SWEEP,
    TRAINED_PAGES,
    TRAINING,
    Stage,
)

log = logging.getLogger(__name__)


def run(
    parameters: Parameters, run_dir: str | None = None, force: bool = False
) -> None:
    """Make a run: prepare, train, evaluate and report.

    If the run is already finished, and nothing that it depends on has changed, its
    notebooks are not executed again.

    run_dir: the run's folder, absolute or relative to the project's root. By default
        it is runs/default, or a folder named after the parameters that differ.
    force: whether to execute the notebooks in any case, from the first epoch on.

    Raises InvalidInput if the folder or the source of the images cannot be used, or if
    the folder has a run with other parameters. Raises CommandFailed if another command
    uses the folder, or if the code in memory is older than the code on disk. In these
    cases nothing has been changed.

    Raises NotebookFailed if a notebook fails. The folder then has the notebooks that
    were executed, with the outputs up to the error, and run.json has the status and the
    error.
    """
    folder = RunFolder(run_dir or choose_run_dir(parameters))
    log.info(f"folder: {folder.display_path}")
    check_folder(folder.path, SWEEP)
    sizes = parameters.num_samples, parameters.num_validation
    images = data.split_source(parameters.source, *sizes)
    inputs = provenance.collect_inputs(images)
    record = RunRecord(parameters=parameters, inputs=inputs)
    with lock_folder(folder.path):
        if force:
            reasons = ["--force"]
        else:
            check_replaceable(folder, parameters)
            reasons = folder.list_differences(record)
        if reasons:
            start_fork_server()
            from pipeline.engine import notebooks  # see `execute_stages`
            from pipeline.reports import page

            page.check_tagged_cells("run.html.j2", [stage.notebook for stage in STAGES])
            notebooks.check_loaded_code(inputs)
            if force:
                folder.checkpoint_path.unlink(missing_ok=True)
            for warning in images.warnings:
                log.warning(warning)
            trained = {} if force else folder.find_trained(record)
            execute_run(folder, record, reasons, trained)
        else:
            log.info("It is finished, and nothing that it depends on has changed.")
            if folder.list_missing([REPORT]):
                from pipeline.reports import run_report  # see `execute_stages`

                run_report.write_run_report(folder, folder.read_record())
    log.info(summarise_metrics(folder))


def check_replaceable(folder: RunFolder, parameters: Parameters) -> None:
    """Raise InvalidInput if a run with these parameters may not replace what is there.

    A finished run is replaced only by a run with the same parameters. The same holds
    for a run that can be continued, and for results whose parameters are unknown.
    """
    record = folder.find_record()
    contents = ""
    if record is None:
        if folder.has_results or folder.record_path.exists():
            contents = "results, but its run.json is missing or cannot be read"
    elif record.made_by:
        contents = "results of notebooks that ran alone"
    elif record.parameters != parameters:
        # Without inputs, only the parameters are compared.
        wanted = RunRecord(parameters=parameters, inputs={})
        changes = "; ".join(provenance.list_changes(record, wanted))
        if record.outputs or folder.checkpoint_path.exists():
            contents = f"a run ({record.status}) with other parameters: {changes}"
    if contents:
        advice = "Choose another folder with --run-dir, or replace it with --force"
        raise InvalidInput(f"{folder.display_path} holds {contents}. {advice}.")


def execute_run(
    folder: RunFolder,
    record: RunRecord,
    reasons: Sequence[str],
    trained: dict[str, str],
) -> None:
    """Execute the notebooks of a run, and record how the run ended.

    If the folder has a checkpoint of this run, training continues from the checkpoint.
    Other files of an earlier run are deleted first.

    record: the record of the run, before it begins.
    reasons: why an earlier run in the folder is replaced. These reasons are logged.
    trained: the digests of the files of training, if only the stages after training are
        executed.
    """
    from pipeline.reports import origins, run_report  # see `execute_stages`

    before = folder.find_record()
    if before and provenance.list_changes(before, record, AFTER_TRAINING):
        folder.checkpoint_path.unlink(missing_ok=True)  # it is of another training
    is_begun = bool(trained) or folder.checkpoint_path.exists()
    if folder.record_path.exists():
        listed = "".join(f"\n  {each}" for each in reasons)
        log.info(f"Making it again, because of{listed}")
    if trained:
        for stage in (PREPARATION, TRAINING):
            log.info(f"{stage.name}  unchanged")
    started = time.monotonic()
    record = record.replace(origin=collect_origin(), outputs=trained)
    folder.write_record(record)
    kept = (*trained, *TRAINED_PAGES) if trained else ()
    folder.clear(kept)
    atomic_write(folder.helpers_path, provenance.get_helpers(record.inputs))
    atomic_write(folder.path / README, origins.RUN_README.encode())
    try:
        if not trained:
            record = record.replace(outputs=train(folder, record))
            folder.write_record(record)
        outputs = execute_stages(folder, record, LATER_STAGES)
        duration = measure_duration(started, is_begun)
        ended = record.replace(duration_s=duration, outputs=record.outputs | outputs)
        run_report.write_run_report(folder, ended)
        folder.write_record(ended.replace(status=Status.DONE))
    except BaseException as error:
        # Delete the metrics, so that the folder does not look like a finished run.
        folder.metrics_path.unlink(missing_ok=True)
        is_stopped = isinstance(error, KeyboardInterrupt)
        message = "stopped by a signal" if is_stopped else str(error)
        ended = record.replace(
            status=Status.from_error(error),
            error=hide_folders(message),
            duration_s=measure_duration(started, is_begun),
        )
        folder.write_record(ended)
        raise


def train(folder: RunFolder, record: RunRecord) -> dict[str, str]:
    """Execute 01_prepare and 02_train, and return the digests of their files."""
    outputs = execute_stages(folder, record, [PREPARATION, TRAINING])
    arrays = provenance.select_group(record.inputs, "array")
    if folder.read_data().source_sha256 != arrays:
        problem = "The source has changed while the run was reading it"
        raise NotebookFailed(f"{problem}. Start the command again.")
    return outputs


def measure_duration(started: float, is_begun: bool) -> float | None:
    """Return the seconds since `started`, or None if an earlier start did a part."""
    return None if is_begun else round(time.monotonic() - started, 1)


def execute_stages(
    folder: RunFolder,
    record: RunRecord,
    stages: Sequence[Stage],
    *,
    data_npz: bytes | None = None,
    label: str | None = "",
    has_pictures: bool = True,
) -> dict[str, str]:
    """Execute the notebooks of some stages of a run, and log how long each took.

    folder: the folder in which the notebooks work.
    record: the parameters of the run, and the code that is executed.
    stages: the stages, in their order.
    data_npz: the content of data.npz, if the folder is not to keep this file. It is
        in the folder only while the stages are executed.
    label: what the log calls the run, if it is one of several. If the label is None,
        nothing is logged.
    has_pictures: see `notebooks.execute`.

    Return the SHA-256 of each file that these stages wrote, by the name of the file.
    Raises NotebookFailed if a stage ends without one of its files.
    """
    # Importing papermill and nbconvert takes 0.6 s. A finished run needs neither.
    from pipeline.engine import notebooks

    values = record.parameters.model_dump() | {"run_dir": folder.display_path}
    outputs: dict[str, str] = {}
    if data_npz is not None:
        atomic_write(folder.data_path, data_npz)
    try:
        for stage in stages:
            started = time.monotonic()
            for name in stage.files:
                (folder.path / name).unlink(missing_ok=True)
            notebooks.execute(
                stage.notebook,
                folder.executed_path(stage),
                values,
                inputs=record.inputs,
                has_pictures=has_pictures,
            )
            missing = folder.list_missing(stage.files)
            if missing:
                raise NotebookFailed(f"{stage.name} ended without {missing[0]}.")
            outputs |= folder.digest(stage.files)
            if label is not None:
                name = f"{stage.name} {label}".rstrip()
                log.info(f"{name}  {time.monotonic() - started:.1f} s")
    finally:
        if data_npz is not None:
            folder.data_path.unlink(missing_ok=True)
    return outputs


def summarise_metrics(folder: RunFolder) -> str:
    """Return a summary of a run: what differs from the original, and its metrics.

    For images from MNIST, the published metrics stand beside those of the run, with the
    digits in which they were published.
    """
    record = folder.read_record()
    metrics = folder.read_metrics()
    is_published = provenance.has_published_helpers(record.inputs)
    changed = find_changed_from_original(record.parameters)
    differences: list[str] = []
    if changed:
        differences.append(format_parameters(changed))
    if not is_published:
        differences.append("helpers.py, whose code has been changed")
    parts: list[str] = []
    if differences:
        parts.append(f"What differs from the original: {', '.join(differences)}")
    if not is_published:
        parts.append(published.NOTE)
    if provenance.has_mnist(record.inputs):
        # If a parameter has changed, the metrics are not meant to be equal.
        other = "" if changed else "NOT equal"
        parts.append(formats.format_table(metrics.model_dump(), other))
    parts += [summarise_test(metrics), f"report: {os.path.relpath(folder.report_path)}"]
    return "\n" + "\n\n".join(parts)


def summarise_test(metrics: Metrics) -> str:
    """Return the metrics of a run on the test images as one line."""
    count = metrics.test_images
    accuracy = formats.format_percent(metrics.test_accuracy, count)
    interval = formats.format_percent_interval(metrics.test_accuracy, count)
    error = formats.format_result("test_error", metrics.test_error, count)
    return f"test accuracy {accuracy}, 95 % interval {interval}; test error {error}"
