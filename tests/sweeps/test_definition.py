"""The meaning of a sweep's file: points, their configurations, and how these rank."""

import csv
import re
from statistics import fmean

import pytest

from pipeline import parameters
from pipeline.errors import InvalidInput
from pipeline.paths import NOTEBOOKS
from pipeline.sweeps.definition import (
    list_points,
    list_rungs,
    read_definition,
    sample_candidates,
)
from pipeline.sweeps.table import (
    describe_seeds,
    describe_values,
    find_points,
    find_varied,
    is_failed,
    make_table,
    rank,
    select,
)
from tests.conftest import EPOCH, VALIDATED
from tests.sweeps.conftest import QUICK, end, make_points, make_sweep, write


def read_points_of(path):
    return list_points(read_definition(path))


def test_a_grid_is_crossed_over_the_base_and_points_are_added_each_once(tmp_path):
    grid = {"learning_rate": [0.01, 0.02], "seed": [1, 2]}
    added = [{"seed": 2, "learning_rate": 0.02}, {"epochs": 9}]
    points = read_points_of(write(tmp_path / "s.yaml", grid=grid, points=added))
    chosen = points
    expected = [(0.01, 1, 4), (0.01, 2, 4), (0.02, 1, 4), (0.02, 2, 4)]
    expected += [(0.005, 1, 9), (0.005, 2, 9)]  # with the grid's seeds
    assert [(each.learning_rate, each.seed, each.epochs) for each in chosen] == expected
    assert {each.hidden_size for each in chosen} == {QUICK["hidden_size"]}
    assert len({point.model_dump_json() for point in points}) == 6
    assert len(read_points_of(write(tmp_path / "s.yaml"))) == 1  # the base


def test_the_ids_of_points_stay_as_they_were_so_that_sweeps_go_on():
    points = read_points_of(NOTEBOOKS / "sweeps" / "small.yaml")
    ids = {parameters.make_id(dict(p)): (p.learning_rate, p.seed) for p in points}
    assert ids == {
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
    rates = [point.learning_rate for point in read_points_of(tmp_path / "s.yaml")]
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
        ("name: a\nhalving: 3", "halving: Input should be such as {min_resources: 3"),
        ("name: a\nseeds: [1]\nrandom: 5", "random: Input should be such as {n_cand"),
        ("name: a\nseeds: [1]\nrandom: {parameters: 5}", "random.parameters: Input"),
        ("name: a\nseeds: [1]\ngrid: [1]", "grid: Input should be a valid dictionary"),
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
            ["seed is in grid or random, and in seeds. Leave it in one"],
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
        tmp_path / "s.yaml",
        grid={"seed": list(range(5_001))},
        points=[{"epochs": 9}, {"epochs": 8}],
    )
    for file in (large, small):
        with pytest.raises(InvalidInput, match=r"more than 10,000 points\. Make sev"):
            read_points_of(file)


def rank_values(metric, *values):
    """Return the hidden sizes of points as they are ranked.

    Each point is given by its hidden size, its seed and its value.
    """
    points = [
        ({"hidden_size": size, "seed": seed}, value) for size, seed, value in values
    ]
    definition, table = make_points(points, metric)
    return list(rank(table, definition)["hidden_size"])


def test_points_that_differ_in_their_seed_alone_form_a_configuration():
    chosen = [(10, 1, 5), (20, 1, 5), (10, 2, 5), (10, 1, 9)]
    points = [
        ({"hidden_size": size, "seed": seed, "epochs": n}, 0.5)
        for size, seed, n in chosen
    ]
    definition, table = make_points(points)
    keys = list(table["configuration"])
    assert keys[0] == keys[2]
    assert len(set(keys)) == len(rank(table, definition)) == 3
    assert find_varied(table) == ["hidden_size", "epochs"]
    assert find_varied(table[::2]) == []


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
    sizes = {10: worse, 20: better}
    for order in ([10, 20], [20, 10]):
        definition = read_definition(
            {"name": "a", "grid": {"hidden_size": order}, "select": metric}
        )
        sweep = make_sweep(definition)
        for point in sweep.points.values():
            others = VALIDATED | {other: sizes[point.parameters.hidden_size]}
            end(point, 0.5, metric, others)
        assert rank(make_table(sweep), definition)["hidden_size"][0] == 20
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
    base = {"num_validation": 0}
    assert read_points_of(write(tmp_path / "s.yaml", base=base, select="train_error"))
    definition, table = make_points([({}, 0.5)], "train_accuracy", EPOCH)
    assert rank(table, definition)["mean"][0] == 0.5


