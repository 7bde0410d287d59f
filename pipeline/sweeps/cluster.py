"""Train the points of a sweep on the workers of a Dask cluster.

A plugin brings the project to the workers, because Dask also gives it to those that
come late or restart. The results come back as bytes. The scheduler cannot import the
project. So it is sent only objects of the standard library, and local classes, which
Dask pickles by value.
"""

import asyncio
import hashlib
import logging
import multiprocessing
import operator
import os
import pickle
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import dask
from distributed import Client, Security, WorkerPlugin, get_worker
from distributed.comm.core import connect
from distributed.core import Status as WorkerStatus
from distributed.versions import get_versions

from pipeline.errors import CommandFailed, InvalidInput
from pipeline.paths import ROOT, hide_folders
from pipeline.records import RunRecord, Status, to_json
from pipeline.results import provenance
from pipeline.results.files import write_whole
from pipeline.results.run_folder import RunFolder
from pipeline.results.stages import TRAINING
from pipeline.sweeps.training import TRAINING_FILES, Submit, train_point

NAME = "digits"  # the name of the plugin
# How many seconds to wait for a scheduler's answer, and before a sweep without a worker
# says so.
TIMEOUT = 10
WORKERS_LOST = (
    "No worker that can run the points is left, and %d points are waiting. "
    "Start one with dask worker, and the sweep goes on by itself."
)
SETTINGS = {"distributed.admin.large-graph-warning-threshold": "1 GB"}

log = logging.getLogger(__name__)


@contextmanager
def open_cluster_trainer(address: str, contents: Iterable[bytes]) -> Iterator[Submit]:
    """Yield a function that trains a point on a worker of a Dask scheduler.

    address: that of the scheduler.
    contents: the content of each data.npz, which is sent once.

    Raises InvalidInput if no scheduler answers, and CommandFailed if no worker can
    train the points.
    """
    with _connect(address) as client:
        project = _offer_project(client)
        options: Any = {"pure": False, "resources": {project: 1}}
        # The function and the images are sent once, and not with each point. Because
        # a worker cannot import the project yet, the function is sent as bytes, and
        # unpickled there.
        train = client.submit(pickle.loads, pickle.dumps(train_on_worker), **options)
        data = {each: client.submit(bytes, each, **options) for each in contents}
        executor = client.get_executor(**options)
        results: list[Future[RunRecord]] = []
        begun: dict[str, RunRecord] = {}  # by the path of a point that waits

        def begin(event: tuple[float, str]) -> None:
            """Record that a worker has begun a point."""
            if record := begun.pop(event[1], None):
                RunFolder(event[1]).write_record(record)

        client.subscribe_topic(f"{project}-begun", begin)

        def submit(
            folder: RunFolder,
            record: RunRecord,
            content: bytes,
        ) -> "Future[RunRecord]":
            folder.clear()
            folder.write_record(record.replace(status=Status.WAITING))
            begun[str(folder.path)] = record
            arguments = (str(folder.path), to_json(record), data[content])
            task = executor.submit(operator.call, train, *arguments)
            result: Future[RunRecord] = Future()
            results.append(result)
            task.add_done_callback(partial(_take_result, result, folder, record, begun))
            return result

        has_ended = threading.Event()
        watched = client, project, results, has_ended
        watcher = threading.Thread(target=_watch, args=watched, daemon=True)
        watcher.start()
        try:
            yield submit
        finally:
            has_ended.set()
            watcher.join(1)  # no longer, since the scheduler may not answer any more


def _watch(
    client: Client,
    project: str,
    results: Sequence["Future[RunRecord]"],
    has_ended: threading.Event,
) -> None:
    """Log it once, whenever no worker that can train is left."""
    missing_s = 0
    while not has_ended.wait(1):
        waiting = sum(not result.done() for result in results)
        workers = client.scheduler_info().get("workers", {}).values()
        is_served = any(project in worker["resources"] for worker in workers)
        missing_s = missing_s + 1 if waiting and not is_served else 0
        if missing_s == TIMEOUT:
            log.warning(WORKERS_LOST, waiting)


@contextmanager
def _connect(address: str) -> Iterator[Client]:
    """Yield a client of the scheduler.

    Until it is closed, Dask logs only critical errors. Raises InvalidInput if no
    scheduler answers.
    """
    logger = logging.getLogger("distributed")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # because we log ourselves that a worker is lost
    try:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, _greet(address)).result()
        with dask.config.set(SETTINGS), Client(address, timeout=TIMEOUT) as client:
            yield client
    finally:
        logger.setLevel(level)


async def _greet(address: str) -> None:
    """Exchange the first messages with a scheduler, within TIMEOUT.

    `Client` has no time limit for these. Raises InvalidInput if no scheduler
    answers.
    """
    try:
        security = Security().get_connection_args("client")
        comm = await asyncio.wait_for(connect(address, **security), TIMEOUT)
        comm.abort()
    except (OSError, ValueError) as error:
        reason = str(error) or f"nothing for {TIMEOUT:g} seconds"
        problem = f"No Dask scheduler answers at {address!r} ({reason})"
        raise InvalidInput(f"{problem}. Start one with dask scheduler.") from None


