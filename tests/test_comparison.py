"""Finished runs side by side."""

import collections
import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
from bs4 import BeautifulSoup

import helpers
from pipeline import comparison
from pipeline.errors import InvalidData, InvalidParameter, InvalidRecord
from pipeline.run_folder import GENERATOR, RunFolder


@pytest.fixture
def pair(runs):
    """Return the folders of the published run and of the one with the true derivative."""
    return [str(runs / name) for name in ("default", "true-derivative")]


@pytest.fixture
def copy(pair, tmp_path):
    """Return a copy of the second run, to be changed."""
    return shutil.copytree(pair[1], tmp_path / "copy")


def change_record(folder, **fields):
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(record | fields))


def test_too_few_too_many_and_equal_runs_are_refused(pair, tmp_path):
    (tmp_path / "link").symlink_to(pair[0])
    many = [str(tmp_path / f"{number}") for number in range(7)]
    for run_dirs in ([], pair[:1], many, [pair[0], str(tmp_path / "link")]):
        with pytest.raises(InvalidParameter, match="Give two to six different runs, not"):
            comparison.read_runs(run_dirs)


def test_what_is_no_finished_and_whole_run_is_refused(pair, copy, tmp_path):
    with pytest.raises(InvalidRecord, match="nothing/run.json is missing"):
        comparison.read_runs([pair[0], str(tmp_path / "nothing")])
    change_record(copy, status="failed")
    with pytest.raises(InvalidRecord, match="is failed"):
        comparison.read_runs([pair[0], str(copy)])


@pytest.mark.parametrize("skill", [0, 0.05, 0.3])  # how much oftener the first one is correct
def test_counts_are_those_of_a_plain_loop_and_the_test_is_mcnemars(skill):
    rng = np.random.default_rng(0)
    labels, answers = rng.integers(0, 3, 500), rng.integers(0, 3, (2, 500))
    answers[0] = np.where(rng.random(500) < skill, labels, answers[0])
    kinds = collections.Counter(
        (a == label, b == label, a == b) for a, b, label in zip(*answers, labels, strict=True)
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


def test_the_most_telling_images_are_those_whose_margins_are_furthest_apart():
    answers = np.array([[1, 1, 2, 1, 2], [1, 2, 1, 2, 2]])
    heights = np.array([[9, 0.5, 0.5, 0.2, 9], [1, 0.5, 0.8, 0.2, 1]])
    scores = helpers.one_hot(answers) * heights[..., np.newaxis]
    # Images 0 and 4 are answered alike; of the others the margins differ by 1.0, 1.3 and 0.4.
    telling = comparison.find_most_telling(scores, np.ones(5, int))
    assert telling.tolist() == [2, 1, 3]


def test_test_images_come_from_the_source_too_and_must_be_the_same(pair, copy):
    first, second = comparison.read_runs(pair).values()
    (copy / "data.npz").unlink()
    change_record(copy, arrays={"x_test": "0" * 64, "y_test": "0" * 64})
    without_data = replace(second, folder=RunFolder(copy))
    images, _ = comparison.find_test_images([without_data, first])
    assert np.array_equal(images, first.folder.read_data().x_test)
    changed = replace(second, record=RunFolder(copy).read_record())
    with pytest.raises(InvalidData, match="sample has now. Compare runs of one source"):
        comparison.find_test_images([first, changed])


def test_the_page_shows_metrics_verdict_and_what_differs(pair, copy, tmp_path):
    inputs = json.loads((copy / "run.json").read_text())["inputs"]
    inputs["versions"]["numpy"] = "1.0"
    change_record(copy, inputs=inputs)
    path = comparison.write_report([pair[0], str(copy)], tmp_path / "out" / "page.html")
    assert list(path.parent.iterdir()) == [path]
    assert GENERATOR in path.read_bytes()
    page, tables = BeautifulSoup(path.read_text(), "html.parser"), {}
    for table in page.select("table.dataframe"):
        head, *rows = [[cell.text for cell in row.select("th, td")] for row in table.select("tr")]
        tables[head[0], len(head)] = rows
    assert page.title.text == f"{pair[0]} and {copy} compared"
    metrics = {name: values for name, *values in tables["metric", 4]}
    assert metrics["train error"] == ["0.4204", "0.2746", "-0.1458"]  # the published metrics
    assert metrics["test accuracy"] == ["0.7942", "0.8500", "+0.0558"]
    assert tables["parameter", 3] == [["relu_grad_inactive", "1", "0"]]
    assert tables["input", 3] == [["versions numpy", np.__version__, "1.0"]]
    ((*_, verdict),) = tables["first, second", 5]
    assert verdict == "B is better by more than chance explains."
    assert len(tables["test image", 4]) == 20
    assert len(page.find_all("img", alt=True)) == 3
    path.write_text("somebody's own page")
    with pytest.raises(InvalidParameter, match="was not made by this project"):
        comparison.write_report([pair[0], str(copy)], path)