def test_the_best_is_described_with_its_mean_and_over_how_many_seeds():
    for values, mean, text in (
        ([0.125], 0.125, ""),
        ([0.125, 0.25], 0.1875, ", mean of 2 seeds"),
        ([0.125, None, 0.25], 0.1875, ", 2 of 3 seeds"),
    ):
        points = [
            ({"seed": seed, "hidden_size": 10}, value)
            for seed, value in enumerate(values)
        ]
        definition, table = make_points(points)
        best = rank(table, definition).iloc[0]
        assert (best["mean"], describe_seeds(best)) == (mean, text)
        assert describe_values(best, ["hidden_size"]) == "hidden_size 10"
        assert describe_values(best, []) == "the only configuration"


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
    return list(sample_candidates(sweep.random))


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
    seeds = {}
    for point in read_points_of(file):
        others = point.model_dump_json(exclude={"seed"})
        seeds.setdefault(others, []).append(point.seed)
    assert list(seeds.values()) == [[1, 2, 3]] * 5 + [[7]]


def test_seeds_are_a_second_spelling_of_a_grid_and_alone_give_no_points(tmp_path):
    points = [{"hidden_size": 3}]
    one = read_points_of(write(tmp_path / "s.yaml", seeds=[1, 2], points=points))
    other = write(tmp_path / "s.yaml", grid={"seed": [1, 2]}, points=points)
    assert one == read_points_of(other)
    assert [(point.hidden_size, point.seed) for point in one] == [(3, 1), (3, 2)]


def read_search(tmp_path, **entries):
    base = QUICK | {"epochs": 81}
    definitions = {
        "base": base,
        "random": SEARCH,
        "halving": HALVING,
        "seeds": [1, 2, 3],
    }
    file = write(tmp_path / "s.yaml", **definitions | entries)
    return make_sweep(read_definition(file))


def train_rungs(sweep, failed=None):
    """Train a search rung by rung, and return the learning rates of each rung.

    The metric grows with the learning rate; one point fails instead.
    """
    rungs = []
    for epochs in list_rungs(sweep.definition):
        table = make_table(sweep)
        is_in_rung = (table["epochs"] == epochs) & (table["status"] != "eliminated")
        rung = table[is_in_rung]
        for name in rung["id"]:
            point = sweep.points[name]
            rate, seed = point.parameters.learning_rate, point.parameters.seed
            end(point, None if (rate, seed) == failed else rate + seed / 10_000)
        rungs.append((epochs, sorted(rung["learning_rate"].unique())))
    return rungs


def test_the_best_third_of_each_rung_goes_on_and_the_others_are_eliminated(tmp_path):
    sweep = read_search(tmp_path)
    assert len(sweep.points) == 243
    *rates, largest = sorted(make_table(sweep)["learning_rate"].unique())
    assert len(rates) == 26
    rungs = train_rungs(sweep, failed=(largest, 2))
    assert rungs == [(9, [*rates, largest]), (27, rates[-9:]), (81, rates[-3:])]
    table = make_table(sweep)
    assert sum(table["status"] == "eliminated") == 243 - 117
    assert not is_failed(table, sweep.definition).any()  # a diverged one is a result
    best = rank(table, sweep.definition).iloc[0]
    assert (best["epochs"], best["learning_rate"]) == (81, rates[-1])
    assert train_rungs(sweep, failed=(largest, 2)) == rungs  # a resumed search


