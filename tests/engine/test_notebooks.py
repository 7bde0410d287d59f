"""How notebooks are executed, compared with real kernels; how committed ones look."""

import ast
import contextlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
from collections import defaultdict

import nbclient
import nbformat
import papermill
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from pipeline import parameters
from pipeline.engine import environment, notebooks
from pipeline.engine.notebooks import execute, execute_and_overwrite
from pipeline.engine.process import NotebookProcess
from pipeline.errors import InvalidFile, NotebookFailed
from pipeline.paths import NOTEBOOKS, ROOT
from pipeline.records import Status
from tests.commands import PATIENCE, describe_range

each = pytest.mark.parametrize(
    "path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem
)


def write_notebook(path, *cells, language="python"):
    """Write a notebook from code cells, or from their sources."""
    cells = [new_code_cell(cell) if isinstance(cell, str) else cell for cell in cells]
    kernel = {"name": "python3", "display_name": "Python 3", "language": language}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


def read_code_cells(path):
    cells = nbformat.read(path, as_version=4).cells
    return [cell for cell in cells if cell.cell_type == "code"]


def read_texts(path):
    return [output.text for cell in read_code_cells(path) for output in cell.outputs]


# ---- the same as in a kernel ----


def simplify(cell):
    """Return the count and the outputs of a cell, without what need not be equal.

    A kernel buffers stdout and stderr separately, so only the text of each can be
    compared. Its file names differ too, and the colours of errors depend on these.
    """
    texts, others = defaultdict(str), []
    for output in cell.outputs:
        if output.output_type == "stream":
            texts[output.name] += output.text
            continue
        if output.output_type == "error":
            traceback = re.sub(r"\x1b\[[\d;]*m", "", "\n".join(output.pop("traceback")))
            value = re.sub(r"\(\S+, l", "", output.evalue)
            output |= {"traceback": traceback, "evalue": value}
        others.append(re.sub(r"0x[0-9a-f]+", "0x", json.dumps(output, sort_keys=True)))
    for name, text in texts.items():
        # Remove lines that a later one has overwritten.
        text = re.sub(r"[^\n]*\r(?=[^\n])", "", text)
        texts[name] = re.sub(r"\S+:(\d+: \w*Warning)", r"\1", text)
    return cell.execution_count, dict(texts), others


CELLS = [
    """import sys, warnings
print("out"); print("aside", file=sys.stderr); print("more")
for n in range(3): print(f"\\rline {n}", end="")
warnings.warn("be careful")""",
    """from IPython.display import HTML, clear_output, display
handle = display({"text/plain": "first"}, raw=True, display_id="a")
display(HTML("<b>1</b>"), metadata={"kept": True})
handle.update({"text/plain": "second"}, raw=True)""",
    "print('cleared'); clear_output(wait=True); display(HTML('<b>2</b>'))",
    "display(3); print('at once'); clear_output(); clear_output(wait=True)",
    "handle.update({'text/plain': 'third'}, raw=True); print('not cleared')",
    "import matplotlib.pyplot as plt; plt.plot([1, 2]); print(1); plt.figure(); "
    "plt.bar(1, 2)",
    "%precision 3\n3.14159",
    "files = !echo one two; echo three\nfiles",
    "object(), In[2][:6], Out[6], _",
    "_ = 7; 8;",
    "import os; "
    "[os.environ[name] for name in ('TERM', 'CLICOLOR', 'PAGER', 'MPLBACKEND')]",
    "",
    "from threading import Thread; "
    "t = Thread(target=print, args=(1,)); t.start(); t.join()",
    """import datetime, numpy
class Text(str): ...
display({"text/plain": Text("a"), "application/json": {"b": numpy.int64(1)}}, raw=True)
display({"image/png": b"png", "text/plain": "p"}, raw=True)
display({"application/json": {"when": datetime.datetime(2026, 1, 2)}}, raw=True)""",
    """from pipeline.reports.answers import fold_answer
fold_answer()
print("a < b"); display(HTML("<b>3</b>")); plt.plot([2, 1]); 4""",
    "print('no answer'); 5",
]
ERRORS = [
    "raise ValueError('x') from KeyError('y')",
    "1 +",
    "import sys; sys.exit(3)",
    "import pipeline.errors as e; raise e.InvalidInput('no') from OSError('c')",
    "%nosuch",
    "from pipeline.reports import answers; answers.fold_answer(); print(1); 1 / 0",
]


