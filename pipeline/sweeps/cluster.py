"""Train the points of a sweep on the workers of a Dask cluster.

Nothing assumes a shared disk: the project reaches the workers as a zip, in a plugin that Dask also
gives to late and restarted workers, and results come back as bytes. Scheduling, retries and deaths
are Dask's. Neither the scheduler nor a worker can import this project by itself, so what they
unpickle names the standard library alone, or is a local class, which is pickled by value.
"""

import hashlib
import importlib.metadata
import io
import logging
import multiprocessing
import operator
import os
import pickle
import platform
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import dask
import nbformat
from distributed import Client, KilledWorker, WorkerPlugin

from pipeline import notebooks
from pipeline.data import Data
from pipeline.errors import ClusterFailed, InvalidParameter
from pipeline.parameters import NOTEBOOKS, ROOT
from pipeline.records import Inputs, RunRecord, Status, to_json
from pipeline.run_folder import TRAINING, RunFolder, write_whole
from pipeline.sweeps.definition import DataKey
from pipeline.sweeps.execution import TRAINED, Futures, Job, Outcome, Submit, train_point

TOPIC = "digits"  # of the events by which workers say why they get no points
TIMEOUT = 10  # seconds in which a scheduler has to answer

log = logging.getLogger(__name__)


@contextmanager
def train_there(
    address: str,
    inputs: Mapping[str, Inputs],
    images: Mapping[DataKey, Data],
    time_limit: int | None,
) -> Iterator[Submit]:
    """Yield what has a point trained by a worker of the scheduler at this address.

    Raises InvalidParameter if none answers.
    """
    content = _zip_project()
    project = f"digits-{hashlib.sha256(content).hexdigest()[:12]}"
    options: dict[str, Any] = {"pure": False, "resources": {project: 1}}  # a worker that has it
    versions = {name: found for each in inputs.values() for name, found in each.versions.items()}
    refusals: dict[str, str] = {}  # by the addresses of workers
    tasks: list[Future[Any]] = []

    def cancel_if_refused() -> None:
        """Cancel all tasks if each worker has refused them."""
        workers = client.scheduler_info(n_workers=-1)["workers"]
        if workers and refusals.keys() >= workers.keys():
            for task in tasks:
                task.cancel()

    def note_refusal(event: tuple[object, tuple[str, str]]) -> None:
        worker, reason = event[1]
        refusals[worker] = reason
        log.warning(f"The worker at {worker} gets no points: {reason}")
        cancel_if_refused()

    def submit(jobs: Sequence[Job]) -> Futures:
        futures: Futures = {}
        for point, record in jobs:
            place = str(point.folder.path)
            arguments = (contents[point.data_key], to_json(record), place, time_limit)
            task = executor.submit(operator.call, train, *arguments)
            outcome: Future[Outcome] = Future()
            task.add_done_callback(partial(_settle, outcome, record, refusals))
            tasks.append(task)
            futures[outcome] = point
        cancel_if_refused()
        return futures

    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # we say ourselves what has gone
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 GB"}):
        try:
            client = Client(address, timeout=TIMEOUT)
        except (OSError, ValueError) as error:
            problem = f"No Dask scheduler answers at {address!r} ({error})"
            advice = "Start one with dask scheduler, and give the address that it prints."
            raise InvalidParameter(f"{problem}. {advice}") from None
        try:
            if not client.scheduler_info()["workers"]:
                log.warning(f"The scheduler has no worker yet. Start one: dask worker {address}")
            client.subscribe_topic(TOPIC, note_refusal)
            client.register_plugin(_make_plugin(project, content, versions), name=project)
            train = client.submit(pickle.loads, pickle.dumps(train_on_worker), **options)
            stored = {key: each.to_bytes() for key, each in images.items()}
            contents = {key: client.submit(bytes, each, **options) for key, each in stored.items()}
            executor = client.get_executor(**options)
            yield submit
        finally:
            client.close()


