"""The tables and plots of a sweep's report.

Only one configuration in it has test metrics.
"""

import itertools
import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from pipeline.sweep_records import SweepDefinition
from pipeline.sweeps import report, verdict
from pipeline.sweeps.selection import rank_configurations
from tests.conftest import EPOCH, VALIDATED
from tests.sweeps.conftest import make_points


def test_the_page_begins_with_what_was_selected_and_its_test_accuracy(runs):
    """No other configuration has one."""
    folder = runs / "small"
    page = BeautifulSoup((folder / "report.html").read_text(), "html.parser")
    assert page.h1.text == "Which relu_grad_inactive?"
    (selected,) = page.select(".lead strong")
    assert selected.text == "relu_grad_inactive 0"
    sentence = " ".join(page.select_one(".lead").text.split())
    for words in (
        "85.18 % of 1,000 validation images, mean of 5 seeds, 4.72 ± 1.12 points ",
        "more than luck with the seeds. Test: 84.75 % of 10,000 images, the mean of 5 ",
        "95 % interval for other images is ",
    ):
        assert words in sentence
    chosen, other = page.select("#ranking ~ * tbody tr")
    assert chosen["class"] == ["marked"]
    cells = [cell.text for cell in other.select("td")]
    assert cells[:4] == ["2", "1", "80.46 %", "4.72 ± 1.12"]
    (panel,) = page.select(".report .panel")
    assert "relu_grad_inactive 0" in panel["aria-label"]
    text = page.select_one(".report").text
    assert not any(path.parent.name in text for path in folder.glob("*/run.json"))
    link = page.find("a", string="results.csv")
    results = pd.read_csv(folder / link["href"])
    assert results["test_accuracy"].notna().sum() == 5
    assert "at the edge: " not in page.text  # of two values


def describe_lead(values, metric="validation_accuracy"):
    """Return how far the first of two rates leads, with a result for each seed."""
    table = make_rates(values, metric)
    definition = SweepDefinition(name="a", select=metric)
    ranking = rank_configurations(table, definition)
    return verdict.describe_lead(table, ranking, metric)


def make_rates(values, metric="validation_accuracy"):
    """Return the table of points with some rates, and a result for each seed."""
    points = [
        ({"learning_rate": rate, "seed": seed}, value)
        for rate, results in values.items()
        for seed, value in enumerate(results)
    ]
    _, table = make_points(points, metric, EPOCH if "train" in metric else VALIDATED)
    return table


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        # Differences 1, 2 and 3: mean 2, and 2.484 = 4.303 / sqrt(3) by Student's t.
        ([0.81, 0.82, 0.83], [0.80, 0.80, 0.80], "2.00 ± 2.48 points ahead of the"),
        ([0.81, 0.82, 0.83], [0.80, 0.80, 0.80], "95 %): this may be luck."),
        ([0.84, 0.85, 0.86], [0.80, 0.80, 0.80], "more than luck with the seeds."),
        ([0.80, 0.81], [0.79, 0.80], ", 1.00 points ahead with each of 2 seeds."),
        ([0.83], [0.80], ", 3.00 points ahead of the second: nothing here shows how"),
        ([0.80, 0.82], [0.82, 0.80], ". The second has the same result, and stands"),
        ([0.80, 0.82], [None, None], ". No other configuration has a result."),
        ([0.80, 0.82], [0.70, None], ". No other configuration has finished all"),
    ],
)
def test_a_lead_says_by_how_much_and_how_sure(first, second, expected):
    assert expected in describe_lead({0.1: first, 0.2: second})


def test_a_lead_in_errors_is_lower():
    values = {0.1: [0.30, 0.31, 0.32], 0.2: [0.31, 0.33, 0.35]}
    expected = ", 0.020 ± 0.025 lower than the second's (paired by seed, 95 %): this"
    assert describe_lead(values, "train_error").startswith(expected)
    table = make_rates(values, "train_error")
    definition = SweepDefinition(name="a", select="train_accuracy")
    table["train_accuracy"] = 0.5
    (best, _) = rank_configurations(table, definition).iloc
    words = verdict.describe_mean(best, "train_accuracy")
    assert words == "50.00 % of 1,000 training images, mean of 3 seeds"
    keys = table["configuration"].unique()
    assert verdict.measure_gap(table, "train_error", *keys[::-1]).mean < 0


