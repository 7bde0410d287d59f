"""What a sweep's file means: points, configurations, and how these rank."""

import re

import pandas as pd
import pytest
from ruamel.yaml import YAML

from pipeline.errors import InvalidInput
from pipeline.paths import NOTEBOOKS
from pipeline.sweeps.definition import (
    list_points,
    read_definition,
)
from pipeline.sweeps.selection import (
    find_points,
    rank_configurations,
    select_configuration,
)
from pipeline.sweeps.table import find_varied, make_table
from tests.conftest import EPOCH, VALIDATED
from tests.sweeps.conftest import QUICK, end, make_points, make_sweep, write

DEFINITIONS = sorted(NOTEBOOKS.glob("sweeps/*.yaml"))


def read_points_of(path):
    return list_points(read_definition(path))


def test_a_grid_is_crossed_over_the_base_and_points_are_added_each_once(tmp_path):
    entries = {"grid": {"learning_rate": [0.01, 0.02]}, "seeds": [1, 2]}
    added = [{"learning_rate": 0.02}, {"epochs": 9}]
    points = read_points_of(write(tmp_path / "s.yaml", points=added, **entries))
    expected = [(0.01, 1, 4), (0.01, 2, 4), (0.02, 1, 4), (0.02, 2, 4)]
    expected += [(0.005, 1, 9), (0.005, 2, 9)]
    assert [(each.learning_rate, each.seed, each.epochs) for each in points] == expected
    assert {each.hidden_size for each in points} == {QUICK["hidden_size"]}
    assert len({point.model_dump_json() for point in points}) == 6
    assert len(read_points_of(write(tmp_path / "s.yaml"))) == 1  # the base
    counted = read_points_of(write(tmp_path / "s.yaml", seeds=3))
    assert [each.seed for each in counted] == [1, 2, 3]


def test_a_number_with_an_exponent_is_a_number(tmp_path):
    (tmp_path / "s.yaml").write_text("name: a\ngrid: {learning_rate: [1e-3, 2.0E-3]}")
    rates = [point.learning_rate for point in read_points_of(tmp_path / "s.yaml")]
    assert rates == [0.001, 0.002]


def test_more_points_than_a_sweep_may_have_are_refused_before_they_are_listed():
    names = ["hidden_size", "epochs", "batch_size", "num_samples", "num_validation"]
    sizes = {name: list(range(1, 101)) for name in names}
    huge = read_definition({"name": "a", "grid": sizes, "seeds": 100})
    with pytest.raises(InvalidInput, match="1,000,000,000,000 points, .* 10,000"):
        list_points(huge)
    points = [{"epochs": count} for count in range(1, 10_001)]
    allowed = {"name": "a", "points": points}
    assert len(list_points(read_definition(allowed))) == 10_000
    both = read_definition(allowed | {"grid": {"hidden_size": [5, 6]}})
    with pytest.raises(InvalidInput, match="10,002 points"):
        list_points(both)


def test_the_sweeps_of_the_guide_are_sweeps():
    guide = (NOTEBOOKS / "sweeps" / "README.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", guide, re.S)
    counts = [len(list_points(read_definition(YAML().load(each)))) for each in blocks]
    assert counts == [15, 20, 20]


NAMES = ["name", "base", "grid", "points", "seeds", "select"]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("", "the file is None: Input should be"),
        ("- 1", "the file is [1]: Input should be"),
        ("name: [", "the node content"),
        ("name: a\ngrid: *c", "undefined alias 'c'"),
        ("name: a\nseeds: [1]\nseeds: [2]", 'duplicate key "seeds"'),
        ("name: a/b", "name is 'a/b': "),
        ("name: a\ngrit: {}", "grit is {}: Extra inputs are not permitted"),
        ("name: a\ngrid: [1]", "grid is [1]: "),
        ("name: a\ngrid: {epochs: 3}", "grid.epochs is 3: "),
        ("name: a\nseeds: 0", "seeds is 0: "),
        ("name: a\nseeds: 10001", "seeds is 10001: "),
        ("name: a\nseeds: true", "seeds is True: "),
        ("name: a\nbase: {seed: 3}", "seeds: [1, 2]"),
        ("name: a\ngrid: {seed: [3]}", "seeds: [1, 2]"),
        ("name: a\npoints: [{epochs: 3}, {seed: 3}]", "seeds: [1, 2]"),
        ("name: a\nrandom: 5", "random is 5: Extra inputs are not permitted"),
        ("name: a\nselect: f1", "'validation_accuracy'. Other metrics are measured"),
    ],
)
def test_a_file_that_is_no_sweep_is_refused_in_one_message(tmp_path, content, name):
    (tmp_path / "s.yaml").write_text(content)
    with pytest.raises(InvalidInput) as refused:
        read_definition(tmp_path / "s.yaml")
    message = str(refused.value)
    assert message.startswith(f"{tmp_path / 's.yaml'} is not a sweep: ")
    assert name in message
    assert all(entry in message for entry in NAMES)
    assert "suppress" not in message  # ruamel.yaml's advice to programmers


def test_points_that_differ_in_their_seed_alone_form_a_configuration():
    names = "hidden_size", "seed", "epochs"
    chosen = [(10, 1, 5), (20, 1, 5), (10, 2, 5), (10, 1, 9)]
    points = [(dict(zip(names, each, strict=True)), 0.5) for each in chosen]
    definition, table = make_points(points)
    keys = list(table["configuration"])
    assert keys[0] == keys[2]
    assert len(set(keys)) == len(rank_configurations(table, definition)) == 3
    assert find_varied(table) == ["hidden_size", "epochs"]
    assert find_varied(table[::2]) == []


