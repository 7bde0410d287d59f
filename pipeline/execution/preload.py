"""Import the modules that notebooks import, and digest their code at that time.

The fork server imports this module once, so that the processes of notebooks start fast
and all execute the same code. A spawned process imports it directly. Neither of the two
is the user's process, so this module may change its own environment.
"""

import gc
import importlib
import io
import os
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType

from pipeline.digests import CODE, digest_modules
from pipeline.execution.environment import BACKEND, THREADS
from pipeline.paths import ROOT

PACKAGES = (
    "IPython.core.completerlib",
    "IPython.core.interactiveshell",
    "IPython.extensions.storemagic",
    "PIL.Image",
    "filelock",
    "ipykernel.compiler",
    "matplotlib.pyplot",
    "matplotlib_inline.backend_inline",
    "numba",
    "pydantic",
)
# The modules of the project that the notebooks of a run import.
MODULES = (
    "helpers",
    "pipeline.images.data",
    "pipeline.network.baselines",
    "pipeline.network.published",
    "pipeline.reports.answers",
    "pipeline.reports.plots",
    "pipeline.results.checkpoints",
    "pipeline.results.run_folder",
)


def import_project() -> tuple[dict[str, str], str]:
    """Import the project's modules, and load the compiled loops.

    Return the digest of each file's code in memory, without files that were saved
    meanwhile, and "". If an import fails, return no digests, but an error message.
    """
    try:
        before = digest_modules(CODE)
        for name in MODULES:
            importlib.import_module(name)
        importlib.import_module("pipeline.network.compiled").compile_loops()
        after = digest_modules(CODE)
    except Exception as error:  # noqa: BLE001 - helpers.py may raise anything
        frames = traceback.extract_tb(error.__traceback__)
        own = [each for each in frames if Path(each.filename).parent == ROOT]
        where = f"helpers.py, line {own[-1].lineno}: " if own else ""
        return {}, f"{where}{type(error).__name__}: {error}"
    return {name: each for name, each in before.items() if after[name] == each}, ""


def end_with_parent(number: int, frame: FrameType | None) -> None:
    """End this process if the process that started it has ended."""
    if os.getppid() != parent:
        os._exit(1)


# A fork server notices the end of its parent only after its imports, which may take a
# long time, for instance if helpers.py trains a network.
parent = os.getppid()
signal.signal(signal.SIGALRM, end_with_parent)
signal.setitimer(signal.ITIMER_REAL, 0.2, 0.2)

# Python 3.11 puts the current folder first, and our root has to come before it.
sys.path.insert(0, str(ROOT))
os.environ |= THREADS | {"MPLBACKEND": BACKEND}  # before NumPy is imported

gc.disable()
modules = {name: importlib.import_module(name) for name in PACKAGES}
modules["pydantic"].TypeAdapter(dict[str, int])  # imports the rest of pydantic
figure = modules["matplotlib.pyplot"].Figure()
figure.add_subplot().set_title("text")  # makes Matplotlib look for its fonts
figure.savefig(io.BytesIO(), format="png")
imported_code, mistake = import_project()
signal.setitimer(signal.ITIMER_REAL, 0)
signal.signal(signal.SIGALRM, signal.SIG_DFL)
gc.enable()
gc.freeze()  # so that children do not search all these objects for garbage
