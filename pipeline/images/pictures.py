"""Read a folder of pictures, and convert each picture to MNIST's format.

The folder has a sub-folder of pictures for each class.
"""

import string
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from pipeline.errors import InvalidFile, InvalidInput
from pipeline.images.arrays import Arrays

SIDE, BOX = 28, 20  # of an image, and of the box that its ink is scaled into, in pixels
CENTRE = 14.5  # of mass, from the left and the top: the middle of pixel 14, as in MNIST
BLANK = 25  # grey levels of 255; a picture with less contrast is blank
FAINT = 0.2  # ink fainter than this share of the darkest ink counts as paper
WHOLE_SIDE = 0.9  # if a larger share of a side is ink, the paper is in shade
PAIRS = 5  # pictures of each class to show before and after the conversion
SEED = 1  # of the generator that draws the test images

STRAY = "neither PNG nor JPEG, or not in the folder of a class, left out"
EMPTY = "blank, left out"
SHADED = "in shade; light it evenly, scan it, or crop it"


@dataclass(frozen=True)
class Pictures:
    """The user's own pictures as the arrays of a source, with warnings about them.

    samples: pairs of the first pictures of each class, before and after they were
        converted to MNIST's format, (28, 28) uint8.
    """

    arrays: Arrays
    classes: tuple[str, ...]
    warnings: list[str]
    samples: dict[str, list[np.ndarray]]


def read_folder(folder: Path) -> Pictures:
    """Read a folder of pictures, and split them into training and test images.

    Raises InvalidFile if a picture cannot be read, and InvalidInput if there are too
    few or too many classes.
    """
    images: dict[str, list[np.ndarray]] = defaultdict(list)
    samples: dict[str, list[np.ndarray]] = defaultdict(list)
    problems: dict[str, list[str]] = defaultdict(list)  # names of pictures by problem
    files = find_pictures(folder)
    for file in sorted({*folder.rglob("[!.]*")}.difference(files)):
        if file.is_file():
            problems[STRAY].append(file.relative_to(folder).as_posix())
    for file in files:
        name = file.relative_to(folder).as_posix()
        grey = read_greyscale(file)
        image, is_shaded = to_mnist(grey)
        if image is None:
            problems[EMPTY].append(name)
            continue
        if is_shaded:
            problems[SHADED].append(name)
        own = images[file.parent.name]
        if len(own) < PAIRS:
            paper = int(grey[0, 0])
            before = ImageOps.pad(Image.fromarray(grey), image.shape, color=paper)
            samples[file.parent.name] += [np.asarray(before), image]
        own.append(image)
    warnings = [describe_problem(problem, names) for problem, names in problems.items()]
    if not 2 <= len(images) <= 10 or min(map(len, images.values())) < 2:
        problem = f"Classes with pictures in {folder}: {len(images)}"
        needed = "The folder needs 2 to 10, each with at least two pictures."
        raise InvalidInput("\n".join([f"{problem}. {needed}", *warnings]))
    is_digits = set(images) <= set(string.digits)
    classes = tuple(string.digits) if is_digits else tuple(sorted(images))
    labelled = {classes.index(name): images[name] for name in sorted(images)}
    return Pictures(split_and_mix(labelled), classes, warnings, samples)


def find_pictures(folder: Path) -> list[Path]:
    """Return the sorted paths of the pictures of all classes, without hidden files."""
    files = sorted(folder.glob("[!.]*/[!.]*"), key=lambda file: file.parts)
    return [file for file in files if file.suffix.lower() in (".png", ".jpg", ".jpeg")]


def read_greyscale(file: Path) -> np.ndarray:
    """Read a picture upright and in grey levels, (H, W) uint8. Raises InvalidFile."""
    try:
        with Image.open(file, formats=("PNG", "JPEG")) as stored:
            if stored.mode.startswith("I"):
                raise ValueError("Pillow would cut its 16 bits to 8")
            picture = ImageOps.exif_transpose(stored).convert("RGBA")
    except Exception:  # noqa: BLE001 - Pillow's errors have no common base
        problem = "cannot be read as a PNG or JPEG of 8 bits"
        raise InvalidFile(file, problem, "Replace it, or remove it.") from None
    paper = Image.new("RGBA", picture.size, "white")
    return np.asarray(Image.alpha_composite(paper, picture).convert("L"))


