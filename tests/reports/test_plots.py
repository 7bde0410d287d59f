"""Plots show what they were given."""

import base64
import io

import numpy as np
import PIL.Image
import pytest
from bs4 import BeautifulSoup
from scipy.stats import binomtest

from pipeline.reports import plots, tiles
from tests.conftest import VALIDATED


def test_tiles_stand_in_rows_of_ten_with_a_caption_above_each():
    images = np.arange(1, 13)[:, np.newaxis] * np.ones(784)
    captions = [f"n{i}" for i in range(12)]
    (axis,) = plots.draw_tiles(images, captions, cmap="gray").axes
    assert [text.get_text() for text in axis.texts] == captions
    for i, (tile, text) in enumerate(zip(axis.images, axis.texts, strict=True)):
        left, right, _, top = tile.get_extent()
        assert np.all(tile.get_array() == i + 1)
        assert left // 32 == i % 10
        middle, height = text.get_position()
        assert middle == (left + right) / 2
        assert height < top  # the y axis points down


def check_signs(image):
    """Check that an image shows values above 0 in red, and those below in blue."""
    for value in (image.norm.vmax / 2, image.norm.vmin / 2):
        red, _, blue, _ = image.cmap(image.norm(value))
        assert np.sign(red - blue) == np.sign(value) != 0


def test_weights_above_0_are_red_and_those_below_are_blue():
    weights = np.linspace(-1, 2, 784 * 3).reshape(784, 3)
    axis, scale = plots.draw_units(weights, ["a", "b", "c"]).axes
    for image in axis.images:
        check_signs(image)
    assert scale.get_ylabel() == "weight"


def test_a_confusion_matrix_has_a_column_for_each_answer_that_occurs():
    counts = np.array([[94, 6, 0], [0, 0, 0], [0, 59, 41]])
    text = plots.make_confusion_table(counts, ["cat", "<", "dog"], "class")
    html = BeautifulSoup(text, "html.parser")
    rows = [[cell.text for cell in row.select("th, td")] for row in html.select("tr")]
    assert rows == [
        ["true class \\ answer", "cat", "<", "dog"],
        ["cat", "94", "6", ""],
        ["dog", "", "59", "41"],
    ]
    assert html.select_one("[data-kind='2-1']").text == "59"
    counts[:, 0] = 0
    text = plots.make_confusion_table(counts, ["cat", "<", "dog"], "class")
    heads = BeautifulSoup(text, "html.parser").select("thead th")
    assert [head.text for head in heads[1:]] == ["<", "dog"]


def test_pictures_in_a_page_are_dark_ink_on_white_side_by_side():
    images = np.zeros((2, 784), np.uint8)
    images[1, 0] = 255
    _, _, content = tiles.to_data_address(images).partition("base64,")
    picture = PIL.Image.open(io.BytesIO(base64.b64decode(content))).convert("L")
    assert picture.size == (56, 28)
    assert [picture.getpixel((x, 0)) for x in (0, 28, 29)] == [255, 0, 255]
    table = BeautifulSoup(plots.make_tiles(images, ["a < b", "c"]), "html.parser")
    assert [cell.text for cell in table.select("td")] == ["a < b", "c"]


def find_intervals(axis, direction):
    """Return the ends of the bars of an axis; direction: 0 for across, 1 for up."""
    ((_, _, (bars,)),) = axis.containers
    return np.array([segment[:, direction] for segment in bars.get_segments()])


def test_differences_are_percentage_points_with_their_intervals():
    (axis,) = plots.draw_differences(["a", "b"], [1, -2], [0.1, 0.2]).axes
    assert np.allclose(axis.containers[0][0].get_xdata(), [1, -2])
    assert np.allclose(find_intervals(axis, 0), [[0.9, 1.1], [-2.2, -1.8]])
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a", "b"]
    assert axis.get_xlabel().startswith("difference (percentage points)")


def test_the_accuracy_of_a_class_has_wilsons_interval_for_its_own_images():
    correct, counts = np.array([9, 40]), np.array([10, 80])
    figure = plots.draw_class_accuracies(correct / counts, counts, "ab", "class")
    for found, *pair in zip(
        find_intervals(figure.axes[0], 1), correct, counts, strict=True
    ):
        expected = binomtest(*pair).proportion_ci(0.95, method="wilson")
        assert found == pytest.approx(expected)


def test_learning_curves_begin_at_epoch_1():
    for axis in plots.draw_learning_curves([VALIDATED] * 2).axes:
        assert [[*line.get_xdata()] for line in axis.lines] == [[1, 2]] * 3
