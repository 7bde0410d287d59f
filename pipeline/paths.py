"""Locate the project, its notebooks, and the results."""

import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
# The paths of results are relative to this: another folder while notebooks are tested.
BASE = Path(os.environ.get("DIGITS_BASE", ROOT))
RUNS = BASE / "runs"


def to_display_path(path: Path) -> str:
    """Return the path relative to the project if it is inside it, else absolute."""
    return str(path.relative_to(BASE) if path.is_relative_to(BASE) else path)


def to_source(path: str) -> str:
    """Return a path of the command line as a source, relative to the project's root.

    A path in the home begins with ``~``, so that no file of a run names the user. An
    absolute path elsewhere stays absolute.
    """
    absolute = os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111
    source = hide_folders(absolute)
    if source == absolute and not Path(path).is_absolute():
        return os.path.relpath(path, ROOT)
    return source


def resolve_source(source: str) -> Path:
    """Return the path of a source, which may begin with the home, ``~``."""
    return ROOT / os.path.expanduser(source)  # noqa: PTH111 - keeps an unknown ~name


def from_current_folder(path: str) -> str:
    """Resolve a path against the current folder, then apply `to_display_path`."""
    return to_display_path(Path(os.path.abspath(path)))  # noqa: PTH100 - keeps links


def hide_folders(text: str) -> str:
    """Return a text without the folder of the project and without the user's home.

    Paths inside the project become relative to it, and the home becomes ``~``.
    """
    # No path begins within a word. But an m may stand before one, because the escape
    # code of a colour ends with it.
    start = "(?<![A-Za-ln-z0-9_.])"
    for folder in (BASE, ROOT):
        text = re.sub(start + re.escape(f"{folder}{os.sep}"), "", text)
    home = Path.home()
    if not home.name:  # it is the root of all folders
        return text
    return re.sub(rf"{start}{re.escape(str(home))}(?![\w.-])", "~", text)
