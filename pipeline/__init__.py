"""Running the notebooks: parameters, files, runs and reports. The network itself is in helpers.py."""

import sys

# `python -m pipeline` has Python look first where one stands, where a file may have the name of a package: random.py.
if sys.argv[:1] == ["-m"] and not sys.flags.safe_path:  # so it is while this package is looked for
    sys.path[:] = [*(path for path in sys.path if path not in ("", sys.path[0])), sys.path[0]]

# nbformat imports jsonschema, which imports checkers of formats that no notebook has: of URIs, for 0.9 s, and of
# durations, for 0.1 s. It does without them where they cannot be imported.
for _name in ("rfc3987_syntax", "rfc3986_validator", "isoduration"):
    sys.modules.setdefault(_name, None)  # type: ignore[arg-type]
