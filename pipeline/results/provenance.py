"""Compute digests of what a result depends on, and find what has changed since.

A result depends on its parameters and on its inputs. Inputs are a flat mapping from
names to digests or versions: "array x_train" of its source, "cells 02_train" of a
notebook, "code helpers.py" of a module, "version numpy" of a package. The modules are
listed in digests.py, and the packages below. A test compares the lists with what Python
imports for the notebooks.
"""

import ast
import hashlib
import importlib.metadata
import json
import platform
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pipeline.digests import (
    CODE,
    EVALUATION_CODE,
    TRAINING_CODE,
    digest_code,
    digest_modules,
    read_code,
)
from pipeline.errors import CommandFailed, InvalidInput
from pipeline.images.data import Data
from pipeline.network.published import HELPERS_SHA256
from pipeline.parameters import KERAS_SOURCES
from pipeline.paths import ROOT
from pipeline.records import RunRecord
from pipeline.results.stages import EVALUATION, STAGES, Stage

Inputs = dict[str, str]

PACKAGES = ("llvmlite", "numba", "numpy", "pillow")
DECLARED = re.compile(r"^(\w+: \w+ = ).*", re.M)  # a line that declares a parameter
NETWORK = "code helpers.py"
HELPERS = ROOT / "helpers.py"
# Inputs of an evaluation that training does not depend on.
EVALUATION_INPUTS = {
    f"cells {EVALUATION.name}",
    *(f"code {name}" for name in EVALUATION_CODE),
}
# The notebooks and helpers.py as this process has digested them. A command executes and
# stores these contents, so the files may be changed meanwhile.
_contents_by_digest: dict[str, bytes] = {}


def digest_helpers() -> str:
    """Return the digest of the helpers.py on disk, and keep its text in memory."""
    text = read_code(HELPERS)
    digest = digest_code(text)
    _contents_by_digest[digest] = text.encode()
    return digest


_imported = digest_helpers()  # a notebook imports helpers together with this module


def collect_inputs(images: Data | None, stages: Sequence[Stage] = STAGES) -> Inputs:
    """Return what these stages of a run depend on, apart from the parameters.

    images: the images of the source, or None if they are not to be compared.

    Raises InvalidInput if helpers.py has a syntax error, or does not define the
    complete network.
    """
    check_helpers()
    versions = find_versions(PACKAGES)
    if images and images.source in KERAS_SOURCES:
        versions |= find_versions(("keras", "jax"))
    code = digest_modules(CODE if EVALUATION in stages else TRAINING_CODE)
    code["helpers.py"] = digest_helpers()  # this keeps the text for `get_helpers`
    groups = {
        "array": images.source_sha256 if images else {},
        "cells": {stage.name: digest_cells(stage.notebook) for stage in stages},
        "code": code,
        "version": versions,
    }
    return {
        f"{group} {name}": value
        for group, values in groups.items()
        for name, value in values.items()
    }


def check_helpers() -> None:
    """Raise InvalidInput if helpers.py has a syntax error or imports other packages.

    It may import only NumPy and the standard library, because no other import is
    recorded with a result. A command checks this before it replaces a result.
    """
    try:
        tree = ast.parse(read_code(HELPERS), HELPERS)
    except (SyntaxError, ValueError) as error:
        line = f" in line {error.lineno}" if isinstance(error, SyntaxError) else ""
        problem = f"helpers.py has a mistake{line}: {getattr(error, 'msg', error)}"
        raise InvalidInput(f"{problem}. Correct it; nothing was started.") from None
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add("." * node.level + (node.module or ""))  # with dots: foreign
    roots = {name.partition(".")[0] or name for name in names}
    own = {name for name in roots if (ROOT / f"{name}.py").exists()}
    if foreign := sorted(own | (roots - sys.stdlib_module_names - {"numpy"})):
        raise InvalidInput(
            f"helpers.py imports {foreign[0]}, but may import only NumPy and the "
            "standard library. Copy what you need from it into helpers.py, which has "
            "to be the whole network."
        )


def check_imported_helpers() -> None:
    """Raise InvalidInput if the imported helpers.py is not the one on disk."""
    helpers = sys.modules.get("helpers")
    if helpers is None:
        return
    if not HELPERS.samefile(str(helpers.__file__)):
        problem = f"helpers was imported from {helpers.__file__}, not from {HELPERS}"
        raise InvalidInput(f"{problem}. Rename that file, and restart the kernel.")
    if digest_helpers() != _imported:
        problem = "helpers.py was saved since this kernel imported it"
        raise InvalidInput(f"{problem}. Restart the kernel, and run all cells again.")


def select_group(inputs: Mapping[str, str], group: str) -> Inputs:
    """Return the inputs of a group, such as "code", without its name in theirs."""
    start = f"{group} "
    return {
        name.removeprefix(start): value
        for name, value in inputs.items()
        if name.startswith(start)
    }


def select_training_inputs(inputs: Mapping[str, str]) -> Inputs:
    """Return those of the inputs that training depends on."""
    return {k: value for k, value in inputs.items() if k not in EVALUATION_INPUTS}


def make_training_key(record: RunRecord) -> str:
    """Return the digest of everything that the training of a run depends on."""
    inputs = select_training_inputs(record.inputs)
    text = json.dumps(record.parameters | inputs, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def list_changes(earlier: RunRecord, current: RunRecord) -> list[str]:
    """Describe each parameter and input that differs between two records.

    Inputs that `current` does not contain are not compared.
    """
    old = earlier.parameters | earlier.inputs
    return [
        f"{name}, which was {_shorten(old.get(name, 'not recorded'))} "
        f"and is {_shorten(value)}"
        for name, value in (current.parameters | current.inputs).items()
        if old.get(name) != value
    ]


def _shorten(value: object) -> str:
    """Return the first 12 characters of a digest, or any other value in full."""
    text = str(value)
    return text[:12] if re.fullmatch("[0-9a-f]{64}", text) else text


def has_published_helpers(*inputs: Mapping[str, str]) -> bool:
    """Return whether each of these inputs has the published helpers.py's digest."""
    return all(each.get(NETWORK) == HELPERS_SHA256 for each in inputs)


def find_versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of Python and of these installed packages."""
    versions = {name: importlib.metadata.version(name) for name in packages}
    return {"python": platform.python_version()} | versions


def digest_cells(notebook: Path) -> str:
    """Return the SHA-256 of the code of a notebook's cells, and keep the notebook.

    Prose, comments, outputs and the values of parameters do not count.
    """
    content = notebook.read_bytes()
    digests = []
    for cell in json.loads(content)["cells"]:
        source = "".join(cell["source"])
        if "parameters" in cell["metadata"].get("tags", ()):
            source = DECLARED.sub(r"\1None", source)
        if cell["cell_type"] == "code" and source.strip():
            digests.append(digest_code(source))
    digest = hashlib.sha256(json.dumps(digests).encode()).hexdigest()
    _contents_by_digest[digest] = content
    return digest


def get_notebook(path: Path, digest: str) -> bytes:
    """Return the content that a notebook had when its cells had this digest.

    Raises CommandFailed if the notebook has changed since its digest was recorded.
    """
    if digest not in _contents_by_digest:
        digest_cells(path)  # another process has computed the digest
    if digest not in _contents_by_digest:
        problem = f"{path.name} changed after this command started"
        raise CommandFailed(f"{problem}. Start the command again.")
    return _contents_by_digest[digest]


def get_helpers(inputs: Mapping[str, str]) -> bytes:
    """Return the text of the helpers.py that these inputs identify by its digest."""
    return _contents_by_digest[inputs[NETWORK]]
