"""Import what notebooks import, in the fork server, so that their processes start fast.

The server is a process of its own, so this module may change its environment.
"""

import gc
import importlib
import io
import os

from pipeline import own_code  # does not import NumPy, whose threads are set below

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

# Set before NumPy is imported, because the last digits of a matrix product depend on
# the number of threads.
os.environ |= dict.fromkeys(own_code.THREAD_VARIABLES, "1")
os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"

gc.disable()
modules = {name: importlib.import_module(name) for name in PACKAGES}
modules["pydantic"].TypeAdapter(dict[str, int])  # imports the rest of pydantic
figure = modules["matplotlib.pyplot"].Figure()
figure.add_subplot().set_title("text")  # makes Matplotlib find its fonts
figure.savefig(io.BytesIO(), format="png")
own_code.preload()  # also starts Numba's compiler
gc.enable()
gc.freeze()  # so that no child searches all these objects for garbage
