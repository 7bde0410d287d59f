"""Run the three notebooks in sequence, skip a run that is finished, and verify one.

A point of a sweep is a run that only 02_train was executed for. It is evaluated here, when its
sweep selects it or someone asks for its report.
"""

import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

from pipeline import data, notebooks, parameters, provenance, published, run_folder
from pipeline.errors import InvalidRecord, NotebookFailed, NotReproduced
from pipeline.parameters import NOTEBOOKS, RUNS, SIZES, Parameters
from pipeline.records import RunRecord, Status, Trained, now
from pipeline.reports import page
from pipeline.run_folder import (
    EVALUATION,
    FILES,
    PREPARATION,
    STAGES,
    TRAINING,
    RunFolder,
)
from pipeline.shell import open_threads

TRAINED = (f"{TRAINING}.ipynb", *FILES[TRAINING])  # what a training leaves of a point

# What came of a point: its record, and files that are not in its folder yet, by their names.
Outcome = tuple[RunRecord, dict[str, bytes]]
Submit = Callable[[RunFolder, RunRecord, bytes, int | None], "Future[Outcome]"]

log = logging.getLogger(__name__)


def run(chosen: Parameters, run_dir: str = "runs/default", force: bool = False) -> None:
    """Prepare, train, evaluate and report in the run's folder, unless that has been done already.

    run_dir: relative to the project's root, or absolute. force: run again, whatever is there. All
    images of a source of one's own are taken, see `data.fit_source`.
    Raises InvalidParameter, InvalidData or FolderBusy if the folder or the source cannot be used,
    with nothing changed, and NotebookFailed: then the folder holds the notebooks as far as they
    came, and run.json the status and the error.
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
    with run_folder.lock(folder.path):
        differences = provenance.find_differences(folder, chosen, inputs)
        if differences or force:
            if folder.record.exists():
                listed = "".join(f"\n  {each}" for each in differences or ["--force"])
                log.info(f"Replacing what is in {run_dir}, because of{listed}")
            if force:
                folder.checkpoint.unlink(missing_ok=True)
            for note in images.notes:
                if note.startswith("Warning"):
                    log.warning(note)
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
    folder.write_record(record)
    folder.clear()
    try:
        outputs = execute_stages(folder, record.parameters)
        provenance.check_code(record.inputs)
        if folder.read_data().source_sha256 != record.arrays:
            raise NotebookFailed(
                "The data was changed while it was executed. Run it again."
            )
        duration = round(time.monotonic() - started, 1)
        fields = {"outputs": outputs, "note": folder.read_model().note}
        _finish(folder, record.replace(duration_s=duration, **fields))
    except BaseException as error:
        folder.metrics.unlink(missing_ok=True)
        text = None if isinstance(error, KeyboardInterrupt) else str(error)
        folder.write_record(record.replace(status=Status.of(error), error=text))
        raise


def execute_stages(
    folder: RunFolder, values: Mapping[str, object], stages: Iterable[str] = STAGES
) -> dict[str, str]:
    """Execute the notebooks of these stages, and return the digests of what they have written."""
    outputs: dict[str, str] = {}
    for stage in stages:
        started, executed = time.monotonic(), folder.notebook(stage)
        notebook = NOTEBOOKS / executed.name
        notebooks.execute(notebook, executed, {**values, "run_dir": folder.place})
        outputs |= folder.digest([executed.name, *FILES[stage]])
        log.info(f"{executed.name}  {time.monotonic() - started:.1f} s")
    return outputs


def _finish(folder: RunFolder, record: RunRecord) -> None:
    """Write the report, and then that the run is done."""
    page.write_run_report(folder, record)
    outputs = record.outputs | folder.digest([folder.report.name])
    folder.write_record(record.replace(status=Status.DONE, outputs=outputs))


def summarise(folder: RunFolder) -> str:
    """Return a finished run's metrics beside the published ones, and its report's path."""
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
    """Execute 02_train in the folder, and return the record of what came of it.

    content: of data.npz, which is in the folder only while it trains.
    """
    started = time.monotonic()
    executed = folder.notebook(TRAINING)
    record = record.replace(started=now())
    folder.write_record(record)
    folder.clear()
    run_folder.write_whole(folder.data, content)
    try:
        notebooks.execute(
            NOTEBOOKS / executed.name,
            executed,
            record.parameters | {"run_dir": folder.place},
            time_limit=time_limit,
            is_point=True,
        )
        provenance.check_code(record.inputs)
        model = folder.read_model()
        trained = Trained(**folder.read_history()[-1], weights_sha256=model.sha256)
        record = record.replace(status=Status.DONE, metrics=trained, note=model.note)
    except NotebookFailed as error:
        record = record.replace(status=Status.of(error), error=str(error))
    folder.data.unlink()
    return record.replace(duration_s=round(time.monotonic() - started, 1)), {}


def evaluate(folders: Sequence[RunFolder], at_a_time: int = 1) -> None:
    """Execute 03_evaluate for points of a sweep, and write their reports.

    Nothing is done where that has been done, unless what the evaluation depends on has changed.
    Raises InvalidRecord, InvalidData or FolderBusy if a folder holds no finished point, or one that
    was trained with other code, data or versions, and NotebookFailed.
    """
    with open_threads(at_a_time) as threads:
        list(threads.map(_evaluate, folders))


def _evaluate(folder: RunFolder) -> None:
    with run_folder.lock(folder.path):
        record, chosen = folder.read_finished()
        inputs = provenance.collect_inputs(chosen, [TRAINING, EVALUATION])
        is_evaluated = folder.metrics.name in record.outputs
        if not is_evaluated or provenance.compare_inputs(record, chosen, inputs):
            trained = provenance.collect_inputs(chosen, [TRAINING])
            if changed := provenance.compare_inputs(record, chosen, trained):
                problem = f"was trained with other {changed[0]}"
                raise InvalidRecord(folder.path, problem, "Run its sweep again.")
            images = data.split_source(
                chosen.source, chosen.num_samples, chosen.num_validation
            )
            outputs = {name: record.outputs[name] for name in TRAINED}
            record = record.replace(outputs=outputs)
            folder.write_record(record)  # of what is there if this is killed
            run_folder.write_whole(folder.data, images.to_bytes())
            try:
                outputs = execute_stages(folder, record.parameters, [EVALUATION])
                provenance.check_code(inputs)
            finally:
                folder.data.unlink(missing_ok=True)
            record = record.replace(inputs=inputs, outputs=record.outputs | outputs)
        elif folder.report.exists():
            return
        _finish(folder, record)


def report(run_dir: str) -> Path:
    """Write the report of a finished run, or of a point, which is evaluated if need be.

    Return its path. Raises what `evaluate` does.
    """
    folder = RunFolder(run_dir)
    if folder.is_point:
        evaluate([folder])
    else:
        folder.read_record()  # else a folder that holds no run would be locked
        with run_folder.lock(folder.path):
            _finish(folder, folder.read_finished()[0])
    return folder.report


def verify(run_dir: str) -> None:
    """Run a finished run, or point, again in a temporary folder, and log what is equal.

    Raises InvalidRecord if there is no finished run, and NotReproduced if anything differs.
    """
    folder = RunFolder(run_dir)
    record, chosen = folder.read_finished(check_files=False)
    inputs = provenance.collect_inputs(chosen, record.inputs.notebooks)
    stages = [
        stage for stage in STAGES if stage != EVALUATION or folder.metrics.exists()
    ]
    with tempfile.TemporaryDirectory(prefix="digits-") as temporary:
        again = RunFolder(temporary)
        execute_stages(again, record.parameters, stages)
        before, after = _collect_facts(folder), _collect_facts(again)
    for name in folder.find_altered(record, run_folder.RESULTS):
        before[f"{name}, altered since"] = record.outputs[name]
    different = [name for name in before if before[name] != after.get(name)]
    for name, value in before.items():
        verdict = f"NOT equal {after.get(name, '')}" if name in different else "equal"
        log.info(f"  {name:25} {value}  {verdict}")
    for change in provenance.compare_inputs(record, chosen, inputs):
        log.info(f"What has changed since: {change}")
    if different:
        raise NotReproduced(f"{run_dir} is not reproduced: {', '.join(different)}.")
    log.info(f"Reproduced: all {len(before)} metrics and digests are equal.")


def _collect_facts(folder: RunFolder) -> dict[str, object]:
    """Return the metrics of a run, as far as it was evaluated, and digests of its results."""
    facts: dict[str, object] = dict(folder.read_history()[-1])
    if folder.metrics.exists():
        facts |= folder.read_metrics().model_dump(exclude_none=True)
    weights = {"weights in model.npz": folder.read_model().sha256}
    return facts | weights | folder.digest([folder.history.name])


def show_source(values: Mapping[str, str], output: Path | None = None) -> Path:
    """Write a page on a source, log what it has and the command that trains with it.

    values: "source", and parameters as text; see `data.fit_source`. output: a page
    in runs/reports by default; its path is returned. Raises InvalidParameter,
    InvalidData and NotebookFailed.
    """
    chosen = parameters.from_strings(values)
    parameters.check_source(chosen.source)
    chosen, _ = data.fit_source(chosen)
    name = Path(chosen.source).stem
    output = output or RUNS / "reports" / f"{name}-data.html"
    with tempfile.TemporaryDirectory(prefix="digits-") as temporary:
        folder = RunFolder(temporary)
        execute_stages(folder, dict(chosen), [PREPARATION])
        executed = folder.notebook(PREPARATION)
        page.write_notebook_report(executed, output, f"The images of {chosen.source}")
        cells = notebooks.read_notebook(executed).cells
    for cell in cells:
        if cell.id in ("split", "counts-printed"):
            log.info("".join(each.text for each in cell.outputs))
    command = parameters.make_command(dict(chosen), f"runs/{name}-run")
    log.info(f"Train with, in the project's folder: {command}")
    return output
