"""Import what notebooks import, in the fork server from which their processes are forked.

The server is a process of its own, so its environment may be changed.
"""

import gc
import importlib
import io
import os

from pipeline import own_code  # which does not import NumPy: its threads are set below

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

# Before NumPy is imported. Matrix products of several threads differ in the last digits.
os.environ |= dict.fromkeys(own_code.THREAD_VARIABLES, "1")
os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"

gc.disable()
modules = {name: importlib.import_module(name) for name in PACKAGES}
modules["pydantic"].TypeAdapter(dict[str, int])  # most comes with its first use
figure = modules["matplotlib.pyplot"].Figure()
figure.add_subplot().set_title("text")  # finds the fonts
figure.savefig(io.BytesIO(), format="png")
own_code.preload()  # which also starts Numba's compiler
gc.enable()
gc.freeze()  # so that no child looks through all these objects for garbage
