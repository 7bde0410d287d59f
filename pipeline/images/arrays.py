"""Write and read .npz files, and check the arrays in them."""

import io
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import InvalidFile

Arrays = dict[str, np.ndarray]
Weights = tuple[np.ndarray, ...]  # the matrices that helpers.py takes and returns
# For each array, by its name: its dtype (or the kind of its dtype) and its shape. Axes
# with the same name must have the same length.
Layout = dict[str, tuple[str, tuple[int | str, ...]]]
# The errors that NumPy raises if an .npz file is cut off, altered or encrypted.
DAMAGE = (ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


def to_npz(**arrays: Any) -> bytes:
    """Return the content of an .npz file that contains these arrays."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def read_arrays(path: Path, layout: Layout, advice: str) -> Arrays:
    """Return all arrays in an .npz file, by name.

    layout: the arrays that the file has to contain, see `Layout`.
    advice: a sentence for the error message, which says what the user can do.

    Raises InvalidFile if the file is missing or damaged, or does not have this layout.
    """
    try:
        file = np.load(path, allow_pickle=False)
        if isinstance(file, np.ndarray):
            raise ValueError("np.save has written a single array")
        with file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise InvalidFile(path, "is missing", advice) from None
    except DAMAGE:
        problem = "is not a whole .npz file of plain arrays"
        raise InvalidFile(path, problem, advice) from None
    check_layout(arrays, layout, path, advice)
    return arrays


def check_layout(arrays: Arrays, layout: Layout, path: Path, advice: str) -> None:
    """Raise InvalidFile if the arrays of a file do not have a layout.

    path, advice: the path of the file and a sentence of advice, for the error message.
    """
    lengths: dict[str, int] = {}  # the length of each axis that has a name
    for name, (kind, shape) in layout.items():
        if not isinstance(arrays.get(name), np.ndarray):
            raise InvalidFile(path, f"has no array {name}", advice)
        found, dtype = arrays[name].shape, arrays[name].dtype
        for part, length in zip(shape, found, strict=False):
            if isinstance(part, str) and part not in lengths:
                lengths[part] = length
        needed = tuple(lengths.get(str(part), part) for part in shape)
        if found != needed or kind not in (dtype.name, dtype.kind):
            problem = f"has {name} {dtype} {found}, but must have {kind} {needed}"
            raise InvalidFile(path, problem, advice)
