"""What the command line refuses, and what it imports."""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from pipeline.parameters import Parameters
from pipeline.paths import ROOT
from pipeline.records import Status
from pipeline.results.files import lock
from pipeline.results.run_folder import RunFolder

HUNDRED = list(range(1, 101))
SIX = ("seed", "epochs", "hidden_size", "batch_size", "num_samples", "num_validation")
SWEEPS = {
    "list.yaml": "- 1",
    "key.yaml": "name: a\ngirds: {seed: [1]}",
    "twice.yaml": "name: a\nbase: {epochs: 1, epochs: 2}",
    "value.yaml": "name: a\ngrid: {dropout_rate: [0, 1]}",
    "many.yaml": f"name: a\ngrid: {json.dumps(dict.fromkeys(SIX, HUNDRED))}",
    "metric.yaml": "name: a\nselect: test_accuracy",
    "none.yaml": "name: a\nbase: {num_validation: 0}",
}
# Arguments, and parts of the message; nothing may be written. {d} is the files' folder.
REFUSED = {
    "run -p learning_rte 1": ["'learning_rte'", "Did you mean learning_rate?"],
    "run -p epochs 1.5": ["epochs is '1.5'", "a whole number from 1 to 100,000"],
    "run -p normalisation inf": ["normalisation is 'inf'", "a number above 0"],
    "run -p dropout_rate 1": ["dropout_rate is '1'", "a number from 0 to below 1"],
    "run -p seed 4294967296": ["seed is '4294967296'", "from 0 to 4294967295"],
    "run -p run_dir x": ["Write: python -m pipeline run --run-dir x\n"],
    "run -p learning_rate=0.01": ["Write: -p learning_rate 0.01\n"],
    "run -p epochs=1 -p seed 5": ["Write: -p epochs 1\n"],
    "run mine": ["unexpected extra argument (mine)"],
    "run --epochs 20": ["No such option", "A parameter is given as: -p epochs VALUE"],
    "run -p source {d}/no.npz": ["source is '{d}/no.npz', but must be 'sample'"],
    "run -p source {d}/empty.npz": ["empty.npz has no array x_train", "keras.datasets"],
    "run -p source {d}/dtype.npz": ["x_train float64 (60, 28, 28), but must", "uint8"],
    "run -p source {d}/labels.npz": ["y_train must hold labels from 0 to 9"],
    "run -p source {d}/cut.npz": ["cut.npz is not a whole .npz file"],
    "run -p source {d}/bare.npz": [
        "is one array, as np.save writes it",
        "an .npz file",
    ],
    "run -p source {d}/encrypted.npz": ["is encrypted", "Use an .npz file"],
    "run -p source {d}/bytes.npz": ["bytes.npz has no array x_train. Use an .npz file"],
    "run -p source {d}/text.npz": ["has y_train |S1 (60,), but must have uint8 (60,)"],
    "run -p source {d}/empty.csv": ["It has 0 classes, and needs 2 to 10"],
    "run -p source {d}/last.csv": ["It has 1 class,", "The first column is the label"],
    "run -p source {d}/small.npz -p num_samples 1000": [
        "1000 + 1000",
        "has 60 training images",
        "num_samples 48",
    ],
    "run -p hidden_size 1000000000": [
        "hidden_size is '1000000000'",
        "from 1 to 1,000,000",
    ],
    "run --run-dir {d}/cut.npz": ["cut.npz", "is a file"],
    "run --run-dir {d}/cut.npz/a": ["cut.npz/a is below a file, {d}/cut.npz. Choose"],
    "report {d}/list.ipynb --output {d}/cut.npz/a.html": [
        "is below a file, {d}/cut.npz"
    ],
    "sweep {d}/nowhere.yaml": [
        "nowhere.yaml",
        "A sweep has a name, and may have base, grid",
    ],
    "sweep {d}/list.yaml": ["list.yaml", "Input should be"],
    "sweep {d}/key.yaml": ["key.yaml", "girds: Extra inputs", "halving and select"],
    "sweep {d}/twice.yaml": ["twice.yaml", "line 2", "duplicate key"],
    "sweep {d}/value.yaml": [
        "dropout_rate is 1, but must be a number from 0 to below 1"
    ],
    "sweep {d}/many.yaml": ["more than 10,000 points"],
    "sweep {d}/metric.yaml": [
        "metric.yaml",
        "select: Input should be 'train_error'",
    ],
    "sweep {d}/none.yaml": ["select is validation_accuracy, but num_validation is 0"],
    "sweep {d}/list.yaml --workers 0": ["--workers", "0 is not in the range x>=1"],
    "verify {d}/damagde": ["{d}/damagde is not there. Name a run or a sweep."],
    "verify {d}/nowhere": ["{d}/nowhere is not there. Name a run or a sweep."],
    "verify {d}/pointless": ["sweep.json is damaged (ids: Dictionary should have at"],
    "index {d}/nowhere": ["nowhere' does not exist"],
    "sweep {d}/list.yaml --scheduler=": ["--scheduler needs an address, tcp"],
    "sweep {d}/list.yaml --scheduler tcp://h:1 --workers 2": [
        "--scheduler needs an address, tcp://HOST:8786, and takes no --workers"
    ],
    "verify {d}/damaged": ["run.json is damaged", "Run the notebooks before this one"],
    "compare {d}/damaged {d}/nowhere": [
        "run.json is damaged",
        "Run the notebooks before this one",
    ],
    "report {d}/damaged": ["run.json is damaged", "Run the notebooks before this one"],
    "report {d}/list.yaml": [
        "list.yaml is no notebook",
        "Give a notebook that Jupyter",
    ],
    "data {d}/value.yaml": ["source is '{d}/value.yaml', but must be"],
}


