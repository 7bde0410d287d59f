"""List the stages of a run: the notebook of each, and the files that it writes.

Each stage reads the files of earlier stages.
"""

from dataclasses import dataclass
from itertools import dropwhile, takewhile
from pathlib import Path

from pipeline.paths import NOTEBOOKS


@dataclass(frozen=True)
class Stage:
    """A notebook of a run, and the names of the files that it writes."""

    name: str
    files: tuple[str, ...]

    @property
    def notebook(self) -> Path:
        return NOTEBOOKS / self.executed_name

    @property
    def executed_name(self) -> str:
        """Return the name of the executed notebook in the folder of a run."""
        return f"{self.name}.ipynb"


PREPARATION = Stage("01_prepare", ("data.npz",))
TRAINING = Stage("02_train", ("model.npz", "history.json"))
EVALUATION = Stage("03_evaluate", ("answers.npz", "metrics.json"))
STAGES = (PREPARATION, TRAINING, EVALUATION)

RESULT_FILES = tuple(name for stage in STAGES for name in stage.files)
EXECUTED_NOTEBOOKS = tuple(stage.executed_name for stage in STAGES)
REPORT, CHECKPOINT, RECORD = "report.html", "checkpoint.npz", "run.json"
HELPERS = "helpers.py.txt"  # a file named helpers.py there could be imported
README = "README.txt"
PAGES = (*EXECUTED_NOTEBOOKS, REPORT)  # JupyterLab or a browser may save them again
CLEARED_FILES = (*reversed(RESULT_FILES), *PAGES, HELPERS, README)  # before a run
RUN_FILES = (*CLEARED_FILES, CHECKPOINT, RECORD)


def list_earlier_files(stage: Stage) -> list[str]:
    """Return the names of the files that the stages before this one write."""
    earlier = takewhile(lambda each: each != stage, STAGES)
    return [name for each in earlier for name in each.files]


def list_stages_from(stage: Stage) -> list[Stage]:
    """Return a stage and all later stages, which use its results."""
    return [*dropwhile(lambda each: each != stage, STAGES)]
