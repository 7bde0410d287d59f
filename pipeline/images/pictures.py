"""Read pictures of one's own, and bring each into the form of MNIST's digits.

A folder has a sub-folder of pictures for each class. A table is a .csv file in Kaggle's
layout: a label and 784 pixels a line, below a line of names, or without it.
"""

import csv
import io
import string
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from pipeline.errors import InvalidInput

SIDE, BOX = 28, 20  # of an image, and of the box that its ink is scaled into, in pixels
CENTRE = 14.5  # of mass, from the left and the top: the middle of pixel 14, as in MNIST
BLANK = 25  # grey levels of 255: with less contrast a picture is blank
FAINT = 0.2  # what is fainter than this share of the darkest ink counts as paper
WHOLE_SIDE = 0.9  # if more of the pixels along a side are ink, the paper is in shade
SEED = 1  # of the generators that draw the test images and the order of training
Arrays = dict[str, np.ndarray]
Picture = tuple[str, str, np.ndarray]  # its class, its file or line, (H, W) uint8


@dataclass(frozen=True)
class Problem:
    """What may be wrong with a picture. Only a fatal one keeps a source from use."""

    text: str
    is_fatal: bool = False


BLANK_PICTURE = Problem("blank, left out")
SHADED = Problem("in shade; light it evenly, scan it, or crop it")
EQUAL = Problem("equal once scaled; leave one out")
FEW = Problem("fewer than 10 pictures, too few to judge by")
NO_PICTURE = Problem("neither PNG nor JPEG, or not in the folder of a class, left out")
UNREADABLE = Problem("Not readable as PNG or JPEG of 8 bits", is_fatal=True)
NO_ROW = Problem(
    "Not a label and 784 whole numbers from 0 to 255, with commas", is_fatal=True
)
Problems = defaultdict[Problem, list[str]]  # the pictures that have each


@dataclass
class Collection:
    """The pictures of a source as they are read, by class, and what is wrong with them.

    samples: pairs of the first pictures of each class, original and converted.
    """

    images: defaultdict[str, list[np.ndarray]]
    samples: defaultdict[str, list[np.ndarray]]
    problems: Problems
    inverted: int = 0


@dataclass(frozen=True)
class OwnPictures:
    """A source of one's own: arrays as in any source, and what is to be said of them.

    samples: pairs of pictures of each class, original and converted, (28, 28) uint8.
    """

    arrays: Arrays
    names: tuple[str, ...]  # of the classes
    notes: list[str]
    warnings: list[str]
    samples: dict[str, list[np.ndarray]]


def read(path: Path) -> OwnPictures:
    """Read a folder or a table, and split it.

    Raises InvalidInput with all that is wrong.
    """
    found = collect(path)
    counts = {label: len(images) for label, images in found.images.items()}
    few = [label for label, count in counts.items() if count < 10]
    if few:
        found.problems[FEW] = few
    check(path, counts, found.problems)
    has_digits = set(counts) <= set(string.digits)
    names = tuple(string.digits) if has_digits else tuple(sorted(counts))
    total = sum(counts.values())
    note = f"{found.inverted} of {total} pictures are dark on light and were inverted."
    warnings = [describe(problem, files) for problem, files in found.problems.items()]
    classes = {names.index(label): found.images[label] for label in sorted(counts)}
    return OwnPictures(_split(classes), names, [note], warnings, found.samples)


def collect(path: Path) -> Collection:
    """Bring each picture of a folder or a table into the form of MNIST's digits."""
    found = Collection(defaultdict(list), defaultdict(list), defaultdict(list))
    first: dict[bytes, str] = {}  # the first picture that gives an image
    read_pictures = _read_folder if path.is_dir() else _read_table
    for label, name, grey in read_pictures(path, found.problems):
        images = found.images[label]
        image, is_dark_on_light, is_shaded = to_mnist(grey)
        if image is None:
            found.problems[BLANK_PICTURE].append(name)
            continue
        if is_shaded:
            found.problems[SHADED].append(name)
        other = first.setdefault(image.tobytes(), name)
        if other != name:
            found.problems[EQUAL].append(f"{other} = {name}")
        if len(images) < 5:
            paper = int(grey[0, 0])
            before = ImageOps.pad(Image.fromarray(grey), image.shape, color=paper)
            found.samples[label] += [np.asarray(before), image]
        images.append(image)
        if is_dark_on_light:
            found.inverted += 1
    return found


def check(path: Path, counts: dict[str, int], problems: Problems) -> None:
    """Raise InvalidInput if there are too few or many classes, or a fatal problem."""
    is_fatal = any(problem.is_fatal for problem in problems)
    has_classes = 2 <= len(counts) <= 10 and min(counts.values()) >= 2
    if has_classes and not is_fatal:
        return
    text = f"{path} cannot be used."
    if not has_classes:
        noun = "class" if len(counts) == 1 else "classes"
        text += f" It has {len(counts)} {noun}, and needs 2 to 10, of two pictures or"
        text += " more."
    if not path.is_dir():
        text += " The first column is the label, the other 784 are pixels."
    lines = [describe(problem, files) for problem, files in problems.items()]
    raise InvalidInput("\n".join([text, *lines]))


def describe(problem: Problem, files: list[str]) -> str:
    """Return a problem and the first five pictures that have it."""
    severity = "" if problem.is_fatal else "Warning: "
    listed = ", ".join(files[:5])
    more = ", ..." if len(files) > 5 else ""
    return f"{severity}{problem.text} ({len(files)}): {listed}{more}"


