import json
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from pipeline import errors, readers, storage
from pipeline.errors import InvalidRecord, PipelineError
from pipeline.records import Epoch, History, Inputs, Metrics, RunRecord, Status, SweepDefinition, SweepRecord

EPOCH = {"train_error": 0.5, "train_accuracy": 0.25}
METRICS = EPOCH | {"test_error": 0.75, "test_accuracy": 0.125, "weights_sha256": "0" * 64}
INPUTS = {"data": "", "notebooks": {}, "code": {}, "versions": {}}
RUN = {"status": "done", "started": "2026-01-02T03:04:05Z", "parameters": {}, "inputs": INPUTS}
SWEEP = {"name": "s", "ids": ["a"], "configurations": [["a"]]}
EACH = [(Epoch, EPOCH), (Metrics, METRICS), (Inputs, INPUTS), (RunRecord, RUN), (SweepRecord, SWEEP)]


def read(tmp_path, kind, content):
    (tmp_path / "record.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return readers.read_record(tmp_path / "record.json", kind, "")


@pytest.mark.parametrize(("kind", "fields"), EACH)
def test_a_field_that_is_not_known_is_refused_in_a_new_record_and_ignored_in_a_file(tmp_path, kind, fields):
    with pytest.raises(ValidationError, match="unheard_of\n  Extra inputs are not permitted"):
        kind(**fields, unheard_of=1)
    assert read(tmp_path, kind, fields | {"unheard_of": 1}) == kind(**fields)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_refused(tmp_path, value):
    with pytest.raises(ValidationError, match="test_error\n  Input should be a finite number"):
        Metrics(**METRICS | {"test_error": value})
    with pytest.raises(ValidationError, match="duration_s\n  Input should be a finite number"):
        RunRecord(**RUN, duration_s=value)
    with pytest.raises(InvalidRecord, match="is damaged"):
        read(tmp_path, Metrics, METRICS | {"test_error": value})  # Python writes NaN and Infinity, which are no JSON


@pytest.mark.parametrize(
    ("kind", "fields", "changed", "name"),
    [
        (Metrics, METRICS, {"weights_sha256": "0" * 63}, "weights_sha256"),
        (RunRecord, RUN, {"outputs": {"model.npz": "short"}}, "outputs.model.npz"),
        (RunRecord, RUN, {"started": "2026-01-02T03:04:05"}, "started"),  # of which time zone?
        (SweepRecord, SWEEP, {"ids": ["../a"]}, "ids.0"),  # an id is the name of a folder
        (SweepRecord, SWEEP, {"configurations": [["a/b"]]}, "configurations.0.0"),
        (SweepRecord, SWEEP, {"name": "../s"}, "name"),
        (SweepRecord, SWEEP, {"select": "test_accuracy"}, "select"),
    ],
)
def test_a_field_of_another_form_is_refused(kind, fields, changed, name):
    with pytest.raises(ValidationError) as caught:
        kind(**fields | changed)
    assert [".".join(map(str, problem["loc"])) for problem in caught.value.errors()] == [name]


def every_class(kind):
    return [kind, *(found for child in kind.__subclasses__() for found in every_class(child))]


STATUS_OF = {
    errors.Diverged: "diverged",
    errors.CellTimedOut: "timed out",
    errors.KernelDied: "kernel died",
    errors.WorkerDied: "worker died",
    KeyboardInterrupt: "interrupted",
}


@pytest.mark.parametrize("kind", [*every_class(PipelineError), KeyboardInterrupt, ValueError, MemoryError])
def test_the_status_of_a_run_follows_from_the_class_of_the_error_that_ended_it(kind):
    error = kind("x", "is damaged") if kind is InvalidRecord else kind("the reason")
    assert Status.of(error) is Status(STATUS_OF.get(kind, "failed"))
    assert set(Status) == {"running", "done", "failed", "changed", *STATUS_OF.values()}


def test_metrics_are_read_by_split_and_none_where_there_were_no_images():
    assert Metrics(**METRICS).of("train") == (0.25, 0.5)
    assert Metrics(**METRICS).of("test") == (0.125, 0.75)
    assert Metrics(**METRICS).of("validation") is None
    assert Metrics(**METRICS, validation_error=0.0, validation_accuracy=1.0).of("validation") == (1.0, 0.0)


def test_a_run_begins_now_and_runs():
    before = datetime.now(UTC).replace(microsecond=0)
    record = RunRecord.begin({"seed": 1}, Inputs(**INPUTS))
    assert before <= record.started <= datetime.now(UTC)
    assert (record.status, record.parameters, record.inputs) == (Status.RUNNING, {"seed": 1}, Inputs(**INPUTS))


def test_a_changed_record_is_another_one_and_checked_again():
    record = RunRecord(**RUN)
    changed = record.changed(status=Status.FAILED, error="why")
    assert (changed.status, changed.error, changed.started) == ("failed", "why", record.started)
    assert (record.status, record.error) == ("done", None)
    with pytest.raises(ValidationError):
        record.changed(duration_s=float("nan"))


def test_a_sweep_varies_what_its_grid_and_its_points_list():
    points = [{"seed": 3}, {"hidden_size": 5, "seed": 1}]
    sweep = SweepDefinition(name="s", base={"epochs": 2}, grid={"seed": [1, 2]}, points=points)
    for _ in range(2):  # asking twice adds nothing
        assert sweep.varied() == {"seed": [1, 2, 3, 1], "hidden_size": [5]}


OLD_RUN = """{
  "status": "done",
  "started": "2026-11-25T17:36:46+00:00",
  "parameters": {
    "source": "sample", "num_samples": 1000, "num_validation": 1000, "normalisation": 255.0, "hidden_size": 40,
    "learning_rate": 0.005, "learning_rate_decay": 1.0, "epochs": 100, "dropout_rate": 0.5, "relu_grad_at_zero": 1,
    "batch_size": 1, "seed": 1, "run_dir": "runs/default"
  },
  "inputs": {
    "data": "3a79f2ce1deac27f3accde65e5462995a9dfb53e2d8a9102c0f211ff0ad73e93",
    "notebooks": {"02_train": "a07a7e9570fe36b61d8d46df5edb69351303a77904e1755bf6d4d33f5fd276a4"},
    "code": {"pipeline/files.py": "2fd300e914cf3bf86f737d11cdc24814e83f6b30fbf66b8a11496f4d37e4d648"},
    "versions": {"python": "3.11.7", "papermill": "2.7.0"}
  },
  "arrays": {"x_train": "4d1e2862007bab5908d814e74806c6c8f7c4a4f32b5875d195406d4d1dbe4946"},
  "duration_s": 7.7,
  "report_code": "8d0470c085feb560aec8a3812f7a9b81ae6102fe4ff5e0a9d165ee38a46376a8",
  "outputs": {"model.npz": "8a063487553a4c12993fae37a8053b200a8bc1d7b8887b86c61325052a84dead"}
}"""
OLD_METRICS = """{
  "train_error": 0.42039163449803474, "train_accuracy": 0.817,
  "validation_error": 0.43416687182794556, "validation_accuracy": 0.8,
  "test_error": 0.42936252114571033, "test_accuracy": 0.7942,
  "weights_sha256": "ebf6a5840e35c96db0737370bf9e523cdf7a0522d11a06e747ebb00c2c9f03d6"
}"""
OLD_HISTORY = """[
  {
    "train_error": 0.8547427598261383, "train_accuracy": 0.332,
    "validation_error": 0.6724475820595501, "validation_accuracy": 0.595
  },
  {"train_error": 0.683891078814561, "train_accuracy": 0.551}
]"""
OLD_SWEEP = """{
  "name": "small", "base": {"epochs": 10}, "grid": {"learning_rate": [0.005, 0.01], "seed": [1, 2]}, "points": [],
  "select": "validation_accuracy", "ids": ["a10391477902", "2067e5870eba", "9c6b28d83a41", "94f29f4d7bcf"],
  "settings": [["a10391477902", "2067e5870eba"], ["9c6b28d83a41", "94f29f4d7bcf"]]
}"""


def test_the_version_befores_run_is_read_with_parameters_that_are_no_longer_known(tmp_path):
    record = read(tmp_path, RunRecord, OLD_RUN)
    assert (record.status, record.started) == (Status.DONE, datetime(2026, 11, 25, 17, 36, 46, tzinfo=UTC))
    assert record.parameters["relu_grad_at_zero"] == 1
    assert json.loads(storage.json_bytes(record)) == json.loads(OLD_RUN) | {"started": "2026-11-25T17:36:46Z"}


def test_the_version_befores_metrics_and_history_are_read(tmp_path):
    metrics = read(tmp_path, Metrics, OLD_METRICS)
    assert (metrics.of("train"), metrics.of("test")) == ((0.817, 0.42039163449803474), (0.7942, 0.42936252114571033))
    assert json.loads(storage.json_bytes(metrics)) == json.loads(OLD_METRICS)
    history = read(tmp_path, History, OLD_HISTORY)
    assert (history[1].train_accuracy, history[1].validation_accuracy) == (0.551, None)
    assert json.loads(storage.json_bytes(history)) == json.loads(OLD_HISTORY)


def test_the_version_befores_sweep_is_read_and_written_with_configurations(tmp_path):
    sweep = read(tmp_path, SweepRecord, OLD_SWEEP)
    written = json.loads(storage.json_bytes(sweep))
    expected = json.loads(OLD_SWEEP)
    expected["configurations"] = expected.pop("settings")
    assert written == expected
    assert read(tmp_path, SweepRecord, written) == sweep
