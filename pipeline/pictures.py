"""Read one's own pictures, and bring each into the form of MNIST's digits: 28 x 28 pixels, light ink on black.

All that is wrong with them is collected, for one message.
"""

import csv
import re
import unicodedata
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from io import TextIOWrapper
from operator import attrgetter
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from pipeline.errors import InvalidData, shown
from pipeline.images import DIGITS, NAME, Arrays, Classes, Data, is_name
from pipeline.readers import opened

SIDE, BOX = 28, 20  # of an image, and of the box that its ink is scaled into, in pixels
CENTRE = 14.5  # of mass, from the left and from the top: the middle of pixel 14, as in MNIST
BLANK = 25  # grey levels of 255: with less contrast a picture is blank
FAINT = 0.2  # of the darkest ink: what is fainter counts as paper
WHOLE_SIDE = 0.9  # of the pixels along a side: where more are ink, the paper is in shade
SHADED = (
    "Warning: pictures of which a whole side counts as ink, as where the paper is in shade; light it evenly, scan it, "
    "or crop them"
)
SEED = 1  # of the generator that draws the test images and the order of training
HEADERS = [["label", *(f"pixel{i + first}" for i in range(SIDE * SIDE))] for first in (0, 1)]  # Kaggle has both
SAMPLES, SHOWN = 5, 4 * SIDE  # of a class, and how large they are shown, in pixels
STRIP = 1024  # rows of a picture
MAX_LINE = 20_000  # characters of a table; 784 numbers take 3,000
NAMED = 5  # pictures in a message
FEW = 10  # pictures of a class

Problems = defaultdict[str, list[str]]  # from what is wrong to the names of what it is wrong with
Picture = tuple[str, str, str, np.ndarray | None]  # train, test or "", class, name, (H, W) uint8; None after the last
Split = list[tuple[str, np.ndarray]]  # names and images
Sample = tuple[int, str, np.ndarray]  # label, name and image


def as_mnist(grey: np.ndarray) -> tuple[np.ndarray | None, bool, bool]:
    """Bring a picture (H, W) uint8 into the form of MNIST's digits, None if it is blank.

    Tell also if it is dark on light, and if it has ink along a whole side, as where the paper is in shade.

    The border shows what paper is. The ink is cropped, scaled into 20 x 20 pixels with its proportions, to full
    contrast, and placed with its centre of mass in the middle, as far as it stays inside. A picture of 28 x 28 pixels,
    light on dark, stays as it is.

    Source: Y. LeCun et al. (1998), Gradient-based learning applied to document recognition, section III.A.
    """
    paper = int(np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])))
    dark = paper > 127
    ink = np.clip((paper - grey.astype(np.int16)) * (1 if dark else -1), 0, 255).astype(np.uint8)
    if ink.max() < BLANK:
        return None, dark, False
    if grey.shape == (SIDE, SIDE) and not dark:
        return grey, dark, False
    levels = np.arange(256) / ink.max()
    ink = np.where(levels < FAINT, 0, np.minimum(255, np.round(255 * levels))).astype(np.uint8)[ink]
    shaded = any(np.mean(side > 0) >= WHOLE_SIDE for side in (ink[0], ink[-1], ink[:, 0], ink[:, -1]))
    rows, columns = (np.flatnonzero(ink.any(axis=axis)) for axis in (1, 0))
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = (max(1, round(BOX * extent / max(ink.shape))) for extent in ink.shape)
    scaled = np.array(Image.fromarray(ink).resize((width, height), Image.Resampling.BICUBIC), float)
    if not scaled.max():  # lines too thin to be seen
        return None, dark, False
    centres = (np.average(np.arange(n) + 0.5, weights=scaled.sum(axis=k)) for k, n in ((1, height), (0, width)))
    top, left = (min(max(0, round(CENTRE - c)), SIDE - n) for c, n in zip(centres, scaled.shape, strict=True))
    image = np.zeros((SIDE, SIDE), np.uint8)
    image[top : top + height, left : left + width] = np.round(scaled * (255 / scaled.max()))
    return image, dark, shaded


