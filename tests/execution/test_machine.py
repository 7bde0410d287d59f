"""What a run was made on: the machine, and the version of the project."""

import os
import subprocess

import pytest

from pipeline.execution import machine
from pipeline.paths import ROOT
from pipeline.records import Machine


def test_the_machine_is_described_without_its_name():
    found = machine.describe_machine()
    assert 1 <= found.cores <= os.cpu_count()
    assert found.system
    assert found.processor
    assert found.blas_threads in (1, None)
    name = os.uname().nodename
    assert len(name) < 3 or name not in found.model_dump_json()
    assert machine.describe_differences([found], found) == []


def test_what_the_system_does_not_tell_is_none(monkeypatch):
    monkeypatch.delattr(os, "sysconf")
    monkeypatch.setattr(
        machine.Path, "read_text", lambda _: (_ for _ in ()).throw(OSError)
    )
    monkeypatch.setattr(machine.platform, "processor", lambda: "")
    monkeypatch.setattr(machine.platform, "machine", lambda: "riscv64")
    found = machine.describe_machine()
    assert found.memory_gb is None
    assert found.processor.split(",")[0] == "riscv64"


def test_differences_name_all_machines_of_a_run():
    fields = {"processor": "p", "cores": 2, "blas": "b 1", "blas_threads": 1}
    one = Machine(system="Linux", **fields)
    other = Machine(system="macOS", **fields | {"cores": 8})
    assert machine.describe_differences([one, other], one) == [
        "system, which was Linux, then macOS and is Linux",
        "cores, which was 2, then 8 and is 2",
    ]


def give_git(folder, *words):
    author = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    command = ["git", "-C", str(folder), *author, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A folder in place of the project's, which is no repository yet."""
    for name in ("helpers.py", "CITATION.cff"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    monkeypatch.setattr(machine, "ROOT", tmp_path)
    return tmp_path


def test_the_commit_and_the_files_that_differ_are_named(repository):
    found = machine.describe_software()
    assert (found.commit, found.changed) == (None, None)
    assert f"\nversion: {found.version}\n" in (ROOT / "CITATION.cff").read_text()
    assert {"numpy", "papermill"} <= found.packages.keys()
    give_git(repository, "init", "--quiet")
    give_git(repository, "add", ".")
    give_git(repository, "commit", "--quiet", "--message", "first")
    commit = give_git(repository, "rev-parse", "HEAD").strip()
    found = machine.describe_software()
    assert (found.commit, found.changed) == (commit, [])
    (repository / "helpers.py").write_text("changed")
    (repository / "notes.txt").write_text("not of the project")
    assert machine.describe_software().changed == ["helpers.py"]


def test_a_copy_within_another_repository_has_no_commit(repository, monkeypatch):
    give_git(repository, "init", "--quiet")
    give_git(repository, "add", ".")
    give_git(repository, "commit", "--quiet", "--message", "of another project")
    inner = repository / "copy"
    inner.mkdir()
    monkeypatch.setattr(machine, "ROOT", inner)
    assert machine.describe_software().commit is None
