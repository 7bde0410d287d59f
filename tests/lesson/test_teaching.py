"""The plans of lessons and the key have the numbers that were computed."""

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import helpers
from lesson.assets import FOLDER
from pipeline.network import published
from pipeline.paths import NOTEBOOKS

RATES = {"c": 1.5, "d": 2.1}  # of one weight, by letter on the worksheet


def read_words(name):
    """Return the text of a file in lesson/, each line break as a space."""
    return " ".join((FOLDER / name).read_text().split())


def read_group(inactive):
    """Return the accuracies of a class in %, with the slip or not, by seed."""
    record = pd.read_csv(NOTEBOOKS / "records" / "class.csv").set_index("seed")
    return record[record["relu_grad_inactive"] == inactive]["validation"] / 10


def count_reaching(first=1, last=28):
    """Return how many dots of these pupils reach the lowest dot without the slip."""
    ours, others = (
        read_group(kind).loc[100 * first : 100 * last + 10] for kind in (1, 0)
    )
    return (ours >= others.min()).sum()


def make_steps(rate):
    """Return the value of one weight after each of three steps, with 4 digits."""
    places, weight = [], 0.2
    for _ in range(3):
        weight -= rate * (weight - 1)
        places.append(f"{weight:.4g}")
    return places


def test_the_key_has_the_steps_of_one_weight():
    sheet = read_words("worksheet-1.md")
    assert "begins at 0.2" in sheet
    key = (FOLDER / "worksheet-key.md").read_text()
    for letter, rate in RATES.items():
        assert f"({letter}) {rate:g} |" in sheet
        assert f"({letter}) {', '.join(make_steps(rate))}" in key


def test_the_lesson_and_readme_have_the_means_over_the_seeds():
    text = read_words("lesson.md")
    record = pd.read_csv(NOTEBOOKS / "records" / "hundreds.csv")
    record = record.query("block == 1")
    tests = record.groupby("relu_grad_inactive").test.mean() / 100
    words = f"the mean on these digits is {tests[1]:.1f} % with the slip, and "
    assert f"{words}{tests[0]:.1f} % without it" in text
    words = f"raises the test accuracy from {tests[1]:.1f} % to {tests[0]:.1f} %"
    assert words in read_words("../README.md")
    accuracy = 100 * float(published.PUBLISHED["test_accuracy"])
    assert f"reads {accuracy:.2f} % of 10,000 test digits correctly" in text


def test_the_lesson_has_the_numbers_of_a_class():
    text = read_words("lesson.md")
    low, high, other_low, other_high = (
        end for kind in (1, 0) for end in read_group(kind).agg(["min", "max"])
    )
    words = f"these dots range from {low} % to {high} %"
    assert words in text
    assert f"without it they range from {other_low} % to {other_high} %" in text
    apart = read_group(0).mean() - read_group(1).mean()
    reaching = (
        f"of the {len(read_group(1))} dots with the slip, {count_reaching()} reach"
    )
    assert f"The means are {apart:.1f} points apart, and {reaching}" in text
    fives = [count_reaching(first, first + 4) for first in (1, 6, 11, 16, 21)]
    words = f"{min(fives)} to {max(fives)} of 55 do."
    assert f"Among five neighbours in the register, {words}" in text
    plan = read_words("teaching.md")
    assert f"Of all dots with the slip, {count_reaching()} reach" in plan
    assert f"five neighbours in the register, {min(fives)} to {max(fives)}." in plan


def test_the_plan_has_the_numbers_of_a_class():
    text = read_words("teaching.md")
    script = (FOLDER / "scripts/parts/train.js").read_text()
    each = 1 + int(re.search(r"MORE = (\d+)", script)[1])
    assert f"how many it copied: {2 * each}, {each} of each kind" in text
    for inactive, group in ((1, "With the slip they"), (0, "Without it they")):
        found = read_group(inactive)
        numbers = [found.mean(), found.min(), found.max()]
        sentence = re.search(f"({group}.*?) %\\.", text)[1]
        assert re.findall(r"\d+\.\d", sentence) == [f"{each:.1f}" for each in numbers]


@pytest.fixture
def paper():
    """The numbers of the network on paper, as helpers computes them."""
    weights = np.array([[-2.0, 1], [1, 3], [2, -2]]), np.array([[1.0, -1], [3, 1]])
    inputs, targets = np.array([[1.0, 0, 2]]), np.array([[1.0, 0]])
    hidden, scores = helpers.forward(inputs, weights)
    gradients = helpers.backward(
        inputs, targets, hidden, scores, weights, relu_grad_inactive=0
    )
    return SimpleNamespace(**locals())


def test_the_key_has_both_passes_on_paper(paper):
    key = (FOLDER / "worksheet-key.md").read_text()
    signals = paper.scores - paper.targets
    came_back = signals @ paper.weights[1].T
    expected = {
        "a": paper.inputs @ paper.weights[0],
        "b": paper.hidden,
        "c": paper.scores,
        "d": signals,
        "e": came_back,
        "f": came_back * (paper.hidden > 0),
    }
    for letter, (numbers,) in expected.items():
        assert re.search(rf"\({letter}\) {numbers[0]:g}, {numbers[1]:g}\b", key)


def test_the_key_has_the_step_on_paper(paper):
    key = (FOLDER / "worksheet-key.md").read_text()
    gradients = paper.gradients
    moved = tuple(w - 0.1 * g for w, g in zip(paper.weights, gradients, strict=True))
    after = helpers.forward(paper.inputs, moved)[1]
    assert "(h) {:g}, {:g} and {:g}.".format(*gradients[0][:, 0]) in key
    changed = *moved[0][:, 0], *moved[1][0]
    words = "{:g}, {:g} and {:g}, and those from it {:g} and {:g}"
    assert words.format(*changed) in key
    end = "its sum is {:g}, the scores are {:g} and {:g}."
    assert end.format((paper.inputs @ moved[0])[0, 0], *after[0]) in key
    assert sum(np.sum(gradient == 0) for gradient in gradients) == 6
    question = "How many of the ten weights does one step leave unchanged?"
    assert f"{question} - [x] Six." in read_words("lesson.md")
