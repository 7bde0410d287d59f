"""The table of a sweep's points, made from points that have ended, and its texts."""

import math

import pandas as pd
import pytest

from pipeline.parameters import from_values
from pipeline.records import Metrics, Status
from pipeline.results.stages import METRICS
from pipeline.sweeps import table
from pipeline.sweeps.definition import read_definition
from tests.conftest import VALIDATED
from tests.sweeps.conftest import end, make_sweep

TESTED = {"test_error": 0.7, "test_accuracy": 0.625, "test_images": 8, "f1": 0.25}
TESTED |= VALIDATED | {"weights_sha256": "0" * 64}
SIZES = {"hidden_size": 5}, {"hidden_size": 6, "seed": 2}


@pytest.fixture
def sweep():
    """A sweep of two points that have been trained."""
    points = [from_values(values) for values in SIZES]
    sweep = make_sweep(read_definition({"name": "a"}), points=points)
    for point in sweep.points.values():
        end(point, 0.5)
    return sweep


def evaluate(point, monkeypatch, **fields):
    """Give a point metrics on the test images, and change fields of its record."""
    monkeypatch.setattr(point.folder, "read_metrics", lambda: Metrics(**TESTED))
    outputs = {METRICS: "0" * 64}
    point.record = point.record.replace(**{"outputs": outputs} | fields)


def test_a_row_has_the_metrics_of_training_and_those_on_the_test_images(
    sweep, monkeypatch
):
    first, second = sweep.points.values()
    evaluate(first, monkeypatch, duration_s=3)
    found = table.make_table(sweep)
    assert list(found["id"]) == [first.id, second.id]
    assert list(found["validation_accuracy"]) == [0.5, 0.5]
    names = ["duration_s", *TESTED.keys() - VALIDATED.keys() - {"test_images"}]
    expected = {"duration_s": 3, "weights_sha256": "0" * 64} | TESTED
    assert found.loc[0, names].to_dict() == {name: expected[name] for name in names}
    assert found.loc[1, ["test_accuracy", "f1", "duration_s"]].isna().all()
    assert table.list_other_metrics(found) == ["f1"]


def test_a_change_after_training_takes_only_the_metrics_on_the_test_images(
    sweep, monkeypatch
):
    """The next start evaluates the point again."""
    first, _ = sweep.points.values()
    evaluate(first, monkeypatch)
    inputs = {"tests pipeline/network/baselines.py": "1" * 64}
    first.expected_record = first.expected_record.replace(inputs=inputs)
    found = table.make_table(sweep)
    assert list(found["status"]) == ["done", "done"]
    assert list(found["validation_accuracy"]) == [0.5, 0.5]
    assert found[["test_accuracy", "test_error"]].isna().all(axis=None)


def test_an_outdated_point_has_a_status_and_no_results(sweep):
    first, _ = sweep.points.values()
    first.changes = ["code helpers.py"]
    found = table.make_table(sweep)
    assert list(found["status"]) == ["outdated", "done"]
    assert math.isnan(found["validation_accuracy"][0])
    assert found["weights_sha256"][0] is None
    assert list(table.has_ended(found)) == [False, True]


def make_failures(count, status):
    """Return a table of points that have failed, each with an error of two lines."""
    rows = [
        dict(from_values({"seed": seed})) | {"status": status, "error": f"e{seed}\nx"}
        for seed in range(count)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("status", "advice"), [(Status.FAILED, "same command"), (Status.DIVERGED, "change")]
)
def test_points_that_failed_are_listed_with_the_advice_for_their_status(status, advice):
    failed = make_failures(22, status)
    done = make_failures(3, Status.DONE)
    head, *lines, last = table.describe_failures(pd.concat([failed, done])).splitlines()
    assert head.startswith("22 of 25 points")
    assert lines == [f"seed {seed} {status}: e{seed}" for seed in range(20)]
    assert advice in last


def test_values_are_described_by_name():
    row = pd.Series({"hidden_size": 5, "learning_rate": 0.1}, dtype=object)
    text = table.describe_values(row, ["learning_rate", "hidden_size"])
    assert text == "learning_rate 0.1, hidden_size 5"
    assert table.describe_values(row, []) == "the only configuration"


@pytest.mark.parametrize(("number", "text"), [(1, "1 point"), (2000, "2,000 points")])
def test_a_count_has_its_noun(number, text):
    assert table.format_count(number, "point") == text


@pytest.mark.parametrize(
    ("metric", "count"), [("train_error", 7), ("validation_accuracy", 3)]
)
def test_a_metric_is_measured_on_the_images_of_its_split(metric, count):
    sizes = {"num_samples": 7, "num_validation": 3}
    assert table.count_images(sizes, metric) == count
