"""Train, evaluate and report a point, on a Dask worker, in a folder that is gone afterwards."""

import pickle
import tempfile
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline import notebooks, provenance, storage
from pipeline.errors import KernelDied, NotebookFailed
from pipeline.parameters import Parameters
from pipeline.records import Inputs, Metrics, RunRecord, Status
from pipeline.reports import pages, rendering
from pipeline.run_folder import STAGES, RunFolder


@dataclass(frozen=True)
class Task:
    """What a worker needs for a point, beside the project's code."""

    title: str  # of its report
    place: str  # the folder that its report names, to run it again
    parameters: Parameters
    inputs: Inputs
    data: bytes  # data.npz, compressed
    time_limit: int | None  # seconds for a cell


@dataclass(frozen=True)
class Outcome:
    """What came of a point. The files name `scratch` as their folder, which means nothing elsewhere."""

    record: RunRecord
    metrics: Metrics | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    scratch: str = ""


def refusal(versions: Mapping[str, str]) -> str:
    """Say why this worker cannot run the points, if its packages differ from those of the client."""
    here = provenance.versions_of(versions)
    differing = [f"{name} {here[name]}, not {versions[name]}" for name in versions if here[name] != versions[name]]
    return f"it has {'; '.join(differing)}" if differing else ""


def run(task: bytes, below: str) -> bytes:
    """Run a pickled task, and return the pickled outcome. below: the worker's folder, which Dask removes."""
    return pickle.dumps(run_point(pickle.loads(task), below))


def run_point(task: Task, below: str) -> Outcome:
    """Run a point in a temporary folder; a failure is returned, not raised through the scheduler.

    A point that failed has for its report the notebook that did.
    """
    since = time.monotonic()
    record = RunRecord.begin(task.parameters.model_dump(), task.inputs)
    with tempfile.TemporaryDirectory(prefix="point-", dir=below) as scratch:
        folder = RunFolder(scratch)
        folder.data.write_bytes(zlib.decompress(task.data))
        record = record.changed(arrays=dict(folder.read_data().source_sha256))
        try:
            for stage in STAGES[1:]:
                _execute_twice_at_most(stage, folder, task)
            record = record.changed(status=Status.DONE, duration_s=round(time.monotonic() - since, 1))
            rendering.write_run_report(folder, record, task.title, task.place)
        except NotebookFailed as error:
            status, duration = Status.of(error), round(time.monotonic() - since, 1)
            record = record.changed(status=status, error=str(error).splitlines()[0], duration_s=duration)
            if executed := folder.executed():
                rendering.write_notebook_report(executed[-1], folder.report, f"{task.title}: {status}")
        files = {name: (folder.path / name).read_bytes() for name in folder.present() if name != folder.data.name}
        return Outcome(record, folder.find_metrics(), files, scratch)


def _execute_twice_at_most(stage: str, folder: RunFolder, task: Task) -> None:
    """Execute a notebook of the point, and once more if its kernel dies: it may have been killed from outside."""
    values = task.parameters.model_dump() | {"run_dir": str(folder.path)}
    arguments = (storage.NOTEBOOKS / f"{stage}.ipynb", folder.notebook(stage), values, task.time_limit, False)
    try:
        notebooks.execute(*arguments)
    except KernelDied:
        notebooks.execute(*arguments)


def code() -> dict[str, bytes]:
    """Return everything of the project that a worker needs, derived from what this module and the notebooks import."""
    paths = [storage.NOTEBOOKS / f"{stage}.ipynb" for stage in STAGES]
    modules = provenance.code_of(__name__, *paths)
    found = [*(storage.ROOT / name for name in modules), *paths, *pages.TEMPLATES.iterdir()]
    return {path.relative_to(storage.ROOT).as_posix(): path.read_bytes() for path in found}
