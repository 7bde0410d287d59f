"""Define the parameters: names, types, ranges, defaults, and the message for a wrong one.

The command line and a sweep check text against this definition, once, as it enters the process. A notebook checks its
own values in the cell after its parameters, where papermill or JupyterLab may have set them.
"""

import ast
import difflib
import hashlib
import itertools
import json
import os
import shlex
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from pipeline.errors import InvalidParameter, shown

ROOT = Path(__file__).resolve().parent.parent
RUNS = ROOT / "runs"
Value = str | int | float
KERAS_SOURCES = ("mnist", "fashion_mnist")
NAMED_SOURCES = ("sample", *KERAS_SOURCES)


def _check_folder(value: str) -> str:
    if not value.strip() or "\0" in value:
        raise ValueError("no path")
    return value


# The text after each type is what a message says is allowed.
SOURCES = "'sample', 'mnist', 'fashion_mnist' or the path of an .npz file, a .csv file or a folder of pictures"
Source = Annotated[str, AfterValidator(_check_folder), SOURCES]  # which may have gone, of a record: see check_source
Folder = Annotated[str, AfterValidator(_check_folder), "the path of a folder"]
Folders = Annotated[list[Folder], Field(min_length=2, max_length=6), "a list of two to six paths of folders"]
Count = Annotated[int, Field(ge=1, le=10**9), "a whole number from 1 to 10^9"]
Epochs = Annotated[int, Field(ge=1, le=100_000), "a whole number from 1 to 10^5"]
CountOrZero = Annotated[int, Field(ge=0, le=10**9), "a whole number from 0 to 10^9"]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), "a number above 0"]
Decay = Annotated[float, Field(gt=0, le=1), "a number above 0, at most 1"]
Rate = Annotated[float, Field(ge=0, lt=1), AfterValidator(abs), "a number from 0 to below 1"]
ZeroOrOne = Annotated[int, Field(ge=0, le=1), "0 or 1"]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1), "a whole number from 0 to 4294967295"]


class Parameters(BaseModel):
    """The parameters that the result of a run depends on. The defaults are the original's."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, validate_default=True)

    source: Source = Field("sample", description="where the images come from")
    num_samples: Count = Field(1000, description="training images, from the front of the training set")
    num_validation: CountOrZero = Field(1000, description="images right after those, to choose by; 0 for none")
    normalisation: Positive = Field(255.0, description="what the pixels are divided by")
    hidden_size: Count = Field(40, description="hidden units")
    learning_rate: Positive = Field(0.005, description="size of a step down the gradient")
    learning_rate_decay: Decay = Field(1.0, description="factor of the learning rate after each epoch")
    epochs: Epochs = Field(100, description="passes over the training images")
    dropout_rate: Rate = Field(0.5, description="fraction of the hidden units dropped in training")
    input_dropout_rate: Rate = Field(0.0, description="fraction of the pixels dropped in training")
    relu_grad_inactive: ZeroOrOne = Field(1, description="the ReLU's derivative where a unit is inactive")
    batch_size: Count = Field(1, description="images per update")
    seed: Seed = Field(1, description="fixes what is drawn at random: the first weights and the dropout masks")


class NotebookParameters(Parameters):
    """What a notebook declares beside the parameters of the result: the places of files, and how much it checks."""

    run_dir: Folder = Field("runs/default", description="the folder of the run's files")
    run_dirs: Folders = Field(["runs/default", "runs/true-derivative"], description="the folders of finished runs")
    sweep_dir: Folder = Field("runs/sweeps/small", description="a sweep's folder")
    repeat: CountOrZero = Field(2, description="recorded trainings that why.ipynb and dropout.ipynb run again")


NAMES = tuple(Parameters.model_fields)


def field_of(name: str) -> FieldInfo:
    """Return the definition of a parameter: its default and its description."""
    return NotebookParameters.model_fields[name]


def allowed(name: str) -> str:
    """Describe what the parameter's value may be."""
    return next(text for text in field_of(name).metadata if isinstance(text, str))


