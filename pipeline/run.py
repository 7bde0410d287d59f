"""A run: the three notebooks in sequence by papermill, and run.json, which says what came of it."""

import contextlib
import fcntl
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import sys
import tempfile
import time
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
from traitlets.config import Config

from pipeline import files, parameters, results
from pipeline.parameters import KERAS_SOURCES, ParameterError, Parameters

STAGES = ("01_prepare", "02_train", "03_evaluate")
NOTEBOOKS = files.ROOT / "notebooks"
OUTPUTS = (*(f"{stage}.ipynb" for stage in STAGES), *files.MADE, "report.html")
# What a result depends on, besides its parameters and its data.
CODE = ("helpers.py", "pipeline/parameters.py", "pipeline/files.py", "pipeline/figures.py", "pipeline/results.py")
PACKAGES = ("numpy", "numba", "matplotlib", "papermill", "ipykernel", "nbconvert")
# For kernels: with one thread, matrix products give the same bits wherever a notebook is run.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
WIDGET = "application/vnd.jupyter.widget-view+json"
# The cells whose pictures the README shows.
PICTURES = {"curves-drawn": "learning_curves.png", "weights-drawn": "hidden_units.png"}


class RunFailed(Exception):
    """A stage of a run failed; the message names the notebook, the cell and the error.

    status : str
        What kind of failure: "failed", "diverged", "timed out" or "kernel died".
    """

    def __init__(self, message: str, status: str = "failed") -> None:
        super().__init__(message)
        self.status = status


def run(wanted: Parameters, force: bool = False, say: Callable[[str], None] = print) -> None:
    """Prepare, train, evaluate and report, in the run's folder, unless that has been done already.

    Parameters
    ----------
    wanted : Parameters
        All of them, checked.
    force : bool
        Run again, even if nothing has changed since the folder's run was finished.
    say : callable
        Gets a line at a time of what happens.

    Raises
    ------
    ParameterError, DataError
        If the folder or the source cannot be what is asked for; nothing has been written then.
    RunFailed
        If a cell fails or a kernel dies, or another run is writing to the folder. After a failure the folder holds
        the notebooks as far as they were executed, a run.json with the status "failed" and the error, and no
        metrics.json.
    """
    folder = files.run_path(wanted.run_dir)
    _check_folder(folder, wanted)
    if wanted.source not in KERAS_SOURCES:  # those may have to be downloaded first
        files.split(wanted.source, wanted.num_samples, wanted.num_validation, wanted.normalisation)
    inputs = inputs_of(wanted)
    with listed_afterwards(folder, say), alone_in(folder):
        record = files.read_json_or_empty(folder / "run.json")
        changed = changed_inputs(record, wanted, inputs)
        reasons = changed + _unfinished(folder, record)
        if reasons or force:
            if reasons and (record or (folder / "data.npz").exists()):
                say("\n".join(["Running again, because of", *(f"  {reason}" for reason in reasons)]))
            if changed or force:
                (folder / files.CHECKPOINT).unlink(missing_ok=True)
            elif (folder / files.CHECKPOINT).exists():
                say("Training goes on from the checkpoint that it left.")
            _clear(folder)
            _run_stages(folder, wanted, inputs, say)
        else:
            say(f"{wanted.run_dir} is finished, and nothing that it depends on has changed. --force runs it again.")
            if record.get("report_code") != report_digest():
                say("Its report is written anew, as the pipeline has changed.")
                _finish(folder, record)
    say(summary(wanted))