@pytest.fixture(scope="module")
def bad_files(tmp_path_factory):
    """A folder of sources, sweeps and a run that are damaged or wrong."""
    folder = tmp_path_factory.mktemp("bad")
    for name, text in SWEEPS.items():
        (folder / name).write_text(text)
    images, labels = np.zeros((60, 28, 28), np.uint8), np.zeros(60, np.uint8)
    arrays = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    np.savez(folder / "small.npz", **arrays)
    np.savez(folder / "dtype.npz", **arrays | {"x_train": images / 255})
    np.savez(folder / "labels.npz", **arrays | {"y_train": labels + np.uint8(10)})
    np.savez(folder / "empty.npz")
    (folder / "cut.npz").write_bytes((folder / "small.npz").read_bytes()[:1000])
    np.save(folder / "bare.npy", images)
    (folder / "bare.npy").rename(folder / "bare.npz")
    np.savez(folder / "text.npz", **arrays | {"y_train": labels.astype("S1")})
    with zipfile.ZipFile(folder / "bytes.npz", "w") as archive:
        archive.writestr("x_train", b"no array")
    encrypted = bytearray((folder / "small.npz").read_bytes())
    for signature, flags in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        for header in re.finditer(signature, encrypted):
            encrypted[header.start() + flags] |= 1  # says that this file is encrypted
    (folder / "encrypted.npz").write_bytes(encrypted)
    (folder / "empty.csv").touch()
    rows = [[*([0] * 784), number % 3] for number in range(30)]
    (folder / "last.csv").write_text("\n".join(str(row)[1:-1] for row in rows))
    (folder / "list.ipynb").write_text("[1]")
    (folder / "pointless").mkdir()
    (folder / "pointless" / "sweep.json").write_text('{"name": "s", "ids": {}}')
    (folder / "damaged").mkdir()
    (folder / "damaged" / "run.json").write_text('{"status": "done", "parameters": {')
    return folder


@pytest.mark.parametrize(("command", "parts"), REFUSED.items(), ids=str)
def test_a_wrong_argument_is_refused_in_one_message(
    bad_files, tmp_path, pipeline, command, parts
):
    arguments = command.format(d=bad_files).split()
    options = {"run": "--run-dir", "sweep": "--sweep-dir", "data": "--output"}
    if arguments[0] in options and "--run-dir" not in arguments:
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
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("name", ["pipeline", "pipeline.__main__"])
def test_an_import_changes_nothing_of_the_process(name):
    code = f"""
import os, sys, jsonschema, multiprocessing, signal, warnings
before = dict(sys.modules)
find = lambda: (signal.getsignal(2), warnings.filters[:], sys.path[:], dict(os.environ))
state = find()
import {name}
assert all(sys.modules[each] is module for each, module in before.items())
assert None not in sys.modules.values() and find() == state
print({"set(sys.modules) - set(before)" if name == "pipeline" else "'equal'"})"""
    assert run_python(code) == ("{'pipeline'}" if name == "pipeline" else "equal")


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["run", "-p", "epoch", "1"]]
)
def test_help_and_refusals_wait_for_no_large_import(arguments):
    code = f"""
import runpy, sys
sys.argv = ["pipeline", *{arguments}]
try:
    runpy.run_module("pipeline", run_name="__main__", alter_sys=True)
except SystemExit:
    slow = {{"papermill", "numpy", "matplotlib", "IPython", "nbformat"}}
    print(slow & set(sys.modules))"""
    assert run_python(code) == "set()"


