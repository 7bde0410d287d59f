"""The files of a run: whole or not there, never half-written.

01_prepare writes data.npz, 02_train writes model.npz and history.json, 03_evaluate writes metrics.json. Writing
one removes those that were made from its predecessor, so a run folder never mixes two runs.
"""

import hashlib
import importlib.metadata
import io
import json
import os
import tempfile
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.parameters import KERAS_SOURCES

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "notebooks" / "data" / "mnist_sample.npz"
SAMPLE_SHA256 = {
    "x_train": "4d1e2862007bab5908d814e74806c6c8f7c4a4f32b5875d195406d4d1dbe4946",
    "y_train": "e1be9271eae282fe1479074d79e9b9523ada775ebb01e19299727123e3acca5e",
    "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}
ARRAYS = tuple(SAMPLE_SHA256)


class DataError(ValueError):
    """Images, or a file of a run, are missing or not what they should be; the message says what to do."""


# ---- whole-or-nothing writes ----------------------------------------------------------------------------------


def write_whole(path: Path, content: bytes) -> None:
    """Write beside the file, then rename over it: a reader, or a kill, finds the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, 0o644)
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise


def write_json(path: Path, content: Any) -> None:
    write_whole(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())


def read_json(path: Path, next_step: str) -> Any:
    """The content of a JSON file of a run. Raises DataError, with the next step, if it is missing or damaged."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"{path} is not there. {next_step}") from None
    except ValueError as error:
        raise DataError(f"{path} is damaged ({error}). {next_step}") from None


def read_json_or_empty(path: Path) -> dict[str, Any]:
    """A JSON object; empty where there is none that can be read."""
    try:
        content = read_json(path, "")
    except DataError:
        return {}
    return content if isinstance(content, dict) else {}


def write_arrays(path: Path, **arrays: Any) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_whole(path, buffer.getvalue())


def read_arrays(path: Path, next_step: str) -> dict[str, np.ndarray]:
    """All arrays of an .npz file. Raises DataError, with the next step, if it is missing, cut short or altered."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise DataError(f"{path} is not there. {next_step}") from None
    except Exception as error:  # noqa: BLE001 - a damaged file can raise nearly anything
        reason = error if zipfile.is_zipfile(path) else "it is no zip archive, or has been cut short"
        raise DataError(f"{path} is not a whole .npz file of plain arrays ({reason}). {next_step}") from None


# ---- digests --------------------------------------------------------------------------------------------------


def sha256_of(*arrays: np.ndarray) -> str:
    """SHA-256 over the arrays' bytes, one after the other, little-endian and in C order."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)
    return digest.hexdigest()


def sha256_of_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# ---- where the images come from -------------------------------------------------------------------------------


def run_path(run_dir: str) -> Path:
    """A run's folder: `run_dir` as it is when absolute, else below the project's root."""
    return ROOT / run_dir


def run_dir_of(folder: Path) -> str:
    """The inverse: relative to the project's root if it is below, so that it means the same on another machine."""
    return str(folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder)


def load_source(source: str) -> dict[str, np.ndarray]:
    """The four arrays of a source, in the layout of keras.datasets, checked.

    Parameters
    ----------
    source : str
        "sample": the 2,000 training and 10,000 test images that come with the project. "mnist", "fashion_mnist":
        all 60,000 and 10,000, through keras.datasets, which downloads them once. Else the path of an .npz file,
        relative to the project's root.

    Returns
    -------
    dict
        x_train (N, 28, 28), y_train (N,), x_test (M, 28, 28), y_test (M,), all uint8.

    Raises
    ------
    DataError
        If the source cannot be had, is damaged, or has another layout.
    """
    if source in KERAS_SOURCES:
        arrays = _load_from_keras(source)
        _check_layout(arrays, f"keras.datasets.{source}", "Remove its file from Keras's cache, and try again.")
    else:
        path = SAMPLE if source == "sample" else ROOT / source
        advice = 'Use source "sample", or the path of an .npz file in the layout of keras.datasets.mnist.'
        if source == "sample":
            advice = f"Restore it: git checkout {SAMPLE.relative_to(ROOT)}"
        arrays = read_arrays(path, advice)
        _check_layout(arrays, path, advice)
        if source == "sample":
            _check_sample(arrays, advice)
    return {name: arrays[name] for name in ARRAYS}


def _load_from_keras(source: str) -> dict[str, np.ndarray]:
    os.environ.setdefault("KERAS_BACKEND", "jax")  # Keras would ask for TensorFlow
    import keras

    try:
        (x_train, y_train), (x_test, y_test) = getattr(keras.datasets, source).load_data()
    except Exception as error:  # noqa: BLE001 - which is what keras raises when a download fails
        reason = " ".join(str(error).split())
        raise DataError(
            f'The source "{source}" could not be loaded through keras.datasets ({reason}). It is downloaded the first '
            'time, which needs a network. Without one use source "sample", which comes with the project, or the '
            "path of an .npz file in the layout of keras.datasets.mnist."
        ) from None
    return dict(zip(ARRAYS, (x_train, y_train, x_test, y_test), strict=True))


def _check_layout(arrays: dict[str, np.ndarray], path: Path | str, advice: str) -> None:
    for name in ARRAYS:
        if name not in arrays:
            raise DataError(f"{path} has no array {name}; it has {', '.join(arrays) or 'none'}. {advice}")
        array, images = arrays[name], name.startswith("x")
        wanted = "(N, 28, 28)" if images else "(N,)"
        if array.dtype != np.uint8:
            raise DataError(f"{name} in {path} has dtype {array.dtype}, but must be uint8. {advice}")
        if array.ndim != (3 if images else 1) or (images and array.shape[1:] != (28, 28)):
            raise DataError(f"{name} in {path} has shape {array.shape}, but must be {wanted}. {advice}")
        if len(array) == 0:
            raise DataError(f"{name} in {path} is empty. {advice}")
    for split in ("train", "test"):
        images, labels = arrays[f"x_{split}"], arrays[f"y_{split}"]
        if len(images) != len(labels):
            raise DataError(f"{path} has {len(images)} images in x_{split}, but {len(labels)} labels in y_{split}.")
        if labels.max() > 9:
            raise DataError(f"y_{split} in {path} has the label {labels.max()}, but labels must be 0 to 9.")


def _check_sample(arrays: dict[str, np.ndarray], advice: str) -> None:
    for name, expected in SAMPLE_SHA256.items():
        if sha256_of(arrays[name]) != expected:
            raise DataError(f"{name} in {SAMPLE} is not the array that was committed: its SHA-256 differs. {advice}")


# ---- the files of a run, in the order in which they are made ---------------------------------------------------

MADE = ("data.npz", "model.npz", "history.json", "metrics.json")


@dataclass(frozen=True)
class Data:
    """What data.npz holds: images (N, 784) uint8 and labels (N,) uint8 of three splits."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_validation: np.ndarray
    y_validation: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    normalisation: float
    provenance: dict[str, Any]

    @property
    def sha256(self) -> str:
        """Over the six arrays."""
        return sha256_of(self.x_train, self.y_train, self.x_validation, self.y_validation, self.x_test, self.y_test)


def split(source: str, num_samples: int, num_validation: int, normalisation: float) -> Data:
    """A source's images flattened and parted: training, then validation, from the front of its training set.

    Raises
    ------
    DataError
        If the source cannot be loaded, or has fewer than num_samples + num_validation training images.
    """
    arrays = load_source(source)
    x_train, y_train = arrays["x_train"].reshape(-1, 28 * 28), arrays["y_train"]
    end = num_samples + num_validation
    if end > len(x_train):
        raise DataError(
            f"num_samples + num_validation is {num_samples} + {num_validation} = {end}, but the source {source!r} has "
            f"{len(x_train)} training images. Ask for fewer, or use a larger source."
        )
    return Data(
        x_train=x_train[:num_samples],
        y_train=y_train[:num_samples],
        x_validation=x_train[num_samples:end],
        y_validation=y_train[num_samples:end],
        x_test=arrays["x_test"].reshape(-1, 28 * 28),
        y_test=arrays["y_test"],
        normalisation=normalisation,
        provenance={"source": source, "sha256": {name: sha256_of(arrays[name]) for name in ARRAYS}},
    )


def save_data(run_dir: str, data: Data) -> None:
    folder = run_path(run_dir)
    _remove_from(folder, "data.npz")
    fields = vars(data) | {"provenance": json.dumps(data.provenance)}
    write_arrays(folder / "data.npz", **fields)


def load_data(run_dir: str) -> Data:
    advice = "Run 01_prepare.ipynb first, with the same run_dir, or all three notebooks with make run."
    arrays = read_arrays(run_path(run_dir) / "data.npz", advice)
    try:
        scalars = {"normalisation": float(arrays["normalisation"]), "provenance": json.loads(str(arrays["provenance"]))}
        return Data(**arrays | scalars)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{run_path(run_dir) / 'data.npz'} is not what 01_prepare writes ({error}). {advice}") from None


def save_model(run_dir: str, weights_0_1: np.ndarray, weights_1_2: np.ndarray, history: list[dict[str, float]]) -> None:
    folder = run_path(run_dir)
    _remove_from(folder, "model.npz")
    write_json(folder / "history.json", history)
    write_arrays(folder / "model.npz", weights_0_1=weights_0_1, weights_1_2=weights_1_2)
    (folder / CHECKPOINT).unlink(missing_ok=True)


def load_model(run_dir: str) -> tuple[np.ndarray, np.ndarray, list[dict[str, float]]]:
    """weights_0_1 (784, H), weights_1_2 (H, 10) and the history."""
    advice = "Run 02_train.ipynb first, with the same run_dir, or all three notebooks with make run."
    folder = run_path(run_dir)
    weights = read_arrays(folder / "model.npz", advice)
    history = read_json(folder / "history.json", advice)
    try:
        return weights["weights_0_1"], weights["weights_1_2"], history
    except KeyError as error:
        raise DataError(f"{folder / 'model.npz'} is not what 02_train writes: no {error}. {advice}") from None


def save_metrics(run_dir: str, metrics: dict[str, Any]) -> None:
    write_json(run_path(run_dir) / "metrics.json", metrics)


# ---- training that survives ------------------------------------------------------------------------------------

CHECKPOINT = "checkpoint.npz"


@dataclass(frozen=True)
class Checkpoint:
    """All that training needs to go on: after this many records of history, to the same bits."""

    weights_0_1: np.ndarray
    weights_1_2: np.ndarray
    history: list[dict[str, float]]
    learning_rate: float
    random_state: tuple


class Checkpoints:
    """The checkpoints of one training, in its run's folder: saved every few seconds, trusted only if all matches.

    Parameters
    ----------
    run_dir : str
    data : Data
    settings : mapping
        Every parameter that the weights depend on.
    seconds : float
        How much work a kill may cost. A training that takes less time writes no checkpoint.
    """

    def __init__(self, run_dir: str, data: Data, settings: Mapping[str, Any], seconds: float = 2.0) -> None:
        self.path = run_path(run_dir) / CHECKPOINT
        self.seconds = seconds
        self.saved_at = time.monotonic()
        depends_on = {
            "data": data.sha256,
            "normalisation": data.normalisation,
            "settings": dict(settings),
            "code": sha256_of_file(ROOT / "helpers.py"),
            "versions": {name: importlib.metadata.version(name) for name in ("numpy", "numba")},
        }
        self.identity = json.dumps(depends_on, sort_keys=True)

    def load(self) -> Checkpoint | None:
        """The last checkpoint; None where there is none, and with a printed word where it cannot be trusted."""
        if not self.path.exists():
            return None
        try:
            arrays = read_arrays(self.path, "Training begins anew.")
            if str(arrays["identity"]) != self.identity:
                print(f"{CHECKPOINT} is of other parameters, data or code. Training begins anew.")
                return None
            checkpoint = Checkpoint(
                arrays["weights_0_1"],
                arrays["weights_1_2"],
                json.loads(str(arrays["history"])),
                float(arrays["learning_rate"]),
                ("MT19937", arrays["random_key"], int(arrays["random_position"])),
            )
        except (DataError, KeyError, ValueError):
            print(f"{CHECKPOINT} is damaged. Training begins anew.")
            return None
        print(f"Going on after epoch {len(checkpoint.history) - 1}, from {CHECKPOINT}.")
        return checkpoint

    def save_when_due(
        self,
        weights_0_1: np.ndarray,
        weights_1_2: np.ndarray,
        history: list[dict[str, float]],
        learning_rate: float,
        rng: np.random.RandomState,
    ) -> None:
        """Save, if the last one is long enough ago: learning_rate is the next epoch's."""
        if time.monotonic() - self.saved_at < self.seconds:
            return
        _, key, position, *_ = rng.get_state()
        write_arrays(
            self.path,
            identity=self.identity,
            weights_0_1=weights_0_1,
            weights_1_2=weights_1_2,
            history=json.dumps(history),
            learning_rate=learning_rate,
            random_key=key,
            random_position=position,
        )
        self.saved_at = time.monotonic()


def _remove_from(folder: Path, first: str) -> None:
    """Remove a stage's file and all that came of it, the last first; of a finished run its record and report too."""
    if read_json_or_empty(folder / "run.json").get("status") == "done":
        (folder / "run.json").unlink()
    (folder / "report.html").unlink(missing_ok=True)
    for name in reversed(MADE[MADE.index(first) :]):
        (folder / name).unlink(missing_ok=True)
