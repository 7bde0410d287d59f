"""Make runs: execute the three notebooks of a run, and write the report of the run."""

import logging
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.errors import InvalidInput, NotebookFailed
from pipeline.execution.machine import collect_origin
from pipeline.execution.process import start_fork_server
from pipeline.images import data
from pipeline.network import published
from pipeline.parameters import (
    DEFAULT_RUNS,
    Parameters,
    find_changed_from_original,
    format_parameters,
    from_values,
)
from pipeline.paths import hide_folders
from pipeline.records import RunRecord, Status
from pipeline.results import provenance
from pipeline.results.checkpoints import prepare_to_resume
from pipeline.results.files import atomic_write, check_folder, check_page, lock_folder
from pipeline.results.run_folder import RunFolder
from pipeline.results.stages import README, STAGES, Stage

log = logging.getLogger(__name__)


def run(
    parameters: Parameters, run_dir: str = "runs/default", force: bool = False
) -> None:
    """Make a run: prepare, train, evaluate and report.

    If the run is already finished, and nothing that it depends on has changed, its
    notebooks are not executed again.

    run_dir: the run's folder, absolute or relative to the project's root.
    force: whether to execute the notebooks in any case, from the first epoch on.

    Raises InvalidInput if the folder or the source of the images cannot be used. Raises
    CommandFailed if another command uses the folder, or if the code in memory is older
    than the code on disk. In these cases nothing has been changed.

    Raises NotebookFailed if a notebook fails. The folder then has the notebooks that
    were executed, with the outputs up to the error, and run.json has the status and the
    error.
    """
    folder = RunFolder(run_dir)
    check_folder(folder.path, "sweep.json")
    if not force and folder.has_results_without_record:
        problem = f"{run_dir} holds results of notebooks that ran alone"
        advice = "Choose another folder, or replace them with --force"
        raise InvalidInput(f"{problem}. {advice}.")
    sizes = parameters.num_samples, parameters.num_validation
    images = data.split_source(parameters.source, *sizes)
    record = RunRecord(
        parameters=dict(parameters), inputs=provenance.collect_inputs(images)
    )
    with lock_folder(folder.path):
        differences = folder.describe_differences(record)
        if force or differences:
            start_fork_server()
            from pipeline.execution import notebooks  # see `execute_stages`

            notebooks.check_loaded_code(record.inputs)
            if force:
                folder.checkpoint_path.unlink(missing_ok=True)
            for warning in images.warnings:
                log.warning(warning)
            execute_run(folder, record, differences or ["--force"])
        else:
            unchanged = "nothing that it depends on has changed"
            log.info(f"{run_dir} is finished, and {unchanged}.")
            if not folder.report_path.exists():
                finish_run(folder, folder.read_record())
    log.info(summarise_metrics(folder))


def ensure_default_run(run_dir: str) -> None:
    """Make the run of a folder if DEFAULT_RUNS lists the folder and it does not exist.

    This function never changes a folder that exists, so commands that only read
    a folder can call it, too.
    """
    folder = RunFolder(run_dir)
    if folder.display_path in DEFAULT_RUNS and not folder.path.exists():
        run(from_values(DEFAULT_RUNS[folder.display_path]), folder.display_path)


