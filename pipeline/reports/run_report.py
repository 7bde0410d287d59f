"""Write the report of a finished run: its result first, its notebooks folded."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.errors import InvalidFile
from pipeline.images.data import Data
from pipeline.network import published
from pipeline.parameters import (
    Parameters,
    find_changed_from_original,
    make_command,
)
from pipeline.paths import to_display_path
from pipeline.records import RunRecord
from pipeline.reports import cells, live, origins, page, plots
from pipeline.results.files import atomic_write
from pipeline.results.provenance import has_mnist, has_published_helpers
from pipeline.results.run_folder import PointFolder, RunFolder, open_run
from pipeline.results.stages import HELPERS, STAGES

MNIST_TAG = "mnist"  # the tag of cells that are true only of MNIST
MAX_EXAMPLES = 6  # images of each kind of mistake


def write_run_report(folder: RunFolder, record: RunRecord) -> None:
    """Write the report of a finished run.

    record: the content of run.json. The file itself need not be written yet.
    """
    atomic_write(folder.report_path, render_run(folder, record).encode())


def open_finished(run_dir: str) -> tuple[RunFolder, RunRecord]:
    """Return the folder of a finished run, and its record.

    Raises InvalidFile if the folder has no finished run, if a result was altered, or if
    the folder belongs to a point of a sweep, because a point has no page.
    """
    folder = open_run(run_dir)
    record = folder.read_record()
    if isinstance(folder, PointFolder):
        command = make_command(record.parameters, "runs/NAME")
        advice = f"To make a run of its parameters: {command}"
        raise InvalidFile(folder.path, "is a point, which has no page", advice)
    return folder, folder.read_evaluated()


def render_run(folder: RunFolder, record: RunRecord) -> str:
    """Return the HTML of the report of a finished run.

    record: the content of run.json. The file itself need not be written yet.
    """
    notebooks = {}
    for stage in STAGES:
        notebook = cells.read_notebook(folder.executed_path(stage))
        if not has_mnist(record.inputs):
            notebook = cells.drop_tagged_cells(notebook, MNIST_TAG)
        notebooks[stage.name] = notebook
    history = folder.read_history()
    data = live.collect_run_data(folder, record)
    return page.render_report(
        "run.html.j2",
        notebooks,
        ("report",),
        title=f"Run {folder.path.name}",
        run=data,
        curves=live.collect_curves(history),
        last=history[-1],
        epochs=len(history),
        mistakes=collect_mistakes(folder),
        max_images=live.MAX_IMAGES,
        **summarise_run(folder, record),
    )


def summarise_run(folder: RunFolder, record: RunRecord) -> dict[str, Any]:
    """Return what a report says of a finished run: its result, and how it was made.

    The keys are the names that run.html.j2 uses.
    """
    parameters = record.parameters
    metrics = folder.read_metrics()
    count = metrics.test_images
    return {
        "digits": has_mnist(record.inputs),
        "record": record,
        "metrics": metrics,
        "accuracy": published.format_percent(metrics.test_accuracy, count),
        "interval": published.format_percent_interval(metrics.test_accuracy, count),
        "comparisons": published.compare_with_published(metrics.model_dump()),
        "changed": find_changed_from_original(parameters),
        "parameters": parameters.model_dump(),
        "fields": Parameters.model_fields,
        "command": make_command(parameters, folder.display_path),
        "has_published_helpers": has_published_helpers(record.inputs),
        "note": published.NOTE,
        "helpers_path": to_display_path(folder.helpers_path),
        "place": origins.describe_place(record),
        "credits": origins.collect_credits(parameters.source, record.inputs),
        "digests": {
            **record.inputs,
            "the trained weights": metrics.weights_sha256,
            **folder.digest([HELPERS]),
        },
    }


def collect_mistakes(folder: RunFolder) -> list[dict[str, Any]]:
    """Return each kind of mistake: the class, the answer, and the first such images.

    The images are in the order of the test set. Without data.npz, the list is empty.
    """
    if not folder.data_path.exists():
        return []
    data, answers = folder.read_data(), folder.read_answers()
    kinds: dict[tuple[int, int], list[int]] = {}
    for place in np.flatnonzero(answers != data.y_test).tolist():
        kind = int(data.y_test[place]), int(answers[place])
        kinds.setdefault(kind, []).append(place)
    return [describe_mistake(data, *kind, kinds[kind]) for kind in sorted(kinds)]


def describe_mistake(
    data: Data, true: int, answer: int, places: Sequence[int]
) -> dict[str, Any]:
    """Return one kind of mistake as run.html.j2 shows it.

    places: the places in the test set of the images with this class and this answer.
    """
    names = data.classes.outputs
    first = places[:MAX_EXAMPLES]
    return {
        "kind": f"{true}-{answer}",
        "true": names[true],
        "answer": names[answer],
        "count": len(places),
        "shown": len(first),
        "picture": plots.to_data_address(data.x_test[first]),
    }
