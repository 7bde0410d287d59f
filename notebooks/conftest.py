"""Define which notebooks ``pytest --nbval notebooks/`` runs, where, and how.

Their results go to a temporary folder, so that they do not depend on the files in runs/
and do not replace any of them.
"""

import functools
import re
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.commands import make_run

STAGES = ("01_prepare", "02_train", "03_evaluate")  # run in this order, in runs/lab
# The runs that these notebooks read. sweep.ipynb makes what it needs itself.
READERS = {"default": ("compare", "explore"), "true-derivative": ("compare",)}
LISTED = re.compile(r"^\| \[(\w+)\]\(\w+\.ipynb\)", re.M)  # a row of the guide's table
NOTEBOOKS = LISTED.findall(Path(__file__).with_name("README.md").read_text("utf-8"))


@functools.cache
def make_base(config):
    """Return the temporary folder for results, which is removed when pytest ends."""
    folder = tempfile.TemporaryDirectory(prefix="digits-")
    config.add_cleanup(folder.cleanup)
    return Path(folder.name)


def add_run(config, name):
    """Copy a run to its place in the temporary folder, so that a notebook can read it.

    The run itself is made only once, for other tests, too. runs/lab is as if notebooks
    had made it, so that a later notebook can be tested without the earlier ones.
    """
    folder = make_base(config) / "runs" / name
    if not folder.exists():
        shutil.copytree(make_run(config, "default" if name == "lab" else name), folder)
        if name == "lab":
            (folder / "run.json").unlink()


def pytest_ignore_collect(collection_path):
    """Ignore notebooks that the guide does not list, such as a reader's copy."""
    is_copy = collection_path.parent != Path(__file__).parent
    is_listed = collection_path.stem in NOTEBOOKS and not is_copy
    return True if collection_path.suffix == ".ipynb" and not is_listed else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    """Set DIGITS_BASE for the kernel, which starts here and inherits it."""
    for name, readers in (*READERS.items(), ("lab", STAGES)):
        if item.path.stem in readers:
            add_run(item.config, name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIGITS_BASE", str(make_base(item.config)))
        return (yield)


def pytest_itemcollected(item):
    """Keep a notebook's cells in one process, with xdist's ``--dist loadgroup``."""
    if item.path.suffix == ".ipynb":
        name = "runs" if item.path.stem in STAGES else item.path.stem
        item.add_marker(pytest.mark.xdist_group(name))
