"""Runs through the command line: metrics, and what is skipped, repeated or verified."""

import shutil
from functools import partial

import numpy as np
import pytest

from pipeline.execution.verification import may_differ_in_last_digits
from pipeline.images import data
from pipeline.images.arrays import to_npz
from pipeline.network.published import WEIGHTS_SHA256
from pipeline.parameters import Parameters
from pipeline.records import RunRecord
from pipeline.results.files import LOCK
from pipeline.results.run_folder import RunFolder
from pipeline.results.stages import (
    EVALUATION,
    HELPERS,
    PAGES,
    README,
    RESULT_FILES,
    TRAINING,
)
from tests import original
from tests.commands import make_options
from tests.conftest import write_noise

PUBLISHED = {"train_error": 0.42039163449803, "train_accuracy": 0.817}
PUBLISHED |= {"test_error": 0.42936252114571, "test_accuracy": 0.7942}
TRUE = {"train_error": 0.2745660507842, "train_accuracy": 0.897}
TRUE |= {"test_error": 0.3350810442969, "test_accuracy": 0.85}
VALUES = {
    "num_samples": 300,
    "num_validation": 0,
    "normalisation": 510,
    "hidden_size": 23,
    "learning_rate": 0.02,
    "learning_rate_decay": 0.97,
    "epochs": 6,
    "dropout_rate": 0.3,
    "input_dropout_rate": 0.2,
    "relu_grad_inactive": 0,
    "seed": 4294967295,
}


@pytest.mark.parametrize(
    ("name", "expected"), [("default", PUBLISHED), ("true-derivative", TRUE)]
)
def test_a_run_gives_the_published_metrics(runs, name, expected):
    folder = RunFolder(runs / name)
    metrics = dict(folder.read_metrics())
    found = {key: metrics[key] for key in expected}
    assert found == pytest.approx(expected, rel=0, abs=1e-12)
    log = (runs / f"{name}.log").read_text()
    assert ("relu_grad_inactive 0" in log) == (expected is TRUE)
    assert log.count("  equal\n") == (4 if expected is PUBLISHED else 0)
    if expected is PUBLISHED:
        assert metrics["weights_sha256"] == WEIGHTS_SHA256
        executed = folder.executed_path(TRAINING).read_text()
        assert "I:99 Train-Err:0.420 Train-Acc:0.817" in executed
        executed = folder.executed_path(EVALUATION).read_text()
        assert "Test-Err:0.429 Test-Acc:0.7942" in executed


def test_another_run_gives_the_weights_of_the_originals_loop(tmp_path, pipeline):
    done = pipeline("run", "--run-dir", tmp_path / "run", *make_options(VALUES))
    assert done.returncode == 0, done.stderr
    folder = RunFolder(tmp_path / "run")
    data = folder.read_data()
    options = {name: each for name, each in VALUES.items() if "num_" not in name}
    *weights, history = original.train(data.x_train, data.y_train, **options)
    for ours, expected in zip(folder.read_model().weights, weights, strict=True):
        assert np.abs(ours - expected).max() < 1e-11
    names = ("train_error", "train_accuracy")
    found = [[epoch[name] for name in names] for epoch in folder.read_history()]
    assert np.array(found) == pytest.approx(np.array(history), rel=1e-11)


SIZES = {"num_samples": 40, "num_validation": 10, "hidden_size": 3}


@pytest.fixture(scope="module")
def make_small_run(tmp_path_factory, pipeline):
    """Return a function that makes or repeats a run on few images in a folder."""
    source = tmp_path_factory.mktemp("source") / "small.npz"
    write_noise(source)
    values = SIZES | {"source": source, "epochs": 2}

    def make(folder, *more):
        return pipeline("run", "--run-dir", folder, *make_options(values), *more)

    return make


@pytest.fixture(scope="module")
def finished(tmp_path_factory, make_small_run):
    folder = tmp_path_factory.mktemp("finished") / "run"
    assert make_small_run(folder).returncode == 0
    return folder


