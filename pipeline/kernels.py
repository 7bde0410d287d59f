"""Start kernels fast: fork them from a process that has imported what every notebook imports.

A notebook's kernel spends a second or more on starting and on importing NumPy, Numba and Matplotlib, which is as long
as the rest of a short training takes. Here one process, the fork server, imports them once and forks a kernel for each
request. A kernel shares nothing with the next but the modules: it is a process of its own, in a session of its own,
with its own environment and random state, and it dies alone. The fork server imports installed packages only, never
this project, so that a changed helpers.py is what the next kernel imports.
"""

import asyncio
import contextlib
import functools
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import psutil
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager
from traitlets import Type

POSSIBLE = sys.platform == "linux"  # elsewhere, forking a process that has loaded a BLAS is not safe
# With one thread, matrix products give the same bits wherever a notebook is run.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
START_TIME = 120  # seconds for the fork server's imports, of which it takes two, and the first fork


class _Client(AsyncKernelClient):
    """Wait for a kernel no longer than it takes to be ready.

    Jupyter's own client waits until nothing has come for 0.2 s, which is half of what starting a kernel takes. Nothing
    is gained by it here: whoever executes a notebook tells late messages from the others by the request they belong to.
    """

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Return when the kernel has answered and its outputs arrive. Raises RuntimeError, as Jupyter's own does."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    self.kernel_info()
                    with contextlib.suppress(queue.Empty):
                        await self.get_shell_msg(timeout=1)
                        await self.get_iopub_msg(timeout=0.2)
                        return
                    if not await self.is_alive():
                        raise RuntimeError("Kernel died before replying to kernel_info")
        except TimeoutError:
            raise RuntimeError(f"Kernel didn't respond in {timeout} seconds") from None


class ForkedKernelManager(AsyncKernelManager):
    """Start this environment's own kernel by a fork, and any other one as Jupyter does."""

    client_factory = Type(_Client)

    async def _async_launch_kernel(self, kernel_cmd: list[str], **options: Any) -> None:
        options["env"] |= ONE_THREAD
        options["env"].pop("JPY_SESSION_NAME", None)  # where a notebook runs that someone else has opened
        provisioner: Any = self.provisioner
        if not POSSIBLE or kernel_cmd[0] != sys.executable or "ipykernel_launcher" not in kernel_cmd:
            await super()._async_launch_kernel(kernel_cmd, **options)
            _SERVER.note(_Kernel(provisioner.pid))
            return
        arguments = kernel_cmd[kernel_cmd.index("ipykernel_launcher") + 1 :]
        provisioner.process = _SERVER.fork(arguments, options["env"], options.get("cwd") or str(Path.cwd()))
        provisioner.pid = provisioner.pgid = provisioner.process.pid
        self._reconcile_connection_info(provisioner.connection_info)


