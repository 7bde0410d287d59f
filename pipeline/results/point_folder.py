"""Read the files of a point of a sweep."""

from pathlib import Path

from pipeline.paths import BASE
from pipeline.records import RunRecord
from pipeline.results import stages
from pipeline.results.run_folder import RunFolder


class PointFolder(RunFolder):
    """The folder of a point of a sweep, inside the folder of the sweep.

    The sweep keeps the text of helpers.py for all of its points.
    """

    advice = "Run its sweep again, or name the folder of a run."

    def __init__(self, path: Path | str) -> None:
        super().__init__(path)
        self.helpers_path = self.path.parent / stages.HELPERS

    def _describe_repetition(self, record: RunRecord) -> str:
        return self.advice


def open_run(path: Path | str) -> RunFolder:
    """Return the folder of a run or, if its parent is a sweep's folder, of a point."""
    parent = (BASE / path).parent
    return PointFolder(path) if (parent / stages.SWEEP).exists() else RunFolder(path)
