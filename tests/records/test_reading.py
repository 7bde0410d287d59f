"""Means, intervals, and settings that are chosen on other blocks."""

import pandas as pd
import pytest

from notebooks.records import reading


def test_the_interval_of_three_results_has_two_degrees_of_freedom():
    # Student's t has the quantile 4.303, and the standard error of 1, 2, 3 is 0.577.
    assert reading.estimate_mean([1, 2, 3]) == pytest.approx((2, 4.303 * 0.57735), 1e-3)
    assert reading.format_mean([1, 2, 3]) == "2.0 ± 2.5"


def test_a_block_has_no_part_in_the_choice_of_its_setting():
    # By its own validation images, each block would choose the other rate.
    rows = [
        {"block": block, "rate": rate, "validation_5": validation, "test_5": test}
        for block, rate, validation, test in (
            *((1, 1, 500, 7100), (1, 2, 900, 7200)),
            *((2, 1, 800, 8100), (2, 2, 810, 8200)),
            *((3, 1, 800, 9100), (3, 2, None, None)),  # an overflow
        )
    ]
    accuracies = reading.choose_on_others(pd.DataFrame(rows), ["rate"])
    assert accuracies.to_dict() == {1: 71, 2: 81, 3: 0}
