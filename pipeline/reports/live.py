"""Collect the data of a page that classifies drawings and trains a network.

The report of a run is such a page.
"""

import base64
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.images.data import Data
from pipeline.parameters import Parameters, find_changed
from pipeline.records import History, RunRecord
from pipeline.reports.assets import REPORTS
from pipeline.results.model import Model
from pipeline.results.provenance import has_published_helpers
from pipeline.results.run_folder import RunFolder

MAX_IMAGES = 5000  # training images in a page; 5,000 digits add 1.1 MB
IMAGES = {"source", "num_samples", "num_validation"}
MAX_HIDDEN_SIZE = 400  # hidden units; a network of 400 adds about 1.6 MB


def collect_run_data(folder: RunFolder, record: RunRecord) -> dict[str, Any]:
    """Return the data of the scripts that classify drawings and train a network.

    `network` is None if a page cannot classify drawings with the run's network, and
    `training` is None if a page cannot train it.
    """
    model = folder.read_model()
    network = pack_network(model) if can_classify(record, model) else None
    training = None
    if can_train(folder, record):
        data = folder.read_data()
        training = collect_training_data(record.parameters, data, model.sha256)
    return {"network": network, "training": training}


def can_train(folder: RunFolder, record: RunRecord) -> bool:
    """Return whether a page can train a run's network again.

    The scripts of a page must know each parameter that differs from its default, except
    those of the images, because the images are in the page.
    """
    parameters = record.parameters
    script = REPORTS.read_script("network") + REPORTS.read_script("worker")
    needed = find_changed(dict(parameters)).keys() - IMAGES
    return (
        has_published_helpers(record.inputs)
        and needed.issubset(re.findall(r"\w+", script))
        and parameters.num_samples <= MAX_IMAGES
        and folder.data_path.exists()
    )


def can_classify(record: RunRecord, model: Model) -> bool:
    """Return whether a page can classify drawings with a run's network.

    The scripts of a page compute what the published helpers.py computes, so the run
    must have used that code. The network must also be small enough for a page.
    """
    size = model.weights[0].shape[1]
    return has_published_helpers(record.inputs) and size <= MAX_HIDDEN_SIZE


def collect_curves(history: History) -> dict[str, list[float]]:
    """Return the accuracies by epoch for each curve of the report's plot.

    The keys are the names of the curves. If an accuracy was not measured, its curve is
    left out.
    """
    metrics = {
        "masked": "train_accuracy",
        "fitted": "train_accuracy_no_dropout",
        "validation": "validation_accuracy",
    }
    return {
        name: [epoch[metric] for epoch in history]
        for name, metric in metrics.items()
        if metric in history[0]
    }


def find_floor(curves: Mapping[str, Sequence[float]]) -> int:
    """Return where the axis of the curves begins, in percent: at most at 90.

    It is the multiple of ten at or below the lowest accuracy after the first tenth of
    the epochs.
    """
    lowest = min(min(values[len(values) // 10 :]) for values in curves.values())
    return min(10 * int(10 * lowest), 90)


def collect_training_data(
    parameters: Parameters, data: Data, digest: str
) -> dict[str, Any]:
    """Return what a page trains with: parameters, images, and a digest.

    digest: the SHA-256 of the weights that the training leads to.
    """
    return {
        "parameters": parameters.model_dump() | {"classes": data.classes},
        "digest": digest,
        "images": pack_bytes(data.x_train.tobytes()),
        "labels": pack_bytes(data.y_train.tobytes()),
    }


def pack_bytes(content: bytes) -> str:
    """Compress bytes, and return them as base64 text that a page can contain."""
    return base64.b64encode(zlib.compress(content)).decode()


@np.errstate(over="ignore")  # weights may be too large for single precision
def pack_network(model: Model) -> dict[str, Any]:
    """Return a network in the format that reading.js unpacks.

    The weights are packed in single precision.
    """
    content = b"".join(matrix.astype("<f4").tobytes() for matrix in model.weights)
    return {
        "hidden_size": model.weights[0].shape[1],
        "normalisation": model.normalisation,
        "weights": pack_bytes(content),
        "classes": model.classes,
    }
