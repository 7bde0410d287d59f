"""Run the three notebooks in sequence, unless the run is finished already."""

import logging
import os
import tempfile
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline import data, notebooks, provenance, published
from pipeline.errors import NotebookFailed
from pipeline.files import lock
from pipeline.parameters import (
    SIZES,
    Parameters,
    check_memory,
    check_source,
    describe,
    find_unoriginal,
    from_strings,
    from_values,
    make_command,
)
from pipeline.paths import RUNS
from pipeline.records import Inputs, RunRecord, Status
from pipeline.reports import page
from pipeline.run_folder import RunFolder
from pipeline.stages import PREPARATION, STAGES, Stage

log = logging.getLogger(__name__)


def run(
    parameters: Parameters, run_dir: str = "runs/default", force: bool = False
) -> None:
    """Prepare, train, evaluate and report, unless the folder holds this run finished.

    run_dir: relative to the project's root, or absolute.
    force: run again in any case.

    All images of a source of your own are used, see `data.fit_source`.

    Raises InvalidInput if the folder or the source cannot be used, and CommandFailed if
    another command uses the folder; then nothing has been changed. Raises
    NotebookFailed if a notebook fails; then the folder holds the notebooks as far as
    they were executed, and run.json holds the status and the error.
    """
    folder = RunFolder(run_dir)
    folder.check_free()
    check_memory(parameters.hidden_size)
    requested = parameters
    parameters, images = data.fit_source(requested)
    inputs = provenance.collect_inputs(parameters.source)
    notebooks.cache_stages(inputs)
    if parameters is not requested:
        sizes = describe(parameters.model_dump(include=SIZES))
        log.info(f"All images of the source are taken: {sizes}")
    with lock(folder.path):
        differences = provenance.find_differences(folder, parameters, inputs)
        if differences or force:
            if folder.record_path.exists():
                listed = "".join(f"\n  {each}" for each in differences or ["--force"])
                log.info(f"Replacing what is in {run_dir}, because of{listed}")
            if force:
                folder.checkpoint_path.unlink(missing_ok=True)
            for warning in images.warnings:
                log.warning(warning)
            record = RunRecord(
                parameters=dict(parameters),
                inputs=inputs,
                arrays=dict(images.source_sha256),
            )
            execute_run(folder, record)
        else:
            unchanged = "nothing that it depends on has changed"
            log.info(f"{run_dir} is finished, and {unchanged}.")
            if not folder.report_path.exists():
                finish(folder, folder.read_record())
    log.info(summarise(folder))


def execute_run(folder: RunFolder, record: RunRecord) -> None:
    started = time.monotonic()
    record = continue_record(folder, record)
    folder.write_record(record)
    folder.clear()
    try:
        outputs = execute_stages(folder, record.parameters, record.inputs)
        if folder.read_data().source_sha256 != record.arrays:
            problem = "The source has changed while the run read it"
            raise NotebookFailed(f"{problem}. Start the command again.")
        duration = round(record.earlier_s + time.monotonic() - started, 1)
        fields = {"outputs": outputs, "note": folder.read_model().note}
        finish(folder, record.replace(duration_s=duration, **fields))
    except BaseException as error:
        # Delete the metrics, so that the folder does not look like a finished run.
        folder.metrics_path.unlink(missing_ok=True)
        text = None if isinstance(error, KeyboardInterrupt) else str(error)
        folder.write_record(record.replace(status=Status.of(error), error=text))
        raise


def continue_record(folder: RunFolder, record: RunRecord) -> RunRecord:
    """If a training will continue from a checkpoint, add the time before it.

    The record gets the first start of the training, and the time up to the checkpoint.
    A checkpoint of other parameters, data or code is not used, so the record stays as
    it is.
    """
    before, wanted = folder.find_record(), from_values(record.parameters)
    if before is None or not folder.checkpoint_path.exists():
        return record
    if provenance.compare_inputs(before, wanted, record.inputs):
        return record
    saved = datetime.fromtimestamp(folder.checkpoint_path.stat().st_mtime, UTC)
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
        started, executed = time.monotonic(), folder.executed_path(stage)
        values = {**values, "run_dir": folder.display_path}
        notebooks.execute(stage.notebook, executed, values, inputs=inputs)
        outputs |= folder.digest([executed.name, *stage.files])
        log.info(f"{executed.name}  {time.monotonic() - started:.1f} s")
    return outputs


def finish(folder: RunFolder, record: RunRecord) -> None:
    """Write the report, then record that the run is done."""
    page.write_run_report(folder, record)
    outputs = record.outputs | folder.digest([folder.report_path.name])
    folder.write_record(record.replace(status=Status.DONE, outputs=outputs))


def summarise(folder: RunFolder) -> str:
    """Return a run's metrics beside the published ones, and the path of its report."""
    record, model = folder.read_record(), folder.read_model()
    changed = find_unoriginal(from_values(record.parameters))
    verdicts = ("", "") if changed else ("equal", "NOT equal")
    differences = [describe(changed)] if changed else []
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
    parts.append(f"report: {os.path.relpath(folder.report_path)}")
    return "\n" + "\n\n".join(parts)


def report(folder: RunFolder) -> Path:
    """Write the report of a finished run, and return its path.

    Raises InvalidFile if there is no finished run.
    """
    folder.read_record()  # raises before a folder without a run gets a lock file
    with lock(folder.path):
        finish(folder, folder.read_finished()[0])
    return folder.report_path


def show_source(values: Mapping[str, str], output: Path | None = None) -> Path:
    """Write a page about the images of a source, and return its path.

    Also log how many images it has, and the command that trains with them.

    values: the "source", and other parameters, as text; see `data.fit_source`.
    output: the page, by default one in runs/reports.

    Raises InvalidInput and NotebookFailed.
    """
    parameters = from_strings(values)
    check_source(parameters.source)
    parameters, _ = data.fit_source(parameters)
    name = Path(parameters.source).stem
    output = output or RUNS / "reports" / f"{name}-data.html"
    with tempfile.TemporaryDirectory(prefix="digits-") as temporary:
        folder = RunFolder(temporary)
        execute_stages(folder, dict(parameters), stages=[PREPARATION])
        executed = folder.executed_path(PREPARATION)
        page.write_notebook_report(
            executed, output, f"The images of {parameters.source}"
        )
        cells = notebooks.read_notebook(executed).cells
    for cell in cells:
        if "summary" in cell.metadata.get("tags", ()):
            log.info("".join(each.text for each in cell.outputs))
    command = make_command(dict(parameters), f"runs/{name}-run")
    log.info(f"Train with, in the project's folder: {command}")
    return output
