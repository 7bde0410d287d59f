"""Execute notebooks with papermill, and write the executed notebooks to files.

papermill finds the parameters of a notebook, injects their values, and calls an engine
of this project. The engine runs the cells in one process per notebook (see process.py),
instead of in a Jupyter kernel. papermill's client stores the outputs.
"""

import sys
import tempfile
import threading
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

from pipeline.engine.process import NotebookProcess
from pipeline.errors import Diverged, InvalidFile, NotebookFailed
from pipeline.paths import BASE, hide_folders
from pipeline.reports.cells import read_notebook
from pipeline.results import provenance
from pipeline.results.files import atomic_write
from pipeline.results.stages import RUN_DIR_VARIABLE

ENGINE = "digits"
PICTURE = "picture"  # the tag of cells that are left out when points are trained
LEFT_OUT = (
    "This picture is left out in a sweep. To see it, run the notebook by itself.\n"
)
ERASE = "\r\x1b[K"  # erases the current line of a terminal

join_streams = CoalesceStreamsPreprocessor().preprocess_cell


class _Engine(Engine):  # type: ignore[misc]  # papermill has no types
    @classmethod
    def execute_managed_notebook(
        cls, nb_man: Any, kernel_name: str, *, execution: Any, **options: Any
    ) -> None:
        """Run the cells of an `_Execution`. papermill calls this method."""
        execution.run_cells(nb_man)


papermill_engines.register(ENGINE, _Engine)


class _Progress:
    r"""Show the last progress line of a notebook on stderr, if stderr is a terminal.

    A notebook begins each progress line with \r, to overwrite the line before.
    papermill's client writes what the notebook prints to this object, as if it were a
    file. Nothing is shown for one of several notebooks that are executed at once, each
    in a thread.
    """

    def __init__(self, name: str) -> None:
        is_alone = threading.current_thread() is threading.main_thread()
        self.name, self.is_shown = name, sys.stderr.isatty() and is_alone
        self.write("\r...")

    def write(self, text: str) -> None:
        """Show the text after the last \\r. A text without \\r is no progress line."""
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
    has_pictures: bool = True,
) -> None:
    """Execute a notebook, and write the executed notebook with its outputs.

    If a cell fails, the notebook is written with the outputs up to the error.

    output: the path of the executed notebook.
    parameters: the values of parameters, by name. Names that the notebook does not
        declare are ignored.
    inputs: the digests that the command recorded when it started (see provenance.py).
        The cells and the code that have these digests are executed. If this is None,
        the cells on disk are executed, and the code is not checked.
    has_pictures: whether cells with the tag PICTURE are executed.

    Raises InvalidFile if the file is not a Python notebook. Raises NotebookFailed if a
    cell fails or the process dies. Raises CommandFailed if the cells or the code no
    longer have the digests in `inputs`.
    """
    if inputs:
        content = provenance.get_notebook(notebook, inputs[f"cells {notebook.stem}"])
        node = nbformat.reads(content, as_version=4)
    else:
        node = read_notebook(notebook)
    check_language(node, notebook)
    declared = papermill.inspect_notebook(node)
    values = {k: value for k, value in (parameters or {}).items() if k in declared}
    variables: dict[str, str] = {}
    if "run_dir" in values:
        variables[RUN_DIR_VARIABLE] = str(BASE / str(values["run_dir"]))
    code = provenance.select_code(inputs or {})
    with (
        closing(_Progress(notebook.name)) as progress,
        NotebookProcess(variables, code, notebook.resolve().parent) as process,
    ):
        execution = _Execution(process, progress, has_pictures)
        options = {"engine_name": ENGINE, "progress_bar": False}
        try:
            papermill.execute_notebook(
                deepcopy(node), None, values, execution=execution, **options
            )
        except (PapermillExecutionError, NotebookFailed) as error:
            raise execution.convert_error(notebook, error) from None
        finally:
            if execution.notebook:
                execution.notebook.metadata.pop("papermill", None)  # has local paths
                text = nbformat.writes(execution.notebook)
                atomic_write(output, hide_folders(text).encode())


