"""README and the lesson quote numbers that were computed."""

import re

import nbformat
import pandas as pd
import pytest

from pipeline.paths import NOTEBOOKS, ROOT

NUMBER = r"-?\d+(?:\.\d+)?"


def read_numbers():
    """Return what why and 03_evaluate print, and the ends of the groups of a class."""
    texts = []
    for name in ("why", "03_evaluate"):
        for cell in nbformat.read(NOTEBOOKS / f"{name}.ipynb", 4).cells:
            for output in cell.get("outputs", []):
                texts.append(output.get("text", ""))
                data = output.get("data", {})
                texts += [data.get("text/plain", ""), data.get("text/html", "")]
    numbers = {float(number) for text in texts for number in re.findall(NUMBER, text)}
    record = pd.read_csv(NOTEBOOKS / "records" / "class.csv")
    groups = record.groupby("relu_grad_inactive")["validation"]
    return numbers | {*groups.min() / 10, *groups.max() / 10}  # in %


@pytest.mark.parametrize("path", ["README.md", "lesson/lesson.md"])
def test_each_quoted_number_was_printed_or_recorded(path):
    text = (ROOT / path).read_text()
    quoted = re.findall(rf"({NUMBER}) %|gains? ({NUMBER})|± ({NUMBER})", text)
    numbers = [float("".join(groups)) for groups in quoted]
    computed = read_numbers()
    assert len(numbers) > 4
    for number in numbers:  # an accuracy may be a percentage or a fraction
        assert number in computed or round(number / 100, 6) in computed, number
