"""Gather what draws and trains in a page, a report's or explore.ipynb's: networks, parameters, images and results."""

import os
from typing import Any

from pipeline import parameters, published
from pipeline.parameters import Parameters
from pipeline.records import History, Metrics
from pipeline.reports import drawing, pages
from pipeline.run_folder import RunFolder

MAX_IMAGES = 5000  # at most, which are some 700 kB in the page
UNKNOWN = (
    "These files were written by notebooks that were run alone, in a folder without a run, so their parameters are not "
    "recorded. To train again here, make a run, and run this cell again: python -m pipeline run, with --run-dir, and "
    "with -p NAME VALUE for each parameter that is not at its default"
)
# What a reader may change: the least and the most, which a run's own value may be beyond, and the step of its field.
CONTROLS: dict[str, tuple[float, float, str]] = {
    "learning_rate": (1e-6, 1e6, "any"),
    "hidden_size": (1, 400, "1"),
    "dropout_rate": (0, 0.99, "any"),
    "input_dropout_rate": (0, 0.99, "any"),
    "relu_grad_inactive": (0, 1, "1"),
    "seed": (0, 2**32 - 1, "1"),
    "epochs": (1, 1000, "1"),
}
TRAINED_WITH = (*CONTROLS, "learning_rate_decay", "normalisation")  # what network.js knows of a run's parameters
CHECKED = ("batch_size", "source", "num_samples", "num_validation")  # the first must be 1, the others give images


def parts(folder: RunFolder, chosen: Parameters | None, metrics: Metrics | None) -> dict[str, Any]:
    """Return what the templates training.html.j2 and drawing.html.j2 show, and what the scripts read, as `page`.

    chosen, metrics: the run's, None where they are not known.
    """
    history, model = folder.read_history(), folder.read_model()
    known = training_of(folder, chosen, model.sha256) if chosen else UNKNOWN
    accuracy = metrics.test_accuracy if metrics else None
    networks = drawing.networks(model, accuracy, model.sha256 == published.WEIGHTS_SHA256)
    return {
        "epochs": len(history),
        "curves": curves(history),
        "caption": caption(history),
        "training": known,
        "networks": networks,
        "page": {
            "networks": [network._asdict() for network in networks],
            "training": known["page"] if isinstance(known, dict) else None,
        },
    }


def accuracies(history: History) -> dict[str, list[float]]:
    """Return the accuracies by epoch that a page draws; of validation only where there are such images."""
    names = {"masked": "train_accuracy", "fitted": "train_accuracy_no_dropout", "validation": "validation_accuracy"}
    found = {name: [getattr(epoch, metric) for epoch in history] for name, metric in names.items()}
    return {name: values for name, values in found.items() if None not in values}


def curves(history: History) -> dict[str, str]:
    """Return the points of each accuracy's line in the picture, which is 600 wide and 200 high."""
    step, lines = 600 / len(history), {}
    for name, values in accuracies(history).items():
        points = [f"{step * (i + 1):.4g},{200 * (1 - value):.1f}" for i, value in enumerate(values)]
        lines[name] = " ".join(points if len(points) > 1 else ["0," + points[0].split(",")[1], *points])  # to be seen
    return lines


def caption(history: History) -> str:
    """Describe the picture by what it shows at its end."""
    last = history[-1]
    parts = [
        f"{last.train_accuracy_no_dropout:.3f} on the training images (solid)",
        f"{last.train_accuracy:.3f} on them under dropout, as the original prints it (dotted)",
    ]
    if last.validation_accuracy is not None:
        parts.append(f"{last.validation_accuracy:.3f} on validation images (dashed)")
    return f"Accuracy by epoch, {len(history)} in all; at the end {', '.join(parts)}."


def training_of(folder: RunFolder, chosen: Parameters, sha256: str) -> dict[str, Any] | str:
    """Return the controls that a reader may use and what train.js reads, or why the page cannot train this network.

    sha256: of the weights that were trained.
    """
    if chosen.batch_size != 1:
        return f"This run has batch_size {chosen.batch_size}; a page trains with one image at a time only."
    if unknown := parameters.differing(dict(chosen)).keys() - {*TRAINED_WITH, *CHECKED}:
        return f"This run has another {', '.join(sorted(unknown))}, with which a page cannot train yet."
    if not os.path.lexists(folder.data):
        return "The training images of a point of a sweep are not kept with it, so this page cannot train it again."
    if chosen.num_samples > MAX_IMAGES:
        return f"This run has {chosen.num_samples} training images; a page holds {MAX_IMAGES} at most."
    data, history = folder.read_data(), folder.read_history()
    judging = chosen.num_validation if chosen.num_validation <= MAX_IMAGES else 0  # all validation images, or none
    own = {name: getattr(chosen, name) for name in TRAINED_WITH}
    controls = {name: (min(low, own[name]), max(high, own[name]), step) for name, (low, high, step) in CONTROLS.items()}
    page = {
        "parameters": own | {"classes": data.classes},
        "errors": [epoch.train_error for epoch in history],
        "curves": accuracies(history),
        "digest": sha256,
        "images": pages.packed(data.x_train.tobytes()),
        "labels": pages.packed(data.y_train.tobytes()),
        "validation_images": pages.packed(data.x_validation[:judging].tobytes()),
        "validation_labels": pages.packed(data.y_validation[:judging].tobytes()),
    }
    descriptions = {name: parameters.field_of(name).description for name in controls}
    return {"controls": controls, "descriptions": descriptions, "page": page}
