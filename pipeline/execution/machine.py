"""Describe what notebooks are executed on, without a name of a machine or a user.

No result depends on this by its record: it is for whoever judges a result, or finds
other digits.
"""

import importlib.metadata
import os
import platform
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from dask.system import cpu_count
from ruamel.yaml import YAML

from pipeline.execution.environment import THREADS
from pipeline.paths import ROOT
from pipeline.records import Machine, Software

CITATION = ROOT / "CITATION.cff"
GIT_SECONDS = 10  # more than git needs, but a folder on a network may hang


def describe_machine() -> Machine:
    """Describe this machine, as far as Python knows it."""
    config: Any = np.show_config(mode="dicts")
    blas = config["Build Dependencies"]["blas"]
    extensions = config.get("SIMD Extensions", {}).get("found", [])
    # The variables that set the threads of a BLAS do not reach that of macOS.
    has_threads = "accelerate" not in blas["name"].lower()
    return Machine(
        system=platform.platform(),
        processor=", ".join([_find_processor(), *extensions]),
        cores=cpu_count(),
        memory_gb=_find_memory(),
        blas=f"{blas['name']} {blas['version']}",
        blas_threads=int(THREADS["OMP_NUM_THREADS"]) if has_threads else None,
    )


def _find_processor() -> str:
    """Return the name of the processor, or what Python knows of it."""
    try:
        names = re.findall(
            r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(), re.M
        )
    except OSError:  # there is such a file only on Linux
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def _find_memory() -> float | None:
    """Return the gigabytes of memory, or None where Python cannot ask (Windows)."""
    try:
        pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
    return round(pages * size / 1e9, 1)


def describe_software() -> Software:
    """Describe the project, as it is on disk, and the packages that it installs."""
    root = _ask_git("rev-parse", "--show-toplevel")
    # A copy without a repository may lie inside that of another project.
    is_own = root is not None and Path(root.strip()).resolve() == ROOT
    commit = _ask_git("rev-parse", "HEAD") if is_own else None
    status = _ask_git("status", "--porcelain", "--untracked-files=no", "-z")
    # What has no space there is the former name of a file that was renamed.
    changed = [line[3:] for line in (status or "").split("\0") if line[2:3] == " "]
    return Software(
        version=YAML(typ="safe").load(CITATION)["version"],
        commit=commit.strip() if commit else None,
        changed=sorted(changed) if commit and status is not None else None,
        packages=_find_packages(),
    )


def _ask_git(*words: str) -> str | None:
    """Return what git answers in the project, or None if it does not."""
    command = ["git", "-C", str(ROOT), *words]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=GIT_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):  # no git, or no repository
        return None
    return done.stdout.decode("utf-8", "replace")


def _find_packages() -> dict[str, str]:
    """Return the versions of the packages that the project, if installed, needs."""
    try:
        required = importlib.metadata.requires("digits-by-hand") or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    found = {}
    for text in required:
        if name := re.match(r"[\w.-]+", text):
            try:
                found[name[0]] = importlib.metadata.version(name[0])
            except importlib.metadata.PackageNotFoundError:
                continue
    return dict(sorted(found.items()))


def describe_differences(before: Sequence[Machine], here: Machine) -> list[str]:
    """Describe what differs between the machines of a run and this one.

    before: the machines, in order; several if the run was continued elsewhere.
    """
    lines = []
    for name in Machine.model_fields:
        values = dict.fromkeys(getattr(each, name) for each in before)
        now = getattr(here, name)
        if [*values] != [now]:
            earlier = ", then ".join(map(str, values))
            lines.append(f"{name}, which was {earlier} and is {now}")
    return lines
