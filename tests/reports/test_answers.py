"""The outputs of a cell that folds its answer, when the cell fails."""

from pipeline.engine.process import NotebookProcess

CELL = """from IPython.display import HTML, display
from pipeline.reports.answers import fold_answer
fold_answer(); display(HTML('<b>drawn</b>')); print('a < b'); 1 / 0"""


def test_nothing_is_folded_if_the_cell_fails():
    with NotebookProcess({}, {}) as process:
        *outputs, _ = process.run_cell(CELL)
    assert "details" not in str(outputs)
    assert [kind for kind, _ in outputs] == ["error", "stream", "display_data"]
