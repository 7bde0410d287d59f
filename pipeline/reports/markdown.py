"""Render the Markdown of a page: headings with anchors, links that lead somewhere in it, formulas as MathML."""

import contextlib
import re
from collections.abc import Container, Sequence
from html import escape, unescape
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

from latex2mathml.converter import convert
from nbconvert.filters.markdown_mistune import InvalidNotebook, IPythonRenderer

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


class Renderer(IPythonRenderer):
    """Render Markdown for one notebook of a page that includes those with these stems.

    Its headings are `down` levels lower, with anchors that carry its name. site: as in `rendering.render`.
    """

    def __init__(self, stem: str, included: Sequence[str] = (), down: int = 0, site: Container[str] = ()) -> None:
        super().__init__(escape=False, allow_harmful_protocols=False)
        self.stem, self.included, self.down, self.site = stem, included, down, site
        self.headings: dict[str, Heading] = {}  # by their anchors

    def heading(self, text: str, level: int, **attributes: Any) -> str:
        plain = re.sub("<[^<>]+>", "", text)
        anchor = _anchor(self.stem, "" if level == 1 else plain)
        while anchor in self.headings:
            anchor += f"-{len(self.headings)}"
        if level == 1 and (named := _anchor(self.stem, plain)) != anchor:  # for links with its words
            text = f'<span id="{named}"></span>{text}'
        level += self.down
        self.headings[anchor] = Heading(level, anchor, plain)
        return f'<h{level} id="{anchor}">{text}</h{level}>\n'

    def link(self, text: str, url: str, title: str | None = None) -> str:
        if urlsplit(url).scheme:
            return super().link(text, url, title)
        if url.startswith("#"):
            return f'<a href="#{_anchor(self.stem, url)}">{text}</a>'
        if url == GLOSSARY:
            return f'<a href="#glossary">{text}</a>'
        path, _, heading = url.partition("#")
        stem, is_notebook = Path(path).stem, path.endswith(".ipynb")
        if stem in self.included and is_notebook:
            return f'<a href="#{_anchor(stem, heading)}">{text}</a>'
        if stem in self.site and is_notebook:
            return f'<a href="{stem}.html{f"#{_anchor(stem, heading)}" * bool(heading)}">{text}</a>'
        return f"<code>{text}.ipynb</code>" if text == stem and is_notebook else text  # it is not here

    def block_math(self, body: str) -> str:
        formula = _formula(body, "block")  # of which Firefox scrolls none, so what is around it does
        return f'<span class="formula" role="group" aria-label="Formula" tabindex="0">{formula}</span>'

    def inline_math(self, body: str) -> str:
        return _formula(body, "inline")

    def image(self, text: str, url: str, title: str | None = None) -> str:
        try:
            return super().image(text, url, title)
        except (InvalidNotebook, StopIteration, TypeError, AttributeError):  # of an attachment that is missing
            return f"<code>![{escape(text)}]({escape(url)})</code> <em>(This picture is missing.)</em>"


def _anchor(stem: str, heading: str = "") -> str:
    """Return the same for a heading's text and for JupyterLab's link to it, which has hyphens for spaces."""
    words = re.findall(r"[^\W_]+", unescape(unquote(heading)).lower())
    return "-".join([re.sub(r"[^\w-]", "-", stem), *words])


def _formula(source: str, display: str) -> str:
    """Return a formula as MathML; one that cannot be converted, or makes anything else, as it was typed."""
    with contextlib.suppress(Exception):  # latex2mathml raises nearly anything at what it does not understand
        mathml = convert(source, display=display) if len(source) <= MAX_FORMULA else ""
        found = list(ElementTree.fromstring(mathml).iter())
        values = " ".join(value for element in found for value in element.attrib.values())
        if all(MATHML.fullmatch(element.tag) for element in found) and "script:" not in values.lower():
            return mathml
    return f"<code>{escape(source)}</code> <em>(This formula cannot be shown.)</em>"
