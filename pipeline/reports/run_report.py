"""Write the report of a finished run: its result first, its notebooks folded."""

from typing import Any

import numpy as np

from pipeline.network import formats, published
from pipeline.parameters import (
    Parameters,
    find_changed_from_original,
    make_command,
)
from pipeline.paths import to_display_path
from pipeline.records import RunRecord
from pipeline.reports import cells, live, origins, page, tiles
from pipeline.results.files import atomic_write
from pipeline.results.provenance import has_mnist, has_published_helpers
from pipeline.results.run_folder import RunFolder
from pipeline.results.stages import HELPERS, STAGES

MNIST_TAG = "mnist"  # the tag of cells that are true only of MNIST
MAX_EXAMPLES = 6  # images of each kind of mistake


def write_run_report(folder: RunFolder, record: RunRecord) -> None:
    """Write the report of a finished run.

    record: the content of run.json. The file itself need not be written yet.
    """
    atomic_write(folder.report_path, render_run(folder, record).encode())


def render_run(folder: RunFolder, record: RunRecord) -> str:
    """Return the HTML of the report of a finished run.

    record: the content of run.json. The file itself need not be written yet.
    """
    parameters, inputs = record.parameters, record.inputs
    notebooks = {}
    for stage in STAGES:
        notebook = cells.read_notebook(folder.executed_path(stage))
        if not has_mnist(inputs):
            notebook = cells.drop_tagged_cells(notebook, MNIST_TAG)
        notebooks[stage.name] = notebook
    metrics = folder.read_metrics()
    history = folder.read_history()
    curves = live.collect_curves(history)
    return page.render_report(
        "run.html.j2",
        notebooks,
        ("report",),
        title=f"Run {folder.path.name}",
        digits=has_mnist(inputs),
        metrics=metrics,
        formats=formats,
        note=published.NOTE,
        comparisons=formats.compare_with_published(metrics.model_dump()),
        changed=find_changed_from_original(parameters),
        parameters=parameters.model_dump(),
        fields=Parameters.model_fields,
        mistakes=collect_mistakes(folder),
        run=live.collect_run_data(folder, record),
        curves=curves,
        floor=live.find_floor(curves),
        history=history,
        max_images=live.MAX_IMAGES,
        has_published_helpers=has_published_helpers(inputs),
        command=make_command(parameters, folder.display_path),
        helpers_path=to_display_path(folder.helpers_path),
        place=origins.describe_place(record),
        credits=origins.collect_credits(parameters.source, inputs),
        digests=inputs
        | {"the trained weights": metrics.weights_sha256}
        | folder.digest([HELPERS]),
    )


def collect_mistakes(folder: RunFolder) -> list[dict[str, Any]]:
    """Return each kind of mistake: the class, the answer, and the first such images.

    The images are in the order of the test set. Without data.npz, the list is empty.
    """
    if not folder.data_path.exists():
        return []
    data, answers = folder.read_data(), folder.read_answers()
    names = data.classes.outputs
    kinds: dict[tuple[int, int], list[int]] = {}
    for place in np.flatnonzero(answers != data.y_test).tolist():
        kind = int(data.y_test[place]), int(answers[place])
        kinds.setdefault(kind, []).append(place)
    mistakes = []
    for (true, answer), places in sorted(kinds.items()):
        first = places[:MAX_EXAMPLES]
        mistake = {
            "kind": f"{true}-{answer}",
            "true": names[true],
            "answer": names[answer],
            "count": len(places),
            "shown": len(first),
            "picture": tiles.to_data_address(data.x_test[first]),
        }
        mistakes.append(mistake)
    return mistakes
