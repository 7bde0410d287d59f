import json

import pytest
from pydantic import ValidationError

from pipeline import records
from pipeline.errors import InvalidFile
from pipeline.parameters import Parameters
from pipeline.records import Metrics, RunRecord
from pipeline.sweep_records import SweepRecord
from tests.conftest import EPOCH

METRICS = EPOCH | {"test_error": 0.75, "test_accuracy": 0.125, "test_images": 8}
METRICS |= {"weights_sha256": "0" * 64}
RUN = {"status": "done", "started": "2026-01-02T03:04:05Z", "parameters": {}}
RUN |= {"inputs": {}}
SWEEP = {"name": "s", "inputs": {}, "select": "test_error"}
DAMAGED = [  # a kind of file, its content, and the field that is wrong
    (Metrics, METRICS | {"test_error": float("nan")}, ""),  # NaN is no JSON
    (Metrics, METRICS | {"test_accuracy": 1.5}, "(test_accuracy: "),
    (Metrics, EPOCH, "(weights_sha256: "),
    (RunRecord, RUN | {"status": "well"}, "(status: "),
    (RunRecord, RUN | {"parameters": {"epochs": 0}}, "(parameters.epochs: "),
    (SweepRecord, SWEEP, "(select: "),
    (records.HISTORY, [], ""),
    (RunRecord, '{"status": "do', "("),
]


def read(tmp_path, kind, content):
    path = tmp_path / "record.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return records.read_record(path, kind, "Do this.")


@pytest.mark.parametrize(("kind", "content", "field"), DAMAGED)
def test_a_damaged_file_is_refused_with_the_field(tmp_path, kind, content, field):
    with pytest.raises(InvalidFile) as caught:
        read(tmp_path, kind, content)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'record.json'} is damaged {field}".rstrip())
    assert message.endswith(" Do this.")


def test_a_record_comes_back_as_written_without_the_fields_that_are_none(tmp_path):
    record = RunRecord(parameters=Parameters(seed=2), inputs={"code a": "0"})
    content = records.to_json(record).decode()
    assert "null" not in content
    later = content.replace("{", '{"unheard_of": 1,', 1)
    assert read(tmp_path, RunRecord, later) == record
    with pytest.raises(ValidationError):
        record.replace(duration_s=-1)
