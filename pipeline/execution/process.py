"""Start a process for each notebook, let it run the cells, and end it.

The parent sends the source of a cell through a pipe. The process runs it with IPython,
but without a kernel, and sends back its outputs, see shell.py.
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
from types import ModuleType
from typing import Any

from pipeline.errors import CommandFailed, NotebookFailed
from pipeline.execution.environment import ENVIRONMENT
from pipeline.records import Status

# On macOS, forking is not safe.
METHOD = "forkserver" if sys.platform == "linux" else "spawn"
CONTEXT: Any = multiprocessing.get_context(METHOD)
SECONDS_TO_END = 1.0  # for a process to close its files after its last cell

starting = threading.Lock()  # held while a process starts
running: set["NotebookProcess"] = set()

Message = tuple[str, dict[str, Any]]  # a kind, such as "stream", and its content


def start_fork_server() -> None:
    """Start the fork server, so that its imports run while this process continues."""
    if METHOD != "forkserver":
        return
    CONTEXT.set_forkserver_preload(["pipeline.execution.preload"])
    # The server ignores Ctrl-C only after its imports, so it is started with SIGINT
    # blocked. Starting multiprocessing's tracker unblocks SIGINT: do that before.
    resource_tracker.ensure_running()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextlib.contextmanager
def hide_main_module() -> Iterator[None]:
    """Replace the main module with an empty one while a process starts.

    Otherwise multiprocessing would import the user's script, and execute it again.
    """
    with starting:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


class NotebookProcess:
    """The process of one notebook, as its parent process controls it.

    A with statement starts the process, and kills it at the end.

    variables: environment variables to set.
    code: the digest of each file's code that the process must have in memory. If there
        are none, any code is accepted.

    A process first reports which code it has. Raises CommandFailed if that is other
    code, because a file was saved meanwhile, or if the code cannot be imported. Raises
    NotebookFailed if no process can be started.
    """

    def __init__(self, variables: Mapping[str, str], code: Mapping[str, str]) -> None:
        # In a kernel, JPY_SESSION_NAME names its notebook, and sweep.ipynb reads it.
        inherited = {k: v for k, v in os.environ.items() if k != "JPY_SESSION_NAME"}
        environment = inherited | ENVIRONMENT | dict(variables)
        self.code = code
        self.pipe, self.child_end = CONTEXT.Pipe()
        arguments = (self.child_end, environment)
        self.process = CONTEXT.Process(target=_run_cells, args=arguments)

    def __enter__(self) -> "NotebookProcess":
        try:
            self._start()
        except BaseException:  # such as Ctrl-C while its first message is awaited
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
            _, found = json.loads(self.pipe.recv_bytes())
        except (EOFError, OSError) as error:  # for instance, the fork server was killed
            problem = f"No process can be started ({error})."
            raise NotebookFailed(problem, Status.DIED) from None
        names = [k for k, v in self.code.items() if found["digests"].get(k) != v]
        if names and found["mistake"]:
            problem = f"The code cannot be imported. {found['mistake']}"
            raise CommandFailed(f"{problem}. Correct it.")
        if names:
            problem = f"{', '.join(names)} changed after this command started"
            advice = "Start the command again, or restart the kernel"
            raise CommandFailed(f"{problem}. {advice}.")

    def run_cell(self, source: str) -> Iterator[Message]:
        """Run a cell, and yield its outputs; the last message is of the kind "done".

        Raises NotebookFailed if the process dies. The caller adds the cell to the
        message.
        """
        kind = ""
        try:
            self.pipe.send_bytes(source.encode("utf-8", "replace"))
            while kind != "done":
                # A process that a cell has started may keep the pipe open after this
                # process has ended, and reading would never return.
                ready = connection.wait([self.pipe, self.process.sentinel])
                if self.pipe not in ready:
                    raise EOFError
                kind, content = json.loads(self.pipe.recv_bytes())
                yield kind, content
        except (EOFError, OSError):
            self.process.join()
            problem = f"its process {self._describe_end()}"
            raise NotebookFailed(problem, Status.DIED) from None

    def _describe_end(self) -> str:
        """Describe how the process has ended, as far as its exit code tells."""
        code = self.process.exitcode
        if code is None or code == 255:  # 255 also means that the code was lost
            return "ended early"
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    def end(self) -> None:
        """Let the process close its files after its last cell.

        `kill_and_wait` ends the process. If it ended earlier, its number, which is also
        the number of its group, could be given to another process.
        """
        with contextlib.suppress(OSError):
            self.pipe.send_bytes(b"")
            connection.wait([self.pipe, self.process.sentinel], SECONDS_TO_END)

    def kill(self) -> None:
        """Kill the process, together with all processes that its cells have started."""
        if self.process.pid:  # it has been started
            # It may not have made its group yet, so also kill the process itself.
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


def _run_cells(pipe: connection.Connection, environment: Mapping[str, str]) -> None:
    from pipeline.execution import shell  # IPython, which only the new process needs

    shell.run_cells(pipe, environment)


@contextlib.contextmanager
def open_thread_pool(count: int) -> Iterator[ThreadPoolExecutor]:
    """Yield a pool of `count` threads, each of which executes one notebook at a time.

    An error or Ctrl-C ends the threads at once. To that end, processes are killed until
    all threads have ended, because a thread may be about to start another process.
    """
    threads = ThreadPoolExecutor(count, thread_name_prefix="notebook")
    try:
        yield threads
    except BaseException:
        wait_for_threads = partial(threads.shutdown, cancel_futures=True)
        waiting = threading.Thread(target=wait_for_threads)
        waiting.start()
        while waiting.is_alive():
            with contextlib.suppress(KeyboardInterrupt):  # a second Ctrl-C
                for process in running.copy():
                    process.kill()
                waiting.join(0.02)
        raise
    threads.shutdown()
