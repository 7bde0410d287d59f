"""For ``pytest --nbval notebooks/``: which notebooks are compared, and in which processes."""

import importlib.util

import pytest

# speed measures PyTorch and scikit-learn, too, and its outputs are from where they are installed.
if not all(map(importlib.util.find_spec, ("torch", "sklearn"))):
    collect_ignore = ["speed.ipynb"]

SHARING = ("01_prepare", "02_train", "03_evaluate", "compare", "explore")  # the folder runs/default


def pytest_itemcollected(item):
    """Keep the cells of a notebook in one process, with xdist's ``--dist loadgroup``."""
    if item.path.suffix == ".ipynb":
        name = "runs" if item.path.stem in SHARING else item.path.stem
        item.add_marker(pytest.mark.xdist_group(name))
