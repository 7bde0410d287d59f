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

from pipeline import own_code, shell
from pipeline.errors import CellTimedOut, CodeChanged, ProcessDied

# The variables of each notebook's process. ipykernel sets all but those of threads.
ENVIRONMENT = dict.fromkeys(own_code.THREAD_VARIABLES, "1") | {
    "CLICOLOR": "1",
    "FORCE_COLOR": "1",
    "GIT_PAGER": "cat",
    "MPLBACKEND": shell.BACKEND,
    "PAGER": "cat",
    "TERM": "xterm-color",
}
CAN_FORK = sys.platform == "linux"  # on macOS, forking is not safe
CONTEXT: Any = multiprocessing.get_context("forkserver" if CAN_FORK else "spawn")
SECONDS_TO_END = 1.0  # for a process to close its files after its last cell

starting = threading.Lock()  # held while a process starts
running: set["NotebookProcess"] = set()
is_ending = threading.Event()  # set while all these processes are being killed

Message = tuple[str, dict[str, Any]]  # a kind, such as "stream", and its content


def start_fork_server() -> None:
    """Start the fork server, so that its imports run while this process goes on."""
    if not CAN_FORK:
        return
    CONTEXT.set_forkserver_preload(["pipeline.preload"])
    in_main_thread = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if in_main_thread else None
    # The server ignores Ctrl-C only after its imports, so let it inherit that earlier.
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
    syntax: the digest of each file of code that it has to run, see
        `own_code.take_recorded_code`; if empty, it runs the code on disk.

    Raises ProcessDied if it cannot be started.
    """

    def __init__(
        self, variables: Mapping[str, str], syntax: Mapping[str, str] | None = None
    ) -> None:
        inherited = {k: v for k, v in os.environ.items() if k != "JPY_SESSION_NAME"}
        environment = inherited | ENVIRONMENT | dict(variables)
        try:
            self._start(environment, syntax or {})
        except (EOFError, ConnectionError):  # the fork server has been killed
            try:
                self._start(environment, syntax or {})  # starts another fork server
            except (EOFError, ConnectionError) as error:
                raise ProcessDied(f"No process can be started ({error}).") from None
        running.add(self)

    def _start(self, environment: Mapping[str, str], syntax: Mapping[str, str]) -> None:
        start_fork_server()
        self.pipe, child_end = CONTEXT.Pipe()
        arguments = (child_end, environment, syntax)
        self.process = CONTEXT.Process(target=shell.run_cells, args=arguments)
        with child_end, hidden_main_module():
            self.process.start()

    def run_cell(
        self, source: str, time_limit: float | None = None
    ) -> Iterator[Message]:
        """Run a cell, and yield its outputs; the last message is of the kind "done".

        time_limit: seconds.

        Raises CellTimedOut, ProcessDied and CodeChanged. The caller adds to the message
        which cell it was.
        """
        deadline = None if time_limit is None else time.monotonic() + time_limit
        kind = ""
        try:
            self.pipe.send_bytes(source.encode("utf-8", "replace"))
            while kind != "done":
                left = (
                    None if deadline is None else max(0.0, deadline - time.monotonic())
                )
                ready = connection.wait([self.pipe, self.process.sentinel], left)
                if not ready or left == 0:
                    raise CellTimedOut(f"it took longer than {time_limit:g} seconds")
                # Nothing can be read if the process has ended while another one, which
                # its cells have started, still holds its end of the pipe open.
                if self.pipe not in ready:
                    raise EOFError
                kind, content = json.loads(self.pipe.recv_bytes())
                if kind == "refused":
                    raise CodeChanged(content["text"])
                yield kind, content
        except (EOFError, OSError):
            self.process.join()
            raise ProcessDied(f"its process {self._describe_end()}") from None

    def _describe_end(self) -> str:
        """Return in words how the process has ended, as far as its exit code tells."""
        code = self.process.exitcode
        if code is None or code == 255:  # 255 also means that the code was lost
            return "ended early"
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    def end(self) -> None:
        """Let the process end in order after its last cell, so that it closes files."""
        with contextlib.suppress(OSError):
            self.pipe.send_bytes(b"")
            self.process.join(SECONDS_TO_END)

    def kill(self) -> None:
        """Kill the process, together with all processes that its cells have started."""
        if hasattr(os, "killpg") and self.process.pid:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()

    def close(self) -> None:
        """Kill the process, and wait until it is gone."""
        self.kill()
        self.process.join()
        self.pipe.close()
        running.discard(self)


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
        is_ending.set()
        shutdown = partial(threads.shutdown, cancel_futures=True)  # waits for them
        ending = threading.Thread(target=shutdown)
        ending.start()
        while ending.is_alive():
            for process in running.copy():
                process.kill()
            ending.join(0.02)
        is_ending.clear()
        raise
    threads.shutdown()
