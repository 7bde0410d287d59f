"""Carry out commands of the pipeline in this process, in another one, or in a copy.

Runs that many tests read are made only once, see `make_run`.
"""

import io
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

import nbformat
import psutil
from filelock import FileLock

from pipeline import __main__, parameters
from pipeline.paths import ROOT

# Seconds until what does not answer or end fails a test; faulthandler waits longer.
PATIENCE = 200
# The commands of the README, each of which makes a folder.
COMMANDS = {
    "default": ["run", "--run-dir"],
    "true-derivative": ["run", "-p", "relu_grad_inactive", "0", "--run-dir"],
    "small": ["sweep", ROOT / "notebooks" / "sweeps" / "small.yaml", "--sweep-dir"],
}
# What tests of kills add to checkpoints.py in a copy of the project.
MIDWAY = '''
import os, signal, socket

SECONDS = 0
save = Checkpoints.save_when_due


def stop():
    """Wait at the gate until it lets this process go on."""
    gate = "127.0.0.1", int(os.environ["GATE"])
    socket.create_connection(gate, timeout=300).recv(1)


def save_and_stop(self, weights, history, *others):
    """Save after each epoch; then seed 13 dies, and seed 14 stops at the gate, once."""
    save(self, weights, history, *others)
    seed = get_ipython().user_ns["seed"]
    if seed == 13 and "DEADLY" in os.environ:
        os.kill(os.getpid(), signal.SIGKILL)
    if seed == 14 and len(history) == 2 and "GATE" in os.environ:
        stop()


def write_and_stop(self, *arguments):
    write(self, *arguments)
    if "STOPS_LATE" in os.environ:
        stop()


write, StageFolder.write_metrics = StageFolder.write_metrics, write_and_stop
Checkpoints.save_when_due = save_and_stop
'''


def describe_range(name):
    """Return the range of a parameter as messages name it, or "" if it has none."""
    return parameters.describe_allowed(name).partition(" number ")[2]


def make_options(values):
    """Return the command-line options that set these parameters."""
    return [word for name, value in values.items() for word in ("-p", name, str(value))]


def call(words):
    """Carry out a command in this process; return its code, output and errors."""
    out, errors = io.StringIO(), io.StringIO()
    handlers, level = logging.root.handlers[:], logging.getLogger("pipeline").level
    logging.root.handlers = []
    try:
        argv = mock.patch.object(sys, "argv", ["pipeline", *map(str, words)])
        with argv, redirect_stdout(out), redirect_stderr(errors):
            code = __main__.call_main()
    finally:
        logging.root.handlers = handlers
        logging.getLogger("pipeline").setLevel(level)
    return code, out.getvalue(), errors.getvalue()


def make_once(config, name, make):
    """Return a folder that is made once for all of pytest's processes.

    Because they share it, tests must leave the folder as it is.
    """
    base = config._tmp_path_factory.getbasetemp()  # nbval's cells have no fixtures
    # The folder of each of xdist's processes lies in one that they share.
    common = base.parent if hasattr(config, "workerinput") else base
    folder, stem = common / name, common / name.replace("/", "-")
    mark = Path(f"{stem}.made")
    with FileLock(f"{stem}.lock"):
        if not mark.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            make(folder)
            mark.touch()
    return folder


def make_run(config, name):
    """Return the folder of one of COMMANDS, which has its log beside it."""

    def make(folder):
        code, output, errors = call([*COMMANDS[name], folder])
        assert code == 0, errors
        folder.with_name(f"{name}.log").write_text(output)

    return make_once(config, f"runs/{name}", make)


def restore_signals():
    """Stop ignoring signals, because the program that started the tests may do so."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def make_environment(folder):
    """Return the environment in which the pipeline of this folder is imported.

    A copy has no tests, so the project, which has them, comes after it.
    """
    path = os.pathsep.join(dict.fromkeys([str(folder), str(ROOT)]))
    return os.environ | {"PYTHONPATH": path}


def start(*words, cwd=ROOT, module="pipeline", environment=None, **options):
    """Start ``python -m pipeline`` in a process of its own, which signals can end."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, words)],
        cwd=cwd,
        env=make_environment(cwd) | (environment or {}),
        text=True,
        preexec_fn=restore_signals,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options,
    )


def wait_for(pattern, stream):
    """Read lines until one has the pattern, and return its group, if it has one."""
    found = []

    def read():
        for line in stream:
            if match := re.search(pattern, line):
                found.append(match[match.lastindex or 0])
                return

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(PATIENCE)
    assert found, f"{pattern} was not written"
    return found[0]


