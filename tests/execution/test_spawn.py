"""Commands that spawn their processes, as on macOS, where forking is not safe."""

import os

from pipeline.network.published import WEIGHTS_SHA256
from pipeline.paths import ROOT
from pipeline.results.run_folder import RunFolder
from tests.commands import start

# Python imports this when it starts, in the command and in each process that it spawns.
SPAWN = """
import sys
if {"pipeline", "--multiprocessing-fork"}.intersection(sys.orig_argv):
    import multiprocessing
    from pipeline.execution import process
    process.METHOD = "spawn"
    process.CONTEXT = multiprocessing.get_context("spawn")
"""


def test_a_spawned_run_has_the_published_digest(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(SPAWN)
    spawn = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    folder = RunFolder(tmp_path / "run")
    process = start("run", "--run-dir", folder.path, environment=spawn)
    output, errors = process.communicate()
    assert process.returncode == 0, output + errors
    assert folder.read_metrics().weights_sha256 == WEIGHTS_SHA256
