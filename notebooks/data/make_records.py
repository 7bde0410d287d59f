"""Make the records of trainings that the lessons read, or check some of their rows.

    python notebooks/data/make_records.py placement      # all rows, into placement.csv
    python notebooks/data/make_records.py --check 20     # 20 random rows of each record

The functions that train a row are the lessons' own: the cells tagged "record" of the
notebook are executed here. So what a lesson shows is what has made its record.
"""

import argparse
import itertools
import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent
NOTEBOOKS = {"placement": "why", "slip": "why", "dropout": "dropout"}
NOTEBOOKS |= {"hundreds": "overfitting"}
Row = dict[str, Any]


def list_placement() -> Iterator[Row]:
    """List the trainings of why: where masks go.

    There are forty seeds, and forty more, on both blocks, for what doubling is worth,
    and for one row that looked like a difference.
    The error signal of a score that a mask keeps is pull * (score - target), with this
    target for the true class and 0 for the others. Without such masks the pull is 0.
    """
    none, doubled, undoubled = (0, 1.0), (4, 0.5), (1, 1.0)
    parts = ((2, 1.0), (4, 1.0), (1, 0.5))  # of the doubling: steps, or another target
    settings = [(1, 1, 0.005, 100), (1, 2, 0.005, 100), (1, 1, 0.0025, 200)]
    settings += [(1, 1, 0.00125, 400), (0, 1, 0.005, 100), (0, 1, 0.002, 100)]
    ways = [(hidden, *kept) for hidden in (0.5, 0.0) for kept in (none, doubled)]
    arms = [(*setting, *way) for setting in settings for way in ways]
    arms += [(*settings[0], hidden, *undoubled) for hidden in (0.5, 0.0)]
    names = "relu_grad_inactive", "block", "learning_rate", "epochs", "hidden"
    names = (*names, "pull", "target")
    first, second = range(1, 41), range(41, 81)
    designs = [(arms, first), ([(*settings[1], 0.5, *undoubled)], first)]
    kinds = none, doubled, undoubled
    more = [(*each, 0.5, *kept) for each in settings[:2] for kept in kinds]
    last = [(*each, 0.5, *part) for each in settings[:2] for part in parts]
    again = [(*settings[4], 0.5, *kept) for kept in (none, doubled)]
    for chosen, seeds in (*designs, (more, second), (last, first), (again, second)):
        for arm, seed in itertools.product(chosen, seeds):
            yield dict(zip(names, arm, strict=True)) | {"seed": seed}


def list_slip() -> Iterator[Row]:
    """List the trainings of why: without the cut, with the slip, with the derivative.

    The last three networks change the derivative after fifty epochs, and again after
    fifty more.
    """
    three = "no cut", "slip", "true"
    networks = (*three, "slip, true", "true, slip", "true, slip, true")
    for rate, network, block in itertools.product((0.5, 0.0), networks, (1, 2)):
        count = 20
        if rate == 0:
            count = 10 if network in three else 0
        elif network in three and block == 1:
            count = 40
        for seed in range(1, count + 1):
            row = {"network": network, "dropout_rate": rate, "block": block}
            epochs = 400 if network in three and seed <= 10 else 150
            yield row | {"epochs": epochs, "seed": seed}


def list_dropout() -> Iterator[Row]:
    """List the trainings of dropout: rates of hidden units and pixels."""
    rates = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.04)
    shares = (0.0, 0.2, 0.5)
    design = itertools.product((0, 1), shares, shares, rates, (1, 2), range(201, 206))
    names = "relu_grad_inactive", "dropout_rate", "input_dropout_rate"
    names = (*names, "learning_rate", "block", "seed")
    for values in design:
        row = dict(zip(names, values, strict=True))
        yield row


def list_hundreds() -> Iterator[Row]:
    """List the trainings of overfitting: five times forty seeds, both derivatives."""
    for inactive, seed in itertools.product((1, 0), range(1, 201)):
        yield {"relu_grad_inactive": inactive, "seed": seed}


DESIGNS = {
    "placement": list_placement,
    "slip": list_slip,
    "dropout": list_dropout,
    "hundreds": list_hundreds,
}


def load_lesson(name: str) -> Row:
    """Execute the cells of a record's notebook that are tagged "record".

    One of them defines the function that trains a row, `train_` and the record's name.
    """
    os.chdir(FOLDER.parent)
    sys.path.insert(0, str(ROOT))
    notebook = json.loads((FOLDER.parent / f"{NOTEBOOKS[name]}.ipynb").read_text())
    namespace: Row = {"__name__": "record", "record": pd.DataFrame()}
    for cell in notebook["cells"]:
        if "record" in cell["metadata"].get("tags", ()):
            exec("".join(cell["source"]), namespace)
            namespace["repeat"] = 0  # rows that the lesson itself would train again
    return namespace


def train_rows(name: str, rows: list[Row]) -> list[Row]:
    """Train rows on all cores, and return them with what was measured."""
    train_row = load_lesson(name)[f"train_{name}"]
    done: list[Row] = []
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for row, measured in zip(rows, threads.map(train_row, rows), strict=True):
            done.append(row | measured)
            print(f"\r{name}: {len(done)} of {len(rows)}", end="", flush=True)
    print()
    return done


def make(name: str) -> None:
    """Train all rows of a record, and write its file."""
    made = pd.DataFrame(train_rows(name, list(DESIGNS[name]()))).convert_dtypes()
    made.to_csv(FOLDER / f"{name}.csv", index=False, lineterminator="\n")


def check(name: str, count: int, random_state: int) -> None:
    """Train some rows of a record again; exit if a value is not the recorded one."""
    record = pd.read_csv(FOLDER / f"{name}.csv")
    keys = [column for column in next(DESIGNS[name]()) if column in record]
    designed = pd.DataFrame(DESIGNS[name]())
    # The design must be that of the record, and tells for how long each row is trained.
    record = record.merge(designed, "outer", on=keys, validate="1:1", indicator="found")
    if not (record.pop("found") == "both").all():
        sys.exit(f"{name}.csv has other trainings than make_records.py lists.")
    picked = record.sample(min(count, len(record)), random_state=random_state)
    rows = picked[list(designed)].to_dict("records")
    again = pd.DataFrame(train_rows(name, rows), columns=list(picked))
    differs = (again.to_numpy() != picked.to_numpy()) & picked.notna().to_numpy()
    if differs.any():
        sys.exit(f"{name}: {differs.any(axis=1).sum()} rows are not as recorded.")
    print(f"{name}: {len(rows)} rows are equal to the record, in all columns.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("records", nargs="*", choices=[*NOTEBOOKS, []])
    parser.add_argument("--check", type=int, metavar="ROWS", help="rows to train again")
    parser.add_argument("--draw", type=int, default=0, help="draws other rows")
    options = parser.parse_args()
    for name in options.records or (NOTEBOOKS if options.check else ()):
        if options.check:
            check(name, options.check, options.draw)
        else:
            make(name)


if __name__ == "__main__":
    main()
