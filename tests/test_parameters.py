import pytest

from pipeline import parameters, runs
from pipeline.errors import InvalidParameter
from pipeline.parameters import Parameters

ORIGINAL = {"num_samples": 1000, "normalisation": 255, "hidden_size": 40, "learning_rate": 0.005, "epochs": 100}
ORIGINAL |= {"dropout_rate": 0.5, "relu_grad_inactive": 1, "batch_size": 1, "seed": 1}
WRONG_VALUES = [
    ("source", " ", "'sample', 'mnist', 'fashion_mnist'"),
    ("num_samples", 0, "from 1 to 10^9"),
    ("num_validation", -1, "from 0 to 10^9"),
    ("normalisation", 0, "above 0"),
    ("hidden_size", 40.0, "a whole number"),
    ("learning_rate", -0.1, "above 0"),
    ("learning_rate", float("nan"), "above 0"),
    ("learning_rate", "fast", "above 0"),
    ("learning_rate_decay", 1.1, "at most 1"),
    ("epochs", None, "from 1 to 10^5"),
    ("epochs", "7.5", "from 1 to 10^5"),
    ("dropout_rate", 1, "below 1"),
    ("relu_grad_inactive", 2, "0 or 1"),
    ("relu_grad_inactive", True, "0 or 1"),
    ("batch_size", 0, "from 1 to 10^9"),
    ("seed", 2**32, "4294967295"),
]


def test_defaults_are_the_originals():
    assert Parameters().model_dump(include=set(ORIGINAL)) == ORIGINAL


@pytest.mark.parametrize(("name", "value", "allowed"), WRONG_VALUES)
def test_a_wrong_value_is_refused_by_name_value_and_what_is_allowed(name, value, allowed):
    with pytest.raises(InvalidParameter) as caught:
        parameters.from_values({name: value})
    message = str(caught.value)
    assert message.startswith(f"{name} is {value!r}, but must be ")
    assert allowed in message
    assert f"Its default is {Parameters.model_fields[name].default!r}" in message


def test_a_run_dir_that_is_no_path_is_refused_before_anything_else():
    for run_dir in ("", "  "):
        with pytest.raises(InvalidParameter, match=f"run_dir is {run_dir!r}"):
            runs.run(Parameters(source="/nowhere/none.npz"), run_dir)


def test_a_source_that_is_where_one_stands_is_refused_with_where_paths_of_files_begin(tmp_path, monkeypatch):
    hint = r"\. In a notebook or a sweep's file a relative path begins at the project's root\.$"
    (tmp_path / "letters").mkdir()
    with pytest.raises(InvalidParameter, match=r"nothing of that kind at \S+/letters\.$"):
        parameters.check_source("letters")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidParameter, match=hint):
        parameters.check_source("letters")


def test_the_result_does_not_depend_on_run_dir():
    with pytest.raises(InvalidParameter, match="no parameter 'run_dir'"):
        parameters.from_values({"run_dir": "runs/x"})


def test_all_wrong_values_are_in_one_message():
    with pytest.raises(InvalidParameter, match=r"(?s)epochs is 0.*\nseed is -1"):
        parameters.from_values({"epochs": 0, "seed": -1})


def test_a_misspelt_name_is_refused_with_the_nearest_one():
    for misspelt, nearest in {"learning_rte": "learning_rate", "epoch": "epochs", "hiden_size": "hidden_size"}.items():
        with pytest.raises(InvalidParameter, match=rf"no parameter '{misspelt}'. Did you mean {nearest}\?"):
            parameters.from_values({misspelt: 1})


def test_a_name_that_is_not_utf_8_is_refused():
    with pytest.raises(InvalidParameter, match=r"^There is no parameter '\\udcff'. The parameters are: source,"):
        parameters.from_strings({"\udcff": "1", "epochs": "x"})


def test_minus_zero_is_zero():
    assert str(parameters.from_strings({"dropout_rate": "-0.0"}).dropout_rate) == "0.0"


def test_an_unlike_name_is_refused_with_the_whole_list():
    with pytest.raises(InvalidParameter) as caught:
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
    assert (found, type(found)) == (value, type(value))
    if type(value) is not str:
        with pytest.raises(InvalidParameter, match=f"{name} is '{text},5'"):
            parameters.from_strings({name: f"{text},5"})


