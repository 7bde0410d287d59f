"""Whatever a command is given, it answers with one of the project's errors, and writes over nothing of another's."""

import json
import os
import re
import subprocess
import sys

import pytest

from pipeline import storage
from tests.bad_inputs import cases

CASES = cases()
UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")  # in a terminal
LONGEST = 5000  # characters of a message


@pytest.fixture(scope="session")
def outcome():
    """Return a function that runs a case of the table in a process of its own."""
    command = [sys.executable, "-m", "tests.bad_inputs.server"]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=storage.ROOT, env=environment, **pipes) as process:
        assert process.stdout.readline() == "ready\n"

        def run(case):
            process.stdin.write(f"{case.id}\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield run
        process.stdin.close()


@pytest.mark.parametrize("case", CASES.values(), ids=lambda case: ascii(case.id))
def test_a_bad_input_is_refused_by_name_and_nothing_else_is_written(outcome, case):
    found = outcome(case)
    output = found["output"]
    assert "Traceback" not in output, output
    assert found["code"] == case.code, output
    assert set(found["changed"]) <= set(case.writes)
    assert not UNSAFE.search(output), ascii(output)
    assert len(output) < LONGEST
    if case.code:
        assert re.search("^Error: ", output, re.M), output
        assert case.says in output
