"""Render executed notebooks as one HTML file that opens anywhere: nothing in it is fetched from a network.

nbconvert renders the cells, with what its own templates leave out: mathematics as MathML, which browsers draw by
themselves; code folded away; links that lead somewhere even when the file travels alone.
"""

import functools
import itertools
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from html import escape, unescape
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import nbformat
from jinja2 import pass_context
from latex2mathml.converter import convert
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import InvalidNotebook, IPythonRenderer, MarkdownWithMath
from traitlets.config import Config

from pipeline import parameters, published, storage
from pipeline.errors import InvalidRecord, shown
from pipeline.images import DIGITS
from pipeline.parameters import Parameters
from pipeline.readers import read_notebook
from pipeline.records import RunRecord
from pipeline.reports import live, pages
from pipeline.run_folder import STAGES, RunFolder
from pipeline.statistics import wilson_interval

NOT_SHOWN = (pages.WIDGET, "application/javascript")
CAPTION = re.compile('<figcaption [^>]*class="numbered"[^>]*>')
MAX_FORMULA = 5000  # characters
_NAMES = "ath|i|n|o|s|text|space|row|frac|sqrt|root|style|padded|phantom|enclose|fenced|table|tr|td|labeledtr"
MATHML = re.compile(
    rf"{{http://www\.w3\.org/1998/Math/MathML}}m({_NAMES}|sub|sup|subsup|under|over|underover|multiscripts|prescripts)"
)
GLOSSARY = "README.md#glossary"  # as notebooks link to it; a page whose notebooks do has it at its end


class Heading(NamedTuple):
    level: int
    anchor: str
    text: str


class Section(NamedTuple):
    """A notebook as a part of a page."""

    html: str
    headings: list[Heading]


class _Renderer(IPythonRenderer):
    """Render Markdown for one notebook of a report: headings `down` levels lower, with anchors that carry its name."""

    def __init__(
        self, stem: str, included: Sequence[str], headings: list[Heading], down: int, site: Container[str] = ()
    ) -> None:
        super().__init__(escape=False, allow_harmful_protocols=False, exclude_anchor_links=True)
        self.stem, self.included, self.headings, self.down, self.site = _anchor(stem), included, headings, down, site

    def heading(self, text: str, level: int, **attributes: Any) -> str:
        plain = re.sub("<[^>]+>", "", text)
        anchor = self.stem if level == 1 else self._anchor(plain)
        level += self.down
        self.headings.append(Heading(level, anchor, plain))
        return f'<h{level} id="{anchor}">{text}</h{level}>\n'

    def link(self, text: str, url: str, title: str | None = None) -> str:
        if urlsplit(url).scheme:
            return super().link(text, url, title)
        if url.startswith("#"):
            return f'<a href="#{self._anchor(url)}">{text}</a>'
        if url == GLOSSARY:
            return f'<a href="#glossary">{text}</a>'
        stem = Path(url).stem
        if stem in self.included:
            return f'<a href="#{_anchor(stem)}">{text}</a>'
        return f'<a href="{stem}.html">{text}</a>' if stem in self.site and url.endswith(".ipynb") else text

    def _anchor(self, heading: str) -> str:
        """The same for a heading's text and for JupyterLab's link to it, which has hyphens for spaces."""
        return f"{self.stem}-{re.sub(r'[^a-z0-9]+', '-', unescape(unquote(heading)).lower()).strip('-')}"

    def block_math(self, body: str) -> str:
        return _formula(body, "block").replace("<math ", '<math tabindex="0" ', 1)  # to scroll a long one

    def inline_math(self, body: str) -> str:
        return _formula(body, "inline")

    def image(self, text: str, url: str, title: str | None = None) -> str:
        try:
            return super().image(text, url, title)
        except (InvalidNotebook, StopIteration, TypeError, AttributeError):  # of an attachment that is missing
            return f"<code>![{escape(text)}]({escape(url)})</code> <em>(This picture is missing.)</em>"


def _anchor(stem: str) -> str:
    return re.sub(r"[^\w-]", "-", stem)


def _formula(source: str, display: str) -> str:
    """Return a formula as MathML; one that cannot be converted, or makes anything else, as it was typed."""
    try:
        if len(source) > MAX_FORMULA:
            raise ValueError("it is too long")
        mathml = convert(source, display=display)
        for element in ElementTree.fromstring(mathml).iter():
            if not MATHML.fullmatch(element.tag) or any(
                "script:" in value.lower() for value in element.attrib.values()
            ):
                raise ValueError("it is more than a formula")
        return mathml
    except Exception:  # noqa: BLE001 - latex2mathml raises nearly anything at what it does not understand
        return f"<code>{escape(source)}</code> <em>(This formula cannot be shown.)</em>"


