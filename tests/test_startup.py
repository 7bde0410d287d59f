"""Start-up: what is not imported, since nobody should wait for it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import console, storage

LEFT_OUT = {"rfc3987_syntax", "rfc3986_validator", "isoduration"}  # in pipeline/__init__.py


def imported(code):
    """Return the packages that a process has imported when it has run the code."""
    code = (
        f"import sys\n{code}\nprint('imported:', *(name.split('.')[0] for name, found in sys.modules.items() if found))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split("imported: ")[1].split())


COMMAND = """
import contextlib, io, runpy
sys.argv = ["pipeline", *{arguments}]
nowhere = io.StringIO()
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
    runpy.run_module("pipeline", run_name="__main__")
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "--help"],
        ["run", "-p", "epochs", "0"],
        ["run", "-p", "epoch", "1"],
        ["run", "-p", "source", "nowhere"],
        ["data", "nowhere"],
        ["sweeps"],
    ],
)
def test_help_and_wrong_arguments_import_neither_numpy_nor_jupyter(arguments):
    found = imported(COMMAND.format(arguments=arguments))
    assert "click" in found
    assert not found & {"numpy", "numba", "jupyter_client", "nbformat", "papermill", "pandas", "dask"}


def test_notebooks_and_reports_do_without_the_formats_that_no_notebook_has():
    assert not imported("import pipeline.notebooks, pipeline.reports.rendering") & LEFT_OUT


def test_without_the_environment_one_line_says_to_activate_it(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nsys.path[:] = [p for p in sys.path if 'site-packages' not in p]"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "run"], cwd=storage.ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: click is not installed here. Activate the environment first: source .venv")


@pytest.mark.parametrize("path", [{}, {"PYTHONPATH": f"{os.pathsep}/nowhere"}])  # of which the first is here, too
def test_files_where_one_stands_may_have_the_names_of_packages(path, tmp_path):
    for name in ("random", "click", "statistics", "pydantic"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('of a student')")
    command = [sys.executable, "-m", "pipeline", "--help"]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("script", ["pipeline", "pipeline/__main__.py"])
def test_the_package_as_a_script_is_refused_with_how_to_start_it(script):
    done = subprocess.run([sys.executable, script, "run"], cwd=storage.ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.endswith("Start it from the project's folder: python -m pipeline\n")


@pytest.mark.parametrize(
    "words",
    [
        ["-p", "epochs=20", "--run-dir", "x"],
        ["-p", "epochs=20"],
        ["--epochs", "20"],
        ["-p", "epochs", "--run-dir", "x"],
    ],
)
def test_a_parameter_that_is_given_in_another_way_is_answered_with_the_right_one(pipeline, words):
    refused = pipeline("run", *words)
    assert refused.returncode == 2
    assert refused.stderr.endswith("A parameter is given as: -p epochs VALUE\n")
    assert "Got unexpected extra argument" not in refused.stderr  # of --run-dir, which is given rightly
    refused = pipeline("run", "--learning-rate-decay", "0.9")
    assert refused.stderr.endswith("\nA parameter is given as: -p learning_rate_decay VALUE\n")


def test_another_mistake_beside_a_parameter_that_is_given_rightly_has_no_such_hint(pipeline):
    assert "A parameter is given as" not in pipeline("run", "-p", "epochs", "20", "--wrong").stderr


def test_what_two_threads_of_a_run_would_import_at_once_is_imported_before():
    """A kernel's start imports IPython, and so does the report that is prepared beside it: Python allows for one."""
    assert {"IPython", "pygments"} <= imported("import pipeline.notebooks, pipeline.reports.rendering")


def test_nbformat_by_itself_imports_the_grammar_of_uris():
    """If this fails, pipeline/__init__.py need not leave it out any more: delete that there, and these two tests."""
    assert imported("import nbformat") >= LEFT_OUT


def test_alone_it_shows_what_people_do_and_each_of_these_commands_exists(pipeline):
    shown = pipeline()
    assert shown.returncode == 2
    done = re.findall(r"^    python -m pipeline (\w+) ", shown.stderr, re.M)
    listed = re.findall(r"^  (\w+)  +[A-Z]", shown.stderr, re.M)
    assert len(done) == 5
    assert set(done) <= set(listed)
    assert "..." not in shown.stderr.split("Commands:")[1]  # no description is cut short
    assert "Did you mean 'sweep'?" in pipeline("swep").stderr


@pytest.mark.parametrize(("words", "completed"), [("digits ve", "verify"), ("digits run --fo", "--force")])
def test_a_shell_can_complete_the_installed_command(words, completed):
    code = "import sys; sys.argv = ['digits']; from pipeline.__main__ import command_line; command_line()"
    asked = {"_DIGITS_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | asked)
    assert done.stdout == f"plain,{completed}\n"


def test_what_was_written_is_named_from_where_one_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert console.wrote("report", tmp_path / "a" / "b.html") == "report: a/b.html"
    assert console.wrote("report", Path("/elsewhere/b.html")) == "report: /elsewhere/b.html"


def test_a_command_from_a_folder_that_has_gone_is_refused_with_what_to_do(pipeline, monkeypatch, tmp_path):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    refused = pipeline("verify", "runs/default")
    assert refused.returncode == 2
    message = f"Error: The folder in which you stand has been removed. Go elsewhere: cd {storage.ROOT}\n"
    assert refused.stderr == message


def test_a_folder_is_named_from_where_one_stands(pipeline, monkeypatch):
    for here, named in ((storage.ROOT, "nothing"), (storage.NOTEBOOKS, "../nothing"), (storage.NOTEBOOKS, "nothing")):
        monkeypatch.chdir(here)
        refused = pipeline("verify", named)
        assert refused.returncode == 2
        assert f"Error: {(here / named).resolve() / 'run.json'} is not there" in refused.stderr
    shown = pipeline("data", "../nothing")
    assert f"There is nothing of that kind at {storage.ROOT / 'nothing'}." in shown.stderr
