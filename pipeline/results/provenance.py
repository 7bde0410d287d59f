"""Compute digests of everything that a result depends on, and compare the digests.

A result depends on its parameters and on its inputs. The inputs are a dictionary of
digests and versions. Its keys consist of a group and a name:

    array x_train    the digest of an array of the source
    cells 02_train   the digest of the code in a notebook
    code helpers.py  the digest of a module; digests.py lists the modules
    version numpy    the version of a package; PACKAGES lists the packages

A test checks that the two lists contain what Python imports for the notebooks.
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
# The contents of the notebooks and of helpers.py when this process digested them. A
# command executes and stores these contents, even if a file is changed later.
_contents_by_digest: dict[str, bytes] = {}


def digest_helpers() -> str:
    """Return the digest of the helpers.py on disk.

    The function also stores the text of helpers.py for `get_helpers`.
    """
    text = read_code(HELPERS)
    digest = digest_code(text)
    _contents_by_digest[digest] = text.encode()
    return digest


# A notebook imports helpers.py in the same cell as this module, so this is the digest
# of the version that the notebook has imported.
_imported = digest_helpers()


def collect_inputs(images: Data | None, stages: Sequence[Stage] = STAGES) -> Inputs:
    """Return the inputs on which these stages of a run depend.

    images: the images of the source, or None if the inputs should not contain them.

    Raises InvalidInput if helpers.py has a syntax error, or imports other packages than
    NumPy and the standard library.
    """
    check_helpers()
    versions = find_versions(PACKAGES)
    if images and images.source in KERAS_SOURCES:
        versions |= find_versions(("keras", "jax"))
    code = digest_modules(CODE if EVALUATION in stages else TRAINING_CODE)
    code["helpers.py"] = digest_helpers()  # also stores the text for `get_helpers`
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

    helpers.py may import only NumPy and the standard library, because a result records
    no other imports. A command checks helpers.py before it replaces an earlier result.
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
            names.add("." * node.level + (node.module or ""))  # dots are not allowed
    roots = {name.partition(".")[0] or name for name in names}
    own = {name for name in roots if (ROOT / f"{name}.py").exists()}
    if foreign := sorted(own | (roots - sys.stdlib_module_names - {"numpy"})):
        raise InvalidInput(
            f"helpers.py imports {foreign[0]}, but may import only NumPy and the "
            f"standard library. Copy what you need from {foreign[0]} into helpers.py, "
            "which has to be the whole network."
        )


def check_imported_helpers() -> None:
    """Raise InvalidInput if this kernel has not imported the helpers.py on disk.

    The kernel may have imported an older version, or a file in another folder.
    If the kernel has not imported helpers.py at all, there is nothing to check.
    """
    helpers = sys.modules.get("helpers")
    if helpers is None:
        return
    if not HELPERS.samefile(str(helpers.__file__)):
        problem = f"helpers was imported from {helpers.__file__}, not from {HELPERS}"
        raise InvalidInput(f"{problem}. Rename the first, and restart the kernel.")
    if digest_helpers() != _imported:
        problem = "helpers.py was saved after this kernel imported it"
        raise InvalidInput(f"{problem}. Restart the kernel, and run all cells again.")


def select_group(inputs: Mapping[str, str], group: str) -> Inputs:
    """Return the inputs of one group, with the group's name removed from the keys.

    group: "array", "cells", "code" or "version".
    """
    start = f"{group} "
    return {
        name.removeprefix(start): value
        for name, value in inputs.items()
        if name.startswith(start)
    }


def select_training_inputs(inputs: Mapping[str, str]) -> Inputs:
    """Return the inputs that training depends on, without those only for evaluation."""
    return {k: value for k, value in inputs.items() if k not in EVALUATION_INPUTS}


def make_training_key(record: RunRecord) -> str:
    """Return one digest of everything that the training of a run depends on."""
    inputs = select_training_inputs(record.inputs)
    text = json.dumps(record.parameters | inputs, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def list_changes(earlier: RunRecord, current: RunRecord) -> list[str]:
    """Return a description of each parameter and input that differs between records.

    Only the parameters and inputs that `current` contains are compared.
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
    """Return whether all of these runs used the published helpers.py.

    inputs: the inputs of each run.
    """
    return all(each.get(NETWORK) == HELPERS_SHA256 for each in inputs)


def find_versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the version of Python and of each of these packages, by name."""
    versions = {name: importlib.metadata.version(name) for name in packages}
    return {"python": platform.python_version()} | versions


def digest_cells(notebook: Path) -> str:
    """Return the SHA-256 of the code in a notebook.

    Prose, comments, outputs and the values of parameters do not affect the digest. The
    function also stores the content of the notebook for `get_notebook`.
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
    """Return the content of a notebook at the time when its code had this digest.

    Raises CommandFailed if this process has not stored that content, and the code of
    the notebook has changed since then.
    """
    if digest not in _contents_by_digest:
        digest_cells(path)  # another process computed the digest, so read the file now
    if digest not in _contents_by_digest:
        problem = f"{path.name} changed after this command started"
        raise CommandFailed(f"{problem}. Start the command again.")
    return _contents_by_digest[digest]


def get_helpers(inputs: Mapping[str, str]) -> bytes:
    """Return the text of helpers.py at the time when these inputs were collected."""
    return _contents_by_digest[inputs[NETWORK]]
