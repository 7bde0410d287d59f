"""A changed helpers.py is trained, resumed, swept, verified and reported.

Each change is a patch of helpers.py alone, in a copy of the project.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import pytest

from pipeline.errors import InvalidFile
from pipeline.network.compiled import NOTE
from pipeline.paths import ROOT
from pipeline.results.run_folder import RunFolder
from pipeline.results.stages import TRAINING
from tests.conftest import MIDWAY, copy_project

PATCHES = ROOT / "tests" / "networks"
OPTIONS = {"num_samples": 200, "num_validation": 50, "epochs": 4, "hidden_size": 12}
OPTIONS |= {"seed": 14}  # a training with this seed stops at the gate
# The shapes of the matrices, and whether the compiled loops still train.
NETWORKS = {
    "leaky_relu": ([(784, 12), (12, 10)], True),
    "bias": ([(785, 12), (12, 10)], False),
    "second_layer": ([(784, 12), (12, 12), (12, 10)], False),
    "cross_entropy": ([(784, 12), (12, 10)], False),
}
# A training with the helpers.py of a folder, but no other file of the project.
TRAIN = """
import json
import numpy as np
import helpers

file = np.load("notebooks/data/mnist_sample.npz")
x, y = file["x_train"].reshape(-1, 784)[:200], file["y_train"][:200]
rng, input_rng = helpers.generators(14)
weights = helpers.initial_weights(rng, 12)
for _ in range(4):
    error, accuracy = helpers.train_epoch(x, y, weights, rng, input_rng)
test = helpers.evaluate(file["x_test"].reshape(-1, 784), file["y_test"], weights)
print(json.dumps([error, accuracy, *test]))
"""


def make_options(values):
    return [word for name, value in values.items() for word in ("-p", name, str(value))]


class Project:
    """A copy of the project, in which commands are run."""

    def __init__(self, path):
        self.path = copy_project(path)

    def patch(self, name):
        command = ["git", "apply", PATCHES / f"{name}.patch"]
        subprocess.run(command, cwd=self.path, check=True)

    def start(self, *arguments, **environment):
        return subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            cwd=self.path,
            env=os.environ | {"PYTHONPATH": str(self.path)} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def give(self, *arguments):
        """Return the exit code and the output of a command of the pipeline."""
        process = self.start("-m", "pipeline", *arguments)
        output, _ = process.communicate(timeout=200)
        return process.returncode, output

    def give_each(self, *commands):
        """Return the code and the output of commands that one process carries out."""
        words = json.dumps([[str(word) for word in command] for command in commands])
        output, errors = self.start("-c", EACH, words).communicate(timeout=200)
        assert not errors
        return json.loads(output.splitlines()[-1])


# Carries out commands one after the other, which saves the start of their processes.
EACH = """
import contextlib, io, json, sys
from pipeline.__main__ import call_main

