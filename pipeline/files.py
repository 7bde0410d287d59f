"""Check whose a folder is, lock it, and write whole files into it.

A folder is ours if it holds the lock file that each run, sweep and single stage leaves,
or a record that can be read as one of ours. In any other folder no file is replaced.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pipeline import records
from pipeline.errors import CommandFailed, InvalidFile, InvalidInput
from pipeline.paths import ROOT, RUNS

LOCK = ".digits.lock"
RECORDS: dict[str, Any] = {
    "run.json": records.RunRecord,
    "sweep.json": records.SweepRecord,
}
PROJECT_FOLDERS = (".git", ".ci", ".venv", "notebooks", "pipeline", "tests")
GENERATOR = b'<meta name="generator" content="python -m pipeline">'  # of our pages


def check_folder(path: Path, names: Iterable[str], other: str) -> None:
    """Raise InvalidInput unless files of these names may be written into a folder.

    other: the file that marks the other kind of result: "sweep.json" if a run wants to
        write, "run.json" if a sweep does.

    In a folder that is not ours no file may be replaced.
    """
    resolved = path.resolve()
    marks = [above / name for above in resolved.parents for name in RECORDS]
    holders = [mark for mark in marks if mark.exists() and is_ours(mark.parent)]
    blocking = [above for above in resolved.parents if above.is_file()]
    foreign = [name for name in names if (path / name).exists()]
    is_reserved = any(resolved.is_relative_to(ROOT / name) for name in PROJECT_FOLDERS)
    if is_reserved or resolved in (RUNS, RUNS / "sweeps"):
        problem = "one of the project's own folders"
    elif ROOT.is_relative_to(resolved):
        problem = f"a folder that holds the project, {ROOT}"
    elif holders:
        problem = f"inside another result, whose mark is {holders[0]}"
    elif blocking:
        problem = f"below a file, {blocking[0]}"
    elif (path / other).exists():
        problem = f"the folder of another kind of result: it holds {other}"
    elif foreign and not is_ours(path):
        problem = (
            f"not a folder of this project, and holds {foreign[0]}, "
            "which would be replaced"
        )
    else:
        return
    raise InvalidInput(f"{path} is {problem}. Choose another folder.")


def is_ours(folder: Path) -> bool:
    """Return whether a folder has our lock file, or a record in one of our formats."""
    for name, kind in RECORDS.items():
        with contextlib.suppress(InvalidFile, OSError):
            records.read_record(folder / name, kind, "")
            return True
    return (folder / LOCK).exists()


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Lock a folder until the block or the process ends.

    The folder is made if it is missing. Raises CommandFailed if another command has
    locked it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        # The short wait is for `is_locked`, which holds the lock for a moment.
        with FileLock(folder / LOCK, timeout=0.3):
            yield
    except Timeout:
        message = (
            f"Another command is writing to {folder}. "
            "Wait for it, or choose another folder."
        )
        raise CommandFailed(message) from None


def is_locked(folder: Path) -> bool:
    """Return whether a command has locked the folder at this moment."""
    if not (folder / LOCK).exists():
        return False
    try:
        with FileLock(folder / LOCK, timeout=0):
            return False
    except (Timeout, OSError):
        return True


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader finds either its old content or all of the new.

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


def check_page(path: Path) -> None:
    """Raise InvalidInput if a page may not be written to the path.

    It may not if the path is below a file, is a folder, or is a file that is not a page
    of this project.
    """
    files = [above for above in path.parents if above.is_file()]
    if files:
        raise InvalidInput(
            f"{path} is below a file, {files[0]}. Write the page elsewhere."
        )
    if path.exists() and (path.is_dir() or GENERATOR not in path.read_bytes()[:2000]):
        problem = f"{path} was not made by this project"
        raise InvalidInput(f"{problem}. Move it, or write the page elsewhere.")
