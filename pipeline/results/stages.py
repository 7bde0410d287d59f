"""List the stages of a run: the notebook of each stage, and the files it writes.

A stage reads files that earlier stages have written.
"""

from dataclasses import dataclass
from itertools import dropwhile, takewhile
from pathlib import Path

from pipeline.paths import NOTEBOOKS


@dataclass(frozen=True)
class Stage:
    """A stage of a run: the name of its notebook, and the files the notebook writes."""

    name: str
    files: tuple[str, ...]

    @property
    def notebook(self) -> Path:
        return NOTEBOOKS / self.executed_name

    @property
    def executed_name(self) -> str:
        """Return the file name of the executed notebook in the folder of a run."""
        return f"{self.name}.ipynb"


PREPARATION = Stage("01_prepare", ("data.npz",))
TRAINING = Stage("02_train", ("model.npz", "history.json"))
EVALUATION = Stage("03_evaluate", ("answers.npz", "metrics.json"))
STAGES = (PREPARATION, TRAINING, EVALUATION)

RESULT_FILES = tuple(name for stage in STAGES for name in stage.files)
EXECUTED_NOTEBOOKS = tuple(stage.executed_name for stage in STAGES)
REPORT, CHECKPOINT, RECORD = "report.html", "checkpoint.npz", "run.json"
HELPERS = "helpers.py.txt"  # Python could import a file named helpers.py instead
README = "README.txt"
PAGES = (*EXECUTED_NOTEBOOKS, REPORT)  # users may save them in JupyterLab or a browser
# The files that are deleted before a run, in this order.
CLEARED_FILES = (*reversed(RESULT_FILES), *PAGES, HELPERS, README)
RUN_FILES = (*CLEARED_FILES, CHECKPOINT, RECORD)


def list_earlier_files(stage: Stage) -> list[str]:
    """Return the names of all files that the stages before this stage write."""
    earlier = takewhile(lambda each: each != stage, STAGES)
    return [name for each in earlier for name in each.files]


def list_stages_from(stage: Stage) -> list[Stage]:
    """Return this stage and all later stages."""
    return [*dropwhile(lambda each: each != stage, STAGES)]
