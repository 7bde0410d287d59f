"""Render executed notebooks as one self-contained HTML file.

nbconvert renders the cells, and markdown.py their Markdown.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from nbconvert.exporters import TemplateExporter
from nbconvert.filters import Highlight2HTML
from nbformat import NotebookNode
from traitlets.config import Config

from pipeline.errors import InvalidInput
from pipeline.paths import RUNS, hide_folders
from pipeline.reports import cells
from pipeline.reports.assets import HOUSE, REPORTS
from pipeline.reports.markdown import Renderer, render_markdown
from pipeline.results.files import check_page, write_page
from pipeline.results.stages import EVALUATION

# The kinds of outputs that a page can show, the preferred ones first.
FORMATS = ["text/html", "text/markdown", "image/svg+xml", "image/png", "image/jpeg"]
FORMATS += ["text/plain"]
REPORT_TAG = "report"  # the tag of cells whose outputs a report shows unfolded
ERROR_CELL = "papermill-error-cell-tag"  # the tag of cells that papermill adds


@cache
def make_exporter() -> TemplateExporter:
    """Return nbconvert's exporter with the templates of pages.

    The exporter is made only once, because compiling its templates is slow.
    """
    return TemplateExporter(
        config=Config({"NbConvertBase": {"display_data_priority": FORMATS}}),
        template_name="basic",
        template_file="cells.html.j2",
        extra_template_paths=[str(HOUSE / "templates")],
        default_preprocessors=[],
        filters={
            "markdown2html": render_markdown,
            "highlight_code": Highlight2HTML("python3"),
        },
    )


def render_notebook(stem: str, notebook: NotebookNode) -> str:
    """Render an executed notebook as a page, and return its HTML.

    stem: the name of the notebook, without .ipynb. It is the page's title if the
        notebook does not begin with a heading.
    """
    renderer = Renderer([stem])
    (section,) = render_sections({stem: notebook}, renderer).values()
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    heading = re.search("^# (.*)", (prose or [""])[0], re.M)
    title = heading[1] if heading else stem
    if "<h1" not in section:
        section = f"<h1>{escape(title)}</h1>{section}"
    headings = renderer.headings
    return REPORTS.render(
        "page.html.j2", ["page"], title=title, headings=headings, section=section
    )


def render_sections(
    notebooks: Mapping[str, NotebookNode], renderer: Renderer
) -> dict[str, str]:
    """Return the HTML of each notebook, by its name without .ipynb.

    renderer: renders the Markdown of the cells, and collects the headings.
    """
    sections = {}
    for stem, notebook in notebooks.items():
        renderer.stem = stem
        sections[stem] = render_cells(notebook, renderer)
    return sections


def render_cells(
    notebook: NotebookNode, renderer: Renderer, outputs_only: bool = False
) -> str:
    """Return the HTML of the cells of a notebook.

    outputs_only: whether to leave out the code, and to unfold the outputs of answers.
    """
    resources = {"renderer": renderer, "outputs_only": outputs_only}
    html, _ = make_exporter().from_notebook_node(notebook, resources)
    return html.replace("<pre>", '<pre tabindex="0">')


def render_tagged_outputs(
    notebooks: Mapping[str, NotebookNode],
) -> dict[str, tuple[str, str]]:
    """Return what each cell tagged `report` displays, by the id of the cell.

    notebooks: the executed notebooks, by their names without .ipynb. If several have a
        cell of the same id, the id stands for the cell of the first.

    A value consists of the heading above the cell, and of the HTML of its outputs.
    """
    renderer = Renderer(["report"])
    outputs: dict[str, tuple[str, str]] = {}
    for stem, notebook in notebooks.items():
        heading = ""
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                headings = re.findall("^#+ +(.*)", cell.source, re.M)
                heading = [heading, *headings][-1]
            elif cells.has_tag(cell, REPORT_TAG):
                alone = NotebookNode(notebook | {"cells": [cell]})
                html = render_cells(alone, renderer, outputs_only=True)
                name = cell.id if cell.id not in outputs else f"{stem} {cell.id}"
                outputs[name] = heading, html
    return outputs


def render_report(
    template: str,
    notebooks: Mapping[str, NotebookNode],
    scripts: tuple[str, ...] = (),
    **values: Any,
) -> str:
    """Render what tagged cells of some notebooks found, and below it all, folded.

    template: the name of the template, which extends report.html.j2. The outputs that
        it does not name follow after it.
    notebooks: the executed notebooks, by their names without .ipynb. If the template
        names a cell that several have, that of 03_evaluate is shown.
    scripts: the names of scripts that only this report has.
    values: the values that the template shows.
    """
    renderer = Renderer(list(notebooks), 2)  # the page has headings of two levels
    stems = sorted(notebooks, key=lambda stem: stem != EVALUATION.name)
    others = render_tagged_outputs({stem: notebooks[stem] for stem in stems})
    outputs = {}
    for name in REPORTS.list_outputs(template):
        _, outputs[name] = others.pop(name)
    html = REPORTS.render(
        template,
        ["page", *scripts],
        outputs=outputs,
        others=list(others.values()),
        sections=render_sections(notebooks, renderer),
        **values,
    )
    return hide_folders(html)


def check_tagged_cells(template: str, notebooks: Iterable[Path]) -> None:
    """Raise InvalidInput if a report would show a cell that no notebook has.

    template: the name of the report's template.
    notebooks: the notebooks that are to be executed.
    """
    read = map(cells.read_notebook, notebooks)
    tagged = [c.id for node in read for c in node.cells if cells.has_tag(c, REPORT_TAG)]
    missing = [name for name in REPORTS.list_outputs(template) if name not in tagged]
    if missing:
        problem = f"No notebook has the cell {missing[0]!r} with the tag {REPORT_TAG}"
        raise InvalidInput(f"{problem}, which {template} shows. Restore it.")


def write_notebook_page(notebook: Path, output: Path) -> None:
    """Write a page that shows one notebook as it was last executed.

    notebook: the path of the notebook.
    output: the path of the page.

    Raises InvalidFile if the file is not a notebook. Raises InvalidInput if
    `check_page` does not allow a page at the path.
    """
    check_page(output)
    node = cells.drop_tagged_cells(cells.read_notebook(notebook), ERROR_CELL)
    html = render_notebook(notebook.stem, node)
    write_page(output, hide_folders(html))


def choose_page_path(name: str) -> Path:
    """Return a path in runs/reports for a page, named after what the page shows.

    name: the path of what the page shows, or several paths joined by `_and_`.
    """
    place = re.sub(r"(^|_and_)(runs|notebooks)/", r"\1", name)
    stem = re.sub(r"[^\w.-]+", "-", place).strip("-")
    return RUNS / "reports" / f"{stem}.html"
