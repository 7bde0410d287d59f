"""Make the records of training runs that the lessons read, or check some rows.

    python notebooks/data/make_records.py placement      # all rows, into placement.csv
    python notebooks/data/make_records.py --check 20     # 20 random rows of each record

A row is one training run. Most functions that train a row are in the notebooks of the
lessons. This script executes the cells with the tag "record", so a lesson shows the
code that has made its record. The functions of three records are here.

A block is a thousand training images. The sample has blocks 1 and 2. Rows with other
images need all of MNIST: Keras's mnist.npz, or the file that --mnist names.
"""

import argparse
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import helpers
from pipeline.images.data import Data, load_source
from pipeline.network import compiled, variants

FOLDER = Path(__file__).resolve().parent
MNIST = 60_000  # the number of training images in MNIST
KERAS = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
BLOCK = 1000  # the number of images in a block
Row = dict[str, Any]
Train = Callable[[Row], Row]

# The epochs after which accuracies are measured, by the number of training images.
LENGTHS = {
    100: (10, 20, 50, 100, 200, 500, 1000),
    1_000: (5, 10, 20, 50, 100, 200, 400),
    10_000: (1, 2, 5, 10, 20, 50),
    55_000: (1, 2, 5, 10, 20),
}
# The dropout and learning rates that are best on the validation images with seed 1, by
# the number of images, the number of hidden units and the derivative.
CHOSEN = {
    (100, 40, 0): (0.5, 0.01),
    (100, 40, 1): (0.0, 0.005),
    (1_000, 40, 0): (0.0, 0.0005),
    (1_000, 40, 1): (0.5, 0.005),
    (10_000, 40, 0): (0.0, 0.01),
    (10_000, 40, 1): (0.0, 0.001),
    (55_000, 40, 0): (0.0, 0.01),
    (55_000, 40, 1): (0.0, 0.001),
    (1_000, 5, 0): (0.0, 0.005),
    (1_000, 5, 1): (0.5, 0.001),
    (1_000, 400, 0): (0.5, 0.005),
    (1_000, 400, 1): (0.5, 0.01),
}


def list_placement() -> Iterator[Row]:
    """List the rows of placement.csv: masks on hidden units, sometimes also on scores.

    If a mask keeps a score, its error signal is pull * (score - target). The target is
    0 for every wrong class. A pull of 0 means that there are no masks on scores.
    """
    none, doubled, undoubled = (0, 1.0), (4, 0.5), (1, 1.0)
    designs = [(1, block, 80, (none, doubled, undoubled)) for block in (1, 2)]
    designs += [(0, 1, 80, (none, doubled))]
    designs += [(1, block, 24, (none, doubled, undoubled)) for block in (3, 15)]
    for inactive, block, seeds, ways in designs:
        for (pull, target), seed in itertools.product(ways, range(1, seeds + 1)):
            row = {"relu_grad_inactive": inactive, "block": block}
            yield row | {"pull": pull, "target": target, "seed": seed}


def list_slip() -> Iterator[Row]:
    """List the rows of slip.csv, which differ in what inactive units pass on."""
    three = "no cut", "slip", "true"
    parts = "ratchet alone", "all but the ratchet", "other gates", "old gates"
    for rate, block in itertools.product((0.5, 0.0), (1, 2)):
        for network in (*three, *parts):
            long = network in three and rate == 0.5
            count = {1: 40, 2: 20}[block] if long else 10
            for seed in range(1, count + 1):
                row = {"network": network, "dropout_rate": rate, "block": block}
                yield row | {"epochs": 400 if seed <= 10 else 100, "seed": seed}


def list_blocks() -> Iterator[Row]:
    """List the rows of blocks.csv: five networks on ten other blocks of images."""
    networks = "no cut", "slip", "true", "ratchet alone", "all but the ratchet"
    for network, block in itertools.product(networks, range(3, 51, 5)):
        for seed in range(1, 6):
            row = {"network": network, "dropout_rate": 0.5, "block": block}
            yield row | {"epochs": 100, "seed": seed}


