"""Read notebooks, and choose the cells that a page shows."""

from pathlib import Path

import nbformat
from nbformat import NotebookNode

from pipeline.errors import InvalidFile


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook of any format version, and convert it to version 4.

    Raises InvalidFile if the file is missing or is not a notebook.
    """
    try:
        node: NotebookNode = nbformat.read(path, as_version=4)
        nbformat.validate(node)
        return node
    except FileNotFoundError:
        advice = "Execute it with papermill, and name this path as its output."
        raise InvalidFile(path, "is missing", advice) from None
    except (ValueError, KeyError, nbformat.ValidationError) as error:
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