def test_outputs_of_all_kinds_are_those_of_a_kernel(tmp_path):
    notebook = write_notebook(tmp_path / "a.ipynb", *CELLS)
    theirs, ours = tmp_path / "theirs.ipynb", tmp_path / "ours.ipynb"
    papermill.execute_notebook(notebook, theirs, kernel_name="python3")
    execute(notebook, ours)
    expected = [simplify(cell) for cell in read_code_cells(theirs)]
    assert [simplify(cell) for cell in read_code_cells(ours)] == expected
    assert any(others for _, _, others in expected)


def test_errors_are_those_of_a_kernel():
    """The cells are run without papermill, because it ends at the first error."""
    node = new_notebook(cells=[new_code_cell(source) for source in ERRORS])
    nbclient.NotebookClient(node, kernel_name="python3", allow_errors=True).execute()
    with NotebookProcess({}, {}) as process:
        for cell in node.cells:
            *messages, (_, done) = process.run_cell(cell.source)
            outputs = [new_output(kind, **content) for kind, content in messages]
            ours = new_code_cell(outputs=outputs)
            ours.execution_count = done["execution_count"]
            assert simplify(ours) == simplify(cell)
            assert not done["success"]


# ---- failures ----

DIVERGENCE = """from pipeline.results import checkpoints
checkpoints.check_finite({'e': float('nan')}, 3, 0.5)"""
FAILURES = [  # a status, the source of a cell, and what the error names besides it
    ("failed", "1 / 0", "ZeroDivisionError"),
    ("failed", "%nosuch", "CellExecutionError"),
    ("diverged", DIVERGENCE, "learning_rate 0.5"),
    ("failed", "import os; os._exit(3)", "exit code 3"),
    ("failed", "import os; os.kill(os.getpid(), 9)", "exit code -9"),
]


@pytest.mark.parametrize(("status", "source", "name"), FAILURES)
def test_a_failure_has_a_status_and_leaves_the_notebook(tmp_path, status, source, name):
    log = tmp_path / "log"
    begun = f"open({str(log)!r}, 'a').write('x')\nprint('begun')"
    bad = new_code_cell(f"{begun}\n{source}", id="bad")
    notebook = write_notebook(
        tmp_path / "a.ipynb", "print('before')", bad, "print('after')"
    )
    with pytest.raises(NotebookFailed, match=f"cell 'bad': .*{name}") as failure:
        execute(notebook, tmp_path / "out.ipynb")
    assert Status.from_error(failure.value) == status
    assert log.read_text() == "x"  # it is not executed again by itself
    first, failed, last = read_code_cells(tmp_path / "out.ipynb")
    assert first.outputs[0].text == "before\n"
    assert failed.outputs[0].text.startswith("begun\n")
    assert not last.outputs


def test_a_process_has_died_also_if_its_child_holds_the_pipe(tmp_path):
    source = f"""import os, time
if child := os.fork():
    with open({str(tmp_path / "child")!r}, "a") as file: file.write(f"{{child}} ")
    os._exit(3)
time.sleep(600)"""
    notebook = write_notebook(tmp_path / "a.ipynb", source)
    with pytest.raises(NotebookFailed, match="ended with exit code 3"):
        execute(notebook, tmp_path / "out.ipynb")
    for child in (tmp_path / "child").read_text().split():  # they were there until now
        os.kill(int(child), signal.SIGKILL)


def test_a_notebook_of_another_language_is_refused(tmp_path):
    notebook = write_notebook(tmp_path / "a.ipynb", "1", language="julia")
    with pytest.raises(InvalidFile, match=r"a\.ipynb is in julia"):
        execute(notebook, tmp_path / "out.ipynb")


