"""Execute a notebook with papermill, and write it even if a cell fails.

papermill finds the parameters and injects their values. An engine of this project then
runs the cells, in one process per notebook (process.py) instead of a kernel. The client
of papermill stores their outputs.
"""

import sys
import tempfile
from collections.abc import Mapping
from contextlib import closing
from copy import deepcopy
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbconvert.preprocessors import CoalesceStreamsPreprocessor
from nbformat import NotebookNode
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, papermill_engines
from papermill.exceptions import PapermillExecutionError
from papermill.utils import nb_kernel_name, nb_language

from pipeline.errors import Diverged, InvalidFile, NotebookFailed
from pipeline.execution.process import NotebookProcess
from pipeline.paths import BASE, hide_folders
from pipeline.reports.cells import read_notebook
from pipeline.results import provenance
from pipeline.results.files import atomic_write
from pipeline.results.run_folder import RUN_DIR_VARIABLE

ENGINE = "digits"
PICTURE = "picture"  # the tag of cells that are left out for a point of a sweep
LEFT_OUT = (
    "This picture was left out. The notebook draws it when it is run by itself.\n"
)
ERASE = "\r\x1b[K"  # erases a line of a terminal

join_streams = CoalesceStreamsPreprocessor().preprocess_cell


class _Engine(Engine):  # type: ignore[misc]  # papermill has no types
    @classmethod
    def execute_managed_notebook(
        cls, nb_man: Any, kernel_name: str, *, run_cells: Any, **options: Any
    ) -> None:
        """Run the code cells of a notebook; called by papermill."""
        run_cells(nb_man)


papermill_engines.register(ENGINE, _Engine)


class _Progress:
    r"""Show the progress line of a notebook on stderr, if that is a terminal.

    Notebooks overwrite this line with \r. papermill writes to this object as to a file.
    """

    def __init__(self, name: str, is_point: bool) -> None:
        self.name, self.is_shown = name, sys.stderr.isatty() and not is_point
        self.write("\r...")

    def write(self, text: str) -> None:
        if self.is_shown and "\r" in text:
            line = text.rpartition("\r")[2].rstrip()
            print(f"{ERASE}{self.name}  {line}", end="", file=sys.stderr, flush=True)

    def flush(self) -> None: ...

    def close(self) -> None:
        if self.is_shown:
            print(ERASE, end="", file=sys.stderr, flush=True)


def execute(
    notebook: Path,
    output: Path,
    parameters: Mapping[str, object] | None = None,
    *,
    inputs: Mapping[str, str] | None = None,
    is_point: bool = False,
) -> None:
    """Execute a notebook, and write it with its outputs, even if a cell fails.

    parameters: values by name. Names that the notebook does not declare are ignored.
    output: the path of the executed notebook.
    inputs: digests of the code and cells that the command began with, which are the
        ones to execute; None for the code and cells that are on disk now.
    is_point: whether it is executed for a point of a sweep. Points share the cores, so
        it then uses only one, and it draws no pictures and shows no progress.

    Raises InvalidFile if the file is not a Python notebook, NotebookFailed if a cell
    fails or the process dies, and CommandFailed if the code differs from the inputs.
    """
    if inputs:
        content = provenance.get_notebook(notebook, inputs[f"cells {notebook.stem}"])
        node = nbformat.reads(content, as_version=4)
    else:
        node = read_notebook(notebook)
    check_language(node, notebook)
    declared = papermill.inspect_notebook(node)
    values = {k: value for k, value in (parameters or {}).items() if k in declared}
    variables = {"NUMBA_NUM_THREADS": "1"} if is_point else {}
    if "run_dir" in values:
        variables[RUN_DIR_VARIABLE] = str(BASE / str(values["run_dir"]))
    code = provenance.select_group(inputs or {}, "code")
    executed = NotebookNode()  # papermill's copy, as far as it has been executed
    with (
        closing(_Progress(notebook.name, is_point)) as progress,
        NotebookProcess(variables, code) as process,
    ):

        def run_cells(nb_man: Any) -> None:
            nonlocal executed
            executed = nb_man.nb
            _run_cells(nb_man, process, progress, is_point)

        options = {"engine_name": ENGINE, "progress_bar": False}
        try:
            papermill.execute_notebook(
                deepcopy(node), None, values, run_cells=run_cells, **options
            )
        except PapermillExecutionError as error:
            raise _convert_error(notebook, executed, error) from None
        finally:
            if executed:
                executed.metadata.pop("papermill", None)  # paths of this machine
                atomic_write(output, hide_folders(nbformat.writes(executed)).encode())


