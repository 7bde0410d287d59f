"""For ``pytest --nbval notebooks/``: which notebooks run, where, in which processes.

Their results go to a temporary folder, so that nothing depends on what stands in runs/,
and nothing in it is replaced.
"""

import functools
import importlib.util
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.commands import make_run

# speed also measures PyTorch and scikit-learn, and has outputs of theirs.
if not all(map(importlib.util.find_spec, ("torch", "sklearn"))):
    collect_ignore = ["speed.ipynb"]

# These read or write the folder runs/default, and so follow each other.
SHARING = ("01_prepare", "02_train", "03_evaluate", "compare", "explore", "learn")
# What sweep.ipynb needs it makes itself, as it promises.
MADE = {"default": SHARING, "true-derivative": ["compare"]}


@functools.cache
def make_base(config):
    """Return the temporary folder, which goes with pytest."""
    folder = tempfile.TemporaryDirectory(prefix="digits-")
    config.add_cleanup(folder.cleanup)
    return Path(folder.name)


def add_run(config, name):
    """Copy a run to its place in the temporary folder, so that a notebook can read it.

    The run itself is made once, and other tests read it, too.
    """
    folder = make_base(config) / "runs" / name
    if not folder.exists():
        shutil.copytree(make_run(config, name), folder)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    """Let the kernel, which starts here, inherit the variable."""
    for name, notebooks in MADE.items():
        if item.path.stem in notebooks:
            add_run(item.config, name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIGITS_BASE", str(make_base(item.config)))
        return (yield)


def pytest_itemcollected(item):
    """Keep a notebook's cells in one process, with xdist's ``--dist loadgroup``."""
    if item.path.suffix == ".ipynb":
        name = "runs" if item.path.stem in SHARING else item.path.stem
        item.add_marker(pytest.mark.xdist_group(name))
