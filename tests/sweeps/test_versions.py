"""A sweep and its code.

Points that were trained with other code do not count, and a file that is saved while a
sweep runs does not affect it.
"""

import csv
import json
import signal

import psutil

from tests.commands import PATIENCE, wait_for
from tests.sweeps.conftest import RATES, write

# Appended to helpers.py: the rate of 5, which diverged, becomes the smallest.
SMALL_RATE = """
train = train_epoch

def train_epoch(*arguments, learning_rate, **options):
    learning_rate = (1 + 1e-9) * (learning_rate % 4.9999)
    return train(*arguments, learning_rate=learning_rate, **options)
"""


def read_rows(folder):
    return list(csv.DictReader((folder / "results.csv").open()))


def read_digests(folder):
    """Return the digest of each trained point by its learning rate."""
    done = [row for row in read_rows(folder) if row["status"] == "done"]
    return {row["learning_rate"]: row["weights_sha256"] for row in done}


def interrupt(running, gate):
    """Interrupt a sweep while it trains the second of its four points."""
    gate.wait().close()  # seed 14 stops in each point; the first one goes on
    training = gate.wait()
    wait_for(r"\[1/4\]", running.stdout)
    children = psutil.Process(running.pid).children(recursive=True)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=PATIENCE)
    assert running.returncode == 130
    assert "Traceback" not in errors
    assert training.recv(1) == b""  # it has ended
    assert psutil.wait_procs(children, timeout=PATIENCE)[1] == []


def change_meanwhile(changing, gate, running):
    """Change code and notebooks while a sweep runs, of which one point diverges."""
    with gate.wait():
        changing.append("helpers.py", SMALL_RATE)
        for name in ("notebooks/02_train.ipynb", "notebooks/03_evaluate.ipynb"):
            changing.add_cell(name, "1 / 0")
    for _ in range(2):
        gate.wait().close()
    output, errors = running.communicate(timeout=PATIENCE)
    assert running.returncode == 1, output + errors
    assert "1 of 4 points" in errors
    assert " diverged: " in errors


def test_old_code_counts_nowhere_and_its_looks_at_the_test_images_are_remembered(
    changing, gate, local, tmp_path
):
    """The code changes while a first command runs, and does not affect it."""
    grid = {"learning_rate": [*RATES["grid"]["learning_rate"], 5.0]}
    file, out = write(tmp_path / "s.yaml", grid=grid, seeds=[14]), tmp_path / "out"
    command = ("sweep", file, "--workers", 1, "--sweep-dir", out)
    change_meanwhile(changing, gate, changing.start(*command, GATE=gate.port))
    old = read_digests(out)
    assert old == read_digests(local / "out")
    tested = [row["test_error"] for row in read_rows(out)]
    assert tested == [row["test_error"] for row in read_rows(local / "out")] + [""]
    page = (out / "report.html").read_text()
    assert "evaluated on the test images: 1\n" in page
    assert "The selected one was number 1" in page

    changing.restore()
    changing.append("helpers.py", SMALL_RATE)
    interrupt(changing.start(*command, GATE=gate.port), gate)
    statuses = sorted(row["status"] for row in read_rows(out))
    assert statuses == ["done", "interrupted"]  # the other two are outdated
    (row,) = [row for row in read_rows(out) if row["status"] == "done"]
    assert row["weights_sha256"] not in old.values()
    assert not any(row["test_accuracy"] for row in read_rows(out))
    for refused in (("verify", out), ("compare", out, out)):
        code, output = changing.run(*refused)
        assert code == 2
        assert "only 1 of 4 points have finished" in output

    code, output = changing.run(*command)
    assert code == 0, output
    assert "4 points: 1 ended, 3 to run" in output
    assert "because of code helpers.py" in output
    texts = [path.read_text() for path in out.glob("*/02_train.ipynb")]
    assert sum("Continuing after epoch 2" in text for text in texts) == 1
    assert {row["status"] for row in read_rows(out)} == {"done"}
    assert not set(read_digests(out).values()) & set(old.values())
    page = (out / "report.html").read_text()
    assert "evaluated on the test images: 2\n" in page
    assert "The selected one was number 2" in page
    looks = json.loads((out / "sweep.json").read_text())["evaluated"]
    first, second = (look.split("-") for look in looks)
    assert first[0] == second[0]
    assert first[1] != second[1]
