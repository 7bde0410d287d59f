"""Runs end to end, through the command line, and as a library."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from unittest import mock

import nbformat
import numpy as np
import pexpect
import psutil
import pytest
from bs4 import BeautifulSoup

from pipeline import fork_server, notebooks, parameters, provenance, published, stages, storage
from pipeline import runs as runs_module
from pipeline.errors import InvalidData, InvalidParameter, InvalidRecord
from pipeline.images import DIGITS
from pipeline.records import METRICS
from pipeline.reports import rendering
from pipeline.run_folder import MADE, OUTPUTS, STAGES, RunFolder
from tests.conftest import write_small_source

SMALL = {"num_samples": 40, "num_validation": 10, "epochs": 2, "hidden_size": 5}


def options(values):
    return [text for name, value in values.items() for text in ("-p", name, value)]


def contents(folder):
    """Return content and time of each file of a folder, but for its lock."""
    paths = [path for path in sorted(folder.iterdir()) if path.name != storage.LOCK]
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


def record_of(folder):
    return json.loads((folder / "run.json").read_text())


def copy_project(folder):
    """Copy what runs need, so that a run, and what it writes to runs/, is not the user's. Return how to run there."""
    for name in ("pipeline", "notebooks"):
        shutil.copytree(storage.ROOT / name, folder / name)
    shutil.copy2(storage.ROOT / "helpers.py", folder)
    compiled = storage.ROOT / "__pycache__"
    if compiled.exists():  # Numba's, which saves a compilation
        shutil.copytree(compiled, folder / "__pycache__")
    return {"cwd": folder, "env": os.environ | {"PYTHONPATH": str(folder)}}


@pytest.fixture(scope="session")
def often_saved(shared):
    """Return how to run in a copy of the project that saves a training ten times as often, so that it can be short."""

    def make(folder):
        copy_project(folder)
        checkpoints = folder / "pipeline" / "checkpoints.py"
        text = checkpoints.read_text()
        assert text.count("seconds: float = 2.0") == 1
        checkpoints.write_text(text.replace("seconds: float = 2.0", "seconds: float = 0.2"))

    folder = shared("often_saved", make)
    return {"cwd": folder, "env": os.environ | {"PYTHONPATH": str(folder)}}


