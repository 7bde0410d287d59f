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


def from_current_folder(path: str, base: Path = BASE) -> str:
    """Resolve a path of the command line against the current folder.

    Return it relative to the base if it is inside it, else absolute.
    """
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - keeps links
    return str(
        absolute.relative_to(base) if absolute.is_relative_to(base) else absolute
    )
