"""The committed notebooks, under nbval, strictly, and in the house style; and how a notebook is executed."""

import ast
import base64
import contextlib
import errno
import itertools
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import nbformat
import papermill
import pytest

from pipeline import errors, parameters, storage
from pipeline.errors import InvalidParameter, NotebookFailed
from pipeline.notebooks import LEFT_OUT, WIDGET, execute, execute_in_place
from pipeline.readers import LIMITS
from pipeline.records import Status
from pipeline.run_folder import STAGES, RunFolder
from tests.test_runs import copy_project

ALL = sorted(storage.NOTEBOOKS.glob("*.ipynb"))
PIPELINE = [storage.NOTEBOOKS / f"{stage}.ipynb" for stage in STAGES]
# In one copy of the project, in which the runs that explore and compare make where they are missing are there.
TOGETHER = [storage.NOTEBOOKS / "explore.ipynb", storage.NOTEBOOKS / "compare.ipynb", *PIPELINE]
GROUPS = [*([path] for path in ALL if path not in TOGETHER), TOGETHER]
MEASURED = {"speed": {"range(6)": "range(2)", "range(3))": "range(1))"}}  # less often, as nobody compares these times
LESSONS = ("why", "dropout", "keras", "explore", "speed")  # which may be longer
EXPLORE = TOGETHER[0]
each = pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


# ---- under nbval -----------------------------------------------------------------------------------------------


def nbval(paths, where):
    """Run pytest --nbval in a copy of the project: the notebooks one after the other, comparing every output."""
    # The package comes first, as without what it leaves out of nbformat nbval starts a second sooner.
    command = [sys.executable, "-m", "pytest", "-p", "pipeline", "--nbval", "-q", "--numprocesses=0", "--rootdir", "."]
    command += [path.name for path in paths]
    return subprocess.run(command, capture_output=True, text=True, cwd=where["cwd"] / "notebooks", env=where["env"])


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: "+".join(path.stem for path in group))
def test_every_output_is_what_running_the_notebook_gives(group, tmp_path, runs):
    where = copy_project(tmp_path)
    if group is TOGETHER:
        for name in ("default", "true-derivative"):
            shutil.copytree(runs / name, tmp_path / "runs" / name)
    for stem, less in MEASURED.items():
        path = tmp_path / "notebooks" / f"{stem}.ipynb"
        node = read(path)
        for cell in node.cells:
            if cell.source.startswith("# NBVAL_IGNORE_OUTPUT"):
                for often, seldom in less.items():
                    cell.source = cell.source.replace(often, seldom)
        nbformat.write(node, path)
    checked = nbval(group, where)
    assert checked.returncode == 0, checked.stdout
    assert f"{sum(len(code_cells(path)) for path in group)} passed" in checked.stdout