@pytest.mark.parametrize(
    ("metric", "second", "third", "lead"),
    [
        ("validation_accuracy", 0.9, 0.7, ", 10.00 points ahead with"),
        ("train_error", 0.7, 0.9, ", 0.100 lower than the second's with"),
    ],
)
def test_a_better_mean_of_fewer_seeds_is_named_and_not_chosen(
    metric, second, third, lead
):
    table = make_rates({0.1: [0.8, 0.8], 0.2: [second, None], 0.3: 2 * [third]}, metric)
    ranking = rank_configurations(table, SweepDefinition(name="a", select=metric))
    sentence = "learning_rate 0.2 has a better mean, but only 1 of 2 seeds: "
    found = verdict.list_unchosen(ranking, ["learning_rate"], metric)
    assert found == [f"{sentence}it was not chosen."]
    assert verdict.describe_lead(table, ranking, metric) == f"{lead} each of 2 seeds."


@pytest.fixture
def draw():
    """Return a function that draws points; the figures are closed at the end."""

    def draw(values, name, names, selected=-1):
        table = make_points(values)[1]
        key = table["configuration"].iloc[selected]
        figure = report.draw_panel(table, name, names, "validation_accuracy", key)
        (axis,) = figure.axes
        return axis

    yield draw
    plt.close("all")


def find_mark(axis):
    """Return the tick's label and the height of the single large dot."""
    (mark,) = [line for line in axis.lines if line.get_markersize() == 9]
    ((x, y),) = mark.get_xydata()
    return axis.get_xticklabels()[round(x)].get_text(), y


GRID = [
    ({"hidden_size": size, "learning_rate": rate, "seed": seed}, size / 50 + rate)
    for size, rate, seed in itertools.product((10, 20, 30), (0.1, 0.2), (1, 2))
]


def test_a_picture_marks_what_is_selected_and_joins_what_differs_in_one_value(draw):
    names = ["hidden_size", "learning_rate"]
    first, second = (draw(GRID, name, names) for name in names)
    assert first.get_xlabel() == "hidden_size"
    assert first.get_ylabel() == "validation accuracy (%)"
    assert find_mark(first) == ("30", pytest.approx(80))
    assert find_mark(second) == ("0.2", pytest.approx(80))
    lines = [line for line in first.lines if line.get_markersize() == 4]
    grey, orange = (list(line.get_ydata()) for line in lines)
    assert grey == pytest.approx([30, 50, 70])
    assert orange == pytest.approx([40, 60, 80])
    assert [text.get_text() for text in first.texts] == ["0.1", "0.2"]
    assert first.get_title(loc="right") == "learning_rate"
    heights = [text.xy[1] for text in second.texts]
    assert len(heights) == 3
    assert heights == sorted(heights)
    assert find_mark(draw(GRID, "hidden_size", names, 4)) == ("20", pytest.approx(50))
    axis = draw([(values, 0.5) for values, _ in GRID], "hidden_size", names)
    first, second = (text.xy[1] for text in axis.texts)
    assert second - first > 0.05 * np.ptp(axis.get_ylim())  # so they do not overlap


def test_a_configuration_that_lacks_a_seed_is_drawn_from_the_others(draw):
    values = [
        ({"hidden_size": 10, "seed": 1}, 0.9),
        ({"hidden_size": 10, "seed": 2}, None),
    ]
    values += [({"hidden_size": 20, "seed": seed}, 0.6) for seed in (1, 2)]
    axis = draw(values, "hidden_size", ["hidden_size"])
    assert find_mark(axis) == ("20", 60)
    (line,) = [each for each in axis.lines if each.get_markersize() == 4]
    assert list(line.get_ydata()) == [90, 60]


def test_a_full_grid_of_two_parameters_has_a_shaded_table():
    ranking = rank_configurations(make_points(GRID)[1], SweepDefinition(name="a"))
    names = ["hidden_size", "learning_rate"]
    page = report.make_mean_table(ranking, names, "validation_accuracy", 1000)
    rows = BeautifulSoup(page, "html.parser").select("tbody tr")
    texts = [[cell.text for cell in row.select("th, td")] for row in rows]
    assert texts[2] == ["30", "70.00 %", "80.00 %"]
    error = report.make_mean_table(ranking, names, "validation_error", 1000)
    for shaded, darkest in ((page, "row2_col1"), (error, "row0_col0")):
        assert re.findall(r"(\w+) \{\s[^}]*/ 60%", shaded) == [f"T_means_{darkest}"]
    lacking = ranking[1:].reset_index()
    assert not report.make_mean_table(lacking, names, "validation_accuracy", 1000)
    assert not report.make_mean_table(ranking, names[:1], "validation_accuracy", 1000)
