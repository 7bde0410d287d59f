"""Give points to the workers of a Dask cluster, and collect what comes of them.

Nothing assumes a shared disk: notebook, code and data travel to the workers as bytes, and results come back as bytes.
"""

import contextlib
import logging
import pickle
import time
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from queue import Empty, SimpleQueue
from typing import Any

import cloudpickle
from distributed import Client, Future
from distributed.client import FutureCancelledError

from pipeline.errors import NEXT_STEPS, ClusterFailed, WorkerDied, refusal
from pipeline.images import Data
from pipeline.records import Inputs
from pipeline.sweeps import bootstrap, worker
from pipeline.sweeps.definition import DataKey, Point
from pipeline.sweeps.local import POLL_INTERVAL, Job
from pipeline.sweeps.worker import Outcome, Task

NO_WORKER_TIMEOUT = 10.0  # seconds without any worker after which that is logged
MAX_DEATHS = 2  # of workers, after which the point that ran there is not tried again, since it may be what kills them

log = logging.getLogger(__name__)
cloudpickle.register_pickle_by_value(bootstrap)
# Neither scheduler nor workers can import these. Dask pickles copies by value, since no module has them under a name.
PREPARE, RUN = (cloudpickle.loads(cloudpickle.dumps(each)) for each in (bootstrap.prepare, bootstrap.run))


@dataclass(eq=False)
class _Worker:
    """A worker of the cluster, the task that makes it ready, and the jobs that it was given, the oldest first."""

    address: str
    threads: int
    preparation: Future[tuple[str, str]] = field(init=False)
    folder: str = ""  # of the code there, once it is ready
    refusal: str = ""  # why it cannot run the points
    given: dict[Future[bytes], Job] = field(default_factory=dict)

    @property
    def pending(self) -> list[Future[bytes]]:
        """Return what has not ended: the first of them run, as many as it has threads, and the others wait."""
        return [future for future in self.given if future.status == "pending"]

    @property
    def load(self) -> int:
        """Return how many more points it has than it can run at a time."""
        return len(self.pending) - self.threads


