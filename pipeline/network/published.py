"""Compare metrics with the published metrics, and format metrics for people."""

import math
from typing import Any

PUBLISHED = {
    "train_error": "0.420",
    "train_accuracy": "0.817",
    "test_error": "0.429",
    "test_accuracy": "0.7942",
}
# The digest of the weights of the default run.
WEIGHTS_SHA256 = "ebf6a5840e35c96db0737370bf9e523cdf7a0522d11a06e747ebb00c2c9f03d6"
# The digest of the code of the published helpers.py, see `digests.digest_code`.
HELPERS_SHA256 = "eb1095e901cef51f5f10afe23e43f211ee01ddc7660163c37194279aedc030cb"
# This note is shown wherever another version of helpers.py trains.
NOTE = (
    "The compiled loops support only the published helpers.py. This network trains "
    "without the loops: 9 to 30 times slower, and last digits may differ by machine."
)
# 95 % of a normal distribution lies within this many standard deviations of its mean.
Z = 1.959963984540054


def cut(error: float) -> str:
    """Format an error as the original prints it: cut to five characters, not rounded.

    Below 0.0001 and from 100,000 on, an error is formatted in another way, because the
    first five characters would be misleading.
    """
    if error >= 1e5:  # the first five characters of 123456.7 are 12345
        return f"{error:.0e}"
    return f"{error:.9f}"[:5] if error < 1e-4 else str(error)[:5]


def compare_with_published(metrics: dict[str, float]) -> list[dict[str, Any]]:
    """Compare a run's metrics with the published metrics.

    Return a row for each metric. Errors are equal if the original would print them
    alike. Accuracies are equal only if they are exactly the same number.
    """
    rows = []
    for metric, published in PUBLISHED.items():
        value, name = metrics[metric], metric.replace("_", " ")
        is_error = metric.endswith("error")
        ours = cut(value) if is_error else f"{value:.4g}"
        equal = ours == published if is_error else value == float(published)
        row = {"name": name, "published": published, "ours": ours, "equal": equal}
        rows.append(row)
    return rows


def format_table(
    metrics: dict[str, float],
    equal: str = "equal",
    other: str = "NOT equal",
    has_digits: bool = True,
) -> str:
    """Return a table, as text, of a run's metrics beside the published metrics.

    equal, other: the text in the last column for a metric that is equal to the
        published metric, and for a metric that is not.
    has_digits: whether the images are digits. If they are not, the table contains only
        the metrics of the run.
    """
    rows = compare_with_published(metrics)
    if not has_digits:
        return "\n".join(f"{row['name']:16}{row['ours']:>10}" for row in rows)
    lines = [f"{'':16}{'published':>10}{'this run':>10}"]
    for row in rows:
        verdict = equal if row["equal"] else other
        line = f"{row['name']:16}{row['published']:>10}{row['ours']:>10}  {verdict}"
        lines.append(line.rstrip())
    return "\n".join(lines)


def format_metric(value: float, sign: str = "") -> str:
    """Format a metric with four decimals or, from 100,000 on, with four digits.

    sign: "+" to put a plus sign before positive numbers, "" to leave it out.
    """
    return f"{value:{sign}.4f}" if abs(value) < 1e5 else f"{value:{sign}.3e}"


def compute_wilson_interval(accuracy: float, images: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of an accuracy, by Wilson's method.

    accuracy: the fraction of images that were classified correctly.
    images: the number of images that were classified, at least 1.

    Return the lower and the upper end of the interval, also as fractions.

    Source: E. Wilson (1927), Journal of the American Statistical Association 22,
    209-212.
    """
    shrinkage = 1 + Z**2 / images
    centre = (accuracy + Z**2 / (2 * images)) / shrinkage
    variance = accuracy * (1 - accuracy) / images + Z**2 / (4 * images**2)
    reach = Z * math.sqrt(variance) / shrinkage
    return max(0.0, centre - reach), min(1.0, centre + reach)


def format_duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
