"""The guides say what is true, and the project declares what it imports."""

import base64
import hashlib
import importlib.metadata
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from itertools import chain

import nbformat
import pytest
from distributed.cli import dask_scheduler, dask_worker
from ruamel.yaml import YAML

from pipeline import parameters
from pipeline.commands import main
from pipeline.network import published
from pipeline.paths import NOTEBOOKS, ROOT
from pipeline.reports import live
from pipeline.results.run_folder import RunFolder
from pipeline.sweeps import definition
from tests.commands import describe_range

GUIDES = ["README.md", "CONTRIBUTING.md", "SECURITY.md"]
GUIDES += ["notebooks/README.md", "notebooks/sweeps/README.md"]
README = (ROOT / "README.md").read_text()
GUIDE = (NOTEBOOKS / "README.md").read_text()
LESSON = ROOT / "lesson"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def read_markdown():
    """Return the text of each guide, and of the Markdown in each notebook."""
    paths = [ROOT / guide for guide in GUIDES]
    paths += sorted({*LESSON.glob("*.md"), *NOTEBOOKS.rglob("*.md")}.difference(paths))
    texts = [path.read_text() for path in paths]
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        cells = nbformat.read(path, 4).cells
        texts += [cell.source for cell in cells if cell.cell_type == "markdown"]
    return texts


def find_blocks(text, language):
    return "".join(re.findall(rf"```{language}\n(.*?)```", text, re.S))


def find_commands():
    """Return the commands in the blocks and in the text of Markdown."""
    lines = []
    for text in read_markdown():
        lines += find_blocks(text, "sh").splitlines()
        lines += re.findall(r"`((?:make|python -m pipeline) [^`]+)`", text)
        lines += re.findall("^(?:python -m pipeline|dask) .*", text, re.M)
    commands = [command for line in lines for command in line.split(" && ")]
    return list(dict.fromkeys(commands))


def test_the_version_and_its_date_are_the_same_everywhere(pipeline):
    citation = YAML(typ="safe").load(ROOT / "CITATION.cff")
    version, date = citation["version"], citation["date-released"]
    assert version == PROJECT["version"]
    assert pipeline("--version").stdout == f"{version}\n"
    headings = re.findall("^## (.*)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert headings[0] == f"{version}, {date}"


LINKING = [path for folder in (ROOT, LESSON) for path in folder.glob("*.md")]
LINKING += [*NOTEBOOKS.rglob("*.md"), *NOTEBOOKS.glob("*.ipynb")]


def read_headings(path):
    """Return the headings of a Markdown file or of a notebook."""
    text = path.read_text("utf-8")
    if path.suffix == ".ipynb":
        cells = nbformat.reads(text, 4).cells
        text = "\n".join(each.source for each in cells if each.cell_type == "markdown")
    return re.findall(r"^#+ (.*)", text, re.M)


def list_anchors(path):
    """Return the anchors of a page, as GitHub, JupyterLab or a browser names them."""
    if path.suffix == ".html":
        return re.findall('id="([^"]+)"', path.read_text("utf-8"))
    if path.suffix == ".ipynb":
        return [each.replace(" ", "-") for each in read_headings(path)]
    words = [re.sub(r"[^\w\- ]", "", each.lower()) for each in read_headings(path)]
    return [each.replace(" ", "-") for each in words]


@pytest.mark.parametrize("path", LINKING, ids=lambda path: path.name)
def test_links_lead_to_files_and_anchors(path):
    for target in re.findall(r"\]\(((?!https?:)[^)\s]+)\)", path.read_text("utf-8")):
        file, _, anchor = target.partition("#")
        linked = path.parent / file if file else path
        assert linked.exists(), target
        assert not anchor or anchor in list_anchors(linked), target


def find_tools():
    """Return click's commands, each by the words with which it begins."""
    tools = {"dask scheduler": dask_scheduler.main, "dask worker": dask_worker.main}
    for name, each in main.commands.items():
        tools[f"python -m pipeline {name}"] = each
    return tools


def check_command(command):
    for name, tool in find_tools().items():
        if f"{command} ".startswith(f"{name} "):
            arguments = shlex.split(command.removeprefix(name), comments=True)
            # Raises click's error if the arguments are wrong.
            tool.make_parser(tool.context_class(tool)).parse_args(arguments)
            return
    words = shlex.split(command, comments=True)
    assert words[:3] != ["python", "-m", "pipeline"]
    assert words[0] in ("make", "papermill", "conda", "uv", "source", "python", "mkdir")
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.M)
    paths = [word for word in words if re.match("(tests|notebooks)/", word)]
    assert all((ROOT / path).exists() for path in paths)


def test_the_commands_of_the_guides_exist_and_their_parameters_are_allowed():
    commands = find_commands()
    assert len(commands) > 20
    for command in commands:
        check_command(command)
        values = dict(re.findall(r" -p (\w+) (\S+)", command))
        run_dir = values.pop("run_dir", None)
        if command.startswith("papermill"):
            assert f" {run_dir}/" in command
        parameters.from_strings(values)


