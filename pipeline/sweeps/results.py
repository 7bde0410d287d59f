"""Write results.csv of a sweep. No row has a test metric, by which nothing may be chosen."""

import csv
import io
from collections.abc import Iterable

from pipeline import console, storage
from pipeline.records import METRICS
from pipeline.run_folder import SweepFolder
from pipeline.sweeps.definition import Point

MEASURED = METRICS[:4]  # without the test's


def write(points: Iterable[Point], folder: SweepFolder) -> None:
    """Write results.csv, which has a column wherever a row has one."""
    found, text = [row(point) for point in points], io.StringIO()
    columns = dict.fromkeys(name for each in found for name in each)
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: guarded(value) for name, value in each.items()} for each in found)
    storage.write_whole(folder.results, text.getvalue().encode(), durable=False)  # the points have it all


def guarded(value: object) -> object:
    """Return what a cell of a CSV file holds: a spreadsheet would compute text that looks like a formula."""
    text = console.plain(value) if isinstance(value, str) else ""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t")) else text or value


def row(point: Point) -> dict[str, object]:
    """Return a point's id, status, parameters and metrics."""
    result, measured = point.result, MEASURED if point.parameters.num_validation else MEASURED[:2]
    found: dict[str, object] = {"id": point.id, "status": str(result.status)} | point.parameters.model_dump()
    found |= {name: getattr(result.metrics, name, None) for name in (*measured, "weights_sha256")}
    return found | {name: getattr(result.record, name, None) for name in ("duration_s", "error")}
