"""Whatever bytes a file holds, a reader gives a typed value or one of the project's errors."""

import copy
import json
import os
import random
import warnings
import zipfile

import numpy as np
import pytest

from pipeline import datasets, readers, storage
from pipeline.errors import InvalidRecord, PipelineError
from pipeline.model import Model
from pipeline.parameters import Parameters
from pipeline.records import Epoch, Inputs, Metrics, RunRecord, SweepRecord
from pipeline.reports import rendering
from pipeline.run_folder import RunFolder, SweepFolder
from pipeline.sweeps import definition
from tests.conftest import VALIDATED, write_small_source


@pytest.mark.parametrize("second", ["first", "first.npy"])
def test_an_array_that_an_archive_has_twice_is_refused(tmp_path, second):
    path = tmp_path / "twice.npz"
    np.savez(path, first=np.zeros(3))
    with zipfile.ZipFile(path, "a") as archive, warnings.catch_warnings(action="ignore"):
        archive.writestr(second, archive.read("first.npy"))
    with pytest.raises(InvalidRecord, match=rf"{second} is no array, or is there twice"):
        readers.read_arrays(path, "")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is damaged: Invalid JSON"),
        (b'{"train_error": 0.5, "train_acc', "is damaged: Invalid JSON"),
        (b"\xff", "is damaged: "),
        (b'{"train_error": 0.5}', "is damaged: train_accuracy: Field required"),
        (b'{"train_error": 0.5, "train_accuracy": "good"}', "is damaged: train_accuracy: "),
    ],
)
def test_a_damaged_record_is_refused_with_the_next_step(tmp_path, content, problem):
    path = tmp_path / "record.json"
    path.write_bytes(content)
    with pytest.raises(InvalidRecord) as caught:
        readers.read_record(path, Epoch, "Do this next.")
    assert str(caught.value).startswith(f"{path} {problem}")
    assert str(caught.value).endswith(". Do this next.")
    assert "\n" not in str(caught.value)


def test_a_record_that_is_missing_or_no_file_is_refused_with_the_next_step(tmp_path):
    with pytest.raises(InvalidRecord, match="none.json is not there. Do this next."):
        readers.read_record(tmp_path / "none.json", Epoch, "Do this next.")
    with pytest.raises(InvalidRecord, match="cannot be read: it is a folder, not a file. Do this next."):
        readers.read_record(tmp_path, Epoch, "Do this next.")


@pytest.mark.parametrize(
    "make", [os.mkfifo, lambda path: path.symlink_to(path), lambda path: path.symlink_to("/dev/zero")]
)
def test_what_is_no_file_is_not_even_opened(tmp_path, make):
    make(tmp_path / "run.json")
    with pytest.raises(InvalidRecord, match="run.json cannot be read: .*. Do this next."):
        readers.read_bytes(tmp_path / "run.json", "run.json", "Do this next.")


@pytest.mark.parametrize("kind", sorted(readers.LIMITS))
def test_a_file_is_read_up_to_its_limit_and_no_further(tmp_path, kind):
    path = tmp_path / "file"
    path.touch()
    os.truncate(path, readers.LIMITS[kind] + 1)
    with pytest.raises(InvalidRecord, match=f"bytes, but may have {readers.LIMITS[kind]:,} at most. Do this next."):
        readers.read_bytes(path, kind, "Do this next.")
    os.truncate(path, 10)
    assert readers.read_bytes(path, kind) == bytes(10)


def test_arrays_come_back_writable_and_of_the_layout(tmp_path):
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.zeros((3, 1), np.uint8), "c": np.str_("text")}
    np.savez_compressed(tmp_path / "a.npz", **arrays | {"a": np.asfortranarray(arrays["a"])})
    layout = {"a": ("float64", ("N", "M")), "b": ("uint8", ("M", 1)), "c": ("str", ())}
    found = readers.read_arrays(tmp_path / "a.npz", "", layout)
    assert all(np.array_equal(found[name], arrays[name]) for name in arrays)
    found["a"][0] = 1
    np.savez(tmp_path / "b.npz", a=arrays["a"].astype(">f8"))  # as another processor may write it
    native = readers.read_arrays(tmp_path / "b.npz", "", {"a": layout["a"]})["a"]
    assert native.dtype.isnative
    assert np.array_equal(native, arrays["a"])
    for name, (kind, shape), needed in (
        ("a", ("float32", ("N", "M")), "float32 (2, 3)"),
        ("a", ("float64", ("N", "N")), "float64 (2, 2)"),
        ("b", ("uint8", ("M",)), "uint8 (3)"),
        ("d", ("uint8", ("M",)), "it has no array d"),
    ):
        with pytest.raises(InvalidRecord) as caught:
            readers.read_arrays(tmp_path / "a.npz", "Next.", layout | {name: (kind, shape)})
        assert needed in str(caught.value)


# ---- mutations -------------------------------------------------------------------------------------------------

VALUES = [None, True, -1, 0, 1.5, 10**400, float("nan"), "", "x" * 50, "\x1b[31m\u202e\0", [], [[]], {}, {"a": None}]
TOKENS = [
    b"\0",
    b"\xff",
    b"[",
    b"{",
    b"}",
    b'"',
    b"null",
    b"NaN",
    b"1e999",
    b": ",
    b"*a",
    b"&a ",
    b"- ",
    b"!!int ",
    b"\n",
]


def mutated_bytes(rng, content):
    """Cut, repeat, overwrite or insert a few bytes."""
    content = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(content) + 1)
        length = rng.choice([1, 1, 2, 8, 100])
        new = rng.choice([b"", rng.randbytes(length), rng.choice(TOKENS), bytes(content[place : place + length]) * 2])
        content[place : place + rng.choice([0, length])] = new
    return bytes(content[: rng.randrange(len(content) + 1)] if rng.random() < 0.1 else content)


