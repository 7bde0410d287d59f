"""Records and arrays that are none: run.json, metrics.json, history.json, sweep.json, report.json and .npz files."""

import json
import os

import numpy as np

from tests.bad_inputs import Case
from tests.bad_inputs.things import BYTES, JSON, NO_FILES, archives, npz, put
from tests.conftest import EPOCH

DIGEST = "0" * 64
NAN = float("nan")
RUN = {  # what run.json holds instead
    "a status that is none": {"status": "finished"},
    "a status of no text": {"status": 1},
    "a status with an escape": {"status": "\x1b[31mdone"},
    "no start": {"started": None},
    "a start without a zone": {"started": "2024-01-01T00:00:00"},
    "a start that is no time": {"started": "yesterday"},
    "a start before the year 1": {"started": "0001-01-01T00:00:00+14:00"},
    "a start after the year 9999": {"started": "9999-12-31T23:59:59-14:00"},
    "an error of 2,000 lines": {"status": "changed", "error": "x\n" * 2000},
    "a start in the year 99999": {"started": "99999-01-01T00:00:00Z"},
    "a list of parameters": {"parameters": []},
    "parameters that are none": {"parameters": {"epoch": 1}},
    "parameters of other types": {"parameters": {"epochs": "many"}},
    "parameters of markup": {"parameters": {"</script><script>alert(1)</script>": "{{ 7 * 7 }}"}},
    "parameters with bidi marks": {"parameters": {"\u202e.txt\x1b[2J": 1}},
    "inputs of null": {"inputs": None},
    "a list of inputs": {"inputs": []},
    "digests that are none": {"inputs": {"data": "x", "notebooks": {"a": "zz"}, "code": {}, "versions": {}}},
    "versions of numbers": {"inputs": {"data": "x", "notebooks": {}, "code": {}, "versions": {"python": 3}}},
    "a list of arrays": {"arrays": [1]},
    "outputs of numbers": {"outputs": {"model.npz": 7}},
    "a duration of NaN": {"duration_s": NAN},
    "a duration of text": {"duration_s": "long"},
    "an error of no text": {"error": {"a": 1}},
    "metrics of NaN": {"metrics": {**EPOCH, "train_error": NAN, "weights_sha256": DIGEST}},
    "metrics without digest": {"metrics": EPOCH},
    "a digest of the report that is none": {"report_code": "x"},
}
METRICS = {
    "NaN": {"test_error": NAN},
    "infinity": {"test_accuracy": float("inf")},
    "text": {"test_error": "good"},
    "null": {"train_error": None},
    "a list": {"test_accuracy": [0.5]},
    "a digest that is none": {"weights_sha256": "abc"},
    "half an image": {"test_images": 1.5},
    "minus an image": {"test_images": -5},
    "an accuracy of 2": {"test_accuracy": 2},
    "an error below 0": {"test_error": -1},
    "a number of 5,000 digits": {"test_error": "DIGITS"},
}
HISTORIES = {
    "no epoch": [],
    "an epoch of null": [None],
    "an epoch that is a list": [[0.5, 0.5]],
    "an epoch without error": [{"train_accuracy": 0.5}],
    "an error of NaN": [{**EPOCH, "train_error": NAN}],
    "an error of text": [{**EPOCH, "train_error": "x"}],
    "an infinite last epoch": [EPOCH, {**EPOCH, "train_accuracy": float("-inf")}],
    "an accuracy of 7": [{**EPOCH, "train_accuracy": 7}],
    "an object of epochs": {"0": EPOCH},
    "a million nulls": [None] * 1_000_000,
}
SWEEP = {
    "no name": {"name": None},
    "a name of dots": {"name": "../x"},
    "a name with an escape": {"name": "\x1b[31m"},
    "ids that are paths": {"ids": ["../../run"]},
    "ids of numbers": {"ids": [1, 2]},
    "no ids": {"ids": None},
    "configurations of text": {"configurations": "all"},
    "a grid of 10**12": {"grid": {name: list(range(100)) for name in "abcdef"}},
    "a grid that is a list": {"grid": [1]},
    "a test metric": {"select": "test_accuracy"},
    "another name": {"name": "other"},
}
MODEL = {"weights_0_1": np.zeros((784, 5)), "weights_1_2": np.zeros((5, 10)), "normalisation": np.float64(255)}
MODELS = {
    "single precision": MODEL | {"weights_0_1": np.zeros((784, 5), np.float32)},
    "weights that do not fit": MODEL | {"weights_1_2": np.zeros((6, 10))},
    "weights of eleven digits": MODEL | {"weights_1_2": np.zeros((5, 11))},
    "weights of NaN": MODEL | {"weights_0_1": np.full((784, 5), np.nan)},
    "no hidden unit": MODEL | {"weights_0_1": np.zeros((784, 0)), "weights_1_2": np.zeros((0, 10))},
    "a normalisation of 0": MODEL | {"normalisation": np.float64(0)},
    "a normalisation of NaN": MODEL | {"normalisation": np.float64(np.nan)},
    "two normalisations": MODEL | {"normalisation": np.ones(2)},
    "a normalisation of text": MODEL | {"normalisation": np.str_("255")},
}
DATA = {
    "x_train": np.zeros((3, 784), np.uint8),
    "y_train": np.zeros(3, np.uint8),
    "x_validation": np.zeros((0, 784), np.uint8),
    "y_validation": np.zeros(0, np.uint8),
    "x_test": np.zeros((2, 784), np.uint8),
    "y_test": np.zeros(2, np.uint8),
    "provenance": np.str_(json.dumps({"source": "x.npz", "sha256": {"x_train": DIGEST}})),
}
DATAS = {
    "fewer labels": DATA | {"y_train": np.zeros(2, np.uint8)},
    "labels of 10": DATA | {"y_test": np.full(2, 10, np.uint8)},
    "floats": DATA | {"x_test": np.zeros((2, 784))},
    "images of 28 by 28": DATA | {"x_train": np.zeros((3, 28, 28), np.uint8)},
    "a provenance of null": DATA | {"provenance": np.str_("null")},
    "a provenance that is deep": DATA | {"provenance": np.str_("[" * 50_000)},
    "a provenance without digests": DATA | {"provenance": np.str_('{"source": "x"}')},
    "a provenance of numbers": DATA | {"provenance": np.str_('{"source": 1, "sha256": [1]}')},
    "a provenance of bytes": DATA | {"provenance": np.frombuffer(b"{}", np.uint8)},
}
SOURCE = {
    "x_train": np.zeros((60, 28, 28), np.uint8),
    "y_train": np.zeros(60, np.uint8),
    "x_test": np.zeros((30, 28, 28), np.uint8),
    "y_test": np.zeros(30, np.uint8),
}
SOURCES = {
    "labels of 10": SOURCE | {"y_train": np.full(60, 10, np.uint8)},
    "labels below 0": SOURCE | {"y_train": np.full(60, -1, np.int8)},
    "fewer labels": SOURCE | {"y_test": np.zeros(3, np.uint8)},
    "colours": SOURCE | {"x_train": np.zeros((60, 28, 28, 3), np.uint8)},
    "flat images": SOURCE | {"x_test": np.zeros((30, 784), np.uint8)},
}
HEADER = ",".join(["label", *(f"pixel{i}" for i in range(784))]) + "\n"
PIXELS = ",0" * 784 + "\n"


