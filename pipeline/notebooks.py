"""Execute a notebook with papermill, and write it whole, also when it fails.

papermill's own engine is used with two habits changed: kernels are forked, and a notebook is saved once, when it ends.
papermill saves before and after every cell, which takes as long as the cells of a short notebook do. A notebook is
executed into a scratch folder that means nothing after a kill, so once is enough.
"""

import logging
import sys
import tempfile
import time
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import papermill
from jupyter_client.kernelspec import NoSuchKernel
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from pipeline import errors, storage
from pipeline.kernels import ForkedKernelManager
from pipeline.readers import read_notebook
from pipeline.reports.pages import WIDGET

ENGINE = "forked"
PICTURE = "picture"  # a tag of cells
LEFT_OUT = "This picture was left out. The notebook draws it when it is run by itself.\n"
LOG_EVERY = 10.0  # seconds between two lines of progress in a log
README_PICTURES = {"weights-drawn": "hidden_units.png"}  # by the cell's id

log = logging.getLogger(__name__)


class _Engine(NBClientEngine):  # type: ignore[misc]  # papermill has no types
    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> None:
        config = options.pop("config")
        client = {"kernel_manager_class": ForkedKernelManager, "shutdown_kernel": "immediate"}
        config.merge(Config({"NotebookClient": client}))
        path, nb_man.output_path = nb_man.output_path, None
        try:
            super().execute_managed_notebook(nb_man, kernel_name, config=config, **options)
        finally:
            nb_man.output_path = path  # to which papermill now saves it, whether it failed or not


papermill_engines.register(ENGINE, _Engine)
papermill.log.logger.setLevel(logging.CRITICAL)  # what it logs, a dead kernel say, is raised here as an error


def execute(
    notebook: Path,
    output: Path,
    values: Mapping[str, object] | None = None,
    time_limit: int | None = None,
    watched: bool = True,
    with_pictures: bool = True,
) -> None:
    """Execute a notebook with those of the values that it declares, and write the executed notebook to `output`.

    time_limit: seconds that any one cell may take. watched: show its progress; several at once would mix.
    with_pictures: execute the cells tagged "picture", too; without, each says that it was left out.
    Raises NotebookFailed, or one of its subclasses.
    """
    node = read_notebook(notebook)  # not its path, since papermill formats paths: {} in one would fail
    try:
        declared = papermill.inspect_notebook(node)
    except ValueError as error:
        raise errors.InvalidRecord(notebook, f"cannot be executed: {error}", "Choose a kernel for it.") from None
    log.debug(f"executing {notebook} into {output}")
    with tempfile.TemporaryDirectory() as scratch, _Progress(notebook.name, watched) as progress:
        executed = Path(scratch, "executed.ipynb")
        try:
            papermill.execute_notebook(
                node,
                executed,
                {name: value for name, value in (values or {}).items() if name in declared},
                progress_bar=False,
                stdout_file=progress,
                coalesce_streams=True,  # a progress line is kept as a reader last saw it
                engine_name=ENGINE,
                config=_transport(scratch),
                **({} if with_pictures else {"skip_cells_with_tag": PICTURE}),
                execution_timeout=time_limit,
            )
        except PapermillExecutionError as error:
            raise _cell_failed(notebook.name, executed, output, error) from None
        except DeadKernelError:
            message = f"{notebook.name}: its kernel died {_last_place(executed)}, possibly out of memory."
            raise errors.KernelDied(message) from None
        except CellTimeoutError:
            message = f"{notebook.name}: out of time {_last_place(executed)}, after {time_limit} seconds."
            raise errors.CellTimedOut(message) from None
        except (RuntimeError, NoSuchKernel) as error:
            raise errors.NotebookFailed(f"{notebook.name}: its kernel did not start: {error}") from None
        finally:
            if executed.exists():
                storage.write_whole(output, _cleaned(executed, with_pictures))


