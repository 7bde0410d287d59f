"""Render executed notebooks, or the report of a run, as one self-contained HTML file.

nbconvert renders the cells, and markdown.py their Markdown.
"""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from nbconvert.exporters import TemplateExporter
from nbconvert.filters import Highlight2HTML
from nbformat import NotebookNode
from traitlets.config import Config

from pipeline.network import published
from pipeline.parameters import find_changed_from_original, make_command
from pipeline.paths import RUNS, hide_folders, to_display_path
from pipeline.records import RunRecord
from pipeline.reports import cells, live, origins
from pipeline.reports.markdown import Renderer, render_glossary, render_markdown
from pipeline.results.files import GENERATOR, atomic_write, check_page
from pipeline.results.provenance import has_mnist, has_published_helpers
from pipeline.results.run_folder import RunFolder
from pipeline.results.stages import HELPERS, STAGES
from pipeline.statistics import compute_wilson_interval

# The kinds of outputs that a page can show, the preferred ones first.
FORMATS = ["text/html", "text/markdown", "image/svg+xml", "image/png", "image/jpeg"]
FORMATS += ["text/plain"]
MAX_NAME = 200  # bytes; file systems allow 255
MNIST_TAG = "mnist"  # the tag of cells that are true only of MNIST
ERROR_CELL = "papermill-error-cell-tag"  # the tag of cells that papermill adds
HEADING = re.compile("(<h1[^>]*>).*?</h1>", re.S)
LINK_TO_FOLDER = re.compile(r'<a href="[^":#]*/[^":]*">(.*?)</a>', re.S)


@cache
def make_exporter() -> TemplateExporter:
    """Return nbconvert's exporter with the templates of pages.

    The exporter is made only once, because compiling its templates is slow.
    """
    return TemplateExporter(
        config=Config({"NbConvertBase": {"display_data_priority": FORMATS}}),
        template_name="basic",
        template_file="cells.html.j2",
        extra_template_paths=[str(live.TEMPLATES)],
        default_preprocessors=[],
        filters={
            "markdown2html": render_markdown,
            "highlight_code": Highlight2HTML("python3"),
        },
    )


def render_notebooks(
    notebooks: Mapping[str, NotebookNode],
    title: str,
    origin: Mapping[str, Any] | None = None,
) -> str:
    """Render executed notebooks as one page, and return its HTML.

    notebooks: the notebooks by their names, without .ipynb.
    title: the page's title, which is also its heading if the first notebook has none.
    origin: the values of origins.html.j2. `place` says where a run or a sweep was made,
        and `credits` names the authors of its images and code. None leaves both out.
    """
    sections, renderer = render_sections(notebooks, Renderer(list(notebooks)))
    if "<h1" not in sections[0]:
        sections.insert(0, f"<h1>{escape(title)}</h1>")
    scripts = ["page"]
    if "diagrams" in renderer.needs:
        scripts.append("diagrams")
    has_glossary = "glossary" in renderer.needs
    return render_template(
        "page.html.j2",
        scripts,
        title=title,
        headings=renderer.headings,
        sections=sections,
        origins=origin,
        glossary=render_glossary() if has_glossary else None,
    )


def render_sections(
    notebooks: Mapping[str, NotebookNode], renderer: Renderer
) -> tuple[list[str], Renderer]:
    """Render each notebook as HTML.

    notebooks: the notebooks by their names, without .ipynb.
    renderer: renders the Markdown of the cells.

    Return the HTML of each notebook, and a copy of the renderer that has collected the
    headings of all notebooks.
    """
    sections = []
    for stem, notebook in notebooks.items():
        renderer.stem = stem
        folded, resources = cells.fold_set_up(notebook), {"renderer": renderer}
        html, resources = make_exporter().from_notebook_node(folded, resources)
        renderer = resources["renderer"]  # nbconvert copies resources
        sections.append(html.replace("<pre>", '<pre tabindex="0">'))
    return sections, renderer