def _settle(
    outcome: "Future[Outcome]", record: RunRecord, refusals: Mapping[str, str], done: "Future[Any]"
) -> None:
    """Give what came of a point's task to the future of its outcome."""
    try:
        content, files = done.result()
        outcome.set_result((RunRecord.model_validate_json(content), files))
    except CancelledError:
        reasons = [f"{worker}: {reason}" for worker, reason in refusals.items()]
        problem = "No worker can run the points." if reasons else "The Dask scheduler has gone."
        outcome.set_exception(ClusterFailed("\n".join([problem, *reasons])))
    except KilledWorker as error:
        outcome.set_result((record.replace(status=Status.DIED, error=str(error)), {}))
    except Exception as error:  # noqa: BLE001 - whatever a worker raises is that point's failure
        reason = f"{type(error).__name__}: {error}"
        outcome.set_result((record.replace(status=Status.FAILED, error=reason), {}))


def _zip_project() -> bytes:
    """Return what a worker needs of the project, the same bytes for the same content."""
    paths = [ROOT / "helpers.py", *ROOT.glob("pipeline/**/*.py"), NOTEBOOKS / f"{TRAINING}.ipynb"]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(paths):
            name = path.relative_to(ROOT).as_posix()
            archive.writestr(zipfile.ZipInfo(name), path.read_bytes())  # without its time
    return buffer.getvalue()


def _make_plugin(project: str, content: bytes, versions: Mapping[str, str]) -> WorkerPlugin:
    """Return the plugin that lays the project out on a worker.

    A worker that has it offers a resource of the project's name, which each task asks for.
    """

    class Project(WorkerPlugin):
        async def setup(self, worker: Any) -> None:
            folder = Path(worker.local_directory, project)
            installed = {
                each.name.lower(): each.version for each in importlib.metadata.distributions()
            }
            installed["python"] = platform.python_version()
            reasons = [
                f"its {name} is {installed.get(name, 'missing')}, not {version}"
                for name, version in versions.items()
                if installed.get(name) != version
            ]
            loaded = getattr(sys.modules.get("pipeline"), "__file__", None)
            if loaded and not Path(loaded).is_relative_to(folder):
                reasons.append("it has another version of the project; restart it")
            if reasons:
                worker.log_event(TOPIC, (worker.address, "; ".join(reasons)))
                return
            zipfile.ZipFile(io.BytesIO(content)).extractall(folder)
            if str(folder) not in sys.path:
                sys.path.insert(0, str(folder))
            os.environ["PYTHONPATH"] = str(folder)  # which a fork server of Python 3.11 needs
            await worker.set_resources(**{project: worker.state.nthreads})

    return Project()


def train_on_worker(
    content: bytes, record: bytes, place: str, time_limit: int | None
) -> tuple[bytes, dict[str, bytes]]:
    """Train a point in a temporary folder, and return its record and its files.

    content: of data.npz. record: of its run.json. place: of its folder, which the executed
    notebook names.
    """
    # A worker with a nanny is a daemon, which may have no children unless it is told otherwise.
    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory(prefix="digits-") as temporary:
        data_path = Path(temporary, "data.npz")
        data_path.write_bytes(content)
        folder = RunFolder(Path(temporary, "point"))
        begun = RunRecord.model_validate_json(record)
        ended, _ = train_point(folder, begun, data_path, time_limit)
        executed = folder.notebook(TRAINING)
        node = notebooks.read_notebook(executed)
        for cell in node.cells:
            if "injected-parameters" in cell.metadata.get("tags", ()):
                cell.source = cell.source.replace(str(folder.path), place)
        write_whole(executed, nbformat.writes(node).encode())
        if ended.status == Status.DONE:
            ended = ended.replace(outputs=folder.digest(TRAINED))
        paths = [path for path in map(folder.path.joinpath, TRAINED) if path.exists()]
        return to_json(ended), {path.name: path.read_bytes() for path in paths}
