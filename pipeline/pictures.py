"""Read pictures of one's own, and bring each into the form of MNIST's digits.

A folder has a sub-folder of pictures for each class, or two such folders, train and test. A table
is a .csv file in Kaggle's layout: below its first line, a label and 784 pixels a line.
"""

import string
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from pipeline.errors import InvalidData

SIDE, BOX = 28, 20  # of an image, and of the box that its ink is scaled into, in pixels
CENTRE = 14.5  # of mass, from the left and from the top: the middle of pixel 14, as in MNIST
BLANK = 25  # grey levels of 255: with less contrast a picture is blank
FAINT = 0.2  # of the darkest ink: what is fainter counts as paper
WHOLE_SIDE = 0.9  # of the pixels along a side: if more are ink, the paper is in shade
FEW = 10  # pictures of a class
SEED = 1  # of the generator that draws the test images and the order of training
SAMPLES, SAMPLE_SIZE = 5, (112, 112)  # of a class, to compare with the originals
Problems = defaultdict[str, list[str]]  # from a problem to the pictures that have it


class Picture(NamedTuple):
    """A picture, of a file or of a line. Its split is "" if the source is not split."""

    name: str
    split: str
    label: str
    pixels: np.ndarray  # (H, W) uint8


class Pictures(NamedTuple):
    """The arrays of a source, its classes, notes, and (10, 112, 112) of each: before, after, ..."""

    arrays: dict[str, np.ndarray]
    names: tuple[str, ...]
    notes: list[str]
    samples: dict[str, np.ndarray]


def read(path: Path) -> Pictures:
    """Read a folder or a table, and split it. Raises InvalidData with all that is wrong."""
    problems = Problems(list)
    inverted = 0
    classes = defaultdict[str, list[Picture]](list)
    samples = defaultdict[str, np.ndarray](lambda: np.full((2 * SAMPLES, *SAMPLE_SIZE), 255, "u1"))
    for picture in (_read_folder if path.is_dir() else _read_table)(path, problems):
        count = len(classes[picture.label])
        image, is_dark, is_shaded = to_mnist(picture.pixels)
        if image is None:
            problems["Warning: blank, left out"].append(picture.name)
            continue
        if is_shaded:
            problems["Warning: in shade; light it evenly, scan it, or crop it"].append(picture.name)
        if count < SAMPLES:
            for place, pixels in enumerate((picture.pixels, image), 2 * count):
                sample = ImageOps.pad(Image.fromarray(pixels), SAMPLE_SIZE, Image.Resampling.BOX)
                samples[picture.label][place] = sample
        inverted += is_dark
        classes[picture.label].append(picture._replace(pixels=image))
    names = tuple(string.digits if set(classes) <= set(string.digits) else sorted(classes))
    splits = _split(dict(sorted(classes.items())), problems)
    lines = [
        f"{problem} ({len(found)}): {', '.join(found[:5])}{', ...' * (len(found) > 5)}"
        for problem, found in problems.items()
    ]
    warnings = [line for line in lines if line.startswith("Warning")]
    if not 2 <= len(classes) <= 10 or len(warnings) < len(lines):
        needs = f"It has {len(classes)} classes, and needs 2 to 10, of two pictures or more."
        raise InvalidData("\n".join([f"{path} cannot be used. {needs}", *lines]))
    arrays = {}
    for split, pictures in splits.items():
        labels = [names.index(picture.label) for picture in pictures]
        arrays[f"x_{split}"] = np.array([picture.pixels for picture in pictures])
        arrays[f"y_{split}"] = np.array(labels, np.uint8)
    total = sum(map(len, splits.values()))
    note = f"{inverted} of {total} pictures are dark on light and were inverted."
    return Pictures(arrays, names, [note, *warnings], dict(samples))


def to_mnist(grey: np.ndarray) -> tuple[np.ndarray | None, bool, bool]:
    """Bring a picture (H, W) uint8 into the form of MNIST's digits: (28, 28), or None if blank.

    The ink, which differs from the border, is cropped, scaled into 20 x 20 pixels in proportion,
    to full contrast, and placed with its centre of mass in the middle. A picture of 28 x 28
    pixels, light on dark, stays as it is. Return also whether it is dark on light, and whether a
    whole side is ink. Source: Y. LeCun et al. (1998), Gradient-based learning applied to document
    recognition, section III.A.
    """
    paper = int(np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])))
    is_dark = paper > 127
    contrast = grey.astype(np.int16) - paper
    ink = np.clip(-contrast if is_dark else contrast, 0, 255)
    if ink.max() < BLANK:
        return None, is_dark, False
    if grey.shape == (SIDE, SIDE) and not is_dark:
        return grey, is_dark, False
    ink = ink / ink.max()
    strokes = np.where(ink < FAINT, 0, np.round(255 * ink)).astype(np.uint8)
    sides = strokes[0], strokes[-1], strokes[:, 0], strokes[:, -1]
    is_shaded = any(np.mean(side > 0) >= WHOLE_SIDE for side in sides)
    picture = Image.fromarray(strokes)
    picture = picture.crop(picture.getbbox())  # of what is not 0
    width, height = (max(1, round(BOX * extent / max(picture.size))) for extent in picture.size)
    mass = np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC), float)
    image = np.zeros((SIDE, SIDE), np.uint8)
    middle = _centre(mass.sum(axis=1)), _centre(mass.sum(axis=0))
    image[middle] = np.round(mass * (255 / mass.max()))
    return image, is_dark, is_shaded