class Pool:
    """The workers of a cluster, each given as many points as it has threads, and one more that waits there.

    A worker's death counts against the points that ran there, not against the one that waited. Workers may come and
    go. One that cannot run the points, because its packages differ, is given none.
    """

    def __init__(self, client: Client, data: Mapping[DataKey, Data], inputs: Mapping[str, Inputs]) -> None:
        self.client = client
        self.versions = {name: version for found in inputs.values() for name, version in found.versions.items()}
        # Code and data are results of tasks, on which others depend: a worker fetches each once, and the scheduler has
        # it made again if nobody holds it any more.
        self.code: Future[dict[str, tuple[bytes, float]]] = client.submit(dict, worker.code(), pure=False)
        packed = {key: zlib.compress(found.without_test().to_bytes(), level=1) for key, found in data.items()}
        self.data = {key: client.submit(bytes, content, pure=False) for key, content in packed.items()}
        self.workers: dict[str, _Worker] = {}  # by their addresses
        self.deaths: Counter[Point] = Counter()
        self.lost: list[tuple[Job, Outcome | None]] = []  # with their workers
        self.results = SimpleQueue[tuple[_Worker, Future[Any]]]()  # what has ended and was not looked at
        self.last_seen, self.reported = time.monotonic(), False  # any worker, and that there is none

    @property
    def at_a_time(self) -> int:
        """Return how many points are trained at a time."""
        return sum(found.threads for found in self.workers.values() if not found.refusal) or 1

    @property
    def running(self) -> bool:
        """Tell whether any point has been given whose outcome has not been returned."""
        return bool(self.lost) or any(found.given for found in self.workers.values())

    def submit(self, waiting: list[Job]) -> None:
        """Give jobs, from the end of the list, to workers that have room.

        Raises ClusterFailed if the scheduler has gone, or no worker can run the points.
        """
        self._update_workers()
        ready = [found for found in self.workers.values() if found.folder and not found.refusal]
        if not waiting and any(found.load < 0 for found in ready):  # that worker is given what waits at another one
            fullest = max(ready, key=attrgetter("load"))
            if fullest.load > 0:
                future = fullest.pending[-1]
                waiting.append(fullest.given.pop(future))
                future.cancel()
        while waiting and ready and (chosen := min(ready, key=attrgetter("load"))).load <= 0:
            point, task = job = waiting.pop()
            future = self._submit(chosen, RUN, chosen.folder, pickle.dumps(task), self.data[point.data_key])
            chosen.given[future] = job

    def completed(self) -> list[tuple[Job, Outcome | None]]:
        """Wait until a job ends, but not for long; return what came of each, or None if it was lost on the way."""
        found, self.lost = self.lost, []
        with contextlib.suppress(Empty):
            holder, future = self.results.get(timeout=0.0 if found else POLL_INTERVAL)
            while True:
                if job := holder.given.pop(future, None):
                    found.append((job, outcome := _outcome(future, job[1])))
                    if outcome is None and future.status == "finished":  # it is to be made ready
                        self._requeue_from(self.workers.pop(holder.address))
                    elif outcome is None and future.status == "error" and not holder.refusal:
                        error = future.exception()
                        _refuse(holder, f"{type(error).__name__}: {error}")
                elif future is holder.preparation and holder in self.workers.values():
                    _record_preparation(holder)
                holder, future = self.results.get_nowait()
        return found

    def _submit(self, holder: _Worker, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Have a worker call a function; once that has ended, it is among the results."""
        future: Future[Any] = self.client.submit(function, *arguments, workers=[holder.address], pure=False)
        future.add_done_callback(lambda ended: self.results.put((holder, ended)))
        return future

    def _update_workers(self) -> None:
        """Notice which workers have come and gone. Raises ClusterFailed as `submit` does."""
        try:
            present = self.client.nthreads()
        except Exception as error:  # noqa: BLE001 - Dask has many for a connection that has ended
            raise ClusterFailed(f"The Dask scheduler has gone ({error}). Start it again first.") from None
        if self.code.status == "cancelled":  # and nothing that depends on it would ever be done
            raise ClusterFailed("The Dask scheduler was started again meanwhile. Give the same command again.")
        for address in sorted(self.workers.keys() - present.keys()):
            log.warning(f"The worker at {address} has gone. Workers left: {len(present)}")
            self._requeue_from(self.workers.pop(address))
        for address in sorted(present.keys() - self.workers.keys()):
            self.workers[address] = found = _Worker(address, present[address])
            found.preparation = self._submit(found, PREPARE, self.code, self.versions)
        if present and all(found.refusal for found in self.workers.values()):
            reasons = "\n".join(f"{address}: {self.workers[address].refusal}" for address in sorted(self.workers))
            numbers = {refusal(found.refusal.partition(": ")[2]) or 0 for found in self.workers.values()}
            steps = [NEXT_STEPS.get(number, "Install there what requirements.txt lists.") for number in sorted(numbers)]
            raise ClusterFailed(f"No worker can run the points. {' '.join(steps)}\n{reasons}")
        if present:
            self.last_seen, self.reported = time.monotonic(), False
        elif not self.reported and time.monotonic() - self.last_seen > NO_WORKER_TIMEOUT:
            where = self.client.scheduler_info()["address"]
            log.warning(f"The scheduler has no worker. Waiting for one: dask worker {where} --nworkers -1 --nthreads 1")
            self.reported = True

    def _requeue_from(self, gone: _Worker) -> None:
        """Have the points that a worker that has gone had left run elsewhere, but for those that too many died of."""
        ran = gone.pending[: gone.threads]
        for future, (point, task) in gone.given.items():
            if future.status == "pending":
                future.cancel()
                self.deaths[point] += future in ran
                died = self.deaths[point] >= MAX_DEATHS
                outcome = worker.failed(task, WorkerDied("Its worker died twice.")) if died else None
            else:
                outcome = _outcome(future, task)
            self.lost.append(((point, task), outcome))
        gone.given.clear()


def _record_preparation(found: _Worker) -> None:
    """Note that a worker is ready, or why it cannot run the points."""
    try:
        found.folder, why = _result(found.preparation)
    except FutureCancelledError:
        return  # the worker has gone meanwhile
    except Exception as error:  # noqa: BLE001 - whatever a worker raises is why it cannot
        why = f"{type(error).__name__}: {error}"
    if why:
        _refuse(found, why)


def _refuse(found: _Worker, why: str) -> None:
    """Give a worker no points any more, and log why."""
    found.refusal = why
    log.warning(f"The worker at {found.address} gets no points: {found.refusal}.")


def _outcome(future: Future[bytes], task: Task) -> Outcome | None:
    """Return what a worker returned, or a record of its failure; None if that was lost, or is the worker's own."""
    try:
        outcome: Outcome | None = pickle.loads(content) if (content := _result(future)) else None
        return outcome
    except (FutureCancelledError, OSError, MemoryError):  # the last two the next points would meet there, too
        return None
    except Exception as error:  # noqa: BLE001 - whatever else a worker raises is that point's failure
        return worker.failed(task, error) if future.status == "error" else None


def _result(future: Future[Any]) -> Any:
    """Return the result of a task that has ended. Raises FutureCancelledError if that has gone with its worker.

    Then the scheduler would have the task done again, but by that worker alone, so to wait for it would be for ever.
    """
    while True:
        try:
            return future.result(timeout=POLL_INTERVAL)
        except TimeoutError:
            if future.status != "finished":
                raise FutureCancelledError(str(future.key), "its worker has gone") from None
