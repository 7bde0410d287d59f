"""Show on the console what runs and sweeps log, and what went wrong that nobody expected.

Everything in this package logs to the loggers ``pipeline.*`` of the standard library, and configures none of them. The
command line calls `show`; so does a notebook whose reader wants to follow a sweep.
"""

import collections
import contextlib
import io
import locale
import logging
import os
import sys
import tempfile
import traceback
from pathlib import Path

from pipeline.errors import NEXT_STEPS

log = logging.getLogger(__name__)
LOGS = Path(__file__).resolve().parent.parent / "runs" / "errors"


class _Recent(logging.Handler):
    """Keep the last lines of the log, debugging included."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines = collections.deque[str](maxlen=100)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


_recent = _Recent()


def show(level: int = logging.INFO) -> None:
    """Print the package's log: the messages alone, or with time and origin from level DEBUG on."""
    logging.raiseExceptions = False  # a run goes on when the reader of its log has gone, as with | head
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s" if level <= logging.DEBUG else None))
    handler.setLevel(level)
    logger = logging.getLogger("pipeline")
    logger.handlers = [handler, _recent]
    logger.setLevel(logging.DEBUG)


class _Stream(io.FileIO):
    """A standard stream that takes whatever is written to it, also when its reader or its terminal has gone."""

    def write(self, content: object) -> int:
        try:
            return super().write(content)  # type: ignore[arg-type]
        except OSError:
            return len(memoryview(content))  # type: ignore[arg-type]


def open_streams() -> None:
    """Make standard output and error what a command can always write to: closed, full, or of another encoding."""
    sys.unraisablehook = lambda raised: log.debug(f"ignored in {raised.object!r}: {raised.exc_value!r}")
    if locale.getencoding().lower() not in ("utf-8", "utf8") and not sys.flags.utf8_mode:  # files and paths are UTF-8
        os.environ |= {"PYTHONUTF8": "1", "PYTHONIOENCODING": getattr(sys.stdout, "encoding", "ascii")}
        os.execv(sys.executable, sys.orig_argv)
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:  # else the next files to be opened would pass for them
        os.set_inheritable(handle, True)
    os.close(handle)
    for name, number in (("stdout", 1), ("stderr", 2)):
        encoding = getattr(getattr(sys, name), "encoding", "utf-8")
        raw = io.BufferedWriter(_Stream(number, "w", closefd=False))
        setattr(sys, name, io.TextIOWrapper(raw, encoding, errors="backslashreplace", line_buffering=True))


def describe_unexpected(error: Exception) -> str:
    """Describe an error that was not expected, what was being done and what to do; write its traceback to a log."""
    doing = f" (while {_recent.lines[-1].splitlines()[0]})" if _recent.lines else ""
    if isinstance(error, OSError) and error.strerror:
        path = error.filename2 or error.filename
        reason = f"{error.strerror}: {path}" if path else error.strerror + doing
    else:
        reason = ("out of memory" if isinstance(error, MemoryError) else f"{type(error).__name__}: {error}") + doing
    number = getattr(error, "errno", None)
    usual = (
        "Free some memory, then give the same command again."
        if isinstance(error, MemoryError)
        else ("This was not expected. Please report it, with the log.")
    )
    return f"{reason}. {NEXT_STEPS.get(number or 0, usual)}\n{_write_log(error)}"


def _write_log(error: Exception) -> str:
    text = "\n".join([*_recent.lines, *traceback.format_exception(error)])
    for place in (lambda: LOGS, tempfile.gettempdir):
        with contextlib.suppress(OSError):
            folder = Path(place())
            folder.mkdir(parents=True, exist_ok=True)
            handle, path = tempfile.mkstemp(prefix="error-", suffix=".log", dir=folder)
            with open(handle, "w", errors="backslashreplace") as file:  # noqa: PTH123
                file.write(text)
            return f"The traceback is in {path}"
    return "No log of it could be written. With --debug you see the traceback: python -m pipeline --debug ..."
