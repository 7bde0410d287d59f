"""Digest what a result depends on, and find what has changed since.

A result depends on its parameters, its data, the cells of its notebooks, the modules
that compute something for them, and the versions of the packages that these use. The
modules are listed in digests.py, and the packages below. A test compares the lists with
what Python imports for the notebooks.
"""

import hashlib
import importlib.metadata
import json
import platform
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.digests import (
    CODE,
    EVALUATION_CODE,
    RULE,
    TRAINING_CODE,
    digest_code,
    digest_modules,
    read_code,
)
from pipeline.errors import CommandFailed
from pipeline.images import data
from pipeline.network import helpers_text, published
from pipeline.parameters import KERAS_SOURCES
from pipeline.records import Inputs, RunRecord
from pipeline.results.stages import EVALUATION, STAGES, Stage

PACKAGES = ("llvmlite", "numba", "numpy", "pillow")
DECLARED = re.compile(r"^(\w+: \w+ = ).*", re.M)  # a line that declares a parameter
OTHER_RULE = "made by version 3.0, whose digests of code cannot be compared"
# The texts that this process has digested, by their digests. A command executes and
# stores these, so a file may be saved meanwhile.
_digested: dict[str, bytes] = {}


def collect_inputs(source: str, stages: Iterable[Stage] = STAGES) -> Inputs:
    """Return what these stages of a run depend on, apart from the parameters.

    source: where the images come from.

    Raises InvalidInput if helpers.py has a syntax error, or is not all of the network.
    """
    stages = list(stages)
    versions = find_versions(PACKAGES) | helpers_text.check_helpers()
    if source in KERAS_SOURCES:
        versions |= find_versions(("keras", "jax"))
    syntax = digest_modules(CODE if EVALUATION in stages else TRAINING_CODE)
    helpers = read_code(helpers_text.PATH)
    syntax["helpers.py"] = digest_code(helpers)
    _digested[syntax["helpers.py"]] = helpers.encode()
    return Inputs(
        data=data.digest_source(source),
        notebooks={stage.name: digest_cells(stage.notebook) for stage in stages},
        syntax=syntax,
        rule=RULE,
        versions=versions,
    )


def keep_training_inputs(inputs: Inputs) -> Inputs:
    """Return the part of the inputs that a training depends on."""
    notebooks = {k: v for k, v in inputs.notebooks.items() if k != EVALUATION.name}
    syntax = {k: v for k, v in inputs.syntax.items() if k not in EVALUATION_CODE}
    return inputs.model_copy(update={"notebooks": notebooks, "syntax": syntax})


def keep_recorded(inputs: Inputs, recorded: Inputs) -> Inputs:
    """Return the notebooks and modules of the inputs that others name, too.

    Those of version 3.0 have other names, so all are kept beside them.
    """
    if inputs.rule != recorded.rule:
        return inputs
    notebooks = {k: v for k, v in inputs.notebooks.items() if k in recorded.notebooks}
    syntax = {k: v for k, v in inputs.syntax.items() if k in recorded.syntax}
    return inputs.model_copy(update={"notebooks": notebooks, "syntax": syntax})


def has_published_helpers(*inputs: Inputs) -> bool:
    """Return whether helpers.py is the one that reproduces the published metrics."""
    known = (published.digest_helpers(), published.HELPERS_3_0_SHA256)
    return all(each.syntax.get("helpers.py") in known for each in inputs)


def describe_network(inputs: Inputs) -> str:
    """Name a helpers.py by the first digits of its digest; "" is the published one."""
    if has_published_helpers(inputs):
        return ""
    return (
        f"with a changed helpers.py, {inputs.syntax.get('helpers.py', 'unknown')[:8]}"
    )


def find_versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of Python and of these installed packages."""
    versions = {name: importlib.metadata.version(name) for name in packages}
    return {"python": platform.python_version()} | versions


def digest_cells(notebook: Path) -> str:
    """Return the SHA-256 of the code of a notebook's cells.

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
    _digested[digest] = content
    return digest


def take_notebook(path: Path, digest: str) -> bytes:
    """Return the content of a notebook whose cells had this digest.

    Raises CommandFailed if the notebook has changed since its digest was recorded.
    """
    if digest not in _digested and digest_cells(path) != digest:
        problem = f"{path.name} changed after this command started"
        raise CommandFailed(f"{problem}. Start the command again.")
    return _digested[digest]


def take_helpers(inputs: Inputs) -> bytes:
    """Return the content of the helpers.py that these inputs name."""
    return _digested[inputs.syntax["helpers.py"]]


def compare_records(before: RunRecord, now: RunRecord) -> list[str]:
    """Describe each parameter and input that differs between two records.

    What `now` does not name is not compared.
    """
    is_comparable = before.inputs.rule == now.inputs.rule
    old, new = (_flatten_record(each, is_comparable) for each in (before, now))
    changes = [
        f"{name}, which was {_shorten(old.get(name, 'not recorded'))} "
        f"and is {_shorten(value)}"
        for name, value in new.items()
        if old.get(name) != value
    ]
    return changes if is_comparable else [f"code {OTHER_RULE}", *changes]


def _shorten(value: object) -> str:
    """Return the first 12 characters of a digest, and any other value whole."""
    text = str(value)
    return text[:12] if re.fullmatch("[0-9a-f]{64}", text) else text


def _flatten_record(record: RunRecord, with_code: bool) -> dict[str, Any]:
    """Return parameters, inputs and arrays in one mapping."""
    arrays = {f"the source's {name}": each for name, each in record.arrays.items()}
    return record.parameters | flatten(record.inputs, with_code) | arrays


def flatten(inputs: Inputs, with_code: bool) -> dict[str, str]:
    """Return all inputs in one mapping, with names such as "versions numpy".

    with_code: whether the digests of notebooks and code are among them.
    """
    groups = {"versions": inputs.versions}
    if with_code:
        groups |= {"notebooks": inputs.notebooks, "code": inputs.syntax}
    named = {
        f"{group} {name}": value
        for group, values in groups.items()
        for name, value in values.items()
    }
    return {"data": inputs.data} | named
