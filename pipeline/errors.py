"""Name every error that a user can meet.

    PipelineError
    ├── InvalidParameter     a name, a type or a value that the user gave
    ├── InvalidData          images that cannot be loaded, or are not what they should be
    ├── InvalidRecord        a file or the folder of a run or a sweep: missing, damaged or of another kind
    ├── FolderBusy           another process writes to the folder
    ├── ClusterFailed        no scheduler, or no worker that can run the points
    ├── PointsFailed         a sweep has ended, with points that did not finish
    ├── NotReproduced        a run, executed again, gives another result
    └── NotebookFailed       a notebook did not run to its end
        ├── CellFailed       one of its cells raised an error
        ├── Diverged         training overshot until its error was no longer a number
        ├── CellTimedOut     one of its cells took longer than the time limit
        ├── CacheDamaged     what Numba had compiled could not be read
        ├── KernelDied       its process ended in the middle
        └── WorkerDied       the Dask worker that ran it ended in the middle

A message names the thing, its value, what is allowed and the next step. A class has the status of a run that it ends.
One that is a ValueError, too, says that what was given is wrong: then the exit code is 2.
"""

import errno
import html
import math
import re
import textwrap
import traceback
from pathlib import Path

from pipeline import console, in_view

# What the system may refuse, and what to do about it
NEXT_STEPS = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "Make room there, then give the same command again."),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "Choose another place, or change who may write there."),
    **dict.fromkeys((errno.ENOTDIR, errno.EISDIR, errno.EEXIST), "Choose another place."),
    errno.EIO: "Check the disk, then give the same command again.",
    errno.EFBIG: "Raise the limit of this shell (ulimit -f), then give the same command again.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
    errno.EMFILE: "Raise the limit of this shell (ulimit -n 1024), then give the same command again.",
    errno.ENFILE: "End other programs, then give the same command again.",
    errno.ENOMEM: "Free some memory or raise the limit (ulimit -v or -d), then give the same command again.",
    errno.EAGAIN: "Raise the limit of processes (ulimit -u), then give the same command again.",
}
FRAME_WIDTH = 88  # characters that a message is wide in a notebook
MAX_SHOWN = 400  # characters of a path or a value in a message


def shown(text: object) -> str:
    """Return a path or a value for a message: on one line, without the middle where it is long."""
    line = console.plain(str(text), "")
    return line if len(line) <= MAX_SHOWN else f"{line[: MAX_SHOWN // 2]} ... {line[-MAX_SHOWN // 4 :]}"


class PipelineError(Exception):
    status = "failed"
    rendered = False  # in a notebook

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook shows of the error: its name and message, framed. IPython asks for this method.

        The message says what is wrong and what to do. The traceback, 60 lines, follows folded.
        """
        lines = [part for line in str(self).splitlines() for part in textwrap.wrap(line, FRAME_WIDTH - 4) or [""]]
        framed = [f"│ {line:{FRAME_WIDTH - 4}} │" for line in lines]
        title = f"─ {type(self).__name__} "
        if not self.rendered:  # IPython asks twice
            text = html.escape("".join(traceback.format_exception(self)))
            in_view.after_this_cell(f"<details><summary>Traceback</summary><pre>{text}</pre></details>")
        self.rendered = True
        return [f"╭{title:─<{FRAME_WIDTH - 2}}╮", *framed, f"╰{'':─<{FRAME_WIDTH - 2}}╯"]


class InvalidParameter(PipelineError, ValueError): ...


class InvalidData(PipelineError, ValueError): ...


class InvalidRecord(PipelineError, ValueError):
    """A file or folder is not as it must be: a clause about it, such as "is damaged", and a sentence on what to do."""

    def __init__(self, path: Path, problem: str, next_step: str = "") -> None:
        super().__init__(f"{shown(path)} {console.plain(problem)}. {next_step}".rstrip())
        self.path, self.problem = path, problem


class FolderBusy(PipelineError): ...


class ClusterFailed(PipelineError): ...


class PointsFailed(PipelineError): ...


class NotReproduced(PipelineError): ...


class NotebookFailed(PipelineError): ...


class CellFailed(NotebookFailed): ...


class Diverged(NotebookFailed):
    status = "diverged"


class CellTimedOut(NotebookFailed):
    status = "timed out"


class CacheDamaged(NotebookFailed): ...


class KernelDied(NotebookFailed):
    status = "kernel died"


class WorkerDied(NotebookFailed):
    status = "worker died"


def refusal(message: str) -> int | None:
    """Return the number of what the system refused, if that is what an error's message tells; see NEXT_STEPS."""
    found = re.match(r"\[Errno (\d+)\]", message)
    return int(found[1]) if found and int(found[1]) in NEXT_STEPS else None


SMALLER = (
    "Each update overshoots by more than the last. Make learning_rate smaller, by a factor of ten at first, or "
    "normalisation larger. Their defaults are 0.005 and 255."
)


def check_finite(error: float, epoch: int, learning_rate: float, normalisation: float) -> None:
    """Raise Diverged if the error of an epoch, given as counted from 0, is infinite or not a number."""
    if not math.isfinite(error):
        chosen = f"learning_rate {learning_rate:g} and normalisation {normalisation:g}"
        raise Diverged(f"The error became {error} in epoch {epoch + 1}, with {chosen}. {SMALLER}")