@contextlib.contextmanager
def listed_afterwards(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Write the index of runs anew once the folder has been let go, whatever came of the run."""
    from pipeline import index  # Jinja

    try:
        yield
    finally:
        index.refresh(folder, say)


def summary(finished: Parameters) -> str:
    """A finished run's figures, as the original prints them and beside the published ones, and its report's path."""
    folder = files.run_path(finished.run_dir)
    metrics = files.read_json(folder / "metrics.json", "Run it with: python -m pipeline run")
    lines = ["", results.original_lines(metrics, finished.epochs)]
    if changed := parameters.not_the_originals(finished):
        told = ", ".join(f"{name} {value}" for name, value in changed.items())
        lines += ["", f"Not the original's parameters: {told}. So its figures are not meant to be equal."]
    lines += ["", results.table(results.compare_with_published(metrics)), ""]
    return "\n".join([*lines, f"report: {folder / 'report.html'}"])


# ---- may it start, and has it been done already? ----------------------------------------------------------------


def _check_folder(folder: Path, wanted: Parameters) -> None:
    """Refuse a folder in which a run would overwrite what is not a run's."""
    if is_the_projects(folder):
        raise ParameterError(
            f"run_dir is {wanted.run_dir!r}, where the project's own files are. Choose another folder."
        )
    if wanted.source not in parameters.NAMED_SOURCES:
        source = (files.ROOT / wanted.source).resolve()
        if source.parent == folder.resolve() and source.name in OUTPUTS:
            raise ParameterError(f"source is {wanted.source!r}, which this run would overwrite. Move it elsewhere.")
    theirs = [name for name in OUTPUTS if (folder / name).exists()]
    if theirs and not (folder / "run.json").exists():
        try:
            files.load_data(wanted.run_dir)
        except files.DataError:
            raise ParameterError(
                f"run_dir is {wanted.run_dir!r}, whose {', '.join(theirs)} would be overwritten, but no run made them. "
                "Choose another folder."
            ) from None
    check_writable(folder, f"run_dir is {wanted.run_dir!r}")


def check_writable(folder: Path, told: str) -> None:
    """Refuse a folder that is not there and cannot be made, or cannot be written to."""
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise ParameterError(f"{told}, but {nearest} is not a folder that can be written to.")


def is_the_projects(folder: Path) -> bool:
    """Whether a folder holds the project's own files, among which nothing may be written."""
    own = [files.ROOT / name for name in (".git", ".ci", "notebooks", "pipeline", "tests")]
    return folder.resolve() == files.ROOT or any(folder.resolve().is_relative_to(path) for path in own)


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold the folder, so that no second run writes to it; the hold ends with the process, however that ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ParameterError(f"{folder} cannot be made ({error.strerror}). Choose another folder.") from None
    held = os.open(folder, os.O_RDONLY)
    try:
        if not _held_by(held, fcntl.LOCK_EX):
            time.sleep(0.1)  # is_held may have been looking, which takes a moment
            if not _held_by(held, fcntl.LOCK_EX):
                raise RunFailed(f"Another run is writing to {folder}. Wait for it, or choose another folder.")
        yield
    finally:
        os.close(held)


def is_held(folder: Path) -> bool:
    """Whether a run, or a sweep, is writing to the folder at this moment."""
    look = os.open(folder, os.O_RDONLY)
    try:
        return not _held_by(look, fcntl.LOCK_SH)
    finally:
        os.close(look)


def _held_by(descriptor: int, kind: int) -> bool:
    """Try to hold an open folder, without waiting."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def inputs_of(wanted: Parameters) -> dict[str, Any]:
    """What the run depends on, apart from its parameters, each with its digest or version."""
    packages = PACKAGES + (("keras", "jax") if wanted.source in KERAS_SOURCES else ())
    return {
        "data": _source_digest(wanted.source),
        "notebooks": {stage: _cells_digest(NOTEBOOKS / f"{stage}.ipynb") for stage in STAGES},
        "code": {name: files.sha256_of_file(files.ROOT / name) for name in CODE},
        "versions": versions_of(("python", *packages)),
    }


def versions_of(names: Iterable[str]) -> dict[str, str]:
    """The versions that are installed here, of Python and of packages; "none" where one is missing."""
    found = {}
    for name in names:
        try:
            found[name] = platform.python_version() if name == "python" else importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "none"
    return found


def _source_digest(source: str) -> str:
    if source in KERAS_SOURCES:
        return f"keras.datasets.{source}"  # not known before it has been loaded; run.json has its arrays' digests
    return files.sha256_of_file(files.SAMPLE if source == "sample" else files.ROOT / source)


def _cells_digest(notebook: Path) -> str:
    """SHA-256 of a notebook's cells without their outputs, which executing it again may not change."""
    cells = nbformat.read(notebook, as_version=4).cells
    return hashlib.sha256(json.dumps([(cell.cell_type, cell.source) for cell in cells]).encode()).hexdigest()


def changed_inputs(record: Mapping[str, Any], wanted: Parameters, inputs: Mapping[str, Any]) -> list[str]:
    """What the folder's last run depended on that is no longer so. Its folder does not count: runs may be moved."""
    if not record:
        return []
    then = flat(record.get("parameters", {}) | record.get("inputs", {}))
    now = flat(wanted.model_dump(exclude={"run_dir"}) | dict(inputs))
    return [
        f"{name}, which was {_short(then.get(name))} and is {_short(value)}"
        for name, value in now.items()
        if then.get(name) != value
    ]


def _short(value: Any) -> str:
    """A value as text, of a digest its beginning."""
    return f"{value[:12]}..." if isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) else str(value)


def flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested record as one, its names joined by spaces."""
    found = {}
    for name, value in nested.items():
        found |= flat(value, f"{prefix}{name} ") if isinstance(value, dict) else {prefix + name: value}
    return found


def _unfinished(folder: Path, record: Mapping[str, Any]) -> list[str]:
    """What the folder's last run lacks."""
    if not record:
        return ["files in this folder that belong to no finished run"]
    if record["status"] != "done":
        return [f"the last run in this folder, which did not finish (its status is {record['status']})"]
    return [
        f"{name}, which has been removed or altered since" for name in OUTPUTS if not is_as_made(folder, name, record)
    ]


