"""Run the three notebooks of a run in sequence, skip a run that is finished, and verify one by running it again.

A point of a sweep is a run whose training is done elsewhere; it is evaluated here, when someone asks for it.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

from pipeline import console, datasets, limits, parameters, provenance, published, signals, stages, storage
from pipeline.errors import InvalidData, InvalidRecord, NotebookFailed, NotReproduced, PipelineError
from pipeline.images import DIGITS
from pipeline.parameters import KERAS_SOURCES, Parameters
from pipeline.records import Inputs, RunRecord, Status, Trained
from pipeline.reports import index
from pipeline.run_folder import EVALUATION, OUTPUTS, REPORT, STAGES, TRAINING, RunFolder, SweepFolder

EVALUATED = (f"{EVALUATION}.ipynb", "metrics.json", REPORT)  # what a point has once it is evaluated
DISTURBED = "{} was removed or written to by another meanwhile. Run it again."

log = logging.getLogger(__name__)


def run(chosen: Parameters, run_dir: str = "runs/default", force: bool = False) -> None:
    """Prepare, train, evaluate and report, in the run's folder, unless that has been done already.

    run_dir: relative to the project's root, or absolute. force: run again, even if nothing has changed.

    Raises
    ------
    InvalidParameter, InvalidData, FolderBusy
        If the folder or the source cannot be used; the folder is left as it was.
    NotebookFailed
        If a notebook does. The folder then holds the notebooks as far as they were executed, a run.json with the
        status and the error, and no metrics.json, if it can be removed.
    """
    folder, given = RunFolder(run_dir), f"run_dir is {run_dir!r}"
    datasets.check_apart(chosen.source, folder.path, OUTPUTS)
    folder.check_place(given)
    folder.check_own(given)
    limits.check_memory(chosen.hidden_size)
    notes: Sequence[str] = ()
    if chosen.source not in KERAS_SOURCES:  # those may have to be downloaded first
        notes = datasets.split_source(chosen.source, chosen.num_samples, chosen.num_validation).notes
    inputs = provenance.inputs_of(chosen)
    with index.refreshed_after(folder.path), storage.lock(folder.path):
        record = folder.find_record()
        changed = provenance.changes(record, chosen, inputs) if record else []
        reasons = changed + provenance.unfinished(folder, record, [name for name in OUTPUTS if name != REPORT])
        if reasons or force:
            if chosen.source in KERAS_SOURCES and folder.present():  # before anything is replaced for it
                datasets.split_source(chosen.source, chosen.num_samples, chosen.num_validation)
            if force:
                folder.checkpoint.unlink(missing_ok=True)
            if record and not changed and storage.exists(folder.checkpoint):
                log.info(f"Going on with {run_dir}, which did not finish, from the checkpoint that its training left.")
            elif reasons and (record or folder.present()):
                log.info(f"Replacing what is in {run_dir}, because of" + "".join(f"\n  {each}" for each in reasons))
            for warning in (note for note in notes if note.startswith("Warning")):
                log.warning(warning)
            _run_stages(folder, chosen, inputs)
        elif record:
            log.info(f"{run_dir} is finished, and nothing that it depends on has changed. --force runs it again.")
            _refresh_report(folder, record)
    try:
        log.info(summary(folder, chosen))
    except InvalidRecord as error:  # of a file that somebody has changed meanwhile
        raise NotebookFailed(str(error)) from error


def summary(folder: RunFolder, chosen: Parameters) -> str:
    """Write a finished run's metrics, as the original prints them and beside the published ones."""
    metrics = folder.read_metrics()
    last = f"I:{chosen.epochs - 1} Train-Err:{published.cut(metrics.train_error)} Train-Acc:{metrics.train_accuracy}"
    lines = ["", last, f"Test-Err:{published.cut(metrics.test_error)} Test-Acc:{metrics.test_accuracy}"]
    if changed := parameters.not_the_originals(chosen):
        lines += ["", f"What differs from the original: {parameters.described(changed)}"]
    verdicts = ("", "") if changed else ("equal", "NOT equal")
    table = published.table(metrics, *verdicts, digits=folder.read_model().classes == DIGITS)
    return "\n".join([*lines, "", table, "", console.wrote("report", folder.report)])


