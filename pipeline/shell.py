"""Run the cells of one notebook in a process of its own, by IPython and without a kernel.

The parent sends the source of a cell through a pipe. The process sends back what the cell writes
and displays, each as it arises, as a Jupyter output: exactly what a kernel would give.
"""

import contextlib
import io
import multiprocessing
import os
import signal
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import connection
from types import ModuleType
from typing import Any

from ipykernel.compiler import XCachingCompiler
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.pylabtools import activate_matplotlib
from traitlets.config import Config

from pipeline.errors import CellTimedOut, ProcessDied

BACKEND = "module://matplotlib_inline.backend_inline"
ENVIRONMENT = {  # of each notebook's process; the second line is what ipykernel sets
    **dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
    ),
    **{
        "MPLBACKEND": BACKEND,
        "TERM": "xterm-color",
        "CLICOLOR": "1",
        "FORCE_COLOR": "1",
    },
    **dict.fromkeys(("PAGER", "GIT_PAGER"), "cat"),
}
CAN_FORK = (
    sys.platform == "linux"
)  # elsewhere forking is not safe, and a process is spawned
CONTEXT: Any = multiprocessing.get_context("forkserver" if CAN_FORK else "spawn")

starting = threading.Lock()  # of one process at a time
is_ending = threading.Event()  # set while `open_threads` kills what its threads execute

Message = tuple[str, dict[str, Any]]  # a kind, such as "stream", and its content
Send = Callable[[str, Mapping[str, object]], None]


def start_fork_server() -> None:
    """Start the fork server early: its imports take a second, in which the caller can go on."""
    if not CAN_FORK:
        return
    CONTEXT.set_forkserver_preload(["pipeline.preload"])
    in_main_thread = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if in_main_thread else None
    try:  # the server, which ignores Ctrl-C only after its imports, inherits that
        multiprocessing.forkserver.ensure_running()  # type: ignore[attr-defined]
    finally:
        if in_main_thread:
            signal.signal(signal.SIGINT, handler)


@contextlib.contextmanager
def hidden_main_module() -> Iterator[None]:
    """Let an empty module stand for the main one, while a process starts.

    Otherwise multiprocessing has the process import the script that the user has
    started, which would execute it a second time.
    """
    with starting:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


class NotebookProcess:
    """The process of one notebook, seen from its parent. Close it, or it goes on."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        start_fork_server()
        inherited = {k: v for k, v in os.environ.items() if k != "JPY_SESSION_NAME"}
        self.pipe, child_end = CONTEXT.Pipe()
        arguments = (child_end, inherited | ENVIRONMENT | dict(variables))
        self.process = CONTEXT.Process(target=run_cells, args=arguments)
        with child_end, hidden_main_module():
            self.process.start()

    def run_cell(
        self, source: str, time_limit: float | None = None
    ) -> Iterator[Message]:
        """Run a cell, and yield what comes of it; the last message is of the kind "done".

        time_limit: seconds. Raises CellTimedOut and ProcessDied, without the place.
        """
        deadline = None if time_limit is None else time.monotonic() + time_limit
        kind = ""
        try:
            self.pipe.send(source)
            while kind != "done":
                left = (
                    None if deadline is None else max(0.0, deadline - time.monotonic())
                )
                ready = connection.wait([self.pipe, self.process.sentinel], left)
                if not ready or left == 0:
                    raise CellTimedOut(f"it took longer than {time_limit:g} seconds")
                if (
                    self.pipe not in ready
                ):  # it has ended, but something else holds its end
                    raise EOFError
                kind, content = self.pipe.recv()
                yield kind, content
        except (EOFError, OSError):
            self.process.join()
            code = self.process.exitcode
            killed = f"was killed by {signal.Signals(-code).name}" if code < 0 else ""
            how = killed or f"ended with exit code {code}"
            raise ProcessDied(f"its process {how}") from None

    def close(self) -> None:
        """End the process, whatever it does."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


