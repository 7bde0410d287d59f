"""Load images from where they come from, check them, and split them into three sets."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from pipeline.errors import InvalidData, InvalidRecord
from pipeline.parameters import KERAS_SOURCES
from pipeline.readers import read_arrays
from pipeline.storage import NOTEBOOKS, npz_bytes, place_of, project_path, sha256_of

SAMPLE = NOTEBOOKS / "data" / "mnist_sample.npz"
SAMPLE_SHA256 = {
    "x_train": "4d1e2862007bab5908d814e74806c6c8f7c4a4f32b5875d195406d4d1dbe4946",
    "y_train": "e1be9271eae282fe1479074d79e9b9523ada775ebb01e19299727123e3acca5e",
    "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}
ARRAYS = tuple(SAMPLE_SHA256)
LAYOUT_ADVICE = 'Use source "sample", or the path of an .npz file in the layout of keras.datasets.mnist.'
SAMPLE_ADVICE = f"Restore it: git checkout {place_of(SAMPLE)}"

Arrays = dict[str, np.ndarray]


class _Provenance(BaseModel):
    source: str
    sha256: dict[str, str]


@dataclass(frozen=True)
class Data:
    """Images (N, 784) uint8 and labels (N,) uint8 of three sets, and the digests of the source's four arrays."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_validation: np.ndarray
    y_validation: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    source: str
    source_sha256: Mapping[str, str]

    @property
    def arrays(self) -> Arrays:
        """Return the six arrays, in the order in which they are declared."""
        return {name: array for name, array in vars(self).items() if isinstance(array, np.ndarray)}

    @property
    def sha256(self) -> str:
        return sha256_of(*self.arrays.values())

    def without_test(self) -> "Data":
        """Return the same without test images, for training, which has no use for them."""
        return replace(self, x_test=self.x_test[:0], y_test=self.y_test[:0])

    def to_bytes(self) -> bytes:
        """Return the content of data.npz."""
        provenance = json.dumps({"source": self.source, "sha256": dict(self.source_sha256)})
        return npz_bytes(provenance=provenance, **self.arrays)

    @classmethod
    def of(cls, stored: Arrays) -> "Data":
        """Return what the arrays of data.npz hold. Raises ValueError if its provenance is none."""
        provenance = _Provenance.model_validate_json(str(stored["provenance"]))
        images = {name: stored[name] for name in cls.__annotations__ if name[:2] in ("x_", "y_")}
        return cls(**images, source=provenance.source, source_sha256=provenance.sha256)


def load_source(source: str) -> Arrays:
    """Load x_train (N, 28, 28), y_train (N,), x_test (M, 28, 28) and y_test (M,), all uint8, and check them.

    source: "sample", which comes with the project; "mnist" or "fashion_mnist", which keras.datasets downloads once; or
    the path of an .npz file, relative to the project's root. Raises InvalidData.
    """
    if source in KERAS_SOURCES:
        arrays = _load_from_keras(source)
        _check_layout(arrays, f"keras.datasets.{source}", "Remove its file from Keras's cache, and try again.")
        return arrays
    path, advice = source_path(source), SAMPLE_ADVICE if source == "sample" else LAYOUT_ADVICE
    try:
        arrays = read_arrays(path, advice)
    except InvalidRecord as error:
        raise InvalidData(str(error)) from None
    _check_layout(arrays, path, advice)
    if source == "sample":
        _check_sample(arrays)
    return {name: arrays[name] for name in ARRAYS}


def source_path(source: str) -> Path:
    """Return the file of a source that is not one of keras.datasets."""
    return SAMPLE if source == "sample" else project_path(source)


def _load_from_keras(source: str) -> Arrays:
    os.environ.setdefault("KERAS_BACKEND", "jax")  # Keras would ask for TensorFlow
    import keras  # 2 to 4 seconds, for a source that the default run does not use

    try:
        (x_train, y_train), (x_test, y_test) = getattr(keras.datasets, source).load_data()
    except Exception as error:  # noqa: BLE001 - which is what keras raises when a download fails
        reason = " ".join(str(error).split())
        raise InvalidData(
            f'The source "{source}" could not be loaded through keras.datasets ({reason}). It is downloaded the first '
            'time, which needs a network. Without one use source "sample", which comes with the project, or the '
            "path of an .npz file in the layout of keras.datasets.mnist."
        ) from None
    return dict(zip(ARRAYS, (x_train, y_train, x_test, y_test), strict=True))


def _check_layout(arrays: Arrays, path: Path | str, advice: str) -> None:
    for name in ARRAYS:
        if name not in arrays:
            raise InvalidData(f"{path} has no array {name}; it has {', '.join(arrays) or 'none'}. {advice}")
        array, layout = arrays[name], (28, 28) if name.startswith("x") else ()
        if array.dtype != np.uint8:
            raise InvalidData(f"{name} in {path} has dtype {array.dtype}, but must be uint8. {advice}")
        if array.ndim != 1 + len(layout) or array.shape[1:] != layout:
            allowed = "(N, 28, 28)" if layout else "(N,)"
            raise InvalidData(f"{name} in {path} has shape {array.shape}, but must be {allowed}. {advice}")
        if len(array) == 0:
            raise InvalidData(f"{name} in {path} is empty. {advice}")
    for split in ("train", "test"):
        images, labels = arrays[f"x_{split}"], arrays[f"y_{split}"]
        if len(images) != len(labels):
            raise InvalidData(f"{path} has {len(images)} images in x_{split}, but {len(labels)} labels in y_{split}.")
        if labels.max() > 9:
            raise InvalidData(f"y_{split} in {path} has the label {labels.max()}, but labels must be 0 to 9.")


def _check_sample(arrays: Arrays) -> None:
    for name, expected in SAMPLE_SHA256.items():
        if sha256_of(arrays[name]) != expected:
            raise InvalidData(
                f"{name} in {SAMPLE} is not the array that was committed: its SHA-256 differs. {SAMPLE_ADVICE}"
            )


def split_source(source: str, num_samples: int, num_validation: int) -> Data:
    """Load a source, flatten its images and split its training set, from the front: training, then validation.

    Raises InvalidData if it cannot be loaded, or has fewer than num_samples + num_validation training images.
    """
    arrays = load_source(source)
    x_train, y_train = arrays["x_train"].reshape(-1, 28 * 28), arrays["y_train"]
    end = num_samples + num_validation
    if end > len(x_train):
        raise InvalidData(
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
        source=source,
        source_sha256={name: sha256_of(arrays[name]) for name in ARRAYS},
    )
