"""Where a result was made: the machine, and the commit of the project."""

import os
import subprocess

import pytest

from pipeline.execution import machine
from pipeline.paths import ROOT


@pytest.fixture
def fresh(monkeypatch):
    """Return a function that describes the origin again, of another folder."""

    def describe(root=ROOT):
        command = [each.replace(str(machine.ROOT), str(root)) for each in machine.GIT]
        monkeypatch.setattr(machine, "GIT", command)
        monkeypatch.setattr(machine, "ROOT", root)
        machine.describe_origin.cache_clear()
        return machine.describe_origin()

    yield describe
    machine.describe_origin.cache_clear()


def give_git(folder, *words):
    author = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    command = ["git", "-C", str(folder), *author, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_cores_are_those_that_this_process_may_use(fresh):
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert fresh().cores == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_the_commit_is_the_projects_own_and_says_if_a_file_differs(fresh, tmp_path):
    (tmp_path / "helpers.py").write_text("first")
    give_git(tmp_path, "init", "--quiet")
    give_git(tmp_path, "add", ".")
    give_git(tmp_path, "commit", "--quiet", "--message", "first")
    commit = give_git(tmp_path, "rev-parse", "HEAD").strip()
    (tmp_path / "notes.txt").write_text("not of the project")
    assert fresh(tmp_path).commit == commit
    (tmp_path / "helpers.py").write_text("changed")
    assert fresh(tmp_path).commit == f"{commit}-dirty"
    (tmp_path / "copy").mkdir()
    assert fresh(tmp_path / "copy").commit is None  # a repository lies around it
