import hashlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from pipeline import datasets, storage
from pipeline.errors import InvalidData


def save(path, arrays):
    np.savez(path, **arrays)
    return str(path)


# ---- the sample and other sources ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "header", "digest"),
    [
        ("x_test", (0x803, 10000, 28, 28), "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
        ("y_test", (0x801, 10000), "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
    ],
)
def test_the_samples_test_set_is_mnists(name, header, digest):
    """Written back as the IDX file that MNIST is published as, it has that file's well-known SHA-256."""
    idx = np.array(header, ">i4").tobytes() + datasets.load_source("sample")[name].tobytes()
    assert hashlib.sha256(idx).hexdigest() == digest


def test_the_sample_has_two_thousand_training_images():
    arrays = datasets.load_source("sample")
    assert {name: (array.shape, array.dtype.name) for name, array in arrays.items()} == {
        "x_train": ((2000, 28, 28), "uint8"),
        "y_train": ((2000,), "uint8"),
        "x_test": ((10000, 28, 28), "uint8"),
        "y_test": ((10000,), "uint8"),
    }


def test_an_altered_sample_is_refused(tmp_path, monkeypatch):
    arrays = datasets.load_source("sample")
    arrays["x_train"][1234, 5, 6] ^= 1
    monkeypatch.setattr(datasets, "SAMPLE", tmp_path / "sample.npz")
    save(datasets.SAMPLE, arrays)
    with pytest.raises(
        InvalidData,
        match="x_train in .*sample.npz is not the array .* git checkout notebooks/data/mnist_sample.npz",
    ):
        datasets.load_source("sample")


def test_a_path_source_is_loaded(small_source):
    path, arrays = small_source
    loaded = datasets.load_source(str(path))
    assert all(np.array_equal(loaded[name], array) for name, array in arrays.items())


def without(name):
    return lambda arrays: arrays.pop(name)


def replaced(name, change):
    return lambda arrays: arrays.update({name: change(arrays[name])})


@pytest.mark.parametrize(
    ("alter", "message"),
    [
        (without("y_test"), "has no array y_test; it has x_train, y_train, x_test"),
        (replaced("x_train", lambda x: x / 255), "x_train in .* has dtype float64, but must be uint8"),
        (replaced("y_train", lambda y: y.astype(np.int64)), "y_train in .* has dtype int64, but must be uint8"),
        (replaced("x_test", lambda x: x.reshape(30, 784)), r"x_test in .* has shape \(30, 784\), but must be \(N, 28"),
        (replaced("x_test", lambda x: x[:, :14]), r"x_test in .* has shape \(30, 14, 28\)"),
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


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.999])
def test_a_truncated_source_is_refused(tmp_path, small_source, kept):
    whole = small_source[0].read_bytes()
    path = tmp_path / "cut.npz"
    path.write_bytes(whole[: kept if isinstance(kept, int) else int(len(whole) * kept)])
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
            assert all(np.array_equal(loaded[name], array) for name, array in arrays.items())
    assert refused > 250


def test_a_single_array_is_no_source(tmp_path):
    path = tmp_path / "single.npz"
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(InvalidData, match="is not a whole .npz file"):
        datasets.load_source(str(path))


def test_a_missing_source_is_refused(tmp_path):
    with pytest.raises(InvalidData, match='none.npz is not there. Use source "sample", or the path'):
        datasets.load_source(str(tmp_path / "none.npz"))


def test_the_training_set_is_split_from_the_front_and_images_are_flattened(small_source):
    path, arrays = small_source
    data = datasets.split_source(str(path), 40, 15)
    assert np.array_equal(data.x_train, arrays["x_train"][:40].reshape(40, 784))
    assert np.array_equal(data.x_validation, arrays["x_train"][40:55].reshape(15, 784))
    assert np.array_equal(data.y_train, arrays["y_train"][:40])
    assert np.array_equal(data.y_validation, arrays["y_train"][40:55])
    assert np.array_equal(data.y_test, arrays["y_test"])
    assert np.array_equal(data.x_test, arrays["x_test"].reshape(30, 784))
    assert (data.x_validation.shape, data.x_validation.dtype) == ((15, 784), np.uint8)
    assert data.source == str(path)
    assert data.source_sha256 == {name: storage.sha256_of(array) for name, array in arrays.items()}
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


def test_a_source_is_below_the_projects_root_or_absolute():
    assert datasets.source_path("sample") == storage.NOTEBOOKS / "data" / "mnist_sample.npz"
    assert datasets.source_path("runs/x.npz") == storage.ROOT / "runs" / "x.npz"
    assert str(datasets.source_path("/x.npz")) == "/x.npz"


# ---- keras.datasets --------------------------------------------------------------------------------------------


@pytest.fixture
def keras_home(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_BACKEND", "jax")


def test_mnist_comes_through_keras_datasets(keras_home, small_source, monkeypatch):
    """Replace only the download of keras.datasets.mnist, by a small local file."""
    import keras.src.datasets.mnist as module

    path, arrays = small_source
    asked = []
    monkeypatch.setattr(module, "get_file", lambda fname, **options: asked.append((fname, options)) or str(path))
    loaded = datasets.load_source("mnist")
    assert asked[0][0] == "mnist.npz"
    assert len(asked[0][1]["file_hash"]) == 64
    assert all(np.array_equal(loaded[name], array) for name, array in arrays.items())


def test_fashion_mnist_comes_through_keras_datasets(keras_home, small_source, tmp_path, monkeypatch):
    import gzip

    import keras.src.datasets.fashion_mnist as module

    _, arrays = small_source
    names = {"train-images": "x_train", "train-labels": "y_train", "t10k-images": "x_test", "t10k-labels": "y_test"}

    def local(name, **options):
        array = arrays[names["-".join(name.split("-")[:2])]]
        header = bytes(16 if "images" in name else 8)  # the IDX header, which keras skips
        path = tmp_path / name
        path.write_bytes(gzip.compress(header + array.tobytes()))
        return str(path)

    monkeypatch.setattr(module, "get_file", local)
    loaded = datasets.load_source("fashion_mnist")
    assert all(np.array_equal(loaded[name], array) for name, array in arrays.items())
    arrays["y_test"] = arrays["y_test"] + np.uint8(10)
    with pytest.raises(InvalidData, match="y_test in keras.datasets.fashion_mnist has the label"):
        datasets.load_source("fashion_mnist")


@pytest.mark.parametrize("source", ["mnist", "fashion_mnist"])
def test_without_a_network_one_message_names_the_alternatives(keras_home, source, monkeypatch):
    """Send the real download to a port of this machine where nothing listens."""
    import urllib.request

    proxy = urllib.request.ProxyHandler({"https": "http://127.0.0.1:9", "http": "http://127.0.0.1:9"})
    monkeypatch.setattr(urllib.request, "_opener", urllib.request.build_opener(proxy))
    with pytest.raises(InvalidData) as caught:
        datasets.load_source(source)
    message = str(caught.value)
    assert "\n" not in message
    assert f'"{source}" could not be loaded through keras.datasets' in message
    assert 'use source "sample"' in message
    assert "path of an .npz file" in message


def test_keras_is_not_imported_unless_asked_for():
    code = "import sys; from pipeline import datasets; datasets.load_source('sample'); print('keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
