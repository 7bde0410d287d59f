"""The published metrics, and how metrics are written."""

import numpy as np
import pytest

from pipeline.network import formats
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
    table = format_table(OURS | {"train_error": 0.5, "test_accuracy": 1 / 3})
    _, *rows = [line.split("  ") for line in table.splitlines()]
    assert [row[-2].strip() for row in rows] == ["0.500", "0.817", "0.429", "0.3333"]
    assert [row[-1] for row in rows] == ["NOT equal", "equal", "equal", "NOT equal"]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (formats.format_error(99999.5), "99999.500"),
        (formats.format_error(-100000), "\N{MINUS SIGN}1.000e+05"),
        (formats.format_percent(0.5, 50), "50.00 %"),
        (formats.format_percent(0.5, 49, "+"), "+50 %"),
        (formats.format_result("f1", 0.123456, 9, "+"), "+0.1235"),
        (formats.format_gap("accuracy", 0.0472, 0.0112, 99), "4.72 ± 1.12"),
        (formats.format_gap("error", 0.0472, 0.0, 99), "0.047"),
        (formats.format_p(0.0001), "p = 0.0001"),
        (formats.format_p(0.00009), "p < 0.0001"),
        (formats.format_duration(99.9), "99.9 s"),
        (formats.format_duration(100), "2 min"),
    ],
)
def test_numbers_have_the_digits_that_they_deserve(found, expected):
    assert found == expected
