"""A run: the three notebooks in sequence by papermill, and run.json, which says what came of it."""

import hashlib
import importlib.metadata
import json
import platform
import sys
import tempfile
import time
from base64 import b64decode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
from traitlets.config import Config

from pipeline import files, parameters, results
from pipeline.parameters import Parameters

STAGES = ("01_prepare", "02_train", "03_evaluate")
NOTEBOOKS = files.ROOT / "notebooks"
# What a result depends on, besides its parameters and its data.
CODE = ("helpers.py", "pipeline/parameters.py", "pipeline/files.py", "pipeline/figures.py", "pipeline/results.py")
PACKAGES = ("numpy", "numba", "matplotlib", "papermill", "ipykernel", "nbconvert")
KERAS_PACKAGES = ("keras", "jax")
# The cells whose pictures the README shows.
PICTURES = {"curves-drawn": "learning_curves.png", "weights-drawn": "hidden_units.png"}


class RunFailed(Exception):
    """A stage of a run failed; the message names the notebook, the cell and the error."""


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
    ParameterError
        If `source` is a path and there is no such file; nothing has been written then.
    RunFailed
        If a cell fails or a kernel dies. The folder then holds the notebooks as far as they were executed, a
        run.json with the status "failed" and the error, and no metrics.json.
    """
    folder = files.run_path(wanted.run_dir)
    inputs = _inputs(wanted)
    record = _read_record(folder)
    changed = _changed_inputs(record, wanted, inputs)
    reasons = changed + _unfinished(folder, record)
    if not reasons and not force:
        say(f"{wanted.run_dir} is finished, and nothing that it depends on has changed. --force runs it again.")
    else:
        if record and reasons:
            say("\n".join(["Running again, because of", *(f"  {reason}" for reason in reasons)]))
        if changed or force:
            (folder / files.CHECKPOINT).unlink(missing_ok=True)
        _clear(folder)
        _run_stages(folder, wanted, inputs, say)
    say(summary(wanted))


def summary(finished: Parameters) -> str:
    """A finished run's figures beside the published ones, and where its report is."""
    folder = files.run_path(finished.run_dir)
    metrics = files.read_json(folder / "metrics.json", "Run it with: python -m pipeline run")
    lines = ["", results.table(results.compare_with_published(metrics)), ""]
    if changed := parameters.differing(finished):
        told = ", ".join(f"{name} {value}" for name, value in changed.items())
        lines += [f"Not the original's parameters: {told}", ""]
    return "\n".join([*lines, f"report: {folder / 'report.html'}"])


# ---- has it been done already? ---------------------------------------------------------------------------------


def _read_record(folder: Path) -> dict[str, Any]:
    """run.json; empty where there is none that can be read."""
    try:
        record = files.read_json(folder / "run.json", "")
    except files.DataError:
        return {}
    return record if isinstance(record, dict) and {"status", "parameters", "inputs"} <= set(record) else {}


def _changed_inputs(record: Mapping[str, Any], wanted: Parameters, inputs: Mapping[str, Any]) -> list[str]:
    """What the folder's last run depended on that is no longer so. Its folder does not count: runs may be moved."""
    if not record:
        return []
    then = _flat(record["parameters"] | record["inputs"])
    now = _flat(wanted.model_dump(exclude={"run_dir"}) | dict(inputs))
    return [
        f"{name}, which was {then.get(name)} and is {value}" for name, value in now.items() if then.get(name) != value
    ]


def _unfinished(folder: Path, record: Mapping[str, Any]) -> list[str]:
    """What the folder's last run lacks."""
    if not record:
        return ["no run in this folder"]
    if record["status"] != "done":
        return [f"the last run in this folder, which has the status {record['status']}"]
    return [
        f"{name}, which has been removed or altered since"
        for name, digest in record["outputs"].items()
        if not (folder / name).exists() or files.sha256_of_file(folder / name) != digest
    ]


def _flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for name, value in nested.items():
        flat |= _flat(value, f"{prefix}{name} ") if isinstance(value, dict) else {prefix + name: value}
    return flat


def _inputs(wanted: Parameters) -> dict[str, Any]:
    """What the run depends on, apart from its parameters, each with its digest or version."""
    packages = PACKAGES + (KERAS_PACKAGES if wanted.source in ("mnist", "fashion_mnist") else ())
    return {
        "data": _data_digest(wanted.source),
        "notebooks": {stage: _source_digest(NOTEBOOKS / f"{stage}.ipynb") for stage in STAGES},
        "code": {name: files.sha256_of_file(files.ROOT / name) for name in CODE},
        "versions": {"python": platform.python_version()}
        | {package: importlib.metadata.version(package) for package in packages},
    }


