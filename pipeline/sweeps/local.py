"""Train points on this machine, several at a time, each in a kernel of its own."""

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from queue import Empty, SimpleQueue

from pipeline import kernels, signals
from pipeline.errors import NotebookFailed
from pipeline.images import Data
from pipeline.sweeps import worker
from pipeline.sweeps.definition import DataKey
from pipeline.sweeps.jobs import POLL_INTERVAL, Job
from pipeline.sweeps.worker import Outcome

CLOSE_TIMEOUT = 10.0  # seconds that the threads of an interrupted sweep have to end


class LocalPool:
    """Threads of this process, each of which has one point trained at a time.

    Nearly all of the work is done by the kernels, which are processes that the fork server of this process makes.
    scratch: a folder for what is on its way.
    """

    def __init__(self, count: int, data: Mapping[DataKey, Data], scratch: Path) -> None:
        self.at_a_time, self.scratch = count, scratch
        self.data = {key: scratch / f"data-{place}.npz" for place, key in enumerate(data)}
        for key, path in self.data.items():
            path.write_bytes(data[key].without_test().to_bytes())
        self.jobs, self.results = SimpleQueue[Job](), SimpleQueue[tuple[Job, Outcome] | BaseException]()
        self.left, self.closing = 0, threading.Event()
        kernels.prepare(compiler_first=True)
        self.threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    @property
    def running(self) -> bool:
        """See `Workers`."""
        return self.left > 0

    def submit(self, waiting: list[Job]) -> None:
        """Take all jobs, to be begun from the end of the list."""
        while waiting:
            self.left += 1
            self.jobs.put(waiting.pop())

    def completed(self) -> list[tuple[Job, Outcome | None]]:
        """Wait until a job ends, but not for long; return what came of each. Raises what is no point's own failure."""
        found: list[tuple[Job, Outcome | None]] = []
        try:
            result = self.results.get(timeout=POLL_INTERVAL)
            while True:
                if isinstance(result, BaseException):
                    raise result
                found.append(result)
                self.left -= 1
                result = self.results.get_nowait()
        except Empty:
            return found

    def close(self) -> None:
        """End what still runs, with its kernels."""
        self.closing.set()
        deadline = time.monotonic() + CLOSE_TIMEOUT
        while self.left and any(thread.is_alive() for thread in self.threads) and time.monotonic() < deadline:
            kernels.end()  # again and again, since a thread may have been about to start one
            for thread in self.threads:
                thread.join(0.2 / len(self.threads))

    def _work(self) -> None:
        while not self.closing.is_set():
            try:
                job = self.jobs.get(timeout=POLL_INTERVAL)
            except Empty:
                continue
            point, task = job
            try:
                self.results.put((job, worker.run_point(task, self.data[point.data_key], str(self.scratch))))
            except (OSError, MemoryError, signals.Stopped) as error:  # which the next points would meet, too
                self.results.put(error)
            except Exception as error:  # noqa: BLE001 - whatever else is raised here is that point's failure
                self.results.put((job, worker.failed(task, NotebookFailed(f"{type(error).__name__}: {error}"))))
