"""Whatever a command is given, it answers with one of the project's errors, and writes over nothing of another's."""

import json
import os
import random
import re
import shutil
import subprocess
import sys

import pytest

from pipeline import storage
from tests.bad_inputs import cases, server

CASES = cases()
UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")  # in a terminal
LONGEST = 4000  # characters of a message


@pytest.fixture(scope="session")
def outcome(only_here):
    """Return a function that runs a case of the table, in another process."""
    only_here("outcome")
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


@pytest.fixture(scope="session")
def template(shared):
    return shared("bad-inputs", server.make_template)


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
    for page in found["pages"].values():
        assert (
            'content="default-src &#39;none&#39;; script-src &#39;sha256-' in page
        )  # so that no script of another runs
        assert 'href="javascript:' not in page
        assert not re.search(r"<(base|form|iframe|meta http-equiv=.(?!Content-Security))", page, re.I)


SAMPLE = random.Random(12).sample([case for case in CASES.values() if case.code], 12)


@pytest.mark.parametrize("case", SAMPLE, ids=lambda case: ascii(case.id))
def test_a_command_of_its_own_refuses_it_too(case, template, pipeline, tmp_path):
    shutil.copytree(template, folder := tmp_path / "case")
    arguments = [os.fsencode(str(argument)) for argument in case.make(folder)]
    before = server.contents(folder)
    done = subprocess.run([sys.executable, "-m", "pipeline", *arguments], cwd=storage.ROOT, capture_output=True)
    assert done.returncode == case.code
    assert b"Traceback" not in done.stderr
    assert re.search("^Error: ", done.stderr.decode(), re.M)
    assert case.says in done.stderr.decode()
    assert server.contents(folder) == before
