"""The meaning of a sweep's file: points, their configurations, and how these rank."""

import csv
import re
from statistics import fmean

import pytest

from pipeline import parameters
from pipeline.errors import InvalidInput
from pipeline.paths import NOTEBOOKS
from pipeline.sweeps.points import (
    SweepFolder,
    find_varied,
    make_points,
    read_definition,
)
from pipeline.sweeps.ranking import group, iterate_rungs, mark_eliminated, rank, select
from pipeline.sweeps.search import draw_candidates
from tests.conftest import EPOCH, VALIDATED
from tests.sweeps.conftest import QUICK, make_point, write


def read_points_of(path):
    return make_points(read_definition(path), SweepFolder(path.parent))


def test_a_grid_is_crossed_over_the_base_and_points_are_added_each_once(tmp_path):
    grid = {"learning_rate": [0.01, 0.02], "seed": [1, 2]}
    added = [{"seed": 2, "learning_rate": 0.02}, {"epochs": 9}]
    points = read_points_of(write(tmp_path / "s.yaml", grid=grid, points=added))
    chosen = [point.parameters for point in points]
    expected = [(0.01, 1, 4), (0.01, 2, 4), (0.02, 1, 4), (0.02, 2, 4), (0.005, 1, 9)]
    assert [(each.learning_rate, each.seed, each.epochs) for each in chosen] == expected
    assert {each.hidden_size for each in chosen} == {QUICK["hidden_size"]}
    assert len({point.folder.path for point in points}) == 5
    assert len(read_points_of(write(tmp_path / "s.yaml"))) == 1  # the base


def test_the_ids_of_points_stay_as_they_were_so_that_sweeps_go_on():
    points = read_points_of(NOTEBOOKS / "sweeps" / "small.yaml")
    assert {p.id: (p.parameters.learning_rate, p.parameters.seed) for p in points} == {
        "e850960dbc2c": (0.005, 1),
        "b0e81f5af01c": (0.005, 2),
        "5302d566163c": (0.01, 1),
        "d4abd3926f5d": (0.01, 2),
    }


def test_the_committed_definitions_are_sweeps(monkeypatch):
    # Some of their sources have to be made first.
    monkeypatch.setattr(parameters, "check_source", lambda source: None)
    for path in (NOTEBOOKS / "sweeps").glob("*.yaml"):
        assert read_definition(path).name == path.stem
        assert read_points_of(path)


def test_a_number_with_an_exponent_is_a_number(tmp_path):
    (tmp_path / "s.yaml").write_text("name: a\ngrid: {learning_rate: [1e-3, 2.0E-3]}")
    rates = [
        point.parameters.learning_rate for point in read_points_of(tmp_path / "s.yaml")
    ]
    assert rates == [0.001, 0.002]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("name: [", "expected the node content"),
        ("name: a\ngrid: *c", "found undefined alias 'c'"),
        ("name: a\ngrid: {seed: [1], seed: [2]}", 'found duplicate key "seed"'),
        ("", "the file: Input should be names with values, such as name: trial"),
        ("name: a/b", "name: String should match pattern"),
        ("name: a\ngrit: {}", "grit: Extra inputs are not permitted"),
        ("name: a\ngrid: {seed: 3}", "grid.seed: Input should be a valid list"),
        (
            "name: a\nselect: test_accuracy",
            "select: Input should be 'train_error', ",
        ),
    ],
)
def test_a_file_that_is_no_sweep_is_refused_in_one_message(tmp_path, content, problem):
    (tmp_path / "s.yaml").write_text(content)
    with pytest.raises(InvalidInput, match=re.escape(problem)) as refused:
        read_definition(tmp_path / "s.yaml")
    assert str(refused.value).startswith(f"{tmp_path / 's.yaml'} is no sweep: ")
    assert str(refused.value).endswith(
        "may have base, grid, points, seeds, random, halving and select."
    )
    assert "suppress" not in str(refused.value)  # ruamel.yaml's advice to programmers


@pytest.mark.parametrize(
    ("entries", "problems"),
    [
        (
            {"grid": {"learning_rte": [1], "epochs": [0]}, "base": {"dropout_rate": 1}},
            [
                "Did you mean learning_rate?",
                "epochs is 0, but must be",
                "dropout_rate is 1, but",
            ],
        ),
        (
            {"grid": {"epochs": [3, "many"]}},
            ["epochs is 'many', but must be a whole number"],
        ),
        ({"points": [{"run_dir": "x"}]}, ["There is no parameter 'run_dir'."]),
        (
            {"points": [{"num_validation": 0}]},
            ["select is validation_accuracy, but num_valid"],
        ),
        (
            {"grid": {"seed": [1, 2]}, "seeds": [1, 2, 3]},
            ["seed is in grid or random, and in seeds. Leave it in one."],
        ),
    ],
)
def test_wrong_values_are_refused_in_one_message(tmp_path, entries, problems):
    with pytest.raises(InvalidInput) as refused:
        read_points_of(write(tmp_path / "s.yaml", **entries))
    assert [problem for problem in problems if problem not in str(refused.value)] == []