def read(source: str, path: Path) -> Data:
    """Read a folder with a sub-folder a class, or with two such folders, train and test; or a table as Kaggle has it.

    Raises InvalidData or InvalidRecord if it cannot be opened; all else that is wrong is in the errors of what is
    returned.
    """
    problems, counts = Problems(list), Counter[str]()
    found: dict[str, dict[str, Split]] = {}  # by class
    samples: dict[str, np.ndarray] = {}
    try:
        for split, name, place, grey in (_in_folder if path.is_dir() else _in_table)(path, problems):
            pictures = found.setdefault(name, {"train": [], "test": [], "": []})[split]
            if grey is None:
                continue
            image, dark, shaded = as_mnist(grey)
            if image is None:
                problems["Warning: blank pictures, left out"].append(place)
                continue
            if shaded:
                problems[SHADED].append(place)
            pictures.append((place, image))
            counts.update(all=1, dark=int(dark), kept=int(image is grey), drawn=int(split == ""))
            if (place_in_class := sum(map(len, found[name].values())) - 1) < SAMPLES and len(found) <= 10:
                drawn = samples.setdefault(name, np.full((SAMPLES, 2, SHOWN, SHOWN), 255, np.uint8))
                before = ImageOps.pad(Image.fromarray(grey), (SHOWN, SHOWN), color=int(grey[0, 0]))
                drawn[place_in_class] = before, image.repeat(SHOWN // SIDE, axis=0).repeat(SHOWN // SIDE, axis=1)
    except UnicodeDecodeError:
        raise InvalidData(f"{path} is not in UTF-8. Save it as such.") from None
    except (OSError, csv.Error) as error:
        raise InvalidData(f"{path} cannot be read ({error}).") from None
    if not found:
        needed = "a sub-folder of pictures" if path.is_dir() else "the line label,pixel0,...,pixel783, and then lines"
        what = f"{path} has no picture of a class. It needs {needed} for each class."
        raise InvalidData("\n".join([what, *_described(problems)]))
    names = sorted(found, key=_natural)
    if not 2 <= len(names) <= 10:
        problems[f"Too {'few' if len(names) < 2 else 'many'} classes, since there must be 2 to 10"] += names
    problems[f"Names of classes, not of {NAME}"] += [name for name in names if not is_name(name)]
    alike = Counter(unicodedata.normalize("NFC", name).strip() for name in names)
    problems["Names of classes that look alike"] += [name for name, count in alike.items() if count > 1]
    classes = DIGITS if set(names) <= set(DIGITS) else Classes(names)
    arrays = _arrays({classes.index(name): found[name] for name in names}, problems, classes)
    lines = _described(problems)
    notes = [
        f"{counts['dark']} of {counts['all']} pictures are dark on light and were inverted.",
        f"{counts['kept']} are light on dark and of 28 x 28 pixels, and were taken as they are.",
        f"{counts['all'] - counts['kept']} were cropped to their ink, scaled into 20 x 20 pixels in proportion, and "
        "centred by their mass.",
        f"The test images are {'a fifth of each class' if counts['drawn'] else 'those in test'}. "
        f"A fixed generator {'draws them and ' * bool(counts['drawn'])}shuffles the others.",
    ]
    notes = [*(notes if counts["all"] else []), *(line for line in lines if line.startswith("Warning"))]
    errors = [line for line in lines if line not in notes]
    samples = {name: samples[name] for name in names if name in samples}
    return Data.of_source(source, arrays, classes, notes=notes, errors=errors, samples=samples)


def _described(problems: Problems) -> list[str]:
    return [
        f"{problem} ({len(places)}): {', '.join(map(_quoted, places[:NAMED]))}{', ...' * (len(places) > NAMED)}"
        for problem, places in problems.items()
        if places
    ]


def _entries(folder: Path) -> list[Path]:
    """Return what is in a folder by name, in an order that no file system changes, without what is hidden."""
    return sorted((path for path in folder.iterdir() if not path.name.startswith(".")), key=attrgetter("name"))


def _in_folder(path: Path, problems: Problems) -> Iterator[Picture]:
    splits = [path / "train", path / "test"]
    splits = splits if all(each.is_dir() for each in splits) else []
    beside = [each.name for each in _entries(path) if splits and each not in splits]
    problems["Warning: beside train and test, left out"] += beside
    for split in splits or [path]:
        for folder in _entries(split):
            of_class = (split.name if split in splits else "", folder.name)
            for file in _entries(folder) if folder.is_dir() else [folder]:
                place = file.relative_to(path).as_posix()
                if file is folder or not is_picture(file):
                    problems[f"Warning: {_misplaced(file, above=file is folder)}"].append(place)
                    continue
                try:
                    yield *of_class, place, _grey(file)
                except (Image.DecompressionBombError, Image.DecompressionBombWarning):
                    problems[f"Too large, with more than {Image.MAX_IMAGE_PIXELS:,} pixels"].append(place)
                except Exception:  # noqa: BLE001 - a damaged file can raise nearly anything
                    problems["Not readable as PNG or JPEG"].append(place)
            if folder.is_dir():
                yield *of_class, "", None


def is_picture(file: Path) -> bool:
    """Tell whether a file is one by its name."""
    return file.is_file() and file.suffix.lower() in (".png", ".jpg", ".jpeg")


def _misplaced(file: Path, above: bool) -> str:
    """Say why a file is left out. above: it stands beside the folders of the classes."""
    if above:
        hint = "; if all are of one class, give the folder above this one" if is_picture(file) else ""
        return f"not in the folder of a class, left out{hint}"
    if file.is_dir():
        return "folders in the folder of a class, left out; if they are the classes, give the folder that holds them"
    return "neither PNG nor JPEG, left out" if file.exists() else "links that lead nowhere, left out"


def _in_table(path: Path, problems: Problems) -> Iterator[Picture]:
    with opened(path, "arrays") as binary, TextIOWrapper(binary, "utf-8-sig", newline="") as file:
        rows = csv.reader(iter(lambda: _line(file), ""))
        if next(rows, []) not in HEADERS:
            problems["Not label,pixel0,...,pixel783, with commas"].append("line 1")
        for label, *cells in filter(None, rows):
            try:
                pixels = np.frombuffer(bytes(map(int, cells)), np.uint8).reshape(SIDE, SIDE)
            except ValueError:
                problems["Without 784 whole numbers from 0 to 255"].append(f"line {rows.line_num}")
            else:
                yield "", label.strip(), f"line {rows.line_num}", pixels


def _line(file: TextIOWrapper) -> str:
    """Read a line that is not too long, since a file may have nothing but one."""
    if len(line := file.readline(MAX_LINE)) == MAX_LINE:
        raise csv.Error(f"it has a line of {MAX_LINE:,} characters or more")
    return line


def _grey(path: Path) -> np.ndarray:
    """Read a picture upright, on white paper: (H, W) uint8. One with far too many pixels is refused unread."""
    with warnings.catch_warnings(action="ignore"):  # of metadata that are damaged
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path, formats=("PNG", "JPEG")) as file:
            ImageOps.exif_transpose(file, in_place=True)
            if file.mode.startswith("I"):  # 16 bits, which Pillow would cut to 8 and not scale
                return (np.asarray(file) // 256).astype(np.uint8)
            rows = range(0, file.height, STRIP)  # some at a time, since each step needs memory of its own
            return np.concatenate(
                [_on_white(file.crop((0, row, file.width, min(row + STRIP, file.height)))) for row in rows]
            )


def _on_white(picture: Image.Image) -> np.ndarray:
    if picture.has_transparency_data:
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture.convert("RGBA"))
    return np.asarray(picture.convert("L"))


