"""Name every error that a user can meet.

    PipelineError
    ├── InvalidParameter     a name, a type or a value that the user gave
    ├── InvalidData          images, or helpers.py, are not what they should be
    ├── InvalidRecord        a file of a run or a sweep is missing or damaged
    ├── FolderBusy           another command is writing to the folder
    ├── ClusterFailed        a cluster has no scheduler or no worker any more
    ├── PointsFailed         a sweep has ended with points that did not finish
    ├── NotReproduced        a run, executed again, gives another result
    └── NotebookFailed       a notebook did not run to its end
        ├── CellFailed       one of its cells raised an error
        ├── Diverged         the error of a training is no longer a finite number
        ├── CodeChanged      its code is no longer what its command started with
        ├── CellTimedOut     one of its cells took longer than the time limit
        └── ProcessDied      the process that ran it ended early

A message names the thing, its value, what is allowed and the next step. The first three
are ValueErrors: what the user gave is wrong, nothing has started, and the exit code is
2.
"""

from pathlib import Path


class PipelineError(Exception):
    """The base of these errors; `status` is the status of a run that the error ends."""

    status = "failed"

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook shows: the message and its cause, but no traceback."""
        lines = [f"{type(self).__name__}: {self}"]
        if self.__cause__ is not None:
            lines.append(f"Caused by {type(self.__cause__).__name__}: {self.__cause__}")
        return lines


class InvalidParameter(PipelineError, ValueError): ...


class InvalidData(PipelineError, ValueError): ...


class InvalidRecord(PipelineError, ValueError):
    """A file is not what it should be.

    problem: a clause such as "is damaged". next_step: a sentence.
    """

    def __init__(self, path: Path, problem: str, next_step: str = "") -> None:
        super().__init__(f"{path} {problem}. {next_step}".rstrip())


class FolderBusy(PipelineError): ...


class ClusterFailed(PipelineError): ...


class PointsFailed(PipelineError): ...


class NotReproduced(PipelineError): ...


class NotebookFailed(PipelineError): ...


class CellFailed(NotebookFailed): ...


class Diverged(NotebookFailed):
    status = "diverged"


class CodeChanged(NotebookFailed): ...


class CellTimedOut(NotebookFailed):
    status = "timed out"


class ProcessDied(NotebookFailed):
    status = "died"
