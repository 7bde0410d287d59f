"""Finished runs side by side."""

import collections
import itertools
import json
import shutil
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from scipy import stats

from pipeline import comparison
from pipeline.errors import InvalidFile, InvalidInput
from pipeline.execution import runs as runs_module
from pipeline.reports import page
from pipeline.results.files import GENERATOR
from pipeline.results.run_folder import RunFolder


@pytest.fixture
def pair(runs):
    """Return the folders of the published run and of that with the true derivative."""
    return [str(runs / name) for name in ("default", "true-derivative")]


@pytest.fixture
def copy(pair, tmp_path):
    """Return a copy of the second run, to be changed."""
    return shutil.copytree(pair[1], tmp_path / "copy")


def change_record(folder, **fields):
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(record | fields))


def read_page(path):
    """Return a page, and the rows of its tables by the first word and their width."""
    page, tables = BeautifulSoup(path.read_text(), "html.parser"), {}
    for table in page.select("table.dataframe"):
        rows = [row.select("th, td") for row in table.select("tr")]
        head, *rows = [[cell.text for cell in row] for row in rows]
        tables[head[0], len(head)] = rows
    return page, tables


def test_what_cannot_be_compared_is_refused(pair, copy, tmp_path):
    change_record(copy, status="failed")
    many = [str(tmp_path / f"{number}") for number in range(7)]
    for run_dirs in ([], pair[:1], many, [pair[0], f"{pair[0]}/../default"]):
        with pytest.raises(InvalidInput, match="two to six different runs or sweeps"):
            comparison.read_columns(run_dirs)
    for other, problem in ((many[0], "0 is not there"), (str(copy), "is failed")):
        with pytest.raises(InvalidFile, match=problem):
            comparison.read_columns([pair[0], other])


def test_counts_of_each_pair_are_those_of_a_plain_loop():
    rng = np.random.default_rng(0)
    labels, answers = rng.integers(0, 3, 500), rng.integers(0, 3, (3, 500))
    answers[0] = np.where(rng.random(500) < 0.05, labels, answers[0])
    table = comparison.count_pairs(answers == labels, answers)
    assert list(table.index) == ["A, B", "A, C", "B, C"]
    for (first, second), row in zip(
        itertools.combinations(answers, 2), table.to_dict("records"), strict=True
    ):
        kinds = collections.Counter(
            (a == label, b == label, a == b)
            for a, b, label in zip(first, second, labels, strict=True)
        )
        only = kinds[True, False, False], kinds[False, True, False]
        assert row == {
            "both correct": kinds[True, True, True],
            "only first": only[0],
            "only second": only[1],
            "both wrong, alike": kinds[False, False, True],
            "both wrong, differently": kinds[False, False, False],
            "p": pytest.approx(stats.binomtest(only[0], sum(only)).pvalue),
        }


def test_test_images_come_from_the_source_too_and_must_be_the_same(pair, copy):
    first, second = map(comparison.read_run, map(RunFolder, pair))
    (copy / "data.npz").unlink()
    inputs = json.loads((copy / "run.json").read_text())["inputs"]
    inputs |= {"array x_test": "0" * 64, "array y_test": "0" * 64}
    change_record(copy, inputs=inputs)
    without_data = replace(second, folder=RunFolder(copy))
    images, _ = comparison.find_test_images([without_data, first])
    assert np.array_equal(images, first.folder.read_data().x_test)
    changed = replace(second, record=RunFolder(copy).read_record())
    with pytest.raises(InvalidInput, match="sample has now"):
        comparison.find_test_images([first, changed])


@pytest.mark.parametrize("letters", ["AB", "AC", "ABC"])
def test_the_interval_over_seeds_is_students_or_welchs_for_all_pairs_together(letters):
    rng = np.random.default_rng(0)
    first = pd.Series(rng.normal(0.80, 0.02, 5), [1, 2, 3, 4, 5])
    second = pd.Series(rng.normal(0.82, 0.01, 4), [9, 5, 3, 2])
    lone = pd.Series(rng.normal(0.82, 0.01, 3), [5, 6, 7])
    shared = [2, 3, 5]
    expected = {
        "A, B": (3, stats.ttest_rel(second[shared], first[shared])),
        "A, C": (1, stats.ttest_ind(lone, first, equal_var=False)),
        "B, C": (1, stats.ttest_ind(lone, second, equal_var=False)),
    }
    columns = {
        letter: {"A": first, "B": second, "C": lone}[letter] for letter in letters
    }
    table = pd.concat(columns, names=["letter", "seed"]).to_frame("test_accuracy")
    table = table.assign(**{"test images": "", "validation images": ""})
    found = comparison.compare_seeds(table.assign(validation_accuracy=np.nan))
    for (pair, _), row in found.iterrows():
        count, theirs = expected[pair]
        interval = theirs.confidence_interval(1 - 0.05 / len(found))
        assert [row["low"], row["high"]] == pytest.approx(list(interval))
        error = row["difference"] / row["standard error"]
        assert (error, row["shared"]) == (pytest.approx(theirs.statistic), count)
    assert len(found) == len(letters) * (len(letters) - 1) / 2


