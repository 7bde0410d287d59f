"""Describe the machine on which a result is made, and the software that makes it.

The description has neither the name of the machine nor the name of its user.
"""

import platform
import subprocess
from functools import cache
from typing import Any

import numpy as np

from pipeline.paths import ROOT
from pipeline.records import Origin

# Because of --git-dir, git does not search the folders above the project, which may
# belong to another repository.
GIT = ["git", "--git-dir=.git", "describe", "--always", "--dirty"]
GIT += ["--abbrev=40", "--exclude=*"]


@cache
def collect_origin() -> Origin:
    """Return this machine's properties, and the project's commit."""
    config: Any = np.show_config(mode="dicts")
    blas = config["Build Dependencies"]["blas"]
    try:
        git = subprocess.run(GIT, cwd=ROOT, capture_output=True, text=True)
        commit = git.stdout.strip() or None
    except FileNotFoundError:
        commit = None
    return Origin(
        system=platform.platform(),
        blas=f"{blas['name']} {blas['version']}",
        python=platform.python_version(),
        commit=commit,
    )
