"""Run the cells of a notebook with IPython, in the process of the notebook.

The parent process sends the cells through a pipe. This process sends back each output
at once, in exactly the form in which a Jupyter kernel would send it. Outputs are sent
as JSON, so that the parent process never loads an object of a notebook.
"""

import atexit
import contextlib
import gc
import io
import json
import multiprocessing
import os
import pathlib
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from importlib.machinery import PathFinder
from multiprocessing import connection
from typing import Any

from ipykernel.compiler import XCachingCompiler
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.pylabtools import activate_matplotlib
from jupyter_client.jsonutil import json_default
from traitlets.config import Config

from pipeline.engine.environment import BACKEND
from pipeline.paths import NOTEBOOKS

Send = Callable[[str, Mapping[str, object]], None]


def run_cells(
    pipe: connection.Connection, environment: Mapping[str, str], folder: str
) -> None:
    """Run the cells that arrive through a pipe.

    pipe: the connection to the parent process. An empty message, or the end of the
        pipe, means that there are no more cells.
    environment: all environment variables that this process gets.
    folder: the folder of the notebook, which comes first in its imports.

    The first message to the parent process says which code this process has in memory.
    The last message says that this process has closed its files. The process then waits
    until its parent kills it.
    """
    # In a process group of its own, this process does not receive Ctrl-C. The parent
    # kills the whole group, and so ends all processes that cells have started.
    os.setsid()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])  # see process.py
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.clear()
    os.environ.update(environment)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()  # else all notebooks would draw the same numbers
    lock = threading.Lock()

    def send(kind: str, content: Mapping[str, object]) -> None:
        text = json.dumps([kind, content], default=json_default, ensure_ascii=False)
        with lock:  # several threads of a cell may print at the same time
            pipe.send_bytes(text.encode("utf-8", "replace"))

    # The fork server has imported this module, or this process imports it now. The
    # parent process never does.
    from pipeline.engine import preload

    send("code", {"digests": preload.imported_code, "mistake": preload.mistake})
    import_from(folder, preload.own_modules)
    shell = _Shell.instance(**OPTIONS)
    shell.send = send
    sys.stdout, sys.stderr = _Stream("stdout", send), _Stream("stderr", send)
    descriptors = [_Descriptor(1, sys.stdout), _Descriptor(2, sys.stderr)]
    activate_matplotlib(BACKEND)
    # The next line imports Matplotlib's pyplot, so it has to follow the line above.
    from matplotlib_inline.backend_inline import configure_inline_support

    configure_inline_support(shell, BACKEND)  # type: ignore[no-untyped-call]
    with contextlib.suppress(EOFError):
        while source := pipe.recv_bytes().decode():
            result = shell.run_cell(source, store_history=True)  # type: ignore[no-untyped-call]
            for descriptor in descriptors:
                descriptor.forward()
            count = shell.execution_count - 1
            send("done", {"execution_count": count, "success": bool(result.success)})
    end_in_order(shell)
    with contextlib.suppress(OSError, EOFError):
        send("ended", {})
        pipe.recv_bytes()  # waits until the parent kills this process


def import_from(folder: str, preloaded: Iterable[str]) -> None:
    """Put a notebook's folder first in its imports, as in JupyterLab.

    preloaded: the names of modules of this project. If the folder has a module of such
        a name, that one is imported.
    """
    sys.path.insert(0, folder)
    if folder == str(NOTEBOOKS):  # whose modules are the preloaded ones
        return
    for name in preloaded:
        root = name.partition(".")[0]
        found = PathFinder.find_spec(root, [folder])
        if found and found.origin:
            sys.modules.pop(name, None)


def end_in_order(shell: "_Shell") -> None:
    """Do what Python does when it exits, because multiprocessing leaves it out.

    For instance, open files are closed, so that their content is not lost.
    """
    shell.reset(new_session=False)  # type: ignore[no-untyped-call]
    gc.collect()
    atexit._run_exitfuncs()


def _end_with_parent() -> None:
    """Wait until the parent process ends, then kill this process and its group."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.killpg(0, signal.SIGKILL)


class _Stream(io.TextIOBase):
    """A notebook's standard output or error, which is sent to the parent process."""

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


class _Descriptor:
    """A file descriptor to which the processes that a cell starts, and C code, print.

    number: 1 for standard output, 2 for standard error.
    stream: the stream that gets their output when the cell ends.
    """

    def __init__(self, number: int, stream: _Stream) -> None:
        self.stream = stream
        with tempfile.NamedTemporaryFile() as file:
            os.dup2(file.fileno(), number)
            self.reader = pathlib.Path(file.name).open("rb")  # noqa: SIM115 - open until the end

    def forward(self) -> None:
        self.stream.write(self.reader.read().decode("utf-8", "replace"))


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
        """Send an error, in the form that ipykernel uses, instead of printing it."""
        content = {"ename": etype.__name__, "evalue": str(evalue), "traceback": stb}
        self.send("error", content)


OPTIONS: dict[str, Any] = {
    "config": Config({"HistoryManager": {"enabled": False}}),
    "displayhook_class": _DisplayHook,
    "display_pub_class": _DisplayPublisher,
}
