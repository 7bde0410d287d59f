"""Your own pictures are converted to the form of MNIST's digits, and split."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pipeline.errors import InvalidFile, InvalidInput
from pipeline.images import data, pictures
from tests.conftest import write_pictures


def draw_seven(width, height, light=255, dark=0):
    """Draw a 7 (H, W), dark on light, its ink 0.6 of the width and of the height."""
    picture = Image.new("L", (width, height), light)
    right, down = width - 1, height - 1
    corners = (0.2, 0.2), (0.8, 0.2), (0.5, 0.8)
    line = [(round(x * right), round(y * down)) for x, y in corners]
    thickness = max(1, min(width, height) // 10)
    ImageDraw.Draw(picture).line(line, fill=dark, width=thickness)
    return np.asarray(picture)


def measure_ink(picture):
    """Return the height and the width of the box of all pixels that are not 0."""
    places = np.argwhere(picture)
    return np.ptp(places, axis=0) + 1


@pytest.mark.parametrize(("width", "height"), [(8, 8), (100, 40), (640, 480)])
def test_to_mnist_gives_mnists_box_and_place_to_both_polarities(width, height):
    grey = draw_seven(width, height, light=150, dark=30)
    image, is_shaded = pictures.to_mnist(grey)
    assert not is_shaded
    assert np.array_equal(image, pictures.to_mnist(255 - grey)[0])
    assert (image.shape, image.dtype, image.max()) == ((28, 28), np.uint8, 255)
    ink, box = measure_ink(grey < 128), measure_ink(image)
    # The proportions are kept, to a pixel.
    assert np.abs(box - 20 * ink / ink.max()).max() <= 1
    mass = image / image.sum()
    centre = [np.sum(mass.sum(axis=axis) * np.arange(28)) for axis in (1, 0)]
    assert np.abs(np.array(centre) - 14).max() <= 0.5


def test_specks_of_paper_that_are_a_sixth_as_dark_as_the_ink_are_paper():
    grey = draw_seven(60, 60)
    speckled = grey.copy()
    speckled[2:-2:4, 2:-2:4] = np.minimum(grey, 215)[2:-2:4, 2:-2:4]
    assert np.array_equal(pictures.to_mnist(speckled)[0], pictures.to_mnist(grey)[0])


def test_bold_ink_on_most_of_a_picture_is_still_ink():
    picture = Image.new("L", (100, 100), 255)
    ImageDraw.Draw(picture).ellipse((5, 5, 95, 95), fill=0)
    image, _ = pictures.to_mnist(np.asarray(picture))
    assert image[14, 14] == 255


def make_formats():
    """Return a 7 in several modes of Pillow's, each by the name of its file."""
    grey = Image.fromarray(draw_seven(60, 50))
    ink = Image.eval(grey, lambda value: 255 - value)
    # Black ink on a transparent ground.
    transparent = Image.new("LA", grey.size)
    transparent.putalpha(ink)
    palette = Image.frombytes("P", grey.size, ink.tobytes())
    palette.putpalette(bytes(768))
    palette.info["transparency"] = bytes(range(256))
    colours = [grey.convert("RGB"), grey.convert("P"), transparent.convert("RGBA")]
    return [*colours, transparent, palette]


def read_images(folder, picture, name="a.PNG", **options):
    """Return the images of a source of two classes, with a picture twice in each."""
    for path in (folder / label / f"{i}{name}" for label in "ab" for i in range(2)):
        path.parent.mkdir(exist_ok=True)
        picture.save(path, **options)
    source = data.load_source(str(folder))
    return np.concatenate([source.x_train, source.x_test]).astype(int)


EXPECTED = pictures.to_mnist(draw_seven(60, 50))[0].ravel()


@pytest.mark.parametrize("picture", make_formats(), ids=lambda each: each.mode)
def test_every_format_gives_the_same_image(tmp_path, picture):
    assert np.all(read_images(tmp_path, picture) == EXPECTED)


def test_a_turned_photo_is_turned_back(tmp_path):
    grey, exif = Image.fromarray(draw_seven(60, 50)), Image.Exif()
    exif[0x0112] = 6
    turned = grey.transpose(Image.Transpose.ROTATE_90)
    images = read_images(tmp_path, turned, ".jpeg", exif=exif, quality=95)
    assert np.abs(images - EXPECTED).max() <= 30  # JPEG changes what it stores


