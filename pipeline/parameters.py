"""The parameters: names, types, ranges, and what is said when one is wrong.

The one definition. The command line checks against it before anything starts, and each notebook checks its own
values against it in the cell after the parameters, so that plain papermill and JupyterLab are protected too.
"""

import ast
import difflib
import itertools
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

KERAS_SOURCES = ("mnist", "fashion_mnist")
NAMED_SOURCES = ("sample", *KERAS_SOURCES)


class ParameterError(ValueError):
    """A parameter has a wrong name, type or value; the message says which, and what is allowed."""


def _source(value: str) -> str:
    if value not in NAMED_SOURCES and not value.endswith(".npz"):
        raise ValueError("neither a named source nor an .npz file")
    return value


def _folder(value: str) -> str:
    if not value.strip() or "\0" in value:
        raise ValueError("no path")
    return value


def _allowed(text: str, **limits: Any) -> Any:
    return Field(json_schema_extra={"allowed": text}, **limits)


Source = Annotated[
    str, AfterValidator(_source), _allowed("'sample', 'mnist', 'fashion_mnist' or the path of an .npz file")
]
Folder = Annotated[str, AfterValidator(_folder), _allowed("the path of a folder")]
Count = Annotated[int, _allowed("a whole number, 1 or more", ge=1)]
CountOrNone = Annotated[int, _allowed("a whole number, 0 or more", ge=0)]
Positive = Annotated[float, _allowed("a number above 0", gt=0, allow_inf_nan=False)]
Decay = Annotated[float, _allowed("a number above 0, at most 1", gt=0, le=1)]
Rate = Annotated[float, _allowed("a number from 0 to below 1", ge=0, lt=1)]
ZeroOrOne = Annotated[int, _allowed("0 or 1", ge=0, le=1)]
Seed = Annotated[int, _allowed("a whole number from 0 to 4294967295", ge=0, le=2**32 - 1)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, validate_default=True)


class Parameters(_Model):
    """All parameters of a run. The defaults are the original's."""

    source: Source = Field("sample", description="where the images come from")
    num_samples: Count = Field(1000, description="training images, from the front of the training set")
    num_validation: CountOrNone = Field(1000, description="images right after them, for choosing among runs")
    normalisation: Positive = Field(255.0, description="what the pixels are divided by")
    hidden_size: Count = Field(40, description="hidden units")
    learning_rate: Positive = Field(0.005, description="the size of a step down the gradient")
    learning_rate_decay: Decay = Field(1.0, description="what the learning rate is multiplied by after each epoch")
    epochs: Count = Field(100, description="passes over the training images")
    dropout_rate: Rate = Field(0.5, description="fraction of the hidden units dropped while training")
    relu_grad_at_zero: ZeroOrOne = Field(1, description="the ReLU's derivative where a unit is not active")
    batch_size: Count = Field(1, description="images an update")
    seed: Seed = Field(1, description="of the generator that draws the weights and the dropout masks")
    run_dir: Folder = Field("runs/default", description="where the run's files are; relative to the project's root")


class SweepParameters(_Model):
    """The parameter of sweep.ipynb, which reads no single run."""

    sweep_dir: Folder = Field("runs/sweeps/small", description="a sweep's folder; relative to the project's root")


NAMES = tuple(Parameters.model_fields)


def allowed(name: str, model: type[BaseModel] = Parameters) -> str:
    """What the parameter's value may be, in words."""
    return model.model_fields[name].json_schema_extra["allowed"]


def differing(parameters: Parameters) -> dict[str, Any]:
    """The parameters that are not at their defaults, without run_dir."""
    return {
        name: value
        for name, value in parameters.model_dump(exclude={"run_dir"}).items()
        if value != Parameters.model_fields[name].default
    }


def not_the_originals(parameters: Parameters) -> dict[str, Any]:
    """Those of `differing` that the published figures depend on; a validation set changes none of them."""
    return {name: value for name, value in differing(parameters).items() if name != "num_validation"}


def command(parameters: Parameters, run_dir: str) -> str:
    """The command that runs these parameters in the given folder."""
    options = [text for name, value in differing(parameters).items() for text in ("-p", name, str(value))]
    return shlex.join(["python", "-m", "pipeline", "run", "--run-dir", run_dir, *options])


def from_values(values: Mapping[str, Any]) -> Parameters:
    """Check Python values, the others at their defaults. Raises ParameterError."""
    return _validated(Parameters, Parameters.model_validate, values)


def from_strings(values: Mapping[str, str]) -> Parameters:
    """Check values as a command line gives them: text, read by each parameter's type. Raises ParameterError."""
    return _validated(Parameters, Parameters.model_validate_strings, values)


def check(namespace: Mapping[str, Any], model: type[BaseModel] = Parameters) -> None:
    """Check a notebook's parameters, from the cell right after them: ``check(globals())``.

    Refuses a value of the wrong type or range, and a name that the notebook does not declare. Names are looked for
    in the cells just before this one that begin with the line ``# Parameters``: the notebook's own, which declares
    them, and the one that papermill puts after it, whose unknown names would change nothing.

    Raises
    ------
    ParameterError
    """
    cells = _parameter_cells(namespace.get("In", ()))
    assigned = [_names_assigned(cell) for cell in cells]
    present = {name for name in model.model_fields if name in namespace}
    _validated(model, model.model_validate, {name: namespace.get(name) for name in present.union(*assigned)})
    if idle := set().union(*assigned[1:]) - set().union(*assigned[:1]):
        takes = ", ".join(sorted(assigned[0]))
        raise ParameterError(f"{', '.join(sorted(idle))}: not a parameter of this notebook, which takes {takes}.")


def _parameter_cells(history: Iterable[str]) -> list[str]:
    """The parameter cells that end one cell before the end of IPython's input history, in order."""
    before = list(history)[-2::-1]
    return list(itertools.takewhile(lambda cell: cell.startswith("# Parameters"), before))[::-1]


def _names_assigned(cell: str) -> set[str]:
    nodes = ast.walk(ast.parse(cell))
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def _validated(model: type[BaseModel], validate: Callable[[Any], Any], values: Mapping[str, Any]) -> Any:
    try:
        return validate(dict(values))
    except ValidationError as error:
        lines = [_message(model, str(problem["loc"][0]), problem["input"]) for problem in error.errors()]
    raise ParameterError("\n".join(lines))


def _message(model: type[BaseModel], name: str, value: Any) -> str:
    names = list(model.model_fields)
    if name in names:
        default = model.model_fields[name].default
        return f"{name} is {value!r}, but must be {allowed(name, model)}. Its default is {default!r}."
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"Did you mean {near[0]}? " if near else ""
    return f"There is no parameter {name!r}. {hint}The parameters are: {', '.join(names)}."
