"""Start kernels fast: fork them from a process that has imported what every notebook imports.

A notebook's kernel spends a second or more on starting and on importing NumPy, Numba and Matplotlib, which is as long
as the rest of a short training takes. Here one process, the fork server, imports them once and forks a kernel for each
request. A kernel shares nothing with the next but the modules: it is a process of its own, in a session of its own,
with its own environment and random state, and it dies alone. What the fork server does is in fork_server.py.
"""

import asyncio
import atexit
import contextlib
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, TextIO

import psutil
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpec
from jupyter_client.manager import AsyncKernelManager
from traitlets import Type

from pipeline import fork_server, limits, signals, storage
from pipeline.limits import CAN_FORK as CAN_FORK

# With one thread, matrix products give the same bits wherever a notebook is run.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
RECONNECT_INTERVAL = 10  # milliseconds after which a client tries again to reach a kernel that starts; 100 in ZeroMQ
START_TIMEOUT = 120  # seconds for the fork server's imports, which take about two, and the first fork


class _Client(AsyncKernelClient):
    """Wait for a kernel no longer than it takes to be ready.

    Jupyter's own client waits until nothing has come for 0.2 s, which is half of what starting a kernel takes. Nothing
    is gained by it here: whoever executes a notebook tells late messages from the others by the request they belong to.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.context.reconnect_ivl = RECONNECT_INTERVAL

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Return when the kernel has answered and its outputs arrive. Raises RuntimeError, as Jupyter's own does."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    self.kernel_info()
                    with contextlib.suppress(queue.Empty):
                        await self.get_shell_msg(timeout=0.5)
                        await self.get_iopub_msg(timeout=0.2)
                        return
                    if not await self.is_alive():
                        raise RuntimeError("Kernel died before replying to kernel_info")
        except TimeoutError:
            raise RuntimeError(f"Kernel didn't respond in {timeout} seconds") from None


class ForkedKernelManager(AsyncKernelManager):
    """Start this environment's own kernel by a fork, and any other one as Jupyter does."""

    client_factory = Type(_Client)

    @property
    def kernel_spec(self) -> KernelSpec | None:
        """Return how a kernel is started: of python3 this environment's own, whatever JUPYTER_PATH has by that name."""
        if self.kernel_name != NATIVE_KERNEL_NAME:
            return super().kernel_spec
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=command, language="python", display_name="Python 3")

    async def _async_launch_kernel(self, kernel_cmd: list[str], **options: Any) -> None:
        options["env"] |= _environment()
        for name in ("JPY_SESSION_NAME", "PYTHONSTARTUP"):  # of a notebook that someone has opened, and of a terminal
            options["env"].pop(name, None)
        provisioner: Any = self.provisioner
        if not CAN_FORK or kernel_cmd[0] != sys.executable or "ipykernel_launcher" not in kernel_cmd:
            await super()._async_launch_kernel(kernel_cmd, **options)
            SERVER.register(self.connection_file, _Kernel(provisioner.pid))
            return
        arguments = kernel_cmd[kernel_cmd.index("ipykernel_launcher") + 1 :]
        request = {"arguments": arguments, "environment": options["env"], "folder": str(Path.cwd())}
        provisioner.process = SERVER.register(self.connection_file, _Kernel(SERVER.ask(request)))
        provisioner.pid = provisioner.pgid = provisioner.process.pid

    async def _async_wait(self, pollinterval: float = 0.005) -> None:
        """Wait until a kernel that is killed has ended; Jupyter's own looks every 0.1 s."""
        await super()._async_wait(pollinterval)


def _environment() -> dict[str, str]:
    """Return the variables that all kernels have: what they write to a temporary folder is removed with ours.

    Jupyter, Matplotlib and Numba write to the home folder, too. Where there is none, that folder takes its place. A
    user's own settings of Numba and IPython, its start-up files, and modules of the same names as the project's, have
    no part in a result.
    """
    for name in [name for name in os.environ if name.startswith("NUMBA_") and name != "NUMBA_CACHE_DIR"]:
        del os.environ[name]
    own, home = str(storage.scratch_of(os.getpid())), os.path.expanduser("~")  # noqa: PTH111 - Path raises an error
    if home == os.sep or not Path(home).is_dir() or not os.access(home, os.W_OK):  # the first where HOME is empty
        os.environ["HOME"] = home = own
    os.environ["IPYTHONDIR"] = ipython = str(Path(own, "ipython"))
    path = os.pathsep.join(filter(None, [str(storage.ROOT), os.environ.get("PYTHONPATH")]))
    threads = ONE_THREAD | ({"NUMBA_NUM_THREADS": "1"} if SERVER.side_by_side else {})
    return threads | {"TMPDIR": own, "HOME": home, "IPYTHONDIR": ipython, "PYTHONPATH": path}


