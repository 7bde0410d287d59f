"""Derive what a result depends on from the imports of its notebooks, and tell what has changed since.

A result depends on its parameters, its data, the cells of its notebooks, the modules of the project that these import,
directly or through one another, and the versions of the packages that those import. An import inside a function, or for
types alone, does not count: the default run computes no metric with it.
"""

import ast
import contextlib
import functools
import hashlib
import importlib.metadata
import json
import platform
import re
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline import datasets, storage
from pipeline.errors import InvalidRecord, shown
from pipeline.parameters import KERAS_SOURCES, Parameters
from pipeline.readers import read_bytes
from pipeline.records import Inputs, RunRecord, Status
from pipeline.run_folder import STAGES, RunFolder

PROJECT = ("helpers", "pipeline")
DECLARED = re.compile(r"^(\w+(?:: \w+)? = ).*", re.M)  # a line that declares a parameter
TIMED = re.compile(r"%(time|timeit|prun)\b(?: +-\w+(?: +\d+)?)* ?")  # what stands before code, with its options
_parsing = threading.Lock()  # since Python 3.11 may fail where two threads parse at once (python/cpython issue 106905)
DISTRIBUTIONS = {"PIL": "pillow"}  # from the name that is imported to the one that is installed, where they differ


def inputs_of(parameters: Parameters, stages: Iterable[str] = STAGES) -> Inputs:
    """Return what these stages of a run depend on beside the parameters, each with its digest or version."""
    paths = [storage.NOTEBOOKS / f"{stage}.ipynb" for stage in stages]
    files, packages = _closure(paths)
    if parameters.source in KERAS_SOURCES:
        packages |= {"keras", "jax"}
        data = f"keras.datasets.{parameters.source}"  # its digest is known once it has been loaded: RunRecord.arrays
    else:
        data = datasets.source_digest(parameters.source)
    return Inputs(
        data=data,
        notebooks={path.stem: cells_digest(path) for path in paths},
        code=_digests(files),
        versions=versions_of(["python", *sorted(packages)]),
    )


def code_of(*sources: str | Path) -> dict[str, str]:
    """Return the digest of each file of the project that these modules, by name, or notebooks are or import."""
    return _digests(_closure(sources)[0])


def report_code() -> str:
    """Return one digest of all that makes a page out of notebooks."""
    templates = storage.ROOT / "pipeline" / "reports" / "templates"
    shown = [storage.NOTEBOOKS / name for name in ("README.md", "data/networks.npz")]  # the glossary, and networks
    files = [path for path in templates.iterdir() if path.is_file() and not path.name.startswith(".")]
    digests = code_of("pipeline.reports.rendering") | _digests([*files, *shown])
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


def cells_digest(notebook: Path, what_it_does: bool = False) -> str:
    """Return the SHA-256 of a notebook's cells without their outputs, which executing it again may not change.

    The values of its parameters do not count, since a run gives its own. what_it_does: of its code alone, without
    its parameters.
    """
    found = [cell for cell in _cells(notebook) if cell[1].strip()]  # JupyterLab may add an empty one at the end
    declaring = [cell for cell in found if cell[0] == "code" and cell[1].startswith("# Parameters")][:1]
    if what_it_does:
        found = [cell for cell in found if cell[0] == "code" and cell not in declaring]
    found = [(kind, DECLARED.sub(r"\1", code)) if (kind, code) in declaring else (kind, code) for kind, code in found]
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()


def versions_of(names: Iterable[str]) -> dict[str, str]:
    """Return the versions that are installed here, of Python and of packages; "none" where one is missing."""
    found = dict.fromkeys(names, "none")
    for name in found:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            installed = DISTRIBUTIONS.get(name, name)
            found[name] = platform.python_version() if name == "python" else importlib.metadata.version(installed)
    return found


def changes(record: RunRecord, parameters: Parameters, inputs: Inputs) -> list[str]:
    """Describe each parameter and input that is not what it was when the recorded run began."""
    then = {**record.parameters, **flattened(record.inputs)}
    now = {**parameters.model_dump(), **flattened(inputs)}
    return [
        f"{name}, which was {_short(then.get(name, 'not recorded'))} and is {_short(value)}"
        for name, value in now.items()
        if then.get(name) != value
    ]


def unfinished(folder: RunFolder, record: RunRecord | None, names: Iterable[str]) -> list[str]:
    """Describe what the folder's last run lacks; `names` are those of the files that it should have."""
    if record is None:
        return ["files in this folder that belong to no finished run"] if folder.present() else ["no run so far"]
    if record.status == Status.CHANGED:
        return [f"the last run in this folder, which {(record.error or '').removeprefix('It ').rstrip('.')}"]
    if record.status != Status.DONE:
        return [f"the last run in this folder, which did not finish (its status is {record.status})"]
    return [f"{name}, which has been removed or altered since" for name in folder.altered(record, names)]


