"""Compute the SHA-256 of arrays, of files, and of Python code.

Two versions of a file of code count as the same if `digest_code` returns the same
digest for both. TRAINING_CODE and EVALUATION_CODE list the files that affect results.
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

# Tokens without code of their own: line ends, indentation, and the end of the file.
LAYOUT = {tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER}
LAYOUT |= {tokenize.INDENT, tokenize.DEDENT}


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
    """Return the SHA-256 of Python code without its comments and blank lines.

    A change to a docstring or to the layout changes the digest, but another version of
    Python does not. If the source is not plain Python, for instance because it contains
    an IPython magic, its comments and blank lines are digested, too.
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
