from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from pipeline import datasets, outputs, parameters, storage
from pipeline.errors import Diverged, InvalidParameter, InvalidRecord
from pipeline.model import Model
from pipeline.parameters import Parameters
from pipeline.records import Epoch, Metrics, RunRecord, Status, SweepRecord
from pipeline.run_folder import MADE, OUTPUTS, STAGES, RunFolder, SweepFolder
from tests.conftest import EPOCH


def a_model(value=1.0):
    return Model(np.full((784, 3), value), np.full((3, 10), value), 127.5)


HISTORY = [Epoch(**EPOCH)]
PAGE = b"<!DOCTYPE html><head>" + outputs.MARK + b"<title>"
METRICS = Metrics(
    **HISTORY[0].model_dump(), test_error=1, test_accuracy=0, test_images=9, weights_sha256=a_model().sha256
)


@pytest.fixture
def data(small_source):
    return datasets.split_source(str(small_source[0]), 40, 10)


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run")


def a_record(status, **fields):
    inputs = {"data": "", "notebooks": {}, "code": {}, "versions": {}}
    fields = {"parameters": Parameters().model_dump(), "inputs": inputs} | fields
    return RunRecord(status=status, started=datetime.now(UTC), **fields)


def names(folder):
    return sorted(path.name for path in folder.path.iterdir())


def test_data_comes_back_as_saved(folder, data):
    folder.write_data(data)
    loaded = folder.read_data()
    assert loaded.sha256 == data.sha256
    assert (loaded.source, loaded.source_sha256) == (data.source, data.source_sha256)
    assert np.array_equal(loaded.x_validation, data.x_validation)
    assert folder.data.read_bytes() == data.to_bytes()


def test_a_model_comes_back_as_saved_with_what_its_pixels_are_divided_by(folder):
    model = Model(np.arange(2352.0).reshape(784, 3), np.ones((3, 10)), 127.5)
    folder.write_model(model, HISTORY)
    loaded = folder.read_model()
    assert folder.read_history() == HISTORY
    assert all(np.array_equal(a, b) for a, b in zip(loaded.weights, model.weights, strict=True))
    assert (loaded.normalisation, loaded.hidden_size) == (127.5, 3)
    assert loaded.sha256 == model.sha256 == storage.sha256_of(model.weights_0_1, model.weights_1_2)


def test_metrics_and_records_come_back_as_saved_and_what_cannot_be_read_is_not_found(folder):
    assert folder.find_record() is folder.find_metrics() is None
    folder.write_metrics(METRICS)
    folder.write_record(record := a_record(Status.FAILED, error="why"))
    assert folder.read_metrics() == folder.find_metrics() == METRICS
    assert folder.read_record() == folder.find_record() == record
    folder.record.write_text("{")
    folder.metrics.write_text("[]")
    assert folder.find_record() is folder.find_metrics() is None


def test_a_history_is_there_before_its_model_whatever_ends_the_write(folder, monkeypatch):
    def write(path, content, write_whole=storage.write_whole):
        if path == folder.model:
            raise KeyboardInterrupt
        write_whole(path, content)

    folder.write_model(a_model(), HISTORY)
    monkeypatch.setattr(storage, "write_whole", write)
    with pytest.raises(KeyboardInterrupt):
        folder.write_model(a_model(2.0), HISTORY)
    assert names(folder) == ["history.json"]


def test_a_new_stage_removes_what_was_made_from_the_old_one(folder, data):
    folder.write_data(data)
    folder.write_model(a_model(), HISTORY)
    folder.write_metrics(METRICS)
    folder.write_model(a_model(2.0), HISTORY)
    assert names(folder) == ["data.npz", "history.json", "model.npz"]
    folder.write_data(replace(data, y_train=data.y_train[::-1].copy()))
    assert names(folder) == ["data.npz"]


def test_a_model_is_not_written_beside_data_that_it_was_not_trained_on_nor_metrics_beside_another_model(folder, data):
    folder.write_data(data)
    folder.write_model(a_model(), HISTORY, {}, data)
    with pytest.raises(InvalidRecord, match=r"model\.npz is no longer the network that was measured\. Run"):
        folder.write_metrics(METRICS.model_copy(update={"weights_sha256": "0" * 64}))
    folder.write_data(replace(data, y_train=data.y_train[::-1]))
    with pytest.raises(InvalidRecord, match=r"data\.npz is no longer what this network was trained on\. Run"):
        folder.write_model(a_model(), HISTORY, {}, data)
    assert not folder.model.exists()


