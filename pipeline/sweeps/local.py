"""Train points on this machine, several at a time, each in a kernel of its own."""

import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from queue import Empty, SimpleQueue

from pipeline import kernels
from pipeline.datasets import Data
from pipeline.errors import NotebookFailed
from pipeline.sweeps import worker
from pipeline.sweeps.definition import DataKey
from pipeline.sweeps.jobs import LOOK_AGAIN, Job
from pipeline.sweeps.worker import Outcome

LEAVE = 5.0  # seconds that the kernels of an interrupted sweep have to end


class LocalPool:
    """Threads of this process, each of which has one point trained at a time.

    Nearly all of the work is done by the kernels, which are processes that the fork server of this process makes.
    """

    def __init__(self, count: int, data: Mapping[DataKey, Data]) -> None:
        self.scratch = tempfile.TemporaryDirectory(prefix="sweep-", ignore_cleanup_errors=True)
        self.data = {key: Path(self.scratch.name, f"data-{place}.npz") for place, key in enumerate(data)}
        for key, path in self.data.items():
            path.write_bytes(data[key].without_test().to_bytes())
        self.jobs, self.news = SimpleQueue[Job](), SimpleQueue[tuple[Job, Outcome | None]]()
        self.left, self.closing = 0, threading.Event()
        kernels.prepare(compiler_first=True)
        self.threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    @property
    def running(self) -> bool:
        """See `Workers`."""
        return self.left > 0

    def give(self, waiting: list[Job]) -> None:
        """Take all jobs, to be begun from the end of the list."""
        while waiting:
            self.left += 1
            self.jobs.put(waiting.pop())

    def ended(self) -> list[tuple[Job, Outcome | None]]:
        """Wait until a job ends, but not for long; return what came of each that has."""
        found = []
        try:
            found.append(self.news.get(timeout=LOOK_AGAIN))
            while True:
                found.append(self.news.get_nowait())
        except Empty:
            self.left -= len(found)
            return found

    def close(self) -> None:
        """End what still runs, with its kernels."""
        self.closing.set()
        if self.left:
            kernels.end()
            for thread in self.threads:
                thread.join(LEAVE)
        self.scratch.cleanup()

    def _work(self) -> None:
        while not self.closing.is_set():
            try:
                job = self.jobs.get(timeout=LOOK_AGAIN)
            except Empty:
                continue
            point, task = job
            try:
                outcome = worker.run_point(task, self.data[point.data_key], self.scratch.name, self.closing)
            except Exception as error:  # noqa: BLE001 - whatever is raised here is that point's failure
                outcome = worker.failed(task, NotebookFailed(f"{type(error).__name__}: {error}"))
            self.news.put((job, outcome))
