"""The tables and plots of a sweep's report.

Only one configuration in it has test metrics.
"""

import base64
import io
import math

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from pipeline.parameters import NAMES
from pipeline.sweeps import tables
from tests.conftest import EPOCH
from tests.sweeps.conftest import make_point, make_ranking


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


def test_a_selected_value_at_an_edge_is_named():
    ranking = pd.DataFrame(
        {"hidden_size": [30, 10, 20], "learning_rate": [0.2, 0.1, 0.3]}
    )
    edges = tables.find_edges(ranking, ["hidden_size", "learning_rate"])
    assert edges == ["hidden_size 30 is the largest of 3 values tried"]
