"""Show in a notebook what its reader should not miss."""

import os
from typing import Any


def bring_into_view(after_ms: int = 500, if_running: bool = False) -> None:
    """Have JupyterLab, which shows a notebook's last cell after Run All, show the cell that runs now.

    if_running: only if it still runs when that time has passed.
    """
    if "JPY_SESSION_NAME" in os.environ:
        from IPython.display import Javascript, display  # which a command line should not import

        move = "element.closest('.jp-OutputArea')?.scrollIntoView({ block: 'center' })"
        if if_running:  # its prompt is [*]
            move = f"/[*]/.test(element.closest('.jp-Cell')?.querySelector('.jp-InputPrompt').textContent) && {move}"
        display(Javascript(f"setTimeout(() => {move}, {after_ms})"))


def running_cell() -> str:
    """Return the source of the notebook's cell that runs now; "" outside of notebooks."""
    from IPython import get_ipython  # which a command line should not import

    shell = get_ipython()
    return shell.user_ns["In"][-1] if shell else ""


def after_this_cell(html: str) -> None:
    """Show HTML after all other outputs of the notebook's cell that runs now, and bring it into view."""
    from IPython import get_ipython  # which a command line should not import
    from IPython.display import HTML, display

    shell = get_ipython()
    if not hasattr(shell, "kernel") or shell.parent_header["header"]["msg_type"] != "execute_request":
        return  # in a terminal, or where a control was used and no cell runs

    def show_once(*_: Any) -> None:
        shell.events.unregister("post_run_cell", show_once)
        display(HTML(html))
        bring_into_view()

    shell.events.register("post_run_cell", show_once)