class Command:
    """A command in a process of its own.

    An environment variable marks all processes that it starts.
    """

    def __init__(self, *words, environment=None, **options):
        self.mark = str(uuid.uuid4())
        environment = {"TESTED": self.mark} | (environment or {})
        options |= {"environment": environment, "stderr": subprocess.STDOUT}
        self.process = start(*words, **options)

    def wait_for(self, path):
        deadline = time.monotonic() + PATIENCE
        while not path.exists():
            assert self.process.poll() is None, self.process.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def find_processes(self):
        found = []
        for pid in psutil.pids():
            try:
                environment = Path(f"/proc/{pid}/environ").read_bytes()
            except OSError:  # it has ended meanwhile
                continue
            if self.mark.encode() in environment:
                found.append(pid)
        return found

    def end(self, number, again=False, to_group=False):
        """Send a signal, wait until all processes have ended; return code and output.

        again: send it again and again until the command has ended.
        """
        send = os.killpg if to_group else os.kill
        send(self.process.pid, number)
        while again and self.process.poll() is None:
            send(self.process.pid, number)
            time.sleep(0.01)
        output = self.process.communicate(timeout=PATIENCE)[0]
        deadline = time.monotonic() + PATIENCE
        while left := self.find_processes():
            assert time.monotonic() < deadline, left
            time.sleep(0.02)
        return self.process.returncode, output


class Project:
    """A copy of the code and the notebooks, which a test may change.

    One process carries out all commands. It is started again after the code has
    changed, as when a user starts the next command.

    more: text that is added to checkpoints.py, such as MIDWAY.
    """

    def __init__(self, path, more=""):
        self.path, self.more, self.process = path, more, None
        self._copy(lambda *_: ())

    def _copy(self, ignore):
        for name in ("pipeline", "lesson", "notebooks"):
            shutil.copytree(
                ROOT / name, self.path / name, ignore=ignore, dirs_exist_ok=True
            )
        for name in ("helpers.py", "CITATION.cff", "LICENSE"):
            shutil.copy2(ROOT / name, self.path)
        with (self.path / "pipeline/results/checkpoints.py").open("a") as file:
            file.write(self.more)

    def write(self, name, text):
        """Write a file, which may be new."""
        if name.endswith(".py"):
            self.end()
        (self.path / name).write_text(text)

    def append(self, name, text):
        """Append a text to a file; a name that it binds replaces an earlier one."""
        self.write(name, (self.path / name).read_text() + text)

    def add_cell(self, name, source):
        """Append a cell of code to a notebook."""
        node = nbformat.read(self.path / name, as_version=4)
        node.cells.append(nbformat.v4.new_code_cell(source))
        self.write(name, nbformat.writes(node))

    def patch(self, name):
        """Apply a patch of tests/networks to the committed helpers.py."""
        self.write("helpers.py", (ROOT / "helpers.py").read_text())
        patch = ROOT / "tests" / "networks" / f"{name}.patch"
        subprocess.run(["git", "apply", patch], cwd=self.path, check=True)

    def restore(self):
        """Restore the copy, but keep what has been compiled."""
        self.end()
        for path in self.path.rglob("*"):
            if path.is_file() and path.parent.name != "__pycache__":
                path.unlink()
        shutil.rmtree(self.path / "runs", ignore_errors=True)
        self._copy(shutil.ignore_patterns("__pycache__"))

    def start(self, *words, **environment):
        """Start a command in a process of its own, which the test may kill."""
        return start(*words, cwd=self.path, environment=environment)

    def run(self, *words):
        """Carry out a command; return its exit code and all that it writes.

        If the process dies, errors.txt says why.
        """
        if not self.process:
            log = (self.path / "errors.txt").open("w")
            pipes = {"stdin": subprocess.PIPE, "stderr": log}
            self.process = start(cwd=self.path, module="tests.commands", **pipes)
        print(json.dumps([*map(str, words)]), file=self.process.stdin, flush=True)
        code, output, errors = json.loads(wait_for(r"^\[.*", self.process.stdout))
        return code, output + errors

    def run_python(self, *words, **environment):
        """Return what Python prints in a process of its own."""
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.path,
            env=make_environment(self.path) | environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def end(self):
        """End the process that carries out the commands."""
        if self.process:
            self.process.communicate(timeout=PATIENCE)
            self.process = None


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(call(json.loads(line))), flush=True)
