"""What a result depends on, and what of it has changed."""

import gc
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest

from pipeline import provenance, storage
from pipeline.errors import InvalidRecord
from pipeline.parameters import Parameters
from pipeline.records import Inputs, RunRecord, Status
from pipeline.run_folder import MADE, STAGES, RunFolder


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return a copy of the project's code and notebooks, which provenance takes for the project."""
    copy = tmp_path / "project"
    shutil.copytree(storage.ROOT / "pipeline", copy / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(storage.ROOT / "helpers.py", copy)
    (copy / "notebooks" / "data").mkdir(parents=True)
    for name in (*(f"{stage}.ipynb" for stage in STAGES), "README.md", "data/networks.npz"):
        shutil.copy(storage.NOTEBOOKS / name, copy / "notebooks" / name)
    monkeypatch.setattr(storage, "ROOT", copy)
    monkeypatch.setattr(storage, "NOTEBOOKS", copy / "notebooks")
    return copy


def a_record(inputs, **fields):
    return RunRecord.begin(Parameters().model_dump(), inputs).changed(**fields)


def edit_cell(notebook, change):
    content = json.loads(notebook.read_text())
    change(next(cell for cell in content["cells"] if cell["cell_type"] == "code"))
    notebook.write_text(json.dumps(content))


IMPORTED = """
import ast, json, sys
from pathlib import Path
root = Path(sys.argv[1])
for path in sys.argv[2:]:
    for cell in json.loads(Path(path).read_text())["cells"]:
        if cell["cell_type"] == "code":
            nodes = [node for node in ast.parse("".join(cell["source"])).body if "Import" in type(node).__name__]
            exec(compile(ast.Module(nodes, []), path, "exec"))
modules = {name: module for name, module in sys.modules.items() if name.split(".")[0] in ("helpers", "pipeline")}
print(json.dumps(sorted(str(Path(module.__file__).relative_to(root)) for module in modules.values())))
"""


def test_the_code_of_a_run_is_what_python_loads_for_the_imports_of_its_notebooks():
    notebooks = [str(storage.NOTEBOOKS / f"{stage}.ipynb") for stage in STAGES]
    command = [sys.executable, "-c", IMPORTED, str(storage.ROOT), *notebooks]
    loaded = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    code = provenance.inputs_of(Parameters()).code
    assert sorted(code) == loaded
    assert {"helpers.py", "pipeline/checkpoints.py", "pipeline/errors.py"} <= code.keys()
    assert code["helpers.py"] == storage.sha256_of_file(storage.ROOT / "helpers.py")


def test_a_changed_module_is_the_one_change_if_a_notebook_imports_it_and_else_none(project):
    """Each in turn, as a change of it is found again where it is imported by others."""
    before = provenance.inputs_of(Parameters())
    others = [path for path in project.rglob("*.py") if path.relative_to(project).as_posix() not in before.code]
    assert len(others) > 15
    for path in others:
        path.write_text(path.read_text().replace('"""', '"""Changed. ', 1))
    assert provenance.inputs_of(Parameters()) == before
    for name in before.code:
        path = project / name
        whole = path.read_text()
        path.write_text(whole + "# changed\n")
        (change,) = provenance.changes(a_record(before), Parameters(), provenance.inputs_of(Parameters()))
        assert change.startswith(f"code {name}, which was {before.code[name][:12]}... and is ")
        path.write_text(whole)


@pytest.mark.parametrize("name", ["mine.py", "mine/__init__.py"])
def test_a_module_or_a_package_of_ones_own_beside_helpers_is_an_input_too(project, name):
    with (project / "helpers.py").open("a") as helpers:
        helpers.write("import mine\n")
    (project / name).parent.mkdir(exist_ok=True)
    (project / name).write_text("FACTOR = 1\n")
    before = provenance.inputs_of(Parameters())
    assert "mine" not in before.versions
    (project / name).write_text("FACTOR = 2\n")
    (change,) = provenance.changes(a_record(before), Parameters(), provenance.inputs_of(Parameters()))
    assert change.startswith(f"code {name}, which was ")


@pytest.mark.parametrize(
    ("line", "listed"),
    [
        ("import pipeline.extra", True),
        ("from pipeline import extra", True),
        ("from pipeline.extra import VALUE", True),
        ("try:\n    import pipeline.extra\nexcept ImportError:\n    pass", True),
        ("with open(__file__):\n    if VALUE := 1:\n        import pipeline.extra", True),
        ("def load():\n    import pipeline.extra", False),  # for what the default run does not need
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pipeline.extra", False),
        ("import typing\nif typing.TYPE_CHECKING:\n    pass\nelse:\n    from . import extra", True),
        ("from .extra import VALUE", True),
    ],
)
def test_a_module_is_an_input_once_a_cell_or_a_module_of_a_notebook_imports_it(project, line, listed):
    (project / "pipeline" / "extra.py").write_text("import networkx\nVALUE = 1\n")
    path = project / "pipeline" / "published.py"
    path.write_text(f"{path.read_text()}\n{line}\n")
    edit_cell(project / "notebooks" / "03_evaluate.ipynb", lambda cell: cell["source"].append("\nimport pipeline.runs"))
    inputs = provenance.inputs_of(Parameters())
    assert ("pipeline/extra.py" in inputs.code) == ("networkx" in inputs.versions) == listed
    assert "pipeline/runs.py" in inputs.code


def test_a_run_without_helpers_py_is_refused_before_it_replaces_anything(project):
    (project / "helpers.py").unlink()
    with pytest.raises(FileNotFoundError, match="helpers.py"):
        provenance.inputs_of(Parameters())


def test_the_cells_of_a_notebook_are_an_input_and_their_outputs_and_metadata_are_not(project):
    before = provenance.inputs_of(Parameters())
    path = project / "notebooks" / "02_train.ipynb"
    edit_cell(path, lambda cell: cell.update(outputs=[], execution_count=99, metadata={"tags": ["x"]}))
    assert provenance.inputs_of(Parameters()) == before
    edit_cell(path, lambda cell: cell["source"].append("\n# changed"))
    (change,) = provenance.changes(a_record(before), Parameters(), provenance.inputs_of(Parameters()))
    assert change.startswith(f"notebooks 02_train, which was {before.notebooks['02_train'][:12]}... and is ")
    assert before.notebooks.keys() == set(STAGES)


def test_versions_are_those_of_the_packages_that_the_notebooks_and_their_modules_import():
    versions = provenance.inputs_of(Parameters()).versions
    assert versions["python"] == platform.python_version()
    assert (versions["numpy"], versions["numba"]) == (np.__version__, numba.__version__)
    assert "pydantic" in versions  # of a module that a notebook imports
    assert "none" not in versions.values()
    assert not {"json", "pathlib", "helpers", "pipeline", "papermill", "distributed"} & versions.keys()
    assert provenance.versions_of(["no-such-package"]) == {"no-such-package": "none"}


def test_keras_and_jax_are_inputs_only_of_a_source_of_keras():
    of_sample, of_keras = (provenance.inputs_of(Parameters(source=name)) for name in ("sample", "mnist"))
    assert of_keras.versions.keys() - of_sample.versions.keys() == {"keras", "jax"}
    assert of_keras.versions["keras"] == importlib.metadata.version("keras")
    assert of_keras.data == "keras.datasets.mnist"  # without loading it
    assert of_sample.data == storage.sha256_of_file(storage.NOTEBOOKS / "data" / "mnist_sample.npz")


def test_the_code_of_a_module_is_its_file_and_those_that_it_imports():
    assert provenance.code_of("helpers") == {"helpers.py": storage.sha256_of_file(storage.ROOT / "helpers.py")}
    expected = ["pipeline/__init__.py", "pipeline/console.py", "pipeline/errors.py", "pipeline/in_view.py"]
    assert list(provenance.code_of("pipeline.errors")) == expected


def test_the_code_of_reports_covers_templates_and_what_renders_them_but_not_the_index(project):
    found = [provenance.report_code()]
    names = (
        "index.py",
        "rendering.py",
        "pages.py",
        "templates/page.css",
        "../published.py",
        "../../notebooks/README.md",
        "../../notebooks/data/networks.npz",
    )
    for name in names:
        path = project / "pipeline" / "reports" / name
        path.write_bytes(path.read_bytes() + b"\n")
        found.append(provenance.report_code())
    assert found[0] == found[1]
    assert len(set(found)) == 7


DIGESTS = [f"{number}" * 64 for number in range(10)]


def test_each_change_is_described_by_its_name_what_it_was_and_what_it_is():
    then = Inputs(
        data=DIGESTS[0],
        notebooks={"02_train": DIGESTS[1]},
        code={"helpers.py": DIGESTS[2], "pipeline/files.py": DIGESTS[3]},
        versions={"python": "3.11.7", "numpy": "2.4.6", "papermill": "2.7.0"},
    )
    now = Inputs(
        data="keras.datasets.mnist",
        notebooks={"02_train": DIGESTS[4]},
        code={"helpers.py": DIGESTS[2], "pipeline/storage.py": DIGESTS[5]},
        versions={"python": "3.11.7", "numpy": "2.5.0", "keras": "3.15.0"},
    )
    assert provenance.changes(a_record(then), Parameters(), then) == []
    assert provenance.changes(a_record(then), Parameters(seed=2, source="mnist"), now) == [
        "source, which was sample and is mnist",
        "seed, which was 1 and is 2",
        "data, which was 000000000000... and is keras.datasets.mnist",
        "notebooks 02_train, which was 111111111111... and is 444444444444...",
        "code pipeline/storage.py, which was not recorded and is 555555555555...",
        "versions numpy, which was 2.4.6 and is 2.5.0",
        "versions keras, which was not recorded and is 3.15.0",
    ]


def test_what_the_last_run_lacks_is_described(tmp_path):
    folder = RunFolder(tmp_path)
    record = a_record(Inputs(data="", notebooks={}, code={}, versions={}), status=Status.TIMED_OUT)
    assert provenance.unfinished(folder, None, MADE) == ["no run so far"]
    folder.model.write_bytes(b"1")
    assert provenance.unfinished(folder, None, MADE) == ["files in this folder that belong to no finished run"]
    assert provenance.unfinished(folder, record, MADE) == [
        "the last run in this folder, which did not finish (its status is timed out)"
    ]
    finished = record.changed(status=Status.DONE, outputs=folder.digests())
    assert provenance.unfinished(folder, finished, ["model.npz"]) == []
    folder.model.write_bytes(b"2")
    assert provenance.unfinished(folder, finished, ["model.npz"]) == [
        "model.npz, which has been removed or altered since"
    ]


def test_several_threads_may_ask_at_once():
    """Python 3.11 fails where one thread parses while another one does; collecting garbage lets the other one run."""
    threshold = gc.get_threshold()
    gc.callbacks.append(lambda *_: time.sleep(0))
    gc.set_threshold(100)
    try:
        for _ in range(3):
            provenance._imported.cache_clear()
            with ThreadPoolExecutor(4) as threads:
                found = list(threads.map(lambda _: provenance.inputs_of(Parameters()), range(4)))
            assert found == found[:1] * 4
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.pop()


def test_the_values_of_parameters_in_a_notebook_do_not_count_and_all_else_does(tmp_path):
    def digest(*cells):
        content = {"nbformat": 4, "cells": [{"cell_type": "code", "source": cell} for cell in cells]}
        (tmp_path / "a.ipynb").write_text(json.dumps(content))
        return provenance.cells_digest(tmp_path / "a.ipynb")

    before = digest("# Parameters\nseed: int = 1  # what it is", "x = 1")
    assert digest("# Parameters\nseed: int = 2", "x = 1") == before
    assert digest("# Parameters\nseed: int = 1", "x = 1", "\n") == before  # an empty cell
    for other in ("seed: int = 1\nprint()", "seed: float = 1", "epochs: int = 1", ""):
        assert digest(f"# Parameters\n{other}", "x = 1") != before
    again = [digest("# Parameters\nseed: int = 1", f"# Parameters of mine\nseed = {seed}") for seed in (1, 2)]
    assert again[0] != again[1]  # what comes after papermill's own
    assert digest("# Parameters\nseed: int = 1", "x = 2") != before


def test_code_that_is_no_python_and_a_notebook_that_is_none_are_named(tmp_path, monkeypatch):
    (tmp_path / "helpers.py").write_text("def f(:\n")
    (tmp_path / "a.ipynb").write_text("<<<<<<< HEAD")
    monkeypatch.setattr(storage, "ROOT", tmp_path)
    with pytest.raises(InvalidRecord, match=r"helpers\.py is no Python in line 1 of its code: "):
        provenance.code_of("helpers")
    with pytest.raises(InvalidRecord, match=r"a\.ipynb is no notebook \("):
        provenance.cells_digest(tmp_path / "a.ipynb")


@pytest.mark.parametrize(
    "cell",
    [
        "%matplotlib inline\nimport helpers\n!ls",
        "%%time\nimport helpers",
        "%%capture out\nimport helpers",
        "if 1 > 2:\n    %matplotlib inline\nimport helpers",
        "%time import helpers",
        "%timeit -n 1 print()\nimport helpers",
        "%%time\nimport helpers\n%timeit -n 1 -q print()",
        "%%time\nimport helpers\n%prun -D out.prof print()",
        'x = ("%s of %s"\n     % (1, 2))\nimport helpers',
        "files = !ls\nhelpers?\nimport helpers",
    ],
)
def test_what_is_ipythons_in_a_notebook_is_neither_an_error_nor_hides_an_import(tmp_path, cell):
    content = {
        "nbformat": 4,
        "cells": [{"cell_type": "code", "source": each} for each in (cell, "%%bash\necho $x", "import pandas")],
    }
    (tmp_path / "a.ipynb").write_text(json.dumps(content))
    assert list(provenance.code_of(tmp_path / "a.ipynb")) == ["helpers.py"]


def test_a_notebook_that_jupyter_would_not_open_is_named_before_anything_is_run(project):
    (project / "notebooks" / "03_evaluate.ipynb").write_text('{"cells": []}')
    with pytest.raises(InvalidRecord, match=r"03_evaluate.ipynb is no notebook \('nbformat'\). Correct it, or restore"):
        provenance.inputs_of(Parameters())


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.ipynb")
    with pytest.raises(
        InvalidRecord, match=r"a.ipynb cannot be read: it is a FIFO, not a file. Correct it, or restore it: git"
    ):
        provenance.cells_digest(tmp_path / "a.ipynb")


def test_a_mistake_in_a_notebook_is_named_beside_what_is_ipythons(tmp_path):
    content = {
        "nbformat": 4,
        "cells": [{"cell_type": "code", "source": each} for each in ("%matplotlib inline", "import = 3")],
    }
    (tmp_path / "a.ipynb").write_text(json.dumps(content))
    with pytest.raises(InvalidRecord, match=r"a\.ipynb is no Python in line \d of its code: invalid syntax"):
        provenance.code_of(tmp_path / "a.ipynb")
