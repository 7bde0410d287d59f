"""Execute a notebook with papermill, and write it whole, also when it fails.

papermill finds and injects the parameters and walks over the cells. Its engine here has each cell
run in a process of the notebook's own (shell.py), in place of a kernel.
"""

import logging
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbformat import NotebookNode
from papermill.engines import Engine, papermill_engines
from papermill.exceptions import PapermillExecutionError
from papermill.utils import nb_language

from pipeline.errors import CellFailed, CellTimedOut, Diverged, InvalidRecord, ProcessDied
from pipeline.run_folder import RUN_DIR, write_whole
from pipeline.shell import NotebookProcess

ENGINE = "digits"
PICTURE = "picture"  # the tag of cells that a point of a sweep leaves out
LEFT_OUT = "This picture was left out. The notebook draws it when it is run by itself.\n"
LOG_INTERVAL = 10.0  # seconds between two lines of progress in a log

log = logging.getLogger(__name__)


class _Engine(Engine):  # type: ignore[misc]  # papermill has no types
    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: Any,
        kernel_name: str,
        *,
        executed: list[NotebookNode],
        variables: Mapping[str, str],
        time_limit: float | None,
        progress: "_Progress",
        with_pictures: bool,
        **options: Any,
    ) -> None:
        """Run the code cells of a notebook; called by papermill."""
        executed.append(nb_man.nb)
        outputs = _Outputs(progress)
        with closing(NotebookProcess(variables)) as process:
            for index, cell in enumerate(nb_man.nb.cells):
                if cell.cell_type != "code" or not cell.source.strip():
                    continue
                if PICTURE in cell.metadata.get("tags", ()) and not with_pictures:
                    cell.outputs = [nbformat.v4.new_output("stream", text=LEFT_OUT)]
                    continue
                nb_man.cell_start(cell, index)
                try:
                    for kind, content in process.run_cell(cell.source, time_limit):
                        if kind != "done":
                            outputs.add(cell, kind, content)
                except (CellTimedOut, ProcessDied) as error:
                    raise type(error)(f"{progress.name}, cell {cell.id!r}: {error}.") from None
                outputs.end(cell, content["execution_count"])
                if not content["success"]:
                    nb_man.cell_exception(cell, index)
                    return
                nb_man.cell_complete(cell, index)


papermill_engines.register(ENGINE, _Engine)


class _Outputs:
    """The outputs of a notebook's cells, put together from messages as Jupyter does it."""

    def __init__(self, progress: "_Progress") -> None:
        self.progress = progress
        self.displays: dict[str, list[NotebookNode]] = defaultdict(list)  # by display id
        self.must_clear = False  # before the next output

    def add(self, cell: NotebookNode, kind: str, content: dict[str, Any]) -> None:
        display_id = content.pop("transient", {}).get("display_id")
        if kind == "update_display_data":
            for output in self.displays[display_id]:
                output.update(nbformat.from_dict(content))
            return
        if self.must_clear or (kind == "clear_output" and not content["wait"]):
            cell.outputs = []
        self.must_clear = kind == "clear_output" and content["wait"]
        if kind == "clear_output":
            return
        if kind == "stream":
            self.progress.show(content["text"])
            if cell.outputs and cell.outputs[-1].get("name") == content["name"]:
                cell.outputs[-1].text += content["text"]
                return
        cell.outputs.append(nbformat.v4.new_output(kind, **content))
        if display_id:
            self.displays[display_id].append(cell.outputs[-1])

    def end(self, cell: NotebookNode, execution_count: int) -> None:
        cell.execution_count = execution_count
        self.must_clear = False
        for output in cell.outputs:
            if output.output_type == "stream":
                output.text = _collapse(output.text)


def _collapse(text: str) -> str:
    r"""Return printed text as a terminal shows it: of a line with \r, what was written last."""
    return "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n"))


