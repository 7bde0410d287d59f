"""Drawn digits: how they are brought into the form of MNIST's own."""

import numpy as np
import pytest

import helpers
from pipeline.explore import drawing, reading


def enlarged(image, top, left):
    """An image of MNIST ten times as large, moved in a field of 500 x 500."""
    field = np.zeros((500, 500), np.uint8)
    field[top : top + 280, left : left + 280] = image.reshape(28, 28).repeat(10, axis=0).repeat(10, axis=1)
    return field


def test_centred_gives_an_enlarged_and_moved_mnist_digit_back_to_the_pixel(sample):
    rng = np.random.default_rng(0)
    images = sample["x_test"][:200]
    back = np.array([drawing.centred(enlarged(image, *rng.integers(0, 220, 2))) for image in images])
    assert np.array_equal(back, images)


def test_centred_is_near_the_digit_at_a_scale_that_is_no_multiple(sample, trained):
    images = sample["x_test"][:200]
    sides = [np.round(np.arange(28 * 7) // 7).astype(int)] * 2
    back = np.array([drawing.centred(image.reshape(28, 28)[np.ix_(*sides)][3:-2]) for image in images])
    assert np.abs(back.astype(float) - images).mean() < 2
    same = helpers.predict(back, *trained.weights).argmax(1) == helpers.predict(images, *trained.weights).argmax(1)
    assert same.mean() > 0.95


@pytest.mark.parametrize(("height", "width"), [(200, 50), (3, 3), (1, 280)])
def test_centred_fits_twenty_pixels_keeps_proportions_and_centres(height, width):
    drawn = np.zeros((280, 280), np.uint8)
    drawn[:height, :width] = 255
    image = drawing.centred(drawn).reshape(28, 28)
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    assert max(len(rows), len(columns)) == 20
    assert min(len(rows), len(columns)) == max(1, round(20 * min(height, width) / max(height, width)))
    for places in (rows, columns):
        assert abs(places.mean() - 14) <= 0.5


def test_centred_has_grey_edges_and_is_empty_where_nothing_is_drawn():
    drawn = drawing.ink([[(60, 40), (200, 230)]])
    assert set(np.unique(drawn)) == {0, 255}
    assert len(np.unique(drawing.centred(drawn))) > 10
    assert not drawing.centred(drawing.ink([])).any()


def test_ink_is_round_and_joins_the_points():
    dot = drawing.ink([[(100, 50)]])
    assert dot.sum() / 255 == pytest.approx(np.pi * (drawing.PEN_WIDTH / 2) ** 2, rel=0.1)
    line = drawing.ink([[(100, 50), (100, 150)]])
    assert line[50:150, 100].all()
    assert not line[50:150, 120].any()


def test_a_drawn_seven_and_one_are_read(trained):
    for strokes, digit in (([[(70, 60), (210, 60), (130, 230)]], 7), ([[(140, 50), (140, 230)]], 1)):
        assert reading.read(trained, drawing.centred(drawing.ink(strokes))).answer == digit
