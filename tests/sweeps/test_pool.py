"""How points are given to workers: as many as a worker has threads and one more, and whom a death counts against."""

import errno
import pickle
import zlib
from types import SimpleNamespace

import pytest

from pipeline import datasets
from pipeline.errors import ClusterFailed
from pipeline.parameters import Parameters
from pipeline.provenance import inputs_of
from pipeline.records import RunRecord, Status
from pipeline.run_folder import SweepFolder
from pipeline.sweeps import pool as pools
from pipeline.sweeps.definition import Point
from pipeline.sweeps.worker import Outcome, Task

DATA = datasets.split_source("sample", 10, 5)


class Future:
    """A task that ends when the test says so."""

    def __init__(self, arguments, workers):
        self.arguments, self.workers = arguments, workers
        self.status, self.callbacks = "pending", []

    def add_done_callback(self, callback):
        self.callbacks.append(callback)

    def end(self, value, status="finished"):
        self.value, self.status = value, status
        for callback in self.callbacks:
            callback(self)

    def result(self, timeout=None):
        if self.status == "pending":  # the scheduler has it done again
            raise TimeoutError
        if isinstance(self.value, Exception):
            raise self.value
        return self.value

    def exception(self):
        return self.value

    def cancel(self):
        self.end(None, "cancelled")


class Client:
    """A scheduler with the workers that the test names, each with its threads."""

    def __init__(self, **threads):
        self.threads, self.made, self.prepared, self.points = threads, [], [], []

    def nthreads(self):
        return dict(self.threads)

    def submit(self, function, *arguments, workers=None, pure=False):
        future = Future(arguments, workers)
        kinds = {pools.PREPARE: self.prepared, pools.RUN: self.points}
        kinds.get(function, self.made).append(future)
        return future


@pytest.fixture(scope="module")
def inputs():
    return inputs_of(Parameters(), ["02_train"])


@pytest.fixture
def jobs(inputs, tmp_path):
    """Ten points, of which the last comes first, as the sweep gives them."""
    points = [Point(Parameters(seed=seed), SweepFolder(tmp_path), ["seed"]) for seed in range(10)]
    return [
        (point, Task("", point.parameters, inputs, DATA.source_sha256, None)) for point in points
    ][::-1]


def pool_of(client, jobs):
    """Return a pool whose workers are all ready."""
    pool = pools.Pool(client, {jobs[0][0].data_key: DATA}, {})
    pool.submit([])
    for future in client.prepared:
        future.end(("/folder", ""))
    assert pool.completed() == []
    return pool


def given(client, address):
    """Return the seeds of the points that a worker has, the oldest first."""
    futures = [
        future
        for future in client.points
        if future.workers == [address] and future.status == "pending"
    ]
    return [pickle.loads(future.arguments[1]).parameters.seed for future in futures]


def done(inputs):
    record = RunRecord.begin(Parameters().model_dump(), inputs)
    return pickle.dumps(Outcome(record.changed(status=Status.DONE)))


def test_a_worker_that_has_no_room_gets_no_more_points_and_fails_none(jobs, inputs, caplog):
    client = Client(a=1, b=1)
    pool = pool_of(client, jobs)
    pool.submit(jobs)
    full = OSError(errno.ENOSPC, "No space left on device", "/there/data.npz")
    had = given(client, "a")
    assert len(had) == 2
    for future in [future for future in client.points if future.workers == ["a"]]:
        future.end(full, "error")
    lost = pool.completed()
    assert [(job[0].parameters.seed, outcome) for job, outcome in lost] == [
        (seed, None) for seed in had
    ]
    assert (
        caplog.text.count(
            "The worker at a gets no points: OSError: [Errno 28] No space left on device"
        )
        == 1
    )
    jobs += [job for job, _ in lost]
    while jobs:
        next(future for future in client.points if future.status == "pending").end(done(inputs))
        pool.completed()
        pool.submit(jobs)
    assert given(client, "a") == []
    for future in client.points:
        if future.status == "pending":
            future.end(full, "error")
    with pytest.raises(
        ClusterFailed, match=r"Make room there(.|\n)*a: OSError: (.|\n)*b: OSError: "
    ):
        pool.submit([job for job, _ in pool.completed()])


