"""The tables and plots of a sweep's report.

Only one configuration in it has test metrics.
"""

import base64
import io
import itertools
import math

import matplotlib.pyplot as plt
import nbformat
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from pipeline.parameters import NAMES
from pipeline.records import SweepDefinition
from pipeline.results.run_folder import RunFolder
from pipeline.sweeps import evaluation, report
from pipeline.sweeps.definition import read_definition
from pipeline.sweeps.sweep import read_sweep
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
    """Also if its points have no result, or times of two origins."""
    definition = SweepDefinition(name="a", grid={"seed": [1, 2]}, select="train_error")
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


def test_a_table_is_escaped_and_rounded_has_links_and_downloads_itself():
    table = pd.DataFrame({"id": ["p1", "p2"], "error": ["<b> & co", None]})
    table = table.assign(
        learning_rate_decay=[1.0, 0.99999], validation_accuracy=[1 / 3, None]
    )
    text = report.to_html(table, "trial", {"p1": "p1/report.html", "p2": ""}.get)
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
    spread, error = "range over 2 seeds: 0.7544 to 0.7688", "10,000 images: 0.0043"
    assert (
        f"test_accuracy 0.7616 ({spread}; standard error of {error})" in page.main.text
    )
    ranking, points = page.find_all("table", class_="sortable")
    first = [cell.text for cell in ranking.find_all("td")][:4]
    assert first == ["0.005", "2", "True", "0.7685"]
    links = [link["href"] for link in points.find_all("a")]
    assert links == ["e850960dbc2c/report.html", "b0e81f5af01c/report.html"]
    assert "test" not in points.text


def test_a_sweep_says_on_what_and_for_how_long_its_points_were_trained(runs):
    sweep = read_sweep(runs / "small")
    records = [point.record for point in sweep.points.values()]
    processor = records[0].origin.processor
    page = BeautifulSoup((runs / "small" / "report.html").read_text(), "html.parser")
    section = " ".join(
        page.select_one("section[aria-labelledby=provenance]").text.split()
    )
    seconds = sum(each.duration_s for each in records)
    assert f"its trainings took {seconds:.1f} s together" in section
    assert section.count(processor) == 1
    assert "Creative Commons Attribution-ShareAlike 3.0" in section
    for cell in nbformat.read(runs / "small" / "sweep.ipynb", 4).cells:
        assert processor not in str(cell.get("outputs"))
        assert "UTC" not in str(cell.get("outputs")).replace("evaluated", "")
    readme = (runs / "small" / "README.txt").read_text()
    assert "python -m pipeline verify" in readme


def test_the_time_of_a_sweep_counts_every_training(tmp_path):
    """Those that failed, were continued, lost, or are no longer in the file, too."""
    definition = read_definition({"name": "a", "base": {"epochs": 1}, "seeds": [1, 2]})
    sweep = make_sweep(definition, tmp_path / "a")
    first, second = sweep.points.values()
    first.record = first.now.replace(duration_s=11.5)
    second.record = second.now.replace(duration_s=100, status="failed")
    second.changes = ["outdated"]
    RunFolder(tmp_path / "a" / "gone").write_record(first.now.replace(duration_s=1000))
    RunFolder(tmp_path / "a" / "new").write_record(first.now)
    assert sweep.measure_seconds() == 1111.5


@pytest.mark.parametrize(
    ("values", "metric", "images", "names"),
    [
        ([0.7, 0.8], "test_accuracy", 49, ["0.7000 to 0.8000", "49 images: 0.061"]),
        ([1.0], "validation_accuracy", 10, ["one seed", "10 images: 0.094"]),
        ([0.5], "validation_error", 1000, ["one seed", "1,000 images)"]),
    ],
)
def test_a_metric_comes_with_its_range_and_the_standard_error_of_its_images(
    values, metric, images, names
):
    text = report.describe_certainty(pd.Series(values), metric, images)
    assert all(name in text for name in names)


def test_a_selected_value_at_an_edge_is_named():
    values = {"hidden_size": [30, 10, 20], "learning_rate": [0.2, 0.1, 0.3]}
    (edge,) = report.find_edges(pd.DataFrame(values), values.keys())
    assert edge.startswith("hidden_size 30 is the largest")


