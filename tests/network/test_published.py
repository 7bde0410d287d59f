"""The published metrics, and how metrics are written."""

import numpy as np
import pytest

from pipeline.network.published import (
    compare_with_published,
    compute_wilson_interval,
    cut,
    format_table,
)

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


def test_format_table_compares_digits_alone():
    assert format_table(OURS | {"train_error": 0.5}).count("NOT equal") == 1
    assert "published" not in format_table(OURS, has_digits=False)


@pytest.mark.parametrize(
    ("correct", "images"), [(0, 10), (7942, 10_000), (10, 10), (1, 3)]
)
def test_the_interval_is_wilsons(correct, images):
    # Imported here, because it takes 0.7 s in each of pytest's processes.
    from scipy.stats import binomtest

    expected = binomtest(correct, images).proportion_ci(0.95, method="wilson")
    interval = compute_wilson_interval(correct / images, images)
    assert interval == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= interval[0] < interval[1] <= 1