def _run_stages(folder: RunFolder, chosen: Parameters, inputs: Inputs) -> None:
    started = time.monotonic()
    record = RunRecord.begin(chosen.model_dump(), inputs)
    unwritten = "The disk was full, or the folder could no longer be written to; the same command runs it again."
    reserve = folder.path / ".run.json.part"  # renaming it needs no room

    def end_at_once() -> None:
        stopped = record.changed(status=Status.INTERRUPTED, error="Stopped in the middle of cleaning up.")
        storage.write_whole(folder.record, storage.json_bytes(stopped), durable=False)

    signals.on_deadline.add(end_at_once)
    try:
        storage.write_whole(reserve, storage.json_bytes(record.changed(status=Status.FAILED, error=unwritten)))
        folder.write_record(record)
        folder.clear()
        made = stages.execute(folder, chosen)
        _check_undisturbed(folder, record, record, made)
        arrays, took = dict(folder.read_data().source_sha256), round(time.monotonic() - started, 1)
        _write_report(folder, record.changed(arrays=arrays, duration_s=took, outputs=made))
    except BaseException as error:  # whatever ends a run, its record must not go on with "running"
        if (found := folder.find_record()) and found.started != record.started:  # that is another's by now, or stays
            raise
        with contextlib.suppress(OSError):
            folder.metrics.unlink()
        known = "" if isinstance(error, PipelineError | signals.Stopped) else f"{type(error).__name__}: "
        ended = record.changed(status=Status.of(error), error=f"{known}{error}")
        left: dict[str, str] = {}  # by which the next run knows its own files
        for name in OUTPUTS:
            with contextlib.suppress(InvalidRecord):  # it is a folder now, for example
                left |= folder.digests([name])
        try:
            folder.write_record(ended.changed(outputs=left))
        except (OSError, InvalidRecord):
            with contextlib.suppress(OSError):
                reserve.replace(folder.record)
        if isinstance(error, InvalidRecord):  # of a file that somebody has changed meanwhile
            raise NotebookFailed(str(error)) from error
        raise
    finally:
        signals.on_deadline.discard(end_at_once)
        with contextlib.suppress(OSError):  # an error that is on its way says more
            reserve.unlink()


def _check_undisturbed(folder: RunFolder, on_disk: RunRecord, record: RunRecord, made: Mapping[str, str]) -> None:
    """Raise NotebookFailed if, while notebooks were executed, anybody wrote to the folder or changed what they use."""
    if folder.find_record() != on_disk or folder.digests(made) != made:
        raise NotebookFailed(DISTURBED.format(folder.path))
    chosen = parameters.from_values(record.parameters)
    if changed := provenance.changes(record, chosen, provenance.inputs_of(chosen, record.inputs.notebooks)):
        raise NotebookFailed(f"Something changed while it was run: {'; '.join(changed)}. Run it again.")


def _write_report(folder: RunFolder, record: RunRecord) -> None:
    """Write the report, and then that the run is done. Raises NotebookFailed if another file is not the record's."""
    from pipeline.reports import rendering

    storage.write_whole(folder.report, rendering.run_page(folder, record).encode(errors="replace"))
    signals.check()
    outputs = folder.digests({*OUTPUTS, *record.outputs})
    if any(outputs.get(name) != digest for name, digest in record.outputs.items() if name != REPORT):
        folder.report.unlink(missing_ok=True)
        raise NotebookFailed(DISTURBED.format(folder.path))
    folder.write_record(record.changed(status=Status.DONE, report_code=provenance.report_code(), outputs=outputs))


