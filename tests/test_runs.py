"""Runs through the command line: the published metrics, what is skipped, run again and verified."""

import hashlib
import json
import shutil

import nbformat
import papermill
import pytest

from pipeline.parameters import NOTEBOOKS, make_command
from pipeline.run_folder import LOCK, OUTPUTS, RESULTS, STAGES, RunFolder

DIGEST = "ebf6a5840e35c96db0737370bf9e523cdf7a0522d11a06e747ebb00c2c9f03d6"
PUBLISHED = {"train_error": 0.42039163449803, "train_accuracy": 0.817}
PUBLISHED |= {"test_error": 0.42936252114571, "test_accuracy": 0.7942}
TRUE = {"train_error": 0.2745660507842, "train_accuracy": 0.897}
TRUE |= {"test_error": 0.3350810442969, "test_accuracy": 0.85}
# Of other parameters: test error and accuracy, digests of the weights and of the history. They are
# those of version 1.0.0, which had another way to execute notebooks.
HELD_OUT = [
    (
        "hidden_size 123 epochs 20 dropout_rate 0.3 input_dropout_rate 0.2 relu_grad_inactive 0",
        (0.29128251724070364, 0.8795),
        "059ecf585009adcb1b78085e222719c14fabbd4a97da2b0ab2fe6f531573d29f",
        "3b38db4f06d497e0ea9782c959aa89f4e1679d06532892424f66ea38c55863a9",
    ),
    (
        "normalisation 510 learning_rate 0.02 learning_rate_decay 0.97 epochs 25 seed 4294967295",
        (0.4060145137854538, 0.8367),
        "203d1ed60a383df1465fd951359ab8e2e646ad492855638b90b49c260818b452",
        "a6b2f124b27629c7779a8129a3db5529209e3d05dcfa1e6b5c2e0811163cabbf",
    ),
    (
        "num_samples 300 num_validation 0 hidden_size 1 epochs 11 dropout_rate 0",
        (0.913681067774006, 0.098),
        "e1d885b6aad48bdd11ffbcb2095e6c46cff83dfe122a46669b8cac47646b9797",
        "af36f0be0313938abba5d25317d2ef805f8dc6c1b8dff875afd642b86cf138e8",
    ),
    (
        "epochs 30 relu_grad_inactive 0 seed 5",
        (0.3134230898232819, 0.8682),
        "8d63f0a0bf07f06148a60c3f98bafeab6278bdf02c953b15ab7cf5c8747e5639",
        "317d6d63538ced63e8289f1ec4c97ee03da6f7ade743c0a6a92019c25aeab427",
    ),
    # Matrix products of batches have other last digits on other processors, so no digests.
    (
        "hidden_size 40 learning_rate 0.05 epochs 20 batch_size 10",
        (0.4507281477593471, 0.7961),
        "",
        "",
    ),
]


def make_options(text):
    words = text.split()
    return [word for pair in zip(words[::2], words[1::2], strict=True) for word in ("-p", *pair)]


def digest_history(folder):
    history = json.dumps(RunFolder(folder).read_history(), sort_keys=True)
    return hashlib.sha256(history.encode()).hexdigest()


@pytest.mark.parametrize(("name", "expected"), [("default", PUBLISHED), ("true-derivative", TRUE)])
def test_a_run_gives_the_published_metrics(runs, name, expected):
    metrics = RunFolder(runs / name).read_metrics()
    found = {key: getattr(metrics, key) for key in expected}
    assert found == pytest.approx(expected, rel=0, abs=1e-12)
    log = (runs / f"{name}.log").read_text()
    if name == "default":
        assert metrics.weights_sha256 == DIGEST
        history = "4e3765cdbbc2cd1150a44226afa001dc6a81c3107829493e67fdfdd570cac582"
        assert digest_history(runs / name) == history
        printed = "".join((runs / name / f"{stage}.ipynb").read_text() for stage in STAGES)
        assert "I:99 Train-Err:0.420 Train-Acc:0.817" in printed
        assert "Test-Err:0.429 Test-Acc:0.7942" in printed
        assert log.count("  equal\n") == 4
    else:
        assert "What differs from the original: relu_grad_inactive 0" in log
        assert "equal" not in log


@pytest.mark.parametrize(("options", "test", "weights", "history"), HELD_OUT)
def test_a_run_gives_the_bits_of_version_1(tmp_path, pipeline, options, test, weights, history):
    done = pipeline("run", "--run-dir", tmp_path / "run", *make_options(options))
    assert done.returncode == 0, done.stderr
    metrics = RunFolder(tmp_path / "run").read_metrics()
    assert metrics.test_images == 10_000
    if not weights:
        assert (metrics.test_error, metrics.test_accuracy) == pytest.approx(test, rel=1e-9)
        return
    assert (metrics.test_error, metrics.test_accuracy) == test
    assert metrics.weights_sha256 == weights
    assert digest_history(tmp_path / "run") == history


@pytest.fixture
def small_run(tmp_path, small_source, pipeline):
    """A finished run of few images, and a function that runs it again with more options."""
    folder = RunFolder(tmp_path / "run")
    options = f"source {small_source[0]} num_samples 40 num_validation 10 hidden_size 3 epochs 2"

    def run(*more):
        return pipeline("run", "--run-dir", folder.path, *make_options(options), *more)

    assert run().returncode == 0
    return folder, run


