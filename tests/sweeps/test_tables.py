"""The tables and plots of a sweep's report.

Only one configuration in it has test metrics.
"""

import base64
import io
import math

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from pipeline.parameters import NAMES
from pipeline.records import SweepDefinition
from pipeline.sweeps import tables
from pipeline.sweeps.ranking import rank
from tests.conftest import EPOCH
from tests.sweeps.conftest import make_point


def make_ranking(values, names=("hidden_size", "learning_rate")):
    """Return the ranking of points.

    values: an accuracy for each hidden size, learning rate and seed.
    """
    points = [
        make_point(seed, value, hidden_size=size, learning_rate=rate)
        for (size, rate, seed), value in values.items()
    ]
    return tables.make_ranking(rank(points, "validation_accuracy"), names)


@pytest.fixture
def draw():
    """Return a function that draws effects, and closes the figures in the end."""
    yield lambda *arguments: tables.draw_effects(*arguments, "validation_accuracy")
    plt.close("all")


def test_the_ranking_has_a_row_for_each_configuration_with_its_spread_over_the_seeds():
    values = {
        (10, 0.1, 1): 0.9,
        (10, 0.1, 2): 0.5,
        (20, 0.1, 1): 0.8,
        (20, 0.1, 2): 0.7,
    }
    ranking = make_ranking(values | {(30, 0.1, 1): None}, ["hidden_size"])
    columns = ["hidden_size", "seeds", "complete", "mean", "lowest", "highest"]
    assert list(ranking.columns) == columns
    rows = [list(map(float, row)) for row in ranking.to_numpy()]
    assert rows[0] == pytest.approx([20, 2, 1, 0.75, 0.7, 0.8])
    assert rows[1] == pytest.approx([10, 2, 1, 0.7, 0.5, 0.9])
    assert rows[2][:3] == [30, 0, 0]
    assert all(map(math.isnan, rows[2][3:]))


def test_the_results_have_a_row_for_each_point_and_test_metrics_of_evaluated_ones():
    waiting = make_point(2)
    waiting.record = None
    results = tables.make_results([make_point(1, 0.25, "train_error", EPOCH), waiting])
    assert list(results["seed"]) == [1, 2]
    assert list(results["status"]) == ["done", "not run"]
    assert results["train_error"][0] == 0.25
    assert results[["train_error", "validation_error"]].isna().sum().tolist() == [1, 2]
    assert {*NAMES, "weights_sha256"} < {*results.columns}
    assert results[["test_error", "test_accuracy"]].isna().all(axis=None)


def test_a_table_is_escaped_and_rounded_has_links_and_downloads_itself():
    table = pd.DataFrame({"id": ["p1", "p2"], "error": ["<b> & co", None]})
    table = table.assign(
        learning_rate_decay=[1.0, 0.99999], validation_accuracy=[1 / 3, None]
    )
    text = tables.to_html(table, "trial", {"p1": "p1/report.html", "p2": ""}.get)
    page = BeautifulSoup(text, "html.parser")
    heads = ["id", "error", "learning_rate_decay", "validation accuracy"]
    assert [cell.text for cell in page.find_all("th")] == heads
    cells = ["p1", "<b> & co", "1.0", "0.3333", "p2", "-", "0.99999", "-"]
    assert [cell.text for cell in page.find_all("td")] == cells
    assert [link["href"] for link in page.table.find_all("a")] == ["p1/report.html"]
    assert "sortable" in page.table["class"]
    address = page.find("a", download="trial.csv")["href"]
    content = base64.b64decode(address.removeprefix("data:text/csv;base64,"))
    read = pd.read_csv(io.BytesIO(content))
    pd.testing.assert_frame_equal(read, table, check_exact=True)


def test_effects_draw_a_line_for_each_choice_of_the_others_and_mark_the_best(draw):
    sizes, rates = (10, 20, 30), (0.1, 0.2)
    values = {
        (s, r, n): s / 100 + r + n / 1000 for s in sizes for r in rates for n in (1, 2)
    }
    first, second = draw(make_ranking(values), ["hidden_size", "learning_rate"]).axes
    assert (len(first.containers), len(second.containers)) == (2, 3)
    assert first.get_xlabel() == "hidden_size, values swept"
    assert first.get_ylabel() == "validation accuracy (fraction)"
    assert [label.get_text() for label in second.get_xticklabels()] == ["0.1", "0.2"]
    solid = [bars[0] for bars in first.containers if bars[0].get_linestyle() == "-"]
    assert [list(line.get_ydata()) for line in solid] == [
        pytest.approx([0.3015, 0.4015, 0.5015])
    ]
    (mark,) = [line for line in first.lines if line.get_markersize() == 9]
    assert mark.get_ydata() == pytest.approx([0.5015])
    assert mark.get_xdata() == pytest.approx([1], abs=0.06)  # the place of 30


def test_effects_leave_out_a_configuration_of_which_a_point_failed(draw):
    values = {
        (10, 0.1, 1): 0.9,
        (10, 0.1, 2): None,
        (20, 0.1, 1): 0.6,
        (20, 0.1, 2): 0.6,
    }
    (axis,) = draw(make_ranking(values), ["hidden_size"]).axes
    assert [list(bars[0].get_ydata()) for bars in axis.containers] == [[0.6]]


