"""What is evaluated on the test images, and how a sweep counts it."""

import json
import shutil

import pytest

from pipeline.execution import runs
from pipeline.sweeps import evaluation, execution, sweep


def read_looks(folder):
    """Return the keys of the configurations that a sweep has evaluated."""
    return json.loads((folder / "sweep.json").read_text())["evaluated"]


@pytest.mark.parametrize(
    ("selected", "order"),
    [("a-1", "was number 1"), ("a-2", "was number 3"), ("", "Other sweeps")],
)
def test_the_place_of_the_selected_configuration_is_said(selected, order):
    """The keys have a configuration and the code that has trained it."""
    lines = evaluation.describe_evaluations(["a-1", "b-1", "a-2"], selected)
    assert lines[0].endswith("evaluated on the test images: 3")
    assert order in lines[1]


def test_a_look_is_counted_before_it_and_once_if_it_was_interrupted(
    local, tmp_path, monkeypatch
):
    """A point whose answers are lost is not trained again, but evaluated."""
    out = shutil.copytree(local / "out", tmp_path / "out")
    (answers,) = out.glob("*/answers.npz")
    (look,) = read_looks(out)
    content = answers.read_bytes()
    answers.unlink()
    record = json.loads((out / "sweep.json").read_text())
    (out / "sweep.json").write_text(json.dumps(record | {"evaluated": ["old"]}))

    def fail(*_, **__):
        assert read_looks(out) == ["old", look]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runs, "execute_stages", fail)
        with pytest.raises(KeyboardInterrupt):
            execution.run_sweep(sweep.prepare_sweep(local / "s.yaml", str(out)))
    models = {path: path.stat().st_mtime_ns for path in out.glob("*/model.npz")}
    execution.run_sweep(sweep.prepare_sweep(local / "s.yaml", str(out)))
    assert answers.read_bytes() == content
    assert read_looks(out) == ["old", look]
    assert {path: path.stat().st_mtime_ns for path in models} == models


def test_workers_is_how_many_points_are_evaluated_at_a_time(
    local, tmp_path, monkeypatch
):
    out = shutil.copytree(local / "out", tmp_path / "out")
    next(out.glob("*/answers.npz")).unlink()
    evaluated = []
    monkeypatch.setattr(
        evaluation, "evaluate_points", lambda *given: evaluated.append(given[-1])
    )
    execution.run_sweep(sweep.prepare_sweep(local / "s.yaml", str(out)), workers=3)
    assert evaluated == [3]


def test_a_damaged_count_is_not_overwritten(local, tmp_path, pipeline):
    out = shutil.copytree(local / "out", tmp_path / "out")
    (out / "sweep.json").write_text("{")
    refused = pipeline("sweep", local / "s.yaml", "--sweep-dir", out)
    assert refused.returncode == 2
    assert "sweep.json is damaged" in refused.stderr
    assert (out / "sweep.json").read_text() == "{"


def test_a_point_has_no_page_but_its_parameters_can_be_run(local, pipeline):
    for path in (local / "out").glob("*/run.json"):
        refused = pipeline("report", path.parent)
        assert refused.returncode == 2
        assert "python -m pipeline run --run-dir runs/NAME -p" in refused.stderr
        assert not path.with_name("report.html").exists()