@contextlib.contextmanager
def open_threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """Yield threads; each executes one notebook at a time. An error, or Ctrl-C, ends them at once.

    A thread may be about to start a process, so all are killed again until no thread is left.
    """
    threads = ThreadPoolExecutor(count, thread_name_prefix="notebook")
    try:
        yield threads
    except BaseException:
        is_ending.set()
        threads.shutdown(wait=False, cancel_futures=True)
        while any(
            thread.name.startswith("notebook") for thread in threading.enumerate()
        ):
            for child in multiprocessing.active_children():
                child.kill()
            time.sleep(0.02)
        is_ending.clear()
        raise
    threads.shutdown()


def run_cells(pipe: connection.Connection, environment: Mapping[str, str]) -> None:
    """Run the cells that come through the pipe, until its other end is closed."""
    if hasattr(os, "setsid"):  # not on Windows
        os.setsid()  # so that Ctrl-C reaches the parent alone
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.clear()
    os.environ.update(environment)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()  # else all children would inherit one state from the fork server
    shell, lock = _Shell.instance(**OPTIONS), threading.Lock()

    def send(kind: str, content: Mapping[str, object]) -> None:
        with lock:  # the threads of a cell may print at once
            pipe.send((kind, content))

    shell.send = send
    sys.stdout, sys.stderr = _Stream("stdout", send), _Stream("stderr", send)
    activate_matplotlib(BACKEND)
    from matplotlib_inline.backend_inline import (
        configure_inline_support,
    )  # imports Matplotlib

    configure_inline_support(shell, BACKEND)  # type: ignore[no-untyped-call]
    with contextlib.suppress(EOFError):
        while True:
            result = shell.run_cell(pipe.recv(), store_history=True)  # type: ignore[no-untyped-call]
            count = shell.execution_count - 1
            send("done", {"execution_count": count, "success": bool(result.success)})


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class _Stream(io.TextIOBase):
    """Standard output or error of a notebook."""

    encoding = "UTF-8"

    def __init__(self, name: str, send: Send) -> None:
        self.name, self.send = name, send

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        count = len(text)
        if text:
            self.send("stream", {"name": self.name, "text": text})
        return count


def _encode(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a bundle of representations with pictures as base64 text, as JSON needs them."""
    return {
        k: b64encode(v).decode() if isinstance(v, bytes) else v for k, v in data.items()
    }


class _DisplayHook(DisplayHook):
    def write_output_prompt(self) -> None: ...

    def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
        content = {"data": _encode(format_dict), "metadata": md_dict or {}}
        _Shell.instance().send(
            "execute_result", content | {"execution_count": self.prompt_count}
        )

    def finish_displayhook(self) -> None: ...


class _DisplayPublisher(DisplayPublisher):
    def publish(  # type: ignore[override]  # which has options that nobody uses
        self, data: Any, metadata: Any = None, **options: Any
    ) -> None:
        kind = "update_display_data" if options.get("update") else "display_data"
        transient = options.get("transient") or {}
        content = {
            "data": _encode(data),
            "metadata": metadata or {},
            "transient": transient,
        }
        _Shell.instance().send(kind, content)

    def clear_output(self, wait: bool = False) -> None:
        _Shell.instance().send("clear_output", {"wait": wait})


class _Shell(InteractiveShell):
    compiler_class = XCachingCompiler
    send: Any

    def enable_gui(self, gui: object = None) -> None:
        """Do nothing: the pictures of a notebook need no event loop."""

    def _showtraceback(
        self, etype: type, evalue: BaseException, stb: list[str]
    ) -> None:
        """Send an error, as ipykernel does: the base class would print it."""
        content = {"ename": etype.__name__, "evalue": str(evalue), "traceback": stb}
        self.send("error", content)


OPTIONS: dict[str, Any] = {
    "config": Config({"HistoryManager": {"enabled": False}}),
    "displayhook_class": _DisplayHook,
    "display_pub_class": _DisplayPublisher,
}
