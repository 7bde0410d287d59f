"""Where a result was made: the commit of the project."""

import subprocess

from pipeline.execution import machine


def give_git(folder, *words):
    author = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    command = ["git", "-C", str(folder), *author, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def commit(folder, file):
    """Make a repository in a folder, with this file, and return its commit."""
    give_git(folder, "init", "--quiet")
    give_git(folder, "add", file)
    give_git(folder, "commit", "--quiet", "--message", "first")
    return give_git(folder, "rev-parse", "HEAD").strip()


def test_the_commit_is_the_projects_own_and_says_if_a_file_differs(
    tmp_path, monkeypatch
):
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.setattr(machine, "ROOT", project)
    for path in (project / "helpers.py", tmp_path / "around.txt"):
        path.touch()
    collect_origin = machine.collect_origin.__wrapped__  # without its cache
    commit(tmp_path, "around.txt")  # a repository lies around the project
    assert collect_origin().commit is None
    own = commit(project, "helpers.py")
    (project / "notes.txt").touch()  # not of the project
    assert collect_origin().commit == own
    (project / "helpers.py").write_text("# changed")
    assert collect_origin().commit == f"{own}-dirty"
