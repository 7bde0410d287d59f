"""Execute a notebook with papermill, and write it whole, also when it fails.

papermill's own engine is used with two habits changed: kernels are forked, and a notebook stays in memory until it
ends. papermill saves before and after every cell, which takes as long as the cells of a short notebook do.
"""

import errno
import logging
import os
import shlex
import sys
import time
from base64 import b64decode
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import IPython.paths  # noqa: F401 - else a kernel's start and a report would import it at once, in two threads
import nbformat
import papermill
import psutil
from jupyter_client.kernelspec import NoSuchKernel
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError
from papermill.utils import nb_kernel_name
from traitlets.config import Config

from pipeline import errors, kernels, limits, signals, storage
from pipeline.kernels import ForkedKernelManager
from pipeline.readers import LIMITS, read_bytes, read_notebook
from pipeline.reports.pages import WIDGET

ENGINE = "forked"
PICTURE = "picture"  # a tag of cells
LEFT_OUT = "This picture was left out. The notebook draws it when it is run by itself.\n"
MAX_MESSAGE = 2000  # characters of a cell's error
LOG_INTERVAL = 10.0  # seconds between two lines of progress in a log
README_PICTURES = {"weights-drawn": "hidden_units.png"}  # by the cell's id

log = logging.getLogger(__name__)


class _Engine(NBClientEngine):  # type: ignore[misc]  # papermill has no types
    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> None:
        options.pop("executed").append(nb_man.nb)
        note_error = nb_man.cell_exception

        def show_error(cell: nbformat.NotebookNode, exception: CellExecutionError, **details: Any) -> None:
            """Have it in the notebook also where the kernel had not the memory left to show it."""
            if not any(output.output_type == "error" for output in cell.outputs):
                shown = {"ename": exception.ename, "evalue": exception.evalue, "traceback": []}
                cell.outputs.append(nbformat.v4.new_output("error", **shown))
            note_error(cell, exception=exception, **details)

        nb_man.cell_exception = show_error
        super().execute_managed_notebook(nb_man, kernel_name, **options)


