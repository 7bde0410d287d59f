"""The one ranking of progress, index and report: neither a lucky seed nor a failed point can lead it."""

import sys
from math import isnan

import pytest

from pipeline import published, ranking
from pipeline.parameters import Parameters
from pipeline.ranking import Configuration, PointResult
from pipeline.records import Inputs, RunRecord, Status, Trained
from tests.conftest import EPOCH

INPUTS = Inputs(data="", notebooks={}, code={}, versions={})
SIZE = ["hidden_size"]


def a_point(hidden_size, seed, value, metric="validation_accuracy", **fields):
    """Return a point with that value of the metric; a value of None stands for one that diverged."""
    chosen = Parameters(hidden_size=hidden_size, seed=seed, **fields).model_dump()
    record = RunRecord.begin(chosen, INPUTS)
    identity = f"{hidden_size}-{seed}"
    if value is None:
        return PointResult(identity, chosen, record.changed(status=Status.DIVERGED))
    others = dict.fromkeys(Trained.model_fields, 1) | {"weights_sha256": "0" * 64}
    metrics = Trained(**others | {metric: value})
    return PointResult(identity, chosen, record.changed(status=Status.DONE, metrics=metrics))


def not_run(hidden_size, seed):
    return PointResult(
        f"{hidden_size}-{seed}", Parameters(hidden_size=hidden_size, seed=seed).model_dump()
    )


def sizes(ranked):
    return [configuration.parameters["hidden_size"] for configuration in ranked]


def test_configurations_are_ranked_by_the_mean_over_their_seeds_and_not_by_one_lucky_seed():
    lucky = [a_point(10, 1, 0.9), a_point(10, 2, 0.5)]
    steady = [a_point(20, 1, 0.8), a_point(20, 2, 0.7)]
    assert ranking.varied_names([*lucky, *steady]) == SIZE
    ranked = ranking.rank([lucky, steady], "validation_accuracy")
    assert sizes(ranked) == [20, 10]
    assert [configuration.mean for configuration in ranked] == pytest.approx([0.75, 0.7])
    assert ranked[1].values == [0.9, 0.5]
    assert [[point.id for point in found.points] for found in ranked] == [
        ["20-1", "20-2"],
        ["10-1", "10-2"],
    ]
    assert ranking.best(ranked) is ranked[0]


@pytest.mark.parametrize(
    ("metric", "other", "worse", "better"),
    [
        ("validation_accuracy", "validation_error", 0.4, 0.3),
        ("train_error", "train_accuracy", 0.6, 0.7),
    ],
)
def test_equal_means_are_ranked_by_the_other_metric_of_the_same_images(
    metric, other, worse, better
):
    def group(size, value):
        point = a_point(size, 1, 0.5, metric)
        metrics = point.metrics.model_copy(update={other: value})
        return [PointResult(point.id, point.parameters, point.record.changed(metrics=metrics))]

    assert sizes(ranking.rank([group(10, worse), group(20, better)], metric)) == [20, 10]
    assert sizes(ranking.rank([group(10, worse), group(20, worse)], metric)) == [
        10,
        20,
    ]  # as the file has them


@pytest.mark.parametrize("missing", [lambda size, seed: a_point(size, seed, None), not_run])
@pytest.mark.parametrize("metric", ["validation_accuracy", "validation_error"])
def test_a_configuration_with_a_point_that_has_not_finished_comes_after_all_complete_ones(
    missing, metric
):
    good, better, poor = (0.9, 0.95, 0.6) if metric == "validation_accuracy" else (0.1, 0.05, 0.4)
    groups = [
        [missing(30, 1)],
        [a_point(10, 1, good, metric), missing(10, 2)],
        [a_point(20, 1, poor, metric), a_point(20, 2, poor, metric)],
        [a_point(40, 1, better, metric), missing(40, 2)],
    ]
    ranked = ranking.rank(groups, metric)
    assert sizes(ranked) == [20, 40, 10, 30]
    assert [len(configuration.finished) for configuration in ranked] == [2, 1, 1, 0]
    assert [configuration.is_complete for configuration in ranked] == [True, False, False, False]
    assert isnan(ranked[-1].mean)
    assert ranking.best(ranked) is ranked[0]


@pytest.mark.parametrize(
    ("metric", "order"),
    [
        ("validation_error", [20, 10, 30]),
        ("train_error", [20, 10, 30]),
        ("train_accuracy", [30, 10, 20]),
    ],
)
def test_an_error_is_ranked_from_below_and_an_accuracy_from_above(metric, order):
    groups = [
        [a_point(size, 1, value, metric)] for size, value in ((10, 0.4), (20, 0.3), (30, 0.5))
    ]
    assert sizes(ranking.rank(groups, metric)) == order


