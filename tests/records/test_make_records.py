"""The records are what the script makes, and the script notices what is not."""

import pandas as pd
import pytest

import helpers
from notebooks.records import make_records
from pipeline.images.data import load_source
from pipeline.network import compiled
from pipeline.paths import NOTEBOOKS
from pipeline.sweeps.definition import read_definition

SAMPLE = load_source("sample")
# A row of dropout takes seconds.
FAST = "slip", "placement", "hundreds", "levels", "class"


@pytest.mark.parametrize("name", FAST)
def test_a_row_of_the_sample_is_trained_to_what_is_recorded(name, capsys):
    make_records.check_record(name, 1, 0, SAMPLE)
    assert "1 rows are equal" in capsys.readouterr().out


def test_a_point_of_the_sweep_dose_is_a_row_of_the_record():
    images, labels = SAMPLE.x_train[:1000], SAMPLE.y_train[:1000]
    rng, _ = helpers.generators(1)
    weights = helpers.initial_weights(rng, 40)
    for _ in range(100):
        compiled.train_epoch(images, labels, weights, rng, relu_grad_inactive=0.5)
    _, accuracy = compiled.evaluate(SAMPLE.x_test, SAMPLE.y_test, weights)
    record = pd.read_csv(make_records.FOLDER / "slip.csv")
    row = record.query("network == '0.5' and dropout_rate == 0.5 and block == 1")
    assert row["test_100"].item() == round(accuracy * 10_000)
    slopes = read_definition(NOTEBOOKS / "sweeps" / "dose.yaml").grid[
        "relu_grad_inactive"
    ]
    assert slopes == [0, 0.1, 0.2, 0.5, 0.7, 1]  # as in the picture of README


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
