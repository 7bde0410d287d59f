"""A changed helpers.py is trained, stored, verified and reported.

Each change is a patch of helpers.py alone, in a copy of the project.
"""

import importlib.util
import json
import re

import numpy as np
import pytest

import helpers
from pipeline.errors import InvalidInput
from pipeline.images import data
from pipeline.network.published import NOTE
from pipeline.paths import NOTEBOOKS, ROOT
from pipeline.results.model import name_weights
from pipeline.results.run_folder import RunFolder
from pipeline.results.stages import EVALUATION
from tests.commands import make_options
from tests.records.test_networks import load_patched
from tests.test_project import find_blocks

VALUES = {"num_samples": 200, "num_validation": 50, "epochs": 4, "hidden_size": 12}
VALUES |= {"seed": 14, "batch_size": 8, "source": "few.npz", "normalisation": 100}
OPTIONS = make_options(VALUES)
METRICS = ("train_error", "train_accuracy", "test_error", "test_accuracy")


@pytest.fixture
def few(project):
    """The first 300 images of each part of the sample, as a source in the copy."""
    with np.load(data.SAMPLE) as sample:
        few = {name: sample[name][:300] for name in sample}
    np.savez(project.path / "few.npz", **few)
    return data.load_source(str(project.path / "few.npz"))


def train(path, few):
    """Return the metrics of a helpers.py, used without the rest of the project."""
    options = {"batch_size": 8, "normalisation": 100}
    spec = importlib.util.spec_from_file_location("own_helpers", path)
    own = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(own)
    images, labels = few.x_train[:200], few.y_train[:200]
    rng, input_rng = own.generators(14)
    weights = own.initial_weights(rng, 12)
    for _ in range(4):
        trained = own.train_epoch(images, labels, weights, rng, input_rng, **options)
    return [*trained, *own.evaluate(few.x_test, few.y_test, weights, 100)]


def check_run(project, few):
    """Check what the run in runs/own has computed, and what its page says about it."""
    folder = RunFolder(project.path / "runs" / "own")
    found = dict(folder.read_metrics())
    expected = train(project.path / "helpers.py", few)
    assert [found[each] for each in METRICS] == pytest.approx(expected, rel=1e-9)
    html = folder.report_path.read_text()
    assert "Train it here" not in html
    assert 'class="pad"' not in html
    assert NOTE in html
    assert "cp runs/own/helpers.py.txt helpers.py" in html
    return folder


def test_a_change_of_helpers_alone_is_trained_and_shown(project, few):
    project.patch("bias")
    code, output = project.run("run", "--run-dir", "runs/own", *OPTIONS)
    assert code == 0, output
    assert "helpers.py, whose code has been changed" in output
    assert " equal" not in output
    assert output.count(NOTE) == 1
    folder = check_run(project, few)
    assert folder.read_model().weights[0].shape == (785, 12)


def test_a_second_layer_is_verified_and_a_comment_repeats_nothing(project, few):
    project.patch("second_layer")
    command = ["run", "--run-dir", "runs/own", *OPTIONS]
    code, output = project.run(*command)
    assert code == 0, output
    folder = check_run(project, few)
    executed = folder.executed_path(EVALUATION).read_text()
    assert "This network has no such picture" in executed
    shapes = [matrix.shape for matrix in folder.read_model().weights]
    assert shapes == [(784, 12), (12, 12), (12, 10)]
    assert project.run("verify", folder.path)[0] == 0
    text = (project.path / "helpers.py").read_text()
    (project.path / "helpers.py").write_text(f"{text}\n# a comment\n")
    _, output = project.run(*command)
    assert "nothing that it depends on has changed" in output


@pytest.mark.parametrize(
    ("line", "code", "part"),
    [
        ("def relu(:", 2, r"helpers\.py has .*line \d+: "),
        ("undefined", 1, r"helpers\.py, line \d+: NameError"),
    ],
)
def test_a_mistake_in_helpers_is_named_and_nothing_is_trained(
    project, line, code, part
):
    project.append("helpers.py", f"\n{line}\n")
    found, output = project.run("run", "--run-dir", "runs/own", *OPTIONS[:9])
    assert found == code, output
    assert re.search(part, output), output
    assert not (project.path / "runs/own/model.npz").exists()


NETWORKS = sorted((ROOT / "tests" / "networks").glob("*.patch"))


@pytest.mark.parametrize("patch", NETWORKS, ids=lambda path: path.stem)
def test_each_network_of_the_guide_computes_something_else(sample, tmp_path, patch):
    own = load_patched(patch.stem, tmp_path)
    scores = []
    for network in (helpers, own):
        rng, _ = helpers.generators(1)
        weights = network.initial_weights(rng, 12)
        examples = sample["x_train"][:50], sample["y_train"][:50]
        network.train_epoch(*examples, weights, rng)
        scores.append(network.predict(sample["x_test"][:50], weights))
    assert np.isfinite(scores[1]).all()
    assert not np.allclose(*scores)


# A run, in which 03_evaluate is saved meanwhile; then another one, with other code.
TWO_RUNS = f"""
import nbformat
from pathlib import Path
from pipeline import parameters
from pipeline.errors import CommandFailed
from pipeline.engine import notebooks
from pipeline.execution import runs
from pipeline.results.run_folder import RunFolder

later, execute = Path("notebooks/03_evaluate.ipynb"), notebooks.execute


def edit_and_execute(*arguments, **options):
    node = nbformat.read(later, as_version=4)
    node.cells.append(nbformat.v4.new_code_cell("1 / 0"))
    nbformat.write(node, later)
    return execute(*arguments, **options)


notebooks.execute = edit_and_execute
options, folder = parameters.from_values({VALUES}), RunFolder("runs/own")
runs.run(options, "runs/own")
before = folder.digest()
with Path("helpers.py").open("a") as file:
    file.write("AFTER = True")
try:
    runs.run(options, "runs/own", force=True)
except CommandFailed as error:
    print(error)
print(folder.read_record().status, folder.digest() == before)
"""


@pytest.mark.usefixtures("few")
def test_a_process_executes_the_code_it_has_started_with_or_deletes_nothing(project):
    refusal, state = project.run_python("-c", TWO_RUNS).splitlines()[-2:]
    assert refusal.startswith("helpers.py changed after this command started")
    assert state == "done True"


def test_the_scripts_of_the_guides_run_once_without_a_main_guard(project):
    guides = NOTEBOOKS / "README.md", NOTEBOOKS / "sweeps" / "README.md"
    blocks = [find_blocks(guide.read_text(), "python") for guide in guides]
    script = "\n".join(["print('begun')", *blocks])
    project.write("mine.py", script)
    output = project.run_python("mine.py")
    assert output.count("begun") == 1
    assert "(784, 40)" in output
    records = project.path.glob("runs/**/run.json")
    statuses = [json.loads(path.read_text())["status"] for path in records]
    assert statuses == ["done"]


def test_weights_that_are_no_float64_matrices_are_refused():
    matrix = np.ones((2, 2))
    for weights, name in (
        ((matrix, np.ones(2)), "weights_1_2"),
        ((matrix.astype("float32"), matrix), "weights_0_1"),
        ([matrix, matrix], "list"),
    ):
        with pytest.raises(InvalidInput, match=name):
            name_weights(weights)
