"""Which helpers.py the compiled loops follow is decided by its text."""

import functools
import re
import types

import numpy as np
import pytest

import helpers
from pipeline.digests import digest_code
from pipeline.errors import InvalidInput
from pipeline.network import compiled, helpers_text
from pipeline.network.compiled import FREE, NOTE, WRITTEN_FOR
from pipeline.network.helpers_text import TEXT, is_elementwise
from pipeline.network.published import HELPERS

RELU = "return np.maximum(0, x)"
SLOPE = "return np.where(activation > 0, 1.0, inactive)"
# Changes that numbers on a few images would not show, or only half.
OTHERS = {
    "class weights": ("(scores - targets) / len", "WEIGHTS * (scores - targets) / len"),
    "soft targets": ("np.eye(NUM_DIGITS)[labels]", "SOFT[labels]"),
    "a mask by rows": ("rng.randint(2, size=shape)", "np.ones(shape)"),
    "more pixels": ("PIXELS = 28 * 28", "PIXELS = 28 * 28 + 1"),
    "another parameter": ("    batch_size: int = 1,\n", "    batch_size: int = 2,\n"),
    "a decorator": ("def relu(x", "@np.vectorize\ndef relu(x"),
    "a ufunc": ("def relu(x", "relu = np.tanh\n\n\ndef _relu(x"),
}
FOLLOWED = {
    "a comment": ("import numpy as np\n", "import numpy as np  # arrays\n"),
    "an activation": (RELU, "return np.where(x > 0, x, 0.1 * x)"),
    "a derivative": (SLOPE, "return 1 - activation**2"),
    "first weights": ("rng.uniform(-0.1, 0.1, (PIXELS", "rng.normal(0, 0.1, (PIXELS"),
    "generators": ("np.random.RandomState([seed, 1])", "np.random.RandomState(seed)"),
}


def change(old, new):
    assert old in TEXT
    return TEXT.replace(old, new)


def test_the_loops_follow_the_committed_helpers_which_is_kept_as_published():
    # The message of a failure has what WRITTEN_FOR and the copy have to become.
    assert compiled.digest_for_loops() == WRITTEN_FOR
    assert HELPERS.read_text() == TEXT
    weights = helpers.initial_weights(np.random.RandomState(1), 3)
    assert compiled.find_note(weights) is None
    turned = np.asfortranarray(weights[0]), weights[1]
    assert compiled.find_note(turned) == NOTE  # the loops cannot take them


@pytest.mark.parametrize("name", [*OTHERS, *FOLLOWED])
def test_the_loops_follow_only_another_activation_and_other_first_weights(name):
    text = change(*(OTHERS | FOLLOWED)[name])
    assert (digest_code(text, FREE) == WRITTEN_FOR) == (name in FOLLOWED)


ELEMENTWISE = """
return np.maximum(0, x)
return np.where(x > 0, x, 0.1 * x)
return np.clip(x, 0, 6)
return x * (x > 0)
return np.tanh(x)
return x / (1 + np.exp(-x))
return x
return np.where(np.isfinite(x), -x, x**2)
"""
# Numba reads the first five in another way than NumPy. The others pass a comparison of
# numbers of usual sizes, or are no single expression.
OTHER_BODIES = """
return x * ((x > 0) + (x > -1))
return (x > 0) + 0.0
return x * np.where(x > 0, 2, 3) ** -1
return np.where(x, 1.0, 2.0)
return 0 < x < 1
return np.maximum(0, x) / max(1.0, np.max(x) / 2000.0)
return np.maximum(0, x - np.mean(x))
return np.maximum(0, x - x.mean())
return np.matmul(x, x)
return np.maximum(0, x, x)
return np.maximum(0, x, out=x)
return np.modf(x)
return np.maximum(0, x) * PIXELS
return x + 2**70
return mynp.maximum(0, x)
x += 1; return x
return
"""


@pytest.mark.parametrize("body", ELEMENTWISE.strip().splitlines())
def test_elementwise_expressions_are_compiled(body):
    assert is_elementwise("relu", change(RELU, body))


@pytest.mark.parametrize("body", OTHER_BODIES.strip().splitlines())
def test_no_other_expressions_are_compiled(body):
    assert not is_elementwise("relu", change(RELU, body))


