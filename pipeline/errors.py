"""Define all errors that a user can encounter.

    PipelineError
    ├── InvalidInput         the user supplied something that cannot be used
    │   └── InvalidFile      a file is missing, damaged, or of another kind
    ├── CommandFailed        a command could not start, or has ended without its result
    └── NotebookFailed       a notebook did not run to its end
        └── Diverged         a metric or a weight is no longer a finite number

A message says what is wrong, what the value is, what is allowed and what to do next.
InvalidInput is a ValueError, and ends a command with exit code 2.
"""

from pathlib import Path


class PipelineError(Exception):
    """The base class of these errors."""

    def _render_traceback_(self) -> list[str]:
        """Return the lines that a notebook shows instead of a traceback."""
        return [f"{type(self).__name__}: {self}"]


class InvalidInput(PipelineError, ValueError):
    """A parameter, a folder, helpers.py or a set of images cannot be used."""


class InvalidFile(InvalidInput):
    """A file cannot be used. The user, a run or a sweep may have written the file.

    problem: a clause that follows the path in the message, such as "is damaged".
    advice: a sentence that says what to do.
    """

    def __init__(self, path: Path, problem: str, advice: str = "") -> None:
        super().__init__(f"{path} {problem}. {advice}".rstrip())


class CommandFailed(PipelineError):
    """A command could not start, or has ended without its result.

    For example, another command is using the folder, a worker of a cluster cannot
    train, points of a sweep did not finish, or a repeated run gave another result.
    """


class NotebookFailed(PipelineError):
    """A notebook did not run to its end: a cell failed, or its process ended early."""


class Diverged(NotebookFailed):
    """A metric or a weight of the network is no longer a finite number."""

    ADVICE = "Make learning_rate smaller, at first by a factor of ten, or make "
    ADVICE += "normalisation larger."
