"""Render executed notebooks as one HTML file that opens anywhere: nothing in it is fetched from a network.

nbconvert renders the cells, with what its own templates leave out: mathematics as MathML, which browsers draw by
themselves; code folded away; links that lead somewhere even when the file travels alone.
"""

import contextlib
import itertools
import re
import threading
import warnings
from collections.abc import Callable, Container, Iterator, Mapping
from functools import cache, partial
from html import escape
from pathlib import Path
from typing import Any

import nbformat
from bs4 import BeautifulSoup
from jinja2 import pass_context
from jupyter_core.paths import ENV_JUPYTER_PATH, SYSTEM_JUPYTER_PATH
from nbconvert.exporters import HTMLExporter
from nbconvert.filters import ansi2html, strip_ansi
from nbconvert.filters.highlight import Highlight2HTML
from nbconvert.filters.markdown_mistune import MarkdownWithMath
from traitlets.config import Config

from pipeline import parameters, published, storage
from pipeline.errors import InvalidRecord, shown
from pipeline.images import DIGITS
from pipeline.parameters import Parameters
from pipeline.readers import read_notebook
from pipeline.records import RunRecord
from pipeline.reports import pages, training
from pipeline.reports.markdown import Renderer
from pipeline.run_folder import RunFolder
from pipeline.statistics import wilson_interval

MAX_MARKDOWN = 20_000  # characters of a cell: to find its formulas takes time that grows with the square
# What leads a page elsewhere, which no Content-Security-Policy prevents, brings in other things, or hides the rest.
LEADS_AWAY = re.compile(r"<(?=/?(meta|base|link|iframe|object|embed|form|plaintext)\b)", re.I)
PAPERMILLS = "papermill-error-cell-tag"  # of cells that papermill adds where one has failed
# Not controls, which need a kernel, nor scripts, since a page runs its own alone: the text that stands for them.
SHOWN = ["text/html", "text/markdown", "image/svg+xml", "text/vnd.mermaid", "text/latex", "image/png", "image/jpeg"]
_one_at_a_time = threading.Lock()  # since all notebooks share one exporter
# Links to other folders, from their notebook's.
ELSEWHERE = re.compile(
    r"""<a\b(?>[^<>]*?\bhref=)(["'])(?!#|//|[\w+.-]+:)[^"'/<>]*/[^"'<>]*\1[^<>]*>((?:(?!<a\b).)*?)</a>""", re.S
)
CAPTION = re.compile('<figcaption class="numbered" aria-hidden="true">')
MAX_COLOURS = 20_000  # changes of colour in an output: to show them takes time that grows with the square


class _CellsExporter(HTMLExporter):
    """Render the cells of a notebook as a piece of HTML, its Markdown with the renderer that is set for it."""

    renderer: Renderer

    def get_prefix_root_dirs(self) -> list[str]:
        """Return where nbconvert's own templates are, and not a user's, which would take part in each page."""
        return [*ENV_JUPYTER_PATH, *SYSTEM_JUPYTER_PATH]

    def from_notebook_node(self, *arguments: Any, **options: Any) -> Any:
        """Leave out what HTMLExporter does to all of the HTML afterwards: it would take twice as long as the rest."""
        return super(HTMLExporter, self).from_notebook_node(*arguments, **options)

    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        if len(source) > MAX_MARKDOWN:
            return f"<pre>{escape(source)}</pre> <em>(This text is too long to be formatted.)</em>"
        self.renderer.attachments = context["cell"].get("attachments", {})
        html = MarkdownWithMath(renderer=self.renderer).render(source)
        html = re.sub(r"<thead>\s*<tr>(\s*<th></th>)+\s*</tr>\s*</thead>", "", html)  # Markdown cannot leave it out
        return _scrolling(_balanced(html) if "<" in source else html)


def _balanced(html: str) -> str:
    """Return HTML that somebody else wrote with each element ended, so that it changes nothing that follows."""
    return str(BeautifulSoup(html, "html.parser"))


def _coloured(text: str) -> str:
    """Return an output as HTML in its colours, without them where they change too often."""
    return ansi2html(text) if text.count("\x1b") <= MAX_COLOURS else escape(strip_ansi(text))


def _described(picture: str) -> str:
    """Return a picture's HTML with a text alternative, which one that somebody else made may lack."""
    if re.search(r"\salt=", picture):
        return picture
    return picture.replace("<img", '<img alt="A picture without a description"', 1)


