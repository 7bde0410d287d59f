"""Define the records of runs, which are stored as JSON.

The files are run.json, history.json and metrics.json. An unknown field in a record is
ignored.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from numbers import Real
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    TypeAdapter,
    ValidationError,
)

from pipeline.errors import Diverged, InvalidFile, InvalidInput
from pipeline.parameters import NAMES, Parameters

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Error = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Accuracy = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
SPLITS = ("train", "validation", "test")
TEST_METRICS = ("test_error", "test_accuracy")
Record = TypeVar("Record")


class Status(StrEnum):
    """The status of a run or of a point of a sweep: in progress, or how it ended.

    DIVERGED: a metric or a weight was no longer a finite number.
    OUTDATED: the point was trained with other code, data or versions of packages than
        the sweep uses now.
    """

    NOT_RUN = "not run"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    DIVERGED = "diverged"
    INTERRUPTED = "interrupted"
    OUTDATED = "outdated"

    @classmethod
    def from_error(cls, error: BaseException) -> "Status":
        """Return the status of a run that this error has ended."""
        if isinstance(error, KeyboardInterrupt):
            return cls.INTERRUPTED
        if isinstance(error, Diverged):
            return cls.DIVERGED
        return cls.FAILED


def now() -> datetime:
    """Return the current time, in UTC and without fractions of a second."""
    return datetime.now(UTC).replace(microsecond=0)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Epoch(_Record):
    """The metrics of one epoch of training.

    The training metrics are measured with dropout and without, the validation metrics
    without. If there are no validation images, the validation metrics are None.
    """

    train_error: Error
    train_accuracy: Accuracy
    train_error_no_dropout: Error
    train_accuracy_no_dropout: Accuracy
    validation_error: Error | None = None
    validation_accuracy: Accuracy | None = None


# In memory, a history is a list with a dictionary for each epoch. The dictionary does
# not contain metrics that are None.
History = list[dict[str, float]]
HISTORY = TypeAdapter(Annotated[list[Epoch], Field(min_length=1)])


class TrainingMetrics(Epoch):
    """The metrics of the last epoch, with the SHA-256 of the final weights."""

    weights_sha256: Digest


class Metrics(TrainingMetrics, extra="allow"):
    """metrics.json: the metrics of the last epoch, and metrics on the test images.

    The notebook may have measured other metrics, too, which are in `model_extra`.
    """

    __pydantic_extra__: dict[str, FiniteFloat]
    test_error: Error
    test_accuracy: Accuracy
    test_images: Annotated[int, Field(gt=0)]


class Origin(_Record):
    """Where a result was made. These fields only inform: no result depends on them.

    blas: the BLAS library that NumPy used.
    commit: the commit of the project, with "-dirty" if files differed from the commit.
    """

    system: str
    blas: str
    python: str
    commit: str | None = None


class RunRecord(_Record):
    """run.json: the parameters, inputs and result of a run or a point of a sweep.

    started: when the run began or, if it was interrupted, when it last continued.
    duration_s: how long the run took, or None if it continued from a checkpoint.
    inputs: what the result depends on besides the parameters, see provenance.py.
    metrics: the training metrics of a point. A point has no metrics.json until it is
        evaluated on the test images.
    outputs: the SHA-256 of each result file, by the name of the file.
    origin: where the run was made or, if it was interrupted, where it last continued.
    made_by: "notebooks alone" if no command has executed the notebooks.
    """

    status: Status = Status.RUNNING
    started: AwareDatetime = Field(default_factory=now)
    parameters: Parameters
    inputs: dict[str, str]
    metrics: TrainingMetrics | None = None
    duration_s: Annotated[float, Field(ge=0)] | None = None
    error: str | None = None
    outputs: dict[str, Digest] = {}
    origin: Origin | None = None
    made_by: Literal["notebooks alone"] | None = None

    def replace(self, **fields: Any) -> "RunRecord":
        """Return a copy with these fields replaced, and check all of its fields."""
        return RunRecord.model_validate(dict(self) | fields)


# A metric of a notebook cannot have the name of another column of results.csv.
TAKEN = {"id", "configuration", *NAMES, *RunRecord.model_fields, *Metrics.model_fields}


def check_other_metrics(metrics: Mapping[str, Any]) -> None:
    """Raise InvalidInput if a metric that only a notebook knows cannot be stored."""
    for name, value in metrics.items():
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        if name in TAKEN or not name.isidentifier():
            problem = "needs another name: one of Python's, and none in results.csv"
        elif not is_number or not math.isfinite(value):
            problem = f"is {value!r}, but must be a finite number"
        elif "accuracy" in name and not 0 <= value <= 1:
            problem = f"is {value!r}, but must be a fraction from 0 to 1"
        else:
            continue
        raise InvalidInput(f"The metric {name!r} {problem}.")


def read_record(
    path: Path, kind: type[Record] | TypeAdapter[Record], advice: str
) -> Record:
    """Return the content of a JSON file as a record of this kind.

    advice: a sentence for the error message, which says what the user can do.

    Raises InvalidFile if the file is missing or damaged.
    """
    adapter = kind if isinstance(kind, TypeAdapter) else TypeAdapter(kind)
    try:
        return adapter.validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InvalidFile(path, "is missing", advice) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        problem = f"is damaged ({where}: {first['msg']})"
        raise InvalidFile(path, problem, advice) from None


def to_json(record: BaseModel | list[Epoch]) -> bytes:
    """Return a record, or the epochs of a history, formatted as JSON.

    Fields that are None are left out.
    """
    adapter = HISTORY if isinstance(record, list) else TypeAdapter(type(record))
    return adapter.dump_json(record, indent=2, exclude_none=True) + b"\n"  # type: ignore[arg-type]
