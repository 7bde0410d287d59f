"""The records are what the script makes, and the script notices what is not."""

import pandas as pd
import pytest

from notebooks.records import make_records
from pipeline.images.data import load_source

SAMPLE = load_source("sample")
FAST = "slip", "placement", "hundreds", "levels", "class"  # a row of dropout takes seconds


@pytest.mark.parametrize("name", FAST)
def test_a_row_of_the_sample_is_trained_to_what_is_recorded(name, capsys):
    make_records.check_record(name, 1, 0, SAMPLE)
    assert "1 rows are equal" in capsys.readouterr().out


def test_every_record_has_rows_that_need_no_more_than_the_sample():
    for list_rows, _ in make_records.RECORDS.values():
        assert any(map(make_records.is_in_sample, list_rows()))


@pytest.mark.parametrize("column", ["test", "block"])
def test_a_changed_record_is_noticed(tmp_path, monkeypatch, column):
    record = pd.read_csv(make_records.FOLDER / "placement.csv")
    record[column] += 1
    record.to_csv(tmp_path / "placement.csv", index=False)
    monkeypatch.setattr(make_records, "FOLDER", tmp_path)
    with pytest.raises(SystemExit, match="placement"):
        make_records.check_record("placement", 1, 0, SAMPLE)