def execute_run(folder: RunFolder, record: RunRecord, reasons: Iterable[str]) -> None:
    """Execute the three notebooks of a run, and record how the run ended.

    If the folder has a checkpoint of this run, training continues from the checkpoint.
    Other files of an earlier run are deleted first.

    record: the record of the run, before it begins.
    reasons: why an earlier run in the folder is replaced. These reasons are logged.
    """
    from pipeline.reports import origins  # see `execute_stages`

    had_run = folder.record_path.exists()
    record = prepare_to_resume(folder, record.replace(origin=collect_origin()))
    if record.resumed_after_epoch:
        place = f"after epoch {record.resumed_after_epoch}"
        log.info(f"Continuing {folder.display_path} {place}.")
    elif had_run:
        listed = "".join(f"\n  {each}" for each in reasons)
        log.info(f"Replacing what is in {folder.display_path}, because of{listed}")
    started, earlier_s = time.monotonic(), record.duration_s or 0
    folder.write_record(record)
    folder.clear()
    atomic_write(folder.helpers_path, provenance.get_helpers(record.inputs))
    atomic_write(folder.path / README, origins.RUN_README.encode())
    try:
        outputs = execute_stages(folder, record.parameters, record.inputs)
        arrays = provenance.select_group(record.inputs, "array")
        if folder.read_data().source_sha256 != arrays:
            problem = "The source has changed while the run was reading it"
            raise NotebookFailed(f"{problem}. Start the command again.")
        duration = round(earlier_s + time.monotonic() - started, 1)
        record = record.replace(duration_s=duration)
        note = folder.read_model().note
        finish_run(folder, record.replace(outputs=outputs, note=note))
    except BaseException as error:
        # Delete the metrics, so that the folder does not look like a finished run.
        folder.metrics_path.unlink(missing_ok=True)
        duration = round(earlier_s + time.monotonic() - started, 1)
        is_stopped = isinstance(error, KeyboardInterrupt)
        text = None if is_stopped else hide_folders(str(error))
        ended = record.replace(status=Status.from_error(error), error=text)
        folder.write_record(ended.replace(duration_s=duration))
        raise


def execute_stages(
    folder: RunFolder,
    values: Mapping[str, object],
    inputs: Mapping[str, str] | None = None,
    stages: Iterable[Stage] = STAGES,
) -> dict[str, str]:
    """Execute the notebooks of some stages, in the folder of a run.

    values: the parameters of the run, by name.
    inputs: digests of the cells and the code to execute, see `notebooks.execute`.
    stages: the stages, by default all three.

    Return the SHA-256 of each file that these stages wrote, by the name of the file.
    """
    # Importing papermill and nbconvert takes 0.6 s. A finished run needs neither.
    from pipeline.execution import notebooks

    outputs: dict[str, str] = {}
    for stage in stages:
        started, executed = time.monotonic(), folder.executed_path(stage)
        values = {**values, "run_dir": folder.display_path}
        notebooks.execute(stage.notebook, executed, values, inputs=inputs)
        outputs |= folder.digest(stage.files)
        log.info(f"{executed.name}  {time.monotonic() - started:.1f} s")
    return outputs


def finish_run(folder: RunFolder, record: RunRecord) -> None:
    """Write the report of a run, then record that the run is done."""
    from pipeline.reports import page  # see `execute_stages`

    page.write_run_report(folder, record)
    folder.write_record(record.replace(status=Status.DONE))


def summarise_metrics(folder: RunFolder) -> str:
    """Return a summary of a run, with its metrics beside the published ones.

    The summary also lists what differs from the original, repeats the run's note if
    there is one, and names the path of the report.
    """
    record, model = folder.read_record(), folder.read_model()
    changed = find_changed_from_original(from_values(record.parameters))
    verdicts = ("", "") if changed else ("equal", "NOT equal")
    differences = [format_parameters(changed)] if changed else []
    if not provenance.has_published_helpers(record.inputs):
        differences.append("helpers.py, whose code has been changed")
    metrics = folder.read_metrics().model_dump()
    has_digits = model.classes == data.DIGITS
    parts = [published.format_table(metrics, *verdicts, has_digits)]
    if differences:
        parts.insert(0, f"What differs from the original: {', '.join(differences)}")
    if record.note:
        parts.append(record.note)
    parts.append(f"report: {os.path.relpath(folder.report_path)}")
    return "\n" + "\n\n".join(parts)


def write_report(folder: RunFolder) -> Path:
    """Write the report of a finished run, and return the path of the report.

    Raises InvalidFile if the folder has no finished run, or if a result was altered.
    """
    folder.read_record()  # if there is no run, raise before a lock file is written
    with lock_folder(folder.path):
        finish_run(folder, folder.read_finished()[0])
    return folder.report_path


def write_public_report(run_dir: str, output: Path) -> None:
    """Write a finished run's report without saying when and where the run was made.

    output: the path of the report.

    Raises InvalidFile if no run has finished in the folder. Raises InvalidInput if
    `output` is an existing file that is not a page of this project.
    """
    from pipeline.reports import page  # see `execute_stages`

    check_page(output)
    folder = RunFolder(run_dir)
    record, _ = folder.read_finished()
    html = page.render_run(folder, record, is_public=True)
    atomic_write(output, html.encode())
