"""What counts in the digest of code, and what does not, in each version of Python."""

import pytest

from pipeline.digests import digest_code

# The digests of some code as Python 3.11 gives them. They are the same in each version,
# although later ones parse f-strings in another way and add fields.
F_STRINGS = '''"""A module."""
x = f"{a!r:>{w}} {'x'}" f\'{b}\'
y = f"""
 {x}

é{x:{y}}"""  # a comment
'''
KNOWN = [
    (F_STRINGS, "41b668495a1f7cf3"),
    ("def f(a, *, b=1):\n    return a @ b if b else [*a]\n", "f1edcaf734055060"),
    ("!ls a  # b\n", "90ef1f23c59f0d91"),
]
BASE = "def f(x):\n    return [x, 1]\n"


@pytest.mark.parametrize(("source", "begin"), KNOWN)
def test_a_digest_is_the_same_in_each_version_of_python(source, begin):
    assert digest_code(source).startswith(begin)


@pytest.mark.parametrize(
    "other",
    [
        "def f(x):  # so\n    return [x, 1]  # a\n",
        "def f(x):  # so\n    return [x, 1]  # no line end",
        "# why\n\ndef f(x):\n\n    # é\n    return [x, 1]\n\n# end\n",
        '"""A module."""\ndef f(x):\n  "Do."\n  return [x,\n          (1)]',
    ],
)
def test_comments_docstrings_and_layout_do_not_count(other):
    assert digest_code(other) == digest_code(BASE)


@pytest.mark.parametrize(
    ("source", "other"),
    [
        (BASE, BASE.replace("1", "2")),
        (BASE, BASE.replace("\n", '\n    f"""Do."""\n', 1)),
        ("x = 1", "x = 1,"),
        ("x = None", "x = ''"),
        ("x = 'a  b'", "x = 'a b'"),
        ("x = f'{a}  b'", "x = f'{a} b'"),
        ("x = '''\n# a\n'''", "x = '''\n# b\n'''"),
        ("x = '''a\n\nb'''", "x = '''a\nb'''"),
        ("if a:\n    b\nc", "if a:\n    b\n    c"),
        ("!ls a", "!ls b"),
    ],
)
def test_other_code_has_another_digest(source, other):
    assert digest_code(source) != digest_code(other)
