import hashlib
import json
import signal
import subprocess
import sys

import numpy as np
import pytest

from pipeline import files
from pipeline.files import DataError


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
    idx = np.array(header, ">i4").tobytes() + files.load_source("sample")[name].tobytes()
    assert hashlib.sha256(idx).hexdigest() == digest


def test_the_sample_has_two_thousand_training_images():
    arrays = files.load_source("sample")
    assert {name: (array.shape, array.dtype.name) for name, array in arrays.items()} == {
        "x_train": ((2000, 28, 28), "uint8"),
        "y_train": ((2000,), "uint8"),
        "x_test": ((10000, 28, 28), "uint8"),
        "y_test": ((10000,), "uint8"),
    }


def test_an_altered_sample_is_refused(tmp_path, monkeypatch):
    arrays = files.load_source("sample")
    arrays["x_train"][1234, 5, 6] ^= 1
    monkeypatch.setattr(files, "ROOT", tmp_path)
    monkeypatch.setattr(files, "SAMPLE", tmp_path / "sample.npz")
    save(files.SAMPLE, arrays)
    with pytest.raises(DataError, match=r"x_train in .*sample.npz is not the array .* Restore it: git checkout"):
        files.load_source("sample")


def test_a_path_source_is_loaded(small_source):
    path, arrays = small_source
    loaded = files.load_source(str(path))
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
    with pytest.raises(DataError, match=message):
        files.load_source(save(tmp_path / "altered.npz", arrays))


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.999])
def test_a_truncated_source_is_refused(tmp_path, small_source, kept):
    whole = small_source[0].read_bytes()
    path = tmp_path / "cut.npz"
    path.write_bytes(whole[: kept if isinstance(kept, int) else int(len(whole) * kept)])
    with pytest.raises(DataError, match="is not a whole .npz file"):
        files.load_source(str(path))


@pytest.mark.parametrize("save_as", [np.savez, np.savez_compressed])
def test_a_source_with_a_flipped_bit_is_refused_or_unharmed(tmp_path, small_source, save_as):
    """Any bit: those that matter to no array (a time stamp in the zip, say) may go unnoticed."""
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
            loaded = files.load_source(str(path))
        except DataError:
            refused += 1
        else:
            assert all(np.array_equal(loaded[name], array) for name, array in arrays.items())
    assert refused > 250


def test_a_single_array_is_no_source(tmp_path):
    path = tmp_path / "single.npz"
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(DataError, match="is not a whole .npz file"):
        files.load_source(str(path))


def test_a_missing_source_is_refused(tmp_path):
    with pytest.raises(DataError, match='none.npz is not there. Use source "sample", or the path'):
        files.load_source(str(tmp_path / "none.npz"))


def test_split_parts_from_the_front_and_flattens(small_source):
    path, arrays = small_source
    data = files.split(str(path), 40, 15, 255.0)
    assert np.array_equal(data.x_train, arrays["x_train"][:40].reshape(40, 784))
    assert np.array_equal(data.y_validation, arrays["y_train"][40:55])
    assert np.array_equal(data.x_test, arrays["x_test"].reshape(30, 784))
    assert (data.x_validation.shape, data.x_validation.dtype) == ((15, 784), np.uint8)


def test_split_refuses_more_images_than_there_are(small_source):
    with pytest.raises(DataError, match=r"is 50 \+ 11 = 61, but the source .* has 60 training images"):
        files.split(str(small_source[0]), 50, 11, 255.0)
    files.split(str(small_source[0]), 50, 10, 255.0)


# ---- keras.datasets --------------------------------------------------------------------------------------------


@pytest.fixture
def keras_home(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_BACKEND", "jax")


def test_mnist_comes_through_keras_datasets(keras_home, small_source, monkeypatch):
    """keras.datasets.mnist itself, with its download alone replaced by a small local file."""
    import keras.src.datasets.mnist as module

    path, arrays = small_source
    asked = []
    monkeypatch.setattr(module, "get_file", lambda fname, **options: asked.append((fname, options)) or str(path))
    loaded = files.load_source("mnist")
    assert asked[0][0] == "mnist.npz"
    assert len(asked[0][1]["file_hash"]) == 64
    assert all(np.array_equal(loaded[name], array) for name, array in arrays.items())


def test_fashion_mnist_comes_through_keras_datasets(keras_home, small_source, tmp_path, monkeypatch):
    import gzip

    import keras.src.datasets.fashion_mnist as module

    _, arrays = small_source
    parts = {"train-images": "x_train", "train-labels": "y_train", "t10k-images": "x_test", "t10k-labels": "y_test"}

    def local(name, **options):
        array = arrays[parts["-".join(name.split("-")[:2])]]
        header = bytes(16 if "images" in name else 8)  # the IDX header, which keras skips
        path = tmp_path / name
        path.write_bytes(gzip.compress(header + array.tobytes()))
        return str(path)

    monkeypatch.setattr(module, "get_file", local)
    loaded = files.load_source("fashion_mnist")
    assert all(np.array_equal(loaded[name], array) for name, array in arrays.items())
    arrays["y_test"] = arrays["y_test"] + np.uint8(10)
    with pytest.raises(DataError, match="y_test in keras.datasets.fashion_mnist has the label"):
        files.load_source("fashion_mnist")


@pytest.mark.parametrize("source", ["mnist", "fashion_mnist"])
def test_without_a_network_one_message_names_the_alternatives(keras_home, source, monkeypatch):
    """The real download, sent to a port of this machine where nothing listens."""
    import urllib.request

    proxy = urllib.request.ProxyHandler({"https": "http://127.0.0.1:9", "http": "http://127.0.0.1:9"})
    monkeypatch.setattr(urllib.request, "_opener", urllib.request.build_opener(proxy))
    with pytest.raises(DataError) as caught:
        files.load_source(source)
    message = str(caught.value)
    assert "\n" not in message
    assert f'"{source}" could not be loaded through keras.datasets' in message
    assert 'use source "sample"' in message
    assert "path of an .npz file" in message


def test_keras_is_not_imported_unless_asked_for():
    code = "import sys; from pipeline import files; files.load_source('sample'); print('keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


# ---- whole or not at all ---------------------------------------------------------------------------------------


def test_write_whole_leaves_the_old_file_when_the_write_fails(tmp_path):
    path = tmp_path / "file.json"
    files.write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="Out of range float"):
        files.write_json(path, {"a": float("nan")})
    with pytest.raises(TypeError):
        files.write_whole(path, "text, not bytes")
    assert json.loads(path.read_text()) == {"a": 1}
    assert [found.name for found in tmp_path.iterdir()] == ["file.json"]