@cache
def exporter() -> _CellsExporter:
    """Return the one exporter, with its templates compiled, which takes 0.2 s."""
    made = _CellsExporter(  # type: ignore[no-untyped-call]
        config=Config({"NbConvertBase": {"display_data_priority": [*SHOWN, "text/plain"]}}),
        template_name="basic",
        template_file="cells.html.j2",
        extra_template_paths=[str(pages.TEMPLATES)],
        default_preprocessors=[],  # which would check each notebook again
        filters={
            "highlight_code": Highlight2HTML("ipython3"),
            "ansi2html": _coloured,
            "balanced": _balanced,
            "described": _described,
        },
    )
    made.renderer = Renderer("")
    made.from_notebook_node(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("0")]))
    return made


def render(
    notebooks: Mapping[str, nbformat.NotebookNode],
    title: str,
    site: Container[str] = (),
    summary: Mapping[str, object] | None = None,
) -> str:
    """Render one page of one or more executed notebooks, which are given by their stems, such as "02_train", in order.

    site: the stems of notebooks that have a page beside this one, which links lead to. summary: what the page shows
    before and after the notebooks, a title of its own included, below which theirs are.
    """
    renderers = [Renderer(stem, list(notebooks), 1 if summary else 0, site) for stem in notebooks]
    bodies, numbers = list(map(_section, renderers, notebooks.values())), itertools.count(1)
    bodies = [CAPTION.sub(lambda begin: f"{begin[0]}<b>Figure {next(numbers)}.</b> ", body) for body in bodies]
    if not summary and "<h1" not in bodies[0]:
        bodies[0] = f"<h1>{escape(title)}</h1>{bodies[0]}"
    sortable = any('class="dataframe sortable"' in body for body in bodies)
    shown = {
        "headings": [heading for each in renderers for heading in each.headings.values() if 2 <= heading.level <= 3],
        "sections": bodies,
        "summary": summary,
        "glossary": _glossary() if any('href="#glossary"' in body for body in bodies) else None,
    }
    scripts = (*(("network", "draw", "train") if summary else ()), "page", *(("sort",) if sortable else ()))
    return pages.fill("page.html.j2", scripts, title=title, **shown)


def _section(renderer: Renderer, node: nbformat.NotebookNode) -> str:
    """Render a notebook as a part of a page; the renderer has its headings then."""
    with _one_at_a_time, warnings.catch_warnings(action="ignore"):  # of outputs in a form that no page can show
        exporter().renderer = renderer
        html, _ = exporter().from_notebook_node(_with_folded_set_up(node))
    return _accessible(LEADS_AWAY.sub("&lt;", html))