@pytest.fixture(scope="session")
def made_once(shared):
    """Return a folder with a finished run of a few images, made as by a library, its source and its log beside it."""

    def make(folder):
        values, run = {"source": str(write_small_source(folder)[0])} | SMALL, str(folder / "run")
        script = f"from pipeline import parameters, runs\nruns.run(parameters.from_values({values}), {run!r})"
        done = subprocess.run([sys.executable, "-c", script], cwd=storage.ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        (folder / "log").write_text(done.stdout + done.stderr)

    return shared("small", make)


@pytest.fixture
def small_run(made_once, tmp_path):
    """Return a copy of that run, and the arguments that would make it again."""
    folder = tmp_path / "run"
    shutil.copytree(made_once / "run", folder)
    source = made_once / "small.npz"
    return folder, ["run", "--run-dir", folder, *options({"source": source} | SMALL)]


# ---- results ---------------------------------------------------------------------------------------------------


def test_the_default_run_gives_the_published_metrics(runs):
    log = (runs / "default.log").read_text()
    for name, value in {"train error": "0.420", "train accuracy": "0.817", "test error": "0.429"}.items():
        assert f"{name:16}{value:>10}{value:>10}  equal" in log
    assert "test accuracy       0.7942    0.7942  equal" in log
    assert "I:99 Train-Err:0.420 Train-Acc:0.817\nTest-Err:0.429 Test-Acc:0.7942\n" in log
    assert f"report: {runs / 'default' / 'report.html'}" in log
    metrics = json.loads((runs / "default" / "metrics.json").read_text())
    assert metrics["train_error"] == pytest.approx(0.42039163449803, abs=1e-12)
    assert metrics["test_error"] == pytest.approx(0.42936252114571, abs=1e-12)
    assert (metrics["train_accuracy"], metrics["test_accuracy"]) == (0.817, 0.7942)
    assert metrics["weights_sha256"] == "ebf6a5840e35c96db0737370bf9e523cdf7a0522d11a06e747ebb00c2c9f03d6"


def test_a_terminal_shows_the_stage_and_the_epoch_and_in_the_end_neither(tmp_path, small_source):
    values = SMALL | {"source": small_source[0], "epochs": 3000}
    command = ["-m", "pipeline", "run", "--run-dir", str(tmp_path / "run"), *map(str, options(values))]
    child = pexpect.spawn(sys.executable, command, dimensions=(40, 100), encoding="utf-8", timeout=120)
    child.expect(r"01_prepare\.ipynb \.\.\.")
    child.expect(r"02_train\.ipynb, 3000 epochs  I:\d+ Train-Err:")
    child.expect(r"\r\x1b\[K02_train\.ipynb  \d+\.\d s")  # the line is cleared for the next
    child.expect(pexpect.EOF)


def test_the_true_gradient_gives_the_other_metrics_and_names_what_differs(runs):
    log = (runs / "true-derivative.log").read_text()
    metrics = json.loads((runs / "true-derivative" / "metrics.json").read_text())
    assert metrics["train_error"] == pytest.approx(0.2745660507842, abs=1e-12)
    assert metrics["test_error"] == pytest.approx(0.3350810442969, abs=1e-12)
    assert (metrics["train_accuracy"], metrics["test_accuracy"]) == (0.897, 0.85)
    assert "\ntest accuracy       0.7942      0.85\n" in log
    assert "What differs from the original: relu_grad_inactive 0\n" in log


def test_a_network_without_mistakes_is_reported_too(tmp_path, pipeline):
    """Two digits that one pixel tells apart: nothing to confuse, and eight digits without images."""
    labels = np.arange(60, dtype=np.uint8) % 2
    images = np.zeros((60, 28, 28), np.uint8)
    images[:, 10:18, 10:18] = np.where(labels, 255, 0)[:, None, None]
    images[:, 2:6, 2:6] = 255
    np.savez(tmp_path / "easy.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    easy = {"source": tmp_path / "easy.npz", "num_samples": 50, "num_validation": 10, "dropout_rate": 0, "epochs": 30}
    done = pipeline("run", "--run-dir", tmp_path / "run", *options(easy))
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["test_accuracy"] == 1
    report = (tmp_path / "run" / "report.html").read_text()
    assert "none: every answer is correct" in report
    assert "with the mistakes beside the diagonal: there are none" in report


# ---- what a run writes -----------------------------------------------------------------------------------------


def test_a_run_writes_its_files_and_nothing_else(made_once):
    folder, source = made_once / "run", made_once / "small.npz"
    notebooks = ["01_prepare.ipynb", "02_train.ipynb", "03_evaluate.ipynb"]
    assert sorted(contents(folder)) == sorted([*notebooks, *MADE, "report.html", "run.json"])
    record = record_of(folder)
    assert record["status"] == "done"
    assert record["parameters"] == parameters.from_values({"source": str(source)} | SMALL).model_dump()
    assert record["inputs"]["data"] == storage.sha256_of_file(source)
    assert set(record["inputs"]["notebooks"]) == set(STAGES)
    assert record["inputs"]["code"]["helpers.py"] == storage.sha256_of_file(storage.ROOT / "helpers.py")
    assert record["inputs"]["versions"]["numpy"] == np.__version__
    with np.load(source) as arrays:
        assert record["arrays"] == {name: storage.sha256_of(arrays[name]) for name in arrays}
    assert record["outputs"] == {name: storage.sha256_of_file(folder / name) for name in OUTPUTS}
    metrics = json.loads((folder / "metrics.json").read_text())
    model, history = RunFolder(folder).read_model(), json.loads((folder / "history.json").read_text())
    assert metrics["weights_sha256"] == storage.sha256_of(model.weights_0_1, model.weights_1_2)
    assert history[-1].items() <= metrics.items()


def test_parameters_reach_the_notebooks_that_declare_them(made_once):
    injected = [
        cell.source
        for stage in STAGES
        for cell in nbformat.read(made_once / "run" / f"{stage}.ipynb", 4).cells
        if "injected-parameters" in cell.metadata.get("tags", [])
    ]
    for line, of_stages in {
        "num_samples = 40": [True, False, False],
        "hidden_size = 5": [False, True, False],
        "normalisation = 255.0": [False, True, False],
    }.items():
        assert [line in source for source in injected] == of_stages


def test_a_folder_name_may_hold_braces_and_spaces_and_the_folder_a_lock_left_over(tmp_path, small_source, pipeline):
    folder = tmp_path / "a {b} c"
    folder.mkdir()
    (folder / storage.LOCK).touch()  # of a run that was killed before it wrote anything
    done = pipeline("run", "--run-dir", folder, *options({"source": small_source[0]} | SMALL))
    assert done.returncode == 0, done.stderr
    assert "Replacing" not in done.stdout
    assert (folder / "metrics.json").exists()


# ---- when a run runs again -------------------------------------------------------------------------------------


def test_a_finished_run_is_left_alone_also_without_its_lock(small_run, pipeline):
    folder, arguments = small_run
    (folder / storage.LOCK).unlink()
    before = contents(folder)
    again = pipeline(*arguments)
    assert again.returncode == 0
    assert "is finished, and nothing that it depends on has changed" in again.stdout
    assert "test accuracy" in again.stdout
    assert contents(folder) == before


WITHOUT_POSIX = """
import os, signal
for module, names in {
    os: ("fork", "forkpty"),
    signal: ("SIGALRM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGXCPU", "setitimer", "ITIMER_REAL"),
}.items():
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
"""  # what Windows has not, as far as it can be taken away elsewhere


def test_what_a_user_has_elsewhere_has_no_part_in_a_run(tmp_path):
    """Neither modules of the same names, also where one stands, nor what Numba, IPython and others read first."""
    home, stand, other = tmp_path / "home", tmp_path / "stand", tmp_path / "other"
    for path, content in {
        stand / "random.py": "raise ImportError('of a student')",
        other / "helpers.py": "raise ImportError('of another project')",
        home / ".ipython" / "profile_default" / "startup" / "00.py": "epochs = seed = 'mine'; max = range = None",
        home / "startup.py": "epochs = seed = 'mine'; max = range = None",
        home / ".config" / "matplotlib" / "matplotlibrc": "# of Gödel\ntext.usetex: True",
        stand / "matplotlibrc": "\xff",
        stand / ".numba_config.yaml": "- 1",
        other / "nbconvert" / "templates" / "base" / "conf.json": "no JSON",
        other / "nbconvert" / "templates" / "base" / "display_priority.j2": "of another's page",
        other / "kernels" / "python3" / "kernel.json": "no JSON",
    }.items():
        storage.write_whole(path, content.encode("latin-1"))
    own = {
        "PYTHONPATH": str(other),
        "HOME": str(home),
        "PYTHONSTARTUP": str(home / "startup.py"),
        "XDG_CONFIG_HOME": "",
        "MATPLOTLIBRC": str(stand / "matplotlibrc"),
        "JUPYTER_PATH": str(other),
        "JPY_PARENT_PID": "of a server",
        "PYTHONDEVMODE": "1",  # which tells what is still open in the end
        "NUMBA_CPU_FEATURES": "none such",
        "NUMBA_NUM_THREADS": "0",
        "NUMBA_OPT": "much",
    }
    arguments = ["digits", "run", "--run-dir", str(tmp_path / "run")]
    code = f"import sys; sys.argv = {arguments}; from pipeline.__main__ import command_line; command_line()"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=stand, env=os.environ | own, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert RunFolder(tmp_path / "run").read_metrics().weights_sha256 == published.WEIGHTS_SHA256
    assert "of another's page" not in (tmp_path / "run" / "report.html").read_text()


def test_what_changes_while_a_run_works_fails_it(small_run, monkeypatch, pipeline):
    folder, again = small_run
    inputs_of, calls = provenance.inputs_of, []

    def changing(chosen, *stages):
        calls.append(chosen)
        found = inputs_of(chosen, *stages)
        return found if len(calls) == 1 else found.model_copy(update={"code": found.code | {"helpers.py": "1" * 64}})

    monkeypatch.setattr(provenance, "inputs_of", changing)
    done = pipeline(*again, "--force")
    assert done.returncode == 1
    assert "Error: Something changed while it was run: code helpers.py, which was " in done.stderr
    assert record_of(folder)["status"] == "failed"
    assert not (folder / "metrics.json").exists()


def test_a_run_whose_notebook_is_removed_meanwhile_has_failed_and_says_how_to_restore_it(
    small_run, monkeypatch, pipeline
):
    folder, again = small_run
    gone = storage.NOTEBOOKS / "gone.ipynb"
    monkeypatch.setattr(
        "pipeline.stages.execute",
        lambda *_: notebooks.execute(gone, folder / "03_evaluate.ipynb", watched=False),
    )
    done = pipeline(*again, "--force")
    assert done.returncode == 1
    assert "gone.ipynb is not there. Correct it, or restore it: git checkout notebooks/gone.ipynb" in done.stderr
    assert record_of(folder)["status"] == "failed"


def test_a_run_whose_folder_another_has_taken_meanwhile_leaves_it_to_that(small_run, monkeypatch, pipeline):
    folder, again = small_run
    theirs = RunFolder(folder).read_record()
    theirs = theirs.changed(started=theirs.started + timedelta(hours=1))
    monkeypatch.setattr("pipeline.stages.execute", lambda found, chosen: found.write_record(theirs))
    done = pipeline(*again, "--force")
    assert done.returncode == 1
    assert f"Error: {folder} was removed or written to by another meanwhile. Run it again." in done.stderr
    assert RunFolder(folder).read_record() == theirs


def test_a_run_needs_neither_forks_nor_alarms(tmp_path, pipeline):
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_POSIX)
    done = pipeline("run", "--run-dir", tmp_path / "run", env=os.environ | {"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert RunFolder(tmp_path / "run").read_metrics().weights_sha256 == published.WEIGHTS_SHA256


@pytest.mark.parametrize(
    ("place", "held"), [("small", "sweep.json"), (".", "default/run.json|true-derivative/run.json|small/sweep.json")]
)
def test_a_run_in_a_folder_of_a_sweep_or_of_runs_is_refused_and_nothing_is_written(runs, pipeline, place, held):
    def files():
        return {path: path.stat().st_mtime_ns for path in (runs / "small").rglob("*") if path.name != storage.LOCK}

    before = files()
    refused = pipeline("run", "--run-dir", runs / place)
    assert refused.returncode == 2
    assert re.search(rf"which holds other results: ({held})\. Choose another folder\.", refused.stderr)
    (point, *_) = (runs / "small").glob("*/run.json")
    refused = pipeline("run", "--run-dir", point.parent)
    assert "the folder of a point of a sweep. Choose another folder." in refused.stderr
    for place, reason in ((point.parent, "the folder of a point of a sweep"), (runs / "small", "holds other results")):
        with pytest.raises(InvalidParameter, match=reason):  # as of 01_prepare run alone
            RunFolder(place).write_data(RunFolder(runs / "default").read_data())
    assert files() == before


def test_force_runs_again_to_the_same_weights(small_run, pipeline):
    folder, arguments = small_run
    before = contents(folder)
    assert pipeline(*arguments, "--force").returncode == 0
    after = contents(folder)
    assert after["metrics.json"][0] == before["metrics.json"][0]
    assert all(after[name][1] > before[name][1] for name in before)


def test_a_changed_input_or_output_runs_again_and_is_named(small_run, tmp_path, pipeline):
    folder, _ = small_run
    (folder / "model.npz").write_bytes(b"")
    (folder / "report.html").unlink()
    path, arrays = write_small_source(tmp_path)
    np.savez(path, **arrays | {"y_test": arrays["y_test"][::-1]})
    again = pipeline("run", "--run-dir", folder, *options({"source": path} | SMALL | {"seed": 2}))
    assert again.returncode == 0, again.stderr
    assert "seed, which was 1 and is 2" in again.stdout
    assert f"and is {path}" in again.stdout
    assert f"and is {storage.sha256_of_file(path)[:12]}..." in again.stdout
    assert "model.npz, which has been removed or altered since" in again.stdout
    assert all((folder / name).stat().st_size for name in ("model.npz", "report.html"))
    assert record_of(folder)["parameters"]["seed"] == 2


def test_a_network_larger_than_memory_is_refused_and_the_finished_run_stays(small_run, pipeline):
    folder, arguments = small_run
    arguments[arguments.index("hidden_size") + 1], before = 10**9, contents(folder)
    refused = pipeline(*arguments)
    assert refused.returncode == 2
    assert "hidden_size is 1000000000, but its weights take 6,352 GB of memory, and this machine has " in refused.stderr
    assert contents(folder) == before


def test_a_download_that_fails_leaves_the_finished_run(small_run, monkeypatch, pipeline):
    def fail(source):
        raise InvalidData(f'The source "{source}" could not be loaded')

    folder, arguments = small_run
    monkeypatch.setattr("pipeline.datasets._load_from_keras", fail)
    arguments[arguments.index("source") + 1], before = "mnist", contents(folder)
    refused = pipeline(*arguments)
    assert (refused.returncode, refused.stderr) == (2, 'Error: The source "mnist" could not be loaded\n')
    assert contents(folder) == before


def test_where_a_wrong_answer_is_as_likely_as_the_true_one_it_is_among_the_mistakes(capsys):
    cells = {cell.id: cell.source for cell in nbformat.read(storage.NOTEBOOKS / "03_evaluate.ipynb", 4).cells}
    true, shown = np.repeat([0, 1], 15), mock.Mock()
    names = {"np": np, "true": true, "answers": np.zeros(30, int), "scores": np.zeros((30, 10)), "plots": shown}
    exec(cells["mistakes-drawn"], names | {"names": DIGITS, "data": mock.Mock(x_test=np.zeros((30, 784)))})
    assert capsys.readouterr().out == ""
    assert shown.digits.call_args[0][1] == ["answer 0,\ntrue 1"] * 15


def test_files_of_notebooks_run_alone_are_replaced_and_the_reason_given(small_run, pipeline):
    folder, arguments = small_run
    (folder / "run.json").unlink()
    again = pipeline(*arguments)
    assert again.returncode == 0
    assert "files in this folder that belong to no finished run" in again.stdout


@pytest.mark.parametrize(
    ("owner", "fails", "status"),
    [(Path, "unlink", "failed"), (RunFolder, "clear", "failed"), (RunFolder, "write_record", "done")],
)
def test_where_old_files_cannot_be_removed_the_record_is_true(small_run, monkeypatch, pipeline, owner, fails, status):
    folder, arguments = small_run
    before, original = contents(folder), getattr(owner, fails)

    def fail(path, *rest, **options):
        if owner is Path and path.name != "metrics.json":
            return original(path, *rest, **options)
        raise PermissionError(1, "Operation not permitted", "x")

    monkeypatch.setattr(owner, fails, fail)
    failed = pipeline(*arguments, "--force")
    assert (failed.returncode, "Operation not permitted: x." in failed.stderr) == (1, True)
    assert record_of(folder)["status"] == status
    if status == "done":
        assert contents(folder) == before


def test_a_report_that_is_gone_is_written_again_without_training(small_run, pipeline):
    folder, arguments = small_run
    before = contents(folder)
    (folder / "report.html").unlink()
    assert "Its report is written again, as it has been removed or altered." in pipeline(*arguments).stdout
    after = contents(folder)
    assert {name for name in after if after[name] != before[name]} == {"report.html", "run.json"}


def test_a_checkpoint_is_kept_where_something_else_has_changed_and_goes_with_force(small_run, monkeypatch):
    folder, _ = small_run
    record = record_of(folder)
    record["inputs"]["notebooks"]["03_evaluate"] = "0" * 64
    (folder / "run.json").write_text(json.dumps(record | {"status": "interrupted"}))
    (folder / "checkpoint.npz").touch()
    found = []
    monkeypatch.setattr(runs_module, "_run_stages", lambda *_: found.append((folder / "checkpoint.npz").exists()))
    for force in (False, True):
        with contextlib.suppress(InvalidRecord):  # the summary finds nothing, since nothing was run
            runs_module.run(parameters.from_values(record["parameters"]), str(folder), force)
    assert found == [True, False]


def test_a_changed_report_template_makes_the_report_again_and_nothing_else(small_run, pipeline):
    folder, arguments = small_run
    record = record_of(folder)
    (folder / "run.json").write_text(json.dumps(record | {"report_code": "0" * 64}))
    before = contents(folder)
    again = pipeline(*arguments)
    assert "Its report is written again" in again.stdout
    after = contents(folder)
    assert {name for name in after if after[name] != before[name]} == {"report.html", "run.json"}
    assert record_of(folder)["report_code"] == record["report_code"]


# ---- what is refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (["-p", "learning_rte", "1"], ["no parameter 'learning_rte'", "Did you mean learning_rate?"]),
        (["-p", "epochs", "0"], ["epochs is '0', but must be a whole number from 1 to 10^5. Its default is 100."]),
        (["-p", "epochs", "x", "-p", "seed", "-1"], ["epochs is 'x'", "seed is '-1'"]),
        (["-p", "source", "nowhere/none.npz"], ["There is nothing of that kind at", "nowhere/none.npz"]),
        (["-p", "num_samples", "1900", "-p", "num_validation", "101"], ["1900 + 101 = 2001, but the source"]),
        (["-p", "learning_rate", "-1e-3"], ["learning_rate is '-1e-3', but must be a number above 0"]),
        (["-p", "seed", "1", "-p", "seed", "2"], ["seed is given more than once: 1, 2"]),
        (["-p", "run_dir", "elsewhere"], ["run_dir is given more than once: elsewhere"]),
        (["--run-dir", "notebooks/data/x"], ["run_dir is 'notebooks/data/x', where the project's own files are."]),
        (["--run-dir", "README.md"], ["run_dir is 'README.md', but"]),
        (["-p", "epochs"], ["requires 2 arguments"]),
        (["--frobnicate"], ["No such option", "--frobnicate"]),
    ],
)
def test_a_wrong_argument_exits_with_2_a_message_and_nothing_written(tmp_path, pipeline, arguments, messages):
    refused = pipeline("run", "--run-dir", tmp_path / "run", *arguments)
    assert refused.returncode == 2
    for message in messages:
        assert message in refused.stderr
    assert "Traceback" not in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_run_does_not_overwrite_its_own_source(tmp_path, small_source, pipeline):
    source = small_source[0].rename(tmp_path / "data.npz")
    before = source.read_bytes()
    refused = pipeline("run", "--run-dir", tmp_path, "-p", "source", source)
    assert refused.returncode == 2
    assert "which the results would overwrite" in refused.stderr
    assert source.read_bytes() == before


def test_a_run_does_not_overwrite_files_that_no_run_made(tmp_path, pipeline):
    (tmp_path / "data.npz").write_text("precious")
    (tmp_path / "report.html").write_text("mine")
    refused = pipeline("run", "--run-dir", tmp_path)
    assert refused.returncode == 2
    assert "but data.npz is not a whole .npz file" in refused.stderr
    assert "It would be written over: move it away, or choose another place." in refused.stderr
    assert (tmp_path / "data.npz").read_text() == "precious"


# ---- failures and stops ----------------------------------------------------------------------------------------


def test_a_run_that_diverges_names_the_cell_and_leaves_the_notebook_with_its_error(small_run, pipeline):
    folder, arguments = small_run
    failed = pipeline(*arguments, "-p", "normalisation", "0.001")
    assert failed.returncode == 1
    for part in (
        "02_train.ipynb failed in the cell 'loop' (In [",
        "Diverged: The error became",
        "in epoch 1, with learning_rate 0.005 and normalisation 0.001",
        "Make learning_rate smaller",
        str(folder / "02_train.ipynb"),
    ):
        assert part in failed.stderr
    assert "Traceback" not in failed.stderr
    assert f"To see it as a page: python -m pipeline report {folder / '02_train.ipynb'}" in failed.stderr
    assert sorted(contents(folder)) == ["01_prepare.ipynb", "02_train.ipynb", "data.npz", "run.json"]
    assert record_of(folder)["status"] == "diverged"
    assert "Diverged" in record_of(folder)["error"]
    outputs = [o for cell in nbformat.read(folder / "02_train.ipynb", 4).cells for o in cell.get("outputs", [])]
    assert [output.ename for output in outputs if output.output_type == "error"] == ["Diverged"]
    assert not [output for output in outputs if output.get("name") == "stderr"]  # no flood of warnings
    assert pipeline("report", folder).returncode == 0
    page = BeautifulSoup((folder / "report.html").read_text(), "html.parser")
    assert page.h1.text == f"Run {folder.name}: diverged"
    assert page.h1.find_next("p").text.startswith("02_train.ipynb failed in the cell 'loop' (In [")
    assert "Diverged" in page.find_all(class_="output")[-1].text  # nothing of what was not executed follows
    assert "papermill" not in page.main.text
    (refused,) = pipeline("verify", folder).stderr.splitlines()
    assert "holds no finished run: its status is diverged. 02_train.ipynb failed in the cell 'loop'" in refused
    assert refused.endswith("Name the folder of a finished one.")  # to run it again would end the same
    repaired = pipeline(*arguments)
    assert repaired.returncode == 0
    assert "the last run in this folder, which did not finish (its status is diverged)" in repaired.stdout


def test_pixels_divided_by_nearly_nothing_have_diverged_and_the_folder_can_be_used_again(small_run, pipeline):
    folder, arguments = small_run
    failed = pipeline(*arguments, "-p", "normalisation", "5e-324")
    assert failed.returncode == 1
    assert "Diverged: The error became nan in epoch 1, with learning_rate 0.005 and normalisation" in failed.stderr
    assert "Warning" not in failed.stderr
    record = record_of(folder)
    assert record["status"] == "diverged"
    (folder / "data.npz").write_bytes(b"cut")  # a failed run knows its own files even if they are not readable
    record["outputs"]["data.npz"] = storage.sha256_of_file(folder / "data.npz")
    (folder / "run.json").write_text(json.dumps(record))
    assert pipeline(*arguments).returncode == 0


LONG = {"source": "sample", "hidden_size": 400, "epochs": 5000}


@pytest.fixture
def training(tmp_path, often_saved):
    """Return a run that is training, which will take minutes, and its kernel."""
    folder, scratch = tmp_path / "run", tmp_path / "scratch"
    scratch.mkdir()
    arguments = ["run", "--run-dir", folder, *options(LONG)]
    command = [sys.executable, "-m", "pipeline", *map(str, arguments)]
    running = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=often_saved["cwd"],
        env=often_saved["env"] | {"TMPDIR": str(scratch)},
        # which a shell that has started these tests in the background may have had ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    while not RunFolder(folder).checkpoint.exists():
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (server,) = [child for child in psutil.Process(running.pid).children() if fork_server.__name__ in child.cmdline()]
    (kernel,) = server.children()
    yield folder, arguments, running, kernel
    running.kill()
    running.communicate(timeout=60)


def test_a_second_run_in_a_folder_is_refused_until_the_first_has_ended_even_killed(training, pipeline):
    folder, arguments, running, _ = training
    before = {path.name for path in folder.iterdir() if path.suffix != ".part"}
    refused = pipeline(*arguments, "--force")
    assert refused.returncode == 1
    assert f"Another command is writing to {folder}" in refused.stderr
    assert running.poll() is None
    assert before <= {path.name for path in folder.iterdir()}
    running.kill()
    running.communicate(timeout=60)
    assert (folder / storage.LOCK).exists()
    with storage.lock(folder):  # as the next run does
        pass


def check_stopped(folder, running, code, status):
    _, errors = running.communicate(timeout=60)
    assert running.returncode == code
    assert "Traceback" not in errors
    assert record_of(folder)["status"] == status
    assert (folder / "02_train.ipynb").exists()
    assert not (folder / "metrics.json").exists()
    return errors


def test_a_kernel_that_dies_twice_is_a_failed_run_and_the_cell_is_named(training):
    folder, _, running, kernel = training
    parent = kernel.parent()
    kernel.kill()
    while not (again := [child for child in parent.children() if child != kernel]):
        assert running.poll() is None
    while "cell 'loop'" not in (text := running.stdout.readline()):
        assert text
    checkpoint = folder / "checkpoint.npz"
    before = checkpoint.stat().st_mtime_ns
    while checkpoint.stat().st_mtime_ns == before:
        assert running.poll() is None
    again[0].kill()
    errors = check_stopped(folder, running, 1, "kernel died")
    assert "02_train.ipynb: its kernel was killed by SIGKILL in the cell 'loop'." in errors


@pytest.mark.parametrize(
    ("sent", "code"), [([signal.SIGTERM], 143), ([signal.SIGINT, signal.SIGTERM], 130), ([signal.SIGHUP] * 2, 129)]
)
def test_a_run_that_is_stopped_by_a_signal_is_interrupted_also_if_another_comes(training, sent, code):
    folder, _, running, kernel = training
    scratch = Path(psutil.Process(running.pid).environ()["TMPDIR"])
    assert list(scratch.iterdir())
    (folder / ".checkpoint.npz.0123abcd.part").touch()  # as if the kernel were just writing it
    for number in sent:
        running.send_signal(number)
        while re.search(r"ShdPnd:\s0*[1-9a-f]", Path(f"/proc/{running.pid}/status").read_text()):
            time.sleep(0.01)  # else two threads might be given the two in either order
    errors = check_stopped(folder, running, code, "interrupted")
    by = "" if code == 130 else f" by {sent[0].name}"
    assert errors == f"\nInterrupted{by}. Give the same command again to go on.\n"
    assert "Stopped by" in record_of(folder)["error"]
    kernel.wait(timeout=5)
    assert list(scratch.iterdir()) == []
    assert list(folder.glob(".*.part")) == []


def test_a_run_whose_disk_is_slow_as_it_cleans_up_is_interrupted_too(tmp_path):
    """Where writing the record would take too long, it is written without waiting for the disk."""
    script = f"""
import os, signal, sys, time
from pipeline import __main__, signals, stages
signals.CLEAN_UP_PERIOD, fsync = 0.1, os.fsync
os.fsync = lambda handle: time.sleep(60 if signals._raised else 0)
stages.execute = lambda *_: (signal.raise_signal(signal.SIGTERM), signals.check())
sys.argv[1:] = ["run", "--run-dir", {str(tmp_path / "run")!r}]
__main__.command_line()
"""
    (tmp_path / "tmp").mkdir()
    where = {"cwd": storage.ROOT, "env": os.environ | {"TMPDIR": str(tmp_path / "tmp")}}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, **where)
    assert done.returncode == 143, done.stderr
    assert done.stderr.strip() == "Interrupted by SIGTERM. Give the same command again to go on."
    assert record_of(tmp_path / "run")["status"] == "interrupted"


