"""Compare a run's metrics with those that the original published."""

from typing import NamedTuple

from pipeline.records import Metrics

PUBLISHED = {"train_error": "0.420", "train_accuracy": "0.817", "test_error": "0.429", "test_accuracy": "0.7942"}
WEIGHTS_SHA256 = "ebf6a5840e35c96db0737370bf9e523cdf7a0522d11a06e747ebb00c2c9f03d6"  # SHA-256, of the default run


class Comparison(NamedTuple):
    """Hold one published metric beside a run's, as text."""

    name: str
    published: str
    ours: str
    equal: bool


def cut(error: float) -> str:
    """Write an error as the original prints it: the first five characters, cut and not rounded."""
    text = str(error)
    if error >= 1e5:  # five characters would be another number
        return f"{error:.0e}"
    return f"{error:.9f}"[0:5] if "e-" in text else text[0:5]


def compare(metrics: Metrics) -> list[Comparison]:
    """Compare the four published metrics with a run's: errors as they are printed, accuracies exactly."""
    rows = []
    for name, published in PUBLISHED.items():
        value = getattr(metrics, name)
        if name.endswith("error"):
            ours, equal = cut(value), cut(value) == published
        else:
            ours, equal = f"{value:.4g}", value == float(published)
        rows.append(Comparison(name.replace("_", " "), published, ours, equal))
    return rows


def table(metrics: Metrics, equal: str = "equal", other: str = "NOT equal", digits: bool = True) -> str:
    """Write the comparison as lines of text, each with what to call an equal metric, or another one.

    digits: whether the images are of digits; of others there is nothing published, so a run's metrics stand alone.
    """
    if not digits:
        return "\n".join(f"{row.name:16}{row.ours:>10}" for row in compare(metrics))
    lines = [f"{'':16}{'published':>10}{'this run':>10}"]
    for row in compare(metrics):
        lines.append(f"{row.name:16}{row.published:>10}{row.ours:>10}  {equal if row.equal else other}".rstrip())
    return "\n".join(lines)
