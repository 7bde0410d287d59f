"""What CONTRIBUTING promises holds even if something disturbs a command.

This may be a kill, a signal, another command, somebody's file or a full disk.
"""

import errno
import re
import signal
import subprocess
import sys
from unittest import mock

import pytest

from pipeline.__main__ import set_signal_handler
from pipeline.paths import ROOT
from pipeline.results.files import LOCK
from pipeline.results.run_folder import RunFolder
from pipeline.results.stages import CLEARED_FILES, RECORD, TRAINING
from tests.commands import PATIENCE, Command, make_options, wait_for
from tests.engine.test_notebooks import write_notebook

VALUES = {
    "hidden_size": 20,
    "epochs": 5,
    "learning_rate_decay": 0.9,
    "dropout_rate": 0.3,
    "input_dropout_rate": 0.2,
    "relu_grad_inactive": 0,
    "seed": 14,
}


def test_a_run_that_is_killed_at_any_stage_ends_with_the_same_bits(
    midway, gate, tmp_path, pipeline
):
    """The run is made in a copy of the project, whose notebooks stop at the gate."""
    folder = RunFolder(tmp_path / "run")
    command = ("run", "--run-dir", folder.path, *make_options(VALUES))
    stops = {"GATE": gate.port, "STOPS_LATE": "1"}
    for name in ("checkpoint.npz", "metrics.json"):
        running = Command(*command, cwd=midway.path, environment=stops)
        with gate.wait():
            assert (folder.path / name).exists()
            assert running.end(signal.SIGKILL)[0] == -signal.SIGKILL
        assert folder.read_record().status == "running"
    code, output = midway.run(*command)
    assert code == 0, output
    folder.read_finished()
    assert "Continuing after epoch" in folder.executed_path(TRAINING).read_text()
    whole = RunFolder(tmp_path / "whole")
    assert not pipeline("run", "--run-dir", whole.path, *command[3:]).returncode
    assert folder.digest() == whole.digest()
    names = {path.name for path in folder.path.iterdir()}
    assert names == {*CLEARED_FILES, RECORD, LOCK}


MESSAGE = "Interrupted. Give the same command again to continue.\n"


@pytest.mark.parametrize(
    ("number", "again"), [(signal.SIGINT, True), (signal.SIGHUP, False)]
)
def test_a_signal_ends_a_run_and_until_then_another_is_refused(
    tmp_path, pipeline, number, again
):
    folder = RunFolder(tmp_path / "run")
    running = Command("run", "--run-dir", folder.path, "-p", "epochs", "100000")
    running.wait_for(folder.data_path)
    second = pipeline("run", "--run-dir", folder.path)
    assert second.returncode == 1
    assert f"Another command is writing to {folder.path}. Wait for it" in second.stderr
    code, output = running.end(number, again)
    assert code == 128 + number
    assert output.endswith(MESSAGE)
    assert "Traceback" not in output
    assert folder.read_record().status == "interrupted"
    assert not folder.metrics_path.exists()


# Added to helpers.py: the fork server imports this for two seconds, and then ends.
SLOW = """
import sys, time
if sys.argv[0] == "-c":
    open({!r}, "w").close()
    time.sleep(2)
"""


def test_ctrl_c_ends_a_sweep_before_its_processes_say_anything(project, tmp_path):
    """A terminal sends the signal to the fork server, too."""
    text = (project.path / "helpers.py").read_text()
    project.write("helpers.py", text + SLOW.format(str(tmp_path / "begun")))
    project.write("s.yaml", "name: s\nseeds: [1, 2]")
    words = ("sweep", "s.yaml", "--sweep-dir", tmp_path / "new")
    running = Command(*words, cwd=project.path, start_new_session=True)
    running.wait_for(tmp_path / "begun")
    code, output = running.end(signal.SIGINT, again=True, to_group=True)
    assert code == 130
    assert output.endswith(MESSAGE)
    assert "Traceback" not in output
    assert not [*(tmp_path / "new").glob("*.json")]


