"""Give points to the workers of a Dask cluster, one at a time each, and collect what comes of them.

Nothing assumes a shared disk: notebooks, code and data travel to the workers as bytes, and results come back as bytes.
"""

import contextlib
import logging
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator

import cloudpickle
import dask
from distributed import Client, Future, LocalCluster, wait
from distributed.client import FutureCancelledError, FuturesCancelledError
from distributed.scheduler import KilledWorker

from pipeline.errors import ClusterFailed, InvalidParameter, NotebookFailed, WorkerDied
from pipeline.records import RunRecord, Status
from pipeline.sweeps import bootstrap, worker
from pipeline.sweeps.definition import Point
from pipeline.sweeps.worker import Outcome, Task

LOOK_AGAIN = 1.0  # seconds after which the workers are looked at, though nothing has ended
PATIENCE = 10.0  # seconds without any worker after which that is logged
# Run by each local worker as it starts: Ctrl-C is for the client, which ends its workers, and that is no news.
LOCAL_WORKER = """
import logging, signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
logging.getLogger("distributed.worker.state_machine").setLevel(logging.ERROR)
"""

Job = tuple[Point, Task]
Returned = tuple[str, bytes | str]  # by `bootstrap.run_on_worker`

log = logging.getLogger(__name__)
cloudpickle.register_pickle_by_value(bootstrap)


@contextlib.contextmanager
def connect(scheduler: str | None, count: int) -> Iterator[Client]:
    """Yield a client of the scheduler at this address, or of a cluster of this machine with `count` workers.

    Raises InvalidParameter if the scheduler does not answer.
    """
    with contextlib.ExitStack() as stack:
        for logger in map(logging.getLogger, ("distributed", "distributed.client")):
            stack.callback(logger.setLevel, logger.level)
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # what it logs is logged in our words
        # Data travels inside a task, some MB each: scattered data would be lost with the worker that holds it.
        stack.enter_context(dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 GB"}))
        if scheduler is not None:
            try:
                client = stack.enter_context(Client(scheduler))
            except (OSError, ValueError, TypeError) as error:
                raise InvalidParameter(
                    f"No Dask scheduler answers at {scheduler!r} ({error}). Start one first: dask scheduler"
                ) from None
        else:
            options = {"threads_per_worker": 1, "dashboard_address": "127.0.0.1:0", "preload": [LOCAL_WORKER]}
            with handling_interrupts(signal.SIG_IGN):  # which the workers take over
                client = stack.enter_context(Client(stack.enter_context(LocalCluster(n_workers=count, **options))))
        try:
            yield client
        finally:
            logging.getLogger("distributed").setLevel(logging.CRITICAL)  # that workers are ended, and how, is no news


@contextlib.contextmanager
def handling_interrupts(handler: Callable[..., None] | signal.Handlers) -> Iterator[None]:
    """Have Ctrl-C handled by this handler; only a main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Pool:
    """The workers of a cluster, each given one point at a time: Dask counts a worker's death against all its points.

    Workers may come and go. One that cannot run the points, because its packages differ, is given no more.
    """

    def __init__(self, client: Client) -> None:
        self.client, self.code = client, worker.code()
        self.running: dict[Future[Returned], tuple[Job, list[str] | None]] = {}  # and the addresses that may run it
        self.refusals: dict[str, str] = {}  # by the worker's address
        self.present: set[str] = set()
        self.last_seen, self.reported = float("-inf"), False  # any worker, and that there is none

    def give(self, waiting: list[Job]) -> None:
        """Give jobs, from the end of the list, to free workers; those that no worker can run any more go back.

        Raises ClusterFailed if the scheduler has gone, or no worker can run the points.
        """
        workers = self._workers()
        for future, (job, allowed) in list(self.running.items()):
            if allowed and not set(allowed) & set(workers):
                future.cancel()
                del self.running[future]
                waiting.append(job)
        while waiting and len(self.running) < len(workers):
            job, allowed = waiting.pop(), workers if self.refusals else None
            arguments = (self.code, job[1].inputs.versions, pickle.dumps(job[1]))
            future = self.client.submit(bootstrap.run_on_worker, *arguments, workers=allowed, pure=False)
            self.running[future] = job, allowed

    def ended(self) -> list[tuple[Job, Outcome | None]]:
        """Wait until a job ends, but not for long; return what came of each, or None if it was lost on the way."""
        if not self.running:
            time.sleep(LOOK_AGAIN)
            return []
        with contextlib.suppress(TimeoutError, FuturesCancelledError):
            wait(list(self.running), timeout=LOOK_AGAIN, return_when="FIRST_COMPLETED")
        found = []
        for future in [future for future in self.running if future.status != "pending"]:
            job, _ = self.running.pop(future)
            found.append((job, self._outcome(future, job[1])))
        return found

    def _workers(self) -> list[str]:
        """Return the addresses of the workers that may be given points."""
        try:
            present = set(self.client.nthreads())
        except Exception as error:  # noqa: BLE001 - Dask has many for a connection that has ended
            raise ClusterFailed(f"The Dask scheduler has gone ({error}). Start it again first.") from None
        for address in self.present - present:
            log.warning(f"The worker at {address} has gone. Workers left: {len(present)}")
        self.present = present
        able = [address for address in present if address not in self.refusals]
        if present and not able:
            reasons = "\n".join(f"{address}: {self.refusals[address]}" for address in sorted(present))
            raise ClusterFailed(f"No worker can run the points. Install there what requirements.txt lists:\n{reasons}")
        if able:
            self.last_seen, self.reported = time.monotonic(), False
        elif not self.reported and time.monotonic() - self.last_seen > PATIENCE:
            where = self.client.scheduler_info()["address"]
            log.warning(f"The scheduler has no worker. Waiting for one: dask worker {where} --nworkers -1 --nthreads 1")
            self.reported = True
        return able

    def _outcome(self, future: Future[Returned], task: Task) -> Outcome | None:
        """Return what a worker returned, or a record of its failure; None if that was lost with the connection."""
        if future.status in ("cancelled", "lost"):
            return None
        try:
            address, returned = future.result()
        except (FutureCancelledError, TimeoutError):
            return None
        except KilledWorker:
            return _failed(task, WorkerDied("Its worker died, several times over."))
        except Exception as error:  # noqa: BLE001 - whatever a worker raises is that point's failure
            if future.status != "error":
                return None
            return _failed(task, NotebookFailed(f"{type(error).__name__}: {error}"))
        if isinstance(returned, str):
            self.refusals[address] = returned
            log.warning(f"The worker at {address} gets no points: {returned}.")
            return None
        outcome: Outcome = pickle.loads(returned)
        return outcome


def _failed(task: Task, error: NotebookFailed) -> Outcome:
    record = RunRecord.begin(task.parameters.model_dump(), task.inputs)
    return Outcome(record.changed(status=Status.of(error), error=str(error)))
