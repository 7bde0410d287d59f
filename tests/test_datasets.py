import hashlib
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from pipeline import datasets, storage
from pipeline.errors import InvalidData


def holds(loaded, arrays):
    return all(np.array_equal(loaded.arrays[name].ravel(), array.ravel()) for name, array in arrays.items())


def save(path, arrays):
    np.savez(path, **arrays)
    return str(path)


@pytest.mark.parametrize(
    ("name", "header", "digest"),
    [
        ("x_test", (0x803, 10000, 28, 28), "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
        ("y_test", (0x801, 10000), "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
    ],
)
def test_the_samples_test_set_is_mnists(name, header, digest):
    """Written back as the IDX file that MNIST is published as, it has that file's well-known SHA-256."""
    sample = datasets.load_source("sample").arrays
    idx = np.array(header, ">i4").tobytes() + sample[name].tobytes()
    assert hashlib.sha256(idx).hexdigest() == digest
    assert (sample["x_train"].shape, sample["y_train"].shape) == ((2000, 784), (2000,))


def test_an_altered_sample_is_refused(tmp_path, monkeypatch):
    with np.load(datasets.SAMPLE) as file:
        arrays = {name: file[name] for name in file.files}
    arrays["x_train"][1234, 5, 6] ^= 1
    monkeypatch.setattr(datasets, "SAMPLE", tmp_path / "sample.npz")
    save(datasets.SAMPLE, arrays)
    message = "sample.npz is not the file .* git checkout notebooks/data/mnist_sample.npz"
    with pytest.raises(InvalidData, match=message):
        datasets.load_source("sample")


def without(name):
    return lambda arrays: arrays.pop(name)


def replaced(name, change):
    return lambda arrays: arrays.update({name: change(arrays[name])})


def test_a_name_may_end_in_capitals(small_source, tmp_path):
    path, arrays = small_source
    path.rename(tmp_path / "SMALL.NPZ")
    assert np.array_equal(datasets.load_source(str(tmp_path / "SMALL.NPZ")).x_test, arrays["x_test"].reshape(30, 784))


@pytest.mark.parametrize(
    ("alter", "message"),
    [
        (without("y_test"), "has no array y_test; it has x_train, y_train, x_test"),
        (replaced("x_train", lambda x: x / 255), "x_train in .* has dtype float64, but must be uint8"),
        (replaced("y_train", lambda y: y.astype(np.int64)), "y_train in .* has dtype int64, but must be uint8"),
        (replaced("x_test", lambda x: x.reshape(30, 784)), r"x_test in .* has shape \(30, 784\), but must be \(N, 28"),
        (replaced("y_test", lambda y: y.reshape(5, 6)), r"y_test in .* has shape \(5, 6\), but must be \(N,\)"),
        (replaced("y_train", lambda y: y[:-1]), "60 images in x_train, but 59 labels in y_train"),
        (replaced("x_test", lambda x: x[:0]), "x_test in .* is empty"),
        (replaced("y_test", lambda y: y + 10), "y_test in .* has the label 1[0-9], but labels must be 0 to 9"),
        (replaced("x_test", lambda x: x.astype(object)), "is not a whole .npz file of plain arrays"),
    ],
)
def test_a_source_of_another_layout_is_refused(tmp_path, small_source, alter, message):
    _, arrays = small_source
    alter(arrays)
    with pytest.raises(InvalidData, match=message):
        datasets.load_source(save(tmp_path / "altered.npz", arrays))


def test_all_that_is_wrong_with_an_npz_file_is_told_at_once(tmp_path, small_source):
    _, arrays = small_source
    arrays |= {"x_train": arrays["x_train"] / 255, "y_train": arrays["y_train"][:-1], "x_test": arrays["y_test"] + 10}
    del arrays["y_test"]
    with pytest.raises(InvalidData) as caught:
        datasets.load_source(save(tmp_path / "altered.npz", arrays))
    lines = str(caught.value).splitlines()
    wrong = ("x_train .* float64", "x_test .* shape", "no array y_test", "60 images in x_train, but 59 labels")
    assert len(lines) == len(wrong)
    for line, part in zip(lines, wrong, strict=True):
        assert re.search(part, line)
    assert lines[-1].endswith(datasets.LAYOUT_ADVICE)


@pytest.mark.parametrize("kept", [0, 0.5, 0.999])
def test_a_truncated_source_is_refused(small_source, kept):
    path, _ = small_source
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(InvalidData, match="is not a whole .npz file"):
        datasets.load_source(str(path))


@pytest.mark.parametrize("save_as", [np.savez, np.savez_compressed])
def test_a_source_with_a_flipped_bit_is_refused_or_unharmed(tmp_path, small_source, save_as):
    """Any bit: those that matter to no array (such as a time stamp in the zip) may go unnoticed."""
    _, arrays = small_source
    path = tmp_path / "flipped.npz"
    save_as(path, **arrays)
    whole = path.read_bytes()
    places = np.random.default_rng(1).integers(0, 8 * len(whole), 300)
    refused = 0
    for place in places.tolist():
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            loaded = datasets.load_source(str(path))
        except InvalidData:
            refused += 1
        else:
            assert holds(loaded, arrays)
    assert refused > 250


def test_the_training_set_is_split_from_the_front_and_images_are_flattened(small_source):
    path, arrays = small_source
    data = datasets.split_source(str(path), 40, 15)
    images, labels = arrays["x_train"].reshape(60, 784), arrays["y_train"]
    expected = {"x_train": images[:40], "y_train": labels[:40], "x_validation": images[40:55]}
    expected |= {"y_validation": labels[40:55], "x_test": arrays["x_test"].reshape(30, 784), "y_test": arrays["y_test"]}
    for name, array in expected.items():
        assert np.array_equal(data.arrays[name], array), name
    assert data.x_validation.dtype == np.uint8
    assert (data.source, data.source_sha256) == (str(path), {k: storage.sha256_of(v) for k, v in arrays.items()})
    assert datasets.split_source(str(path), 40, 0).x_validation.shape == (0, 784)


def test_more_images_than_there_are_are_refused(small_source):
    with pytest.raises(InvalidData, match=r"is 50 \+ 11 = 61, but the source .* has 60 training images"):
        datasets.split_source(str(small_source[0]), 50, 11)
    datasets.split_source(str(small_source[0]), 50, 10)


def test_the_digest_of_data_is_over_all_six_arrays_and_not_over_their_source(small_source):
    data = datasets.split_source(str(small_source[0]), 30, 30)
    reversed_each = [replace(data, **{name: array[::-1]}).sha256 for name, array in data.arrays.items()]
    assert len({data.sha256, *reversed_each}) == 7
    assert replace(data, source="elsewhere.npz", source_sha256={}).sha256 == data.sha256


def test_keras_is_not_imported_unless_asked_for():
    code = "import sys; from pipeline import datasets; datasets.load_source('sample'); print('keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


@pytest.mark.parametrize(
    ("given", "fits"),
    [
        ({}, (80, 20)),
        ({"num_samples": 95}, (95, 5)),
        ({"num_samples": 100}, (100, 0)),
        ({"num_validation": 50}, (50, 50)),
    ],
)
def test_what_is_not_given_fits_what_the_other_leaves(given, fits):
    assert tuple(datasets.fitted(100, **given).values()) == fits


@pytest.mark.parametrize(
    ("given", "fits"),
    [((1500, 1000), (1500, 400)), ((1999, 1000), (1600, 400)), ((3000, 0), (2000, 0)), ((3000, 1000), (1600, 400))],
)
def test_what_fits_keeps_what_was_given_where_enough_is_left_to_validate(given, fits):
    with pytest.raises(InvalidData, match=f"what fits: num_samples {fits[0]}, num_validation {fits[1]}\\."):
        datasets.split_source("sample", *given)
