"""Do what is done only so that a command starts fast: it saves most of a second.

Besides, commands import what they need when they are given, because papermill takes
more than a second, and neither help nor a refusal should wait for it.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def fast_imports() -> Iterator[None]:
    """Import papermill and nbconvert in this block, for 0.9 s less.

    They import jsonschema, which would import a grammar of addresses to check a format
    that no notebook has. Meanwhile the fork server starts, which takes as long.
    """
    from pipeline import process

    process.start_fork_server()
    modules: dict[str, Any] = sys.modules
    grammar = modules.setdefault("rfc3987_syntax", None)
    try:
        yield
    finally:
        if grammar is None:
            del sys.modules["rfc3987_syntax"]