def _quoted(name: str) -> str:
    return shown(name) if name and name.isprintable() else shown(ascii(name))


def _natural(name: str) -> tuple[list[str], str]:
    """Order names as people do: 2 before 10."""
    return [part.rjust(20, "0") if i % 2 else part.lower() for i, part in enumerate(re.split("([0-9]+)", name))], name


def _arrays(found: dict[int, dict[str, Split]], problems: Problems, classes: Classes) -> Arrays:
    """Split what is not split yet, shuffle what is to train on, and return the four arrays."""
    sets: dict[str, list[Sample]] = {"train": [], "test": []}
    spread: list[float] = []  # where each picture to train on comes: those of a class evenly among all
    spreading = np.random.RandomState(SEED)
    for label, splits in found.items():
        order = np.random.RandomState(SEED).permutation(len(splits[""]))
        tested = max(1, len(order) // 5)
        for split, places in (("train", order[tested:]), ("test", order[:tested])):
            pictures = splits[split] + [splits[""][i] for i in places]
            sets[split] += [(label, *picture) for picture in pictures]
            problem = f"Classes without a picture to {split} on, since each needs two or more"
            problems[problem if splits[""] else problem.split(",")[0]] += [classes[label]] * (not pictures)
        count = len(splits["train"]) + len(order[tested:])
        spread += [*((spreading.permutation(count) + spreading.random_sample(count)) / count)]
        if sum(map(len, splits.values())) < FEW:
            problems[f"Warning: classes with fewer than {FEW} pictures, too few to judge by"].append(classes[label])
    sets["train"] = [sets["train"][i] for i in np.argsort(spread, kind="stable")]
    _note_equal(sets["test"], sets["train"], problems)
    arrays: Arrays = {}
    for split, samples in sets.items():
        arrays[f"x_{split}"] = np.array([image for _, _, image in samples], np.uint8).reshape(-1, SIDE, SIDE)
        arrays[f"y_{split}"] = np.array([label for label, _, _ in samples], int).astype(np.uint8)
    return arrays


def _note_equal(test: list[Sample], train: list[Sample], problems: Problems) -> None:
    """Note which pictures are equal, once they are scaled, where one should not be: in another class or another set."""
    tested, equal = {place for _, place, _ in test}, defaultdict[bytes, list[tuple[int, str]]](list)
    for label, place, image in test + train:
        equal[image.tobytes()].append((label, place))
    scaled = "once they are scaled; leave one of each out"
    for group in equal.values():
        one_of_each, (_, last) = dict(reversed(group)), group[-1]
        if len(one_of_each) > 1:
            places = " = ".join(reversed(one_of_each.values()))
            problems[f"Warning: pictures of different classes that are equal, {scaled}"].append(places)
        if last not in tested:
            pairs = [f"{place} = {last}" for _, place in group if place in tested]
            problems[f"Warning: test pictures that equal one to train on, {scaled}"] += pairs
