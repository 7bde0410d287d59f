"""Render the Markdown of a page's notebooks: headings, links, tables and formulas.

Formulas become MathML, which browsers can display without a script.
"""

import re
from collections.abc import Sequence
from html import escape, unescape
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import jinja2
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath


class Renderer(IPythonRenderer):
    """Render the Markdown of a page's notebooks, and collect its headings.

    stems: the names of all notebooks of the page, without .ipynb.
    shift: by how many levels to lower headings.

    The attribute `stem` is the name of the notebook that is being rendered.
    """

    def __init__(self, stems: Sequence[str], shift: int = 0) -> None:
        super().__init__(escape=False)
        self.stems, self.shift = stems, shift
        self.stem = stems[0]
        self.headings: dict[str, tuple[int, str]] = {}  # level and text, by anchor
        self.figures = 0

    def __deepcopy__(self, memo: dict[int, Any]) -> "Renderer":
        return self  # nbconvert copies what it hands on, but one renderer counts

    def count_figure(self) -> int:
        """Count one more figure, and return its number."""
        self.figures += 1
        return self.figures

    def heading(self, text: str, level: int, **attributes: Any) -> str:
        level += self.shift
        plain = re.sub("<[^<>]+>", "", text)
        anchor = make_anchor(self.stem, "" if level == 1 + self.shift else plain)
        while anchor in self.headings:
            anchor += "-2"
        self.headings[anchor] = level, plain
        return f'<h{level} id="{anchor}">{text}</h{level}>\n'

    def link(self, text: str, url: str, title: str | None = None) -> str:
        if urlsplit(url).scheme:
            return super().link(text, url, title)
        path, _, heading = url.partition("#")
        if path and not path.endswith(".ipynb"):
            return text
        stem = Path(path).stem if path else self.stem
        if stem in self.stems:
            return f'<a href="#{make_anchor(stem, heading)}">{text}</a>'
        return f"<code>{path}</code>" if text == stem else text

    def table(self, text: str) -> str:
        """Render a table.

        A table with three or more columns stands in an element of its own, which can be
        scrolled on phones.
        """
        table = f"<table>\n{text}</table>\n"
        if len(re.findall("<t[hd][ >]", text.partition("</tr>")[0])) <= 2:
            return table
        attributes = 'class="scroll" role="group" aria-label="Table" tabindex="0"'
        return f"<div {attributes}>{table}</div>"

    def table_head(self, text: str) -> str:
        # Every table in Markdown has a head. A head without any text is left out.
        words = re.sub(r"<[^>]+>|\s", "", text)
        return f"<thead>\n<tr>\n{text}</tr>\n</thead>\n" if words else ""

    def block_math(self, body: str) -> str:
        math = convert_formula(body, "block")
        # Firefox scrolls only an element around a formula, not the formula itself.
        attributes = 'class="formula" role="group" aria-label="Formula" tabindex="0"'
        return f"<span {attributes}>{math}</span>"

    def inline_math(self, body: str) -> str:
        return convert_formula(body, "inline")


def make_anchor(notebook_stem: str, heading: str) -> str:
    """Return the anchor of a heading in a page.

    heading: the heading's text, or the fragment of a link to the heading in JupyterLab.
    """
    words = re.findall(r"[^\W_]+", unescape(unquote(heading)).lower())
    return "-".join([notebook_stem, *words])


def convert_formula(source: str, display: str) -> str:
    """Convert a formula from LaTeX to MathML.

    display: "block" or "inline".

    If latex2mathml cannot convert the formula, the result shows the LaTeX source.
    """
    # The report of a run has no formulas, so importing this only here saves it 0.1 s.
    from latex2mathml.converter import convert

    try:
        return convert(source, display=display)
    except Exception:  # noqa: BLE001 - latex2mathml's errors have no common base
        return f"<code>{escape(source)}</code>"


@jinja2.pass_context
def render_markdown(context: jinja2.runtime.Context, source: str) -> str:
    """Render the Markdown of a cell, as a filter in nbconvert's templates."""
    renderer = context["resources"]["renderer"]
    renderer.attachments = context["cell"].get("attachments", {})
    return render_text(source, renderer)


def render_text(source: str, renderer: Renderer) -> str:
    return MarkdownWithMath(renderer).render(source)
