"""Kill, stop, starve and misplace commands in some 230 ways, and count how many were handled well: make torture.

    python -m tests.torture [-k WORD] [--seed N]

Each fault hits a command of its own, in a folder of its own. It was handled well if the exit code, the message and the
status agree, nobody meets a traceback, no process and no temporary file is left, and the same command, given again,
ends with the same weights. What needs more than an ordinary user has (to mount a full disk, to be another user) is
counted as not tried elsewhere.
"""

import argparse
import contextlib
import fcntl
import json
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
MARK = "TORTURE_FOLDER"  # an environment variable by which all processes of a fault are known
NOT_FOR_USERS = ("Traceback", "Exception ignored", "never retrieved", "Fatal Python", "object at 0x")
SIGNALS = {"INT": signal.SIGINT, "TERM": signal.SIGTERM, "HUP": signal.SIGHUP, "KILL": signal.SIGKILL}
ENOUGH = 120  # seconds
SMALL = {"num_samples": 40, "num_validation": 10, "epochs": 2, "hidden_size": 5}
LONG = {"hidden_size": 400, "epochs": 130}
SWEEP = "name: s\nbase: {num_samples: 60, num_validation: 40, epochs: 2, hidden_size: 5}\ngrid: {seed: [1, 2, 3, 4]}\n"
LONG_SWEEP = "name: s\nbase: {hidden_size: 200, epochs: 60}\ngrid: {seed: [1, 2, 3, 4]}\n"
DIGESTS: dict[str, object] = {}  # of a command's result, as it is without any fault

Fault = Callable[["Box"], None]
FAULTS: list[tuple[str, str, Fault]] = []  # each with its group and its name


class NotTriedError(Exception):
    """It needs what is not here."""


def fault(name: str, *parameters: tuple) -> Callable[[Callable], Callable]:
    """Add a fault to the table, once for each of the parameters."""

    def add(function: Callable) -> Callable:
        for given in parameters or ((),):
            shown = " ".join([name, *(str(part) for part in given if not callable(part))])
            FAULTS.append((name, shown, lambda box, given=given: function(box, *given)))
        return function

    return add