def mutated_json(rng, content):
    """Replace, remove or add a value anywhere in a document."""
    whole = copy.deepcopy(content)
    for _ in range(rng.randint(1, 2)):
        node = whole
        while True:
            keys = list(range(len(node))) if isinstance(node, list) else list(node)
            if not keys:
                break
            key = rng.choice(keys)
            if isinstance(node[key], list | dict) and node[key] and rng.random() < 0.8:
                node = node[key]
                continue
            if rng.random() < 0.2:
                del node[key]
            else:
                node[key] = rng.choice(VALUES)
            break
    return json.dumps(whole).encode()


def survives(read, path, contents):
    """Read each content; count those that were refused. Any error but the project's own is raised."""
    refused = 0
    for content in contents:
        path.write_bytes(content)
        try:
            read()
        except PipelineError:
            refused += 1
    return refused


EPOCH = Epoch(**VALIDATED)
MEASURED = Metrics(**EPOCH.model_dump(), weights_sha256="0" * 64, test_error=0.5, test_accuracy=0.5, test_images=9)
RUN = RunRecord.begin(
    Parameters().model_dump(), Inputs(data="x", notebooks={"a": "0" * 64}, code={}, versions={"b": "1"})
)
SWEEP = SweepRecord(name="s", base={"epochs": 1}, grid={"seed": [1, 2]}, ids=["a", "b"], configurations=[["a", "b"]])
RECORDS = {"run.json": RUN, "metrics.json": MEASURED, "history.json": [EPOCH] * 3, "sweep.json": SWEEP}
READ_BY = {"run.json": "read_record", "metrics.json": "read_metrics", "history.json": "read_history"}


@pytest.mark.parametrize("name", RECORDS)
def test_a_mutated_record_is_read_or_refused(tmp_path, name):
    rng, whole = random.Random(name), storage.json_bytes(RECORDS[name])
    folder = SweepFolder(tmp_path) if name == "sweep.json" else RunFolder(tmp_path)
    read = getattr(folder, READ_BY.get(name, "read_record"))
    contents = [mutated_json(rng, json.loads(whole)) for _ in range(150)]
    contents += [mutated_bytes(rng, whole) for _ in range(150)]
    assert survives(read, tmp_path / name, contents) > 80
    assert survives(read, tmp_path / name, [whole]) == 0


@pytest.mark.parametrize("name", ["data.npz", "model.npz", "source.npz"])
def test_mutated_arrays_are_read_or_refused(tmp_path, name):
    rng, (source, _) = random.Random(name), write_small_source(tmp_path)
    data = datasets.split_source(str(source), 3, 2)
    data = datasets.replace(data, x_test=data.x_test[:2], y_test=data.y_test[:2])
    model = Model(np.ones((784, 1)), np.ones((1, 10)), 255.0)
    folder, path = RunFolder(tmp_path), tmp_path / name
    whole, read = {
        "data.npz": (data.to_bytes(), folder.read_data),
        "model.npz": (storage.npz_bytes(**vars(model)), folder.read_model),
        "source.npz": (source.read_bytes()[:3000], lambda: datasets.load_source(str(path))),
    }[name]
    ends = [bytes(whole[-600:])] * 100  # the directory of an archive
    contents = [mutated_bytes(rng, whole) for _ in range(60)]
    contents += [whole[:-600] + mutated_bytes(rng, end) for end in ends]
    contents += [mutated_bytes(rng, whole[:200]) + whole[200:] for _ in range(60)]
    assert survives(read, path, contents) > 100


def test_a_mutated_sweep_file_is_read_or_refused(tmp_path):
    path, rng = tmp_path / "s.yaml", random.Random("sweep")
    whole = b"name: s\nbase: {epochs: 3, source: sample}\ngrid:\n  seed: [1, 2]\n  learning_rate: [0.1, 1e-3]\n"
    whole += b"points:\n  - {seed: 3, dropout_rate: 0.2}\nselect: train_error\n"
    contents = [mutated_bytes(rng, whole) for _ in range(200)]
    refused = survives(lambda: definition.points_of(definition.read(path), SweepFolder(tmp_path)), path, contents)
    assert 50 < refused < 200


def test_a_notebook_that_is_nested_too_deeply_to_be_quoted_is_refused(tmp_path):
    cell = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# A", "more": "@"}
    text = json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]})
    (tmp_path / "a.ipynb").write_text(text.replace('"@"', "[" * 400 + "]" * 400))
    with pytest.raises(InvalidRecord, match=r"a\.ipynb is no notebook \(NotebookValidationError"):
        readers.read_notebook(tmp_path / "a.ipynb")


def test_a_mutated_notebook_is_shown_or_refused(tmp_path):
    path, rng = tmp_path / "n.ipynb", random.Random("notebook")
    whole = json.loads((storage.NOTEBOOKS / "02_train.ipynb").read_bytes())
    whole["cells"] = whole["cells"][:4] + [
        cell
        for cell in whole["cells"]
        if any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))
    ]
    for cell in whole["cells"]:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output["data"]["image/png"] = "iVBORw0KGgo="
    whole["cells"].append(
        {"cell_type": "markdown", "id": "m", "metadata": {}, "source": r"# A $\frac{a}{b}$ [b](#c) ![d](e)"}
    )
    contents = [mutated_json(rng, whole) for _ in range(150)]
    contents += [mutated_bytes(rng, json.dumps(whole).encode()) for _ in range(50)]
    refused = survives(lambda: rendering.write_notebook_report(path, tmp_path / "n.html"), path, contents)
    assert 50 < refused < 200
