"""The estimated costs of a sweep that has not run yet."""

import os
import subprocess
import sys

import pytest

from pipeline.paths import ROOT
from pipeline.sweeps import plan
from pipeline.sweeps.points import SweepFolder, make_points, read_definition
from tests.conftest import VALIDATED
from tests.sweeps.conftest import make_point


def make_plan(base, **entries):
    definition_ = read_definition({"name": "s", "base": base} | entries)
    points = make_points(definition_, SweepFolder("runs/none"))
    return plan.make_plan(points, points, definition_)


def test_the_disk_is_what_the_weights_take():
    planned = make_plan({"hidden_size": 1000}, grid={"seed": list(range(2000))})
    assert planned.bytes / 1e9 == pytest.approx(12.7, rel=0.02)
    assert ", 12,784 MB of disk" in planned.describe(2)[-1]


@pytest.mark.parametrize(
    ("base", "seconds"),
    [
        # Measured on one core, where an earlier forecast was 2.5 to 3 times too low.
        ({"hidden_size": 4, "epochs": 1000}, 5.5),
        ({"num_samples": 50, "epochs": 1000, "num_validation": 1950}, 4.6),
        ({"epochs": 100}, 1.2),
    ],
)
def test_validation_images_and_the_cost_of_an_epoch_are_in_the_forecast(base, seconds):
    assert make_plan(base).seconds == pytest.approx(seconds, rel=0.7)


def test_points_that_are_done_tell_how_fast_the_machine_is():
    points = [make_point(seed, 0.5, others=VALIDATED) for seed in (1, 2)]
    points[0].record = points[0].record.replace(duration_s=7.0)
    points[1].record = None
    sweep = read_definition({"name": "s", "grid": {"seed": [1, 2]}})
    planned = plan.make_plan(points, points[1:], sweep)
    assert (planned.done, planned.left) == (1, 1)
    assert planned.seconds == pytest.approx(7)
    for workers in (2, 60):
        text = "2 points: 1 done, 1 to run, about 7.0 s on one core, 0 MB of disk"
        assert planned.describe(workers) == [text]


def test_cores_are_those_that_the_process_may_use():
    command = [sys.executable, "-c", "from pipeline.sweeps import plan; "]
    command[-1] += "print(plan.count_cores())"
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),
    )
    assert done.stdout == "1\n", done.stderr
