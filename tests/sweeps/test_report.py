"""The tables and plots of a sweep's report.

Only one configuration in it has test metrics.
"""

import itertools
import math

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from pipeline.parameters import NAMES
from pipeline.records import SweepDefinition
from pipeline.reports import plots
from pipeline.sweeps import report
from pipeline.sweeps.table import make_table
from tests.conftest import EPOCH
from tests.sweeps.conftest import end, make_ranking, make_sweep


def test_the_ranking_has_a_row_for_each_configuration_with_its_spread_over_the_seeds():
    values = {(10, 0.1, 1): 0.9, (10, 0.1, 2): 0.5}
    values |= {(20, 0.1, 1): 0.8, (20, 0.1, 2): 0.7}
    ranking = make_ranking(values | {(30, 0.1, 1): None})
    columns = ["hidden_size", "seeds", "complete", "mean", "lowest", "highest"]
    rows = [list(map(float, row)) for row in ranking[columns].to_numpy()]
    assert rows[0] == pytest.approx([20, 2, 1, 0.75, 0.7, 0.8])
    assert rows[1] == pytest.approx([10, 2, 1, 0.7, 0.5, 0.9])
    assert rows[2][:3] == [30, 0, 0]
    assert all(map(math.isnan, rows[2][3:]))


def test_the_table_has_a_row_for_each_point_of_numbers_and_times():
    """This holds even if its points have no result, or times of two origins."""
    definition = SweepDefinition(name="a", seeds=[1, 2], select="train_error")
    sweep = make_sweep(definition)
    first, second = sweep.points.values()
    for _ in range(2):
        table = make_table(sweep)
        assert table["train_error"].dtype == float
        assert str(table["started"].dtype).startswith("datetime64")
        end(first, 0.25, "train_error", EPOCH)
    read = first.record.model_validate_json(first.record.model_dump_json())
    second.record = read.replace(status="running", metrics=None)
    table = make_table(sweep)
    assert list(table["status"]) == ["done", "running"]
    assert table["train_error"][0] == 0.25
    assert table[["train_error", "validation_error"]].isna().sum().tolist() == [1, 2]
    assert {*NAMES, "weights_sha256"} < {*table.columns}
    assert table[["test_error", "test_accuracy"]].isna().all(axis=None)
    assert table["started"].min().tzinfo is not None


def test_the_page_begins_with_what_was_selected_and_its_test_accuracy(runs):
    """No other configuration has one."""
    folder = runs / "small"
    page = BeautifulSoup((folder / "report.html").read_text(), "html.parser")
    selected, tested = page.h2.find_all_next("strong")[:2]
    assert selected.text == "selected: learning_rate 0.005"
    assert tested.text.startswith("test_accuracy 0.7616, 95 % interval ")
    spread = "10,000 images; range over 2 seeds: 0.7544 to 0.7688"
    assert f"95 % interval 0.7531 to 0.7699 ({spread})" in tested.parent.text
    link = tested.find_next("a", string="results.csv")
    results = pd.read_csv(folder / link["href"])
    assert results["test_accuracy"].notna().sum() == 2
    assert "learning_rate 0.005" in link.find_next("img")["alt"]
    assert "edge" not in tested.parent.text  # of two values
    rows = [[cell.text for cell in row.select("td")] for row in page.select("tr")]
    assert ["0.005", "2", "0.7685", "0.7560", "0.7810"] in rows
    assert ["0.01", "2", "0.7655", "0.7540", "0.7770"] in rows


@pytest.mark.parametrize(
    ("values", "metric", "images", "names"),
    [
        ([0.7, 0.8], "test_accuracy", 100, ["0.7000 to 0.8000", "0.6570 to 0.8245"]),
        ([1.0], "validation_accuracy", 10, ["one seed", "0.7225 to 1.0000"]),
        ([0.5], "validation_error", 1000, ["one seed", "(1,000 images;"]),
    ],
)
def test_a_metric_comes_with_its_range_and_the_interval_of_its_images(
    values, metric, images, names
):
    text = report.describe_certainty(pd.Series(values), metric, images)
    assert all(name in text for name in names)


def test_a_selected_value_at_an_edge_of_three_or_more_is_named():
    values = {"hidden_size": [30, 10, 20], "learning_rate": [0.2, 0.1, 0.3]}
    values |= {"epochs": [9, 9, 1], "source": ["c", "b", "a"]}
    table = pd.DataFrame(values)
    edges = report.describe_extremes(table.iloc[0], table, values)
    assert edges == ["at the edge: hidden_size 30 is the largest of 3"]


@pytest.fixture
def draw():
    """Return a function that draws a ranking; the figures are closed at the end."""

    def draw(ranking, names, selected=0):
        key = ranking["configuration"][selected]
        metric = "validation_accuracy"
        return report.draw_configurations(ranking, names, metric, key)

    yield draw
    plt.close("all")


def find_mark(axis):
    """Return the tick's label and the height of the single large dot."""
    (mark,) = [line for line in axis.lines if line.get_markersize() == 9]
    ((x, y),) = mark.get_xydata()
    return axis.get_xticklabels()[int(x)].get_text(), y


def test_a_picture_marks_what_is_selected_and_joins_what_differs_in_one_value(draw):
    sizes, rates = (10, 20, 30), (0.1, 0.2)
    points = itertools.product(sizes, rates, (1, 2))
    values = {(s, r, n): s / 100 + r + n / 1000 for s, r, n in points}
    ranking = make_ranking(values)
    first, second = draw(ranking, ["hidden_size", "learning_rate"]).axes
    assert (len(first.containers), len(second.containers)) == (2, 3)
    assert first.get_xlabel() == "hidden_size"
    assert first.get_ylabel() == "validation accuracy (fraction)"
    assert find_mark(first) == ("30", pytest.approx(0.5015))
    assert find_mark(second) == ("0.2", pytest.approx(0.5015))
    lines = {bars[0].get_color(): bars[0] for bars in first.containers}
    marked = lines[plots.VALIDATION]
    assert list(marked.get_ydata()) == pytest.approx([0.3015, 0.4015, 0.5015])
    axis, _ = draw(ranking, ["hidden_size", "learning_rate"], selected=3).axes
    row = ranking.iloc[3]
    assert find_mark(axis) == (str(row["hidden_size"]), pytest.approx(row["mean"]))


def test_a_configuration_that_lacks_a_seed_is_hollow_and_not_marked(draw):
    values = {(10, 0.1, 1): 0.9, (10, 0.1, 2): None}
    values |= {(20, 0.1, 1): 0.6, (20, 0.1, 2): 0.6}
    (axis,) = draw(make_ranking(values), ["hidden_size"]).axes
    assert find_mark(axis) == ("20", 0.6)
    hollow = [line for line in axis.lines if line.get_color() == "w"]
    assert [line.get_ydata().tolist() for line in hollow] == [[0.9]]
    ((means, *_),) = axis.containers
    assert list(means.get_ydata()) == [0.9, 0.6]


def test_many_values_are_to_scale(draw):
    values = {(size, 0.1, 1): size / 100 for size in range(10, 20)}
    (axis,) = draw(make_ranking(values), ["hidden_size"]).axes
    dots = [tuple(dot) for bars in axis.containers for dot in bars[0].get_xydata()]
    assert sorted(dots) == [(size, size / 100) for size in range(10, 20)]
