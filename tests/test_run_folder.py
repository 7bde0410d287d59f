from dataclasses import replace
from unittest import mock

import numpy as np
import pytest

from pipeline import data, run_folder
from pipeline.errors import Diverged, FolderBusy, InvalidParameter, InvalidRecord
from pipeline.parameters import ROOT, RUNS, Parameters
from pipeline.records import RunRecord, Status
from pipeline.run_folder import GENERATOR, LOCK, RESULTS, WRITTEN, RunFolder
from tests.conftest import EPOCH, VALIDATED

WEIGHTS = np.arange(2352.0).reshape(784, 3), np.ones((3, 10))
INPUTS = {"data": "", "notebooks": {}, "code": {}, "versions": {}}


@pytest.fixture
def images(small_source):
    return data.split_source(str(small_source[0]), 40, 10)


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run")


def make_record(status=Status.DONE, **fields):
    return RunRecord(status=status, inputs=INPUTS, **{"parameters": dict(Parameters())} | fields)


def write_all(folder, images, **metrics):
    """Write what the three stages write."""
    folder.write_data(images)
    model = folder.write_model(WEIGHTS, 127.5, [VALIDATED], images)
    folder.write_metrics(model, VALIDATED | {"test_error": 1.0, "test_accuracy": 0.0} | metrics, 30)


def list_names(folder):
    return sorted(path.name for path in folder.path.iterdir() if path.name != LOCK)


def test_results_come_back_as_written(folder, images):
    write_all(folder, images)
    found = folder.read_data()
    assert found.sha256 == images.sha256
    assert (found.source, found.source_sha256) == (images.source, images.source_sha256)
    model = folder.read_model()
    assert all(np.array_equal(a, b) for a, b in zip(model.weights, WEIGHTS, strict=True))
    assert (model.normalisation, model.hidden_size, model.classes) == (127.5, 3, data.DIGITS)
    assert model.sha256 == data.compute_sha256(*WEIGHTS)
    assert folder.read_history() == [VALIDATED]
    assert folder.read_metrics().weights_sha256 == model.sha256
    folder.write_model(WEIGHTS, 127.5, [EPOCH, EPOCH], images)
    assert folder.read_history() == [EPOCH, EPOCH]  # without what was not measured


def test_a_stage_alone_with_equal_results_leaves_everything(folder, images):
    write_all(folder, images)
    folder.write_record(make_record())
    folder.report.write_bytes(GENERATOR)
    before = list_names(folder)
    write_all(folder, images)
    assert list_names(folder) == before == sorted([*RESULTS, "report.html", "run.json"])


@pytest.mark.parametrize("stage", range(3))
def test_a_stage_alone_with_other_results_replaces_the_run_and_says_so(
    folder, images, capsys, stage
):
    write_all(folder, images)
    folder.write_record(make_record(parameters=dict(Parameters(seed=7))))
    folder.report.write_bytes(GENERATOR)
    other = replace(images, y_train=images.y_train[::-1].copy())
    if stage == 0:
        folder.write_data(other)
    elif stage == 1:
        folder.write_model((WEIGHTS[0], -WEIGHTS[1]), 127.5, [VALIDATED], images)
    else:
        write_all(folder, images, test_accuracy=1.0)
    assert list_names(folder) == sorted([("data.npz",), RESULTS[:3], RESULTS][stage])
    place = folder.path
    assert capsys.readouterr().out == (
        f"Replacing the run in {place}. To make it again: "
        f"python -m pipeline run --run-dir {place} -p seed 7\n"
    )


def test_results_are_not_written_beside_what_they_were_not_made_from(folder, images):
    write_all(folder, images)
    model = replace(folder.read_model(), weights_0_1=-WEIGHTS[0])
    with pytest.raises(InvalidRecord, match=r"model\.npz has changed meanwhile\. Run this"):
        folder.write_metrics(model, {}, 30)
    other = replace(images, y_train=images.y_train[::-1].copy())
    with pytest.raises(InvalidRecord, match=r"data\.npz has changed meanwhile\. Run this"):
        folder.write_model(WEIGHTS, 127.5, [EPOCH], other)


def test_weights_and_errors_that_are_not_finite_are_not_written(folder, images):
    folder.write_data(images)
    with pytest.raises(Diverged, match="no longer finite numbers. Make learning_rate smaller"):
        folder.write_model((WEIGHTS[0] * np.inf, WEIGHTS[1]), 127.5, [EPOCH], images)
    assert list_names(folder) == ["data.npz"]
    model = folder.write_model(WEIGHTS, 127.5, [EPOCH], images)
    with pytest.raises(Diverged, match="The error on the test images is inf. Make"):
        folder.write_metrics(model, EPOCH | {"test_error": np.inf, "test_accuracy": 0}, 30)


