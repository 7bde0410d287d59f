"""What a sweep's file means: its points, their configurations, and how these are ranked."""

import math
import re

import pytest

from pipeline.errors import InvalidParameter
from pipeline.parameters import NOTEBOOKS
from pipeline.sweeps import definition
from pipeline.sweeps.definition import SweepFolder
from tests.conftest import EPOCH, VALIDATED
from tests.sweeps.conftest import QUICK, make_point, write

SIZE = ["hidden_size"]


def make_points(path):
    return definition.make_points(definition.read_definition(path), SweepFolder(path.parent))


# ---- points ----------------------------------------------------------------------------------


def test_a_grid_is_crossed_over_the_base_and_points_are_added_each_once(tmp_path):
    grid = {"learning_rate": [0.01, 0.02], "seed": [1, 2]}
    added = [{"seed": 2, "learning_rate": 0.02}, {"epochs": 9}]
    points = make_points(write(tmp_path / "s.yaml", grid=grid, points=added))
    chosen = [point.parameters for point in points]
    assert [(each.learning_rate, each.seed, each.epochs) for each in chosen] == [
        (0.01, 1, 4),
        (0.01, 2, 4),
        (0.02, 1, 4),
        (0.02, 2, 4),
        (0.005, 1, 9),
    ]
    assert {each.hidden_size for each in chosen} == {QUICK["hidden_size"]}
    assert len({point.folder.path for point in points}) == 5


def test_without_a_grid_and_points_the_base_is_the_one_point(tmp_path):
    (point,) = make_points(write(tmp_path / "s.yaml"))
    assert point.parameters.model_dump().items() >= QUICK.items()


def test_the_ids_of_points_are_those_of_version_1():
    points = make_points(NOTEBOOKS / "sweeps" / "small.yaml")
    assert {p.id: (p.parameters.learning_rate, p.parameters.seed) for p in points} == {
        "e850960dbc2c": (0.005, 1),
        "b0e81f5af01c": (0.005, 2),
        "5302d566163c": (0.01, 1),
        "d4abd3926f5d": (0.01, 2),
    }


@pytest.mark.parametrize("path", sorted((NOTEBOOKS / "sweeps").glob("*.yaml")), ids=str)
def test_a_committed_definition_is_a_sweep(path):
    assert definition.read_definition(path).name == path.stem
    assert make_points(path)


def test_a_number_with_an_exponent_is_a_number(tmp_path):
    (tmp_path / "s.yaml").write_text("name: a\ngrid: {learning_rate: [1e-3, 2.0E-3]}")
    rates = [point.parameters.learning_rate for point in make_points(tmp_path / "s.yaml")]
    assert rates == [0.001, 0.002]


# ---- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("name: [", "expected the node content"),
        ("name: a\nbase: &b {seed: 1}\ngrid: *c", "found undefined alias 'c'"),
        ("name: a\nname: b", 'found duplicate key "name"'),
        ("name: a\ngrid: {seed: [1], epochs: [1], seed: [2]}", 'found duplicate key "seed"'),
        ("", "the file: "),
        ("- name: a", "the file: "),
        ("name: a/b", "name: "),
        ("name: a\ngrit: {}", "grit: "),
        ("name: a\ngrid: {seed: 3}", "grid.seed: Input should be a valid list"),
        ("name: a\ngrid: {seed: []}", "grid.seed: List should have at least 1 item"),
        ("name: a\npoints: {seed: 3}", "points: Input should be a valid list"),
        ("name: a\nselect: test_accuracy", "select: Input should be 'validation_accuracy', "),
        (None, "No such file or directory"),
    ],
)
def test_a_file_that_is_no_sweep_is_refused_in_one_message(tmp_path, content, problem):
    path = tmp_path / "s.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InvalidParameter, match=re.escape(problem)) as refused:
        definition.read_definition(path)
    assert str(refused.value).startswith(str(path))
    assert str(refused.value).endswith(
        "A sweep has a name, and may have base, grid, points and select."
    )
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
        ({"points": [{"source": "none.npz"}]}, ["source is 'none.npz', but must be"]),
        ({"points": [{"num_validation": 0}]}, ["select is validation_accuracy, but num_valid"]),
    ],
)
def test_a_wrong_value_is_refused(tmp_path, entries, problems):
    with pytest.raises(InvalidParameter) as refused:
        make_points(write(tmp_path / "s.yaml", **entries))
    assert [problem for problem in problems if problem not in str(refused.value)] == []


def test_a_training_metric_needs_no_validation_images(tmp_path):
    assert make_points(write(tmp_path / "s.yaml", base={"num_validation": 0}, select="train_error"))


