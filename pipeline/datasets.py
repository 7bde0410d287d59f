"""Load images from where they come from, check them, and split them into three sets."""

import os
from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from pipeline import parameters, pictures
from pipeline.errors import InvalidData, InvalidParameter, InvalidRecord
from pipeline.images import ARRAYS, CLOTHES, DIGITS, Arrays, Data
from pipeline.parameters import KERAS_SOURCES, NAMED_SOURCES
from pipeline.readers import read_arrays
from pipeline.storage import NOTEBOOKS, place_of, project_path, sha256_of_file

SAMPLE = NOTEBOOKS / "data" / "mnist_sample.npz"
SAMPLE_SHA256 = "3a79f2ce1deac27f3accde65e5462995a9dfb53e2d8a9102c0f211ff0ad73e93"  # of the file
LAYOUT_ADVICE = 'Use source "sample", or the path of an .npz file in the layout of keras.datasets.mnist.'
SAMPLE_ADVICE = f"Restore it: git checkout {place_of(SAMPLE)}"


def load_source(source: str) -> Data:
    """Load all that a source has, and check it.

    source: "sample", which comes with the project; "mnist" or "fashion_mnist", which keras.datasets downloads once; or
    the path of an .npz file, a .csv file or a folder of pictures, relative to the project's root. Raises InvalidData;
    what is wrong with pictures is in the errors of what is returned.
    """
    if source in KERAS_SOURCES:
        arrays = _load_from_keras(source)
        _check_layout(arrays, f"keras.datasets.{source}", "Remove its file from Keras's cache, and try again.")
        return Data.of_source(source, arrays, CLOTHES if source == "fashion_mnist" else DIGITS)
    advice = SAMPLE_ADVICE if source == "sample" else LAYOUT_ADVICE
    try:
        parameters.check_source(source)  # of a record or a notebook, since commands check it first
        path = source_path(source)
        if path.suffix.lower() != ".npz":
            return pictures.read(source, path)
        arrays = read_arrays(path, advice)
    except (InvalidParameter, InvalidRecord) as error:
        raise InvalidData(str(error)) from None
    _check_layout(arrays, path, advice)
    if source == "sample" and sha256_of_file(path) != SAMPLE_SHA256:
        raise InvalidData(f"{path} is not the file that was committed: its SHA-256 differs. {advice}")
    return Data.of_source(source, arrays)


def check_apart(source: str, folder: Path, names: Iterable[str]) -> None:
    """Raise InvalidParameter if files of these names, in this folder, would replace a source or become part of it."""
    path, own = source_path(source).resolve(), folder.resolve()
    replaced = path.parent == own and path.name in names
    if source not in NAMED_SOURCES and (replaced or (path.is_dir() and own.is_relative_to(path))):
        raise InvalidParameter(f"source is {source!r}, which the results would overwrite, or be written into. Move it.")


def source_path(source: str) -> Path:
    """Return the file or folder of a source that is not one of keras.datasets."""
    return SAMPLE if source == "sample" else project_path(source)


def source_digest(source: str) -> str:
    """Return the SHA-256 of a source's file, or of its folder's files with their names."""
    if (path := source_path(source)).is_file():
        return sha256_of_file(path)
    found = [*path.glob("*/*"), *path.glob("*/*/*")]  # which follow links, and rglob does not
    found.sort(key=lambda file: file.parts)  # in one order everywhere
    names = [file.relative_to(path) for file in found if pictures.is_picture(file)]
    seen = [name for name in names if not any(part.startswith(".") for part in name.parts)]
    return sha256(repr([(name.as_posix(), sha256_of_file(path / name)) for name in seen]).encode()).hexdigest()


def _load_from_keras(source: str) -> Arrays:
    os.environ["KERAS_BACKEND"] = "jax"  # Keras would ask for TensorFlow, or for what a user has set
    import keras  # 2 to 4 seconds, for a source that the default run does not use

    try:
        train, test = getattr(keras.datasets, source).load_data()
    except Exception as error:  # noqa: BLE001 - which is what keras raises when a download fails
        reason = " ".join(str(error).split())
        raise InvalidData(
            f'The source "{source}" could not be loaded through keras.datasets ({reason}). It is downloaded the first '
            'time, which needs a network. Without one use source "sample", which comes with the project, or the '
            "path of an .npz file in the layout of keras.datasets.mnist."
        ) from None
    return dict(zip(ARRAYS, [*train, *test], strict=True))


def _check_layout(arrays: Arrays, path: Path | str, advice: str) -> None:
    """Raise InvalidData with all that is wrong with the four arrays."""
    problems = []
    for name in ARRAYS:
        layout = (28, 28) if name.startswith("x") else ()
        if (array := arrays.get(name)) is None:
            problems.append(f"{path} has no array {name}; it has {', '.join(arrays) or 'none'}.")
            continue
        if array.dtype != np.uint8:
            problems.append(f"{name} in {path} has dtype {array.dtype}, but must be uint8.")
        if array.ndim != 1 + len(layout) or array.shape[1:] != layout:
            must = "(N, 28, 28)" if layout else "(N,)"
            problems.append(f"{name} in {path} has shape {array.shape}, but must be {must}.")
        elif len(array) == 0:
            problems.append(f"{name} in {path} is empty.")
        elif not layout and array.dtype.kind in "iuf" and not 0 <= array.max() <= 9:
            problems.append(f"{name} in {path} has the label {array.max()}, but labels must be 0 to 9.")
    for split in ("train", "test"):
        images, labels = (len(np.atleast_1d(arrays.get(f"{kind}_{split}", ()))) for kind in "xy")
        if images and labels and images != labels:
            problems.append(f"{path} has {images} images in x_{split}, but {labels} labels in y_{split}.")
    if problems:
        raise InvalidData("\n".join([*problems[:-1], f"{problems[-1]} {advice}"]))


def fitted(images: int, num_samples: int | None = None, num_validation: int | None = None) -> dict[str, int]:
    """Return num_samples and num_validation that use so many images, a fifth of them, or 1000, to validate.

    One that is given stays, and the other fits what it leaves.
    """
    if num_validation is None:
        num_validation = min(1000, images // 5, max(0, images - (num_samples or 0)))
    return {"num_samples": num_samples or max(1, images - num_validation), "num_validation": num_validation}


def split_source(source: str, num_samples: int, num_validation: int) -> Data:
    """Load a source, and split it. Raises as `load_source` and `split` do."""
    return split(load_source(source), num_samples, num_validation)


def split(whole: Data, num_samples: int, num_validation: int) -> Data:
    """Split the training set of what a source has, from the front: training, then validation.

    The numbers are what Parameters admits. Raises InvalidData with all that is wrong: why the source cannot be used,
    and if it has too few images.
    """
    x, y, cut, problems = whole.x_train, whole.y_train, num_samples, list(whole.errors)
    if (end := cut + num_validation) > len(x) > 0:
        kept = cut if cut + min(num_validation, len(x) // 10) <= len(x) else None  # where enough is left to validate
        problems.append(
            f"num_samples + num_validation is {cut} + {num_validation} = {end}, but the source "
            f"{whole.source!r} has {len(x)} training images. Use a larger source, or what fits: "
            f"{parameters.described(fitted(len(x), kept, None if num_validation else 0))}."
        )
    if whole.errors:
        warnings = [note for note in whole.notes if note.startswith("Warning")]
        problems = [f"The source {whole.source!r} cannot be used:", *problems, *warnings]
    if problems:
        raise InvalidData("\n".join(problems))
    return replace(whole, x_train=x[:cut], y_train=y[:cut], x_validation=x[cut:end], y_validation=y[cut:end])
