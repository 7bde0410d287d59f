"""The pipeline end to end, through its command line."""

import json
import shutil

import nbformat
import numpy as np
import pytest

from pipeline import files, run
from tests.conftest import write_small_source

SMALL = {"num_samples": 40, "num_validation": 10, "epochs": 2, "hidden_size": 5}


def options(values):
    return [text for name, value in values.items() for text in ("-p", name, value)]


@pytest.fixture(scope="session")
def made_once(tmp_path_factory, pipeline):
    """A finished run of a few images, with its source beside it."""
    folder = tmp_path_factory.mktemp("small")
    source, _ = write_small_source(folder)
    done = pipeline("run", "--run-dir", folder / "run", *options({"source": source} | SMALL))
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def small_run(made_once, tmp_path):
    """A copy of that run, its source, and the arguments that would make it again."""
    folder = tmp_path / "run"
    shutil.copytree(made_once / "run", folder)
    source = made_once / "small.npz"
    return folder, ["run", "--run-dir", folder, *options({"source": source} | SMALL)]


def contents(folder):
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in sorted(folder.iterdir())}


def test_the_default_run_gives_the_published_figures(tmp_path, pipeline):
    done = pipeline("run", "--run-dir", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    for line in (
        "train error          0.420     0.420  equal",
        "train accuracy       0.817     0.817  equal",
        "test error           0.429     0.429  equal",
        "test accuracy       0.7942    0.7942  equal",
    ):
        assert line in done.stdout
    assert f"report: {tmp_path / 'run' / 'report.html'}" in done.stdout
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["train_error"] == pytest.approx(0.42039163449803, abs=1e-12)
    assert metrics["test_error"] == pytest.approx(0.42936252114571, abs=1e-12)
    assert (metrics["train_accuracy"], metrics["test_accuracy"]) == (0.817, 0.7942)
    printed = [
        output.text
        for stage in ("02_train", "03_evaluate")
        for cell in nbformat.read(tmp_path / "run" / f"{stage}.ipynb", 4).cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream"
    ]
    assert "I:99 Train-Err:0.420 Train-Acc:0.817" in "".join(printed)
    assert "Test-Err:0.429 Test-Acc:0.7942" in "".join(printed)


def test_the_true_gradient_gives_the_other_figures_and_says_what_differs(tmp_path, pipeline):
    done = pipeline("run", "--run-dir", tmp_path / "run", "-p", "relu_grad_at_zero", "0")
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["train_error"] == pytest.approx(0.2745660507842, abs=1e-12)
    assert metrics["test_error"] == pytest.approx(0.3350810442969, abs=1e-12)
    assert (metrics["train_accuracy"], metrics["test_accuracy"]) == (0.897, 0.85)
    assert "test accuracy       0.7942      0.85  NOT equal" in done.stdout
    assert "Not the original's parameters: relu_grad_at_zero 0" in done.stdout


def test_a_run_writes_its_files_and_nothing_else(made_once):
    folder, source = made_once / "run", made_once / "small.npz"
    assert sorted(contents(folder)) == sorted(
        ["01_prepare.ipynb", "02_train.ipynb", "03_evaluate.ipynb", *files.MADE, "report.html", "run.json"]
    )
    record = json.loads((folder / "run.json").read_text())
    assert record["status"] == "done"
    assert record["parameters"] == {
        "source": str(source),
        "normalisation": 255.0,
        "learning_rate": 0.005,
        "learning_rate_decay": 1.0,
        "dropout_rate": 0.5,
        "relu_grad_at_zero": 1,
        "batch_size": 1,
        "seed": 1,
        "run_dir": str(folder),
        **SMALL,
    }
    assert record["inputs"]["data"] == files.sha256_of_file(source)
    assert set(record["inputs"]["notebooks"]) == set(run.STAGES)
    assert record["inputs"]["code"]["helpers.py"] == files.sha256_of_file(files.ROOT / "helpers.py")
    assert record["inputs"]["versions"]["numpy"] == np.__version__
    metrics = json.loads((folder / "metrics.json").read_text())
    weights_0_1, weights_1_2, history = files.load_model(str(folder))
    assert metrics["weights_sha256"] == files.sha256_of(weights_0_1, weights_1_2)
    assert history[-1].items() <= metrics.items()


def test_parameters_reach_the_notebooks_that_declare_them(small_run):
    folder, _ = small_run
    injected = {}
    for stage in run.STAGES:
        (cell,) = [
            cell
            for cell in nbformat.read(folder / f"{stage}.ipynb", 4).cells
            if "injected-parameters" in cell.metadata.get("tags", [])
        ]
        injected[stage] = cell.source
    assert "num_samples = 40" in injected["01_prepare"]
    assert "num_samples" not in injected["02_train"]
    assert "hidden_size = 5" in injected["02_train"]
    assert "hidden_size" not in injected["03_evaluate"]


def test_a_finished_run_is_left_alone(small_run, pipeline):
    folder, arguments = small_run
    before = contents(folder)
    again = pipeline(*arguments)
    assert again.returncode == 0
    assert "is finished, and nothing that it depends on has changed" in again.stdout
    assert "test accuracy" in again.stdout
    assert contents(folder) == before


def test_force_runs_again_to_the_same_weights(small_run, pipeline):
    folder, arguments = small_run
    before = contents(folder)
    again = pipeline(*arguments, "--force")
    assert again.returncode == 0
    after = contents(folder)
    assert after["metrics.json"][0] == before["metrics.json"][0]
    assert all(after[name][1] > before[name][1] for name in before)


def test_a_changed_input_or_output_runs_again_and_is_named(small_run, tmp_path, pipeline):
    folder, arguments = small_run
    (folder / "model.npz").write_bytes(b"")
    path, arrays = write_small_source(tmp_path)
    np.savez(path, **arrays | {"y_test": arrays["y_test"][::-1]})
    again = pipeline(*arguments, "-p", "seed", "2", "-p", "source", path)
    assert again.returncode == 0, again.stderr
    assert "seed, which was 1 and is 2" in again.stdout
    assert f"and is {files.sha256_of_file(path)}" in again.stdout
    assert "model.npz, which has been removed or altered since" in again.stdout
    assert json.loads((folder / "run.json").read_text())["parameters"]["seed"] == 2


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (["-p", "learning_rte", "1"], ["no parameter 'learning_rte'", "Did you mean learning_rate?"]),
        (["-p", "epochs", "0"], ["epochs is '0', but must be a whole number, 1 or more. Its default is 100."]),
        (["-p", "epochs", "x", "-p", "seed", "-1"], ["epochs is 'x'", "seed is '-1'"]),
        (["-p", "source", "nowhere/none.npz"], ["source is 'nowhere/none.npz'", "nowhere/none.npz cannot be read"]),
        (["-p", "epochs"], ["expected 2 arguments"]),
        (["--frobnicate"], ["unrecognized arguments: --frobnicate"]),
    ],
)
def test_a_wrong_argument_exits_with_2_a_message_and_nothing_written(tmp_path, pipeline, arguments, messages):
    refused = pipeline("run", "--run-dir", tmp_path / "run", *arguments)
    assert refused.returncode == 2
    for message in messages:
        assert message in refused.stderr
    assert "Traceback" not in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_argument_leaves_a_finished_run_as_it_was(small_run, pipeline):
    folder, arguments = small_run
    before = contents(folder)
    assert pipeline(*arguments, "-p", "epochs", "0").returncode == 2
    assert contents(folder) == before


