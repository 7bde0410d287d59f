"""Time what users wait for, as ratios within one run: make bench. On a quiet machine it takes some minutes.

Each line has the ratio, and the bar that it should stay below. Every figure is the better one of two tries.
"""

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil

import helpers
from pipeline import datasets, storage

PYTHON, PAPERMILL = sys.executable, Path(sys.executable).with_name("papermill")
SWEEP = """
name: bench
base: {{epochs: {epochs}}}
grid: {{learning_rate: [{rates}], seed: [1, 2, 3]}}
"""
# The compiled loop's steps in C, for a number of hidden units that the compiler knows.
C = """
int train(const unsigned char *images, const unsigned char *labels, const double *masks, double *restrict w1,
          double *restrict w2, int n, double normalisation, double rate, double inactive) {
    double hidden[H], hidden_delta[H], scaled[256]; int places[784], correct = 0;
    for (int i = 0; i < 256; i++) scaled[i] = i / normalisation;
    for (int i = 0; i < n; i++) {
        const unsigned char *image = images + 784 * i; const double *mask = masks + H * i;
        int count = 0, best = 0; double scores[10] = {0}, delta[10];
        for (int p = 0; p < 784; p++) { places[count] = p; count += image[p] > 0; }
        for (int h = 0; h < H; h++) hidden[h] = 0;
        for (int k = 0; k < count; k++) {
            double pixel = scaled[image[places[k]]], *row = w1 + H * places[k];
            for (int h = 0; h < H; h++) hidden[h] += pixel * row[h];
        }
        for (int h = 0; h < H; h++) {
            hidden[h] = (hidden[h] > 0 ? hidden[h] : 0) * mask[h];
            for (int d = 0; d < 10; d++) scores[d] += hidden[h] * w2[10 * h + d];
        }
        for (int d = 1; d < 10; d++) if (scores[d] > scores[best]) best = d;
        correct += best == labels[i];
        for (int d = 0; d < 10; d++) delta[d] = scores[d] - (d == labels[i]);
        for (int h = 0; h < H; h++) {
            double *row = w2 + 10 * h, step = rate * hidden[h], sum = 0;
            for (int d = 0; d < 10; d++) sum += delta[d] * row[d];
            hidden_delta[h] = sum * (hidden[h] > 0 ? 1 : inactive) * mask[h];
            for (int d = 0; d < 10; d++) row[d] -= step * delta[d];
        }
        for (int k = 0; k < count; k++) {
            double step = rate * scaled[image[places[k]]], *row = w1 + H * places[k];
            for (int h = 0; h < H; h++) row[h] -= step * hidden_delta[h];
        }
    }
    return correct;
}
"""


def best(work, tries=2):
    """Return the seconds of the fastest try."""
    seconds = []
    for _ in range(tries):
        since = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - since)
    return min(seconds)


def report(what, ours, others, bar):
    verdict = "" if ours / others <= bar else "  ABOVE THE BAR"
    print(f"{what:66} {ours:8.2f} / {others:6.2f} s = {ours / others:5.2f}   bar {bar}{verdict}", flush=True)


def call(*command):
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def pipeline(*arguments):
    call(PYTHON, "-m", "pipeline", *arguments)


def papermill(stage, folder, *options):
    call(PAPERMILL, storage.NOTEBOOKS / f"{stage}.ipynb", folder / f"{stage}.ipynb", "-p", "run_dir", folder, *options)


def bench_start_up(scratch):
    imports = best(lambda: call(PYTHON, "-c", "import numpy, pydantic, click"), tries=5)
    report("--help, by importing numpy, pydantic and click", best(lambda: pipeline("--help"), tries=5), imports, 2.5)


def bench_run(scratch):
    stages = ("01_prepare", "02_train", "03_evaluate")
    run, alone = ("run", "--force", "--run-dir", scratch / "run"), scratch / "alone"
    alone.mkdir()
    ours = best(lambda: pipeline(*run))
    report(
        "a run with its report, by papermill three times",
        ours,
        best(lambda: [papermill(s, alone) for s in stages]),
        0.4,
    )
    again = best(lambda: pipeline("run", "--run-dir", scratch / "run"), tries=4)
    report("a finished run once more, by the run", again, ours, 0.15)


