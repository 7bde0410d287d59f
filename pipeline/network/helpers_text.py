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
SIGNS = (ast.USub, ast.UAdd)
OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow)
COMPARISONS = (ast.Gt, ast.GtE, ast.Lt, ast.LtE, ast.Eq, ast.NotEq)


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
    own = {name for name in roots if (ROOT / f"{name}.py").exists()}
    # To list all packages takes 0.2 s, so it is done only for an unusual helpers.py.
    packages = importlib.metadata.packages_distributions() if others else {}
    if foreign := sorted(own | (others - packages.keys())):
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
    if not PATH.samefile(str(helpers.__file__)):
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
    arguments = {each.arg for each in function.args.args}
    return bool(_find_kind(body[0].value, arguments))


def _find_kind(node: ast.AST, arguments: set[str]) -> str:
    """Return "bool", "int" or "float", the type of an elementwise expression, or "".

    "" means that it is not elementwise, or that Numba may compute it differently than
    NumPy, as it does when truth values are added, or whole numbers multiplied. So an
    operation needs a float among its operands. A truth value may only multiply a float,
    or be the condition of np.where.
    """
    if isinstance(node, ast.Name):
        return "float" if node.id in arguments else ""
    if isinstance(node, ast.Constant):
        return type(node.value).__name__ if type(node.value) in (int, float) else ""
    operands = _list_operands(node)
    kinds = [_find_kind(each, arguments) for each in operands]
    are_numbers = bool(kinds) and set(kinds) <= {"int", "float"}
    has_float = are_numbers and "float" in kinds
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, SIGNS):
        return kinds[0] if are_numbers else ""
    if isinstance(node, ast.BinOp) and isinstance(node.op, OPERATORS):
        is_mask = isinstance(node.op, ast.Mult) and sorted(kinds) == ["bool", "float"]
        return "float" if has_float or is_mask else ""
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], COMPARISONS):
        return "bool" if has_float and len(node.ops) == 1 else ""
    if isinstance(node, ast.Call) and not node.keywords:
        return _find_kind_of_call(ast.unparse(node.func), kinds, has_float)
    return ""


def _list_operands(node: ast.AST) -> list[Any]:
    """Return the expressions that an operation combines."""
    if isinstance(node, ast.UnaryOp):
        return [node.operand]
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    if isinstance(node, ast.Compare):
        return [node.left, *node.comparators]
    return list(node.args) if isinstance(node, ast.Call) else []


def _find_kind_of_call(function: str, kinds: list[str], has_float: bool) -> str:
    """Return the type that a function of np returns for arguments of these types.

    One more argument could be an array to write the result to, so their number has to
    be the usual one.
    """
    found: Any = getattr(np, function.removeprefix("np."), None)
    if function == "np.where" and len(kinds) == 3:
        condition, *values = kinds
        are_numbers = condition == "bool" and set(values) <= {"int", "float"}
        return max(values, key=["int", "float"].index) if are_numbers else ""
    if function == "np.clip":
        return "float" if has_float and len(kinds) == 3 else ""
    # A ufunc with a signature, such as matmul, is not elementwise.
    is_ufunc = function.startswith("np.") and isinstance(found, np.ufunc)
    if not is_ufunc or found.signature or found.nout != 1 or found.nin != len(kinds):
        return ""
    types = [each for each in found.types if each.startswith("d" * found.nin)]
    output = types[0][-1] if types and has_float else ""
    return {"d": "float", "?": "bool"}.get(output, "")
