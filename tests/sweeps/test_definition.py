"""What a sweep's file means: its points, their configurations, and how these are ranked."""

import re

import pytest

from pipeline import parameters
from pipeline.errors import InvalidParameter
from pipeline.parameters import NOTEBOOKS
from pipeline.sweeps import definition
from pipeline.sweeps.definition import SweepFolder
from tests.conftest import EPOCH, VALIDATED
from tests.sweeps.conftest import QUICK, make_point, write


def make_points(path):
    return definition.make_points(definition.read_definition(path), SweepFolder(path.parent))


def test_a_grid_is_crossed_over_the_base_and_points_are_added_each_once(tmp_path):
    grid = {"learning_rate": [0.01, 0.02], "seed": [1, 2]}
    added = [{"seed": 2, "learning_rate": 0.02}, {"epochs": 9}]
    points = make_points(write(tmp_path / "s.yaml", grid=grid, points=added))
    chosen = [point.parameters for point in points]
    expected = [(0.01, 1, 4), (0.01, 2, 4), (0.02, 1, 4), (0.02, 2, 4), (0.005, 1, 9)]
    assert [(each.learning_rate, each.seed, each.epochs) for each in chosen] == expected
    assert {each.hidden_size for each in chosen} == {QUICK["hidden_size"]}
    assert len({point.folder.path for point in points}) == 5
    assert len(make_points(write(tmp_path / "s.yaml"))) == 1  # the base


def test_the_ids_of_points_are_those_of_version_1():
    points = make_points(NOTEBOOKS / "sweeps" / "small.yaml")
    assert {p.id: (p.parameters.learning_rate, p.parameters.seed) for p in points} == {
        "e850960dbc2c": (0.005, 1),
        "b0e81f5af01c": (0.005, 2),
        "5302d566163c": (0.01, 1),
        "d4abd3926f5d": (0.01, 2),
    }


def test_the_committed_definitions_are_sweeps(monkeypatch):
    monkeypatch.setattr(parameters, "check_source", lambda source: None)  # some must be made first
    for path in (NOTEBOOKS / "sweeps").glob("*.yaml"):
        assert definition.read_definition(path).name == path.stem
        assert make_points(path)


def test_a_number_with_an_exponent_is_a_number(tmp_path):
    (tmp_path / "s.yaml").write_text("name: a\ngrid: {learning_rate: [1e-3, 2.0E-3]}")
    rates = [point.parameters.learning_rate for point in make_points(tmp_path / "s.yaml")]
    assert rates == [0.001, 0.002]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("name: [", "expected the node content"),
        ("name: a\ngrid: *c", "found undefined alias 'c'"),
        ("name: a\ngrid: {seed: [1], seed: [2]}", 'found duplicate key "seed"'),
        ("", "the file: "),
        ("name: a/b", "name: String should match pattern"),
        ("name: a\ngrit: {}", "grit: Extra inputs are not permitted"),
        ("name: a\ngrid: {seed: 3}", "grid.seed: Input should be a valid list"),
        ("name: a\nselect: test_accuracy", "select: Input should be 'validation_accuracy', "),
    ],
)
def test_a_file_that_is_no_sweep_is_refused_in_one_message(tmp_path, content, problem):
    (tmp_path / "s.yaml").write_text(content)
    with pytest.raises(InvalidParameter, match=re.escape(problem)) as refused:
        definition.read_definition(tmp_path / "s.yaml")
    assert str(refused.value).startswith(f"{tmp_path / 's.yaml'} is no sweep: ")
    assert str(refused.value).endswith("may have base, grid, points and select.")
    assert "suppress" not in str(refused.value)  # ruamel.yaml's advice to programmers


@pytest.mark.parametrize(
    ("entries", "problems"),
    [
        (
            {"grid": {"learning_rte": [1], "epochs": [0]}, "base": {"dropout_rate": 1}},
            ["Did you mean learning_rate?", "epochs is 0, but must be", "dropout_rate is 1, but"],
        ),
        ({"grid": {"epochs": [3, "many"]}}, ["epochs is 'many', but must be a whole number"]),
        ({"points": [{"run_dir": "x"}]}, ["There is no parameter 'run_dir'."]),
        ({"points": [{"num_validation": 0}]}, ["select is validation_accuracy, but num_valid"]),
    ],
)
def test_wrong_values_are_refused_in_one_message(tmp_path, entries, problems):
    with pytest.raises(InvalidParameter) as refused:
        make_points(write(tmp_path / "s.yaml", **entries))
    assert [problem for problem in problems if problem not in str(refused.value)] == []