class _Execution:
    """The execution of one notebook in its process.

    has_pictures: whether to execute the cells with the tag PICTURE.
    notebook: papermill's copy of the notebook, with the outputs so far.
    cell_id: the id of the last cell that was run.
    """

    def __init__(
        self, process: NotebookProcess, progress: _Progress, has_pictures: bool
    ) -> None:
        self.process = process
        self.progress = progress
        self.has_pictures = has_pictures
        self.notebook: NotebookNode | None = None
        self.cell_id = ""

    def run_cells(self, nb_man: Any) -> None:
        """Run the code cells, up to the first cell that fails.

        nb_man: papermill's manager of the notebook.
        """
        self.notebook = nb_man.nb
        client = PapermillNotebookClient(nb_man, stdout_file=self.progress)
        client.reset_execution_trackers()
        for index, cell in enumerate(nb_man.nb.cells):
            if cell.cell_type != "code" or not cell.source.strip():
                continue
            is_picture = PICTURE in cell.metadata.get("tags", ())
            if is_picture and not self.has_pictures:
                cell.outputs = [nbformat.v4.new_output("stream", text=LEFT_OUT)]
                continue
            self.cell_id = cell.id
            nb_man.cell_start(cell, index)
            try:
                end = self._run_cell(client, cell, index)
            finally:
                join_streams(cell, {}, index)  # type: ignore[no-untyped-call]
            cell.execution_count = end["execution_count"]
            nb_man.cell_complete(cell, index)
            if not end["success"]:
                nb_man.cell_exception(cell, index)
                return  # the with statement of `execute` kills the process
        self.process.close_files()

    def _run_cell(self, client: Any, cell: Any, index: int) -> dict[str, Any]:
        """Run a cell, store its outputs in it, and return how it ended."""
        client.clear_before_next_output = False  # the previous cell may have set it
        end: dict[str, Any] = {}
        for kind, content in self.process.run_cell(cell.source):
            if kind == "done":
                end = content
                continue
            # nbclient looks for the kind of a message in two places.
            message = {
                "msg_type": kind,
                "header": {"msg_type": kind},
                "parent_header": {},
                "content": content,
            }
            try:
                client.process_message(message, cell, index)
            except Exception as error:  # noqa: BLE001 - a cell may display anything
                reason = f"{type(error).__name__}: {error}"
                problem = f"an output cannot be stored ({reason})"
                raise NotebookFailed(problem) from None
        return end

    def convert_error(self, path: Path, error: Any) -> NotebookFailed:
        """Return an error that names the failed cell, and that says if it diverged."""
        problem = f"{path.name} failed in the cell {self.cell_id!r}"
        if isinstance(error, NotebookFailed):
            return NotebookFailed(f"{problem}: {error}.")
        kind = Diverged if error.ename == Diverged.__name__ else NotebookFailed
        return kind(f"{problem}: {error.ename}: {error.evalue}")


def check_loaded_code(inputs: Mapping[str, str]) -> None:
    """Check that a new process has the expected code in memory.

    inputs: the digests that the command recorded when it started.

    A command calls this function before it deletes any results. The process of each
    notebook is checked again when it starts.

    Raises CommandFailed if the process has other code, or cannot import the code.
    """
    code = provenance.select_code(inputs)
    with NotebookProcess({}, code):
        pass  # the process has been checked when it started


def check_language(node: NotebookNode, path: Path) -> None:
    """Raise InvalidFile if a notebook is in another language than Python.

    A notebook that names no kernel gets Python's.
    """
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    language = node.metadata.setdefault("kernelspec", kernel).get("language", "python")
    if language != "python":
        raise InvalidFile(path, f"is in {language}", "Choose a Python kernel for it.")


def execute_and_overwrite(notebook: Path) -> None:
    """Execute a notebook with the parameters in it, and store the outputs in its file.

    The function removes metadata that JupyterLab would not write. If a cell fails, the
    function does not change the file, and raises NotebookFailed.
    """
    from ipykernel.ipkernel import IPythonKernel  # this takes 0.2 s

    with tempfile.TemporaryDirectory(prefix="digits-") as temporary:
        executed = Path(temporary) / notebook.name
        execute(notebook, executed)
        node = read_notebook(executed)
    kernel = node.metadata["kernelspec"]
    node.metadata = {"kernelspec": kernel, "language_info": IPythonKernel.language_info}
    for cell in node.cells:
        # With "collapsed" or "jupyter", JupyterLab hides the outputs of a cell.
        kept = ("tags", "collapsed", "jupyter")
        cell.metadata = {
            name: cell.metadata[name] for name in kept if cell.metadata.get(name)
        }
        # Controls such as sliders are removed: they have random names, and do not
        # appear without a kernel.
        for each in cell.get("outputs", ()):
            each.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    atomic_write(notebook, nbformat.writes(node).encode() + b"\n")