results = []
for words in json.loads(sys.argv[1]):
    sys.argv = ["pipeline", *words]
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        results.append([call_main(), output.getvalue()])
print(json.dumps(results))
"""


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def check_page(html, name, is_compiled):
    """The page says what it cannot do for a network that it does not know."""
    assert "the page shows what the run has stored, and does not train it" in html
    assert "Train again" not in html
    reads = "<option>This run" in html
    assert reads == (name == "cross_entropy")  # which reads as the original does
    assert reads != ("computes the scores in another way than this page" in html)
    assert "last bit" not in html
    assert (NOTE in html) == (not is_compiled)


@pytest.mark.parametrize(("name", "expected"), NETWORKS.items())
def test_a_patch_of_helpers_alone_is_run_resumed_swept_verified_and_reported(
    project, gate, name, expected
):
    shapes, is_compiled = expected
    project.patch(name)
    with (project.path / "pipeline" / "checkpoints.py").open("a") as file:
        file.write(MIDWAY)
    folder = RunFolder(project.path / "runs" / "own")
    command = ["run", "--run-dir", folder.path, *make_options(OPTIONS)]
    process = project.start("-m", "pipeline", *command, GATE=gate.port)
    with gate.wait():
        process.kill()
        process.communicate()
    sweep = {"name": "s", "base": OPTIONS, "grid": {"seed": [14, 2]}}
    (project.path / "s.yaml").write_text(json.dumps(sweep))
    commands = command, ["verify", folder.path], ["sweep", "s.yaml", "--no-report"]
    (code, output), verified, swept = project.give_each(*commands)
    assert code == 0, output
    assert "Continuing after epoch 2" in folder.executed_path(TRAINING).read_text()
    record = folder.read_record()
    assert record.started <= record.resumed
    assert record.duration_s > record.earlier_s > 0  # the time of both legs
    assert "What differs from the original: num_samples 200" in output
    assert "helpers.py, whose code has been changed" in output
    assert "equal" not in output
    assert (NOTE in output) == (not is_compiled)

    process = project.start("-c", TRAIN)
    metrics = folder.read_metrics()
    names = ("train_error", "train_accuracy", "test_error", "test_accuracy")
    found = [getattr(metrics, name) for name in names]
    assert found == pytest.approx(json.loads(process.communicate()[0]), rel=1e-9)
    assert [matrix.shape for matrix in folder.read_model().weights] == shapes

    check_page(folder.report_path.read_text(), name, is_compiled)

    assert verified[0] == 0, verified
    assert "Reproduced" in verified[1]

    assert swept[0] == 0, swept
    assert swept[1].count(NOTE) == (0 if is_compiled else 1)
    digests = [
        json.loads(path.read_text())["metrics"]["weights_sha256"]
        for path in (project.path / "runs" / "sweeps" / "s").glob("*/run.json")
    ]
    assert len(digests) == 2
    assert metrics.weights_sha256 in digests


def test_with_all_defaults_the_metrics_are_not_equal_and_helpers_is_named(project):
    project.patch("leaky_relu")
    code, output = project.give("run")
    assert code == 0, output
    assert output.count("NOT equal") == 4
    assert output.count(" equal") == 4
    assert "What differs from the original: helpers.py, whose code has been" in output
    html = (project.path / "runs" / "default" / "report.html").read_text()
    assert "A network of your own, trained on 1,000 digits" in html
    assert "≠ NOT equal" in html
    assert not re.search("(?<!NOT )equal</span>", html)


def test_a_comment_and_a_mistake_replace_no_result_and_other_arithmetic_does(project):
    options = make_options(OPTIONS | {"epochs": 1})
    assert project.give("run", *options)[0] == 0
    helpers = project.path / "helpers.py"
    helpers.write_text(
        helpers.read_text().replace('"""A neural', '"""My own', 1) + "# a\n"
    )
    assert "nothing that it depends on has changed" in project.give("run", *options)[1]
    text = helpers.read_text()
    helpers.write_text(text.replace("def relu(x", "def relu(:x"))
    code, output = project.give("run", *options)
    assert code == 2
    problem = r"Error: helpers\.py has a mistake in line \d+: invalid syntax\. Correct"
    assert re.search(problem, output), output
    assert RunFolder(project.path / "runs" / "default").read_record().status == "done"
    helpers.write_text(text)
    project.patch("leaky_relu")
    code, output = project.give("run", *options)
    assert code == 0, output
    assert "Replacing what is in runs/default, because of\n  code helpers.py" in output


# Changes of helpers.py that the compiled loops do not follow.
CHANGES = {
    "of the targets": (
        "np.eye(NUM_DIGITS)[labels]",
        "2 * np.eye(NUM_DIGITS)[labels] - 1",
    ),
    "by a weight decay": (
        "matrix -= learning_rate * gradient",
        "matrix -= learning_rate * (gradient + 1e-6 * matrix)",
    ),
    "of the order": (
        "rng, (len(inputs), hidden_size)",
        "rng, (hidden_size, len(inputs))",
    ),
    "of the inputs": ("images / float(", "images[..., ::4] / float("),
    "that Numba cannot compile": (
        "return np.maximum(0, x)",
        "return np.vectorize(lambda value: max(0.0, value))(x)",
    ),
    "by the whole vector": (
        "return np.maximum(0, x)",
        "return np.maximum(0, x - np.mean(x))",
    ),
    "of the evaluation": (
        "return measure(predict(images, weights, normalisation), labels)",
        "return measure(predict(images, weights, normalisation) / 2, labels)",
    ),
    "by another parameter": (
        "    batch_size: int = 1,\n",
        "    batch_size: int = 1,\n    weight_decay: float = 0,\n",
    ),
    "that fails": ("    weights_0_1, weights_1_2 = weights\n", "    raise OSError\n"),
}
AGREES = "from pipeline import agreement; print(agreement.agrees_with_helpers())"


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_the_loops_are_not_used_after_a_change(project, change):
    helpers = project.path / "helpers.py"
    assert CHANGES[change][0] in helpers.read_text()
    helpers.write_text(helpers.read_text().replace(*CHANGES[change]))
    output, _ = project.start("-c", AGREES).communicate()
    assert output == "False\n"


def test_the_loops_follow_another_activation_without_a_stale_cache(project):
    """The loops compute the scores of leaky units, in two processes."""
    script = """