def test_a_rung_that_has_not_ended_eliminates_nobody(tmp_path):
    sweep = read_search(tmp_path)
    first = [each for each in sweep.points.values() if each.parameters.epochs == 9]
    for point in first[1:]:
        end(point, 0.5)
    assert set(make_table(sweep)["status"]) == {"done", "not run"}


def test_one_candidate_goes_on_at_least(tmp_path):
    search = SEARCH | {"n_candidates": 2}
    sweep = read_search(tmp_path, random=search, base={"epochs": 100}, seeds=[])
    counts = [(epochs, len(rates)) for epochs, rates in train_rungs(sweep)]
    assert counts == [(9, 2), (27, 1), (81, 1)]


def test_if_all_candidates_of_a_rung_diverge_nobody_goes_on(tmp_path):
    sweep = read_search(tmp_path, random=SEARCH | {"n_candidates": 6}, seeds=[1])
    for point in sweep.points.values():
        if point.parameters.epochs == 9:
            end(point, 0.5)
        elif point.parameters.epochs == 27:
            end(point, None)
    table = make_table(sweep)
    counts = table.groupby("epochs")["status"].value_counts().to_dict()
    assert counts == {
        (9, "done"): 6,
        (27, "diverged"): 2,
        (27, "eliminated"): 4,
        (81, "eliminated"): 6,
    }
    best, reason = select(table, sweep.definition)
    assert best is None
    assert reason.endswith("no candidate of the rung of 27 epochs has finished")


def test_results_of_an_earlier_file_do_not_count_for_an_eliminated_point(tmp_path):
    sweep = read_search(tmp_path, random=SEARCH | {"n_candidates": 6}, seeds=[1])
    for point in sweep.points.values():
        end(point, point.parameters.learning_rate)
    lost = make_table(sweep).query("status == 'eliminated'")
    assert len(lost) == 4 + 6 - 1
    assert lost[[*EPOCH, "duration_s", "error"]].isna().all(axis=None)


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
        ({"random": SEARCH | {"n_candidates": 1200}}, "more than 10,000 points"),
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
            {
                "random": SEARCH | {"parameters": {"seed": {"distribution": "normal"}}},
                "seeds": [],
            },
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
    definition = read_definition(results.with_suffix(".yaml"))
    sweep = make_sweep(definition)
    assert list(sweep.points) == list(rows)
    for name, point in sweep.points.items():
        row = rows[name]
        if row["status"] == "done":
            others = {name: float(row[name]) for name in EPOCH if name in row}
            value = float(row[definition.select])
            end(point, value, definition.select, VALIDATED | others)
    table = make_table(sweep)
    assert list(table["status"]) == [row["status"] for row in rows.values()]
    assert list(table["configuration"]) == [
        row["configuration"] for row in rows.values()
    ]
    best = rank(table, definition).iloc[0]
    tested = {identity for identity, row in rows.items() if row["test_accuracy"]}
    assert set(find_points(table, best)) == tested
    accuracies = [float(rows[identity]["test_accuracy"]) for identity in tested]
    table = (
        (NOTEBOOKS / "sweeps" / "README.md").read_text().split(f"[{results.stem}](")[1]
    )
    assert (
        f"{fmean(accuracies):.4f} ({min(accuracies):.4f} to {max(accuracies):.4f})"
        in table
    )


def test_a_search_selects_from_its_last_rung_alone(tmp_path):
    sweep = read_search(tmp_path, random=SEARCH | {"n_candidates": 6}, seeds=[1, 2])
    *_, (epochs, (rate,)) = train_rungs(sweep)
    last = [
        point
        for point in sweep.points.values()
        if (point.parameters.epochs, point.parameters.learning_rate) == (epochs, rate)
    ]
    end(last[1], None)
    best, reason = select(make_table(sweep), sweep.definition)
    assert (best["epochs"], describe_seeds(best), reason) == (81, ", 1 of 2 seeds", "")
    end(last[0], None)
    best, reason = select(make_table(sweep), sweep.definition)
    assert best is None
    assert "no candidate of the rung of 81 epochs has finished" in reason
    assert rank(make_table(sweep), sweep.definition)["epochs"][0] == 27
