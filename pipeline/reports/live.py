"""Collect the scripts and data of a page that classifies drawings and trains networks.

The report of a run is such a page, and so is the page of a lesson.
"""

import base64
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader

from pipeline.images.arrays import read_arrays
from pipeline.images.data import DIGITS, Data
from pipeline.parameters import Parameters
from pipeline.paths import NOTEBOOKS
from pipeline.records import History, RunRecord
from pipeline.results.model import Model
from pipeline.results.provenance import has_published_helpers
from pipeline.results.run_folder import RunFolder

TEMPLATES = Path(__file__).parent / "templates"
# The path of each script, by its name. A script imports only from its own folder and
# from folders that stand before it in FOLDERS.
FOLDERS = ("compute", "show", "parts", "entries")
SCRIPTS = {
    path.stem: path
    for folder in FOLDERS
    for path in sorted((Path(__file__).parent / "scripts" / folder).glob("*.js"))
}
ENVIRONMENT = Environment(
    loader=FileSystemLoader(TEMPLATES),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)
# The oldest browsers that pages support. Safari before 16.4 cannot unpack the data of a
# page, but every device with Safari 16 can be updated to 16.4.
BROWSERS = "Safari 16.4, Chrome 109 and Firefox 115"
ENVIRONMENT.globals["browsers"] = BROWSERS
NETWORKS = NOTEBOOKS / "data" / "networks.npz"
IMPORT = re.compile(r'^import ({[^}]*}) from "\.[\w./]*/(\w+)\.js";', re.M)
EXPORT = re.compile(r"^export (?:async )?(?:const|class|function\*?) (\w+)", re.M)
COMMENT = re.compile(r"^ *//.*\n", re.M)
STYLE_COMMENT = re.compile(r"(?s) ?/\*.*?\*/")
MAX_IMAGES = 5000  # images of each set in a page; 5,000 digits add 1.1 MB
MAX_HIDDEN_SIZE = 400  # hidden units; a network of 400 adds about 1.6 MB

NO_TRAINING = (
    "This page shows what its run has stored. A page can train the network again only "
    "if the run was made with the project's own helpers.py, if it trained with one "
    f"image at a time and with at most {MAX_IMAGES:,} images, and if its folder still "
    "has these images."
)


def read_style(name: str) -> str:
    """Return the text of a style sheet without its comments."""
    return STYLE_COMMENT.sub("", (TEMPLATES / f"{name}.css").read_text("utf-8"))


def read_module(name: str) -> str:
    return SCRIPTS[name].read_text("utf-8")


def collect_scripts(*entries: str) -> list[str]:
    """Return the names of these scripts and of all scripts that they import.

    Each script comes after the scripts that it imports, so that a page can load them in
    this order.
    """
    names: list[str] = []
    for entry in entries:
        imports = [name for _, name in IMPORT.findall(read_module(entry))]
        names += [*collect_scripts(*imports), entry]
    return [*dict.fromkeys(names)]  # each once


def read_script(name: str) -> str:
    """Return a JavaScript module as a script, because a page cannot import modules.

    The script has a scope of its own, and defines one object, such as network_js, with
    the exports of the module. Instead of importing, the script reads from the objects
    that earlier scripts have defined. Comment lines are removed.
    """
    text = IMPORT.sub(r"const \1 = \2_js;", COMMENT.sub("", read_module(name)))
    exports = ", ".join(EXPORT.findall(text))
    body = text.replace("\nexport ", "\n")
    return f"const {name}_js = (() => {{\n{body}return {{ {exports} }};\n}})();\n"


def read_widget(name: str) -> str:
    """Return a JavaScript module and all that it imports as one module for a widget."""
    scripts = map(read_script, collect_scripts(name))
    return "".join(scripts) + f"export default {name}_js;\n"


def pack_bytes(content: bytes) -> str:
    """Compress bytes, and return them as base64 text that a page can contain."""
    return base64.b64encode(zlib.compress(content)).decode()


def collect_template_values(folder: RunFolder, record: RunRecord) -> dict[str, Any]:
    """Return the values that report.html.j2 needs for classifying and for training.

    The value `run` is the data of the page's scripts. Its list `networks` is empty if a
    page cannot classify drawings with the run's network. Its `training` is None if a
    page cannot train that network.
    """
    history, model = folder.read_history(), folder.read_model()
    training = None
    if can_train(folder, record):
        training = collect_training_data(
            record.parameters, folder.read_data(), history, model
        )
    accuracy = folder.read_metrics().test_accuracy
    networks = collect_networks(model, accuracy) if can_classify(record, model) else []
    return {
        "fields": Parameters.model_fields,
        "epochs": len(history),
        "last": history[-1],
        "curves": collect_curves(history),
        "no_training": NO_TRAINING,
        "run": {"networks": networks, "training": training},
    }


def can_train(folder: RunFolder, record: RunRecord) -> bool:
    """Return whether a page can train a run's network again.

    `NO_TRAINING` tells the reader of a page what this requires.
    """
    parameters = record.parameters
    return (
        has_published_helpers(record.inputs)
        and parameters.batch_size == 1
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


def collect_training_data(
    parameters: Parameters, data: Data, history: History, model: Model
) -> dict[str, Any]:
    """Return the parameters, images and results that a page's scripts train with.

    If there are more than `MAX_IMAGES` validation images, the page gets none of them.
    """
    count = parameters.num_validation if parameters.num_validation <= MAX_IMAGES else 0
    images = data.x_validation[:count]
    return {
        "numValidation": count,
        "parameters": parameters.model_dump() | {"classes": data.classes},
        "curves": collect_curves(history),
        "digest": model.sha256,
        "images": pack_bytes(data.x_train.tobytes()),
        "labels": pack_bytes(data.y_train.tobytes()),
        "validation_images": pack_bytes(images.tobytes()),
        "validation_labels": pack_bytes(data.y_validation[:count].tobytes()),
    }


def collect_networks(model: Model, accuracy: float | None) -> list[dict[str, Any]]:
    """Return the networks that classify drawings: the run's own, and a better one.

    model: the run's own network.
    accuracy: its accuracy on the run's test images, or None if it is unknown.

    The better network was trained on all of MNIST. That network classifies digits, so
    it is left out if the run's network has other classes.
    """
    own = pack_network("This run's network", accuracy, model)
    if model.classes != DIGITS:
        return [own]
    arrays = read_arrays(NETWORKS, {}, f"Restore it: git checkout {NETWORKS}")
    weights = arrays["all_of_mnist_0_1"], arrays["all_of_mnist_1_2"]
    other = Model(weights, float(arrays["all_of_mnist_normalisation"]))
    name = "A network trained on 55,000 digits"
    return [own, pack_network(name, float(arrays["all_of_mnist_accuracy"]), other)]


@np.errstate(over="ignore")  # weights may be too large for single precision
def pack_network(name: str, accuracy: float | None, model: Model) -> dict[str, Any]:
    """Return a network in the format that reading.js unpacks.

    The weights are packed in single precision.
    """
    content = b"".join(matrix.astype("<f4").tobytes() for matrix in model.weights)
    return {
        "name": name,
        "accuracy": accuracy,
        "hidden_size": model.weights[0].shape[1],
        "normalisation": model.normalisation,
        "weights": pack_bytes(content),
        "classes": model.classes,
    }