def test_a_notebook_of_version_3_is_executed_as_one_of_version_4(tmp_path):
    cell = {"cell_type": "code", "input": "print(6 * 7)", "language": "python", "metadata": {}, "outputs": []}
    sheet = {"metadata": {}, "cells": [cell | {"collapsed": False}]}
    content = {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": [sheet]}
    (tmp_path / "old.ipynb").write_text(json.dumps(content))
    with pytest.raises(errors.InvalidRecord, match=r"No kernel name found .* provided\. Choose a kernel for it\."):
        execute_in_place(tmp_path / "old.ipynb")
    content["metadata"]["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    (tmp_path / "old.ipynb").write_text(json.dumps(content))
    execute_in_place(tmp_path / "old.ipynb")
    (cell,) = read(tmp_path / "old.ipynb").cells
    assert cell.outputs[0].text == "42\n"


def test_nbval_sees_a_changed_number(tmp_path):
    where = copy_project(tmp_path)
    first = tmp_path / "notebooks" / PIPELINE[0].name
    text = first.read_text()
    assert text.count("148.4 of 784") == 1
    first.write_text(text.replace("148.4 of 784", "148.5 of 784"))
    checked = nbval(PIPELINE[:1], where)
    assert checked.returncode == 1
    assert "1 failed" in checked.stdout
    assert "148.5 of 784" in checked.stdout


# ---- in the house style ----------------------------------------------------------------------------------------


@each
def test_is_committed_as_run_from_top_to_bottom(path):
    cells = code_cells(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]


@each
def test_cells_are_few_short_and_introduced_by_prose_from_a_title_with_a_table_on(path):
    cells = read(path).cells
    most = 40 if path.stem in LESSONS else 30
    assert len(cells) <= most, f"{len(cells)} cells, and {most} at most: those of LESSONS may have 40"
    for before, cell in itertools.pairwise(cells):
        if cell.cell_type == "code":
            lines = len([line for line in cell.source.splitlines() if line.strip()])
            assert lines <= 20, f"the cell {cell.id!r} has {lines} lines that are not empty, and 20 at most"
            assert before.cell_type == "markdown", f"no prose introduces the cell {cell.id!r}"
    prose = [cell.source for cell in cells if cell.cell_type == "markdown"]
    (title,) = re.findall(r"^# .*", "\n".join(prose), re.M)
    assert cells[0].source.startswith(title)
    for row in ("reads", "writes", "takes"):
        assert f"| {row} |" in cells[0].source, f"the table of the first cell has no row {row!r}"
    assert cells[-1].cell_type == "markdown", "it does not end with prose"


@each
def test_no_place_is_left_to_fill_in(path):
    assert not re.findall(r"@[A-Z0-9]+@", "".join(cell.source for cell in read(path).cells))


@each
def test_outputs_and_metadata_hold_nothing_of_one_machine_or_moment(path):
    node = read(path)
    assert set(node.metadata) == {"kernelspec", "language_info"}
    assert node.metadata.language_info == {"name": "python"}
    for cell in node.cells:
        assert set(cell.metadata) <= {"tags"}
        text = json.dumps([output for output in cell.get("outputs", []) if "image/png" not in output.get("data", {})])
        assert str(storage.ROOT) not in text
        assert WIDGET not in text  # a control has a random name, and is nothing without its kernel
        assert not re.search(r"/(home|root|tmp|Users)/|0x[0-9a-f]{6,}|\d\d:\d\d:\d\d|stderr", text)


def test_where_there_is_no_kernel_each_panel_is_described_after_a_picture():
    cells = code_cells(EXPLORE)
    panels = [index for index, cell in enumerate(cells) if cell.id.endswith("-panel")]
    pictures = [any("image/png" in output.get("data", {}) for output in cell.outputs) for cell in cells]
    assert sum(pictures) == 1
    assert len(panels) == 2
    for index in panels:
        (output,) = cells[index].outputs
        assert re.match(r"(?s)A panel: .* It needs JupyterLab", output.data["text/plain"])
        assert any(pictures[:index])


@each
def test_every_picture_has_a_text_alternative_of_its_own(path):
    alternatives = [
        output.metadata.get("image/png", {}).get("alt")
        for cell in code_cells(path)
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    assert all(alternative and len(alternative) > 30 for alternative in alternatives)
    assert len(set(alternatives)) == len(alternatives)


@each
def test_relative_links_lead_somewhere(path):
    for cell in read(path).cells:
        if cell.cell_type == "markdown":
            for target in re.findall(r"\]\(([^)#]+)[^)]*\)", cell.source):
                assert "://" in target or (path.parent / target).exists(), target


@each
def test_parameters_are_declared_at_their_defaults_with_types_and_comments(path):
    (tagged,) = [cell for cell in code_cells(path) if "parameters" in cell.metadata.get("tags", [])]
    inspected = papermill.inspect_notebook(str(path))
    assert tagged.source.startswith("# Parameters\n")
    assert len(inspected) == len(tagged.source.splitlines()) - 1
    for name, found in inspected.items():
        default, expected = ast.literal_eval(found["default"]), parameters.field_of(name).default
        assert (default, type(default)) == (expected, type(expected))
        assert found["inferred_type_name"] == type(expected).__name__
        assert "original" in found["help"], f"what the original has is missing from the comment of {name}"


def test_every_parameter_is_declared_by_a_stage():
    declared = {name for path in PIPELINE for name in papermill.inspect_notebook(str(path))}
    assert declared == {*parameters.NAMES, "run_dir"}


# ---- under papermill -------------------------------------------------------------------------------------------


def run_alone(path, output, **values):
    papermill.execute_notebook(str(path), str(output), values, progress_bar=False)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_sample": 5}, r"no parameter 'num_sample'. Did you mean num_samples\?"),
        ({"num_samples": 0}, "num_samples is 0, but must be a whole number from 1 to"),
    ],
)
def test_papermill_alone_refuses_a_wrong_name_or_value_and_writes_nothing(tmp_path, values, message):
    with pytest.raises(papermill.PapermillExecutionError, match=message):
        run_alone(PIPELINE[0], tmp_path / "out.ipynb", run_dir=str(tmp_path / "run"), **values)
    assert not (tmp_path / "run").exists()


def test_papermill_alone_runs_a_stage_on_the_files_of_the_one_before(tmp_path, small_source):
    folder = str(tmp_path / "run")
    chosen = {"source": str(small_source[0]), "num_samples": 40, "num_validation": 0}
    run_alone(PIPELINE[0], tmp_path / "1.ipynb", run_dir=folder, **chosen)
    run_alone(PIPELINE[1], tmp_path / "2.ipynb", run_dir=folder, epochs=2, hidden_size=3, normalisation=128.0)
    model, history = RunFolder(folder).read_model(), RunFolder(folder).read_history()
    assert (model.weights_0_1.shape, model.weights_1_2.shape) == ((784, 3), (3, 10))
    assert model.normalisation == 128
    measured = {"train_error", "train_accuracy", "train_error_no_dropout", "train_accuracy_no_dropout"}
    assert [set(epoch.model_dump(exclude_none=True)) for epoch in history] == [measured] * 2


# ---- by execute ------------------------------------------------------------------------------------------------


def write_notebook(path, *sources, kernel="python3", **metadata):
    """Write a notebook of code cells: sources, or cells."""
    cells = [nbformat.v4.new_code_cell(source) if isinstance(source, str) else source for source in sources]
    kernelspec = {"name": kernel, "display_name": "", "language": "python"}
    node = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernelspec} | metadata)
    nbformat.write(node, path)
    return path


