from dataclasses import replace
from unittest import mock

import numpy as np
import pytest

from pipeline import digests
from pipeline.errors import CommandFailed, Diverged, InvalidFile, InvalidInput
from pipeline.images import data
from pipeline.parameters import Parameters
from pipeline.paths import ROOT, RUNS
from pipeline.records import RunRecord, Status
from pipeline.results.files import (
    GENERATOR,
    LOCK,
    check_folder,
    is_locked,
    lock,
    write_whole,
)
from pipeline.results.run_folder import RunFolder
from pipeline.results.stages import RESULT_FILES, RUN_FILES
from tests.conftest import EPOCH, VALIDATED

WEIGHTS = np.arange(2352.0).reshape(784, 3), np.ones((3, 10))
TESTED = {"test_error": 1.0, "test_accuracy": 0.0}


@pytest.fixture
def images(small_source):
    return data.split_source(str(small_source[0]), 40, 10)


@pytest.fixture
def folder(tmp_path, images):
    """A folder with what the three stages write."""
    folder = RunFolder(tmp_path / "run")
    folder.write_data(images)
    model = folder.write_model(WEIGHTS, 127.5, [VALIDATED], images)
    folder.write_metrics(model, VALIDATED | TESTED, 30)
    return folder


def make_record(folder, status=Status.DONE):
    inputs = {"data": "", "notebooks": {}, "code": {}, "versions": {}}
    fields = {"parameters": dict(Parameters(seed=7)), "outputs": folder.digest()}
    return RunRecord(status=status, inputs=inputs, **fields)


def list_names(folder):
    return sorted(path.name for path in folder.path.iterdir() if path.name != LOCK)


def test_results_come_back_as_written(folder, images):
    found, model = folder.read_data(), folder.read_model()
    assert (found.sha256, found.source_sha256) == (images.sha256, images.source_sha256)
    assert all(
        np.array_equal(a, b) for a, b in zip(model.weights, WEIGHTS, strict=True)
    )
    found = model.normalisation, model.classes, model.note
    assert found == (127.5, data.DIGITS, None)
    assert folder.read_metrics().weights_sha256 == digests.digest_arrays(*WEIGHTS)
    assert folder.read_history() == [VALIDATED]
    folder.write_model(WEIGHTS, 127.5, [EPOCH, EPOCH], images)
    assert folder.read_history() == [EPOCH, EPOCH]  # without what was not measured


@pytest.mark.parametrize("left", [RESULT_FILES[:1], RESULT_FILES[:3], RESULT_FILES])
def test_a_stage_alone_leaves_equal_results_and_replaces_a_run_by_others(
    folder, images, capsys, left
):
    folder.write_record(make_record(folder))
    folder.report_path.write_bytes(GENERATOR)
    names, model = list_names(folder), folder.read_model()
    # The files that are left after a stage has written another result.
    stages = {
        RESULT_FILES[:1]: lambda data, _, __: folder.write_data(data),
        RESULT_FILES[:3]: lambda _, scale, __: folder.write_model(
            WEIGHTS, scale, [VALIDATED], images
        ),
        RESULT_FILES: lambda _, __, count: folder.write_metrics(
            model, VALIDATED | TESTED, count
        ),
    }
    stages[left](images, 127.5, 30)
    assert (
        list_names(folder)
        == names
        == sorted([*RESULT_FILES, "report.html", "run.json"])
    )
    stages[left](replace(images, y_train=images.y_train[::-1].copy()), 255, 31)
    assert list_names(folder) == sorted(left)
    command = f"python -m pipeline run --run-dir {folder.path} -p seed 7"
    message = f"Replacing the run in {folder.path}. To make it again: {command}\n"
    assert capsys.readouterr().out == message


def test_results_are_not_written_beside_what_they_were_not_made_from(folder, images):
    model = replace(folder.read_model(), weights=(-WEIGHTS[0], WEIGHTS[1]))
    with pytest.raises(
        InvalidFile,
        match=r"model\.npz has changed since this notebook read it\. Run this",
    ):
        folder.write_metrics(model, VALIDATED | TESTED, 30)
    other = replace(images, y_train=images.y_train[::-1].copy())
    with pytest.raises(
        InvalidFile,
        match=r"data\.npz has changed since this notebook read it\. Run this",
    ):
        folder.write_model(WEIGHTS, 127.5, [EPOCH], other)


def test_weights_and_errors_that_are_not_finite_are_not_written(folder, images):
    metrics = folder.metrics_path.read_bytes()
    with pytest.raises(Diverged, match="The error on the test images is inf. Make"):
        folder.write_metrics(
            folder.read_model(), VALIDATED | TESTED | {"test_error": np.inf}, 30
        )
    with pytest.raises(
        Diverged, match="no longer finite numbers. Make learning_rate smaller"
    ):
        folder.write_model((WEIGHTS[0] + np.inf, WEIGHTS[1]), 127.5, [EPOCH], images)
    assert folder.metrics_path.read_bytes() == metrics


