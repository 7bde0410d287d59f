"""Load images from their source, check them, and split them into three sets."""

import json
import os
import string
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.digests import digest_arrays
from pipeline.errors import InvalidInput
from pipeline.images.arrays import Arrays, Layout, read_arrays, to_npz
from pipeline.parameters import KERAS_SOURCES, NAMED_SOURCES, SOURCES
from pipeline.paths import NOTEBOOKS, resolve_source
from pipeline.records import SPLITS

SAMPLE = NOTEBOOKS / "data" / "mnist_sample.npz"
SOURCE: Layout = {"x_train": ("uint8", ("N", 28, 28)), "y_train": ("uint8", ("N",))}
SOURCE |= {"x_test": ("uint8", ("M", 28, 28)), "y_test": ("uint8", ("M",))}
DATA: Layout = {}
for _split in SPLITS:
    DATA[f"x_{_split}"] = ("uint8", (_split, 784))
    DATA[f"y_{_split}"] = ("uint8", (_split,))
# The SHA-256 of MNIST's test set, which the project's sample of MNIST has, too.
MNIST_TEST = {
    "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}


class Classes(tuple[str, ...]):
    """The names of two to ten classes, in the order of their labels."""

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


def is_mnist(digests: Mapping[str, str]) -> bool:
    """Return whether images are from MNIST: whether they have MNIST's test set.

    digests: the SHA-256 of each array of the source, by name.
    """
    return MNIST_TEST.items() <= digests.items()


def list_packages(source: str) -> tuple[str, ...]:
    """Return the packages that, besides NumPy, load the images of a source."""
    if source in KERAS_SOURCES:
        return ("keras", "jax")
    return ("pillow",) if resolve_source(source).is_dir() else ()


def is_available(source: str) -> bool:
    """Return whether a source comes with the project or with Keras, or exists."""
    return source in NAMED_SOURCES or resolve_source(source).exists()


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

    @property
    def arrays(self) -> Arrays:
        """Return the six arrays, in the order of DATA."""
        return {name: getattr(self, name) for name in DATA}

    @property
    def sha256(self) -> str:
        """Return one digest of the six arrays."""
        return digest_arrays(*self.arrays.values())

    @property
    def is_mnist(self) -> bool:
        return is_mnist(self.source_sha256)

    @property
    def noun(self) -> str:
        """Return the word for a class of these images."""
        return "digit" if self.is_mnist else "class"

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
        return cls(
            **sets,
            source=provenance["source"],
            source_sha256=provenance["sha256"],
            classes=read_classes(arrays),
        )


def load_source(source: str) -> Data:
    """Load the training images and the test images of a source, and check them.

    The returned data has no validation images yet, see `split_data`. Raises
    InvalidInput if the source does not exist or cannot be used.
    """
    path = SAMPLE if source == "sample" else resolve_source(source)
    warnings: list[str] = []
    if source in KERAS_SOURCES:
        arrays = _load_from_keras(source)
    elif path.is_dir():
        # This imports Pillow, which takes 0.05 s; most sources are no folders.
        from pipeline.images import pictures

        arrays, warnings = pictures.read_folder(path)
    elif path.suffix.lower() == ".npz" and path.exists():
        advice = "Use an .npz file in the layout of keras.datasets."
        arrays = read_arrays(path, SOURCE, advice)
    else:
        problem = f"source is {source!r}, but must be {SOURCES}"
        raise InvalidInput(f"{problem}. No .npz file and no folder is at {path}.")
    for name in ("y_train", "y_test"):
        if len(arrays[name]) == 0 or arrays[name].max() > 9:
            allowed = "labels from 0 to 9, and at least one label"
            raise InvalidInput(f"{source}: {name} must hold {allowed}.")
    digests = {name: digest_arrays(arrays[name]) for name in SOURCE}
    x_train = arrays["x_train"].reshape(-1, 784)
    y_train = arrays["y_train"]
    return Data(
        x_train=x_train,
        y_train=y_train,
        x_validation=x_train[:0],
        y_validation=y_train[:0],
        x_test=arrays["x_test"].reshape(-1, 784),
        y_test=arrays["y_test"],
        source=source,
        source_sha256=digests,
        classes=_name_classes(source, arrays, digests),
        warnings=warnings,
    )


def _name_classes(source: str, arrays: Arrays, digests: Mapping[str, str]) -> Classes:
    """Return the names of a source's classes. Raises InvalidInput if they do not fit.

    MNIST's are its digits. Other sources may bring names in the array `classes`.
    """
    if is_mnist(digests):
        return DIGITS
    if source == "fashion_mnist":
        return CLOTHES
    largest = int(max(arrays["y_train"].max(), arrays["y_test"].max()))
    if "classes" not in arrays:
        return Classes(f"class {label}" for label in range(max(2, largest + 1)))
    names = arrays["classes"]
    is_text = names.ndim == 1 and names.dtype.kind == "U"
    if not is_text or not max(2, largest + 1) <= len(names) <= 10:
        needed = f"2 to 10 names, and one for each label up to {largest}"
        raise InvalidInput(f"{source}: classes must hold {needed}.")
    return Classes(map(str, names))


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
    x = data.x_train
    y = data.y_train
    end = num_samples + num_validation
    if end > len(x):
        fifth = min(1000, len(x) // 5)
        raise InvalidInput(
            f"num_samples + num_validation is {num_samples} + {num_validation} = {end}"
            f", but the source {data.source!r} has {len(x)} training images. "
            f"These fit: num_samples {len(x) - fifth}, num_validation {fifth}."
        )
    return replace(
        data,
        x_train=x[:num_samples],
        y_train=y[:num_samples],
        x_validation=x[num_samples:end],
        y_validation=y[num_samples:end],
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