def is_as_made(folder: Path, name: str, record: Mapping[str, Any]) -> bool:
    """Whether a file of a run is the one that its record tells of."""
    path = folder / name
    return path.exists() and files.sha256_of_file(path) == record.get("outputs", {}).get(name)


# ---- doing it --------------------------------------------------------------------------------------------------


def _clear(folder: Path) -> None:
    """Remove an earlier run's files, results first, so that no old file passes for a new one."""
    for path in (*(folder / name for name in reversed(OUTPUTS)), *folder.glob(".*.part")):
        path.unlink(missing_ok=True)


def _run_stages(folder: Path, wanted: Parameters, inputs: Mapping[str, Any], say: Callable[[str], None]) -> None:
    started = time.monotonic()
    record = {
        "status": "running",
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "parameters": wanted.model_dump(),
        "inputs": inputs,
    }
    files.write_json(folder / "run.json", record)
    try:
        for stage in STAGES:
            since = time.monotonic()
            execute(NOTEBOOKS / f"{stage}.ipynb", folder / f"{stage}.ipynb", wanted.model_dump())
            say(f"{stage}.ipynb  {time.monotonic() - since:.1f} s")
        record["arrays"] = files.load_data(wanted.run_dir).provenance["sha256"]
        record["duration_s"] = round(time.monotonic() - started, 1)
        _finish(folder, record)
    except BaseException as error:  # whatever ends a run, its record must not go on saying that it is running
        (folder / "metrics.json").unlink(missing_ok=True)
        told = str(error) if isinstance(error, RunFailed) else f"{type(error).__name__}: {error}"
        files.write_json(folder / "run.json", record | {"status": "failed", "error": told})
        raise


def _finish(folder: Path, record: Mapping[str, Any]) -> None:
    """Write the report, and then that the run is done."""
    from pipeline import report  # nbconvert takes a second to import, which a finished run should not cost

    report.write_run_report(folder, record, f"Run {folder.name}", record["parameters"]["run_dir"])
    outputs = {name: files.sha256_of_file(folder / name) for name in OUTPUTS}
    files.write_json(
        folder / "run.json", record | {"status": "done", "report_code": report_digest(), "outputs": outputs}
    )


def report_digest() -> str:
    """Of all that makes a report out of notebooks."""
    package = files.ROOT / "pipeline"
    code = [package / "report.py", package / "pages.py", *sorted((package / "templates").iterdir())]
    return hashlib.sha256("".join(files.sha256_of_file(path) for path in code).encode()).hexdigest()


def execute(
    notebook: Path,
    output: Path,
    values: Mapping[str, Any] | None = None,
    time_limit: int | None = None,
    watched: bool = True,
) -> None:
    """Execute a notebook with those of the values that it declares, and write it whole, also when it fails.

    time_limit: seconds that any one of its cells may take. watched: whether its progress is for the terminal, if this
    process has one; several at once would overwrite each other there.

    Raises
    ------
    RunFailed
        If a cell raises or takes too long, or the kernel dies or does not start.
    """
    import papermill  # a second and a half
    from jupyter_client.kernelspec import NoSuchKernel
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    from pipeline import engine

    node = nbformat.read(notebook, as_version=4)  # not its path, since papermill formats paths: {} in one would fail
    declared = papermill.inspect_notebook(node)
    injected = {name: value for name, value in (values or {}).items() if name in declared}
    with tempfile.TemporaryDirectory() as scratch, _ProgressLine(watched) as progress:
        executed = Path(scratch, notebook.name)
        try:
            papermill.execute_notebook(
                node,
                executed,
                injected,
                progress_bar=False,
                stdout_file=progress,
                coalesce_streams=True,  # a progress line is kept as a reader last saw it
                engine_name=engine.NAME,
                config=_transport(scratch),
                execution_timeout=time_limit,
            )
        except PapermillExecutionError as error:
            cells = nbformat.read(executed, as_version=4).cells
            (failed,) = (cell.id for cell in cells if cell.get("execution_count") == error.exec_count)
            raise RunFailed(
                f"{notebook.name} failed in the cell {failed!r} (In [{error.exec_count}]): "
                f"{error.ename}: {error.evalue}\nThe executed notebook, with its error: {output}",
                "diverged" if error.ename == "Diverged" else "failed",
            ) from None
        except DeadKernelError:
            where = _place(executed)
            told = f"{notebook.name}: its kernel died {where}, perhaps for want of memory."
            raise RunFailed(told, "kernel died") from None
        except CellTimeoutError:
            where = _place(executed)
            told = f"{notebook.name}: out of time {where}, after {time_limit:g} seconds."
            raise RunFailed(told, "timed out") from None
        except (RuntimeError, NoSuchKernel) as error:
            raise RunFailed(f"{notebook.name}: its kernel did not start: {error}") from None
        finally:
            if executed.exists():
                files.write_whole(output, _without_papermill(executed))


