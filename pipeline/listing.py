"""List runs and sweeps on one page."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipeline.errors import InvalidInput
from pipeline.network.published import format_duration
from pipeline.parameters import describe, find_changed
from pipeline.paths import ROOT
from pipeline.records import Status, SweepSummary, read_record
from pipeline.reports import page
from pipeline.results.files import check_page, is_locked, write_whole
from pipeline.results.provenance import describe_network
from pipeline.results.run_folder import RunFolder

SPLIT_LABELS = {
    "train": "training (dropout)",
    "validation": "validation",
    "test": "test",
}
LINKED = ("README.md", "notebooks/README.md", "notebooks/sweeps/README.md")
Row = dict[str, Any]  # as index.html.j2 shows it


def write_index(runs: Path) -> Path:
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
            describe(find_changed(record.parameters)) or "all defaults",
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
