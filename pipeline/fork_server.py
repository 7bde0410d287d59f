"""Run the fork server: import what every notebook imports, and fork a kernel for each request.

Only installed packages are imported here, and of this project nothing but the package itself, so that a changed
helpers.py is what the next kernel imports. kernels.py starts this module as a process, and asks.
"""

import contextlib
import functools
import gc
import importlib
import io
import json
import os
import signal
import socket
import sys

# Matplotlib's backend is chosen with the first figure, so by the kernel.
PACKAGES = (
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.extensions.storemagic",
    "filelock",
    "ipykernel.debugger",
    "ipykernel.kernelapp",
    "matplotlib.pyplot",
    "matplotlib_inline.backend_inline",
    "pydantic.fields",
)


def _import_what_notebooks_import() -> None:
    gc.disable()  # else looking for garbage takes a tenth of the time of imports
    sys.modules["debugpy"] = None  # type: ignore[assignment]  # each kernel would import it, for 0.1 s, to be debugged
    for name in PACKAGES:
        importlib.import_module(name)
    import matplotlib
    from matplotlib.figure import Figure
    from pydantic import TypeAdapter

    TypeAdapter(dict[str, int])  # most of Pydantic is imported when it is first used
    matplotlib.rcdefaults()  # whatever the user's own settings are
    figure = Figure()  # which finds the fonts
    figure.add_subplot().set_title("fonts")
    figure.savefig(io.BytesIO(), format="png")
    gc.freeze()  # so that no kernel looks through all these objects for garbage


def _escape_half_characters() -> None:
    """Have kernels print half of a character, which cannot be sent, as its escape."""
    from ipykernel.iostream import OutStream

    write = OutStream.write

    def escaping(stream: OutStream, text: str) -> int | None:
        return write(stream, text.encode(errors="backslashreplace").decode() if isinstance(text, str) else text)

    OutStream.write = escaping  # type: ignore[assignment, method-assign]


@functools.cache
def _start_the_compiler() -> None:
    """Import Numba and have it compile, for 0.5 s: the first notebook of a run prepares data, and needs none of it."""
    with contextlib.suppress(Exception):  # which the notebook that needs it will report
        import numba

        numba.njit(lambda x: x + 1)(1)
        gc.freeze()


def _fork_kernels(end: socket.socket, compiler_first: bool) -> None:
    """Fork a kernel for each request, or answer how one has ended, until the process that asks has gone."""
    ended: dict[int, int] = {}  # from a kernel's process id to its exit code, or minus its signal

    def clear_away(*_: object) -> None:
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                ended[found[0]] = os.waitstatus_to_exitcode(found[1])

    signal.signal(signal.SIGCHLD, clear_away)
    line, parent = end.makefile("rw"), os.getpid()
    with contextlib.suppress(OSError):  # it has gone before it could be answered
        if compiler_first:
            _start_the_compiler()
        for request in map(json.loads, line):
            if "ended" in request:
                clear_away()
                answer = ended.get(request["ended"])
            elif (answer := os.fork()) == 0:
                try:
                    # else the process that asks would not see this server end while the kernel lives
                    os.close(end.detach())
                    _become_a_kernel(parent, **request)
                finally:  # the fork server's own way out is not a kernel's
                    os._exit(1)
            line.write(f"{json.dumps(answer)}\n")
            line.flush()
            _start_the_compiler()


def _become_a_kernel(parent: int, arguments: list[str], environment: dict[str, str], folder: str) -> None:
    """Do what `python -m ipykernel_launcher` does, with the imports done."""
    import numpy as np
    from ipykernel import kernelapp

    gc.enable()
    np.random.seed()  # as in a process that has just imported it; a notebook seeds its own generator
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    if "numba" in sys.modules:
        sys.modules["numba"].config.reload_config()  # as of its import, and of where this server stands
    with contextlib.suppress(PermissionError):  # as after sudo, in a folder that this user may not enter
        os.chdir(folder)
    sys.path[:] = [*filter(None, environment.get("PYTHONPATH", "").split(os.pathsep)), *_PACKAGES]
    # A kernel ends when its parent does; and that it was interrupted on being shut down is not logged.
    options = [f"--IPKernelApp.parent_handle={parent}", "--IPKernelApp.log_level=50"]
    if os.getppid() != parent:  # which has ended already
        os._exit(1)
    sys.argv = ["ipykernel_launcher", *arguments, *options]
    kernelapp.launch_new_instance()
    os._exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of Ctrl-C the process that asks knows what to do
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"  # as ipykernel sets it
    # Without this module's own folder: its own environment decides where a kernel finds the project.
    _PACKAGES = [path for path in sys.path if path != os.environ["PYTHONPATH"]]
    _import_what_notebooks_import()
    _escape_half_characters()
    with socket.socket(fileno=int(sys.argv[1])) as _end:
        _fork_kernels(_end, compiler_first="compiler" in sys.argv)
