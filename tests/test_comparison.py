"""Finished runs side by side."""

import collections
import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
from bs4 import BeautifulSoup

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


def test_what_cannot_be_compared_is_refused(pair, copy, tmp_path):
    change_record(copy, status="failed")
    many = [str(tmp_path / f"{number}") for number in range(7)]
    for run_dirs in ([], pair[:1], many, [pair[0], f"{pair[0]}/../default"]):
        with pytest.raises(
            InvalidParameter, match="Give two to six different runs, not"
        ):
            comparison.read_runs(run_dirs)
    for other, message in (
        (many[0], "0/run.json is missing"),
        (str(copy), "is failed"),
    ):
        with pytest.raises(InvalidRecord, match=message):
            comparison.read_runs([pair[0], other])


@pytest.mark.parametrize(
    "skill", [0, 0.05, 0.3]
)  # how much oftener the first one is correct
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
        head, *rows = [
            [cell.text for cell in row.select("th, td")] for row in table.select("tr")
        ]
        tables[head[0], len(head)] = rows
    assert page.title.text == f"{pair[0]} and {copy} compared"
    metrics = {name: values for name, *values in tables["metric", 4]}
    assert metrics["train error"] == [
        "0.4204",
        "0.2746",
        "-0.1458",
    ]  # the published metrics
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
