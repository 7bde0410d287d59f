"""Lay the project's code out on a worker that does not have it, and run points with it.

This module is sent to the workers by value. It knows nothing but bytes and text, since whatever else it knew would have
to be there already.
"""

import contextlib
import hashlib
import os
import pickle
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path


def prepare(code: Mapping[str, tuple[bytes, float]], versions: Mapping[str, str]) -> tuple[str, str]:
    """Make a worker ready. Return the folder of the code there, and why it cannot run the points, or nothing.

    code: the project's files by their paths, each with the time when it was changed. versions: of the packages that
    the worker must have.
    """
    from distributed import get_worker

    own, below = sys.modules.get("pipeline"), get_worker().local_directory
    if own and not str(own.__file__).startswith(f"{below}{os.sep}"):  # which would lose its own modules
        return "", "it works in a process that uses the project itself, as of a LocalCluster with processes=False"
    digest = hashlib.sha256(b"".join(code[name][0] for name in sorted(code))).hexdigest()[:16]
    folder = Path(below, f"project-{digest}")  # Dask removes it with the worker
    for name, (content, changed) in code.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        part.write_bytes(content)
        os.utime(part, (changed, changed))  # by which Numba knows the code that it has compiled
        part.replace(path)
    try:
        with _used(folder):
            from pipeline import kernels

            kernels.prepare(side_by_side=True)  # while papermill is imported
            from pipeline.sweeps import worker  # of this folder, which has just been made

            return str(folder), worker.refusal(versions)
    except ImportError as error:
        return str(folder), f"{type(error).__name__}: {error}"


def run(folder: str, task: bytes, data: bytes) -> bytes:
    """Run a point with the code in the folder. The task is a `worker.Task`, pickled, and so is the outcome.

    Where this process has no such folder, nothing is returned: it has come in place of the one that was made ready.
    """
    from distributed import get_worker

    if not Path(folder, "helpers.py").exists():  # Numba makes the folder itself again
        return b""
    below = get_worker().local_directory
    with _used(Path(folder)):
        from pipeline.sweeps import worker

        unpacked = pickle.loads(task), worker.unpacked(data, below)
    outcome = worker.run_point(*unpacked, below)
    with _used(Path(folder)):  # since pickle looks classes up by their names
        return pickle.dumps(outcome)


@contextlib.contextmanager
def _used(folder: Path) -> Iterator[None]:
    """Import the project from this folder, and from no other, within the block.

    Other sweeps may use this process, at the same time. Their modules are put aside, with their fork servers, and are
    used again; nothing that trains a point imports the project later.
    """
    lock, aside = sys.__dict__.setdefault("_digits_by_hand", (threading.Lock(), {}))  # this module comes by value
    with lock:
        if (before := sys.path[0]) != str(folder):
            names = [name for name in sys.modules if name.split(".")[0] in ("pipeline", "helpers")]
            aside[before] = {name: sys.modules.pop(name) for name in names}
            sys.modules.update(aside.get(str(folder), {}))
            sys.path[:] = [str(folder), *(path for path in sys.path if path != str(folder))]
        yield
