"""Describe an error that nobody expected, and keep its traceback in a log."""

import contextlib
import errno
import os
import shlex
import tempfile
import traceback
from pathlib import Path

from pipeline import console
from pipeline.errors import NEXT_STEPS
from pipeline.parameters import ROOT, RUNS

LOGS = RUNS / "errors"
OWN_PREFIXES = tuple(f"{ROOT}{os.sep}{name}" for name in ("helpers.py", f"pipeline{os.sep}", f"notebooks{os.sep}"))


def describe(error: Exception) -> str:
    """Describe an error that was not expected, what was being done and what to do; write its traceback to a log.

    Of a package, or a file of the project, that is missing or damaged the name and what to do is enough.
    """
    if isinstance(error, ModuleNotFoundError) and error.name:
        if error.name.startswith("pipeline"):
            return f"{error.name} is not there. Restore it: git checkout pipeline"
        activate = "source .venv/bin/activate, or set it up again: make run"
        return f"{error.name} is not installed here. Activate the environment first: {activate}"
    if isinstance(error, FileNotFoundError | SyntaxError) and str(error.filename).startswith(OWN_PREFIXES):
        problem = "is not there" if isinstance(error, FileNotFoundError) else f"is no Python: {error}"
        place = shlex.quote(str(Path(str(error.filename)).relative_to(ROOT)))
        return f"{error.filename} {problem}. Restore it: git checkout {place}"
    last = console.recent[-1].strip().split("\n")[0] if console.recent else ""
    doing = f" (while {last})" if last else ""
    if isinstance(error, OSError) and error.strerror:
        path = error.filename2 or error.filename
        bare = error.strerror == os.strerror(error.errno or 0)
        reason = f"{error.strerror}: {path}" if path else error.strerror + doing * bare
    else:
        reason = ("out of memory" if isinstance(error, MemoryError) else f"{type(error).__name__}: {error}") + doing
    number = errno.ENOMEM if isinstance(error, MemoryError) else getattr(error, "errno", None) or 0
    next_step = NEXT_STEPS.get(number, "This was not expected. Please report it, with the log.")
    if isinstance(error, FileNotFoundError) and error.filename:
        gone = "Its folder was removed meanwhile. Give the same command again."
        next_step = "Choose another place." if Path(str(error.filename)).parent.is_dir() else gone  # the first in /proc
    return f"{reason}. {next_step}\n{_write_log(error)}"


def _write_log(error: Exception) -> str:
    text = "\n".join([*console.recent, *traceback.format_exception(error)])
    for place in (lambda: LOGS, tempfile.gettempdir):
        with contextlib.suppress(OSError, MemoryError):
            folder = Path(place())
            folder.mkdir(parents=True, exist_ok=True)
            handle, path = tempfile.mkstemp(prefix="error-", suffix=".log", dir=folder)
            with open(handle, "w", errors="backslashreplace") as file:  # noqa: PTH123
                file.write(text)
            return f"The traceback is in {path}"
    return "No log of it could be written. With --debug you see the traceback: python -m pipeline --debug ..."
