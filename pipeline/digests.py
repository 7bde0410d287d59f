"""Compute the SHA-256 of arrays, of files, and of Python code.

Two versions of a file of code count as the same if `digest_code` returns the same
digest for both, for instance if only a docstring was changed. `find_modules` says on
which files the results of a notebook depend.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from io import StringIO
from modulefinder import ModuleFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.paths import NOTEBOOKS, ROOT

if TYPE_CHECKING:  # preload has to set NumPy's threads before NumPy is imported
    import numpy as np

DRAWING = "pipeline.reports"  # this package computes nothing that a run stores
MAGIC = re.compile(r"^( *)[%!].*", re.M)  # a line that only IPython understands
PYTHON: Any = ("", "r", 1)  # how ModuleFinder says that code is Python

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


class _Finder(ModuleFinder):
    def scan_code(self, co: Any, m: Any) -> None:
        """Follow the imports in the code of a module, unless it belongs to DRAWING."""
        if not m.__name__.startswith(DRAWING):
            super().scan_code(co, m)


def list_code_cells(notebook: bytes) -> list[str]:
    """Return the sources of the code cells in the content of a notebook."""
    cells = json.loads(notebook)["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def find_modules(*notebooks: Path) -> dict[str, str]:
    """Return the files of this project that notebooks import, by the module's name.

    The files are relative to the project. A file beside the notebooks comes before one
    of the same name in the project's folder. Imports in functions count, too, and
    imports of imported files. Only the imports of DRAWING are not followed. Cells that
    are not Python are left out.
    """
    finder = _Finder([str(NOTEBOOKS), str(ROOT)])
    for notebook in notebooks:
        for cell in list_code_cells(notebook.read_bytes()):
            source = MAGIC.sub(r"\1pass", cell)
            with suppress(SyntaxError):
                finder.load_module("__main__", StringIO(source), "", PYTHON)
    files: dict[str, str] = {}
    for name, module in vars(finder)["modules"].items():
        if module.__file__:
            files[name] = Path(module.__file__).relative_to(ROOT).as_posix()
    return files


def digest_modules(files: Mapping[str, str]) -> dict[str, str]:
    """Return the digest of each file that `find_modules` has found, by its path.

    Files of DRAWING are left out.
    """
    return {
        file: digest_code(read_code(ROOT / file))
        for name, file in sorted(files.items())
        if not name.startswith(DRAWING)
    }


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