class _Progress:
    r"""Show lines that a notebook overwrites with \r: all in a terminal, some in a log."""

    def __init__(self, name: str, is_shown: bool) -> None:
        self.name, self.is_shown, self.logged_at = name, is_shown, time.monotonic()
        self.in_terminal = is_shown and sys.stderr.isatty()
        self.show("\r...")

    def show(self, text: str) -> None:
        if not self.is_shown or "\r" not in text:
            return
        line = f"{self.name}  {text.rpartition(chr(13))[2].rstrip()}"
        if self.in_terminal:
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - self.logged_at > LOG_INTERVAL:
            log.info(line)
            self.logged_at = time.monotonic()

    def close(self) -> None:
        if self.in_terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def execute(
    notebook: Path,
    output: Path,
    parameters: Mapping[str, object] | None = None,
    *,
    time_limit: float | None = None,
    show_progress: bool = True,
    with_pictures: bool = True,
) -> None:
    """Execute a notebook with those of the parameters that it declares, and write the outcome.

    output: where the executed notebook goes, as far as it came. time_limit: seconds that a cell
    may take. with_pictures: run the cells tagged "picture", too. A notebook whose process died is
    executed once more. Raises InvalidRecord if it is no notebook in Python, and NotebookFailed.
    """
    options = {"time_limit": time_limit, "with_pictures": with_pictures}
    try:
        _execute(notebook, output, parameters or {}, show_progress, options)
    except ProcessDied as error:
        log.warning(f"{error} It is executed once more.")
        _execute(notebook, output, parameters or {}, show_progress, options)


def _execute(
    notebook: Path,
    output: Path,
    parameters: Mapping[str, object],
    show_progress: bool,
    options: Mapping[str, object],
) -> None:
    node = read_notebook(notebook)
    if nb_language(node) != "python":
        raise InvalidRecord(notebook, "is not in Python", "Choose a Python kernel for it.")
    declared = papermill.inspect_notebook(node)
    values = {name: value for name, value in parameters.items() if name in declared}
    variables = {RUN_DIR: str(values["run_dir"])} if "run_dir" in values else {}
    executed: list[NotebookNode] = []
    try:
        with closing(_Progress(notebook.name, show_progress)) as progress:
            papermill.execute_notebook(
                node,
                None,
                values,
                engine_name=ENGINE,
                progress_bar=False,
                executed=executed,
                progress=progress,
                variables=variables,
                **options,
            )
    except PapermillExecutionError as error:
        kind = Diverged if error.ename == Diverged.__name__ else CellFailed
        cells = {cell.get("execution_count"): cell.id for cell in executed[0].cells}
        where = f"{notebook.name} failed in the cell {cells[error.exec_count]!r}"
        raise kind(f"{where}: {error.ename}: {error.evalue}") from None
    finally:
        if executed:
            executed[0].metadata.pop("papermill", None)  # it has paths of this machine
            write_whole(output, nbformat.writes(executed[0]).encode())


def execute_in_place(notebook: Path) -> None:
    """Execute a notebook with its own parameters, and strip what differs from run to run.

    A notebook that fails stays as it is. Raises NotebookFailed.
    """
    temporary = notebook.with_name(f".{notebook.name}")
    try:
        execute(notebook, temporary)
        node = read_notebook(temporary)
    finally:
        temporary.unlink(missing_ok=True)
    node.metadata = {
        "kernelspec": node.metadata["kernelspec"],
        "language_info": {"name": "python"},
    }
    for cell in node.cells:
        tags = cell.metadata.get("tags")
        cell.metadata = {"tags": tags} if tags else {}
        for each in cell.get("outputs", ()):  # a control has a random name, and needs a kernel
            each.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    write_whole(notebook, nbformat.writes(node).encode() + b"\n")


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook of any version as one of version 4. Raises InvalidRecord."""
    try:
        node: NotebookNode = nbformat.read(path, as_version=4)
        nbformat.validate(node)
    except FileNotFoundError:
        raise InvalidRecord(path, "is missing") from None
    except (ValueError, KeyError, AttributeError, nbformat.ValidationError) as error:
        reason = str(error).splitlines()[0]
        problem = f"is no notebook ({reason})"
        raise InvalidRecord(path, problem, "Give a notebook that Jupyter opens.") from None
    return node
