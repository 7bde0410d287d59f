import re
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest

from pipeline import digests
from pipeline.errors import Diverged, InvalidFile, InvalidInput
from pipeline.images import data
from pipeline.parameters import Parameters
from pipeline.records import RunRecord, Status
from pipeline.results.files import (
    GENERATOR,
    LOCK,
    atomic_write,
    check_folder,
)
from pipeline.results.point_folder import PointFolder
from pipeline.results.run_folder import RunFolder
from pipeline.results.stage_folder import StageFolder
from pipeline.results.stages import CLEARED_FILES, RESULT_FILES, SWEEP
from tests.conftest import EPOCH, VALIDATED

WEIGHTS = np.arange(2352.0).reshape(784, 3), np.ones((3, 10))
ANSWERS = np.arange(30) % 10
TESTED = {"test_error": 1.0, "test_accuracy": 0.0}


@pytest.fixture
def images(small_source):
    return data.split_source(str(small_source[0]), 40, 10)


@pytest.fixture
def folder(tmp_path, images):
    """A folder with what the three stages write."""
    folder = StageFolder(tmp_path / "run")
    folder.path.mkdir()
    (folder.path / LOCK).touch()
    folder.write_data(images)
    model = folder.write_model(WEIGHTS, 127.5, [VALIDATED], images)
    folder.write_metrics(model, VALIDATED | TESTED, ANSWERS)
    return folder


def make_record(folder, status=Status.DONE):
    parameters = Parameters(seed=7)
    outputs = folder.digest()
    return RunRecord(status=status, inputs={}, parameters=parameters, outputs=outputs)


def read_all(folder):
    """Return the content of each file in a folder, except for its lock."""
    paths = [path for path in folder.path.iterdir() if path.name != LOCK]
    return {path.name: path.read_bytes() for path in paths}


def test_results_come_back_as_written(folder, images):
    found, model = folder.read_data(), folder.read_model()
    assert (found.sha256, found.source_sha256) == (images.sha256, images.source_sha256)
    for ours, theirs in zip(model.weights, WEIGHTS, strict=True):
        assert np.array_equal(ours, theirs)
    assert (model.normalisation, model.classes) == (127.5, images.classes)
    assert folder.read_metrics().weights_sha256 == digests.digest_arrays(*WEIGHTS)
    assert folder.read_history() == [VALIDATED]
    assert np.array_equal(folder.read_answers(), ANSWERS)
    folder.write_model(WEIGHTS, 127.5, [EPOCH, EPOCH], images)
    assert folder.read_history() == [EPOCH, EPOCH]  # without what was not measured
    assert not folder.answers_path.exists()  # they were those of the old model


# How many of the files are left after a stage has written another result.
STAGES = {
    1: lambda folder, data, *_: folder.write_data(data),
    3: lambda folder, data, scale, _: folder.write_model(
        WEIGHTS, scale, [VALIDATED], folder.read_data()
    ),
    5: lambda folder, data, _, answers: folder.write_metrics(
        folder.read_model(), VALIDATED | TESTED, answers
    ),
}


@pytest.mark.parametrize(("count", "write"), STAGES.items())
def test_a_stage_deletes_what_was_made_from_another_result(
    folder, images, capsys, count, write
):
    folder.report_path.write_bytes(GENERATOR)
    before = read_all(folder)
    capsys.readouterr()
    write(folder, images, 127.5, ANSWERS)
    assert read_all(folder) == before
    other = replace(images, y_train=images.y_train[::-1].copy())
    write(folder, other, 255, ANSWERS[::-1])
    output = capsys.readouterr().out
    assert read_all(folder).keys() == set(RESULT_FILES[:count])
    assert output.splitlines() == [output.splitlines()[0]] * 2
    assert output.endswith(" stored\n")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("f1", True),
        ("f1", np.True_),
        ("f1", "0.5"),
        ("f1", float("nan")),
        ("f1", None),
        ("my metric", 1),
        ("seed", 1),
        ("error", 1),
        ("weights_sha256", 1),
        ("balanced_accuracy", 85.2),
    ],
)
def test_a_metric_that_cannot_be_stored_is_refused_by_name(folder, name, value):
    metrics = VALIDATED | TESTED | {name: value}
    with pytest.raises(InvalidInput, match=name):
        folder.write_metrics(folder.read_model(), metrics, ANSWERS)


def test_any_other_finite_number_is_stored(folder):
    others = {"f1": np.float32(0.5), "count": np.int64(3), "balanced_accuracy": 1}
    folder.write_metrics(folder.read_model(), VALIDATED | TESTED | others, ANSWERS)
    assert folder.read_metrics().model_extra == others