def train_both(**options):
    """Return the weights that the loops, or helpers in their place, and helpers train.

    shares: whether units and pixels are dropped by the numbers of one generator.
    """
    shares = options.pop("shares", False)
    rng = np.random.RandomState(0)
    images = rng.randint(256, size=(20, 784)).astype(np.uint8)
    labels = rng.randint(10, size=20).astype(np.uint8)
    results = []
    for network in (compiled, helpers):
        weights = helpers.initial_weights(np.random.RandomState(1), 3)
        rng = np.random.RandomState(2)
        input_rng = rng if shares else None
        network.train_epoch(images, labels, weights, rng, input_rng, **options)
        results.append(weights)
    return results


@pytest.mark.parametrize("decorate", [lambda f: f, functools.wraps(helpers.backward)])
def test_a_function_that_a_cell_replaces_is_trained(monkeypatch, decorate):
    original = helpers.backward

    def mine(*arguments):
        return tuple(2 * gradient for gradient in original(*arguments))

    plain, _ = train_both()
    monkeypatch.setattr(helpers, "backward", decorate(mine))
    assert compiled.find_note(plain) == NOTE
    ours, theirs = train_both()
    for some, others, before in zip(ours, theirs, plain, strict=True):
        assert np.array_equal(some, others)
        assert not np.allclose(some, before)


@pytest.mark.parametrize("dropout_rate", [0.5, 0.2])
def test_generators_that_share_their_numbers_leave_an_epoch_to_helpers(dropout_rate):
    """helpers draws masks of units and pixels in turn, image by image."""
    rates = {"input_dropout_rate": 0.2, "dropout_rate": dropout_rate}
    for ours, theirs in zip(*train_both(shares=True, **rates), strict=True):
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("images", "labels"),
    [((5, 785), "uint8"), ((5, 784), "int64"), ((4, 784), "uint8")],
)
def test_arrays_that_the_loops_could_read_beyond_are_left_to_helpers(images, labels):
    weights = helpers.initial_weights(np.random.RandomState(1), 3)
    pixels, numbers = np.zeros(images, np.uint8), np.zeros(5, labels)
    assert not compiled.fits(pixels, weights, numbers)
    assert compiled.fits(np.zeros((5, 784), np.uint8), weights, np.zeros(5, np.uint8))


def write(monkeypatch, tmp_path, text):
    path = tmp_path / "helpers.py"
    path.write_text(text)
    monkeypatch.setattr(helpers_text, "PATH", path)


@pytest.mark.parametrize(
    "line",
    [
        "import settings",
        "from settings import DECAY",
        "from . import settings",
        "from pipeline import parameters",
        "def f():\n    import settings.more",
        "import statistics",  # of the standard library, but there is a file
    ],
)
def test_an_import_of_another_file_is_refused(monkeypatch, tmp_path, line):
    write(monkeypatch, tmp_path, f"{line}\n")
    monkeypatch.setattr(helpers_text, "ROOT", tmp_path)
    (tmp_path / "statistics.py").touch()
    name = re.search(r"(settings|\.|pipeline|statistics)", line)[1]
    with pytest.raises(InvalidInput, match=f"imports {re.escape(name)}, "):
        helpers_text.check_helpers()


def test_packages_that_helpers_imports_are_recorded(monkeypatch, tmp_path):
    text = "import json, numpy\nfrom scipy.special import expit\n"
    write(monkeypatch, tmp_path, text)
    assert helpers_text.check_helpers().keys() == {"scipy"}


def test_a_comment_that_moves_all_lines_changes_no_function():
    """As in JupyterLab, where helpers.py may be saved before the first training."""
    functions = helpers_text.list_functions(helpers)
    for comment, text, is_same in (
        ("# a comment", TEXT, True),
        ("# a comment", change(RELU, "return x"), False),
    ):
        module = types.ModuleType("helpers")
        code = compile(f"{comment}\n{text}", helpers.__file__, "exec")
        exec(code, module.__dict__)
        found = helpers_text.list_functions(module)
        assert found != functions
        assert helpers_text.are_equal(found, functions) == is_same


def test_a_kernel_with_an_older_or_another_helpers_is_told(monkeypatch, tmp_path):
    helpers_text.check_imported()
    write(monkeypatch, tmp_path, f"# a comment\n{TEXT}")
    with pytest.raises(InvalidInput, match="was imported from "):
        helpers_text.check_imported()
    (tmp_path / "link").symlink_to(tmp_path)
    monkeypatch.setattr(helpers, "__file__", str(tmp_path / "link" / "helpers.py"))
    helpers_text.check_imported()
    write(monkeypatch, tmp_path, change(RELU, "return x"))
    with pytest.raises(InvalidInput, match="Restart the kernel"):
        helpers_text.check_imported()
