"""Know where things are: the project, its notebooks, and the results."""

import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
# Where the paths of results begin: elsewhere while the notebooks are tested.
BASE = Path(os.environ.get("DIGITS_BASE", ROOT))
RUNS = BASE / "runs"


def to_display_path(path: Path) -> str:
    """Return the path relative to the project if it is inside it, else absolute."""
    return str(path.relative_to(BASE) if path.is_relative_to(BASE) else path)


def find_source(source: str) -> Path:
    """Return the path of a source, which may begin with the home, ``~``."""
    return ROOT / Path(source).expanduser()


def name_source(source: str) -> str:
    """Return a source as pages name it: one outside the project by its last part."""
    is_outside = source.startswith("~") or Path(source).is_absolute()
    return Path(source).name if is_outside else source


def from_current_folder(path: str, base: Path = BASE) -> str:
    """Resolve a path of the command line against the current folder.

    Return it relative to the base if it is inside it, else absolute.
    """
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - keeps links
    return str(
        absolute.relative_to(base) if absolute.is_relative_to(base) else absolute
    )


def hide_folders(text: str) -> str:
    """Return a text without the folder of the project and without the user's home.

    Paths inside the project become relative to it, and the home becomes ``~``.
    """
    home = Path.home()
    for folder in dict.fromkeys([BASE, ROOT]):
        spellings = [str(folder)]
        if home in folder.parents:  # as IPython writes it
            spellings.append(str("~" / folder.relative_to(home)))
        for each in spellings:
            text = _replace_folder(text, each, "")
    return _replace_folder(text, str(home), "~") if home.name else text


def _replace_folder(text: str, folder: str, name: str) -> str:
    """Replace a folder by another name; "" stands for the current folder."""
    # On Windows, Python code and JSON write each backslash twice.
    for separator in {os.sep, os.sep.replace("\\", "\\\\")}:
        path = re.escape(folder.replace(os.sep, separator))
        path = f"(?<![A-Za-ln-z0-9_.]){path}"  # after a colour stands an m
        inside = f"{name}{separator}".replace("\\", "\\\\") if name else ""
        text = re.sub(rf"{path}{re.escape(separator)}(?=\w)", inside, text)
        text = re.sub(rf"{path}(?![\w.-])", name or ".", text)
    return text