def test_effects_of_many_parameters_stand_in_rows_of_three(draw):
    names = list(NAMES)[1:11]
    counts = {"complete": True, "mean": [0.5, 0.4], "lowest": 0.4, "highest": 0.5}
    figure = draw(pd.DataFrame({name: [1, 2] for name in names} | counts), names)
    assert [axis.get_title("left") + axis.get_title() for axis in figure.axes] == names
    assert sum(bool(axis.get_ylabel()) for axis in figure.axes) == 4
    figure.draw_without_rendering()
    boxes = [axis.xaxis.label.get_window_extent() for axis in figure.axes]
    assert not any(
        box.overlaps(other) for box in boxes for other in boxes if other is not box
    )


def test_the_report_has_the_test_metric_of_the_selected_configuration_alone(runs):
    page = BeautifulSoup((runs / "small" / "report.html").read_text(), "html.parser")
    assert "selected: learning_rate 0.005\n" in page.main.text
    spread, error = (
        "range over 2 seeds: 0.7544 to 0.7688",
        "standard error of 10,000 images",
    )
    assert f"test_accuracy 0.7616 ({spread}; {error}: 0.0043)" in page.main.text
    ranking, points = page.find_all("table", class_="sortable")
    assert [cell.text for cell in ranking.find_all("td")][:4] == [
        "0.005",
        "2",
        "True",
        "0.7685",
    ]
    links = [link["href"] for link in points.find_all("a")]
    assert links == ["e850960dbc2c/report.html", "b0e81f5af01c/report.html"]
    assert "test" not in points.text


@pytest.mark.parametrize(
    ("values", "metric", "images", "text"),
    [
        (
            [0.7, 0.8],
            "test_accuracy",
            49,
            "(range over 2 seeds: 0.7000 to 0.8000; "
            "standard error of 49 images: 0.061)",
        ),
        (
            [1.0],
            "validation_accuracy",
            10,
            "(one seed; standard error of 10 images: 0.094)",
        ),
        ([0.5], "validation_error", 1000, "(one seed; 1,000 images)"),
    ],
)
def test_a_metric_comes_with_its_range_and_the_standard_error_of_its_images(
    values, metric, images, text
):
    assert tables.describe_certainty(values, metric, images).endswith(text)


def test_values_stand_at_their_distances_and_labels_apart():
    assert tables.place([3, 1, 2, 1], is_log=False) == {1: 0, 2: 0.5, 3: 1}
    places = tables.place([0.1, 0.001, 0.01], is_log=True)
    assert places == pytest.approx({0.001: 0, 0.01: 0.5, 0.1: 1})
    assert tables.place(["b", "a"], is_log=False) == {"a": 0, "b": 1}
    assert tables.place([7], is_log=False) == {7: 0.5}
    assert tables.pick_labels({1.0: 0, 1.1: 0.05, 2.0: 1}) == {0: "1", 1: "2"}


def test_axes_are_logarithmic_as_values_were_drawn_or_from_a_factor_of_ten():
    columns = {"hidden_size": [20, 90], "dropout_rate": [0.01, 0.5], "epochs": [1, 10]}
    columns |= {
        "learning_rate": [0.01, 0.05],
        "input_dropout_rate": [0, 0.5],
        "source": ["a", "b"],
    }
    log = {"distribution": "log_uniform", "min": 0.01, "max": 0.1}
    drawn = {"learning_rate": log, "dropout_rate": {"min": 0, "max": 0.6}}
    sweep = SweepDefinition(name="a", random={"n_candidates": 2, "parameters": drawn})
    logs = tables.find_log_scales(pd.DataFrame(columns), columns, sweep)
    assert logs == {"learning_rate", "epochs"}


def test_a_selected_value_at_an_edge_is_named():
    ranking = pd.DataFrame(
        {"hidden_size": [30, 10, 20], "learning_rate": [0.2, 0.1, 0.3]}
    )
    edges = tables.find_edges(ranking, ["hidden_size", "learning_rate"])
    assert edges == ["hidden_size 30 is the largest of 3 values tried"]


def test_a_search_is_drawn_by_its_candidates_and_by_its_rungs():
    names, metric = ["learning_rate", "epochs"], "validation_accuracy"
    table = {
        "learning_rate": [0.1, 0.1, 0.2],
        "epochs": [9, 3, 3],
        "mean": [0.9, 0.7, 0.6],
    }
    ranking = pd.DataFrame(table | {"seeds": 1})
    lines = tables.draw_candidates(ranking, names, metric).axes[0].lines
    # The best one is drawn last, so it lies on top.
    assert [list(line.get_ydata()) for line in lines[2:3]] == [[0, 1, 1]]
    (axis,) = tables.draw_rungs(ranking, names, metric).axes
    ends = sorted([*line.get_xdata()] for line in axis.lines)
    assert ends == [[3], [3, 9]]
    assert axis.get_xscale() == "log"
    assert axis.texts[0].get_text() == "learning_rate 0.1"
    plt.close("all")