def _make_plugin() -> tuple[str, WorkerPlugin]:
    """Return the project's name, and the plugin that brings the project to a worker.

    The class of the plugin and its function are local, because Dask then pickles them
    by value: the scheduler cannot import ours.
    """
    paths = [ROOT / "helpers.py", *ROOT.glob("pipeline/**/*.py"), TRAINING.notebook]
    files = {
        path.relative_to(ROOT).as_posix(): path.read_bytes() for path in sorted(paths)
    }
    project = f"digits-{hashlib.sha256(repr(files).encode()).hexdigest()[:12]}"
    versions = provenance.find_versions(provenance.PACKAGES)
    versions |= provenance.check_helpers()

    def find_reasons(folder: Path) -> list[str]:
        """Return the reasons why this worker cannot train; the project is in folder."""
        found = get_versions(list(versions))["packages"]
        found["python"] = platform.python_version()
        reasons = [
            f"its {name} is {found[name] or 'missing'}, not {version}"
            for name, version in versions.items()
            if found[name] != version
        ]
        loaded = getattr(sys.modules.get("pipeline"), "__file__", None)
        if loaded and not Path(loaded).is_relative_to(folder):
            reasons.append("it has another version of the project; restart it")
        return reasons

    class Project(WorkerPlugin):
        async def setup(self, worker: Any) -> None:
            folder = Path(worker.local_directory, project)
            if reasons := find_reasons(folder):
                who = f"The worker at {worker.address}"
                message = f"{who} gets no points: {'; '.join(reasons)}"
                worker.log_event(project, (worker.address, message))
                return
            for name, content in files.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(content)
            sys.path.insert(0, str(folder))
            # The fork server of Python 3.11 finds the project only by this variable.
            others = filter(None, [os.environ.get("PYTHONPATH")])
            os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), *others])
            await worker.set_resources(**{project: worker.state.nthreads})
            # The scheduler gives waiting tasks to a worker only when its status
            # changes.
            worker.status = WorkerStatus.paused
            worker.status = WorkerStatus.running

    return project, Project()


def _offer_project(client: Client) -> str:
    """Send the project to all workers, wait until one has it, and return its name.

    A worker that has the project offers a resource of that name, which each task asks
    for. Raises CommandFailed if there are workers, and all have refused.
    """
    project, plugin = _make_plugin()
    refusals: dict[str, str] = {}  # by a worker's address

    def note(event: tuple[float, tuple[str, str]]) -> None:
        worker, message = event[1]
        if refusals.get(worker) != message:
            refusals[worker] = message
            log.warning(message)

    client.subscribe_topic(project, note)
    client.register_plugin(plugin, name=NAME)
    if not client.scheduler_info()["workers"]:
        log.warning("The scheduler has no worker yet. Start one with dask worker.")
    while True:
        workers = client.scheduler_info()["workers"]
        # Events from before the subscription have to be asked for.
        for event in client.get_events(project):
            if event[1][0] in workers:
                note(event)
        if any(project in worker["resources"] for worker in workers.values()):
            return project
        if workers and refusals.keys() >= workers.keys():
            reasons = [refusals[worker] for worker in workers]
            raise CommandFailed("\n".join(["No worker can run the points.", *reasons]))
        time.sleep(0.2)


def _take_result(
    result: "Future[RunRecord]",
    folder: RunFolder,
    record: RunRecord,
    begun: dict[str, RunRecord],
    task: "Future[Any]",
) -> None:
    """Write the files of a point whose task has ended, and pass its record on."""
    begun.pop(str(folder.path), None)
    try:
        ended, files = task.result()
        for name, content in files.items():
            if name == TRAINING.executed_name:  # it names the folder here
                content = hide_folders(content.decode()).encode()
            write_whole(folder.path / name, content)
        result.set_result(ended.replace(outputs=folder.digest(TRAINING.files)))
    except CancelledError:
        result.set_exception(
            CommandFailed("The Dask scheduler has gone. Run the sweep again.")
        )
    except OSError as error:  # of this machine, for instance a full disk
        result.set_exception(error)
    except Exception as error:  # noqa: BLE001 - an error on a worker fails one point
        failed = {"status": Status.FAILED, "error": f"{type(error).__name__}: {error}"}
        result.set_result(record.replace(**failed))


def train_on_worker(
    path: str, record: bytes, data: bytes
) -> tuple[RunRecord, dict[str, bytes]]:
    """Train a point in a temporary folder, and return its record and its files.

    path: that of the point's folder, which replaces that of the temporary folder in the
        executed notebook.
    data: the content of data.npz.
    """
    # A worker with a nanny is a daemon, which multiprocessing allows no children.
    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
    worker = get_worker()
    (project,) = (name for name in worker.state.total_resources if NAME in name)
    worker.log_event(f"{project}-begun", path)
    with tempfile.TemporaryDirectory(prefix="digits-") as temporary:
        begun = RunRecord.model_validate_json(record)
        ended = train_point(RunFolder(temporary), begun, data)
        left = Path(temporary).iterdir()
        files = {
            path.name: path.read_bytes() for path in left if path.name in TRAINING_FILES
        }
        notebook = TRAINING.executed_name
        if notebook in files:  # not if no process could be started
            content = files[notebook]
            files[notebook] = content.replace(temporary.encode(), path.encode())
        return ended, files
