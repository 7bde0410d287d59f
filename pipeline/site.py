"""Make a static site of the committed notebooks and the reports of three runs, for any web server, or none."""

import logging
import re
from functools import partial
from pathlib import Path

from nbformat import NotebookNode

from pipeline import outputs, parameters, runs, storage
from pipeline.errors import InvalidRecord
from pipeline.readers import read_notebook
from pipeline.reports import pages, rendering
from pipeline.run_folder import STAGES, RunFolder

SHOWN: dict[str, dict[str, parameters.Value]] = {  # from a run's folder to how it differs from the original
    "default": {},
    "true-derivative": {"relu_grad_inactive": 0},
    "pixels-dropped": {"relu_grad_inactive": 0, "input_dropout_rate": 0.2},
}
log = logging.getLogger(__name__)
LISTED = re.compile(r"^\| \[(\w+)\]\(\1\.ipynb\) \|", re.M)  # in the guide's table
LINK = re.compile(r"\[(.*?)\]\(.*?\)")  # of Markdown


def listed() -> list[str]:
    """Return the stems of the committed notebooks, which the guide lists, and not of those that users add."""
    return sorted(LISTED.findall((storage.NOTEBOOKS / "README.md").read_text("utf-8")))


def write_site(folder: Path, runs_folder: Path = storage.RUNS / "of-the-site") -> Path:
    """Write the pages and their index.html into a folder, and return the path of the index. Links are relative.

    The three runs, in runs_folder, are run first, unless they are finished. Raises InvalidParameter if a page would be
    written over another's file, and InvalidRecord if a notebook has no title.
    """
    paths = {stem: storage.NOTEBOOKS / f"{stem}.ipynb" for stem in listed()}
    if others := sorted({path.stem for path in storage.NOTEBOOKS.glob("*.ipynb")} - paths.keys()):
        log.info(f"Left out, since notebooks/README.md does not list them: {', '.join(others)}")
    lessons = {stem: read_notebook(path, storage.restoring(path)) for stem, path in paths.items()}
    entries = {stem: (f"{stem}.html", *_title_and_purpose(path, lessons[stem])) for stem, path in paths.items()}
    written = [folder / f"{stem}.html" for stem in ("index", *SHOWN, *lessons)]
    outputs.check(f"The site's folder is {folder}", folder, {path: partial(outputs.is_page, path) for path in written})
    for name, changed in SHOWN.items():
        runs.run(parameters.from_values(changed), str(runs_folder / name))
    reports = []
    for name, changed in SHOWN.items():
        run = RunFolder(runs_folder / name)
        page = rendering.run_page(run, run.read_record(), site=lessons)
        storage.write_whole(folder / f"{name}.html", page.encode(errors="replace"))
        reports.append((f"{name}.html", parameters.described(changed), run.read_metrics()))
    for stem, (address, title, _) in entries.items():
        text = rendering.without_dead_links(rendering.render({stem: lessons[stem]}, title, site=lessons))
        storage.write_whole(folder / address, text.encode(errors="replace"))
    stages = [entries.pop(stem) for stem in STAGES]
    index, shown = written[0], {"reports": reports, "stages": stages, "lessons": entries.values()}
    first = pages.fill("site.html.j2", ("page",), title="Digits by hand", **shown)
    storage.write_whole(index, first.encode(errors="replace"))
    return index


def _title_and_purpose(path: Path, notebook: NotebookNode) -> list[str]:
    parts = "".join(cell.source for cell in notebook.cells[:1]).split("\n\n")
    if len(parts) < 2 or not parts[0].startswith("# "):
        problem = "does not begin with a cell that has a title, an empty line and what the notebook is for"
        raise InvalidRecord(path, problem, storage.restoring(path))
    return [LINK.sub(r"\1", part).removeprefix("# ") for part in parts[:2]]