def _with_folded_set_up(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Fold what stands between the title of a notebook and its first section: its table, imports and parameters."""
    cells = notebook.cells
    for cell in cells:
        cell.metadata.pop("page", None)  # which marks what is put between them here
    prose = [bool(re.search("^## ", cell.source, re.M)) and cell.cell_type == "markdown" for cell in cells]
    if not any(prose) or prose[0] or cells[0].cell_type != "markdown":
        return notebook
    first = prose.index(True)
    title, rule, table = cells[0].source.partition("\n\n| | |\n")  # of what it reads and writes
    failed = any(output.output_type == "error" for cell in cells[:first] for output in cell.get("outputs", []))
    new, summary = nbformat.v4, "<summary>Set-up: what it reads, imports, parameters</summary>"
    opening = new.new_raw_cell(f'<details class="set-up"{" open" * failed}>{summary}', metadata={"page": True})
    end = new.new_raw_cell("</details>", metadata={"page": True})
    before = [new.new_markdown_cell(title), opening, *([new.new_markdown_cell("| | |\n" + table)] if rule else [])]
    return nbformat.NotebookNode(notebook | {"cells": [*before, *cells[1:first], end, *cells[first:]]})


def _scrolling(html: str) -> str:
    """Let tables of three columns or more scroll within themselves, since a phone is not wide enough for them."""

    def wrapped(table: str) -> str:
        columns = table.split("</tr>")[0].count("<th")
        wide = '<div class="scroll" role="group" aria-label="Table" tabindex="0">'
        return f"{wide}{table}</div>" if columns > 2 else table

    return _with_each("table", html, wrapped)


def _with_each(name: str, html: str, change: Callable[[str], str]) -> str:
    """Change each element of this name that has no attributes: a regular expression would take for ever at bad ones."""
    before, *elements = html.split(f"<{name}>")
    parts = [element.partition(f"</{name}>") for element in elements]
    return before + "".join(
        change(f"<{name}>{inside}{end}") + after if end else f"<{name}>{inside}" for inside, end, after in parts
    )


def _glossary() -> str:
    guide = (storage.NOTEBOOKS / "README.md").read_text("utf-8")
    text = guide.split("## Glossary\n")[1].split("\n## ")[0]
    return _accessible(_scrolling(MarkdownWithMath(renderer=Renderer("glossary")).render(text)))


def _accessible(body: str) -> str:
    """Let the keyboard scroll code and outputs, and mark the heads of a table's columns and rows as such."""
    body = body.replace("<pre>", '<pre tabindex="0">')
    for part, scope in (("thead", "col"), ("tbody", "row")):
        body = _with_each(part, body, partial(re.sub, r"<th\b", f'<th scope="{scope}"'))
    return body


def write_notebook_report(notebook: Path, output: Path, title: str | None = None, failure: str = "") -> None:
    """Render one notebook, as it was last executed, and write the page. Raises InvalidRecord if it is no notebook.

    title: the page's, the notebook's first heading unless given. failure: why it failed, if that ended it: this follows
    the title, and what was not executed is left out.
    """
    node = read_notebook(notebook)
    if failure:
        node.cells = [cell for cell in node.cells if PAPERMILLS not in cell.metadata.get("tags", [])]
        begun = [place for place, cell in enumerate(node.cells) if cell.get("execution_count")]
        node.cells = node.cells[: max(begun, default=len(node.cells)) + 1]
    is_titled = node.cells and node.cells[0].cell_type == "markdown"
    heading = re.search(r"^# (.*)", node.cells[0].source, re.M) if is_titled else None
    if title and heading:  # what it shows, and not what the notebook does
        heads = f"# {_in_markdown(title)}" + (f"\n\n**{_in_markdown(failure)}**" if failure else "")
        node.cells[0].source = node.cells[0].source.replace(heading[0], heads, 1)
    with _readable(notebook):
        html = render({notebook.stem: node}, title or (heading[1] if heading else notebook.stem))
    if output.parent.resolve() != notebook.parent.resolve():
        html = without_dead_links(html)
    storage.write_whole(output, html.encode(errors="replace"))


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raise InvalidRecord where what a notebook holds cannot be shown."""
    try:
        yield
    except OSError:  # a file of the project's own is missing
        raise
    except Exception as error:  # noqa: BLE001 - nbconvert raises nearly anything at outputs of another form
        problem = f"cannot be shown ({type(error).__name__}: {shown(error)})"
        raise InvalidRecord(path, problem, "Execute it again.") from None


def without_dead_links(html: str) -> str:
    """Return a page that does not stand where its notebook does, without the links that lead from there."""
    return ELSEWHERE.sub(r"\2", html)


def _in_markdown(text: str) -> str:
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)


def run_page(folder: RunFolder, record: RunRecord, site: Container[str] = ()) -> str:
    """Render the report of a finished run, from its executed notebooks, metrics.json and the record for run.json.

    The result comes first, then the last notebook. site: see `render`.
    """
    notebooks = {path.stem: read_notebook(path) for path in reversed(folder.executed())}
    summary = _run_summary(folder, record)
    with _readable(folder.path):
        return render(notebooks, folder.title, site, summary)


def prepare() -> None:
    """Compile all templates of a run's report, while something else takes long."""
    with _one_at_a_time:
        exporter()
        for name in ("base", "page", "result", "training", "drawing"):  # to compile these takes 0.1 s
            pages.ENVIRONMENT.get_template(f"{name}.html.j2")


def _run_summary(folder: RunFolder, record: RunRecord) -> dict[str, object]:
    chosen = parameters.from_values(record.parameters)
    metrics, _, model = folder.read_results(chosen)
    fields, differing = Parameters.model_fields.items(), parameters.differing(dict(chosen))
    comparisons = published.compare(metrics)
    digits = model.classes == DIGITS
    return {
        "digits": digits,
        "headline": f"{chosen.hidden_size:,} hidden unit{'s' * (chosen.hidden_size > 1)}, trained on "
        f"{chosen.num_samples:,} {'digit' if digits else 'image'}{'s' * (chosen.num_samples > 1)}",
        "reproduced": all(row.equal for row in comparisons),
        "record": record,
        "interval": wilson_interval(metrics.test_accuracy, metrics.test_images),
        "metrics": metrics,
        "parameters": chosen,
        "comparisons": comparisons,
        "not_the_originals": parameters.not_the_originals(chosen),
        "rows": [(name, getattr(chosen, name), field, name in differing) for name, field in fields],
        "command": folder.command(chosen),
        "live": training.parts(folder, chosen, metrics),
        "digests": {f"the source's {name}": digest for name, digest in record.arrays.items()}
        | {"the trained weights": metrics.weights_sha256}
        | {f"{name}.ipynb": digest for name, digest in record.inputs.notebooks.items()}
        | record.inputs.code,
    }