# ---- what is logged --------------------------------------------------------------------------------------------


def test_a_run_as_a_library_prints_nothing(made_once):
    assert (made_once / "log").read_text() == ""
    assert record_of(made_once / "run")["status"] == "done"


def test_verbose_adds_time_and_logger(small_run, pipeline):
    _, arguments = small_run
    stamp = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (pipeline[\w.]*): "
    verbose = pipeline("-v", *arguments)
    assert verbose.returncode == 0, verbose.stderr
    assert set(re.findall(stamp, verbose.stdout, re.M)) >= {"pipeline.runs"}
    assert "is finished, and nothing that it depends on has changed" in verbose.stdout
    assert not re.search(stamp, pipeline(*arguments).stdout, re.M)


def test_showing_the_log_twice_shows_each_line_once():
    script = "import logging\nfrom pipeline import console\nconsole.show()\nconsole.show()\n"
    script += "logging.getLogger('pipeline.runs').info('one line')\nlogging.getLogger('other').info('not shown')"
    done = subprocess.run([sys.executable, "-c", script], cwd=storage.ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("one line\n", "")


# ---- verify ----------------------------------------------------------------------------------------------------


def test_verify_finds_a_run_equal_and_leaves_it_as_it_is(small_run, pipeline):
    folder, _ = small_run
    before = contents(folder)
    verified = pipeline("verify", folder)
    assert verified.returncode == 0, verified.stderr
    metrics = json.loads((folder / "metrics.json").read_text())
    for name in METRICS:
        assert f"  {name:25} equal  {metrics[name]}\n" in verified.stdout
    for name in ("weights_sha256", "weights in model.npz"):
        assert f"  {name:25} equal  {metrics['weights_sha256']}\n" in verified.stdout
    assert re.search(r"^Reproduced: all 12 metrics and digests are equal\.$", verified.stdout, re.M)
    assert re.search(r"^  history.json +equal  [0-9a-f]{64}$", verified.stdout, re.M)
    assert "NOT" not in verified.stdout
    assert "What has changed" not in verified.stdout
    assert contents(folder) == before


def test_a_report_is_written_again_but_not_of_a_run_that_is_altered_or_busy(small_run, pipeline):
    folder, _ = small_run
    assert pipeline("report", folder).returncode == 0  # which names this folder, a copy
    before, page = record_of(folder), (folder / "report.html").read_bytes()
    (folder / "report.html").unlink()
    assert pipeline("report", folder).returncode == 0
    assert (record_of(folder), (folder / "report.html").read_bytes()) == (before, page)
    with storage.lock(folder):
        assert "Another command is writing to" in pipeline("report", folder).stderr
    metrics = json.loads((folder / "metrics.json").read_text())
    (folder / "metrics.json").write_text(json.dumps(metrics | {"test_accuracy": 1.0}))
    refused = pipeline("report", folder)
    assert refused.returncode == 2
    assert "is no longer what its run left: metrics.json was removed or altered" in refused.stderr
    assert record_of(folder) == before


def test_verify_exits_with_1_and_names_what_is_not_equal_and_with_0_where_a_change_made_no_difference(
    small_run, pipeline
):
    folder, _ = small_run
    record, metrics = record_of(folder), json.loads((folder / "metrics.json").read_text())
    record["inputs"]["versions"]["numpy"] = "1.0"
    (folder / "run.json").write_text(json.dumps(record))
    change = f"  versions numpy, which was 1.0 and is {np.__version__}\n"
    harmless = pipeline("verify", folder)
    assert harmless.returncode == 0
    assert f"What has changed since, and made no difference:\n{change}" in harmless.stdout
    (folder / "metrics.json").write_text(json.dumps(metrics | {"test_error": 0.5}))
    verified = pipeline("verify", folder)
    assert verified.returncode == 1
    assert "\nNOT reproduced: 1 of 12 metrics and digests differ.\n" in f"\n{verified.stdout}"
    assert f"  test_error                NOT equal  0.5, and now {metrics['test_error']}\n" in verified.stdout
    assert f"What has changed since, and may be why:\n{change}" in verified.stdout
    assert f"{folder} is not reproduced: test_error." in verified.stderr
    assert "Traceback" not in verified.stderr


def test_verify_finds_what_no_metric_shows(small_run, pipeline):
    folder, _ = small_run
    arrays = dict(np.load(folder / "model.npz"))
    np.savez(folder / "model.npz", **arrays | {"normalisation": np.float64(1)})
    (folder / "data.npz").write_bytes(b"junk")
    altered = pipeline("verify", folder)
    assert altered.returncode == 1
    assert "NOT reproduced: 2 of 14 metrics and digests differ." in altered.stdout
    for name in ("data.npz", "model.npz"):
        assert re.search(
            rf"^  {name} since its run +NOT equal  {record_of(folder)['outputs'][name]}, and", altered.stdout, re.M
        )


def test_a_run_that_another_command_works_on_is_busy_for_verify_and_compare(small_run, pipeline):
    folder, _ = small_run
    (folder / "run.json").write_text(json.dumps(record_of(folder) | {"status": "running"}))
    with storage.lock(folder):
        for command in (["verify", folder], ["compare", folder, storage.RUNS]):
            busy = pipeline(*command)
            assert (busy.returncode, busy.stderr) == (
                1,
                f"Error: A run is writing to {folder}. Wait until it has ended.\n",
            )
    assert "its status is running" in pipeline("verify", folder).stderr


def test_verify_takes_the_folder_of_a_finished_run(tmp_path, pipeline):
    missing = pipeline("verify", tmp_path)
    assert missing.returncode == 2
    assert f"{tmp_path / 'run.json'} is not there. Name the folder of a finished run" in missing.stderr


# ---- help ------------------------------------------------------------------------------------------------------


def test_help_names_every_parameter_with_its_range_and_default(pipeline):
    shown = pipeline("run", "--help").stdout
    assert "learning_rate        size of a step down the gradient; a number above 0 (default: 0.005)" in shown
    assert all(f"{name:20} " in shown for name in parameters.NAMES)


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text("{}")])
def test_a_run_whose_metrics_are_gone_is_not_verified(small_run, pipeline, damage):
    folder, _ = small_run
    damage(folder / "metrics.json")
    refused = pipeline("verify", folder)
    assert refused.returncode == 2
    assert "metrics.json is" in refused.stderr
    assert "Reproduced" not in refused.stdout