class Box:
    """A folder for one fault: the folder of the run, TMPDIR, and the environment of the command."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out, self.tmp = folder, folder / "out", folder / "tmp"
        self.tmp.mkdir(parents=True)
        self.jupyter = folder / "jupyter"
        mine = {"TMPDIR": str(self.tmp), "JUPYTER_RUNTIME_DIR": str(self.jupyter)}
        self.environment = os.environ | {MARK: str(folder)} | mine

    def run(self, values: dict[str, object] = SMALL) -> list[str]:
        options = [text for name, value in values.items() for text in ("-p", name, str(value))]
        return ["run", "--run-dir", str(self.out), *options]

    def sweep(self, definition: str = SWEEP, *options: str) -> list[str]:
        (self.folder / "s.yaml").write_text(definition)
        return ["sweep", str(self.folder / "s.yaml"), "--sweep-dir", str(self.out), "--workers", "2", *options]

    def start(
        self,
        command: list[str],
        ignored: tuple[int, ...] = (),
        before: Callable | None = None,
        by: Callable = list,
        **options,
    ):
        def prepare() -> None:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
                signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)
            if before:
                before()

        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL} | options
        options = {"env": self.environment, "cwd": ROOT, "preexec_fn": prepare, "start_new_session": True} | options
        return subprocess.Popen(by([sys.executable, "-m", "pipeline", *command]), **options)

    def end(self, process: subprocess.Popen, since: float | None = None) -> tuple[int, str]:
        try:
            out, errors = process.communicate(timeout=ENOUGH)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"it hangs: {process.communicate()}") from None
        text = ((out or b"") + (errors or b"")).decode(errors="replace")
        took = time.monotonic() - since if since else 0
        found = [word for word in NOT_FOR_USERS if word in text]
        assert not found, text[-1500:]
        deadline = time.monotonic() + 5 - min(took, 4)
        while left := self.processes():
            if time.monotonic() > deadline:
                for process in left:
                    process.kill()
                raise AssertionError(f"processes are left: {left}, after {text[-300:]}")
            time.sleep(0.05)
        return process.returncode, text

    def call(self, command: list[str], **options) -> tuple[int, str]:
        return self.end(self.start(command, **options))

    def processes(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                mine = process.pid != os.getpid() and process.environ().get(MARK) == str(self.folder)
                if mine and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def kernels(self, process: subprocess.Popen) -> list[psutil.Process]:
        return [kernel for server in self.servers(process) for kernel in server.children()]

    def servers(self, process: subprocess.Popen) -> list[psutil.Process]:
        with contextlib.suppress(psutil.Error):
            children = psutil.Process(process.pid).children()
            return [
                child
                for child in children
                if any(name in " ".join(child.cmdline()) for name in ("pipeline.kernels", "pipeline.fork_server"))
            ]
        return []

    def status(self) -> str | None:
        path = self.out / "run.json"
        return json.loads(path.read_text())["status"] if path.exists() else None

    def digest(self) -> object:
        points = [json.loads(path.read_text()) for path in self.out.glob("*/run.json")]
        if points:
            return {str(point["parameters"]["seed"]): point["metrics"]["weights_sha256"] for point in points}
        return json.loads((self.out / "metrics.json").read_text())["weights_sha256"]

    def check_nothing_is_left(self) -> None:
        left = [str(path.relative_to(self.tmp)) for path in self.tmp.rglob("*") if "error" not in path.name]
        assert not left, f"in TMPDIR: {left}"
        parts = [str(path) for path in self.folder.rglob("*.part")]
        assert not parts, parts
        assert not list(self.jupyter.glob("*")), f"for Jupyter: {list(self.jupyter.glob('*'))}"

    def check_again(self, command: list[str], **options) -> None:
        """Give the same command again: it ends, with the same weights, and leaves nothing."""
        code, text = self.call(command, **options)
        assert code == 0, f"again: {code}, {text[-600:]}"
        key = json.dumps([word for word in command if not word.startswith("/")])
        if key not in DIGESTS:
            undisturbed = Box(Path(tempfile.mkdtemp(prefix="torture-")))
            undisturbed.out = undisturbed.folder / self.out.relative_to(self.folder)
            words = [word.replace(str(self.folder), str(undisturbed.folder)) for word in command]
            if (self.folder / "s.yaml").exists():
                shutil.copy(self.folder / "s.yaml", undisturbed.folder)
            assert undisturbed.call(words)[0] == 0
            DIGESTS[key] = undisturbed.digest()
            shutil.rmtree(undisturbed.folder)
        assert self.digest() == DIGESTS[key], "other weights"
        self.check_nothing_is_left()

    def check_stopped(self, code: int, text: str, number: int) -> None:
        """Check that exit code, status and message of a run agree; it may have been done before the signal came."""
        if code == 0:
            assert self.status() == "done", self.status()
        elif code == -number:  # before anything could be set up, or by a signal that nobody can handle
            assert number == signal.SIGKILL or self.status() is None, f"{code}, {self.status()}"
        else:
            assert code == 128 + number, f"exit code {code}: {text[-600:]}"
            assert self.status() in (None, "interrupted"), f"{code}, but the status is {self.status()}"
            assert "nterrupted" in text, text[-300:]


def wait_for(reached: Callable[[], object], process: subprocess.Popen) -> object:
    deadline = time.monotonic() + ENOUGH
    while not (found := reached()):
        assert process.poll() is None, f"ended too early: {process.communicate()}"
        assert time.monotonic() < deadline, "never reached"
        time.sleep(0.01)
    return found


# ---- signals to runs -------------------------------------------------------------------------------------------

MOMENTS = [0.05, 0.12, 0.3, 0.45, 0.6, 0.8]  # of what an undisturbed run takes


@fault("run", *((name, moment) for name in SIGNALS for moment in MOMENTS))
def stop_a_run(box: Box, name: str, moment: float) -> None:
    process = box.start(box.run())
    time.sleep(max(0.25, 3.2 * moment * random.uniform(0.8, 1.25)))
    process.send_signal(SIGNALS[name])
    code, text = box.end(process, time.monotonic())
    box.check_stopped(code, text, SIGNALS[name])
    if name != "KILL":
        box.check_nothing_is_left()
    box.check_again(box.run())


@fault("training", *((name,) for name in [*SIGNALS, "QUIT", "USR1", "XCPU"]))
def stop_a_training(box: Box, name: str) -> None:
    command, number = box.run(LONG), getattr(signal, f"SIG{name}")
    process = box.start(command)
    wait_for((box.out / "checkpoint.npz").exists, process)
    process.send_signal(number)
    code, text = box.end(process, time.monotonic())
    assert code != 0
    box.check_stopped(code, text, number)
    if name != "KILL":
        assert (box.out / "02_train.ipynb").exists()
        box.check_nothing_is_left()
    box.check_again(command)


@fault(
    "twice",
    *(
        (f"{one} {two}", gap)
        for one, two in (("INT", "INT"), ("TERM", "INT"), ("HUP", "TERM"), ("INT", "HUP"))
        for gap in (0.0, 0.1, 0.6)
    ),
)
def stop_a_run_twice(box: Box, names: str, gap: float) -> None:
    one, two = (SIGNALS[name] for name in names.split())
    process = box.start(box.run())
    wait_for(lambda: box.kernels(process), process)
    time.sleep(random.uniform(0, 0.5))
    process.send_signal(one)
    time.sleep(gap)
    process.send_signal(two)
    code, text = box.end(process, time.monotonic())
    box.check_stopped(code, text, two if code == 128 + two else one)
    box.check_nothing_is_left()
    box.check_again(box.run())


@fault("ignored at the start", ("HUP",), ("INT",), ("TERM",))
def ignored(box: Box, name: str) -> None:
    """As with nohup, or in the background of a script: what was ignored stays ignored, the others stop it."""
    process = box.start(box.run(), ignored=(SIGNALS[name],))
    wait_for(lambda: box.kernels(process), process)
    process.send_signal(SIGNALS[name])
    code, text = box.end(process)
    assert (code, box.status()) == (0, "done"), f"{code}, {box.status()}, {text[-300:]}"
    box.check_nothing_is_left()


@fault("stopped after an ignored HUP", ("INT",), ("TERM",))
def stopped_after_ignored(box: Box, name: str) -> None:
    process = box.start(box.run(), ignored=(signal.SIGHUP,))
    wait_for(lambda: box.kernels(process), process)
    process.send_signal(signal.SIGHUP)
    process.send_signal(SIGNALS[name])
    code, text = box.end(process, time.monotonic())
    box.check_stopped(code, text, SIGNALS[name])
    box.check_nothing_is_left()


@fault("as its kernel starts", *((name, place) for name in ("INT", "TERM", "HUP") for place in (0.0, 0.03, 0.08)))
def stop_while_a_kernel_starts(box: Box, name: str, later: float) -> None:
    process = box.start(box.run())
    wait_for(lambda: box.kernels(process), process)
    time.sleep(later)
    process.send_signal(SIGNALS[name])
    code, text = box.end(process, time.monotonic())
    assert code != 0
    box.check_stopped(code, text, SIGNALS[name])
    box.check_nothing_is_left()


@fault("terminal closed")
def close_the_terminal(box: Box) -> None:
    controller, terminal = os.openpty()

    def take_it() -> None:
        fcntl.ioctl(terminal, 0x540E, 0)  # TIOCSCTTY: its session's terminal

    process = box.start(box.run(LONG), before=take_it, stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    wait_for((box.out / "checkpoint.npz").exists, process)
    os.close(controller)
    code, _ = box.end(process, time.monotonic())
    assert (code, box.status()) == (129, "interrupted"), f"{code}, {box.status()}"
    box.check_nothing_is_left()


# ---- signals to sweeps and other commands ----------------------------------------------------------------------


@fault("sweep", *((name, moment) for name in SIGNALS for moment in (0.15, 0.35, 0.55, 0.75)))
def stop_a_sweep(box: Box, name: str, moment: float) -> None:
    process = box.start(box.sweep())
    time.sleep(5 * moment * random.uniform(0.8, 1.25))
    process.send_signal(SIGNALS[name])
    code, text = box.end(process, time.monotonic())
    if code not in (0, -signal.SIGKILL):
        assert code == 128 + SIGNALS[name], f"{code}, {text[-600:]}"
        assert "nterrupted" in text, text
    if name != "KILL":
        box.check_nothing_is_left()
        assert not (box.out / ".scratch").exists()
    box.check_again(box.sweep())
    assert not (box.out / ".scratch").exists()


@fault("sweep, training", *((name,) for name in ("INT", "TERM", "HUP", "INT INT", "TERM TERM")))
def stop_a_long_sweep(box: Box, names: str) -> None:
    process = box.start(box.sweep(LONG_SWEEP, "--no-report"))
    wait_for(lambda: len(box.kernels(process)) == 2, process)
    time.sleep(random.uniform(0, 1.5))
    for name in names.split():
        process.send_signal(SIGNALS[name])
        time.sleep(0.3)
    code, text = box.end(process, time.monotonic())
    assert code == 128 + SIGNALS[name], f"{code}, {text[-600:]}"
    assert "the same command runs the rest" in text
    box.check_nothing_is_left()


@fault("sweep, everything at once")
def kill_all_of_a_sweep(box: Box) -> None:
    process = box.start(box.sweep(LONG_SWEEP, "--no-report"))
    wait_for(lambda: list(box.out.glob("*/run.json")), process)
    for found in box.processes():
        with contextlib.suppress(psutil.Error):
            found.kill()
    box.end(process)
    box.check_again(box.sweep(LONG_SWEEP, "--no-report"))


OTHERS = ("verify", "report", "compare", "index")


def prepared(box: Box) -> list[Path]:
    made = Path(tempfile.gettempdir(), f"torture-made-{os.getpid()}")
    if not made.exists():
        for seed in (1, 2):
            first = Box(made / f"box{seed}")
            assert first.call(first.run(SMALL | {"seed": seed}))[0] == 0
    return [Path(shutil.copytree(made / f"box{seed}" / "out", box.folder / f"made{seed}")) for seed in (1, 2)]


def other_command(box: Box, name: str) -> list[str]:
    first, second = prepared(box)
    return {
        "verify": ["verify", str(first)],
        "report": ["report", str(first)],
        "compare": ["compare", str(first), str(second), "--output", str(box.folder / "compared.html")],
        "index": ["index", str(box.folder)],
    }[name]


@fault("other command", *((command, name) for command in OTHERS for name in ("INT", "TERM", "HUP", "KILL")))
def stop_another_command(box: Box, command: str, name: str) -> None:
    words = other_command(box, command)
    process = box.start(words)
    time.sleep({"verify": 2.0, "report": 0.8, "compare": 2.5, "index": 0.35}[command] * random.uniform(0.4, 1))
    process.send_signal(SIGNALS[name])
    code, text = box.end(process, time.monotonic())
    assert code in (0, -SIGNALS[name], 128 + SIGNALS[name]), f"{code}, {text}"
    if name != "KILL":
        box.check_nothing_is_left()
    status = json.loads((box.folder / "made1" / "run.json").read_text())["status"]
    assert status == "done", status
    code, text = box.call(words)
    assert code == 0, text
    box.check_nothing_is_left()


# ---- kernels and fork servers that are killed --------------------------------------------------------------------


@fault("kernel killed", *((stage, f"SIG{name}") for stage in (1, 2, 3) for name in ("KILL", "SEGV")))
def kill_a_kernel(box: Box, stage: int, name: str) -> None:
    process = box.start(box.run())
    for ended in range(stage - 1):
        wait_for((box.out / ("01_prepare.ipynb", "02_train.ipynb")[ended]).exists, process)
    (kernel,) = wait_for(lambda: box.kernels(process), process)
    time.sleep(random.uniform(0, 0.3))
    with contextlib.suppress(psutil.Error):
        kernel.send_signal(getattr(signal, name))
    code, text = box.end(process)
    assert (code, box.status()) == (0, "done"), f"{code}, {box.status()}, {text}"
    box.check_again(box.run())


@fault("kernel killed in the training", (1,), (2,))
def kill_a_training(box: Box, times: int) -> None:
    process, killed = box.start(box.run(LONG)), []
    for _ in range(times):
        wait_for((box.out / "checkpoint.npz").exists, process)
        (kernel,) = wait_for(lambda: [k for k in box.kernels(process) if k not in killed], process)
        time.sleep(0.7 if killed else 0.2)
        kernel.kill()
        killed.append(kernel)
    code, text = box.end(process)
    if times == 1:
        assert (code, box.status()) == (0, "done"), f"{code}, {box.status()}, {text}"
    else:
        assert (code, box.status()) == (1, "kernel died"), f"{code}, {box.status()}, {text}"
        assert "SIGKILL" in text
        assert "possibly" not in text
    box.check_again(box.run(LONG))


@fault("fork server killed", ("before the first kernel",), ("with a kernel",), ("in the training",))
def kill_the_fork_server(box: Box, moment: str) -> None:
    process = box.start(box.run(LONG if "training" in moment else SMALL))
    (server,) = wait_for(lambda: box.servers(process), process)
    if moment == "with a kernel":
        wait_for(lambda: box.kernels(process), process)
    if moment == "in the training":
        wait_for((box.out / "checkpoint.npz").exists, process)
    server.kill()
    code, text = box.end(process)
    assert (code, box.status()) == (0, "done"), f"{code}, {box.status()}, {text}"
    box.check_nothing_is_left()


@fault("sweep", ("kernel killed",), ("fork server killed",), ("fork server killed later",))
def kill_within_a_sweep(box: Box, what: str) -> None:
    process = box.start(box.sweep())
    if what == "fork server killed later":
        wait_for(lambda: list(box.out.glob("*/run.json")), process)
    victim = wait_for(lambda: box.kernels(process) if what == "kernel killed" else box.servers(process), process)[0]
    with contextlib.suppress(psutil.Error):
        victim.kill()
    code, text = box.end(process)
    assert code == 0, f"{code}, {text}"
    box.check_again(box.sweep())


@fault("kernel killed in", ("verify",), ("compare",))
def kill_a_kernel_of_another_command(box: Box, command: str) -> None:
    process = box.start(other_command(box, command))
    kernel = wait_for(lambda: box.kernels(process), process)[0]
    time.sleep(0.2)
    with contextlib.suppress(psutil.Error):
        kernel.kill()
    code, text = box.end(process)
    assert code == 0, f"{code}, {text}"
    box.check_nothing_is_left()


# ---- standard streams ------------------------------------------------------------------------------------------


@fault("closed", ("0",), ("1",), ("2",), ("1 2",), ("0 1 2",))
def closed_streams(box: Box, handles: str) -> None:
    def close() -> None:
        for handle in handles.split():
            os.close(int(handle))

    code, text = box.call(box.run(), before=close)
    assert (code, box.status()) == (0, "done"), f"{code}, {box.status()}, {text}"
    box.check_again(box.run())


@fault("reader gone", ("run",), ("sweep",), ("verify",), ("index",))
def reader_gone(box: Box, command: str) -> None:
    words = box.run() if command == "run" else box.sweep() if command == "sweep" else other_command(box, command)
    read, write = os.pipe()
    os.close(read)
    code, text = box.call(words, stdout=write)
    os.close(write)
    assert code == 0, f"{code}, {text}"


@fault("/dev/full", ("stdout",), ("stderr",), ("both",))
def full_device(box: Box, which: str) -> None:
    with Path("/dev/full").open("w") as full:
        streams = {"stdout": full, "stderr": full} if which == "both" else {which: full}
        code, text = box.call(box.run(), **streams)
        assert (code, box.status()) == (0, "done"), f"{code}, {box.status()}, {text}"
        code, text = box.call(["run", "-p", "epochs", "0"], **streams)
        assert code == 2


# ---- full disks ------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    folder.mkdir(exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True).returncode:
        raise NotTriedError("tmpfs cannot be mounted")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def check_failed_in_words(box: Box, code: int, text: str) -> None:
    assert code in (0, 1), f"{code}, {text}"
    if code:
        assert box.status() in (None, "failed"), f"{box.status()}, {text}"
        assert "Error: " in text, text
        assert any(words in text for words in ("full", "No space left", "too large", "File too large")), text
        assert "not JSON" not in text
        assert "Make room" in text or "ulimit" in text or "limit" in text, text


@fault("disk of", *((f"{size}k",) for size in (4, 16, 64, 100, 200, 400, 800, 1600)))
def full_disk(box: Box, size: str) -> None:
    command = ["run", "--run-dir", str(box.out)]
    with small_disk(box.out, size):
        code, text = box.call(command)
        check_failed_in_words(box, code, text)
        subprocess.run(["mount", "-o", "remount,size=100m", box.out], check=True)
        box.check_again(command)


@fault("disk filled by another process")
def filled_disk(box: Box) -> None:
    command = box.run(LONG)
    with small_disk(box.out, "30m"):
        process = box.start(command)
        wait_for((box.out / "checkpoint.npz").exists, process)
        with contextlib.suppress(OSError), (box.out / "filler").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        code, text = box.end(process)
        assert code == 1, text
        check_failed_in_words(box, code, text)
        (box.out / "filler").unlink()
        box.check_again(command)


@fault("TMPDIR of", *((f"{size}k",) for size in (4, 8, 12, 16, 32, 100)))
def full_tmpdir(box: Box, size: str) -> None:
    with small_disk(box.tmp, size):
        code, text = box.call(box.run())
        check_failed_in_words(box, code, text)
        subprocess.run(["mount", "-o", "remount,size=100m", box.tmp], check=True)
        box.check_again(box.run())


@fault("TMPDIR full")
def full_tmpdir_before(box: Box) -> None:
    with small_disk(box.tmp, "16k"):
        with contextlib.suppress(OSError), (box.tmp / "error-filler").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        code, text = box.call(box.run())
        check_failed_in_words(box, code, text)
        (box.tmp / "error-filler").unlink()
        box.check_again(box.run())


@fault("sweep, disk of", *((f"{size}k",) for size in (8, 64, 200, 500)))
def full_disk_of_a_sweep(box: Box, size: str) -> None:
    command = box.sweep()
    with small_disk(box.out, size):
        code, text = box.call(command)
        assert code == 1, f"{code}, {text}"
        assert "full" in text or "No space" in text, text
        for path in box.out.glob("*/run.json"):
            assert json.loads(path.read_text())["status"] == "done"
        subprocess.run(["mount", "-o", "remount,size=100m", box.out], check=True)
        box.check_again(command)


INJECTION = """
import errno, os, pathlib
real = pathlib.Path.open
def opening(path, *arguments, **options):
    if path.suffix == ".part":
        with open(os.environ["TORTURE_COUNT"], "ab") as file:
            file.write(b"x")
            n = file.tell()
        first, last = map(int, os.environ["TORTURE_FULL"].split())
        if first <= n <= last:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path.parent))
    return real(path, *arguments, **options)