class _Kernel(psutil.Process):
    """What jupyter_client needs of a subprocess.Popen, of a process that is no child of this one."""

    stdin = stdout = stderr = None
    ended_by_us = False  # whether this process ended it

    def poll(self) -> int | None:
        """Return None while it runs; a zombie, which nobody may ever clear away, does not."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return -1 if self.status() == psutil.STATUS_ZOMBIE else None
        return -1

    def wait(self, timeout: float | None = None) -> int:
        return -1  # it is called when `poll` has said so, to clear a child away

    def end(self) -> None:
        self.ended_by_us = True
        with contextlib.suppress(psutil.NoSuchProcess):
            self.kill()


class _ForkServer:
    """This process's fork server, started with the first kernel; it ends with this process, and its kernels too."""

    process: subprocess.Popen[bytes]
    line: TextIO
    owner: int | None = None
    kernels: ClassVar[dict[str, _Kernel]] = {}  # by their connection files
    side_by_side = False  # whether kernels train at the same time
    lock = threading.Lock()  # one request and its answer at a time

    def ask(self, request: Mapping[str, Any]) -> Any:
        """Return its answer to a request; if it has been killed, that of another one."""
        with self.lock:
            for attempt in (1, 2):
                signals.check()
                if attempt == 2 or self.owner != os.getpid():
                    self._start()
                with contextlib.suppress(OSError, ValueError):  # it has been killed
                    self.line.write(json.dumps(request) + "\n")
                    self.line.flush()
                    return json.loads(self.line.readline())
        raise RuntimeError("the process that forks kernels has died, twice")

    def register(self, connection_file: str, kernel: _Kernel) -> _Kernel:
        """Keep in mind a kernel that `end` shall end, also one that was started in another way, until it is popped."""
        self.kernels[connection_file] = kernel
        try:
            signals.check()
        except signals.Stopped:  # which came while the kernel was being started, so that `kill` did not know it yet
            kernel.end()
            raise
        return kernel

    def prepare(self, side_by_side: bool = False) -> None:
        """Start it, unless it runs, while something else is done: it takes most of a second until it can fork a kernel.

        side_by_side: several kernels will train at a time. Let each evaluate on one core, and have Numba ready before
        the first, which takes half a second more, and not after it.
        """
        self.side_by_side |= side_by_side
        _environment()
        with self.lock:
            if CAN_FORK and self.owner != os.getpid():
                self._start()

    def kill(self) -> None:
        """End it and all kernels, in the middle of whatever else is done."""
        if self.owner == os.getpid():
            self.process.kill()
        for kernel in tuple(self.kernels.values()):
            kernel.end()

    def end(self) -> None:
        """End it and all kernels; the next that is asked for starts it again."""
        with self.lock:
            self.kill()
            if self.owner == os.getpid():
                self.process.wait()
                self.owner = None

    def _start(self) -> None:
        limits.check()
        here, there = socket.socketpair()
        here.settimeout(START_TIMEOUT)
        # -P: not from the current folder
        command = [sys.executable, "-P", "-m", fork_server.__name__, str(there.fileno())]
        command += ["compiler"] * self.side_by_side
        environment = os.environ | _environment() | {"PYTHONPATH": str(storage.ROOT), "MATPLOTLIBRC": os.devnull}
        for name in ("JPY_PARENT_PID", "JPY_INTERRUPT_EVENT"):  # which ipykernel reads as it is imported
            environment.pop(name, None)
        own = storage.scratch_of(os.getpid())
        own.mkdir(0o700, parents=True, exist_ok=True)  # again, where somebody has cleared TMPDIR meanwhile
        self.process = subprocess.Popen(
            command,
            pass_fds=[there.fileno()],
            stdin=subprocess.DEVNULL,
            env=environment,
            cwd=os.sep,  # and not in TMPDIR, which somebody may clear while packages are imported
            start_new_session=True,
        )
        there.close()
        self.line, self.owner = here.makefile("rw"), os.getpid()
        here.close()  # with which the line is not
        signals.on_signal.add(self.kill)
        signals.on_deadline.add(storage.remove_scratch)
        atexit.register(self.end)  # before what is temporary is removed
        signals.check()


SERVER = _ForkServer()
prepare, end = SERVER.prepare, SERVER.end


def remove_compiled() -> None:
    """Remove what Numba has compiled of helpers.py, whatever stands in its place."""
    for place in (storage.ROOT / "__pycache__", os.environ.get("NUMBA_CACHE_DIR")):
        for path in Path(place).rglob("helpers.*.nb*") if place else ():
            with contextlib.suppress(OSError):  # another process does so, too
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def how_it_ended(connection_file: str) -> str | None:
    """Describe how a kernel has ended, as far as its parent knows; None if this process has ended it."""
    kernel = SERVER.kernels.get(connection_file)
    if kernel is None:
        return "did not start"
    if kernel.ended_by_us:
        return None
    if CAN_FORK and (code := SERVER.process.poll()) is not None:
        return f"died with its fork server, which {_described(code)}"
    if not CAN_FORK or (code := SERVER.ask({"ended": kernel.pid})) is None:  # it was another fork server's
        return "died"
    return _described(code)


def _described(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def killed_out_of_memory() -> int:
    """Count the processes that this system has killed since its start because memory had run out."""
    with contextlib.suppress(OSError, ValueError):
        return int(Path("/proc/vmstat").read_text().split("\noom_kill ")[1].split()[0])
    return 0
