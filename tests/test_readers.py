"""Whatever bytes a file holds, a reader gives a typed value or InvalidRecord."""

import json
import os
import random

import nbformat
import numpy as np
import pytest

from pipeline import readers, storage
from pipeline.errors import InvalidRecord, PipelineError
from pipeline.records import Epoch, History, Inputs, Metrics, RunRecord, SweepRecord
from pipeline.run_folder import DATA, MODEL, Model, RunFolder
from pipeline.sweeps import definition
from tests.conftest import write_small_source


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is damaged: Invalid JSON"),
        (b'{"train_error": 0.5, "train_acc', "is damaged: Invalid JSON"),
        (b"\xff", "is damaged: "),
        (b'{"train_error": 0.5}', "is damaged: train_accuracy: Field required"),
        (b'{"train_error": 0.5, "train_accuracy": "good"}', "is damaged: train_accuracy: "),
    ],
)
def test_a_damaged_record_is_refused_with_the_next_step(tmp_path, content, problem):
    path = tmp_path / "record.json"
    path.write_bytes(content)
    with pytest.raises(InvalidRecord) as caught:
        readers.read_record(path, Epoch, "Do this next.")
    assert str(caught.value).startswith(f"{path} {problem}")
    assert str(caught.value).endswith(". Do this next.")
    assert "\n" not in str(caught.value)


def test_a_record_that_is_missing_or_no_file_is_refused_with_the_next_step(tmp_path):
    with pytest.raises(InvalidRecord, match="none.json is not there. Do this next."):
        readers.read_record(tmp_path / "none.json", Epoch, "Do this next.")
    with pytest.raises(InvalidRecord, match="cannot be read: Is a directory. Do this next."):
        readers.read_record(tmp_path, Epoch, "Do this next.")