pathlib.Path.open = opening
"""


@fault("no space at write", *((f"{n} alone",) for n in range(1, 15)), *((f"{n} and all later",) for n in range(1, 15)))
def no_space(box: Box, which: str) -> None:
    """In the command by sitecustomize, in its kernels by what IPython executes at their start."""
    startup = box.folder / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    for path in (box.folder / "sitecustomize.py", startup / "full.py"):
        path.write_text(INJECTION)
    first = int(which.split()[0])
    full = f"{first} {first if 'alone' in which else 10**6}"
    undisturbed = dict(box.environment)
    box.environment |= {"IPYTHONDIR": str(box.folder / "ipython"), "TORTURE_COUNT": str(box.folder / "count")}
    box.environment |= {"PYTHONPATH": str(box.folder), "TORTURE_FULL": full}
    code, text = box.call(box.run())
    assert code == 1 or (code, box.status()) == (0, "done"), f"{code}, {text}"
    check_failed_in_words(box, code, text)
    box.environment = undisturbed
    box.check_again(box.run())


@fault("file-size limit", *((blocks,) for blocks in (0, 1, 8, 32, 100, 300)))
def file_size_limit(box: Box, blocks: int) -> None:
    size = blocks * 1024

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    command = ["run", "--run-dir", str(box.out)]
    code, text = box.call(command, before=limit)
    check_failed_in_words(box, code, text)
    box.check_again(command)


# ---- what may not be used ----------------------------------------------------------------------------------------

NOBODY = 23456  # a user of whom the system knows nothing, not even a name


def as_nobody(command: list[str]) -> list[str]:
    """Run a command as a user who may read everything, as this environment may be in a closed folder."""
    user = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    return ["setpriv", *user, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", *command]


@fault(
    "nobody",
    ("no HOME",),
    ("HOME is not there",),
    ("HOME may not be written",),
    ("run folder read-only",),
    ("TMPDIR read-only",),
    ("project and HOME read-only, no compiled code",),
)
def unknown_user(box: Box, what: str) -> None:
    if os.getuid() != 0 or not shutil.which("setpriv"):
        raise NotTriedError("only root can become another user, with setpriv")
    os.chown(box.folder, NOBODY, NOBODY)
    os.chown(box.tmp, NOBODY, NOBODY)
    box.environment.pop("HOME", None)
    if what == "HOME is not there":
        box.environment["HOME"] = "/nowhere/at/all"
    if "HOME may not be written" in what or "HOME read-only" in what:
        box.environment["HOME"] = "/"
    options = {}
    if "no compiled code" in what:
        copy = box.folder / "project"
        for name in ("pipeline", "notebooks"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("*.pyc"))
        shutil.copy(ROOT / "helpers.py", copy)
        options = {"cwd": copy}
    command = box.run()
    if what == "run folder read-only":
        box.out.mkdir()
    if what == "TMPDIR read-only":
        box.tmp.chmod(0o555)
        os.chown(box.tmp, 0, 0)
    code, text = box.call(command, by=as_nobody, **options)
    if what == "run folder read-only":
        assert code == 2, f"{code}, {text}"
        assert "is not a folder that can be written to" in text
    else:
        assert (code, box.status()) == (0, "done"), f"{code}, {box.status()}, {text}"
        again, text = box.call(command, by=as_nobody, **options)
        assert again == 0, text
    box.tmp.chmod(0o755)


@fault("limit", ("20 open files",), ("64 open files",), ("700 MB of memory",), ("1500 MB of memory",))
def limits(box: Box, what: str) -> None:
    amount = int(what.split()[0])

    def limit() -> None:
        if "files" in what:
            resource.setrlimit(resource.RLIMIT_NOFILE, (amount, amount))
        else:
            resource.setrlimit(resource.RLIMIT_AS, (amount << 20, amount << 20))

    code, text = box.call(box.run(), before=limit)
    assert code in (0, 1), f"{code}, {text}"
    if code:
        assert box.status() in (None, "failed", "kernel died"), box.status()
        assert any(word in text for word in ("memory", "open files")), text
    box.check_again(box.run())


@fault("locale", ("C",), ("C latin-1",), ("POSIX ascii",))
def locales(box: Box, locale: str) -> None:
    box.out = box.folder / "Zürich é 数"
    box.environment |= {"LC_ALL": locale.split()[0], "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    if " " in locale:
        box.environment["PYTHONIOENCODING"] = locale.split()[1]
    code, text = box.call(box.run())
    assert (code, box.status()) == (0, "done"), f"{code}, {box.status()}, {text}"
    box.check_again(box.run())


NAMES = {
    "braces": "a {b} {} {0} c",
    "quotes": 'it\'s "so"',
    "spaces": " a  b ",
    "newline": "a\nb",
    "255 characters": "x" * 255,
    "not UTF-8": os.fsdecode(b"a\xff\xfeb"),
    "backslash": "a\\nb",
    "percent": "100%s%(x)s",
    "hash": "a#b?c&d",
    "dollar": "$HOME~",
}


@fault("path with", *((name, place) for name in NAMES for place in ("run", "TMPDIR", "sweep")))
def strange_paths(box: Box, name: str, place: str) -> None:
    strange = NAMES[name]
    if place == "TMPDIR":
        box.tmp = box.tmp / strange
        box.tmp.mkdir()
        box.environment["TMPDIR"] = str(box.tmp)
    else:
        box.out = box.folder / strange
    command = box.sweep() if place == "sweep" else box.run()
    code, text = box.call(command)
    if code == 2:
        assert "Error: " in text
        assert "Choose another" in text, text
        assert not box.out.exists()
        return
    assert code == 0, f"{code}, {text}"
    box.check_again(command)


# ---- schedulers ------------------------------------------------------------------------------------------------

ANSWERS = {
    "nothing": None,
    "HTTP": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
    "zeros": bytes(64),
    "a long length": b"\xff" * 64,
    "the end": b"",
}


@fault("scheduler that answers", *((name,) for name in ANSWERS))
def strange_schedulers(box: Box, name: str) -> None:
    answer = ANSWERS[name]
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    held.append(connection)
                    if answer is not None:
                        connection.sendall(answer)
                        connection.close()

        threading.Thread(target=serve, daemon=True).start()
        words = box.sweep()[:-2]
        began = time.monotonic()
        code, text = box.call([*words, "--scheduler", f"tcp://127.0.0.1:{server.getsockname()[1]}"])
        assert code == 2, f"{code}, {text}"
        assert "No Dask scheduler" in text, text
        assert time.monotonic() - began < 20, time.monotonic() - began
        assert len(text) < 600, text
    box.check_nothing_is_left()


@fault(
    "scheduler at",
    ("tcp://127.0.0.1:1",),
    ("nowhere.invalid:8786",),
    ("http://127.0.0.1:80",),
    ("tls://127.0.0.1:1",),
    ("",),
    ("tcp://127.0.0.1:99999",),
)
def wrong_addresses(box: Box, address: str) -> None:
    code, text = box.call([*box.sweep()[:-2], "--scheduler", address])
    assert code == 2, f"{code}, {text}"
    assert "No Dask scheduler" in text, text
    assert len(text) < 600, text


# ---- all of them -----------------------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "-k", default="", help="only faults whose name contains one of these words, separated by commas"
    )
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    counts: dict[str, Counter] = {}
    for group, name, strike in FAULTS:
        if not any(word in name for word in chosen.k.split(",")):
            continue
        random.seed(f"{chosen.seed} {name}")
        folder = Path(tempfile.mkdtemp(prefix="torture-"))
        folder.chmod(0o755)
        began = time.monotonic()
        try:
            strike(Box(folder))
            outcome, reason = "well", ""
        except NotTriedError as error:
            outcome, reason = "not tried", str(error)
        except AssertionError as error:
            outcome, reason = "badly", str(error)
        except Exception:  # noqa: BLE001 - of this file
            outcome, reason = "badly", traceback.format_exc()
        for process in Box.processes(argparse.Namespace(folder=folder)):
            with contextlib.suppress(psutil.Error):
                process.kill()
        shutil.rmtree(folder, ignore_errors=True)
        counts.setdefault(group, Counter())[outcome] += 1
        print(f"{outcome:9} {time.monotonic() - began:5.1f} s  {name!r}", flush=True)
        if reason:
            print("    " + reason.strip().replace("\n", "\n    ")[-1200:], flush=True)
    print()
    for group, count in counts.items():
        print(
            f"{group:32} {count['well']:3} of {count['well'] + count['badly']:3} handled well"
            + (f", {count['not tried']} not tried" if count["not tried"] else "")
        )
    total = sum(counts.values(), Counter())
    print(f"{'all':32} {total['well']:3} of {total['well'] + total['badly']:3} handled well")
    return total["badly"] > 0


if __name__ == "__main__":
    sys.exit(main())
