"""Commands that spawn their processes, as on macOS, where forking is not safe."""

import os
import signal

import psutil
import pytest

from pipeline.network.published import WEIGHTS_SHA256
from pipeline.paths import ROOT
from pipeline.results.run_folder import RunFolder
from tests.commands import Command, make_options, start

# Python imports this when it starts, in the command and in each process that it spawns.
SPAWN = """
import sys
if {"pipeline", "--multiprocessing-fork"}.intersection(sys.orig_argv):
    import multiprocessing
    from pipeline.execution import process
    process.METHOD = "spawn"
    process.CONTEXT = multiprocessing.get_context("spawn")
"""


@pytest.fixture
def spawn(tmp_path):
    """The environment of a command that spawns its processes."""
    (tmp_path / "sitecustomize.py").write_text(SPAWN)
    return {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}


def test_a_spawned_run_has_the_published_digest(spawn, tmp_path):
    folder = RunFolder(tmp_path / "run")
    process = start("run", "--run-dir", folder.path, environment=spawn)
    output, errors = process.communicate()
    assert process.returncode == 0, output + errors
    assert folder.read_metrics().weights_sha256 == WEIGHTS_SHA256


def test_ctrl_c_ends_a_spawned_run_and_its_process(spawn, tmp_path):
    """The terminal sends the signal to the whole process group of the command."""
    folder = RunFolder(tmp_path / "run")
    long = make_options({"epochs": 100_000, "num_samples": 100})
    command = ("run", "--run-dir", folder.path, *long)
    running = Command(*command, environment=spawn, start_new_session=True)
    running.wait_for(folder.checkpoint_path)
    group = running.process.pid
    children = psutil.Process(group).children(recursive=True)
    commands = {child.pid: " ".join(child.cmdline()) for child in children}
    notebooks = [pid for pid in commands if "--multiprocessing-fork" in commands[pid]]
    assert [os.getpgid(pid) for pid in notebooks] == notebooks != []
    assert "forkserver" not in str(commands)
    code, output = running.end(signal.SIGINT, to_group=True)
    assert code == 130
    assert output.endswith("Interrupted. Give the same command again to go on.\n")
    assert "KeyboardInterrupt" not in output
    assert "Traceback" not in output
    assert folder.read_record().status == "interrupted"
