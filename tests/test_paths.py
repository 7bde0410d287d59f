"""No file of a run or a sweep contains a path of the machine or the user's name."""

import io
import json
import zipfile

import pytest

from pipeline import paths
from pipeline.paths import ROOT
from tests.commands import make_options
from tests.conftest import write_pictures

SMALL = {"num_samples": 20, "num_validation": 5, "epochs": 1, "hidden_size": 3}


def read_contents(folder):
    """Yield the name and the content of each file, including those in .npz files."""
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix == ".npz":
            with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
                for name in archive.namelist():
                    content = archive.read(name)
                    yield f"{path}/{name}", content
                    yield f"{path}/{name}", content.replace(b"\0", b"")  # of UTF-32
        elif path.is_file():
            yield str(path), path.read_bytes()


def test_files_of_runs_and_sweeps_have_no_absolute_path_and_no_user_name(
    project, tmp_path, monkeypatch
):
    """A run of a user's source, and a sweep with a point that fails, in this home."""
    home = project.path.parent
    monkeypatch.setenv("HOME", str(home))
    write_pictures(tmp_path / "pictures", {0: "zero", 1: "one"}, 40)

    def run(*words, code=0):
        found, output = project.run(*words)
        assert found == code, output

    values = SMALL | {"source": f"~/{tmp_path.name}/pictures"}
    run("run", *make_options(values))
    definition = {"name": "mine", "base": values, "seeds": [1, 2]}
    (project.path / "mine.yaml").write_text(json.dumps(definition))
    fails = "_ = seed == 2 and open(plots.__file__ + '.gone')"
    project.add_cell("notebooks/02_train.ipynb", fails)
    run("sweep", "mine.yaml", code=1)
    assert (
        "plots.py.gone" in (project.path / "runs/sweeps/mine/results.csv").read_text()
    )

    files = list(read_contents(project.path / "runs"))
    assert len(files) > 50
    name = home.name.encode()  # which is in each path below it, too
    assert [file for file, content in files if name in content] == []


@pytest.mark.parametrize(
    ("home", "path", "source"),
    [
        ("/home/ann", "data/small.npz", "notebooks/data/small.npz"),
        ("/home/ann", "../../pictures", f"{ROOT.parent}/pictures"),
        ("/home/ann", "/data/pictures", "/data/pictures"),
        ("/home/ann", "~/pictures", "~/pictures"),
        (ROOT.parent, "../../pictures", "~/pictures"),
    ],
)
def test_a_source_begins_at_the_project_and_names_no_user(
    home, path, source, monkeypatch
):
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(ROOT / "notebooks")
    assert paths.normalise_source(path) == source
