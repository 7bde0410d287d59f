"""The errors that a user can meet: one class for each, drawn in the module, with an exit code and a message."""

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import errors
from pipeline.errors import Diverged, InvalidRecord, PipelineError, check_finite

KINDS = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, PipelineError)]


def below(kind):
    """Return the class and all that are derived from it, as a tree of names."""
    return {kind.__name__: {name: tree for child in kind.__subclasses__() for name, tree in below(child).items()}}


def drawn(docstring):
    """Read the tree of names that the docstring draws: four columns for each level."""
    root, path = {}, []
    for line in docstring.splitlines():
        names = [word for word in line.split() if word.isidentifier()]
        if not line.startswith("    ") or not names:
            continue
        level = line.index(names[0]) // 4 - 1
        path[level:] = [names[0]]
        tree = root
        for name in path:
            tree = tree.setdefault(name, {})
    return root


def test_the_module_draws_every_class_where_it_belongs():
    assert drawn(inspect.getdoc(errors)) == below(PipelineError)


EXIT_WITH = """
import json, runpy, sys
from pipeline import errors, runs

codes = {}
kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.PipelineError)]
raised = [kind("x", "is damaged") if kind is errors.InvalidRecord else kind("the reason") for kind in kinds]
for error in [None, *raised, KeyboardInterrupt(), SystemExit(143)]:
    def run(*arguments):
        if error:
            raise error
    runs.run, sys.argv = run, ["pipeline", "run"]
    try:
        runpy.run_module("pipeline", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        codes[type(error).__name__] = ended.code
print(json.dumps(codes))
"""


def test_every_error_has_its_exit_code_and_a_message_but_no_traceback():
    done = subprocess.run([sys.executable, "-c", EXIT_WITH], capture_output=True, text=True, check=True)
    codes = {"NoneType": 0, "KeyboardInterrupt": 130, "SystemExit": 143}
    codes |= {kind.__name__: 1 for kind in KINDS}
    codes |= {"InvalidParameter": 2, "InvalidData": 2, "InvalidRecord": 2}  # nothing has been started
    assert json.loads(done.stdout) == codes
    messages = ["Error: x is damaged." if kind is InvalidRecord else "Error: the reason" for kind in KINDS]
    assert done.stderr.splitlines() == [*messages, "", "Interrupted."]


def test_an_invalid_record_names_the_path_the_problem_and_the_next_step():
    error = InvalidRecord(Path("runs/x/run.json"), "is damaged", "Run it again.")
    assert str(error) == "runs/x/run.json is damaged. Run it again."
    assert (error.path, error.problem) == (Path("runs/x/run.json"), "is damaged")
    assert str(InvalidRecord(Path("x"), "is not there")) == "x is not there."


@pytest.mark.parametrize("error", [float("nan"), float("inf"), float("-inf")])
def test_an_error_that_is_not_finite_is_divergence_and_the_message_names_what_to_change(error):
    with pytest.raises(Diverged) as caught:
        check_finite(error, 7, 0.5, 255.0)
    message = str(caught.value)
    assert message.startswith(f"The error became {error} in epoch 7, with learning_rate 0.5 and normalisation 255: ")
    assert "Make learning_rate smaller" in message
    assert "defaults are 0.005 and 255." in message


def test_a_finite_error_is_not_divergence_however_large():
    assert check_finite(1e300, 7, 0.5, 255.0) is None
    assert check_finite(0.0, 0, 0.5, 255.0) is None
