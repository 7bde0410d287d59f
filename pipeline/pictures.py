"""Read pictures of one's own, and bring each into the form of MNIST's digits.

A folder has a sub-folder of pictures for each class, or two such folders, train and test. A table
is a .csv file in Kaggle's layout: below its first line, a label and 784 pixels a line.
"""

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
SAMPLES, SAMPLE_SIZE = 5, (112, 112)  # of a class, which a reader compares with the originals
DIGITS = tuple("0123456789")
Problems = defaultdict[str, list[str]]  # from a problem to the pictures that have it


class Picture(NamedTuple):
    """A picture: "train", "test" or "" for not split yet; its class; its file or line; pixels."""

    split: str
    label: str
    name: str
    pixels: np.ndarray  # (H, W) uint8


class Pictures(NamedTuple):
    """The arrays of a source, names of classes, notes, and samples: (5, 2, 112, 112) a class."""

    arrays: dict[str, np.ndarray]
    names: tuple[str, ...]
    notes: list[str]
    samples: dict[str, np.ndarray]


def read(path: Path) -> Pictures:
    """Read a folder or a table, and split it. Raises InvalidData with all that is wrong."""
    problems = Problems(list)
    inverted = 0
    classes = defaultdict[str, list[Picture]](list)
    samples = defaultdict[str, np.ndarray](lambda: np.full((SAMPLES, 2, *SAMPLE_SIZE), 255, "u1"))
    for picture in (_read_folder if path.is_dir() else _read_table)(path, problems):
        grey = picture.pixels
        pictures = classes[picture.label]
        image, is_dark, is_shaded = to_mnist(grey)
        if image is None:
            problems["Warning: blank, left out"].append(picture.name)
            continue
        if is_shaded:
            problems["Warning: in shade; light it evenly, scan it, or crop it"].append(picture.name)
        if len(pictures) < SAMPLES:
            before = ImageOps.pad(Image.fromarray(grey), SAMPLE_SIZE, color=int(grey[0, 0]))
            after = Image.fromarray(image).resize(SAMPLE_SIZE, Image.Resampling.NEAREST)
            samples[picture.label][len(pictures)] = before, after
        inverted += is_dark
        pictures.append(picture._replace(pixels=image))
    names = DIGITS if set(classes) <= set(DIGITS) else tuple(sorted(classes))
    splits = _split(dict(sorted(classes.items())), problems)
    lines = [
        f"{problem} ({len(found)}): {', '.join([*found[:5], *['...'] * (len(found) > 5)])}"
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
    count = len(splits["train"] + splits["test"])
    note = f"{inverted} of {count} pictures are dark on light and were inverted."
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
    levels = np.arange(256) / ink.max()
    levels = np.where(levels < FAINT, 0, np.minimum(255, np.round(255 * levels)))
    strokes = levels.astype(np.uint8)[ink]
    sides = strokes[0], strokes[-1], strokes[:, 0], strokes[:, -1]
    is_shaded = any(np.mean(side > 0) >= WHOLE_SIDE for side in sides)
    picture = Image.fromarray(strokes)
    picture = picture.crop(picture.getbbox())  # of what is not 0
    width, height = (max(1, round(BOX * extent / max(picture.size))) for extent in picture.size)
    mass = np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC), float)
    top, left = _find_start(mass.sum(axis=1)), _find_start(mass.sum(axis=0))
    image = np.zeros((SIDE, SIDE), np.uint8)
    image[top : top + height, left : left + width] = np.round(mass * (255 / mass.max()))
    return image, is_dark, is_shaded


def _find_start(mass: np.ndarray) -> int:
    """Return where ink begins whose mass by row, or by column, is (n,)."""
    centre = float(np.average(np.arange(len(mass)) + 0.5, weights=mass))
    return min(max(0, round(CENTRE - centre)), SIDE - len(mass))


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
            yield Picture(split, file.parts[-2], name, _read_grey(file))
        except Exception:  # noqa: BLE001 - a damaged file raises nearly anything
            problems["Not readable as PNG or JPEG"].append(name)


def _read_grey(file: Path) -> np.ndarray:
    """Read a picture upright, on white paper: (H, W) uint8."""
    with Image.open(file, formats=("PNG", "JPEG")) as stored:
        picture = ImageOps.exif_transpose(stored)
    if picture.mode.startswith("I"):  # 16 bits, which Pillow would clip to 8
        return (np.asarray(picture) // 256).astype(np.uint8)
    if picture.has_transparency_data:
        paper = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(paper, picture.convert("RGBA"))
    return np.asarray(picture.convert("L"))


def _read_table(path: Path, problems: Problems) -> Iterator[Picture]:
    lines = path.read_text("utf-8-sig", "replace").splitlines()
    for number, line in enumerate(lines[1:], 2):
        label, *cells = line.split(",")
        try:
            pixels = np.frombuffer(bytes(map(int, cells)), np.uint8).reshape(SIDE, SIDE)
            yield Picture("", label.strip(), f"line {number}", pixels)
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
            order = [pictures[i] for i in np.random.RandomState(SEED).permutation(len(pictures))]
            count = max(1, len(order) // 5)
            pictures = [picture._replace(split="test") for picture in order[:count]]
            pictures += [picture._replace(split="train") for picture in order[count:]]
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