papermill_engines.register(ENGINE, _Engine)
for _logger in (papermill.log.logger, logging.getLogger("asyncio")):  # a dead kernel, and who still listened to it
    _logger.setLevel(logging.CRITICAL)  # which is raised here as an error


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
    One whose kernel has been killed, or could not read what was compiled, is executed once more. Raises NotebookFailed,
    or one of its subclasses.
    """
    attempt = partial(_execute, notebook, output, values or {}, time_limit, watched, with_pictures)
    try:
        attempt()
    except (errors.KernelDied, errors.CacheDamaged) as error:
        log.warning(f"{error} It is started again.")
        attempt()


def _execute(
    notebook: Path,
    output: Path,
    values: Mapping[str, object],
    time_limit: int | None,
    watched: bool,
    with_pictures: bool,
) -> None:
    log.debug(f"executing {errors.shown(notebook)} into {errors.shown(output)}")
    kernels.prepare()
    signals.check()
    advice = [storage.restoring(notebook)] if notebook.parent == storage.NOTEBOOKS else []
    node = read_notebook(notebook, *advice)  # not its path, since papermill formats paths: {} in one would fail
    try:
        declared = papermill.inspect_notebook(node)
        nb_kernel_name(node)  # which may be empty
    except ValueError as error:
        raise errors.InvalidRecord(
            notebook, f"cannot be executed: {error}".rstrip("."), "Choose a kernel for it."
        ) from None
    if "run_dir" in values and "run_dir" not in declared:  # it would work in another run's folder
        raise errors.NotebookFailed(f"{errors.shown(notebook)} has no cell tagged parameters that declares run_dir.")
    node.metadata.pop("papermill", None)  # which may be anything
    executed: list[nbformat.NotebookNode] = []
    killed_before = kernels.killed_out_of_memory()
    epochs = values.get("epochs") if "epochs" in declared else None
    name = notebook.name + (f", {epochs} epochs" if epochs else "")
    with storage.scratch() as scratch, closing(_Progress(name, watched)) as progress:
        connection = scratch / "kernel.json"
        try:
            papermill.execute_notebook(
                node,
                None,
                {name: value for name, value in values.items() if name in declared},
                progress_bar=False,
                stdout_file=progress,
                engine_name=ENGINE,
                executed=executed,
                config=_config(connection),
                **({} if with_pictures else {"skip_cells_with_tag": PICTURE}),
                execution_timeout=time_limit,
            )
        except PapermillExecutionError as error:
            if "numba/core/caching.py" in "".join(error.traceback):
                kernels.remove_compiled()
                message = f"{notebook.name}: what Numba had compiled could not be read, and has been removed."
                raise errors.CacheDamaged(message) from None
            raise _cell_failed(notebook.name, executed[0], output, error) from None
        except CellTimeoutError:
            limit = f"after {time_limit} seconds" if time_limit else "since its outputs did not arrive"
            message = f"{notebook.name}: out of time {_last_place(executed)}, {limit}."
            raise errors.CellTimedOut(message) from None
        except NoSuchKernel as error:
            raise errors.NotebookFailed(f"{notebook.name}: its kernel did not start: {error}") from None
        except (DeadKernelError, psutil.NoSuchProcess, RuntimeError) as error:
            signals.check()
            if (how := kernels.how_it_ended(str(connection))) is None:
                raise errors.NotebookFailed(f"{notebook.name}: its kernel was ended {_last_place(executed)}.") from None
            if how == "ended with exit code 1" and limits.is_full(scratch):  # which it has no way to tell
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(scratch)) from None
            if kernels.killed_out_of_memory() > killed_before:
                how += ", while memory had run out (oom_kill in /proc/vmstat has risen)"
            elif not isinstance(error, DeadKernelError):
                how += f" ({error})"
            raise errors.KernelDied(f"{notebook.name}: its kernel {how} {_last_place(executed)}.") from None
        finally:
            kernels.SERVER.kernels.pop(str(connection), None)
            if executed:
                storage.write_whole(output, _cleaned(executed[0], with_pictures))


def execute_in_place(notebook: Path) -> None:
    """Execute a notebook with its own parameters, for committing: without what differs from run to run.

    One that fails, or is saved by someone else meanwhile, stays as it is. Raises NotebookFailed.
    """
    before = read_bytes(notebook, "notebook")
    if locked := [path for path in (notebook.resolve().parent, notebook) if not os.access(path, os.W_OK)]:
        problem = f"{locked[0]} cannot be written to, so {notebook.name} was not executed."
        raise errors.InvalidParameter(f"{problem} Change who may write there.")
    with storage.scratch() as scratch:
        executed = scratch / "executed.ipynb"
        execute(notebook, executed)
        node = nbformat.read(executed, as_version=4)
    if any(result.get("ename") == "SystemExit" for cell in node.cells for result in cell.get("outputs", [])):
        raise errors.CellFailed(f"{notebook.name} ended before its last cell, with SystemExit. It is left as it was.")
    node.metadata["language_info"] = {"name": "python"}
    node.metadata.pop("widgets", None)  # what the controls were set to
    for cell in node.cells:
        for result in cell.get("outputs", []):
            result.get("data", {}).pop(WIDGET, None)  # a control's random name; the text that stands for it is left
        cell.metadata = {key: value for key, value in cell.metadata.items() if key == "tags" and value}
    if notebook.read_bytes() != before:
        raise errors.NotebookFailed(f"{notebook} was saved by another program meanwhile, and is left so. Try again.")
    for cell in node.cells:
        if cell.id in README_PICTURES and notebook.resolve().parent == storage.NOTEBOOKS:
            (picture,) = (result.data for result in cell.outputs if "image/png" in result.get("data", {}))
            path = notebook.parent / "pictures" / README_PICTURES[cell.id]
            storage.write_whole(path, b64decode(picture["image/png"]))
    content = as_bytes(node) + b"\n"
    if len(content) > (limit := LIMITS["notebook"]):
        message = f"{notebook.name} would have {len(content):,} bytes with its outputs, but may have {limit:,} at most."
        raise errors.NotebookFailed(f"{message} It is left as it was; show less in it.")
    storage.write_whole(notebook.resolve(), content)  # so that a link stays one


def _cell_failed(name: str, executed: nbformat.NotebookNode, output: Path, error: PapermillExecutionError) -> Exception:
    """Return what a cell's error is raised as here: where the system refused something, as the system's."""
    *_, failed = (cell.id for cell in executed.cells if cell.get("execution_count") == error.exec_count)
    where = f"{name} failed in the cell {failed!r} (In [{error.exec_count}])"
    if refused := errors.refusal(error.evalue):
        return OSError(refused, f"{where}: {error.ename}: {error.evalue}")
    kind = errors.Diverged if error.ename == errors.Diverged.__name__ else errors.CellFailed
    kept = not output.is_relative_to(storage.scratch_of(os.getpid()))  # which is removed
    advice = f"\nTo see it as a page: python -m pipeline report {shlex.quote(str(output))}" * kept
    what = error.evalue if len(error.evalue) <= MAX_MESSAGE else f"{error.evalue[:MAX_MESSAGE]} ..."
    return kind(": ".join(filter(None, [where, error.ename, what])) + advice)


def _config(connection: Path) -> Config:
    """Return how kernels are forked; with sockets, and no ports, where their paths fit into 107 bytes of UTF-8."""
    settings = {"connection_file": str(connection)}
    if str(connection).isprintable() and len(os.fsencode(connection)) < 90:
        settings |= {"transport": "ipc", "ip": str(connection.with_suffix(""))}
    client = {"kernel_manager_class": ForkedKernelManager, "shutdown_kernel": "immediate"}
    return Config({"KernelManager": settings, "NotebookClient": client})


def _last_place(executed: list[nbformat.NotebookNode]) -> str:
    """Name the cell that a dead kernel was in: papermill's own status says that it was completed."""
    cells = executed[0].cells if executed else []
    begun = [cell for cell in cells if cell.cell_type == "code" and cell.metadata.papermill.get("start_time")]
    if not begun:
        return "before its first cell"
    ended = "shell.execute_reply" in begun[-1].metadata.get("execution", {})
    return f"{'after' if ended else 'in'} the cell {begun[-1].id!r}"


