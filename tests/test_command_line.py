"""What the command line refuses, and what it imports."""

import importlib.metadata
import json
import subprocess
import sys

import numpy as np
import pytest

from pipeline.parameters import ROOT, Parameters
from pipeline.run_folder import OUTPUTS

NEVER = ["papermill", "numpy", "matplotlib", "IPython", "nbformat"]
BIG = "grid: {seed: [R], epochs: [R], hidden_size: [R], batch_size: [R], num_samples: [R], num_validation: [R]}"
SWEEPS = {
    "list.yaml": "- 1",
    "bracket.yaml": "name: a\ngrid: {seed: [1",
    "key.yaml": "name: a\ngirds: {seed: [1]}",
    "twice.yaml": "name: a\nbase: {epochs: 1, epochs: 2}",
    "value.yaml": "name: a\ngrid: {seed: [1, -1], dropout_rate: [0, 1]}",
    "many.yaml": "name: a\n" + BIG.replace("R", ", ".join(map(str, range(1, 101)))),
    "metric.yaml": "name: a\nselect: test_accuracy",
    "none.yaml": "name: a\nbase: {num_validation: 0}",
    "memory.yaml": "name: a\ngrid: {hidden_size: [1000000000]}",
}
# The arguments, and what the message has. {d} is the folder of the files; nothing may be written.
REFUSED = [
    (["run", "-p", "learning_rte", "1"], ["'learning_rte'", "Did you mean learning_rate?"]),
    (["run", "-p", "epochs", "1.5"], ["epochs is '1.5'", "a whole number from 1 to 100,000"]),
    (["run", "-p", "epochs", ""], ["epochs is ''", "a whole number from 1 to 100,000"]),
    (["run", "-p", "learning_rate", "1,5"], ["learning_rate is '1,5'", "a number above 0"]),
    (["run", "-p", "normalisation", "inf"], ["normalisation is 'inf'", "a number above 0"]),
    (["run", "-p", "dropout_rate", "1"], ["dropout_rate is '1'", "a number from 0 to below 1"]),
    (["run", "-p", "relu_grad_inactive", "2"], ["relu_grad_inactive is '2'", "0 or 1"]),
    (["run", "-p", "seed", "4294967296"], ["seed is '4294967296'", "from 0 to 4294967295"]),
    (["run", "-p", "run_dir", "x"], ["There is no parameter 'run_dir'"]),
    (["run", "-p", "epochs"], ["-p", "requires 2 arguments"]),
    (["run", "--epochs", "20"], ["No such option", "A parameter is given as: -p epochs VALUE"]),
    (["run", "-p", "source", "{d}/no.npz"], ["source is ", "nothing of that kind at {d}/no.npz"]),
    (
        ["run", "-p", "source", "{d}/empty.npz"],
        ["empty.npz has no array x_train", "keras.datasets"],
    ),
    (["run", "-p", "source", "{d}/dtype.npz"], ["x_train float64 (60, 28, 28), but must", "uint8"]),
    (["run", "-p", "source", "{d}/labels.npz"], ["y_train must hold labels from 0 to 9"]),
    (["run", "-p", "source", "{d}/cut.npz"], ["cut.npz is not a whole .npz file"]),
    (["run", "-p", "source", "{d}/small.npz"], ["num_samples 1000", "60 training images"]),
    (["run", "-p", "num_samples", "2000"], ["num_samples 2000", "2000 training images"]),
    (["run", "-p", "hidden_size", "1000000000"], ["hidden_size is 1000000000", "6,352 GB"]),
    (["run", "--run-dir", "{d}/cut.npz"], ["cut.npz", "is a file"]),
    (["sweep", "{d}/nowhere.yaml"], ["nowhere.yaml is missing", "notebooks/sweeps/small.yaml"]),
    (["sweep", "{d}/list.yaml"], ["list.yaml: the file: Input should be"]),
    (["sweep", "{d}/bracket.yaml"], ["bracket.yaml cannot be read as YAML"]),
    (["sweep", "{d}/key.yaml"], ["key.yaml: girds: Extra inputs", "base, grid, points and select"]),
    (["sweep", "{d}/twice.yaml"], ["twice.yaml cannot be read", "duplicate key", "epochs"]),
    (["sweep", "{d}/value.yaml"], ["seed is -1, but must", "dropout_rate is 1, but must be"]),
    (["sweep", "{d}/many.yaml"], ["1,000,000,000,000 points", "10,000 at most"]),
    (["sweep", "{d}/metric.yaml"], ["metric.yaml: select: Input should be 'validation_accuracy'"]),
    (["sweep", "{d}/none.yaml"], ["select is validation_accuracy, but num_validation is 0"]),
    (["sweep", "{d}/memory.yaml"], ["hidden_size is 1000000000", "6,352 GB"]),
    (["sweep", "{d}/list.yaml", "--workers", "0"], ["--workers", "0 is not in the range x>=1"]),
    (["verify", "{d}/damaged"], ["run.json is damaged", "Make the run first"]),
    (["verify", "{d}/nowhere"], ["run.json is missing", "Make the run first"]),
    (["compare", "{d}/damaged", "{d}/nowhere"], ["run.json is damaged", "Make the run first"]),
    (["compare", "{d}/damaged"], ["two to six"]),
    (["report", "{d}/damaged"], ["run.json is damaged", "Make the run first"]),
    (["report", "{d}/list.yaml"], ["list.yaml is no notebook", "Give a notebook that Jupyter"]),
    (["data", "{d}/value.yaml"], ["source is ", "nothing of that kind at {d}/value.yaml"]),
]