def test_the_guides_have_the_limits_of_pages_and_of_sweeps():
    assert f"at most {live.MAX_IMAGES:,} training images" in GUIDE
    guide = (NOTEBOOKS / "sweeps" / "README.md").read_text()
    assert f"At most {definition.MAX_POINTS:,} points" in guide


def test_the_pages_that_are_published_are_those_of_the_tested_commit():
    workflow = YAML(typ="safe").load(ROOT / ".github/workflows/pages.yml")
    job = workflow["jobs"]["pages"]
    assert "github.event.workflow_run.event == 'push'" in job["if"]
    checkout, *_ = job["steps"]
    assert checkout["with"]["ref"] == "${{ github.event.workflow_run.head_sha }}"


def test_make_clean_leaves_the_runs(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("runs", ".venv"):
        (tmp_path / name).mkdir()
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Makefile", "runs"]


def test_the_guides_have_the_metrics_of_the_runs(runs):
    for name, value in published.PUBLISHED.items():
        assert f"{name.replace('_', ' '):16}{value:>10}{value:>10}  equal" in README
    published_row = " | ".join(published.PUBLISHED.values())
    assert f"| the original, published | {published_row} |" in GUIDE
    rows = re.findall(r"^\| this project, .*? \| (.*) \|$", GUIDE, re.M)
    for row, run in zip(rows, ("default", "true-derivative"), strict=True):
        metrics = RunFolder(runs / run).read_metrics()
        expected = [getattr(metrics, name) for name in published.PUBLISHED]
        values = [float(value) for value in row.split(" | ")]
        assert values == pytest.approx(expected, abs=1e-12)
    assert RunFolder(runs / "default").read_model().sha256 in GUIDE


def test_the_guide_has_the_parameters():
    rows = re.findall(r"^\| `(\w+)` \|.*?\| `?([\w/.]+)`? \|", GUIDE, re.M)
    fields = parameters.NotebookParameters.model_fields
    names = (*parameters.NAMES, "run_dir")
    defaults = [str(fields[name].default).replace("255.0", "255") for name in names]
    assert rows == list(zip(names, defaults, strict=True))
    for name in names:
        (row,) = re.findall(rf"^\| `{name}` \|.*", GUIDE, re.M)
        assert describe_range(name) in row


def test_the_pictures_of_readme_are_those_of_the_pages():
    """If they are not, run `make pictures`."""
    recorded = (NOTEBOOKS / "pictures" / "pages.sha256").read_text().split()
    digest = hashlib.sha256((ROOT / "lesson" / "lesson.html").read_bytes()).hexdigest()
    assert recorded == [digest, "lesson.html"]
    cells = nbformat.read(NOTEBOOKS / "notes.ipynb", 4).cells
    outputs = next(cell.outputs for cell in cells if cell.id == "dose")
    (png,) = (each.data["image/png"] for each in outputs if "image/png" in each.data)
    assert base64.b64decode(png) == (NOTEBOOKS / "pictures" / "dose.png").read_bytes()


def read_lock(name):
    """Return the versions in a lock, by package."""
    text = (ROOT / name).read_text()
    return dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.M))


def test_users_and_tests_have_the_same_versions():
    users, testers = read_lock("requirements.txt"), read_lock("requirements-dev.txt")
    assert users.items() < testers.items()
    rules = ["make", "--dry-run", "--always-make", ".venv/lab"]
    commands = subprocess.check_output(rules, cwd=ROOT, text=True)
    assert "--constraint requirements-dev.txt -e '.[lab" in commands


def test_the_project_declares_what_it_imports_and_no_more():
    extras = PROJECT["optional-dependencies"]
    declared = [*PROJECT["dependencies"], *chain.from_iterable(extras.values())]
    names = {re.match(r"[\w-]+", each)[0] for each in declared}
    paths = [ROOT / "helpers.py", *ROOT.glob("pipeline/**/*.py"), *LESSON.glob("*.py")]
    sources = [path.read_text() for path in paths]
    for path in NOTEBOOKS.glob("*.ipynb"):
        cells = nbformat.read(path, 4).cells
        sources += [cell.source for cell in cells if cell.cell_type == "code"]
    statement = r"^ *(?:import|from) (\w+)[\w.]*(?: (?:import|as) .*|  #.*)?$"
    imports = re.findall(statement, "\n".join(sources), re.M)
    # anywidget brings ipywidgets.
    own = {"helpers", "lesson", "notebooks", "pipeline", "ipywidgets"}
    own |= sys.stdlib_module_names
    distributions = importlib.metadata.packages_distributions()
    imported = {distributions[name][0] for name in set(imports) - own}
    imported = {re.sub("[._]", "-", name.lower()) for name in imported}
    assert imported | {"jupyter"} == names  # of which `make lab` starts JupyterLab
