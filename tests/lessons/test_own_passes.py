"""The cells that a student fills in in learn.ipynb: what counts as right or wrong."""

import linecache

import nbformat
import numpy as np
import pytest

import helpers
from pipeline.lessons import own_passes
from pipeline.paths import NOTEBOOKS
from pipeline.reports.answers import fold_answer

CODE = {
    cell.id: cell.source
    for cell in nbformat.read(NOTEBOOKS / "learn.ipynb", as_version=4).cells
    if cell.cell_type == "code"
}
RIGHT = (
    "np.maximum(0, inputs @ weights_1)",
    "hidden @ weights_2",
    "scores - target",
    "scores_signal @ weights_2.T * (hidden > 0)",
    "inputs.T @ hidden_signal",
    "hidden.T @ scores_signal",
)
NO_SLOPE = "scores_signal @ weights_2.T"
WRONG = [  # the place of a line, what stands there, and what is said of it
    (0, "inputs @ weights_1", "the ReLU is missing"),
    (0, "max(0, inputs @ weights_1)", "np.maximum"),
    (0, "(inputs @ weights_1).clip(0)[0]", "hidden has the shape (2,), but (1, 2)"),
    (0, "np.maximum(0, inputs @ weight_1)", "NameError"),
    (1, "hidden @ weights_2.T", "must not be transposed here"),
    (1, "weights_2 @ hidden", "left of an @"),
    (1, "np.maximum(0, hidden @ weights_2)", "scores are not"),
    (2, "2 * (scores - target)", "a factor of 2 is too much"),
    (2, "target - scores", "the sign is wrong"),
    (2, "(scores - target) ** 2", "not squared"),
    (3, "scores_signal @ weights_2.T * hidden", "and not the activation"),
    (3, NO_SLOPE, "the original's slip"),
    (3, "scores_signal @ weights_2.T * (hidden >= 0)", "the original's slip"),
    (3, "scores_signal @ weights_2 * (hidden > 0)", "to be transposed"),
    (3, "scores_signal @ weights_2.T * hidden > 0", "in parentheses"),
    (3, "scores_signal * weights_2.T", "gradient_1 = inputs.T @ hidden_signal"),
    (3, "scores_signal @ weights_2.T * (scores > 0)", "(1,4) (1,3)"),
    (3, "scores_signal @ weights_2.T * hidden / 2", "computes something else"),
    (3, "7 * scores_signal", "not equal: work out by hand"),
    (4, "hidden_signal.T @ inputs", "columns of gradient_1 are exchanged"),
    (4, "inputs.T @ scores_signal", "not those of the scores"),
    (4, "weights_1 - 0.1 * inputs.T @ hidden_signal", "work out by hand"),
    (5, "scores_signal.T @ hidden", "columns of gradient_2 are exchanged"),
    (0, "...", "hidden is not written yet"),
]
WRONG_LINES = [  # the cell, what stands in its line, and what is said of it
    ("write-mean", "inputs.T @ signals", "that is the sum"),
    ("write-mean", "inputs.T @ signals / 3", "not of inputs"),
    ("write-mean", "inputs.T @ signals / 4", "right on paper, but"),
    ("write-mean", "signals.T @ inputs / len(inputs)", "rows and columns of mean"),
    ("write-mean", "np.outer(inputs.mean(0), signals.mean(0))", "product of the means"),
    ("write-mean", "float(np.mean(inputs.T @ signals))", "shape (), but (3, 2)"),
    ("write-mean", "inputs @ signals", "left of an @"),
    ("write-mean", "'text'", "arrays of numbers"),
    ("write-slope", "hidden > 0", "the true slope"),
    ("write-mask", "draws >= 0.5", "count twice"),
    ("write-mask", "(draws >= 0.5) / 2", "not half"),
    ("write-mask", "2 * (draws < 0.5)", "the ones to drop"),
    ("write-mask", "2 * draws * (draws >= 0.5)", "work out by hand"),
    ("write-mask", "np.array([[0, 2, 0, 2]])", "right on paper, but"),
]


