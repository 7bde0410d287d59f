"""Write results.csv, a row for each point of a sweep, and describe what has failed."""

import csv
from collections.abc import Sequence
from io import StringIO

from pipeline import parameters
from pipeline.records import TEST_METRICS, Status, TrainingMetrics
from pipeline.results.files import write_whole
from pipeline.sweeps.points import Point, SweepFolder


def write_results(points: Sequence[Point], folder: SweepFolder) -> None:
    """Write results.csv: a row for each point that is not outdated, with all digits."""
    text = StringIO()
    writer = csv.DictWriter(text, list(make_row(points[0])), lineterminator="\n")
    writer.writeheader()
    current = (point for point in points if point.status != Status.OUTDATED)
    writer.writerows(map(make_row, current))
    write_whole(folder.results_path, text.getvalue().encode())


def make_row(point: Point) -> dict[str, object]:
    """Return a point's row of results.csv: its parameters, status and metrics.

    Points that differ in their seed alone have the same `configuration`. A value that
    is not known is None.
    """
    is_counted = point.status not in (Status.ELIMINATED, Status.OUTDATED)
    record = point.record if is_counted else None
    metrics = record and record.metrics
    tested = point.find_metrics()
    configuration = parameters.make_id(point.parameters.model_dump(exclude={"seed"}))
    row: dict[str, object] = {"id": point.id, "configuration": configuration}
    row |= {"status": point.status or "not run"} | dict(point.parameters)
    row |= {name: getattr(metrics, name, None) for name in TrainingMetrics.model_fields}
    row |= {name: getattr(tested, name, None) for name in TEST_METRICS}
    fields = ("started", "duration_s", "error")
    return row | {name: getattr(record, name, None) for name in fields}


def describe_failures(points: Sequence[Point]) -> str:
    """Describe the points that have failed or diverged, and what to do about them.

    At most 20 are listed, in a line each.
    """
    failed = [point for point in points if point.has_failed] or [
        point for point in points if point.status == Status.DIVERGED
    ]
    count = "1 point" if len(points) == 1 else f"{len(points)} points"
    lines = [f"{len(failed)} of {count} did not finish:"]
    for point in failed[:20]:
        error = str(point.record and point.record.error).split("\n")[0]
        lines.append(f"{point.id} {point.status}: {error}")
    statuses = {point.status for point in failed}
    if statuses - {Status.DIVERGED, Status.DIED}:
        lines.append("The option --retry-failed gives them another try.")
    elif Status.DIED in statuses:
        lines.append("Give the same command again: what died is trained again.")
    else:
        lines.append("The same training diverges again: change what it is given.")
    return "\n".join(lines)
