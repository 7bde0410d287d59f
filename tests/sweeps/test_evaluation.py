"""What is evaluated on the test images, and how a sweep records it."""

import json
import shutil

import pytest

from pipeline import records
from pipeline.execution import runs
from pipeline.parameters import from_values
from pipeline.sweeps import evaluation, execution


def read_lines(folder):
    """Return the point and the code of each line in a sweep's list."""
    lines = (folder / evaluation.FILE).read_text().splitlines()
    return [(each["point"], each["code"]) for each in map(json.loads, lines)]


def count(folder):
    lines = evaluation.read_test_evaluations(folder)
    return evaluation.describe_test_evaluations(lines, [])[0]


@pytest.mark.parametrize(
    ("looks", "selected", "configurations", "order"),
    [
        (["a1 c", "a2 c"], "a1", 1, "was the first"),
        (["a1 c", "a1 c", "a2 c", "a2 c"], "a1", 1, "was the first"),  # interrupted
        (["a1 c", "b1 c", "a1 c"], "a1", 2, "was the first"),
        (["b1 c", "a1 c", "b1 c", "a1 c"], "a1", 2, "1 other was evaluated before"),
        (["a1 c", "a1 d"], "a1", 2, "1 other was evaluated before"),  # other code
    ],
)
def test_a_configuration_counts_once_for_each_code(
    looks, selected, configurations, order
):
    """A look at the test images has a configuration, a seed and the code."""
    lines = []
    for look in looks:
        point, code = look.split()
        rate = {"a": 0.1, "b": 0.2}[point[0]]
        values = {"learning_rate": rate, "seed": int(point[1])}
        parameters = from_values(values).model_dump()
        fields = {"point": point, "parameters": parameters, "code": code}
        lines.append(records.TestEvaluation(**fields))
    texts = evaluation.describe_test_evaluations(lines, [selected])
    assert texts[0].endswith(f": {configurations}")
    assert order in texts[1]


def test_a_look_is_listed_before_it_and_counts_once_if_it_was_interrupted(
    local, tmp_path, monkeypatch
):
    """A point whose metrics are lost is not trained again, but evaluated."""
    out = shutil.copytree(local / "out", tmp_path / "out")
    (metrics,) = out.glob("*/metrics.json")
    (line,) = read_lines(out)
    content = metrics.read_bytes()
    metrics.unlink()

    def fail(*_):
        assert read_lines(out) == [line, line]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runs, "execute_stages", fail)
        with pytest.raises(KeyboardInterrupt):
            execution.run_sweep(local / "s.yaml", str(out), with_report=False)
    assert not metrics.exists()
    models = {path: path.stat().st_mtime_ns for path in out.glob("*/model.npz")}
    execution.run_sweep(local / "s.yaml", str(out), with_report=False)
    assert metrics.read_bytes() == content
    assert read_lines(out) == [line] * 3
    assert count(out).endswith(": 1")
    assert {path: path.stat().st_mtime_ns for path in models} == models


def test_a_list_that_cannot_be_written_stays_whole_and_nothing_is_evaluated(
    local, tmp_path, monkeypatch
):
    out = shutil.copytree(local / "out", tmp_path / "out")
    (metrics,) = out.glob("*/metrics.json")
    metrics.unlink()
    before = (out / evaluation.FILE).read_bytes()

    def fill(path, content):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(evaluation, "atomic_write", fill)
    with pytest.raises(OSError, match=evaluation.FILE):
        execution.run_sweep(local / "s.yaml", str(out), with_report=False)
    assert (out / evaluation.FILE).read_bytes() == before
    assert not metrics.exists()


def test_only_a_selected_point_has_a_page_and_only_on_demand(local, tmp_path, pipeline):
    out = shutil.copytree(local / "out", tmp_path / "out")
    assert not [*out.glob("*/report.html")]
    before = read_lines(out)
    for path in out.glob("*/run.json"):
        is_selected = path.with_name("metrics.json").exists()
        done = pipeline("report", path.parent)
        assert done.returncode == (0 if is_selected else 2)
        assert path.with_name("report.html").exists() == is_selected
        assert ("was not selected by its sweep" in done.stderr) != is_selected
    assert read_lines(out) == before
    assert len([*out.glob("*/metrics.json")]) == 1