def test_a_run_whose_network_another_notebook_replaces_while_its_report_is_written_fails(
    small_run, monkeypatch, pipeline
):
    folder, again = small_run
    page = rendering.run_page

    def replacing(found, record, **options):
        model, text = found.read_model(), page(found, record, **options)
        found.write_model(replace(model, weights_1_2=-model.weights_1_2), found.read_history())
        return text

    monkeypatch.setattr(rendering, "run_page", replacing)
    failed = pipeline(*again, "--force")
    assert failed.returncode == 1
    assert "was removed or written to by another meanwhile" in failed.stderr
    assert record_of(folder)["status"] == "failed"
    assert not (folder / "report.html").exists()


def test_what_stands_in_the_place_of_a_file_is_what_the_record_says(small_run, monkeypatch, pipeline):
    folder, again = small_run

    def replacing(*_):
        (folder / "model.npz").mkdir()
        RunFolder(folder).read_model()

    monkeypatch.setattr(stages, "execute", replacing)
    assert pipeline(*again, "--force").returncode == 1
    assert record_of(folder)["status"] == "failed"
    assert "model.npz cannot be read: it is a folder, not a file" in record_of(folder)["error"]


def test_a_report_that_cannot_be_made_of_a_runs_notebooks_names_the_run(small_run, monkeypatch, pipeline):
    _, again = small_run
    monkeypatch.setattr(rendering, "render", lambda *_: "\ud800".encode())
    failed = pipeline(*again, "--force")
    assert failed.returncode == 1
    assert f"Error: {again[2]} cannot be shown (UnicodeEncodeError: " in failed.stderr


