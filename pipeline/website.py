"""Make a website of the notebooks, the lesson, the guides and two reports."""

import base64
import re
from pathlib import Path
from typing import Any

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
}
# A notebook in the table of notebooks/README.md.
LISTED = re.compile(r"^\| \[(\w+)\]\(\1\.ipynb\) \|", re.M)
LINK = re.compile(r"\[(.*?)\]\(.*?\)")  # in Markdown
# How long a notebook takes, in the table below its title.
TAKES = re.compile(r"^\| takes \| (.*?) \|", re.M)


def write_site(folder: Path) -> Path:
    """Write a website, and return the path of its first page, which lists the others.

    The runs are made first, in runs/of-the-site, unless they are finished there.
    """
    stems = LISTED.findall((NOTEBOOKS / "README.md").read_text("utf-8"))
    for stem in ("index", "lesson", *SITE_RUNS, *GUIDES, *stems):
        check_page(folder / f"{stem}.html")
    notebooks = {stem: read_notebook(NOTEBOOKS / f"{stem}.ipynb") for stem in stems}
    pages, reports, lessons = {}, [], []
    for stem, notebook in notebooks.items():
        # The first cell holds the title, then a paragraph that says the purpose.
        paragraphs = LINK.sub(r"\1", notebook.cells[0].source).split("\n\n")
        title, purpose = paragraphs[0].removeprefix("# "), paragraphs[1]
        takes = TAKES.search("\n".join(cell.source for cell in notebook.cells[:2]))
        lessons.append((stem, title, purpose, takes[1] if takes else ""))
    site = {stem: title for stem, title, *_ in lessons}
    for name, (label, values) in SITE_RUNS.items():
        source = RunFolder(RUNS / "of-the-site" / name)
        run(from_values(values), str(source.path))
        pages[name] = page.render_run(source, source.read_record(), site=site)
        reports.append((f"{name}.html", label, source.read_metrics().test_accuracy))
    original = RunFolder(RUNS / "of-the-site" / "default")  # the lesson is about it
    text = (NOTEBOOKS / "lesson.md").read_text("utf-8")
    pages["lesson"] = lesson.render(text, original, site)
    for stem, notebook in notebooks.items():
        digests = exercises.DIGESTS
        html = page.render({stem: notebook}, site[stem], site, exercises=digests)
        pages[stem] = page.remove_dead_links(html)
    for stem, (title, guide) in GUIDES.items():
        text = render_guide(title, guide, site)
        pages[stem] = page.fill("guide.html.j2", (), title=title, stem=stem, text=text)
    picture = (NOTEBOOKS / "pictures" / "drawing.gif").read_bytes()
    lists: dict[str, Any] = {"reports": reports, "lessons": lessons}
    lists["gif"] = base64.b64encode(picture).decode()
    pages["index"] = page.fill("site.html.j2", (), title="Digits by hand", **lists)
    for stem, html in pages.items():
        write_whole(folder / f"{stem}.html", html.encode())
    return folder / "index.html"
