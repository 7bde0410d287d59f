"""Configure ``pytest --nbval notebooks/``, which executes and compares notebooks.

Only the notebooks that the guide lists are executed. Their results go to a temporary
folder, so that the notebooks neither depend on the files in runs/ nor replace them.
"""

import functools
import json
import re
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.commands import make_run

STAGES = ("01_prepare", "02_train", "03_evaluate")  # in this order, in runs/lab
# The notebooks that read each run or sweep.
READERS = {"default": ("compare", "explore"), "true-derivative": ("compare",)}
READERS["sweeps/small"] = ("sweep",)
LISTED = re.compile(r"^\| \[(\w+)\]\(\w+\.ipynb\)", re.M)  # a row of the guide's table
NOTEBOOKS = LISTED.findall(Path(__file__).with_name("README.md").read_text("utf-8"))


def pytest_configure(config):
    """Tell nbval which texts differ from one execution to the next."""
    config.option.nbval_sanitize_with = Path(__file__).with_name("nbval.cfg")


@functools.cache
def make_base(config):
    """Return the temporary folder for results. It is removed when pytest ends."""
    folder = tempfile.TemporaryDirectory(prefix="digits-")
    config.add_cleanup(folder.cleanup)
    return Path(folder.name)


def add_run(config, name):
    """Copy a run to its place in the temporary folder, so that a notebook can read it.

    The run itself is made only once, because other tests use it, too. The copy in
    runs/lab looks as if notebooks had made it in JupyterLab, so that 02_train and
    03_evaluate can also be tested without the notebooks before them.
    """
    folder = make_base(config) / "runs" / name
    if not folder.exists():
        made = "default" if name == "lab" else folder.name
        shutil.copytree(make_run(config, made), folder)
        if name == "lab":
            record = folder / "run.json"
            made = json.loads(record.read_text()) | {"made_by": "notebooks alone"}
            record.write_text(json.dumps(made))


def pytest_ignore_collect(collection_path):
    """Ignore notebooks that the guide does not list, such as copies by a reader."""
    is_copy = collection_path.parent != Path(__file__).parent
    is_listed = collection_path.stem in NOTEBOOKS and not is_copy
    return True if collection_path.suffix == ".ipynb" and not is_listed else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    """Copy the runs that a notebook reads, and set DIGITS_BASE for its kernel.

    The kernel of a notebook is started in this set-up, so it inherits DIGITS_BASE.
    """
    for name, readers in (*READERS.items(), ("lab", STAGES)):
        if item.path.stem in readers:
            add_run(item.config, name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIGITS_BASE", str(make_base(item.config)))
        return (yield)


def pytest_itemcollected(item):
    """Make xdist test all cells of a notebook in one process.

    The three notebooks of a run are tested in one process, too. xdist needs the option
    ``--dist loadgroup`` for this.
    """
    if item.path.suffix == ".ipynb":
        name = "runs" if item.path.stem in STAGES else item.path.stem
        item.add_marker(pytest.mark.xdist_group(name))