def test_the_interval_over_equal_values_is_a_point_and_over_one_seed_is_nan():
    first, other = pd.Series([0.8, 0.9, 0.7]), pd.Series([0.9, 0.9], [8, 9])
    equal = comparison.estimate_difference(first, first)
    assert [equal[name] for name in ("low", "high", "standard error")] == [0, 0, 0]
    with warnings.catch_warnings(action="error"):
        found = comparison.estimate_difference(other - 0.1, other.rename({8: 7, 9: 6}))
    assert [found["low"], found["high"]] == pytest.approx([0.1, 0.1])
    assert np.isnan(comparison.estimate_difference(first, first[:1])["low"])


def test_a_default_run_that_is_missing_is_made_and_no_other(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(runs_module, "run", lambda values, folder: made.append(folder))
    monkeypatch.setattr(runs_module, "DEFAULT_RUNS", {"runs/not-there": {}})
    for name in ("runs/not-there", "runs/another"):
        with pytest.raises(InvalidInput, match=name):
            comparison.read_columns([name, str(tmp_path)])
    assert made == ["runs/not-there"]


@pytest.fixture(scope="module")
def finished_sweeps(tmp_path_factory, pipeline):
    """A folder with two sweeps, a and b, with seven points in all."""
    folder, sizes = tmp_path_factory.mktemp("sweeps"), "num_samples: 40, epochs: 2"
    for name, hidden_size, seeds in (("a", 3, [1, 2, 3, 4]), ("b", 4, [2, 3, 4])):
        base = f"{{num_validation: 10, {sizes}, hidden_size: {hidden_size}}}"
        file = folder / f"{name}.yaml"
        file.write_text(f"name: {name}\nbase: {base}\nseeds: {seeds}\n")
        options = ("--sweep-dir", folder / name, "--workers", 1, "--no-report")
        done = pipeline("sweep", file, *options)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def sweeps(finished_sweeps, tmp_path):
    """The folders of copies of both sweeps, to be changed."""
    shutil.copytree(finished_sweeps, tmp_path, dirs_exist_ok=True)
    return [str(tmp_path / "a"), str(tmp_path / "b")]


def read_accuracies(sweep):
    """Return the test accuracy of each point by its seed."""
    folders = [
        RunFolder(path.parent) for path in RunFolder(sweep).path.glob("*/run.json")
    ]
    return {
        each.read_record().parameters["seed"]: each.read_metrics().test_accuracy
        for each in folders
    }


def test_two_sweeps_of_seven_points_are_two_columns_with_a_difference(sweeps, tmp_path):
    path = comparison.write_report(sweeps, tmp_path / "page.html")
    page, tables = read_page(path)
    assert f"B {sweeps[1]}: hidden_size 4, seed 2, 3, 4" in " ".join(page.text.split())
    metrics = {name: values for name, *values in tables["metric", 3]}
    first, second = map(read_accuracies, sweeps)
    for text, column in zip(metrics["test accuracy ↑"], (first, second), strict=True):
        values = list(column.values())
        mean, spread = text.split(" ", 1)
        assert float(mean) == pytest.approx(np.mean(values), abs=6e-5)
        assert spread == f"({min(values):.4f} to {max(values):.4f})"
    difference = np.mean([second[seed] - first[seed] for seed in (2, 3, 4)])
    verdict = f"The seeds may explain how {sweeps[1]} differs from {sweeps[0]}: "
    verdict += f"the test accuracy differs by {difference:+.4f} (95 % interval "
    assert page.h1.find_next("p").text.startswith(verdict)
    validation, test = tables["first, second", 7]
    assert test[:4] == ["A, B: test accuracy", "4, 3", "3", f"{difference:+.4f}"]
    assert validation[0] == "A, B: validation accuracy"
    assert "correct: A (seed 2) " in page.text
    rows = [["hidden_size", "3", "4"], ["seed", "1, 2, 3, 4", "2, 3, 4"]]
    assert tables["parameter", 3] == rows


def test_points_of_other_code_are_compared_by_their_stored_answers(sweeps, tmp_path):
    """They are recorded as if they had been trained with another helpers.py."""
    place = next(RunFolder(sweeps[1]).path.glob("*/metrics.json")).parent
    sweep = json.loads((place.parent / "sweep.json").read_text())
    (inputs,) = sweep["inputs"].values()
    inputs["code helpers.py"] = "0" * 64
    (place.parent / "sweep.json").write_text(json.dumps(sweep))
    for path in place.parent.glob("*/run.json"):
        inputs = json.loads(path.read_text())["inputs"]
        inputs["code helpers.py"] = "0" * 64
        change_record(path.parent, inputs=inputs)
        folder = RunFolder(path.parent)
    page, tables = read_page(comparison.write_report(sweeps, tmp_path / "page.html"))
    assert "correct: A (seed 2) " in page.text
    (difference,) = tables["input", 3]
    assert (difference[0], difference[2]) == ("code helpers.py", "0" * 12)
    outputs = folder.read_record().outputs
    del outputs["metrics.json"]  # a point that has not been evaluated
    change_record(folder.path, outputs=outputs)
    with pytest.raises(InvalidFile, match="code helpers.py"):
        comparison.read_columns(sweeps)


def test_the_page_shows_metrics_verdict_and_what_differs(pair, copy, tmp_path):
    inputs = json.loads((copy / "run.json").read_text())["inputs"]
    inputs["version numpy"] = "1.0"
    change_record(copy, inputs=inputs)
    path = comparison.write_report([pair[0], str(copy)], tmp_path / "out" / "page.html")
    assert list(path.parent.iterdir()) == [path]
    assert GENERATOR in path.read_bytes()
    page, tables = read_page(path)
    assert page.title.text == f"{pair[0]} and {copy} compared"
    metrics = {name: values for name, *values in tables["metric", 4]}
    # The published metrics.
    assert metrics["train error ↓"] == ["0.4204", "0.2746", "-0.1458"]
    assert metrics["test accuracy ↑"] == ["0.7942", "0.8500", "+0.0558"]
    text = f"{copy} is better than {pair[0]}, by more than chance explains: "
    text += "85.00 against 79.42 % of 10,000 test images."
    assert page.h1.find_next("p").text == text
    assert tables["parameter", 3] == [["relu_grad_inactive", "1", "0"]]
    assert tables["input", 3] == [["version numpy", np.__version__, "1.0"]]
    ((*_, verdict),) = tables["first, second", 5]
    assert verdict.startswith("B is better")
    assert len(tables["test image", 4]) == 20
    assert len(page.find_all("img", alt=True)) == 3


def make_answers(only_first, only_second, both):
    """Return the answers (3, N) of two networks and of a copy of the first, to ones."""
    first = [1] * only_first + [0] * only_second + [1] * both
    second = [0] * only_first + [1] * only_second + [1] * both
    return np.array([first, second, first])


@pytest.mark.parametrize(
    ("only", "begin", "shares"),
    [
        # By the binomial distribution, p is 2 / 2**10 and 22 / 2**10: below and above
        # 0.05 / 3, the level of each of three pairs.
        ((0, 10), "b is better than a, by more than chance explains", (100, 90)),
        ((1, 9), "Chance may explain how b differs from a", (99, 91)),
    ],
)
def test_verdicts_say_which_is_better_of_each_pair(
    pair, monkeypatch, only, begin, shares
):
    answers = make_answers(*only, 90)
    labels = np.ones(100, int)
    run = comparison.read_run(RunFolder(pair[0]))
    columns = {}
    for letter, name in zip("ABC", "abc", strict=True):
        folder = RunFolder(name)
        columns[letter] = {1: replace(run, folder=folder)}
    monkeypatch.setattr(comparison, "find_test_images", lambda _: (None, labels))
    monkeypatch.setattr(comparison, "collect_answers", lambda _: answers)
    first, second, third = comparison.describe_verdicts(columns)
    measured = "{}.00 against {}.00 % of 100 test images.".format(*shares)
    assert first == f"{begin}: {measured}"
    assert second.startswith("No image tells a and c apart: ")
    assert third.startswith(begin.split(" than ")[0].split(" from ")[0])


@pytest.mark.parametrize(
    ("low", "high", "begin"),
    [
        (0.001, 0.002, "b is better than a, also for other seeds"),
        (-0.002, -0.001, "a is better than b, also for other seeds"),
        (-0.001, 0.002, "The seeds may explain how b differs from a"),
    ],
)
def test_two_sweeps_are_judged_by_their_interval(low, high, begin):
    row = pd.Series({"low": low, "high": high, "difference": (low + high) / 2})
    text = comparison.describe_over_seeds(row, "a", "b", 0.01)
    assert text.startswith(f"{begin}: the test accuracy differs by ")
    assert f"(99 % interval {low:+.4f} to {high:+.4f})" in text


def test_runs_of_other_test_images_are_not_judged(pair, copy):
    inputs = json.loads((copy / "run.json").read_text())["inputs"]
    change_record(copy, inputs=inputs | {"array x_test": "0" * 64})
    compared = comparison.read_columns([pair[0], str(copy)])
    (line,) = comparison.describe_verdicts(compared)
    assert line.startswith(f"{pair[0]} and {copy} are not compared. ")


@pytest.mark.parametrize(
    ("name", "page_name"),
    [
        ("runs/a/x_and_runs/b/x", "a-x_and_b-x.html"),
        ("runs/c/x_and_runs/d/x", "c-x_and_d-x.html"),
        ("notebooks/why", "why.html"),
    ],
)
def test_pages_of_runs_of_one_name_have_different_paths(name, page_name):
    assert page.choose_path(name).name == page_name
