"""List runs and sweeps on one page, and make a website of notebooks and reports."""

import base64
import logging
import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nbformat
from nbconvert.preprocessors import ClearOutputPreprocessor
from nbformat import NotebookNode

from pipeline.errors import InvalidInput
from pipeline.execution.runs import run
from pipeline.lessons import exercises, lesson
from pipeline.network.published import format_duration
from pipeline.parameters import describe, find_changed, from_values, name_sources
from pipeline.paths import NOTEBOOKS, ROOT, RUNS
from pipeline.records import Status, SweepSummary, read_record
from pipeline.reports import page
from pipeline.reports.cells import read_notebook
from pipeline.reports.markdown import GUIDES, render_guide
from pipeline.results.files import check_page, is_locked, write_whole
from pipeline.results.provenance import describe_network
from pipeline.results.run_folder import RunFolder

SPLIT_LABELS = {
    "train": "training (dropout)",
    "validation": "validation",
    "test": "test",
}
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
LINKED = ("README.md", "notebooks/README.md", "notebooks/sweeps/README.md")
# A notebook in the table of notebooks/README.md.
LISTED = re.compile(r"^\| \[(\w+)\]\(\1\.ipynb\) \|", re.M)
LINK = re.compile(r"\[(.*?)\]\(.*?\)")  # in Markdown
# How long a notebook takes, in the table below its title.
TAKES = re.compile(r"^\| takes \| (.*?) \|", re.M)
Row = dict[str, Any]  # as index.html.j2 shows it
remove_outputs = ClearOutputPreprocessor().preprocess
log = logging.getLogger(__name__)


def write_index(runs: Path = RUNS) -> Path:
    """Write index.html, a list of all runs and sweeps in a folder; return its path."""
    runs = runs.absolute()
    path = runs / "index.html"
    check_page(path)
    rows = sorted(find_rows(runs), key=lambda row: row["started"], reverse=True)
    guides = {name: quote(os.path.relpath(ROOT / name, runs)) for name in LINKED}
    lists: dict[str, Any] = {"rows": rows, "splits": SPLIT_LABELS, "guides": guides}
    html = page.fill("index.html.j2", (), title="Runs", **lists)
    write_whole(path, html.encode())
    return path


def find_rows(runs: Path) -> Iterator[Row]:
    """Yield a row for each run, and one for each sweep together with its points."""
    for path, folders, files in os.walk(runs):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if "sweep.json" in files:
            folders.clear()
            yield make_row(Path(path), runs, "sweep")
        elif "run.json" in files:
            yield make_row(Path(path), runs, "run")


def make_row(path: Path, runs: Path, kind: str) -> Row:
    try:
        row = describe_sweep(path) if kind == "sweep" else describe_run(path)
    except (InvalidInput, OSError) as error:
        row = {"status": "damaged", "detail": str(error).removeprefix(f"{path}/")}
    report = path / "report.html"
    timestamp = (path / f"{kind}.json").stat().st_mtime
    return {
        "name": path.relative_to(runs).as_posix(),
        "kind": kind,
        "report": quote(report.relative_to(runs).as_posix())
        if report.exists()
        else None,
        "started": datetime.fromtimestamp(timestamp, UTC),
    } | row


def describe_run(path: Path) -> Row:
    folder = RunFolder(path)
    record = folder.read_record()
    row: Row = {
        "started": record.started.astimezone(UTC),
        "parameters": [
            describe(name_sources(find_changed(record.parameters))) or "all defaults",
            *filter(None, [describe_network(record.inputs)]),
        ],
        "duration": format_duration(record.duration_s or 0),
        "status": record.status,
        "detail": (record.error or "").split("\n")[0],
    }
    if record.status == Status.DONE:
        row["metrics"] = folder.read_metrics().model_dump(exclude_none=True)
    if record.status == Status.RUNNING and not is_locked(path):
        row["status"] = Status.INTERRUPTED
        row["detail"] = "It was killed; the same command runs it again."
    return row


def describe_sweep(path: Path) -> Row:
    """Describe a sweep by the summary that it has written of itself.

    A sweep of version 3 has none.
    """
    place = path / "summary.json"
    if not place.exists():
        detail = "It has no summary.json. Run the sweep again."
        return {"status": "unknown", "detail": detail}
    summary = read_record(place, SweepSummary, "Run the sweep again.")
    row: Row = {
        "parameters": summary.lines,
        "duration": format_duration(summary.duration_s),
        "select": summary.select,
        "metrics": summary.metrics,
        "status": summary.status,
        "detail": summary.detail,
    }
    if summary.started:
        row["started"] = summary.started.astimezone(UTC)
    if is_locked(path):
        row["status"] = "running"
    elif summary.status == "running":  # it was killed
        row["status"] = "interrupted"
    return row


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