QUICK = """
import sys
from multiprocessing import forkserver
from pipeline.__main__ import call_main

sys.argv = ["pipeline", *{arguments}]
code = call_main()
slow = {{"papermill", "nbconvert", "nbformat", "IPython", "numba"}}
print(code, slow & set(sys.modules), forkserver._forkserver._forkserver_pid)"""


def test_a_finished_run_imports_little_and_starts_no_process(runs):
    arguments = ["run", "--run-dir", str(runs / "default")]
    assert run_python(QUICK.format(arguments=arguments)) == "0 set() None"


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "-p", "source", "nowhere.npz"],
        ["run", "-p", "num_samples", "5000"],
        ["sweep", "nowhere.yaml"],
    ],
)
def test_a_refused_command_starts_no_process(arguments):
    assert run_python(QUICK.format(arguments=arguments)).endswith(" None")


def test_help_names_every_parameter_and_its_default(pipeline):
    text = pipeline("run", "--help").stdout
    for name, field in Parameters.model_fields.items():
        assert f"  {name:20} {field.description}; " in text
        assert f"({field.default})\n" in text
    assert (
        pipeline("--version").stdout
        == f"{importlib.metadata.version('digits-by-hand')}\n"
    )


def test_a_path_begins_in_the_current_folder(runs, pipeline, monkeypatch):
    monkeypatch.chdir(runs)
    refused = pipeline("compare", "none", "default")
    assert f"{runs}/none/run.json is missing" in refused.stderr
    assert refused.stderr.endswith("/none\n")
    assert pipeline("report", "default").stdout == "report: default/report.html\n"


def test_a_run_that_is_being_replaced_is_not_verified(tmp_path, pipeline):
    with lock(tmp_path):
        refused = pipeline("verify", tmp_path)
    message = f"Error: Another command is writing to {tmp_path}. Wait for it.\n"
    assert (refused.returncode, refused.stderr) == (1, message)


def test_outside_the_environment_a_command_says_to_activate_it():
    command = [sys.executable, "-S", "-m", "pipeline", "run"]  # without packages
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    advice = "Activate the environment first: source .venv/bin/activate\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", advice)


@pytest.mark.parametrize("command", ["run -p epochs 1 --run-dir {t}/run", "index {t}"])
def test_a_command_whose_reader_has_left_ends_quietly(tmp_path, command):
    with subprocess.Popen(
        [sys.executable, "-m", "pipeline", *command.format(t=tmp_path).split()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1
    if command.startswith("run"):
        record = RunFolder(tmp_path / "run").read_record()
        assert record.status == Status.INTERRUPTED


def test_an_install_without_the_project_says_what_it_needs(tmp_path):
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    install = ["uv", "pip", "install", "--quiet", "--system-certs", "--no-deps"]
    uv = [sys.executable, "-m", *install, "--target", str(site), str(ROOT)]
    subprocess.run(uv, check=True)

    def call(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "pipeline", *arguments],
            capture_output=True,
            text=True,
            cwd=empty,
            env=os.environ
            | {"PYTHONPATH": str(site)},  # comes before an editable install
        )

    refused = call("run")
    assert refused.returncode == 2
    place = f"The notebooks are not at {site / 'notebooks'}: "
    assert refused.stderr.startswith(
        f"Error: {place}digits needs the project's folder."
    )
    assert refused.stderr.count("\n") == 1
    assert not list(empty.iterdir())
    assert not (site / "runs").exists()
    assert (
        call("--version").stdout == f"{importlib.metadata.version('digits-by-hand')}\n"
    )
    assert "Parameters, and their defaults:" in call("run", "--help").stdout