@pytest.fixture(scope="session")
def bad_files(tmp_path_factory):
    """A folder of sources, sweeps and a run that are not what they should be."""
    folder = tmp_path_factory.mktemp("bad")
    for name, text in SWEEPS.items():
        (folder / name).write_text(text)
    arrays = {
        "x_train": np.zeros((60, 28, 28), np.uint8),
        "y_train": np.zeros(60, np.uint8),
        "x_test": np.zeros((30, 28, 28), np.uint8),
        "y_test": np.zeros(30, np.uint8),
    }
    np.savez(folder / "small.npz", **arrays)
    np.savez(folder / "dtype.npz", **arrays | {"x_train": arrays["x_train"] / 255})
    np.savez(folder / "labels.npz", **arrays | {"y_train": arrays["y_train"] + np.uint8(10)})
    np.savez(folder / "empty.npz")
    (folder / "cut.npz").write_bytes((folder / "small.npz").read_bytes()[:1000])
    (folder / "damaged").mkdir()
    (folder / "damaged" / "run.json").write_text('{"status": "done", "parameters": {')
    return folder


@pytest.mark.parametrize(("arguments", "parts"), REFUSED, ids=lambda value: " ".join(value)[:50])
def test_a_wrong_argument_is_refused_in_one_message(
    bad_files, tmp_path, pipeline, arguments, parts, monkeypatch
):
    monkeypatch.setattr("pipeline.__main__.RUNS", tmp_path)  # whose list of runs is written
    arguments = [text.format(d=bad_files) for text in arguments]
    options = {"run": "--run-dir", "sweep": "--sweep-dir", "data": "--output"}
    if arguments[0] in options and options[arguments[0]] not in arguments:
        arguments += [options[arguments[0]], str(tmp_path / "new")]
    before = sorted(bad_files.rglob("*"))
    refused = pipeline(*arguments)
    assert refused.returncode == 2, refused.stderr
    for part in parts:
        assert part.format(d=bad_files) in refused.stderr
    assert "Traceback" not in refused.stderr
    assert refused.stderr.count("Error: ") == 1
    assert sorted(bad_files.rglob("*")) == before
    assert not (tmp_path / "new").exists()


def run_python(code):
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", ["pipeline", "pipeline.__main__", "pipeline.runs"])
def test_an_import_changes_nothing_but_its_own(name):
    changed, environ = run_python(f"""
import json, os, sys, jsonschema, multiprocessing, signal, warnings
before, environ = dict(sys.modules), dict(os.environ)
state = lambda: (signal.getsignal(2), signal.getsignal(15), warnings.filters[:], sys.path[:])
first = state()
import {name}
changed = [each for each in before if sys.modules.get(each) is not before[each]]
changed += [each for each, module in sys.modules.items() if module is None]
assert state() == first
print(json.dumps([changed, environ == dict(os.environ)]))""")
    assert changed == []
    assert environ


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["run", "-p", "epoch", "1"]])
def test_help_and_refusals_wait_for_no_large_import(arguments):
    found = run_python(f"""
import json, runpy, sys
sys.argv = ["pipeline", *{arguments}]
try:
    runpy.run_module("pipeline", run_name="__main__", alter_sys=True)
except SystemExit:
    print(json.dumps([name for name in {NEVER} if name in sys.modules]))""")
    assert found == []


def test_help_names_every_parameter_and_command(pipeline):
    text = pipeline("run", "--help").stdout
    for name, field in Parameters.model_fields.items():
        assert f"  {name:20} {field.description}; " in text
        assert f"({field.default})\n" in text
    assert pipeline("--version").stdout == f"{importlib.metadata.version('digits-by-hand')}\n"
    commands = "run data sweep verify notebooks report compare index site"
    text = pipeline("--help").stdout
    assert all(f"\n  {name}  " in text for name in commands.split())


def test_a_command_finds_paths_from_the_current_folder(tmp_path, runs, pipeline):
    refused = pipeline("verify", "default", cwd=tmp_path)
    assert f"{tmp_path}/default/run.json is missing" in refused.stderr
    assert "python -m pipeline run --run-dir default\n" in refused.stderr
    shown = pipeline("-v", "report", "default", cwd=runs)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.endswith("report: default/report.html\n")
    assert OUTPUTS[-1] == "report.html"