@pytest.fixture
def small_run(tmp_path, finished, make_small_run):
    """A copy of a finished run, and a function to repeat it with more options."""
    path = shutil.copytree(finished, tmp_path / "run")
    return RunFolder(path), partial(make_small_run, path)


def test_a_source_that_changes_while_a_run_reads_it_fails_the_run(
    tmp_path, small_source, pipeline, monkeypatch
):
    source, arrays = small_source
    split_source = data.split_source

    def save_other_images(*arguments):
        images = split_source(*arguments)
        np.savez(source, **arrays | {"x_test": 255 - arrays["x_test"]})
        return images

    monkeypatch.setattr(data, "split_source", save_other_images)
    options = make_options(SIZES | {"source": source, "epochs": 1})
    done = pipeline("run", "--run-dir", tmp_path / "run", *options)
    assert done.returncode == 1
    assert "The source has changed" in done.stderr
    folder = RunFolder(tmp_path / "run")
    assert folder.read_record().status == "failed"
    assert not folder.metrics_path.exists()


def test_accuracies_are_named_by_the_classes_that_have_test_images(finished):
    """Which are not the first ones."""
    folder = RunFolder(finished)
    true = folder.read_data().y_test
    right = folder.read_answers() == true
    shares = {each: np.mean(right[true == each]) for each in np.unique(true)}
    low, high = min(shares, key=shares.get), max(shares, key=shares.get)
    ends = f"{shares[low]:.3f} for class {low} to {shares[high]:.3f} for class {high}"
    assert (
        f"Accuracy by class, from {ends}."
        in folder.executed_path(EVALUATION).read_text()
    )


def read_times(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.path.iterdir()}


def test_a_finished_run_is_left_alone_and_run_again_if_anything_differs(small_run):
    folder, run = small_run
    times, results = read_times(folder), folder.digest(RESULT_FILES)
    assert set(times) == {*PAGES, *RESULT_FILES, HELPERS, README, "run.json", LOCK}
    assert folder.read_record().outputs == folder.digest()
    assert "is finished, and nothing that it depends on has changed." in run().stdout
    assert read_times(folder) == times
    folder.report_path.write_bytes(b"")
    assert run().returncode == 0
    written = {name for name, time in read_times(folder).items() if time != times[name]}
    assert written == {"report.html"}
    folder.model_path.write_bytes(b"")
    assert "because of\n  model.npz, " in run().stdout
    assert folder.digest(RESULT_FILES) == results
    folder.executed_path(TRAINING).write_bytes(b"")
    assert "because of\n  02_train.ipynb, which is missing or empty" in run().stdout
    assert "because of\n  --force\n" in run("--force").stdout


def test_a_run_of_other_parameters_replaces_a_finished_one_only_by_force(small_run):
    folder, run = small_run
    first = folder.read_record().parameters
    folder.model_path.write_bytes(b"")
    refused = run("-p", "epochs", "3")
    assert refused.returncode == 2
    assert "epochs, which was 2 and is 3. Choose another" in refused.stderr
    assert "--force" in refused.stderr
    assert folder.model_path.read_bytes() == b""
    assert run("-p", "epochs", "3", "--force").returncode == 0
    assert len(folder.read_history()) == 3
    interrupted = folder.read_record().replace(status="interrupted")
    folder.write_record(interrupted)
    folder.checkpoint_path.write_bytes(b"mine")
    refused = run()
    assert refused.returncode == 2
    assert "holds a run (interrupted) with other parameters" in refused.stderr
    other = {"code helpers.py": "0" * 64}
    record = interrupted.replace(parameters=first, inputs=interrupted.inputs | other)
    folder.write_record(record)
    output = run().stdout
    assert "code helpers.py, which was 000000000000" in output
    assert len(folder.read_history()) == 2


def test_a_run_that_diverges_says_where_and_what_to_change(small_run, pipeline):
    folder, run = small_run
    failed = run("-p", "learning_rate", "1e200", "--force")
    assert failed.returncode == 1
    message = "02_train.ipynb failed in the cell 'loop': Diverged: train_error became "
    assert message in failed.stderr
    assert "Make learning_rate smaller" in failed.stderr
    record = folder.read_record()
    assert record.status == "diverged"
    assert record.error.startswith(message)
    assert not folder.model_path.exists()
    refused = pipeline("verify", folder.path)
    assert refused.returncode == 2
    assert "(its status is diverged)" in refused.stderr


