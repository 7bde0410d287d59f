"""Train the points of a sweep on a Dask cluster that shares code, but not a disk.

Its workers run in clones of the same commit. Images and results are sent as bytes.
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
from pipeline.results.stages import TRAINING
from pipeline.sweeps.training import Submit, Trained, train_point

TIMEOUT = 10  # seconds for the first answer of a scheduler
log = logging.getLogger(__name__)


@contextmanager
def open_cluster(
    address: str, wanted: RunRecord, data_files: Iterable[bytes]
) -> Iterator[Submit]:
    """Yield a function that starts to train a point on a worker of a Dask cluster.

    address: the address of the cluster's scheduler.
    wanted: the record of any point; the workers must have the same code and versions.
    data_files: the bytes of each data.npz that the points need.
    """
    check_scheduler(address)
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # no tracebacks
    with Client(address, timeout=TIMEOUT) as client:
        check_workers(client, wanted)
        # If a worker is lost, Dask repeats its tasks, but scattered data would be gone.
        data = {each: client.submit(bytes, each, pure=False) for each in data_files}
        executor = client.get_executor(pure=False)

        def submit(folder: RunFolder, record: RunRecord, content: bytes) -> Any:
            job = hide_folders(folder.display_path), to_json(record), data[content]
            return executor.submit(train_on_worker, *job)

        threading.Thread(target=watch_workers, args=(client,), daemon=True).start()
        try:
            yield submit  # the errors are those of the caller's with statement
        except CancelledError:
            raise CommandFailed("The scheduler ended. Run the sweep again.") from None
        except (KilledWorker, RuntimeError) as error:
            raise CommandFailed(f"The cluster cannot train: {error}") from error


def check_scheduler(address: str) -> None:
    """Raise InvalidInput if no scheduler answers at the address within TIMEOUT."""
    try:
        options = Security().get_connection_args("client")
        answer = asyncio.wait_for(connect(address, **options), TIMEOUT)
        with ThreadPoolExecutor(1) as thread:  # Jupyter's thread already runs a loop
            connection = thread.submit(asyncio.run, answer).result()
        connection.abort()  # only the answer was wanted
    except (OSError, ValueError) as error:
        reason = str(error) or "silence"
        problem = f"No Dask scheduler answers at {address!r} ({reason})"
        raise InvalidInput(f"{problem}. Start one with dask scheduler.") from None


def watch_workers(client: Client) -> None:
    """Warn once if the cluster has no worker, at the start or later."""
    with suppress(Exception):  # of many kinds, if the client or the scheduler has ended
        while client.scheduler_info()["workers"]:
            time.sleep(1)
        advice = "dask worker ADDRESS --no-nanny adds one"
        log.warning(f"The cluster has no worker: {advice}")


def check_workers(client: Client, wanted: RunRecord) -> None:
    """Raise CommandFailed if a worker does not have the inputs of the wanted record."""
    answers = client.run(describe_incompatibility, to_json(wanted), on_error="return")
    for address, answer in answers.items():
        if isinstance(answer, Exception):
            answer = f"cannot import the project ({answer})"
        if answer:
            raise CommandFailed(f"The worker at {address} {answer}.")


def describe_incompatibility(record: bytes) -> str:
    """Return why this worker cannot train a point, given its record as JSON, or ""."""
    if multiprocessing.current_process().daemon:
        return "has a nanny, so it cannot start processes: start it with --no-nanny"
    wanted = RunRecord.model_validate_json(record)
    own = wanted.replace(inputs=provenance.collect_inputs(None, [TRAINING]))
    changes = provenance.list_changes(wanted, own)
    return f"differs in {'; '.join(changes)}" if changes else ""


def train_on_worker(point_dir: str, record: bytes, data: bytes) -> Trained:
    """Train a point in a temporary folder, and return its record and files.

    record, data: the contents of run.json and data.npz.

    In the files, the temporary folder is replaced with the point's own, `point_dir`.
    """
    who = f"The worker at {get_worker().address}"
    obstacle = describe_incompatibility(record)
    if obstacle:
        raise CommandFailed(f"{who} {obstacle}.")
    with tempfile.TemporaryDirectory(prefix="digits-") as temporary:
        begun = RunRecord.model_validate_json(record)
        try:
            ended, _ = train_point(RunFolder(temporary), begun, data)
        except CommandFailed as error:  # its code was saved after it had started
            raise CommandFailed(f"{who} has to be started again: {error}") from None
        names = (TRAINING.executed_name, *TRAINING.files)
        paths = [path for path in Path(temporary).iterdir() if path.name in names]
        old, new = temporary.encode(), point_dir.encode()  # no array contains `old`
        return ended, {path.name: path.read_bytes().replace(old, new) for path in paths}
