"""The errors that a user can meet: one class for each, with an exit code and a message."""

import contextlib
import inspect
import io
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from pipeline import console, errors, storage, unexpected
from pipeline.errors import Diverged, InvalidRecord, PipelineError, check_finite

KINDS = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, PipelineError)]


EXIT_WITH = """
import json, runpy, sys
from pathlib import Path
from pipeline import errors, runs, signals, unexpected

unexpected.LOGS = Path(sys.argv[1])

codes = {}
kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.PipelineError)]
raised = [kind("x", "is damaged") if kind is errors.InvalidRecord else kind("the reason") for kind in kinds]
unexpected = [OSError(28, "No space left on device", "a/file"), MemoryError(), RecursionError("too deep")]
for error in [None, *raised, KeyboardInterrupt(), *map(signals.Stopped, (2, 15, 1)), *unexpected]:
    def run(*arguments):
        if error:
            raise error
    runs.run, sys.argv = run, ["pipeline", "run"]
    try:
        runpy.run_module("pipeline", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        codes[f"{type(error).__name__} {getattr(error, 'number', '')}".strip()] = ended.code
print(json.dumps(codes))
"""


def test_every_error_has_its_exit_code_and_a_message_but_no_traceback(tmp_path):
    logs = tmp_path / "logs"
    done = subprocess.run([sys.executable, "-c", EXIT_WITH, logs], capture_output=True, text=True, check=True)
    codes = {"NoneType": 0, "KeyboardInterrupt": 130, "Stopped 2": 130, "Stopped 15": 143, "Stopped 1": 129}
    codes |= {"OSError": 1, "MemoryError": 1, "RecursionError": 1}
    codes |= {kind.__name__: 1 for kind in KINDS}
    codes |= {"InvalidParameter": 2, "InvalidData": 2, "InvalidRecord": 2}  # nothing has been started
    assert json.loads(done.stdout) == codes
    messages = ["Error: x is damaged." if kind is InvalidRecord else "Error: the reason" for kind in KINDS]
    by = ("", "", " by SIGTERM", " by SIGHUP")
    stopped = [line for how in by for line in ("", f"Interrupted{how}. Give the same command again to go on.")]
    shown = done.stderr.splitlines()
    assert shown[: len(messages) + len(stopped)] == [*messages, *stopped]
    full, where, memory, _, deep, _ = shown[len(messages) + len(stopped) :]
    next_step = "Make room there, then give the same command again."
    assert full == f"Error: No space left on device: a/file. {next_step}"
    assert memory == (
        "Error: out of memory. Free some memory or raise the limit (ulimit -v or -d), then give the same command again."
    )
    assert deep.startswith("Error: RecursionError: too deep. This was not expected.")
    log = Path(where.removeprefix("The traceback is in "))
    assert log.parent == logs
    assert "Traceback (most recent call last)" in log.read_text()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            FileNotFoundError(2, "No such file or directory", "/dev/x"),
            "No such file or directory: /dev/x. Choose",
        ),
        (
            FileNotFoundError(2, "No such file or directory", "/dev/none/x"),
            "No such file or directory: /dev/none/x. Its folder was removed meanwhile. Give the same command again.",
        ),
        (FileNotFoundError("mine"), "FileNotFoundError: mine. This was not expected."),
        (OSError(5, "Input/output error", "x"), "Input/output error: x. Check the disk"),
    ],
)
def test_where_no_file_can_be_made_another_place_is_the_next_step(tmp_path, monkeypatch, error, message):
    monkeypatch.setattr(unexpected, "LOGS", tmp_path)
    monkeypatch.setattr(console, "recent", [])
    assert unexpected.describe(error).startswith(message)


def test_what_was_being_done_is_the_last_line_of_the_log_that_is_not_empty(tmp_path, monkeypatch):
    monkeypatch.setattr(unexpected, "LOGS", tmp_path)
    for last, doing in (("", ""), ("\nI:99\nequal", " (while I:99)")):
        monkeypatch.setattr(console, "recent", [last])
        assert unexpected.describe(ValueError("boom")).startswith(f"ValueError: boom{doing}. This was not expected.")


