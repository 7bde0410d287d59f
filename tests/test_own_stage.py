"""What somebody changes or adds after training is kept, and trains nothing again."""

import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from pipeline.errors import InvalidInput
from pipeline.results import provenance
from pipeline.results.run_folder import RunFolder
from tests.commands import make_options

OPTIONS = make_options({"num_samples": 40, "num_validation": 20, "epochs": 1})
RUN = ["run", "--run-dir", "runs/own", *OPTIONS]
EVALUATION = "notebooks/03_evaluate.ipynb"


def run(project, *more):
    """Make the run, and return the stages that were executed."""
    code, output = project.run(*RUN, *more)
    assert code == 0, output
    return re.findall(r"^(\w+)  [\d.]+ s$", output, re.M)


def replace(project, name, old, new):
    text = (project.path / name).read_text()
    assert text.count(old) == 1
    project.write(name, text.replace(old, new))


def test_a_change_after_training_executes_the_stages_after_training(project):
    everything = ["01_prepare", "02_train", "03_evaluate"]
    assert run(project) == everything
    replace(project, EVALUATION, "You show the trained", "prose")
    replace(project, EVALUATION, "x, y = data", "# a comment\\nx, y = data")
    project.append("pipeline/reports/plots.py", "\nADDED = 1")
    assert run(project) == []
    original = (project.path / EVALUATION).read_text()
    project.add_cell(EVALUATION, "1 / 0")
    code, output = project.run(*RUN)
    assert code == 1
    assert "02_train  unchanged\n" in output
    project.write(EVALUATION, original)
    project.append("pipeline/statistics.py", "\nADDED = 1")
    assert run(project) == ["03_evaluate"]
    (project.path / "runs/own/model.npz").write_bytes(b"altered")
    assert run(project) == everything


@pytest.mark.parametrize("name", ["helpers.py", "pipeline"])
def test_a_module_that_hides_the_projects_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.setattr(provenance, "NOTEBOOKS", tmp_path)
    (tmp_path / name).touch()
    with pytest.raises(InvalidInput, match=f"{name} would be imported"):
        provenance.check_helpers()


CALIBRATE = """\
folder = StageFolder.open(globals())
folder.write("calibration.json", str(folder.read_metrics().test_images))
folder.write("curve.bin", b"{}")"""


def add_stage(project, source=CALIBRATE):
    """Add a fourth stage with a cell for the report, and two metrics."""
    stage = 'Stage("04_calibrate", ("calibration.json", "curve.bin"))'
    stages = "pipeline/results/stages.py"
    replace(project, stages, "TRAINING, EVALUATION)", f"TRAINING, EVALUATION, {stage})")
    tagged = {"tags": ["parameters"]}
    cells = [
        new_markdown_cell("# Calibrate\n\n## How sure it is"),
        new_code_cell("from pipeline.results.stage_folder import StageFolder"),
        new_code_cell('# Parameters\nrun_dir: str = "runs/lab"  # it', metadata=tagged),
        new_code_cell(source),
        new_code_cell("print('my table')", metadata={"tags": ["report"]}),
    ]
    path = project.path / "notebooks/04_calibrate.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    metrics = "metrics | {'balanced_accuracy': 0.5, 'calibration': 1.23456}"
    replace(project, EVALUATION, "(model, metrics, ", f"(model, {metrics}, ")


def test_a_stage_and_metrics_that_somebody_adds_are_kept_by_runs(project):
    add_stage(project)
    assert run(project)[-1] == "04_calibrate"
    page = RunFolder(project.path / "runs/own").report_path.read_text()
    heading = page.index("<h2>How sure it is</h2>")
    assert page.index("The most confident mistakes</h2>") < heading
    assert heading < page.index("my table")
    assert ">balanced accuracy</th>\n<td>50.00 %</td>" in page
    assert ">calibration</th>\n<td>1.235</td>" in page
    project.add_cell("notebooks/04_calibrate.ipynb", "1")
    assert run(project) == ["03_evaluate", "04_calibrate"]
    code, output = project.run("verify", "runs/own")
    assert code == 0, output
    assert re.search(r"curve\.bin .* equal\n", output)
    assert re.search(r"balanced_accuracy +0.5  equal\n", output)


def test_a_stage_and_metrics_that_somebody_adds_are_kept_by_sweeps(project):
    add_stage(project)
    base = "{num_samples: 40, num_validation: 20, epochs: 1}"
    (project.path / "s.yaml").write_text(f"name: s\nbase: {base}")
    code, output = project.run("sweep", "s.yaml")
    assert code == 0, output
    sweep = project.path / "runs/sweeps/s"
    assert len([*sweep.glob("*/curve.bin")]) == 1
    header, row = (sweep / "results.csv").read_text().splitlines()
    assert header.endswith(",balanced_accuracy,calibration")
    assert row.endswith(",0.5,1.23456")
    replace(project, EVALUATION, ", 'calibration': 1.23456", "")
    code, output = project.run("verify", sweep)
    assert code == 1
    assert re.search(r"calibration +1.23456  NOT equal: not measured\n", output)


def test_a_file_or_a_cell_that_is_missing_fails_the_run(project):
    add_stage(project, CALIBRATE.rpartition("\n")[0])
    code, output = project.run(*RUN)
    assert code == 1
    assert "04_calibrate ended without curve.bin" in output
    assert not (project.path / "runs/own/metrics.json").exists()
    replace(project, EVALUATION, '"id": "baselines"', '"id": "renamed"')
    code, output = project.run(*RUN)
    assert code == 2
    assert "the cell 'baselines' with the tag report" in output
