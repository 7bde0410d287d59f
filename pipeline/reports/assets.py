"""Find the scripts, styles and templates of pages, and put them into pages.

A folder with these files has the folders `templates` and `scripts`.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from pipeline.results.files import GENERATOR

# The oldest browsers that pages support. Safari before 16.4 cannot unpack the data of a
# page, but every device with Safari 16 can be updated to 16.4.
BROWSERS = "Safari 16.4, Chrome 109 and Firefox 115"
NAMES = r"{\s*\w+(?:,\s*\w+)*,?\s*}"
IMPORT = re.compile(rf'^import ({NAMES}) from "\.[\w./]*/(\w+)\.js";', re.M)
EXPORT = re.compile(r"^export (?:async )?(?:const|class|function\*?) (\w+)", re.M)
OUTPUT = re.compile(r'outputs\["([\w-]+)"\]')
LEFT_OVER = re.compile(r"^\s*(?:import|export)\b.*", re.M)
COMMENT = re.compile(r"^ *//.*\n", re.M)
STYLE_COMMENT = re.compile(r"(?s) ?/\*.*?\*/")


class Assets:
    """The scripts, styles and templates of pages, looked up in a list of folders.

    Raises ValueError if two files have the same name.
    """

    def __init__(self, *folders: Path) -> None:
        templates = [folder / "templates" for folder in folders]
        self.templates = index_by_name(
            path for folder in templates for path in folder.iterdir()
        )
        scripts = index_by_name(
            path for folder in folders for path in folder.glob("scripts/*/*.js")
        )
        self.scripts = {path.stem: path for path in scripts.values()}
        self.environment = Environment(
            loader=FileSystemLoader(templates),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.environment.globals["browsers"] = BROWSERS

    def list_outputs(self, template: str) -> list[str]:
        """Return the ids of the cells whose outputs a template of a report shows."""
        return OUTPUT.findall(read_text(self.templates[template]))

    def read_style(self, name: str) -> str:
        """Return the text of a style sheet without its comments."""
        text = self.templates[f"{name}.css"].read_text("utf-8")
        return STYLE_COMMENT.sub("", text)

    def collect_scripts(self, *entries: str) -> list[str]:
        """Return the names of these scripts and of all scripts that they import.

        Each script comes after the scripts that it imports, so that a page can load
        them in this order.
        """
        names: list[str] = []
        for entry in entries:
            text = read_text(self.scripts[entry])
            imports = [name for _, name in IMPORT.findall(text)]
            names += [*self.collect_scripts(*imports), entry]
        return [*dict.fromkeys(names)]  # each once

    def read_script(self, name: str) -> str:
        """Return a JavaScript module as a script, because a page cannot import modules.

        The script has a scope of its own, and defines one object, such as network_js,
        with the exports of the module. Instead of importing, the script reads from the
        objects that earlier scripts have defined. Comment lines are removed.

        Raises ValueError if the module imports or exports in another way.
        """
        text = COMMENT.sub("", read_text(self.scripts[name]))
        exports = ", ".join(EXPORT.findall(text))
        body = EXPORT.sub(drop_export, IMPORT.sub(r"const \1 = \2_js;", text))
        left_over = LEFT_OVER.search(body)
        if left_over:
            line = left_over[0].strip()
            raise ValueError(f"{self.scripts[name]} cannot be bundled: {line}")
        return f"const {name}_js = (() => {{\n{body}return {{ {exports} }};\n}})();\n"

    def read_widget(self, name: str) -> str:
        """Return a JavaScript module and all that it imports as one for a widget."""
        scripts = map(self.read_script, self.collect_scripts(name))
        return "".join(scripts) + f"export default {name}_js;\n"

    def render(
        self,
        template: str,
        scripts: Sequence[str],
        styles: Sequence[str] = ("live", "page"),
        **values: object,
    ) -> str:
        """Fill a template that extends base.html.j2, and return the page.

        scripts: the names of the page's scripts. The method adds the scripts that these
            scripts import.
        styles: the names of the page's style sheets.
        values: the values that the template shows. The template escapes them.

        The Content-Security-Policy of the page lists the digests of its scripts, so
        that a browser runs no other script. It also forbids the page to fetch anything.
        """
        names = self.collect_scripts(*scripts)
        texts = {name: self.read_script(name) for name in names}
        digests = [hashlib.sha256(text.encode()).digest() for text in texts.values()]
        sources = [f"'sha256-{base64.b64encode(each).decode()}'" for each in digests]
        policy = (
            f"default-src 'none'; script-src {' '.join(sources)}; worker-src blob:; "
            "img-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
            "form-action 'none'"
        )
        return self.environment.get_template(template).render(
            policy=policy,
            generator=GENERATOR.decode(),
            css="".join(map(self.read_style, styles)),
            scripts=texts,
            **values,
        )


def index_by_name(paths: Iterable[Path]) -> dict[str, Path]:
    """Return the paths by the names of their files. Each name may occur only once."""
    index: dict[str, Path] = {}
    for path in paths:
        if path.name in index:
            raise ValueError(f"{path} has the name of {index[path.name]}")
        index[path.name] = path
    return index


@cache
def read_text(path: Path) -> str:
    return path.read_text("utf-8")


def drop_export(match: re.Match[str]) -> str:
    return match[0].removeprefix("export ")


HOUSE = Path(__file__).parent
REPORTS = Assets(HOUSE)
