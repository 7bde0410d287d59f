"""Running the notebooks: parameters, files, runs and reports. No mathematics lives here; that is helpers.py."""

import sys

# nbformat imports jsonschema, and that a grammar of URIs for a format that no notebook has. It takes 0.9 s, which is as
# long as everything else together, and jsonschema does without it where it cannot be imported.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
