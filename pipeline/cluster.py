"""Points of a sweep on the workers of a Dask cluster, and what comes back of them.

Nothing assumes a shared disk. Notebooks, code and data travel to the workers as bytes, executed notebooks and
results come back as bytes, and nothing is written but by the client.
"""

import contextlib
import logging
import os
import signal
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline import files, run
from pipeline.parameters import ParameterError

STAGES = ("02_train", "03_evaluate")
FILES = (*(f"{stage}.ipynb" for stage in STAGES), *files.MADE[1:], "report.html")
Item = tuple[Any, Mapping[str, Any]]  # whatever the caller knows a point by, and what a worker is told of it
LOOK_AGAIN = 1.0  # seconds after which the workers are looked at, though nothing has ended
PATIENCE = 10.0  # seconds without any worker after which that is told
# Run by each local worker as it starts: Ctrl-C is for the client, which ends its workers, and that is no news.
LOCAL_WORKER = """
import logging, signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
logging.getLogger("distributed.worker.state_machine").setLevel(logging.ERROR)
"""


# ---- on a worker -----------------------------------------------------------------------------------------------


def on_worker(code: Mapping[str, bytes], task: Mapping[str, Any]) -> dict[str, Any]:
    """Lay the code out, once a worker, and run a point with it; or tell why this worker cannot.

    It travels whole, not by its name: a worker needs the packages alone.
    """
    import hashlib
    import sys
    from pathlib import Path

    from distributed import get_worker

    worker = get_worker()
    digest = hashlib.sha256(b"".join(code[name] for name in sorted(code))).hexdigest()[:16]
    folder = Path(worker.local_directory, f"project-{digest}")  # Dask removes it with the worker
    for name, content in code.items():
        path = folder / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f"{path.name}.{os.getpid()}.part")
            part.write_bytes(content)
            part.replace(path)
    if sys.path[0] != str(folder):
        sys.path.insert(0, str(folder))
        for name in [name for name in sys.modules if name.split(".")[0] in ("pipeline", "helpers")]:
            del sys.modules[name]
    try:
        from pipeline import cluster, run
    except ImportError as error:
        return {"worker": worker.address, "refused": f"{type(error).__name__}: {error}"}
    os.environ |= run.ONE_THREAD | {"PYTHONPATH": str(folder)}  # for the kernels
    here, wanted = run.versions_of(task["inputs"]["versions"]), task["inputs"]["versions"]
    if differing := [f"{name} {here[name]}, not {wanted[name]}" for name in wanted if here[name] != wanted[name]]:
        return {"worker": worker.address, "refused": f"it has {'; '.join(differing)}"}
    return cluster.run_point(task, worker.local_directory)


def run_point(task: Mapping[str, Any], below: str) -> dict[str, Any]:
    """Train, evaluate and report in a temporary folder; failures are returned, not raised through the scheduler.

    below: the worker's own folder, which Dask clears away even after a kill. A point that failed has for its report the
    notebook that did.
    """
    started, since = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="point-", dir=below) as scratch:
        folder = Path(scratch)
        (folder / "data.npz").write_bytes(zlib.decompress(task["data"]))
        record = {
            "status": "done",
            "started": started,
            "parameters": task["parameters"],
            "inputs": task["inputs"],
            "arrays": files.load_data(scratch).provenance["sha256"],
        }
        try:
            for stage in STAGES:
                _execute_twice_at_most(stage, folder, task)
            record["duration_s"] = round(time.monotonic() - since, 1)
            from pipeline import report  # nbconvert, which takes a worker's first point a second

            report.write_run_report(folder, record, task["title"], task["again_in"])
        except run.RunFailed as error:
            record |= {"status": error.status, "error": str(error).splitlines()[0]}
            if executed := [folder / f"{stage}.ipynb" for stage in STAGES if (folder / f"{stage}.ipynb").exists()]:
                from pipeline import report

                title = f"{task['title']}: {error.status}"
                report.write_notebook_report(executed[-1], folder / "report.html", title)
        made = {name: (folder / name).read_bytes() for name in FILES if (folder / name).exists()}
    return {"record": {"duration_s": round(time.monotonic() - since, 1)} | record, "files": made, "scratch": scratch}


def _execute_twice_at_most(stage: str, folder: Path, task: Mapping[str, Any]) -> None:
    """Execute a notebook of the point, and once more if its kernel dies: it may have been killed from outside."""
    notebook, values = run.NOTEBOOKS / f"{stage}.ipynb", task["parameters"] | {"run_dir": str(folder)}
    try:
        run.execute(notebook, folder / notebook.name, values, task["time_limit"], watched=False)
    except run.RunFailed as error:
        if error.status != "kernel died":
            raise
        run.execute(notebook, folder / notebook.name, values, task["time_limit"], watched=False)


# ---- on the client ---------------------------------------------------------------------------------------------


