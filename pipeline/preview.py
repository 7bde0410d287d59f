"""Show what a source has before anything is trained: 01_prepare, executed for it."""

import logging
import textwrap
from collections.abc import Mapping
from pathlib import Path

import nbformat

from pipeline import console, datasets, notebooks, outputs, parameters, storage
from pipeline.reports import rendering
from pipeline.run_folder import PREPARATION

NOTEBOOK = storage.NOTEBOOKS / f"{PREPARATION}.ipynb"
LOGGED = ("split", "counts-printed")  # cells

log = logging.getLogger(__name__)


def show(values: Mapping[str, str], output: Path | None = None) -> None:
    """Write a page on the source among these parameters, and log what it has and the command that trains with it.

    To a file or a folder num_samples and num_validation are fitted, where they are not given. output: in runs/reports
    unless given. Raises InvalidParameter; InvalidData, with all that is wrong with the source; and NotebookFailed.
    """
    chosen = parameters.from_strings(values)
    path = datasets.source_path(chosen.source)
    name = chosen.source if chosen.source in parameters.NAMED_SOURCES else outputs.named_after(path)
    page = outputs.page(output, f"{name}-data")
    whole = datasets.load_source(chosen.source)
    if chosen.source not in parameters.NAMED_SOURCES:
        given = {each: getattr(chosen, each) for each in ("num_samples", "num_validation") if each in values}
        chosen = chosen.model_copy(update=datasets.fitted(len(whole.x_train), **given))
    datasets.split(whole, chosen.num_samples, chosen.num_validation)
    with storage.scratch() as scratch:
        executed = scratch / NOTEBOOK.name
        notebooks.execute(NOTEBOOK, executed, chosen.model_dump() | {"run_dir": str(scratch)})
        node = nbformat.read(executed, as_version=4)
        saved = next((place for place, cell in enumerate(node.cells) if cell.id == "save"), len(node.cells))
        from_root = Path.cwd() == storage.ROOT or chosen.source in parameters.NAMED_SOURCES
        where = {} if from_root else {"source": str(path)}  # so that it holds from anywhere
        command = parameters.command(chosen.model_copy(update=where), console.from_cwd(storage.RUNS / f"{name}-run"))
        sentence = "## Train with it\n\nThis command trains a network on these images:"  # for a file that is not kept
        after = f"{sentence}\n\n{textwrap.indent(command, '    ')}"
        node.cells[saved:] = [nbformat.v4.new_markdown_cell(after)]
        storage.write_whole(executed, notebooks.as_bytes(node))
        rendering.write_notebook_report(executed, page, f"The images of {chosen.source}")
    logged = [output for cell in node.cells if cell.id in LOGGED for output in cell.outputs]
    log.info("\n".join(output.text for output in logged if output.output_type == "stream"))
    log.info(f"Train with: {command}\n{console.wrote('report', page)}")