def test_half_of_a_character_in_a_text_and_a_count_that_begins_again_are_no_surprise(tmp_path):
    half = "of \ud800 a"
    sources = nbformat.v4.new_markdown_cell(half), "x = 1", "get_ipython().reset()", "1 / 0"
    content = nbformat.v4.new_notebook(cells=[], metadata={"kernelspec": {"name": "python3", "display_name": ""}})
    content.cells = [nbformat.v4.new_code_cell(each) if isinstance(each, str) else each for each in sources]
    (tmp_path / "a.ipynb").write_text(json.dumps(content))
    with pytest.raises(errors.CellFailed, match=rf"in the cell '{content.cells[-1].id}' .*: ZeroDivisionError"):
        execute(tmp_path / "a.ipynb", tmp_path / "out.ipynb")
    assert read(tmp_path / "out.ipynb").cells[-1].source == "1 / 0"
    assert half in {cell.source for cell in read(tmp_path / "out.ipynb").cells}


DIVERGE = "from pipeline.errors import check_finite\ncheck_finite(float('nan'), 3, 0.5, 255)"
DIVERGED = "Diverged: The error became nan in epoch 4, with learning_rate 0.5 and normalisation 255"
FAILURES = [
    ("failed", "1 / 0", errors.CellFailed, r"failed in the cell '\w+' \(In \[2\]\): ZeroDivisionError: division by"),
    ("diverged", DIVERGE, errors.Diverged, DIVERGED),
    (
        "timed out",
        "import time\ntime.sleep(600)",
        errors.CellTimedOut,
        r"out of time in the cell '\w+', after 1 seconds",
    ),
    (
        "kernel died",
        "import os\nos._exit(1)",
        errors.KernelDied,
        r"its kernel ended with exit code 1 in the cell '\w+'",
    ),
]


@pytest.mark.parametrize(("status", "source", "kind", "message"), FAILURES)
def test_each_failure_is_an_error_of_its_own_and_leaves_the_notebook(status, source, kind, message, tmp_path):
    notebook = write_notebook(tmp_path / "a.ipynb", "print('before')", source, "print('after')")
    with pytest.raises(kind, match=message) as failure:
        execute(notebook, tmp_path / "out.ipynb", time_limit=1 if status == "timed out" else None)
    assert type(failure.value) is kind
    assert Status.of(failure.value) == status
    first, _, last = code_cells(tmp_path / "out.ipynb")
    assert first.outputs[0].text == "before\n"
    assert not last.outputs


