"""What a page may weigh."""

from pipeline.reports.pages import TEMPLATES


def test_the_scripts_of_a_runs_page_are_600_lines_at_most():
    lines = [len((TEMPLATES / f"{name}.js").read_text().splitlines()) for name in ("network", "draw", "train", "page")]
    assert sum(lines) <= 600
