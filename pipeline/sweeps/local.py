"""Train points on this machine, several at a time, each in a kernel of its own."""

import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue

from pipeline import kernels, signals, storage
from pipeline.images import Data
from pipeline.sweeps import worker
from pipeline.sweeps.definition import DataKey, Point
from pipeline.sweeps.worker import Outcome, Task

Job = tuple[Point, Task]
POLL_INTERVAL = 0.2  # seconds after which `completed` returns, though nothing has ended: a signal is waiting
CLOSE_TIMEOUT = 10.0  # seconds that the threads of an interrupted sweep have to end


class LocalPool:
    """Threads of this process, each of which has one point trained at a time.

    Nearly all of the work is done by the kernels, which are processes that the fork server of this process makes.
    scratch: a folder for data.npz, and for points while they are trained. `Pool` has the same interface.
    """

    def __init__(self, count: int, data: Mapping[DataKey, Data], scratch: Path) -> None:
        self.at_a_time, self.scratch = count, scratch
        self.data = {key: scratch / f"data-{place}.npz" for place, key in enumerate(data)}
        for key, path in self.data.items():
            storage.write_whole(path, data[key].without_test().to_bytes())
        self.jobs: dict[Future[Outcome], Job] = {}
        self.ended = SimpleQueue[Future[Outcome]]()
        self.threads = ThreadPoolExecutor(count)

    @property
    def running(self) -> bool:
        """Tell whether any point has been given whose outcome has not been returned."""
        return bool(self.jobs)

    def submit(self, waiting: list[Job]) -> None:
        """Take all jobs, to be begun from the end of the list."""
        while waiting:
            point, task = job = waiting.pop()
            future = self.threads.submit(worker.run_point, task, self.data[point.data_key], str(self.scratch))
            self.jobs[future] = job
            future.add_done_callback(self.ended.put)

    def completed(self) -> list[tuple[Job, Outcome | None]]:
        """Wait until a job ends, but not for long; return what came of it. Raises what is no point's own failure."""
        try:
            future = self.ended.get(timeout=POLL_INTERVAL)
        except Empty:
            return []
        job = self.jobs.pop(future)
        try:
            return [(job, future.result())]
        except (OSError, MemoryError, signals.Stopped):  # which the next points would meet, too
            raise
        except Exception as error:  # noqa: BLE001 - whatever else is raised there is that point's failure
            return [(job, worker.failed(job[1], error))]

    def close(self) -> None:
        """End what still runs, with its kernels."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        deadline = time.monotonic() + CLOSE_TIMEOUT
        while not all(future.done() for future in self.jobs) and time.monotonic() < deadline:
            kernels.end()  # again and again, since a thread may have been about to start one
            time.sleep(0.05)