def test_weights_that_are_infinite_have_diverged_and_are_not_written(folder, data):
    folder.write_data(data)
    model = a_model()
    with pytest.raises(Diverged, match="The weights are no longer finite numbers. Each update overshoots"):
        folder.write_model(replace(model, weights_1_2=model.weights_1_2 + np.inf), HISTORY)
    assert not folder.model.exists()


def test_a_normalisation_without_a_point_gives_the_same_file(folder, data):
    folder.write_model(replace(a_model(), normalisation=255.0), HISTORY)
    before = folder.model.read_bytes()
    folder.write_model(replace(a_model(), normalisation=255), HISTORY)
    assert folder.model.read_bytes() == before


def test_a_stage_that_gives_the_same_leaves_everything(folder, data):
    writes = (
        lambda: folder.write_data(data),
        lambda: folder.write_model(a_model(), HISTORY),
        lambda: folder.write_metrics(METRICS),
    )
    for write in writes:
        write()
    folder.write_record(a_record(Status.DONE))
    folder.report.write_bytes(PAGE)
    before = names(folder)
    for write in writes:
        write()
        assert names(folder) == before
    folder.write_metrics(METRICS.model_copy(update={"test_accuracy": 1.0}))
    assert names(folder) == ["data.npz", "history.json", "metrics.json", "model.npz", "run.json"]


def test_the_first_metrics_of_a_point_leave_its_record(folder):
    folder.write_record(a_record(Status.DONE))
    folder.write_metrics(METRICS)
    assert names(folder) == ["metrics.json", "run.json"]


@pytest.mark.parametrize("status", Status)
def test_a_stage_run_alone_marks_the_record_of_a_finished_run_and_removes_any_report(folder, data, status, capsys):
    stages = {
        "01_prepare": lambda: folder.write_data(data, {"num_samples": 5}),
        "02_train": lambda: folder.write_model(a_model(), HISTORY, {"learning_rate": 0.01, "seed": 1}),
        "03_evaluate": lambda: folder.write_metrics(METRICS.model_copy(update={"test_accuracy": 1.0})),
    }
    ways = {"01_prepare": "num_samples 5", "02_train": "learning_rate 0.01", "03_evaluate": "the same parameters"}
    for stage, write in stages.items():
        folder.write_metrics(METRICS)
        folder.write_record(before := a_record(status, parameters={"num_samples": 4, "learning_rate": 0.1, "seed": 1}))
        folder.report.write_bytes(PAGE)
        write()
        printed = capsys.readouterr().out
        assert not folder.report.exists()
        if status in ("done", "changed"):
            assert folder.read_record().status == "changed"
            assert f"changed by {stage} run alone, with {ways[stage]}" in folder.read_record().error
            assert f"changed by {stage} run alone, with {ways[stage]}" in printed
        else:
            assert folder.read_record() == before
            assert not printed


def test_clear_removes_a_runs_files_and_no_others(folder):
    for name in (
        *OUTPUTS,
        "run.json",
        "checkpoint.npz",
        ".lock",
        "mine.txt",
        ".model.npz.0123abcd.part",
        ".run.json.0123abcd.part",
    ):
        storage.write_whole(folder.path / name, b"")
    folder.clear()
    assert names(folder) == [".lock", "checkpoint.npz", "mine.txt", "run.json"]


def test_clear_removes_results_before_what_they_were_made_from(folder, monkeypatch):
    for name in OUTPUTS:
        storage.write_whole(folder.path / name, b"")
    removed = []
    monkeypatch.setattr("pathlib.Path.unlink", lambda path, missing_ok=False: removed.append(path.name))
    folder.clear()
    assert [name for name in removed if name in MADE] == list(reversed(MADE))
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


@pytest.mark.parametrize(
    ("read", "message"),
    [
        ("read_data", "data.npz is not there. Run 01_prepare.ipynb first, with the same"),
        ("read_model", "model.npz is not there. Run 02_train.ipynb first"),
        ("read_history", "history.json is not there. Run 02_train.ipynb first"),
        ("read_metrics", "metrics.json is not there. Run 03_evaluate.ipynb first"),
        ("read_record", "run.json is not there. Name the folder of a finished run, or of a point"),
        ("read_finished", "run.json is not there. Name the folder of a finished run, or of a point"),
    ],
)
def test_a_missing_file_is_refused_with_what_makes_it(folder, read, message):
    with pytest.raises(InvalidRecord, match=message):
        getattr(folder, read)()


