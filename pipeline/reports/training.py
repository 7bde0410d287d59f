"""Give a run's page what it needs to train the run's network again: parameters, images and what came of it."""

import os
from typing import Any

from pipeline import parameters
from pipeline.parameters import Parameters
from pipeline.records import History
from pipeline.reports import pages
from pipeline.run_folder import RunFolder

MAX_IMAGES = 5000  # at most, which are some 700 kB in the page
TRAINED_BY = (
    *("normalisation", "hidden_size", "learning_rate", "learning_rate_decay", "epochs"),
    *("dropout_rate", "input_dropout_rate", "relu_grad_inactive", "seed"),
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
    if not os.path.lexists(folder.data):
        return "The training images of a point of a sweep are not kept with it, so this page cannot train it again."
    if chosen.num_samples > MAX_IMAGES:
        return f"This run has {chosen.num_samples} training images; a page holds {MAX_IMAGES} at most."
    data, history = folder.read_data(), folder.read_history()
    judging = (
        chosen.num_validation if chosen.num_validation <= MAX_IMAGES else 0
    )  # all of the validation images, or none
    own = {name: getattr(chosen, name) for name in TRAINED_BY}
    controls = {
        name: (min(least, own[name]), max(most, own[name]), step) for name, (least, most, step) in CONTROLS.items()
    }
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
