"""Locate the project, its notebooks, and the results."""

import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
# The paths of results are relative to this folder. Tests of notebooks set DIGITS_BASE,
# so that their results go to a temporary folder.
BASE = Path(os.environ.get("DIGITS_BASE", ROOT))
RUNS = BASE / "runs"


def to_display_path(path: Path) -> str:
    """Return a path as text, relative to the project if the path is inside it."""
    return str(path.relative_to(BASE) if path.is_relative_to(BASE) else path)


def normalise_source(path: str) -> str:
    """Convert a path from the command line into a source, as a run records it.

    A source inside the project is relative to the project's root. A source in the
    user's home begins with ``~``, so that no file of a run contains the user's name. In
    any other place it is absolute.
    """
    return hide_folders(os.path.abspath(os.path.expanduser(path)))  # noqa: PTH100, PTH111


def resolve_source(source: str) -> Path:
    """Return the full path of a source.

    The source is relative to the project's root, is absolute, or begins with ``~``,
    which stands for the user's home.
    """
    return ROOT / os.path.expanduser(source)  # noqa: PTH111 - keeps an unknown ~name


def from_current_folder(path: str) -> str:
    """Return the display path of a path from the command line.

    path: an absolute path, or a path that is relative to the current folder.
    """
    return to_display_path(Path(os.path.abspath(path)))  # noqa: PTH100 - keeps links


def hide_folders(text: str) -> str:
    """Shorten the paths in a text that are inside the project or the user's home.

    Paths inside the project become relative to the project. In all other paths, the
    user's home becomes ``~``.
    """
    # A path does not begin directly after a letter, a digit, _ or a dot. Only an m may
    # come before it, because the escape code of a colour ends with m.
    start = "(?<![A-Za-ln-z0-9_.])"
    for folder in (BASE, ROOT):
        text = re.sub(start + re.escape(f"{folder}{os.sep}"), "", text)
    home = Path.home()
    if not home.name:  # the home is the root folder
        return text
    return re.sub(rf"{start}{re.escape(str(home))}(?![\w.-])", "~", text)
