"""The committed notebooks: under nbval, strictly, and in the house style."""

import ast
import itertools
import json
import re
import shutil
import subprocess
import sys

import nbformat
import papermill
import pytest

from pipeline import files, parameters, run

ALL = sorted(run.NOTEBOOKS.glob("*.ipynb"))
PIPELINE = [run.NOTEBOOKS / f"{stage}.ipynb" for stage in run.STAGES]
ALONE = [[path] for path in ALL if path not in PIPELINE]
EXPLORE = run.NOTEBOOKS / "explore.ipynb"
each = pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def copies(paths, folder):
    """Copies whose runs are below the folder, so that a test neither uses nor alters the user's."""
    for path in paths:
        text = path.read_text()
        moved = text.replace('run_dir: str = \\"runs/default\\"', f'run_dir: str = \\"{folder}/run\\"')
        moved = moved.replace('sweep_dir: str = \\"runs/sweeps/', f'sweep_dir: str = \\"{folder}/')
        assert moved != text or not ("run_dir: " in text or "sweep_dir: " in text)
        (folder / path.name).write_text(moved)
    return [folder / path.name for path in paths]


def nbval(paths):
    """pytest --nbval, the notebooks one after the other, comparing every output."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval",
        "-q",
        "--numprocesses=0",
        "--rootdir",
        paths[0].parent,
        *paths,
    ]
    return subprocess.run(command, capture_output=True, text=True, cwd=paths[0].parent)


@pytest.mark.parametrize("group", [PIPELINE, *ALONE], ids=lambda group: "+".join(path.stem for path in group))
def test_every_output_is_what_running_the_notebook_gives(group, tmp_path):
    checked = nbval(copies(group, tmp_path))
    assert checked.returncode == 0, checked.stdout
    assert f"{sum(len(code_cells(path)) for path in group)} passed" in checked.stdout


def test_nbval_sees_a_changed_figure(tmp_path):
    first, second, third = copies(PIPELINE, tmp_path)
    text = third.read_text()
    assert text.count("Test-Acc:0.7942") == 1
    third.write_text(text.replace("Test-Acc:0.7942", "Test-Acc:0.7943"))
    checked = nbval([first, second, third])
    assert checked.returncode == 1
    assert "1 failed" in checked.stdout
    assert "Test-Acc:0.7943" in checked.stdout


@each
def test_is_committed_as_run_from_top_to_bottom(path):
    cells = code_cells(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]


@each
def test_cells_are_few_short_and_introduced_by_prose(path):
    cells = read(path).cells
    assert len(cells) <= 30
    for before, cell in itertools.pairwise(cells):
        if cell.cell_type == "code":
            lines = [line for line in cell.source.splitlines() if line.strip()]
            assert len(lines) <= 20, cell.source
            assert before.cell_type == "markdown", cell.source


@each
def test_begins_with_one_title_and_a_table_and_ends_with_prose(path):
    cells = read(path).cells
    titles = [
        line for cell in cells if cell.cell_type == "markdown" for line in re.findall(r"^# .*", cell.source, re.M)
    ]
    assert len(titles) == 1
    assert cells[0].source.startswith(titles[0])
    assert all(f"| {row} |" in cells[0].source for row in ("reads", "writes", "takes"))
    assert cells[-1].cell_type == "markdown"


@each
def test_outputs_and_metadata_hold_nothing_of_one_machine_or_moment(path):
    node = read(path)
    assert set(node.metadata) == {"kernelspec", "language_info"}
    assert node.metadata.language_info == {"name": "python"}
    for cell in node.cells:
        assert set(cell.metadata) <= {"tags"}
        told = json.dumps([output for output in cell.get("outputs", []) if "image/png" not in output.get("data", {})])
        assert str(files.ROOT) not in told
        assert run.WIDGET not in told  # a control has a random name, and is nothing without its kernel
        assert not re.search(r"/(home|root|tmp|Users)/|0x[0-9a-f]{6,}|\d\d:\d\d:\d\d|stderr", told)


def test_where_there_is_no_kernel_each_panel_is_told_in_words_after_a_picture():
    panels = [index for index, cell in enumerate(code_cells(EXPLORE)) if cell.id.endswith("-panel")]
    cells = code_cells(EXPLORE)
    assert len(panels) == 3
    for index in panels:
        (output,) = cells[index].outputs
        assert output.data["text/plain"].startswith("A panel: ")
        assert "alive in JupyterLab" in output.data["text/plain"]
    pictures = [any("image/png" in output.get("data", {}) for output in cell.outputs) for cell in cells]
    assert all(any(pictures[:index]) for index in panels)
    assert sum(pictures) == len(panels)


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
    tagged = [cell for cell in code_cells(path) if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    first, *lines = tagged[0].source.splitlines()
    assert first == "# Parameters"
    inspected = papermill.inspect_notebook(str(path))
    assert len(inspected) == len(lines)
    known = parameters.Parameters.model_fields | parameters.SweepParameters.model_fields
    for name, found in inspected.items():
        field = known[name]
        default = ast.literal_eval(found["default"])
        assert (default, type(default)) == (field.default, type(field.default))
        assert found["inferred_type_name"] == type(field.default).__name__
        assert "original" in found["help"]


def test_every_parameter_is_declared_by_a_stage():
    declared = set()
    for path in PIPELINE:
        declared |= set(papermill.inspect_notebook(str(path)))
    assert declared == set(parameters.NAMES)


def test_papermill_alone_refuses_a_misspelt_name(tmp_path):
    (notebook,) = copies(PIPELINE[:1], tmp_path)
    with pytest.raises(papermill.PapermillExecutionError, match="no parameter 'num_sample'. Did you mean num_samples?"):
        papermill.execute_notebook(str(notebook), str(tmp_path / "out.ipynb"), {"num_sample": 5}, progress_bar=False)
    assert not (tmp_path / "run").exists()


def test_papermill_alone_refuses_a_wrong_value(tmp_path):
    (notebook,) = copies([PIPELINE[1]], tmp_path)
    with pytest.raises(
        papermill.PapermillExecutionError, match="dropout_rate is 1.5, but must be a number from 0 to below"
    ):
        papermill.execute_notebook(
            str(notebook), str(tmp_path / "out.ipynb"), {"dropout_rate": 1.5}, progress_bar=False
        )


def test_papermill_alone_runs_a_stage_on_the_files_of_the_one_before(tmp_path, small_source):
    first, second = copies(PIPELINE[:2], tmp_path)
    settings = {"source": str(small_source[0]), "num_samples": 40, "num_validation": 0}
    papermill.execute_notebook(str(first), str(tmp_path / "1.ipynb"), settings, progress_bar=False)
    shutil.copytree(tmp_path / "run", tmp_path / "other")
    papermill.execute_notebook(
        str(second),
        str(tmp_path / "2.ipynb"),
        {"epochs": 2, "hidden_size": 3, "run_dir": str(tmp_path / "other")},
        progress_bar=False,
    )
    weights_0_1, weights_1_2, history = files.load_model(str(tmp_path / "other"))
    assert (weights_0_1.shape, weights_1_2.shape) == ((784, 3), (3, 10))
    assert [set(record) for record in history] == [{"train_error", "train_accuracy"}] * 2