def _cleaned(node: nbformat.NotebookNode, with_pictures: bool) -> bytes:
    """Return the notebook without papermill's record, which run.json has without paths, and with what was left out."""
    node.metadata.pop("papermill", None)
    for cell in node.cells:
        if cell.cell_type == "code":
            cell.outputs = _coalesced(cell.outputs)
        if PICTURE in cell.metadata.get("tags", []) and not with_pictures:
            cell.outputs = [nbformat.v4.new_output("stream", text=LEFT_OUT)]
    return as_bytes(node)


def as_bytes(node: nbformat.NotebookNode) -> bytes:
    """Return a notebook as a file has it; half a character becomes JSON's escape of it."""
    return str(nbformat.writes(node)).encode(errors="backslashreplace")


def _coalesced(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Join what was printed bit by bit, and keep of a progress line what a reader last saw.

    nbclient can do so, too, in a time that grows with the square of a line's length.
    """
    joined: list[nbformat.NotebookNode] = []
    for output in outputs:
        if joined and output.output_type == "stream" == joined[-1].output_type and output.name == joined[-1].name:
            joined[-1].text += output.text
        else:
            joined.append(output)
    for output in joined:
        if output.output_type == "stream":
            output.text = "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in output.text.split("\n"))
    return joined


class _Progress:
    """Show what a notebook prints over and over on one line: in a terminal as it comes, in a log now and then."""

    def __init__(self, name: str, watched: bool) -> None:
        self.name, self.watched, self.logged = name, watched, time.monotonic()
        self.terminal = watched and sys.stderr.isatty()
        self._show(f"{name} ...")

    def write(self, text: str) -> None:
        if "\r" not in text:
            return
        line = f"{self.name}  " + text.rsplit("\r", 1)[1].rstrip()
        self._show(line)
        if self.watched and not self.terminal and time.monotonic() - self.logged > LOG_INTERVAL:
            log.info(line)
            self.logged = time.monotonic()

    def flush(self) -> None:
        sys.stderr.flush()

    def close(self) -> None:
        self._show("")

    def _show(self, line: str) -> None:
        if self.terminal:
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