@pytest.mark.parametrize("name", ["mine.json", "metrics.json", "report.html"])
def test_a_file_that_no_stage_may_write_is_refused(folder, name):
    with pytest.raises(InvalidInput, match=name):
        folder.write(name, "text")


def test_results_are_not_written_beside_what_they_were_not_made_from(folder, images):
    model = replace(folder.read_model(), weights=(-WEIGHTS[0], WEIGHTS[1]))
    with pytest.raises(InvalidFile, match="model.npz"):
        folder.write_metrics(model, VALIDATED | TESTED, ANSWERS)
    other = replace(images, y_train=images.y_train[::-1].copy())
    with pytest.raises(InvalidFile, match="data.npz"):
        folder.write_model(WEIGHTS, 127.5, [EPOCH], other)


def test_weights_and_errors_that_are_not_finite_are_not_written(folder, images):
    before, model = read_all(folder), folder.read_model()
    metrics = VALIDATED | TESTED | {"test_error": np.inf}
    with pytest.raises(Diverged, match="The test error is inf"):
        folder.write_metrics(model, metrics, ANSWERS)
    weights = WEIGHTS[0] + np.inf, WEIGHTS[1]
    with pytest.raises(Diverged, match="learning_rate"):
        folder.write_model(weights, 127.5, [EPOCH], images)
    assert read_all(folder) == before


READS = ["data", "model", "history", "answers", "metrics", "record"]
READS = dict(zip([*RESULT_FILES, "run.json"], READS, strict=True))


@pytest.mark.parametrize(("name", "kind"), READS.items())
def test_a_missing_or_damaged_file_is_refused_with_the_next_step(folder, name, kind):
    folder.write_record(make_record(folder))
    for content in (b"PK\x03\x04", b"{"):
        atomic_write(folder.path / name, content)
        for each in (RunFolder(folder.path), PointFolder(folder.path)):
            with pytest.raises(InvalidFile, match=f"{name} is .*{each.advice[-20:]}"):
                getattr(each, f"read_{kind}")()


def test_a_folder_without_a_record_says_what_it_holds(folder):
    with pytest.raises(InvalidFile, match="neither a run nor a sweep"):
        folder.read_record()
    (folder.path / SWEEP).touch()
    with pytest.raises(InvalidFile, match="one of its points"):
        folder.read_record()


def test_only_a_finished_and_unaltered_run_is_read(folder):
    for status in set(Status) - {Status.DONE}:
        folder.write_record(make_record(folder, status))
        with pytest.raises(InvalidFile, match=f"its status is {status}"):
            folder.read_finished()
    record = make_record(folder)
    folder.write_record(record)
    folder.data_path.write_bytes(b"")
    assert folder.list_altered(record) == ["data.npz"]
    folder.data_path.unlink()  # it can be made again from the source
    assert folder.read_evaluated() == record
    trained = {name: record.outputs[name] for name in ("model.npz", "history.json")}
    folder.write_record(record.replace(outputs=trained))
    with pytest.raises(InvalidFile, match="was not selected by its sweep"):
        folder.read_evaluated()
    folder.model_path.write_bytes(b"")
    folder.history_path.unlink()
    assert folder.list_altered(record) == ["model.npz", "history.json"]
    with pytest.raises(InvalidFile, match="its model.npz was removed or altered"):
        folder.read_evaluated()


def test_clear_removes_the_files_of_a_run_and_no_others(folder):
    others = {"checkpoint.npz", "mine.txt", "run.json"}
    for name in (*CLEARED_FILES, *others):
        (folder.path / name).touch()
    folder.clear()
    assert read_all(folder).keys() == others


@pytest.mark.parametrize(
    ("names", "harmless", "problem"),
    [
        ([".DS_Store", "a.ipynb"], (".ipynb",), ""),
        (["a.txt", LOCK], (), ""),
        (["a.txt"], (".ipynb",), "it holds a.txt"),
        (["a.ipynb"], (), "it holds a.ipynb"),
    ],
)
def test_a_folder_is_ours_if_it_is_new_or_harmless_or_has_our_lock(
    tmp_path, names, harmless, problem
):
    folder = tmp_path / "a"
    check_folder(folder, SWEEP, harmless)  # it is new
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    if not problem:
        check_folder(folder, SWEEP, harmless)
        return
    with pytest.raises(InvalidInput, match=re.escape(problem)):
        check_folder(folder, SWEEP, harmless)


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    atomic_write(tmp_path / "b", b"old")
    interrupted = mock.Mock(side_effect=KeyboardInterrupt)
    monkeypatch.setattr("pathlib.Path.replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        atomic_write(tmp_path / "b", b"new")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]
