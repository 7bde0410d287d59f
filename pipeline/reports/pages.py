"""Fill the frame that every page shares: one HTML file with its style and its script inside."""

import base64
import functools
import hashlib
import re
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, select_autoescape

WIDGET = "application/vnd.jupyter.widget-view+json"  # a control, which needs a kernel
TEMPLATES = Path(__file__).resolve().parent / "templates"


def fill(template: str, names: Iterable[str] = ("page",), **values: object) -> str:
    """Return a page made from one of the templates that extend base.html.j2; values are escaped.

    names: of the scripts that it may have, and no others: what a notebook brings with it must not run any.
    """
    scripts = {name: script(name) for name in names}
    return fragment(template, policy=_policy(scripts), css=style("live") + style("page"), **scripts, **values)


def fragment(template: str, **values: object) -> str:
    """Return what a template makes of the values, which are escaped."""
    return _environment().get_template(template).render(**values)


def packed(content: bytes) -> str:
    """Return bytes as a page holds them: compressed, as base64."""
    return base64.b64encode(zlib.compress(content)).decode()


def prepare() -> None:
    """Compile the templates of a run's page, which takes 0.1 s."""
    for name in ("base", "page", "result", "training", "drawing"):
        _environment().get_template(f"{name}.html.j2")


@functools.cache
def _environment() -> Environment:
    loader, escape = FileSystemLoader(TEMPLATES), select_autoescape(["j2"])
    return Environment(loader=loader, autoescape=escape, trim_blocks=True, lstrip_blocks=True)


def style(name: str) -> str:
    return (TEMPLATES / f"{name}.css").read_text("utf-8")


def script(name: str) -> str:
    """Return a JavaScript file without its imports and exports: scripts that stand together share their names."""
    text = (TEMPLATES / f"{name}.js").read_text("utf-8")
    return re.sub(r"^(import .*\n|export (?!default))", "", text, flags=re.M)


def _policy(scripts: Mapping[str, str]) -> str:
    """Return a Content-Security-Policy: these scripts, by their digests, and nothing from elsewhere."""
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts.values())
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    workers = "worker-src blob:; " if "train" in scripts else ""
    return (
        f"default-src 'none'; script-src {allowed}; {workers}img-src data:; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'"
    )
