"""What is printed about the functions that a reader writes in learn and choose."""

import nbformat
import numpy as np
import pytest

from lesson import grader
from pipeline.paths import NOTEBOOKS

CODE = {
    cell.id: cell.source
    for name in ("learn", "choose")
    for cell in nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4).cells
}
RIGHT = (
    "np.maximum(0, inputs @ weights_1)",
    "hidden @ weights_2",
    "scores - target",
    "scores_signal @ weights_2.T * (hidden > 0)",
    "inputs.T @ hidden_signal",
    "hidden.T @ scores_signal",
)
BACK = "scores_signal @ weights_2.T"
SLOPE = "inactive units have the slope 1."
CUT = "what comes back is cut at 0"
IN_RANDOM = "in a random network, "
WRONG = [  # the place of a line, what stands there, the first wrong number, the cause
    (0, "inputs @ weights_1", "hidden[0, 1] is -3, not 0", "sums are not cut"),
    (0, "np.abs(inputs @ weights_1)", "hidden[0, 1] is 3, not 0", "only lose"),
    (0, "[2, 0]", "hidden has the shape (2,), not (1, 2)", ""),
    (1, "hidden @ weights_2.T", "scores[0, 1] is 6, not -2", "is transposed"),
    (1, "np.maximum(0, hidden @ weights_2)", "is 0, not -2", "scores are cut"),
    (1, "hidden @ weights_2 * (hidden > 0)", "scores[0, 1] is 0, not -2", ""),
    (2, "target - scores", "gradient_2[0, 0] is -2, not 2", "by -1."),
    (2, "2 * (scores - target)", "gradient_2[0, 0] is 4, not 2", "by 2."),
    (2, "(scores - target) ** 2", "is 8, not -4", "is squared"),
    (2, "(scores - target) ** 2 / 2", "is 1, not 2", "the loss"),
    (2, "hidden - target", "gradient_2[0, 1] is 0, not -4", ""),
    (3, BACK, "gradient_1[0, 1] is 1, not 0", SLOPE),
    (3, f"{BACK} * (hidden >= 0)", "gradient_1[0, 1] is 1, not 0", SLOPE),
    (3, f"np.maximum(0, {BACK})", "gradient_1[0, 1] is 1, not 0", CUT),
    (3, "hidden - target", "gradient_1[0, 0] is 1, not 3", ""),
    (3, f"{BACK} * hidden > 0", "gradient_1[0, 0] is 1, not 3", ""),
    (3, f"{BACK} * hidden", "gradient_1[0, 0] is 6, not 3", "its activation"),
    (3, f"np.maximum(0, {BACK}) * (hidden > 0)", IN_RANDOM + "gradient_1[", CUT),
    (3, f"np.abs({BACK}) * (hidden > 0)", IN_RANDOM + "gradient_1[", "its sign"),
    (3, f"{BACK} * hidden / 2", IN_RANDOM + "gradient_1[", ""),
    (3, f"-{BACK} * (hidden > 0)", "is -3, not 3", "gradient_1 is multiplied by -1."),
    (3, "scores_signal @ weights_2 * (hidden > 0)", "is -5, not 3", "not transposed"),
    (4, "inputs.T @ scores_signal", "is 1, not 3", "from scores_signal"),
    (4, "hidden_signal.T @ inputs", "has the shape (2, 3), not", "is transposed"),
    (5, "scores_signal.T @ hidden", "is 0, not -4", "gradient_2 is transposed"),
    (2, "(scores - target) / 2", "gradient_2[0, 0] is 1, not 2", "by 0.5."),
    (2, "(scores - target) / scores.size", "is 1, not 2", "a mean over"),
    (2, "np.maximum(0, scores - target)", "is 0, not -4", "target is cut"),
    (2, "0 * scores", "gradient_2[0, 0] is 0, not 2", ""),
    (3, "scores_signal * (hidden > 0)", "is 1, not 3", "leaves out"),
    (3, f"{BACK} * (hidden <= 0)", "gradient_1[0, 0] is 0, not 3", "active ones 0"),
    (
        4,
        "inputs.T @ hidden_signal; gradient_1 = gradient_1 * 3",
        "is 9, not 3",
        "by 3.",
    ),
    (5, "hidden.T @ scores_signal + 1", "gradient_2[0, 0] is 3, not 2", ""),
    (5, "hidden.T @ scores_signal + [[0], [1]]", "gradient_2[1, 0] is 1, not 0", ""),
    (
        5,
        "hidden.T @ hidden_signal",
        "gradient_2[0, 0] is 6, not 2",
        "from hidden_signal",
    ),
]
UNWRITTEN = "not written yet, because a ... is left\n"
RAISED = [  # the place of a line, what stands there, and what Python says
    (0, "max(0, inputs @ weights_1)", "ambiguous"),
    (1, "weights_2 @ hidden", "matmul"),
    (1, "'text'", "could not convert"),
    (2, "np.mean(scores - target)", "matmul"),
    (2, "np.subtract(scores, target, out=scores)", "read-only"),
    (4, "inputs.T @ hidden_signal; weights_1 -= 0.1 * gradient_1", "read-only"),
]


