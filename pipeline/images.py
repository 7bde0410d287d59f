"""Hold images with their labels: all that a source has, or the three sets of data.npz; and the names of classes."""

import json
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from pydantic import BaseModel

from pipeline.storage import npz_bytes, sha256_of

Arrays = dict[str, np.ndarray]
ARRAYS = ("x_train", "y_train", "x_test", "y_test")  # of a source
NAME = "1 to 30 printable characters"  # of a class


def is_name(text: str) -> bool:
    """Tell whether a class may be named so: see NAME."""
    return 0 < len(text.strip()) <= len(text) <= 30 and text.isprintable()


class Classes(tuple[str, ...]):
    """The names of two to ten classes, by label. A file holds them only where they are not the digits."""

    @property
    def nouns(self) -> tuple[str, str]:
        """Return what to call one of them, and several."""
        return ("digit", "digits") if self == DIGITS else ("class", "classes")

    @property
    def outputs(self) -> tuple[str, ...]:
        """Return what each of the network's ten outputs stands for, in ten characters at most, no two alike."""
        names = [name if len(name) <= 10 else f"{name[:9]}…" for name in self]
        if len(set(names)) < len(names):
            names = [name if len(name) <= 10 else f"{label} {name[:7]}…" for label, name in enumerate(self)]
        return (*names, *["unused"] * (10 - len(self)))

    def stored(self) -> Arrays:
        return {} if self == DIGITS else {"classes": np.array(self)}

    @classmethod
    def of(cls, stored: Arrays) -> "Classes":
        """Return the names that arrays of a file hold. Raises ValueError if they are not as they must be."""
        if "classes" not in stored:
            return DIGITS
        names = stored["classes"]
        if names.ndim != 1 or names.dtype.kind != "U" or not 2 <= len(names) <= 10 or not all(map(is_name, names)):
            raise ValueError(f"its classes must be 2 to 10 names, each of {NAME}")
        return cls(map(str, names))


DIGITS = Classes(string.digits)
CLOTHES = Classes(("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"))


class _Provenance(BaseModel):
    source: str
    sha256: dict[str, str]


@dataclass(frozen=True)
class Data:
    """Images (N, 784) uint8 and labels (N,) uint8 of three sets, and the digests of the source's four arrays.

    Of own pictures also, though not in data.npz: notes, on how they were brought into this form, with warnings; errors,
    why they cannot be used; and samples, by class: the first pictures as they were and as they are now, (5, 2, 112,
    112) uint8, white where there are fewer.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_validation: np.ndarray
    y_validation: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    source: str
    source_sha256: Mapping[str, str]
    classes: Classes = DIGITS
    notes: Sequence[str] = ()
    errors: Sequence[str] = ()
    samples: Mapping[str, np.ndarray] = field(default_factory=dict)

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
        return npz_bytes(provenance=provenance, **self.arrays, **self.classes.stored())

    @classmethod
    def of(cls, stored: Arrays) -> "Data":
        """Return what the arrays of data.npz hold. Raises ValueError if its provenance or its classes are none."""
        provenance = _Provenance.model_validate_json(str(stored["provenance"]))
        more: Any = {name: stored[name] for name in cls.__annotations__ if name[:2] in ("x_", "y_")}
        return cls(source=provenance.source, source_sha256=provenance.sha256, classes=Classes.of(stored), **more)

    @classmethod
    def of_source(cls, source: str, arrays: Arrays, classes: Classes = DIGITS, **more: Any) -> "Data":
        """Return all that a source has, (N, 28, 28) uint8 and (N,) uint8, without validation images so far."""
        train, test = ((arrays[f"x_{split}"].reshape(-1, 784), arrays[f"y_{split}"]) for split in ("train", "test"))
        digests = {name: sha256_of(arrays[name]) for name in ARRAYS}
        return cls(*train, train[0][:0], train[1][:0], *test, source, digests, classes, **more)
