"""Read a folder of pictures, and convert each picture to MNIST's format.

The folder has a sub-folder of pictures for each class.
"""

import string
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from pipeline.errors import InvalidFile, InvalidInput
from pipeline.images.arrays import Arrays

# The side of an image, and the side of the box that its ink is scaled into, in pixels.
SIDE, BOX = 28, 20
CENTRE = 14.5  # where the centre of mass is put in both directions, as in MNIST
BLANK = 25  # a picture with less contrast than this, out of 255 grey levels, is blank
FAINT = 0.2  # ink fainter than this share of the darkest ink counts as paper
WHOLE_SIDE = 0.9  # if at least this share of a side is ink, the paper is in shade
SEED = 1  # the seed of the generator that draws the test images

STRAY = "files that are not a PNG or JPEG in the folder of a class, left out"
EMPTY = "blank pictures, left out"
SHADED = "pictures in shade; light them evenly, scan them, or crop them"


def read_folder(folder: Path) -> tuple[Arrays, list[str]]:
    """Read a folder of pictures, and split them into training and test images.

    Return the arrays of a source, and warnings about files that were left out and about
    pictures in shade.

    Raises InvalidFile if a picture cannot be read, and InvalidInput if there are too
    few or too many classes.
    """
    images: dict[str, list[np.ndarray]] = defaultdict(list)
    problems: dict[str, list[str]] = defaultdict(list)  # for each problem, the pictures
    files = []
    for file in sorted(folder.glob("[!.]*/[!.]*")):  # no hidden files
        if file.suffix.lower() in (".png", ".jpg", ".jpeg"):
            files.append(file)
    for file in sorted({*folder.rglob("[!.]*")}.difference(files)):
        if file.is_file():
            problems[STRAY].append(file.relative_to(folder).as_posix())
    for file in files:
        name = file.relative_to(folder).as_posix()
        image, is_shaded = to_mnist(read_greyscale(file))
        if image is None:
            problems[EMPTY].append(name)
            continue
        if is_shaded:
            problems[SHADED].append(name)
        images[file.parent.name].append(image)
    warnings = [describe_problem(problem, names) for problem, names in problems.items()]
    if not 2 <= len(images) <= 10 or min(map(len, images.values())) < 2:
        problem = f"Classes with pictures in {folder}: {len(images)}"
        needed = "The folder needs 2 to 10 classes, with at least two pictures each."
        raise InvalidInput("\n".join([f"{problem}. {needed}", *warnings]))
    names = sorted(images)
    if set(names) <= set(string.digits):
        names = list(string.digits)
    labelled = {names.index(name): images[name] for name in sorted(images)}
    arrays = split_and_mix(labelled) | {"classes": np.array(names)}
    return arrays, warnings


def read_greyscale(file: Path) -> np.ndarray:
    """Read a picture, turn it upright, and convert it to grey levels, (H, W) uint8.

    Raises InvalidFile if the picture cannot be read.
    """
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
    """Convert a picture (H, W) uint8 to MNIST's format, (28, 28) uint8.

    The picture is cropped to its ink, and the ink is scaled to full contrast. The ink
    is then scaled in proportion, so that it fits into 20 x 20 pixels, and its centre of
    mass is moved to the centre of the image. A picture of 28 x 28 pixels that is light
    on dark is not changed.

    Return two values. The first is the image, or None if the picture is blank. The
    second is whether a whole side of the picture is ink, because its paper is in shade.

    Source: Y. LeCun et al. (1998), Gradient-based learning applied to document
    recognition, section III.A.
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
    picture = picture.crop(picture.getbbox())  # removes empty borders
    width, height = (
        max(1, round(BOX * extent / max(picture.size))) for extent in picture.size
    )
    mass = np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC), float)
    if mass.max() == 0:  # the ink was specks so far apart that scaling removed them
        return None, False
    image = np.zeros((SIDE, SIDE), np.uint8)
    rows, columns = (_find_centred_slice(mass.sum(axis=axis)) for axis in (1, 0))
    image[rows, columns] = np.round(mass * (255 / mass.max()))
    return image, is_shaded


def _find_centred_slice(ink_per_line: np.ndarray) -> slice:
    """Return the rows of an image into which some rows of ink have to be copied.

    ink_per_line: the sum of the ink in each row.

    The centre of mass of the ink is then as close to CENTRE as possible. The function
    works in the same way for columns.
    """
    count = len(ink_per_line)
    centre = float(np.average(np.arange(count) + 0.5, weights=ink_per_line))
    start = min(max(0, round(CENTRE - centre)), SIDE - count)
    return slice(start, start + count)


def describe_problem(problem: str, names: Sequence[str]) -> str:
    """Return a warning about a problem, with the names of the first five pictures."""
    more = ", ..." if len(names) > 5 else ""
    return f"Warning: {problem} ({len(names)}): {', '.join(names[:5])}{more}"


def split_and_mix(classes: Mapping[int, Sequence[np.ndarray]]) -> Arrays:
    """Draw a fifth of each class as test images, and use the others for training.

    classes: the images of each label.

    Return the arrays of a source. The training images of all classes are mixed evenly.
    Each class therefore has about the same share of the first training images as of the
    last training images, which become the validation images.
    """
    rng = np.random.RandomState(SEED)
    test: list[tuple[float, int, np.ndarray]] = []
    train: list[tuple[float, int, np.ndarray]] = []
    for label, images in classes.items():
        shuffled = rng.permutation(np.array(images))  # (N, 28, 28)
        fifth = max(1, len(shuffled) // 5)
        for chosen, part in ((test, shuffled[:fifth]), (train, shuffled[fifth:])):
            # An image has a place in its class, from 0 to 1. Sorting the images of all
            # classes by these places mixes the classes.
            chosen += [((i + 0.5) / len(part), label, x) for i, x in enumerate(part)]
    arrays = {}
    for name, examples in (("train", train), ("test", test)):
        examples.sort(key=lambda example: example[:2])
        arrays[f"x_{name}"] = np.array([image for *_, image in examples])
        arrays[f"y_{name}"] = np.array([label for _, label, _ in examples], np.uint8)
    return arrays
