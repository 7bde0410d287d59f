"""The pipeline end to end, through its command line."""

import json
import shutil
import signal
import subprocess
import sys
import time

import nbformat
import numpy as np
import psutil
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
    assert "I:99 Train-Err:0.420 Train-Acc:0.817\nTest-Err:0.429 Test-Acc:0.7942\n" in done.stdout
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
    assert record["arrays"] == {name: files.sha256_of(array) for name, array in files.load_source(str(source)).items()}
    assert record["outputs"] == {name: files.sha256_of_file(folder / name) for name in run.OUTPUTS}
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
    folder, _ = small_run
    (folder / "model.npz").write_bytes(b"")
    path, arrays = write_small_source(tmp_path)
    np.savez(path, **arrays | {"y_test": arrays["y_test"][::-1]})
    again = pipeline("run", "--run-dir", folder, *options({"source": path} | SMALL | {"seed": 2}))
    assert again.returncode == 0, again.stderr
    assert "seed, which was 1 and is 2" in again.stdout
    assert f"and is {path}" in again.stdout
    assert f"and is {files.sha256_of_file(path)[:12]}..." in again.stdout
    assert "model.npz, which has been removed or altered since" in again.stdout
    assert json.loads((folder / "run.json").read_text())["parameters"]["seed"] == 2


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (["-p", "learning_rte", "1"], ["no parameter 'learning_rte'", "Did you mean learning_rate?"]),
        (["-p", "epochs", "0"], ["epochs is '0', but must be a whole number, 1 or more. Its default is 100."]),
        (["-p", "epochs", "x", "-p", "seed", "-1"], ["epochs is 'x'", "seed is '-1'"]),
        (["-p", "source", "nowhere/none.npz"], ["nowhere/none.npz is not there. Use source"]),
        (
            ["-p", "num_samples", "1900", "-p", "num_validation", "101"],
            ["1900 + 101 = 2001", "has 2000 training images"],
        ),
        (["-p", "learning_rate", "-1e-3"], ["learning_rate is '-1e-3', but must be a number above 0"]),
        (["-p", "seed", "1", "-p", "seed", "2"], ["seed is given more than once: 1, 2"]),
        (["-p", "run_dir", "elsewhere"], ["run_dir is given more than once: elsewhere"]),
        (["-p", "epochs"], ["requires 2 arguments"]),
        (["--frobnicate"], ["No such option", "--frobnicate"]),
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
    failed = pipeline(*arguments, "-p", "normalisation", "0.001")
    assert failed.returncode == 1
    for part in (
        "02_train.ipynb failed in the cell 'loop' (In [",
        "Diverged: the error became",
        "in epoch 0, with learning_rate 0.005 and normalisation 0.001",
        "Make learning_rate smaller",
        str(folder / "02_train.ipynb"),
    ):
        assert part in failed.stderr
    assert "Traceback" not in failed.stderr
    assert sorted(contents(folder)) == ["01_prepare.ipynb", "02_train.ipynb", "data.npz", "run.json"]
    record = json.loads((folder / "run.json").read_text())
    assert record["status"] == "failed"
    assert "Diverged" in record["error"]
    outputs = [o for cell in nbformat.read(folder / "02_train.ipynb", 4).cells for o in cell.get("outputs", [])]
    assert [output.ename for output in outputs if output.output_type == "error"] == ["Diverged"]
    assert not [output for output in outputs if output.get("name") == "stderr"]  # no flood of warnings
    repaired = pipeline(*arguments)
    assert repaired.returncode == 0
    assert "the last run in this folder, which did not finish (its status is failed)" in repaired.stdout


@pytest.mark.parametrize("folder", [".", "notebooks", "notebooks/data/x", "pipeline", "tests", "README.md"])
def test_a_run_is_kept_out_of_the_projects_own_folders(folder, pipeline):
    refused = pipeline("run", "--run-dir", folder)
    assert refused.returncode == 2
    assert f"run_dir is {folder!r}" in refused.stderr


def test_a_run_does_not_overwrite_its_own_source(tmp_path, pipeline):
    source, _ = write_small_source(tmp_path)
    source = source.rename(tmp_path / "data.npz")
    before = source.read_bytes()
    refused = pipeline("run", "--run-dir", tmp_path, "-p", "source", source)
    assert refused.returncode == 2
    assert "which this run would overwrite" in refused.stderr
    assert source.read_bytes() == before


def test_a_run_does_not_overwrite_files_that_no_run_made(tmp_path, pipeline):
    (tmp_path / "data.npz").write_text("precious")
    (tmp_path / "report.html").write_text("mine")
    refused = pipeline("run", "--run-dir", tmp_path)
    assert refused.returncode == 2
    assert "data.npz, report.html would be overwritten, but no run made them" in refused.stderr
    assert (tmp_path / "data.npz").read_text() == "precious"


def test_files_of_notebooks_run_alone_are_run_over_with_a_word(small_run, pipeline):
    folder, arguments = small_run
    (folder / "run.json").unlink()
    again = pipeline(*arguments)
    assert again.returncode == 0
    assert "files in this folder that belong to no finished run" in again.stdout


