"""Locate the project, its notebooks, and the results."""

import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
# Paths of results are relative to this folder, and tests of notebooks use another one.
BASE = Path(os.environ.get("DIGITS_BASE", ROOT))
RUNS = BASE / "runs"


def to_display_path(path: Path) -> str:
    """Return a path as text: relative to the project, or unchanged if outside it."""
    return str(path.relative_to(BASE) if path.is_relative_to(BASE) else path)


def normalise_source(path: str) -> str:
    """Return a path from the command line as a source: relative to the project's root.

    A path in the user's home begins with ``~``, so that the user's name is in no file
    of a run. An absolute path elsewhere stays absolute.
    """
    absolute = os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111
    source = hide_folders(absolute)
    if source == absolute and not Path(path).is_absolute():
        return os.path.relpath(path, ROOT)
    return source


def resolve_source(source: str) -> Path:
    """Return the path of a source, which may begin with ``~`` for the user's home."""
    return ROOT / os.path.expanduser(source)  # noqa: PTH111 - keeps an unknown ~name


def from_current_folder(path: str) -> str:
    """Return the display path of a path that is relative to the current folder."""
    return to_display_path(Path(os.path.abspath(path)))  # noqa: PTH100 - keeps links


def hide_folders(text: str) -> str:
    """Return a text without the paths of the project and of the user's home.

    Paths inside the project become relative to it, and the home becomes ``~``.
    """
    # A path does not begin in the middle of a word. But an m may come before it, since
    # the escape code of a colour ends with m.
    start = "(?<![A-Za-ln-z0-9_.])"
    for folder in (BASE, ROOT):
        text = re.sub(start + re.escape(f"{folder}{os.sep}"), "", text)
    home = Path.home()
    if not home.name:  # it is the root folder
        return text
    return re.sub(rf"{start}{re.escape(str(home))}(?![\w.-])", "~", text)