import numpy as np
import helpers
from pipeline.network import agreement, compiled

assert agreement.agrees_with_helpers()
weights = helpers.initial_weights(np.random.RandomState(0), 12)
images = np.full((1, 784), 99, np.uint8)
differences = compiled.predict(images, weights) - helpers.predict(images, weights)
print(np.abs(differences).max() < 1e-12)
print(compiled.predict(images, weights).tolist())
"""
    first = project.start("-c", script).communicate()[0].splitlines()
    project.patch("leaky_relu")
    second = project.start("-c", script).communicate()[0].splitlines()
    assert first[0] == second[0] == "True"
    assert first[1] != second[1]


def test_each_of_two_runs_in_one_process_has_the_code_of_its_moment(project):
    """The compiled loops follow a change of the activation, and a module is imported
    again. For both versions of helpers.py the loops are cached before.
    """
    project.patch("leaky_relu")
    assert project.start("-c", AGREES).communicate()[0] == "True\n"
    leaky = (project.path / "helpers.py").read_text()
    shutil.copy2(ROOT / "helpers.py", project.path)
    script = f"""
import json, pathlib
from pipeline import parameters
from pipeline.execution import runs
from pipeline.errors import NotebookFailed
from pipeline.results.run_folder import RunFolder

options = parameters.from_values({OPTIONS})
leaky, loops = pathlib.Path("leaky.py"), pathlib.Path("pipeline/network/loops.py")
leaky.write_text({leaky!r})
for text in (None, leaky.read_text()):
    if text:
        pathlib.Path("helpers.py").write_text(text)
    runs.run(options, "runs/own")
    folder = RunFolder("runs/own")
    print(json.dumps([folder.read_model().note, folder.read_metrics().train_error]))
loops.write_text(loops.read_text() + "raise RuntimeError('a mistake')")
try:
    runs.run(options, "runs/own")
except NotebookFailed as error:
    print(json.dumps(str(error)))
"""
    output = project.start("-c", script).communicate(timeout=200)[0]
    first, second, failure = map(json.loads, output.splitlines()[-3:])
    assert first[0] is second[0] is None
    assert "RuntimeError: a mistake" in failure
    train = project.start("-c", TRAIN).communicate()[0]
    assert second[1] == pytest.approx(json.loads(train)[0], rel=1e-9)
    assert first[1] != pytest.approx(second[1])


def test_weights_that_cannot_be_stored_are_refused_before_the_training(project):
    helpers = project.path / "helpers.py"
    old = "    return weights_0_1, weights_1_2\n"
    new = "    return weights_0_1, weights_1_2, np.zeros(NUM_DIGITS)\n"
    helpers.write_text(helpers.read_text().replace(old, new))
    code, output = project.give("run", *make_options(OPTIONS))
    assert code == 1
    problem = "weights_2_3 of helpers.py is float64 (10,), but must be a float64 matrix"
    assert problem in output
    assert "I:0" not in output


def test_what_helpers_keeps_between_epochs_is_not_changed_by_the_comparison(project):
    """A counter of epochs, for instance, on which a learning rate may depend."""
    helpers = project.path / "helpers.py"
    old = "    hidden_size = weights[0].shape[1]\n"
    text = helpers.read_text().replace(old, f"{old}    COUNTS.append(1)\n")
    helpers.write_text(
        text.replace("NUM_DIGITS = 10\n", "NUM_DIGITS = 10\nCOUNTS = []\n")
    )
    script = """
import helpers
from pipeline.network import agreement