def to_mnist(grey: np.ndarray) -> tuple[np.ndarray | None, bool, bool]:
    """Bring a picture (H, W) uint8 into the form of MNIST's digits, or None if blank.

    Its ink is cropped, scaled into 20 x 20 pixels in proportion and to full contrast,
    and centred by its mass in (28, 28) uint8. But a picture of 28 x 28 pixels that is
    light on dark stays as it is. Return also whether it is dark on light, and whether a
    whole side is ink. Source: Y. LeCun et al. (1998), Gradient-based learning applied
    to document recognition, section III.A.
    """
    paper = int(np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])))
    is_dark_on_light = paper > 127
    contrast = grey.astype(np.int16) - paper
    ink = np.clip(-contrast if is_dark_on_light else contrast, 0, 255)
    if ink.max() < BLANK:
        return None, is_dark_on_light, False
    if grey.shape == (SIDE, SIDE) and not is_dark_on_light:
        return grey, is_dark_on_light, False
    ink = ink / ink.max()
    strokes = np.where(ink < FAINT, 0, np.round(255 * ink)).astype(np.uint8)
    sides = strokes[0], strokes[-1], strokes[:, 0], strokes[:, -1]
    is_shaded = any(np.mean(side > 0) >= WHOLE_SIDE for side in sides)
    picture = Image.fromarray(strokes)
    picture = picture.crop(picture.getbbox())  # of what is not 0
    width, height = (
        max(1, round(BOX * extent / max(picture.size))) for extent in picture.size
    )
    mass = np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC), float)
    if mass.max() == 0:  # specks that are too far apart to leave anything
        return None, is_dark_on_light, False
    image = np.zeros((SIDE, SIDE), np.uint8)
    middle = _find_place(mass.sum(axis=1)), _find_place(mass.sum(axis=0))
    image[middle] = np.round(mass * (255 / mass.max()))
    return image, is_dark_on_light, is_shaded


def _find_place(mass: np.ndarray) -> slice:
    """Return the rows, or columns, of an image that ink of this mass (n,) fills."""
    centre = float(np.average(np.arange(len(mass)) + 0.5, weights=mass))
    start = min(max(0, round(CENTRE - centre)), SIDE - len(mass))
    return slice(start, start + len(mass))


def find_pictures(folder: Path) -> list[Path]:
    """Return the pictures in the folders of classes, by name, without hidden files."""
    files = sorted(folder.glob("[!.]*/[!.]*"), key=lambda file: file.parts)
    return [file for file in files if file.suffix.lower() in (".png", ".jpg", ".jpeg")]


def _read_folder(folder: Path, problems: Problems) -> Iterator[Picture]:
    pictures = find_pictures(folder)
    for file in sorted({*folder.rglob("[!.]*")}.difference(pictures)):
        if file.is_file():
            problems[NO_PICTURE].append(file.relative_to(folder).as_posix())
    for file in pictures:
        name = file.relative_to(folder).as_posix()
        try:
            with Image.open(file, formats=("PNG", "JPEG")) as stored:
                if stored.mode.startswith("I"):
                    raise ValueError("Pillow would cut its 16 bits to 8")
                picture = ImageOps.exif_transpose(stored).convert("RGBA")
        except Exception:  # noqa: BLE001 - Pillow's errors have no common base
            problems[UNREADABLE].append(name)
            continue
        paper = Image.new("RGBA", picture.size, "white")
        grey = Image.alpha_composite(paper, picture).convert("L")
        yield file.parent.name, name, np.asarray(grey)


def _read_table(path: Path, problems: Problems) -> Iterator[Picture]:
    rows = csv.reader(io.StringIO(path.read_text("utf-8-sig", "replace")))
    for number, row in enumerate(rows, 1):
        if not row:
            continue  # an empty line
        label, *cells = row
        if number == 1 and not any(cell.strip().isdigit() for cell in cells):
            continue  # the names of the columns
        try:
            pixels = np.frombuffer(bytes(map(int, cells)), np.uint8).reshape(SIDE, SIDE)
        except ValueError:
            label = ""
        if label.strip():
            yield label.strip(), f"line {number}", pixels
        else:
            problems[NO_ROW].append(f"line {number}")


def _split(classes: dict[int, list[np.ndarray]]) -> Arrays:
    """Draw a fifth of each class to test on; shuffle the rest, evenly mixed.

    classes: the images of each label.

    Evenly spread means that any part of the training images, such as the validation
    images, has about as much of each class.
    """
    train: list[tuple[np.ndarray, int]] = []
    test: list[tuple[np.ndarray, int]] = []
    positions: list[float] = []  # of the training images, from 0 to 1
    rng = np.random.RandomState(SEED)
    for label, images in classes.items():
        shuffled = np.random.RandomState(SEED).permutation(np.array(images))
        fifth = max(1, len(images) // 5)
        test += [(image, label) for image in shuffled[:fifth]]
        train += [(image, label) for image in shuffled[fifth:]]
        count = len(images) - fifth
        # One in each of `count` equal intervals, at random within it.
        positions += [*((rng.permutation(count) + rng.random_sample(count)) / count)]
    order = np.argsort(positions, kind="stable")
    train = [train[index] for index in order]
    return {
        f"{name}_{split}": np.array([pair[part] for pair in pairs], "u1")
        for split, pairs in (("train", train), ("test", test))
        for part, name in enumerate("xy")
    }
