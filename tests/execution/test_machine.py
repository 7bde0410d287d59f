"""Where a result was made: the commit of the project."""

import subprocess

from tests.commands import Project

DESCRIBE = """
from pipeline.execution.machine import collect_origin
print(collect_origin().commit)
"""


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


def test_the_commit_is_the_projects_own_and_says_if_a_file_differs(tmp_path):
    project = Project(tmp_path / "copy")
    (tmp_path / "around.txt").touch()
    commit(tmp_path, "around.txt")  # a repository lies around the project
    assert project.run_python("-c", DESCRIBE) == "None\n"
    own = commit(project.path, "helpers.py")
    project.write("notes.txt", "not of the project")
    assert project.run_python("-c", DESCRIBE) == f"{own}\n"
    project.append("helpers.py", "# changed")
    assert project.run_python("-c", DESCRIBE) == f"{own}-dirty\n"
