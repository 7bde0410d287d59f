"""What holds the project together: the environment, the layers, and the guides."""

import ast
import base64
import graphlib
import importlib
import importlib.metadata
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from unittest import mock

import nbformat
import pytest
import yaml
from distributed.cli import dask_worker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from pipeline import parameters, published, storage
from pipeline.__main__ import main
from pipeline.notebooks import README_PICTURES
from pipeline.records import Status, SweepDefinition
from pipeline.run_folder import OUTPUTS, STAGES, RunFolder, SweepFolder
from pipeline.sweeps import definition
from tests.conftest import MADE_ONCE

ROOT = storage.ROOT
README = (ROOT / "README.md").read_text()
GUIDES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
GUIDES += [f"notebooks/{folder}README.md" for folder in ("", "data/", "sweeps/")]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ROOT / "helpers.py", *(ROOT / "pipeline").rglob("*.py"))
}


# ---- the environment -------------------------------------------------------------------------------------------


def locked():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.lstrip().startswith("#")]


def make_would(*arguments):
    """Return the lines that make would run."""
    command = ["make", "-n", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


def test_the_lock_pins_every_package_and_names_no_address():
    text = (ROOT / "requirements.txt").read_text()
    assert "://" not in text
    assert not re.search(r"^\s*-", text, re.M)
    assert all(re.fullmatch(r"==[^*]+", str(requirement.specifier)) for requirement in locked())


@pytest.mark.parametrize("version", ["3.11.0", "3.12.0", "3.13.0"])
def test_the_lock_holds_every_direct_dependency_for_each_python(version):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    direct = [Requirement(text) for text in project["project"]["dependencies"] + project["dependency-groups"]["dev"]]
    environment = {"python_version": version[:4], "python_full_version": version}
    pins = {
        requirement.name: next(iter(requirement.specifier)).version
        for requirement in locked()
        if requirement.marker is None or requirement.marker.evaluate(environment)
    }
    for requirement in direct:
        assert requirement.specifier.contains(pins[requirement.name]), requirement


def test_this_environment_is_the_lock():
    for requirement in locked():
        if requirement.marker is None or requirement.marker.evaluate():
            assert f"=={importlib.metadata.version(requirement.name)}" == str(requirement.specifier), requirement.name


def test_conda_and_make_install_the_lock_and_the_project():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["dependencies"] == ["python>=3.11,<3.14", "pip", {"pip": ["-r requirements.txt", "-e ."]}]
    lines = [
        line for line in make_would(".venv/ready", "-W", "requirements.txt") if " -r requirements.txt -e ." in line
    ]
    assert ["/uv pip install " in line for line in lines] == [True, False]  # and pip where uv cannot
    assert "/pip install " in lines[1]


def test_the_whole_package_is_installed_and_the_setting_of_kernels():
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert options["only-include"] == ["helpers.py", "pipeline"]
    for source, place in options["targets"]["wheel"]["shared-data"].items():
        installed = Path(sys.prefix) / place
        assert installed.read_bytes() == (ROOT / source).read_bytes(), installed


def test_the_citation_has_the_version_and_licence_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])


# ---- the layers ------------------------------------------------------------------------------------------------


def layers():
    """Return the layer of each module of the project, by CONTRIBUTING's table, from 0 for the one that imports none."""
    table = (ROOT / "CONTRIBUTING.md").read_text().split("| layer | where |")[1].split("\n\n")[0]
    lines = [line for line in table.splitlines() if line.startswith("| ") and "---" not in line]
    named = [re.findall(r"`([\w.]+)/?`", re.sub(r"\(.*?\)", "", line.split("|")[2])) for line in lines]
    return {name.removesuffix(".py"): place for place, names in enumerate(named) for name in names}


def module_of(name):
    """Return what CONTRIBUTING's table calls a module of the project: a folder of pipeline/ stands there as a whole."""
    return name.split(".")[name.startswith("pipeline.")]


def imports():
    """Return the project's modules, each with those of the project that it imports, inside its functions, too."""
    found = {name: set() for name in MODULES}
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found[name] |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{name} has a relative import, which provenance does not follow"
                found[name] |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name: names & set(MODULES) for name, names in found.items()}


def test_every_module_stands_in_a_layer():
    assert {module_of(name) for name in MODULES} - {"pipeline"} == set(layers())