class _CellsExporter(HTMLExporter):
    """Render the cells of a notebook as a piece of HTML, its Markdown with the renderer that is set for it."""

    renderer: _Renderer

    @property
    def default_config(self) -> Config:
        """Controls need a kernel, and a page runs no scripts but its own: the text that stands for them is shown."""
        config: Config = super().default_config
        shown = config.NbConvertBase.display_data_priority
        config.NbConvertBase.display_data_priority = [kind for kind in shown if kind not in NOT_SHOWN]
        return config

    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        self.renderer.attachments = context["cell"].get("attachments", {})
        html = MarkdownWithMath(renderer=self.renderer).render(source)
        html = re.sub(r"<thead>\s*<tr>(\s*<th></th>)+\s*</tr>\s*</thead>", "", html)  # Markdown cannot leave it out
        return _scrolling(html)


@functools.cache
def exporter() -> _CellsExporter:
    """Return the one exporter, with its templates compiled, which takes 0.2 s."""
    made = _CellsExporter(  # type: ignore[no-untyped-call]
        template_name="basic", template_file="cells.html.j2", extra_template_paths=[str(pages.TEMPLATES)]
    )
    made.renderer = _Renderer("", [], [], 0)
    made.from_notebook_node(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("0")]))
    return made


def render(notebooks: Mapping[str, nbformat.NotebookNode], title: str, site: Container[str] = ()) -> str:
    """Render one page of one or more executed notebooks, which are given by their stems, such as "02_train", in order.

    site: the stems of notebooks that have a page beside this one, which links lead to.
    """
    return _page([_section(stem, node, list(notebooks), site=site) for stem, node in notebooks.items()], title)


def _section(
    stem: str, notebook: nbformat.NotebookNode, included: Sequence[str], down: int = 0, site: Container[str] = ()
) -> Section:
    """Render a notebook of a page that includes those with these stems; its headings are so many levels lower."""
    found: list[Heading] = []
    exporter().renderer = _Renderer(stem, included, found, down, site)
    html, _ = exporter().from_notebook_node(_with_folded_set_up(notebook))
    return Section(_accessible(html), found)


def _page(sections: Sequence[Section], title: str, summary: Mapping[str, object] | None = None) -> str:
    """Fill the page. summary: what it shows before and after the notebooks, a title of its own included."""
    numbers = itertools.count(1)
    bodies = [CAPTION.sub(lambda begin: f"{begin[0]}<b>Figure {next(numbers)}.</b> ", each.html) for each in sections]
    shown = {
        "headings": [heading for each in sections for heading in each.headings if 2 <= heading.level <= 3],
        "sections": bodies,
        "summary": summary,
        "glossary": _glossary() if any('href="#glossary"' in body for body in bodies) else None,
        "sortable": any('class="dataframe sortable"' in body for body in bodies),
        "over": None if summary or f">{title}</h1>" in bodies[0] else title,
    }
    return pages.fill("page.html.j2", title=title, **shown)