def test_differing_lists_what_is_not_at_its_default():
    chosen = parameters.from_values({"epochs": 3, "num_validation": 0, "seed": 1})
    assert parameters.differing(dict(chosen)) == {"num_validation": 0, "epochs": 3}
    assert parameters.not_the_originals(chosen) == {"epochs": 3}
    assert parameters.described({"epochs": 3, "seed": 1}) == "epochs 3, seed 1"


def test_the_command_gives_the_parameters_that_differ_quoted_for_a_shell():
    chosen = parameters.from_values({"source": "my data.npz", "epochs": 3})
    assert parameters.command(chosen, "runs/x") == (
        "python -m pipeline run --run-dir runs/x -p source 'my data.npz' -p epochs 3"
    )


def notebook(*injected, declared="# Parameters\nepochs: int = 100  # passes\nseed: int = 1", **values):
    """Return the namespace of a notebook whose parameter cells have just been executed."""
    return {"In": ["", "import numpy", declared, *injected, "check(globals())"], "epochs": 100, "seed": 1} | values


def test_check_accepts_declared_parameters():
    parameters.check(notebook())
    parameters.check(notebook("# Parameters\nepochs = 3\n", epochs=3))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("run_dir", "  ", "run_dir is .*, but must be "),
        ("run_dir", "runs/\0", "run_dir is .*, but must be "),
        ("sweep_dir", 3, "sweep_dir is .*, but must be "),
        ("run_dirs", "runs/default", "run_dirs is .*, but must be "),
        ("run_dirs", ["runs/default", " "], "run_dirs is .*, but must be "),
        ("epohcs", 3, r"no parameter 'epohcs'. Did you mean epochs\? The parameters are: epochs\."),
        ("passes", 3, r"no parameter 'passes'. The parameters are: \w+, .*\bepochs, .*\w\."),
    ],
)
def test_check_refuses_a_wrong_name_or_place_in_the_notebooks_own_cell(name, value, message):
    with pytest.raises(InvalidParameter, match=message):
        parameters.check(notebook(declared=f"# Parameters\n{name} = {value!r}", **{name: value}))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("epochs", "epochs is 0"),
        ("epoch", r"no parameter 'epoch'. Did you mean epochs\?"),
    ],
)
def test_check_refuses_what_papermill_injected_wrongly(name, message):
    with pytest.raises(InvalidParameter, match=message):
        parameters.check(notebook(f"# Parameters\n{name} = 0\n", **{name: 0}))


def test_check_leaves_other_cells_and_earlier_mistakes_alone():
    history = ["", "# Parameters\nepohcs: int = 3", "epohcs = 4", *notebook()["In"][1:]]
    parameters.check(notebook() | {"In": history, "epohcs": 4, "axis": object()})


def test_check_takes_the_notebooks_own_cell_as_declaring_also_without_types():
    parameters.check(notebook(declared="# Parameters\nepochs = 50\nseed = 1", epochs=50))
    parameters.check(notebook(declared="# Parameters\nepochs, seed = 50, 1", epochs=50))
    with pytest.raises(InvalidParameter, match="hidden_size: not a parameter of this notebook, which takes epochs"):
        parameters.check(notebook("# Parameters\nhidden_size = 3", declared="# Parameters\nepochs = 50", hidden_size=3))


def test_a_path_from_elsewhere_is_the_same_as_from_the_root(tmp_path, monkeypatch):
    monkeypatch.chdir(parameters.ROOT / "notebooks")
    assert parameters.from_root("../runs/x") == "runs/x"
    assert parameters.from_root(str(tmp_path)) == str(tmp_path)
    assert parameters.from_root("../sample") == str(parameters.ROOT / "sample")  # a folder, and not what "sample" names
    monkeypatch.chdir(parameters.ROOT)
    for path in ("runs/x", "runs/x/", "./runs/../runs/x", str(parameters.ROOT / "runs/x")):
        assert parameters.from_root(path) == "runs/x"
    assert parameters.from_root(" ") == " "  # which is refused
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a" / "b")
    assert parameters.from_root(str(tmp_path / "link" / ".." / "c")) == str(tmp_path.resolve() / "a" / "c")
