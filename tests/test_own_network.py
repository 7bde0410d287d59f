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
from tests.test_project import find_blocks

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

    def restore(self):
        shutil.copy2(ROOT / "helpers.py", self.path)

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
    assert reads == ('class="pad"' in html)
    assert reads != ("in more than the bodies of functions" in html)
    assert "last bit" not in html
    assert (NOTE in html) == (not is_compiled)
    assert "+++ helpers.py of this run" in html
    assert "cp runs/own/helpers.py.txt helpers.py" in html


@pytest.mark.parametrize(("name", "expected"), NETWORKS.items())
def test_a_patch_of_helpers_alone_is_run_resumed_swept_verified_and_reported(
    project, gate, name, expected
):
    shapes, is_compiled = expected
    project.patch(name)
    with (project.path / "pipeline/results/checkpoints.py").open("a") as file:
        file.write(MIDWAY)
    folder = RunFolder(project.path / "runs" / "own")
    command = ["run", "--run-dir", "runs/own", *make_options(OPTIONS)]
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
    assert "Going on with runs/own after epoch 2." in output
    record = folder.read_record()
    assert record.resumed_after_epoch == 2
    assert record.duration_s > 0  # of the last part
    assert record.earlier_s > 0
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


CLASS_WEIGHTS = (
    "(scores - targets) / len(inputs)",
    "(scores - targets) * (1 + targets[:, 5:6] + targets[:, 8:9]) / len(inputs)",
)


def test_class_weights_are_trained_and_nothing_is_called_equal(project):
    """They act on two classes alone, so a comparison of a few images may miss them."""
    helpers = project.path / "helpers.py"
    helpers.write_text(helpers.read_text().replace(*CLASS_WEIGHTS))
    (code, output), (verified, other) = project.give_each(
        ["run"], ["verify", "runs/default"]
    )
    assert code == 0, output
    assert output.count("NOT equal") == 4
    assert output.count(" equal") == 4
    assert "What differs from the original: helpers.py, whose code has been" in output
    folder = RunFolder(project.path / "runs" / "default")
    assert folder.read_metrics().test_accuracy == 0.7597
    html = folder.report_path.read_text()
    assert "A network of your own, trained on 1,000 digits" in html
    assert "≠ NOT equal" in html
    assert not re.search("(?<!NOT )equal</span>", html)
    assert verified == 0, other
    project.restore()
    code, output = project.give("verify", "runs/default")
    assert code == 1
    own = folder.helpers_path
    assert f"with its own helpers.py: cp {own} {project.path}/helpers.py" in output
    shutil.copy(own, helpers)
    assert project.give("verify", "runs/default")[0] == 0


def test_a_file_beside_helpers_is_refused_before_anything_starts(project):
    helpers = project.path / "helpers.py"
    helpers.write_text(f"from settings import DECAY\n{helpers.read_text()}")
    (project.path / "settings.py").write_text("DECAY = 0.1\n")
    for command in (["run"], ["sweep", "notebooks/sweeps/small.yaml"]):
        code, output = project.give(*command)
        assert code == 2
        assert "Error: helpers.py imports settings, which no run records" in output
    assert not (project.path / "runs").exists()


def test_a_mistake_at_import_ends_a_run_in_one_sentence(project):
    with (project.path / "helpers.py").open("a") as file:
        file.write("undefined\n")
    code, output = project.give("run", *make_options(OPTIONS))
    assert code == 1
    assert re.search(r"cannot be imported\. helpers\.py, line \d+: NameError", output)
    assert "died" not in output


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


def test_the_loops_follow_another_activation_without_a_stale_cache(project):
    """The loops compute the scores of leaky units, in two processes."""
    script = """
import numpy as np
import helpers
from pipeline.network import compiled

assert compiled.follows_helpers()
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
    """The fork server has the first helpers.py, so the second run spawns processes."""
    project.patch("leaky_relu")
    leaky = (project.path / "helpers.py").read_text()
    project.restore()
    script = f"""
import json, pathlib
from pipeline import parameters
from pipeline.errors import CommandFailed
from pipeline.execution import runs
from pipeline.results import provenance
from pipeline.results.run_folder import RunFolder

options = parameters.from_values({OPTIONS})
helpers = pathlib.Path("helpers.py")
original = helpers.read_text()
for text in (original, {leaky!r}):
    helpers.write_text(text)
    runs.run(options, "runs/own")
    folder = RunFolder("runs/own")
    print(json.dumps([folder.read_model().note, folder.read_metrics().train_error]))

collect = provenance.collect_inputs


def collect_and_edit(*arguments):
    inputs = collect(*arguments)
    helpers.write_text(original + "AFTER = True\\n")
    return inputs


provenance.collect_inputs = collect_and_edit
try:
    runs.run(options, "runs/own", force=True)
except CommandFailed as error:
    print(json.dumps([str(error), RunFolder("runs/own").read_record().status]))
"""
    process = project.start("-c", script)
    output = process.communicate(timeout=200)[0]
    assert process.returncode == 0, output
    first, second, third = map(json.loads, output.splitlines()[-3:])
    assert first[0] is second[0] is None
    sentence = "helpers.py changed after this command started. Start the command again."
    assert third == [sentence, "failed"]
    (project.path / "helpers.py").write_text(leaky)
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


# Stands for Optuna, which the project does not install.
OPTUNA = """
def create_study(direction):
    return Study()


class Study:
    def ask(self):
        return self

    def suggest_float(self, name, low, high, log):
        return low

    def tell(self, trial, value):
        print("told", value)
"""


def test_the_scripts_of_the_guides_run_once_without_a_main_guard(project):
    (project.path / "optuna.py").write_text(OPTUNA)
    blocks = [
        *find_blocks("notebooks/README.md", "python"),
        *find_blocks("notebooks/sweeps/README.md", "python"),
    ]
    script = "\n".join(["print('begun')", *blocks]).replace("range(20)", "range(2)")
    (project.path / "mine.py").write_text(script)
    process = project.start("mine.py")
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    assert output.count("begun") == 1
    assert "(784, 40)" in output
    assert output.count("told") == 2
    records = project.path.glob("runs/**/run.json")
    statuses = [json.loads(path.read_text())["status"] for path in records]
    assert statuses == ["done"] * 7  # a run, four points, and two runs


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
from pipeline.network import compiled

print(compiled.follows_helpers())
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
