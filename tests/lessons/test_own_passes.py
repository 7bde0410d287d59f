"""The cells of learn.ipynb that a student fills in: what is right, and what wrong."""

import ast
import builtins
import linecache

import nbformat
import numpy as np
import pytest

import helpers
from pipeline import parameters
from pipeline.lessons import own_passes
from pipeline.network import compiled
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
    (3, "scores_signal @ weights_2.T", "the original's slip"),
    (3, "scores_signal @ weights_2.T * (hidden >= 0)", "the original's slip"),
    (3, "scores_signal @ weights_2 * (hidden > 0)", "to be transposed"),
    (3, "scores_signal @ weights_2.T * hidden > 0", "in parentheses"),
    (3, "scores_signal @ weights_2 * (hidden >= 0)", "transposed; the slope"),
    (3, "scores_signal * weights_2.T", "gradient_1 = inputs.T @ hidden_signal"),
    (3, "scores_signal * weights_2.T", "hidden_signal (2, 2)"),
    (3, "scores_signal @ weights_2.T * (scores > 0)", "(1,4) (1,3)"),
    (3, "(scores - paper_target) @ weights_2.T * (hidden > 0)", "(1,3) (1,2)"),
    (3, "(scores_signal @ weights_2.T)[:, range(2)] * (hidden > 0)", "(1,2) (1,4)"),
    (3, "scores_signal @ weights_2.T * hidden / 2", "computes something else"),
    (3, "7 * scores_signal", "not equal: work out by hand"),
    (4, "hidden_signal.T @ inputs", "columns of gradient_1 are exchanged"),
    (4, "inputs.T @ scores_signal", "not those of the scores"),
    (4, "weights_1 - 0.1 * inputs.T @ hidden_signal", "work out by hand"),
    (5, "scores_signal.T @ hidden", "columns of gradient_2 are exchanged"),
    (0, "...", "hidden is not written yet"),
    (0, "np.maximum(0, paper_inputs @ weights_1)", "(n?,k),(k,m?)"),
]
LOOP = """    for i in range(len(images)):
        inputs, target = scale(images[i : i + 1], 255), one_hot(labels[i : i + 1])
        hidden, scores = forward(inputs, weights)
        gradients = backward(inputs, target, hidden, scores, weights, **slope)
        for matrix, gradient in zip(weights, gradients, strict=True):
            matrix -= learning_rate * gradient
"""
WRONG_LOOPS = [  # a part of the loop, what stands in its place, and what is said of it
    ("matrix -= learning", "matrix += learning", "not +="),
    ("learning_rate * ", "", "1 times the gradient, not 0.005"),
    (", **slope", "", "the original's slip"),
    ("range(len(images))", "range(1)", "once for each"),
    ("range(len(images))", "range(len(images) - 1)", "makes no step"),
    ("range(len(images))", "[*range(len(images))] * 2", "a step leads"),
    ("range(len(images))", "range(len(images))[::-1]", "in their order"),
    ("range(len(images))", "range(min(len(images), 20))", "once for each"),
    ("scale(images[i : i + 1], 255)", "images[i : i + 1]", "divided by 255"),
    ("one_hot(labels[i : i + 1])", "labels[i : i + 1]", "not one-hot"),
    ("scale(images[i : i + 1], 255)", "scale(images[i], 255)", "inputs (784,)"),
    ("matrix -= learning_rate", "matrix = matrix - learning_rate", "in place"),
    ("matrix -= learning_rate", "weights[0] -= learning_rate", "is a tuple"),
    ("forward(inputs", "forward(input_", "NameError"),
    ("matrix -= learning_rate * gradient", "matrix -= 7 * gradient", "step is 7 times"),
    ("learning_rate * gradient", "learning_rate * gradient**2", "where a step leads"),
]


@pytest.fixture(scope="module")
def names():
    """The names that the cells of learn.ipynb above the first that is filled in set."""
    names = {name: getattr(helpers, name) for name in ("forward", "backward")}
    names |= {
        "scale": helpers.scale,
        "one_hot": helpers.one_hot,
        "fold_answer": fold_answer,
    }
    names |= {"np": np, "own_passes": own_passes, "Diagram": lambda *_, **options: None}
    names |= {"slope": {"relu_grad_inactive": 0}, "learning_rate": 0.005}
    exec(CODE["paper"], names)
    return names


