"""A sweep and its code.

Points that were trained by other code do not count, and a file that is saved while a
sweep runs does not affect it.
"""

import csv
import json
import signal

import pytest

from pipeline.paths import ROOT
from tests.conftest import MIDWAY, copy_project
from tests.sweeps.conftest import QUICK, RATES, start, wait_for, write

STEP = "matrix -= learning_rate * gradient"


@pytest.fixture
def project(tmp_path):
    """A copy of the project, whose helpers.py a test may change."""
    return copy_project(tmp_path / "project", MIDWAY)


def change(project, step):
    """Change the step by which helpers.py updates its weights."""
    path = project / "helpers.py"
    text = (ROOT / "helpers.py").read_text()
    assert STEP in text
    path.write_text(text.replace(STEP, step))


def give(project, *command, **environment):
    """Return the exit code and the whole output of a command."""
    path = {"PYTHONPATH": str(project)}
    process = start(*command, cwd=project, **path, **environment)
    output, errors = process.communicate(timeout=120)
    return process.returncode, output + errors


def read_rows(folder):
    return list(csv.DictReader((folder / "results.csv").open()))


def read_digests(folder):
    """Return the digest of each trained point by its learning rate."""
    done = [row for row in read_rows(folder) if row["status"] == "done"]
    return {row["learning_rate"]: row["weights_sha256"] for row in done}


def test_a_point_that_diverged_under_old_code_is_trained_again(project, tmp_path):
    grid = {"learning_rate": [0.005, 5.0]}
    file, out = write(tmp_path / "s.yaml", grid=grid), tmp_path / "out"
    command = ("sweep", file, "--no-report", "--sweep-dir", out)
    code, output = give(project, *command)
    assert code == 1
    assert " diverged: " in output
    change(project, "matrix -= 0.002 * learning_rate * gradient")
    code, output = give(project, *command)
    assert code == 0, output
    assert (
        "2 points are outdated and trained again, because of code helpers.py" in output
    )
    assert {row["status"] for row in read_rows(out)} == {"done"}
    assert "selected: " in output
    assert output.split("selected: ")[1].split("\n")[0].endswith("learning_rate 5.0")


def test_after_an_interruption_old_code_counts_nowhere(project, gate, tmp_path):
    file, out = write(tmp_path / "s.yaml", grid=RATES), tmp_path / "out"
    command = ("sweep", file, "--no-report", "--workers", 1, "--sweep-dir", out)
    assert give(project, *command)[0] == 0
    old = read_digests(out)
    assert len(old) == 3
    change(project, "matrix -= 0.5 * learning_rate * gradient")
    options = {"cwd": project, "GATE": gate.port, "PYTHONPATH": str(project)}
    running = start(*command, **options)
    gate.wait().close()  # seed 14 stops in each point; the first one goes on
    with gate.wait():
        wait_for(r"\[1/3\]", running.stdout)
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=60)
    (row,) = [row for row in read_rows(out) if row["status"] == "done"]
    assert row["weights_sha256"] not in old.values()
    assert not any(row["test_accuracy"] for row in read_rows(out))
    for refused in (("verify", out), ("compare", out, out)):
        code, output = give(project, *refused)
        assert code == 2
        assert "has not ended with a selection: leads so far, of 1 of 3" in output
    code, output = give(project, "report", out)
    assert code == 0, output
    page = (out / "report.html").read_text()
    assert "leads so far, of 1 of 3 points: learning_rate 0.005" in page
    # One is outdated. The one that was interrupted is of the new code.
    assert "1 more are outdated, and so left out" in page
    assert "Nothing is evaluated: the sweep has not ended." in page
    assert give(project, "index", out.parent)[0] == 0
    rows = (tmp_path / "index.html").read_text()
    assert "1 done, 1 interrupted, 1 outdated" in rows
    code, output = give(project, *command)
    assert code == 0, output
    assert "3 points: 1 done, 2 to run" in output
    assert not set(read_digests(out).values()) & set(old.values())


