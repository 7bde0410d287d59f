"""Make the records of trainings that the notebooks read, or check some rows.

    python notebooks/records/make_records.py slip        # all rows, into slip.csv
    python notebooks/records/make_records.py --check 20  # 20 random rows of each record

A row is one training. A block is a thousand training images of MNIST, counted from 1.
The sample has blocks 1 and 2. Rows with other blocks need all of MNIST: Keras's
mnist.npz, or the file that --mnist names. Where a row has no seed, the number of its
block is the seed, so that results on different blocks are independent.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist

import helpers
from notebooks.records import networks
from pipeline.images.data import Data, load_source
from pipeline.network import baselines, compiled

FOLDER = Path(__file__).resolve().parent
MNIST = 60_000  # the number of training images in MNIST
KERAS = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
BLOCK = 1000  # the number of images in a block
BLOCKS = (1, 2, *range(3, 51, 5))  # the twelve blocks of most records
SLOPES = (-0.1, 0.1, 0.2, 0.5, 0.7)  # of inactive units; 0: true, 1: slip
# The epochs after which accuracies are measured, by the number of training images.
EPOCHS = {1000: (5, 10, 20, 50, 100, 200, 400), 10_000: (1, 2, 5, 10, 20, 50)}
# The network that levels.csv changes, and each change, as options of `train_network`.
UNCHANGED = {"epochs": 20, "dropout_rate": 0.0, "relu_grad_inactive": 0}
MASKED = {"epochs": 100, "input_dropout_rate": 0.5}
CHANGES: dict[str, dict[str, Any]] = {
    "ten networks": {},
    "100 units": {"hidden_size": 100},
    "1 mask": MASKED,
    "5 masks": MASKED | {"masks": 5},
    "20 masks": MASKED | {"masks": 20},
    "fresh masks": MASKED | {"masks": 100},
}
METHODS = ("ridge regression", "1-nearest neighbour", "nearest activations")
Row = dict[str, Any]


def list_slip() -> Iterator[Row]:
    """List the rows of slip.csv, which differ in what inactive units get.

    The network "slip, then true" has the slip in the first hundred epochs only, and is
    then trained for another hundred. A network that is named by a number has this
    number as the slope of inactive units.
    """
    names = [*networks.NETWORKS, "slip, then true", *map(str, SLOPES)]
    for network, rate, block in product(names, (0.5, 0.0), BLOCKS):
        yield {"network": network, "dropout_rate": rate, "block": block}


def train_slip(data: Data, row: Row) -> Row:
    """Train the network of a row of slip.csv."""
    name, (images, labels) = row["network"], read_images(data, row["block"])
    rng, _ = helpers.generators(row["block"])
    weights = helpers.initial_weights(rng, 40)
    last = 200 if name in ("true", "slip", "slip, then true") else 100
    measured = {}
    for epoch in range(1, last + 1):
        masks = helpers.dropout_mask(rng, (BLOCK, 40), row["dropout_rate"])
        if name == "slip, then true":
            options = networks.NETWORKS["slip" if epoch <= 100 else "true"]
        elif name in networks.NETWORKS:
            options = networks.NETWORKS[name]
        else:
            options = {"up": float(name), "down": float(name)}
        networks.train_epoch(images, labels, weights, masks, **options)
        if epoch in (20, 100, 120, 200):
            is_active = helpers.scale(images, 255) @ weights[0] > 0
            sums = helpers.scale(data.x_test, 255) @ weights[0]
            hidden = sums if name == "no cut" else helpers.relu(sums)
            answers = (hidden @ weights[1]).argmax(axis=1)
            measured[f"test_{epoch}"] = np.sum(answers == data.y_test)
            measured[f"active_{epoch}"] = np.sum(is_active)
            nearly_dead = np.mean(is_active, axis=0) < 0.01
            measured[f"nearly_dead_{epoch}"] = np.sum(nearly_dead)
    return measured


def list_placement() -> Iterator[Row]:
    """List the rows of placement.csv: masks on hidden units, sometimes also on scores.

    If a mask keeps a score, its error signal is pull * (score - target). The target is
    0 for every wrong class. A pull of 0 means that there are no masks on scores.
    """
    none, doubled, undoubled = (0, 1.0), (4, 0.5), (1, 1.0)
    for inactive, ways in ((1, (none, doubled, undoubled)), (0, (none, doubled))):
        for (pull, target), block in product(ways, BLOCKS):
            row = {"relu_grad_inactive": inactive, "pull": pull, "target": target}
            yield row | {"block": block}


def train_placement(data: Data, row: Row) -> Row:
    """Train the network of a row of placement.csv."""
    rng = np.random.RandomState(row["block"])
    score_rng = np.random.RandomState([row["block"], 2])
    weights, images = helpers.initial_weights(rng, 40), read_images(data, row["block"])
    slope = row["relu_grad_inactive"]
    options = {"up": slope, "down": slope, "target": row["target"]}
    for _ in range(100):
        masks = helpers.dropout_mask(rng, (BLOCK, 40), 0.5)
        pulls = np.ones((BLOCK, 10))
        if row["pull"]:  # drop half of the scores: their error signals are 0
            pulls = helpers.dropout_mask(score_rng, pulls.shape, 0.5) / 2 * row["pull"]
        networks.train_epoch(*images, weights, masks, pulls=pulls, **options)
    return {"test": count_correct(data.x_test, data.y_test, weights)}


def list_dropout() -> Iterator[Row]:
    """List the rows of dropout.csv: ten blocks, and three sets of 10,000 images.

    A set of 10,000 images begins with the block of its row.
    """
    names = "relu_grad_inactive", "dropout_rate", "input_dropout_rate", "learning_rate"
    rates = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.04)
    for values in product((0, 1), (0.0, 0.2, 0.5), (0.0, 0.2, 0.5), rates):
        for block in BLOCKS[:10]:
            row = dict(zip(names, values, strict=True))
            yield {"images": 1000, "block": block} | row
    for values in product((0, 1), (0.0, 0.5), (0.0,), rates):
        for block in (1, 21, 41):
            row = dict(zip(names, values, strict=True))
            yield {"images": 10_000, "block": block} | row


def train_dropout(data: Data, row: Row) -> Row:
    """Train the network of a row of dropout.csv, until the error overflows.

    The validation images are the thousand that follow the training images. For block 2
    they are block 1, so that this row needs no more than the sample.
    """
    count, first = row["images"], row["block"]
    images = read_images(data, first, count)
    following = 1 if first == 2 else first + count // BLOCK
    sets = {"validation": read_images(data, following)}
    sets["test"] = data.x_test, data.y_test
    rng, input_rng = helpers.generators(first)
    weights = helpers.initial_weights(rng, 40)
    options = {name: row[name] for name in row if name not in ("images", "block")}
    measured = {}
    for epoch in range(1, EPOCHS[count][-1] + 1):
        error, _ = compiled.train_epoch(*images, weights, rng, input_rng, **options)
        if not np.isfinite(error):
            break
        if epoch in EPOCHS[count]:
            for split, each in sets.items():
                measured[f"{split}_{epoch}"] = count_correct(*each, weights)
    return measured


def list_hundreds() -> Iterator[Row]:
    """List the rows of hundreds.csv: many seeds on block 1 and on twelve others."""
    designs = [(1, 1, 200), (0, 1, 200), *((0, block, 40) for block in range(3, 15))]
    for inactive, block, seeds in designs:
        for seed in range(1, seeds + 1):
            yield {"relu_grad_inactive": inactive, "block": block, "seed": seed}


def train_hundreds(data: Data, row: Row) -> Row:
    """Train the network of a row of hundreds.csv.

    The validation images are a neighbouring block, taken in ten hundreds.
    """
    block, weights = row["block"], train_network(data, **row)
    images, labels = read_images(data, block + 1 if block % 2 else block - 1)
    is_correct = compiled.predict(images, weights).argmax(axis=1) == labels
    counts = is_correct.reshape(10, 100).sum(axis=1)
    measured = {f"hundred_{n}": count for n, count in enumerate(counts, 1)}
    return measured | {"test": count_correct(data.x_test, data.y_test, weights)}


def list_levels() -> Iterator[Row]:
    """List the rows of levels.csv: changes of one network, and simpler methods."""
    for change, block in product((*CHANGES, *METHODS), BLOCKS):
        yield {"change": change, "block": block}


def classify_level(data: Data, row: Row) -> Row:
    """Classify the test images with the network or the method of a row of levels.csv.

    "nearest activations" is 1-nearest neighbour on the activations of the hidden units
    of the unchanged network.
    """
    change, block = row["change"], row["block"]
    images, labels = known = read_images(data, block)
    if change == "ridge regression":
        validation = read_images(data, 1 if block == 2 else block + 1)
        answers, _ = baselines.classify_by_ridge_regression(
            *known, data.x_test, validation
        )
    elif change == "1-nearest neighbour":
        answers = baselines.classify_by_nearest_neighbour(*known, data.x_test)
    elif change == "nearest activations":
        first, _ = train_network(data, block, block, **UNCHANGED)
        hidden, points = (
            helpers.relu(helpers.scale(each, 255) @ first)
            for each in (data.x_test, images)
        )
        answers = labels[cdist(hidden, points).argmin(axis=1)]
    else:
        last = 900 if change == "ten networks" else 0
        scores = 0
        for seed in range(block, block + last + 1, 100):
            weights = train_network(data, block, seed, **UNCHANGED | CHANGES[change])
            scores += compiled.predict(data.x_test, weights)
        answers = scores.argmax(axis=1)
    return {"test": np.sum(answers == data.y_test)}


def list_class() -> Iterator[Row]:
    """List the rows of class.csv: the dots of 28 pupils on the page of the lesson.

    Pupil n trains the seeds from 100 n to 100 n + 10.
    """
    for inactive, pupil, place in product((1, 0), range(1, 29), range(11)):
        seed = 100 * pupil + place
        yield {"relu_grad_inactive": inactive, "block": 1, "seed": seed}


def train_class(data: Data, row: Row) -> Row:
    """Train the published network with the seed and the derivative of a row.

    The validation images are block 2.
    """
    weights = train_network(data, **row)
    return {"validation": count_correct(*read_images(data, 2), weights)}


def train_network(
    data: Data,
    block: int,
    seed: int,
    hidden_size: int = 40,
    epochs: int = 100,
    masks: int = 1,
    **options: float,
) -> helpers.Weights:
    """Train a network on a block.

    masks: how many masks of its pixels each image gets in turn, if pixels are dropped.
    """
    rng, _ = helpers.generators(seed)
    weights = helpers.initial_weights(rng, hidden_size)
    images = read_images(data, block)
    for epoch in range(epochs):
        input_rng = np.random.RandomState([block, epoch % masks])
        compiled.train_epoch(*images, weights, rng, input_rng, **options)
    return weights


def read_images(data: Data, block: int, count: int = BLOCK) -> tuple[Any, Any]:
    """Return so many images and labels, from the first of a block on."""
    start = (block - 1) * BLOCK
    images = slice(start, start + count)
    return data.x_train[images], data.y_train[images]


def count_correct(images: Any, labels: Any, weights: helpers.Weights) -> int:
    """Return how many images are classified correctly."""
    return int(np.sum(compiled.predict(images, weights).argmax(axis=1) == labels))


# For each record: the function that lists its rows, and the one that trains a row.
Train = Callable[[Data, Row], Row]
RECORDS: dict[str, tuple[Callable[[], Iterator[Row]], Train]] = {
    "slip": (list_slip, train_slip),
    "placement": (list_placement, train_placement),
    "dropout": (list_dropout, train_dropout),
    "hundreds": (list_hundreds, train_hundreds),
    "levels": (list_levels, classify_level),
    "class": (list_class, train_class),
}


def is_in_sample(row: Row) -> bool:
    """Return whether the sample has all images of a row."""
    return row["block"] <= 2 and row.get("images", BLOCK) == BLOCK


def train_rows(name: str, rows: list[Row], data: Data) -> pd.DataFrame:
    """Train these rows of a record, and return them with the measured values added."""
    _, train = RECORDS[name]
    trained: list[Row] = []
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        results = threads.map(partial(train, data), rows)
        for row, measured in zip(rows, results, strict=True):
            trained.append(row | measured)
            print(f"\r{name}: {len(trained)} of {len(rows)}", end="", flush=True)
    print()
    return pd.DataFrame(trained)


def make_record(name: str, data: Data) -> None:
    """Train all rows of a record, and write its CSV file."""
    if len(data.x_train) < MNIST:
        sys.exit(f"{name} needs all of MNIST: name its .npz file by --mnist.")
    list_rows, _ = RECORDS[name]
    record = train_rows(name, list(list_rows()), data).convert_dtypes()
    record.to_csv(FOLDER / f"{name}.csv", index=False, lineterminator="\n")


def check_record(name: str, count: int, random_state: int, data: Data) -> None:
    """Train some rows of a record again, and compare the values with the record.

    count: how many rows are drawn. random_state: the seed of the draw.
    """
    record = pd.read_csv(FOLDER / f"{name}.csv")
    list_rows, _ = RECORDS[name]
    rows = pd.DataFrame(list_rows())
    keys = list(rows)
    if record[keys].to_dict("records") != rows.to_dict("records"):
        sys.exit(f"{name}.csv has other rows than make_records.py lists.")
    if len(data.x_train) < MNIST:
        record = record[[is_in_sample(row) for row in rows.to_dict("records")]]
    picked = record.sample(min(count, len(record)), random_state=random_state)
    chosen = rows.loc[picked.index].to_dict("records")
    again = train_rows(name, chosen, data).reindex(columns=picked.columns)
    differs = again.to_numpy() != picked.to_numpy()
    differs &= (again.notna() | picked.set_axis(again.index).notna()).to_numpy()
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
        print(f"{options.mnist} does not exist, so only rows of the sample are used.")
    for name in options.records or (RECORDS if options.check else ()):
        if options.check:
            check_record(name, options.check, options.draw, data)
        else:
            make_record(name, data)


if __name__ == "__main__":
    main()
