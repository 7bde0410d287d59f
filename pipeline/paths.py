"""Know where things are: the project, its notebooks, and the results."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
# Where the paths of results begin: elsewhere while the notebooks are tested.
BASE = Path(os.environ.get("DIGITS_BASE", ROOT))
RUNS = BASE / "runs"


def to_display_path(path: Path) -> str:
    """Return the path relative to the project if it is inside it, else absolute."""
    return str(path.relative_to(BASE) if path.is_relative_to(BASE) else path)


def from_current_folder(path: str) -> str:
    """Resolve a path against the current folder, then apply `to_display_path`."""
    return to_display_path(Path(os.path.abspath(path)))  # noqa: PTH100 - keeps links