@contextlib.contextmanager
def client(scheduler: str | None, count: int) -> Iterator[Any]:
    """A Dask client: of the scheduler, or of a cluster of this machine with so many workers.

    Raises ParameterError if the scheduler does not answer.
    """
    import cloudpickle
    import dask
    from distributed import Client, LocalCluster

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with contextlib.ExitStack() as stack:
        for logger in map(logging.getLogger, ("distributed", "distributed.client")):
            stack.callback(logger.setLevel, logger.level)
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # what it would say is told in our words
        # Data travels inside a task, some MB each: scattered data would be lost with the worker that holds it.
        stack.enter_context(dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 GB"}))
        if scheduler is not None:
            try:
                connected = stack.enter_context(Client(scheduler))
            except (OSError, ValueError, TypeError) as error:
                raise ParameterError(
                    f"No Dask scheduler answers at {scheduler!r} ({error}). Start one first: dask scheduler"
                ) from None
        else:
            options = {"threads_per_worker": 1, "dashboard_address": "127.0.0.1:0", "preload": [LOCAL_WORKER]}
            with _handling_interrupts(signal.SIG_IGN):  # which the workers take over
                local = stack.enter_context(LocalCluster(n_workers=count, **options))
                connected = stack.enter_context(Client(local))
        try:
            yield connected
        finally:
            logging.getLogger("distributed").setLevel(logging.CRITICAL)  # that workers are ended, and how, is no news


@contextlib.contextmanager
def _handling_interrupts(handler: Any) -> Iterator[None]:
    """Have Ctrl-C handled so; only a main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def interrupted_between() -> Iterator[Callable[[], None]]:
    """Raise KeyboardInterrupt where the yielded function is called, not in the middle of whatever is going on.

    Not even a callback can swallow it so, as Dask's do. Ctrl-C a second time does not wait.
    """
    pressed: list[int] = []

    def press(number: int, _: Any) -> None:
        pressed.append(number)
        if len(pressed) > 1:
            raise KeyboardInterrupt

    def check() -> None:
        if pressed:
            raise KeyboardInterrupt

    with _handling_interrupts(press):
        yield check


class Pool:
    """The workers of a cluster, each given one point at a time, since its death takes all that it was given with it.

    Workers may come and go. One that cannot run the points, for want of the right packages, is given no more.
    """

    def __init__(self, client: Any, say: Callable[[str], None]) -> None:
        self.client, self.say, self.code = client, say, _code()
        self.running: dict[Any, tuple[Item, list[str] | None]] = {}  # by its future: an item, and who may run it
        self.refused: dict[str, str] = {}  # by its address: why
        self.present: set[str] = set()
        self.last_seen, self.told = float("-inf"), False  # any worker, and that there is none

    def give(self, waiting: list[Item]) -> None:
        """Give items, from the end of the list, to workers that have none; those that none can run any more go back.

        Raises run.RunFailed if the scheduler has gone, or no worker can run the points.
        """
        workers = self._workers()
        for future, (item, allowed) in list(self.running.items()):
            if allowed and not set(allowed) & set(workers):
                future.cancel()
                del self.running[future]
                waiting.append(item)
        while waiting and len(self.running) < len(workers):
            item, allowed = waiting.pop(), workers if self.refused else None
            future = self.client.submit(on_worker, self.code, item[1], workers=allowed, pure=False)
            self.running[future] = item, allowed

    def ended(self) -> list[tuple[Item, dict[str, Any] | None]]:
        """Wait until an item ends, but not for long: which have, and what came of each, or None if that was lost.

        What came of it has `record`, `files`, and `scratch`, the path that the files name as theirs.
        """
        from distributed import wait
        from distributed.client import FuturesCancelledError

        if not self.running:
            time.sleep(LOOK_AGAIN)
            return []
        with contextlib.suppress(TimeoutError, FuturesCancelledError):
            wait(list(self.running), timeout=LOOK_AGAIN, return_when="FIRST_COMPLETED")
        found = []
        for future in [future for future in self.running if future.status != "pending"]:
            item, _ = self.running.pop(future)
            outcome = _outcome(future, item[1])
            if outcome and "refused" in outcome:
                self.refused[outcome["worker"]] = outcome["refused"]
                self.say(f"The worker at {outcome['worker']} gets no points: {outcome['refused']}.")
                outcome = None
            found.append((item, outcome))
        return found

    def _workers(self) -> list[str]:
        """The addresses of the workers that may be given points."""
        try:
            present = set(self.client.nthreads())
        except Exception as error:  # noqa: BLE001 - Dask has many for a connection that has ended
            raise run.RunFailed(f"The Dask scheduler has gone ({error}). Start it again first.") from None
        for address in self.present - present:
            self.say(f"The worker at {address} has gone. Workers left: {len(present)}")
        self.present = present
        able = [address for address in present if address not in self.refused]
        if present and not able:
            told = "\n".join(f"{address}: {self.refused[address]}" for address in sorted(present))
            raise run.RunFailed(f"No worker can run the points. Install there what requirements.txt says:\n{told}")
        if able:
            self.last_seen, self.told = time.monotonic(), False
        elif not self.told and time.monotonic() - self.last_seen > PATIENCE:
            address = self.client.scheduler.address
            self.say(f"The scheduler has no worker. Waiting for one: dask worker {address} --nworkers auto")
            self.told = True
        return able


def _code() -> dict[str, bytes]:
    """Everything that a worker needs of the project."""
    names = ["helpers.py", *(f"notebooks/{stage}.ipynb" for stage in run.STAGES)]
    package = [*(files.ROOT / "pipeline").glob("*.py"), *(files.ROOT / "pipeline" / "templates").iterdir()]
    names += sorted(str(path.relative_to(files.ROOT)) for path in package)
    return {name: (files.ROOT / name).read_bytes() for name in names}


def _outcome(future: Any, task: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a worker returned, or a record of how it did not; None if that was lost with the connection."""
    from distributed.client import FutureCancelledError
    from distributed.scheduler import KilledWorker

    if future.status in ("cancelled", "lost"):
        return None
    try:
        return future.result()
    except (FutureCancelledError, TimeoutError):
        return None
    except KilledWorker:
        told = {"status": "worker died", "error": "Its worker died, several times over."}
    except Exception as error:  # noqa: BLE001 - whatever a worker raises is that point's failure
        if future.status != "error":
            return None
        told = {"status": "failed", "error": f"{type(error).__name__}: {error}"}
    return {"record": told | {name: task[name] for name in ("parameters", "inputs")}, "files": {}}
