"""Import what notebooks import, in the fork server from which their processes are forked.

Nothing else of this project is imported here: a process must execute the code that is on disk. The
server is a process of its own, so its environment may be changed.
"""

import gc
import importlib
import io
import os

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
    "psutil",
    "pydantic",
)

# Before the imports. Matrix products of several threads differ in the last digits.
os.environ |= dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)
os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"

gc.disable()
modules = {name: importlib.import_module(name) for name in PACKAGES}
modules["pydantic"].TypeAdapter(
    dict[str, int]
)  # most of pydantic comes with its first use
modules["numba"].njit(lambda x: x + 1)(1)  # starts the compiler
figure = modules["matplotlib.pyplot"].Figure()
figure.add_subplot().set_title("text")  # finds the fonts
figure.savefig(io.BytesIO(), format="png")
gc.enable()
gc.freeze()  # so that no child looks through all these objects for garbage
