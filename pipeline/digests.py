"""Compute the SHA-256 of arrays, of files, and of Python code.

Whether code is still the same is asked in one way everywhere: `digest_code`. The files
of the project that take part in results are listed here, and nowhere else.
"""

from __future__ import annotations

import ast
import hashlib
import io
import json
import threading
import tokenize
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.paths import ROOT

if TYPE_CHECKING:  # not imported here, because preload sets NumPy's threads first
    import numpy as np

TRAINING_CODE = (
    "helpers.py",
    "pipeline/digests.py",
    "pipeline/images/arrays.py",
    "pipeline/images/data.py",
    "pipeline/images/pictures.py",
    "pipeline/network/checks.py",
    "pipeline/network/compiled.py",
    "pipeline/network/helpers_text.py",
    "pipeline/results/checkpoints.py",
)
EVALUATION_CODE = ("pipeline/network/baselines.py",)
CODE = TRAINING_CODE + EVALUATION_CODE

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
DEPTHS = {tokenize.INDENT: 1, tokenize.DEDENT: -1}
IGNORED = (tokenize.COMMENT, tokenize.NL, tokenize.ENDMARKER)
# The tokens that begin and end an f-string. Python 3.11 has one token for all of it.
F_STRING_START = getattr(tokenize, "FSTRING_START", -1)
F_STRING_END = getattr(tokenize, "FSTRING_END", -1)
parse_lock = threading.Lock()  # in Python 3.11 two threads may not parse at once

Place = tuple[int, int]  # a line, counted from 1, and a column


def digest_arrays(*arrays: np.ndarray) -> str:
    """Return the SHA-256 of the arrays in sequence, little-endian and in C order."""
    parts = (array.astype(array.dtype.newbyteorder("<")).tobytes() for array in arrays)
    return hashlib.sha256(b"".join(parts)).hexdigest()


def digest_file(path: Path) -> str:
    """Return the SHA-256 of the bytes of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_code(path: Path) -> str:
    """Read a Python file, whatever its bytes, with line ends as Python has them."""
    return path.read_text("utf-8-sig", "replace")


def digest_modules(names: Iterable[str] = TRAINING_CODE) -> dict[str, str]:
    """Return the digest of the code in each of these files, by its name."""
    return {name: digest_code(read_code(ROOT / name)) for name in names}


@lru_cache
def digest_code(source: str, without: tuple[str, ...] = ()) -> str:
    """Return the SHA-256 of the tokens of some Python code.

    without: names of functions whose bodies do not count.

    Comments, docstrings and layout do not count, while text within quotes does. The
    digest is the same in each version of Python. Code that Python cannot parse, such as
    a magic of IPython, has the digest of its text.
    """
    try:
        with parse_lock:
            statements = list(_list_statements(source, without))
    except (SyntaxError, ValueError, tokenize.TokenError):
        return hashlib.sha256(source.encode("utf-8", "replace")).hexdigest()
    return hashlib.sha256(json.dumps(statements).encode()).hexdigest()


def _list_statements(
    source: str, without: tuple[str, ...]
) -> Iterator[tuple[int, list[str]]]:
    """Yield the depth and the tokens of each line of code, as Python understands it."""
    skipped = [*_find_skipped(source, without)]
    depth = 0
    statement: list[str] = []
    for kind, text, begin in _list_tokens(source):
        if kind == tokenize.NEWLINE:
            if statement:
                yield depth, statement
            statement = []
        elif kind in DEPTHS:
            depth += DEPTHS[kind]
        elif not any(start <= begin < end for start, end in skipped):
            statement.append(text)


def _list_tokens(source: str) -> Iterator[tuple[int, str, Place]]:
    """Yield the kind, the text and the place of each token, but no comment.

    An f-string is one token, its text, because Python 3.11 knows no parts of it.
    """
    lines = io.StringIO(source).readlines()
    begins: list[Place] = []  # of the f-strings that are open, one within another
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == F_STRING_START:
            begins.append(token.start)
        elif token.type == F_STRING_END:
            begin = begins.pop()
            if not begins:
                yield tokenize.STRING, _get_text(lines, begin, token.end), begin
        elif not begins and token.type not in IGNORED:
            yield token.type, token.string, token.start


def _find_skipped(
    source: str, without: tuple[str, ...]
) -> Iterator[tuple[Place, Place]]:
    """Yield where the docstrings, and the bodies that do not count, begin and end."""
    tree, lines = ast.parse(source), io.StringIO(source).readlines()
    found: list[tuple[ast.stmt, ast.stmt]] = []
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node) is not None:
            found.append((node.body[0], node.body[0]))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name in without:
            found.append((node.body[0], node.body[-1]))
    for first, last in found:
        begin = first.lineno, _to_column(lines[first.lineno - 1], first.col_offset)
        end_line, end_offset = last.end_lineno or 0, last.end_col_offset or 0
        yield begin, (end_line, _to_column(lines[end_line - 1], end_offset))


def _to_column(line: str, offset: int) -> int:
    """Return the column in characters of one that ast counts in bytes."""
    return len(line.encode("utf-8", "replace")[:offset].decode("utf-8", "replace"))


def _get_text(lines: list[str], begin: Place, end: Place) -> str:
    """Return the text between two places."""
    found = lines[begin[0] - 1 : end[0]]
    found[-1] = found[-1][: end[1]]
    found[0] = found[0][begin[1] :]
    return "".join(found)
