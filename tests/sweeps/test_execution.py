"""Sweeps on this machine: results, failing points, kills, and a second start."""

import json
import re
import shutil
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.engine import notebooks
from pipeline.errors import CommandFailed, InvalidInput, NotebookFailed
from pipeline.results.files import LOCK, lock_folder
from pipeline.results.run_folder import RunFolder
from pipeline.sweeps import execution, selection
from pipeline.sweeps.sweep import prepare_sweep
from tests.commands import PATIENCE, make_options
from tests.sweeps.conftest import (
    QUICK,
    RATES,
    read_results,
    write,
)

TRAINED = {"02_train.ipynb", "model.npz", "history.json", "run.json"}
EVALUATED = TRAINED | {"03_evaluate.ipynb", "answers.npz", "metrics.json"}


def test_the_log_of_a_sweep_says_how_far_it_is_and_what_comes_out(runs):
    log = (runs / "small.log").read_text()
    assert re.match(r"10 points: 0 ended, 10 to run\n\[1/10\] \d\d:\d\d:\d\d ", log)
    assert "\nevaluating 5 points on the test images\n" in log
    assert "\nwriting the report\n" in log
    readme = " ".join(Path("README.md").read_text().split())
    (verdict,) = re.findall("\n(relu_grad_inactive 0: .*)\n", log)
    first, _ = verdict.split(" Test: ")
    assert first in readme


def test_the_selected_configuration_alone_meets_the_test_images(runs):
    for path in (runs / "small").glob("*/run.json"):
        slope = RunFolder(path.parent).read_record().parameters.relu_grad_inactive
        names = {each.name for each in path.parent.iterdir()} - {LOCK}
        assert names == (TRAINED if slope else EVALUATED)
    table = pd.read_csv(runs / "small" / "results.csv").groupby("relu_grad_inactive")
    means = table["validation_accuracy"].mean()
    assert list(means.round(4)) == [0.8518, 0.8046]  # as README says
    assert list(table["test_accuracy"].count()) == [5, 0]


def test_each_point_equals_a_run_of_its_parameters(tmp_path, pipeline):
    """They differ in the images that they are validated on."""
    sizes, out = {"num_validation": [40, 20]}, tmp_path / "out"
    file = write(tmp_path / "s.yaml", grid=sizes)
    assert pipeline("sweep", file, "--sweep-dir", out).returncode == 0
    assert len([*out.glob("*/metrics.json")]) == 1
    for path in out.glob("*/run.json"):
        count = RunFolder(path.parent).read_record().parameters.num_validation
        sizes["num_validation"].remove(count)
        options = make_options(QUICK | {"num_validation": count})
        run = tmp_path / str(count)
        assert pipeline("run", "--run-dir", run, *options).returncode == 0
        for name in ("model.npz", "history.json", "answers.npz", "metrics.json"):
            if (path.parent / name).exists():
                assert (path.parent / name).read_bytes() == (run / name).read_bytes()
    assert sizes["num_validation"] == []


def read_times(folder):
    """Return when the model of each trained point was written."""
    return {path: path.stat().st_mtime_ns for path in folder.glob("*/model.npz")}


def test_points_that_fail_stop_no_other_and_are_trained_again(midway, tmp_path):
    """While a point has failed, nothing is selected and nothing evaluated."""
    grid = {"learning_rate": [0.005, 10]}
    file, out = write(tmp_path / "s.yaml", grid=grid, seeds=[1, 13]), tmp_path / "out"
    command = ("sweep", file, "--sweep-dir", out)
    failing = midway.start(*command, DEADLY="1")
    output, errors = failing.communicate(timeout=PATIENCE)
    assert failing.returncode == 1
    results = read_results(out)
    assert len(results.pop((0.005, 1))) == 64
    diverged = {(10, 1): "diverged", (10, 13): "diverged"}
    assert results == diverged | {(0.005, 13): "failed"}
    for part in ("3 of 4 points ", "exit code -9", "Diverged: train_error"):
        assert part in errors
    reason = "only 1 of 4 points have finished"
    assert reason in output
    page = (out / "report.html").read_text()
    assert "Best so far: <strong>learning_rate 0.005</strong>: " in page
    assert f"But {reason}." in page
    assert not [*out.glob("*/metrics.json")]
    code, log = midway.run(*command)
    assert code == 1  # because of those that diverged
    assert log.startswith("4 points: 3 ended, 1 to run\n")
    assert diverged.items() < read_results(out).items()
    assert len([*out.glob("*/metrics.json")]) == 2


@pytest.fixture
def copied(local, tmp_path):
    """A copy of a finished sweep, and its points' folders in the order of their ids."""
    shutil.copytree(local / "out", tmp_path / "out")
    return tmp_path / "out", sorted(
        path.parent for path in tmp_path.glob("out/*/run.json")
    )


def test_a_point_with_a_changed_or_removed_file_runs_again(copied, local, pipeline):
    out, (first, second, _) = copied
    (first / "model.npz").unlink()
    (second / "history.json").write_text("[]")
    done = pipeline("sweep", local / "s.yaml", "--sweep-dir", out)
    assert done.returncode == 0, done.stderr
    for name in ("model.npz", "history.json"):
        assert f"because of {name}, " in done.stdout
    assert "3 points: 1 ended, 2 to run\n" in done.stdout
    assert read_results(out) == read_results(local / "out")


