"""The prose of notebooks quotes the right numbers where no cell prints them."""

import nbformat
import pandas as pd

from pipeline.paths import NOTEBOOKS

HUNDREDS = [f"hundred_{number}" for number in range(1, 11)]  # of validation images


def read_prose(name):
    """Return the text of a notebook's markdown, each line break as a space."""
    cells = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4).cells
    texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
    return " ".join(" ".join(texts).split())


RATCHET, REST = "ratchet alone", "all but the ratchet"


def read_costs(name, dropout_rate, epochs):
    """Return how many points each network is below the true network, by block."""
    record = pd.read_csv(NOTEBOOKS / "data" / f"{name}.csv")
    rows = record.query("dropout_rate == @dropout_rate and seed <= 10")
    columns = rows.pivot(
        index=["block", "seed"], columns="network", values=f"test_{epochs}"
    )
    costs = -columns.sub(columns["true"], axis=0)
    return costs.groupby("block").mean() / 100


def test_why_has_what_each_part_of_the_slip_costs():
    text = read_prose("why")
    costs = {n: read_costs("slip", 0.5, n) for n in (10, 20, 50, 100, 400)}
    means = {n: each.mean() for n, each in costs.items()}
    words = "the ratchet alone costs {:.1f} and {:.1f} points, and the rest costs "
    words = (words + "{:.1f} and {:.1f}.").format(
        *(means[n][part] for part in (RATCHET, REST) for n in (10, 20))
    )
    assert words in text
    record = pd.read_csv(NOTEBOOKS / "data" / "slip.csv").query("epochs == 400")
    half = record[record["dropout_rate"] == 0.5].groupby("network")
    dead = half["nearly_dead_100"].mean()
    assert f"leaves {dead[RATCHET]:.1f} units nearly dead, but it costs only" in text
    assert f"costs only {means[100][RATCHET]:.1f} points, while the rest" in text
    assert f"the rest costs {means[100][REST]:.1f} points and leaves no unit" in text
    assert dead[REST] == 0
    assert f"takes both steps, costs {means[100]['slip']:.1f} points, so" in text
    whole = {n: read_costs("slip", 0, n) for n in (10, 20, 50, 100)}
    most = max(each[RATCHET].mean() for each in whole.values())
    assert f"costs {most:.1f} points at most in the first hundred" in text
    assert all((abs(each[REST] - each["slip"]) < 1.6).all() for each in whole.values())
    last = costs[400][RATCHET]
    assert f"costs {last[1]:.1f} points on one block and {last[2]:.1f} on the" in text

    for n in (10, 20, 100):  # which part costs more, on each of twelve blocks
        blocks = pd.concat([costs[n], read_costs("blocks", 0.5, n)])
        assert len(blocks) == 12
        assert ((blocks[RATCHET] > blocks[REST]) == (n < 100)).all()
    low, high = blocks[2:].min(), blocks[2:].max()
    words = f"costs {low[RATCHET]:.1f} to {high[RATCHET]:.1f} points after a hundred"
    words += f" epochs, and the rest costs {low[REST]:.1f} to {high[REST]:.1f}"
    assert words in text


def test_why_has_what_more_images_bring():
    record = pd.read_csv(NOTEBOOKS / "data" / "images.csv")
    reached = {}
    for key, rows in record.groupby(["images", "hidden_size", "relu_grad_inactive"]):
        choosing = rows[rows["seed"] == 1].filter(like="validation_")
        column = choosing.max().idxmax().replace("validation", "test")
        others = rows[rows["seed"] > 1]
        names = ["dropout_rate", "learning_rate"]
        best = rows.loc[choosing.max(axis=1).idxmax(), names]
        assert (others[names] == best).all(axis=None)
        reached[key] = others[column].mean() / 100
    keys = (55_000, 40, 1), (10_000, 40, 1), (1_000, 40, 0)
    slip, more, corrected = (reached[key] for key in ((1_000, 40, 1), *keys[1:]))
    readme = (NOTEBOOKS.parent / "README.md").read_text()
    assert f"the correction gains {corrected - slip:.1f} percentage points" in readme
    assert f"(notebooks/why.ipynb) gain {more - slip:.1f}." in readme
    text = read_prose("why")
    words = "55,000 images give {:.1f} % and 10,000 give {:.1f} %, while 1,000 without "
    assert (words + "it give {:.1f} %").format(*map(reached.get, keys)) in text
    sizes = (1_000, 40), (10_000, 40), (55_000, 40), (1_000, 400)
    leads = [reached[*size, 0] - reached[*size, 1] for size in sizes]
    words = "leads by {:.1f} points with 1,000 images, {:.1f} with 10,000 and {:.1f} "
    assert (words + "with 55,000, and by {:.1f} with 400").format(*leads) in text


def test_why_has_the_accuracies_of_the_two_best_networks():
    for name in ("all_of_mnist", "sixty_thousand"):
        record = pd.read_csv(NOTEBOOKS / "sweeps" / f"{name}.csv")
        words = f"{record['test_accuracy'].mean():.4f}, mean of three seeds"
        assert words in read_prose("why")


def test_overfitting_has_the_numbers_of_its_record():
    record = pd.read_csv(NOTEBOOKS / "data" / "hundreds.csv").query("block == 1")
    spreads = record.groupby("relu_grad_inactive")["test"].std()
    assert 2 < spreads[1] / spreads[0] < 3
    text = read_prose("overfitting")
    assert "spread more than twice as widely" in text
    true = record[record["relu_grad_inactive"] == 0]
    below = 0  # of the networks that a hundred images choose
    for _, forty in true.groupby((true["seed"] - 1) // 40):
        best = [forty[forty[name] == forty[name].max()] for name in HUNDREDS]
        below += sum(each["test"].mean() < forty["test"].mean() for each in best)
    assert f"In {below} of the 50 choices" in text