def to_mnist(grey: np.ndarray) -> tuple[np.ndarray | None, bool]:
    """Convert a picture (H, W) uint8 to MNIST's format, or to None if it is blank.

    The ink is cropped, scaled to full contrast and, in proportion, to 20 x 20 pixels,
    and centred by its mass in (28, 28) uint8. But a picture of 28 x 28 pixels that is
    light on dark stays as it is. Also return whether a whole side is ink. Source:
    Y. LeCun et al. (1998), Gradient-based learning applied to document recognition,
    section III.A.
    """
    paper = int(np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])))
    is_dark_on_light = paper > 127
    contrast = grey.astype(np.int16) - paper
    ink = np.clip(-contrast if is_dark_on_light else contrast, 0, 255)
    if ink.max() < BLANK:
        return None, False
    if grey.shape == (SIDE, SIDE) and not is_dark_on_light:
        return grey, False
    ink = ink / ink.max()
    strokes = np.where(ink < FAINT, 0, np.round(255 * ink)).astype(np.uint8)
    sides = strokes[0], strokes[-1], strokes[:, 0], strokes[:, -1]
    is_shaded = any(np.mean(side > 0) >= WHOLE_SIDE for side in sides)
    picture = Image.fromarray(strokes)
    picture = picture.crop(picture.getbbox())  # to the pixels that are not 0
    width, height = (
        max(1, round(BOX * extent / max(picture.size))) for extent in picture.size
    )
    mass = np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC), float)
    if mass.max() == 0:  # specks so far apart that scaling has removed them
        return None, False
    image = np.zeros((SIDE, SIDE), np.uint8)
    rows, columns = (_find_centred_slice(mass.sum(axis=axis)) for axis in (1, 0))
    image[rows, columns] = np.round(mass * (255 / mass.max()))
    return image, is_shaded


def _find_centred_slice(ink_per_line: np.ndarray) -> slice:
    """Return where n rows or columns have to be in an image, to centre their ink."""
    count = len(ink_per_line)
    centre = float(np.average(np.arange(count) + 0.5, weights=ink_per_line))
    start = min(max(0, round(CENTRE - centre)), SIDE - count)
    return slice(start, start + count)


def describe_problem(problem: str, names: Sequence[str]) -> str:
    """Return a warning about a problem, with the first five of the pictures' names."""
    more = ", ..." if len(names) > 5 else ""
    return f"Warning: {problem} ({len(names)}): {', '.join(names[:5])}{more}"


def split_and_mix(classes: Mapping[int, Sequence[np.ndarray]]) -> Arrays:
    """Draw a fifth of each class as test images, and mix the others across classes.

    classes: the images of each label.

    The classes are mixed so evenly that each has about the same share of the first
    training images as of the last ones, which become the validation images.
    """
    rng = np.random.RandomState(SEED)
    test: list[tuple[float, int, np.ndarray]] = []
    train: list[tuple[float, int, np.ndarray]] = []
    for label, images in classes.items():
        shuffled = rng.permutation(np.array(images))  # (N, 28, 28)
        fifth = max(1, len(shuffled) // 5)
        for chosen, part in ((test, shuffled[:fifth]), (train, shuffled[fifth:])):
            # Sorting by an image's place in its class, 0 to 1, mixes the classes.
            chosen += [((i + 0.5) / len(part), label, x) for i, x in enumerate(part)]
    arrays = {}
    for name, examples in (("train", train), ("test", test)):
        examples.sort(key=lambda example: example[:2])
        arrays[f"x_{name}"] = np.array([image for *_, image in examples])
        arrays[f"y_{name}"] = np.array([label for _, label, _ in examples], np.uint8)
    return arrays