@pytest.fixture
def draw():
    """Return a function that draws effects, and closes the figures in the end."""
    yield lambda *arguments: report.draw_effects(
        *arguments, "validation_accuracy", set()
    )
    plt.close("all")


def test_effects_draw_a_line_for_each_choice_of_the_others_and_mark_the_best(draw):
    sizes, rates = (10, 20, 30), (0.1, 0.2)
    points = itertools.product(sizes, rates, (1, 2))
    values = {(s, r, n): s / 100 + r + n / 1000 for s, r, n in points}
    first, second = draw(make_ranking(values), ["hidden_size", "learning_rate"]).axes
    assert (len(first.containers), len(second.containers)) == (2, 3)
    assert first.get_xlabel() == "hidden_size, values swept"
    assert first.get_ylabel() == "validation accuracy (fraction)"
    solid = [bars[0] for bars in first.containers if bars[0].get_linestyle() == "-"]
    (line,) = solid
    assert list(line.get_ydata()) == pytest.approx([0.3015, 0.4015, 0.5015])
    marks = [
        list(line.get_xydata()[0]) for line in first.lines if len(line.get_xdata()) == 1
    ]
    assert marks == [pytest.approx([30, 0.5015])]


def test_effects_leave_out_a_configuration_of_which_a_point_failed(draw):
    values = {(10, 0.1, 1): 0.9, (10, 0.1, 2): None}
    values |= {(20, 0.1, 1): 0.6, (20, 0.1, 2): 0.6}
    (axis,) = draw(make_ranking(values), ["hidden_size"]).axes
    assert [list(bars[0].get_ydata()) for bars in axis.containers] == [[0.6]]


def test_effects_of_many_parameters_stand_in_rows_of_three(draw):
    names = list(NAMES)[1:11]
    counts = {"complete": True, "mean": [0.5, 0.4], "lowest": 0.4, "highest": 0.5}
    figure = draw(pd.DataFrame({name: [1, 2] for name in names} | counts), names)
    assert [axis.get_title("left") + axis.get_title() for axis in figure.axes] == names
    figure.draw_without_rendering()
    boxes = [axis.xaxis.label.get_window_extent() for axis in figure.axes]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_axes_are_logarithmic_as_values_were_drawn_or_from_a_factor_of_ten():
    columns = {"hidden_size": [20, 90], "dropout_rate": [0.01, 0.5], "epochs": [1, 10]}
    columns |= {"learning_rate": [0.01, 0.05], "input_dropout_rate": [0, 0.5]}
    columns |= {"source": ["a", "b"]}
    log = {"distribution": "log_uniform", "min": 0.01, "max": 0.1}
    drawn = {"learning_rate": log, "dropout_rate": {"min": 0, "max": 0.6}}
    sweep = SweepDefinition(name="a", random={"n_candidates": 2, "parameters": drawn})
    logs = report.find_log_scales(pd.DataFrame(columns), columns, sweep)
    assert logs == {"learning_rate", "epochs"}


def test_the_first_evaluation_of_a_configuration_counts():
    """A, B and A again, as after a change of 03_evaluate: A was the first."""

    def evaluate(rate, seed=1, code="c", accuracy=0.75):
        parameters = {"learning_rate": rate, "seed": seed}
        fields = {"point": f"{rate}-{seed}", "parameters": parameters, "code": code}
        tested = {"test_error": 0.5, "test_accuracy": accuracy}
        return evaluation.TestEvaluation(**fields, **tested)

    again, other = evaluate(0.1, code="d"), evaluate(0.1, code="d", accuracy=0.5)
    a, a2, b = evaluate(0.1), evaluate(0.1, 2), evaluate(0.2)
    for evaluations, selected, count, text in (
        ([a, a2], ["0.1-1", "0.1-2"], 1, "was the first"),
        ([a, b, a], ["0.1-1"], 2, "was the first"),
        ([b, a, b, a], ["0.1-1"], 2, "1 other was evaluated before"),
        ([a, other], ["0.1-1"], 2, "1 other was evaluated before"),
        ([a, again], ["0.1-1"], 1, "was the first"),  # equal results
    ):
        lines = evaluation.describe_test_evaluations(evaluations, selected)
        assert lines[0].endswith(f": {count}")
        assert text in lines[1]
    assert "over 2 seeds" in evaluation._describe_group([a, a2])