def test_too_many_points_are_refused_by_their_count(tmp_path):
    seeds = {"seed": list(range(5000)), "epochs": [1, 2]}
    assert len(make_points(write(tmp_path / "s.yaml", grid=seeds))) == 10_000
    numbers = list(range(1, 1001))  # 10^12 points, which no memory holds
    grid = dict.fromkeys(("seed", "epochs", "hidden_size", "batch_size"), numbers)
    with pytest.raises(InvalidParameter, match="1,000,000,000,000 points, but may have 10,000"):
        make_points(write(tmp_path / "s.yaml", grid=grid))


# ---- the ranking -----------------------------------------------------------------------------


def get_sizes(ranked):
    return [each.parameters["hidden_size"] for each in ranked]


def test_points_that_differ_in_their_seed_alone_form_a_configuration():
    chosen = [(10, 1, 5), (20, 1, 5), (10, 2, 5), (10, 1, 9)]
    points = [make_point(seed, 0.5, hidden_size=size, epochs=n) for size, seed, n in chosen]
    configurations = definition.group(points, "validation_accuracy")
    assert [each.points for each in configurations] == [
        [points[0], points[2]],
        [points[1]],
        [points[3]],
    ]
    assert definition.find_varied(points) == ["hidden_size", "epochs"]
    assert definition.find_varied(points[::2]) == []


def test_configurations_are_ranked_by_the_mean_and_not_by_one_lucky_seed():
    lucky = [make_point(1, 0.9, hidden_size=10), make_point(2, 0.5, hidden_size=10)]
    steady = [make_point(1, 0.8, hidden_size=20), make_point(2, 0.7, hidden_size=20)]
    ranked = definition.rank([*lucky, *steady], "validation_accuracy")
    assert get_sizes(ranked) == [20, 10]
    assert [each.mean for each in ranked] == pytest.approx([0.75, 0.7])
    assert definition.find_best(ranked) is ranked[0]


@pytest.mark.parametrize(
    ("metric", "sizes"),
    [
        ("validation_error", [20, 10, 30]),
        ("train_error", [20, 10, 30]),
        ("train_accuracy", [30, 10, 20]),
        ("validation_accuracy", [30, 10, 20]),
    ],
)
def test_an_error_is_ranked_from_below_and_an_accuracy_from_above(metric, sizes):
    values = {10: 0.4, 20: 0.3, 30: 0.5}
    points = [make_point(1, value, metric, hidden_size=size) for size, value in values.items()]
    assert get_sizes(definition.rank(points, metric)) == sizes


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
    def rank(first, second):
        others = [VALIDATED | {other: first}, VALIDATED | {other: second}]
        points = [
            make_point(1, 0.5, metric, each, hidden_size=size)
            for size, each in zip((10, 20), others, strict=True)
        ]
        return get_sizes(definition.rank(points, metric))

    assert rank(worse, better) == [20, 10]
    assert rank(better, worse) == rank(worse, worse) == [10, 20]


def test_means_that_differ_by_rounding_alone_are_equal():
    sums = [(0.5, 0.5), (0.5 + 1e-14, 0.5), (0.5, 0.5 + 1e-14)]
    for first, second in sums:
        points = [make_point(1, first, hidden_size=20), make_point(1, second, hidden_size=10)]
        assert get_sizes(definition.rank(points, "validation_accuracy")) == [20, 10]


@pytest.mark.parametrize("metric", ["validation_accuracy", "validation_error"])
def test_a_configuration_of_which_a_point_failed_comes_after_all_complete_ones(metric):
    good, better, poor = (0.9, 0.95, 0.6) if metric.endswith("accuracy") else (0.1, 0.05, 0.4)
    values = [(30, 1, None), (10, 1, good), (10, 2, None), (20, 1, poor), (40, 1, better)]
    values += [(40, 2, None)]
    points = [make_point(seed, v, metric, hidden_size=size) for size, seed, v in values]
    ranked = definition.rank(points, metric)
    assert get_sizes(ranked) == [20, 40, 10, 30]
    assert math.isnan(ranked[-1].mean)
    assert definition.find_best(ranked[-1:]) is None


def test_a_point_without_validation_images_has_a_training_metric():
    point = make_point(1, 0.5, "train_accuracy", EPOCH)
    assert definition.rank([point], "train_accuracy")[0].mean == 0.5


@pytest.mark.parametrize(
    ("values", "description"),
    [
        ([0.125], "validation_accuracy 0.1250: hidden_size 10"),
        ([0.125, 0.25], "validation_accuracy 0.1875, mean of 2 seeds: hidden_size 10"),
        ([0.125, 0.25, None], "validation_accuracy 0.1875, 2 of 3 seeds: hidden_size 10"),
        ([None, 0.25], "validation_accuracy 0.2500, 1 of 2 seeds: hidden_size 10"),
    ],
)
def test_the_best_is_described_with_its_mean_and_over_how_many_seeds(values, description):
    points = [make_point(seed, value, hidden_size=10) for seed, value in enumerate(values)]
    (configuration,) = definition.group(points, "validation_accuracy")
    assert configuration.describe_best(SIZE) == description
    assert configuration.describe([]) == "the only configuration"