def test_a_cell_and_what_it_has_started_end_with_a_killed_command(tmp_path):
    begun = tmp_path / "begun"
    source = f"import os; os.system('touch {begun}; sleep 600')"
    write_notebook(tmp_path / "a.ipynb", source)
    running = Command("notebooks", tmp_path / "a.ipynb")
    running.wait_for(begun)
    assert running.end(signal.SIGKILL)[0] == -signal.SIGKILL


# A command whose clean-up hangs.
HANGING = """
import time
from pipeline import __main__

__main__.set_signal_handler(__main__.raise_interrupted)
try:
    print("begun", flush=True)
    time.sleep(600)
finally:
    time.sleep(600)
"""


def test_a_signal_ends_a_command_whose_clean_up_hangs():
    command = [sys.executable, "-c", HANGING]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, text=True, cwd=ROOT, **pipes)
    try:
        wait_for("begun", process.stdout)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert (process.returncode, errors) == (128 + signal.SIGTERM, MESSAGE)


def test_a_signal_that_the_shell_ignores_is_ignored(monkeypatch):
    """As with nohup, and with commands that a shell starts in the background."""
    handlers = {signal.SIGHUP: signal.SIG_IGN}
    monkeypatch.setattr(signal, "getsignal", handlers.get)
    monkeypatch.setattr(signal, "signal", handlers.__setitem__)
    set_signal_handler("ours")
    others = dict.fromkeys([signal.SIGINT, signal.SIGTERM], "ours")
    assert handlers == {signal.SIGHUP: signal.SIG_IGN} | others


def test_a_full_disk_is_named_and_with_room_the_command_finishes(
    tmp_path, small_source, pipeline, monkeypatch
):
    values = {"num_samples": 40, "num_validation": 10, "epochs": 1}
    options = make_options({"source": small_source[0]} | values)
    command = ["run", "--run-dir", tmp_path / "run", *options]
    with monkeypatch.context() as patch:
        full = OSError(errno.ENOSPC, "No space left on device")
        patch.setattr("pathlib.Path.write_bytes", mock.Mock(side_effect=full))
        failed = pipeline(*command)
    assert failed.returncode == 1
    assert f"No space left on device: '{tmp_path / 'run'}/" in failed.stderr
    finished = pipeline(*command)
    assert finished.returncode == 0, finished.stderr


# A file that is not ours, as a page of another program and as a sweep.
FOREIGN = 'name: s # <meta name="generator" content="Jupyter">'
# A command, and another's file that it would replace, or the mark of another result.
OTHERS = {
    "run --run-dir {t}/theirs": "theirs/metrics.json",
    "sweep {t}/s.yaml --sweep-dir {t}/theirs": "theirs/results.csv",
    "compare {runs}/default {runs}/true-derivative --output {t}/page.html": "page.html",
    "run --run-dir {t}/sweep": "sweep/sweep.json",
    "sweep {t}/s.yaml --sweep-dir {t}/run": "run/run.json",
    "run --run-dir {t}/sweep/a": "sweep/sweep.json",
    "run --run-dir notebooks": "s.yaml",
}


@pytest.mark.parametrize(("command", "name"), OTHERS.items(), ids=str)
def test_what_another_has_made_is_not_replaced(
    tmp_path, runs, pipeline, monkeypatch, command, name
):
    monkeypatch.chdir(ROOT)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    for path in (tmp_path / name, tmp_path / "s.yaml"):
        path.write_text(FOREIGN)
    if name.endswith("json") and not name.startswith("theirs"):
        (tmp_path / name).with_name(LOCK).touch()
    before = sorted(tmp_path.rglob("*"))
    refused = pipeline(*command.format(t=tmp_path, runs=runs).split())
    assert refused.returncode == 2, refused.stderr
    assert re.search(
        "(Choose another (folder|place)|write the page elsewhere).$", refused.stderr
    ), refused.stderr
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / name).read_text() == FOREIGN
