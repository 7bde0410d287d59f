"""Decide what a command may write: what this project has made itself, and what is not there yet."""

import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline import console, storage
from pipeline.errors import InvalidParameter, InvalidRecord, shown
from pipeline.readers import opened, read_bytes

PROJECT_FOLDERS = (".git", ".ci", ".binder", ".devcontainer", ".venv", "notebooks", "pipeline", "tests")
MAX_PARTS = 200  # of a path, whose folders are made one in another
MAX_NAME = 210  # bytes of a name, of the 255 that there may be: what is written has a longer one until it is whole
HEAD_SIZE = 1000  # bytes of a page, in which its mark stands
MARK = b'<meta name="generator" content="python -m pipeline">'


def check(given: str, place: Path, files: Mapping[Path, Callable[[], object]]) -> None:
    """Raise InvalidParameter unless a command may write these files.

    given: what the message begins with, such as "run_dir is 'notebooks'". place: the file or folder that was given.
    files: each with what tells whether the one that is there is this project's: it returns False or raises
    InvalidRecord if not. An empty file holds nothing that could be lost.
    """
    given = shown(given)
    long = f"longer than {MAX_NAME} bytes" * (len(os.fsencode(place.name)) > MAX_NAME)
    if reason := "empty" if not place.name.strip() else long or "not printable" * (not str(place).isprintable()):
        raise InvalidParameter(f"{given}, but that name is {reason}. Choose another one.")
    try:
        if len(place.parts) > MAX_PARTS:
            raise InvalidParameter(f"{given}, which is below more than {MAX_PARTS} folders. Choose another place.")
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            place.stat()  # else it is too long, or its links lead to one another
        resolved, own = place.resolve(), [(storage.ROOT / name).resolve() for name in PROJECT_FOLDERS]
        if resolved == storage.ROOT or any(map(resolved.is_relative_to, own)):
            raise InvalidParameter(f"{given}, where the project's own files are. Choose another place.")
        nearest = next(path for path in (place, *place.parents) if path not in files and os.path.lexists(path))
        if not nearest.is_dir() or not os.access(nearest, os.W_OK):
            raise InvalidParameter(f"{given}, but {nearest} is not a folder that can be written to. Choose another.")
        for path, is_ours in files.items():
            if os.path.lexists(path) and (problem := _problem(path, is_ours)):
                what = "it" if path == place else path.relative_to(place)
                next_step = "It would be written over: move it away, or choose another place."
                raise InvalidParameter(f"{given}, but {what} {problem}. {next_step}")
    except OSError as error:
        raise InvalidParameter(f"{given}, where nothing can be written ({error.strerror}). Choose another.") from None


def page(output: Path | None, name: str) -> Path:
    """Return where a page goes: where it was asked for, or by that name into runs/reports. Raises as `check` does."""
    path = output or storage.RUNS / "reports" / f"{name}.html"
    if ".." in path.parts:  # after a link, or a folder that is not there
        path = path.resolve() if path.name == ".." else path.parent.resolve() / path.name
    check(f"--output is {path}", path, {path: lambda: is_page(path)})
    return path


def named_after(path: Path) -> str:
    """Return a name for what is made of a file or folder: its path as seen from here, so that two rarely share one.

    Of one of the project's notebooks it is that notebook's own.
    """
    above = () if path.resolve().parent == storage.NOTEBOOKS else Path(console.from_cwd(path)).parts[:-1]
    return "-".join([*above, path.name if path.is_dir() else path.stem])[-50:].lstrip("-/.") or "page"


def is_page(path: Path) -> bool:
    """Tell whether a file is a page of this project, by the mark in its head."""
    return (start := head(path)).startswith(b"<!DOCTYPE html>") and MARK in start.split(b"<title>")[0]


def head(path: Path) -> bytes:
    """Read the beginning of a file."""
    with opened(path, "page") as file:
        return file.read(HEAD_SIZE)


def is_executed(path: Path) -> bool:
    """Tell whether a file is a notebook that papermill has executed with parameters."""
    return b'"injected-parameters"' in read_bytes(path, "notebook")


def _problem(path: Path, is_ours: Callable[[], object]) -> str:
    """Say why a file that is there may not be written over, if so."""
    if path.is_symlink():
        return "is a link"
    if path.name == storage.LOCK:
        return "is a lock"
    if path.is_file() and not path.stat().st_size:
        return ""
    try:
        return "was not made by this project" if is_ours() is False else ""
    except InvalidRecord as error:
        return error.problem