def _centre(mass: np.ndarray) -> slice:
    """Return the rows, or columns, of an image that ink of this mass (n,) fills."""
    centre = float(np.average(np.arange(len(mass)) + 0.5, weights=mass))
    start = min(max(0, round(CENTRE - centre)), SIDE - len(mass))
    return slice(start, start + len(mass))


def find_pictures(folder: Path) -> list[Path]:
    """Return the pictures in the folders of classes, by name; hidden files are left out."""
    splits = [folder / "train", folder / "test"]
    parents = splits if all(split.is_dir() for split in splits) else [folder]
    files = [file for parent in parents for file in parent.glob("[!.]*/[!.]*")]
    pictures = [file for file in files if file.suffix.lower() in (".png", ".jpg", ".jpeg")]
    return sorted(pictures, key=lambda file: file.parts)


def _read_folder(folder: Path, problems: Problems) -> Iterator[Picture]:
    pictures = find_pictures(folder)
    levels = ("[!.]*", "[!.]*/[!.]*", "[!.]*/[!.]*/[!.]*")
    files = {file for level in levels for file in folder.glob(level) if file.is_file()}
    for file in sorted(files - set(pictures)):
        problem = "Warning: neither PNG nor JPEG, or not in the folder of a class, left out"
        problems[problem].append(file.relative_to(folder).as_posix())
    for file in pictures:
        name = file.relative_to(folder).as_posix()
        split = file.parts[-3] if name.count("/") == 2 else ""
        try:
            with Image.open(file, formats=("PNG", "JPEG")) as stored:
                picture = ImageOps.exif_transpose(stored).convert("RGBA")
        except Exception:  # noqa: BLE001 - a damaged file raises nearly anything
            problems["Not readable as PNG or JPEG"].append(name)
            continue
        paper = Image.new("RGBA", picture.size, "white")
        grey = Image.alpha_composite(paper, picture).convert("L")
        yield Picture(name, split, file.parts[-2], np.asarray(grey))


def _read_table(path: Path, problems: Problems) -> Iterator[Picture]:
    lines = path.read_text("utf-8-sig", "replace").splitlines()
    for number, line in enumerate(lines[1:], 2):
        label, *cells = line.split(",")
        try:
            pixels = np.frombuffer(bytes(map(int, cells)), np.uint8).reshape(SIDE, SIDE)
            yield Picture(f"line {number}", "", label.strip(), pixels)
        except ValueError:
            problem = "Not a label and 784 whole numbers from 0 to 255, with commas"
            problems[problem].append(f"line {number}")


def _split(classes: dict[str, list[Picture]], problems: Problems) -> dict[str, list[Picture]]:
    """Return the training pictures, shuffled so that each class is spread evenly, and the others.

    A fifth of each class is drawn to test on, unless the source is split already.
    """
    splits: dict[str, list[Picture]] = {"train": [], "test": []}
    places: list[float] = []  # of the training pictures, from 0 to 1
    rng = np.random.RandomState(SEED)
    for label, pictures in classes.items():
        if len(pictures) < FEW:
            problems[f"Warning: fewer than {FEW} pictures, too few to judge by"].append(label)
        if not any(picture.split for picture in pictures):
            order = np.random.RandomState(SEED).permutation(len(pictures))
            fifth = max(1, len(order) // 5)
            drawn = ["test"] * fifth + ["train"] * (len(order) - fifth)
            pairs = zip(order, drawn, strict=False)  # a class may be empty
            pictures = [pictures[i]._replace(split=split) for i, split in pairs]
        for split, chosen in splits.items():
            added = [picture for picture in pictures if picture.split == split]
            chosen += added
            if not added:
                problems[f"Classes without a picture to {split} on"].append(label)
        count = sum(picture.split == "train" for picture in pictures)
        places += [*((rng.permutation(count) + rng.random_sample(count)) / count)]
    splits["train"] = [splits["train"][i] for i in np.argsort(places, kind="stable")]
    first: dict[bytes, Picture] = {}
    for picture in splits["train"] + splits["test"]:
        other = first.setdefault(picture.pixels.tobytes(), picture)
        if (other.split, other.label) != (picture.split, picture.label):
            problem = "Warning: equal once scaled, but in training and test, or of two classes"
            problems[problem].append(f"{other.name} = {picture.name}")
    return splits
