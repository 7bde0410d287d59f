"""The threads that have points trained on this machine, with trainings that are made up."""

import threading

import numpy as np
import psutil
import pytest

from pipeline import datasets, kernels
from pipeline.errors import NotebookFailed
from pipeline.parameters import Parameters
from pipeline.provenance import inputs_of
from pipeline.records import Status
from pipeline.run_folder import SweepFolder
from pipeline.sweeps import local, worker
from pipeline.sweeps.definition import Point
from pipeline.sweeps.worker import Task


@pytest.fixture
def listed(tmp_path, small_source):
    """Return six jobs, of two splits of the same source, the first to be begun last in the list."""
    source, inputs = str(small_source[0]), inputs_of(Parameters(), ["02_train"])
    points = []
    for seed in range(6):
        chosen = Parameters(
            source=source, num_samples=20 + 10 * (seed % 2), num_validation=5, seed=seed
        )
        points.append(Point(chosen, SweepFolder(tmp_path / "out"), ["seed"]))
    data = {point.data_key: datasets.split_source(*point.data_key) for point in points}
    arrays = {point: data[point.data_key].source_sha256 for point in points}
    return [(point, Task("", point.parameters, inputs, arrays[point], None)) for point in points][
        ::-1
    ], data


def all_ended(pool):
    ended = []
    while pool.running:
        ended += pool.completed()
    return {point.parameters.seed: outcome for (point, _), outcome in ended}


def test_points_are_trained_with_their_own_data_as_many_at_a_time_as_there_are_threads(
    listed, monkeypatch, tmp_path
):
    waiting, data = listed
    both, seen = threading.Barrier(2, timeout=60), {}  # passes only where two are trained at a time

    def run_point(task, path, below):
        both.wait()
        seen[task.parameters.seed] = len(np.load(path)["x_train"])
        return worker.failed(task, NotebookFailed("made up"))

    monkeypatch.setattr(worker, "run_point", run_point)
    pool = local.LocalPool(2, data, tmp_path)
    pool.submit(waiting)
    assert waiting == []
    assert all_ended(pool).keys() == set(range(6))
    pool.close()
    assert seen == {seed: 20 + 10 * (seed % 2) for seed in range(6)}


def test_whatever_is_raised_is_that_points_failure_but_a_full_disk_is_not(
    listed, monkeypatch, tmp_path
):
    waiting, data = listed
    full = waiting.pop(0)  # that of seed 5

    def run_point(task, path, below):
        raise (
            OSError(28, "No space left on device")
            if task.parameters.seed == 5
            else ValueError("odd")
        )

    monkeypatch.setattr(worker, "run_point", run_point)
    pool = local.LocalPool(1, data, tmp_path)
    pool.submit(waiting)
    outcomes = all_ended(pool)
    assert {outcome.record.status for outcome in outcomes.values()} == {Status.FAILED}
    assert outcomes[0].record.error == "ValueError: odd"
    pool.submit([full])
    with pytest.raises(OSError, match="No space left"):
        all_ended(pool)
    pool.close()


def test_once_closed_nothing_is_begun_and_nothing_is_left(listed, monkeypatch, tmp_path):
    waiting, data = listed
    begun, ended = [], threading.Event()

    def run_point(task, path, below):
        begun.append(task.parameters.seed)
        assert ended.wait(60)
        return worker.failed(task, NotebookFailed("interrupted"))

    monkeypatch.setattr(worker, "run_point", run_point)
    monkeypatch.setattr(local.kernels, "end", ended.set)
    pool = local.LocalPool(1, data, tmp_path)
    pool.submit(waiting)
    while not begun:
        pass
    pool.close()
    assert begun == [0]
    assert sum(future.cancelled() for future in pool.jobs) == 5
    assert all(future.done() for future in pool.jobs)


@pytest.mark.parametrize("moment", [0.0, 0.03, 0.1, 0.3])
@pytest.mark.parametrize("forked", [True, False])
def test_a_kernel_that_is_about_to_start_is_ended_too(
    listed, monkeypatch, tmp_path, moment, forked
):
    """At any moment: with the real notebook, which trains for minutes, and a real kernel, forked or not."""
    (*_, (point, task)), data = listed
    long = Task(
        task.place,
        task.parameters.model_copy(update={"epochs": 10**7}),
        task.inputs,
        task.arrays,
        None,
    )
    monkeypatch.setattr(kernels, "CAN_FORK", forked and kernels.CAN_FORK)
    others = set(psutil.Process().children(recursive=True))
    pool = local.LocalPool(1, data, tmp_path)
    pool.submit([(point, long)])
    threading.Event().wait(moment)
    before = set(psutil.Process().children(recursive=True)) - others
    pool.close()
    assert all(future.done() for future in pool.jobs)
    left = [
        process for process in [*before, *kernels.SERVER.kernels.values()] if process.is_running()
    ]
    assert [process for process in left if process.status() != psutil.STATUS_ZOMBIE] == []