def test_imports_point_to_lower_layers_alone_and_in_no_circle():
    place = layers() | {"pipeline": -1}
    found = imports()
    upwards = [(a, b) for a, names in found.items() for b in names if place[module_of(b)] > place[module_of(a)]]
    assert upwards == []
    graphlib.TopologicalSorter(found).prepare()  # which raises CycleError
    assert sum(map(len, found.values())) > 100


def test_imports_are_where_provenance_can_tell_them_apart_at_the_top_or_in_a_function():
    for name, path in MODULES.items():
        tree = ast.parse(path.read_text())
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        for_types = [
            node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        ]
        seen = {id(node) for block in (tree, *for_types) for node in block.body}
        seen |= {id(node) for function in functions for node in ast.walk(function)}
        assert not [node for node in ast.walk(tree) if "Import" in type(node).__name__ and id(node) not in seen], name


def test_a_module_has_at_most_300_lines():
    lines = {name: len(path.read_text().splitlines()) for name, path in MODULES.items()}
    long = {name: count for name, count in lines.items() if count > 300}
    assert not long, f"these have more than 300 lines, so probably two jobs: {long}"


# ---- the README and the guides ---------------------------------------------------------------------------------


def commands(guide):
    """Return the commands in a guide's blocks of sh, in order."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / guide).read_text(), re.S)
    return [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]


def test_every_command_of_the_guides_is_known_here():
    """CI runs make run, make test and uv run, the tests in a browser make lab, and the tests that follow the others."""
    shown = {guide: [shlex.join(command[:4]) for command in commands(guide)] for guide in GUIDES if commands(guide)}
    names = ("run", "sweep", "compare", "verify", "report", "report", "index")
    without_make = ["uv run --no-project --with-requirements"] * 2
    readme = ["make run", "make test", *without_make, "make lab", *(f"python -m pipeline {name}" for name in names)]
    assert shown.pop("README.md") == readme
    assert {guide: [command.split()[0] for command in found] for guide, found in shown.items()} == {
        "CONTRIBUTING.md": [".venv/bin/pytest"] * 3,
        "notebooks/README.md": ["papermill"] * 2,
        "notebooks/sweeps/README.md": ["python"],
    }
    assert commands("notebooks/sweeps/README.md")[0] in commands("README.md")


def test_containers_start_on_the_same_lock_and_a_supported_python():
    (line,) = (ROOT / ".binder" / "requirements.txt").read_text().splitlines()
    assert (ROOT / ".binder" / line.removeprefix("-r ")).resolve() == ROOT / "requirements.txt"
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    assert container["postCreateCommand"] == "make run"
    supported = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    for python in ((ROOT / ".binder" / "runtime.txt").read_text(), container["image"]):
        assert re.search(r"\d+\.\d+", python)[0] in SpecifierSet(supported)


def test_the_readmes_pipeline_commands_work(tmp_path, pipeline, runs):
    shutil.copytree(runs / "default", tmp_path / "default")
    shutil.copytree(runs / "true-derivative", tmp_path / "true-derivative")
    for _, _, _, *command in [command for command in commands("README.md") if command[0] == "python"]:
        if command[0] in ("run", "sweep"):  # which have made `runs`
            assert [word for word in command if word not in ("--run-dir", "runs/true-derivative")] in MADE_ONCE.values()
            continue
        moved = [str(tmp_path / Path(word).name) if word.startswith("runs/") else word for word in command]
        elsewhere = {"compare": ["--output", tmp_path / "compared.html"], "index": [tmp_path]}
        elsewhere["report"] = ["--output", tmp_path / "why.html"] if moved[-1].endswith(".ipynb") else []
        done = pipeline(*moved, *elsewhere.get(command[0], []))
        assert done.returncode == 0, done.stderr
    metrics = json.loads((runs / "true-derivative" / "metrics.json").read_text())
    (row,) = re.findall(r"^\| ours, `relu_grad_inactive` 0 \| (.*) \|$", README, re.M)
    names = ("train_error", "train_accuracy", "test_error", "test_accuracy")
    assert [float(value) for value in row.split(" | ")] == pytest.approx([metrics[name] for name in names], abs=1e-12)
    assert f"{metrics['test_accuracy']:.2%}".replace("%", " %") in README


def test_the_papermill_commands_of_the_guide_work_without_a_warning(tmp_path):
    for command in commands("notebooks/README.md"):
        moved = [text.replace("runs/slow", str(tmp_path / "slow")) for text in command]
        done = subprocess.run([sys.executable, "-m", *moved], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "WARNING" not in done.stderr
    assert "learning_rate = 0.001" in (tmp_path / "slow-02.ipynb").read_text()
    assert (tmp_path / "slow" / "model.npz").exists()


def collected(arguments):
    """Return how many tests pytest would run."""
    command = [sys.executable, "-m", "pytest", *arguments, "--collect-only", "-p", "no:cacheprovider"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stdout
    return sum("::" in line for line in shown.stdout.splitlines())


def test_the_test_commands_of_contributing_find_tests():
    files = (ROOT / "tests").rglob("test_*.py")
    names = [name for path in files for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)]
    for command in commands("CONTRIBUTING.md"):
        for word in command[1:]:
            assert (ROOT / word).exists() or word in ("-k", "-n0") or any(word in name for name in names), word


def test_the_hooks_before_a_commit_are_what_make_lint_runs_with_types_and_the_order_of_every_notebook():
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    entries = {hook["id"]: shlex.split(hook["entry"]) for hook in local["hooks"]}
    assert collected(entries["notebooks-top-to-bottom"][1:]) == len(list(storage.NOTEBOOKS.glob("*.ipynb")))
    lint = "\n".join(make_would("lint"))
    assert shlex.join(entries["ruff-check"]) in lint
    assert shlex.join(entries["ruff-format"]) in lint
    assert re.search(r"^\S*mypy\b", lint, re.M)
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]
    assert options["strict"]
    assert set(options["files"]) == {"helpers.py", "pipeline"}


def test_every_make_target_that_a_guide_names_exists():
    for guide in GUIDES:
        for target in set(re.findall(r"(?:`|^)make (\w+)", (ROOT / guide).read_text(), re.M)):
            make_would(target)


def text_blocks_of_sweeps():
    return re.findall(r"```text\n(.*?)```", (ROOT / "notebooks/sweeps/README.md").read_text(), re.S)


def test_the_commands_of_what_sweeps_selected_are_points_of_these():
    for name, command in zip(("original_images", "all_of_mnist"), text_blocks_of_sweeps()[2:], strict=True):
        given = main.commands["run"].make_context("run", shlex.split(command)[4:]).params["given"]
        sweep = definition.read(storage.NOTEBOOKS / "sweeps" / f"{name}.yaml")
        points = definition.points_of(sweep, SweepFolder(ROOT / "runs/sweeps" / name))
        assert parameters.from_strings(dict(given)) in [point.parameters for point in points]


def test_the_commands_for_other_machines_are_what_dask_and_a_sweep_take():
    block, certificate = text_blocks_of_sweeps()[:2]
    assert certificate.startswith("openssl req -x509 ")
    scheduler, worker, sweep = [shlex.split(line) for line in block.splitlines()]
    assert scheduler == ["dask", "scheduler", "--host", "HOST"]  # not on every interface
    assert worker[:2] == ["dask", "worker"]
    assert sweep[:4] == ["python", "-m", "pipeline", "sweep"]
    chosen = dask_worker.main.make_context("worker", worker[2:]).params
    assert chosen["scheduler"] == worker[2]
    assert (chosen["n_workers"], chosen["nthreads"]) == ("-1", 1)
    assert main.commands["sweep"].make_context("sweep", sweep[4:]).params["scheduler"] == worker[2]


def test_the_readmes_metrics_are_the_published_ones():
    for name, value in published.PUBLISHED.items():
        assert f"{name.replace('_', ' '):16}{value:>10}{value:>10}  equal" in README
    assert f"| the original, published | {' | '.join(published.PUBLISHED.values())} |" in README


def test_the_readmes_speeds_are_the_notebooks():
    (printed,) = [
        "".join(output.text for output in cell.outputs if output.output_type == "stream")
        for cell in nbformat.read(storage.NOTEBOOKS / "speed.ipynb", 4).cells
        if cell.id == "measured"
    ]
    speeds = dict(re.findall(r"^(.*?)  +([\d.]+) times as fast", printed, re.M))
    columns = ["ours", "JAX, compiled scan", "the original's loop", "Keras fit", "PyTorch", "scikit-learn"]
    row = " | ".join(f"{float(speeds[name]):.2g}" for name in columns)
    assert f"| {row} |" in README
    alone = float(speeds["the original's, NumPy alone"])
    assert f"is {1 / alone:.2g} times slower" in README


def test_the_readmes_parameter_table_is_the_definition():
    rows = re.findall(r"^\| `(\w+)` \| .*? \| `?([\w/.]+)`? \| ", README.split("## Parameters")[1], re.M)
    defaults = {name: str(parameters.field_of(name).default) for name in (*parameters.NAMES, "run_dir")}
    defaults["normalisation"] = "255"
    assert dict(rows) == defaults


def test_the_readmes_pictures_are_the_notebooks():
    shown = re.findall(r"!\[(.{40,}?)\]\((notebooks/pictures/\w+\.png)\)", README)
    assert {path for _, path in shown} == {f"notebooks/pictures/{name}" for name in README_PICTURES.values()}
    drawn = {
        README_PICTURES[cell.id]: base64.b64decode(output.data["image/png"])
        for stage in STAGES
        for cell in nbformat.read(storage.NOTEBOOKS / f"{stage}.ipynb", 4).cells
        if cell.id in README_PICTURES
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    }
    for name in README_PICTURES.values():
        assert (storage.NOTEBOOKS / "pictures" / name).read_bytes() == drawn[name], "make notebooks writes them"


def anchors(path):
    """Return the anchors that GitHub gives the headings of a file."""
    headings = re.findall(r"^#+ (.*)", path.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("guide", GUIDES)
def test_the_links_of_a_guide_lead_somewhere(guide):
    for target in re.findall(r"\]\(([^)]+)\)", (ROOT / guide).read_text()):
        if "://" not in target:
            file, _, anchor = target.partition("#")
            path = (ROOT / guide).parent / file if file else ROOT / guide
            assert path.exists(), target
            assert not anchor or anchor in anchors(path), target


def rows_of(guide, heading):
    """Return the first cells of the rows of the table with such a heading."""
    table = (ROOT / guide).read_text().split(f"| {heading} |", 1)[1].split("\n\n")[0]
    return [line.split("|")[1].strip() for line in table.splitlines()[2:]]


def test_the_guides_tables_are_what_there_is():
    names = [re.match(r"\[(\w+)\]", row)[1] for row in rows_of("notebooks/README.md", "notebook")]
    there = sorted(path.stem for path in storage.NOTEBOOKS.glob("*.ipynb"))
    assert sorted(names) == there, "the first table of notebooks/README.md has other notebooks than the folder"
    files = re.findall(r"`([\w.]+)`", " ".join(rows_of("notebooks/README.md", "file")))
    assert sorted(files) == sorted([*OUTPUTS, "run.json"])
    assert rows_of("notebooks/README.md", "status") == list(Status)
    assert set(rows_of("notebooks/sweeps/README.md", "status")) < set(Status)
    sweeps = [re.match(r"\[([\w.]+)\]", row)[1] for row in rows_of("notebooks/sweeps/README.md", "file")]
    assert sorted(sweeps) == sorted(path.name for path in (storage.NOTEBOOKS / "sweeps").glob("*.yaml"))
    entries = [row.strip("`") for row in rows_of("notebooks/sweeps/README.md", "entry")]
    assert entries == list(SweepDefinition.model_fields)


def test_the_guides_name_what_the_code_has():
    walk = (ROOT / "CONTRIBUTING.md").read_text().split("## The walk")[1].split("## Tests")[0]
    table = (ROOT / "notebooks/README.md").read_text().split("## Glossary")[1]
    modules = {name.rsplit(".", 1)[-1]: name for name in MODULES}
    for name in re.findall(r"`([a-zA-Z]\w*\.\w+)(?:\(.*?\))?`", walk + table):
        owner, attribute = name.split(".")
        found = RunFolder if owner == "RunFolder" else importlib.import_module(modules[owner])
        assert hasattr(found, attribute), name
    (line,) = re.findall(r"`(row\[.*?)`", walk)
    assert line in (ROOT / "helpers.py").read_text()


def test_the_guides_lines_of_python_are_what_the_modules_take(runs, monkeypatch, capsys):
    (lines,) = re.findall(r"```python\n(.*?)```", (ROOT / "notebooks/README.md").read_text(), re.S)
    for module, name in (("runs", "run"), ("sweeps.execution", "run_sweep"), ("console", "show")):
        module = importlib.import_module(f"pipeline.{module}")
        monkeypatch.setattr(module, name, mock.create_autospec(getattr(module, name)))
    exec(lines.replace('"runs/mine"', repr(str(runs / "default"))), {})
    assert capsys.readouterr().out == "0.7942 (784, 40)\n"


def lab_command():
    """Return what `make lab` runs, which the tests in a browser do."""
    (line,) = [line for line in make_would("lab") if "jupyter lab" in line]
    return shlex.split(line)[1:]
