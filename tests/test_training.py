"""Training: the same bits everywhere, killed and resumed, diverging, and at full size."""

import json
import os
import signal
import subprocess
import sys
import time
import warnings

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from numpy._core._multiarray_umath import __cpu_features__ as CPU

import helpers
from pipeline import datasets, storage
from pipeline.images import Data
from pipeline.run_folder import RunFolder
from tests.test_runs import often_saved, options  # noqa: F401 - a fixture

WEIGHTS_SHA256 = "ebf6a5840e35c96db0737370bf9e523cdf7a0522d11a06e747ebb00c2c9f03d6"
TRAIN = """
import hashlib, json
import numpy as np
import helpers
from pipeline import datasets, storage

data = datasets.split_source("sample", 1000, 1000)
rng = np.random.RandomState(1)
weights = helpers.initial_weights(rng, 40)
metrics = []
for _ in range(100):
    metrics += helpers.train_epoch(data.x_train, data.y_train, *weights, rng)
    metrics += helpers.evaluate(data.x_validation, data.y_validation, *weights)
metrics += helpers.evaluate(data.x_test, data.y_test, *weights)
print(storage.sha256_of(*weights), hashlib.sha256(json.dumps(metrics).encode()).hexdigest(), metrics[-2])
print(sum(helpers.online_updates.stats.cache_hits.values()))
"""


def python(code, **environment):
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, check=True)
    return done.stdout.split()


@pytest.fixture(scope="module")
def trained_here():
    """Return the digests of weights and of all metrics, and the test error, of the default training."""
    weights, metrics, test_error, _ = python(TRAIN)
    assert weights == WEIGHTS_SHA256
    assert float(test_error) == pytest.approx(0.42936252114571, abs=1e-14)
    return [weights, metrics, test_error]


@pytest.mark.parametrize(
    ("target", "needs", "blas", "threads"),
    [
        ("generic", None, "Prescott", "1"),
        ("haswell", "AVX2", "Nehalem", "2"),
        ("skylake-avx512", "AVX512_SKX", "Haswell", "2"),
    ],
)
def test_the_bits_are_the_same_for_every_processor_blas_and_thread_count(
    trained_here, target, needs, blas, threads, tmp_path
):
    environment = {"OPENBLAS_CORETYPE": blas, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
    if needs and not CPU.get(needs):
        assert python(TRAIN, **environment)[:3] == trained_here
        pytest.skip(f"this processor has no {needs}, so code for {target} cannot run on it; the BLAS was tried")
    environment |= {"NUMBA_CPU_NAME": target, "NUMBA_CACHE_DIR": str(tmp_path)}
    *found, hits = python(TRAIN, **environment)
    assert found == trained_here
    assert hits == "0"  # it was compiled for that target indeed
    if target == "generic":  # a second process does not compile again
        assert python(TRAIN, **environment) == [*trained_here, "1"]


def test_weights_and_metrics_are_the_same_bits_in_a_jupyter_kernel(trained_here):
    kernel = {"kernelspec": {"name": "python3", "display_name": "", "language": "python"}}
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(TRAIN)], metadata=kernel)
    NotebookClient(notebook).execute()
    assert notebook.cells[0].outputs[0].text.split()[:3] == trained_here


LONG = {"hidden_size": 200, "epochs": 40, "learning_rate_decay": 0.99, "relu_grad_inactive": 0, "dropout_rate": 0.3}
LONG |= {"input_dropout_rate": 0.2}