def bench_sweeps(scratch):
    def sweep(points, epochs, workers, *options):
        file = scratch / "sweep.yaml"
        rates = ", ".join(str(round(0.0002 * step, 4)) for step in range(1, points // 3 + 1))
        file.write_text(SWEEP.format(epochs=epochs, rates=rates))
        shutil.rmtree(scratch / "out", ignore_errors=True)
        pipeline("sweep", file, "--workers", workers, "--sweep-dir", scratch / "out", *options)

    def shell_loop(points):
        def one(number):
            folder = scratch / f"point-{number}"
            folder.mkdir(exist_ok=True)
            shutil.copy(scratch / "data.npz", folder)
            papermill("02_train", folder, "-p", "epochs", "10", "-p", "seed", str(number))
            papermill("03_evaluate", folder)

        with ThreadPoolExecutor(2) as two:
            list(two.map(one, range(points)))

    papermill("01_prepare", scratch)
    loop = best(lambda: shell_loop(12), tries=1)
    report("12 points of 10 epochs on 2 workers, by papermill two at a time", best(lambda: sweep(12, 10, 2)), loop, 0.3)
    report("24 points, likewise", best(lambda: sweep(24, 10, 2)), 2 * loop, 0.25)
    report(
        "48 points of 40 epochs on 2 workers, by 1 worker, without report",
        best(lambda: sweep(48, 40, 2, "--no-report")),
        best(lambda: sweep(48, 40, 1, "--no-report")),
        1 / 1.8,
    )
    report(
        "8 trainings two at a time, by one at a time: what this machine can do",
        best(lambda: trainings(2), tries=1),
        best(lambda: trainings(1), tries=1),
        1 / 1.8,
    )


def trainings(at_a_time):
    """Train eight times, in processes that do nothing else."""
    code = (
        "import helpers, numpy as np; from pipeline import datasets;"
        "data = datasets.split_source('sample', 1000, 0); rng = np.random.RandomState(1);"
        "weights, mask = helpers.initial_weights(rng, 40), helpers.dropout_mask(rng, (1000, 40), 0.5);"
        "[helpers.online_updates(data.x_train, data.y_train, mask, *weights, 255.0, 0.005, 1.0) for _ in range(500)]"
    )
    with ThreadPoolExecutor(at_a_time) as threads:
        list(threads.map(lambda _: call(PYTHON, "-c", code), range(8)))


def bench_training(scratch):
    if not (compiler := shutil.which("cc") or shutil.which("gcc")):
        print("no C compiler, so training is not compared with C")
        return
    (scratch / "train.c").write_text(C)
    flags = ["-O3", "-march=native", "-ffast-math", "-DH=40", "-shared", "-fPIC"]
    call(compiler, *flags, scratch / "train.c", "-o", scratch / "train.so")
    data = datasets.split_source("sample", 1000, 0)
    library = ctypes.CDLL(str(scratch / "train.so"))

    def in_c(images, labels, masks, *rest):
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in (images, labels, masks, *rest[:2])]
        library.train(*pointers, len(images), *map(ctypes.c_double, rest[2:]))

    def train(epoch):
        rng = np.random.RandomState(1)
        weights = helpers.initial_weights(rng, 40)
        masks = [helpers.dropout_mask(rng, (1000, 40), 0.5) for _ in range(100)]
        since = time.perf_counter()
        for mask in masks:
            epoch(data.x_train, data.y_train, mask, *weights, 255.0, 0.005, 1.0)
        return time.perf_counter() - since

    train(helpers.online_updates)
    ours, theirs = (min(train(epoch) for _ in range(5)) for epoch in (helpers.online_updates, in_c))
    report("100 epochs, by C with every flag and a known number of units", ours, theirs, 1.1)


def bench_evaluation(scratch):
    data = datasets.split_source("sample", 1000, 1000)
    for units in (40, 1000):
        weights = helpers.initial_weights(np.random.RandomState(1), units)
        for images, labels in ((data.x_validation, data.y_validation), (data.x_test, data.y_test)):

            def by_matrix_products(images=images, labels=labels, weights=weights):
                for start in range(0, len(images), 1000):  # to spare memory
                    part = slice(start, start + 1000)
                    _, scores = helpers.forward(helpers.scale(images[part], 255), *weights)
                    (
                        np.sum((helpers.one_hot(labels[part]) - scores) ** 2),
                        np.mean(scores.argmax(axis=1) == labels[part]),
                    )

            time.sleep(0.5)  # since the threads of a BLAS go on turning for a while
            ours = best(
                lambda images=images, labels=labels, weights=weights: helpers.evaluate(images, labels, *weights), 9
            )
            what = f"evaluation of {len(images)} images by {units} units, by matrix products"
            report(what, 100 * ours, 100 * best(by_matrix_products, 9), 1.0)


def made_up(folder, task, data):
    """Return the outcome of a point as `bootstrap.run` does, but of no training."""
    import hashlib
    import pickle
    import sys
    import time

    sys.path.insert(0, folder)
    from pipeline.records import RunRecord, Status
    from pipeline.sweeps.worker import Outcome

    task = pickle.loads(task)
    time.sleep(0.005)
    names = ("train_error", "train_accuracy", "train_error_no_dropout", "train_accuracy_no_dropout")
    names += ("validation_error", "validation_accuracy")
    metrics = dict.fromkeys(names, task.parameters.learning_rate) | {"weights_sha256": "0" * 64}
    record = RunRecord.begin(task.parameters.model_dump(), task.inputs)
    files = {"02_train.ipynb": b" " * 20_000, "history.json": b" " * 15_000, "model.npz": b" " * 254_000}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return pickle.dumps(Outcome(record.changed(status=Status.DONE, metrics=metrics, outputs=digests), files))


def bench_client(scratch):
    """2,000 points through a real scheduler, to workers that make up the outcomes: what is left is the client's."""
    from pipeline.sweeps import execution, pool, training
    from tests.sweeps import test_cluster

    pool.RUN = made_up  # of __main__, so that it is pickled by value
    execution.runs.evaluate = lambda *_: None
    rates, seeds = [round(0.0002 * step, 4) for step in range(1, 21)], list(range(100))
    (scratch / "s.yaml").write_text(f"name: bench\ngrid: {{learning_rate: {rates}, seed: {seeds}}}")
    memory, this_process = [], psutil.Process()
    keep = training._keep

    def keeping(point, outcome):
        keep(point, outcome)
        memory.append(this_process.memory_info().rss)

    training._keep = keeping

    def sweep():
        processor, since = time.process_time(), time.perf_counter()
        execution.run_sweep(scratch / "s.yaml", str(scratch / "out"), scheduler=cluster.address, with_report=False)
        return time.process_time() - processor, time.perf_counter() - since

    with test_cluster.begun(scratch / "cluster") as cluster:  # in processes of their own: what is timed is the client
        for _ in range(2):
            cluster.worker("--nthreads", "1")
        processor, seconds = sweep()
    after_500, after_all = memory[499] / 1e6, memory[-1] / 1e6
    print(f"2,000 points: {seconds:.1f} s; memory {after_500:.0f} MB after 500, {after_all:.0f} MB after all")
    report("the client's work for a point, by 10 ms", processor / 2, 10.0, 1.0)
    report("looking whether 2,000 points are finished, by 2 s", sweep()[1], 2.0, 1.0)


BENCHES = (bench_start_up, bench_run, bench_training, bench_evaluation, bench_client, bench_sweeps)

if __name__ == "__main__":
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for bench in BENCHES:
        if not sys.argv[1:] or bench.__name__.removeprefix("bench_") in sys.argv[1:]:
            with tempfile.TemporaryDirectory() as folder:
                bench(Path(folder))
