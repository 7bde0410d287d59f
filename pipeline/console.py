"""Show on the console what runs and sweeps log, and in a notebook what its reader should not miss.

Everything in this package logs to the loggers ``pipeline.*`` of the standard library, and configures none of them. The
command line calls `show`; so does a notebook whose reader wants to follow a sweep.
"""

import logging
import os
import sys
from typing import Any


def plain(text: str, kept: str = "\n\t") -> str:
    """Escape what a terminal would obey and not show, such as colours, and marks that turn the direction of text."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in kept else c.encode("unicode_escape").decode() for c in text)


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return plain(super().format(record))


def show(level: int = logging.INFO) -> None:
    """Print the package's log: the messages alone, or with time and origin from level DEBUG on."""
    logging.raiseExceptions = False  # a run goes on when the reader of its log has gone, as with | head
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Formatter("%(asctime)s %(name)s: %(message)s" if level <= logging.DEBUG else None))
    logger = logging.getLogger("pipeline")
    logger.handlers = [handler]
    logger.setLevel(level)


def bring_into_view() -> None:
    """Have JupyterLab, which shows a notebook's last cell after Run All, show the cell that runs now."""
    if "JPY_SESSION_NAME" in os.environ:
        from IPython.display import Javascript, display  # which a command line should not import

        move = "element.closest('.jp-OutputArea')?.scrollIntoView({ block: 'center' })"
        display(Javascript(f"setTimeout(() => {move}, 500)"))


def after_this_cell(html: str) -> None:
    """Show HTML after all other outputs of the notebook's cell that runs now, and bring it into view."""
    from IPython import get_ipython  # which a command line should not import
    from IPython.display import HTML, display

    shell = get_ipython()
    if not hasattr(shell, "kernel"):  # in a terminal
        return

    def show_once(*_: Any) -> None:
        shell.events.unregister("post_run_cell", show_once)
        display(HTML(html))
        bring_into_view()

    shell.events.register("post_run_cell", show_once)
