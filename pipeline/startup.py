"""Make commands start fast. This saves most of a second.

Besides, commands import what they need when they are given, because papermill takes
more than a second, and neither help nor a refusal should wait for it.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def fast_imports() -> Iterator[None]:
    """Let imports of papermill and nbconvert in this block take 0.9 s less.

    They import jsonschema. It would import a slow parser, rfc3987_syntax, which no
    notebook needs, so the parser is blocked. Meanwhile the fork server starts.
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
