import re

import pytest

from pipeline import parameters
from pipeline.errors import InvalidInput
from pipeline.parameters import Parameters

ORIGINAL = {"num_samples": 1000, "normalisation": 255, "hidden_size": 40, "epochs": 100}
ORIGINAL |= {"learning_rate": 0.005, "learning_rate_decay": 1, "batch_size": 1}
ORIGINAL |= {"dropout_rate": 0.5, "input_dropout_rate": 0, "relu_grad_inactive": 1}
# What each range says, as the ends that are allowed and values that are not.
ENDS = {
    r"from ([\d,^]+)": lambda low: ([low], [low - 1]),
    r"above (\d+)": lambda low: ([low + 1e-9], [low, -1.0]),
    r"to ([\d,^]+)$": lambda high: ([high], [high + 1]),
    r"at most (\d+)": lambda high: ([high], [high + 1e-3]),
    r"to below (\d+)": lambda high: ([high - 1e-3], [high]),
}
KINDS = {"hidden_size": 40.0, "epochs": None, "relu_grad_inactive": True}


def test_defaults_are_the_originals():
    defaults = Parameters().model_dump(exclude={"source", "num_validation"})
    assert defaults == ORIGINAL | {"seed": 1}


@pytest.mark.parametrize("name", [n for n in parameters.NAMES if n != "source"])
def test_each_number_has_the_range_that_messages_name(name):
    text = parameters.describe_allowed(name)
    inside, outside = [], [KINDS.get(name, "4"), float("nan"), float("inf")]
    for pattern, find_values in ENDS.items():
        if found := re.search(pattern, text):
            end = eval(found[1].replace(",", "").replace("^", "**"))
            allowed, refused = find_values(end)
            inside += allowed
            outside += refused
    assert inside
    for value in inside:
        assert getattr(parameters.from_values({name: value}), name) == value
    for value in outside:
        with pytest.raises(InvalidInput, match=f"{name} is {value!r}, but must be"):
            parameters.from_values({name: value})


@pytest.mark.parametrize(("value", "whole"), [(0.0, 0), (-0.0, 0), (1.0, 1), (1, 1)])
def test_a_whole_slope_stays_whole_in_ids_and_commands(value, whole):
    found = parameters.from_values({"relu_grad_inactive": value})
    assert repr(found.relu_grad_inactive) == repr(whole)
    text = parameters.from_strings({"relu_grad_inactive": str(value)})
    assert repr(text.relu_grad_inactive) == repr(whole)


def test_all_wrong_values_are_refused_at_once_with_what_is_allowed():
    with pytest.raises(InvalidInput) as caught:
        parameters.from_values({"source": " ", "seed": -1})
    first, second = str(caught.value).splitlines()
    assert first.startswith("source is ' '")
    assert "'sample', 'mnist', 'fashion_mnist'" in first
    assert second.startswith("seed is -1")
    assert "from 0 to 4294967295. Its default is 1." in second


def test_what_differs_is_described_and_in_the_command():
    texts = {"source": "my data.npz", "num_validation": "0", "epochs": "3"}
    texts |= {"learning_rate": "5e-3", "dropout_rate": "-0.0"}
    chosen = parameters.from_strings(texts)
    values = {"source": "my data.npz", "num_validation": 0, "epochs": 3}
    assert parameters.find_changed(dict(chosen)) == values | {"dropout_rate": 0.0}
    assert "num_validation" not in parameters.find_changed_from_original(chosen)
    options = "-p source 'my data.npz' -p num_validation 0 -p epochs 3 -p dropout_rate"
    command = f"python -m pipeline run --run-dir runs/x {options} 0.0"
    assert parameters.make_command(chosen, "runs/x") == command


LONG = dict.fromkeys(("num_samples", "num_validation", "hidden_size"), 123456)
LONG |= {"learning_rate": 0.00123, "seed": 123456}


@pytest.mark.parametrize(
    ("values", "folder"),
    [
        ({}, "default"),
        ({"seed": 2, "learning_rate": 0.01}, "learning_rate=0.01,seed=2"),
        ({"source": "~/a b/mine.npz"}, r"source=mine-[0-9a-f]{12}"),
        (
            dict.fromkeys(("num_samples", "num_validation", "hidden_size", "seed"), 7),
            r"num_samples=7,num_validation=7,hidden_size=7,seed=7",
        ),
        (LONG, r"num_samples=123456,num_validation=123456.*-[0-9a-f]{12}"),
    ],
)
def test_a_folder_is_named_after_what_differs(values, folder):
    chosen = parameters.from_values(values)
    assert re.fullmatch(f"runs/{folder}", parameters.choose_run_dir(chosen))


@pytest.mark.parametrize(
    ("values", "other"),
    [({"source": "a/x.npz"}, {"source": "b/x.npz"}), (LONG, LONG | {"seed": 123457})],
)
def test_runs_whose_names_begin_alike_have_different_folders(values, other):
    first, second = map(parameters.from_values, (values, other))
    assert parameters.choose_run_dir(first) != parameters.choose_run_dir(second)


def make_names(*injected, **values):
    """Return the names of a notebook that executes the cell after its parameters."""
    declared = "# Parameters\nepochs: int = 100  # passes\nseed = 1"
    cells = ["", "# Parameters\nepohcs = 1", declared, *injected]
    names = {"epochs": 100, "seed": 1, "axis": object()}
    return names | {"In": [*cells, "check(globals())"]} | values


def test_a_notebook_takes_what_it_declares():
    assert parameters.check(make_names()) == {"epochs": 100, "seed": 1}
    parameters.check(make_names("width = 3", width=3))  # a cell of the user's own
    parameters.check(make_names("# Parameters\nepochs = 3\n", epochs=3))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("epochs", 0, "epochs is 0"),
        ("epoch", 3, "Did you mean epochs?"),
        ("hidden_size", 3, "hidden_size: .* epochs, seed"),
        ("run_dir", " ", "run_dir is ' '"),
        ("run_dirs", [], "run_dirs is \\[\\]"),
    ],
)
def test_a_notebook_refuses_what_is_wrong_or_not_its_own(name, value, message):
    names = make_names(f"# Parameters\n{name} = {value!r}\n", **{name: value})
    with pytest.raises(InvalidInput, match=message):
        parameters.check(names)