def _transport(scratch: str) -> Config:
    """Sockets in the scratch folder instead of open ports, where their paths fit into the 107 bytes allowed."""
    address = f"{scratch}/kernel"
    return Config({"KernelManager": {"transport": "ipc", "ip": address}} if len(address) < 90 else {})


def _place(executed: Path) -> str:
    """Where a dead kernel was: papermill's own status says that the cell was completed."""
    cells = nbformat.read(executed, as_version=4).cells if executed.exists() else []
    begun = [cell for cell in cells if cell.cell_type == "code" and cell.metadata.papermill.get("start_time")]
    if not begun:
        return "before its first cell"
    ended = "shell.execute_reply" in begun[-1].metadata.get("execution", {})
    return f"{'after' if ended else 'in'} the cell {begun[-1].id!r}"


def _without_papermill(executed: Path) -> bytes:
    """The notebook without papermill's record of its own run: run.json has it, without this machine's paths."""
    node = nbformat.read(executed, as_version=4)
    node.metadata.pop("papermill", None)
    return nbformat.writes(node).encode()


class _ProgressLine:
    """Passes on to a terminal what a notebook prints over and over on one line, and clears it in the end."""

    def __init__(self, watched: bool) -> None:
        self.watched, self.shown = watched and sys.stderr.isatty(), False

    def __enter__(self):
        return self

    def write(self, text: str) -> None:
        if "\r" in text and self.watched:
            sys.stderr.write("\r\x1b[K" + text.rsplit("\r", 1)[1].rstrip())
            self.shown = True

    def flush(self) -> None:
        sys.stderr.flush()

    def __exit__(self, *_):
        if self.shown:
            sys.stderr.write("\r\x1b[K")


# ---- is it reproducible? ----------------------------------------------------------------------------------------


def verify(run_dir: str, say: Callable[[str], None] = print) -> bool:
    """Do a finished run, or a point of a sweep, again in a temporary folder, and compare.

    Says of every figure and digest whether it is equal, and which version or input differs where not. Returns whether
    all figures, weights and inputs are equal. Raises DataError if there is no finished run.
    """
    folder = files.run_path(run_dir)
    record = files.read_json(folder / "run.json", "verify needs the folder of a finished run.")
    if record.get("status") != "done":
        raise files.DataError(f"{folder} holds no finished run: its status is {record.get('status')}.")
    before = files.read_json(folder / "metrics.json", "The run is not whole.")
    with tempfile.TemporaryDirectory() as scratch:
        again = parameters.from_values(record["parameters"] | {"run_dir": scratch})
        differing = changed_inputs(record, again, inputs_of(again))
        for stage in STAGES:
            execute(NOTEBOOKS / f"{stage}.ipynb", Path(scratch, f"{stage}.ipynb"), again.model_dump())
        after = files.read_json(Path(scratch, "metrics.json"), "")
        histories = [files.read_json(where / "history.json", "") for where in (folder, Path(scratch))]
    rows = [(name, before.get(name), after.get(name)) for name in before | after]
    stored = files.sha256_of(*files.load_model(run_dir)[:2])
    rows.append(("model.npz", stored, after["weights_sha256"]))
    rows.append(("history.json", *(hashlib.sha256(json.dumps(history).encode()).hexdigest() for history in histories)))
    for name, was, now in rows:
        say(f"{name:22} {'equal' if was == now else 'NOT equal'}  {was}" + ("" if was == now else f", and now {now}"))
    for difference in differing:
        say(f"NOT equal: {difference}")
    return not differing and all(was == now for _, was, now in rows)


# ---- the committed notebooks ------------------------------------------------------------------------------------


def execute_in_place(notebook: Path) -> None:
    """Execute a notebook with its own parameters, for committing: without what differs from run to run.

    A notebook that fails stays as it was. Raises RunFailed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        executed = Path(scratch, notebook.name)
        execute(notebook, executed)
        node = nbformat.read(executed, as_version=4)
    node.metadata["language_info"] = {"name": "python"}
    node.metadata.pop("widgets", None)  # what the controls were set to
    for cell in node.cells:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET, None)  # a control's random name; the text that stands for it is left
        cell.metadata = {key: value for key, value in cell.metadata.items() if key == "tags" and value}
        if cell.id in PICTURES:
            (picture,) = (output.data for output in cell.outputs if "image/png" in output.get("data", {}))
            files.write_whole(notebook.parent / "pictures" / PICTURES[cell.id], b64decode(picture["image/png"]))
    files.write_whole(notebook, (nbformat.writes(node) + "\n").encode())
