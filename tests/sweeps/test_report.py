"""The tables and plots of a sweep's report.

Only one configuration in it has test metrics.
"""

import itertools

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from pipeline.reports import plots
from pipeline.sweeps import report
from tests.sweeps.conftest import make_ranking


def test_the_page_begins_with_what_was_selected_and_its_test_accuracy(runs):
    """No other configuration has one."""
    folder = runs / "small"
    page = BeautifulSoup((folder / "report.html").read_text(), "html.parser")
    assert page.h1.text == "Which relu_grad_inactive?"
    accuracy, selected = page.select(".lead strong")
    assert accuracy.text.split() == ["84.75", "%"]
    assert selected.text == "relu_grad_inactive 0"
    sentence = " ".join(page.select_one(".lead").text.split())
    for words in (
        "10,000 test images",
        "95 % interval for other images is ",
        "the mean of 5 seeds from ",
        "best of 2 configurations by validation accuracy",
        "points behind, and no range over the seeds overlaps with that of the best.",
    ):
        assert words in sentence
    ranking = page.select_one("#ranking").find_next("table")
    rows = [[cell.text for cell in row.select("td")] for row in ranking.select("tr")]
    assert ["1", "5", "80.46", "79.30 to 82.60"] in rows
    (panel,) = page.select(".report .panel")
    assert "relu_grad_inactive 0" in panel["aria-label"]
    text = page.select_one(".report").text
    assert not any(path.parent.name in text for path in folder.glob("*/run.json"))
    link = page.find("a", string="results.csv")
    results = pd.read_csv(folder / link["href"])
    assert results["test_accuracy"].notna().sum() == 5
    assert "at the edge: " not in page.text  # of two values


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ([0.7, 0.8], "The second is 1.50 points behind, and ranges over the seeds"),
        ([0.3, 0.4], "41.50 points behind, and no range"),
        ([0.8], "4.00 points behind, with one seed, so luck may have decided"),
        ([0.76], "The second has the same result, and stands later in the YAML file"),
    ],
)
def test_a_selection_says_whether_luck_may_have_decided(second, words):
    seeds = range(1, len(second) + 1)
    values = {(10, 0.1, seed): 0.75 + seed / 100 for seed in seeds}
    values |= {(20, 0.1, seed): second[seed - 1] for seed in seeds}
    values |= {(30, 0.1, seed): 0.2 for seed in seeds}
    ranking = make_ranking(values)
    alone = ranking.assign(mean=ranking["mean"].where(ranking.index == 0))
    nothing = report.describe_luck(ranking.iloc[0], alone, "validation_accuracy")
    assert nothing == "No other configuration has a result"
    assert words in report.describe_luck(
        ranking.iloc[0], ranking, "validation_accuracy"
    )


@pytest.fixture
def draw():
    """Return a function that draws a ranking; the figures are closed at the end."""

    def draw(ranking, name, names, selected=0):
        key = ranking["configuration"][selected]
        figure = report.draw_panel(ranking, name, names, "validation_accuracy", key)
        (axis,) = figure.axes
        return axis

    yield draw
    plt.close("all")


def find_mark(axis):
    """Return the tick's label and the height of the single large dot."""
    (mark,) = [line for line in axis.lines if line.get_markersize() == 9]
    ((x, y),) = mark.get_xydata()
    return axis.get_xticklabels()[int(x)].get_text(), y


def test_a_picture_marks_what_is_selected_and_joins_what_differs_in_one_value(draw):
    points = itertools.product((10, 20, 30), (0.1, 0.2))
    ranking = make_ranking({(s, r, 1): s / 50 + r for s, r in points})
    names = ["hidden_size", "learning_rate"]
    first, second = (draw(ranking, name, names) for name in names)
    assert (len(first.containers), len(second.containers)) == (2, 3)
    assert first.get_xlabel() == "hidden_size"
    assert first.get_ylabel() == "validation accuracy (%)"
    assert find_mark(first) == ("30", pytest.approx(80))
    assert find_mark(second) == ("0.2", pytest.approx(80))
    lines = {bars[0].get_color(): bars[0] for bars in first.containers}
    assert list(lines[plots.VALIDATION].get_ydata()) == pytest.approx([40, 60, 80])
    fourth = draw(ranking, "hidden_size", names, selected=3)
    assert find_mark(fourth) == ("20", pytest.approx(50))


def test_a_configuration_that_lacks_a_seed_is_not_marked(draw):
    values = {(10, 0.1, 1): 0.9, (10, 0.1, 2): None}
    values |= {(20, 0.1, 1): 0.6, (20, 0.1, 2): 0.6}
    axis = draw(make_ranking(values), "hidden_size", ["hidden_size"])
    assert find_mark(axis) == ("20", 60)
    ((means, *_),) = axis.containers
    assert list(means.get_ydata()) == [90, 60]
