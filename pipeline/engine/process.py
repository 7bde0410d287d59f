"""Run the cells of each notebook in a process of its own.

The parent process sends the source of each cell through a pipe. The notebook's process
runs the cell with IPython, but without a Jupyter kernel, and sends back the outputs
(see shell.py). With kernels a run takes three times as long, and a sweep of twelve
points ten times (``make bench``).
"""

import contextlib
import json
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing import connection, forkserver, resource_tracker
from pathlib import Path
from types import ModuleType
from typing import Any

from pipeline.engine.environment import ENVIRONMENT
from pipeline.errors import CommandFailed, NotebookFailed
from pipeline.paths import NOTEBOOKS

# On macOS, forking is not safe.
METHOD = "forkserver" if sys.platform == "linux" else "spawn"
CONTEXT: Any = multiprocessing.get_context(METHOD)
SECONDS_TO_END = 1.0  # for a process to close its files after the last cell

start_lock = threading.Lock()  # held while a process starts
running: set["NotebookProcess"] = set()

Message = tuple[str, dict[str, Any]]  # its kind, such as "stream", and its content


def start_fork_server() -> None:
    """Start the fork server, of which the processes of notebooks are copies.

    The server does its imports while this process continues. On systems where METHOD is
    "spawn", there is no fork server, and this function does nothing.
    """
    if METHOD != "forkserver":
        return
    CONTEXT.set_forkserver_preload(["pipeline.engine.preload"])
    # The server ignores Ctrl-C only after its imports, so it is started with SIGINT
    # blocked. multiprocessing's resource tracker unblocks SIGINT when it starts, so it
    # has to start before SIGINT is blocked.
    resource_tracker.ensure_running()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextlib.contextmanager
def hide_main_module() -> Iterator[None]:
    """Replace the main module with an empty module while a process starts.

    Otherwise the new process would import the user's script, and so execute the script
    again.
    """
    with start_lock:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


class NotebookProcess:
    """The process of one notebook, as its parent process controls it.

    A with statement starts the process. At the end of the statement, the process is
    killed.

    variables: environment variables to set for the process.
    code: the SHA-256 of the code that the process must have in memory, by the path of
        each file in the project. If the mapping is empty, the code is not checked.
    folder: the folder of the notebook, which comes first in its imports.

    The process first reports the digests of the code in its memory. They differ from
    `code` if a file was saved after the command started. Raises CommandFailed if they
    differ, or if the code cannot be imported. Raises NotebookFailed if no process can
    be started.
    """

    def __init__(
        self,
        variables: Mapping[str, str],
        code: Mapping[str, str],
        folder: Path = NOTEBOOKS,
    ) -> None:
        # sweep.ipynb reads JPY_SESSION_NAME, which names the notebook of a kernel. A
        # notebook that this process executes must not inherit the variable.
        inherited = {k: v for k, v in os.environ.items() if k != "JPY_SESSION_NAME"}
        environment = inherited | ENVIRONMENT | dict(variables)
        self.code = code
        self.pipe, self.child_end = CONTEXT.Pipe()
        arguments = (self.child_end, environment, str(folder))
        self.process = CONTEXT.Process(target=_run_cells, args=arguments)

    def __enter__(self) -> "NotebookProcess":
        try:
            self._start()
        except BaseException:  # such as Ctrl-C during the wait for its report
            self.kill_and_wait()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.kill_and_wait()

    def _start(self) -> None:
        """Start the process, and check that it has the required code in memory."""
        try:
            start_fork_server()
            running.add(self)
            with self.child_end, hide_main_module():
                self.process.start()
            _, report = json.loads(self.pipe.recv_bytes())
        except (EOFError, OSError) as error:  # for instance, the fork server was killed
            raise NotebookFailed(f"No process can be started ({error}).") from None
        loaded = report["digests"]
        others = [name for name in self.code if loaded.get(name) != self.code[name]]
        if not others:
            return
        if report["mistake"]:  # so no digests are reported
            problem = f"The code cannot be imported. {report['mistake']}"
            raise CommandFailed(f"{problem}. Correct this error.")
        problem = f"{', '.join(others)} changed after this command started"
        advice = "Start the command again, or restart the kernel"
        raise CommandFailed(f"{problem}. {advice}.")

    def run_cell(self, source: str) -> Iterator[Message]:
        """Run a cell, and yield a message for each output.

        The last message has the kind "done", and says whether the cell succeeded.

        Raises NotebookFailed if the process dies. The caller adds the name of the cell
        to the message of this error.
        """
        kind = ""
        try:
            self.pipe.send_bytes(source.encode("utf-8", "replace"))
            while kind != "done":
                # If a cell has started another process, that one may keep the pipe
                # open after the notebook's process has ended. Without this wait for
                # the end, reading from the pipe would never return.
                ready = connection.wait([self.pipe, self.process.sentinel])
                if self.pipe not in ready:
                    raise EOFError
                kind, content = json.loads(self.pipe.recv_bytes())
                yield kind, content
        except (EOFError, OSError):
            self.process.join()
            code = self.process.exitcode  # if a signal killed it: minus its number
            problem = f"its process ended with exit code {code}"
            raise NotebookFailed(problem) from None

    def close_files(self) -> None:
        """Tell the process that no cells follow, and wait until its files are closed.

        The process does not end by itself, but waits until `kill_and_wait` kills it.
        Otherwise the system could give the number of the process to another process,
        which `kill` would then kill.
        """
        with contextlib.suppress(OSError):
            self.pipe.send_bytes(b"")
            connection.wait([self.pipe, self.process.sentinel], SECONDS_TO_END)

    def kill(self) -> None:
        """Kill the process, and all processes that its cells have started."""
        if self.process.pid:  # the process has been started
            # If the process has not made its process group yet, only the second call
            # kills the process.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()

    def kill_and_wait(self) -> None:
        """Kill the process, and wait until it has ended."""
        self.kill()
        if self.process.pid:
            self.process.join()
        self.pipe.close()
        running.discard(self)


def _run_cells(
    pipe: connection.Connection, environment: Mapping[str, str], folder: str
) -> None:
    from pipeline.engine import shell  # only the new process needs IPython

    # If a signal interrupts the parent while this process starts, the parent closes the
    # pipe, but cannot kill this process, whose number it has not received yet.
    with contextlib.suppress(BrokenPipeError):
        shell.run_cells(pipe, environment, folder)


@contextlib.contextmanager
def open_thread_pool(count: int) -> Iterator[ThreadPoolExecutor]:
    """Yield a pool of `count` threads, each of which executes one notebook at a time.

    After an error or Ctrl-C, the function kills the processes of all notebooks, so that
    the threads end at once. A thread may be about to start another process, so the
    function repeats this until all threads have ended.
    """
    pool = ThreadPoolExecutor(count, thread_name_prefix="notebook")
    try:
        yield pool
    except BaseException:
        # `shutdown` waits for the pool's threads, so another thread calls it.
        shutdown = partial(pool.shutdown, cancel_futures=True)
        waiter = threading.Thread(target=shutdown)
        waiter.start()
        while waiter.is_alive():
            with contextlib.suppress(KeyboardInterrupt):  # a second Ctrl-C
                for process in running.copy():
                    process.kill()
                waiter.join(0.02)
        raise
    pool.shutdown()
