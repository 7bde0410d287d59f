"""Notebooks as one HTML file that opens anywhere: nothing in it is fetched from a network.

nbconvert renders the cells, with what its own templates leave out: mathematics as MathML, which browsers draw by
themselves; code folded away; links that lead somewhere even when the file travels alone.
"""

import re
from collections.abc import Mapping, Sequence
from html import unescape
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import nbformat
from jinja2 import pass_context
from latex2mathml.converter import convert
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from traitlets.config import Config

from pipeline import files, pages, parameters, results, run


class Heading(NamedTuple):
    level: int
    anchor: str
    text: str


class _Renderer(IPythonRenderer):
    """Markdown for one notebook of a report: its headings `down` levels lower, with anchors that carry its name."""

    def __init__(self, stem: str, included: Sequence[str], headings: list[Heading], down: int) -> None:
        super().__init__(escape=False, exclude_anchor_links=True)
        self.stem, self.included, self.headings, self.down = stem, included, headings, down

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
        stem = Path(url).stem
        return f'<a href="#{stem}">{text}</a>' if stem in self.included else text

    def _anchor(self, heading: str) -> str:
        """The same for a heading's text and for JupyterLab's link to it, which has hyphens for spaces."""
        return f"{self.stem}-{re.sub(r'[^a-z0-9]+', '-', unescape(unquote(heading)).lower()).strip('-')}"

    def block_math(self, body: str) -> str:
        return convert(body, display="block").replace("<math ", '<math tabindex="0" ', 1)  # to scroll a long one

    def inline_math(self, body: str) -> str:
        return convert(body)


class _CellsExporter(HTMLExporter):
    """The cells of one notebook as a piece of HTML."""

    def __init__(self, stem: str, included: Sequence[str], down: int) -> None:
        super().__init__(
            template_name="basic", template_file="cells.html.j2", extra_template_paths=[str(pages.TEMPLATES)]
        )
        self.stem, self.included, self.headings, self.down = stem, included, [], down

    @property
    def default_config(self) -> Config:
        """Controls need a kernel, and a script that would be fetched: the text that stands for them is shown."""
        config = super().default_config
        config.NbConvertBase.display_data_priority.remove(run.WIDGET)
        return config

    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        renderer = _Renderer(self.stem, self.included, self.headings, self.down)
        html = MarkdownWithMath(renderer=renderer).render(source)
        return re.sub(r"<thead>\s*<tr>(\s*<th></th>)+\s*</tr>\s*</thead>", "", html)  # Markdown cannot leave it out


def render(notebooks: Mapping[str, nbformat.NotebookNode], title: str, summary: Mapping[str, Any] | None = None) -> str:
    """One page of one or more executed notebooks.

    Parameters
    ----------
    notebooks : mapping
        From a notebook's stem, such as "02_train", to the executed notebook, in order.
    title : str
        The page's title.
    summary : mapping, optional
        What the page says before and after the notebooks: see `run_summary`. The page then has a title of its own,
        and the notebooks' headings stand one level lower.
    """
    headings, sections = [], []
    for stem, notebook in notebooks.items():
        exporter = _CellsExporter(stem, list(notebooks), down=1 if summary else 0)
        body, _ = exporter.from_notebook_node(notebook)
        sections.append(body.replace("<pre>", '<pre tabindex="0">'))  # so that the keyboard can scroll it
        headings += [heading for heading in exporter.headings if 2 <= heading.level <= 3]
    return pages.fill("page.html.j2", title=title, headings=headings, sections=sections, summary=summary)


def write_notebook_report(notebook: Path, output: Path, title: str | None = None) -> None:
    """One notebook, as it was last executed, as one HTML file. Raises DataError if it is no notebook.

    title: the page's, the notebook's first heading unless given.
    """
    try:
        node = nbformat.read(notebook, as_version=4)
    except (ValueError, AttributeError, nbformat.ValidationError) as error:
        raise files.DataError(f"{notebook} is no notebook ({str(error)[:60]}). Give an executed .ipynb file.") from None
    heading = re.search(r"^# (.*)", node.cells[0].source, re.M)
    html = render({notebook.stem: node}, title or (heading[1] if heading else notebook.stem))
    files.write_whole(output, html.encode())


def write_run_report(folder: Path, record: Mapping[str, Any], title: str, again_in: str) -> None:
    """report.html of a finished run, from its executed notebooks, metrics.json and the record for run.json.

    again_in: the folder that the command in it names, which does the same once more.
    """
    notebooks = {path.stem: nbformat.read(path, as_version=4) for path in sorted(folder.glob("0?_*.ipynb"))}
    metrics = files.read_json(folder / "metrics.json", "")
    html = render(notebooks, title, run_summary(record, metrics, again_in))
    files.write_whole(folder / "report.html", html.encode())


def run_summary(record: Mapping[str, Any], metrics: Mapping[str, Any], again_in: str) -> dict[str, Any]:
    """What a run's report says about the run as a whole."""
    chosen = parameters.Parameters.model_validate(record["parameters"])
    differing = parameters.differing(chosen)
    inputs = record["inputs"]
    return {
        "started": record["started"],
        "duration_s": record["duration_s"],
        "comparisons": results.compare_with_published(metrics),
        "metrics": metrics,
        "differing": parameters.not_the_originals(chosen),
        "parameters": [
            {
                "name": name,
                "value": value,
                "default": parameters.Parameters.model_fields[name].default,
                "meaning": parameters.Parameters.model_fields[name].description,
                "changed": name in differing,
            }
            for name, value in record["parameters"].items()
        ],
        "command": parameters.command(chosen, again_in),
        "source": chosen.source,
        "digests": {f"the source's {name}": digest for name, digest in record["arrays"].items()}
        | {"the trained weights": metrics["weights_sha256"]}
        | {f"{name}.ipynb": digest for name, digest in inputs["notebooks"].items()}
        | inputs["code"],
        "versions": inputs["versions"],
    }