def test_configurations_that_differ_by_rounding_alone_keep_their_order():
    for values in ((0.5, 0.5), (0.5, 0.5 + 1e-14), (0.5 + 1e-14, 0.5)):
        groups = [[a_point(size, 1, value)] for size, value in zip((20, 10), values, strict=True)]
        assert sizes(ranking.rank(groups, "validation_accuracy")) == [20, 10]
    groups = [[a_point(20, 1, 0.5)], [a_point(10, 1, 0.5001)]]
    assert sizes(ranking.rank(groups, "validation_accuracy")) == [10, 20]


def test_a_point_without_validation_images_has_no_validation_metric():
    point = a_point(10, 1, None)
    metrics = Trained(**EPOCH, weights_sha256="0" * 64)
    point = PointResult(
        point.id, point.parameters, point.record.changed(status=Status.DONE, metrics=metrics)
    )
    (by_validation,) = ranking.rank([[point]], "validation_accuracy")
    (by_training,) = ranking.rank([[point]], "train_accuracy")
    assert (by_validation.finished, by_validation.is_complete) == ([], False)
    assert (by_training.mean, by_training.is_complete) == (EPOCH["train_accuracy"], True)


def test_errors_near_the_largest_number_have_a_mean_that_is_written_short():
    larger = [a_point(10, seed, sys.float_info.max, "validation_error") for seed in (1, 2, 3)]
    smaller = [a_point(20, seed, 1e308, "validation_error") for seed in (1, 2)]
    ranked = ranking.rank([larger, smaller], "validation_error")
    assert sizes(ranked) == [20, 10]
    assert (
        ranked[0].describe_best([])
        == "validation_error 1.000e+308, mean of 2 seeds: the only configuration"
    )


@pytest.mark.parametrize(
    ("names", "metric", "named"),
    [
        (["num_validation", "epochs"], "validation_error", "num_validation varies"),
        (["num_validation"], "train_error", ""),
        (["num_samples", "source"], "train_accuracy", "source and num_samples vary"),
        (["epochs", "learning_rate"], "validation_accuracy", ""),
    ],
)
def test_it_is_said_where_configurations_are_measured_on_different_images(names, metric, named):
    remark = f"The configurations are measured on different images, as {named}. The best may be best for that reason."
    assert ranking.remark(names, metric) == (remark if named else "")


def test_where_nothing_has_finished_nothing_is_best():
    assert ranking.best([]) is None
    assert ranking.rank([[]], "validation_accuracy") == []  # a configuration without points is none
    assert (
        ranking.best(
            ranking.rank([[], [a_point(10, 1, None)], [not_run(20, 1)]], "validation_accuracy")
        )
        is None
    )


def test_the_names_varied_are_those_that_differ_without_the_seed():
    points = [
        a_point(10, 1, 0.5, epochs=3),
        a_point(20, 2, 0.5, epochs=3),
        a_point(20, 3, None, epochs=4),
    ]
    assert ranking.varied_names(points) == ["hidden_size", "epochs"]
    assert ranking.varied_names(points[:1]) == ranking.varied_names([]) == []


def test_a_configuration_is_described_by_what_the_sweep_varies_of_a_point_whose_parameters_are_known():
    lost = PointResult("lost", {})
    configuration = Configuration(
        [lost, a_point(10, 1, 0.5, epochs=3), a_point(10, 2, None)], "validation_accuracy"
    )
    assert configuration.describe(["hidden_size", "epochs"]) == "hidden_size 10, epochs 3"
    assert (
        configuration.describe(["hidden_size", "seed"]) == "hidden_size 10"
    )  # which its points do not share
    assert configuration.describe([]) == "the only configuration"
    assert Configuration([lost], "validation_accuracy").describe(SIZE) == "the only configuration"


@pytest.mark.parametrize(
    ("values", "description"),
    [
        ([0.125], "validation_accuracy 0.1250: hidden_size 10"),
        ([0.125, 0.25], "validation_accuracy 0.1875, mean of 2 seeds: hidden_size 10"),
        ([0.125, 0.25, None], "validation_accuracy 0.1875, 2 of 3 seeds: hidden_size 10"),
        ([None, 0.25], "validation_accuracy 0.2500, 1 of 2 seeds: hidden_size 10"),
    ],
)
def test_the_best_configuration_is_described_with_its_mean_and_over_how_many_seeds(
    values, description
):
    points = [a_point(10, seed, value) for seed, value in enumerate(values)]
    assert Configuration(points, "validation_accuracy").describe_best(SIZE) == description


@pytest.mark.parametrize(
    ("error", "printed"),
    [
        (0.42039163449803, "0.420"),
        (0.3, "0.3"),
        (2.6e-7, "0.000"),
        (12.345678, "12.34"),
        (1e17, "1e+17"),
        (99999.9, "99999"),
        (123456.7, "1e+05"),
        (1.0, "1.0"),
        (0.0, "0.0"),
    ],
)
def test_an_error_is_cut_as_the_original_cuts_it_also_where_python_would_write_an_exponent(
    error, printed
):
    assert published.cut(error) == printed
