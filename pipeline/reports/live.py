"""Gather what draws and trains in a page, a report's or explore.ipynb's."""

from typing import Any

from pipeline import published
from pipeline.parameters import Parameters
from pipeline.records import Metrics
from pipeline.reports import drawing, training
from pipeline.run_folder import RunFolder

UNKNOWN = (
    "These files were written by notebooks that were run alone, in a folder without a run, so their parameters are not "
    "recorded. To train again here, make a run, and run this cell again: python -m pipeline run, with --run-dir, and "
    "with -p NAME VALUE for each parameter that is not at its default"
)


def parts(folder: RunFolder, chosen: Parameters | None, metrics: Metrics | None) -> dict[str, Any]:
    """Return what the templates training.html.j2 and drawing.html.j2 show, and what the scripts read, as `page`.

    chosen, metrics: the run's, None where they are not known.
    """
    history, model = folder.read_history(), folder.read_model()
    known = training.training_of(folder, chosen, model.sha256) if chosen else UNKNOWN
    accuracy = metrics.test_accuracy if metrics else None
    networks = drawing.networks(model, accuracy, model.sha256 == published.WEIGHTS_SHA256)
    return {
        "epochs": len(history),
        "curves": training.curves(history),
        "caption": training.caption(history),
        "training": known,
        "networks": networks,
        "page": {
            "networks": [network._asdict() for network in networks],
            "training": known["page"] if isinstance(known, dict) else None,
        },
    }