def test_what_leaves_the_table_is_said_and_another_name_is_refused(
    copied, tmp_path, pipeline
):
    out, _ = copied
    fewer = write(tmp_path / "s.yaml", grid={"learning_rate": [0.005, 0.3]}, seeds=[14])
    done = pipeline("sweep", fewer, "--sweep-dir", out, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "2 points: 1 ended, 1 to run\n" in done.stdout
    assert "no longer in the file, so in no table: 2 points" in done.stdout
    assert "\n  learning_rate 0.3, seed 14\n" in done.stdout
    assert "a finished point took " in done.stdout
    before = (out / "sweep.json").read_bytes()
    refused = pipeline("sweep", write(fewer, name="other"), "--sweep-dir", out)
    assert refused.returncode == 2
    assert "holds the sweep 'trial', not 'other'" in refused.stderr
    assert (out / "sweep.json").read_bytes() == before


def test_another_choice_and_more_points_keep_what_is_done(copied, tmp_path, pipeline):
    out, _ = copied
    before = read_times(out)
    more = RATES | {"seeds": [14, 1]}
    file = write(tmp_path / "s.yaml", **more, select="train_error")
    done = pipeline("sweep", file, "--sweep-dir", out)
    assert done.stdout.startswith("6 points: 3 ended, 3 to run\n")
    assert_selected(out, "train_error", done.stdout)
    write(file, **more, select="validation_error")
    done = pipeline("sweep", file, "--sweep-dir", out)
    assert done.stdout.startswith("6 points: 6 ended, 0 to run\n")
    assert_selected(out, "validation_error", done.stdout)
    assert before.items() <= read_times(out).items()
    rows = pd.read_csv(out / "results.csv")
    assert len(rows) == 6
    assert rows["test_accuracy"].count() == 3  # one of which was selected before


def assert_selected(out, metric, printed):
    """Check that a metric has selected a rate, and the mean over this rate's points."""
    assert json.loads((out / "sweep.json").read_text())["select"] == metric
    rate = re.search(r"\nlearning_rate (\S*): ", printed)[1]
    rows = pd.read_csv(out / "results.csv")
    accuracy = rows[rows["learning_rate"] == float(rate)]["test_accuracy"].mean()
    assert f" Test: {100 * accuracy:.2f} %" in printed


def test_a_sweep_is_evaluated_on_the_images_that_it_began_with(
    small_source, tmp_path, caplog
):
    """Other test images are saved in the source before the points are trained."""
    source, arrays = small_source
    base = QUICK | {"source": str(source), "num_samples": 40, "num_validation": 20}
    file, content = write(tmp_path / "s.yaml", base=base), source.read_bytes()
    errors = []
    for name, images in (("calm", arrays["x_test"]), ("else", 255 - arrays["x_test"])):
        prepared = prepare_sweep(file, str(tmp_path / name))
        np.savez(source, **arrays | {"x_test": images})
        found = execution.run_sweep(prepared)
        errors += list(found["test_error"])
    assert errors[0] == errors[1]
    caplog.set_level("INFO")
    execution.run_sweep(prepare_sweep(file, str(tmp_path / "calm")), dry_run=True)
    assert (
        "1 point is outdated and trained again, because of array x_test" in caplog.text
    )
    source.write_bytes(content)


def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path):
    for grid in ({"num_samples": [20, 10**5]}, {"hidden_size": [5, 10**9]}):
        file = write(tmp_path / "s.yaml", grid=grid)
        with pytest.raises(InvalidInput, match=r"100000|1,000,000"):
            prepare_sweep(file, str(tmp_path / "out"))
        assert not (tmp_path / "out").exists()


def test_workers_is_how_many_points_are_trained_at_a_time(tmp_path, monkeypatch):
    together, threads = threading.Barrier(3, timeout=PATIENCE), set()

    def execute(*_, **__):
        threads.add(threading.get_ident())
        with pytest.raises(CommandFailed), lock_folder(tmp_path / "out"):
            pass  # the sweep holds the lock until it ends
        together.wait()  # until two others are here, too
        raise NotebookFailed("no notebook")

    monkeypatch.setattr(notebooks, "execute", execute)
    monkeypatch.setattr(execution, "write_sweep_report", lambda sweep: None)
    file = write(tmp_path / "s.yaml", seeds=list(range(9)))
    options, prepared = {"workers": 3}, prepare_sweep(file, str(tmp_path / "out"))
    with pytest.raises(CommandFailed, match="9 of 9 points did") as failure:
        execution.run_sweep(prepared, **options)
    assert str(failure.value).count(" failed: no notebook\n") == 9
    assert len(threads) == 3


def test_verify_takes_the_selected_points_of_a_sweep_that_has_ended(
    runs, tmp_path, pipeline
):
    out = shutil.copytree(runs / "small", tmp_path / "small")
    first, *others = selection.find_selected(str(out))
    history = out / Path(first).name / "history.json"
    history.write_bytes(history.read_bytes() + b"\n")
    done = pipeline("verify", out)
    assert done.returncode == 1
    assert done.stdout.count("Reproduced: all ") == 4
    for run_dir in others:  # all lines of a point stand below its folder
        lines = rf"^{run_dir}\n(  .*\n)*Reproduced: all 13 metrics"
        assert re.search(lines, done.stdout, re.M)
    assert "1 of the 5 points are not reproduced" in done.stderr
    (out / Path(first).name / "run.json").unlink()  # as if the sweep had not ended
    for command in ("verify", out), ("compare", runs / "default", out):
        refused = pipeline(*command)
        assert refused.returncode == 2
        assert "only 9 of 10 points have finished" in refused.stderr