@pytest.mark.parametrize("name", [*RESULT_FILES, "run.json"])
def test_a_missing_or_damaged_file_is_refused_with_the_next_step(folder, name):
    reads = dict(
        zip(RESULT_FILES, ("data", "model", "history", "metrics"), strict=True)
    )
    read = getattr(folder, f"read_{reads.get(name, 'record')}")
    command = r"python -m pipeline run --run-dir \S+/run"
    for content in (b"PK\x03\x04", b"{", None):
        write_whole(folder.path / name, content or b"")
        if content is None:
            (folder.path / name).unlink()
        with pytest.raises(
            InvalidFile, match=rf"{name} is .*\. Run the notebooks .*: {command}$"
        ):
            read()
    (folder.path.parent / "sweep.json").touch()
    with pytest.raises(
        InvalidFile, match=r"Run its sweep again, or name the folder of a run\."
    ):
        read()


def test_only_a_finished_and_unaltered_run_is_read(folder):
    for status in set(Status) - {Status.DONE}:
        folder.write_record(make_record(folder, status))
        with pytest.raises(
            InvalidFile, match=rf"has not finished \(its status is {status}\)"
        ):
            folder.read_finished()
    folder.write_record(make_record(folder))
    assert folder.read_finished() == (make_record(folder), Parameters(seed=7))
    folder.model_path.write_bytes(b"")
    folder.history_path.unlink()
    assert folder.find_altered(folder.read_record()) == ["model.npz", "history.json"]
    with pytest.raises(InvalidFile, match=r"model\.npz.* has been removed or altered"):
        folder.read_finished()


def test_clear_removes_the_files_of_a_run_and_no_others(folder):
    mine = [".mine.txt.123.part", ".model.npz.part", "mine.txt"]
    for name in (*RUN_FILES, *mine, ".model.npz.123.part"):
        (folder.path / name).touch()
    folder.clear()
    assert list_names(folder) == sorted(["checkpoint.npz", *mine, "run.json"])


@pytest.mark.parametrize("name", ["report.html", "checkpoint.npz", "run.json"])
def test_a_stage_alone_replaces_nothing_that_another_has_made(tmp_path, images, name):
    mine = tmp_path / "theirs" / name
    mine.parent.mkdir()
    mine.write_text("mine")
    with pytest.raises(InvalidInput, match=f"holds {name}, which would be replac"):
        RunFolder(mine.parent).write_data(images)
    assert [*mine.parent.iterdir()] == [mine]
    assert mine.read_text() == "mine"


@pytest.mark.parametrize("name", ["run.json", "sweep.json"])
def test_a_record_makes_a_folder_ours_only_if_it_reads_as_ours(folder, tmp_path, name):
    theirs = RunFolder(tmp_path / "theirs" / "run")
    theirs.path.mkdir(parents=True)
    (theirs.path / "data.npz").write_text("mine")
    for path in (theirs.path, theirs.path.parent):
        (path / name).write_text('{"name": "s", "status": "done"}')
    with pytest.raises(InvalidInput, match=r"and holds \S+, which would be replac"):
        check_folder(theirs.path, ["data.npz", name], "none")
    theirs.data_path.unlink()
    (theirs.path / name).unlink()
    check_folder(theirs.path, RUN_FILES, "none")  # inside no result of ours
    folder.write_record(make_record(folder))
    (folder.path / LOCK).unlink()
    folder.check_free()
    with pytest.raises(InvalidInput, match=r"inside another .* \S+/run/run\.json\."):
        RunFolder(folder.path / "a").check_free()


@pytest.mark.parametrize("path", [*ROOT.parents, ROOT, RUNS, RUNS / "sweeps"], ids=str)
def test_no_folder_that_holds_the_project_or_all_results_holds_a_run(path):
    with pytest.raises(InvalidInput, match=f"^{path} is .* Choose another folder"):
        RunFolder(path).check_free()


def test_a_locked_folder_is_busy_until_the_block_ends(tmp_path):
    folder = tmp_path / "a"
    with lock(folder):
        assert is_locked(folder)
        with (
            pytest.raises(CommandFailed, match="Another command"),
            lock(folder),
        ):
            pass
    assert not is_locked(folder)


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    write_whole(tmp_path / "a" / "b", b"old")
    monkeypatch.setattr(
        "pathlib.Path.replace", mock.Mock(side_effect=KeyboardInterrupt)
    )
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "a" / "b", b"new")
    assert [path.read_bytes() for path in (tmp_path / "a").iterdir()] == [b"old"]