def execute_in_place(notebook: Path) -> None:
    """Execute a notebook with its own parameters, for committing: without what differs from run to run.

    A notebook that fails stays as it was. Raises NotebookFailed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        executed = Path(scratch, "executed.ipynb")
        execute(notebook, executed)
        node = nbformat.read(executed, as_version=4)
    node.metadata["language_info"] = {"name": "python"}
    node.metadata.pop("widgets", None)  # what the controls were set to
    for cell in node.cells:
        for result in cell.get("outputs", []):
            result.get("data", {}).pop(WIDGET, None)  # a control's random name; the text that stands for it is left
        cell.metadata = {key: value for key, value in cell.metadata.items() if key == "tags" and value}
        if cell.id in README_PICTURES and notebook.resolve().parent == storage.NOTEBOOKS:
            (picture,) = (result.data for result in cell.outputs if "image/png" in result.get("data", {}))
            path = notebook.parent / "pictures" / README_PICTURES[cell.id]
            storage.write_whole(path, b64decode(picture["image/png"]))
    storage.write_whole(notebook, (nbformat.writes(node) + "\n").encode())


def _cell_failed(name: str, executed: Path, output: Path, error: PapermillExecutionError) -> errors.NotebookFailed:
    cells = nbformat.read(executed, as_version=4).cells
    (failed,) = (cell.id for cell in cells if cell.get("execution_count") == error.exec_count)
    kind = errors.Diverged if error.ename == errors.Diverged.__name__ else errors.CellFailed
    return kind(
        f"{name} failed in the cell {failed!r} (In [{error.exec_count}]): {error.ename}: {error.evalue}\n"
        f"The executed notebook, with its error: {output}"
    )


def _transport(scratch: str) -> Config:
    """Return sockets in the scratch folder instead of open ports, where their paths fit into the 107 bytes allowed."""
    address = f"{scratch}/kernel"
    return Config({"KernelManager": {"transport": "ipc", "ip": address}} if len(address) < 90 else {})


def _last_place(executed: Path) -> str:
    """Name the cell that a dead kernel was in: papermill's own status says that it was completed."""
    cells = nbformat.read(executed, as_version=4).cells if executed.exists() else []
    begun = [cell for cell in cells if cell.cell_type == "code" and cell.metadata.papermill.get("start_time")]
    if not begun:
        return "before its first cell"
    ended = "shell.execute_reply" in begun[-1].metadata.get("execution", {})
    return f"{'after' if ended else 'in'} the cell {begun[-1].id!r}"


def _cleaned(executed: Path, with_pictures: bool) -> bytes:
    """Return the notebook without papermill's record, which run.json has without paths, and with what was left out."""
    node = nbformat.read(executed, as_version=4)
    node.metadata.pop("papermill", None)
    for cell in node.cells:
        if PICTURE in cell.metadata.get("tags", []) and not with_pictures:
            cell.outputs = [nbformat.v4.new_output("stream", text=LEFT_OUT)]
    return str(nbformat.writes(node)).encode()


class _Progress:
    """Show what a notebook prints over and over on one line: in a terminal as it comes, in a log now and then."""

    def __init__(self, name: str, watched: bool) -> None:
        self.name, self.watched, self.logged = name, watched, time.monotonic()
        self.terminal = watched and sys.stderr.isatty()

    def __enter__(self) -> "_Progress":
        self._show(f"{self.name} ...")
        return self

    def write(self, text: str) -> None:
        if "\r" not in text:
            return
        line = f"{self.name}  " + text.rsplit("\r", 1)[1].rstrip()
        self._show(line)
        if self.watched and not self.terminal and time.monotonic() - self.logged > LOG_EVERY:
            log.info(line)
            self.logged = time.monotonic()

    def flush(self) -> None:
        sys.stderr.flush()

    def __exit__(self, *_: object) -> None:
        self._show("")

    def _show(self, line: str) -> None:
        if self.terminal:
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()