def render_template(
    template: str,
    scripts: Sequence[str],
    styles: Sequence[str] = ("live", "page"),
    **values: object,
) -> str:
    """Fill a template that extends base.html.j2, and return the page.

    scripts: the names of the page's scripts. The function adds the scripts that these
        scripts import.
    styles: the names of the page's style sheets.
    values: the values that the template shows. The template escapes them.

    The Content-Security-Policy of the page lists the digests of its scripts, so that a
    browser runs no other script. The policy also forbids the page to fetch anything.
    """
    names = live.collect_scripts(*scripts)
    texts = {name: live.read_script(name) for name in names}
    digests = [hashlib.sha256(text.encode()).digest() for text in texts.values()]
    sources = [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]
    policy = (
        f"default-src 'none'; script-src {' '.join(sources)}; worker-src blob:; "
        "img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    )
    return live.ENVIRONMENT.get_template(template).render(
        policy=policy,
        generator=GENERATOR.decode(),
        css="".join(map(live.read_style, styles)),
        scripts=texts,
        **values,
    )


def write_notebook_report(
    notebook: Path,
    output: Path,
    title: str | None = None,
    origin: Mapping[str, Any] | None = None,
) -> None:
    """Write a page that shows one notebook as it was last executed.

    notebook: the path of the notebook.
    output: the path of the page.
    title: a title that replaces the notebook's own.
    origin: see `render_notebooks`.

    If the page is not in the folder of the notebook, the notebook's links to files in
    other folders become plain text.

    Raises InvalidFile if the file is not a notebook. Raises InvalidInput if
    `check_page` does not allow a page at the path.
    """
    check_page(output)
    node = cells.drop_tagged_cells(cells.read_notebook(notebook), ERROR_CELL)
    prose = [cell.source for cell in node.cells if cell.cell_type == "markdown"]
    heading = re.search("^# (.*)", (prose or [""])[0], re.M)
    heading_or_name = heading[1] if heading else notebook.stem
    name = title or heading_or_name
    html = render_notebooks({notebook.stem: node}, name, origin)
    if title:
        html = HEADING.sub(lambda old: f"{old[1]}{escape(title)}</h1>", html, count=1)
    if output.parent.resolve() != notebook.parent.resolve():
        html = remove_dead_links(html)
    atomic_write(output, hide_folders(html).encode())


def remove_dead_links(html: str) -> str:
    """Replace each link to a file in another folder with the text of the link."""
    return LINK_TO_FOLDER.sub(r"\1", html)


def choose_page_path(name: str) -> Path:
    """Return a path in runs/reports for a page, named after what the page shows.

    name: the path of what the page shows, or several paths joined by `_and_`.

    If the name is too long for a file, it is cut, and the digest of the name is added.
    """
    place = re.sub(r"(^|_and_)(runs|notebooks)/", r"\1", name)
    stem = re.sub(r"[^\w.-]+", "-", place).strip("-")
    if len(stem.encode()) > MAX_NAME:
        front = stem.encode()[:MAX_NAME].decode(errors="ignore")
        stem = f"{front}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
    return RUNS / "reports" / f"{stem}.html"


def write_run_report(folder: RunFolder, record: RunRecord) -> None:
    """Write the report of a finished run.

    record: the content of run.json. The file itself need not be written yet.
    """
    atomic_write(folder.report_path, render_run(folder, record).encode())


def render_run(folder: RunFolder, record: RunRecord) -> str:
    """Return the HTML of the report of a finished run.

    record: the content of run.json. The file itself need not be written yet.

    The report begins with the result. The notebooks follow, the last one first, without
    their tasks for the reader.
    """
    paths = map(folder.executed_path, reversed(STAGES))
    nodes = {path.stem: cells.read_notebook(path) for path in paths if path.exists()}
    notebooks = {stem: cells.remove_tasks(node) for stem, node in nodes.items()}
    if not has_mnist(record.inputs):
        notebooks = {
            stem: cells.drop_tagged_cells(node, MNIST_TAG)
            for stem, node in notebooks.items()
        }
    # The page has a title of its own, so all headings of notebooks are one level lower.
    sections, renderer = render_sections(notebooks, Renderer(list(notebooks), 1))
    place = describe_place(record)
    credits = origins.collect_credits(record.parameters.source, record.inputs)
    html = render_template(
        "report.html.j2",
        ["page", "report"],
        title=f"Run {folder.path.name}",
        headings=renderer.headings,
        sections=sections,
        origins={"place": place, "credits": credits},
        glossary=render_glossary(),
        **summarise_run(folder, record),
        **live.collect_template_values(folder, record),
    )
    return hide_folders(html)


def describe_place(record: RunRecord) -> str:
    """Describe in one line when and where a run was made, and how long it took."""
    begin = f"{record.started:%Y-%m-%d %H:%M} UTC"
    duration = "with interruptions"
    if record.duration_s is not None:
        duration = f"in {record.duration_s} seconds"
    where = origins.describe_origins([record.origin])
    return f"{begin} {duration}, {where}"


def summarise_run(folder: RunFolder, record: RunRecord) -> dict[str, Any]:
    """Return what report.html.j2 shows of a finished run: results, inputs and digests.

    The keys are the names that the template uses.
    """
    parameters = record.parameters
    metrics = folder.read_metrics()
    is_published = has_published_helpers(record.inputs)
    return {
        "digits": has_mnist(record.inputs),
        "published_accuracy": float(published.PUBLISHED["test_accuracy"]),
        "record": record,
        "interval": compute_wilson_interval(metrics.test_accuracy, metrics.test_images),
        "metrics": metrics,
        "parameters": parameters,
        "source": parameters.source,
        "comparisons": published.compare_with_published(metrics.model_dump()),
        "unoriginal": find_changed_from_original(parameters),
        "command": make_command(parameters, folder.display_path),
        "published_helpers": is_published,
        "note": "" if is_published else published.NOTE,
        "helpers_path": to_display_path(folder.helpers_path),
        "digests": {
            **record.inputs,
            "the trained weights": metrics.weights_sha256,
            **folder.digest([HELPERS]),
        },
    }
