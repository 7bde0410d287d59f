"""Write files whole or not at all, digest them, lock a folder, and clear away what is temporary."""

import atexit
import contextlib
import functools
import hashlib
import io
import logging
import os
import shlex
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from pydantic import TypeAdapter

from pipeline.errors import FolderBusy, InvalidParameter, shown
from pipeline.parameters import ROOT as ROOT
from pipeline.parameters import RUNS as RUNS
from pipeline.readers import opened

NOTEBOOKS = ROOT / "notebooks"
LOCK = ".lock"
LOCK_TIMEOUT = 0.3  # seconds: the index takes a lock for a moment, to see whether it is held
SCRATCH_PREFIX = "digits-by-hand-"  # how the folders begin that hold what is temporary
SCRATCH_LOCK = ".scratch"  # how their locks end, which stand beside them

log = logging.getLogger(__name__)


def project_path(place: str) -> Path:
    """Return a place as a path: as it is when absolute, else below the project's root.

    Raises InvalidParameter if nothing can be there: the name is too long, or its links lead to one another.
    """
    path = ROOT / place
    try:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidParameter(f"{shown(place)} is no path that can be used ({reason}). Choose another one.") from None
    return path


def exists(path: Path) -> bool:
    """Tell whether something is there, as far as one can see; pathlib raises an error where one may not look."""
    return os.path.exists(path)  # noqa: PTH110


def place_of(path: Path) -> str:
    """Return a path relative to the project's root if it is below, so that it means the same on another machine."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def restoring(path: Path) -> str:
    """Say what to do about a file of the project that is not as it should be."""
    return f"Correct it, or restore it: git checkout {shlex.quote(place_of(path))}"


def write_whole(path: Path, content: bytes, durable: bool = True) -> None:
    """Write beside the file, then rename over it: a reader, or a kill, finds the old file or the new one.

    durable: wait until it is on the disk, so that a power cut does no harm either. What is temporary is not waited for.
    """
    log.debug(f"writing {shown(path)}")
    with contextlib.suppress(FileNotFoundError):  # there is no folder for what is temporary
        durable = durable and (path.is_relative_to(ROOT) or not path.is_relative_to(tempfile.gettempdir()))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.urandom(4).hex()}.part")
        try:
            with beside.open("xb") as file:
                file.write(content)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            if path.exists():
                shutil.copymode(path, beside)
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except OSError as error:  # of which the system names no file, or that beside it
        raise OSError(error.errno, error.strerror, str(path)) from error


def remove_parts(folder: Path, names: Iterable[str]) -> None:
    """Remove what a killed process has left of these files, which nobody else writes meanwhile."""
    for path in (path for name in names for path in folder.glob(f".{name}.{'[0-9a-f]' * 8}.part")):
        with contextlib.suppress(OSError):  # it is a folder, for example
            path.unlink()


@contextlib.contextmanager
def scratch(below: str | None = None) -> Iterator[Path]:
    """Yield a new folder for what is temporary, which no other user may look into; it is removed at the end.

    below: the folder that it is made in, this process's own in TMPDIR unless given.
    """
    own = below or str(scratch_of(os.getpid()))
    Path(own).mkdir(0o700, parents=True, exist_ok=True)  # again, where somebody has cleared TMPDIR meanwhile
    with tempfile.TemporaryDirectory(dir=own, prefix="", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@functools.cache
def scratch_of(process: int) -> Path:
    """Make this process's own folder in TMPDIR, and remove those of processes that were killed.

    It is locked as long as this process lives. A process id would not do, since containers may share a TMPDIR.
    """
    try:
        below = Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        advice = "Make room there, set TMPDIR to another, or allow larger files: ulimit -f unlimited"
        raise InvalidParameter(f"{error.strerror}. {advice}") from None
    for left in below.glob(f"{SCRATCH_PREFIX}*{SCRATCH_LOCK}"):
        with contextlib.suppress(OSError, Timeout), FileLock(left, timeout=0):  # else it is in use, or another user's
            _remove_scratch(left)
    handle, path = tempfile.mkstemp(SCRATCH_LOCK, f"{SCRATCH_PREFIX}{process}-{time.time():.0f}-")
    os.close(handle)
    lock = FileLock(path, timeout=LOCK_TIMEOUT)
    with contextlib.suppress(OSError, Timeout):
        lock.acquire()
    if not os.path.exists(path):  # noqa: PTH110 - removed by another that begins, before it was locked
        return scratch_of.__wrapped__(process)
    atexit.register(lock.release)  # which also keeps the lock's object, with which it would end
    atexit.register(_remove_scratch, Path(path))
    (folder := Path(path).with_suffix("")).mkdir(0o700)
    return folder


def _remove_scratch(lock: Path) -> None:
    """Remove the folder beside a lock, and then the lock, without which nobody would know whose the folder is."""
    shutil.rmtree(folder := lock.with_suffix(""), ignore_errors=True)
    if not folder.exists():
        lock.unlink(missing_ok=True)


def remove_scratch() -> None:
    """Remove this process's own folder in TMPDIR, in the middle of whatever else is done."""
    _remove_scratch(scratch_of(os.getpid()).with_suffix(SCRATCH_LOCK))


def json_bytes(record: object) -> bytes:
    """Return a model of records.py as JSON, without the fields that are None."""
    return TypeAdapter(type(record)).dump_json(record, indent=2, exclude_none=True) + b"\n"


def npz_bytes(**arrays: Any) -> bytes:
    """Return the content of an .npz file of arrays, and of what NumPy makes arrays of."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def sha256_of(*arrays: np.ndarray) -> str:
    """Return the SHA-256 of the arrays' bytes, one after the other, little-endian and in C order."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)
    return digest.hexdigest()


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file. Raises InvalidRecord if it cannot be read."""
    with opened(path, path.name) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def lock(folder: Path, timeout: float = LOCK_TIMEOUT) -> Iterator[None]:
    """Lock the folder, made if need be, until the block or the process ends, however it ends.

    timeout: seconds to wait for another process that holds it. Raises FolderBusy if it still does then, and
    InvalidParameter if the folder cannot be made.
    """
    new = not exists(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = FileLock(folder / LOCK, timeout=timeout).acquire()
    except Timeout:
        raise FolderBusy(f"Another command is writing to {folder}. Wait for it, or choose another folder.") from None
    except OSError as error:
        if new:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise InvalidParameter(f"{folder / LOCK} cannot be made ({error.strerror}). Choose another folder.") from None
    with held:
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                if new and list(folder.iterdir()) == [folder / LOCK]:  # what was refused leaves nothing
                    (folder / LOCK).unlink()
                    folder.rmdir()


def is_locked(folder: Path) -> bool:
    """Tell whether a run, or a sweep, is writing to the folder at this moment, or may be, as far as one can see."""
    if not exists(folder / LOCK):
        return False
    try:
        with FileLock(folder / LOCK, timeout=0):
            return False
    except OSError:  # Timeout, or of a folder that one may only read
        return True
