"""Collect what a page needs to classify drawings and to train a network.

The report of a run is such a page, and so is a lesson.
"""

import base64
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader

from pipeline.digests import digest_code, read_code
from pipeline.images.arrays import read_arrays
from pipeline.images.data import DIGITS, Data
from pipeline.network import published
from pipeline.parameters import Parameters, from_values
from pipeline.paths import NOTEBOOKS
from pipeline.records import History, RunRecord
from pipeline.reports.fields import collect_ranges
from pipeline.results.model import Model
from pipeline.results.provenance import HELPERS, has_published_helpers
from pipeline.results.run_folder import RunFolder

TEMPLATES = Path(__file__).parent / "templates"
# The scripts by their names. A script imports from its own folder and those before it.
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
MAX_IMAGES = 5000  # of each set in a page; this many digits add 1.1 MB
MAX_HIDDEN_SIZE = 400  # of a network in a page, to which it adds about 1.6 MB

NO_TRAINING = (
    "This page shows what its run has stored. A page can train the network again only "
    "if the run was made with the helpers.py of the project, with one image at a time, "
    f"and from at most {MAX_IMAGES:,} images, which are still in its folder."
)


def read_style(name: str) -> str:
    """Return the text of a style sheet without its comments."""
    return STYLE_COMMENT.sub("", (TEMPLATES / f"{name}.css").read_text("utf-8"))


def read_module(name: str) -> str:
    return SCRIPTS[name].read_text("utf-8")


def collect_scripts(*entries: str) -> list[str]:
    """Return the names of these scripts and all that they import, in loading order."""
    names: list[str] = []
    for entry in entries:
        imports = [name for _, name in IMPORT.findall(read_module(entry))]
        names += [*collect_scripts(*imports), entry]
    return [*dict.fromkeys(names)]  # each once


def read_script(name: str) -> str:
    """Convert a module to a script with its own scope, because a page has no modules.

    The script defines one object, such as network_js, with the exports of the module.
    Imports come from the objects of earlier scripts. Comment lines are removed.
    """
    text = IMPORT.sub(r"const \1 = \2_js;", COMMENT.sub("", read_module(name)))
    exports = ", ".join(EXPORT.findall(text))
    body = text.replace("\nexport ", "\n")
    return f"const {name}_js = (() => {{\n{body}return {{ {exports} }};\n}})();\n"


def read_widget(name: str) -> str:
    """Return a module and all its imports as one module, for a widget in JupyterLab."""
    scripts = map(read_script, collect_scripts(name))
    return "".join(scripts) + f"export default {name}_js;\n"


def pack_bytes(content: bytes) -> str:
    """Compress bytes, and encode them as base64 to store them in a page."""
    return base64.b64encode(zlib.compress(content)).decode()


def collect_template_values(folder: RunFolder, record: RunRecord) -> dict[str, Any]:
    """Return what report.html.j2 needs to classify drawings and to train a network.

    In the result, `run` is for the scripts. It has no networks if the page cannot
    classify with the run's own network, and no training if the page cannot train it.
    """
    history, model = folder.read_history(), folder.read_model()
    training = None
    if can_train(folder, record):
        parameters = from_values(record.parameters)
        training = collect_training_data(parameters, folder.read_data(), history, model)
    accuracy = folder.read_metrics().test_accuracy
    networks = collect_networks(model, accuracy) if can_classify(folder, model) else []
    return {
        "fields": Parameters.model_fields,
        **collect_ranges(record.parameters),
        "epochs": len(history),
        "last": history[-1],
        "curves": collect_curves(history),
        "no_training": NO_TRAINING,
        "run": {"networks": networks, "training": training},
    }


def can_train(folder: RunFolder, record: RunRecord) -> bool:
    """Return whether a page can train a run's network again, see `NO_TRAINING`."""
    parameters = from_values(record.parameters)
    return (
        has_published_helpers(record.inputs)
        and not record.note
        and parameters.batch_size == 1
        and parameters.num_samples <= MAX_IMAGES
        and folder.data_path.exists()
    )


def can_classify(folder: RunFolder, model: Model) -> bool:
    """Return whether a page can classify drawings with a run's network.

    It can if the run's helpers.py is the published one, whose code the page's script
    repeats, and if the network is not too large for a page.
    """
    text = read_code(folder.find_helpers() or HELPERS)
    is_same = digest_code(text) == published.HELPERS_SHA256
    size = model.weights[0].shape[1]
    shapes = [matrix.shape for matrix in model.weights]
    fits = shapes == [(784, size), (size, 10)] and size <= MAX_HIDDEN_SIZE
    return is_same and fits


def collect_curves(history: History) -> dict[str, list[float]]:
    """Return, by the name of each curve, its accuracies by epoch.

    Curves that were not measured are left out.
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
    """Return what a page's scripts need to train: parameters, images and results."""
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

    accuracy: the accuracy of the run on its test images, or None if it is unknown.

    The better network was trained on all of MNIST. It classifies digits, so it is left
    out if the run's network has other classes.
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
    """Pack a network in the format that reading.js unpacks, in single precision."""
    content = b"".join(matrix.astype("<f4").tobytes() for matrix in model.weights)
    return {
        "name": name,
        "accuracy": accuracy,
        "hidden_size": model.weights[0].shape[1],
        "normalisation": model.normalisation,
        "weights": pack_bytes(content),
        "classes": model.classes,
    }