def test_too_many_points_are_refused_by_their_count(tmp_path):
    names = ("seed", "epochs", "hidden_size", "batch_size")  # 10^12 points fit into no memory
    large = write(tmp_path / "l.yaml", grid={name: list(range(1, 1001)) for name in names})
    small = write(tmp_path / "s.yaml", grid={"seed": list(range(10_000))}, points=[{"epochs": 9}])
    for file, count in ((large, "1,000,000,000,000"), (small, "10,001")):
        with pytest.raises(InvalidParameter, match=f"{count} points, but may have 10,000 at most"):
            make_points(file)


def rank(metric, *values):
    """Return the hidden sizes of points as they are ranked; each has a size, a seed and a value."""
    points = [make_point(seed, value, metric, hidden_size=size) for size, seed, value in values]
    return [each.parameters["hidden_size"] for each in definition.rank(points, metric)]


def test_points_that_differ_in_their_seed_alone_form_a_configuration():
    chosen = [(10, 1, 5), (20, 1, 5), (10, 2, 5), (10, 1, 9)]
    points = [make_point(seed, 0.5, hidden_size=size, epochs=n) for size, seed, n in chosen]
    configurations = definition.group(points, "validation_accuracy")
    assert [each.points for each in configurations] == [points[::2], [points[1]], [points[3]]]
    assert definition.find_varied(points) == ["hidden_size", "epochs"]
    assert definition.find_varied(points[::2]) == []


def test_configurations_are_ranked_by_the_mean_and_not_by_one_lucky_seed():
    values = [(10, 1, 0.9), (10, 2, 0.5), (20, 1, 0.8), (20, 2, 0.7)]
    assert rank("validation_accuracy", *values) == [20, 10]


@pytest.mark.parametrize("split", ["train", "validation"])
def test_an_error_is_ranked_from_below_and_an_accuracy_from_above(split):
    values = [(10, 1, 0.4), (20, 1, 0.3), (30, 1, 0.5)]
    assert rank(f"{split}_error", *values) == [20, 10, 30]
    assert rank(f"{split}_accuracy", *values) == [30, 10, 20]


@pytest.mark.parametrize(
    ("metric", "other", "worse", "better"),
    [
        ("validation_accuracy", "validation_error", 0.4, 0.3),
        ("train_error", "train_accuracy", 0.6, 0.7),
    ],
)
def test_equal_means_are_ranked_by_the_other_metric_of_the_same_images(
    metric, other, worse, better
):
    first = make_point(1, 0.5, metric, VALIDATED | {other: worse}, hidden_size=10)
    second = make_point(1, 0.5, metric, VALIDATED | {other: better}, hidden_size=20)
    for points in ([first, second], [second, first]):
        assert definition.rank(points, metric)[0].points == [second]
    equal = [(20, 1, 0.5), (10, 1, 0.5 + 1e-14), (30, 1, 0.5 - 1e-14)]  # but for rounding
    assert rank(metric, *equal) == [20, 10, 30]


@pytest.mark.parametrize(
    ("metric", "good", "better", "poor"),
    [("validation_accuracy", 0.9, 0.95, 0.6), ("validation_error", 0.1, 0.05, 0.4)],
)
def test_a_configuration_of_which_a_point_failed_comes_after_all_complete_ones(
    metric, good, better, poor
):
    incomplete = [(10, 1, good), (10, 2, None), (40, 1, better), (40, 2, None)]
    assert rank(metric, (30, 1, None), *incomplete, (20, 1, poor)) == [20, 40, 10, 30]


def test_a_training_metric_needs_no_validation_images(tmp_path):
    assert make_points(write(tmp_path / "s.yaml", base={"num_validation": 0}, select="train_error"))
    point = make_point(1, 0.5, "train_accuracy", EPOCH)
    assert definition.rank([point], "train_accuracy")[0].mean == 0.5


def test_the_best_is_described_with_its_mean_and_over_how_many_seeds():
    for values, mean in (
        ([0.125], "0.1250"),
        ([0.125, 0.25], "0.1875, mean of 2 seeds"),
        ([0.125, None, 0.25], "0.1875, 2 of 3 seeds"),
    ):
        points = [make_point(seed, value, hidden_size=10) for seed, value in enumerate(values)]
        (best,) = definition.group(points, "validation_accuracy")
        assert best.describe_best(["hidden_size"]) == f"validation_accuracy {mean}: hidden_size 10"
        assert best.describe([]) == "the only configuration"
