"""The outputs of a cell that folds its answer, and of such a cell when it fails."""

import pytest
from bs4 import BeautifulSoup

from pipeline.engine.process import NotebookProcess

IMPORTS = """from IPython.display import HTML, display
from pipeline.reports.answers import fold_answer"""
ANSWER = "fold_answer(); display(HTML('<b>drawn</b>')); print('a < b'); "


@pytest.fixture(scope="module")
def process():
    with NotebookProcess({}, {}) as process:
        assert run(process, IMPORTS) == []
        yield process


def run(process, source):
    """Return the outputs of a cell, each as its kind and its content."""
    return list(process.run_cell(source))[:-1]


def test_an_answer_is_folded_text_first_and_the_next_cell_is_not(process):
    (_, first), (_, drawn), (_, value) = run(process, f"{ANSWER} 7")
    (folded,) = BeautifulSoup(first["data"]["text/html"], "html.parser").select(
        "details:not([open])"
    )
    assert folded.pre.text == first["data"]["text/plain"] == "a < b\n"
    assert first["metadata"] == {"answer": True}
    assert drawn["data"]["text/html"] == "<b>drawn</b>"
    assert value["data"]["text/plain"] == "7"
    assert run(process, "print(1)")[0] == ("stream", {"name": "stdout", "text": "1"})


def test_nothing_is_folded_if_the_cell_fails(process):
    outputs = run(process, f"{ANSWER} 1 / 0")
    assert "details" not in str(outputs)
    assert [kind for kind, _ in outputs] == ["error", "stream", "display_data"]
