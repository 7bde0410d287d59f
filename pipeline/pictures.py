"""Read pictures of one's own, and bring each into the form of MNIST's digits.

A folder has a sub-folder of pictures for each class. A table is a .csv file in Kaggle's layout:
a label and 784 pixels a line, below a line of names, or without it.
"""

import string
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from pipeline.errors import InvalidData

SIDE, BOX = 28, 20  # of an image, and of the box that its ink is scaled into, in pixels
CENTRE = (
    14.5  # of mass, from the left and from the top: the middle of pixel 14, as in MNIST
)
BLANK = 25  # grey levels of 255: with less contrast a picture is blank
FAINT = 0.2  # of the darkest ink: what is fainter counts as paper
WHOLE_SIDE = 0.9  # of the pixels along a side: if more are ink, the paper is in shade
SEED = 1  # of the generators that draw the test images and the order of training
Arrays = dict[str, np.ndarray]
Problems = defaultdict[str, list[str]]  # from a problem to the pictures that have it
Picture = tuple[str, str, np.ndarray]  # its class, its file or line, (H, W) uint8


def read(
    path: Path,
) -> tuple[Arrays, tuple[str, ...], list[str], dict[str, list[np.ndarray]]]:
    """Read a folder or a table, and split it. Raises InvalidData with all that is wrong.

    Return arrays as in a source, names of classes, notes, and samples of each class, (28, 28)
    uint8, in pairs: a picture as it was and as it is now.
    """
    problems = Problems(list)
    classes = defaultdict[str, list[np.ndarray]](list)
    samples = defaultdict[str, list[np.ndarray]](list)
    first: dict[bytes, str] = {}  # the first picture that gives an image
    inverted = 0
    for label, name, grey in (_read_folder if path.is_dir() else _read_table)(
        path, problems
    ):
        images = classes[label]
        image, is_dark, is_shaded = to_mnist(grey)
        if image is None:
            problems["Warning: blank, left out"].append(name)
            continue
        if is_shaded:
            problems["Warning: in shade; light it evenly, scan it, or crop it"].append(
                name
            )
        other = first.setdefault(image.tobytes(), name)
        if other != name:
            problems["Warning: equal once scaled; leave one out"].append(
                f"{other} = {name}"
            )
        if len(images) < 5:
            before = ImageOps.pad(
                Image.fromarray(grey), image.shape, color=int(grey[0, 0])
            )
            samples[label] += [np.asarray(before), image]
        images.append(image)
        inverted += is_dark
    counts = {label: len(images) for label, images in classes.items()}
    few = [label for label, count in counts.items() if count < 10]
    if few:
        problems["Warning: fewer than 10 pictures, too few to judge by"] = few
    lines = [
        f"{problem} ({len(found)}): {', '.join(found[:5])}{', ...' * (len(found) > 5)}"
        for problem, found in problems.items()
    ]
    warnings = [line for line in lines if line.startswith("Warning")]
    if (
        not 2 <= len(counts) <= 10
        or min(counts.values()) < 2
        or len(warnings) < len(lines)
    ):
        noun = "class" if len(counts) == 1 else "classes"
        needs = (
            f"It has {len(counts)} {noun}, and needs 2 to 10, of two pictures or more."
        )
        if not path.is_dir():
            needs += " The first column is the label, the other 784 are pixels."
        raise InvalidData("\n".join([f"{path} cannot be used. {needs}", *lines]))
    names = tuple(
        string.digits if set(classes) <= set(string.digits) else sorted(classes)
    )
    note = f"{inverted} of {sum(counts.values())} pictures are dark on light and were inverted."
    arrays = _split(
        {names.index(label): images for label, images in sorted(classes.items())}
    )
    return arrays, names, [note, *warnings], samples


def to_mnist(grey: np.ndarray) -> tuple[np.ndarray | None, bool, bool]:
    """Bring a picture (H, W) uint8 into the form of MNIST's digits: (28, 28), or None if blank.

    Its ink is cropped, scaled into 20 x 20 pixels in proportion, to full contrast, and centred by
    its mass. A picture of 28 x 28 pixels, light on dark, stays as it is. Return also whether it is
    dark on light, and whether a whole side is ink. Source: Y. LeCun et al. (1998), Gradient-based
    learning applied to document recognition, section III.A.
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
    width, height = (
        max(1, round(BOX * extent / max(picture.size))) for extent in picture.size
    )
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
    files = sorted(folder.glob("[!.]*/[!.]*"), key=lambda file: file.parts)
    return [file for file in files if file.suffix.lower() in (".png", ".jpg", ".jpeg")]


def _read_folder(folder: Path, problems: Problems) -> Iterator[Picture]:
    pictures = find_pictures(folder)
    for file in sorted({*folder.rglob("[!.]*")}.difference(pictures)):
        if file.is_file():
            problem = "Warning: neither PNG nor JPEG, or not in the folder of a class, left out"
            problems[problem].append(file.relative_to(folder).as_posix())
    for file in pictures:
        name = file.relative_to(folder).as_posix()
        try:
            with Image.open(file, formats=("PNG", "JPEG")) as stored:
                if stored.mode.startswith("I"):
                    raise ValueError("Pillow would cut its 16 bits to 8")
                picture = ImageOps.exif_transpose(stored).convert("RGBA")
        except Exception:  # noqa: BLE001 - Pillow's errors have no common base
            problems["Not readable as PNG or JPEG of 8 bits"].append(name)
            continue
        paper = Image.new("RGBA", picture.size, "white")
        grey = Image.alpha_composite(paper, picture).convert("L")
        yield file.parent.name, name, np.asarray(grey)


def _read_table(path: Path, problems: Problems) -> Iterator[Picture]:
    lines = path.read_text("utf-8-sig", "replace").splitlines()
    for number, line in enumerate(lines, 1):
        label, *cells = line.split(",")
        if number == 1 and not any(cell.strip().isdigit() for cell in cells):
            continue  # the names of the columns
        try:
            pixels = np.frombuffer(bytes(map(int, cells)), np.uint8).reshape(SIDE, SIDE)
            yield label.strip(), f"line {number}", pixels
        except ValueError:
            problem = "Not a label and 784 whole numbers from 0 to 255, with commas"
            problems[problem].append(f"line {number}")


def _split(classes: dict[int, list[np.ndarray]]) -> Arrays:
    """Draw a fifth of each class to test on. Shuffle the others, each class spread evenly."""
    arrays = defaultdict[str, list[Any]](list)
    places: list[float] = []  # of the training images, from 0 to 1
    rng = np.random.RandomState(SEED)
    for label, images in classes.items():
        shuffled = np.random.RandomState(SEED).permutation(np.array(images))
        fifth = max(1, len(images) // 5)
        for split, chosen in (("train", shuffled[fifth:]), ("test", shuffled[:fifth])):
            arrays[f"x_{split}"] += [*chosen]
            arrays[f"y_{split}"] += [label] * len(chosen)
        count = len(images) - fifth
        places += [*((rng.permutation(count) + rng.random_sample(count)) / count)]
    order: dict[str, Any] = {
        "train": np.argsort(places, kind="stable"),
        "test": slice(None),
    }
    return {
        name: np.array(array, "u1")[order[name[2:]]] for name, array in arrays.items()
    }