def list_dose() -> Iterator[Row]:
    """List the rows of dose.csv: nine values of relu_grad_inactive."""
    doses = (-0.2, -0.1, 0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
    for dose, rate, block in itertools.product(doses, (0.5, 0.0), (1, 2)):
        for seed in range(1, 9):
            row = {"relu_grad_inactive": dose, "dropout_rate": rate, "block": block}
            yield row | {"epochs": 100, "seed": seed}


def list_images() -> Iterator[Row]:
    """List the rows of images.csv: several numbers of images and of hidden units.

    All settings of the rates are trained with seed 1. The notebook chooses the best
    setting, so the best setting is also trained with seeds 2, 3 and 4.
    """
    names = "images", "hidden_size", "relu_grad_inactive"
    settings = list(itertools.product((0.0, 0.5), (0.0005, 0.001, 0.002, 0.005, 0.01)))
    for key, chosen in CHOSEN.items():
        epochs = 100 if key[1] == 400 else LENGTHS[key[0]][-1]
        runs = [(*setting, 1) for setting in settings]
        runs += [(*chosen, seed) for seed in (2, 3, 4)]
        for rate, step, seed in runs:
            row = dict(zip(names, key, strict=True)) | {"dropout_rate": rate}
            yield row | {"learning_rate": step, "epochs": epochs, "seed": seed}


def list_dropout() -> Iterator[Row]:
    """List the rows of dropout.csv: several dropout rates of units and of pixels."""
    rates = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.04)
    shares = (0.0, 0.2, 0.5)
    design = itertools.product((0, 1), shares, shares, rates, (1, 2), range(201, 206))
    names = "relu_grad_inactive", "dropout_rate", "input_dropout_rate"
    names = (*names, "learning_rate", "block", "seed")
    for values in design:
        row = dict(zip(names, values, strict=True))
        yield row


def list_hundreds() -> Iterator[Row]:
    """List the rows of hundreds.csv: many seeds on block 1 and on twelve others."""
    designs = [(1, 1, 200), (0, 1, 200), *((0, block, 40) for block in range(3, 15))]
    for inactive, block, seeds in designs:
        for seed in range(1, seeds + 1):
            yield {"relu_grad_inactive": inactive, "block": block, "seed": seed}


def list_class() -> Iterator[Row]:
    """List the rows of class.csv: the dots of 28 pupils on the page of the lesson.

    Pupil n trains the seeds from 100 n to 100 n + 10.
    """
    for inactive, pupil, place in itertools.product((1, 0), range(1, 29), range(11)):
        yield {"relu_grad_inactive": inactive, "seed": 100 * pupil + place}


def train_placement(data: Data, row: Row) -> Row:
    """Train the network of a row of placement.csv.

    Return, as `test`, the number of test images that are classified correctly.
    """
    rng = np.random.RandomState(row["seed"])
    score_rng = np.random.RandomState([row["seed"], 2])
    weights, block = helpers.initial_weights(rng, 40), read_block(data, row["block"])
    options = {name: row[name] for name in ("relu_grad_inactive", "target")}
    for _ in range(100):
        masks = helpers.dropout_mask(rng, (BLOCK, 40), 0.5)
        pulls = np.ones((BLOCK, 10))
        if row["pull"]:  # drop half of the scores: their error signals are 0
            pulls = helpers.dropout_mask(score_rng, pulls.shape, 0.5) / 2 * row["pull"]
        variants.train_epoch(*block, weights, masks, pulls=pulls, **options)
    accuracy = compiled.evaluate(data.x_test, data.y_test, weights)[1]
    return {"test": round(accuracy * len(data.y_test))}


def train_images(data: Data, row: Row) -> Row:
    """Train the network of a row of images.csv on the first images of MNIST.

    Return how many of the last 5,000 training images, and how many test images, are
    classified correctly after each of the epochs in LENGTHS.
    """
    rng, _ = helpers.generators(row["seed"])
    weights, measured = helpers.initial_weights(rng, row["hidden_size"]), {}
    x, y = data.x_train[: row["images"]], data.y_train[: row["images"]]
    sets = {"validation": (data.x_train[55_000:], data.y_train[55_000:])}
    sets["test"] = data.x_test, data.y_test
    names = "relu_grad_inactive", "dropout_rate", "learning_rate"
    options = {name: row[name] for name in names}
    for epoch in range(1, row["epochs"] + 1):
        error, _ = compiled.train_epoch(x, y, weights, rng, **options)
        if not np.isfinite(error):
            break
        if epoch in LENGTHS[row["images"]]:
            for split, images in sets.items():
                accuracy = compiled.evaluate(*images, weights)[1]
                measured[f"{split}_{epoch}"] = round(accuracy * len(images[1]))
    return measured


def train_class(data: Data, row: Row) -> Row:
    """Train the published network with the seed and the derivative of a row.

    Return how many of the thousand validation images are classified correctly.
    """
    rng, _ = helpers.generators(row["seed"])
    weights = helpers.initial_weights(rng, 40)
    inactive = row["relu_grad_inactive"]
    images, labels = read_block(data, 1)
    for _ in range(100):
        compiled.train_epoch(images, labels, weights, rng, relu_grad_inactive=inactive)
    accuracy = compiled.evaluate(*read_block(data, 2), weights)[1]
    return {"validation": round(accuracy * BLOCK)}