def _data_digest(source: str) -> str:
    if source in ("mnist", "fashion_mnist"):
        return f"keras.datasets.{source}"  # Keras checks the SHA-256 of its download itself
    path = files.SAMPLE if source == "sample" else files.ROOT / source
    try:
        return files.sha256_of_file(path)
    except OSError as error:
        raise parameters.ParameterError(
            f"source is {source!r}, but {path} cannot be read ({error.strerror}). "
            f"It must be {parameters.allowed('source')}."
        ) from None


def _source_digest(notebook: Path) -> str:
    """SHA-256 of a notebook's cells without their outputs, which executing it again may not change."""
    cells = nbformat.read(notebook, as_version=4).cells
    return hashlib.sha256(json.dumps([(cell.cell_type, cell.source) for cell in cells]).encode()).hexdigest()


# ---- doing it --------------------------------------------------------------------------------------------------


def _clear(folder: Path) -> None:
    """Remove an earlier run's files, results first, so that no old file passes for a new one."""
    names = ("report.html", *reversed(files.MADE), *(f"{stage}.ipynb" for stage in STAGES))
    for path in (*(folder / name for name in names), *folder.glob(".*.part")):
        path.unlink(missing_ok=True)


def _run_stages(folder: Path, wanted: Parameters, inputs: Mapping[str, Any], say: Callable[[str], None]) -> None:
    from pipeline import report  # nbconvert and papermill take a second to import: not for a run that is finished

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
        record["outputs"] = {name: files.sha256_of_file(folder / name) for name in files.MADE}
        record["duration_s"] = round(time.monotonic() - started, 1)
        report.write_run_report(folder, record | {"status": "done"})
    except BaseException as error:  # whatever ends a run, its record must not go on saying that it is running
        (folder / "metrics.json").unlink(missing_ok=True)
        told = str(error) if isinstance(error, RunFailed) else f"{type(error).__name__}: {error}"
        files.write_json(folder / "run.json", record | {"status": "failed", "error": told})
        raise
    files.write_json(folder / "run.json", record | {"status": "done"})


def execute(notebook: Path, output: Path, values: Mapping[str, Any] | None = None) -> None:
    """Execute a notebook with those of the values that it declares, and write it whole, also when it fails.

    Raises
    ------
    RunFailed
        If a cell raises, the kernel dies or does not start.
    """
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    declared = papermill.inspect_notebook(nbformat.read(notebook, as_version=4))
    injected = {name: value for name, value in (values or {}).items() if name in declared}
    with tempfile.TemporaryDirectory() as scratch:
        executed = Path(scratch, notebook.name)
        try:
            papermill.execute_notebook(
                nbformat.read(notebook, as_version=4),  # as a node, since papermill formats paths: {} would fail
                executed,
                injected,
                progress_bar=False,
                stdout_file=_ProgressLine() if sys.stderr.isatty() else None,
                coalesce_streams=True,  # a progress line is kept as a reader last saw it
                config=Config({"KernelManager": {"transport": "ipc", "ip": f"{scratch}/kernel"}}),  # no open port
            )
        except PapermillExecutionError as error:
            raise RunFailed(
                f"{notebook.name} failed in cell {error.cell_index} (In [{error.exec_count}]): "
                f"{error.ename}: {error.evalue}\nThe executed notebook, with its error: {output}"
            ) from None
        except DeadKernelError:
            raise RunFailed(f"{notebook.name}: its kernel died, perhaps for want of memory.") from None
        finally:
            if executed.exists():
                node = nbformat.read(executed, as_version=4)
                node.metadata.pop("papermill", None)
                files.write_whole(output, nbformat.writes(node).encode())


class _ProgressLine:
    """Passes on to the terminal what a notebook prints over and over on one line."""

    def write(self, text: str) -> None:
        if "\r" in text:
            sys.stderr.write("\r" + text.rsplit("\r", 1)[1])

    def flush(self) -> None:
        sys.stderr.flush()


def execute_in_place(notebook: Path) -> None:
    """Execute a notebook with its own parameters, for committing: without what differs from run to run."""
    execute(notebook, notebook)
    node = nbformat.read(notebook, as_version=4)
    node.metadata["language_info"] = {"name": "python"}
    for cell in node.cells:
        cell.metadata = {key: value for key, value in cell.metadata.items() if key == "tags" and value}
        if cell.id in PICTURES:
            (picture,) = (output.data for output in cell.outputs if "image/png" in output.get("data", {}))
            files.write_whole(notebook.parent / "pictures" / PICTURES[cell.id], b64decode(picture["image/png"]))
    files.write_whole(notebook, (nbformat.writes(node) + "\n").encode())