def test_verify_of_an_altered_run_is_refused(small_run, pipeline):
    folder, _ = small_run
    folder.metrics_path.write_text("altered")
    refused = pipeline("verify", folder.path)
    assert refused.returncode == 2
    assert "its metrics.json was removed or altered. Make it again:" in refused.stderr


def test_verify_takes_the_images_of_data_npz_if_the_source_has_moved(
    small_source, tmp_path, pipeline
):
    source, _ = small_source
    folder = RunFolder(tmp_path / "run")
    options = make_options(SIZES | {"source": source, "epochs": 1})
    assert pipeline("run", "--run-dir", folder.path, *options).returncode == 0
    source.unlink()
    done = pipeline("verify", folder.path)
    assert done.returncode == 0, done.stderr
    assert "changed since" not in done.stdout
    folder.data_path.write_bytes(folder.data_path.read_bytes() + b" ")
    refused = pipeline("verify", folder.path)
    assert refused.returncode == 2
    assert "its data.npz was removed or altered" in refused.stderr
    folder.data_path.unlink()
    done = pipeline("verify", folder.path)
    assert done.returncode == 2
    assert "small.npz" in done.stderr


def test_a_run_is_handed_on_without_data_npz(small_run, pipeline):
    """Everything except `run` itself takes the images from their source again."""
    folder, run = small_run
    folder.data_path.unlink()
    times = read_times(folder)
    done = pipeline("verify", folder.path)
    assert done.returncode == 0, done.stderr
    assert "Reproduced: all 13 metrics and digests are equal." in done.stdout
    assert read_times(folder) == times
    assert pipeline("report", folder.path).returncode == 0
    assert not folder.data_path.exists()
    assert "because of\n  data.npz" in run().stdout
    assert folder.data_path.exists()


def change_weights(folder, amount):
    """Change the weights of a run by this amount, and its record with them."""
    matrices = dict(np.load(folder.model_path))
    matrices["weights_1_2"] += amount
    folder.model_path.write_bytes(to_npz(**matrices))
    record = folder.read_record()
    outputs = record.outputs | folder.digest([folder.model_path.name])
    folder.write_record(record.replace(outputs=outputs))


def test_verify_of_batches_allows_the_last_digits_of_another_blas(small_run, pipeline):
    folder, run = small_run
    change_weights(folder, 1e-12)
    done = pipeline("verify", folder.path)
    assert done.returncode == 1  # with batches of one image, each digit counts
    assert done.stderr.count("is not reproduced: model.npz") == 1
    assert run("-p", "batch_size", "8", "--force").returncode == 0
    assert "Reproduced: all 14 metrics" in pipeline("verify", folder.path).stdout
    change_weights(folder, 1e-12)
    done = pipeline("verify", folder.path)
    assert done.returncode == 0, done.stderr
    assert "metrics and weights are equal to within 1e-09" in done.stdout
    assert folder.read_record().origin.system in done.stdout
    own = {"code helpers.py": "0" * 64}
    assert may_differ_in_last_digits(RunRecord(parameters=Parameters(), inputs=own))
    change_weights(folder, 1e-6)
    done = pipeline("verify", folder.path)
    assert done.returncode == 1
    assert "is not reproduced: model.npz" in done.stderr


@pytest.mark.parametrize("damage", ["missing", "empty", "of notebooks"])
def test_a_run_over_results_of_unknown_parameters_or_of_notebooks_needs_force(
    small_run, damage
):
    folder, run = small_run
    record = folder.read_record()
    folder.record_path.unlink()
    if damage == "empty":
        folder.record_path.touch()
    if damage == "of notebooks":
        folder.write_record(record.replace(made_by="notebooks alone"))
    before = read_times(folder)
    refused = run()
    assert refused.returncode == 2
    assert "replace it with --force" in refused.stderr
    assert read_times(folder) == before
    assert run("--force").returncode == 0
