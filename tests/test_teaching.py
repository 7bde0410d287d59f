"""The plans of lessons and the key have the numbers that were computed."""

import re

import nbformat
import numpy as np
import pandas as pd

import helpers
from pipeline.paths import NOTEBOOKS


def test_the_plan_of_an_hour_has_the_numbers_of_forty_seeds():
    results = pd.read_csv(NOTEBOOKS / "sweeps" / "forty_seeds.csv")
    results = results.query("num_validation == 1000 and seed <= 20")
    text = (NOTEBOOKS / "teaching.md").read_text()
    for inactive, heap in ((1, "first"), (0, "second")):
        rows = results[results["relu_grad_inactive"] == inactive]
        found = rows["validation_accuracy"]
        numbers = [found.mean(), found.std(), found.min(), found.max()]
        sentence = re.search(f"the {heap} heap has (.*?)\\. ", text, re.I)[1]
        assert re.findall(r"0\.\d+", sentence) == [f"{each:.3f}" for each in numbers]


def test_the_second_lesson_has_the_numbers_of_the_record():
    record = pd.read_csv(NOTEBOOKS / "data" / "hundreds.csv").query("seed <= 30")
    hundreds = record.filter(like="hundred_").sum(axis=1)
    record = record.assign(validation=hundreds / 1000, test=record["test"] / 10_000)
    key = (NOTEBOOKS / "worksheet-key.md").read_text()
    found = re.findall(r"(\d+) \| (0\.\d{3}) \| (0\.\d{4}) \|", key)
    slip = record[record["relu_grad_inactive"] == 1].set_index("seed")
    table = {int(seed): (float(first), float(last)) for seed, first, last in found}
    assert table == {row.Index: (row.validation, row.test) for row in slip.itertuples()}
    means = f"means are {slip.validation.mean():.3f} and {slip.test.mean():.4f}"
    assert means in key
    plan = (NOTEBOOKS / "teaching.md").read_text()
    best = slip[slip.validation == slip.validation.max()]
    assert list(best.index) == [6, 8]
    true = record[record["relu_grad_inactive"] == 0].set_index("seed")
    only = true[true.validation == true.validation.max()]
    assert list(only.index) == [11]
    leads = [
        f"{each[split].mean() - heap[split].mean():.3f}"
        for each, heap in ((best, slip), (only, true))
        for split in ("validation", "test")
    ]
    for number in (*leads, f"{best.validation.max():.3f}", f"{best.test.mean():.3f}"):
        assert number in plan.split("the seeds 6 and 8 win")[1].split("\n")[0]


def test_the_key_of_the_worksheet_is_what_helpers_computes():
    weights = np.array([[-2.0, 1], [1, 3], [2, -2]]), np.array([[1.0, -1], [3, 1]])
    inputs, targets = np.array([[1.0, 0, 2]]), np.array([[1.0, 0]])
    hidden, scores = helpers.forward(inputs, weights)
    gradients = helpers.backward(
        inputs, targets, hidden, scores, weights, relu_grad_inactive=0
    )
    signals = scores - targets
    came_back = signals @ weights[1].T
    moved = tuple(w - 0.1 * g for w, g in zip(weights, gradients, strict=True))
    after = helpers.forward(inputs, moved)[1]
    key = (NOTEBOOKS / "worksheet-key.md").read_text()
    rows = dict(re.findall(r"\| \((\w)\) [^|]* \| ([^|]+ \| [^|]+) \|", key))
    expected = {
        "a": inputs @ weights[0],
        "b": hidden,
        "c": scores,
        "d": signals,
        "e": came_back,
        "f": came_back * (hidden > 0),
    }
    assert set(rows) == set(expected)
    for letter, numbers in expected.items():
        assert rows[letter] == "{:g} | {:g}".format(*numbers[0])
    assert f"both squares added, is {np.sum(signals**2):g}." in key
    assert sum(np.sum(gradient == 0) for gradient in gradients) == 6
    assert "Six of the ten are 0" in key
    assert "(h) {:g}, {:g} and {:g}.".format(*gradients[0][:, 0]) in key
    changed = *moved[0][:, 0], *moved[1][0]
    words = "{:g}, {:g} and {:g}, and those from it {:g} and {:g}"
    assert words.format(*changed) in key
    end = "its sum is {:g}, the scores are {:g} and {:g}, and the error is {:g}"
    numbers = (inputs @ moved[0])[0, 0], *after[0], np.sum((after - targets) ** 2)
    assert end.format(*numbers) in key


def test_learn_quotes_what_overfitting_computes():
    learn, overfitting = (
        nbformat.read(NOTEBOOKS / f"{stem}.ipynb", as_version=4).cells
        for stem in ("learn", "overfitting")
    )
    outputs = [output for cell in overfitting for output in cell.get("outputs", ())]
    text = "\n".join(output.get("text", "") for output in outputs)
    curve = re.search(r"1000 images: (\S+) and (\S+) .* (\S+), epoch (\d+)", text)
    lead = re.search(r"true derivative, .* hundred images: (\S+) and (\S+);", text)
    numbers = [100 * float(number) for number in (*curve.groups()[:3], *lead.groups())]
    assert 20 <= int(curve[4]) <= 25  # "some twenty epochs"
    known, last, best, there, unseen = (f"{number:.1f}" for number in numbers)
    prose = "\n".join(cell.source for cell in learn)
    for words in (
        f"gets {known} % of its training images right",
        f"at {best} %, and ends at {last} %",
        f"is {there} points above the mean on these, but only {unseen} points",
    ):
        assert words in prose
