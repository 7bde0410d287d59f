"""Compute digests of everything that a result depends on, and compare the digests.

A result depends on its parameters and on its inputs. The inputs are a dictionary of
digests and versions. Its keys consist of a group and a name:

    array x_train    the digest of an array of the source
    cells 02_train   the digest of the code in a notebook
    code helpers.py  the digest of a file that 01_prepare or 02_train imports
    tests FILE       the digest of a file that only later stages import
    version numpy    the version of a package; PACKAGES lists the packages

The version of Python is an input only if helpers.py has been changed: the published one
gives the same bits with each supported version.
"""

import ast
import hashlib
import importlib.metadata
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pipeline.digests import (
    digest_code,
    digest_modules,
    find_modules,
    list_code_cells,
    read_code,
)
from pipeline.errors import CommandFailed, InvalidInput
from pipeline.images.data import Data, is_mnist, list_packages
from pipeline.network.published import HELPERS_SHA256
from pipeline.parameters import DECLARED, PARAMETERS, is_injected
from pipeline.paths import NOTEBOOKS, ROOT
from pipeline.records import RunRecord
from pipeline.results.stages import (
    LATER_STAGES,
    PREPARATION,
    STAGES,
    TRAINING,
    Stage,
)

Inputs = dict[str, str]

PACKAGES = ("llvmlite", "numba", "numpy")
HELPERS_INPUT = "code helpers.py"
HELPERS = ROOT / "helpers.py"
# The names of inputs that training does not depend on begin with these texts.
AFTER_TRAINING = ("tests ", *(f"cells {stage.name}" for stage in LATER_STAGES))
# The contents of the notebooks and of helpers.py when this process digested them. A
# command executes and stores these contents, even if a file is changed later.
_contents_by_digest: dict[str, bytes] = {}


def remember_helpers() -> str:
    """Store the text of the helpers.py on disk for `get_helpers`, return its digest."""
    text = read_code(HELPERS)
    digest = digest_code(text)
    _contents_by_digest[digest] = text.encode()
    return digest


def collect_inputs(
    images: Data | None,
    stages: Sequence[Stage] = STAGES,
    importing: Sequence[Stage] = STAGES,
) -> Inputs:
    """Return the inputs on which a run depends.

    images: the images of the source, or None if the inputs should not contain them.
    stages: the stages whose cells are inputs.
    importing: the stages whose imports are inputs.

    Raises InvalidInput if helpers.py has a syntax error, or imports other packages than
    NumPy and the standard library.
    """
    check_helpers()
    inputs = collect_code(importing)
    if HELPERS_INPUT in inputs:
        inputs[HELPERS_INPUT] = remember_helpers()
    for stage in stages:
        inputs[f"cells {stage.name}"] = digest_cells(stage.notebook)
    packages = list(PACKAGES)
    if images:
        packages += list_packages(images.source)
        for name, digest in images.source_sha256.items():
            inputs[f"array {name}"] = digest
    for name in packages:
        inputs[f"version {name}"] = importlib.metadata.version(name)
    if inputs.get(HELPERS_INPUT, HELPERS_SHA256) != HELPERS_SHA256:
        # The published one gives the same bits with each Python. Another one may not:
        # for instance, the builtin sum adds floats more exactly from 3.12 on.
        major, minor, *_ = sys.version_info
        inputs["version python"] = f"{major}.{minor}"
    return inputs


def collect_code(stages: Iterable[Stage] = STAGES) -> Inputs:
    """Return the digest of each file of code that the notebooks of stages import."""
    training = find_modules(PREPARATION.notebook, TRAINING.notebook)
    files = find_modules(*(stage.notebook for stage in stages))
    inputs: Inputs = {}
    for file, digest in digest_modules(files).items():
        group = "code" if file in training.values() else "tests"
        inputs[f"{group} {file}"] = digest
    return inputs


def check_helpers() -> None:
    """Raise InvalidInput if helpers.py has a syntax error or imports other packages.

    helpers.py may import only NumPy and the standard library, because a result records
    no other imports. A command checks helpers.py before it replaces an earlier result.
    """
    for name in ("helpers.py", "pipeline"):
        if (NOTEBOOKS / name).exists():
            problem = f"{NOTEBOOKS / name} would be imported in place of the project's"
            raise InvalidInput(f"{problem}. Rename it.")
    try:
        tree = ast.parse(read_code(HELPERS), HELPERS)
    except (SyntaxError, ValueError) as error:
        line = f" in line {error.lineno}" if isinstance(error, SyntaxError) else ""
        problem = f"helpers.py has a mistake{line}: {getattr(error, 'msg', error)}"
        raise InvalidInput(f"{problem}. Correct it; nothing was started.") from None
    for name in list_imports(tree):
        root = name.partition(".")[0]  # "" if the import begins with a dot
        is_own_file = (ROOT / f"{root}.py").exists()
        is_known = root == "numpy" or root in sys.stdlib_module_names
        if is_own_file or not is_known:
            raise InvalidInput(
                f"helpers.py imports {root or name}, but may import only NumPy and the "
                f"standard library. Copy what you need from {root or name} into "
                "helpers.py, which has to be the whole network."
            )