# For each record: the function that trains a row, or the notebook and the name of that
# function, and then the function that lists all rows.
RECORDS: dict[str, tuple[Any, Callable[[], Iterator[Row]]]] = {
    "placement": (train_placement, list_placement),
    "slip": (("why", "train_slip"), list_slip),
    "blocks": (("why", "train_slip"), list_blocks),
    "dose": (("why", "train_slip"), list_dose),
    "images": (train_images, list_images),
    "dropout": (("dropout", "train_dropout"), list_dropout),
    "hundreds": (("overfitting", "train_hundreds"), list_hundreds),
    "class": (train_class, list_class),
}


def read_block(data: Data, number: int) -> tuple[Any, Any]:
    """Return the images and the labels of a block. Blocks are counted from 1."""
    part = slice((number - 1) * BLOCK, number * BLOCK)
    return data.x_train[part], data.y_train[part]


def load_lesson(notebook: str) -> Row:
    """Execute a notebook's cells with the tag "record", and return their variables."""
    os.chdir(FOLDER.parent)
    content = json.loads((FOLDER.parent / f"{notebook}.ipynb").read_text())
    namespace: Row = {"__name__": "record"}
    for cell in content["cells"]:
        if "record" in cell["metadata"].get("tags", ()):
            exec("".join(cell["source"]), namespace)
    return namespace


def needs_mnist(row: Row) -> bool:
    """Return whether a row is trained on images that are not in the sample."""
    return "images" in row or row.get("block", 1) > 2


def train_rows(name: str, rows: list[Row], data: Data) -> list[Row]:
    """Train these rows of a record, and return them with the measured values added."""
    trainer, _ = RECORDS[name]
    if callable(trainer):
        train = partial(trainer, data)
    else:
        namespace = load_lesson(trainer[0])
        for number in range(3, len(data.x_train) // BLOCK + 1):
            namespace["blocks"][number] = read_block(data, number)
        train = namespace[trainer[1]]
    done: list[Row] = []
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for row, measured in zip(rows, threads.map(train, rows), strict=True):
            done.append(row | measured)
            print(f"\r{name}: {len(done)} of {len(rows)}", end="", flush=True)
    print()
    return done


def make_record(name: str, data: Data) -> None:
    """Train all rows of a record, and write its CSV file."""
    rows = list(RECORDS[name][1]())
    if len(data.x_train) < MNIST and any(map(needs_mnist, rows)):
        sys.exit(f"{name} needs all of MNIST: name its .npz file by --mnist.")
    made = pd.DataFrame(train_rows(name, rows, data)).convert_dtypes()
    made.to_csv(FOLDER / f"{name}.csv", index=False, lineterminator="\n")


def check_record(name: str, count: int, random_state: int, data: Data) -> None:
    """Train some rows of a record again, and compare the values with the record.

    count: how many rows are drawn. random_state: the seed of the draw.
    """
    record = pd.read_csv(FOLDER / f"{name}.csv")
    rows = list(RECORDS[name][1]())
    keys = list(rows[0])
    if record[keys].to_dict("records") != pd.DataFrame(rows).to_dict("records"):
        sys.exit(f"{name}.csv has other rows than make_records.py lists.")
    usable = [len(data.x_train) == MNIST or not needs_mnist(row) for row in rows]
    if not any(usable):
        print(f"{name}: every row needs all of MNIST, so none is checked.")
        return
    picked = record[usable].sample(min(count, sum(usable)), random_state=random_state)
    chosen = picked[keys].to_dict("records")
    again = pd.DataFrame(train_rows(name, chosen, data), columns=list(picked))
    differs = (again.to_numpy() != picked.to_numpy()) & picked.notna().to_numpy()
    if differs.any():
        sys.exit(f"{name}: {differs.any(axis=1).sum()} rows are not as recorded.")
    print(f"{name}: {len(chosen)} rows are equal to the record, in all columns.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("records", nargs="*", choices=[*RECORDS, []])
    parser.add_argument("--check", type=int, metavar="ROWS", help="rows to train again")
    parser.add_argument("--draw", type=int, default=0, help="seed of the rows' draw")
    path = KERAS / "datasets" / "mnist.npz"
    parser.add_argument("--mnist", type=Path, default=path, help=".npz of all of MNIST")
    options = parser.parse_args()
    if options.mnist.exists():
        data = load_source(str(options.mnist.resolve()))
    else:
        data = load_source("sample")
        print(
            f"{options.mnist} does not exist, so rows outside the sample are left out."
        )
    for name in options.records or (RECORDS if options.check else ()):
        if options.check:
            check_record(name, options.check, options.draw, data)
        else:
            make_record(name, data)


if __name__ == "__main__":
    main()