def _without_lines(path, header=""):
    path.write_text(header)
    os.truncate(path, 3 * 10**9)


TABLES = {
    "a table without lines": _without_lines,
    "a table without lines after the first": lambda path: _without_lines(path, HEADER),
    "a table of 3,000 classes": HEADER + "".join(f"id{i}{PIXELS}" for i in range(3000)),
    "a label of 5,000 digits": HEADER + f"{'1' * 5000}{PIXELS}2{PIXELS}",
    "another header": "a,b\n1,2\n",
    "cells of text": HEADER + "1" + ",x" * 784 + "\n",
    "rows that are cut": HEADER + "1,0,0\n",
    "quotes that do not end": HEADER + '1,"0' + PIXELS * 5,
}
DONE_BY = {  # of a file of a run
    "verify": lambda folder: ["verify", folder / "run"],
    "compare": lambda folder: ["compare", folder / "run", folder / "other", "--output", folder / "new.html"],
    "report": lambda folder: ["report", folder / "run"],
}


def cases():
    files = {**NO_FILES, **BYTES}
    for name, things, commands in (
        ("run.json", files | JSON, DONE_BY),
        ("metrics.json", files | JSON, ("compare", "report")),
        ("history.json", files | JSON, ("compare", "verify")),
        ("model.npz", files | archives(MODEL) | _archives(MODELS), ("compare",)),
        ("data.npz", files | archives(DATA) | _archives(DATAS), ("report",)),
    ):
        for number, (label, thing) in enumerate(things.items()):
            for command in commands if label in ("a FIFO", "NaN") else [list(commands)[number % len(commands)]]:
                yield _case(name, label, command, thing)
    for number, (label, changed) in enumerate(RUN.items()):
        for command in (("verify", "compare", "report")[number % 3], "index"):
            yield _changed("run.json", label, command, changed)
    for label, changed in METRICS.items():
        yield _changed("metrics.json", f"{label} in a field", "compare", changed)
    for number, (label, history) in enumerate(HISTORIES.items()):
        yield _case("history.json", label, ("compare", "verify", "report")[number % 3], history)
    for label, thing in (JSON | NO_FILES | BYTES).items():
        yield Case(
            "index",
            f"run.json {label}",
            lambda f, thing=thing: _listed(f, "run/run.json", thing),
            "",
            0,
            ("index.html",),
        )
        yield Case("sweep.json", label, lambda f, thing=thing: _swept(f, "sweep.json", thing), "sweep.json")
    for label, changed in SWEEP.items():
        if label == "a grid of 10**12":  # which a sweep replaces by what its file has
            continue
        yield Case(
            "sweep.json",
            label,
            lambda f, changed=changed: _swept(f, "sweep.json", {**_read(f / "sweep/sweep.json"), **changed}),
            "sweep",
        )
        yield Case(
            "index",
            f"sweep.json {label}",
            lambda f, changed=changed: _listed(f, "sweep/sweep.json", {**_read(f / "sweep/sweep.json"), **changed}),
            "",
            0,
            ("index.html",),
        )
    for label in ("null", "deep lists", "a string", "an empty list"):
        yield Case("report.json", label, lambda f, label=label: _swept(f, "report.json", JSON[label]), "report.json")
    for label in ("a FIFO", "a folder", "a link loop", "dev zero"):
        yield Case(
            "report.json", label, lambda f, label=label: _swept(f, "report.json", NO_FILES[label]), "report.json"
        )
    for label, thing in (files | archives(SOURCE) | _archives(SOURCES)).items():
        if label != "a flipped bit":  # which only another file would show
            yield Case("source", label, lambda f, thing=thing: _from(f, thing), "bad.npz")

    for label, thing in TABLES.items():
        yield Case("source", label, lambda f, thing=thing: _from(f, thing, "bad.csv"), "bad.csv")