def test_a_notebook_without_a_kernel_is_in_python(tmp_path):
    node = new_notebook(cells=[new_code_cell("print(1)")])
    nbformat.write(node, tmp_path / "a.ipynb")
    execute(tmp_path / "a.ipynb", tmp_path / "out.ipynb")
    assert read_texts(tmp_path / "out.ipynb") == ["1\n"]


def test_modules_beside_a_notebook_come_first(tmp_path):
    """Even if the fork server has imported one of the same name."""
    (tmp_path / "helpers.py").write_text("NAME = 'theirs'")
    (tmp_path / "utils.py").write_text("NAME = 'utils'")
    source = "import helpers, utils; print(helpers.NAME, utils.NAME)"
    notebook = write_notebook(tmp_path / "a.ipynb", source)
    execute(notebook, tmp_path / "out.ipynb")
    assert read_texts(tmp_path / "out.ipynb") == ["theirs utils\n"]


def test_what_other_processes_print_is_stored(tmp_path):
    source = "import os; os.system('echo out; echo err >&2'); os.write(1, b'raw')"
    notebook = write_notebook(tmp_path / "a.ipynb", f"{source};", "print('next')")
    execute(notebook, tmp_path / "out.ipynb")
    first, second = nbformat.read(tmp_path / "out.ipynb", as_version=4).cells
    texts = {each.name: each.text for each in first.outputs}
    assert texts == {"stdout": "out\nraw", "stderr": "err\n"}
    assert [each.text for each in second.outputs] == ["next\n"]


# ---- how it is executed ----


def test_processes_share_no_state(tmp_path, monkeypatch):
    """All processes are forked from one server, so they could share state."""
    cells = (
        "import os; print('x' in globals(), os.environ['MINE'])",
        "import numpy; print(numpy.random.rand()); x = 1",
    )
    notebook, texts = write_notebook(tmp_path / "a.ipynb", *cells), []
    for value in ("1", "2"):
        monkeypatch.setenv("MINE", value)
        execute(notebook, tmp_path / "out.ipynb")
        texts += read_texts(tmp_path / "out.ipynb")
    assert (texts[0], texts[2]) == ("False 1\n", "False 2\n")
    assert texts[1] != texts[3]


ORDERLY = """
import atexit, subprocess, sys
file = open({path!r} + ".open", "w")
_ = file.write("flushed")
_ = atexit.register(lambda: open({path!r} + ".exit", "w").write("ended in order"))
sleeping = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(sleeping.pid)
"""


def test_a_process_ends_in_order_and_takes_along_what_its_cells_have_started(tmp_path):
    path = str(tmp_path / "a")
    notebook = write_notebook(tmp_path / "a.ipynb", ORDERLY.format(path=path))
    execute(notebook, tmp_path / "out.ipynb")
    assert (tmp_path / "a.open").read_text() == "flushed"
    assert (tmp_path / "a.exit").read_text() == "ended in order"
    (pid,) = map(int, read_texts(tmp_path / "out.ipynb"))
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(pid).wait(timeout=PATIENCE)


