"""Sources are checked, and split into three sets."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import InvalidFile, InvalidInput
from pipeline.images import data
from pipeline.images.data import DIGITS, Classes
from pipeline.results.run_folder import RunFolder


def test_the_samples_test_set_is_mnists():
    """Written in the IDX format of the published MNIST, it has their known SHA-256."""
    sample = data.load_source("sample")
    images = np.array((0x803, 10000, 28, 28), ">i4").tobytes() + sample.x_test.tobytes()
    labels = np.array((0x801, 10000), ">i4").tobytes() + sample.y_test.tobytes()
    assert hashlib.sha256(images).hexdigest().startswith("0fa7898d509279e4")
    assert hashlib.sha256(labels).hexdigest().startswith("ff7bcfd416de3373")
    assert (sample.x_train.shape, sample.y_train.shape) == ((2000, 784), (2000,))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "y_test",
            None,
            "has no array y_test. Use an .npz file in the layout of keras.datasets",
        ),
        (
            "x_train",
            lambda x: x / 255,
            r"x_train float64 \(60, 28, 28\), but must have uint8",
        ),
        ("x_test", lambda x: x.reshape(30, 784), r"must have uint8 \(30, 28, 28\)"),
        (
            "x_test",
            lambda x: x[..., np.newaxis],
            r"x_test uint8 \(30, 28, 28, 1\), but must have",
        ),
        (
            "y_train",
            lambda y: y[:-1],
            r"y_train uint8 \(59,\), but must have uint8 \(60,\)",
        ),
        ("y_test", lambda y: y + 10, "y_test must hold labels from 0 to 9"),
        (
            "x_test",
            lambda x: x.astype(object),
            "is not a whole .npz file of plain arrays",
        ),
    ],
)
def test_a_source_of_another_layout_is_refused(
    tmp_path, small_source, name, change, message
):
    _, arrays = small_source
    array = arrays.pop(name)
    if change:
        arrays[name] = change(array)
    np.savez(tmp_path / "changed.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        data.load_source(str(tmp_path / "changed.npz"))


def test_a_source_that_was_cut_short_or_is_not_there_is_refused(small_source):
    path, _ = small_source
    for end in (-1, -20_000, 0):
        path.write_bytes(path.read_bytes()[:end])
        with pytest.raises(InvalidFile, match="is not a whole .npz file"):
            data.load_source(str(path))
    for source in ("nowhere", "README.md", "nowhere/x.npz"):
        with pytest.raises(ValueError, match="Nothing .*is at|is missing"):
            data.load_source(source)


def test_split_takes_training_images_from_the_front_and_flattens_them(small_source):
    path, arrays = small_source
    split = data.split_source(str(path), 40, 15)
    for kind, flat in (
        ("x", arrays["x_train"].reshape(60, 784)),
        ("y", arrays["y_train"]),
    ):
        assert np.array_equal(split.arrays[f"{kind}_train"], flat[:40])
        assert np.array_equal(split.arrays[f"{kind}_validation"], flat[40:55])
    assert np.array_equal(split.x_test, arrays["x_test"].reshape(30, 784))
    assert np.array_equal(split.y_test, arrays["y_test"])
    digests = {
        name: hashlib.sha256(array.tobytes()).hexdigest()
        for name, array in arrays.items()
    }
    assert (split.source, split.source_sha256) == (str(path), digests)


def test_split_refuses_more_images_than_there_are_with_what_fits(small_source):
    path, _ = small_source
    message = (
        "is 50 \\+ 11 = 61, but .* has 60 .* fits: num_samples 48, num_validation 12"
    )
    with pytest.raises(InvalidInput, match=message):
        data.split_source(str(path), 50, 11)
    assert data.fit_sizes(60_000) == {"num_samples": 59_000, "num_validation": 1000}


def test_the_digest_of_data_is_over_all_six_arrays_and_not_over_their_source(
    small_source,
):
    split = data.split_source(str(small_source[0]), 30, 30)
    changed = [
        replace(split, **{name: array[::-1]}) for name, array in split.arrays.items()
    ]
    assert len({split.sha256, *(other.sha256 for other in changed)}) == 7
    assert (
        replace(split, source="elsewhere.npz", source_sha256={}).sha256 == split.sha256
    )


def test_data_npz_holds_the_data_and_names_that_are_no_digits(small_source, tmp_path):
    folder = RunFolder(tmp_path / "run")
    for classes in (DIGITS, Classes(["cat", "hippopotamus"])):
        split = replace(data.split_source(str(small_source[0]), 40, 5), classes=classes)
        folder.write_data(split)
        again = folder.read_data()
        assert (again.sha256, again.classes, again.source) == (
            split.sha256,
            classes,
            split.source,
        )
    assert again.classes.outputs == ("cat", "hippopota…", *["unused"] * 8)
