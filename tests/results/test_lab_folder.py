"""What a notebook records if no command executes it."""

from dataclasses import replace

import pytest

import helpers
from pipeline.errors import InvalidInput
from pipeline.images import data
from pipeline.paths import NOTEBOOKS
from pipeline.records import RunRecord, Status
from pipeline.results import provenance, stage_folder
from pipeline.results.provenance import digest_cells, digest_executed_cells
from pipeline.results.run_folder import RunFolder
from pipeline.results.stage_folder import LabFolder, StageFolder
from pipeline.results.stages import STAGES, TRAINING
from tests.conftest import VALIDATED
from tests.results.test_run_folder import ANSWERS, TESTED, WEIGHTS, read_all


@pytest.fixture
def images(small_source):
    return data.split_source(str(small_source[0]), 40, 10)


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


def read_cells(stage):
    return provenance.list_code_cells(stage.notebook.read_bytes())


def store(stage, path, images, values, cells=None):
    """Store what a stage may compute."""
    folder = LabFolder(path, values, read_cells(stage) if cells is None else cells)
    if stage.name == "01_prepare":
        folder.write_data(images)
    elif stage.name == "02_train":
        folder.write_model(WEIGHTS, 127.5, [VALIDATED], folder.read_data())
    else:
        folder.write_metrics(folder.read_model(), VALIDATED | TESTED, ANSWERS)
    return folder.read_record()


def store_all(path, images):
    source = {"source": images.source, "num_samples": 40, "num_validation": 10}
    values = source, {"hidden_size": 3, "normalisation": 127.5}, {}
    records = []
    for stage, each in zip(STAGES, values, strict=True):
        records.append(store(stage, path, images, each))
    return records


def test_three_notebooks_alone_have_the_record_of_a_command(images, run):
    records = store_all(run, images)
    assert [r.status for r in records] == [Status.RUNNING, Status.RUNNING, Status.DONE]
    record = records[-1]
    assert record.inputs == provenance.collect_inputs(images)
    values = record.parameters
    assert (values.source, values.hidden_size) == (images.source, 3)
    assert RunFolder(run).read_evaluated() == record
    assert provenance.describe_making(record) == "made by notebooks alone"


def test_a_stage_keeps_what_earlier_ones_recorded_and_drops_the_rest(images, run):
    first, *_, last = store_all(run, images)
    again = store(TRAINING, run, images, {"hidden_size": 4})
    assert again.outputs.keys() == {"data.npz", "model.npz", "history.json"}
    assert first.inputs.items() <= again.inputs.items()
    assert not [name for name in again.inputs if name.startswith("tests ")]
    assert last.parameters.hidden_size == 3 != again.parameters.hidden_size


def test_a_stage_without_its_earlier_stage_or_after_a_change_stores_nothing(
    images, run, monkeypatch
):
    StageFolder(run).write_data(images)
    (run / ".digits.lock").touch()
    with pytest.raises(InvalidInput, match=r"data\.npz .* Begin with 01_prepare"):
        store(TRAINING, run, images, {})
    first, *_ = store_all(run, images)
    changed = first.inputs | {"version numpy": "1.0"}
    RunFolder(run).write_record(first.replace(inputs=changed))
    before = read_all(RunFolder(run))
    with pytest.raises(InvalidInput, match=r"version numpy .* Begin with 01_prepare"):
        store(TRAINING, run, images, {"seed": 5})
    monkeypatch.setitem(stage_folder._imported, "helpers.py", "0" * 64)
    with pytest.raises(InvalidInput, match=r"helpers\.py .* Restart the kernel"):
        store(TRAINING, run, images, {})
    monkeypatch.setattr(helpers, "__file__", __file__)
    with pytest.raises(InvalidInput, match=f"helpers.py .* from {__file__}"):
        stage_folder.check_imported_code()
    assert read_all(RunFolder(run)) == before


def test_a_notebook_alone_leaves_a_run_of_a_command_as_it_is(images, run, capsys):
    *_, record = store_all(run, images)
    command = RunRecord(**dict(record) | {"made_by": None})
    RunFolder(run).write_record(command)
    before = read_all(RunFolder(run))
    other = replace(images, y_train=images.y_train[::-1].copy())
    store(STAGES[0], run, other, {})
    assert "data.npz not stored, because" in capsys.readouterr().out
    assert read_all(RunFolder(run)) == before


def test_a_notebook_alone_replaces_no_file_of_somebody_else(images, run):
    (run / "01_prepare.ipynb").touch()  # papermill writes it first
    (run / "mine.txt").touch()
    with pytest.raises(InvalidInput, match=r"it holds mine\.txt"):
        store(STAGES[0], run, images, {})
    assert len(list(run.iterdir())) == 2


INJECTED = "# Parameters\nepochs = 3\n"


@pytest.mark.parametrize(
    ("change", "is_same"),
    [
        (lambda cells: cells, True),
        (lambda cells: cells[:-1], True),
        (lambda cells: [*cells[:2], INJECTED, *cells[2:]], True),
        (lambda cells: [*cells, *cells], True),  # Run All, twice
        (
            lambda cells: [
                c.replace("epochs: int = 100", "epochs: int = 3") for c in cells
            ],
            True,
        ),
        (lambda cells: [*cells[:3], "x = 1", *cells[3:]], False),
        (lambda cells: [c.replace("rate *=", "rate +=") for c in cells], False),
    ],
)
def test_cells_in_another_order_or_edited_are_another_notebook(change, is_same):
    notebook = NOTEBOOKS / "02_train.ipynb"
    executed = change(read_cells(TRAINING))
    digest = digest_executed_cells(executed, notebook)
    assert (digest == digest_cells(notebook)) == is_same


def test_after_a_refused_value_no_cell_can_store_anything():
    names = {"In": ["", "# Parameters\nseed: int = -1", ""], "seed": -1, "folder": 1}
    with pytest.raises(InvalidInput, match="seed"):
        StageFolder.open(names)
    assert "folder" not in names