def test_a_killed_training_goes_on_to_the_same_bits(tmp_path, pipeline, often_saved):  # noqa: F811
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert pipeline("run", "--run-dir", whole, *options(LONG)).returncode == 0
    command = [sys.executable, "-m", "pipeline", "run", "--run-dir", killed, *map(str, options(LONG))]
    done = 0
    for _ in range(2):
        running = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, **often_saved)
        deadline = time.monotonic() + 120
        while epochs_done(killed) <= done:
            assert running.poll() is None, "the run ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.005)
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        done = epochs_done(killed)
        assert not (killed / "metrics.json").exists()
        assert json.loads((killed / "run.json").read_text())["status"] == "running"
    resumed = pipeline("run", "--run-dir", killed, *options(LONG), **often_saved)
    assert resumed.returncode == 0, resumed.stderr
    assert "which did not finish, from the checkpoint that its training left." in resumed.stdout
    assert "Going on after epoch" in (killed / "02_train.ipynb").read_text()
    for name in ("metrics.json", "history.json"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes()
    assert not (killed / "checkpoint.npz").exists()


def epochs_done(folder):
    try:
        with np.load(folder / "checkpoint.npz") as file:
            return len(json.loads(str(file["history"])))
    except FileNotFoundError:
        return 0


@pytest.mark.parametrize("batch_size", [1, 10])
@pytest.mark.parametrize("changed", [{"learning_rate": 5.0}, {"normalisation": 1.0}])
def test_divergence_is_an_error_that_is_not_finite_without_warnings(sample, batch_size, changed):
    rng = np.random.RandomState(1)
    weights = helpers.initial_weights(rng, 40)
    chosen = ({"learning_rate": 0.5} if batch_size > 1 else {}) | changed
    images, labels = sample["x_train"][:200], sample["y_train"][:200]
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        for _ in range(20):
            error, _ = helpers.train_epoch(images, labels, *weights, rng, batch_size=batch_size, **chosen)
        assert not np.isfinite(helpers.evaluate(images, labels, *weights)[0])
    assert not np.isfinite(error)


FULL_SIZE = """
import resource, sys
import numpy as np
import helpers
from pipeline.run_folder import RunFolder

data = RunFolder(sys.argv[1]).read_data()
helpers.train_epoch(data.x_train[:10], data.y_train[:10], *helpers.initial_weights(np.random.RandomState(1), 3),
                    np.random.RandomState(1))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rng = np.random.RandomState(1)
weights = helpers.initial_weights(rng, 300)
helpers.train_epoch(data.x_train, data.y_train, *weights, rng, dropout_rate=float(sys.argv[2]), relu_grad_inactive=0,
                    batch_size=int(sys.argv[3]))
error, accuracy = helpers.evaluate(data.x_validation, data.y_validation, *weights)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, error)
"""


@pytest.fixture(scope="module")
def sixty_thousand(tmp_path_factory, sample):
    """Return a run's folder with 60,000 training images: the sample's, over and over."""
    folder = tmp_path_factory.mktemp("full")
    pick = np.random.default_rng(0).integers(0, 2000, 60_000)
    train, test = (sample["x_train"][pick], sample["y_train"][pick]), (sample["x_test"], sample["y_test"])
    RunFolder(folder).write_data(Data(*train, *test, test[0][:10], test[1][:10], "sample", {}))
    return folder


@pytest.mark.parametrize(("dropout_rate", "batch_size"), [(0.0, 1), (0.9, 1), (0.5, 100)])
def test_full_size_needs_little_memory_beside_the_images(sixty_thousand, dropout_rate, batch_size):
    """As float64 the images would take 376 MB, and the masks of an epoch 144 MB; the images take 47 MB."""
    command = [sys.executable, "-c", FULL_SIZE, str(sixty_thousand), str(dropout_rate), str(batch_size)]
    grown, error = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert int(grown) * 1024 < 120e6
    assert float(error) < 1


def test_the_cell_of_the_loop_may_be_run_again_after_an_interruption_within_an_epoch(tmp_path, small_source):
    folder, found = RunFolder(tmp_path), []
    folder.write_data(datasets.split_source(str(small_source[0]), 40, 10))
    cells = {cell.id: cell.source for cell in nbformat.read(storage.NOTEBOOKS / "02_train.ipynb", 4).cells}
    for breaks_off in (False, True):
        names = {}
        for cell in ("imports", "parameters"):
            exec(cells[cell], names)
        names |= {"run_dir": str(tmp_path), "epochs": 3, "input_dropout_rate": 0.1}
        for cell in ("check", "weights", "checkpoint"):
            exec(cells[cell], names)
        if breaks_off:
            whole = names["train_epoch"]

            def half(images, labels, *others, whole=whole, names=names, **options):
                whole(images[:20], labels[:20], *others, **options)
                names["train_epoch"] = whole
                raise KeyboardInterrupt

            names["train_epoch"] = half
            with pytest.raises(KeyboardInterrupt):
                exec(cells["loop"], names)
        exec(cells["loop"], names)
        found.append((storage.sha256_of(*names["weights"]), names["history"]))
    assert found[0] == found[1]