def test_a_missing_report_is_made_again(small_run, pipeline):
    folder, arguments = small_run
    (folder / "report.html").unlink()
    again = pipeline(*arguments)
    assert "report.html, which has been removed or altered since" in again.stdout
    assert (folder / "report.html").exists()


def test_a_changed_report_template_makes_the_report_anew_and_nothing_else(small_run, pipeline):
    folder, arguments = small_run
    record = json.loads((folder / "run.json").read_text())
    files.write_json(folder / "run.json", record | {"report_code": "another"})
    before = contents(folder)
    again = pipeline(*arguments)
    assert "Its report is written anew" in again.stdout
    after = contents(folder)
    assert {name for name in after if after[name] != before[name]} == {"report.html", "run.json"}
    assert json.loads((folder / "run.json").read_text())["report_code"] == record["report_code"]


LONG = {"source": "sample", "hidden_size": 800, "epochs": 1000}


@pytest.fixture
def training(tmp_path):
    """A run that is training, which will take minutes, and its kernel."""
    folder = tmp_path / "run"
    arguments = ["run", "--run-dir", folder, *options(LONG)]
    command = [sys.executable, "-m", "pipeline", *map(str, arguments)]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (folder / files.CHECKPOINT).exists():
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (nursery,) = [
        child for child in psutil.Process(running.pid).children() if "pipeline.kernels" in " ".join(child.cmdline())
    ]
    (kernel,) = nursery.children()
    yield folder, arguments, running, kernel
    running.kill()
    running.communicate()


def test_a_second_run_in_the_same_folder_is_refused_and_the_first_unharmed(training, pipeline):
    folder, arguments, running, _ = training
    before = set(contents(folder))
    refused = pipeline(*arguments, "--force")
    assert refused.returncode == 1
    assert f"Another run is writing to {folder}" in refused.stderr
    assert running.poll() is None
    assert before <= set(contents(folder))


def test_a_dead_kernel_is_a_failed_run_and_the_cell_is_named(training):
    folder, _, running, kernel = training
    kernel.kill()
    _, told = running.communicate(timeout=60)
    assert running.returncode == 1
    assert "02_train.ipynb: its kernel died in the cell 'loop'" in told
    assert json.loads((folder / "run.json").read_text())["status"] == "failed"
    assert (folder / "02_train.ipynb").exists()
    assert not (folder / "metrics.json").exists()


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_that_is_told_to_stop_records_that_it_did(training, sent, code):
    folder, _, running, kernel = training
    running.send_signal(sent)
    running.communicate(timeout=60)
    assert running.returncode == code
    assert json.loads((folder / "run.json").read_text())["status"] == "failed"
    kernel.wait(timeout=30)


def test_a_network_without_mistakes_is_reported_too(tmp_path, pipeline):
    """Two digits told apart by one pixel: nothing to confuse, and eight digits without images."""
    labels = np.arange(60, dtype=np.uint8) % 2
    images = np.zeros((60, 28, 28), np.uint8)
    images[:, 10:18, 10:18] = np.where(labels, 255, 0)[:, None, None]
    images[:, 2:6, 2:6] = 255
    np.savez(tmp_path / "easy.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    easy = {"source": tmp_path / "easy.npz", "num_samples": 50, "num_validation": 10, "dropout_rate": 0, "epochs": 30}
    done = pipeline("run", "--run-dir", tmp_path / "run", *options(easy))
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["test_accuracy"] == 1
    report = (tmp_path / "run" / "report.html").read_text()
    assert "none, every test image was answered rightly" in report
    assert "with the mistakes beside the diagonal: there are none" in report


def test_a_folder_name_may_hold_braces_and_spaces(tmp_path, small_source, pipeline):
    folder = tmp_path / "a {b} c"
    done = pipeline("run", "--run-dir", folder, *options({"source": small_source[0]} | SMALL))
    assert done.returncode == 0, done.stderr
    assert (folder / "metrics.json").exists()


def test_a_notebook_that_fails_in_place_stays_as_it_was(tmp_path, pipeline):
    notebook = tmp_path / "fails.ipynb"
    kernel = {"kernelspec": {"name": "python3", "display_name": "", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")], metadata=kernel), notebook)
    before = notebook.read_bytes()
    failed = pipeline("notebooks", notebook)
    assert failed.returncode == 1
    assert "ZeroDivisionError: division by zero" in failed.stderr
    assert notebook.read_bytes() == before
    assert pipeline("notebooks", tmp_path / "none.ipynb").returncode == 2


def test_a_kernel_that_cannot_start_is_a_failed_run(tmp_path):
    notebook = tmp_path / "unknown.ipynb"
    kernel = {"kernelspec": {"name": "no-such-kernel", "display_name": "", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")], metadata=kernel), notebook)
    with pytest.raises(run.RunFailed, match="unknown.ipynb: its kernel did not start"):
        run.execute(notebook, tmp_path / "out.ipynb")


def test_help_names_every_parameter_with_its_range_and_default(pipeline):
    shown = pipeline("run", "--help")
    assert shown.returncode == 0
    assert (
        "learning_rate        the size of a step down the gradient; a number above 0 (default: 0.005)" in shown.stdout
    )
    assert "relu_grad_at_zero" in shown.stdout
