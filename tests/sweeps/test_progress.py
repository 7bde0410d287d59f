"""How long a sweep will take, from the points that have finished."""

import logging

from pipeline.parameters import Parameters
from pipeline.ranking import PointResult
from pipeline.records import Inputs, RunRecord, Status
from pipeline.run_folder import SweepFolder
from pipeline.sweeps.definition import Point, configurations
from pipeline.sweeps.progress import Progress

INPUTS = Inputs(data="", notebooks={}, code={}, versions={})


def test_the_time_left_follows_from_what_points_took_and_not_from_when_the_sweep_began(
    tmp_path, caplog
):
    points = [Point(Parameters(seed=seed), SweepFolder(tmp_path), ["seed"]) for seed in range(6)]
    caplog.set_level(logging.INFO, "pipeline")
    with Progress(configurations(points), "train_error", len(points)) as shown:
        for point, seconds in zip(points, (20.0, 10.0, None, 12.0, 2.0, 16.0), strict=True):
            record = RunRecord.begin(point.result.parameters, INPUTS)
            record = record.changed(
                status=Status.DONE if seconds else Status.WORKER_DIED, duration_s=seconds
            )
            point.result = PointResult(point.id, point.result.parameters, record)
            shown.finished(point, at_a_time=2)
    left = [record.getMessage().split(" | ")[1:] for record in caplog.records]
    assert left == [
        ["about 50 s left"],  # five of 20 s, two at a time
        ["about 30 s left"],
        ["about 22 s left", "1 failed"],
        ["about 14 s left", "1 failed"],
        ["about 11 s left", "1 failed"],  # one cannot be shared
        ["1 failed"],
    ]
