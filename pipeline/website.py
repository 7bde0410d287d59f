"""Make a website of the notebooks, the lesson and three reports."""

import base64
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.preprocessors import ClearOutputPreprocessor
from nbformat import NotebookNode

from pipeline.execution.runs import run
from pipeline.lessons import exercises, lesson
from pipeline.parameters import from_values
from pipeline.paths import NOTEBOOKS, RUNS
from pipeline.reports import page
from pipeline.reports.cells import read_notebook
from pipeline.reports.markdown import GUIDES, render_guide
from pipeline.results.files import check_page, write_whole
from pipeline.results.run_folder import RunFolder

# The runs of the website: a title, and the parameters that differ from the original.
SITE_RUNS: dict[str, tuple[str, dict[str, float]]] = {
    "default": ("The network as it was published", {}),
    "true-derivative": (
        "The same network, trained with the correct derivative",
        {"relu_grad_inactive": 0},
    ),
    "pixels-dropped": (
        "The correct derivative, and a random fifth of the pixels left out in training",
        {"relu_grad_inactive": 0, "input_dropout_rate": 0.2},
    ),
}
# A notebook in the table of notebooks/README.md.
LISTED = re.compile(r"^\| \[(\w+)\]\(\1\.ipynb\) \|", re.M)
LINK = re.compile(r"\[(.*?)\]\(.*?\)")  # in Markdown
# How long a notebook takes, in the table below its title.
TAKES = re.compile(r"^\| takes \| (.*?) \|", re.M)
remove_outputs = ClearOutputPreprocessor().preprocess
log = logging.getLogger(__name__)


def write_site(folder: Path) -> Path:
    """Write a website of the notebooks and three reports, and return its first page.

    The three runs are made first, in runs/of-the-site, unless they are finished there.
    The folder students gets the notebooks without their outputs.
    """
    guide = (NOTEBOOKS / "README.md").read_text("utf-8")
    notebooks = {
        stem: read_notebook(NOTEBOOKS / f"{stem}.ipynb")
        for stem in LISTED.findall(guide)
    }
    for stem in ("index", "lesson", *SITE_RUNS, *GUIDES, *notebooks):
        check_page(folder / f"{stem}.html")
    pages, reports, lessons = {}, [], []
    for stem, notebook in notebooks.items():
        title, purpose = LINK.sub(r"\1", notebook.cells[0].source).split("\n\n")[:2]
        takes = TAKES.search("\n".join(cell.source for cell in notebook.cells[:2]))
        title = title.removeprefix("# ")
        lessons.append((stem, title, purpose, takes[1] if takes else ""))
    site = {stem: title for stem, title, *_ in lessons}
    for name, (label, values) in SITE_RUNS.items():
        source = RunFolder(RUNS / "of-the-site" / name)
        run(from_values(values), str(source.path))
        pages[name] = page.render_run(source, source.read_record(), site=site)
        reports.append((f"{name}.html", label, source.read_metrics().test_accuracy))
    original = RunFolder(RUNS / "of-the-site" / "default")  # of which the lesson tells
    text = (NOTEBOOKS / "lesson.md").read_text("utf-8")
    pages["lesson"] = lesson.render(text, original, site)
    for stem, notebook in notebooks.items():
        parts: dict[str, Any] = {"exercises": exercises.DIGESTS}
        html = page.render({stem: notebook}, site[stem], site, **parts)
        pages[stem] = page.remove_dead_links(html)
    for stem, (title, guide_name) in GUIDES.items():
        text = render_guide(title, guide_name, site)
        texts: dict[str, Any] = {"title": title, "stem": stem, "text": text}
        pages[stem] = page.fill("guide.html.j2", (), **texts)
    gif = base64.b64encode(
        (NOTEBOOKS / "pictures" / "drawing.gif").read_bytes()
    ).decode()
    lists: dict[str, Any] = {"reports": reports, "lessons": lessons, "gif": gif}
    pages["index"] = page.fill("site.html.j2", (), title="Digits by hand", **lists)
    write_students(folder / "students", notebooks)
    for stem, html in pages.items():
        write_whole(folder / f"{stem}.html", html.encode())
    return folder / "index.html"


def write_students(folder: Path, notebooks: Mapping[str, NotebookNode]) -> None:
    """Write notebooks without their outputs, but replace none that is there.

    Somebody may have worked in it, so one that differs is named in the log.
    """
    for stem, notebook in notebooks.items():
        remove_outputs(notebook, {})  # type: ignore[no-untyped-call]
        path, content = folder / f"{stem}.ipynb", nbformat.writes(notebook).encode()
        if not path.exists():
            write_whole(path, content)
        elif path.read_bytes() != content:
            log.warning(f"{path} differs, and is kept. Delete it to get the new one.")
