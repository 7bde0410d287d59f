"""Measure users' waiting times, as ratios: make bench, on a quiet machine.

Each line has the median ratio of some turns, and the bar that it should stay below; the
line of the page only reports. To choose among the groups, give their names, such as
``run sweeps``.
"""

import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

import helpers
from pipeline.images.data import split_source
from pipeline.network import compiled
from pipeline.paths import NOTEBOOKS
from pipeline.results.stages import STAGES
from tests.commands import Command
from tests.pages import CHROMIUM

SWEEP = """
name: bench
base: {{epochs: {epochs}}}
grid: {{learning_rate: {rates}}}
seeds: [1, 2, 3]
"""
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
FRAMES = """() => new Promise((done) => {
    const times = [];
    requestAnimationFrame(function count(now) {
        times.push(now);
        if (now - times[0] < 500) requestAnimationFrame(count);
        else done(2 * (times.length - 1));
    });
})"""


def measure(work):
    """Return how many seconds a function takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def compare(what, ours, others, bar, turns=3):
    """Print the ratio of the times that two functions take."""
    pairs = [(measure(ours), measure(others)) for _ in range(turns)]
    ratio = statistics.median(first / second for first, second in pairs)
    first, second = (statistics.median(times) for times in zip(*pairs, strict=True))
    verdict = "" if ratio <= bar else "  ABOVE THE BAR"
    print(
        f"{what:60} {first:7.3f} / {second:7.3f} s = {ratio:.2f}   "
        f"bar {bar:.2f}{verdict}",
        flush=True,
    )


def call(*command):
    subprocess.run(list(map(str, command)), check=True, capture_output=True)


def pipeline(*arguments):
    call(sys.executable, "-m", "pipeline", *arguments)


def papermill(stage, folder, *options):
    papermill, name = Path(sys.executable).with_name("papermill"), f"{stage}.ipynb"
    place = ("-p", "run_dir", folder)
    call(papermill, NOTEBOOKS / name, folder / name, *place, *options)


def bench_start(scratch):
    imports = [sys.executable, "-c", "import numpy, pydantic, click"]
    what = "--help, by an import of numpy, pydantic and click"
    compare(what, lambda: pipeline("--help"), lambda: call(*imports), 2.0, turns=9)


def bench_run(scratch):
    run, alone = ("run", "--run-dir", scratch / "run"), scratch / "alone"
    alone.mkdir()

    def execute_stages():
        for stage in STAGES:
            papermill(stage.name, alone)

    forced = (*run, "--force")
    what = "a default run with its report, by papermill's three commands"
    compare(what, lambda: pipeline(*forced), execute_stages, 0.28)
    what = "a finished run once more, by the run"
    compare(what, lambda: pipeline(*run), lambda: pipeline(*forced), 0.15)


def bench_training(_):
    images = split_source("sample", 1000, 0)
    x, y = images.x_train, images.y_train

    def train(train_epoch, epochs):
        rng, _ = helpers.generators(1)
        weights = helpers.initial_weights(rng, 40)
        for _ in range(epochs):
            train_epoch(x, y, weights, rng)

    train(compiled.train_epoch, 1)  # loads the compiled loops
    what = "20 epochs, by helpers.py"
    ours, theirs = compiled.train_epoch, helpers.train_epoch
    compare(what, lambda: train(ours, 20), lambda: train(theirs, 20), 1 / 9)


def bench_evaluation(scratch):
    images = split_source("sample", 1000, 1000)
    validation = images.x_validation, images.y_validation
    test = images.x_test, images.y_test
    for units in (40, 1000):
        weights = helpers.initial_weights(np.random.RandomState(1), units)
        for x, y in (validation, test):

            def evaluate_in_parts(x=x, y=y, weights=weights):
                for start in range(0, len(x), 1000):  # to limit memory
                    part = slice(start, start + 1000)
                    helpers.evaluate(x[part], y[part], weights)

            def evaluate(x=x, y=y, weights=weights):
                compiled.evaluate(x, y, weights)

            what = f"evaluation of {len(x)} images by {units} units, by matrix products"
            compare(what, evaluate, evaluate_in_parts, 1.0, turns=9)


def bench_sweeps(scratch):
    def sweep(points, epochs, workers, *options):
        rates = [round(0.0002 * step, 4) for step in range(1, points // 3 + 1)]
        (scratch / "sweep.yaml").write_text(SWEEP.format(epochs=epochs, rates=rates))
        shutil.rmtree(scratch / "out", ignore_errors=True)
        folder = ("--sweep-dir", scratch / "out")
        command = ("sweep", scratch / "sweep.yaml", "--workers", workers)
        pipeline(*command, *folder, *options)

    def train_by_papermill(seed):
        folder = scratch / f"point-{seed}"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(scratch / "prepared", folder)
        papermill("02_train", folder, "-p", "epochs", 10, "-p", "seed", seed)
        papermill("03_evaluate", folder)

    (scratch / "prepared").mkdir()

    def loop():
        papermill("01_prepare", scratch / "prepared")
        with ThreadPoolExecutor(2) as two:
            list(two.map(train_by_papermill, range(12)))

    what = "12 points of 10 epochs on 2 workers, by papermill two at a time"
    compare(what, lambda: sweep(12, 10, 2), loop, 0.12, turns=2)
    what = "48 points of 40 epochs, by 2 workers and by 1"
    one, two = (partial(sweep, 48, 40, count) for count in (1, 2))
    compare(what, two, one, 1 / 1.8, turns=2)


def bench_signals(scratch):
    """Interrupt a run and a sweep at thirty moments each, every other time again."""
    (scratch / "s.yaml").write_text(SWEEP.format(epochs=5, rates=[0.004, 0.005]))
    sweep = ("sweep", scratch / "s.yaml", "--sweep-dir")
    signals = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    for name, command in (("run", ("run", "--run-dir")), ("sweep", sweep)):
        duration = measure(partial(pipeline, *command, scratch / name / "whole"))
        seconds = []
        for n in range(30):
            running = Command(*command, scratch / name / str(n))
            time.sleep(duration * (n + random.random()) / 30)
            number, again = signals[n % 3], bool(n % 2)
            begun = time.perf_counter()
            code, output = running.end(number, again)
            seconds.append(time.perf_counter() - begun)
            is_clean = code in (0, 128 + number, -number) and "Traceback" not in output
            if not is_clean or seconds[-1] > 3:
                print(f"{name}, moment {n}: {code} after {seconds[-1]:.1f} s\n{output}")
        what = f"30 signals to a {name}: until all processes end"
        print(
            f"{what:60} median {statistics.median(seconds):.1f} s, "
            f"longest {max(seconds):.1f} s   bar 3 s",
            flush=True,
        )


def bench_page(scratch):
    """Print when a report first appears, and how smoothly it draws while it trains."""
    pipeline("run", "--run-dir", scratch / "run")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"]
        )
        page = browser.new_page()
        page.goto((scratch / "run" / "report.html").as_uri())
        paint = page.evaluate(FIRST_PAINT) / 1000
        page.get_by_role("button", name="Train it here").click()
        frames = page.evaluate(FRAMES)
        browser.close()
    what = "a report in Chromium: first paint, and frames in training"
    print(f"{what:60} {paint:7.3f} s, {frames:.0f} per second   no bar", flush=True)


BENCHES = [bench_start, bench_run, bench_training]
BENCHES += [bench_evaluation, bench_sweeps, bench_signals, bench_page]

if __name__ == "__main__":
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for bench in BENCHES:
        if not sys.argv[1:] or bench.__name__.removeprefix("bench_") in sys.argv[1:]:
            with tempfile.TemporaryDirectory() as folder:
                bench(Path(folder))