def test_a_worker_that_has_come_in_place_of_another_at_its_address_is_made_ready_and_nothing_fails(
    jobs, inputs
):
    client = Client(a=1)
    pool = pool_of(client, jobs)
    pool.submit(jobs)
    client.points[0].end(b"")  # as where it has no code
    found = pool.completed()
    assert [outcome for _, outcome in found] == [None]
    pool.submit(jobs)
    client.prepared[1].end(("/new", ""))
    found += pool.completed()
    assert [outcome for _, outcome in found] == [None, None]  # the one that waited there, too
    jobs += [job for job, _ in found]
    pool.submit(jobs)
    assert {future.arguments[0] for future in client.points if future.status == "pending"} == {
        "/new"
    }


def test_of_a_worker_that_goes_while_it_is_made_ready_nothing_more_is_logged(jobs, caplog):
    client = Client(a=1)
    pool = pools.Pool(client, {jobs[0][0].data_key: DATA}, {})
    pool.submit([])
    client.threads = {}
    pool.submit([])
    client.prepared[0].end(("", "it has numpy 1.0, not 2.0"))
    assert pool.completed() == []
    assert [record.message for record in caplog.records] == [
        "The worker at a has gone. Workers left: 0"
    ]


def test_a_worker_has_as_many_points_as_threads_and_one_that_waits(jobs, inputs):
    client = Client(a=1, b=4)
    pool = pool_of(client, jobs)
    pool.submit(jobs)
    assert [len(given(client, address)) for address in "ab"] == [2, 5]
    assert len(jobs) == 3
    client.points[0].end(done(inputs))
    ((job, outcome),) = pool.completed()
    assert (job[0].parameters.seed, outcome.record.status) == (0, "done")
    pool.submit(jobs)
    assert [len(given(client, address)) for address in "ab"] == [
        2,
        5,
    ]  # at once, before anything is written
    assert len(jobs) == 2


def test_code_and_data_are_submitted_once_and_each_worker_and_point_depends_on_them(jobs):
    client = Client(a=1, b=1)
    pool = pool_of(client, jobs)
    pool.submit(jobs)
    code, data = client.made
    assert data.arguments == (zlib.compress(DATA.without_test().to_bytes(), level=1),)
    assert "helpers.py" in code.arguments[0]
    assert [future.arguments[0] for future in client.prepared] == [code, code]
    assert {future.arguments[2] for future in client.points} == {data}
    assert all(len(future.arguments[1]) < 5000 for future in client.points)


def test_free_workers_come_first_so_few_points_are_spread(jobs):
    client = Client(a=1, b=1, c=1)
    pool = pool_of(client, jobs)
    pool.submit(few := jobs[-3:])
    assert few == []
    assert [len(given(client, address)) for address in "abc"] == [1, 1, 1]


def test_a_death_counts_against_what_ran_there_and_not_what_waited(jobs):
    client = Client(a=1)
    pool = pool_of(client, jobs)
    pool.submit(jobs)
    assert given(client, "a") == [0, 1]
    for deaths, address in enumerate("bcd", 1):
        running, waited = given(client, client_address := next(iter(client.threads)))
        client.threads = {address: 1}
        pool.submit([])
        client.prepared[-1].end(("/folder", ""))
        assert given(client, client_address) == []
        back = pool.completed()
        outcomes = {job[0].parameters.seed: outcome for job, outcome in back}
        assert outcomes.keys() == {running, waited}
        assert outcomes[waited] is None
        if deaths == pools.MAX_DEATHS:
            assert outcomes[running].record.status == "worker died"
            return
        assert outcomes[running] is None
        pool.submit([job for job, _ in back][::-1])
        assert given(client, address) == [running, waited]


def test_a_death_does_not_count_against_what_had_ended_before_it(jobs, inputs):
    client = Client(a=1)
    pool = pool_of(client, jobs)
    pool.submit(jobs)
    client.points[0].end(done(inputs))  # and the next one began, before anyone looked
    client.threads = {}
    pool.submit([])
    outcomes = {
        job[0].parameters.seed: outcome for job, outcome in [*pool.completed(), *pool.completed()]
    }
    assert outcomes[0].record.status == "done"
    assert outcomes[1] is None
    assert {point.parameters.seed: count for point, count in pool.deaths.items()} == {1: 1}