def flattened(inputs: Inputs) -> dict[str, object]:
    """Return the inputs one by one, by names such as "versions numpy"."""
    groups = inputs.model_dump(exclude={"data"}).items()
    named = {f"{group} {name}": value for group, values in groups for name, value in values.items()}
    return {"data": inputs.data, **named}


def _short(value: object) -> str:
    """Write a value, of a digest its beginning."""
    return f"{value[:12]}..." if isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) else shown(value)


def _closure(sources: Iterable[str | Path]) -> tuple[set[Path], set[str]]:
    """Return the project's files that modules, by name, or notebooks import, directly or not, and all packages."""
    waiting = [(str(each), _notebook_source(each) if isinstance(each, Path) else f"import {each}") for each in sources]
    files, packages, seen = set[Path](), set[str](), set[str]()
    helpers = storage.ROOT / "helpers.py"  # which is an input also where it is missing
    while waiting:
        names = _imported(*waiting.pop()) - seen
        seen |= names
        for name in names:
            package, candidates = name.split(".")[0], _candidates(storage.ROOT, name)
            if package in PROJECT or any(path.is_file() for path in _candidates(storage.ROOT, package)):
                found = {path for path in candidates if path == helpers or path.exists()} - files
                files |= found
                waiting += [(str(path), path.read_text("utf-8")) for path in found]
            elif package not in sys.stdlib_module_names:
                packages.add(package)
    return files, packages


@functools.cache  # making paths takes longer than looking for them
def _candidates(root: Path, name: str) -> tuple[Path, ...]:
    """Return the files that importing a module executes, if it is one of the project's and they exist."""
    parts = name.split(".")
    below = [root.joinpath(*parts[: length + 1]) for length in range(len(parts))]
    return (*(path / "__init__.py" for path in below), below[-1].with_suffix(".py"))


@functools.cache
def _imported(place: str, source: str) -> frozenset[str]:
    """Return the dotted names that a source imports; of ``from a import b`` both a and a.b."""
    found = set[str]()
    try:
        with _parsing:
            parsed = ast.parse(source)
    except SyntaxError as error:
        problem = f"is no Python in line {error.lineno} of its code: {error.msg}"
        raise InvalidRecord(Path(place), problem, "Correct it.") from None
    for node in _executed(parsed):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = Path(place).parts[len(storage.ROOT.parts) : -node.level] if node.level else ()  # of a relative one
            module = ".".join(filter(None, (*above, node.module)))
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return frozenset(found)


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements that an import executes, also those within others, but for functions and types."""
    waiting = [node]
    while waiting:
        yield (node := waiting.pop())
        if isinstance(node, ast.If) and "TYPE_CHECKING" in (getattr(node.test, name, "") for name in ("id", "attr")):
            waiting += node.orelse
        elif not isinstance(node, ast.expr | ast.FunctionDef | ast.AsyncFunctionDef):
            waiting += ast.iter_child_nodes(node)


def _notebook_source(notebook: Path) -> str:
    """Return the code of a notebook: as it is, or as IPython makes Python of it."""
    cells = [source for kind, source in _cells(notebook) if kind == "code"]
    return "\n".join(cell if _is_python(cell) else _python_of(cell) for cell in cells)


def _python_of(cell: str) -> str:
    """Return the Python that IPython makes of a cell with magics, shell commands or questions."""
    from IPython.core.inputtransformer2 import TransformerManager  # 0.2 s, for notebooks that have them

    inner = re.sub(r"\A\s*%%.*", "", cell)  # what is timed would be text in a call, and import nothing
    for source in (TIMED.sub("", inner), inner, cell):
        if _is_python(python := TransformerManager().transform_cell(source)):
            break
    return python


@functools.cache  # as _imported is: in Python 3.11 nothing may be parsed while other threads work
def _is_python(source: str) -> bool:
    with contextlib.suppress(SyntaxError), _parsing:
        ast.parse(source)
        return True
    return False


def _cells(notebook: Path) -> list[tuple[str, str]]:
    """Read type and source of each cell; nbformat would take a second to import."""
    advice = storage.restoring(notebook)
    content = read_bytes(notebook, "notebook", advice)
    try:
        found = json.loads(content)
        found["nbformat"]  # without which nobody opens it
        return [(cell["cell_type"], "".join(cell["source"])) for cell in found["cells"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidRecord(notebook, f"is no notebook ({error})", advice) from None


def _digests(files: Iterable[Path]) -> dict[str, str]:
    return {path.relative_to(storage.ROOT).as_posix(): storage.sha256_of_file(path) for path in sorted(files)}
