"""Collect what draws and trains in a page, a report's or explore's: networks, images, results."""

import base64
import re
import zlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from pipeline import published
from pipeline.data import CLOTHES, DIGITS, read_arrays
from pipeline.parameters import (
    NAMES,
    NOTEBOOKS,
    Parameters,
    describe_allowed,
    find_unoriginal,
)
from pipeline.records import History, Metrics
from pipeline.run_folder import Model, RunFolder

TEMPLATES = Path(__file__).parent / "templates"
ENVIRONMENT = Environment(
    loader=FileSystemLoader(TEMPLATES),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)
ENVIRONMENT.filters["round_metric"] = published.round_metric
NETWORKS = NOTEBOOKS / "data" / "networks.npz"
KNOWN: dict[str, dict[str, str | bool]] = {  # the SHA-256 of the official files
    "MNIST": {
        "unpacked": True,
        "x_train": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "y_train": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "x_test": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "y_test": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    "Fashion-MNIST": {  # from TensorFlow Datasets, url_checksums/fashion_mnist.txt
        "unpacked": False,
        "x_train": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "y_train": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "x_test": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "y_test": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
}
DATASETS = {DIGITS: "MNIST", CLOTHES: "Fashion-MNIST"}
MAX_IMAGES = 5000  # some 700 kB of a page
MAX_HIDDEN_SIZE = 400  # some 1.6 MB of a page


def read_style(name: str) -> str:
    return (TEMPLATES / f"{name}.css").read_text("utf-8")


def read_script(name: str) -> str:
    """Read a script without imports and exports, since the scripts of a page share their names."""
    text = (TEMPLATES / f"{name}.js").read_text("utf-8")
    return re.sub(r"^(import .*\n|export (?!default))", "", text, flags=re.M)


def pack(content: bytes) -> str:
    """Return bytes as a page holds them: compressed, as base64."""
    return base64.b64encode(zlib.compress(content)).decode()


def collect_parts(
    folder: RunFolder, parameters: Parameters | None, metrics: Metrics | None
) -> dict[str, Any]:
    """Return what training.html.j2 and drawing.html.j2 show; `page` is what the scripts read."""
    history, model = folder.read_history(), folder.read_model()
    networks = collect_networks(model, metrics.test_accuracy if metrics else None)
    training = (
        collect_training(folder, parameters, history, model) if parameters else None
    )
    if training and metrics:
        training["test"] = [metrics.test_error, metrics.test_accuracy]
    return {
        "parameters": parameters,
        "fields": Parameters.model_fields,
        "allowed": {name: describe_allowed(name) for name in NAMES},
        "dataset": DATASETS.get(model.classes),
        "max_images": MAX_IMAGES,
        "epochs": len(history),
        "last": history[-1],
        "curves": collect_curves(history),
        "error_curves": collect_curves(history, "error"),
        "networks": networks,
        "page": {"networks": networks, "training": training},
    }


def collect_curves(
    history: History, measure: str = "accuracy"
) -> dict[str, list[float]]:
    """Return the metrics by epoch that a page draws, without those that were not measured."""
    metrics = {
        "masked": f"train_{measure}",
        "fitted": f"train_{measure}_no_dropout",
        "validation": f"validation_{measure}",
    }
    return {
        name: [epoch[metric] for epoch in history]
        for name, metric in metrics.items()
        if metric in history[0]
    }


def collect_training(
    folder: RunFolder, parameters: Parameters, history: History, model: Model
) -> dict[str, Any] | None:
    """Return what train.js reads; None if a page cannot train this network."""
    if (
        parameters.batch_size > 1
        or parameters.num_samples > MAX_IMAGES
        or not folder.data.exists()
    ):
        return None
    data = folder.read_data()
    count = parameters.num_validation if parameters.num_validation <= MAX_IMAGES else 0
    return {
        "parameters": parameters.model_dump() | {"classes": data.classes},
        "errors": [epoch["train_error"] for epoch in history],
        "curves": collect_curves(history),
        "errorCurves": collect_curves(history, "error"),
        "digest": model.sha256,
        "known": KNOWN.get(DATASETS.get(data.classes, "")),
        "published": None
        if find_unoriginal(parameters)
        else [*published.PUBLISHED.values()][2:],
        "images": pack(data.x_train.tobytes()),
        "labels": pack(data.y_train.tobytes()),
        "validation_images": pack(data.x_validation[:count].tobytes()),
        "validation_labels": pack(data.y_validation[:count].tobytes()),
    }


def collect_networks(model: Model, accuracy: float | None) -> list[dict[str, Any]]:
    """Return the networks that read a drawing: the run's, unless it is too large, and others.

    Those read digits, so they do not stand beside a network of other classes. accuracy: the run's
    on its test images, None if it is not known.
    """
    is_published = model.sha256 == published.WEIGHTS_SHA256
    networks = []
    if model.hidden_size <= MAX_HIDDEN_SIZE:
        name = (
            "This run's (published) network" if is_published else "This run's network"
        )
        networks.append(pack_network(name, accuracy, model))
    if networks and model.classes != DIGITS:
        return networks
    others = {
        "published": "The published network",
        "all_of_mnist": "The all-of-MNIST network",
    }
    if is_published:
        del others["published"]
    arrays = read_arrays(NETWORKS, {}, f"Restore it: git checkout {NETWORKS}")
    for key, name in others.items():
        normalisation = float(arrays[f"{key}_normalisation"])
        other = Model(arrays[f"{key}_0_1"], arrays[f"{key}_1_2"], normalisation)
        networks.append(pack_network(name, float(arrays[f"{key}_accuracy"]), other))
    return networks


def pack_network(name: str, accuracy: float | None, model: Model) -> dict[str, Any]:
    """Return a network as draw.js reads it, with both weight matrices in single precision."""
    return {
        "name": name,
        "accuracy": accuracy,
        "hidden_size": model.hidden_size,
        "normalisation": model.normalisation,
        "weights": pack(
            b"".join(matrix.astype("<f4").tobytes() for matrix in model.weights)
        ),
        "classes": model.classes,
    }
