"""Lay the project's code out on a worker that does not have it, and run points with it.

This module is sent to the workers by value. It knows nothing but bytes and text, since whatever else it knew would have
to be there already.
"""

import hashlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path


def prepare(code: Mapping[str, tuple[bytes, float]], versions: Mapping[str, str]) -> tuple[str, str]:
    """Make a worker ready. Return the folder of the code there, and why it cannot run the points, or nothing.

    code: the project's files by their paths, each with the time when it was changed. versions: of the packages that
    the worker must have.
    """
    from distributed import get_worker

    digest = hashlib.sha256(b"".join(code[name][0] for name in sorted(code))).hexdigest()[:16]
    folder = Path(get_worker().local_directory, f"project-{digest}")  # Dask removes it with the worker
    for name, (content, changed) in code.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        part.write_bytes(content)
        os.utime(part, (changed, changed))  # by which Numba knows the code that it has compiled
        part.replace(path)
    try:
        _use(folder)
        from pipeline import kernels

        kernels.prepare(side_by_side=True)  # while papermill is imported
        from pipeline.sweeps import worker  # of this folder, which has just been made
    except ImportError as error:
        return str(folder), f"{type(error).__name__}: {error}"
    return str(folder), worker.refusal(versions)


def run(folder: str, task: bytes, data: bytes) -> bytes:
    """Run a point with the code in the folder. The task is a `worker.Task`, pickled, and so is the outcome."""
    from distributed import get_worker

    _use(Path(folder))
    from pipeline.sweeps import worker

    return worker.run(task, data, get_worker().local_directory)


def _use(folder: Path) -> None:
    """Import the project from this folder, and from no other: another sweep may have used this worker."""
    if sys.path[0] != str(folder):
        sys.path.insert(0, str(folder))
        for name in [name for name in sys.modules if name.split(".")[0] in ("pipeline", "helpers")]:
            del sys.modules[name]
    os.environ["PYTHONPATH"] = str(folder)  # for the kernels
