"""Fold the outputs of a cell, so that a reader can predict them before seeing them.

JupyterLab can fold outputs, too, but it unfolds them when their cell runs. The fold of
this module is part of an output, so *Run All* does not give any answer away.
"""

from html import escape

from IPython.core.getipython import get_ipython
from IPython.core.interactiveshell import ExecutionResult
from IPython.display import publish_display_data
from IPython.utils.capture import capture_output

SUMMARY = "<summary>Show the answer</summary>"
# A fold in one output cannot contain the other outputs of the cell. In JupyterLab, this
# style hides the outputs that follow a closed fold.
STYLE = (
    "<style>.jp-OutputArea-child:has(details.answer:not([open])) "
    "~ .jp-OutputArea-child { display: none }</style>"
)


def fold_answer() -> None:
    """Fold what the current cell prints and displays.

    Call this function at the beginning of a cell. The printed text comes first in the
    fold, and pictures and tables follow below the text. Nothing is folded if the cell
    fails, or if the code does not run in IPython.
    """
    shell = get_ipython()
    if shell is None:
        return
    capture = capture_output(stderr=False)
    captured = capture.__enter__()

    def show(result: ExecutionResult) -> None:
        shell.events.unregister("post_run_cell", show)
        capture.__exit__(None, None, None)
        if not result.success:
            print(captured.stdout, end="")
        else:
            text = captured.stdout
            body = f"<pre>{escape(text, quote=False)}</pre>" if text else ""
            style = STYLE if captured.outputs else ""
            html = f'{style}<details class="answer">{SUMMARY}{body}</details>'
            data = {"text/html": html, "text/plain": text}
            publish_display_data(data, {"answer": True})
        for output in captured.outputs:
            output.display()

    shell.events.register("post_run_cell", show)
