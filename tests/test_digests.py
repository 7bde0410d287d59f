"""The one digest of code: what counts, and what does not, in each version of Python."""

import pytest

from pipeline.digests import digest_code

# The digests of some code as Python 3.11 gives them. They are the same in each version,
# though from 3.12 on an f-string has tokens of its own.
F_STRINGS = '''"""A module."""
x = f"{a!r:>{w}} {'x'}" f\'{b}\'
y = f"""
 {x}
é{x:{y}}"""  # a comment
'''
KNOWN = [
    (F_STRINGS, "edfd167a522a634f719e10f45380bb86"),
    ("def f(a, *, b=1):\n    return a @ b if b else [*a]\n", "8a2bc5964bb099ff"),
    ("%matplotlib inline\n", "da865f5c2353e37eb49cab59090c223d"),
]
BASE = "def f(x):\n    return [x, 1]\n"


@pytest.mark.parametrize(("source", "begin"), KNOWN)
def test_a_digest_is_the_same_in_each_version_of_python(source, begin):
    assert digest_code(source).startswith(begin)


@pytest.mark.parametrize(
    "other",
    [
        'def f(x):\n    """Do."""\n    return [x, 1]  # so\n',
        "# why\n\ndef f(\n    x\n  ):\n\n  return [x,\n      1]",
        "def f(x):\n\treturn \\\n\t\t[x, 1]\n",
        '"""A module."""\ndef f(x):\n    return [x, 1]\n',
    ],
)
def test_comments_docstrings_and_layout_do_not_count(other):
    assert digest_code(other) == digest_code(BASE)


@pytest.mark.parametrize(
    ("source", "other"),
    [
        (BASE, BASE.replace("1", "2")),
        ("x = 'a  b'", "x = 'a b'"),
        ("x = f'{a}  b'", "x = f'{a} b'"),
        ("x = '''\n# a\n'''", "x = '''\n# b\n'''"),
        ("if a:\n    b\nc", "if a:\n    b\n    c"),
        ('def f(): "doc"\nx = 1', "def f(): x = 1"),
        ("!ls a", "!ls b"),
    ],
)
def test_other_code_has_another_digest(source, other):
    assert digest_code(source) != digest_code(other)


def test_the_bodies_of_some_functions_can_be_left_out():
    source = "import a\n{}\ndef g(x):\n    return x\n"
    long = "    if x:\n        for y in x:\n            y()"
    bodies = ("\n    return x", f'\n    """Do."""\n{long}', " return x")
    digests = {
        digest_code(source.format(f"def f(x):{each}"), ("f",)) for each in bodies
    }
    assert len(digests) == 1
    for other in ("def f(y):\n    return x", "@a\ndef f(x):\n    return x", "f = a"):
        assert digest_code(source.format(other), ("f",)) not in digests
    assert digest_code(source.format("def f(x):\n    return x")) not in digests
