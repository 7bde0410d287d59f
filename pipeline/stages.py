"""List the stages of a run: a notebook each, and the files that it writes.

A stage reads the files of those before it, so its results are made from theirs.
"""

from dataclasses import dataclass
from pathlib import Path

from pipeline.paths import NOTEBOOKS


@dataclass(frozen=True)
class Stage:
    """A notebook of a run, and the names of the files that it writes."""

    name: str
    files: tuple[str, ...]

    @property
    def notebook(self) -> Path:
        return NOTEBOOKS / self.executed

    @property
    def executed(self) -> str:
        """Return the name of the executed notebook in the folder of a run."""
        return f"{self.name}.ipynb"


PREPARATION = Stage("01_prepare", ("data.npz",))
TRAINING = Stage("02_train", ("model.npz", "history.json"))
EVALUATION = Stage("03_evaluate", ("metrics.json",))
STAGES = (PREPARATION, TRAINING, EVALUATION)

RESULTS = tuple(name for stage in STAGES for name in stage.files)
EXECUTED = tuple(stage.executed for stage in STAGES)
REPORT, CHECKPOINT, RECORD = "report.html", "checkpoint.npz", "run.json"
OUTPUTS = (*EXECUTED, *RESULTS, REPORT)  # whose digests a record has
WRITTEN = (*OUTPUTS, CHECKPOINT, RECORD)  # all that a run writes


def list_made_from(stage: Stage) -> list[Stage]:
    """Return the stage and those after it, whose results are made from its own."""
    return [*STAGES[STAGES.index(stage) :]]
