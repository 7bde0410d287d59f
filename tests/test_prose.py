"""The prose of notebooks has the numbers of the records, where no cell prints them."""

import re

import nbformat
import numpy as np
import pandas as pd

import helpers
from pipeline.paths import NOTEBOOKS, ROOT

HUNDREDS = [f"hundred_{number}" for number in range(1, 11)]  # of validation images
README = (ROOT / "README.md").read_text()


def read_prose(name):
    """Return the text of a notebook's markdown, each line break as a space."""
    cells = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4).cells
    texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
    return " ".join(" ".join(texts).split())


def test_why_has_the_numbers_of_the_record_of_dropout():
    """With the slip the accuracy depends on the learning rate times the epochs."""
    record = pd.read_csv(NOTEBOOKS / "data" / "dropout.csv")
    whole = record.query("dropout_rate == 0 and input_dropout_rate == 0")
    slip = whole[whole["relu_grad_inactive"] == 1].groupby("learning_rate").mean() / 100
    same = [slip.loc[rate, f"test_{0.4 / rate:.0f}"] for rate in (0.0005, 0.001, 0.002)]
    words = "it is {:.1f} % with the rate 0.0005, {:.1f} % with 0.001 and {:.1f} % with"
    text = read_prose("why")
    assert words.format(*same) in text
    ends = slip["test_800"].loc[[0.01, 0.02, 0.04]]
    printed = read_output("why", "slip-curves")
    lowest = float(re.findall(r"least squares (.*)\n", printed)[0])
    assert list(ends < lowest) == [False, True, True]
    assert "0.02 and 0.04 it sinks even below least squares, to" in text
    assert "to {:.1f} and {:.1f} % after 800 epochs".format(*ends[1:]) in text
    fastest = whole.query("relu_grad_inactive == 1 and learning_rate == 0.04")
    assert (len(fastest), fastest["test_800"].isna().sum()) == (10, 1)  # an overflow


def test_why_has_the_numbers_of_the_record_of_the_slip():
    """The slip comes to no rest, and its accuracy and the probe part after a switch."""
    record = pd.read_csv(NOTEBOOKS / "data" / "slip.csv")
    text = read_prose("why")
    long = record.query("epochs == 400").groupby(["dropout_rate", "network"]).mean()
    rest = long.loc[0, "rest_400"]
    assert f"{rest['no cut']:.2f}" == f"{rest['slip']:.2f}"
    words = f"is {rest['slip']:.2f} of $|x^T t|$ with the slip, and as much without the"
    assert words in text
    assert f"which does not ask for this, it is {rest['true']:.2f}." in text
    names = [f"test_{length}" for length in (5, 10, 20, 50, 100, 200, 400)]
    linear, slip, true = long.loc[0, names].loc[["no cut", "slip", "true"]].to_numpy()
    assert np.all(abs(slip - linear) < 300)  # images, of 10,000
    assert np.all(true - slip > abs(slip - linear))
    half = long.loc[0.5, "test_400"] / 100
    assert f"it ends {half['slip'] - half['no cut']:.1f} points above the" in text
    switched = record.query("dropout_rate == 0.5 and seed <= 20")
    columns = switched.pivot_table("test_100", ["block", "seed"], "network")
    lead = (columns["slip, true"] - columns["true, slip"]) / 100
    leads = lead.groupby("block").agg(["mean", "sem"]).to_numpy().ravel()
    assert len(lead) == 40
    assert np.all(lead > 0)
    words = (
        "first beats slip last by {:.1f} ± {:.1f} and {:.1f} ± {:.1f} points, in all"
    )
    assert words.format(*leads) in text
    means = switched.groupby("network").mean().loc["true, slip"] / 100
    words = "from {:.1f} to {:.1f} %.".format(*means[["test_50", "test_150"]])
    assert f"while the accuracy has fallen {words}" in text


def test_keras_says_that_its_check_fails_one_of_our_own_seeds():
    words = r"mean (\S+), from (\S+) to (\S+)"
    mean, low, high = re.findall(words, read_output("keras", "user-checked"))[0]
    assert float(mean) - float(low) > 0.03 > float(high) - float(mean)
    words = f"{low}, is more than 0.03 below their mean of {mean}."
    assert words in read_prose("keras")


