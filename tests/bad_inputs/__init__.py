"""The table of bad inputs: by surface, each with what makes it and the command that meets it.

`server` runs them, in forked processes with limits; tests/test_bad_inputs.py asserts what comes of each.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """make: given a folder with a finished run and more, spoil something, and return a command's arguments.

    says: what the message has to name. code: the exit code, 0 where a remark is right. writes: the only files that
    the command may write.
    """

    surface: str
    name: str
    make: Callable[[Path], Sequence[object]]
    says: str
    code: int = 2
    writes: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"{self.surface}: {self.name}"


def cases() -> dict[str, Case]:
    from tests.bad_inputs import definitions, files, notebooks, places  # which import the class above

    found = [case for module in (definitions, files, notebooks, places) for case in module.cases()]
    by_id = {case.id: case for case in found}
    assert len(by_id) == len(found), "two cases have one name"
    return by_id
