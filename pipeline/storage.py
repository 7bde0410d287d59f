"""Write files whole or not at all, read them back, digest them, lock a folder, and clear away what is temporary."""

import atexit
import contextlib
import fcntl
import functools
import hashlib
import io
import logging
import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from filelock import FileLock, Timeout
from pydantic import TypeAdapter, ValidationError

from pipeline.errors import FolderBusy, InvalidParameter, InvalidRecord

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
RUNS = ROOT / "runs"
PROJECT_FOLDERS = (".git", ".ci", "notebooks", "pipeline", "tests")
LOCK = ".lock"
LOCK_PATIENCE = 0.3  # seconds: the index takes a lock for a moment, to see whether it is held
SCRATCH = "digits-by-hand-"  # how the folders begin that hold what is temporary

log = logging.getLogger(__name__)

Record = TypeVar("Record")


def project_path(place: str) -> Path:
    """Return a place as a path: as it is when absolute, else below the project's root."""
    return ROOT / place


def place_of(path: Path) -> str:
    """Return a path relative to the project's root if it is below, so that it means the same on another machine."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def check_output_folder(folder: Path, given: str) -> None:
    """Raise InvalidParameter if a folder is among the project's own, or cannot be made or written to.

    given: what the message begins with, such as "run_dir is 'notebooks'".
    """
    resolved = folder.resolve()
    if not folder.name.strip():
        raise InvalidParameter(f"{given}, which is no path of a folder. Choose another one.")
    if resolved == ROOT or any(resolved.is_relative_to(ROOT / name) for name in PROJECT_FOLDERS):
        raise InvalidParameter(f"{given}, where the project's own files are. Choose another folder.")
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise InvalidParameter(f"{given}, but {nearest} is not a folder that can be written to. Choose another folder.")


def write_whole(path: Path, content: bytes, durable: bool = True) -> None:
    """Write beside the file, then rename over it: a reader, or a kill, finds the old file or the new one.

    durable: wait until it is on the disk, so that a power cut does no harm either.
    """
    log.debug(f"writing {path}")
    try:
        _write_beside(path, content, durable)
    except OSError as error:
        error.filename, error.filename2 = str(path), None  # the system names no file, or that beside it
        raise


def _write_beside(path: Path, content: bytes, durable: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    beside = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        beside.chmod(0o644)
        beside.replace(path)
    except BaseException:
        beside.unlink()
        raise


@contextlib.contextmanager
def scratch(below: str | None = None) -> Iterator[Path]:
    """Yield a new folder for what is temporary, which no other user may look into; it is removed at the end.

    below: the folder that it is made in, this process's own in TMPDIR unless given.
    """
    own = below or str(scratch_of(os.getpid()))
    with tempfile.TemporaryDirectory(dir=own, prefix="", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@functools.cache
def scratch_of(process: int) -> Path:
    """Make this process's own folder in TMPDIR, and remove those of processes that were killed.

    It is locked as long as this process lives. A process id would not do, since containers may share a TMPDIR.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{SCRATCH}*"):
        with contextlib.suppress(OSError):  # another one's, or of one that lives
            handle = os.open(left, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(handle)
    folder = Path(tempfile.mkdtemp(prefix=f"{SCRATCH}{process}-{time.time():.0f}-"))
    fcntl.flock(os.open(folder, os.O_RDONLY), fcntl.LOCK_EX)
    if not folder.exists():  # removed by another that begins, before it was locked
        return scratch_of.__wrapped__(process)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def json_bytes(record: object) -> bytes:
    """Return a model of records.py as JSON, without the fields that are None."""
    return TypeAdapter(type(record)).dump_json(record, indent=2, exclude_none=True) + b"\n"


def read_record(path: Path, kind: type[Record], next_step: str) -> Record:
    """Read a file of JSON as a model of records.py. Raises InvalidRecord, with the next step."""
    try:
        return TypeAdapter(kind).validate_json(path.read_bytes(), extra="ignore")
    except FileNotFoundError:
        raise InvalidRecord(path, "is not there", next_step) from None
    except OSError as error:
        raise InvalidRecord(path, f"cannot be read: {error.strerror}", next_step) from None
    except ValidationError as error:
        problem = error.errors()[0]
        where = "".join(f"{part}: " for part in problem["loc"][-1:])
        raise InvalidRecord(path, f"is damaged: {where}{problem['msg']}", next_step) from None


def npz_bytes(**arrays: Any) -> bytes:
    """Return the content of an .npz file of arrays, and of what NumPy makes arrays of."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def read_arrays(path: Path, next_step: str) -> dict[str, np.ndarray]:
    """Read all arrays of an .npz file. Raises InvalidRecord if it is missing, cut short or altered."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise InvalidRecord(path, "is not there", next_step) from None
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged file can raise nearly anything
        reason = error if zipfile.is_zipfile(path) else "it is no zip archive, or has been cut short"
        raise InvalidRecord(path, f"is not a whole .npz file of plain arrays ({reason})", next_step) from None


def sha256_of(*arrays: np.ndarray) -> str:
    """Return the SHA-256 of the arrays' bytes, one after the other, little-endian and in C order."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)
    return digest.hexdigest()


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Lock the folder, made if need be, until the block or the process ends, however it ends. Raises FolderBusy."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidParameter(f"{folder} cannot be made ({error.strerror}). Choose another folder.") from None
    held = FileLock(folder / LOCK, timeout=LOCK_PATIENCE)
    try:
        held.acquire()
    except Timeout:
        raise FolderBusy(f"Another run is writing to {folder}. Wait for it, or choose another folder.") from None
    try:
        yield
    finally:
        held.release()


def is_locked(folder: Path) -> bool:
    """Tell whether a run, or a sweep, is writing to the folder at this moment, or may be, as far as one can see."""
    if not (folder / LOCK).exists():
        return False
    try:
        with FileLock(folder / LOCK, timeout=0):
            return False
    except (Timeout, PermissionError):  # of a folder that one may only read
        return True