def test_looks_at_the_test_images_are_remembered_across_code(project, tmp_path):
    file, out = write(tmp_path / "s.yaml"), tmp_path / "out"
    command = ("sweep", file, "--sweep-dir", out)
    assert give(project, *command)[0] == 0
    page = (out / "report.html").read_text()
    assert "evaluated on the test images: 1\n" in page
    assert "The selected one was the first: its accuracy" in page
    change(project, "matrix -= 0.5 * learning_rate * gradient")
    code, output = give(project, *command)
    assert code == 0, output
    page = (out / "report.html").read_text()
    assert "evaluated on the test images: 2\n" in page
    assert "1 other was evaluated before the selected one: its accuracy" in page
    lines = (out / "test_evaluations.jsonl").read_text().splitlines()
    first, second = map(json.loads, lines)
    assert first["point"] == second["point"]
    assert first["code"] != second["code"]
    assert first["test_error"] != second["test_error"]
    assert f"code {first['code']}: test_accuracy" in page


def test_what_is_saved_while_a_sweep_runs_changes_nothing_in_it(
    project, gate, tmp_path
):
    file = write(tmp_path / "s.yaml", grid=RATES)
    command = ("sweep", file, "--no-report", "--workers", 1, "--sweep-dir")
    assert give(project, *command, tmp_path / "calm")[0] == 0
    options = {"cwd": project, "GATE": gate.port, "PYTHONPATH": str(project)}
    running = start(*command, tmp_path / "out", **options)
    with gate.wait():
        change(project, "matrix -= 0.5 * learning_rate * gradient")
        for name in ("02_train", "03_evaluate"):
            path = project / "notebooks" / f"{name}.ipynb"
            path.write_text(
                path.read_text().replace("# Parameters", "# Parameters\\n1/0")
            )
    for _ in range(2):
        gate.wait().close()
    output, errors = running.communicate(timeout=100)
    assert running.returncode == 0, output + errors
    digests = read_digests(tmp_path / "out")
    assert digests == read_digests(tmp_path / "calm")
    tested = [row["test_error"] for row in read_rows(tmp_path / "out")]
    assert tested == [row["test_error"] for row in read_rows(tmp_path / "calm")]


def test_a_mistake_saved_while_a_sweep_runs_changes_nothing_in_it(
    project, gate, tmp_path
):
    file = write(tmp_path / "s.yaml", grid=RATES)
    command = ("sweep", file, "--no-report", "--workers", 1, "--sweep-dir")
    options = {"cwd": project, "GATE": gate.port, "PYTHONPATH": str(project)}
    running = start(*command, tmp_path / "out", **options)
    with gate.wait():
        (project / "helpers.py").write_text("def relu(:")
    for _ in range(2):
        gate.wait().close()
    output, errors = running.communicate(timeout=100)
    assert running.returncode == 0, output + errors
    assert len(read_digests(tmp_path / "out")) == 3


def test_a_search_whose_last_rung_diverges_says_so_and_is_no_failure(project, tmp_path):
    """Every training diverges after three epochs, and only the last rung has more."""
    ranges = {"learning_rate": {"min": 0.001, "max": 0.002}}
    random = {"n_candidates": 2, "parameters": ranges}
    halving = {"min_resources": 2, "factor": 2}
    base = QUICK | {"dropout_rate": 0.0}
    file = write(tmp_path / "s.yaml", base=base, random=random, halving=halving)
    checkpoints = project / "pipeline/results/checkpoints.py"
    with checkpoints.open("a") as module:
        module.write(
            "_check = check_finite\n\n\n"
            "def check_finite(metrics, epoch, learning_rate):\n"
            "    _check(metrics | {'train_error': float('nan') if epoch > 2 else 0}, "
            "epoch, learning_rate)\n"
        )
    out = tmp_path / "out"
    code, output = give(project, "sweep", file, "--sweep-dir", out)
    assert code == 0, output
    reason = "Nothing is selected: no candidate of the rung of 4 epochs has finished"
    assert reason in output
    assert reason in (out / "report.html").read_text()
    assert "No point failed." in (out / "report.html").read_text()
    code, output = give(project, "verify", out)
    assert code == 2
    assert "no candidate of the rung" in output