# What ranks, values of hidden sizes and seeds, and the order of the hidden sizes.
# None stands for a point that has diverged.
ONE = [(1, 1, 0.4), (2, 1, 0.3), (3, 1, 0.5)]
TWO = [(1, 1, 0.9), (1, 2, 0.5), (2, 1, 0.8), (2, 2, 0.7)]
FAILED = [(4, 1, 0.95), (4, 2, None)]
RANKINGS = {
    "an accuracy from above": ("accuracy", ONE, [3, 1, 2]),
    "an error from below": ("error", ONE, [2, 1, 3]),
    "by the mean and not one lucky seed": ("accuracy", TWO, [2, 1]),
    "equal but for rounding": ("error", [(2, 1, 0.5), (1, 1, 0.5 + 1e-14)], [2, 1]),
    "incomplete ones later": ("accuracy", [*FAILED, *TWO], [2, 1, 4]),
}


@pytest.mark.parametrize(
    ("measure", "values", "order"), RANKINGS.values(), ids=RANKINGS
)
@pytest.mark.parametrize("split", ["train", "validation"])
def test_configurations_are_ranked_by_their_means_and_the_complete_first(
    split, measure, values, order
):
    points = [
        ({"hidden_size": size, "seed": seed}, each) for size, seed, each in values
    ]
    definition, table = make_points(points, f"{split}_{measure}")
    table["duration_s"] = table["hidden_size"] / 2
    ranking = rank_configurations(table, definition)
    assert list(ranking["hidden_size"]) == order
    assert list(2 * ranking["duration_s"]) == order


def test_a_training_metric_needs_no_validation_images(tmp_path):
    base = {"num_validation": 0}
    assert read_points_of(write(tmp_path / "s.yaml", base=base, select="train_error"))
    definition, table = make_points([({}, 0.5)], "train_accuracy", EPOCH)
    assert rank_configurations(table, definition)["mean"][0] == 0.5


LOW = [(1, 1, 0.5), (1, 2, 0.5), (1, 3, 0.5)]  # complete, but the worst
HIGH = [(2, 1, 0.9), (2, 2, 0.9)]
SELECTIONS = {
    "one alone": (LOW, "", 1, ""),
    "the best": ([*LOW, *HIGH, (2, 3, 0.9)], "", 2, ""),
    "not with one that diverged": ([*LOW, *HIGH, (2, 3, None)], "", 1, ""),
    "while one has failed": ([*LOW, (2, 1, None)], "failed", 1, "only 3 of 4 points"),
    "no complete one": ([*LOW[:2], (1, 3, None)], "", None, "no configuration has"),
    "none that finished": ([(1, 1, None)], "", None, "no point has finished"),
    "one not run": ([*LOW, (2, 1, None)], "not run", 1, "only 3 of 4 points"),
    "one outdated": ([*LOW, (2, 1, None)], "outdated", 1, "only 3 of 4 points"),
}


@pytest.mark.parametrize(
    ("values", "status", "selected", "reason"), SELECTIONS.values(), ids=SELECTIONS
)
def test_only_complete_configurations_compete_after_all_points_have_ended(
    values, status, selected, reason
):
    """The last point gets this status, if any."""
    points = [({"hidden_size": size, "seed": seed}, v) for size, seed, v in values]
    definition, table = make_points(points)
    if status:
        table.loc[len(values) - 1, "status"] = status
    best, found = select_configuration(table, definition)
    assert (best is not None and best["hidden_size"]) == (selected or False)
    assert reason in found
    assert bool(reason) == bool(found)


@pytest.mark.parametrize(
    ("entries", "name"),
    [
        ({"grid": {"epochs": [0]}}, "epochs is 0"),
        ({"grid": {"learning_rte": [1]}}, "learning_rate?"),
        ({"grid": {"epochs": [3, "many"]}}, "epochs is 'many'"),
        ({"points": [{"run_dir": "x"}]}, "'run_dir'"),
        ({"points": [{"num_validation": 0}]}, "select is validation_accuracy"),
        ({"seeds": [-1]}, "seed is -1"),
        ({"grid": {"source": ["sample", "mnist"]}}, "several sources: mnist, sample"),
    ],
)
def test_wrong_values_are_refused_in_one_message(tmp_path, entries, name):
    with pytest.raises(InvalidInput) as refused:
        read_points_of(write(tmp_path / "s.yaml", **entries))
    assert name in str(refused.value)


@pytest.mark.parametrize("path", DEFINITIONS, ids=lambda path: path.stem)
def test_committed_definitions_are_sweeps(path):
    definition = read_definition(path)
    assert definition.name == path.stem
    assert list_points(definition)


RESULTS = [path for path in DEFINITIONS if path.with_suffix(".csv").exists()]


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_committed_results_are_those_of_their_definition(path):
    """Compare the ids, and the configuration that was evaluated."""
    definition = read_definition(path)
    sweep = make_sweep(definition)
    results = pd.read_csv(path.with_suffix(".csv"), index_col="id")
    assert list(sweep.points) == list(results.index)
    for name, row in results.iterrows():
        if row["status"] == "done":
            others = VALIDATED | {name: row[name] for name in EPOCH if name in row}
            value = row[definition.select]
            end(sweep.points[name], value, definition.select, others)
    table = make_table(sweep).set_index("id", drop=False)
    for column in ("status", "configuration"):
        assert list(table[column]) == list(results[column])
    best = rank_configurations(table, definition).iloc[0]
    tested = results["test_accuracy"].dropna()
    assert set(find_points(table, best)) == set(tested.index)
    guide = (NOTEBOOKS / "sweeps" / "README.md").read_text()
    cell = f"{tested.mean():.4f} ({tested.min():.4f} to {tested.max():.4f})"
    assert cell in guide.split(f"[{path.stem}](")[1]
