"""For ``pytest --nbval notebooks/``: which notebooks run, and in which processes."""

import importlib.util

import pytest

# speed also measures PyTorch and scikit-learn, and has outputs of theirs.
if not all(map(importlib.util.find_spec, ("torch", "sklearn"))):
    collect_ignore = ["speed.ipynb"]

# These read or write the folder runs/default.
SHARING = ("01_prepare", "02_train", "03_evaluate", "compare", "explore", "learn")


def pytest_itemcollected(item):
    """Keep a notebook's cells in one process, with xdist's ``--dist loadgroup``."""
    if item.path.suffix == ".ipynb":
        name = "runs" if item.path.stem in SHARING else item.path.stem
        item.add_marker(pytest.mark.xdist_group(name))
