"""What the command line refuses, and what it imports."""

import contextlib
import os
import shlex
import subprocess
import sys

import numpy as np
import pytest

from pipeline import commands
from pipeline.__main__ import StandardStream
from pipeline.paths import NOTEBOOKS, ROOT

# Does as `python -m pipeline --version` does, and then opens a file.
OPEN_STREAMS = """
import os, runpy, sys
sys.argv = ["pipeline", "--version"]
exit = os._exit
os._exit = lambda code: exit(code or os.open(os.curdir, os.O_RDONLY) < 3)
runpy.run_module("pipeline", run_name="__main__")
"""
# Arguments, and what the message names. {d} is the folder of `bad_files`.
REFUSED = {
    "run -p learning_rte 1": "Did you mean learning_rate?",
    "run -p epochs 1.5": "epochs is '1.5'",
    "run -p run_dir x": "There is no parameter 'run_dir'",
    "run mine": "(mine)",
    "run -p source {d}/no.npz": "source is '{d}/no.npz'",
    "run -p source {d}/cut.npz": "{d}/cut.npz is not a whole .npz file",
    "run -p source {d}/small.npz -p num_samples 1000": "num_samples 48",
    "run --run-dir {d}/cut.npz": "cut.npz",
    "report {d}/s.yaml": "{d}/s.yaml is not a notebook",
    "report {d}/damaged": "{d}/damaged/run.json is damaged",
    "run -p source ~nobody/pictures": "source is '",
    "sweep {d}/nowhere.yaml": "{d}/nowhere.yaml does not exist",
    "sweep {d}/s.yaml": "{d}/s.yaml is not a sweep: girds",
    "sweep {d}/s.yaml --workers 0": "--workers",
    "sweep {d}/s.yaml --scheduler tcp://h:1 --workers 2": "no --workers",
    "compare {d}/damaged {d}/nowhere": "{d}/damaged/run.json is damaged",
    "compare {d}/nowhere {d}/damaged": "{d}/nowhere does not exist",
    "verify {d}/damaged": "{d}/damaged/run.json is damaged",
    "verify {d}/nowhere": "{d}/nowhere",
    "verify {d}": "{d} holds neither a run nor a sweep",
    "verify {d}/damaged_sweep": "{d}/damaged_sweep/sweep.json ",
}


@pytest.fixture(scope="module")
def bad_files(tmp_path_factory):
    """A folder of sources, a sweep and runs that are damaged or wrong."""
    folder = tmp_path_factory.mktemp("bad")
    images, labels = np.zeros((60, 28, 28), np.uint8), np.zeros(60, np.uint8)
    arrays = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    np.savez(folder / "small.npz", **arrays)
    (folder / "cut.npz").write_bytes((folder / "small.npz").read_bytes()[:1000])
    texts = {
        "s.yaml": "name: a\ngirds: {seed: [1]}",
        "list.ipynb": "[1]",
        "damaged_sweep/sweep.json": '{"name": "s"}',
        "damaged/run.json": '{"status": "done", "parameters": {',
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(("command", "name"), REFUSED.items(), ids=str)
def test_a_wrong_argument_is_refused_in_one_message(
    bad_files, tmp_path, pipeline, command, name
):
    arguments = command.format(d=bad_files).split()
    options = {"run": "--run-dir", "sweep": "--sweep-dir"}
    if arguments[0] in options and "--run-dir" not in command:
        arguments += [options[arguments[0]], str(tmp_path / "new")]
    before = sorted(bad_files.rglob("*"))
    refused = pipeline(*arguments)
    assert refused.returncode == 2, refused.stderr
    assert name.format(d=bad_files) in refused.stderr
    assert "Traceback" not in refused.stderr
    assert refused.stderr.count("Error: ") == 1
    assert sorted(bad_files.rglob("*")) == before
    assert not (tmp_path / "new").exists()


def test_help_waits_for_no_large_import():
    code = "import sys, pipeline.commands; print(*sys.modules)"
    modules = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert not {"papermill", "numpy", "matplotlib", "IPython"}.intersection(modules)


def test_a_dry_run_writes_nothing(pipeline, tmp_path):
    file = NOTEBOOKS / "sweeps" / "small.yaml"
    done = pipeline("sweep", file, "--sweep-dir", tmp_path / "sweep", "--dry-run")
    assert done.returncode == 0
    assert not list(tmp_path.iterdir())


def test_a_path_begins_in_the_current_folder(runs, pipeline, monkeypatch):
    monkeypatch.chdir(runs)
    refused = pipeline("compare", "none", "default")
    assert f"{runs}/none does not exist" in refused.stderr
    assert pipeline("report", "default").stdout == "report: default/report.html\n"


@pytest.fixture
def pipe():
    """The two ends of a pipe, to read from and to write to."""
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


def test_a_command_goes_on_when_nobody_reads_its_output_any_more(pipe):
    read, write = pipe
    os.close(read)
    stream = StandardStream(write)
    for _ in range(2):
        stream.write("lost\n")


def test_a_name_that_is_no_utf_8_is_printed_with_its_bytes(pipe):
    read, write = pipe
    StandardStream(write).write("caf\udce9.png\n")
    assert os.read(read, 100) == rb"caf\udce9.png" + b"\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_a_command_opens_the_streams_that_are_closed(closed):
    """A folder is listed by a free number: it must not be that of a stream."""
    script = f"{shlex.join([sys.executable, '-c', OPEN_STREAMS])} {closed}"
    assert subprocess.run(["bash", "-c", script], cwd=ROOT).returncode == 0


def test_outside_the_environment_a_command_says_to_activate_it():
    command = [sys.executable, "-S", "-m", "pipeline", "run"]  # without packages
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(": source .venv/bin/activate\n")


def test_an_install_without_the_project_says_what_it_needs(
    pipeline, tmp_path, monkeypatch
):
    monkeypatch.setattr(commands, "NOTEBOOKS", tmp_path / "notebooks")
    refused = pipeline("run", "--run-dir", tmp_path / "run")
    assert refused.returncode == 2
    assert f"not at {tmp_path / 'notebooks'}: " in refused.stderr
    assert not list(tmp_path.iterdir())
