"""Digest what a result depends on, and find what has changed since.

A result depends on its parameters, its data, the cells of its notebooks, the modules
that compute something for them, and the versions of the packages that these use. The
modules and packages are listed below. A test compares the lists with what Python
imports for the notebooks.
"""

import ast
import hashlib
import importlib.metadata
import json
import platform
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import data, published
from pipeline.digests import digest_file, digest_syntax
from pipeline.errors import InvalidInput
from pipeline.parameters import KERAS_SOURCES, Parameters
from pipeline.paths import ROOT
from pipeline.records import Inputs, RunRecord, Status
from pipeline.run_folder import RunFolder, describe_altered
from pipeline.stages import EVALUATION, STAGES, Stage

TRAINING_CODE = (
    "helpers.py",
    "pipeline/agreement.py",
    "pipeline/arrays.py",
    "pipeline/checkpoints.py",
    "pipeline/compiled.py",
    "pipeline/data.py",
    "pipeline/digests.py",
    "pipeline/loops.py",
    "pipeline/pictures.py",
)
EVALUATION_CODE = ("pipeline/baselines.py",)
CODE = TRAINING_CODE + EVALUATION_CODE
PACKAGES = ("llvmlite", "numba", "numpy", "pillow")
DECLARED = re.compile(r"^(\w+: \w+ = ).*", re.M)  # a line that declares a parameter


def collect_inputs(source: str, stages: Iterable[Stage] = STAGES) -> Inputs:
    """Return what these stages of a run depend on, apart from the parameters.

    source: where the images come from.

    Raises InvalidInput if helpers.py has a syntax error.
    """
    stages = list(stages)
    check_syntax()
    code = CODE if EVALUATION in stages else TRAINING_CODE
    keras = ("keras", "jax") if source in KERAS_SOURCES else ()
    return Inputs(
        data=data.digest_source(source),
        notebooks={stage.name: digest_cells(stage.notebook) for stage in stages},
        code={name: digest_file(ROOT / name) for name in code},
        syntax=digest_code(code),
        versions=find_versions(PACKAGES + keras),
    )


def check_syntax() -> None:
    """Raise InvalidInput if helpers.py has a syntax error.

    A command checks this first, so that no result is replaced before the error is seen.
    """
    path = ROOT / "helpers.py"
    try:
        compile(path.read_bytes(), path, "exec")
    except (SyntaxError, ValueError) as error:
        line = f" in line {error.lineno}" if isinstance(error, SyntaxError) else ""
        problem = f"helpers.py has a mistake{line}: {getattr(error, 'msg', error)}"
        raise InvalidInput(f"{problem}. Correct it; nothing was started.") from None


def keep_training_inputs(inputs: Inputs) -> Inputs:
    """Return the part of the inputs that a training depends on."""
    return Inputs(
        data=inputs.data,
        notebooks={k: v for k, v in inputs.notebooks.items() if k != EVALUATION.name},
        code={k: v for k, v in inputs.code.items() if k not in EVALUATION_CODE},
        syntax={k: v for k, v in inputs.syntax.items() if k not in EVALUATION_CODE},
        versions=inputs.versions,
    )


def digest_code(names: Iterable[str] = TRAINING_CODE) -> dict[str, str]:
    """Return the digest of the syntax tree of each of these files, by its name."""
    return {name: digest_syntax(ROOT / name) for name in names}


def has_published_helpers(inputs: Inputs) -> bool:
    """Return whether helpers.py is the one that reproduces the published metrics."""
    return inputs.syntax.get("helpers.py") == published.HELPERS_SHA256


def find_versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of Python and of these installed packages."""
    versions = {name: importlib.metadata.version(name) for name in packages}
    return {"python": platform.python_version()} | versions


def describe_machine() -> str:
    """Name the BLAS and the processor, on which the last digits of products depend."""
    config: Any = np.show_config(mode="dicts")
    blas = config["Build Dependencies"]["blas"]
    extensions = config.get("SIMD Extensions", {}).get("found", [])
    processor = [platform.processor() or platform.machine(), *extensions]
    return f"BLAS {blas['name']} {blas['version']}, processor {' '.join(processor)}"


def digest_cells(notebook: Path) -> str:
    """Return the SHA-256 of the code of a notebook's cells.

    Prose, comments, outputs and the values of parameters do not count.
    """
    cells = []
    for cell in json.loads(notebook.read_text("utf-8"))["cells"]:
        source = "".join(cell["source"])
        if "parameters" in cell["metadata"].get("tags", ()):
            source = DECLARED.sub(r"\1None", source)
        if cell["cell_type"] == "code" and source.strip():
            cells.append(normalise(source))
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()


def normalise(source: str) -> str:
    """Return a cell's code without its comments, or as it is if it is not Python."""
    try:
        return ast.unparse(ast.parse(source))
    except SyntaxError:  # for instance a magic of IPython
        return source


def find_differences(
    folder: RunFolder, parameters: Parameters, inputs: Inputs
) -> list[str]:
    """Describe how a folder's finished run differs from the one that would be made now.

    The list is empty if the run need not be made again.
    """
    record = folder.find_record()
    if record is None:
        return ["no run so far"]
    if record.status != Status.DONE:
        return [f"the last run, which did not finish (its status is {record.status})"]
    return compare_inputs(record, parameters, inputs) + describe_altered(folder, record)


def compare_inputs(
    record: RunRecord, parameters: Parameters, inputs: Inputs
) -> list[str]:
    """Describe each parameter and input that differs from the record.

    Values are cut to 12 characters, because most are digests.
    """
    before = record.parameters | flatten(record.inputs)
    now = parameters.model_dump() | flatten(inputs)
    return [
        f"{name}, which was {str(before.get(name, 'not recorded'))[:12]} "
        f"and is {str(value)[:12]}"
        for name, value in now.items()
        if before.get(name) != value
    ]


def flatten(inputs: Inputs) -> dict[str, str]:
    """Return all inputs in one mapping, with names such as "versions numpy"."""
    groups = {
        "notebooks": inputs.notebooks,
        "code": inputs.syntax,
        "versions": inputs.versions,
    }
    named = {
        f"{group} {name}": v
        for group, values in groups.items()
        for name, v in values.items()
    }
    return {"data": inputs.data} | named