@pytest.fixture
def folder(tmp_path):
    """Return a folder of 11 and 12 pictures of optical digits, zero and one."""
    write_pictures(tmp_path / "pictures", {0: "zero", 1: "one"}, count=23)
    return tmp_path / "pictures"


def test_a_fifth_of_each_class_is_drawn_and_no_file_system_changes_which(
    folder, monkeypatch
):
    for path in sorted((folder / "one").iterdir())[3:]:
        path.unlink()
    source = data.load_source(str(folder))
    assert source.classes == ("one", "zero")
    assert np.bincount(source.y_train).tolist() == [2, 9]  # of 3 and of 11
    assert np.bincount(source.y_test).tolist() == [1, 2]
    glob = Path.glob
    monkeypatch.setattr(
        Path, "glob", lambda path, pattern: reversed(list(glob(path, pattern)))
    )
    assert data.load_source(str(folder)).sha256 == source.sha256


def test_each_image_keeps_its_label_and_each_part_of_a_split_has_all_classes(tmp_path):
    write_pictures(tmp_path, dict(enumerate("0123456789")), count=400)
    labels = {
        pictures.to_mnist(np.asarray(Image.open(path)))[0].tobytes(): path.parent.name
        for path in tmp_path.glob("*/*.png")
    }
    assert len(labels) == 400
    whole = data.load_source(str(tmp_path))
    assert whole.classes == data.DIGITS
    split = data.split_data(whole, len(whole.x_train) - 40, 40)
    for name in ("train", "validation", "test"):
        x, y = split.arrays[f"x_{name}"], split.arrays[f"y_{name}"]
        assert [labels.pop(image.tobytes()) for image in x] == [*map(str, y)]
        share = np.bincount(whole.y_train) * (len(y) / len(whole.y_train))
        assert np.abs(np.bincount(y, minlength=10) - share).max() < 1.5
    assert not labels


@pytest.mark.parametrize("name", ["cut.jpg", "none.png", "16-bit.png"])
def test_a_picture_that_is_not_readable_is_refused(folder, name):
    """Pillow would truncate 16 bits to 8."""
    path = folder / "one" / name
    whole = min((folder / "one").glob("*.png")).read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if name == "cut.jpg" else b"no picture")
    if name == "16-bit.png":
        Image.fromarray(257 * draw_seven(20, 20).astype(np.uint16)).save(path)
    with pytest.raises(InvalidFile, match=name):
        data.load_source(str(folder))


@pytest.mark.parametrize(("classes", "each"), [(0, 2), (1, 2), (11, 2), (2, 1)])
def test_too_few_pictures_and_too_few_and_too_many_classes_are_refused(
    tmp_path, classes, each
):
    for number in range(classes):
        (tmp_path / f"c{number}").mkdir()
        for name in ("a.png", "b.png")[:each]:
            Image.fromarray(draw_seven(20, 20)).save(tmp_path / f"c{number}" / name)
    with pytest.raises(InvalidInput, match=f": {classes}. The folder needs 2 to 10"):
        data.load_source(str(tmp_path))


def test_blank_shaded_and_stray_pictures_are_warnings(folder):
    second, third, fourth, *_ = sorted((folder / "one").iterdir())
    shaded = draw_seven(60, 60).copy()
    shaded[:, :12] = 100
    Image.fromarray(shaded).save(second)
    Image.fromarray(draw_seven(30, 30, dark=235)).save(third)
    # Shrunk to 20 pixels, two specks of three pixels in four millions are nothing.
    specks = np.full((2000, 2000), 255, np.uint8)
    specks[5:8, 5:8] = specks[1990:1993, 1990:1993] = 0
    Image.fromarray(specks).save(fourth)
    for name in ("one/notes.txt", "alone.png"):
        (folder / name).write_text("in no class, or no picture")
    notes = "\n".join(data.load_source(str(folder)).warnings)
    for pattern in (
        rf"blank.* \(2\): one/{third.name}, one/{fourth.name}$",
        rf"shade.* \(1\): one/{second.name}$",
        r"left out \(2\): alone.png, one/notes.txt$",
    ):
        assert re.search(pattern, notes, re.M)
