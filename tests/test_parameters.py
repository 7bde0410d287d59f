import pytest

from pipeline import parameters
from pipeline.parameters import ParameterError, Parameters

ORIGINAL = {
    "num_samples": 1000,
    "normalisation": 255,
    "hidden_size": 40,
    "learning_rate": 0.005,
    "epochs": 100,
    "dropout_rate": 0.5,
    "relu_grad_at_zero": 1,
    "batch_size": 1,
    "seed": 1,
}
WRONG_VALUES = [
    ("source", "smaple", "'sample', 'mnist', 'fashion_mnist'"),
    ("source", 3, "'sample', 'mnist', 'fashion_mnist'"),
    ("num_samples", 0, "1 or more"),
    ("num_validation", -1, "0 or more"),
    ("normalisation", 0, "above 0"),
    ("normalisation", float("inf"), "above 0"),
    ("hidden_size", 40.0, "a whole number"),
    ("hidden_size", True, "a whole number"),
    ("learning_rate", -0.1, "above 0"),
    ("learning_rate", float("nan"), "above 0"),
    ("learning_rate", "fast", "above 0"),
    ("learning_rate_decay", 1.1, "at most 1"),
    ("learning_rate_decay", float("nan"), "at most 1"),
    ("epochs", None, "1 or more"),
    ("dropout_rate", 1, "below 1"),
    ("relu_grad_at_zero", 2, "0 or 1"),
    ("relu_grad_at_zero", True, "0 or 1"),
    ("batch_size", 0, "1 or more"),
    ("seed", 2**32, "4294967295"),
    ("run_dir", "  ", "the path of a folder"),
]


def test_defaults_are_the_originals():
    assert Parameters().model_dump(include=set(ORIGINAL)) == ORIGINAL


@pytest.mark.parametrize(("name", "value", "allowed"), WRONG_VALUES)
def test_a_wrong_value_is_refused_by_name_value_and_what_is_allowed(name, value, allowed):
    with pytest.raises(ParameterError) as caught:
        parameters.from_values({name: value})
    message = str(caught.value)
    assert message.startswith(f"{name} is {value!r}, but must be ")
    assert allowed in message
    assert f"Its default is {Parameters.model_fields[name].default!r}" in message


def test_all_wrong_values_are_told_at_once():
    with pytest.raises(ParameterError, match=r"(?s)epochs is 0.*\nseed is -1"):
        parameters.from_values({"epochs": 0, "seed": -1})


@pytest.mark.parametrize(
    ("misspelt", "nearest"), [("learning_rte", "learning_rate"), ("epoch", "epochs"), ("hiden_size", "hidden_size")]
)
def test_a_misspelt_name_is_refused_with_the_nearest_one(misspelt, nearest):
    with pytest.raises(ParameterError, match=f"no parameter '{misspelt}'. Did you mean {nearest}?"):
        parameters.from_values({misspelt: 1})


def test_an_unlike_name_is_refused_with_the_whole_list():
    with pytest.raises(ParameterError) as caught:
        parameters.from_strings({"zzz": "1"})
    assert "Did you mean" not in str(caught.value)
    assert ", ".join(parameters.NAMES) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("learning_rate", "1e-3", 0.001),
        ("epochs", "7", 7),
        ("source", "123.npz", "123.npz"),
        ("normalisation", "1", 1.0),
    ],
)
def test_text_is_read_by_the_parameters_type(name, text, value):
    found = getattr(parameters.from_strings({name: text}), name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(("name", "text"), [("epochs", "7.5"), ("epochs", "True"), ("learning_rate", "0,01")])
def test_text_that_is_no_such_value_is_refused(name, text):
    with pytest.raises(ParameterError, match=f"{name} is '{text}'"):
        parameters.from_strings({name: text})


def test_differing_lists_what_is_not_at_its_default():
    chosen = parameters.from_values({"epochs": 3, "seed": 1, "run_dir": "runs/x"})
    assert parameters.differing(chosen) == {"epochs": 3}


def notebook(*injected, declared="# Parameters\nepochs: int = 100  # passes\nseed: int = 1", **values):
    """The namespace of a notebook whose parameter cells have just been executed."""
    return {"In": ["", "import numpy", declared, *injected, "check(globals())"], "epochs": 100, "seed": 1} | values


def test_check_accepts_declared_parameters():
    parameters.check(notebook())
    parameters.check(notebook("# Parameters\nepochs = 3\n", epochs=3))


def test_check_refuses_a_wrong_value_in_the_namespace():
    with pytest.raises(ParameterError, match="epochs is 0"):
        parameters.check(notebook("# Parameters\nepochs = 0\n", epochs=0))


def test_check_refuses_a_misspelt_name_that_papermill_injected():
    with pytest.raises(ParameterError, match="no parameter 'epoch'. Did you mean epochs?"):
        parameters.check(notebook("# Parameters\nepoch = 3\n", epoch=3))


def test_check_refuses_a_misspelt_name_in_the_notebooks_own_cell():
    with pytest.raises(ParameterError, match="no parameter 'epohcs'. Did you mean epochs?"):
        parameters.check(notebook(declared="# Parameters\nepohcs: int = 3\nseed: int = 1", epohcs=3))


def test_check_refuses_another_notebooks_parameter_which_would_change_nothing():
    with pytest.raises(ParameterError, match="hidden_size: not a parameter of this notebook, which takes epochs, seed"):
        parameters.check(notebook("# Parameters\nhidden_size = 3\n", hidden_size=3))


def test_check_leaves_other_cells_and_earlier_mistakes_alone():
    history = ["", "# Parameters\nepohcs: int = 3", "epohcs = 4", *notebook()["In"][1:]]
    parameters.check(notebook() | {"In": history, "epohcs": 4, "figure": object()})


def test_check_takes_the_notebooks_own_cell_as_declaring_also_without_types():
    parameters.check(notebook(declared="# Parameters\nepochs = 50\nseed = 1", epochs=50))
    parameters.check(notebook(declared="# Parameters\nepochs, seed = 50, 1", epochs=50))
    with pytest.raises(ParameterError, match="hidden_size: not a parameter of this notebook"):
        parameters.check(notebook("# Parameters\nhidden_size = 3", declared="# Parameters\nepochs = 50", hidden_size=3))
