import pytest

from pipeline import parameters
from pipeline.errors import InvalidParameter
from pipeline.parameters import ROOT, Parameters

ORIGINAL = {"num_samples": 1000, "normalisation": 255, "hidden_size": 40, "learning_rate": 0.005}
ORIGINAL |= {
    "epochs": 100,
    "dropout_rate": 0.5,
    "relu_grad_inactive": 1,
    "batch_size": 1,
    "seed": 1,
}
WRONG = [
    ("source", " ", "'sample', 'mnist', 'fashion_mnist'"),
    ("num_samples", 0, "from 1 to 10^9"),
    ("num_validation", -1, "from 0 to 10^9"),
    ("normalisation", 0, "above 0"),
    ("hidden_size", 40.0, "a whole number"),
    ("learning_rate", float("nan"), "above 0"),
    ("learning_rate", float("inf"), "above 0"),
    ("learning_rate", "fast", "above 0"),
    ("learning_rate_decay", 1.1, "at most 1"),
    ("epochs", None, "from 1 to 100,000"),
    ("epochs", 100_001, "from 1 to 100,000"),
    ("dropout_rate", 1, "below 1"),
    ("input_dropout_rate", -0.1, "below 1"),
    ("relu_grad_inactive", 2, "0 or 1"),
    ("relu_grad_inactive", True, "0 or 1"),
    ("batch_size", 0, "from 1 to 10^9"),
    ("seed", 2**32, "4294967295"),
]


def test_defaults_are_the_originals():
    assert Parameters().model_dump(include=set(ORIGINAL)) == ORIGINAL


@pytest.mark.parametrize(("name", "value", "allowed"), WRONG)
def test_a_wrong_value_is_refused_with_what_is_allowed(name, value, allowed):
    with pytest.raises(InvalidParameter) as caught:
        parameters.from_values({name: value})
    message = str(caught.value)
    assert message.startswith(f"{name} is {value!r}, but must be ")
    assert allowed in message
    assert f"Its default is {Parameters.model_fields[name].default!r}" in message


def test_all_wrong_values_are_in_one_message():
    with pytest.raises(InvalidParameter, match=r"(?s)epochs is 0.*\nseed is -1"):
        parameters.from_values({"epochs": 0, "seed": -1})


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("learning_rte", "Did you mean learning_rate? "),
        ("epoch", "Did you mean epochs? "),
        ("z", ""),
    ],
)
def test_a_misspelt_name_is_refused_with_the_nearest_and_all_names(name, hint):
    with pytest.raises(InvalidParameter) as caught:
        parameters.from_strings({name: "1"})
    names = ", ".join(Parameters.model_fields)
    assert str(caught.value) == (
        f"There is no parameter {name!r}. {hint}The parameters are: {names}."
    )


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("learning_rate", "1e-3", 0.001),
        ("epochs", "7", 7),
        ("source", "123.npz", "123.npz"),
        ("normalisation", "1", 1.0),
        ("dropout_rate", "-0.0", 0.0),
    ],
)
def test_text_is_read_by_the_type(name, text, value):
    assert repr(getattr(parameters.from_strings({name: text}), name)) == repr(value)


def test_what_differs_is_described_and_in_the_command():
    values = {"source": "my data.npz", "num_validation": 0, "epochs": 3, "seed": 1}
    chosen = parameters.from_values(values)
    assert parameters.find_changed(dict(chosen)) == {k: values[k] for k in list(values)[:3]}
    assert parameters.find_unoriginal(chosen) == {"source": "my data.npz", "epochs": 3}
    assert parameters.describe({"epochs": 3, "seed": 1}) == "epochs 3, seed 1"
    assert parameters.make_command(dict(chosen), "runs/x") == (
        "python -m pipeline run --run-dir runs/x "
        "-p source 'my data.npz' -p num_validation 0 -p epochs 3"
    )


def notebook(*injected, declared="# Parameters\nepochs: int = 100  # passes\nseed = 1", **values):
    """Return the names of a notebook whose cell after the parameters is being executed."""
    cells = [
        "",
        "# Parameters\nepohcs = 1",
        "import numpy",
        declared,
        *injected,
        "check(globals())",
    ]
    return {"In": cells, "epochs": 100, "seed": 1, "axis": object()} | values


def test_a_notebook_takes_what_it_declares():
    assert parameters.check(notebook()) == {"epochs": 100, "seed": 1}
    assert parameters.check(notebook("# Parameters\nepochs = 3\n", epochs=3))["epochs"] == 3


@pytest.mark.parametrize(
    ("cell", "values", "message"),
    [
        ("epochs = 0", {"epochs": 0}, "epochs is 0"),
        ("epoch = 3", {"epoch": 3}, r"no parameter 'epoch'. Did you mean epochs\?"),
        ("hidden_size = 3", {"hidden_size": 3}, "hidden_size: not a .* which has epochs, seed."),
        ("", {"run_dir": " "}, "run_dir is ' ', but must be the path of a folder"),
        ("", {"run_dirs": ["runs/default"]}, "run_dirs is .* a list of two to six paths"),
    ],
)
def test_a_notebook_refuses_what_is_wrong_or_not_its_own(cell, values, message):
    with pytest.raises(InvalidParameter, match=message):
        parameters.check(notebook(f"# Parameters\n{cell}\n", **values))


def test_a_source_is_a_name_or_a_path_from_the_root(tmp_path, monkeypatch):
    (tmp_path / "letters").mkdir()
    (tmp_path / "b.txt").touch()
    monkeypatch.chdir(tmp_path)
    for source in ("sample", "mnist", str(tmp_path / "letters"), "notebooks/data/mnist_sample.npz"):
        parameters.check_source(source)
    for source in ("letters", str(tmp_path / "b.txt"), str(tmp_path / "c.npz")):
        with pytest.raises(InvalidParameter, match=f"source is '{source}'.* nothing of that kind"):
            parameters.check_source(source)


def test_a_path_of_the_command_line_begins_in_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT / "notebooks")
    assert parameters.from_current_folder("../runs/x") == "runs/x"
    assert parameters.from_current_folder(str(tmp_path)) == str(tmp_path)
    assert parameters.to_current_folder(ROOT / "notebooks" / "a") == "a"
    assert parameters.to_current_folder(ROOT / "runs" / "x") == str(ROOT / "runs" / "x")
