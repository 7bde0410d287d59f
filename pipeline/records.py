"""Model the records of runs and sweeps: run.json, history.json, metrics.json and sweep.json.

A field that is not known is refused when a record is made, and ignored when one is read.
"""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from pipeline.errors import InvalidRecord, PipelineError

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Error = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Accuracy = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
SPLITS = ("train", "validation", "test")
SelectionMetric = Literal[
    "validation_accuracy", "validation_error", "train_accuracy", "train_error"
]
TRAIN_METRICS = ("train_error", "train_accuracy")
TEST_METRICS = ("test_error", "test_accuracy")
SELECTION_METRICS = (*TRAIN_METRICS, "validation_error", "validation_accuracy")
METRICS = (*SELECTION_METRICS, *TEST_METRICS)
Record = TypeVar("Record")


class Status(StrEnum):
    """How far a run, or a point of a sweep, has come, or how it ended."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    DIVERGED = "diverged"
    TIMED_OUT = "timed out"
    DIED = "died"
    INTERRUPTED = "interrupted"
    ELIMINATED = (
        "eliminated"  # a point of a search whose candidate lost in a rung before
    )
    OUTDATED = "outdated"  # a point of other code, data or versions than its sweep

    @classmethod
    def of(cls, error: BaseException) -> "Status":
        """Return the status of a run that this error has ended."""
        if isinstance(error, (KeyboardInterrupt, BrokenPipeError)):
            return cls.INTERRUPTED
        return cls(error.status) if isinstance(error, PipelineError) else cls.FAILED


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Epoch(_Record):
    """The metrics of one epoch: training under dropout and without it, and validation, if any."""

    train_error: Error
    train_accuracy: Accuracy
    train_error_no_dropout: Error
    train_accuracy_no_dropout: Accuracy
    validation_error: Error | None = None
    validation_accuracy: Accuracy | None = None


# In memory a history is a list of plain dictionaries, without the metrics that were not measured.
History = list[dict[str, float]]
HISTORY = TypeAdapter(Annotated[list[Epoch], Field(min_length=1)])


class Trained(Epoch):
    """The metrics of the last epoch, and the SHA-256 of the weights."""

    weights_sha256: Digest


class Metrics(Trained):
    """metrics.json: these, and the metrics on the test images."""

    test_error: Error
    test_accuracy: Accuracy
    test_images: Annotated[int, Field(gt=0)]


class Inputs(_Record):
    """What a result depends on besides its parameters: digests, and versions of packages.

    Of each file of code there are two: that of the file, and that of its syntax tree
    without docstrings. By the second one results are compared, so that a comment
    replaces none.
    """

    data: str
    notebooks: dict[str, Digest]
    code: dict[str, Digest]
    syntax: dict[str, Digest] = {}
    versions: dict[str, str]


class RunRecord(_Record):
    """run.json: what a run, or a point of a sweep, was given, and what came of it.

    The parameters are a plain mapping: one that this version does not know must not hide a run.
    """

    status: Status = Status.RUNNING
    started: AwareDatetime = Field(default_factory=now)
    resumed: AwareDatetime | None = None  # if it was killed, when it went on
    earlier_s: Annotated[float, Field(ge=0)] = (
        0  # up to its last checkpoint before that
    )
    parameters: dict[str, JsonValue]
    inputs: Inputs
    arrays: dict[str, Digest] = {}  # of the source
    metrics: Trained | None = (
        None  # of a point, which has no metrics.json until it is evaluated
    )
    duration_s: Annotated[float, Field(ge=0)] | None = None
    error: str | None = None
    note: str | None = None  # of the model, if helpers.py itself has trained it
    outputs: dict[str, Digest] = {}  # of the run's files

    def replace(self, **fields: Any) -> "RunRecord":
        """Return a record with some fields replaced, and checked again."""
        return RunRecord.model_validate(dict(self) | fields)


class Distribution(_Record):
    """What a parameter is drawn from: numbers between two ends, or a list of values."""

    distribution: Literal["uniform", "log_uniform"] = "uniform"
    min: Finite | None = None
    max: Finite | None = None
    values: Annotated[list[Any], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def check(self) -> "Distribution":
        low, high = self.min, self.max
        if self.values is not None:
            if low is not None or high is not None:
                raise ValueError("must have min and max, or values alone")
        elif low is None or high is None or low >= high:
            raise ValueError("must have min below max")
        elif self.distribution == "log_uniform" and low <= 0:
            raise ValueError("min of log_uniform must be above 0")
        return self


class RandomSearch(_Record):
    """Candidates to draw, as the entry `random` has them."""

    n_candidates: Annotated[int, Field(ge=1)]
    random_state: Annotated[int, Field(ge=0, lt=2**32)] = 0
    parameters: Annotated[dict[str, Distribution], Field(min_length=1)]


class Halving(_Record):
    """Successive halving: the first rung has the fewest epochs, each next one `factor` times."""

    resource: Literal["epochs"] = "epochs"
    min_resources: Annotated[int, Field(ge=1)]
    factor: Annotated[int, Field(ge=2)] = 3


class SweepDefinition(_Record):
    """What the YAML file of a sweep holds."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=100)
    base: dict[str, Any] = {}
    grid: dict[str, Annotated[list[Any], Field(min_length=1)]] = {}
    points: list[dict[str, Any]] = []
    seeds: list[Any] = []
    random: RandomSearch | None = None
    halving: Halving | None = None
    select: SelectionMetric = "validation_accuracy"

    @property
    def drawn(self) -> dict[str, Distribution]:
        """Return what is drawn at random, by parameter."""
        return self.random.parameters if self.random else {}


class SweepRecord(SweepDefinition):
    """sweep.json: the definition, and what the sweep was last started with.

    ids: the parameters of each point. inputs: what a training depends on besides, by the
    source of its images; a point that was trained with others is outdated.
    """

    ids: Annotated[dict[str, dict[str, JsonValue]], Field(min_length=1)]
    inputs: dict[str, Inputs] = {}
    warnings: list[str] = []


class TestEvaluation(_Record):
    """A line of test_evaluations.jsonl: a point of a sweep has met the test images.

    code: the start of one digest of the code that computed it.
    """

    time: AwareDatetime = Field(default_factory=now)
    point: str
    parameters: dict[str, JsonValue]
    code: str
    test_error: Error
    test_accuracy: Accuracy


def read_record(
    path: Path, kind: type[Record] | TypeAdapter[Record], next_step: str
) -> Record:
    """Read a file of JSON as a model. Raises InvalidRecord, with the next step."""
    adapter = kind if isinstance(kind, TypeAdapter) else TypeAdapter(kind)
    try:
        return adapter.validate_json(path.read_bytes(), extra="ignore")
    except FileNotFoundError:
        raise InvalidRecord(path, "is missing", next_step) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise InvalidRecord(
            path, f"is damaged ({where}: {first['msg']})", next_step
        ) from None


def to_json(record: BaseModel | list[Epoch]) -> bytes:
    """Return the content of a record's file, without the fields that are None."""
    adapter = HISTORY if isinstance(record, list) else TypeAdapter(type(record))
    return adapter.dump_json(record, indent=2, exclude_none=True) + b"\n"  # type: ignore[arg-type]