def _refresh_report(folder: RunFolder, record: RunRecord) -> None:
    """Write the report again, if it or what makes reports has changed since."""
    altered = folder.altered(record, [REPORT])
    if altered or record.report_code != provenance.report_code():
        why = "it has been removed or altered" if altered else "the code that makes reports has changed"
        log.info(f"Its report is written again, as {why}.")
        _write_report(folder, record)


def evaluate(folders: Sequence[RunFolder], at_a_time: int = 1, timeout: float = storage.LOCK_TIMEOUT) -> None:
    """Execute 03_evaluate for points of a sweep, which are only trained there, and write their reports.

    Nothing is done where that has been done, unless what the evaluation alone depends on has changed since. One that
    fails leaves the others; the first error is raised when all have ended. timeout: seconds to wait for others.

    Raises
    ------
    InvalidRecord, InvalidData, FolderBusy
        If a folder holds no finished point, or one that was trained with other code, data or versions, or whose
        files are not as training left them.
    NotebookFailed
        If 03_evaluate does.
    """
    kernels = threading.Semaphore(at_a_time)
    if len(folders) == 1:
        return _evaluate(folders[0], kernels, timeout, watched=True)
    provenance.report_code(), provenance.inputs_of(Parameters())  # parsed once: in Python 3.11 threads may fail to
    with signals.handled(), ThreadPoolExecutor(at_a_time + 1) as threads:  # one writes a report meanwhile
        evaluations = [threads.submit(_evaluate, folder, kernels, timeout, watched=False) for folder in folders]
    for evaluation in evaluations:
        evaluation.result()


def _evaluate(folder: RunFolder, kernels: threading.Semaphore, timeout: float, watched: bool) -> None:
    signals.check()
    folder.check_own(f"The folder is {folder.place}", [*EVALUATED, "data.npz", "run.json"])
    with storage.lock(folder.path, timeout):
        record, chosen = folder.read_finished()
        if folder.sweep:
            folder.sweep.read_record()  # which the report names
        check_unaltered(folder, record, EVALUATED)
        evaluated = not folder.altered(record, EVALUATED)
        inputs = provenance.inputs_of(chosen, [TRAINING, EVALUATION])
        if differing := provenance.changes(record, chosen, provenance.inputs_of(chosen, [TRAINING])):
            if evaluated:  # by what trained it: that stands
                return
            problem = f"was trained with other {differing[0]}"
            raise InvalidRecord(folder.path, problem, "Run its sweep again, which trains it again.")
        if evaluated and not provenance.changes(record, chosen, inputs):
            return _refresh_report(folder, record)
        data = datasets.split_source(chosen.source, chosen.num_samples, chosen.num_validation)
        if data.source_sha256 != record.arrays:
            raise InvalidData(f"The source {chosen.source!r} is not what {folder.place} was trained on. Run it again.")
        for name in EVALUATED:  # before the record knows it, no evaluation passes for one
            (folder.path / name).unlink(missing_ok=True)
        storage.write_whole(folder.data, data.to_bytes())
        del data  # some hundred MB of a large source, while its notebook reads the file
        try:
            with kernels:
                made = stages.execute(folder, chosen, [EVALUATION], watched=watched)
            _check_undisturbed(folder, record, record.changed(inputs=inputs), made)
        finally:
            folder.data.unlink(missing_ok=True)
        made.pop("data.npz", None)
        _write_report(folder, record.changed(inputs=inputs, outputs=made))