def test_a_failed_cell_is_named_and_leaves_the_notebook_with_its_error(small_run, pipeline):
    folder, arguments = small_run
    failed = pipeline(*arguments, "-p", "num_samples", "55")
    assert failed.returncode == 1
    assert "01_prepare.ipynb failed in cell" in failed.stderr
    assert "DataError: num_samples + num_validation is 55 + 10 = 65, but the source" in failed.stderr
    assert str(folder / "01_prepare.ipynb") in failed.stderr
    assert "Traceback" not in failed.stderr
    assert sorted(contents(folder)) == ["01_prepare.ipynb", "run.json"]
    record = json.loads((folder / "run.json").read_text())
    assert record["status"] == "failed"
    assert "DataError" in record["error"]
    errors = [
        output
        for cell in nbformat.read(folder / "01_prepare.ipynb", 4).cells
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    ]
    assert [error.ename for error in errors] == ["DataError"]
    repaired = pipeline(*arguments)
    assert repaired.returncode == 0
    assert "the last run in this folder, which has the status failed" in repaired.stdout


def test_a_folder_name_may_hold_braces_and_spaces(tmp_path, small_source, pipeline):
    folder = tmp_path / "a {b} c"
    done = pipeline("run", "--run-dir", folder, *options({"source": small_source[0]} | SMALL))
    assert done.returncode == 0, done.stderr
    assert (folder / "metrics.json").exists()


def test_a_dead_kernel_is_a_failed_run(tmp_path):
    notebook = tmp_path / "dies.ipynb"
    cell = nbformat.v4.new_code_cell("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    kernel = {"kernelspec": {"name": "python3", "display_name": "", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=kernel), notebook)
    with pytest.raises(run.RunFailed, match="dies.ipynb: its kernel died"):
        run.execute(notebook, tmp_path / "out.ipynb")


def test_help_names_every_parameter_with_its_range_and_default(pipeline):
    shown = pipeline("run", "--help")
    assert shown.returncode == 0
    assert (
        "learning_rate        the size of a step down the gradient; a number above 0 (default: 0.005)" in shown.stdout
    )
    assert "relu_grad_at_zero" in shown.stdout
