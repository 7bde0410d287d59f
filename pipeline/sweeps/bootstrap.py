"""Lay the project's code out on a worker that does not have it, and run a point with it.

This module is sent to the workers by value. It knows nothing but bytes and text, since whatever else it knew would have
to be there already.
"""

import hashlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path


def run_on_worker(code: Mapping[str, bytes], versions: Mapping[str, str], task: bytes) -> tuple[str, bytes | str]:
    """Return the worker's address, and either the outcome of the task or why the worker cannot run it.

    code: the project's files by their paths. versions: of the packages that the worker must have.
    task: a `worker.Task`, pickled, as the outcome is.
    """
    from distributed import get_worker

    here = get_worker()
    digest = hashlib.sha256(b"".join(code[name] for name in sorted(code))).hexdigest()[:16]
    folder = Path(here.local_directory, f"project-{digest}")  # Dask removes it with the worker
    for name, content in code.items():
        path = folder / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f"{path.name}.{os.getpid()}.part")
            part.write_bytes(content)
            part.replace(path)
    if sys.path[0] != str(folder):
        sys.path.insert(0, str(folder))
        for name in [name for name in sys.modules if name.split(".")[0] in ("pipeline", "helpers")]:
            del sys.modules[name]
    os.environ["PYTHONPATH"] = str(folder)  # for the kernels
    try:
        from pipeline.sweeps import worker  # of this folder, which has just been made
    except ImportError as error:
        return here.address, f"{type(error).__name__}: {error}"
    return here.address, worker.refusal(versions) or worker.run(task, here.local_directory)
