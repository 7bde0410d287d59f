"""Read notebooks, choose the cells that a page shows, and fold the set-up cells."""

import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_raw_cell

from pipeline.errors import InvalidFile

TABLE = "\n\n| | |\n"  # heads the table of what a notebook reads and writes


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook of any format version, and convert it to version 4.

    Raises InvalidFile if the file is missing or is not a notebook.
    """
    try:
        node: NotebookNode = nbformat.read(path, as_version=4)
        nbformat.validate(node)
        return node
    except (FileNotFoundError, ValueError, KeyError, nbformat.ValidationError) as error:
        reason = str(error).splitlines()[0]
    except (AttributeError, TypeError):
        reason = "its JSON has another format"
    advice = "Give a notebook that Jupyter opens."
    raise InvalidFile(path, f"is not a notebook ({reason})", advice)


def has_tag(cell: NotebookNode, tag: str) -> bool:
    return tag in cell.metadata.get("tags", ())


def drop_tagged_cells(notebook: NotebookNode, tag: str) -> NotebookNode:
    """Return the notebook without the cells that have this tag."""
    cells = [cell for cell in notebook.cells if not has_tag(cell, tag)]
    return NotebookNode(notebook | {"cells": cells})


def fold_set_up(notebook: NotebookNode) -> NotebookNode:
    """Return the notebook with its set-up folded.

    The set-up consists of the table below the title, and of all cells between the title
    and the first section. The fold starts open if one of these cells failed. A notebook
    without a title or without sections is returned unchanged.
    """
    cells = notebook.cells
    prose = [cell.source if cell.cell_type == "markdown" else "" for cell in cells]
    sections = [
        index for index, text in enumerate(prose) if re.search("^## ", text, re.M)
    ]
    if not sections or not sections[0] or not prose[0]:
        return notebook
    title, rule, table = prose[0].partition(TABLE)
    set_up = [new_markdown_cell(rule + table), *cells[1 : sections[0]]]
    outputs = [output for cell in set_up for output in cell.get("outputs", [])]
    is_open = any(output.output_type == "error" for output in outputs)
    summary = "<summary>Set-up: what it reads, imports, parameters</summary>"
    opening = new_raw_cell(
        f'<details class="set-up"{" open" if is_open else ""}>{summary}'
    )
    rest = [new_raw_cell("</details>"), *cells[sections[0] :]]
    return NotebookNode(
        notebook | {"cells": [new_markdown_cell(title), opening, *set_up, *rest]}
    )