def test_a_process_that_starts_while_its_parent_is_interrupted_ends_in_silence():
    """The parent has closed the pipe, and does not know the number of the process."""
    code = (
        "from pipeline.engine import process\n"
        "started = process.NotebookProcess({}, {})\n"
        "process.start_fork_server()\n"
        "with started.child_end, process.hide_main_module():\n"
        "    started.process.start()\n"
        "started.pipe.close()\n"
        "started.process.join()\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=PATIENCE)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


COUNT_THREADS = """
import ctypes, glob, os, numpy
folder = os.path.dirname(numpy.__file__) + ".libs"
(path,) = glob.glob(folder + "/libscipy_openblas*")
print(ctypes.CDLL(path).scipy_openblas_get_num_threads64_())
"""


def test_products_of_matrices_use_one_thread(tmp_path, monkeypatch):
    """With several threads, the products would differ in their last digits."""
    for name in environment.THREADS:
        monkeypatch.delenv(name, raising=False)
    notebook = write_notebook(tmp_path / "a.ipynb", COUNT_THREADS)
    execute(notebook, tmp_path / "out.ipynb")
    assert read_texts(tmp_path / "out.ipynb") == ["1\n"]


def test_pictures_can_be_left_out(tmp_path):
    picture = new_code_cell("print('drawn')", metadata={"tags": ["picture"]})
    notebook = write_notebook(tmp_path / "a.ipynb", picture)
    for has_pictures, text in ((True, "drawn\n"), (False, notebooks.LEFT_OUT)):
        execute(notebook, tmp_path / "out.ipynb", has_pictures=has_pictures)
        assert read_texts(tmp_path / "out.ipynb") == [text]


def test_in_place_a_notebook_loses_what_differs_from_run_to_run(tmp_path):
    view = "'application/vnd.jupyter.widget-view+json': {'model_id': '1f'}"
    panel = f"{{{view}, 'text/plain': 'panel'}}"
    kept = {"tags": ["a"], "jupyter": {"outputs_hidden": True}}
    cell = new_code_cell(
        f"display({panel}, raw=True)", metadata=kept | {"scrolled": True}
    )
    notebook = write_notebook(tmp_path / "a.ipynb", cell)
    (tmp_path / ".a.ipynb").write_text("mine")
    execute_and_overwrite(notebook)
    node = nbformat.read(notebook, as_version=4)
    assert set(node.metadata) == {"kernelspec", "language_info"}
    assert node.cells[0].metadata == kept
    assert node.cells[0].outputs[0].data == {"text/plain": "panel"}
    content = write_notebook(notebook, "1", "1 / 0").read_bytes()
    with pytest.raises(NotebookFailed):
        execute_and_overwrite(notebook)
    contents = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert contents == {".a.ipynb": b"mine", "a.ipynb": content}


# ---- the committed notebooks ----


def is_prompt(cell):
    return "**Predict**" in cell.source


@each
def test_what_follows_a_prompt_is_hidden_until_it_is_asked_for(path):
    """JupyterLab hides it until the cell runs; then the cell's output hides it."""
    for before, cell in itertools.pairwise(nbformat.read(path, as_version=4).cells):
        if cell.cell_type == "code":
            jupyter = cell.metadata.get("jupyter", {})
            assert jupyter.get("outputs_hidden", False) == is_prompt(before)
            assert cell.metadata.get("collapsed", False) == is_prompt(before)
            for output in cell.outputs[:1]:
                metadata = output.get("metadata", {})
                assert metadata.get("answer", False) == is_prompt(before)


MACHINE = r'/(home|root|tmp|Users)/|0x[0-9a-f]{6,}|\d\d:\d\d:\d\d|"stderr"|"error"'


@each
def test_committed_outputs_are_in_order_and_hold_nothing_of_one_machine(path):
    node = nbformat.read(path, as_version=4)
    counts = [cell.execution_count for cell in node.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert set(node.metadata) == {"kernelspec", "language_info"}
    allowed = {"tags", "collapsed", "jupyter"}
    assert all(set(cell.metadata) <= allowed for cell in node.cells)
    for output in (output for cell in node.cells for output in cell.get("outputs", ())):
        if "image/png" not in output.get("data", {}):
            text = json.dumps(output)
            assert str(ROOT) not in text
            assert not re.search(MACHINE, text)


@each
def test_committed_parameters_are_the_defaults(path):
    code = read_code_cells(path)
    (cell,) = [cell for cell in code if "parameters" in cell.metadata.get("tags", ())]
    declared = papermill.inspect_notebook(str(path))
    assert len(declared) == len(cell.source.removeprefix("# Parameters\n").splitlines())
    fields = parameters.NotebookParameters.model_fields
    defaults = {name: field.default for name, field in fields.items()}
    if path.stem == "explore":  # reads the run that a command has made
        defaults["run_dir"] = "runs/default"
    for name, found in declared.items():
        default = defaults[name]
        # A slope is a float, too, but 1 is the original's.
        kind = float if name == "relu_grad_inactive" else type(default)
        assert found["inferred_type_name"] == kind.__name__
        assert repr(ast.literal_eval(found["default"])) == repr(default)
        assert found["help"]
        if path.stem[:2].isdigit():
            assert describe_range(name) in found["help"]
