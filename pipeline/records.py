"""Model run.json, metrics.json, history.json and sweep.json, and the status of a run.

Nothing else in the project says what these files hold. A field that is not known is refused when a record is made, and
ignored when one is read, since an older or newer version of the project may have written it.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    JsonValue,
    model_validator,
)

from pipeline.errors import PipelineError

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
PointId = Annotated[str, Field(pattern=r"^\w+$")]
Metric = Literal["validation_accuracy", "validation_error", "train_accuracy", "train_error"]  # to choose by
FileName = Annotated[str, Field(pattern=r"^\w[\w.-]*$", max_length=100)]  # in a run's folder, and no path
Seconds = Annotated[float, Field(ge=0, le=1e10, allow_inf_nan=False)]
MAX_ERROR = 4000  # characters in a record
METRICS = ("train_error", "train_accuracy", "validation_error", "validation_accuracy", "test_error", "test_accuracy")


def _check_single(value: object) -> object:
    if isinstance(value, list | dict) or (isinstance(value, int) and value.bit_length() > 1024):
        raise ValueError("it must be one value, no list, no map and no number of hundreds of digits")
    return value


SweptValue = Annotated[JsonValue, BeforeValidator(_check_single)]  # of a parameter, not checked further so far


class Status(StrEnum):
    """How far a run, or a point of a sweep, has come, or how it ended."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    DIVERGED = "diverged"
    TIMED_OUT = "timed out"
    KERNEL_DIED = "kernel died"
    WORKER_DIED = "worker died"
    INTERRUPTED = "interrupted"
    CHANGED = "changed"  # by a stage that was run alone, after it was done

    @classmethod
    def of(cls, error: BaseException) -> "Status":
        """Return the status of a run that this error has ended."""
        if isinstance(error, KeyboardInterrupt):
            return cls.INTERRUPTED
        return cls(error.status) if isinstance(error, PipelineError) else cls.FAILED


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Epoch(_Record):
    """The metrics of one epoch: training under dropout and without it, and validation where there are such images."""

    train_error: NonNegative
    train_accuracy: Fraction
    train_error_no_dropout: NonNegative
    train_accuracy_no_dropout: Fraction
    validation_error: NonNegative | None = None
    validation_accuracy: Fraction | None = None

    @model_validator(mode="after")
    def _check_validation(self) -> Self:
        if (self.validation_error is None) != (self.validation_accuracy is None):
            raise ValueError("it has one of validation_error and validation_accuracy without the other")
        return self


History = Annotated[list[Epoch], Field(min_length=1), FailFast()]  # history.json


class Trained(Epoch):
    """The last epoch's metrics, and the SHA-256 of the weights: what is known before the test images are looked at."""

    weights_sha256: Digest


class Metrics(Trained):
    """metrics.json: these, and the metrics on the test images."""

    test_error: NonNegative
    test_accuracy: Fraction
    test_images: Annotated[int, Field(gt=0, le=10**9)]

    def of(self, split: str) -> tuple[float, float] | None:
        """Return accuracy and error of "train", "validation" or "test"; None where there were no such images."""
        accuracy, error = getattr(self, f"{split}_accuracy"), getattr(self, f"{split}_error")
        return None if accuracy is None or error is None else (accuracy, error)


class Inputs(_Record):
    """What a result depends on beside its parameters: digests of data, notebooks and code, and versions."""

    data: str
    notebooks: dict[str, Digest]
    code: dict[str, Digest]
    versions: dict[str, str]


class RunRecord(_Record):
    """run.json: what a run, or a point of a sweep, was given, and what came of it.

    The parameters are a plain mapping, checked where they are used, so that a run of an older version can be shown.
    """

    status: Status
    started: Annotated[AwareDatetime, Field(gt=datetime(1970, 1, 2, tzinfo=UTC), lt=datetime(9999, 1, 1, tzinfo=UTC))]
    parameters: dict[str, JsonValue]
    inputs: Inputs
    arrays: dict[str, Digest] = {}  # of the source
    metrics: Trained | None = None  # of a point, which has no metrics.json until it is evaluated
    duration_s: Seconds | None = None
    error: Annotated[str, AfterValidator(lambda text: text[:MAX_ERROR])] | None = None  # the notebook has all of it
    outputs: dict[FileName, Digest] = {}  # of the run's files
    report_code: Digest | None = None

    @classmethod
    def begin(cls, parameters: dict[str, JsonValue], inputs: Inputs) -> "RunRecord":
        """Return the record of a run that begins now."""
        now = datetime.now(UTC).replace(microsecond=0)
        return cls(status=Status.RUNNING, started=now, parameters=parameters, inputs=inputs)

    def changed(self, **fields: object) -> "RunRecord":
        """Return a record with some fields replaced, checked again."""
        return RunRecord.model_validate(dict(self) | fields)


class SweepDefinition(_Record):
    """What the YAML file of a sweep holds."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=100)
    base: dict[str, SweptValue] = {}
    grid: dict[str, Annotated[list[SweptValue], Field(min_length=1), FailFast()]] = {}
    points: Annotated[list[dict[str, SweptValue]], FailFast()] = []
    select: Metric = "validation_accuracy"

    def varied(self) -> dict[str, list[JsonValue]]:
        """Return each parameter that the sweep varies, with its values."""
        values = {name: list(listed) for name, listed in self.grid.items()}
        for point in self.points:
            for name, value in point.items():
                values.setdefault(name, []).append(value)
        return values


class SweepRecord(SweepDefinition):
    """sweep.json: the definition, and the ids of its points, all of them and by configuration."""

    ids: Annotated[list[PointId], FailFast()]
    configurations: Annotated[list[list[PointId]], FailFast()]

    @model_validator(mode="after")
    def _check_configurations(self) -> Self:
        listed = [point for each in self.configurations for point in each]
        if len(listed) != len(found := set(listed)) or found != set(self.ids):
            raise ValueError("its configurations do not have each of its ids once")
        return self
