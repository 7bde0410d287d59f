"""What a result depends on, what has changed since, and the layers of the modules."""

import ast
import graphlib
import importlib.metadata
import os
import subprocess
import sys

import nbformat
import pytest

from pipeline.digests import CODE, TRAINING_CODE
from pipeline.network.published import HELPERS_3_0_SHA256
from pipeline.parameters import Parameters
from pipeline.paths import ROOT
from pipeline.records import RunRecord, Status
from pipeline.results import provenance
from pipeline.results.provenance import OTHER_RULE, PACKAGES
from pipeline.results.run_folder import RunFolder
from pipeline.results.stages import PREPARATION, STAGES, TRAINING
from tests.conftest import copy_project

# Modules that the notebooks of a run import, but that have no part in its results.
INERT = [
    "__init__",
    "errors",
    "parameters",
    "paths",
    "records",
    "images/__init__",
    "network/__init__",
    "reports/__init__",
    "results/__init__",
    "network/activity",
    "network/published",
    "reports/plots",
    "results/alone",
    "results/files",
    "results/model",
    "results/provenance",
    "results/run_folder",
    "results/stages",
]
# Keras is recorded only for a run whose source it loads.
WITHOUT_PART = {"digits-by-hand", "keras"}
# The folders of pipeline/, and the modules beside them. Each imports from those above.
LAYERS = [
    "helpers pipeline errors paths digests",
    "parameters records",
    "network images",
    "results",
    "reports",
    "execution",
    "sweeps lessons",
    "comparison listing",
    "commands",
    "__main__",
]
LAYERS = {name: place for place, names in enumerate(LAYERS) for name in names.split()}
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(
        ".__init__"
    ): path
    for path in (ROOT / "helpers.py", *(ROOT / "pipeline").rglob("*.py"))
}


def find_imports(path):
    """Return the names that a module imports, also in its functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {
                node.module,
                *(f"{node.module}.{alias.name}" for alias in node.names),
            }
    return found


def test_imports_point_to_lower_layers_and_in_no_circle():
    graph = {
        name: find_imports(path) & MODULES.keys() - {name}
        for name, path in MODULES.items()
    }
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError
    room = {name: name.removeprefix("pipeline.").split(".")[0] for name in MODULES}
    arrows = {(room[a], room[b]) for a, names in graph.items() for b in names if b != a}
    assert [(a, b) for a, b in arrows if LAYERS[b] > LAYERS[a]] == []
    rooms = {a: {b for first, b in arrows if first == a} - {a} for a in LAYERS}
    graphlib.TopologicalSorter(rooms).prepare()


IMPORTED = """
import ast, json, sys
for path in sys.argv[1:]:
    for cell in json.load(open(path))["cells"]:
        if cell["cell_type"] == "code":
            nodes = ast.parse("".join(cell["source"])).body
            imports = ast.Import, ast.ImportFrom
            nodes = [node for node in nodes if isinstance(node, imports)]
            exec(compile(ast.Module(nodes, []), path, "exec"))
own = "helpers", "pipeline"
print(*(m.__file__ for n, m in sys.modules.items() if n.split(".")[0] in own))
"""


def test_the_lists_have_every_module_that_the_notebooks_import():
    for stages, code in (
        ([PREPARATION, TRAINING], TRAINING_CODE),
        (STAGES, CODE),
    ):
        paths = [stage.notebook for stage in stages]
        command = [sys.executable, "-c", IMPORTED, *paths]
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=True
        )
        names = {path.removeprefix(f"{ROOT}/") for path in done.stdout.split()}
        assert names - {f"pipeline/{name}.py" for name in INERT} == set(code)


def test_the_lists_have_every_package_that_these_modules_import():
    distributions = importlib.metadata.packages_distributions()
    paths = [ROOT / name for name in CODE]
    names = {name.split(".")[0] for path in paths for name in find_imports(path)}
    packages = {each.lower() for name in names for each in distributions.get(name, ())}
    # Only Numba imports llvmlite.
    assert packages - WITHOUT_PART == set(PACKAGES) - {"llvmlite"}


CHANGES = """
import logging
from pathlib import Path
from pipeline.sweeps import execution
file, folder = Path("s.yaml"), Path("sweep").absolute()
file.write_text('''name: s
base: {num_samples: 20, epochs: 1}
grid: {hidden_size: [2, 3]}''')
for change in ("", "pipeline/reports/page.py", "pipeline/sweeps/report.py",
               "pipeline/reports/plots.py", "pipeline/network/baselines.py",
               "helpers.py"):
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*/*.ipynb")}
    if change:
        with open(change, "a") as module: module.write("CHANGED = True\\n")
    assert len(execution.run_sweep(file, str(folder), with_report=False)) == 2
    after = {path: path.stat().st_mtime_ns for path in folder.glob("*/*.ipynb")}
    changed = [path.stem for path in after if after[path] != before.get(path)]
    print(change, *sorted(changed))