@pytest.mark.parametrize(
    ("method", "name"),
    [*zip(["read_data", "read_model", "read_history", "read_metrics"], RESULTS, strict=True)]
    + [("read_record", "run.json")],
)
def test_a_missing_or_damaged_file_is_refused_with_the_next_step(folder, method, name):
    for content in (None, b"PK\x03\x04", b"{"):
        if content:
            run_folder.write_whole(folder.path / name, content)
        command = f"python -m pipeline run --run-dir {folder.path}"
        with pytest.raises(InvalidRecord, match=rf"{name} is .*\. Make the run first: {command}$"):
            getattr(folder, method)()
    assert folder.find_record() is None
    (folder.path.parent / "sweep.json").touch()
    with pytest.raises(InvalidRecord, match=r"Run its sweep again, or name the folder of a run\."):
        getattr(folder, method)()


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({"weights_0_1": np.ones(3)}, r"has weights_0_1 float64 \(3,\), but must"),
        ({"weights_1_2": np.ones((4, 10))}, r"has weights_1_2 .* float64 \(3, 10\)"),
        ({"normalisation": None}, "normalisation"),
        ({"weights_0_1": np.array([{}])}, "is "),  # a pickle
    ],
)
def test_arrays_of_another_form_are_refused(folder, arrays, problem):
    folder.path.mkdir()
    names = ("weights_0_1", "weights_1_2", "normalisation")
    content = dict(zip(names, (*WEIGHTS, np.array(255.0)), strict=True)) | arrays
    np.savez(folder.model, **{name: array for name, array in content.items() if array is not None})
    with pytest.raises(InvalidRecord, match=rf"model\.npz .*{problem}.*Make the run"):
        folder.read_model()


def test_only_a_finished_and_unaltered_run_is_read(folder, images):
    write_all(folder, images)
    for status in Status:
        record = make_record(status, outputs=folder.digest(), parameters=dict(Parameters(seed=7)))
        folder.write_record(record)
        if status == Status.DONE:
            assert folder.read_finished() == (record, Parameters(seed=7))
            continue
        with pytest.raises(InvalidRecord, match=f"run holds a run that is {status}. Make the run"):
            folder.read_finished()
    folder.write_record(make_record(outputs=folder.digest()))
    folder.model.write_bytes(b"")
    folder.history.unlink()
    assert folder.find_altered(folder.read_record()) == ["model.npz", "history.json"]
    with pytest.raises(InvalidRecord, match=r"model\.npz.* has been removed or altered"):
        folder.read_finished()


def test_clear_removes_the_files_of_a_run_and_no_others(folder):
    folder.path.mkdir()
    for name in (*WRITTEN, "mine.txt", ".model.npz.123.part"):
        (folder.path / name).touch()
    folder.clear()
    assert list_names(folder) == ["checkpoint.npz", "mine.txt", "run.json"]


PLACES = {
    "": "one of the project's own folders",
    "runs": "one of the project's own folders",
    "notebooks/x": "one of the project's own folders",
    "{tmp}/sweep/new": "inside another result, {tmp}/sweep",
    "{tmp}/run/a/b": "inside another result, {tmp}/run",
    "{tmp}/sweep": "the folder of another kind of result: it holds sweep.json",
    "{tmp}/theirs": "not a folder of this project, and holds model.npz",
    "{tmp}/link": "one of the project's own folders",
}


@pytest.mark.parametrize(("place", "problem"), PLACES.items())
def test_a_folder_that_is_not_for_a_run_is_refused(tmp_path, place, problem):
    for name in ("sweep/sweep.json", "run/run.json", "theirs/model.npz", "ours/model.npz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "ours" / LOCK).touch()
    (tmp_path / "link").symlink_to(ROOT / "pipeline")
    for ours in ("ours", "run", "none"):
        RunFolder(tmp_path / ours).check_free()
    path = ROOT / place.format(tmp=tmp_path)
    with pytest.raises(InvalidParameter) as caught:
        RunFolder(path).check_free()
    assert str(caught.value).startswith(f"{path} is {problem.format(tmp=tmp_path)}")
    assert str(caught.value).endswith("Choose another folder.")
    assert RUNS == ROOT / "runs"


def test_a_locked_folder_is_busy_until_the_block_ends(tmp_path):
    folder = tmp_path / "a"
    with run_folder.lock(folder):
        assert run_folder.is_locked(folder)
        with (
            pytest.raises(FolderBusy, match=f"Another command is writing to {folder}. Wait"),
            run_folder.lock(folder),
        ):
            pass
    assert not run_folder.is_locked(folder)
    assert not run_folder.is_locked(tmp_path / "none")


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a" / "b.json"
    run_folder.write_whole(path, b"old")
    monkeypatch.setattr("pathlib.Path.replace", mock.Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        run_folder.write_whole(path, b"new")
    assert [each.read_bytes() for each in path.parent.iterdir()] == [b"old"]


def test_a_page_of_another_is_refused(tmp_path):
    page = tmp_path / "page.html"
    run_folder.check_page(page)
    page.write_bytes(b"<head>" + GENERATOR)
    run_folder.check_page(page)
    for content in (b"<head>", b" " * 5000 + GENERATOR):
        page.write_bytes(content)
        with pytest.raises(InvalidParameter, match="was not made by this project. Choose another"):
            run_folder.check_page(page)
