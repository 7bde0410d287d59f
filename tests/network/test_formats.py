"""The published metrics, and how metrics are written."""

import numpy as np

from pipeline.network.formats import compare_with_published, cut, format_table

OURS = {
    "train_error": 0.42039163449803,
    "train_accuracy": 0.817,
    "test_error": 0.42936252114571,
    "test_accuracy": 0.7942,
}


def test_cut_prints_errors_as_the_original():
    """For very small or large errors, the original's str(error)[0:5] would mislead."""
    for error in (0.42999, 1.0, 12.3456):
        assert cut(error) == str(error)[0:5]
    assert (cut(1.2e-5), cut(123456.0)) == ("0.000", "1e+05")


def test_compare_finds_the_published_metrics_equal_and_no_others():
    assert all(row["equal"] for row in compare_with_published(OURS))
    for name in OURS:
        rows = compare_with_published(OURS | {name: OURS[name] + 0.001})
        different = [row["name"] for row in rows if not row["equal"]]
        assert different == [name.replace("_", " ")]
    assert not compare_with_published(
        OURS | {"test_accuracy": np.nextafter(0.7942, 1)}
    )[3]["equal"]


def test_a_metric_that_differs_is_not_equal():
    assert format_table(OURS | {"train_error": 0.5}).count("NOT equal") == 1
