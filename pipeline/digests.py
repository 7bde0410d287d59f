"""Compute the SHA-256 of arrays, of files, and of Python code.

Code is compared by `digest_code`. The lists of files that affect results are here.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import tokenize
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.paths import ROOT

if TYPE_CHECKING:  # for types only: preload sets NumPy's threads before the import
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

# Tokens that are not code, or that only end a line of code.
LAYOUT = {tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER}
LAYOUT |= {tokenize.INDENT, tokenize.DEDENT}


def digest_arrays(*arrays: np.ndarray) -> str:
    """Return the SHA-256 of the bytes of all arrays, little-endian and in C order."""
    parts = (array.astype(array.dtype.newbyteorder("<")).tobytes() for array in arrays)
    return hashlib.sha256(b"".join(parts)).hexdigest()


def digest_file(path: Path) -> str:
    """Return the SHA-256 of the bytes of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_code(path: Path) -> str:
    """Read a Python file, with invalid bytes replaced and line endings converted."""
    return path.read_text("utf-8-sig", "replace")


def digest_modules(names: Iterable[str] = TRAINING_CODE) -> dict[str, str]:
    """Return the digest of the code in each file; names are paths in the project."""
    return {name: digest_code(read_code(ROOT / name)) for name in names}


@lru_cache
def digest_code(source: str) -> str:
    """Return the SHA-256 of Python code without its comments and blank lines.

    Docstrings and layout count. The digest is the same in every version of Python. If
    the code is not plain Python (an IPython magic, say), its whole text is digested.
    """
    with contextlib.suppress(SyntaxError, ValueError):
        compile(source, "code", "exec", dont_inherit=True)
        source = _remove_comments(source)
    return hashlib.sha256(source.encode("utf-8", "replace")).hexdigest()


def _remove_comments(source: str) -> str:
    lines = io.StringIO(source).readlines()
    kept = set[int]()  # the numbers of the lines that hold code
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        (first, begin), (last, _) = token.start, token.end
        if token.type == tokenize.COMMENT:
            lines[first - 1] = lines[first - 1][:begin].rstrip() + "\n"
        elif token.type not in LAYOUT:
            kept |= {*range(first, last + 1)}
    return "".join(lines[number - 1] for number in sorted(kept)).rstrip("\n")