@pytest.mark.parametrize("moment", ["fsync", "chmod", "replace"])
def test_a_kill_before_the_rename_leaves_the_old_file(tmp_path, moment):
    path = tmp_path / "file.bin"
    files.write_whole(path, b"old")
    code = (
        "import os, signal, sys; from pathlib import Path; from pipeline import files\n"
        f"os.{moment} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "files.write_whole(Path(sys.argv[1]), b'new' * 1000)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)]).returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"


# ---- the files of a run ----------------------------------------------------------------------------------------


@pytest.fixture
def data(small_source):
    return files.split(str(small_source[0]), 40, 10, 127.5)


def test_data_comes_back_as_saved(tmp_path, data):
    files.save_data(str(tmp_path), data)
    loaded = files.load_data(str(tmp_path))
    assert loaded.sha256 == data.sha256
    assert loaded.normalisation == 127.5
    assert loaded.provenance == data.provenance
    assert np.array_equal(loaded.x_validation, data.x_validation)


def test_a_model_comes_back_as_saved(tmp_path):
    weights = np.arange(6.0).reshape(2, 3), np.ones((3, 10))
    files.save_model(str(tmp_path), *weights, [{"train_error": 0.5}])
    *loaded, history = files.load_model(str(tmp_path))
    assert history == [{"train_error": 0.5}]
    assert all(np.array_equal(a, b) for a, b in zip(loaded, weights, strict=True))


def test_a_new_stage_removes_what_was_made_from_the_old_one(tmp_path, data):
    def names():
        return sorted(path.name for path in tmp_path.iterdir() if path.name != "small.npz")

    files.save_data(str(tmp_path), data)
    files.save_model(str(tmp_path), np.ones((2, 2)), np.ones((2, 2)), [])
    files.save_metrics(str(tmp_path), {"test_error": 1.0})
    assert names() == ["data.npz", "history.json", "metrics.json", "model.npz"]
    files.save_model(str(tmp_path), np.ones((2, 2)), np.ones((2, 2)), [])
    assert names() == ["data.npz", "history.json", "model.npz"]
    files.save_data(str(tmp_path), data)
    assert names() == ["data.npz"]


def test_a_stage_run_alone_ends_the_record_and_report_of_the_finished_run(tmp_path, data):
    for status, kept in (("done", False), ("running", True)):
        files.write_json(tmp_path / "run.json", {"status": status})
        (tmp_path / "report.html").write_text("old")
        files.save_data(str(tmp_path), data)
        assert (tmp_path / "run.json").exists() == kept
        assert not (tmp_path / "report.html").exists()


def test_missing_files_of_a_run_say_which_notebook_makes_them(tmp_path, data):
    with pytest.raises(DataError, match=r"data.npz is not there. Run 01_prepare.ipynb first, with the same run_dir"):
        files.load_data(str(tmp_path))
    with pytest.raises(DataError, match=r"model.npz is not there. Run 02_train.ipynb first"):
        files.load_model(str(tmp_path))


def test_damaged_files_of_a_run_are_refused(tmp_path, data):
    files.save_data(str(tmp_path), data)
    whole = (tmp_path / "data.npz").read_bytes()
    (tmp_path / "data.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"data.npz is not a whole .npz file"):
        files.load_data(str(tmp_path))
    np.savez(tmp_path / "data.npz", x_train=np.ones(3))
    with pytest.raises(DataError, match="is not what 01_prepare writes"):
        files.load_data(str(tmp_path))
    np.savez(tmp_path / "model.npz", weights_0_1=np.ones(3))
    (tmp_path / "history.json").write_text("[1, 2")
    with pytest.raises(DataError, match=r"history.json is damaged"):
        files.load_model(str(tmp_path))
    (tmp_path / "history.json").write_text("[]")
    with pytest.raises(DataError, match="is not what 02_train writes: no 'weights_1_2'"):
        files.load_model(str(tmp_path))


def test_sha256_of_arrays_is_over_little_endian_bytes_in_c_order():
    array = np.arange(6.0).reshape(2, 3)
    expected = hashlib.sha256(b"".join(np.float64(value).astype("<f8").tobytes() for value in range(6))).hexdigest()
    assert files.sha256_of(array) == expected
    assert files.sha256_of(np.asfortranarray(array)) == expected
    assert files.sha256_of(array.astype(">f8")) == expected
    assert files.sha256_of(array[:1], array[1:]) == expected