class _Kernel(psutil.Process):
    """What jupyter_client needs of a subprocess.Popen, of a process that is no child of this one."""

    stdin = stdout = stderr = None

    def poll(self) -> int | None:
        """Return None while it runs; a zombie, which nobody may ever clear away, does not."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return -1 if self.status() == psutil.STATUS_ZOMBIE else None
        return -1

    def wait(self, timeout: float | None = None) -> int:
        while self.poll() is None:
            time.sleep(0.02)
        return -1


class _ForkServer:
    """This process's fork server, started with the first kernel; it ends with this process, and its kernels too."""

    process: subprocess.Popen[bytes]
    line: TextIO
    owner: int | None = None
    kernels: tuple[_Kernel, ...] = ()  # that may still run
    lock = threading.Lock()  # one request and its answer at a time

    def fork(self, arguments: Sequence[str], environment: Mapping[str, str], folder: str) -> _Kernel:
        request = json.dumps({"arguments": list(arguments), "environment": dict(environment), "folder": folder})
        with self.lock:
            for attempt in (1, 2):
                if attempt == 2 or self.owner != os.getpid():
                    self._start()
                with contextlib.suppress(OSError, ValueError, psutil.NoSuchProcess):  # it has been killed
                    self.line.write(request + "\n")
                    self.line.flush()
                    return self.note(_Kernel(int(self.line.readline())))
        raise RuntimeError("the process that forks kernels has died, twice")

    def note(self, kernel: _Kernel) -> _Kernel:
        """Keep in mind a kernel that `end` shall end, also one that was started in another way."""
        self.kernels = (*(old for old in self.kernels if old.is_running()), kernel)
        return kernel

    def start(self, compiler_first: bool = False) -> None:
        """Start it, unless it runs."""
        with self.lock:
            if self.owner != os.getpid():
                self._start(compiler_first)

    def end(self) -> None:
        """End it and all kernels."""
        with self.lock:
            if self.owner == os.getpid():
                self.process.kill()
                self.process.wait()
                self.owner = None
            for kernel in self.kernels:
                with contextlib.suppress(psutil.NoSuchProcess):
                    kernel.kill()

    def _start(self, compiler_first: bool = False) -> None:
        here, there = socket.socketpair()
        here.settimeout(START_TIME)
        command = [sys.executable, "-m", "pipeline.kernels", str(there.fileno()), *(["compiler"] * compiler_first)]
        environment = os.environ | ONE_THREAD | {"PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
        self.process = subprocess.Popen(
            command, pass_fds=[there.fileno()], stdin=subprocess.DEVNULL, env=environment, start_new_session=True
        )
        there.close()
        self.line, self.owner = here.makefile("rw"), os.getpid()


_SERVER = _ForkServer()


def prepare(compiler_first: bool = False) -> None:
    """Start the fork server while something else is done: it takes most of a second until it can fork a kernel.

    compiler_first: have Numba ready before the first kernel, which takes half a second more, and not after it.
    """
    if POSSIBLE:
        _SERVER.start(compiler_first)


def end() -> None:
    """End the fork server and all kernels; the next kernel that is asked for starts it again."""
    _SERVER.end()


def _import_what_notebooks_import() -> None:
    sys.modules["debugpy"] = None  # type: ignore[assignment]  # each kernel would import it, for 0.1 s, to be debugged
    import ipykernel.debugger
    import ipykernel.kernelapp  # noqa: F401 - here and not above: the process that asks needs none of these
    import matplotlib.pyplot  # noqa: F401 - its backend is chosen with the first figure, so by the kernel
    import pydantic  # noqa: F401
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure()
    figure.add_subplot().set_title("fonts")
    FigureCanvasAgg(figure).draw()


@functools.cache
def _start_the_compiler() -> None:
    """Import Numba and have it compile, for 0.5 s: the first notebook of a run prepares data, and needs none of it."""
    import numba

    numba.njit(lambda x: x + 1)(1)


def _fork_kernels(end: socket.socket, compiler_first: bool) -> None:
    """Fork a kernel for each request, until the process that asks has gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the kernels, so the system shall clear them away
    line = end.makefile("rw")
    with contextlib.suppress(OSError):  # it has gone before it could be answered
        if compiler_first:
            _start_the_compiler()
        for request in line:
            pid = os.fork()
            if pid == 0:
                os.close(
                    end.fileno()
                )  # else the process that asks would not see this server end while the kernel lives
                _become_a_kernel(**json.loads(request))
            line.write(f"{pid}\n")
            line.flush()
            _start_the_compiler()


def _become_a_kernel(arguments: list[str], environment: dict[str, str], folder: str) -> None:
    """Do what `python -m ipykernel_launcher` does, with the imports done."""
    import numpy as np
    from ipykernel import kernelapp

    np.random.seed()  # as in a process that has just imported it; a notebook seeds its own generator
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:] = [*filter(None, environment.get("PYTHONPATH", "").split(os.pathsep)), *_PACKAGES]
    # A kernel ends when its parent does; and that it was interrupted on being shut down is no news.
    options = [f"--IPKernelApp.parent_handle={os.getppid()}", "--IPKernelApp.log_level=50"]
    sys.argv = ["ipykernel_launcher", *arguments, *options]
    kernelapp.launch_new_instance()
    os._exit(0)


if __name__ == "__main__":
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"  # as ipykernel sets it
    # Without this module's own folder: where a kernel finds the project is for its own environment to say.
    _PACKAGES = [path for path in sys.path[1:] if path != os.environ["PYTHONPATH"]]
    _import_what_notebooks_import()
    with socket.socket(fileno=int(sys.argv[1])) as _end:
        _fork_kernels(_end, compiler_first="compiler" in sys.argv)
