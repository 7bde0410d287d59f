"""What a result depends on, and what has changed since."""

import ast
import re
import subprocess
import sys
from dataclasses import replace
from importlib import metadata

import pytest

from pipeline.digests import find_modules
from pipeline.errors import InvalidInput
from pipeline.images import data
from pipeline.parameters import Parameters
from pipeline.paths import ROOT
from pipeline.records import RunRecord, Status
from pipeline.results import provenance
from pipeline.results.provenance import PACKAGES, collect_code, select_code
from pipeline.results.run_folder import RunFolder
from pipeline.results.stages import (
    DATA,
    EXECUTED_NOTEBOOKS,
    MODEL,
    STAGES,
    TRAINING,
)

# Keras and Pillow are recorded only for a run whose source they load.
WITHOUT_PART = {"digits-by-hand", "keras", "pillow"}
# Packages that check, lock and show, but compute nothing.
WITHOUT_PART |= {"filelock", "pandas", "pydantic", "scipy"}


def find_imports(path):
    """Return the names that a module imports, including those in its functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


# Imports what the cells of notebooks import, each notebook in a process of its own, and
# prints the project's files. Numba and Matplotlib, which take seconds, come before.
IMPORTED = """
import ast, json, os, sys
import matplotlib.pyplot, numba
for path in sys.argv[1:]:
    if os.fork():
        os.wait()
        continue
    for cell in json.load(open(path))["cells"]:
        if cell["cell_type"] == "code":
            nodes = ast.parse("".join(cell["source"])).body
            imports = ast.Import, ast.ImportFrom
            nodes = [node for node in nodes if isinstance(node, imports)]
            exec(compile(ast.Module(nodes, []), path, "exec"))
    own = "helpers", "pipeline"
    names = [m.__file__ for n, m in sys.modules.items() if n.split(".")[0] in own]
    print(*names, flush=True)
    os._exit(0)
"""


def list_imported():
    """Return the files of the project that are imported for each stage's notebook."""
    notebooks = [stage.notebook for stage in STAGES]
    command = [sys.executable, "-c", IMPORTED, *notebooks]
    output = subprocess.check_output(command, cwd=ROOT, text=True)
    lines = output.replace(f"{ROOT}/", "").splitlines()
    return [set(line.split()) for line in lines]


def test_the_inputs_have_every_file_that_a_notebook_imports_except_what_only_draws():
    for stage, imported in zip(STAGES, list_imported(), strict=True):
        followed = set(find_modules(stage.notebook).values())
        inputs = select_code(collect_code([stage]))
        drawing = {name for name in followed if name.startswith("pipeline/reports/")}
        assert followed - drawing == set(inputs)
        for name in imported - followed:  # through reports/ alone
            module = name.removesuffix(".py").replace("/", ".")
            files = followed - drawing
            assert not [f for f in files if module in find_imports(ROOT / f)], module


def test_the_versions_have_every_package_that_these_files_import():
    distributions = metadata.packages_distributions()
    paths = [ROOT / name for name in select_code(collect_code())]
    names = {name.split(".")[0] for path in paths for name in find_imports(path)}
    packages = {each.lower() for name in names for each in distributions.get(name, ())}
    # Only Numba imports llvmlite.
    assert packages - WITHOUT_PART == set(PACKAGES) - {"llvmlite"}


def test_versions_are_those_of_what_computes_and_of_what_loads_the_source(
    small_source, tmp_path, monkeypatch
):
    images = data.split_source(str(small_source[0]), 40, 10)

    def find_names(source):
        inputs = provenance.collect_inputs(replace(images, source=source))
        versions = provenance.select_group(inputs, "version")
        for name in versions.keys() - {"python"}:
            assert versions[name] == metadata.version(name)
        return set(versions)

    always = {"llvmlite", "numba", "numpy"}
    assert find_names(images.source) == always
    assert find_names(str(tmp_path)) == always | {"pillow"}
    assert find_names("mnist") == always | {"jax", "keras"}
    write(monkeypatch, tmp_path, f"{TEXT}x = 1")
    assert find_names("sample") == always | {"python"}


TEXT = (ROOT / "helpers.py").read_text()


def test_each_difference_is_described(tmp_path):
    folder = RunFolder(tmp_path)
    inputs = {"array x_train": "1" * 64, "code a.py": "2" * 64}
    record = RunRecord(parameters=Parameters(), inputs=inputs)
    (difference,) = folder.list_differences(record)
    assert "run.json that is missing" in difference
    for name in (DATA, MODEL, *EXECUTED_NOTEBOOKS):
        (folder.path / name).write_bytes(b"1")
    folder.write_record(record.replace(status=Status.DONE, outputs=folder.digest()))
    folder.executed_path(TRAINING).write_bytes(b"2")  # which JupyterLab may save again
    assert folder.list_differences(record) == []
    folder.model_path.write_bytes(b"2")
    folder.data_path.unlink()
    now = record.replace(inputs=inputs | {"code a.py": "3" * 64, "cells b": "4"})
    assert set(folder.list_differences(now)) == {
        f"code a.py, which was {12 * '2'} and is {12 * '3'}",
        "cells b, which was not recorded and is 4",
        "model.npz, which has been removed or altered since",
        "data.npz, which is missing or empty",
    }


def write(monkeypatch, tmp_path, text):
    path = tmp_path / "helpers.py"
    path.write_text(text)
    monkeypatch.setattr(provenance, "HELPERS", path)


@pytest.mark.parametrize(
    "line",
    [
        "import settings",
        "from settings import DECAY",
        "from . import settings",
        "from pipeline import parameters",
        "def f():\n    import settings.more",
        "import json, scipy",
        "import statistics",  # of the standard library, but there is a file
    ],
)
def test_an_import_of_another_file_is_refused(monkeypatch, tmp_path, line):
    write(monkeypatch, tmp_path, f"{line}\n")
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    (tmp_path / "statistics.py").touch()
    name = re.search(r"(settings|\.|pipeline|scipy|statistics)", line)[1]
    with pytest.raises(InvalidInput, match=f"imports {re.escape(name)}, "):
        provenance.check_helpers()
