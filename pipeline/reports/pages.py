"""Fill the frame that every page shares: one HTML file with its style and its script inside."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, select_autoescape

WIDGET = "application/vnd.jupyter.widget-view+json"  # a control, which needs a kernel
TEMPLATES = Path(__file__).resolve().parent / "templates"


def fill(template: str, **values: object) -> str:
    """Return a page made from one of the templates that extend base.html.j2; values are escaped."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=select_autoescape(["j2"]), trim_blocks=True, lstrip_blocks=True
    )
    style, script = ((TEMPLATES / name).read_text() for name in ("page.css", "page.js"))
    return environment.get_template(template).render(css=style, javascript=script, **values)
