"""README and the lesson quote numbers that follow from the records."""

from notebooks.records.reading import format_mean, read_record
from pipeline.paths import ROOT


def read_text(path):
    return " ".join((ROOT / path).read_text().split())


def test_readme_and_the_lesson_quote_the_means_over_forty_seeds():
    record = read_record("hundreds")
    rows = record[(record["block"] == 1) & (record["seed"] <= 40)]
    assert rows.groupby("relu_grad_inactive").size().to_list() == [40, 40]
    true, slip = rows.groupby("relu_grad_inactive")["test"].mean() / 100
    readme = f"raises the test accuracy from {slip:.1f} % to {true:.1f} % ([means over"
    assert readme in read_text("README.md")
    lesson = f"is {slip:.1f} % with the slip, and {true:.1f} % without it"
    assert lesson in read_text("lesson/lesson.md")


def test_readme_quotes_the_gain_over_twelve_blocks():
    record = read_record("slip")
    rows = record[record["dropout_rate"] == 0.5]
    test = rows.pivot(index="block", columns="network", values="test_100") / 100
    assert len(test) == 12
    gain = format_mean(test["true"] - test["slip"])
    sentence = f"Over twelve sets of a thousand images it gains {gain} points (95 %)"
    assert sentence in read_text("README.md")


def test_the_lesson_quotes_the_ends_and_means_of_its_dots():
    record = read_record("class")
    record["accuracy"] = record["validation"] / 10  # of a thousand images, in %
    groups = record.groupby("relu_grad_inactive")["accuracy"]
    true, slip = (group for _, group in groups)
    text = read_text("lesson/lesson.md")
    assert f"these dots range from {slip.min()} % to {slip.max()} %" in text
    assert f"without it they range from {true.min()} % to {true.max()} %" in text
    assert f"The means are {true.mean() - slip.mean():.1f} points apart" in text
    reached = (slip >= true.min()).sum()
    count = f"of the {len(slip)} dots with the slip, {reached} reach the lowest one"
    assert count in text
