"""Make a notebook's process execute the code that its command started with.

The fork server imports the project's modules once, and keeps the digests of their
files. So a process that is forked from it has the code of that moment, even if a file
is saved later. But a process that needs other code drops these modules, and imports
them from disk.
"""

import contextlib
import hashlib
import importlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.digests import digest_syntax

ROOT = Path(__file__).resolve().parent.parent
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# The modules of the project that the notebooks of a run import.
MODULES = (
    "helpers",
    "pipeline.baselines",
    "pipeline.checkpoints",
    "pipeline.compiled",
    "pipeline.plots",
    "pipeline.published",
    "pipeline.run_folder",
)
# Modules that start a process and check its code, so `forget_modules` must keep them.
KEPT = tuple(f"pipeline.{name}" for name in ("digests", "own_code", "preload", "shell"))


@dataclass
class Imported:
    """What the fork server has imported: digests of files, and of their syntax trees.

    Both are empty in a process that was spawned, since that has imported nothing.
    """

    files: dict[str, str] = field(default_factory=dict)
    syntax: dict[str, str] = field(default_factory=dict)


imported = Imported()


def digest_files() -> dict[str, str]:
    """Return the SHA-256 of each file of the project's code, by its path."""
    paths = [ROOT / "helpers.py", *sorted(ROOT.glob("pipeline/**/*.py"))]
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


def preload() -> None:
    """Import the project's modules in the fork server, and run the compiled loops once.

    If a module cannot be imported, nothing is kept. Then the process of a notebook
    imports it again, so the error is shown in the cell that needs it.
    """
    # Python 3.11 puts the current folder first, and our root has to come before it.
    sys.path.insert(0, str(ROOT))
    before = digest_files()
    try:
        import_modules()
        sys.modules["pipeline.agreement"].agrees_with_helpers()
        code = sys.modules["pipeline.provenance"].CODE
        syntax = {name: digest_syntax(ROOT / name) for name in code}
    except Exception:  # noqa: BLE001 - of whatever stands in helpers.py
        forget_modules()
        return
    if digest_files() == before:  # nothing was saved meanwhile
        imported.files, imported.syntax = before, syntax


def import_modules() -> None:
    for name in MODULES:
        importlib.import_module(name)


def forget_modules() -> None:
    """Drop the project's modules, so that they are imported again."""
    for name in [*sys.modules]:
        is_own = name == "helpers" or name.startswith("pipeline.")
        if is_own and name not in KEPT:
            del sys.modules[name]
            # Otherwise `from pipeline import loops` would find the old module there.
            package, _, module = name.rpartition(".")
            if parent := sys.modules.get(package):
                vars(parent).pop(module, None)


def take_code_on_disk() -> None:
    """Make sure that this process runs the code that is on disk now."""
    if imported.files != digest_files():
        forget_modules()


def take_recorded_code(syntax: Mapping[str, str]) -> str:
    """Make sure that this process runs the code that a command has recorded.

    syntax: the digest of each file, see `digests.digest_syntax`.

    Return "", or the reason why the process cannot run that code.
    """
    if not find_changed_files(imported.syntax, syntax):
        return ""  # it is what the fork server has imported
    if changed := find_changed_files(digest_disk(syntax), syntax):
        return describe(changed)
    forget_modules()
    # A cell that imports the same module will show the error.
    with contextlib.suppress(Exception):
        import_modules()
    changed = find_changed_files(digest_disk(syntax), syntax)  # saved meanwhile
    return describe(changed) if changed else ""


def digest_disk(names: Iterable[str]) -> dict[str, str]:
    return {name: digest_syntax(ROOT / name) for name in names}


def find_changed_files(
    found: Mapping[str, str], wanted: Mapping[str, str]
) -> list[str]:
    return [name for name in wanted if found.get(name) != wanted[name]]


def describe(changed: Sequence[str]) -> str:
    names = ", ".join(changed)
    return f"{names} changed after this command started; start the command again"
