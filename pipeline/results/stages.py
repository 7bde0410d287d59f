"""List the stages of a run: the notebook of each stage, and the files it writes.

A stage reads files that earlier stages have written. The module also has the names of
all other files in the folder of a run or a sweep.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from pipeline.paths import NOTEBOOKS

DATA, MODEL, HISTORY = "data.npz", "model.npz", "history.json"
ANSWERS, METRICS = "answers.npz", "metrics.json"
REPORT, CHECKPOINT, RECORD = "report.html", "checkpoint.npz", "run.json"
HELPERS = "helpers.py.txt"  # Python could import a file named helpers.py instead
README = "README.txt"
SWEEP = "sweep.json"  # the record of a sweep
# A command that executes notebooks sets this variable to their folder.
RUN_DIR_VARIABLE = "DIGITS_RUN_DIR"


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


PREPARATION = Stage("01_prepare", (DATA,))
TRAINING = Stage("02_train", (MODEL, HISTORY))
EVALUATION = Stage("03_evaluate", (ANSWERS, METRICS))
STAGES = (PREPARATION, TRAINING, EVALUATION)
# A change of one of these stages does not change what the others compute.
LATER_STAGES = tuple(each for each in STAGES if each not in (PREPARATION, TRAINING))

TRAINED_PAGES = (PREPARATION.executed_name, TRAINING.executed_name)
RESULT_FILES = tuple(name for stage in STAGES for name in stage.files)
EXECUTED_NOTEBOOKS = tuple(stage.executed_name for stage in STAGES)
PAGES = (*EXECUTED_NOTEBOOKS, REPORT)  # users may save them in JupyterLab or a browser
# The files that are deleted before a run, in this order: the metrics first, so that no
# metrics remain without the data and the model.
CLEARED_FILES = (*reversed(RESULT_FILES), *PAGES, HELPERS, README)
# The files that are not written by `StageFolder.write`.
USED = {DATA, MODEL, HISTORY, ANSWERS, METRICS, *PAGES, HELPERS, README, CHECKPOINT}
USED |= {RECORD}


def list_earlier(stage: Stage) -> list[Stage]:
    """Return the stages before this stage."""
    return list(takewhile(lambda each: each != stage, STAGES))


def list_files(stages: Iterable[Stage]) -> list[str]:
    """Return the names of all files that these stages write."""
    return [name for stage in stages for name in stage.files]
