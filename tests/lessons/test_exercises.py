"""Wrong answers are recognised.

solutions.ipynb shows that the correct answers of why.ipynb are recognised, too, and
learn.ipynb that empty cells are. Here the cells of learn are filled in.
"""

import nbformat
import numpy as np
import pytest

import helpers
from pipeline.lessons import exercises
from pipeline.paths import NOTEBOOKS

CODE = {
    cell.id: cell.source
    for cell in nbformat.read(NOTEBOOKS / "learn.ipynb", as_version=4).cells
    if cell.cell_type == "code"
}
FORWARD = ("np.maximum(0, inputs @ weights_1)", "hidden @ weights_2")
BACKWARD = (
    "scores - target",
    "scores_signal @ weights_2.T * (hidden > 0)",
    "inputs.T @ hidden_signal",
    "hidden.T @ scores_signal",
)
WRONG = [  # what stands in place of a correct line, and what is said of it
    (FORWARD, 0, "inputs @ weights_1", "the ReLU is missing"),
    (FORWARD, 1, "hidden @ weights_2.T", "must not be transposed here"),
    (FORWARD, 1, "weights_2 @ hidden", "It stops with an error: matmul"),
    (FORWARD, 1, "np.maximum(0, hidden @ weights_2)", "scores are not"),
    (BACKWARD, 1, "scores_signal @ weights_2.T * hidden", "and not the activation"),
    (BACKWARD, 0, "2 * (scores - target)", "a factor of 2 is too much"),
    (BACKWARD, 0, "target - scores", "the sign is wrong"),
    (BACKWARD, 1, "scores_signal @ weights_2.T", "the ReLU's slope, 0 for an"),
    (BACKWARD, 1, "scores_signal @ weights_2 * (hidden > 0)", "to be transposed"),
    (BACKWARD, 2, "hidden_signal.T @ inputs", "columns of gradient_1 are exchanged"),
    (BACKWARD, 3, "scores_signal.T @ hidden", "columns of gradient_2 are exchanged"),
    (BACKWARD, 1, "7 * scores_signal", "not equal: work out by hand"),
    (BACKWARD, 3, "(...).T @ scores_signal", "Are there dots left"),
]


def test_another_number_and_another_exercise_are_not_correct(capsys):
    for exercise, answer in ((2, 176), (1, 175), (2, None)):
        exercises.check(exercise, answer)
        assert "not correct" in capsys.readouterr().out


def find_loss(scores):
    return float(np.log(np.sum(np.exp(scores))) - scores[0, 3])


def find_signal(scores):
    return np.exp(scores) / np.sum(np.exp(scores)) - np.eye(10)[3]


@pytest.mark.parametrize(
    ("loss", "signal", "said"),
    [
        (find_loss, lambda scores: 0.99 * find_signal(scores), "not its derivative"),
        (lambda _: 0.0, np.zeros_like, "the loss is another"),
    ],
)
def test_a_wrong_loss_and_a_wrong_error_signal_are_told_apart(
    loss, signal, said, capsys
):
    exercises.check_derivative(8, loss, signal, (1, 10))
    printed = capsys.readouterr().out
    assert "not correct" in printed
    assert said in printed


def fill_in(lines):
    """Execute the cell of learn.ipynb that has these lines to fill in."""
    source = CODE["my-forward" if len(lines) == len(FORWARD) else "my-backward"]
    before, *others = source.split("...")
    pairs = zip(lines, others, strict=True)
    source = before + "".join(line + rest for line, rest in pairs)
    names = {name: getattr(helpers, name) for name in ("forward", "backward")}
    names |= {"np": np, "exercises": exercises, "Diagram": lambda *_, **options: None}
    exec(CODE["paper"], names)
    exec(CODE["helpers-on-paper"], names)
    exec(source, names)


def test_the_solution_in_the_cells_of_the_lesson_is_equal(capsys):
    for lines, last in (
        (FORWARD, "scores     yours 2 -2 / true 2 -2"),
        (BACKWARD, "gradient_2 yours 2 -4; 0 0 / true 2 -4; 0 0"),
    ):
        fill_in(lines)
        assert capsys.readouterr().out.splitlines()[-2:] == [last, "equal"]


@pytest.mark.parametrize("returned", ["text", (1, 2, 3), (np.ones(2),)])
def test_what_returns_no_two_arrays_is_told_what_to_return(returned, capsys):
    paper = np.ones((3, 2)), np.ones((2, 2))
    exercises.check_forward(lambda *_: returned, np.ones((1, 3)), paper)
    assert "2 arrays" in capsys.readouterr().out


@pytest.mark.parametrize(("lines", "place", "wrong", "said"), WRONG)
def test_a_mistake_in_the_lesson_is_named(lines, place, wrong, said, capsys):
    fill_in([*lines[:place], wrong, *lines[place + 1 :]])
    printed = capsys.readouterr().out
    assert said in printed
    assert "equal" not in printed.split()
    assert printed.count("not equal") + printed.count("stops with") == 1