def list_imports(tree: ast.AST) -> list[str]:
    """Return the names of the modules that Python code imports.

    The name of a relative import begins with a dot.
    """
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            dots = "." * node.level
            names.append(f"{dots}{node.module or ''}")
    return names


def select_group(inputs: Mapping[str, str], group: str) -> Inputs:
    """Return the inputs of one group, with the group's name removed from the keys.

    group: "array", "cells", "code", "tests" or "version".
    """
    start = f"{group} "
    names = [name for name in inputs if name.startswith(start)]
    return {name.removeprefix(start): inputs[name] for name in names}


def select_code(inputs: Mapping[str, str]) -> Inputs:
    """Return the digest of each file of code, by the path of the file."""
    return select_group(inputs, "code") | select_group(inputs, "tests")


def select_training(inputs: Mapping[str, str]) -> Inputs:
    """Return the inputs that training depends on."""
    names = [name for name in inputs if not name.startswith(AFTER_TRAINING)]
    return {name: inputs[name] for name in names}


def list_changes(
    earlier: RunRecord, current: RunRecord, ignored: tuple[str, ...] = ()
) -> list[str]:
    """Return a description of each parameter and input that differs between records.

    ignored: the texts with which the names of inputs begin that are not compared.

    Only the inputs that `current` contains are compared.
    """
    before = earlier.parameters.model_dump() | earlier.inputs
    now = current.parameters.model_dump() | current.inputs
    changes: list[str] = []
    for name, value in now.items():
        old = before.get(name, "not recorded")
        if old != value and not name.startswith(ignored):
            changes.append(
                f"{name}, which was {_shorten(old)} and is {_shorten(value)}"
            )
    return changes


def _shorten(value: object) -> str:
    """Return the first 12 characters of a digest, or any other value in full."""
    text = str(value)
    return text[:12] if re.fullmatch("[0-9a-f]{64}", text) else text


def describe_making(record: RunRecord) -> str:
    """Return how notebooks alone have made a run, or "" if a command has made it."""
    if not record.made_by:
        return ""
    others = []
    for stage in STAGES:
        if record.inputs.get(f"cells {stage.name}") != digest_cells(stage.notebook):
            others.append(stage.name)
    if others:
        names = ", ".join(others)
        return f"made by {record.made_by}, edited or run in another order: {names}"
    return f"made by {record.made_by}"


def has_published_helpers(inputs: Mapping[str, str]) -> bool:
    """Return whether a run with these inputs used the published helpers.py."""
    return inputs.get(HELPERS_INPUT) == HELPERS_SHA256


def has_mnist(inputs: Mapping[str, str]) -> bool:
    """Return whether a run with these inputs used images from MNIST."""
    return is_mnist(select_group(inputs, "array"))


def digest_cells(notebook: Path) -> str:
    """Return the SHA-256 of the code in a notebook.

    Prose, comments, outputs and the values of parameters do not affect the digest. The
    function also stores the content of the notebook for `get_notebook`.
    """
    content = notebook.read_bytes()
    digest = _digest_list(_digest_each(list_code_cells(content)))
    _contents_by_digest[digest] = content
    return digest


def digest_executed_cells(executed: Sequence[str], notebook: Path) -> str:
    """Return the SHA-256 of the cells that a kernel has executed.

    executed: the cells, the oldest first, including those that papermill injected.

    Only the cells since the first cell of the notebook last ran count. If the notebook
    on disk begins with them, the digest is that of the whole notebook.
    """
    planned = _digest_each(list_code_cells(notebook.read_bytes()))
    done = _digest_each(cell for cell in executed if not is_injected(cell))
    places = [place for place, digest in enumerate(done) if digest == planned[0]]
    done = done[max(places, default=0) :]
    if done == planned[: len(done)]:
        return digest_cells(notebook)
    return _digest_list(done)


def _digest_each(sources: Iterable[str]) -> list[str]:
    """Return the digest of each cell of code, without the values of parameters."""
    digests = []
    for source in sources:
        if source.startswith(PARAMETERS):
            source = DECLARED.sub(r"\1None", source)
        if source.strip():
            digests.append(digest_code(source.strip()))
    return digests


def _digest_list(digests: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(digests).encode()).hexdigest()


def get_notebook(path: Path, digest: str) -> bytes:
    """Return the content of a notebook at the time when its code had this digest.

    Raises CommandFailed if this process has not stored that content, and the code of
    the notebook has changed since then.
    """
    if digest not in _contents_by_digest and digest_cells(path) != digest:
        problem = f"{path.name} changed after this command started"
        raise CommandFailed(f"{problem}. Start the command again.")
    return _contents_by_digest[digest]


def get_helpers(inputs: Mapping[str, str]) -> bytes:
    """Return the text of helpers.py at the time when these inputs were collected."""
    return _contents_by_digest[inputs[HELPERS_INPUT]]
