"""Format metrics for people, and compare them with the published metrics."""

from typing import Any

from pipeline.network.published import PUBLISHED, cut
from pipeline.statistics import compute_wilson_interval


def compare_with_published(metrics: dict[str, float]) -> list[dict[str, Any]]:
    """Compare a run's metrics with the published metrics.

    Return a row for each metric. Errors are equal if the original would print them
    alike. Accuracies are equal only if they are exactly the same number. "ours" is the
    published text if the metrics are equal, and else the run's metric, rounded.
    """
    rows = []
    for metric, published in PUBLISHED.items():
        value = metrics[metric]
        if metric.endswith("error"):
            is_equal = cut(value) == published
            rounded = format_error(value)
        else:
            is_equal = value == float(published)
            rounded = f"{value:.4g}"
        ours = published if is_equal else rounded
        name = metric.replace("_", " ")
        rows.append(
            {"name": name, "published": published, "ours": ours, "equal": is_equal}
        )
    return rows


def format_table(metrics: dict[str, float], other: str = "NOT equal") -> str:
    """Return a table, as text, of a run's metrics beside the published metrics.

    other: the text in the last column for a metric that is not equal to the published
        metric.
    """
    lines = [f"{'':16}{'published':>10}{'this run':>10}"]
    for row in compare_with_published(metrics):
        verdict = "equal" if row["equal"] else other
        line = f"{row['name']:16}{row['published']:>10}{row['ours']:>10}  {verdict}"
        lines.append(line.rstrip())
    return "\n".join(lines)


def format_error(error: float, sign: str = "") -> str:
    """Return an error with three decimals or, from 100,000 on, with four digits.

    sign: "+" to put a plus sign before positive numbers, "" to leave it out.
    """
    kind = "f" if abs(error) < 1e5 else "e"
    return set_minus(f"{error:{sign}.3{kind}}")


def format_percent(accuracy: float, image_count: int, sign: str = "") -> str:
    """Return an accuracy in percent, with two decimals.

    image_count: the number of images that it was measured on. Below fifty images,
        there are no decimals, because these would promise too much.
    sign: see `format_error`.
    """
    decimals = 2 if image_count >= 50 else 0
    return set_minus(f"{100 * accuracy:{sign}.{decimals}f} %")


def format_percent_interval(accuracy: float, image_count: int) -> str:
    """Return the 95 % confidence interval of an accuracy, as "78.62 to 80.20 %"."""
    ends = compute_wilson_interval(accuracy, image_count)
    low, high = (format_percent(end, image_count) for end in ends)
    return f"{low.removesuffix(' %')} to {high}"


def format_result(metric: str, value: float, image_count: int, sign: str = "") -> str:
    """Return a metric for people: an accuracy in percent, an error with three decimals.

    metric: the name of the metric. If it contains neither "accuracy" nor "error", the
        number has four significant digits.
    image_count: the number of images that it was measured on.
    sign: see `format_error`.
    """
    if "accuracy" in metric:
        return format_percent(value, image_count, sign)
    if "error" in metric:
        return format_error(value, sign)
    return set_minus(f"{value:{sign}.4g}")


def format_change(metric: str, change: float, image_count: int, sign: str = "") -> str:
    """Return a difference of metrics: of accuracies, in percentage points.

    metric, image_count, sign: see `format_result`.
    """
    return format_result(metric, change, image_count, sign).removesuffix(" %")


def format_gap(
    metric: str, gap: float, reach: float, image_count: int, sign: str = ""
) -> str:
    """Return a difference with the half-width of its 95 % interval: "4.72 ± 1.12".

    reach: the half-width. If it is 0 or NaN, only the difference is returned.
    metric, image_count, sign: see `format_change`.
    """
    size = format_change(metric, gap, image_count, sign)
    if reach > 0:
        return f"{size} ± {format_change(metric, reach, image_count)}"
    return size


def format_p(p: float) -> str:
    """Return a p-value with two significant digits: "p = 0.61"."""
    return f"p = {p:.2g}" if p >= 0.0001 else "p < 0.0001"


def set_minus(number: str) -> str:
    """Return the text of a number with the minus sign that all pages use."""
    return number.replace("-", "\N{MINUS SIGN}", number.startswith("-"))


def to_plain(markdown: str) -> str:
    """Return a sentence in Markdown without its marks, for the terminal."""
    return markdown.replace("*", "").replace("`", "")


def format_duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