def test_too_many_points_are_refused_by_their_count(tmp_path):
    # Their 10^12 points do not fit into memory.
    names = ("seed", "epochs", "hidden_size", "batch_size")
    large = write(
        tmp_path / "l.yaml", grid={name: list(range(1, 1001)) for name in names}
    )
    small = write(
        tmp_path / "s.yaml", grid={"seed": list(range(10_000))}, points=[{"epochs": 9}]
    )
    for file, count in ((large, "1,000,000,000,000"), (small, "10,001")):
        with pytest.raises(
            InvalidInput, match=f"{count} points, but may have 10,000 at most"
        ):
            read_points_of(file)


def rank_values(metric, *values):
    """Return the hidden sizes of points as they are ranked.

    Each point is given by its hidden size, its seed and its value.
    """
    points = [
        make_point(seed, value, metric, hidden_size=size)
        for size, seed, value in values
    ]
    return [each.parameters["hidden_size"] for each in rank(points, metric)]


def test_points_that_differ_in_their_seed_alone_form_a_configuration():
    chosen = [(10, 1, 5), (20, 1, 5), (10, 2, 5), (10, 1, 9)]
    points = [
        make_point(seed, 0.5, hidden_size=size, epochs=n) for size, seed, n in chosen
    ]
    configurations = group(points, "validation_accuracy")
    assert [each.points for each in configurations] == [
        points[::2],
        [points[1]],
        [points[3]],
    ]
    assert find_varied(points) == ["hidden_size", "epochs"]
    assert find_varied(points[::2]) == []


def test_configurations_are_ranked_by_the_mean_and_not_by_one_lucky_seed():
    values = [(10, 1, 0.9), (10, 2, 0.5), (20, 1, 0.8), (20, 2, 0.7)]
    assert rank_values("validation_accuracy", *values) == [20, 10]


@pytest.mark.parametrize("split", ["train", "validation"])
def test_an_error_is_ranked_from_below_and_an_accuracy_from_above(split):
    values = [(10, 1, 0.4), (20, 1, 0.3), (30, 1, 0.5)]
    assert rank_values(f"{split}_error", *values) == [20, 10, 30]
    assert rank_values(f"{split}_accuracy", *values) == [30, 10, 20]


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
        assert rank(points, metric)[0].points == [second]
    # These are equal but for rounding.
    equal = [(20, 1, 0.5), (10, 1, 0.5 + 1e-14), (30, 1, 0.5 - 1e-14)]
    assert rank_values(metric, *equal) == [20, 10, 30]


@pytest.mark.parametrize(
    ("metric", "good", "better", "poor"),
    [("validation_accuracy", 0.9, 0.95, 0.6), ("validation_error", 0.1, 0.05, 0.4)],
)
def test_a_configuration_of_which_a_point_failed_comes_after_all_complete_ones(
    metric, good, better, poor
):
    incomplete = [(10, 1, good), (10, 2, None), (40, 1, better), (40, 2, None)]
    assert rank_values(metric, (30, 1, None), *incomplete, (20, 1, poor)) == [
        20,
        40,
        10,
        30,
    ]


def test_a_training_metric_needs_no_validation_images(tmp_path):
    assert read_points_of(
        write(tmp_path / "s.yaml", base={"num_validation": 0}, select="train_error")
    )
    point = make_point(1, 0.5, "train_accuracy", EPOCH)
    assert rank([point], "train_accuracy")[0].mean == 0.5


def test_the_best_is_described_with_its_mean_and_over_how_many_seeds():
    for values, mean in (
        ([0.125], "0.1250"),
        ([0.125, 0.25], "0.1875, mean of 2 seeds"),
        ([0.125, None, 0.25], "0.1875, 2 of 3 seeds"),
    ):
        points = [
            make_point(seed, value, hidden_size=10) for seed, value in enumerate(values)
        ]
        (best,) = group(points, "validation_accuracy")
        assert (
            best.describe_best(["hidden_size"])
            == f"validation_accuracy {mean}: hidden_size 10"
        )
        assert best.describe([]) == "the only configuration"


SEARCH = {
    "n_candidates": 27,
    "parameters": {
        "learning_rate": {"distribution": "log_uniform", "min": 0.001, "max": 0.1},
        "dropout_rate": {"min": 0, "max": 0.6},
        "hidden_size": {"min": 20, "max": 200},
        "input_dropout_rate": {"values": [0, 0.1, 0.2]},
    },
}
HALVING = {"resource": "epochs", "min_resources": 9, "factor": 3}


