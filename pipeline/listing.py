"""List runs and sweeps on one page, as their records describe them."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipeline.errors import InvalidInput
from pipeline.parameters import describe, find_changed
from pipeline.paths import ROOT
from pipeline.records import Status, SweepRecord, read_record
from pipeline.reports import page
from pipeline.results.files import check_page, is_locked, write_whole
from pipeline.results.provenance import describe_network
from pipeline.results.run_folder import RunFolder

LINKED = ("README.md", "notebooks/README.md", "notebooks/sweeps/README.md")
Row = dict[str, Any]  # as index.html.j2 shows it


def write_index(runs: Path) -> Path:
    """Write index.html, a list of all runs and sweeps in a folder; return its path."""
    runs = runs.absolute()
    path = runs / "index.html"
    check_page(path)
    rows = sorted(find_rows(runs), key=lambda row: row["started"], reverse=True)
    guides = {name: quote(os.path.relpath(ROOT / name, runs)) for name in LINKED}
    html = page.fill("index.html.j2", (), title="Runs", rows=rows, guides=guides)
    write_whole(path, html.encode())
    return path


def find_rows(runs: Path) -> Iterator[Row]:
    """Yield a row for each run, and one for each sweep together with its points."""
    for place, folders, files in os.walk(runs):
        path = Path(place)
        folders[:] = [name for name in folders if not name.startswith(".")]
        if "sweep.json" in files:
            folders.clear()
            yield make_row(path, runs, path / "sweep.json")
        elif "run.json" in files:
            yield make_row(path, runs, path / "run.json")


def make_row(path: Path, runs: Path, record_path: Path) -> Row:
    report = path / "report.html"
    address = quote(report.relative_to(runs).as_posix()) if report.exists() else ""
    started = datetime.fromtimestamp(record_path.stat().st_mtime, UTC)
    row: Row = {"name": path.relative_to(runs).as_posix(), "report": address}
    row |= {"started": started, "metrics": {}}
    try:
        is_run = record_path.name == "run.json"
        row |= describe_run(path) if is_run else describe_sweep(path)
    except (InvalidInput, OSError) as error:
        row |= {"status": "damaged", "detail": str(error).removeprefix(f"{path}/")}
    if row["status"] == Status.RUNNING and not is_locked(path):
        row |= {"status": Status.INTERRUPTED, "detail": "the same command resumes it"}
    return row


def describe_run(path: Path) -> Row:
    folder = RunFolder(path)
    record = folder.read_record()
    parameters = describe(find_changed(record.parameters)) or "all defaults"
    row: Row = {
        "started": record.started.astimezone(UTC),
        "sentence": " ".join([parameters, describe_network(record.inputs)]),
        "status": record.status,
        "detail": (record.error or "").split("\n")[0],
    }
    if record.status == Status.DONE:
        row["metrics"] = folder.read_metrics().model_dump(exclude_none=True)
    return row


def describe_sweep(path: Path) -> Row:
    """Describe a sweep by the state in its sweep.json."""
    record = read_record(path / "sweep.json", SweepRecord, "Run the sweep again.")
    row: Row = record.state.model_dump(exclude_none=True)
    if is_locked(path):
        row["status"] = Status.RUNNING
    return row
