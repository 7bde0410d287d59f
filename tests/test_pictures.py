"""Pictures of one's own: in the form of MNIST's digits, split and named, with all that is wrong in one message."""

import html
import json
import logging
import re
import shlex
import shutil
import struct
import zlib
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image, ImageDraw

import helpers
from pipeline import datasets, images, parameters, pictures, preview, provenance, runs, storage
from pipeline.errors import InvalidData, NotebookFailed
from pipeline.images import DIGITS, Classes
from pipeline.reports import drawing
from pipeline.run_folder import RunFolder
from tests.conftest import optical_digits, write_pictures

README = (storage.ROOT / "README.md").read_text()


def seven(width, height, light=255, dark=0):
    """Draw a 7, dark on light, its ink 0.6 of the width and of the height."""
    picture = Image.new("L", (width, height), light)
    thick = max(1, min(width, height) // 10)
    x, y = ([round(part * (extent - 1)) for part in (0.2, 0.5, 0.8)] for extent in (width, height))
    ImageDraw.Draw(picture).line([(x[0], y[0]), (x[2], y[0]), (x[1], y[2])], fill=dark, width=thick)
    return picture


def centre(image):
    """Return row and column of the centre of mass, in pixels from the middle of the first one."""
    mass = image / image.sum()
    return np.array([np.sum(mass.sum(axis=1 - axis) * np.arange(28)) for axis in (0, 1)])


# ---- one picture -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), [(8, 8), (28, 28), (100, 40), (40, 100), (640, 480), (4000, 3000)])
@pytest.mark.parametrize("inverted", [False, True])
def test_a_picture_gets_mnists_box_place_and_polarity(width, height, inverted):
    grey = np.asarray(seven(width, height))
    image, dark, _ = pictures.as_mnist(255 - grey if inverted and grey.shape != (28, 28) else grey)
    assert dark == (not inverted or grey.shape == (28, 28))
    assert (image.shape, image.dtype, image.max()) == ((28, 28), np.uint8, 255)
    rows, columns = (np.flatnonzero(grey.min(axis=axis) < 128) for axis in (1, 0))
    ink = np.array([np.ptp(rows) + 1, np.ptp(columns) + 1])
    box = [np.ptp(np.flatnonzero(image.any(axis=axis))) + 1 for axis in (1, 0)]
    assert np.abs(box - 20 * ink / ink.max()).max() <= 1  # the proportions are kept, to a pixel
    assert np.abs(centre(image) - 14).max() <= 0.5


def test_what_is_light_on_dark_and_28_x_28_stays_and_its_negative_becomes_the_same(sample):
    network = drawing.read_arrays(drawing.NETWORKS, drawing.ADVICE)
    weights = [network["all_of_mnist_0_1"].astype(float), network["all_of_mnist_1_2"].astype(float)]
    digits, labels = sample["x_test"][:500].reshape(-1, 28, 28), sample["y_test"][:500]
    assert all(pictures.as_mnist(digit)[0] is digit for digit in digits)
    larger = [255 - np.asarray(Image.fromarray(digit).resize((300, 300))) for digit in digits]
    for changed in (255 - digits, larger):
        found = np.array([pictures.as_mnist(picture)[0] for picture in changed]).reshape(-1, 784)
        _, accuracy = helpers.evaluate(found, labels, *weights, float(network["all_of_mnist_normalisation"]))
        _, before = helpers.evaluate(sample["x_test"][:500], labels, *weights, 255)
        assert accuracy >= before - 0.01  # a network that knows MNIST alone reads them as well as MNIST's own


def test_a_blank_picture_has_no_image_and_a_faint_one_gets_full_contrast():
    assert pictures.as_mnist(np.full((50, 50), 200, np.uint8))[0] is None
    assert pictures.as_mnist(np.asarray(seven(50, 50, light=200, dark=180)))[0] is None
    plain = pictures.as_mnist(np.asarray(seven(50, 50)))[0]
    assert np.array_equal(pictures.as_mnist(np.asarray(seven(50, 50, light=200, dark=100)))[0], plain)
    noise = np.random.default_rng(0).integers(0, 40, (50, 50), np.uint8)
    noisy = np.where(np.asarray(seven(50, 50)) > 127, 255 - noise, noise)
    assert np.abs(pictures.as_mnist(noisy)[0].astype(int) - plain).mean() < 3  # specks on the paper are no ink


def test_a_line_that_is_too_thin_to_be_seen_is_blank_and_no_failure():
    diagonal = np.where(np.eye(6000, dtype=bool), np.uint8(0), np.uint8(255))
    image, dark, _ = pictures.as_mnist(diagonal)
    assert dark
    assert image is None or image.max() == 255


def formats():
    grey = seven(60, 50)
    ink = Image.eval(grey, lambda value: 255 - value)
    transparent = Image.new("RGBA", grey.size, (0, 0, 0, 0))
    transparent.putalpha(ink)  # black ink, and paper that only a viewer shows as white
    palette = grey.convert("P")
    palette.info["transparency"] = palette.getpixel((0, 0))
    deep = Image.fromarray(np.asarray(seven(60, 50, light=200, dark=100)).astype(np.uint16) * 257)
    turned = grey.transpose(Image.Transpose.ROTATE_90)  # which the EXIF tag turns back
    exif = Image.Exif()
    exif[0x0112] = 6
    return {
        "grey.png": (grey, {}),
        "colour.PNG": (Image.merge("RGB", [grey, grey, grey]), {}),
        "transparent.png": (transparent, {}),
        "grey-and-alpha.png": (transparent.convert("LA"), {}),
        "palette.png": (palette, {"transparency": palette.info["transparency"]}),
        "bilevel.png": (grey.convert("1"), {}),
        "deep.png": (deep, {}),
        "photo.jpg": (grey.convert("RGB"), {"quality": 95}),
        "print.jpeg": (grey.convert("CMYK"), {"quality": 95}),
        "turned.jpg": (turned, {"exif": exif, "quality": 95}),
    }


@pytest.mark.parametrize("name", formats())
def test_every_format_gives_the_same_image(name, tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "STRIP", 7)  # so that these are read in several
    picture, options = formats()[name]
    for folder in ("a", "b"):
        for number in range(2):
            (tmp_path / folder).mkdir(exist_ok=True)
            picture.save(tmp_path / folder / f"{number}{name}", **options)
    data = datasets.load_source(str(tmp_path))
    assert data.errors == []
    expected = pictures.as_mnist(np.asarray(seven(60, 50)))[0].ravel()
    for image in data.x_train:
        assert np.abs(image.astype(int) - expected).max() <= (30 if name.endswith(("jpg", "jpeg")) else 0)


# ---- a folder, a table ---------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    """Return a folder of 11 + 12 pictures of optical digits, a zero and a one."""
    write_pictures(tmp_path / "pictures", {0: "zero", 1: "one"}, count=23)
    return tmp_path / "pictures"


def error_of(source):
    with pytest.raises(InvalidData) as caught:
        datasets.split_source(str(source), 1, 1)
    return str(caught.value)


def test_a_fifth_of_each_class_is_to_test_on_and_no_file_system_changes_which(folder, monkeypatch):
    data = datasets.load_source(str(folder))
    assert (data.classes, data.classes.nouns) == (("one", "zero"), ("class", "classes"))
    assert np.bincount(data.y_test).tolist() == [len(list((folder / name).iterdir())) // 5 for name in data.classes]
    assert len(data.x_train) + len(data.x_test) == 23
    for end in range(1, len(data.y_train)):  # the classes are spread evenly, so that each part has its share of each
        for label, whole in enumerate(np.bincount(data.y_train)):
            assert abs(np.sum(data.y_train[:end] == label) - end * whole / len(data.y_train)) <= 2
    assert np.any(data.y_train[:-2] != data.y_train[2:])  # and yet not in turn
    entries = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda path: reversed(list(entries(path))))
    again = datasets.load_source(str(folder))
    assert again.sha256 == data.sha256


def test_train_and_test_are_taken_as_they_are_given(folder, tmp_path):
    for split, where in (("train", 1), ("test", 0)):
        for name in ("zero", "one"):
            (tmp_path / "given" / split / name).mkdir(parents=True)
            for file in sorted((folder / name).iterdir())[where::2]:
                file.rename(tmp_path / "given" / split / name / file.name)
    data = datasets.load_source(str(tmp_path / "given"))
    assert np.bincount(data.y_train).tolist() == [
        len(list((tmp_path / "given/train" / n).iterdir())) for n in data.classes
    ]
    assert "The test images are those in test. A fixed generator shuffles the others." in data.notes


def test_a_table_gives_the_arrays_that_the_same_pictures_give_as_files(tmp_path):
    digits, labels = optical_digits()
    found, rows = {}, [pictures.HEADERS[0]]
    for place in np.argsort(labels[:200], kind="stable"):
        image, *_ = pictures.as_mnist(digits[place])
        path = tmp_path / "files" / str(labels[place]) / f"{place:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
        rows.append([labels[place], *image.ravel()])
    (tmp_path / "TABLE.CSV").write_text("\n".join(",".join(map(str, row)) for row in rows))
    found = [datasets.load_source(str(tmp_path / name)) for name in ("files", "TABLE.CSV")]
    assert found[0].classes == found[1].classes == DIGITS
    assert found[0].source_sha256 == found[1].source_sha256
    assert set(found[0].y_train) == set(range(10))
    assert "200 are light on dark and of 28 x 28 pixels, and were taken as they are." in found[1].notes


def test_names_are_in_natural_order_and_digits_are_labelled_by_themselves(folder):
    for old, new in (("zero", "item 10"), ("one", "item 2")):
        (folder / old).rename(folder / new)
    assert datasets.load_source(str(folder)).classes == ("item 2", "item 10")
    for old, new in (("item 10", "7"), ("item 2", "3")):
        (folder / old).rename(folder / new)
    data = datasets.load_source(str(folder))
    assert (data.classes, set(data.y_train)) == (DIGITS, {3, 7})


def png_of_size(width, height):
    """Return the beginning of a PNG file that says it is so large; to read its pixels would fail."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    header = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + header + struct.pack(">I", 1000) + b"IDAT"


def test_all_that_is_wrong_with_a_folder_is_told_at_once(folder):
    for number in range(7):
        (folder / "zero" / f"broken{number}.png").write_bytes(b"no picture")
    whole = next((folder / "one").glob("*.png")).read_bytes()
    (folder / "one" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "one" / "huge.png").write_bytes(png_of_size(40000, 40000))
    (folder / "one" / "large.png").write_bytes(png_of_size(10000, 10000))
    Image.new("L", (30, 30), 255).save(folder / "one" / "blank.png")
    (folder / "one" / "notes.txt").write_text("not a picture")
    (folder / "one" / "moved.png").symlink_to(folder / "elsewhere" / "moved.png")
    (folder / "one" / ".hidden").write_text("of no interest")
    (folder / "readme.md").write_text("not in a class")
    for name in ("empty", "a\nb"):
        (folder / name).mkdir()
    message = error_of(folder)
    assert message.splitlines()[0] == f"The source {str(folder)!r} cannot be used:"
    for line in (
        f"Not readable as PNG or JPEG (8): one/cut.jpg, {', '.join(f'zero/broken{n}.png' for n in range(4))}, ...",
        "Too large, with more than 89,478,485 pixels (2): one/huge.png, one/large.png",
        "Warning: blank pictures, left out (1): one/blank.png",
        "Warning: neither PNG nor JPEG, left out (1): one/notes.txt",
        "Warning: links that lead nowhere, left out (1): one/moved.png",
        "Warning: not in the folder of a class, left out (1): readme.md",
        r"Names of classes, not of 1 to 30 printable characters (1): 'a\nb'",
    ):
        assert line in message.splitlines()
    assert re.search(r"Classes without a picture to train on \(2\): .*empty", message, re.S)
    assert "hidden" not in message


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["a"], "Too few classes, since there must be 2 to 10 (1): a"),
        (
            [f"c{n}" for n in range(11)],
            "Too many classes, since there must be 2 to 10 (11): c0, c1, c2, c3, c4, ...",
        ),
    ],
)
def test_too_few_and_too_many_classes_are_refused(tmp_path, classes, message):
    for name in classes:
        (tmp_path / name).mkdir()
        for number in range(2):
            seven(20, 20).save(tmp_path / name / f"{number}.png")
    assert message in error_of(tmp_path).splitlines()


@pytest.mark.parametrize("flat", [True, False])
def test_a_folder_without_a_class_is_refused_with_what_it_needs(tmp_path, flat):
    if flat:
        seven(20, 20).save(tmp_path / "1.png")
    with pytest.raises(
        InvalidData, match=r"has no picture of a class\. It needs a sub-folder of pictures for"
    ) as refused:
        pictures.read("pictures", tmp_path)
    assert ("if all are of one class, give the folder above this one (1): 1.png" in str(refused.value)) == flat


def test_folders_that_are_one_level_too_deep_are_named_with_what_to_give(tmp_path, folder):
    assert (
        f"Warning: folders in the folder of a class, left out; if they are the classes, give the folder that "
        f"holds them (2): {folder.name}/one, {folder.name}/zero"
    ) in error_of(folder.parent).splitlines()


def test_a_class_with_one_picture_cannot_be_trained_and_tested_on(folder):
    for file in sorted((folder / "one").iterdir())[1:]:
        file.unlink()
    assert (
        "Classes without a picture to train on, since each needs two or more (1): one" in error_of(folder).splitlines()
    )


def test_a_picture_to_test_on_that_is_trained_on_as_well_is_a_warning(folder, tmp_path, monkeypatch, caplog):
    files = sorted((folder / "one").iterdir())
    for file in files[1:]:
        file.write_bytes(files[0].read_bytes())
    data = datasets.load_source(str(folder))
    assert data.errors == []
    (warning,) = [note for note in data.notes if note.startswith("Warning")]
    pair = r"one/\d+\.png = one/\d+\.png"
    assert re.search(
        rf"equal one to train on, once they are scaled; leave one of each out \(2\): {pair}, {pair}$", warning
    )
    monkeypatch.setattr(runs, "_run_stages", lambda *_: None)  # which takes longer than this test
    chosen = parameters.from_values({"source": str(folder), "num_samples": 10, "num_validation": 5})
    with pytest.raises(NotebookFailed):
        runs.run(chosen, str(tmp_path / "run"))
    assert warning in caplog.messages


def test_a_picture_that_is_in_two_classes_is_a_warning_and_so_is_a_class_with_few(folder):
    kept = sorted((folder / "one").iterdir())
    for file in kept[9:]:
        file.unlink()
    other = min((folder / "zero").iterdir())
    kept[0].write_bytes(other.read_bytes())
    found = "\n".join(datasets.load_source(str(folder)).notes)
    pair = rf"(one/{kept[0].name} = zero/{other.name}|zero/{other.name} = one/{kept[0].name})"
    assert re.search(
        rf"pictures of different classes that are equal, once they are scaled; leave one of each out \(1\): {pair}$",
        found,
        re.M,
    )
    assert "Warning: classes with fewer than 10 pictures, too few to judge by (1): one" in found


def test_a_picture_that_is_in_two_classes_of_the_test_set_alone_is_a_warning_too(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "own" / "train")
    picture = Image.fromarray(np.random.RandomState(1).randint(0, 256, (28, 28)).astype(np.uint8))
    for place in ("one/x.png", "zero/y.png"):
        path = tmp_path / "own" / "test" / place
        path.parent.mkdir(parents=True)
        picture.save(path)
    (warning,) = [note for note in datasets.load_source(str(tmp_path / "own")).notes if note.startswith("Warning")]
    assert warning.endswith("equal, once they are scaled; leave one of each out (1): test/one/x.png = test/zero/y.png")


def test_paper_that_is_in_shade_at_one_side_is_a_warning(folder):
    evenly_lit, shaded = sorted((folder / "one").iterdir())[:2]
    shade = np.linspace(0, 120, 64).astype(np.uint8)  # from left to right
    for file, missing in ((evenly_lit, 40), (shaded, shade)):
        Image.fromarray((np.asarray(seven(64, 64)) * (1 - missing / 255)).astype(np.uint8)).save(file)
    (warning,) = [note for note in datasets.load_source(str(folder)).notes if "a whole side" in note]
    assert warning.endswith(f" (1): one/{shaded.name}")


def test_all_that_is_wrong_with_a_table_is_told_at_once(tmp_path):
    good = ["a", *["0", "255"] * 392]
    rows = [["label", "x"], good, good[:-1], [*good[:-1], "256"], [*good[:-1], "ink"], [], good]
    (tmp_path / "table.csv").write_text("\n".join(map(",".join, rows)))
    lines = error_of(tmp_path / "table.csv").splitlines()
    assert "Not label,pixel0,...,pixel783, with commas (1): line 1" in lines
    assert "Without 784 whole numbers from 0 to 255 (3): line 3, line 4, line 5" in lines
    assert "Too few classes, since there must be 2 to 10 (1): a" in lines


def test_a_table_that_is_not_in_utf_8_is_refused_since_names_of_classes_would_become_equal(tmp_path):
    rows = [
        ["label", *(f"pixel{i}" for i in range(784))],
        *([name, *["0", "255"] * 392] for name in ("b\xe4r", "b\xfcr")),
    ]
    (tmp_path / "table.csv").write_text("\n".join(map(",".join, rows)), encoding="latin-1")
    with pytest.raises(InvalidData, match=r"table\.csv is not in UTF-8\. Save it as such\."):
        pictures.read("table", tmp_path / "table.csv")


def test_names_of_classes_that_look_alike_are_refused(folder):
    for name in ("e\u0301", "\u00e9", "one "):
        (folder / name).mkdir()
    assert "Names of classes that look alike (2): \u00e9, one" in error_of(folder).splitlines()


# ---- as a source ---------------------------------------------------------------------------------------------------


def test_a_source_smaller_than_the_defaults_is_refused_with_what_fits(folder, pipeline, tmp_path):
    (folder / "one" / "broken.png").write_bytes(b"")
    run = ["run", "--run-dir", tmp_path / "run", "-p", "source", folder, "-p", "epochs", "3"]
    refused = pipeline(*run)
    assert refused.returncode == 2
    assert "Not readable as PNG or JPEG (1): one/broken.png" in refused.stderr
    assert "num_samples + num_validation is 1000 + 1000 = 2000, but" in refused.stderr
    (fits,) = re.findall(r"what fits: num_samples (\d+), num_validation (\d+)\.", refused.stderr)
    (folder / "one" / "broken.png").unlink()
    data = datasets.split_source(str(folder), *map(int, fits))
    assert len(data.x_validation) == 19 // 5
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("place", ["nowhere", "README.md", "nowhere/x.npz", "x" * 300])
def test_a_source_that_is_not_there_is_refused_with_where_it_was_looked_for(place, pipeline):
    for command in (["run", "-p", "source", place], ["data", place]):
        refused = pipeline(*command)
        assert refused.returncode == 2
        message = (
            "but must be 'sample', 'mnist', 'fashion_mnist' or the path of an .npz file, a .csv file or a folder of"
        )
        assert f"source is {place!r}, {message} pictures." in refused.stderr
        assert f"There is nothing of that kind at {storage.ROOT / place}." in refused.stderr
    with pytest.raises(InvalidData, match="nothing of that kind"):
        datasets.load_source(place)


def test_a_run_does_not_write_into_its_source(folder, pipeline):
    for place in (folder, folder / "run"):
        refused = pipeline("run", "--run-dir", place, "-p", "source", folder)
        assert "which the results would overwrite" in refused.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["one", "zero"]


def test_what_is_added_renamed_or_changed_in_a_folder_is_a_changed_input(folder):
    chosen = parameters.from_values({"source": str(folder)})
    found = [provenance.inputs_of(chosen)]
    picture = sorted((folder / "one").iterdir())[0]
    for change in (
        lambda: seven(9, 9).save(folder / "one" / "new.png"),
        lambda: picture.rename(folder / "zero" / "moved.png"),
        lambda: (folder / "zero" / "moved.png").write_bytes(b""),
        lambda: (folder / "zero").rename(folder / "nought"),
    ):
        change()
        found.append(provenance.inputs_of(chosen))
    assert len({inputs.data for inputs in found}) == 5
    assert "pipeline/pictures.py" in found[0].code
    (folder / "one" / ".DS_Store").write_text("a file manager's")
    assert provenance.inputs_of(chosen) == found[-1]


def test_names_of_classes_are_stored_where_they_are_not_the_digits(folder, small_source, tmp_path):
    run = RunFolder(tmp_path / "run")
    for source, classes in ((folder, ("one", "zero")), (small_source[0], DIGITS)):
        data = datasets.split_source(str(source), 10, 5)
        run.write_data(data)
        with np.load(run.data) as stored:
            assert ("classes" in stored.files) == (classes != DIGITS)
        assert run.read_data().classes == classes
    assert Classes(["a" * 10, "b" * 11]).outputs == ("a" * 10, "b" * 9 + "…", *["unused"] * 8)
    assert images.CLOTHES.outputs[9] == "boot"
    alike = Classes(["handwritten-one", "handwritten-two"])
    assert alike.outputs[:2] == ("0 handwri…", "1 handwri…")


def test_what_a_source_holds_is_shown_also_where_the_notebook_was_edited(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "pipeline")
    notebook = nbformat.read(preview.NOTEBOOK, 4)
    notebook.cells = [cell for cell in notebook.cells if cell.id != "save"]
    (split,) = (cell for cell in notebook.cells if cell.id == "split")
    split.source = "data = datasets.split_source(source, num_samples, num_validation)\n" + split.source.split("\n")[1]
    nbformat.write(notebook, tmp_path / "01_prepare.ipynb")
    monkeypatch.setattr(preview, "NOTEBOOK", tmp_path / "01_prepare.ipynb")
    preview.show({"source": "sample"}, tmp_path / "page.html")
    assert "This command trains a network on these images:" in (tmp_path / "page.html").read_text()
    assert caplog.messages[-1].startswith("Train with: python -m pipeline run --run-dir runs/sample-run")


def test_own_pictures_go_from_a_folder_to_a_report_that_names_their_classes(
    pictures_run, pipeline, tmp_path, monkeypatch
):
    """The three commands of the README; the run is made by the second."""
    (block,) = re.findall(r"## Your own pictures.*?```text\n(.*?)```", README, re.S)
    data, run, opened = [shlex.split(line, comments=True) for line in block.splitlines()]
    page, folder = tmp_path / "page.html", str(pictures_run / "pictures")
    monkeypatch.chdir(pictures_run)
    shown = pipeline(*data[3:], "--output", page)
    assert shown.returncode == 0, shown.stderr
    printed = shlex.split(re.findall("Train with: (.*)", shown.stdout)[0])
    expected = {"pictures": folder, "runs/pictures-run": str(storage.ROOT / "runs/pictures-run")}
    assert printed == [expected.get(word, word) for word in run]  # from elsewhere, with whole paths
    assert "898 of 1797 pictures are dark on light and were inverted." in shown.stdout
    assert re.search(r"^class +eight +five +four +nine +one +seven +six +three +two +zero$", shown.stdout, re.M)
    assert opened[-1] == f"{run[5]}/report.html"
    text = page.read_text()
    assert "Pictures as they were, each with what the network gets beside it." in text
    assert html.escape(re.findall("Train with: (.*)", shown.stdout)[0]) in text
    assert "data.npz written" not in text
    found = RunFolder(pictures_run / "run")
    metrics = found.read_metrics()
    assert metrics.test_accuracy > 0.9  # ten classes, 355 test images; chance is 0.1
    assert found.read_model().classes[0] == "eight"
    report = found.report.read_text()
    assert "as one of: eight, five, four, nine, one, seven, six, three, two, zero." in report
    assert re.search(r"x  (\w{3,5}) was taken for (\w{3,5})", report)
    assert json.loads(re.findall(r'id="run">(.*?)</script>', report)[0])["networks"][0]["classes"][9] == "zero"


def test_the_digest_of_a_folder_is_that_of_its_pictures_alone(folder):
    before = datasets.source_digest(str(folder))
    for name in (".git/index", ".git/refs/x.png", "one/Thumbs.db", "one/metrics.json"):
        storage.write_whole(folder / name, b"x")
    assert datasets.source_digest(str(folder)) == before
    next((folder / "one").glob("*.png")).unlink()
    assert datasets.source_digest(str(folder)) != before


def test_what_stands_beside_train_and_test_is_named(folder):
    for split in ("train", "test"):
        shutil.copytree(folder / "one", folder / split / "one")
        shutil.copytree(folder / "zero", folder / split / "zero")
    assert "Warning: beside train and test, left out (2): one, zero" in datasets.load_source(str(folder)).notes
