import pytest

from pipeline import parameters
from pipeline.errors import InvalidInput
from pipeline.parameters import Parameters
from pipeline.paths import ROOT, from_current_folder

ORIGINAL = {
    "num_samples": 1000,
    "normalisation": 255,
    "hidden_size": 40,
    "learning_rate": 0.005,
}
ORIGINAL |= {
    "epochs": 100,
    "dropout_rate": 0.5,
    "relu_grad_inactive": 1,
    "batch_size": 1,
    "seed": 1,
}
# Values as a notebook or YAML may give them; the tests of the command line have texts.
WRONG = [
    ("source", " ", "'sample', 'mnist', 'fashion_mnist'"),
    ("hidden_size", 40.0, "a whole number"),
    ("learning_rate", float("nan"), "above 0"),
    ("epochs", None, "from 1 to 100,000"),
    ("input_dropout_rate", -0.1, "below 1"),
    ("relu_grad_inactive", True, "0 or 1"),
    ("batch_size", "4", "from 1 to 1,000,000"),
]


def test_defaults_are_the_originals():
    assert Parameters().model_dump(include=set(ORIGINAL)) == ORIGINAL


@pytest.mark.parametrize(("name", "value", "allowed"), WRONG)
def test_a_wrong_value_is_refused_with_what_is_allowed(name, value, allowed):
    with pytest.raises(InvalidInput) as caught:
        parameters.from_values({name: value, "seed": -1})
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"{name} is {value!r}, but must be ")
    assert allowed in first
    assert f"Its default is {Parameters.model_fields[name].default!r}" in first
    assert second.startswith("seed is -1")


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("dropout_rate", (0, 5), r"written with a point, as in 0\.5\.$"),
        ("dropout_rate", "0,5", r"written with a point, as in 0\.5\.$"),
        ("epochs", "1,000", r"Its default is 100\. Write it without a comma\.$"),
    ],
)
def test_a_comma_is_understood(name, value, advice):
    with pytest.raises(InvalidInput, match=advice):
        parameters.from_values({name: value})


def test_what_differs_is_described_and_in_the_command():
    texts = {
        "source": "my data.npz",
        "num_validation": "0",
        "epochs": "3",
        "learning_rate": "5e-3",
    }
    chosen = parameters.from_strings(texts | {"dropout_rate": "-0.0"})
    values = {
        "source": "my data.npz",
        "num_validation": 0,
        "epochs": 3,
        "dropout_rate": 0.0,
    }
    assert parameters.find_changed(dict(chosen)) == values
    assert "num_validation" not in parameters.find_unoriginal(chosen)
    command = (
        "python -m pipeline run --run-dir runs/x "
        "-p source 'my data.npz' -p num_validation 0"
    )
    command = f"{command} -p epochs 3 -p dropout_rate 0.0"
    assert parameters.make_command(dict(chosen), "runs/x") == command
    # A run would fit the sizes to such a source.
    default = parameters.from_values({"source": "a.csv"})
    assert parameters.make_command(dict(default), "runs/x") == (
        "python -m pipeline run --run-dir runs/x -p source a.csv -p num_samples 1000"
    )


def make_names(*injected, **values):
    """Return the names of a notebook that executes the cell after its parameters."""
    cells = ["", "# Parameters\nepohcs = 1", "import numpy"]
    cells += [
        "# Parameters\nepochs: int = 100  # passes\nseed = 1",
        *injected,
        "check(globals())",
    ]
    return {"In": cells, "epochs": 100, "seed": 1, "axis": object()} | values


def test_a_notebook_takes_what_it_declares():
    parameters.check(make_names())
    parameters.check(make_names("# Parameters\nepochs = 3\n", epochs=3))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("epochs", 0, "epochs is 0"),
        ("epoch", 3, r"no parameter 'epoch'. Did you mean epochs\?"),
        ("hidden_size", 3, "hidden_size: not a .* which has epochs, seed."),
        ("run_dir", " ", "run_dir is ' ', but must be the path of a folder"),
        ("run_dirs", [], "run_dirs is .* a list of one to six paths"),
    ],
)
def test_a_notebook_refuses_what_is_wrong_or_not_its_own(name, value, message):
    with pytest.raises(InvalidInput, match=message):
        parameters.check(
            make_names(f"# Parameters\n{name} = {value!r}\n", **{name: value})
        )


def test_paths_begin_in_the_current_folder_on_the_command_line_alone(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(ROOT / "notebooks")
    assert from_current_folder("../runs/x") == "runs/x"
    assert from_current_folder(str(tmp_path)) == str(tmp_path)
    parameters.check_source("notebooks/data/mnist_sample.npz")
    with pytest.raises(
        InvalidInput, match=r"source is 'data/mnist_sample\.npz', but must be"
    ):
        parameters.check_source("data/mnist_sample.npz")