def _with_folded_set_up(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Fold what stands between the title of a notebook and its first section: its table, imports and parameters."""
    cells = notebook.cells
    prose = [bool(re.search("^## ", cell.source, re.M)) and cell.cell_type == "markdown" for cell in cells]
    if not any(prose) or prose[0] or cells[0].cell_type != "markdown":
        return notebook
    first = prose.index(True)
    title, rule, table = cells[0].source.partition("\n\n| | |\n")  # of what it reads and writes
    failed = any(output.output_type == "error" for cell in cells[:first] for output in cell.get("outputs", []))
    new = nbformat.v4
    summary = "<summary>Set-up: what it reads, imports, parameters</summary>"
    opening, end = (
        new.new_raw_cell(html, metadata={"page": True})
        for html in (f'<details class="set-up"{" open" * failed}>{summary}', "</details>")
    )
    before = [new.new_markdown_cell(title), opening, *([new.new_markdown_cell("| | |\n" + table)] if rule else [])]
    folded = [*before, *cells[1:first], end, *cells[first:]]
    return nbformat.NotebookNode(notebook | {"cells": folded})


def _scrolling(html: str) -> str:
    """Let tables of four columns or more scroll within themselves, since a phone is not wide enough for them."""

    def wrapped(table: re.Match[str]) -> str:
        columns = table[0].split("</tr>")[0].count("<th")
        wide = '<div class="scroll" role="group" aria-label="Table" tabindex="0">'
        return f"{wide}{table[0]}</div>" if columns > 3 else table[0]

    return re.sub(r"<table>.*?</table>", wrapped, html, flags=re.S)


def _glossary() -> str:
    guide = (storage.NOTEBOOKS / "README.md").read_text()
    text = guide.split("## Glossary\n")[1].split("\n## ")[0]
    return _accessible(_scrolling(MarkdownWithMath(renderer=_Renderer("glossary", [], [], 0)).render(text)))


def _accessible(body: str) -> str:
    """Let the keyboard scroll code and outputs, and mark the heads of a table's columns and rows as such."""
    body = body.replace("<pre>", '<pre tabindex="0">')
    heads, rows = re.compile("<thead>.*?</thead>", re.S), re.compile("<tbody>.*?</tbody>", re.S)
    body = heads.sub(lambda part: re.sub(r"<th\b", '<th scope="col"', part[0]), body)
    return rows.sub(lambda part: re.sub(r"<th\b", '<th scope="row"', part[0]), body)


def write_notebook_report(notebook: Path, output: Path, title: str | None = None) -> None:
    """Render one notebook, as it was last executed, and write the page. Raises InvalidRecord if it is no notebook.

    title: the page's, the notebook's first heading unless given.
    """
    node = read_notebook(notebook)
    heading = re.search(r"^# (.*)", node.cells[0].source, re.M) if node.cells else None
    try:
        html = render({notebook.stem: node}, title or (heading[1] if heading else notebook.stem))
    except Exception as error:  # noqa: BLE001 - nbconvert raises nearly anything at outputs of another form
        problem = f"cannot be shown ({type(error).__name__}: {shown(error)})"
        raise InvalidRecord(notebook, problem, "Execute it again.") from None
    storage.write_whole(output, html.encode(errors="replace"))


def write_run_report(folder: RunFolder, record: RunRecord) -> None:
    """Write report.html of a finished run, from its executed notebooks, metrics.json and the record for run.json."""
    storage.write_whole(folder.report, run_page(folder, record).encode(errors="replace"))


def run_page(folder: RunFolder, record: RunRecord, site: Iterable[str] = ()) -> str:
    """Render the report of a finished run, the result first; see `render` for the site."""
    included = [path.stem for path in folder.executed()]
    return _page(_sections_of(folder, included, site), folder.title, _run_summary(folder, record))


def prepare(folder: RunFolder, stages: Iterable[str]) -> None:
    """Render the notebooks that have been executed so far, of those that the report will show."""
    exporter()
    pages.prepare()
    _sections_of(folder, stages)


def _sections_of(folder: RunFolder, stages: Iterable[str], site: Iterable[str] = ()) -> list[Section]:
    """Return the executed notebooks of these stages, the last first."""
    included, links = tuple(stages), frozenset(site)
    return [_stage(path, path.stat().st_mtime_ns, included, links) for path in folder.executed()[::-1]]


@functools.lru_cache(len(STAGES))
def _stage(path: Path, changed: int, included: Sequence[str], site: Container[str]) -> Section:
    """Render the notebook of a stage; again only if it has changed, since it may have been while the next one ran."""
    return _section(path.stem, read_notebook(path), included, 1, site)


def _run_summary(folder: RunFolder, record: RunRecord) -> dict[str, object]:
    chosen, metrics = parameters.from_values(record.parameters), folder.read_metrics()
    fields, differing = Parameters.model_fields.items(), parameters.differing(chosen)
    interval = metrics.test_images and wilson_interval(metrics.test_accuracy, metrics.test_images)
    comparisons = published.compare(metrics)
    digits = folder.read_model().classes == DIGITS
    return {
        "digits": digits,
        "headline": f"{chosen.hidden_size:,} hidden unit{'s' * (chosen.hidden_size > 1)}, trained on "
        f"{chosen.num_samples:,} {'digit' if digits else 'image'}{'s' * (chosen.num_samples > 1)}",
        "reproduced": all(row.equal for row in comparisons),
        "record": record,
        "interval": interval,
        "metrics": metrics,
        "parameters": chosen,
        "comparisons": comparisons,
        "not_the_originals": parameters.not_the_originals(chosen),
        "rows": [(name, getattr(chosen, name), field, name in differing) for name, field in fields],
        "command": parameters.command(chosen, folder.place_to_repeat),
        "live": live.parts(folder, chosen, metrics),
        "digests": {f"the source's {name}": digest for name, digest in record.arrays.items()}
        | {"the trained weights": metrics.weights_sha256}
        | {f"{name}.ipynb": digest for name, digest in record.inputs.notebooks.items()}
        | record.inputs.code,
    }
