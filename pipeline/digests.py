"""Compute the SHA-256 of arrays, of files, and of Python code.

Two versions of a file of code count as the same if `digest_code` returns the same
digest for both, for instance if only a docstring was changed. TRAINING_CODE and
EVALUATION_CODE list the files that affect results.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.paths import ROOT

if TYPE_CHECKING:  # preload has to set NumPy's threads before NumPy is imported
    import numpy as np

TRAINING_CODE = (
    "helpers.py",
    "pipeline/digests.py",
    "pipeline/images/arrays.py",
    "pipeline/images/data.py",
    "pipeline/images/pictures.py",
    "pipeline/network/compiled.py",
    "pipeline/results/checkpoints.py",
)
EVALUATION_CODE = ("pipeline/network/baselines.py",)
CODE = TRAINING_CODE + EVALUATION_CODE

# The nodes of a syntax tree that may begin with a docstring.
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def digest_arrays(*arrays: np.ndarray) -> str:
    """Return one SHA-256 of the bytes of all these arrays.

    The bytes are taken in little-endian and C order, whatever order an array has.
    """
    parts = (array.astype(array.dtype.newbyteorder("<")).tobytes() for array in arrays)
    return hashlib.sha256(b"".join(parts)).hexdigest()


def digest_file(path: Path) -> str:
    """Return the SHA-256 of the bytes of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_code(path: Path) -> str:
    """Return the text of a Python file.

    Bytes that are not UTF-8 are replaced, and every line ending becomes a newline.
    """
    return path.read_text("utf-8-sig", "replace")


def digest_modules(names: Iterable[str] = TRAINING_CODE) -> dict[str, str]:
    """Return the digest of the code in each file, by the name of the file.

    names: the paths of the files, relative to the project.
    """
    return {name: digest_code(read_code(ROOT / name)) for name in names}


@lru_cache
def digest_code(source: str) -> str:
    """Return the SHA-256 of Python code without comments, docstrings and layout.

    The digest is the same in each supported version of Python. If the source is not
    plain Python, for instance because it contains an IPython magic, all of its text is
    digested.
    """
    try:
        text = json.dumps(_describe(ast.parse(source)))
    except (SyntaxError, ValueError):
        text = source
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _describe(node: object) -> object:
    """Return a part of a syntax tree as lists, dictionaries and text.

    Fields that are empty are left out, because later versions of Python add some.
    """
    if isinstance(node, list):
        return [_describe(each) for each in node]
    if not isinstance(node, ast.AST):
        return ascii(node)
    description = {}
    for name, value in ast.iter_fields(node):
        if name == "kind":  # whether a string was written as u"..."
            continue
        kept = _drop_ignored(node, name, value)
        if kept not in (None, []):
            description[name] = _describe(kept)
    return [type(node).__name__, description]


def _drop_ignored(node: ast.AST, name: str, value: Any) -> Any:
    """Return the field of a node, without a docstring or empty parts of an f-string."""
    if isinstance(node, Documented) and name == "body":
        has_docstring = ast.get_docstring(node) is not None
        return value[1:] if has_docstring else value
    if isinstance(node, ast.JoinedStr):  # Python 3.12.1 adds empty constants
        return [each for each in value if not _is_empty(each)]
    return value


def _is_empty(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == ""
