import json
from datetime import UTC, datetime

import numpy as np
import pytest

from pipeline import datasets, storage
from pipeline.errors import InvalidRecord
from pipeline.parameters import Parameters
from pipeline.records import Epoch, Metrics, RunRecord, Status, SweepRecord
from pipeline.run_folder import MADE, OUTPUTS, STAGES, Model, RunFolder, SweepFolder

HISTORY = [Epoch(train_error=0.5, train_accuracy=0.25)]
METRICS = Metrics(train_error=0.5, train_accuracy=0.25, test_error=1, test_accuracy=0, weights_sha256="0" * 64)


@pytest.fixture
def data(small_source):
    return datasets.split_source(str(small_source[0]), 40, 10)


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run")


def a_model(value=1.0):
    return Model(np.full((784, 3), value), np.full((3, 10), value), 127.5)


def a_record(status, **fields):
    inputs = {"data": "", "notebooks": {}, "code": {}, "versions": {}}
    fields = {"parameters": Parameters().model_dump(), "inputs": inputs} | fields
    return RunRecord(status=status, started=datetime.now(UTC), **fields)


def names(folder):
    return sorted(path.name for path in folder.path.iterdir())


# ---- read and written ------------------------------------------------------------------------------------------


def test_a_run_folder_is_below_the_projects_root_or_absolute(tmp_path):
    below = RunFolder("runs/x")
    assert (below.path, below.place) == (storage.ROOT / "runs" / "x", "runs/x")
    assert RunFolder(str(below.path)).place == "runs/x"
    assert RunFolder(tmp_path).place == str(tmp_path)


def test_data_comes_back_as_saved(folder, data):
    folder.write_data(data)
    loaded = folder.read_data()
    assert loaded.sha256 == data.sha256
    assert (loaded.source, loaded.source_sha256) == (data.source, data.source_sha256)
    assert np.array_equal(loaded.x_validation, data.x_validation)
    assert folder.data.read_bytes() == data.to_bytes()


def test_a_model_comes_back_as_saved_with_what_its_pixels_are_divided_by(folder):
    model = Model(np.arange(6.0).reshape(2, 3), np.ones((3, 10)), 127.5)
    folder.write_model(model, HISTORY)
    loaded = folder.read_model()
    assert folder.read_history() == HISTORY
    assert all(np.array_equal(a, b) for a, b in zip(loaded.weights, model.weights, strict=True))
    assert (loaded.normalisation, loaded.hidden_size) == (127.5, 3)
    assert loaded.sha256 == model.sha256 == storage.sha256_of(model.weights_0_1, model.weights_1_2)


def test_metrics_and_records_come_back_as_saved(folder):
    folder.write_metrics(METRICS)
    folder.write_record(record := a_record(Status.FAILED, error="why"))
    assert folder.read_metrics() == folder.find_metrics() == METRICS
    assert folder.read_record() == folder.find_record() == record


def test_what_cannot_be_read_is_not_found(folder):
    assert folder.find_record() is folder.find_metrics() is None
    folder.path.mkdir()
    folder.record.write_text("{")
    folder.metrics.write_text("[]")
    assert folder.find_record() is folder.find_metrics() is None


def test_a_history_is_there_before_its_model_whatever_ends_the_write(folder, monkeypatch):
    def write(path, content, write_whole=storage.write_whole):
        if path == folder.model:
            raise KeyboardInterrupt
        write_whole(path, content)

    folder.write_model(a_model(), [])
    monkeypatch.setattr(storage, "write_whole", write)
    with pytest.raises(KeyboardInterrupt):
        folder.write_model(a_model(2.0), HISTORY)
    assert names(folder) == ["history.json"]


# ---- one run alone ---------------------------------------------------------------------------------------------


def test_a_new_stage_removes_what_was_made_from_the_old_one(folder, data):
    folder.write_data(data)
    folder.write_model(a_model(), [])
    folder.write_metrics(METRICS)
    assert names(folder) == ["data.npz", "history.json", "metrics.json", "model.npz"]
    folder.write_model(a_model(), [])
    assert names(folder) == ["data.npz", "history.json", "model.npz"]
    folder.write_data(data)
    assert names(folder) == ["data.npz"]


@pytest.mark.parametrize("status", Status)
def test_a_stage_run_alone_ends_the_record_of_a_finished_run_and_any_report(folder, data, status):
    for write in (lambda: folder.write_data(data), lambda: folder.write_model(a_model(), [])):
        folder.write_record(a_record(status))
        folder.report.write_text("old")
        write()
        assert folder.record.exists() == (status != "done")
        assert not folder.report.exists()


def test_clear_removes_a_runs_files_and_no_others(folder):
    for name in (*OUTPUTS, "run.json", "checkpoint.npz", ".lock", "mine.txt", ".model.npz.x.part"):
        storage.write_whole(folder.path / name, b"")
    folder.clear()
    assert names(folder) == [".lock", "checkpoint.npz", "mine.txt", "run.json"]
    folder.clear()


def test_clear_removes_results_before_what_they_were_made_from(folder, monkeypatch):
    for name in OUTPUTS:
        storage.write_whole(folder.path / name, b"")
    removed = []
    monkeypatch.setattr("pathlib.Path.unlink", lambda path, missing_ok=False: removed.append(path.name))
    folder.clear()
    made = [name for name in removed if name in MADE]
    assert made == list(reversed(MADE))
    assert removed.index("report.html") < removed.index("metrics.json")