def test_a_kernel_that_dies_where_no_file_can_be_made_has_found_no_room(tmp_path, monkeypatch):
    """As in a TMPDIR with as many files as it can have, where a kernel dies without a message."""
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=9**9, f_frsize=1, f_files=99, f_favail=9))
    with pytest.raises(OSError, match=re.escape(os.strerror(errno.ENOSPC))):
        execute(write_notebook(tmp_path / "a.ipynb", "import os\nos._exit(1)"), tmp_path / "out.ipynb")


def test_an_error_that_the_kernel_cannot_show_is_a_failure_and_in_the_notebook(tmp_path):
    hidden = "get_ipython()._showtraceback = lambda *_: None\n1 / 0"  # as where it has not the memory for it
    with pytest.raises(errors.CellFailed, match="ZeroDivisionError: division by zero"):
        execute(write_notebook(tmp_path / "a.ipynb", hidden, "2"), tmp_path / "out.ipynb")
    failed, last = code_cells(tmp_path / "out.ipynb")
    assert [output.ename for output in failed.outputs] == ["ZeroDivisionError"]
    assert last.execution_count is None


def test_a_notebook_that_exits_is_left_as_it_was(tmp_path):
    notebook = write_notebook(tmp_path / "a.ipynb", "import sys\nsys.exit()", "print(1)")
    before = notebook.read_bytes()
    with pytest.raises(
        errors.CellFailed, match=r"a\.ipynb ended before its last cell, with SystemExit\. It is left as"
    ):
        execute_in_place(notebook)
    assert notebook.read_bytes() == before


def test_of_an_endless_message_the_first_2000_characters_are_reported(tmp_path):
    with pytest.raises(errors.CellFailed) as failure:
        execute(write_notebook(tmp_path / "a.ipynb", "raise ValueError('x' * 100_000)"), tmp_path / "out.ipynb")
    assert f"ValueError: {'x' * 2000} ...\nTo see it as a page: " in str(failure.value)


def test_a_kernel_that_cannot_start_is_a_failure(tmp_path):
    notebook = write_notebook(tmp_path / "unknown.ipynb", "1", kernel="no-such-kernel")
    with pytest.raises(errors.NotebookFailed, match="unknown.ipynb: its kernel did not start"):
        execute(notebook, tmp_path / "out.ipynb")


def test_a_notebook_without_a_kernels_name_is_refused(tmp_path):
    with pytest.raises(
        errors.InvalidRecord, match=r"a.ipynb cannot be executed: No kernel name found .* Choose a kernel"
    ):
        execute(write_notebook(tmp_path / "a.ipynb", "1", kernel=""), tmp_path / "out.ipynb")


def test_a_notebook_gets_the_values_that_it_declares_and_no_record_of_papermill(tmp_path):
    cell = nbformat.v4.new_code_cell("# Parameters\nseed: int = 1", metadata={"tags": ["parameters"]})
    folder = tmp_path / "a {b}"
    folder.mkdir()
    notebook = write_notebook(folder / "a.ipynb", cell, "print(seed, 'epochs' in globals())")
    execute(notebook, folder / "out {c}.ipynb", {"seed": 7, "epochs": 5})
    *_, last = code_cells(folder / "out {c}.ipynb")
    assert last.outputs[0].text == "7 False\n"
    assert "papermill" not in read(folder / "out {c}.ipynb").metadata


