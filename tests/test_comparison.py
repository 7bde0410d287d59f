"""Finished runs side by side."""

import collections
import json
import math
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
        head, *rows = [
            [cell.text for cell in row.select("th, td")] for row in table.select("tr")
        ]
        tables[head[0], len(head)] = rows
    return page, tables


def test_what_cannot_be_compared_is_refused(pair, copy, tmp_path):
    change_record(copy, status="failed")
    many = [str(tmp_path / f"{number}") for number in range(7)]
    for run_dirs in ([], pair[:1], many, [pair[0], f"{pair[0]}/../default"]):
        with pytest.raises(
            InvalidInput, match="Give two to six different runs or sweeps, not"
        ):
            comparison.read_columns(run_dirs)
    for other, message in (
        (many[0], "0/run.json is missing"),
        (str(copy), "is failed"),
    ):
        with pytest.raises(InvalidFile, match=message):
            comparison.read_columns([pair[0], other])


# skill: by how much the first one is correct more often.
@pytest.mark.parametrize("skill", [0, 0.05, 0.3])
def test_counts_are_those_of_a_plain_loop_and_the_test_is_mcnemars(skill):
    rng = np.random.default_rng(0)
    labels, answers = rng.integers(0, 3, 500), rng.integers(0, 3, (2, 500))
    answers[0] = np.where(rng.random(500) < skill, labels, answers[0])
    kinds = collections.Counter(
        (a == label, b == label, a == b)
        for a, b, label in zip(*answers, labels, strict=True)
    )
    first, second = kinds[True, False, False], kinds[False, True, False]
    n = first + second
    tail = sum(math.comb(n, k) for k in range(min(first, second) + 1)) / 2**n
    assert comparison.count_pairs(answers == labels, answers).loc["A, B"].to_dict() == {
        "both correct": kinds[True, True, True],
        "only first": first,
        "only second": second,
        "both wrong, alike": kinds[False, False, True],
        "both wrong, differently": kinds[False, False, False],
        "p": pytest.approx(min(1, 2 * tail)),
    }
    alike = comparison.count_pairs(answers[[0, 0]] == labels, answers[[0, 0]])
    assert alike["p"].tolist() == [1]


def test_test_images_come_from_the_source_too_and_must_be_the_same(pair, copy):
    first, second = map(comparison.read_run, map(RunFolder, pair))
    (copy / "data.npz").unlink()
    change_record(copy, arrays={"x_test": "0" * 64, "y_test": "0" * 64})
    without_data = replace(second, folder=RunFolder(copy))
    images, _ = comparison.find_test_images([without_data, first])
    assert np.array_equal(images, first.folder.read_data().x_test)
    changed = replace(second, record=RunFolder(copy).read_record())
    with pytest.raises(InvalidInput, match="sample has now. Compare runs of one"):
        comparison.find_test_images([first, changed])


@pytest.mark.parametrize("level", [0.05, 0.01])
def test_the_interval_over_seeds_is_students_or_welchs(level):
    rng = np.random.default_rng(0)
    first = pd.Series(rng.normal(0.80, 0.02, 5), [1, 2, 3, 4, 5])
    second = pd.Series(rng.normal(0.82, 0.01, 4), [9, 5, 3, 2])
    shared = second[[2, 3, 5]], first[[2, 3, 5]]
    lone = pd.Series(rng.normal(0.82, 0.01, 3), [5, 6, 7])
    for other, count, expected in (
        (second, 3, stats.ttest_rel(*shared)),
        (lone, 1, stats.ttest_ind(lone, first, equal_var=False)),
    ):
        found = comparison.estimate_difference(first, other, level)
        interval = expected.confidence_interval(1 - level)
        assert [found["low"], found["high"]] == pytest.approx(list(interval))
        error = found["difference"] / found["standard error"]
        assert (error, found["shared"]) == (pytest.approx(expected.statistic), count)
    assert np.isnan(comparison.estimate_difference(first, first[:1])["low"])
    with warnings.catch_warnings(action="error"):
        alike = pd.Series([0.8, 0.8], [1, 2]), pd.Series([0.9, 0.9], [3, 4])
        found = comparison.estimate_difference(*alike)  # no seed, and no spread
    assert [found[name] for name in ("low", "high")] == pytest.approx([0.1, 0.1])
    equal = comparison.estimate_difference(first, first)
    assert [equal[name] for name in ("low", "high", "standard error")] == [0, 0, 0]


@pytest.fixture
def sweeps(tmp_path, small_source, pipeline):
    """The folders of two sweeps of a configuration, with seven points in all."""
    base = f"source: {small_source[0]}, num_samples: 40, num_validation: 10, epochs: 2"
    for name, hidden_size, seeds in (("a", 3, [1, 2, 3, 4]), ("b", 4, [2, 3, 4])):
        text = f"name: {name}\nbase: {{{base}, hidden_size: {hidden_size}}}\n"
        (tmp_path / f"{name}.yaml").write_text(f"{text}seeds: {seeds}\n")
        options = ("--sweep-dir", tmp_path / name, "--workers", 1, "--no-report")
        done = pipeline("sweep", tmp_path / f"{name}.yaml", *options)
        assert done.returncode == 0, done.stderr
    return [str(tmp_path / "a"), str(tmp_path / "b")]


