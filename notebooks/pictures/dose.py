"""Make dose.png, a picture of README, from what notebooks/why.ipynb has drawn.

Run it from the project's root, with the environment active:
python notebooks/pictures/dose.py
"""

import base64
from pathlib import Path

import nbformat

FOLDER = Path(__file__).resolve().parent

if __name__ == "__main__":
    cells = nbformat.read(FOLDER.parent / "why.ipynb", as_version=4).cells
    (outputs,) = (cell.outputs for cell in cells if cell.id == "dose")
    (png,) = (each.data["image/png"] for each in outputs if "image/png" in each.data)
    (FOLDER / "dose.png").write_bytes(base64.b64decode(png))
