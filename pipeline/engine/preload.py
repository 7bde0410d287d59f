"""Import the modules that notebooks need, and store the digests of their code.

On Linux, the fork server imports this module once. The processes of notebooks are
copies of the fork server, so they start fast and all execute the same code. On other
systems, each of these processes imports this module itself. The user's own process
never imports this module, so the module may change environment variables.
"""

import gc
import importlib
import io
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from pipeline.digests import digest_modules, find_modules
from pipeline.engine.environment import BACKEND, THREADS
from pipeline.paths import NOTEBOOKS, ROOT
from pipeline.results.stages import STAGES

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
# The files of the project that its notebooks import, by the names of the modules.
own_modules: dict[str, str] = {}


def import_project() -> tuple[dict[str, str], str]:
    """Import the project's modules, load the compiled loops, and hash the code.

    Return two values. The first holds the SHA-256 of the code of each file, by the path
    of the file in the project. Files that were saved during the imports are left out,
    because Python may have imported their earlier content. The second value is an error
    message, or "" if all imports succeeded. If an import fails, no digests are
    returned.
    """
    try:
        own_modules.update(find_modules(*(stage.notebook for stage in STAGES)))
        before = digest_modules(own_modules)
        for name in own_modules:
            importlib.import_module(name)
        importlib.import_module("pipeline.network.compiled").compile_loops()
        after = digest_modules(own_modules)
    except Exception as error:  # noqa: BLE001 - helpers.py may raise anything
        where = ""
        for frame in traceback.extract_tb(error.__traceback__):
            if Path(frame.filename) == ROOT / "helpers.py":
                where = f"helpers.py, line {frame.lineno}: "
        return {}, f"{where}{type(error).__name__}: {error}"
    unchanged = [name for name in before if before[name] == after[name]]
    return {name: before[name] for name in unchanged}, ""


def print_uncaught_error(kind: type[BaseException], *others: Any) -> None:
    """Print the error that ends this process, unless its parent was interrupted.

    multiprocessing raises EOFError in a new process if the parent was interrupted
    before it had sent what to execute.
    """
    if kind is not EOFError:
        sys.__excepthook__(kind, *others)


sys.excepthook = print_uncaught_error

# Python 3.11 puts the current folder first in sys.path. The project's folder has to
# come before the current folder.
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(NOTEBOOKS))  # as when JupyterLab opens a notebook
os.environ |= THREADS | {"MPLBACKEND": BACKEND}  # set before NumPy is imported

gc.disable()
modules = {name: importlib.import_module(name) for name in PACKAGES}
modules["pydantic"].TypeAdapter(dict[str, int])  # imports the rest of pydantic
figure = modules["matplotlib.pyplot"].Figure()
figure.add_subplot().set_title("text")  # makes Matplotlib look for its fonts
figure.savefig(io.BytesIO(), format="png")
imported_code, mistake = import_project()
gc.enable()
gc.freeze()  # so that forked processes do not search these objects for garbage
