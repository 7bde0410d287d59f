"""Check whether a folder belongs to this project, lock it, and write files into it.

A folder belongs to the project if it has the lock file of a run, sweep or stage.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.errors import CommandFailed, InvalidFile, InvalidInput

LOCK = ".digits.lock"
GENERATOR = b'<meta name="generator" content="python -m pipeline">'  # of our pages


def check_folder(path: Path, marker: str, harmless: tuple[str, ...] = ()) -> None:
    """Raise InvalidInput if a run or a sweep must not write into a folder.

    marker: the file that marks a result of the other kind: "sweep.json" if a run wants
        to write, "run.json" if a sweep does.
    harmless: the suffixes or names of files that may already be in the folder.

    The folder must be new, have this project's lock file, or contain only harmless and
    hidden files. It must not be inside a sweep, or contain the other kind of result.
    """
    check_parents(path)
    foreign: list[str] = []
    if path.is_dir() and not (path / LOCK).exists():
        for each in path.iterdir():
            is_harmless = each.name in harmless or each.suffix in harmless
            if not is_harmless and not each.name.startswith("."):
                foreign.append(each.name)
    if (path.parent / "sweep.json").exists():
        problem = f"a folder of the sweep {path.parent}"
    elif (path / marker).exists():
        problem = f"the folder of another kind of result: it holds {marker}"
    elif foreign:
        problem = f"not a folder of this project: it holds {min(foreign)}"
    else:
        return
    raise InvalidInput(f"{path} is {problem}. Choose another folder.")


def check_parents(path: Path) -> None:
    """Raise InvalidInput if one of the path's parent folders is a file."""
    for each in path.parents:
        if each.is_file():
            raise InvalidInput(f"{path} is below a file, {each}. Choose another place.")


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Lock a folder until the block or the process ends.

    A missing folder is created. Raises CommandFailed if another command has locked it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        # The short wait is for `is_locked`, which holds the lock for a moment.
        with FileLock(folder / LOCK, timeout=0.3):
            yield
    except Timeout:
        problem = f"Another command is writing to {folder}. Wait for it"
        raise CommandFailed(f"{problem}, or choose another folder.") from None


def is_locked(folder: Path) -> bool:
    """Return whether a command has locked the folder and is still running."""
    if not (folder / LOCK).exists():
        return False
    try:
        with FileLock(folder / LOCK, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # this user may not write here
        return False


def atomic_write(path: Path, content: bytes) -> None:
    """Write a file so that readers find either the old or the complete new content.

    The content goes to a temporary file in the same folder, which is then renamed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        # The error of a full disk does not name the file, so name it here.
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        temporary.unlink(missing_ok=True)


def check_unchanged(path: Path, current_digest: str, earlier_digest: str) -> None:
    """Raise InvalidFile if a file has changed, according to two digests of it."""
    if current_digest != earlier_digest:
        problem = "has changed since this notebook read it"
        raise InvalidFile(path, problem, "Run this notebook again.")


def remove_partial_files(folder: Path, names: Iterable[str]) -> None:
    """Remove partial files of these names that a killed process has left behind."""
    for name in names:
        for part in folder.glob(f".{name}.*.part"):
            part.unlink()


def check_page(path: Path) -> None:
    """Raise InvalidInput if no page may be written to the path.

    A page must not be below a file, and must not replace a folder, or a file that is
    not a page of this project.
    """
    check_parents(path)
    if path.exists() and (path.is_dir() or GENERATOR not in path.read_bytes()[:2000]):
        problem = f"{path} was not made by this project"
        raise InvalidInput(f"{problem}. Move it, or write the page elsewhere.")