def test_a_point_has_no_images_and_how_it_is_evaluated_is_said(tmp_path):
    (tmp_path / "sweep.json").touch()
    (point := RunFolder(tmp_path / "it")).path.mkdir()
    with pytest.raises(
        InvalidRecord, match=r"data.npz is not there. A point keeps no images. Name a run. To .* report /.*/it$"
    ):
        point.read_data()


def refused(read, *parts):
    with pytest.raises(InvalidRecord) as caught:
        read()
    assert all(part in str(caught.value) for part in parts), caught.value


def test_damaged_data_is_refused_with_the_notebook_that_makes_it(folder, data):
    folder.write_data(data)
    whole = folder.data.read_bytes()
    folder.data.write_bytes(whole[: len(whole) // 2])
    refused(folder.read_data, "data.npz is not a whole .npz file", "Run 01_prepare.ipynb first")
    for arrays, problem in (
        ({"x_train": np.ones(3)}, "x_train is float64 (3,), but must be uint8 (train, 784)"),
        (data.arrays | {"provenance": "[]"}, "is not what 01_prepare writes"),
        (
            data.arrays | {"provenance": "[]", "y_test": data.y_test[1:]},
            "y_test is uint8 (29,), but must be uint8 (30)",
        ),
        (data.arrays | {"provenance": "{}", "y_test": data.y_test + 10}, "it has labels above 9"),
    ):
        np.savez(folder.data, **arrays)
        refused(folder.read_data, "data.npz is not what", problem, "Run 01_prepare.ipynb first")


def test_damaged_results_are_refused_with_the_notebook_that_makes_them(folder):
    folder.path.mkdir()
    np.savez(folder.model, weights_0_1=np.ones(3))
    refused(folder.read_model, "model.npz is not what it should be: weights_0_1 is", "Run 02_train.ipynb first")
    np.savez(folder.model, weights_0_1=np.ones((784, 3)), weights_1_2=np.ones((3, 10)))  # as the version before did
    refused(folder.read_model, "it has no array normalisation", "Run 02_train.ipynb first")
    np.savez(folder.model, weights_0_1=np.full((784, 3), np.nan), weights_1_2=np.ones((3, 10)), normalisation=255.0)
    refused(folder.read_model, "model.npz is not what 02_train writes", "Run 02_train.ipynb first")
    np.savez(folder.model, weights_0_1=np.ones((784, 3)), weights_1_2=np.ones((3, 10)), normalisation=np.inf)
    refused(folder.read_model, "infinite numbers, or a normalisation that is not above 0", "Run 02_train.ipynb first")
    folder.history.write_text("[1, 2")
    refused(folder.read_history, "history.json is damaged", "Run 02_train.ipynb first")
    folder.metrics.write_text('{"train_error": 0.5}')
    refused(folder.read_metrics, "metrics.json is damaged", "Run 03_evaluate.ipynb first")


@pytest.mark.parametrize("status", Status)
def test_only_a_finished_run_is_read_and_its_parameters_with_it(folder, status, monkeypatch):
    record = a_record(status, parameters=Parameters(seed=7).model_dump())
    folder.write_record(record)
    if status == Status.DONE:
        assert folder.read_finished() == (record, Parameters(seed=7))
    else:
        way = "run it whole (for the defaults leave out each -p)" if status == Status.CHANGED else "run it again"
        again = f", or {way}: python -m pipeline run --run-dir {folder.path} -p seed 7"
        problem = f"run holds no finished run: its status is {status.value}. Name the folder of a finished one"
        with pytest.raises(InvalidRecord) as caught:
            folder.read_finished()
        assert str(caught.value).endswith(problem + ("." if status == Status.DIVERGED else again))
        monkeypatch.chdir(folder.path.parent)
        with pytest.raises(InvalidRecord) as caught:
            folder.read_finished()
        assert str(caught.value).endswith(
            "." if status == Status.DIVERGED else f"--run-dir {folder.path.name} -p seed 7"
        )


def test_a_link_to_a_point_is_the_points_folder(tmp_path):
    record = SweepRecord(name="s", grid={"seed": [1, 2]}, ids=["point"], configurations=[["point"]])
    storage.write_whole(tmp_path / "sweep" / "sweep.json", storage.json_bytes(record))
    (tmp_path / "sweep" / "point").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "sweep" / "point")
    assert RunFolder(tmp_path / "link").title == "Point point of the sweep s"
    assert RunFolder(tmp_path / "link").command({}).endswith("--run-dir runs/s-point")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "sweep" / "moved").symlink_to(tmp_path / "elsewhere")
    assert RunFolder(tmp_path / "sweep" / "moved").sweep
    with pytest.raises(InvalidParameter, match=r"^run_dir is given, the folder of a point of a sweep. Choose another"):
        RunFolder(tmp_path / "link").check_place("run_dir is given")


