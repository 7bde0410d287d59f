"""Read files that anyone may have written: whatever bytes they hold, out comes a typed value or InvalidRecord.

A file is looked at before it is read: no FIFO or device, which may never end, and none that is larger than it can be.
"""

import contextlib
import math
import os
import stat
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from io import BufferedReader
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError

from pipeline.errors import InvalidRecord, shown

MAX_FILE = 2**34
LIMITS = {  # bytes that a file may have, by its name or kind
    "run.json": 2**18,
    "metrics.json": 2**16,
    "report.json": 2**16,
    "history.json": 2**25,  # 100,000 epochs take 25 MB
    "sweep.json": 2**27,  # a million points take 55 MB
    "sweep file": 100_000,  # of which 20,000 a second are read
    "notebook": 2**25,
    "arrays": MAX_FILE,
}
MAX_EXPANDED = 2**27  # bytes that the arrays of a file may always have, and beyond that 50 times what the file has
MAX_MEMBERS = 100
MAX_NESTED = 500_000  # lists and objects in a file, each of which takes some 100 bytes
MAX_CONFIGURATIONS = 1_100_000  # in sweep.json, each a list
NO_FILE = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}

Record = TypeVar("Record")
# Of each array what its dtype begins with, and its shape; a letter is a length that is the same wherever it stands.
Layout = Mapping[str, tuple[str, tuple[int | str, ...]]]


@contextlib.contextmanager
def opened(path: Path, kind: str, next_step: str = "") -> Iterator[BufferedReader]:
    """Open a file of that kind, of LIMITS. Raises InvalidRecord if it is no file, too large or not readable."""
    try:
        status, limit = path.stat(), LIMITS.get(kind, MAX_FILE)
        if not stat.S_ISREG(status.st_mode):
            found = NO_FILE.get(stat.S_IFMT(status.st_mode), "a device")
            raise InvalidRecord(path, f"cannot be read: it is {found}, not a file", next_step)
        if status.st_size > limit:
            raise InvalidRecord(path, f"has {status.st_size:,} bytes, but may have {limit:,} at most", next_step)
        with path.open("rb") as file:
            yield file
    except FileNotFoundError:
        raise InvalidRecord(path, "is not there", next_step) from None
    except OSError as error:
        advice = next_step or "Change who may read it." * isinstance(error, PermissionError)
        raise InvalidRecord(path, f"cannot be read: {error.strerror}", advice) from None


def read_bytes(path: Path, kind: str, next_step: str = "") -> bytes:
    """Read a file of that kind. Raises InvalidRecord."""
    with opened(path, kind, next_step) as file:
        content = file.read(os.fstat(file.fileno()).st_size + 1)  # and no more: some of /proc have no end
    most = MAX_CONFIGURATIONS if kind == "sweep.json" else MAX_NESTED
    if content.count(b"[") + content.count(b"{") > most:
        raise InvalidRecord(path, f"has more than {most:,} lists and objects", next_step)
    return content


def read_record(path: Path, kind: type[Record], next_step: str) -> Record:
    """Read a file of JSON as a model of records.py. Raises InvalidRecord, with the next step."""
    content = read_bytes(path, path.name if path.name in LIMITS else "run.json", next_step)
    try:
        return TypeAdapter(kind).validate_json(content, extra="ignore")
    except ValidationError as error:
        problem = error.errors(include_input=False)[0]
        where = "".join(f"{shown(part)}: " for part in [part for part in problem["loc"] if part != "[key]"][-1:])
        raise InvalidRecord(path, f"is damaged: {where}{problem['msg']}", next_step) from None


def read_arrays(path: Path, next_step: str, layout: Layout | None = None) -> dict[str, np.ndarray]:
    """Read all arrays of an .npz file. Raises InvalidRecord if it is missing, damaged or not in the layout.

    The directory of the archive and the head of each array are checked before memory is taken for any.
    """
    try:
        with opened(path, "arrays", next_step) as file, zipfile.ZipFile(file) as archive:
            heads = _heads(archive, path.stat().st_size)
            if problem := _problem(heads, layout or {}):
                raise InvalidRecord(path, f"is not what it should be: {problem}", next_step)
            file.seek(0)
            found = np.lib.npyio.NpzFile(file)  # and not np.load, which may take it for something else
            kinds = {name: dtype.newbyteorder("=") for name, (_, dtype) in heads.items()}  # Numba takes no other order
            return {name: found[name].astype(dtype, copy=False) for name, dtype in kinds.items()}
    except InvalidRecord:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged file can raise nearly anything
        reason = error if zipfile.is_zipfile(path) else "it is no zip archive, or has been cut short"
        raise InvalidRecord(path, f"is not a whole .npz file of plain arrays ({shown(reason)})", next_step) from None


def _heads(archive: zipfile.ZipFile, size: int) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """Return shape and dtype of each array, without reading any."""
    members, heads = archive.infolist(), {}
    if len(members) > MAX_MEMBERS:
        raise ValueError(f"{MAX_MEMBERS} arrays at most")
    if (total := sum(member.file_size for member in members)) > max(MAX_EXPANDED, 50 * size):
        raise ValueError(f"it expands to {total:,} bytes")
    for member in members:
        if not member.filename.endswith(".npy") or member.filename.removesuffix(".npy") in heads:
            raise ValueError(f"{member.filename} is no array, or is there twice")
        with archive.open(member) as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(file)
            if dtype.kind not in "biufU" or math.prod(shape) * dtype.itemsize != member.file_size - file.tell():
                raise ValueError(f"{member.filename} is announced as {dtype} {shape}")
            heads[member.filename.removesuffix(".npy")] = shape, dtype
    return heads


def _problem(heads: Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]], layout: Layout) -> str:
    """Say which array is not as the layout has it, if any."""
    lengths: dict[int | str, int] = {}
    for name, (kind, must) in layout.items():
        if name not in heads:
            return f"it has no array {name}"
        shape, dtype = heads[name]
        fits = len(shape) == len(must) and all(
            length == (part if isinstance(part, int) else lengths.setdefault(part, length))
            for part, length in zip(must, shape, strict=True)
        )
        if not fits or not dtype.name.startswith(kind):
            needed = ", ".join(str(lengths.get(part, part)) for part in must)
            return f"{name} is {dtype} {shape}, but must be {kind} ({needed})"
    return ""


def read_notebook(path: Path, advice: str = "Give a notebook that Jupyter opens.") -> Any:
    """Read a notebook of any version as a NotebookNode of version 4, and validate it. Raises InvalidRecord."""
    import nbformat  # which takes 0.9 s
    from nbformat.validator import normalize

    content = read_bytes(path, "notebook", advice)
    try:
        with warnings.catch_warnings(action="ignore"):  # that cells have no ids, which they are given here
            _, node = normalize(nbformat.reader.reads(content.decode()))
        nbformat.validate(node)
        return nbformat.from_dict(nbformat.convert(node, 4))  # of version 3 the nodes are of another class
    except Exception as error:  # noqa: BLE001 - nbformat raises nearly anything at what is no notebook
        reason = type(error).__name__
        with contextlib.suppress(RecursionError):  # as it quotes what is nested too deeply
            reason = " ".join(str(error).split())[:100] or reason
        raise InvalidRecord(path, f"is no notebook ({reason})", advice) from None