"""


def test_a_change_of_a_module_repeats_what_depends_on_it_and_no_more(tmp_path):
    """This is done in a copy of the project. Of two points, the better is evaluated."""
    copy_project(tmp_path)
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", CHANGES]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.stdout.splitlines() == [
        " 02_train 02_train 03_evaluate",
        "pipeline/reports/page.py",
        "pipeline/sweeps/report.py",
        "pipeline/reports/plots.py",
        "pipeline/network/baselines.py 03_evaluate",
        "helpers.py 02_train 02_train 03_evaluate",
    ], done.stderr


@pytest.mark.parametrize(
    ("cells", "is_same"),
    [
        (["# Parameters\nseed: int = 2  # other", "x = 1", ""], True),
        (["# Parameters\nseed: int = 1  # what", "x = 1  # one"], True),
        (["# Parameters\nseed: int = 1  # what", "%matplotlib"], False),
        (["# Parameters\nseed: float = 1  # what", "x = 1"], False),
        (["# Parameters\nseed: int = 1  # what\nepochs: int = 1", "x = 1"], False),
        (["# Parameters\nseed: int = 1  # what", "x = 2"], False),
    ],
)
def test_cells_are_an_input_without_values_of_parameters_and_outputs(
    tmp_path, cells, is_same
):
    digests = []
    for sources in (["# Parameters\nseed: int = 1  # what", "x = 1"], cells):
        node = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(text) for text in sources]
        )
        node.cells[0].metadata.tags = ["parameters"]
        node.cells[1].execution_count = len(digests)
        nbformat.write(node, tmp_path / "a.ipynb")
        digests.append(provenance.digest_cells(tmp_path / "a.ipynb"))
    assert (digests[0] == digests[1]) == is_same


def test_each_difference_is_described(tmp_path):
    folder, inputs = RunFolder(tmp_path), provenance.collect_inputs("sample")
    record = RunRecord(
        parameters=dict(Parameters()), inputs=inputs, arrays={"x_train": "1" * 64}
    )
    (difference,) = folder.find_differences(record)
    assert difference.startswith("a run.json that is missing")
    folder.write_record(record.replace(status=Status.DIED))
    (difference,) = folder.find_differences(record)
    assert difference == "the last run, which did not finish (its status is died)"
    folder.model_path.write_bytes(b"1")
    folder.write_record(record.replace(status=Status.DONE, outputs=folder.digest()))
    assert folder.find_differences(record) == []
    folder.model_path.write_bytes(b"2")
    before, code = inputs.syntax["helpers.py"], inputs.syntax | {"helpers.py": "0" * 64}
    changed = inputs.model_copy(
        update={"syntax": code, "versions": inputs.versions | {"numpy": "1"}}
    )
    now = record.replace(
        parameters=dict(Parameters(seed=2)),
        inputs=changed,
        arrays={"x_train": "2" * 64},
    )
    assert set(folder.find_differences(now)) == {
        "seed, which was 1 and is 2",
        f"code helpers.py, which was {before[:12]} and is {12 * '0'}",
        f"versions numpy, which was {inputs.versions['numpy']} and is 1",
        f"the source's x_train, which was {12 * '1'} and is {12 * '2'}",
        "model.npz, which has been removed or altered since",
    }


def test_a_record_of_version_3_0_is_told_once_and_its_helpers_is_known():
    inputs = provenance.collect_inputs("sample")
    syntax = {"helpers.py": HELPERS_3_0_SHA256, "pipeline/loops.py": "1" * 64}
    old = inputs.model_copy(update={"syntax": syntax, "rule": None})
    now = RunRecord(parameters=dict(Parameters()), inputs=inputs)
    before = now.replace(inputs=old)
    assert provenance.compare_records(before, now) == [f"code {OTHER_RULE}"]
    assert provenance.has_published_helpers(old)
    assert provenance.has_published_helpers(inputs)