@pytest.mark.parametrize("error", [float("nan"), float("inf")])
def test_an_error_that_is_not_finite_is_divergence_and_the_message_names_what_to_change(error):
    check_finite(1e300, 7, 0.5, 255.0)
    with pytest.raises(Diverged) as caught:
        check_finite(error, 7, 0.5, 255.0)
    message = str(caught.value)
    assert message.startswith(
        f"The error became {error} in epoch 8, with learning_rate 0.5 and normalisation 255. Each "
    )
    assert "Make learning_rate smaller" in message
    assert "defaults are 0.005 and 255." in message


@pytest.mark.parametrize(
    "mark", ["\x1b[2J", "\x07", "\r", "\x9b", "\u202e", "\u2066", "\u200f", "\u2028", "\udcff", "\0"]
)
def test_what_a_terminal_would_obey_is_escaped_in_messages_and_the_log(mark, capsys):
    escaped = mark[0].encode("unicode_escape").decode()
    assert console.plain(f"a {mark} b\n\té") == f"a {escaped}{mark[1:]} b\n\té"
    assert (
        str(InvalidRecord(f"x{mark}", f"is {mark}", "Next.")) == f"x{escaped}{mark[1:]} is {escaped}{mark[1:]}. Next."
    )
    log = logging.getLogger("pipeline")
    console.show()
    try:
        log.warning("log %s", mark)
    finally:
        log.handlers = []
    assert capsys.readouterr().out == f"log {escaped}{mark[1:]}\n"


def test_a_file_of_the_project_that_is_missing_can_be_restored(tmp_path, monkeypatch):
    monkeypatch.setattr(unexpected, "LOGS", tmp_path)
    path = storage.NOTEBOOKS / "README.md"
    said = unexpected.describe(FileNotFoundError(2, "No such file or directory", str(path)))
    assert said == f"{path} is not there. Restore it: git checkout notebooks/README.md"
    for name in ("my pictures/a.png", "notebooks of mine/a.ipynb", ".venv/lib/x.so", "runs/default/data.npz"):
        said = unexpected.describe(FileNotFoundError(2, "No such file or directory", str(storage.ROOT / name)))
        assert "git checkout" not in said


def test_a_file_of_the_project_that_is_no_python_or_a_module_that_is_missing_can_be_restored(tmp_path, monkeypatch):
    monkeypatch.setattr(unexpected, "LOGS", tmp_path)
    path = storage.ROOT / "pipeline" / "plots.py"
    with pytest.raises(SyntaxError) as merged:
        compile("x = 1\n<<<<<<< HEAD\n", path, "exec")
    said = unexpected.describe(merged.value)
    assert said == f"{path} is no Python: invalid syntax (plots.py, line 2). Restore it: git checkout pipeline/plots.py"
    missing = ModuleNotFoundError("No module named 'pipeline.kernels'", name="pipeline.kernels")
    assert unexpected.describe(missing) == "pipeline.kernels is not there. Restore it: git checkout pipeline"
    assert not list(tmp_path.iterdir())
    nameless = unexpected.describe(ModuleNotFoundError("jax needs jaxlib"))
    assert nameless.startswith("ModuleNotFoundError: jax needs jaxlib")


def test_a_long_value_is_shown_by_its_ends():
    assert errors.shown("a\nb") == "a\\nb"
    assert len(errors.shown("x" * 5000)) < errors.MAX_SHOWN


def test_a_notebook_shows_the_message_framed_and_nothing_else(tmp_path):
    shell = InteractiveShell.instance()
    message = "learning_rate is -1, but must be a number above 0. " * 3
    with contextlib.redirect_stdout(shown := io.StringIO()):
        shell.run_cell(f"from pipeline.errors import InvalidParameter\nraise InvalidParameter({message!r})")
    lines = shown.getvalue().rstrip().splitlines()
    assert lines[0].startswith("╭─ InvalidParameter ─")
    assert lines[-1].startswith("╰─")
    assert {len(line) for line in lines} == {88}
    assert " ".join(line.strip("│ ") for line in lines[1:-1]) == message.strip()
