"""Check whether a folder may be written to, lock the folder, and write files.

A folder belongs to this project if it contains the file LOCK, which `lock_folder`
creates for a run, for a sweep, and for a notebook that no command executes.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.errors import CommandFailed, InvalidInput
from pipeline.results.stages import SWEEP

LOCK = ".digits.lock"
# Every page that this project makes contains this element.
GENERATOR = b'<meta name="generator" content="python -m pipeline">'


def check_folder(path: Path, forbidden: str, harmless: tuple[str, ...] = ()) -> None:
    """Check that a run or a sweep may write into a folder.

    forbidden: a file that must not be in the folder: SWEEP, the record of a sweep, if a
        run is to be written, and RECORD, the record of a run, if a sweep is.
    harmless: the suffixes or names of files that may already be in the folder.

    The folder must be new, contain this project's lock file, or contain nothing but
    harmless and hidden files. It must not be inside the folder of a sweep. Raises
    InvalidInput if the folder breaks these rules.
    """
    problem = ""
    foreign = list_foreign_files(path, harmless)
    if foreign:
        problem = f"not a folder of this project: it holds {foreign[0]}"
    if (path / forbidden).exists():
        problem = f"the folder of another kind of result: it holds {forbidden}"
    if (path.parent / SWEEP).exists():
        problem = f"a folder of the sweep {path.parent}"
    if problem:
        raise InvalidInput(f"{path} is {problem}. Choose another folder.")


def list_foreign_files(path: Path, harmless: tuple[str, ...]) -> list[str]:
    """Return the names of files that neither this project nor an editor has written.

    In a folder with a lock file, all files are this project's.

    harmless: see `check_folder`.
    """
    if not path.is_dir() or (path / LOCK).exists():
        return []
    foreign: list[str] = []
    for each in path.iterdir():
        is_hidden = each.name.startswith(".")
        is_harmless = each.name in harmless or each.suffix in harmless
        if not is_hidden and not is_harmless:
            foreign.append(each.name)
    return sorted(foreign)


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Lock a folder until the ``with`` block or the process ends.

    If the folder does not exist, the function creates it. Raises CommandFailed if
    another command has locked the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / LOCK, timeout=0):
            yield
    except Timeout:
        problem = f"Another command is writing to {folder}. Wait for it"
        raise CommandFailed(f"{problem}, or choose another folder.") from None


def atomic_write(path: Path, content: bytes) -> None:
    """Write a file atomically, so that no reader sees a half-written file.

    The content is first written to a temporary file in the same folder. The temporary
    file is then renamed, and so replaces any older file at the path.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        # If the disk is full, Python's error does not name the file, so add the name.
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        temporary.unlink(missing_ok=True)


def write_page(path: Path, html: str) -> None:
    """Write a page atomically. Folders that do not exist are created."""
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, html.encode())


def check_page(path: Path) -> None:
    """Raise InvalidInput if a page must not be written to the path.

    A page may only replace another page of this project. It must not replace a folder
    or any other file.
    """
    if path.exists() and (path.is_dir() or GENERATOR not in path.read_bytes()[:2000]):
        problem = f"{path} was not made by this project"
        raise InvalidInput(f"{problem}. Move it, or write the page elsewhere.")
