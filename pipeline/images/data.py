"""Load images from their source, check them, and split them into three sets."""

import json
import os
import string
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.digests import digest_arrays
from pipeline.errors import InvalidInput
from pipeline.images import pictures
from pipeline.images.arrays import Arrays, Layout, read_arrays, to_npz
from pipeline.parameters import KERAS_SOURCES, SOURCES
from pipeline.paths import NOTEBOOKS, resolve_source
from pipeline.records import SPLITS

SAMPLE = NOTEBOOKS / "data" / "mnist_sample.npz"
SOURCE: Layout = {"x_train": ("uint8", ("N", 28, 28)), "y_train": ("uint8", ("N",))}
SOURCE |= {"x_test": ("uint8", ("M", 28, 28)), "y_test": ("uint8", ("M",))}
DATA: Layout = {f"x_{split}": ("uint8", (split, 784)) for split in SPLITS}
DATA |= {f"y_{split}": ("uint8", (split,)) for split in SPLITS}


class Classes(tuple[str, ...]):
    """The names of two to ten classes, in the order of their labels."""

    @property
    def nouns(self) -> tuple[str, str]:
        """Return the word for a class, in the singular and in the plural."""
        return ("digit", "digits") if self == DIGITS else ("class", "classes")

    @property
    def outputs(self) -> tuple[str, ...]:
        """Return the names of the network's ten outputs.

        Each name is cut to ten characters. Outputs without a class are named unused.
        """
        names = (name if len(name) <= 10 else f"{name[:9]}…" for name in self)
        return (*names, *["unused"] * (10 - len(self)))

    def to_arrays(self) -> Arrays:
        """Return the array to store in a file, by its name. Digits need no array."""
        return {} if self == DIGITS else {"classes": np.array(self)}


DIGITS = Classes(string.digits)
_NAMES = "T-shirt trousers pullover dress coat sandal shirt sneaker bag boot"
CLOTHES = Classes(_NAMES.split())


def find_committed_file(name: str) -> Path:
    """Return the path of a file in the folder of the MNIST sample."""
    return SAMPLE.parent / name


def read_classes(arrays: Arrays) -> Classes:
    """Return the names of the classes in a file.

    arrays: the arrays in the file. If none contains names, the classes are digits.
    """
    return Classes(map(str, arrays["classes"])) if "classes" in arrays else DIGITS


