"""Start a process for each notebook, have it run cells, and end it.

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
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing import connection
from types import ModuleType
from typing import Any

from pipeline.errors import CommandFailed, NotebookFailed
from pipeline.execution.environment import ENVIRONMENT
from pipeline.records import Status

CAN_FORK = sys.platform == "linux"  # on macOS, forking is not safe
SPAWN: Any = multiprocessing.get_context("spawn")
CONTEXT: Any = multiprocessing.get_context("forkserver") if CAN_FORK else SPAWN
SECONDS_TO_END = 1.0  # for a process to close its files after its last cell
SECONDS_TO_VANISH = 1.0  # for the system to notice that a fork server was killed

starting = threading.Lock()  # held while a process starts
running: set["NotebookProcess"] = set()

Message = tuple[str, dict[str, Any]]  # a kind, such as "stream", and its content


def start_fork_server() -> None:
    """Start the fork server, so that its imports run while this process goes on."""
    if not CAN_FORK:
        return
    CONTEXT.set_forkserver_preload(["pipeline.execution.preload"])
    in_main_thread = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if in_main_thread else None
    # The server ignores Ctrl-C only after its imports, so it inherits that from here.
    try:
        multiprocessing.forkserver.ensure_running()  # type: ignore[attr-defined]
    finally:
        if in_main_thread:
            signal.signal(signal.SIGINT, handler)


@contextlib.contextmanager
def hidden_main_module() -> Iterator[None]:
    """Replace the main module by an empty one while a process starts.

    Otherwise multiprocessing would import the user's script in the new process, and so
    execute it a second time.
    """
    with starting:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


class NotebookProcess:
    """The process of one notebook, seen from its parent, who has to close it.

    variables: set in its environment.
    code: the digests of the files of code that it has to have in memory. If there are
        none, it may have any.

    A process says first which code it has. If the fork server has other code, because a
    file was saved after it had started, the process is spawned.

    Raises CommandFailed if code is given, and that process has other code, too, or
    could not import it. Raises NotebookFailed if no process can be started.
    """

    def __init__(self, variables: Mapping[str, str], code: Mapping[str, str]) -> None:
        inherited = {k: v for k, v in os.environ.items() if k != "JPY_SESSION_NAME"}
        environment = inherited | ENVIRONMENT | dict(variables)
        found = self._start(CONTEXT, environment)
        if CONTEXT is not SPAWN and self._find_other(code, found["digests"]):
            self.close()
            found = self._start(SPAWN, environment)
        if other := self._find_other(code, found["digests"]):
            self.close()
            if found["mistake"]:
                problem = f"The code cannot be imported. {found['mistake']}"
                raise CommandFailed(f"{problem}. Correct it.")
            names = ", ".join(other)
            problem = f"{names} changed after this command started"
            raise CommandFailed(f"{problem}. Start the command again.")

    def _start(self, context: Any, environment: Mapping[str, str]) -> dict[str, Any]:
        """Start the process, and return what it says of its code."""
        try:
            return self._start_once(context, environment)
        except (EOFError, OSError):  # the fork server has been killed
            time.sleep(SECONDS_TO_VANISH)
            try:
                return self._start_once(context, environment)  # starts another one
            except (EOFError, OSError) as error:
                problem = f"No process can be started ({error})."
                raise NotebookFailed(problem, Status.DIED) from None

    def _start_once(
        self, context: Any, environment: Mapping[str, str]
    ) -> dict[str, Any]:
        start_fork_server()
        self.pipe, child_end = context.Pipe()
        self.process = context.Process(target=_run_cells, args=(child_end, environment))
        try:
            with child_end, hidden_main_module():
                self.process.start()
            running.add(self)
            _, content = json.loads(self.pipe.recv_bytes())
        except (EOFError, OSError):
            self.close()
            raise
        return dict(content)

    def _find_other(
        self, code: Mapping[str, str], found: Mapping[str, str]
    ) -> list[str]:
        return [name for name, digest in code.items() if found.get(name) != digest]

    def run_cell(
        self, source: str, time_limit_s: float | None = None
    ) -> Iterator[Message]:
        """Run a cell, and yield its outputs; the last message is of the kind "done".

        Raises NotebookFailed if the cell takes longer than the time limit, or if the
        process dies. The caller adds to the message which cell it was.
        """
        deadline = None if time_limit_s is None else time.monotonic() + time_limit_s
        kind = ""
        try:
            self.pipe.send_bytes(source.encode("utf-8", "replace"))
            while kind != "done":
                left = (
                    None if deadline is None else max(0.0, deadline - time.monotonic())
                )
                ready = connection.wait([self.pipe, self.process.sentinel], left)
                if not ready or left == 0:
                    problem = f"it took longer than {time_limit_s:g} seconds"
                    raise NotebookFailed(problem, Status.TIMED_OUT)
                # A process that a cell has started may hold the pipe open after this
                # one has ended, so reading would never return.
                if self.pipe not in ready:
                    raise EOFError
                kind, content = json.loads(self.pipe.recv_bytes())
                yield kind, content
        except (EOFError, OSError):
            self.process.join()
            problem = f"its process {self._describe_end()}"
            raise NotebookFailed(problem, Status.DIED) from None

    def _describe_end(self) -> str:
        """Return in words how the process has ended, as far as its exit code tells."""
        code = self.process.exitcode
        if code is None or code == 255:  # 255 also means that the code was lost
            return "ended early"
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    def end(self) -> None:
        """Let the process close its files after its last cell.

        The process stays alive until `close` kills it, because its number, which is
        also its group's, could otherwise be given to another process.
        """
        with contextlib.suppress(OSError):
            self.pipe.send_bytes(b"")
            connection.wait([self.pipe, self.process.sentinel], SECONDS_TO_END)

    def kill(self) -> None:
        """Kill the process, together with all processes that its cells have started."""
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()

    def close(self) -> None:
        """Kill the process, and wait until it is gone."""
        if self.process.pid:  # it has been started
            self.kill()
            self.process.join()
        self.pipe.close()
        running.discard(self)


def _run_cells(pipe: connection.Connection, environment: Mapping[str, str]) -> None:
    from pipeline.execution import shell  # IPython, which only the new process needs

    shell.run_cells(pipe, environment)


@contextlib.contextmanager
def open_threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """Yield a pool of `count` threads, each of which executes one notebook at a time.

    An error, or Ctrl-C, ends them at once, because their processes are killed. As a
    thread may be about to start another process, this is repeated until all threads
    have ended.
    """
    threads = ThreadPoolExecutor(count, thread_name_prefix="notebook")
    try:
        yield threads
    except BaseException:
        shutdown = partial(threads.shutdown, cancel_futures=True)  # waits for them
        ending = threading.Thread(target=shutdown)
        ending.start()
        while ending.is_alive():
            for process in running.copy():
                process.kill()
            ending.join(0.02)
        raise
    threads.shutdown()