def test_compiled_code_that_cannot_be_read_is_removed_and_the_notebook_executed_once_more(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(storage, "ROOT", tmp_path)
    cache = tmp_path / "__pycache__"
    (cache / "helpers.a-1.py311.nbi").mkdir(parents=True)
    for name in ("helpers.b-2.py311.1.nbc", "helpers.cpython-311.pyc"):
        (cache / name).write_bytes(b"junk")
    reading = "exec(compile(\"raise EOFError('Ran out of input')\", '/lib/numba/core/caching.py', 'exec'))"
    notebook = write_notebook(
        tmp_path / "a.ipynb", f"from pathlib import Path\nif list(Path('{cache}').glob('*.nb*')): {reading}"
    )
    execute(notebook, tmp_path / "out.ipynb")
    assert "a.ipynb: what Numba had compiled could not be read, and has been removed. It is started" in caplog.text
    assert [path.name for path in cache.iterdir()] == ["helpers.cpython-311.pyc"]
    with pytest.raises(errors.CacheDamaged):  # and not for ever
        execute(write_notebook(tmp_path / "b.ipynb", reading), tmp_path / "out.ipynb")


def test_half_of_a_character_is_printed_as_its_escape(tmp_path, capfd):
    notebook = write_notebook(tmp_path / "a.ipynb", "print('a \\ud800 b')")
    execute(notebook, tmp_path / "out.ipynb")
    assert code_cells(tmp_path / "out.ipynb")[0].outputs[0].text == "a \\ud800 b\n"
    assert capfd.readouterr().err == ""


def test_a_stage_that_would_work_in_another_folder_is_not_begun(tmp_path):
    notebook = write_notebook(tmp_path / "a.ipynb", "# Parameters\nrun_dir: str = 'runs/default'")
    with pytest.raises(NotebookFailed, match="a.ipynb has no cell tagged parameters that declares run_dir"):
        execute(notebook, tmp_path / "out.ipynb", {"run_dir": str(tmp_path)})
    assert not (tmp_path / "out.ipynb").exists()


def test_a_notebook_whose_outputs_are_too_large_to_be_read_again_stays_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setitem(LIMITS, "notebook", 10_000)
    notebook = write_notebook(tmp_path / "a.ipynb", "print('x' * 20_000)")
    before = notebook.read_bytes()
    with pytest.raises(NotebookFailed, match="a.ipynb would have 20,.* may have 10,000 at most. It is left as it was"):
        execute_in_place(notebook)
    assert notebook.read_bytes() == before


def test_pictures_are_left_out_where_nobody_looks_and_the_notebook_says_so(tmp_path):
    picture = nbformat.v4.new_code_cell("print('drawn')", metadata={"tags": ["picture"]})
    notebook = write_notebook(tmp_path / "a.ipynb", "print('before')", picture, "print('after')")
    for with_pictures, shown in ((True, "drawn\n"), (False, LEFT_OUT)):
        execute(notebook, tmp_path / "out.ipynb", with_pictures=with_pictures)
        texts = [output.text for cell in code_cells(tmp_path / "out.ipynb") for output in cell.outputs]
        assert texts == ["before\n", shown, "after\n"]


@pytest.mark.parametrize(
    ("name", "transport"), [("Zürich b", "ipc"), ("x" * 90, "tcp"), (os.fsdecode(b"not UTF-8 \xff"), "tcp")]
)
def test_a_kernel_has_sockets_and_ports_only_where_their_paths_cannot_be_used(tmp_path, name, transport, monkeypatch):
    short = Path(tempfile.mkdtemp()) / name  # pytest's own paths are too long
    short.mkdir()
    monkeypatch.setattr(storage, "scratch", lambda: contextlib.nullcontext(short))
    source = "import ipykernel, json; print(json.load(open(ipykernel.get_connection_file()))['transport'])"
    execute(write_notebook(tmp_path / "a.ipynb", source), tmp_path / "out.ipynb")
    assert code_cells(tmp_path / "out.ipynb")[0].outputs[0].text == f"{transport}\n"
    shutil.rmtree(short.parent)


@pytest.mark.parametrize("watched", [True, False])
def test_a_log_has_a_line_now_and_then_of_what_is_printed_over_and_over(tmp_path, watched, caplog, monkeypatch):
    monkeypatch.setattr("pipeline.notebooks.LOG_INTERVAL", 0.2)
    caplog.set_level(logging.INFO, "pipeline")
    loop = "import time\nfor epoch in range(30):\n    print(f'\\rI:{epoch}', end='', flush=True)\n    time.sleep(0.03)"
    execute(write_notebook(tmp_path / "a.ipynb", loop), tmp_path / "out.ipynb", watched=watched)
    assert all(re.fullmatch(r"a\.ipynb  I:\d+", line) for line in caplog.messages)
    assert 1 < len(caplog.messages) < 10 if watched else not caplog.messages


# ---- in place --------------------------------------------------------------------------------------------------


def test_a_notebook_that_fails_in_place_stays_as_it_was(tmp_path, pipeline):
    notebook = write_notebook(tmp_path / "fails.ipynb", "1 / 0")
    before = notebook.read_bytes()
    failed = pipeline("notebooks", notebook)
    assert failed.returncode == 1
    assert "ZeroDivisionError: division by zero" in failed.stderr
    assert notebook.read_bytes() == before
    assert pipeline("notebooks", tmp_path / "none.ipynb").returncode == 2


def test_a_notebook_that_is_saved_while_it_is_executed_in_place_is_left_so(tmp_path):
    notebook = write_notebook(tmp_path / "a.ipynb", f"open({str(tmp_path / 'a.ipynb')!r}, 'w').write('{{}}')")
    with pytest.raises(NotebookFailed, match=r"a.ipynb was saved by another program meanwhile, and is left so. Try"):
        execute_in_place(notebook)
    assert notebook.read_text() == "{}"


def test_in_place_a_notebook_that_cannot_be_written_is_not_executed(tmp_path, monkeypatch):
    notebook = write_notebook(tmp_path / "a.ipynb", f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(InvalidParameter, match=r"cannot be written to, so a.ipynb was not executed. Change who"):
        execute_in_place(notebook)
    assert not (tmp_path / "ran").exists()


def test_in_place_a_notebook_loses_what_differs_from_run_to_run(tmp_path):
    panel = f"display({{'{WIDGET}': {{'model_id': '1f'}}, 'text/plain': 'A panel: choose.'}}, raw=True)"
    tagged = nbformat.v4.new_code_cell("1 + 1", metadata={"tags": ["kept"], "scrolled": True})
    notebook = write_notebook(tmp_path / "a.ipynb", panel, tagged, widgets={"state": {}})
    execute_in_place(notebook)
    node = read(notebook)
    assert set(node.metadata) == {"kernelspec", "language_info"}
    assert [dict(cell.metadata) for cell in node.cells] == [{}, {"tags": ["kept"]}]
    assert [cell.execution_count for cell in node.cells] == [1, 2]
    assert [output.data for cell in node.cells for output in cell.outputs] == [
        {"text/plain": "A panel: choose."},
        {"text/plain": "2"},
    ]
    again = notebook.read_bytes()
    notebook.chmod(0o600)
    (link := tmp_path / "link.ipynb").symlink_to(notebook)
    execute_in_place(link)
    assert notebook.read_bytes() == again
    assert (link.is_symlink(), notebook.stat().st_mode & 0o777) == (True, 0o600)


def test_in_place_the_pictures_of_the_readme_are_written(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "NOTEBOOKS", tmp_path)
    pixels = base64.b64encode(b"\x89PNG").decode()
    cell = nbformat.v4.new_code_cell(f"display({{'image/png': '{pixels}'}}, raw=True)", id="weights-drawn")
    execute_in_place(write_notebook(tmp_path / "a.ipynb", cell))
    (picture,) = (tmp_path / "pictures").iterdir()
    assert (picture.name, picture.read_bytes()) == ("hidden_units.png", b"\x89PNG")


def test_what_is_printed_bit_by_bit_is_kept_as_it_was_last_seen_also_where_a_line_is_long(tmp_path):
    printing = """print('x' * 1_000_000)
for i in range(5): print(f'\\rline {i}', end='', flush=True)
print()
import sys
print('aside', file=sys.stderr)
print('end')"""
    execute(write_notebook(tmp_path / "a.ipynb", printing), tmp_path / "out.ipynb", time_limit=60)
    (cell,) = (cell for cell in read(tmp_path / "out.ipynb").cells if cell.cell_type == "code")
    shown = {output.name: output.text for output in cell.outputs}
    assert shown["stderr"] == "aside\n"
    assert "".join(output.text for output in cell.outputs if output.name == "stdout") == (
        "x" * 1_000_000 + "\nline 4\nend\n"
    )
