"""Say what workers are given, and what is asked of them, whether they are threads here or on a cluster elsewhere."""

from collections.abc import Mapping
from typing import Protocol

from pipeline.images import Data
from pipeline.records import Inputs
from pipeline.sweeps.definition import DataKey, Point
from pipeline.sweeps.worker import Outcome, Task

Job = tuple[Point, Task]
POLL_INTERVAL = 0.2  # seconds after which `Workers.completed` returns, though nothing has ended: a signal is waiting


class Workers(Protocol):
    """Those who train points."""

    @property
    def at_a_time(self) -> int:
        """Return how many points are trained at a time."""

    @property
    def running(self) -> bool:
        """Tell whether any point has been given whose outcome has not been returned."""

    def submit(self, waiting: list[Job]) -> None:
        """Give jobs, from the end of the list, to workers that have room. Raises ClusterFailed if none ever will."""

    def completed(self) -> list[tuple[Job, Outcome | None]]:
        """Wait until a job ends, but not for long; return what came of each, or None if it was lost on the way."""


def job(point: Point, inputs: Mapping[str, Inputs], data: Mapping[DataKey, Data], time_limit: int | None) -> Job:
    """Return a point with what a worker needs for it. inputs: by the source."""
    chosen, arrays = point.parameters, data[point.data_key].source_sha256
    return point, Task(point.folder.place, chosen, inputs[chosen.source], arrays, time_limit)
