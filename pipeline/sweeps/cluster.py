"""Train the points of a sweep on a Dask cluster.

The workers of the cluster need no access to this machine's disk. Each worker runs in
its own clone of the project, at the same commit as here. Images and results are sent as
bytes.
"""

import asyncio
import logging
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from distributed import Client, KilledWorker, Security, get_worker
from distributed.comm.core import connect

from pipeline.errors import CommandFailed, InvalidInput
from pipeline.paths import hide_folders
from pipeline.records import RunRecord, to_json
from pipeline.results import provenance
from pipeline.results.run_folder import RunFolder
from pipeline.results.stages import EVALUATION, TRAINING
from pipeline.sweeps.training import Submit, Trained, train_point

TIMEOUT = 10  # seconds for the first answer of a scheduler
log = logging.getLogger(__name__)


@contextmanager
def open_cluster(
    address: str, wanted: RunRecord, data_files: Iterable[bytes]
) -> Iterator[Submit]:
    """Yield a function that starts training a point on a worker of a Dask cluster.

    address: the address of the cluster's scheduler.
    wanted: the record of any point. The workers must have the code and versions in it.
    data_files: the bytes of each data.npz that the points need.

    Raises InvalidInput if no scheduler answers. Raises CommandFailed if a worker does
    not have the wanted code and versions, or if the cluster fails later.
    """
    check_scheduler(address)
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # no tracebacks
    with Client(address, timeout=TIMEOUT) as client:
        check_workers(client, wanted)
        # Each data.npz is sent as the result of a task, because Dask repeats the tasks
        # of a lost worker. Dask could not restore scattered data.
        data = {each: client.submit(bytes, each, pure=False) for each in data_files}
        executor = client.get_executor(pure=False)

        def submit(folder: RunFolder, record: RunRecord, content: bytes) -> Any:
            job = hide_folders(folder.display_path), to_json(record), data[content]
            return executor.submit(train_on_worker, *job)

        threading.Thread(target=watch_workers, args=(client,), daemon=True).start()
        try:
            yield submit  # raises the errors of the caller's with statement
        except CancelledError:
            raise CommandFailed("The scheduler ended. Run the sweep again.") from None
        except (KilledWorker, RuntimeError) as error:
            raise CommandFailed(f"The cluster cannot train: {error}") from error


def check_scheduler(address: str) -> None:
    """Raise InvalidInput if no scheduler answers at the address within TIMEOUT."""
    try:
        options = Security().get_connection_args("client")
        answer = asyncio.wait_for(connect(address, **options), TIMEOUT)
        with ThreadPoolExecutor(1) as thread:  # Jupyter runs a loop in its own thread
            connection = thread.submit(asyncio.run, answer).result()
        connection.abort()  # only an answer was needed
    except (OSError, ValueError) as error:
        reason = str(error) or "silence"
        problem = f"No Dask scheduler answers at {address!r} ({reason})"
        raise InvalidInput(f"{problem}. Start one with dask scheduler.") from None


def watch_workers(client: Client) -> None:
    """Wait until the cluster has no worker, and log a warning.

    This function runs in its own thread. It returns after one warning.
    """
    with suppress(Exception):  # the client or the scheduler may have ended
        while client.scheduler_info()["workers"]:
            time.sleep(1)
        advice = "To add one: dask worker ADDRESS --no-nanny"
        log.warning(f"The cluster has no worker. {advice}")


def check_workers(client: Client, wanted: RunRecord) -> None:
    """Raise CommandFailed if a worker does not have the same inputs as `wanted`."""
    answers = client.run(describe_incompatibility, to_json(wanted), on_error="return")
    for address, answer in answers.items():
        if isinstance(answer, Exception):
            answer = f"cannot import the project ({answer})"
        if answer:
            raise CommandFailed(f"The worker at {address} {answer}.")


def describe_incompatibility(record: bytes) -> str:
    """Return why this worker cannot train a point, or "" if the worker can.

    record: the record of the point, as JSON.
    """
    if multiprocessing.current_process().daemon:
        return "has a nanny, so it cannot start processes: start it with --no-nanny"
    wanted = RunRecord.model_validate_json(record)
    inputs = provenance.collect_inputs(None, [TRAINING, EVALUATION])
    own = wanted.replace(inputs=inputs)
    changes = provenance.list_changes(wanted, own)
    return f"differs in {'; '.join(changes)}" if changes else ""


def train_on_worker(point_dir: str, record: bytes, data: bytes) -> Trained:
    """Train a point in a temporary folder, and return its record and its files.

    point_dir: the path of the point's folder. The returned files contain this path
        instead of the path of the temporary folder.
    record: the content of run.json.
    data: the content of data.npz.
    """
    who = f"The worker at {get_worker().address}"
    obstacle = describe_incompatibility(record)
    if obstacle:
        raise CommandFailed(f"{who} {obstacle}.")
    with tempfile.TemporaryDirectory(prefix="digits-") as temporary:
        begun = RunRecord.model_validate_json(record)
        try:
            ended, _ = train_point(RunFolder(temporary), begun, data)
        except CommandFailed as error:  # code was saved after the worker started
            raise CommandFailed(f"{who} has to be started again: {error}") from None
        names = (TRAINING.executed_name, *TRAINING.files)
        paths = [path for path in Path(temporary).iterdir() if path.name in names]
        old, new = temporary.encode(), point_dir.encode()  # no array contains `old`
        return ended, {path.name: path.read_bytes().replace(old, new) for path in paths}
