"""Define the records of sweeps: the content of a YAML file, and sweep.json.

An unknown field is ignored in sweep.json. In a YAML file it is an error, because a user
writes this file.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, field_validator

SelectionMetric = Literal[
    "train_error", "train_accuracy", "validation_error", "validation_accuracy"
]


class SweepDefinition(BaseModel, extra="forbid", frozen=True):
    """The content of a sweep's YAML file."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=100)
    base: dict[str, Any] = {}
    grid: dict[str, Annotated[list[Any], Field(min_length=1)]] = {}
    points: list[dict[str, Any]] = []
    seeds: list[Any] = []
    select: SelectionMetric = "validation_accuracy"

    @field_validator("seeds", mode="before")
    @classmethod
    def _count_seeds(cls, value: Any) -> Any:
        """Convert a number of seeds: 3 stands for the seeds 1, 2 and 3."""
        if type(value) is not int:
            return value
        if not 1 <= value <= 10_000:
            raise ValueError("a number of seeds must be from 1 to 10,000")
        return list(range(1, value + 1))


class SweepRecord(SweepDefinition, extra="ignore"):
    """sweep.json: the definition of a sweep, and its state when it was last started.

    inputs: what results depend on besides the parameters. A point that was trained with
        other inputs is outdated.
    warnings: the warnings about the user's own pictures.
    evaluated: a key for each configuration that was evaluated on the test images, in
        this order. If the code has changed since, the configuration gets a second key.
        A key is written before the evaluation, and is never removed, because nobody can
        undo a look at the test images.
    """

    inputs: dict[str, str]
    warnings: list[str] = []
    evaluated: list[str] = []