def test_a_worker_with_nothing_to_do_takes_what_waits_elsewhere(jobs, inputs):
    client = Client(a=1, b=1)
    pool = pool_of(client, jobs)
    pool.submit(few := jobs[-4:])
    assert [given(client, address) for address in "ab"] == [[0, 2], [1, 3]]
    for _ in range(2):
        next(
            future
            for future in client.points
            if future.workers == ["b"] and future.status == "pending"
        ).end(done(inputs))
    pool.completed()
    pool.submit(few)
    assert [given(client, address) for address in "ab"] == [[0], [2]]
    pool.submit(few)
    assert [given(client, address) for address in "ab"] == [
        [0],
        [2],
    ]  # what runs is left where it is


def test_what_has_ended_is_not_taken_back_and_leaves_room(jobs, inputs):
    client = Client(a=1, b=1)
    pool = pool_of(client, jobs)
    pool.submit(few := jobs[-4:])
    for future in client.points:
        if future.workers == ["b"] or future is client.points[0]:
            future.end(
                done(inputs)
            )  # of a's two, the one that ran has ended, and the other runs now
    pool.submit(few)
    assert [given(client, address) for address in "ab"] == [[2], []]
    assert {job[0].parameters.seed for job, _ in pool.completed()} == {0, 1, 3}


def test_a_worker_that_cannot_run_the_points_gets_none_and_if_none_can_the_sweep_ends(jobs):
    client = Client(a=1, b=1)
    pool = pools.Pool(client, {jobs[0][0].data_key: DATA}, {})
    pool.submit(jobs)
    assert client.points == []  # nobody is ready yet
    first, second = client.prepared
    first.end(("/folder", "it has numpy 1.0, not 2.4"))
    second.end(("/folder", ""))
    pool.completed()
    pool.submit(jobs)
    assert {future.workers[0] for future in client.points} == set(second.workers)
    del client.threads[second.workers[0]]
    with pytest.raises(
        ClusterFailed, match=r"No worker can run the points\. .*\n.*it has numpy 1\.0, not 2\.4"
    ):
        pool.submit(jobs)


def test_what_a_worker_raises_is_why_it_cannot_or_that_points_failure(jobs):
    client = Client(a=1)
    pool = pool_of(client, jobs)
    pool.submit(jobs)
    client.points[0].end(RuntimeError("no space left"), "error")
    ((_, outcome),) = pool.completed()
    assert (outcome.record.status, outcome.record.error) == (
        "failed",
        "RuntimeError: no space left",
    )
    client.threads["b"] = 1
    pool.submit(jobs)
    client.prepared[-1].end(OSError("no space left"), "error")
    pool.completed()
    assert pool.workers["b"].refusal == "OSError: no space left"
    client.threads = {"c": 1}
    pool.submit(jobs)
    client.prepared[-1].end(OSError(errno.ENOSPC, "No space left on device"), "error")
    pool.completed()
    with pytest.raises(
        ClusterFailed,
        match=r"No worker can run the points\. Make room there, .*\.\n.*No space left",
    ):
        pool.submit(jobs)


def test_a_result_that_goes_with_its_worker_before_it_is_fetched_is_not_waited_for(jobs, inputs):
    client = Client(a=1)
    pool = pool_of(client, jobs)
    pool.submit(jobs)
    client.points[0].end(done(inputs))
    client.points[0].status = "pending"
    ((job, outcome),) = pool.completed()
    assert (job[0].parameters.seed, outcome) == (0, None)  # to be given again


def test_a_scheduler_that_has_gone_ends_the_sweep(jobs):
    client = Client(a=1)
    pool = pool_of(client, jobs)
    client.nthreads = lambda: SimpleNamespace().gone
    with pytest.raises(
        ClusterFailed, match=r"The Dask scheduler has gone \(.*\)\. Start it again first\."
    ):
        pool.submit(jobs)


def test_a_scheduler_that_was_started_again_ends_the_sweep_since_it_knows_no_task(jobs):
    client = Client(a=1)
    pool = pool_of(client, jobs)
    pool.submit(jobs)
    for future in (
        *client.made,
        *client.points,
    ):  # as Dask's client does when it has found a scheduler again
        future.cancel()
    client.threads = {"b": 1}
    with pytest.raises(
        ClusterFailed, match=r"was started again meanwhile\. Give the same command again\."
    ):
        pool.submit(jobs)
