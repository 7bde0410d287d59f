import json
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from pipeline import errors, readers
from pipeline.errors import InvalidRecord, PipelineError
from pipeline.records import Epoch, Inputs, Metrics, RunRecord, Status, SweepDefinition, SweepRecord
from tests.conftest import EPOCH

METRICS = EPOCH | {"test_error": 0.75, "test_accuracy": 0.125, "test_images": 8, "weights_sha256": "0" * 64}
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
        (Metrics, METRICS, {"validation_error": 0.5}, ""),  # and no accuracy
        (RunRecord, RUN, {"outputs": {"model.npz": "short"}}, "outputs.model.npz"),
        (RunRecord, RUN, {"started": "2026-01-02T03:04:05"}, "started"),  # of which time zone?
        (SweepRecord, SWEEP, {"ids": ["../a"]}, "ids.0"),  # an id is the name of a folder
        (SweepRecord, SWEEP, {"configurations": [["a/b"]]}, "configurations.0.0"),
        (SweepRecord, SWEEP, {"name": "../s"}, "name"),
        (SweepRecord, SWEEP, {"configurations": [["a", "a"]]}, ""),
        (SweepRecord, SWEEP, {"ids": ["a", "b"]}, ""),
        (RunRecord, RUN, {"outputs": {"/proc/kmsg": "0" * 64}}, "outputs./proc/kmsg.[key]"),
        (RunRecord, RUN, {"outputs": {"..": "0" * 64}}, "outputs....[key]"),
        (RunRecord, RUN, {"outputs": {"x" * 300: "0" * 64}}, f"outputs.{'x' * 300}.[key]"),
        (RunRecord, RUN, {"duration_s": 1e300}, "duration_s"),
        (Metrics, METRICS, {"test_images": 10**154}, "test_images"),
        (SweepRecord, SWEEP, {"select": "test_accuracy"}, "select"),
    ],
)
def test_a_field_of_another_form_is_refused(kind, fields, changed, name):
    with pytest.raises(ValidationError) as caught:
        kind(**fields | changed)
    assert [".".join(map(str, problem["loc"])) for problem in caught.value.errors()] == [name]


def test_a_key_of_another_form_is_named(tmp_path):
    with pytest.raises(InvalidRecord, match="is damaged: /proc/kmsg: String should match pattern"):
        read(tmp_path, RunRecord, RUN | {"outputs": {"/proc/kmsg": "0" * 64}})


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


def test_a_long_error_is_cut_so_that_the_record_can_be_read():
    record = RunRecord.begin({}, Inputs(data="", notebooks={}, code={}, versions={}))
    assert len(record.changed(error="x" * 300_000).error) == 4000
