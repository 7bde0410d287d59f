"""A sweep and its code, and a sweep that is killed.

Points that were trained with other code do not count, and a file that is saved while a
sweep runs does not affect it.
"""

import json
import shutil

import pandas as pd
import psutil

from tests.commands import PATIENCE, wait_for
from tests.sweeps.conftest import read_results


def kill(running, gate):
    """Kill a sweep while it trains the second of its points."""
    gate.wait().close()  # seed 14 stops in each point; the first one goes on
    training = gate.wait()
    wait_for(r"\[1/3\]", running.stdout)
    children = psutil.Process(running.pid).children(recursive=True)
    running.kill()
    running.communicate(timeout=PATIENCE)
    assert training.recv(1) == b""  # it has ended
    assert psutil.wait_procs(children, timeout=PATIENCE)[1] == []


def test_old_code_counts_nowhere_and_a_killed_sweep_goes_on(
    midway, gate, local, tmp_path
):
    """In this copy of the project, which has other code, points can be stopped."""
    out = shutil.copytree(local / "out", tmp_path / "out")
    command = ("sweep", local / "s.yaml", "--workers", 1, "--sweep-dir", out)
    kill(midway.start(*command, GATE=gate.port), gate)
    header, *rows = (out / "results.csv").read_text().splitlines()
    assert header
    assert not rows  # there is a table from the start on, without the old points
    for refused in (("verify", out), ("compare", out, out)):
        code, output = midway.run(*refused)
        assert code == 2
        assert "only 1 of 3 points have finished" in output

    code, output = midway.run(*command)
    assert code == 0, output
    assert "3 points: 1 ended, 2 to run" in output
    assert "[2/2]" in output
    assert "because of code pipeline/results/checkpoints.py" in output
    texts = [path.read_text() for path in out.glob("*/02_train.ipynb")]
    assert sum("Continuing after epoch 2" in text for text in texts) == 1
    assert read_results(out) == read_results(local / "out")
    times = pd.read_csv(out / "results.csv")["duration_s"]
    assert times.isna().sum() == 1  # of the point that was continued
    looks = json.loads((out / "sweep.json").read_text())["evaluated"]
    first, second = (look.split("-") for look in looks)
    assert first[0] == second[0]
    assert first[1] != second[1]


def test_what_is_saved_while_a_sweep_runs_does_not_affect_it(
    changing, gate, local, tmp_path
):
    running = changing.start(
        *("sweep", local / "s.yaml", "--sweep-dir", tmp_path / "out", "--workers", 1),
        GATE=gate.port,
    )
    with gate.wait():
        changing.append("helpers.py", "\n1 / 0")
        for name in ("notebooks/02_train.ipynb", "notebooks/03_evaluate.ipynb"):
            changing.add_cell(name, "1 / 0")
    for _ in range(2):
        gate.wait().close()
    output, errors = running.communicate(timeout=PATIENCE)
    assert running.returncode == 0, output + errors
    assert read_results(tmp_path / "out") == read_results(local / "out")