def test_the_command_that_runs_again_is_whole_however_long(folder):
    source = "/".join(["x" * 100] * 6) + "/s.npz"
    folder.write_record(a_record(Status.INTERRUPTED, parameters=Parameters(source=source).model_dump()))
    with pytest.raises(InvalidRecord) as caught:
        folder.read_finished()
    assert str(caught.value).endswith(f"-p source {source}")


def test_what_notebooks_have_made_without_a_record_is_refused_with_the_command_that_makes_a_run(folder):
    storage.write_whole(folder.model, b"a model")
    command = (
        f"NAME VALUE for each parameter that is not at its default: python -m pipeline run --run-dir {folder.path}"
    )
    refused(folder.read_finished, "run.json is not there. The pipeline writes it", command)


def test_a_run_of_another_version_is_refused(folder):
    folder.write_record(a_record(Status.DONE, parameters={"epohcs": 1}))
    refused(folder.read_finished, "another version of ", "Did you mean epochs", "Run it again first")


def test_a_sweeps_record_comes_back_and_where_it_is_missing_the_command_is_named(tmp_path):
    sweep = SweepFolder(tmp_path)
    with pytest.raises(InvalidRecord, match="sweep.json is not there. Run the sweep: python -m pipeline sweep FILE"):
        sweep.read_record()
    record = SweepRecord(name="s", grid={"seed": [1, 2]}, ids=["a", "b"], configurations=[["a", "b"]])
    storage.write_whole(sweep.record, storage.json_bytes(record))
    assert sweep.read_record() == record


def test_the_record_of_another_point_is_not_a_points_own(tmp_path):
    values = Parameters(seed=7).model_dump()
    point, other = (RunFolder(tmp_path / name) for name in (parameters.identity(values), "other"))
    ids = [point.path.name, other.path.name]
    sweep = SweepRecord(name="s", grid={"seed": [7, 8]}, ids=ids, configurations=[ids])
    storage.write_whole(tmp_path / "sweep.json", storage.json_bytes(sweep))
    for folder in (point, other):
        folder.write_record(a_record(Status.DONE, parameters=values))
    assert point.read_finished()[1] == Parameters(seed=7)
    with pytest.raises(InvalidRecord, match=r"other/run\.json is that of another point\. Run the sweep again\."):
        other.read_finished()


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"hidden_size": 2000}, "hidden_size is 2000 in run.json, but was 3"),
        ({"epochs": 777}, "epochs is 777 in run.json, but was 1"),
        ({"normalisation": 255}, "normalisation is 255.0 in run.json, but was 127.5"),
    ],
)
def test_a_record_that_says_what_its_files_do_not_is_refused(folder, changed, problem):
    folder.write_model(a_model(), HISTORY)
    folder.write_metrics(METRICS)
    chosen = {"hidden_size": 3, "epochs": 1, "normalisation": 127.5}
    assert folder.read_results(Parameters(**chosen))[:2] == (METRICS, HISTORY)
    with pytest.raises(InvalidRecord, match=f"run holds files of different runs: {problem}"):
        folder.read_results(Parameters(**chosen | changed))


def test_a_run_is_not_within_the_folder_of_another(folder):
    inner = RunFolder(folder.path / "deeper" / "inner")
    inner.check_place("run_dir is 'inner'")
    folder.write_record(a_record(Status.DONE))
    message = f"run_dir is 'inner', inside the folder of a run: {folder.path}. Choose another folder."
    with pytest.raises(InvalidParameter, match=message):
        inner.check_place("run_dir is 'inner'")