def _convert_error(path: Path, executed_notebook: Any, error: Any) -> NotebookFailed:
    """Convert an error of papermill to NotebookFailed, which names the failed cell."""
    ids = {cell.get("execution_count"): cell.id for cell in executed_notebook.cells}
    problem = f"{path.name} failed in the cell {ids[error.exec_count]!r}"
    kind = Diverged if error.ename == Diverged.__name__ else NotebookFailed
    return kind(f"{problem}: {error.ename}: {error.evalue}")


def _run_cells(
    nb_man: Any, process: NotebookProcess, progress: _Progress, is_point: bool
) -> None:
    """Run the code cells of papermill's notebook, up to the first error."""
    client = PapermillNotebookClient(nb_man, stdout_file=progress)
    client.reset_execution_trackers()
    for index, cell in enumerate(nb_man.nb.cells):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        if is_point and PICTURE in cell.metadata.get("tags", ()):
            cell.outputs = [nbformat.v4.new_output("stream", text=LEFT_OUT)]
            continue
        nb_man.cell_start(cell, index)
        client.clear_before_next_output = False  # the previous cell may have set it
        where = f"{progress.name}, cell {cell.id!r}"
        try:
            for kind, content in process.run_cell(cell.source):
                if kind == "done":
                    end = content
                    break
                # nbclient looks for the kind of a message in two places.
                header = {"msg_type": kind, "parent_header": {}}
                message = header | {"header": header, "content": content}
                client.process_message(message, cell, index)
        except NotebookFailed as error:
            raise NotebookFailed(f"{where}: {error}.", error.status) from None
        except Exception as error:  # noqa: BLE001 - a cell may display anything
            kind = type(error).__name__
            problem = f"an output cannot be stored ({kind}: {error})"
            raise NotebookFailed(f"{where}: {problem}.") from None
        finally:
            join_streams(cell, {}, index)  # type: ignore[no-untyped-call]
        cell.execution_count = end["execution_count"]
        nb_man.cell_complete(cell, index)
        if not end["success"]:
            nb_man.cell_exception(cell, index)
            return  # the process is killed at the end of the caller's with statement
    process.end()


def check_loaded_code(inputs: Mapping[str, str]) -> None:
    """Raise CommandFailed if a new process does not have the code of these inputs.

    A command calls this before it deletes anything. Each process checks its own code.
    """
    with NotebookProcess({}, provenance.select_group(inputs, "code")):
        pass


def check_language(node: NotebookNode, path: Path) -> None:
    """Raise InvalidFile if the notebook does not name a kernel or is not in Python."""
    try:
        is_python = bool(nb_kernel_name(node)) and nb_language(node) == "python"
    except ValueError:  # it names neither a kernel nor a language
        is_python = False
    if not is_python:
        raise InvalidFile(path, "is not in Python", "Choose a Python kernel for it.")


def execute_and_overwrite(notebook: Path) -> None:
    """Execute a notebook with its own parameters, and store the outputs in its file.

    Metadata that JupyterLab would not write is removed. If a cell fails, the notebook
    is not changed, and NotebookFailed is raised.
    """
    from ipykernel.ipkernel import IPythonKernel  # takes 0.2 s, and no run needs it

    with tempfile.TemporaryDirectory(prefix="digits-") as temporary:
        executed = Path(temporary) / notebook.name
        execute(notebook, executed)
        node = read_notebook(executed)
    kernel = node.metadata["kernelspec"]
    node.metadata = {"kernelspec": kernel, "language_info": IPythonKernel.language_info}
    for cell in node.cells:
        # The last two hide outputs in JupyterLab.
        kept = ("tags", "collapsed", "jupyter")
        cell.metadata = {
            name: cell.metadata[name] for name in kept if cell.metadata.get(name)
        }
        # A control has a random name, and without a kernel it does not appear.
        for each in cell.get("outputs", ()):
            each.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    atomic_write(notebook, nbformat.writes(node).encode() + b"\n")