def draw(**search):
    sweep = read_definition({"name": "a", "random": SEARCH | search})
    return draw_candidates(sweep.random)


def test_candidates_are_drawn_in_their_ranges_and_are_the_same_everywhere():
    candidates = draw()
    assert candidates[0] == {
        "learning_rate": 0.0125,
        "dropout_rate": 0.429,
        "hidden_size": 129,
        "input_dropout_rate": 0.1,
    }
    assert draw(n_candidates=40)[:27] == candidates
    assert draw(random_state=1) != candidates
    for name, low, high in (
        ("learning_rate", 0.001, 0.1),
        ("dropout_rate", 0, 0.6),
        ("hidden_size", 20, 200),
    ):
        values = [each[name] for each in candidates]
        assert low <= min(values) < low + 0.2 * (high - low)
        assert all(float(f"{value:.3g}") == value <= high for value in values)
    assert {type(each["hidden_size"]) for each in candidates} == {int}
    assert {each["input_dropout_rate"] for each in candidates} == {0, 0.1, 0.2}
    rates = [each["learning_rate"] for each in draw(n_candidates=400)]
    # Half of them are below the middle of the logarithms.
    assert sum(rate < 0.01 for rate in rates) == pytest.approx(200, abs=30)


def test_no_candidate_is_drawn_twice():
    sizes = {"hidden_size": {"min": 1, "max": 9}}
    drawn = draw(n_candidates=9, parameters=sizes)
    assert sorted(each["hidden_size"] for each in drawn) == list(range(1, 10))
    with pytest.raises(
        InvalidInput, match="n_candidates is 10, but there are 9 different"
    ):
        draw(n_candidates=10, parameters=sizes)


def test_seeds_go_with_grid_candidates_and_points_and_a_seed_of_their_own_stays(
    tmp_path,
):
    file = write(
        tmp_path / "s.yaml",
        grid={"normalisation": [255, 510]},
        random=SEARCH | {"n_candidates": 2},
        points=[{"hidden_size": 3}, {"hidden_size": 4, "seed": 7}],
        seeds=[1, 2, 3],
    )
    configurations = group(read_points_of(file), "validation_accuracy")
    seeds = [
        [point.parameters.seed for point in each.points] for each in configurations
    ]
    assert seeds == [[1, 2, 3]] * 5 + [[7]]


def read_search(tmp_path, **entries):
    base = QUICK | {"epochs": 81}
    definitions = {
        "base": base,
        "random": SEARCH,
        "halving": HALVING,
        "seeds": [1, 2, 3],
    }
    file = write(tmp_path / "s.yaml", **definitions | entries)
    return read_definition(file), read_points_of(file)


def train(points, failed=None):
    """Give each point of a rung a metric that grows with its learning rate.

    One of the points fails instead.
    """
    for point in points:
        seed, rate = point.parameters.seed, point.parameters.learning_rate
        value = None if (rate, seed) == failed else rate + seed / 10_000
        point.record = make_point(seed, value).record


def test_the_best_third_of_each_rung_goes_on_and_the_others_are_eliminated(tmp_path):
    sweep, points = read_search(tmp_path)
    assert len(points) == 243
    *rates, largest = sorted({point.parameters.learning_rate for point in points})
    assert len(rates) == 26
    rungs = []
    for rung in iterate_rungs(points, sweep):
        train(rung, failed=(largest, 2))
        rungs.append((rung[0].rung, sorted({p.parameters.learning_rate for p in rung})))
    assert rungs == [(9, [*rates, largest]), (27, rates[-9:]), (81, rates[-3:])]
    mark_eliminated(points, sweep)
    statuses = [point.status for point in points]
    assert statuses.count("eliminated") == 243 - 117
    assert not any(point.has_failed for point in points if point.status == "eliminated")
    best, *_ = rank(points, sweep.select)
    assert (best.parameters["epochs"], best.parameters["learning_rate"]) == (
        81,
        rates[-1],
    )


def test_a_rung_that_has_not_ended_eliminates_nobody(tmp_path):
    sweep, points = read_search(tmp_path)
    first = next(iterate_rungs(points, sweep))
    train(first[1:])
    assert [len(rung) for rung in mark_eliminated(points, sweep)] == [81]
    assert {point.status for point in points} == {"done", None}


