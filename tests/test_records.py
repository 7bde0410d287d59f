import json

import pytest
from pydantic import ValidationError

from pipeline import errors, records
from pipeline.errors import InvalidRecord
from pipeline.records import Epoch, Inputs, Metrics, RunRecord, Status, SweepRecord
from tests.conftest import EPOCH

METRICS = EPOCH | {"test_error": 0.75, "test_accuracy": 0.125, "test_images": 8}
METRICS |= {"weights_sha256": "0" * 64}
INPUTS = {"data": "", "notebooks": {}, "code": {}, "versions": {}}
RUN = {"status": "done", "started": "2026-01-02T03:04:05Z", "parameters": {}, "inputs": INPUTS}
SWEEP = {"name": "s", "ids": {"a": {"seed": 1}}}
KINDS = [(Epoch, EPOCH), (Metrics, METRICS), (RunRecord, RUN), (SweepRecord, SWEEP)]


def read(tmp_path, kind, content):
    path = tmp_path / "record.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return records.read_record(path, kind, "Do this.")


@pytest.mark.parametrize(("kind", "fields"), KINDS)
def test_an_unknown_field_is_refused_in_a_new_record_and_ignored_in_a_file(tmp_path, kind, fields):
    with pytest.raises(ValidationError, match="unheard_of\n  Extra inputs are not permitted"):
        kind(**fields, unheard_of=1)
    assert read(tmp_path, kind, fields | {"unheard_of": 1}) == kind(**fields)


@pytest.mark.parametrize(
    ("kind", "content", "problem"),
    [
        (Metrics, METRICS | {"test_error": float("nan")}, "is damaged"),  # NaN is no JSON
        (Metrics, METRICS | {"test_accuracy": 1.5}, "is damaged (test_accuracy: Input should be"),
        (Metrics, METRICS | {"weights_sha256": "0" * 63}, "is damaged (weights_sha256: String"),
        (Metrics, EPOCH, "is damaged (weights_sha256: Field required)"),
        (RunRecord, RUN | {"outputs": {"/etc/passwd": "0" * 64}}, "is damaged (outputs."),
        (RunRecord, RUN | {"started": "2026-01-02T03:04:05"}, "is damaged (started: "),
        (
            RunRecord,
            RUN | {"status": "well"},
            "is damaged (status: Input should be 'running', 'done'",
        ),
        (SweepRecord, SWEEP | {"select": "test_accuracy"}, "is damaged (select: "),
        (records.HISTORY, [], "is damaged"),
        (RunRecord, '{"status": "do', "is damaged (Invalid JSON"),
    ],
)
def test_a_damaged_file_is_refused_with_the_field_and_the_next_step(
    tmp_path, kind, content, problem
):
    with pytest.raises(InvalidRecord) as caught:
        read(tmp_path, kind, content)
    assert str(caught.value).startswith(f"{tmp_path / 'record.json'} {problem}")
    assert str(caught.value).endswith(" Do this.")


def test_a_missing_file_is_refused_with_the_next_step(tmp_path):
    with pytest.raises(InvalidRecord, match=r"none\.json is missing\. Do this\.$"):
        records.read_record(tmp_path / "none.json", Metrics, "Do this.")


def test_a_record_comes_back_as_written_without_the_fields_that_are_none(tmp_path):
    record = RunRecord(parameters={"seed": 1}, inputs=Inputs(**INPUTS))
    content = records.to_json(record).decode()
    assert "null" not in content
    assert read(tmp_path, RunRecord, content) == record
    with pytest.raises(ValidationError):
        record.replace(duration_s=-1)


STATUS = {
    errors.Diverged("x"): "diverged",
    errors.CellTimedOut("x"): "timed out",
    errors.ProcessDied("x"): "died",
    errors.CellFailed("x"): "failed",
    KeyboardInterrupt(): "interrupted",
    OSError(): "failed",
}


@pytest.mark.parametrize(("error", "status"), STATUS.items(), ids=repr)
def test_the_status_of_a_run_follows_from_its_error(error, status):
    assert Status.of(error) is Status(status)
    assert set(Status) == {"running", "done", *STATUS.values()}