def test_two_sweeps_of_seven_points_are_two_columns_with_a_difference(sweeps, tmp_path):
    path = comparison.write_report(sweeps, tmp_path / "page.html")
    page, tables = read_page(path)
    assert f"B {sweeps[1]}: hidden_size 4, seed 2, 3, 4" in " ".join(page.text.split())
    accuracies = []
    for run_dir in sweeps:
        points = [
            RunFolder(place.parent)
            for place in RunFolder(run_dir).path.glob("*/run.json")
        ]
        values = {
            point.read_record().parameters["seed"]: point.read_metrics()
            for point in points
        }
        accuracies.append({seed: each.test_accuracy for seed, each in values.items()})
    metrics = {name: values for name, *values in tables["metric", 3]}
    for text, values in zip(metrics["test accuracy"], accuracies, strict=True):
        values = list(values.values())
        ends = f"({min(values):.4f} to {max(values):.4f})"
        assert text == f"{np.mean(values):.4f} {ends}"
    first, second = accuracies
    difference = np.mean([second[seed] - first[seed] for seed in (2, 3, 4)])
    validation, test = tables["first, second", 7]
    assert test[:4] == ["A, B: test accuracy", "4, 3", "3", f"{difference:+.4f}"]
    assert validation[0] == "A, B: validation accuracy"
    assert "correct: A (seed 2) " in page.text
    assert tables["parameter", 3] == [
        ["hidden_size", "3", "4"],
        ["seed", "1, 2, 3, 4", "2, 3, 4"],
    ]


def test_points_of_other_code_are_compared_by_their_stored_answers(sweeps, tmp_path):
    """They are recorded as if they had been trained with another helpers.py."""
    place = next(RunFolder(sweeps[1]).path.glob("*/metrics.json")).parent
    sweep = json.loads((place.parent / "sweep.json").read_text())
    (inputs,) = sweep["inputs"].values()
    inputs["syntax"]["helpers.py"] = "0" * 64
    (place.parent / "sweep.json").write_text(json.dumps(sweep))
    for path in place.parent.glob("*/run.json"):
        inputs = json.loads(path.read_text())["inputs"]
        inputs["syntax"]["helpers.py"] = "0" * 64
        change_record(path.parent, inputs=inputs)
        folder = RunFolder(path.parent)
    page, tables = read_page(comparison.write_report(sweeps, tmp_path / "page.html"))
    assert "correct: A (seed 2) " in page.text
    (difference,) = tables["input", 3]
    assert (difference[0], difference[2]) == ("code helpers.py", "0" * 12)
    outputs = folder.read_record().outputs
    del outputs["metrics.json"]  # a point that has not been evaluated
    change_record(folder.path, outputs=outputs)
    with pytest.raises(
        InvalidFile, match="was trained with other inputs: code helpers.py"
    ):
        comparison.read_columns(sweeps)


def test_answers_that_version_3_0_did_not_store_are_computed(pair, copy):
    first, second = (comparison.read_run(RunFolder(each)) for each in (pair[0], copy))
    images, labels = comparison.find_test_images([first, second])
    stored, computed = comparison.collect_answers([first, second], images, labels)
    assert computed == []
    assert np.mean(stored[0] == labels) == 0.7942
    second.folder.answers_path.unlink()
    answers, computed = comparison.collect_answers([first, second], images, labels)
    assert computed == [str(copy)]
    assert np.array_equal(answers, stored)
    other = replace(second, metrics=first.metrics)
    with pytest.raises(InvalidInput, match="does not give the metrics of"):
        comparison.collect_answers([first, other], images, labels)


def test_the_page_shows_metrics_verdict_and_what_differs(pair, copy, tmp_path):
    inputs = json.loads((copy / "run.json").read_text())["inputs"]
    inputs["versions"]["numpy"] = "1.0"
    change_record(copy, inputs=inputs)
    path = comparison.write_report([pair[0], str(copy)], tmp_path / "out" / "page.html")
    assert list(path.parent.iterdir()) == [path]
    assert GENERATOR in path.read_bytes()
    page, tables = read_page(path)
    assert page.title.text == f"{pair[0]} and {copy} compared"
    metrics = {name: values for name, *values in tables["metric", 4]}
    # The published metrics.
    assert metrics["train error"] == ["0.4204", "0.2746", "-0.1458"]
    assert metrics["test accuracy"] == ["0.7942", "0.8500", "+0.0558"]
    assert tables["parameter", 3] == [["relu_grad_inactive", "1", "0"]]
    assert tables["input", 3] == [["versions numpy", np.__version__, "1.0"]]
    ((*_, verdict),) = tables["first, second", 5]
    assert verdict == "B is better by more than chance explains."
    assert len(tables["test image", 4]) == 20
    assert len(page.find_all("img", alt=True)) == 3
    assert "Compare two sweeps to learn about other seeds." in page.text
    path.write_text("somebody's own page")
    with pytest.raises(InvalidInput, match="was not made by this project"):
        comparison.write_report([pair[0], str(copy)], path)


def test_pages_of_runs_of_one_name_have_different_paths():
    paths = [
        page.choose_path(name)
        for name in ("runs/a/x_and_runs/b/x", "runs/c/x_and_runs/d/x", "notebooks/why")
    ]
    assert [path.name for path in paths] == [
        "a-x_and_b-x.html",
        "c-x_and_d-x.html",
        "why.html",
    ]
