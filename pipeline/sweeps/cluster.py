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
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distributed import Client, KilledWorker, Security, get_worker
from distributed.comm.core import connect

from pipeline.errors import CommandFailed, InvalidInput
from pipeline.paths import hide_folders
from pipeline.records import RunRecord, to_json
from pipeline.results import provenance
from pipeline.results.run_folder import RunFolder
from pipeline.results.stages import LATER_STAGES, TRAINING
from pipeline.sweeps.training import Refusal, Trained, Trainer, train_point

TIMEOUT = 10  # seconds for the first answer of a scheduler
# Python 3.11 may fail to parse code in two threads at once (its issue 106905).
parsing = threading.Lock()
log = logging.getLogger(__name__)


@contextmanager
def open_cluster(
    address: str, wanted: RunRecord, data_files: Iterable[bytes]
) -> "Iterator[ClusterTrainer]":
    """Yield a trainer that trains points on the workers of a Dask cluster.

    address: the address of the cluster's scheduler.
    wanted: the record of any point. Workers that do not have the code and versions in
        it get no points.
    data_files: the bytes of each data.npz that the points need.

    Raises InvalidInput if no scheduler answers, and CommandFailed if the cluster fails
    later.
    """
    check_scheduler(address)
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # no tracebacks
    with Client(address, timeout=TIMEOUT) as client:
        trainer = ClusterTrainer(client)
        trainer.refuse_incompatible_workers(wanted)
        trainer.send_data(data_files)
        try:
            yield trainer  # raises the errors of the caller's with statement
        except CancelledError:
            raise CommandFailed("The scheduler ended. Run the sweep again.") from None
        except (KilledWorker, RuntimeError) as error:
            raise CommandFailed(f"The cluster cannot train: {error}") from error


class ClusterTrainer(Trainer):
    """Train points on a Dask cluster, except on workers that were refused."""

    def __init__(self, client: Client) -> None:
        super().__init__(client.get_executor(pure=False))
        self.client = client
        self.refused: set[str] = set()

    def send_data(self, data_files: Iterable[bytes]) -> None:
        """Send each data.npz through a task.

        Dask repeats the tasks of a lost worker, but could not restore scattered data.
        """
        self._wait_for_worker()
        self.data = {
            each: self.client.submit(bytes, each, pure=False) for each in data_files
        }

    def submit(
        self, folder: RunFolder, record: RunRecord, data_npz: bytes
    ) -> "Future[Trained | Refusal]":
        """Start training a point on a worker. See `training.train_point`."""
        self._wait_for_worker()
        path = hide_folders(folder.display_path)
        job: list[Any] = [path, to_json(record), self.data[data_npz]]
        return self.executor.submit(train_on_worker, *job)

    def refuse(self, refusal: Refusal) -> None:
        """Name a worker that cannot train, once, and give it no more points."""
        if refusal.worker in self.refused:
            return
        self.refused.add(refusal.worker)
        log.warning(f"The worker at {refusal.worker} {refusal.reason}.")
        log.warning("It gets no points. Correct this, and start it again.")
        self.client.retire_workers([refusal.worker])

    def refuse_incompatible_workers(self, wanted: RunRecord) -> None:
        """Refuse the workers that do not have the same inputs as `wanted`.

        A worker that cannot import the project would end at its first task, in silence.
        """
        record = to_json(wanted)
        answers = self.client.run(describe_incompatibility, record, on_error="return")
        for worker, answer in answers.items():
            if isinstance(answer, Exception):
                answer = f"cannot import the project ({answer})"
            if answer:
                self.refuse(Refusal(worker, answer))

    def _wait_for_worker(self) -> None:
        """Wait until the cluster has a worker that was not refused, and say so once."""
        if not self._list_accepted_workers():
            advice = "To add one: dask worker ADDRESS --no-nanny"
            log.warning(f"The cluster has no worker. {advice}")
        while not (accepted := self._list_accepted_workers()):
            time.sleep(0.5)
        if self.refused:
            # A refused worker may need some time to leave the cluster. Later workers
            # may get points, too, if all that are accepted now leave.
            self.executor = self.client.get_executor(
                pure=False, workers=accepted, allow_other_workers=True
            )

    def _list_accepted_workers(self) -> list[str]:
        present = self.client.scheduler_info(n_workers=-1)["workers"]
        return [address for address in present if address not in self.refused]


def check_scheduler(address: str) -> None:
    """Raise InvalidInput if no scheduler answers at the address within TIMEOUT."""
    try:
        options = Security().get_connection_args("client")
        attempt = asyncio.wait_for(connect(address, **options), TIMEOUT)
        connection = asyncio.run(attempt)
        connection.abort()  # only an answer was needed
    except (OSError, ValueError) as error:
        reason = str(error) or "silence"  # a time-out has no text
        problem = f"No Dask scheduler answers at {address!r} ({reason})"
        raise InvalidInput(f"{problem}. Start one with dask scheduler.") from None


def describe_incompatibility(record: bytes) -> str:
    """Return why this worker cannot train a point, or "" if the worker can.

    record: the record of the point, as JSON.
    """
    if multiprocessing.current_process().daemon:
        return "has a nanny, so it cannot start processes: start it with --no-nanny"
    wanted = RunRecord.model_validate_json(record)
    with parsing:  # all threads of a worker may begin at the same time
        inputs = provenance.collect_inputs(None, [TRAINING, *LATER_STAGES])
    own = wanted.replace(inputs=inputs)
    changes = provenance.list_changes(wanted, own)
    return f"differs in {'; '.join(changes)}" if changes else ""


def train_on_worker(point_dir: str, record: bytes, data: bytes) -> Trained | Refusal:
    """Train a point in a temporary folder, and return its record and its files.

    point_dir: the path of the point's folder. The returned files contain this path
        instead of the path of the temporary folder.
    record: the content of run.json.
    data: the content of data.npz.

    If this worker cannot train the point, a refusal is returned instead.
    """
    address = get_worker().address
    obstacle = describe_incompatibility(record)
    if obstacle:
        return Refusal(address, obstacle)
    with tempfile.TemporaryDirectory(prefix="digits-") as temporary:
        begun = RunRecord.model_validate_json(record)
        try:
            ended, _ = train_point(RunFolder(temporary), begun, data)
        except CommandFailed as error:  # code was saved after the worker started
            return Refusal(address, f"has to be started again: {error}")
        files = {}
        for path in Path(temporary).iterdir():
            if path.name in (TRAINING.executed_name, *TRAINING.files):
                # Only the notebook contains the path of the temporary folder.
                content = path.read_bytes()
                files[path.name] = content.replace(
                    temporary.encode(), point_dir.encode()
                )
        return ended, files