@pytest.fixture(scope="module")
def names():
    """The names that learn.ipynb has set before the first cell that is filled in."""
    names = {name: getattr(helpers, name) for name in ("forward", "backward")}
    names |= {
        "scale": helpers.scale,
        "one_hot": helpers.one_hot,
        "fold_answer": fold_answer,
    }
    names |= {"np": np, "own_passes": own_passes, "Diagram": lambda *_, **options: None}
    exec(CODE["paper"], names)
    return names


def execute(source, names):
    """Execute a cell whose lines can be shown in an error, as in Jupyter."""
    lines = source.splitlines(keepends=True)
    linecache.cache["cell"] = len(source), None, lines, "cell"
    exec(compile(source, "cell", "exec"), names)


def write(names, lines):
    """Execute the cell in which the passes are written, with these lines."""
    before, *others = CODE["write"].split("...")
    pairs = zip(lines, others, strict=True)
    execute(before + "".join(line + rest for line, rest in pairs), names)


def test_the_cell_of_the_lesson_says_that_nothing_is_written(names, capsys):
    exec(CODE["write"], names)
    assert capsys.readouterr().out.count("not written yet\n") == 2


def test_the_solution_in_the_cell_of_the_lesson_is_equal(names, capsys):
    write(names, RIGHT)
    printed = capsys.readouterr().out.splitlines()
    assert printed[1:3] == ["scores     yours 2 -2 / true 2 -2", "equal"]
    assert printed[4:] == ["gradient_2 yours 2 -4; 0 0 / true 2 -4; 0 0", "equal"]


@pytest.mark.parametrize(("place", "wrong", "said"), WRONG)
def test_a_mistake_in_the_lesson_is_named(names, place, wrong, said, capsys):
    write(names, [*RIGHT[:place], wrong, *RIGHT[place + 1 :]])
    printed = capsys.readouterr().out
    assert said in printed
    assert printed.split("\n").count("equal") == 1  # that of the other function
    ends = "not equal:", "right on paper, but", "stops with an error"
    assert sum(printed.count(end) for end in ends) == 1


def test_passes_that_change_what_they_are_given_do_not_train(names, capsys):
    before = [each.copy() for each in (names["paper_inputs"], *names["paper"])]
    for place, line, changed in (
        (0, "np.maximum(0, inputs @ weights_1); weights_1 += 1", "weights"),
        (2, "np.subtract(scores, target, out=scores)", "scores"),
        (4, "inputs.T @ hidden_signal; weights_1 -= 0.1 * gradient_1", "weights"),
        (5, "hidden.T @ scores_signal; inputs *= 0", "inputs"),
    ):
        write(names, [*RIGHT[:place], line, *RIGHT[place + 1 :]])
        printed = capsys.readouterr().out
        assert printed.split("\n").count("equal") == 1
        assert f"right on paper, but it changes {changed}:" in printed
        chosen = own_passes.replace_incorrect(names["my_forward"], names["my_backward"])
        assert f"changes {changed}, which" in capsys.readouterr().out
        mine = names["my_forward"] if place < 2 else names["my_backward"]
        assert mine not in chosen
    for now, then in zip((names["paper_inputs"], *names["paper"]), before, strict=True):
        assert np.array_equal(now, then)


def test_arrays_in_the_wrong_order_are_named(names, capsys):
    write(names, RIGHT)
    for name, check in (
        ("my_forward", own_passes.check_forward),
        ("my_backward", own_passes.check_backward),
    ):
        inputs, target, paper = (
            names[each] for each in ("paper_inputs", "paper_target", "paper")
        )
        given = (inputs, paper) if name == "my_forward" else (inputs, target, paper)
        capsys.readouterr()
        check(lambda *each, name=name: names[name](*each)[::-1], *given)
        assert "first, and then" in capsys.readouterr().out


def test_who_passes_the_result_is_asked_for_the_function(names, capsys):
    write(names, RIGHT)
    inputs, paper = names["paper_inputs"], names["paper"]
    capsys.readouterr()
    own_passes.check_forward(names["my_forward"](inputs, paper), inputs, paper)
    assert "function itself" in capsys.readouterr().out


@pytest.mark.parametrize(("places", "count"), [((3, 4), 1), ((1,), 1), ((0, 1), 0)])
def test_lines_that_are_written_are_compared(names, places, count, capsys):
    write(names, ["..." if i in places else line for i, line in enumerate(RIGHT)])
    printed = capsys.readouterr().out
    assert printed.split("\n").count("right so far") == count
    assert printed.split("\n").count("equal") == 1


