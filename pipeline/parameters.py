"""Define the parameters: their names, types, ranges, defaults and messages.

The command line and sweeps check all values before anything starts. A notebook checks
its values again, in the cell after its parameters, because papermill or a reader may
have changed them in the notebook.
"""

import difflib
import hashlib
import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import InvalidInput

KERAS_SOURCES = ("mnist", "fashion_mnist")
NAMED_SOURCES = ("sample", *KERAS_SOURCES)
MAX_NAME = 80  # characters of a folder's name before its id
PARAMETERS = "# Parameters"  # how the cell of parameters begins, and papermill's cell
ASSIGNMENT = re.compile(r"^(\w+)(?:: *\w+)? *=", re.M)
DECLARED = re.compile(r"^(\w+: \w+ = ).*", re.M)  # a line that declares a parameter


def _check_path(value: str) -> str:
    if not value.strip() or "\0" in value:
        raise ValueError("no path")
    return value


# The text in each of these types says what is allowed, and messages quote the text.
SOURCES = (
    "'sample', 'mnist', 'fashion_mnist' or a path: an .npz or a folder of pictures"
)
Source = Annotated[str, AfterValidator(_check_path), SOURCES]
Folder = Annotated[str, AfterValidator(_check_path), "the path of a folder"]
Folders = Annotated[
    list[Folder], Field(min_length=2, max_length=2), "a list of two paths of folders"
]
Count = Annotated[int, Field(ge=1, le=10**9), "a whole number from 1 to 10^9"]
CountOrZero = Annotated[int, Field(ge=0, le=10**9), "a whole number from 0 to 10^9"]
# The limit is a million hidden units, because their weights take 6 GB.
Size = Annotated[int, Field(ge=1, le=10**6), "a whole number from 1 to 1,000,000"]
Epochs = Annotated[int, Field(ge=1, le=100_000), "a whole number from 1 to 100,000"]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), "a number above 0"]
Decay = Annotated[float, Field(gt=0, le=1), "a number above 0, at most 1"]
Rate = Annotated[
    float,
    Field(ge=0, lt=1),
    AfterValidator(abs),  # makes -0.0 the same value as 0.0
    "a number from 0 to below 1",
]
Slope = Annotated[
    int | float,
    Field(ge=0, le=1),
    AfterValidator(lambda value: int(value) if value in (0, 1) else value),
    "a number from 0 to 1",
]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1), "a whole number from 0 to 4294967295"]


class Parameters(BaseModel):
    """The parameters of a run. Each default is the value that the original uses."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, validate_default=True
    )

    source: Source = Field("sample", description="where the images come from")
    num_samples: Count = Field(
        1000, description="training images, from the front of the set"
    )
    num_validation: CountOrZero = Field(
        1000, description="validation images right after them, or 0"
    )
    normalisation: Positive = Field(255.0, description="the pixels are divided by it")
    hidden_size: Size = Field(40, description="hidden units")
    learning_rate: Positive = Field(
        0.005, description="size of a step down the gradient"
    )
    learning_rate_decay: Decay = Field(
        1.0, description="factor of learning_rate after each epoch"
    )
    epochs: Epochs = Field(100, description="passes over the training images")
    dropout_rate: Rate = Field(
        0.5, description="fraction of the hidden units dropped in training"
    )
    input_dropout_rate: Rate = Field(
        0.0, description="fraction of the pixels dropped in training"
    )
    relu_grad_inactive: Slope = Field(
        1, description="the ReLU's derivative where a unit is inactive"
    )
    batch_size: Size = Field(1, description="images per update")
    seed: Seed = Field(1, description="fixes the first weights and the dropout masks")


LAB = "runs/lab"  # where notebooks write if no command executes them


class NotebookParameters(Parameters):
    """The parameters of a run, and all other parameters that notebooks declare."""

    run_dir: Folder = Field(LAB, description="the folder of the run's files")
    run_dirs: Folders = Field(
        ["runs/default", "runs/true-derivative"],
        description="the folders of finished runs",
    )
    sweep_dir: Folder = Field("runs/sweeps/small", description="a sweep's folder")


NAMES = tuple(Parameters.model_fields)


def describe_allowed(name: str) -> str:
    """Return words that say which values the parameter may have."""
    # pydantic keeps the limits of a type and its text in one list, see `Source`.
    for item in NotebookParameters.model_fields[name].metadata:
        if isinstance(item, str):
            return item
    raise KeyError(name)


def find_changed(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that differ from their defaults."""
    defaults = dict(Parameters())
    names = [name for name in parameters if parameters[name] != defaults[name]]
    return {name: parameters[name] for name in names}


def find_changed_from_original(parameters: Parameters) -> dict[str, Any]:
    """Return the parameters whose values differ from those that the original uses.

    num_validation is left out, because it does not change any published metric.
    """
    changed = find_changed(dict(parameters))
    changed.pop("num_validation", None)
    return changed


