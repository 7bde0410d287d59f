"""A refused parameter stops all later cells, even if Jupyter has already sent them."""

import shutil

import nbformat
import pytest

from pipeline.engine.process import NotebookProcess
from pipeline.results.stages import RESULT_FILES, STAGES

REFUSED = {"01_prepare": "num_samples = 0", "02_train": "learning_rate = -0.5"}
REFUSED |= {"03_evaluate": "run_dir = ''"}
QUICK = {"02_train": "epochs = 2"}


@pytest.fixture
def lab(runs, tmp_path):
    """A folder in which notebooks have run alone."""
    for name in (*RESULT_FILES, ".digits.lock"):
        shutil.copy(runs / "default" / name, tmp_path)
    return tmp_path


def run_all(process, cells, line):
    """Run all cells, with one line added to the parameters.

    Return the kinds of the messages of each cell, and whether it succeeded.
    """
    results = []
    for cell in cells:
        more = f"\n{line}" if cell.id == "parameters" else ""
        *messages, (_, end) = process.run_cell(cell.source + more)
        results.append(([kind for kind, _ in messages], end["success"]))
    return results


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_no_cell_below_a_refused_value_shows_or_stores_anything(lab, stage):
    cells = nbformat.read(stage.notebook, 4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    place = f"run_dir = {str(lab)!r}"
    with NotebookProcess({}, {}) as process:
        quick = f"{place}; {QUICK.get(stage.name, '')}"
        assert all(success for _, success in run_all(process, code, quick))
        before = {path: path.stat().st_mtime_ns for path in lab.iterdir()}
        refused = run_all(process, code, f"{place}; {REFUSED[stage.name]}")
    below = refused[2:]  # the imports and the parameters
    assert below == [(["error"], False)] * len(below)
    assert {path: path.stat().st_mtime_ns for path in lab.iterdir()} == before