def test_weights_after_a_step_are_no_gradients(names, capsys):
    step = "weights_{0} - 0.1 * {1}"
    lines = [*RIGHT[:4], step.format(1, RIGHT[4]), step.format(2, RIGHT[5])]
    write(names, lines)
    assert "not the weights after a step" in capsys.readouterr().out


@pytest.mark.parametrize("returned", ["text", (1, 2, 3), (np.ones(2),)])
def test_what_returns_no_two_arrays_is_told_what_to_return(returned, capsys):
    paper = np.ones((3, 2)), np.ones((2, 2))
    own_passes.check_forward(lambda *_: returned, np.ones((1, 3)), paper)
    assert "arrays of numbers" in capsys.readouterr().out


def test_the_passes_that_are_right_train_and_those_of_helpers_else(names, capsys):
    for lines, mine in (
        (RIGHT, ("my_forward", "my_backward")),
        ((*RIGHT[:5], "..."), ("my_forward", "backward")),
        (("...", *RIGHT[1:]), ("forward", "my_backward")),
        ((*RIGHT[:2], "target - scores", *RIGHT[3:]), ("my_forward", "backward")),
        (("inputs @ weights_1", *RIGHT[1:]), ("forward", "my_backward")),
        ((*RIGHT[:3], NO_SLOPE, *RIGHT[4:]), ("my_forward", "backward")),
    ):
        write(names, lines)
        capsys.readouterr()
        chosen = own_passes.replace_incorrect(names["my_forward"], names["my_backward"])
        printed = capsys.readouterr().out
        assert printed.count("yours\n") == sum(name.startswith("my") for name in mine)
        expected = [names[name] for name in mine]
        expected = [
            own_passes.true_backward if each is helpers.backward else each
            for each in expected
        ]
        assert [*chosen] == expected


def write_line(names, cell, line):
    """Execute a cell in which one line is written."""
    before, after = CODE[cell].split("...", 1)
    execute(f"{before}{line}{after}", names)


@pytest.mark.parametrize(
    ("cell", "line"),
    [
        ("write-mean", "inputs.T @ signals / len(inputs)"),
        ("write-mean", "inputs.T @ (signals / inputs.shape[0])"),
        ("write-slope", "hidden >= 0"),
        ("write-slope", "np.ones(hidden.shape)"),
        ("write-mask", "(draws >= 0.5) / 0.5"),
        ("write-mask", "np.where(draws < 0.5, 0, 2)"),
    ],
)
def test_a_line_that_is_right_is_equal(names, cell, line, capsys):
    exec(CODE[cell], names)
    assert capsys.readouterr().out.endswith(" is not written yet\n")
    write_line(names, cell, line)
    assert capsys.readouterr().out.endswith("\nequal\n")


@pytest.mark.parametrize(("cell", "wrong", "said"), WRONG_LINES)
def test_a_mistake_in_one_line_is_named(names, cell, wrong, said, capsys):
    write_line(names, cell, wrong)
    printed = capsys.readouterr().out
    assert said in printed
    assert "\nequal\n" not in printed


@pytest.mark.parametrize(
    ("place", "wrong", "said"),
    [
        (2, "target - scores", "sign is wrong"),
        (3, "scores_signal @ weights_2.T", "slip"),
    ],
)
def test_a_mistake_is_named_while_other_lines_are_not_written(
    names, place, wrong, said, capsys
):
    lines = [*RIGHT[:place], wrong, *RIGHT[place + 1 :]]
    lines[5 if place == 3 else 4] = "..."
    write(names, lines)
    assert said in capsys.readouterr().out


def test_the_weight_that_is_nudged_exists_in_the_smallest_network(names, sample):
    weights = helpers.initial_weights(np.random.RandomState(1), 1)
    data = {"images": sample["x_train"][:9], "labels": sample["y_train"][:9]}
    scope = names | data | {"weights": weights, "hidden_size": 1}
    execute(CODE["nudge"], scope)
    assert np.isclose(scope["slope"], scope["gradients"][0][scope["place"]])