print(agreement.agrees_with_helpers(), len(helpers.COUNTS))
"""
    assert project.start("-c", script).communicate()[0] == "True 0\n"


def test_hidden_units_in_another_form_leave_their_pictures_out(project):
    """For instance those of two layers of different lengths, in a tuple."""
    helpers = project.path / "helpers.py"
    text = helpers.read_text().replace(
        "return hidden, scores", "return (hidden, 1), scores"
    )
    helpers.write_text(
        text.replace(
            "    _, weights_1_2 =", "    hidden, _ = hidden\n    _, weights_1_2 ="
        )
    )
    code, output = project.give("run", *make_options(OPTIONS | {"epochs": 1}))
    assert code == 0, output
    executed = (project.path / "runs/default/03_evaluate.ipynb").read_text()
    assert (
        "This network has no such picture: its helpers.py has other units" in executed
    )


def test_nbval_neither_reads_nor_writes_what_stands_in_runs(project):
    mine = project.path / "runs" / "default" / "data.npz"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    names = [f"notebooks/{stem}.ipynb" for stem in ("02_train", "learn")]
    # A path to a socket has at most 107 bytes, so this folder is not pytest's deep one.
    with tempfile.TemporaryDirectory() as scratch:
        process = project.start("-m", "pytest", "--nbval", *names, TMPDIR=scratch)
        output, _ = process.communicate(timeout=200)
        assert process.returncode == 0, output
        assert not [*pathlib.Path(scratch).glob("digits-*")]
    assert [*(project.path / "runs").rglob("*.*")] == [mine]
    assert mine.read_text() == "mine"


def test_a_script_without_a_main_guard_runs_once(project):
    options = {**OPTIONS, "epochs": 1}
    (project.path / "mine.py").write_text(f"""
import numpy as np
from pipeline import parameters
from pipeline.execution import runs
from pipeline.results.run_folder import RunFolder
from pipeline.sweeps import execution

print("begun")
runs.run(parameters.from_values({options}), "runs/mine")
print(RunFolder("runs/mine").read_model().weights[0].shape)
execution.run_sweep({{"name": "s", "base": {options}, "grid": {{"seed": [1, 2]}}}})
""")
    process = project.start("mine.py")
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    assert output.count("begun") == 1
    assert "(784, 12)" in output
    points = RunFolder(project.path).path.glob("runs/sweeps/s/*/run.json")
    assert [json.loads(p.read_text())["status"] for p in points] == ["done", "done"]


def test_files_of_weights_are_numbered_without_a_gap(tmp_path):
    folder, matrix = RunFolder(tmp_path), np.ones((2, 2))
    for names, problem in (
        (["weights_0_1", "weights_2_3"], "has no array weights_1_2"),
        (["weights_1_2"], "has no array weights_0_1"),
        ([], "has no array weights_0_1"),
    ):
        np.savez(folder.model_path, normalisation=1.0, **dict.fromkeys(names, matrix))
        with pytest.raises(InvalidFile, match=problem):
            folder.read_model()
    np.savez(folder.model_path, normalisation=1.0, weights_0_1=matrix.astype("float32"))
    with pytest.raises(InvalidFile, match="float32 .*must have a float64 matrix"):
        folder.read_model()
    np.savez(folder.model_path, normalisation=1.0, weights_0_1=matrix)
    assert len(folder.read_model().weights) == 1


def test_a_comment_that_is_saved_after_the_import_changes_nothing(project):
    """As in JupyterLab, where helpers.py may be edited before the first training."""
    script = """
import pathlib
import helpers

path = pathlib.Path("helpers.py")
path.write_text("# A comment moves all lines.\\n" + path.read_text())
from pipeline.network import agreement

print(agreement.agrees_with_helpers())
"""
    assert project.start("-c", script).communicate()[0] == "True\n"


def test_a_notebook_that_is_saved_while_a_run_goes_on_is_not_executed_in_it(project):
    script = f"""
from pathlib import Path
from pipeline.execution import notebooks, runs
from pipeline import parameters

execute = notebooks.execute


def edit_and_execute(path, *arguments, **options):
    later = Path("notebooks/03_evaluate.ipynb")
    later.write_text(later.read_text().replace("plots.use_style()", "1 / 0"))
    execute(path, *arguments, **options)


notebooks.execute = edit_and_execute
runs.run(parameters.from_values({OPTIONS | {"epochs": 1}}))
"""
    output, _ = project.start("-c", script).communicate()
    record = RunFolder(project.path / "runs" / "default").read_record()
    assert record.status == "done", output
