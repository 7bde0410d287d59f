"""Pictures that hold what they were given."""

import io
import json
import re
import warnings

import numpy as np
import PIL.Image
import pytest

from pipeline import plots, storage
from pipeline.records import Epoch


@pytest.fixture(autouse=True)
def closed():
    yield
    plots.plt.close("all")


def test_a_picture_keeps_its_paper_white_whatever_is_drawn_on_it():
    figure, axis = plots.plt.subplots()
    axis.imshow(np.linspace(0, 1, 10_000).reshape(100, 100), cmap="Blues")  # with colours near to white
    picture = PIL.Image.open(io.BytesIO(plots.png(figure)))
    assert picture.mode == "P"
    assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_a_name_in_another_script_leaves_no_warning_with_a_path():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plots.use_style()
        figure, axis = plots.plt.subplots()
        axis.set_title("数字")
        assert plots.png(figure)


def test_the_network_shows_every_text_once_and_both_ways_between_its_layers():
    forward, signals, edges, gradients = ["x", "h", "s"], ["", "e", "d"], ["W1", "W2"], ["xe", "hd"]
    (axis,) = plots.network(forward, edges, signals, gradients).axes
    texts = sorted(text.get_text() for text in axis.texts if text.get_text())
    assert texts == sorted(["x", "h", "s", "e", "d", "W1", "W2", "gradient\nxe", "gradient\nhd"])
    arrows = [text.arrow_patch for text in axis.texts if getattr(text, "arrow_patch", None)]
    assert len(arrows) == 4


def test_learning_curves_tell_training_under_dropout_from_training_without_it():
    measured = {"train_error": 0.5, "train_accuracy": 0.25, "train_error_no_dropout": 0.4}
    measured |= {"train_accuracy_no_dropout": 0.75, "validation_error": 0.6, "validation_accuracy": 0.5}
    for history, labels in (
        ([Epoch(**measured)] * 2, ["training, under dropout", "training", "validation"]),
        (
            [Epoch(**measured | {"validation_error": None, "validation_accuracy": None})] * 2,
            ["training, under dropout", "training"],
        ),
    ):
        for axis in plots.learning_curves(history).axes:
            assert [line.get_label() for line in axis.lines] == labels
    accuracy = plots.learning_curves([Epoch(**measured)] * 2).axes[1]
    assert [line.get_ydata()[-1] for line in accuracy.lines] == [0.25, 0.75, 0.5]
    assert {line.get_marker() for line in accuracy.lines} == {"None"}
    one = plots.learning_curves([Epoch(**measured)]).axes[1]
    assert {line.get_marker() for line in one.lines} == {"o"}  # else it could not be seen


def test_no_axis_in_powers_of_ten_is_labelled_by_matplotlib_whose_formulas_are_not_read():
    cells = [cell for path in storage.NOTEBOOKS.glob("*.ipynb") for cell in json.loads(path.read_text())["cells"]]
    logarithmic = [source for cell in cells if 'scale="log"' in (source := "".join(cell["source"]))]
    assert len(logarithmic) >= 3
    assert not [cell for cell in cells if re.search(r"set_[xy]scale|loglog|semilog|LogNorm", "".join(cell["source"]))]
    for source in logarithmic:
        for axis in re.findall(r'([xy])scale="log"', source):
            assert re.search(rf"\.{axis}axis\.set_major_formatter|set_{axis}ticklabels", source)
