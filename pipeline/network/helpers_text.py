"""Ask what stands in helpers.py, which is all of the network.

Which network a run trains is decided by this text, and never by a sample of numbers.
"""

import ast
import importlib.metadata
import sys
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from pipeline.digests import digest_code, read_code
from pipeline.errors import InvalidInput
from pipeline.paths import ROOT

Functions = Mapping[str, list[CodeType]]  # see `list_functions`
PATH = ROOT / "helpers.py"
TEXT = read_code(PATH)  # as it was when this module was imported
# What an elementwise expression may consist of, besides its arguments and NumPy.
OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.USub, ast.UAdd)
COMPARISONS = (ast.Gt, ast.GtE, ast.Lt, ast.LtE, ast.Eq, ast.NotEq)
ELEMENTWISE = (*OPERATORS, *COMPARISONS, ast.Compare, ast.UnaryOp, ast.Load)


def check_helpers() -> dict[str, str]:
    """Check the helpers.py on disk; return the versions of the packages it imports.

    Raises InvalidInput if it has a syntax error, or imports a file of the user's, which
    no result would record. A command checks this before it replaces a result.
    """
    try:
        tree = ast.parse(read_code(PATH), PATH)
    except (SyntaxError, ValueError) as error:
        line = f" in line {error.lineno}" if isinstance(error, SyntaxError) else ""
        problem = f"helpers.py has a mistake{line}: {getattr(error, 'msg', error)}"
        raise InvalidInput(f"{problem}. Correct it; nothing was started.") from None
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add("." * node.level + (node.module or ""))
    roots = {name.partition(".")[0] or name for name in names}
    others = roots - sys.stdlib_module_names - {"numpy"}
    # To list all packages takes 0.2 s, so it is done only for an unusual helpers.py.
    packages = importlib.metadata.packages_distributions() if others else {}
    if foreign := sorted(others - packages.keys()):
        raise InvalidInput(
            f"helpers.py imports {foreign[0]}, which no run records, because it is not "
            "installed. If it is a package, install it. If it is a file of your own, "
            "move its code into helpers.py, which is all of the network."
        )
    distributions = {packages[name][0] for name in others}
    return {name: importlib.metadata.version(name) for name in sorted(distributions)}


def check_imported() -> None:
    """Raise InvalidInput if another helpers.py than that on disk was imported."""
    helpers = sys.modules.get("helpers")
    if helpers is None:
        return
    if helpers.__file__ != str(PATH):
        problem = f"helpers was imported from {helpers.__file__}, not from {PATH}"
        raise InvalidInput(f"{problem}. Rename that file, and restart the kernel.")
    if digest_code(read_code(PATH)) != digest_code(TEXT):
        problem = "helpers.py was saved since this kernel imported it"
        raise InvalidInput(f"{problem}. Restart the kernel, and run all cells again.")


def list_functions(module: Any) -> dict[str, list[CodeType]]:
    """Return the code of each function of a module: its decorators', then its own."""
    found = {}
    for name, value in vars(module).items():
        if isinstance(value, FunctionType):
            found[name] = [each.__code__ for each in _unwrap(value)]
    return found


def _unwrap(function: Any) -> Iterator[Any]:
    while function is not None:
        yield function
        function = getattr(function, "__wrapped__", None)


def are_equal(some: Functions, others: Functions) -> bool:
    """Return whether functions have the same code, wherever it stands in its file."""
    if some == others:
        return True
    stripped = [
        {name: list(map(_strip_places, codes)) for name, codes in functions.items()}
        for functions in (some, others)
    ]
    return stripped[0] == stripped[1]


def _strip_places(code: CodeType) -> CodeType:
    constants = tuple(
        _strip_places(each) if isinstance(each, CodeType) else each
        for each in code.co_consts
    )
    return code.replace(co_firstlineno=1, co_linetable=b"", co_consts=constants)


def is_as_in_text(functions: Functions) -> bool:
    """Return whether TEXT defines these functions, apart from their decorators.

    It does not if helpers.py was saved between the imports of helpers and this module.
    """
    constants = compile(TEXT, PATH, "exec").co_consts
    in_text = {each.co_name: [each] for each in constants if hasattr(each, "co_name")}
    own = {name: codes[-1:] for name, codes in functions.items()}
    return are_equal(own, {name: in_text.get(name, []) for name in own})


def is_elementwise(name: str, text: str = TEXT) -> bool:
    """Return whether a function is one expression of elementwise operations.

    These are arithmetic, comparisons, ufuncs of NumPy, np.where and np.clip, of the
    arguments and of constants. Nothing is computed for this, because numbers are only a
    sample of what a function does.
    """
    functions = {
        each.name: each for each in ast.parse(text).body if hasattr(each, "name")
    }
    function: Any = functions[name]
    body = function.body[1:] if ast.get_docstring(function) else function.body
    if len(body) != 1 or not isinstance(body[0], ast.Return) or not body[0].value:
        return False
    names = {each.arg for each in function.args.args} | {"np"}
    return all(_is_allowed(node, names) for node in ast.walk(body[0].value))


def _is_allowed(node: ast.AST, names: set[str]) -> bool:
    if isinstance(node, ast.Name):
        return node.id in names
    if isinstance(node, ast.Attribute):  # only of np, since a value has no attributes
        found = getattr(np, node.attr, None)
        is_np = isinstance(node.value, ast.Name) and node.value.id == "np"
        return is_np and (found in (np.where, np.clip) or isinstance(found, np.ufunc))
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float)
    if isinstance(node, ast.Call):
        found = getattr(np, getattr(node.func, "attr", ""), None)
        count = getattr(found, "nin", 3)  # np.where and np.clip take three
        is_simple = not getattr(found, "signature", None)  # that of matmul is a matrix
        # One more argument, or a keyword, could be an array to write the result to.
        is_plain = not node.keywords and len(node.args) == count
        return is_simple and is_plain and getattr(found, "nout", 1) == 1
    if isinstance(node, ast.BinOp):  # whole numbers alone may be too large for Numba
        return any(isinstance(each, ast.Name) for each in ast.walk(node))
    return isinstance(node, ELEMENTWISE)
