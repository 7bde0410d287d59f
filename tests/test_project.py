"""What holds the project together: the environment, the README, and JupyterLab as `make lab` starts it."""

import base64
import json
import re
import shlex
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement

from pipeline import files, parameters, results, run

ROOT = files.ROOT
README = (ROOT / "README.md").read_text()


# ---- the environment -------------------------------------------------------------------------------------------


def locked():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.lstrip().startswith("#")]


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
    """What runs these tests has the versions that the lock names."""
    frozen = subprocess.run([sys.executable, "-m", "pip", "freeze"], capture_output=True, text=True).stdout
    installed = dict(line.split("==") for line in frozen.splitlines() if "==" in line)
    installed = {name.lower().replace("_", "-").replace(".", "-"): version for name, version in installed.items()}
    for requirement in locked():
        if requirement.marker is None or requirement.marker.evaluate():
            name = requirement.name.lower().replace("_", "-").replace(".", "-")
            assert f"=={installed[name]}" == str(requirement.specifier), name


def test_conda_gets_python_pip_the_lock_and_the_project():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, section = environment["dependencies"]
    assert python == "python>=3.11,<3.14"
    assert pip == "pip"
    assert section == {"pip": ["-r requirements.txt", "-e ."]}


def test_make_installs_exactly_condas_pip_section():
    shown = subprocess.run(
        ["make", "-n", "-W", "requirements.txt", ".venv/ready"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    (install,) = [line for line in shown.stdout.splitlines() if "pip install" in line]
    assert install.endswith(" -r requirements.txt -e .")


# ---- the README ------------------------------------------------------------------------------------------------


def readme_commands():
    blocks = re.findall(r"```sh\n(.*?)```", README, re.S)
    return [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]


def test_every_command_of_the_readme_is_known_here():
    """make run and make test are what CI runs; the others are run by the tests that follow."""
    assert [command[:3] for command in readme_commands()] == [
        ["make", "run"],
        ["make", "test"],
        ["make", "lab"],
        ["python", "-m", "pipeline"],
        ["python", "-m", "pipeline"],
        ["papermill", "notebooks/01_prepare.ipynb", "runs/slow-01.ipynb"],
        ["papermill", "notebooks/02_train.ipynb", "runs/slow-02.ipynb"],
        ["python", "-m", "pipeline"],
        ["python", "-m", "pipeline"],
        ["python", "-m", "pipeline"],
        ["python", "-m", "pipeline"],
        ["python", "-m", "pipeline"],
    ]


def test_the_readmes_pipeline_commands_work(tmp_path, pipeline):
    for _, _, _, *arguments in [command for command in readme_commands() if command[0] == "python"]:
        if "--run-dir" in arguments:
            arguments[arguments.index("--run-dir") + 1] = str(tmp_path / "run")
        if arguments[0] == "sweep":
            arguments += ["--sweep-dir", str(tmp_path / "sweep")]
        if arguments[0] == "index":
            arguments.append(str(tmp_path))
        if arguments[0] == "compare":  # here with a point of that sweep
            point = next((tmp_path / "sweep").glob("*/run.json")).parent
            arguments[1:] = [str(tmp_path / "run"), str(point), "--output", str(tmp_path / "compared.html")]
        if arguments[0] == "verify":
            arguments[1] = str(tmp_path / "run")
        if arguments[0] == "report":
            arguments += ["--output", str(tmp_path / "why.html")]
        done = pipeline(*arguments)
        assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    (row,) = re.findall(r"^\| ours, `relu_grad_at_zero` 0 \| (.*) \|$", README, re.M)
    names = ("train_error", "train_accuracy", "test_error", "test_accuracy")
    assert [float(figure) for figure in row.split(" | ")] == pytest.approx([metrics[name] for name in names], abs=1e-12)
    assert f"{metrics['test_accuracy']:.2%}".replace("%", " %") in README


def test_the_readmes_papermill_commands_work(tmp_path):
    for command in [command for command in readme_commands() if command[0] == "papermill"]:
        moved = [text.replace("runs/slow", str(tmp_path / "slow")) for text in command]
        done = subprocess.run([sys.executable, "-m", *moved], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert "learning_rate = 0.001" in (tmp_path / "slow-02.ipynb").read_text()
    assert (tmp_path / "slow" / "model.npz").exists()


def test_the_readmes_figures_are_the_published_ones():
    for row in results.compare_with_published(
        {"train_error": 0.0, "train_accuracy": 0.0, "test_error": 0, "test_accuracy": 0}
    ):
        assert f"{row.name:16}{row.published:>10}{row.published:>10}  equal" in README
        assert row.published in README


def test_the_readmes_speeds_are_the_notebooks():
    (printed,) = [
        "".join(output.text for output in cell.outputs if output.output_type == "stream")
        for cell in nbformat.read(run.NOTEBOOKS / "speed.ipynb", 4).cells
        if cell.id == "measured"
    ]
    speeds = dict(re.findall(r"^(.*?)  +([\d.]+) times as fast", printed, re.M))
    wanted = ["ours", "JAX, compiled scan", "the original's loop", "Keras fit", "PyTorch", "scikit-learn"]
    row = " | ".join(f"{float(speeds[name]):.2g}" for name in wanted)
    assert f"| {row} |" in README
    alone = float(speeds["the original's, NumPy alone"])
    assert f"is {1 / alone:.2g} times slower" in README


def test_the_readmes_parameter_table_is_the_definition():
    rows = re.findall(r"^\| `(\w+)` \| .*? \| `?([\w/.]+)`? \| ", README.split("## Parameters")[1], re.M)
    defaults = {name: str(field.default) for name, field in parameters.Parameters.model_fields.items()}
    defaults["normalisation"] = "255"
    assert dict(rows) == defaults


def test_the_readmes_pictures_are_the_notebooks():
    shown = re.findall(r"!\[(.{40,}?)\]\((notebooks/pictures/\w+\.png)\)", README)
    assert {path for _, path in shown} == {f"notebooks/pictures/{name}" for name in run.PICTURES.values()}
    drawn = {
        run.PICTURES[cell.id]: base64.b64decode(output.data["image/png"])
        for stage in run.STAGES
        for cell in nbformat.read(run.NOTEBOOKS / f"{stage}.ipynb", 4).cells
        if cell.id in run.PICTURES
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    }
    for name in run.PICTURES.values():
        assert (run.NOTEBOOKS / "pictures" / name).read_bytes() == drawn[name], "make notebooks writes them"


def test_the_readmes_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert "://" in target or (ROOT / target).exists(), target


# ---- JupyterLab ------------------------------------------------------------------------------------------------


def lab_command():
    """What `make lab` runs."""
    shown = subprocess.run(["make", "-n", "lab"], cwd=ROOT, capture_output=True, text=True, check=True)
    (line,) = [line for line in shown.stdout.splitlines() if "jupyter lab" in line]
    return shlex.split(line)[1:]


def test_make_lab_serves_the_notebooks():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyter", *lab_command()]
    command += ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--IdentityProvider.token=test"]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}/api/contents/notebooks?token=test"
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(url) as answer:
                    names = {entry["name"] for entry in json.load(answer)["content"]}
                break
            except urllib.error.URLError:
                assert server.poll() is None, "JupyterLab ended"
                assert time.monotonic() < deadline, "JupyterLab did not answer within a minute"
                time.sleep(0.2)
        assert {"01_prepare.ipynb", "02_train.ipynb", "03_evaluate.ipynb"} <= names
    finally:
        server.terminate()
        server.wait()
