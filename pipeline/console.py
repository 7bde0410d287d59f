"""Show on the console what runs and sweeps log, on streams that take whatever they are given.

Everything in this package logs to the loggers ``pipeline.*`` of the standard library, and configures none of them. The
command line calls `show`; so does a notebook whose reader wants to follow a sweep.
"""

import collections
import contextlib
import io
import locale
import logging
import os
import select
import sys
from collections.abc import Callable
from pathlib import Path


def plain(text: str, kept: str = "\n\t") -> str:
    """Escape what a terminal would obey and not show, such as colours, and marks that turn the direction of text."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in kept else c.encode("unicode_escape").decode() for c in text)


def from_cwd(path: Path) -> str:
    """Return a path as whoever stands in the current folder would name it."""
    with contextlib.suppress(OSError, ValueError):  # the current folder has gone, or the path is not below it
        path = path.absolute().relative_to(Path.cwd())
    return str(path)


def wrote(what: str, path: Path) -> str:
    """Say where something was written."""
    return plain(f"{what}: {from_cwd(path)}")


def duration(seconds: float | None) -> str:
    """Write seconds as people do: 12 s, 4 min 42 s, 1 h 3 min."""
    if not seconds:
        return ""
    if seconds < 59.5:
        return f"{seconds:.0f} s" if seconds >= 9.5 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return plain(super().format(record))


log = logging.getLogger(__name__)
recent = collections.deque[str](maxlen=100)  # the last lines of the log, debugging included


def show(level: int = logging.INFO) -> None:
    """Print the package's log: the messages alone, or with time and origin from level DEBUG on."""

    def keep(record: logging.LogRecord) -> bool:
        """Keep each line, and tell whether it is shown."""
        recent.append(record.getMessage())
        return record.levelno >= level

    logging.raiseExceptions = False  # a run goes on when the reader of its log has gone, as with | head
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Formatter("%(asctime)s %(name)s: %(message)s" if level <= logging.DEBUG else None))
    handler.addFilter(keep)  # and no level, which tqdm does not take over
    logger = logging.getLogger("pipeline")
    logger.handlers = [handler]
    logger.setLevel(logging.DEBUG)


class _Stream(io.FileIO):
    """A standard stream that takes whatever is written to it, also when its reader or its terminal has gone."""

    def write(self, content: object) -> int:
        try:
            while (written := super().write(content)) is None:  # type: ignore[arg-type]
                select.select([], [self], [])  # it is full, and does not block by itself
            return written
        except OSError:
            return len(memoryview(content))  # type: ignore[arg-type]


def open_streams(before_restart: Callable[[], object]) -> None:
    """Let a command write to standard output and error also where these are closed, full or of another encoding.

    before_restart: called where Python has to start again, since files and paths are read as UTF-8.
    """
    sys.unraisablehook = lambda raised: log.debug(f"ignored in {raised.object!r}: {raised.exc_value!r}")
    utf8 = sys.flags.utf8_mode or locale.getencoding().lower() in ("utf-8", "utf8")
    if os.name == "posix" and not utf8 and os.environ.get("PYTHONUTF8") != "1":  # files and paths are UTF-8
        os.environ |= {"PYTHONUTF8": "1", "PYTHONIOENCODING": getattr(sys.stdout, "encoding", "ascii")}
        before_restart()
        os.execv(sys.executable, sys.orig_argv)
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:  # else the next files to be opened would pass for them
        os.set_inheritable(handle, True)
    os.close(handle)
    for name, number in (("stdout", 1), ("stderr", 2)):
        encoding = getattr(getattr(sys, name), "encoding", "utf-8")
        raw = io.BufferedWriter(_Stream(number, "w", closefd=False))
        setattr(sys, name, io.TextIOWrapper(raw, encoding, errors="backslashreplace", line_buffering=True))


def close_full_streams() -> None:
    """Drop what nobody reads: a command that was interrupted would wait for that at its end."""
    for number in (1, 2):
        with contextlib.suppress(OSError):  # of Windows, which selects among sockets alone
            if not select.select([], [number], [], 0)[1]:
                os.dup2(os.open(os.devnull, os.O_WRONLY), number)