def make_id(parameters: Mapping[str, Any]) -> str:
    """Return the id of the point or configuration that has these parameters."""
    text = json.dumps(parameters, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def format_parameters(parameters: Mapping[str, object]) -> str:
    """Return parameters as one line of text, such as ``epochs 10, seed 2``."""
    return ", ".join(f"{name} {value}" for name, value in parameters.items())


def make_command(parameters: Parameters, run_dir: str) -> str:
    """Return the command that makes a run with these parameters in the folder."""
    words = ["python", "-m", "pipeline", "run", "--run-dir", run_dir]
    for name, value in find_changed(dict(parameters)).items():
        words += ["-p", name, str(value)]
    return shlex.join(words)


def choose_run_dir(parameters: Parameters) -> str:
    """Return the folder of a run if the user names none.

    The folder is named after the parameters that differ from their defaults.
    """
    changed = find_changed(dict(parameters))
    source = parameters.source
    if source not in NAMED_SOURCES:
        stem = PurePath(source).stem
        changed["source"] = f"{stem}-{make_id({'source': source})}"
    name = ",".join(f"{key}={value}" for key, value in changed.items()) or "default"
    if len(name) > MAX_NAME:
        name = f"{name[:MAX_NAME]}-{make_id(dict(parameters))}"
    return f"runs/{name}"


def from_values(values: Mapping[str, object]) -> Parameters:
    """Return parameters with these Python values, and with defaults for all others.

    Raises InvalidInput if a name or a value is wrong.
    """
    return _explain_errors(Parameters.model_validate, values)


def from_strings(values: Mapping[str, str]) -> Parameters:
    """Convert these values from text, and return parameters that have them.

    All other parameters have their defaults. Raises InvalidInput if a name or a value
    is wrong.
    """
    return _explain_errors(Parameters.model_validate_strings, values)


def check(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """Check the parameters in a notebook, and return the parameters of its run.

    namespace: the global variables of the notebook. The cell after the parameters calls
        ``parameters.check(globals())``.

    Parameters such as run_dir are checked but not returned. Raises InvalidInput if a
    value is wrong, or if papermill has set a name that the notebook does not declare.
    """
    executed = namespace.get("In", [""])  # IPython's list of the sources of cells
    declared, injected = find_assigned_names(executed)
    names = {*declared, *injected}
    names |= namespace.keys() & NotebookParameters.model_fields.keys()
    values = {name: namespace[name] for name in sorted(names)}
    _explain_errors(NotebookParameters.model_validate, values)
    unknown = sorted(set(injected) - set(declared))
    if unknown:
        problem = f"{', '.join(unknown)}: not a parameter of this notebook"
        raise InvalidInput(f"{problem}, which has {', '.join(declared)}.")
    return {name: value for name, value in values.items() if name in NAMES}


def find_assigned_names(cells: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the names that a notebook declares, and the names that papermill has set.

    cells: the code of the cells that have been executed, with the current cell last.

    The cell of parameters comes directly before the current cell. If papermill has
    injected a cell, papermill's cell comes between these two.
    """
    *_, second_last, last, _ = ["", "", *cells]
    if is_injected(last) and second_last.startswith(PARAMETERS):
        return ASSIGNMENT.findall(second_last), ASSIGNMENT.findall(last)
    if last.startswith(PARAMETERS):
        return ASSIGNMENT.findall(last), []
    return [], []


def is_injected(cell: str) -> bool:
    """Return whether papermill has injected a cell. It declares no types."""
    return cell.startswith(PARAMETERS) and not DECLARED.search(cell)


def _explain_errors(
    validate: Callable[[Any], Parameters], values: Mapping[str, object]
) -> Parameters:
    """Return the validated values, or raise InvalidInput with a line for each error."""
    try:
        return validate(dict(values))
    except ValidationError as error:
        lines: dict[str, str] = {}  # one for each name
        for problem in error.errors():
            name = str(problem["loc"][0])
            if problem["type"] == "extra_forbidden":
                lines[name] = describe_unknown_name(name)
            else:
                lines[name] = describe_invalid(name, values[name])
        raise InvalidInput("\n".join(lines.values())) from None


def describe_unknown_name(name: str) -> str:
    """Return a message about a parameter that does not exist.

    If an existing parameter has a similar name, the message suggests that parameter.
    """
    near = difflib.get_close_matches(name, NAMES, n=1)
    hint = f"Did you mean {near[0]}? " if near else ""
    names = ", ".join(NAMES)
    return f"There is no parameter {name!r}. {hint}The parameters are: {names}."


def describe_invalid(name: str, value: object) -> str:
    """Return a message that quotes a wrong value and says which values are allowed."""
    default = NotebookParameters.model_fields[name].default
    allowed = describe_allowed(name)
    return f"{name} is {value!r}, but must be {allowed}. Its default is {default!r}."