def test_one_candidate_goes_on_at_least(tmp_path):
    search = SEARCH | {"n_candidates": 2}
    sweep, points = read_search(tmp_path, random=search, base={"epochs": 100}, seeds=[])
    counts = []
    for rung in iterate_rungs(points, sweep):
        train(rung)
        counts.append((rung[0].rung, len(rung)))
    assert counts == [(9, 2), (27, 1), (81, 1)]


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        (
            {"grid": {"dropout_rate": [0.1]}},
            "dropout_rate is in grid and in random. Leave it",
        ),
        (
            {"grid": {"epochs": [9]}},
            "epochs is in grid, points or random, but halving sets it",
        ),
        (
            {"points": [{"epochs": 9}]},
            "epochs is in grid, points or random, but halving sets it",
        ),
        ({"base": {"epochs": 8}}, "halving: min_resources is 9, but base has 8 epochs"),
        (
            {"halving": HALVING | {"factor": 1}},
            "halving.factor: Input should be greater than or",
        ),
        (
            {"halving": HALVING | {"resource": "num_samples"}},
            "halving.resource: Input should be",
        ),
        ({"seeds": [-1]}, "seed is -1, but must be a whole number"),
        ({"random": SEARCH | {"n_candidates": 1200}}, "The sweep has 10,800 points"),
        *[
            (
                {"random": SEARCH | {"parameters": {"learning_rate": each}}},
                f"learning_rate: {text}",
            )
            for each, text in (
                ({"min": 0.1, "max": 0.1}, "must have min below max"),
                ({"min": 0.1}, "must have min below max"),
                (
                    {"distribution": "log_uniform", "min": 0, "max": 1},
                    "min of log_uniform must be",
                ),
                ({"values": [1], "min": 0}, "must have min and max, or values alone"),
                (
                    [0.1, 0.2],
                    "Input should be such as {min: 0, max: 1} or {values: [1, 2]}, not",
                ),
            )
        ],
        (
            {"random": SEARCH | {"parameters": {"seed": {"distribution": "normal"}}}},
            "seed.distribution: Input should be 'uniform' or 'log_uniform', "
            "not 'normal'",
        ),
        (
            {"random": SEARCH | {"parameters": {"rate": {"min": 0, "max": 1}}}},
            "There is no parameter 'rate'",
        ),
    ],
)
def test_a_wrong_search_is_refused(tmp_path, entries, problem):
    with pytest.raises(InvalidInput, match=re.escape(problem)):
        read_search(tmp_path, **entries)


def test_a_configuration_with_fewer_seeds_than_most_comes_after_complete_ones():
    three = [(size, seed, size / 100) for size in (10, 20, 30) for seed in (1, 2, 3)]
    assert rank_values("validation_accuracy", (90, 1, 0.9), *three) == [30, 20, 10, 90]
    # One seed more than most have is no disadvantage.
    assert rank_values("validation_accuracy", (10, 4, 0.1), *three) == [30, 20, 10]


@pytest.mark.parametrize(
    "results", [*NOTEBOOKS.glob("sweeps/*.csv")], ids=lambda path: path.stem
)
def test_committed_results_are_those_of_the_committed_definition(results, monkeypatch):
    """Compare ids, eliminated points, and the one that was evaluated."""
    monkeypatch.setattr(parameters, "check_source", lambda source: None)
    rows = {row["id"]: row for row in csv.DictReader(results.open())}
    sweep = read_definition(results.with_suffix(".yaml"))
    points = read_points_of(results.with_suffix(".yaml"))
    assert [point.id for point in points] == list(rows)
    for rung in iterate_rungs(points, sweep):
        for point in rung:
            row, seed = rows[point.id], point.parameters.seed
            assert row["status"] == "done"
            others = {name: float(row[name]) for name in EPOCH if name in row}
            value = float(row[sweep.select])
            point.record = make_point(
                seed, value, sweep.select, VALIDATED | others
            ).record
    mark_eliminated(points, sweep)
    assert [point.status for point in points] == [
        rows[point.id]["status"] for point in points
    ]
    best, *_ = rank(points, sweep.select)
    tested = {identity for identity, row in rows.items() if row["test_accuracy"]}
    assert {point.id for point in best.points} == tested
    accuracies = [float(rows[identity]["test_accuracy"]) for identity in tested]
    table = (
        (NOTEBOOKS / "sweeps" / "README.md").read_text().split(f"[{results.stem}](")[1]
    )
    assert (
        f"{fmean(accuracies):.4f} ({min(accuracies):.4f} to {max(accuracies):.4f})"
        in table
    )


def test_a_search_selects_from_its_last_rung_alone(tmp_path):
    search = SEARCH | {"n_candidates": 6}
    sweep, points = read_search(tmp_path, random=search, seeds=[1, 2])
    for rung in iterate_rungs(points, sweep):
        train(rung)
        last = rung
    mark_eliminated(points, sweep)
    largest = max(point.parameters.learning_rate for point in last)
    train(last, failed=(largest, 2))
    selection = select(points, sweep.select)
    assert selection.selected.points == last  # 1 of 2 seeds
    for point in last:
        point.record = make_point(1).record
    selection = select(points, sweep.select)
    assert selection.selected is selection.configuration is None
    assert "no candidate of the last rung, 81 epochs, has finished" in selection.reason
    assert rank(points, sweep.select)[0].points[0].rung == 27