def test_files_that_were_removed_or_altered_are_named(folder):
    assert folder.present() == folder.executed() == []
    for name in OUTPUTS:
        storage.write_whole(folder.path / name, name.encode())
    assert folder.present() == list(OUTPUTS)
    assert [path.stem for path in folder.executed()] == list(STAGES)
    record = a_record(Status.DONE, outputs=folder.digests())
    assert folder.altered(record, OUTPUTS) == []
    folder.model.write_bytes(b"other")
    folder.report.unlink()
    assert folder.altered(record, OUTPUTS) == ["model.npz", "report.html"]
    assert folder.altered(record, MADE) == ["model.npz"]
    folder.model.unlink()
    assert folder.altered(a_record(Status.DONE), MADE) == list(MADE)  # also one that is neither there nor recorded


# ---- what cannot be used ---------------------------------------------------------------------------------------


def test_a_missing_file_is_refused_with_the_notebook_that_makes_it(folder):
    with pytest.raises(InvalidRecord, match="data.npz is not there. Run 01_prepare.ipynb first, with the same"):
        folder.read_data()
    with pytest.raises(InvalidRecord, match=r"model.npz is not there. Run 02_train.ipynb first"):
        folder.read_model()
    with pytest.raises(InvalidRecord, match=r"history.json is not there. Run 02_train.ipynb first"):
        folder.read_history()
    with pytest.raises(InvalidRecord, match=r"metrics.json is not there. Run 03_evaluate.ipynb first"):
        folder.read_metrics()
    with pytest.raises(InvalidRecord, match=r"run.json is not there. Run it with: python -m pipeline run"):
        folder.read_record()


def test_a_damaged_file_is_refused_with_the_notebook_that_makes_it(folder, data):
    folder.write_data(data)
    whole = folder.data.read_bytes()
    folder.data.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidRecord, match=r"data.npz is not a whole .npz file .* Run 01_prepare.ipynb first"):
        folder.read_data()
    np.savez(folder.data, x_train=np.ones(3))
    with pytest.raises(InvalidRecord, match="data.npz is not what 01_prepare writes .* Run 01_prepare.ipynb first"):
        folder.read_data()
    np.savez(folder.data, provenance="[]", **data.arrays)
    with pytest.raises(InvalidRecord, match="data.npz is not what 01_prepare writes"):
        folder.read_data()
    np.savez(folder.model, weights_0_1=np.ones(3))
    with pytest.raises(InvalidRecord, match="model.npz is not what 02_train writes .*'weights_1_2'.* Run 02_train"):
        folder.read_model()
    folder.history.write_text("[1, 2")
    with pytest.raises(InvalidRecord, match=r"history.json is damaged.* Run 02_train.ipynb first"):
        folder.read_history()
    folder.metrics.write_text('{"train_error": 0.5}')
    with pytest.raises(InvalidRecord, match=r"metrics.json is damaged.* Run 03_evaluate.ipynb first"):
        folder.read_metrics()


def test_the_version_befores_model_is_refused_since_it_lacks_normalisation(folder):
    folder.path.mkdir()
    np.savez(folder.model, weights_0_1=np.ones((784, 3)), weights_1_2=np.ones((3, 10)))
    with pytest.raises(InvalidRecord, match="is not what 02_train writes .*'normalisation'.* Run 02_train.ipynb first"):
        folder.read_model()


def test_the_version_befores_data_is_read(folder, data):
    source = json.dumps({"source": data.source, "sha256": data.source_sha256})
    folder.path.mkdir()
    np.savez(folder.data, provenance=source, normalisation=255.0, **data.arrays)
    assert folder.read_data().sha256 == data.sha256


def test_a_finished_run_comes_with_its_parameters(folder):
    folder.write_record(a_record(Status.DONE, parameters=Parameters(seed=7).model_dump()))
    record, chosen = folder.read_finished()
    assert (record, chosen) == (folder.read_record(), Parameters(seed=7))


@pytest.mark.parametrize("status", [status for status in Status if status != Status.DONE])
def test_a_run_that_is_not_finished_is_refused_with_its_status(folder, status):
    folder.write_record(a_record(status))
    with pytest.raises(InvalidRecord, match=f"run holds no finished run: its status is {status.value}. Name the"):
        folder.read_finished()


def test_no_run_and_one_of_another_version_are_refused(folder):
    with pytest.raises(InvalidRecord, match="run.json is not there. Name the folder of a finished run, or of a point"):
        folder.read_finished()
    folder.write_record(a_record(Status.DONE, parameters={"relu_grad_at_zero": 1}))
    with pytest.raises(InvalidRecord, match="another version of .* now called relu_grad_inactive.* Run it again first"):
        folder.read_finished()


# ---- the folder of a sweep -------------------------------------------------------------------------------------


def test_the_folder_of_a_sweep_holds_a_folder_for_each_point():
    sweep = SweepFolder("runs/sweeps/s")
    assert sweep.point("p").path == storage.ROOT / "runs" / "sweeps" / "s" / "p"


def test_a_sweeps_record_comes_back_and_where_it_is_missing_the_command_is_named(tmp_path):
    sweep = SweepFolder(tmp_path)
    with pytest.raises(InvalidRecord, match="sweep.json is not there. Run the sweep: python -m pipeline sweep FILE"):
        sweep.read_record()
    record = SweepRecord(name="s", grid={"seed": [1, 2]}, ids=["a", "b"], configurations=[["a", "b"]])
    storage.write_whole(sweep.record, storage.json_bytes(record))
    assert sweep.read_record() == record


def test_no_two_files_of_a_run_have_one_name():
    folder = RunFolder("runs/x")
    paths = [*(folder.notebook(stage) for stage in STAGES), folder.data, folder.model, folder.history, folder.metrics]
    paths += [folder.report]
    assert [path.name for path in paths] == list(OUTPUTS)
    assert len({*paths, folder.record, folder.checkpoint}) == len(OUTPUTS) + 2
