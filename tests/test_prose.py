"""README quotes a number that follows from the records."""

from notebooks.records.reading import format_mean, read_record
from pipeline.paths import ROOT


def test_readme_quotes_the_gain_over_twelve_blocks():
    record = read_record("slip")
    rows = record[record["dropout_rate"] == 0.5]
    test = rows.pivot(index="block", columns="network", values="test_100") / 100
    assert len(test) == 12
    gain = format_mean(test["true"] - test["slip"])
    sentence = f"Over twelve sets of a thousand images it gains {gain} points (95 %)"
    assert sentence in " ".join((ROOT / "README.md").read_text().split())
