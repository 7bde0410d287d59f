"""For ``pytest --nbval notebooks/``: which notebooks run, where, in which processes.

Their results go to a temporary folder, so that nothing depends on what stands in runs/,
and nothing in it is replaced.
"""

import functools
import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile

import pytest

# speed also measures PyTorch and scikit-learn, and has outputs of theirs.
if not all(map(importlib.util.find_spec, ("torch", "sklearn"))):
    collect_ignore = ["speed.ipynb"]

# These read or write the folder runs/default, and so follow each other.
SHARING = ("01_prepare", "02_train", "03_evaluate", "compare", "explore", "learn")


@functools.cache
def make_base(config):
    """Return the variable that names the temporary folder, which goes with pytest."""
    folder = tempfile.TemporaryDirectory(prefix="digits-")
    config.add_cleanup(folder.cleanup)
    return {"DIGITS_BASE": folder.name}


@functools.cache
def make_default_run(config):
    """Make runs/default in the temporary folder, so that a notebook can run alone."""
    command = [sys.executable, "-m", "pipeline", "run"]
    subprocess.run(
        command,
        env=os.environ | make_base(config),
        cwd=pathlib.Path(__file__).parent.parent,
        stdout=subprocess.DEVNULL,
        check=True,
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    """Let the kernel, which starts here, inherit the variable."""
    if item.path.stem in SHARING:
        make_default_run(item.config)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in make_base(item.config).items():
            patch.setenv(name, value)
        return (yield)


def pytest_itemcollected(item):
    """Keep a notebook's cells in one process, with xdist's ``--dist loadgroup``."""
    if item.path.suffix == ".ipynb":
        name = "runs" if item.path.stem in SHARING else item.path.stem
        item.add_marker(pytest.mark.xdist_group(name))
