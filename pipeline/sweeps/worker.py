"""Train a point, here or on a Dask worker, in a folder that is gone afterwards."""

import hashlib
import json
import shutil
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline import notebooks, provenance, storage
from pipeline.errors import NotebookFailed
from pipeline.parameters import Parameters
from pipeline.records import Inputs, RunRecord, Status, Trained
from pipeline.run_folder import TRAINING, RunFolder

NOTEBOOK = storage.NOTEBOOKS / f"{TRAINING}.ipynb"


@dataclass(frozen=True)
class Task:
    """What a worker needs for a point, beside the code and the data, which it keeps."""

    place: str  # of the point's folder, which the files name as theirs
    parameters: Parameters
    inputs: Inputs
    arrays: Mapping[str, str]  # digests of the source's arrays
    time_limit: int | None  # seconds for a cell


@dataclass(frozen=True)
class Outcome:
    """What came of a point."""

    record: RunRecord
    files: Mapping[str, bytes] = field(default_factory=dict)


def refusal(versions: Mapping[str, str]) -> str:
    """Return why this worker cannot run the points, if its packages differ from those of the client."""
    here = provenance.versions_of(versions)
    differing = [f"{name} {here[name]}, not {versions[name]}" for name in versions if here[name] != versions[name]]
    return f"it has {'; '.join(differing)}" if differing else ""


def unpacked(data: bytes, below: str) -> Path:
    """Return data.npz, of which the compressed content is given, in the worker's folder, which Dask removes."""
    path = Path(below, f"data-{hashlib.sha256(data).hexdigest()[:16]}.npz")
    if not path.exists():
        storage.write_whole(path, zlib.decompress(data))
    return path


def run_point(task: Task, data: Path, below: str) -> Outcome:
    """Run a point in a temporary folder; a failure is returned, not raised."""
    since = time.monotonic()
    record = RunRecord.begin(task.parameters.model_dump(), task.inputs).changed(arrays=task.arrays)
    with storage.scratch(below) as scratch:
        folder = RunFolder(scratch)
        try:
            folder.data.hardlink_to(data)
        except OSError:  # a file system that has no such links
            shutil.copyfile(data, folder.data)
        try:
            values = task.parameters.model_dump() | {"run_dir": str(folder.path)}
            output = folder.notebook(TRAINING)
            notebooks.execute(NOTEBOOK, output, values, task.time_limit, watched=False, with_pictures=False)
            now = provenance.code_of(NOTEBOOK), {TRAINING: provenance.cells_digest(NOTEBOOK)}
            if now != (task.inputs.code, task.inputs.notebooks):
                raise NotebookFailed("The project's code was changed while it was trained.")
            last, weights = folder.read_history()[-1], folder.read_model().sha256
            trained = Trained(**last.model_dump(), weights_sha256=weights)
            record = record.changed(status=Status.DONE, metrics=trained)
        except NotebookFailed as error:
            record = record.changed(status=Status.of(error), error=str(error).splitlines()[0])
        folder.data.unlink()
        files = {name: (folder.path / name).read_bytes() for name in folder.present()}
        if notebook := files.get(NOTEBOOK.name):
            files[NOTEBOOK.name] = notebook.replace(_as_parameter(str(scratch)), _as_parameter(task.place))
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        return Outcome(record.changed(outputs=digests, duration_s=round(time.monotonic() - since, 1)), files)


def _as_parameter(path: str) -> bytes:
    """Return a path as papermill writes it into a notebook: as Python, in JSON."""
    return json.dumps(path.encode("unicode_escape").decode().replace('"', r"\""))[1:-1].encode()


def failed(task: Task, error: Exception) -> Outcome:
    """Return the outcome of a point that has left an error and no files."""
    record = RunRecord.begin(task.parameters.model_dump(), task.inputs)
    reason = str(error) if isinstance(error, NotebookFailed) else f"{type(error).__name__}: {error}"
    return Outcome(record.changed(status=Status.of(error), error=reason))


def code() -> dict[str, tuple[bytes, float]]:
    """Return every file that a worker needs, and when it was changed: the notebook, and all that it and this import."""
    found = [storage.ROOT / name for name in provenance.code_of(__name__, NOTEBOOK)]
    found += (storage.ROOT / "__pycache__").glob("helpers.*.nb*")  # which is used only where processor and code agree
    files = {path: path.read_bytes() for path in found} | {NOTEBOOK: _without_outputs(NOTEBOOK)}
    return {path.relative_to(storage.ROOT).as_posix(): (files[path], path.stat().st_mtime) for path in files}


def _without_outputs(notebook: Path) -> bytes:
    content = json.loads(notebook.read_bytes())
    for cell in content["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = []
    return json.dumps(content).encode()
