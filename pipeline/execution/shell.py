"""Run the cells of a notebook, which are sent through a pipe, with IPython.

The process sends back each output at once, in exactly the form that a kernel would send
it. Outputs are sent as JSON, so that no object of a notebook reaches the parent.
"""

import atexit
import contextlib
import gc
import io
import json
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from multiprocessing import connection
from typing import Any

from ipykernel.compiler import XCachingCompiler
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.pylabtools import activate_matplotlib
from jupyter_client.jsonutil import json_default
from traitlets.config import Config

from pipeline.execution.environment import BACKEND

Send = Callable[[str, Mapping[str, object]], None]


def run_cells(pipe: connection.Connection, environment: Mapping[str, str]) -> None:
    """Run each cell that arrives through the pipe, until an empty one or its end.

    The first message says which code this process has in memory, and the last message
    that it has closed its files. The process then waits for its parent to kill it.
    """
    # The process gets its own process group, so that Ctrl-C does not reach it, and so
    # that killing the group ends everything that it has started.
    os.setsid()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])  # see process.py
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.clear()
    os.environ.update(environment)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()  # else all processes have the fork server's random state
    if numba := sys.modules.get("numba"):
        numba.config.reload_config()  # from the environment of this process
    lock = threading.Lock()

    def send(kind: str, content: Mapping[str, object]) -> None:
        text = json.dumps([kind, content], default=_to_json, ensure_ascii=False)
        with lock:  # the threads of a cell may print at once
            pipe.send_bytes(text.encode("utf-8", "replace"))

    # Imported by the fork server or now, but never by the parent.
    from pipeline.execution import preload

    send("code", {"digests": preload.imported_code, "mistake": preload.mistake})
    shell = _Shell.instance(**OPTIONS)
    shell.send = send
    sys.stdout, sys.stderr = _Stream("stdout", send), _Stream("stderr", send)
    activate_matplotlib(BACKEND)
    # This imports Matplotlib's pyplot, so it has to follow the line above.
    from matplotlib_inline.backend_inline import configure_inline_support

    configure_inline_support(shell, BACKEND)  # type: ignore[no-untyped-call]
    with contextlib.suppress(EOFError):
        while source := pipe.recv_bytes().decode():
            result = shell.run_cell(source, store_history=True)  # type: ignore[no-untyped-call]
            count = shell.execution_count - 1
            send("done", {"execution_count": count, "success": bool(result.success)})
    # Python itself would do this at exit, but multiprocessing ends a child without it.
    shell.reset(new_session=False)  # type: ignore[no-untyped-call]
    gc.collect()
    atexit._run_exitfuncs()
    with contextlib.suppress(OSError, EOFError):
        send("ended", {})
        pipe.recv_bytes()


def _to_json(value: object) -> object:
    """Convert a value that JSON cannot represent, as jupyter_client does."""
    return json_default(bytes(value) if isinstance(value, memoryview) else value)


def _end_with_parent() -> None:
    """Wait for the end of the parent process, then kill this process and its group."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.killpg(0, signal.SIGKILL)


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


class _DisplayHook(DisplayHook):
    def write_output_prompt(self) -> None: ...

    def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
        content = {"data": format_dict, "metadata": md_dict or {}}
        content["execution_count"] = self.prompt_count
        _Shell.instance().send("execute_result", content)

    def finish_displayhook(self) -> None: ...


class _DisplayPublisher(DisplayPublisher):
    def publish(  # type: ignore[override]  # the base class has more options
        self, data: Any, metadata: Any = None, **options: Any
    ) -> None:
        kind = "update_display_data" if options.get("update") else "display_data"
        content = {"data": data, "metadata": metadata or {}}
        content["transient"] = options.get("transient") or {}
        _Shell.instance().send(kind, content)

    def clear_output(self, wait: bool = False) -> None:
        _Shell.instance().send("clear_output", {"wait": wait})


class _Shell(InteractiveShell):
    compiler_class = XCachingCompiler
    send: Any

    def enable_gui(self, gui: object = None) -> None:
        """Do nothing, because the pictures of a notebook need no event loop."""

    def _showtraceback(
        self, etype: type, evalue: BaseException, stb: list[str]
    ) -> None:
        """Send an error as ipykernel does, instead of printing it."""
        content = {"ename": etype.__name__, "evalue": str(evalue), "traceback": stb}
        self.send("error", content)


OPTIONS: dict[str, Any] = {
    "config": Config({"HistoryManager": {"enabled": False}}),
    "displayhook_class": _DisplayHook,
    "display_pub_class": _DisplayPublisher,
}