def read_times(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.path.iterdir()}


def test_a_run_writes_its_files_and_a_record_of_them(small_run):
    folder, _ = small_run
    assert set(read_times(folder)) == {*OUTPUTS, "run.json", LOCK}
    record, parameters = folder.read_finished()
    assert record.outputs == folder.digest(OUTPUTS)
    assert (parameters.hidden_size, parameters.epochs) == (3, 2)
    (cell,) = [
        cell
        for cell in nbformat.read(folder.notebook("02_train"), as_version=4).cells
        if "injected-parameters" in cell.metadata.get("tags", ())
    ]
    assert "hidden_size = 3\n" in cell.source
    assert "source" not in cell.source


def test_a_finished_run_is_left_alone_and_run_again_if_anything_differs(small_run):
    folder, run = small_run
    times, results = read_times(folder), folder.digest(RESULTS)
    done = run()
    assert "is finished, and nothing that it depends on has changed." in done.stdout
    assert read_times(folder) == times
    folder.report.unlink()
    assert run().returncode == 0
    written = {name for name, time in read_times(folder).items() if time != times[name]}
    assert written == {"report.html", "run.json"}
    folder.model.write_bytes(b"")
    assert f"Replacing what is in {folder.path}, because of\n  model.npz, " in run().stdout
    assert folder.digest(RESULTS) == results
    times = read_times(folder)
    assert "because of\n  --force\n" in run("--force").stdout
    assert read_times(folder)["model.npz"] > times["model.npz"]
    done = run("-p", "epochs", "3")
    assert "because of\n  epochs, which was 2 and is 3\n" in done.stdout
    assert len(folder.read_history()) == 3


def test_a_run_that_diverges_says_where_and_what_to_change(small_run, pipeline, runs):
    folder, run = small_run
    done = run("-p", "learning_rate", "1e200")
    assert done.returncode == 1
    message = "02_train.ipynb failed in the cell 'loop': Diverged: train_error became "
    assert message in done.stderr
    assert "Make learning_rate smaller" in done.stderr
    record = folder.read_record()
    assert record.status == "diverged"
    assert record.error.startswith(message)
    assert not folder.model.exists()
    assert pipeline("report", folder.path).returncode == 0
    assert "Diverged" in folder.report.read_text()
    for arguments in (["verify", folder.path], ["compare", folder.path, runs / "default"]):
        refused = pipeline(*arguments)
        assert refused.returncode == 2
        assert "holds a run that is diverged" in refused.stderr


def test_verify_says_what_is_equal_and_leaves_the_run_alone(small_run, pipeline):
    folder, _ = small_run
    times = read_times(folder)
    done = pipeline("verify", folder.path)
    assert done.returncode == 0, done.stderr
    names = ("train_error", "validation_accuracy", "test_error", "weights_sha256", "history.json")
    for name in names:
        assert f"  {name:25} " in done.stdout
    assert "Reproduced: all 12 metrics and digests are equal." in done.stdout
    assert read_times(folder) == times
    content = folder.metrics.read_text()
    folder.metrics.write_text(content.replace('"test_images": 30', '"test_images": 31'))
    done = pipeline("verify", folder.path)
    assert done.returncode == 1
    assert "is not reproduced: test_images, metrics.json" in done.stderr


def test_a_stage_run_alone_leaves_equal_results_and_replaces_a_run_by_others(small_run, tmp_path):
    """By papermill alone, as in JupyterLab."""
    folder, _ = small_run
    record, before = folder.read_record(), read_times(folder)
    for epochs in (2, 3):
        values = {"run_dir": str(folder.path), "hidden_size": 3, "epochs": epochs}
        output = tmp_path / "02.ipynb"
        notebook = NOTEBOOKS / "02_train.ipynb"
        papermill.execute_notebook(
            notebook, output, values, kernel_name="python3", progress_bar=False
        )
        if epochs == 2:
            assert read_times(folder) == before
    assert set(read_times(folder)) == set(before) - {"run.json", "report.html", "metrics.json"}
    command = make_command(record.parameters, str(folder.path))
    message = f"Replacing the run in {folder.path}. To make it again: {command}\\n"
    assert message in output.read_text()


def test_a_source_is_shown_with_the_command_that_trains_with_it(tmp_path, small_source, pipeline):
    path, arrays = small_source
    done = pipeline("data", path, "-p", "num_samples", "50", "--output", tmp_path / "page.html")
    assert done.returncode == 2  # 60 images, and not 50 and 1,000
    done = pipeline("data", path, "--output", tmp_path / "page.html")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "page.html").exists()
    (command,) = [line for line in done.stdout.splitlines() if line.startswith("Train with: ")]
    trained = pipeline(*command.split()[5:], "-p", "epochs", "1", "--run-dir", tmp_path / "run")
    assert trained.returncode == 0, trained.stderr
    shutil.rmtree(tmp_path / "run")
    assert arrays["x_train"].shape == (60, 28, 28)
