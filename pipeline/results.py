"""The original's published figures, and a run's beside them."""

from collections.abc import Mapping
from typing import NamedTuple

PUBLISHED = {"train_error": "0.420", "train_accuracy": "0.817", "test_error": "0.429", "test_accuracy": "0.7942"}


class Comparison(NamedTuple):
    """One published figure beside a run's, both as the original prints them."""

    name: str
    published: str
    ours: str

    @property
    def equal(self) -> bool:
        return self.published == self.ours


def cut(error: float) -> str:
    """An error as the original prints it: the first five characters, cut and not rounded."""
    return str(error)[0:5]


def compare_with_published(metrics: Mapping[str, float]) -> list[Comparison]:
    """The four published figures beside those of a run's metrics."""
    return [
        Comparison(
            name.replace("_", " "),
            published,
            cut(metrics[name]) if name.endswith("error") else str(metrics[name]),
        )
        for name, published in PUBLISHED.items()
    ]


def table(comparisons: list[Comparison]) -> str:
    """The comparison as lines of text."""
    lines = [f"{'':16}{'published':>10}{'this run':>10}"]
    lines += [
        f"{row.name:16}{row.published:>10}{row.ours:>10}  {'equal' if row.equal else 'NOT equal'}"
        for row in comparisons
    ]
    return "\n".join(lines)