@dataclass(frozen=True, eq=False)
class Data:
    """The images (N, 784) uint8 and labels (N,) uint8 of three sets, and their source.

    source_sha256: the SHA-256 of each of the four arrays of the source, by name.
    warnings: warnings about the user's own pictures.
    samples: some of the user's own pictures, see `pictures.Pictures`.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_validation: np.ndarray
    y_validation: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    source: str
    source_sha256: dict[str, str]
    classes: Classes = DIGITS
    warnings: list[str] = field(default_factory=list)
    samples: dict[str, list[np.ndarray]] = field(default_factory=dict)

    @property
    def arrays(self) -> Arrays:
        """Return the six arrays, in the order of the fields."""
        fields = vars(self).items()
        return {name: array for name, array in fields if name[:2] in ("x_", "y_")}

    @property
    def sha256(self) -> str:
        """Return one digest of the six arrays."""
        return digest_arrays(*self.arrays.values())

    def without_test(self) -> "Data":
        """Return a copy without test images, which training does not need."""
        return replace(self, x_test=self.x_test[:0], y_test=self.y_test[:0])

    def to_bytes(self) -> bytes:
        """Return the content of data.npz."""
        provenance = json.dumps({"source": self.source, "sha256": self.source_sha256})
        return to_npz(provenance=provenance, **self.arrays, **self.classes.to_arrays())

    @classmethod
    def read(cls, path: Path, advice: str) -> "Data":
        """Read a data.npz. Raises InvalidFile if the file is missing or damaged."""
        arrays = read_arrays(path, DATA, advice)
        provenance = json.loads(str(arrays["provenance"]))
        sets: Any = {name: arrays[name] for name in DATA}
        source, digests = provenance["source"], provenance["sha256"]
        return cls(
            **sets, source=source, source_sha256=digests, classes=read_classes(arrays)
        )


def load_source(source: str) -> Data:
    """Load the training images and the test images of a source, and check them.

    The returned data has no validation images yet, see `split_data`. Raises
    InvalidInput if the source does not exist or cannot be used.
    """
    path = SAMPLE if source == "sample" else resolve_source(source)
    extras: dict[str, Any] = {}
    if source in KERAS_SOURCES:
        arrays = _load_from_keras(source)
        if source == "fashion_mnist":
            extras = {"classes": CLOTHES}
    elif path.is_dir():
        own = pictures.read_folder(path)
        arrays, classes = own.arrays, Classes(own.classes)
        extras = {"warnings": own.warnings, "samples": own.samples, "classes": classes}
    elif path.suffix.lower() == ".npz":
        arrays = read_arrays(
            path, SOURCE, "Use an .npz file in the layout of keras.datasets."
        )
    else:
        problem = f"source is {source!r}, but must be {SOURCES}"
        raise InvalidInput(f"{problem}. No .npz file and no folder is at {path}.")
    for name in ("y_train", "y_test"):
        if len(arrays[name]) == 0 or arrays[name].max() > 9:
            allowed = "labels from 0 to 9, and at least one label"
            raise InvalidInput(f"{source}: {name} must hold {allowed}.")
    digests = {name: digest_arrays(arrays[name]) for name in SOURCE}
    x_train, y_train = arrays["x_train"].reshape(-1, 784), arrays["y_train"]
    x_test, y_test = arrays["x_test"].reshape(-1, 784), arrays["y_test"]
    no_images, no_labels = x_train[:0], y_train[:0]  # for the validation images
    sets = (x_train, y_train, no_images, no_labels, x_test, y_test)
    return Data(*sets, source, digests, **extras)


def split_source(source: str, num_samples: int, num_validation: int) -> Data:
    """Load the images of a source, and split them as `split_data` does."""
    return split_data(load_source(source), num_samples, num_validation)


def split_data(data: Data, num_samples: int, num_validation: int) -> Data:
    """Keep the first training images, and use the next images for validation.

    num_samples: how many training images are kept.
    num_validation: how many of the images after them become validation images.

    Raises InvalidInput if the source has too few training images. The message suggests
    numbers that fit: a fifth of the images for validation, but at most 1000, and all
    others for training.
    """
    x, y, end = data.x_train, data.y_train, num_samples + num_validation
    if end > len(x):
        fifth = min(1000, len(x) // 5)
        raise InvalidInput(
            f"num_samples + num_validation is {num_samples} + {num_validation} = {end}"
            f", but the source {data.source!r} has {len(x)} training images. "
            f"These fit: num_samples {len(x) - fifth}, num_validation {fifth}."
        )
    front, rest = slice(num_samples), slice(num_samples, end)
    return replace(
        data,
        x_train=x[front],
        y_train=y[front],
        x_validation=x[rest],
        y_validation=y[rest],
    )


def _load_from_keras(source: str) -> Arrays:
    os.environ.setdefault("KERAS_BACKEND", "jax")  # else Keras asks for TensorFlow
    try:
        import keras  # takes 2 to 4 seconds
    except ModuleNotFoundError:
        raise InvalidInput(
            f'"{source}" needs the extra `keras`, which is not installed. '
            "(uv) pip install -e '.[keras]' in the project's folder adds it."
        ) from None
    try:
        train, test = getattr(keras.datasets, source).load_data()
    except Exception as error:  # noqa: BLE001 - Keras raises it if a download fails
        raise InvalidInput(
            f'"{source}" could not be loaded by keras.datasets, which downloads it '
            f'once ({error}). Use the source "sample", or the path of an .npz file in '
            "the layout of keras.datasets."
        ) from None
    return dict(zip(SOURCE, [*train, *test], strict=True))
