"""Fill the frame that every page shares: one HTML file with its style and its script inside."""

import base64
import hashlib
import re
import zlib
from collections.abc import Iterable
from pathlib import Path

from jinja2 import Environment, FunctionLoader

from pipeline.statistics import rounded

WIDGET = "application/vnd.jupyter.widget-view+json"  # a control, which needs a kernel
TEMPLATES = Path(__file__).resolve().parent / "templates"
# A template that is missing is an error of the system, as any other file is.
LOADER = FunctionLoader(lambda name: (TEMPLATES / name).read_text("utf-8"))
ENVIRONMENT = Environment(loader=LOADER, autoescape=True, trim_blocks=True, lstrip_blocks=True)
ENVIRONMENT.filters["rounded"] = rounded


def fill(template: str, names: Iterable[str] = ("page",), **values: object) -> str:
    """Return a page made from one of the templates that extend base.html.j2; values are escaped.

    names: of the scripts that it may have, and no others: what a notebook brings with it must not run any. The
    Content-Security-Policy allows these, by their digests, and nothing from elsewhere.
    """
    scripts = {name: script(name) for name in names}
    digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts.values())
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    workers = "worker-src blob:; " if "train" in scripts else ""
    policy = (
        f"default-src 'none'; script-src {allowed}; {workers}img-src data:; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'"
    )
    css = style("live") + style("page")
    return ENVIRONMENT.get_template(template).render(policy=policy, css=css, **scripts, **values)


def packed(content: bytes) -> str:
    """Return bytes as a page holds them: compressed, as base64."""
    return base64.b64encode(zlib.compress(content)).decode()


def style(name: str) -> str:
    return (TEMPLATES / f"{name}.css").read_text("utf-8")


def script(name: str) -> str:
    """Return a JavaScript file without its imports and exports: scripts that stand together share their names."""
    text = (TEMPLATES / f"{name}.js").read_text("utf-8")
    return re.sub(r"^(import .*\n|export (?!default))", "", text, flags=re.M)