def test_a_run_whose_files_go_as_soon_as_it_is_done_has_not_been_refused(small_run, monkeypatch, pipeline):
    _, again = small_run
    write_record = RunFolder.write_record

    def removing(found, record):
        write_record(found, record)
        if record.status == "done":
            found.metrics.unlink()

    monkeypatch.setattr(RunFolder, "write_record", removing)
    failed = pipeline(*again, "--force")
    assert failed.returncode == 1
    assert "metrics.json is not there" in failed.stderr


def test_a_network_whose_error_on_the_test_images_is_infinite_has_diverged(tmp_path, pipeline):
    values = {"epochs": 1, "num_samples": 1, "num_validation": 1, "dropout_rate": 0}
    values |= {"learning_rate": 5e-324, "normalisation": 3e-152}
    options = [text for name, value in values.items() for text in ("-p", name, value)]
    failed = pipeline("run", "--run-dir", tmp_path / "run", *options)
    assert failed.returncode == 1
    assert "(In [5]): Diverged: The error on the test images is inf. Each update overshoots" in failed.stderr
    assert record_of(tmp_path / "run")["status"] == "diverged"


def test_a_run_whose_data_another_notebook_replaces_meanwhile_fails(small_run, monkeypatch, pipeline):
    folder, again = small_run
    execute = notebooks.execute

    def executing(notebook, *others, **options):
        if notebook.stem == "02_train":
            data = RunFolder(folder).read_data()
            RunFolder(folder).write_data(replace(data, x_train=data.x_train[::-1]))
        execute(notebook, *others, **options)

    monkeypatch.setattr(notebooks, "execute", executing)
    monkeypatch.setattr(rendering, "run_page", None)  # no report is made of it
    failed = pipeline(*again, "--force")
    assert failed.returncode == 1
    assert "was removed or written to by another meanwhile" in failed.stderr
    assert record_of(folder)["status"] == "failed"
