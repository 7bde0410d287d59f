"""Collect what a page needs to read drawings and to train: networks, images, results.

Such a page is the report of a run, or the panel of explore.ipynb.
"""

import base64
import itertools
import math
import re
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader

from pipeline.digests import digest_code, read_code
from pipeline.images.arrays import read_arrays
from pipeline.images.data import DIGITS, Data
from pipeline.network import helpers_text, published
from pipeline.parameters import Parameters, find_unoriginal, from_values
from pipeline.paths import NOTEBOOKS
from pipeline.records import History, RunRecord
from pipeline.reports.fields import collect_ranges
from pipeline.results.model import Model
from pipeline.results.provenance import has_published_helpers
from pipeline.results.run_folder import RunFolder

TEMPLATES = Path(__file__).parent / "templates"
# The scripts by their names. A script imports from its own room and those before it.
ROOMS = ("compute", "show", "parts", "entries")
SCRIPTS = {
    path.stem: path
    for room in ROOMS
    for path in sorted((Path(__file__).parent / "scripts" / room).glob("*.js"))
}
ENVIRONMENT = Environment(
    loader=FileSystemLoader(TEMPLATES),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)
ENVIRONMENT.filters["round_metric"] = published.round_metric
# The oldest browsers that pages are made for; a page cannot unpack its data in Safari
# before 16.4, which every device with Safari 16 can have.
BROWSERS = "Safari 16.4, Chrome 109 and Firefox 115"
ENVIRONMENT.globals["browsers"] = BROWSERS
NETWORKS = NOTEBOOKS / "data" / "networks.npz"
IMPORT = re.compile(r'^import ({[^}]*}) from "\.[\w./]*/(\w+)\.js";', re.M)
EXPORT = re.compile(r"^export (?:async )?(?:const|class|function\*?) (\w+)", re.M)
COMMENT = re.compile(r"^ *//.*\n", re.M)
STYLE_COMMENT = re.compile(r"(?s) ?/\*.*?\*/")
MAX_IMAGES = 5000  # of each set in a page; so many digits add 1.1 MB
# A page never calls these functions to read a drawing, so their bodies may differ.
TRAINING_FUNCTIONS = (
    "relu_derivative",
    "dropout_mask",
    "drop_pixels",
    "generators",
    "initial_weights",
    "one_hot",
    "backward",
    "train_epoch",
    "measure",
    "evaluate",
)
AXIS_STEPS = (0.02, 0.05, 0.1, 0.2)  # of accuracies
MAX_AXIS_STEPS = 7
# What the training of the original asks before its slip is corrected.
QUESTION = (
    "One line of its program says <code>&gt;=</code> where <code>&gt;</code> belongs. "
    "Corrected, how many will it read?"
)
MAX_HIDDEN_SIZE = 400  # of a network that a page holds; it adds some 1.6 MB


def read_style(name: str) -> str:
    return STYLE_COMMENT.sub("", (TEMPLATES / f"{name}.css").read_text("utf-8"))


def read_module(name: str) -> str:
    return SCRIPTS[name].read_text("utf-8")


def collect_scripts(*entries: str) -> list[str]:
    """Return the names of scripts and of all that they import, imported ones first."""
    names: list[str] = []
    for entry in entries:
        imports = [name for _, name in IMPORT.findall(read_module(entry))]
        names += [*collect_scripts(*imports), entry]
    return [*dict.fromkeys(names)]  # each once


def read_script(name: str) -> str:
    """Read a module as a script in a scope of its own, since a page has no modules.

    The script defines one object, such as network_js, which holds what the module
    exports. What the module imports is taken from the objects of earlier scripts. Lines
    of comments stay behind.
    """
    text = IMPORT.sub(r"const \1 = \2_js;", COMMENT.sub("", read_module(name)))
    exports = ", ".join(EXPORT.findall(text))
    body = text.replace("\nexport ", "\n")
    return f"const {name}_js = (() => {{\n{body}return {{ {exports} }};\n}})();\n"


def read_widget(name: str) -> str:
    """Read a script and what it imports as the one module of a widget in JupyterLab."""
    scripts = map(read_script, collect_scripts(name))
    return "".join(scripts) + f"export default {name}_js;\n"


def pack(content: bytes) -> str:
    """Compress bytes, and return them as base64, the form that a page holds."""
    return base64.b64encode(zlib.compress(content)).decode()


def collect_parts(folder: RunFolder, record: RunRecord | None) -> dict[str, Any]:
    """Return what training.html.j2 and drawing.html.j2 show of a folder.

    record: the run's, or None if the folder has no run.json.

    In the result, `page` is for the scripts, while `no_training` and `no_reading` say
    why the page cannot train, or cannot read drawings ("" if it can).
    """
    history, model = folder.read_history(), folder.read_model()
    metrics = folder.read_metrics() if folder.metrics_path.exists() else None
    no_training = find_training_obstacle(folder, record)
    no_reading = find_reading_obstacle(folder, record, model)
    accuracy = metrics.test_accuracy if metrics else None
    networks = [] if no_reading else collect_networks(model, accuracy)
    training, question = None, ""
    if record and not no_training:
        parameters = from_values(record.parameters)
        training = collect_training(parameters, folder.read_data(), history, model)
        if training["numValidation"] and not find_unoriginal(parameters):
            question = QUESTION
    if training and metrics:
        training["test"] = [metrics.test_error, metrics.test_accuracy]
    return {
        "fields": Parameters.model_fields,
        **collect_ranges(record.parameters if record else {}),
        "epochs": len(history),
        "last": history[-1],
        "curves": collect_curves(history),
        "axis": find_axis(collect_curves(history)),
        "error_curves": collect_curves(history, "error"),
        "question": question,
        "networks": networks,
        "no_training": no_training,
        "no_reading": no_reading,
        "page": {"networks": networks, "training": training},
    }


