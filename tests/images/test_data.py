"""Sources are checked, and split into three sets."""

import hashlib
import re
import sys
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest

from pipeline.errors import InvalidInput
from pipeline.images import data
from pipeline.images.data import DIGITS, Classes
from pipeline.results.stage_folder import StageFolder


def test_the_samples_test_set_is_mnists():
    """Written in the IDX format of the published MNIST, it has their known SHA-256."""
    sample = data.load_source("sample")
    images = np.array((0x803, 10000, 28, 28), ">i4").tobytes() + sample.x_test.tobytes()
    labels = np.array((0x801, 10000), ">i4").tobytes() + sample.y_test.tobytes()
    assert hashlib.sha256(images).hexdigest().startswith("0fa7898d509279e4")
    assert hashlib.sha256(labels).hexdigest().startswith("ff7bcfd416de3373")
    assert (sample.x_train.shape, sample.y_train.shape) == ((2000, 784), (2000,))


def test_without_the_extra_a_download_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(InvalidInput, match=re.escape("pip install -e '.[keras]'")):
        data.load_source("mnist")


@pytest.fixture
def keras(monkeypatch):
    """A double of Keras, whose data sets are mocks, because it takes seconds."""
    module = mock.MagicMock()
    monkeypatch.setitem(sys.modules, "keras", module)
    return module.datasets


@pytest.mark.parametrize("source", ["mnist", "fashion_mnist"])
def test_a_source_of_keras_is_loaded_checked_or_names_the_alternatives(
    small_source, keras, source
):
    _, arrays = small_source
    x_train, y_train, x_test, y_test = arrays.values()
    load = getattr(keras, source).load_data
    load.return_value = (x_train, y_train), (x_test, y_test)
    loaded = data.load_source(source)
    for name, array in arrays.items():
        expected = array.reshape(len(array), -1).squeeze()
        assert np.array_equal(getattr(loaded, name), expected)
    y_test += 10
    with pytest.raises(InvalidInput, match="y_test"):
        data.load_source(source)
    load.side_effect = ConnectionError
    with pytest.raises(InvalidInput, match=rf'"{source}" .* "sample", .* \.npz'):
        data.load_source(source)


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        ("y_test", None, "has no array y_test"),
        ("x_train", lambda x: x / 255, "x_train float64 (60, 28, 28), but must"),
        ("x_test", lambda x: x.reshape(30, 784), "x_test uint8 (30, 784), but must"),
        ("y_train", lambda y: y[:-1], "y_train uint8 (59,), but must"),
        ("y_test", lambda y: y + 10, "y_test must hold labels from 0 to 9"),
        ("x_test", lambda x: x.astype(object), "is not a whole .npz file"),
    ],
)
def test_a_source_of_another_layout_is_refused(small_source, name, change, problem):
    path, arrays = small_source
    array = arrays.pop(name)
    if change:
        arrays[name] = change(array)
    np.savez(path, **arrays)
    with pytest.raises(InvalidInput, match=re.escape(problem)):
        data.load_source(str(path))


@pytest.mark.parametrize(
    "names", [["cat"] * 9, ["cat"] * 11, [["cat"] * 10], [*range(10)]]
)
def test_names_that_do_not_fit_the_labels_are_refused(small_source, names):
    path, arrays = small_source
    np.savez(path, **arrays, classes=names)
    with pytest.raises(InvalidInput, match="classes must hold 2 to 10 names"):
        data.load_source(str(path))


def test_images_that_are_not_mnists_are_called_classes(small_source):
    path, arrays = small_source
    source = data.load_source(str(path))
    assert (source.noun, source.classes[:2]) == ("class", ("class 0", "class 1"))
    names = tuple(f"animal {label}" for label in range(10))
    np.savez(path, **arrays, classes=names)
    assert data.load_source(str(path)).classes == names
    sample = data.load_source("sample")
    assert (sample.noun, sample.classes) == ("digit", DIGITS)


@pytest.mark.parametrize("source", ["nowhere", "README.md", "nowhere/x.npz"])
def test_a_source_that_is_not_there_is_refused(source):
    with pytest.raises(InvalidInput, match=source):
        data.load_source(source)


def test_split_takes_training_images_from_the_front_and_flattens_them(small_source):
    path, arrays = small_source
    split = data.split_source(str(path), 40, 15)
    flat = {"x": arrays["x_train"].reshape(60, 784), "y": arrays["y_train"]}
    for kind, array in flat.items():
        assert np.array_equal(split.arrays[f"{kind}_train"], array[:40])
        assert np.array_equal(split.arrays[f"{kind}_validation"], array[40:55])
    assert np.array_equal(split.x_test, arrays["x_test"].reshape(30, 784))
    assert np.array_equal(split.y_test, arrays["y_test"])
    digests = {name: hashlib.sha256(each).hexdigest() for name, each in arrays.items()}
    assert (split.source, split.source_sha256) == (str(path), digests)


def test_the_digest_of_data_is_over_all_six_arrays_and_no_source(small_source):
    split = data.split_source(str(small_source[0]), 30, 30)
    changed = [
        replace(split, **{name: array[::-1]}) for name, array in split.arrays.items()
    ]
    assert len({each.sha256 for each in (split, *changed)}) == 7
    other = replace(split, source="elsewhere.npz", source_sha256={})
    assert other.sha256 == split.sha256


def test_data_npz_holds_the_data_and_names_that_are_no_digits(small_source, tmp_path):
    folder = StageFolder(tmp_path)
    for classes in (DIGITS, Classes(["cat", "hippopotamus"])):
        split = replace(data.split_source(str(small_source[0]), 40, 5), classes=classes)
        folder.write_data(split)
        again = folder.read_data()
        for name in ("sha256", "classes", "source"):
            assert getattr(again, name) == getattr(split, name)
    assert again.classes.outputs == ("cat", "hippopota…", *["unused"] * 8)