def report(run_dir: str) -> Path:
    """Write the report of a run, or of a point of a sweep, which is evaluated first if need be. Return its path.

    Of one that failed it is the last notebook, as far as it was executed. Raises what `evaluate` does.
    """
    folder = RunFolder(run_dir)
    if storage.exists(SweepFolder(folder.path).record):
        raise InvalidRecord(folder.path, "is a whole sweep", "Give its command again for its report, or name a point.")
    # The record is read first: else a folder that is no run's would be locked, and a lock left in it
    if folder.read_record().status == Status.DONE and folder.sweep:
        with index.refreshed_after(folder.path):  # in which its sweep may have waited for this
            evaluate([folder])
        return folder.report
    folder.check_own(f"The folder is {folder.place}", [REPORT])
    with index.refreshed_after(folder.path), storage.lock(folder.path):
        record, executed = folder.read_record(), folder.executed()
        if executed and record.status not in (Status.DONE, Status.CHANGED):
            from pipeline.reports import rendering  # nbconvert takes 0.3 s to import

            killed = record.status == Status.RUNNING  # since nobody holds the lock
            title = f"{folder.title}: {Status.INTERRUPTED if killed else record.status}"
            error = (record.error or "").split("\n")[0]
            rendering.write_notebook_report(executed[-1], folder.report, title, error)
        else:
            record, _ = folder.read_finished()
            check_unaltered(folder, record, [REPORT])
            _write_report(folder, record)
    return folder.report


def check_unaltered(folder: RunFolder, record: RunRecord, but_for: Iterable[str]) -> None:
    """Raise InvalidRecord if a file is not as its run left it: a new record would call it the run's own."""
    if altered := folder.altered(record, record.outputs.keys() - set(but_for)):
        problem = f"is no longer what its run left: {', '.join(sorted(altered))} was removed or altered"
        raise InvalidRecord(folder.path, problem, "Run it again.")


def verify(run_dir: str) -> None:
    """Run a finished run, or a point of a sweep, again in a temporary folder, and log whether it is reproduced.

    Then follow what is equal and what is not, and what has changed that the run depends on. Raises InvalidRecord if
    there is no finished run, and NotReproduced if a metric or a digest differs.
    """
    folder = RunFolder(run_dir)
    record, chosen = folder.read_finished()
    evaluated = EVALUATION in record.inputs.notebooks
    before = _facts(folder, evaluated) | (record.metrics.model_dump(exclude_none=True) if record.metrics else {})
    hidden = {"data.npz", "model.npz"} | ({"metrics.json"} if record.metrics else set())  # changes that no metric shows
    altered = folder.altered(record, record.outputs.keys() & hidden)
    with storage.scratch() as scratch:
        again = RunFolder(scratch)
        executed = [stage for stage in STAGES if stage in record.inputs.notebooks]
        changed = provenance.changes(record, chosen, provenance.inputs_of(chosen, executed))
        stages.execute(again, chosen, STAGES if evaluated else STAGES[:2])
        after = _facts(again, evaluated)
    before |= {f"{name} since its run": record.outputs[name] for name in altered}
    after |= {f"{name} since its run": digest for name, digest in folder.digests(altered).items()}
    differing = [name for name in before if before[name] != after.get(name)]
    count = f"{len(differing)} of {len(before)} metrics and digests differ"
    equal = f"Reproduced: all {len(before)} metrics and digests are equal."
    log.info(f"NOT reproduced: {count}." if differing else equal)
    for name, was in before.items():
        found = f"NOT equal  {was}, and now {after.get(name)}" if name in differing else f"equal  {was}"
        log.info(f"  {name:25} {found}")
    if changed:
        verdict = "and may be why" if differing else "and made no difference"
        log.info("\n  ".join([f"What has changed since, {verdict}:", *changed]))
    if differing:
        why = "" if changed else " Nothing that it depends on has changed, so its files may have been altered."
        if chosen.batch_size > 1 and not changed:
            why = " With a batch_size above 1 the last digits may differ from one machine to another."
        raise NotReproduced(f"{run_dir} is not reproduced: {', '.join(differing)}.{why}")


def _facts(folder: RunFolder, evaluated: bool) -> dict[str, object]:
    """Return the metrics of a run, without the test's if it was not evaluated, and what its files hold."""
    history, weights = folder.read_history(), folder.read_model().sha256
    metrics = folder.read_metrics() if evaluated else Trained(**history[-1].model_dump(), weights_sha256=weights)
    content = sha256(storage.json_bytes(history)).hexdigest()
    return metrics.model_dump(exclude_none=True) | {"weights in model.npz": weights, "history.json": content}
