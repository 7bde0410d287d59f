"""Two finished runs or sweeps side by side."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import ANY

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from pipeline import comparison
from pipeline.digests import digest_file
from pipeline.errors import InvalidFile, InvalidInput
from pipeline.images.arrays import to_npz
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
    """Return a page, and the rows of its tables by the first word of each head."""
    page, tables = BeautifulSoup(path.read_text(), "html.parser"), {}
    for table in page.select("table.dataframe"):
        rows = [row.select("th, td") for row in table.select("tr")]
        (name, *_), *rows = [[cell.text for cell in row] for row in rows]
        tables[name] = {first: others for first, *others in rows}
    return page, tables


def test_what_cannot_be_compared_is_refused(pair, copy, runs, tmp_path):
    change_record(copy, status="failed")
    nowhere = str(tmp_path / "nowhere")
    for run_dirs, error, named in (
        ([], InvalidInput, "not 0"),
        (pair[:1], InvalidInput, "not 1"),
        ([*pair, nowhere], InvalidInput, "not 3"),
        ([pair[0], nowhere], InvalidFile, nowhere),
        ([pair[0], str(copy)], InvalidFile, "failed"),
    ):
        with pytest.raises(error, match=named):
            comparison.read_comparison(run_dirs)


def test_test_images_come_from_the_source_too_and_must_be_the_same(pair, copy):
    expected = comparison.read_comparison(pair).data.x_test
    (copy / "data.npz").unlink()
    compared = comparison.read_comparison([str(copy), pair[0]])
    assert np.array_equal(compared.data.x_test, expected)
    inputs = json.loads((copy / "run.json").read_text())["inputs"]
    answers = copy / "answers.npz"  # of fewer images
    answers.write_bytes(to_npz(answers=np.zeros(24, np.uint8)))
    outputs = json.loads((copy / "run.json").read_text())["outputs"]
    outputs |= {answers.name: digest_file(answers)}
    for name in ("array x_test", "array y_test"):
        other = inputs | {name: "0" * 64}
        change_record(copy, inputs=other, outputs=outputs)
        for run_dirs in ([pair[0], str(copy)], [str(copy), pair[0]]):
            with pytest.raises(InvalidInput, match="test images"):
                comparison.read_comparison(run_dirs)


def test_a_run_whose_answers_contradict_its_accuracy_is_refused(pair, copy):
    metrics = json.loads((copy / "metrics.json").read_text())
    text = json.dumps(metrics | {"test_accuracy": 0.99})
    (copy / "metrics.json").write_text(text)
    outputs = json.loads((copy / "run.json").read_text())["outputs"]
    outputs |= {"metrics.json": digest_file(copy / "metrics.json")}
    change_record(copy, outputs=outputs)
    expected = r"85.00 % of the images, but metrics.json says 99.00 %.* run .* --force"
    with pytest.raises(InvalidInput, match=expected):
        comparison.read_comparison([pair[0], str(copy)])
    inputs = json.loads((copy / "run.json").read_text())["inputs"]
    change_record(copy, inputs=inputs | {"code helpers.py": "0" * 64})
    assert comparison.read_comparison([pair[0], str(copy)])


def make_answers(only_a, only_b, both):
    """Return the answers (2, N) of two networks to images whose label is 1."""
    first = [1] * only_a + [0] * only_b + [1] * both
    second = [0] * only_a + [1] * only_b + [1] * both
    return np.array([first, second])


def select_seeds(*seeds):
    """Return the seeds that are compared of two sides with these seeds."""
    tables = [pd.DataFrame({"test_accuracy": 0.5}, index=each) for each in seeds]
    sides = [comparison.Side("a", dict.fromkeys(t.index), t) for t in tables]
    chosen = comparison.select_compared_runs(*sides).values()
    assert all(list(side.folders) == list(side.metrics.index) for side in chosen)
    return [list(side.folders) for side in chosen]


def test_seeds_that_both_sides_have_are_compared():
    assert select_seeds([1, 2, 3], [2, 3, 4]) == [[2, 3], [2, 3]]
    assert select_seeds([1, 2, 3], [3, 4]) == [[1, 2, 3], [3, 4]]
    assert select_seeds([2], [1, 2, 3]) == [[2], [2]]
    assert select_seeds([1], [2]) == [[1], [2]]
    with pytest.raises(InvalidInput, match="no seed in common"):
        select_seeds([9], [1, 2, 3])


def test_the_networks_are_those_of_the_only_common_seed(pair, monkeypatch):
    first, second = map(RunFolder, pair)
    folders = iter([{1: first, 3: second}, {3: second, 5: first}])

    def read(name):
        return comparison.Side(name, next(folders), pd.DataFrame())

    monkeypatch.setattr(comparison, "read_side", read)
    networks = comparison.read_comparison(pair).networks
    assert networks == {"A": second, "B": second}


def test_equal_accuracies_with_unequal_errors_are_not_identical():
    sides = {}
    for letter, error in (("A", 0.3), ("B", 0.4)):
        values = {"test_accuracy": 0.8, "test_error": error}
        table = pd.DataFrame(values, index=[1, 2])
        sides[letter] = comparison.Side(letter, dict.fromkeys(table.index), table)
    data = SimpleNamespace(y_test=np.zeros(100))
    compared = comparison.Comparison(sides, {}, None, data)
    assert "identical" not in comparison.describe_verdict(compared)


def test_a_metric_of_one_side_has_a_row_and_one_of_neither_has_none():
    values = {"test_images": 9, "weights_sha256": "0", "validation_error": None}
    tables = [pd.DataFrame(values | more, [1]) for more in ({"f1": 0.5}, {"f2": 0.5})]
    sides = [comparison.Side("a", {1: None}, table) for table in tables]
    compared = comparison.Comparison(
        dict(zip("AB", sides, strict=True)), {}, None, None
    )
    assert list(comparison.compare_metrics(compared).index) == ["f1", "f2"]


@pytest.mark.parametrize(
    ("only", "names", "shares"),
    [
        # By the binomial distribution p is 22 / 2**10, 2 / 2**10 and 112 / 2**10.
        ((1, 9), "B (`b`) is better than A (`a`)", "91.00 % and B 99.00 %"),
        ((10, 0), "A (`a`) is better than B (`b`)", "100.00 % and B 90.00 %"),
        ((2, 8), "The luck of the test images may", "92.00 % and B 98.00 %"),
    ],
)
def test_two_networks_are_judged_by_the_images_that_one_alone_reads(
    pair, only, names, shares
):
    compared = comparison.read_comparison(pair)
    sides = zip(compared.sides.items(), "ab", strict=True)
    answers, labels = make_answers(*only, 90), np.ones(100, int)
    compared = replace(
        compared,
        sides={letter: replace(side, name=name) for (letter, side), name in sides},
        answers=answers,
        data=replace(compared.data, y_test=labels),
    )
    verdict = comparison.describe_verdict(compared)
    assert verdict.startswith(f"**{names}")
    assert f"{shares} of 100 test images" in verdict
    assert f"only A is right on {only[0]}, and only B on {only[1]} (p = 0." in verdict


@pytest.mark.parametrize(
    ("second", "begin"),
    [
        ([0.82, 0.83, 0.85], "B (`b`) is better than A (`a`)"),
        ([0.78, 0.77, 0.79], "A (`a`) is better than B (`b`)"),
        ([0.79, 0.83, 0.82], "The seeds may explain how B (`b`) differs"),
    ],
)
def test_two_sweeps_are_judged_by_their_interval(pair, second, begin):
    compared = comparison.read_comparison(pair)
    sides = {}
    for letter, accuracies in (("A", [0.80, 0.80, 0.81]), ("B", second)):
        table = pd.DataFrame({"test_accuracy": accuracies}, index=[1, 2, 3])
        folders = dict.fromkeys(table.index, compared.networks[letter])
        sides[letter] = comparison.Side(letter.lower(), folders, table)
    verdict = comparison.describe_verdict(replace(compared, sides=sides))
    assert verdict.startswith(f"**{begin}")
    points = 100 * (np.mean(second) - (0.80 + 0.80 + 0.81) / 3)
    assert f": {abs(points):.2f} ± " in verdict
    assert "points of test accuracy (95 %, 3 seeds of both, 10,000 images)" in verdict


@pytest.fixture(scope="module")
def sweeps(shared, runs, pipeline):
    """Two sweeps of three and of five seeds, of which they share two."""

    def make(folder):
        base = {"epochs": 3, "hidden_size": 5, "relu_grad_inactive": 0}
        definition = {"name": "a", "base": base, "seeds": [7, 3, 4]}
        (folder / "a.yaml").write_text(json.dumps(definition))
        words = ("sweep", folder / "a.yaml", "--sweep-dir", folder / "a")
        done = pipeline(*words, "--workers", 1)
        assert done.returncode == 0, done.stderr

    return [str(shared("three", make) / "a"), str(runs / "small")]


def test_the_page_of_two_sweeps_has_their_mean_difference(sweeps, tmp_path):
    path = comparison.write_comparison(sweeps, tmp_path / "page.html")
    page, tables = read_page(path)
    results = [
        pd.read_csv(f"{sweep}/results.csv").set_index("seed") for sweep in sweeps
    ]
    first, second = (
        each["test_accuracy"].dropna()[[3, 4]] for each in results
    )  # of the seeds that both have
    a, b, change = tables["metric"]["test accuracy ↑"]
    assert a == f"{100 * first.mean():.2f} %"
    assert b == f"{100 * second.mean():.2f} %"
    size, _, reach = change.partition(" ± ")
    difference = 100 * (second - first).mean()
    assert size.replace("−", "-") == f"{difference:+.2f}"
    verdict = page.select_one(".verdict").text
    assert f"{abs(difference):.2f} ± {reach} points" in verdict
    assert "2 seeds of both, without 4 that only one" in verdict
    names = {"hidden_size": ["5", "40"], "epochs": ["3", "20"]}
    assert tables["name"] == names
    assert page.h1.text == "hidden_size 5 or 40, epochs 3 or 20"


def test_a_sweep_and_its_copy_are_identical(sweeps, tmp_path):
    copy = shutil.copytree(sweeps[0], tmp_path / "copy")
    compared = comparison.read_comparison([sweeps[0], str(copy)])
    assert "identical" in comparison.describe_verdict(compared)


@pytest.fixture
def written(pair, copy, tmp_path, caplog):
    """The page of two runs, whose second has other code, and its tables.

    So the answers are those that the second run has stored.
    """
    caplog.set_level("INFO")
    inputs = json.loads((copy / "run.json").read_text())["inputs"]
    inputs |= {"version numpy": "1.0", "code helpers.py": "0" * 64}
    change_record(copy, inputs=inputs)
    compared = [pair[0], str(copy)]
    path = comparison.write_comparison(compared, tmp_path / "out" / "page.html")
    assert list(path.parent.iterdir()) == [path]
    return read_page(path)


def test_the_page_begins_with_the_verdict(written, caplog):
    page, _ = written
    assert page.title.text == page.h1.text == "relu_grad_inactive 1 or 0"
    verdict = page.select_one(".verdict").text.replace("\xa0", " ").strip()
    assert verdict in [record.message for record in caplog.get_records("setup")]
    headings = [each.text for each in page.select(".report h2")]
    assert headings == [
        "Which is better?",
        "How they learned",
        "What differs",
        "The metrics",
        "Where they disagree",
    ]
    assert len(page.select(".report .panel svg")) == 3
    assert len(page.select(".report .tiles img")) == 20


def test_the_page_says_how_each_was_made(written, pair, copy):
    first, second = written[0].select_one("#made").text.split("B, ")
    assert pair[0] in first
    assert str(copy) in second
    command = "-p relu_grad_inactive 0"
    assert command in second
    assert command not in first


def test_the_page_has_what_differs_and_the_answers(written):
    _, tables = written
    # The published metrics.
    assert tables["metric"]["train error, dropout ↓"] == ["0.420", "0.275", "−0.146"]
    assert tables["metric"]["test accuracy ↑"] == ["79.42 %", "85.00 %", "+5.58"]
    assert tables["name"] == {
        "relu_grad_inactive": ["1", "0"],
        "version numpy": [np.__version__, "1.0"],
        "code helpers.py": [ANY, "0" * 12],
    }
    counts = {name: int(n.replace(",", "")) for name, (n,) in tables["answers"].items()}
    assert sum(counts.values()) == 10_000
    assert counts["both correct"] + counts["only A correct"] == 7942
    assert counts["both correct"] + counts["only B correct"] == 8500