def _archives(contents):
    return {label: npz(**arrays) for label, arrays in contents.items()}


def _case(name, label, command, thing):
    def make(folder):
        put(folder / "run" / name, thing)
        return DONE_BY[command](folder)

    says = "run" if name == "run.json" and label == "a string" else name
    return Case(name, f"{label}, {command}", make, says)


def _changed(name, label, command, changed):
    def make(folder):
        path = folder / "run" / name
        text = json.dumps({**_read(path), **changed}).replace('"DIGITS"', "9" * 5000)
        path.write_text(text)
        return ["index", folder] if command == "index" else DONE_BY[command](folder)

    if command == "index":
        return Case("index", label, make, "", 0, ("index.html",))
    return Case(name, f"{label}, {command}", make, "run")


def _listed(folder, name, thing):
    put(folder / name, thing)
    return ["index", folder]


def _swept(folder, name, thing):
    put(folder / "sweep" / name, thing)
    return ["sweep", folder / "sweep.yaml", "--sweep-dir", folder / "sweep"]


def _from(folder, thing, name="bad.npz"):
    put(folder / name, thing)
    options = ("num_samples", 40, "num_validation", 10)
    return [
        "run",
        "--run-dir",
        folder / "new",
        "-p",
        "source",
        folder / name,
        "-p",
        *options[:2],
        "-p",
        *options[2:],
    ]


def _read(path):
    return json.loads(path.read_text())
