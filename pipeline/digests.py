"""Compute the SHA-256 of arrays, of files, and of what a Python file means."""

from __future__ import annotations

import ast
import hashlib
import threading
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # not yet imported here, because preload sets its threads first
    import numpy as np

parsing = threading.Lock()  # in Python 3.11 two threads may not parse at once
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def digest_arrays(*arrays: np.ndarray) -> str:
    """Return the SHA-256 of the arrays in sequence, little-endian and in C order."""
    parts = (array.astype(array.dtype.newbyteorder("<")).tobytes() for array in arrays)
    return hashlib.sha256(b"".join(parts)).hexdigest()


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def digest_syntax(path: Path) -> str:
    """Return the SHA-256 of a Python file's syntax tree, without its docstrings.

    Comments, docstrings and layout do not change it. Nor does the version of Python,
    unless an f-string holds other quotes, which Python 3.12 writes in another way. A
    file that Python cannot parse has the digest of its content.
    """
    with parsing:
        return _digest_source(path.read_bytes())


@lru_cache
def _digest_source(content: bytes) -> str:
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return hashlib.sha256(content).hexdigest()
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()