def find_training_obstacle(folder: RunFolder, record: RunRecord | None) -> str:
    """Return why a page cannot train a run's network again, or "" if it can."""
    if record is None:
        return (
            "These files were written by notebooks that were run alone, in a folder "
            "without a run, so their parameters are not recorded. To train again here, "
            "make a run first: python -m pipeline run --run-dir DIR, with "
            "-p NAME VALUE for each parameter that is not at its default. Then run "
            "this cell again."
        )
    parameters = from_values(record.parameters)
    if not has_published_helpers(record.inputs) or record.note:
        return (
            "This page has a copy of the arithmetic in the helpers.py that reproduces "
            "the published metrics. The helpers.py of this run is another one, so the "
            "page shows what the run has stored, and does not train it again."
        )
    if parameters.batch_size > 1:
        return (
            f"This run has batch_size {parameters.batch_size}; a page trains with one "
            "image at a time only."
        )
    if parameters.num_samples > MAX_IMAGES:
        return (
            f"This run has {parameters.num_samples} training images; a page holds "
            f"{MAX_IMAGES} at most."
        )
    if not folder.data_path.exists():
        return (
            "The training images of a point of a sweep are not kept with it, so this "
            "page cannot train it again."
        )
    return ""


def find_reading_obstacle(
    folder: RunFolder, record: RunRecord | None, model: Model
) -> str:
    """Return why a page cannot read drawings with a run's network, or "" if it can.

    It can if helpers.py computes scores as the page's script does.
    """
    why = "There is no pad on this page, because"
    size = model.weights[0].shape[1]
    if size > MAX_HIDDEN_SIZE:
        return f"{why} a network of {size:,} hidden units is too large for it."
    path = folder.find_helpers()
    if path is None and record is not None:  # version 3.0 kept no text
        is_same = has_published_helpers(record.inputs)
    else:
        own = read_code(path or helpers_text.PATH)
        texts = own, read_code(published.HELPERS)
        is_same = len({digest_code(each, TRAINING_FUNCTIONS) for each in texts}) == 1
    shapes = [matrix.shape for matrix in model.weights]
    if is_same and shapes == [(784, size), (size, 10)]:
        return ""
    return (
        f"{why} the helpers.py of this run differs from the published one in more than "
        "the bodies of functions that train and measure."
    )


def collect_curves(
    history: History, measure: str = "accuracy"
) -> dict[str, list[float]]:
    """Return the curves that a page draws: a metric of each epoch, by the curve's name.

    measure: "accuracy" or "error". Metrics that were not measured are left out.
    """
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


def find_axis(curves: Mapping[str, Iterable[float]]) -> list[str]:
    """Return the places of an axis, round numbers that enclose all accuracies.

    It is findAxis of plot.js in Python.
    """
    values = list(itertools.chain(*curves.values()))
    lowest, highest = min(values), max(values)
    for step in AXIS_STEPS:
        first, last = math.floor(lowest / step), math.ceil(highest / step)
        if last - first <= MAX_AXIS_STEPS:
            break
    decimals = 2 if step < 0.1 else 1
    places = range(first, max(last, first + 1) + 1)
    return [f"{step * place:.{decimals}f}" for place in places]


def collect_training(
    parameters: Parameters, data: Data, history: History, model: Model
) -> dict[str, Any]:
    """Return the parameters, images and results that train.js reads."""
    count = parameters.num_validation if parameters.num_validation <= MAX_IMAGES else 0
    images = data.x_validation[:count]
    sums = images / model.normalisation @ model.weights[0]  # (count, H)
    return {
        "numValidation": count,
        "silent": int(np.sum(np.all(sums <= 0, axis=0))),  # units, on all of these
        "parameters": parameters.model_dump() | {"classes": data.classes},
        "errors": [epoch["train_error"] for epoch in history],
        "curves": collect_curves(history),
        "errorCurves": collect_curves(history, "error"),
        "digest": model.sha256,
        "images": pack(data.x_train.tobytes()),
        "labels": pack(data.y_train.tobytes()),
        "validation_images": pack(images.tobytes()),
        "validation_labels": pack(data.y_validation[:count].tobytes()),
    }


def collect_networks(model: Model, accuracy: float | None) -> list[dict[str, Any]]:
    """Return the networks that read a drawing: the run's own, and the committed ones.

    accuracy: the run's on its test images, or None if it is not known.

    The committed networks read digits, so they are left out beside a network of other
    classes.
    """
    is_published = model.sha256 == published.WEIGHTS_SHA256
    name = "This run's (published) network" if is_published else "This run's network"
    networks = [pack_network(name, accuracy, model)]
    if model.classes != DIGITS:
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
        other = Model((arrays[f"{key}_0_1"], arrays[f"{key}_1_2"]), normalisation)
        networks.append(pack_network(name, float(arrays[f"{key}_accuracy"]), other))
    return networks


@np.errstate(over="ignore")  # weights may be too large for single precision
def pack_network(name: str, accuracy: float | None, model: Model) -> dict[str, Any]:
    """Return a network as reading.js unpacks it, its weights in single precision."""
    return {
        "name": name,
        "accuracy": accuracy,
        "hidden_size": model.weights[0].shape[1],
        "normalisation": model.normalisation,
        "weights": pack(
            b"".join(matrix.astype("<f4").tobytes() for matrix in model.weights)
        ),
        "classes": model.classes,
    }