def execute(source, names):
    """Execute a cell whose lines can be shown in an error, as those of Jupyter."""
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
        chosen = own_passes.choose(names["my_forward"], names["my_backward"])
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
    assert "2 arrays" in capsys.readouterr().out


def test_the_passes_that_are_right_train_and_those_of_helpers_else(names, capsys):
    for lines, mine in (
        (RIGHT, ("my_forward", "my_backward")),
        ((*RIGHT[:5], "..."), ("my_forward", "backward")),
        (("...", *RIGHT[1:]), ("forward", "my_backward")),
        ((*RIGHT[:2], "target - scores", *RIGHT[3:]), ("my_forward", "backward")),
    ):
        write(names, lines)
        capsys.readouterr()
        chosen = own_passes.choose(names["my_forward"], names["my_backward"])
        printed = capsys.readouterr().out
        assert printed.count("yours\n") == sum(name.startswith("my") for name in mine)
        expected = [names[name] for name in mine]
        expected = [
            own_passes.true_backward if each is helpers.backward else each
            for each in expected
        ]
        assert [*chosen] == expected


def run_loop(names, body, images, labels, capsys):
    """Return what the cell prints in which the loop is written."""
    head, rest = CODE["my-loop"].split("    ...", 1)
    weights = helpers.initial_weights(np.random.RandomState(1), 40)
    data = {"images": images, "labels": labels, "weights": weights}
    execute(f"{head}{body}{rest[rest.index(chr(10) * 3) :]}", names | data)
    return capsys.readouterr().out


def test_a_loop_is_compared_with_an_epoch(names, sample, capsys):
    images, labels = sample["x_train"][:100], sample["y_train"][:100]
    weights = helpers.initial_weights(np.random.RandomState(1), 40)
    options = {"dropout_rate": 0, "relu_grad_inactive": 0}
    helpers.train_epoch(images, labels, weights, np.random.RandomState(1), **options)
    accuracy = compiled.evaluate(images, labels, weights)[1]
    printed = run_loop(names, LOOP, images, labels, capsys)
    assert printed.startswith("equal")
    assert f"{accuracy:.3f}" in printed
    assert "Not written" in run_loop(names, "    ...\n", images, labels, capsys)


@pytest.mark.parametrize(("part", "wrong", "said"), WRONG_LOOPS)
def test_a_mistake_in_the_loop_is_named(names, sample, part, wrong, said, capsys):
    images, labels = sample["x_train"][:30], sample["y_train"][:30]
    assert LOOP.count(part) == 1
    printed = run_loop(names, LOOP.replace(part, wrong), images, labels, capsys)
    assert said in printed
    assert not printed.startswith("equal")


def test_a_loop_that_makes_one_step_for_all_images_is_told_so(names, sample, capsys):
    images, labels = sample["x_train"][:30], sample["y_train"][:30]
    at_once = LOOP.replace("range(len(images))", "[...]").replace("[i : i + 1]", "")
    printed = run_loop(names, at_once, images, labels, capsys)
    assert "for one image your loop is right" in printed


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


class Names(ast.NodeVisitor):
    """The names that a cell reads from the cells above it, and those that it sets."""

    def __init__(self, source):
        self.found, self.reads = set(), set()
        self.visit(ast.parse(source))
        self.reads -= self.found | set(dir(builtins))

    def visit_Name(self, node):
        is_read = isinstance(node.ctx, ast.Load)
        (self.reads if is_read else self.found).add(node.id)

    def visit_alias(self, node):
        self.found.add(node.asname or node.name.split(".")[0])

    def visit_FunctionDef(self, node):
        self.found.add(node.name)
        self.visit_scope(node, {each.arg for each in node.args.args})

    def visit_scope(self, node, own=()):
        inner = Names("")
        inner.generic_visit(node)
        self.reads |= inner.reads - inner.found - set(own)

    visit_ListComp = visit_DictComp = visit_GeneratorExp = visit_scope


def test_a_cell_of_the_lesson_can_run_again_after_all_have_run():
    """No cell sets a name anew that an earlier one reads, or that of a parameter."""
    cells = [Names(source) for source in CODE.values()]
    for name, cell in zip(CODE, cells, strict=True):
        assert name == "parameters" or not cell.found & {*parameters.NAMES}
    known = set()
    for i, cell in enumerate(cells):
        assert cell.reads <= known, cell.reads - known
        known |= cell.found
        for later in cells[i + 1 :]:
            assert not cell.reads & later.found, cell.reads & later.found
