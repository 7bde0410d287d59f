"""Plots show what they were given."""

import io

import numpy as np
import PIL.Image

from pipeline import plots


def test_a_figure_keeps_its_paper_white_whatever_is_drawn_on_it():
    figure, axis = plots.plt.subplots()
    axis.imshow(np.linspace(0, 1, 10_000).reshape(100, 100), cmap="Blues")  # has nearly white
    picture = PIL.Image.open(io.BytesIO(plots.to_png(figure)))
    assert picture.mode == "P"
    assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_tiles_stand_in_rows_of_ten_with_a_caption_above_each():
    images = np.arange(1, 13)[:, np.newaxis] * np.ones(784)
    _, axis = plots.draw_tiles(images, [f"n{i}" for i in range(12)], cmap="gray")
    canvas = axis.images[0].get_array().filled(0)
    height = len(canvas) // 2
    for i in range(12):
        top, left = i // 10 * height, i % 10 * 32
        assert set(np.unique(canvas[top : top + height, left : left + 32])) == {0, i + 1}
    assert axis.texts[1].get_text().split() == ["n10", "n11"]


def test_the_network_has_every_text_once_and_both_ways_between_its_layers():
    given = ["x", "h", "s"], ["W1", "W2"], ["", "e", "d"], ["xe", "hd"]
    (axis,) = plots.draw_network(*given).axes
    texts = {text.get_text().removeprefix("gradient\n") for text in axis.texts}
    assert texts == {text for row in given for text in row}
    assert len([text for text in axis.texts if getattr(text, "arrow_patch", None)]) == 4


def test_learning_curves_have_a_line_for_what_was_measured():
    epoch = {"train_error": 0.5, "train_accuracy": 0.25}
    epoch |= {"train_error_no_dropout": 0.4, "train_accuracy_no_dropout": 0.75}
    validated = epoch | {"validation_error": 0.6, "validation_accuracy": 0.5}
    labels = ["training, under dropout", "training", "validation"]
    for history, count in (([validated] * 2, 3), ([epoch] * 2, 2)):
        for axis in plots.draw_learning_curves(history).axes:
            assert [line.get_label() for line in axis.lines] == labels[:count]
    for count, marker in ((2, "None"), (1, "o")):  # a single epoch has no line to be seen
        _, axis = plots.draw_learning_curves([validated] * count).axes
        assert [line.get_ydata()[-1] for line in axis.lines] == [0.25, 0.75, 0.5]
        assert {line.get_marker() for line in axis.lines} == {marker}