def differing(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that are not at their defaults; those of an older or newer project count as such."""
    defaults = Parameters().model_dump()
    return {name: value for name, value in values.items() if value != defaults.get(name)}


def identity(values: Mapping[str, Any]) -> str:
    """Return the id of the point of a sweep that has these parameters, all of them."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def not_the_originals(parameters: Parameters) -> dict[str, Value]:
    """Return what differs from the original, but for num_validation: it changes no published metric."""
    return {name: value for name, value in differing(dict(parameters)).items() if name != "num_validation"}


def described(values: Mapping[str, object]) -> str:
    """Write parameters as words: ``epochs 10, seed 2``."""
    return ", ".join(f"{name} {value}" for name, value in values.items())


def command(values: Parameters | Mapping[str, object], run_dir: str) -> str:
    """Return the command that runs these parameters in a folder."""
    options = [text for name, value in differing(dict(values)).items() for text in ("-p", name, str(value))]
    return shlex.join(["python", "-m", "pipeline", "run", "--run-dir", run_dir, *options])


def from_values(values: Mapping[str, object]) -> Parameters:
    """Check Python values, the others at their defaults. Raises InvalidParameter."""
    return _checked(Parameters.model_validate, values, NAMES)


def from_strings(values: Mapping[str, str]) -> Parameters:
    """Check values as a command line gives them: text, read by each parameter's type. Raises InvalidParameter."""
    return _checked(Parameters.model_validate_strings, values, NAMES)


def check_source(source: str) -> None:
    """Raise InvalidParameter if a source is neither a named one nor there, relative to the project's root."""
    path = ROOT / source
    there = os.path.isdir(path) or (os.path.isfile(path) and path.suffix.lower() in (".npz", ".csv"))  # noqa: PTH112, PTH113
    if source not in NAMED_SOURCES and not there:  # of a path that is too long pathlib would raise an error
        here = os.path.exists(source) and not os.path.exists(path)  # noqa: PTH110
        hint = " In a notebook or a sweep's file a relative path begins at the project's root." if here else ""
        raise InvalidParameter(f"{_wrong('source', source)} There is nothing of that kind at {shown(path)}.{hint}")


def from_root(path: str) -> str:
    """Return a path that begins where one stands as the one path from the project's root, if it is below that."""
    if not path.strip():
        return path
    up = ".." in Path(path).parts  # after a link, that leads to where the link leads from
    found = Path(os.path.realpath(path) if up else os.path.abspath(path))  # noqa: PTH100
    within = found.relative_to(ROOT).as_posix() if found.is_relative_to(ROOT) else str(found)
    return str(found) if within in NAMED_SOURCES else within


def check_surroundings() -> None:
    """Raise InvalidParameter if no command could work: by the project's or the current folder, time zone or umask."""
    if os.pathsep in str(ROOT):  # kernels would import what stands elsewhere
        raise InvalidParameter(f"The project is in {ROOT}, with {os.pathsep!r}, which PYTHONPATH cannot hold. Move it.")
    os.umask(mask := os.umask(0o077))  # to read it, one has to set it
    if mask & 0o700:
        raise InvalidParameter(f"umask is {mask:04o}, so not even you may use what you write. Set: umask 022")
    try:
        datetime.now().astimezone()
    except ValueError:
        zone = shown(repr(os.environ.get("TZ")))
        raise InvalidParameter(f"TZ is {zone}, but an offset must be below 24 hours. Set: export TZ=UTC") from None
    try:
        Path.cwd()
    except FileNotFoundError:
        raise InvalidParameter(f"The folder in which you stand has been removed. Go elsewhere: cd {ROOT}") from None


def check(namespace: Mapping[str, object]) -> dict[str, Value]:
    """Check a notebook's parameters, from the cell right after them, and return them: ``given = check(globals())``.

    Refuses a value of the wrong type or range, and a name that the notebook does not declare. Names are looked for
    in the cells just before this one that begin with the line ``# Parameters``: the notebook's own, which declares
    them, and the one that papermill puts after it, whose unknown names would change nothing. Raises InvalidParameter.
    """
    history = namespace.get("In")
    before = history[-2::-1] if isinstance(history, list) else []  # from the last cell to the first
    cells = list(itertools.takewhile(lambda cell: cell.startswith("# Parameters"), before))
    *injected, declared = map(_names_assigned, cells or [""])
    present = {name for name in NotebookParameters.model_fields if name in namespace}
    values: dict[str, Any] = {name: namespace.get(name) for name in sorted(present.union(declared, *injected))}
    known = NotebookParameters.model_fields.keys()
    meant = set(declared & known)
    for misspelt in declared - known:  # in place of a parameter of the notebook's
        meant.update(nearest(misspelt, known) or known)
    _checked(NotebookParameters.model_validate, values, sorted(meant))
    if unused := set().union(*injected) - declared:
        names, takes = ", ".join(sorted(unused)), ", ".join(sorted(declared))
        raise InvalidParameter(f"{names}: not a parameter of this notebook, which takes {takes}.")
    return {name: value for name, value in values.items() if name in NAMES}


def _names_assigned(cell: str) -> set[str]:
    nodes = ast.walk(ast.parse(cell))
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def _checked(
    validate: Callable[[dict[str, object]], Parameters], values: Mapping[str, object], names: Iterable[str]
) -> Parameters:
    try:
        return validate(dict(values))
    except ValidationError as error:
        wrong = {  # a name that is not UTF-8 has no loc
            str((*problem["loc"], problem["input"])[0]): problem["type"] == "extra_forbidden" or not problem["loc"]
            for problem in error.errors()
        }
    lines = [_unknown(name, list(names)) if extra else _wrong(name, values[name]) for name, extra in wrong.items()]
    raise InvalidParameter("\n".join(lines))


def _wrong(name: str, value: object) -> str:
    return f"{name} is {shown(repr(value))}, but must be {allowed(name)}. Its default is {field_of(name).default!r}."


def nearest(name: str, names: Iterable[str]) -> list[str]:
    """Return the name that was meant, if one is near."""
    return difflib.get_close_matches(name[:100], names, n=1)


def _unknown(name: str, names: list[str]) -> str:
    near = nearest(name, names)
    hint = f"Did you mean {near[0]}? " if near else ""
    return f"There is no parameter {shown(repr(name))}. {hint}The parameters are: {', '.join(names)}."