def test_why_has_the_least_error_of_weighted_sums(sample):
    errors = []
    for block in (slice(1000), slice(1000, 2000)):
        inputs = helpers.scale(sample["x_train"][block], 255)
        targets = helpers.one_hot(sample["y_train"][block])
        fitted = inputs @ np.linalg.lstsq(inputs, targets)[0]
        errors.append(np.mean(np.sum((fitted - targets) ** 2, axis=1)))
    least = f"{np.mean(errors):.3f}"
    assert f"no weighted sum has less than {least}, the error" in read_prose("why")
    record = pd.read_csv(NOTEBOOKS / "data" / "slip.csv")
    slip = record.query("network == 'slip' and dropout_rate == 0")["error_400"]
    assert slip.mean() < np.mean(errors)


def read_output(name, cell_id):
    """Return the text that a cell of a notebook has printed first, folded or not."""
    cells = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4).cells
    output = next(cell.outputs[0] for cell in cells if cell.id == cell_id)
    return output["text"] if "text" in output else output["data"]["text/plain"]


def test_two_notebooks_have_the_leads_that_dropout_computes():
    printed = read_output("dropout", "neighbours")
    leads = [float(lead) for lead in re.findall(r"(\d\.\d) ±", printed)]
    assert len(leads) == 9
    assert "of the ten pairs it leads in at least 10" in printed
    words = f"leads by {min(leads)} to {max(leads)} points in all nine ways to drop"
    for name in ("why", "dropout"):
        text = read_prose(name).replace(" points, in", " points in")
        assert words in text


def test_readme_has_the_best_of_the_slip_and_of_the_true_derivative():
    printed = read_output("dropout", "choose")  # nine ways to drop for each derivative
    means = [float(mean) for mean in re.findall(r"(\d+\.\d) ±", printed)]
    true, slip = max(means[:9]), max(means[9:])
    assert len(means) == 18
    assert f"half of the pixels dropped, it reaches {slip} %," in README
    assert f"less than the {true} % of the right derivative at its own best" in README


def test_why_has_the_errors_of_the_two_best_networks():
    names = "all_of_mnist", "sixty_thousand"
    records = [pd.read_csv(NOTEBOOKS / "sweeps" / f"{name}.csv") for name in names]
    found = [record["test_accuracy"] for record in records]
    errors = [each.sem() for each in found]
    images = [(each.mean() * (1 - each.mean()) / 10_000) ** 0.5 for each in found]
    text = read_prose("why")
    for mean in (each.mean() for each in found):
        assert f"{mean:.4f}, mean of three seeds" in text
    assert {f"{error:.4f}" for error in errors} == {"0.0003"}
    assert {f"{error:.4f}" for error in images} == {"0.0012"}
    assert "to 0.0003 over three seeds, and to 0.0012 because" in text
    lead, error = found[1].mean() - found[0].mean(), np.hypot(*errors)
    assert f"{lead:.4f} ± {error:.4f} over seeds" in text


def test_two_notebooks_have_the_numbers_of_two_hundred_seeds():
    record = pd.read_csv(NOTEBOOKS / "data" / "hundreds.csv")
    means = record.groupby("relu_grad_inactive")["test"].mean() / 100
    words = f"on the first block, it is {means[0] - means[1]:.1f} points"
    assert words in read_prose("why")
    spreads = record.groupby("relu_grad_inactive")["test"].std()
    assert 2 < spreads[1] / spreads[0] < 3
    assert "spread more than twice as widely" in read_prose("overfitting")
    left = {0: [], 1: []}  # of each lead by a hundred images, on the test images
    for (inactive, _), forty in record.groupby(
        ["relu_grad_inactive", (record["seed"] - 1) // 40]
    ):
        best = [forty[forty[name] == forty[name].max()] for name in HUNDREDS]
        mean = forty["test"].mean()
        left[inactive].append([each["test"].mean() - mean for each in best])
    text = read_prose("overfitting")
    assert f"In {np.sum(np.array(left[0]) < 0)} of the fifty choices" in text
    forties = np.mean(left[1], axis=1) / 100
    assert f"is from {min(forties):.1f} to {max(forties):.1f} points" in text
    assert "a sixth, which is only just more than chance" in text
    assert 2.8 < forties.mean() / (forties.std(ddof=1) / 5**0.5) < 3