@pytest.fixture
def names():
    """The names that learn.ipynb has set before the first cell that is filled in."""
    names = {"np": np, "grader": grader}
    paper = CODE["paper"].removeprefix("fold_answer()\n").partition("Diagram(")[0]
    exec(paper, names)
    return names


def write(names, cell, lines):
    """Execute a cell in which each `...` is replaced by a line."""
    before, *others = CODE[cell].split("...")
    pairs = zip(lines, others, strict=True)
    exec(before + "".join(line + rest for line, rest in pairs), names)


def test_passes_that_are_right_are_equal_and_train(names, capsys):
    write(names, "write", RIGHT)
    assert capsys.readouterr().out == "forward pass: equal\nbackward pass: equal\n"
    assert names["forward_is_right"]
    assert names["backward_is_right"]


def test_what_is_not_written_yet_does_not_train(names, capsys):
    write(names, "write", ["..."] * 6)
    assert capsys.readouterr().out.count(UNWRITTEN) == 2
    assert not names["forward_is_right"]
    assert not names["backward_is_right"]


@pytest.mark.parametrize("place", range(6))
def test_a_pass_with_one_line_left_is_not_written_yet(names, place, capsys):
    write(names, "write", [*RIGHT[:place], "...", *RIGHT[place + 1 :]])
    printed = capsys.readouterr().out
    assert UNWRITTEN in printed
    assert printed.count("equal") == 1  # the other pass


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("return hidden, scores", ""),
        ("return hidden, scores", "return scores"),
        ("return gradient_1, gradient_2", ""),
        ("return gradient_1, gradient_2", "return gradient_1"),
    ],
)
def test_a_pass_has_to_return_both_results(names, right, wrong, capsys, monkeypatch):
    monkeypatch.setitem(CODE, "write", CODE["write"].replace(right, wrong))
    write(names, "write", RIGHT)
    printed = capsys.readouterr().out
    assert "return both results" in printed
    assert printed.count("equal") == 1


@pytest.mark.parametrize(("place", "line", "difference", "cause"), WRONG)
def test_the_first_wrong_number_is_printed_and_only_a_true_cause(
    names, place, line, difference, cause, capsys
):
    write(names, "write", [*RIGHT[:place], line, *RIGHT[place + 1 :]])
    printed = capsys.readouterr().out
    assert difference in printed
    assert printed.count("equal") == 1  # the other pass
    assert printed.count("This is the result if") == bool(cause)
    assert cause in printed
    assert ", or if" not in printed
    is_right = names["forward_is_right"], names["backward_is_right"]
    assert is_right == (place > 1, place < 2)


def test_no_cause_is_named_for_two_mistakes_at_once(names, capsys):
    write(names, "write", [*RIGHT[:2], "target - scores", BACK, *RIGHT[4:]])
    assert "This is the result" not in capsys.readouterr().out


@pytest.mark.parametrize(("place", "line", "message"), RAISED)
def test_what_is_raised_is_not_caught(names, place, line, message):
    names |= {"forward_is_right": True, "backward_is_right": True}  # as once before
    with pytest.raises(ValueError, match=message):
        write(names, "write", [*RIGHT[:place], line, *RIGHT[place + 1 :]])
    assert not names["forward_is_right"]
    assert not names["backward_is_right"]


@pytest.mark.parametrize(
    ("cell", "line", "printed"),
    [
        ("write-mean", "inputs.T @ signals / len(inputs)", "equal"),
        ("write-mean", "inputs.T @ signals", "mean[0, 0] is 5, not 1.25"),
        ("write-mean", "np.mean(inputs.T @ signals)", "mean has the shape (), not"),
        ("write-mean", "...", UNWRITTEN),
        ("write-slope", "hidden >= 0", "equal"),
        ("write-slope", "hidden > 0", "slope[0, 0] is 0, not 1"),
        ("write-slope", "[1, 1, 1]", "slope has the shape (3,), not (1, 3)"),
        ("write-mask", "(draws >= 0.5) / 0.5", "equal"),
        ("write-mask", "draws >= 0.5", "mask[0, 1] is 1, not 2"),
    ],
)
def test_a_function_of_one_line_is_checked(names, cell, line, printed, capsys):
    write(names, cell, [line])
    assert printed in capsys.readouterr().out
