"""Runs whose processes are spawned, as on macOS, where forking is not safe."""

import os
import signal

import psutil
import pytest
import yaml

from pipeline.network.published import WEIGHTS_SHA256
from pipeline.paths import ROOT
from pipeline.results.run_folder import RunFolder
from tests.sweeps.conftest import check_small_sweep
from tests.test_promises import Command

# Python imports this when it starts, in the command and in each process that it spawns.
SPAWN = """
import sys
if {"pipeline", "--multiprocessing-fork"}.intersection(sys.orig_argv):
    import multiprocessing
    from pipeline.execution import process
    process.CAN_FORK = False
    process.CONTEXT = multiprocessing.get_context("spawn")
"""


@pytest.fixture
def spawn(tmp_path, monkeypatch):
    """Make the commands of a test spawn their processes."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SPAWN)
    path = os.pathsep.join([str(tmp_path / "site"), str(ROOT)])
    monkeypatch.setenv("PYTHONPATH", path)
    return path


def test_a_spawned_run_has_the_published_digest(spawn, tmp_path, pipeline):
    done = pipeline("run", "--run-dir", tmp_path / "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert RunFolder(tmp_path / "run").read_metrics().weights_sha256 == WEIGHTS_SHA256


def test_a_spawned_sweep_has_the_weights_of_the_originals_loop(
    spawn, tmp_path, pipeline
):
    rates = [0.005, 0.01]
    sweep = yaml.safe_load((ROOT / "notebooks/sweeps/small.yaml").read_text())
    sweep |= {"grid": {"learning_rate": rates}}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(sweep))
    options = ("--no-report", "--workers", 2, "--sweep-dir", tmp_path / "out")
    done = pipeline("sweep", tmp_path / "s.yaml", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    check_small_sweep(tmp_path / "out", [(rate, 1) for rate in rates])


def test_ctrl_c_ends_a_spawned_run_and_its_process(spawn, tmp_path):
    """The terminal sends the signal to the whole process group of the command."""
    folder = RunFolder(tmp_path / "run")
    long = ("-p", "epochs", "100000", "-p", "num_samples", "100")
    running = Command(
        "run", "--run-dir", folder.path, *long, path=spawn, start_new_session=True
    )
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
