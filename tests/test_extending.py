"""CONTRIBUTING's table of places is complete: a copy is extended by it."""

import json

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from pipeline.run_folder import RunFolder
from tests.test_own_network import Project, make_options

OPTIONS = {"num_samples": 60, "num_validation": 20, "epochs": 2, "hidden_size": 5}


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def replace(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1, (path, old)
    path.write_text(text.replace(old, new))


def test_a_stage_is_a_line_of_the_table_and_its_notebook(project):
    stages = project.path / "pipeline" / "stages.py"
    line = 'EVALUATION = Stage("03_evaluate", ("metrics.json",))\n'
    replace(stages, line, f'{line}COUNTING = Stage("04_count", ("count.json",))\n')
    old = "STAGES = (PREPARATION, TRAINING, EVALUATION)"
    replace(stages, old, "STAGES = (PREPARATION, TRAINING, EVALUATION, COUNTING)")
    imports = "import json\nfrom pipeline.run_folder import RunFolder"
    parameters = new_code_cell('# Parameters\nrun_dir: str = "runs/default"  # where')
    parameters.metadata.tags = ["parameters"]
    count = (
        "folder = RunFolder.open(globals())\n"
        "count = sum(matrix.size for matrix in folder.read_model().weights)\n"
        "_ = (folder.path / 'count.json').write_text(json.dumps(count))"
    )
    cells = [new_markdown_cell("# Count the weights"), new_code_cell(imports)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    node = new_notebook(
        cells=[*cells, parameters, new_code_cell(count)],
        metadata={"kernelspec": kernel},
    )
    nbformat.write(node, project.path / "notebooks" / "04_count.ipynb")
    code, output = project.give("run", *make_options(OPTIONS))
    assert code == 0, output
    folder = RunFolder(project.path / "runs" / "default")
    assert json.loads((folder.path / "count.json").read_text()) == (784 + 10) * 5
    record = folder.read_record()
    assert {"count.json", "04_count.ipynb"} <= record.outputs.keys()
    assert "04_count" in record.inputs.notebooks
    assert "Count the weights" in folder.report_path.read_text()
    assert (
        "nothing that it depends on has changed"
        in project.give("run", *make_options(OPTIONS))[1]
    )
    (folder.path / "count.json").write_text("0")
    output = project.give("run", *make_options(OPTIONS))[1]
    assert "because of\n  count.json, which has been removed or altered" in output


def test_a_parameter_stands_in_three_places(project):
    """Weight decay: its definition, the cell that declares it, and helpers.py."""
    field = "    seed: Seed = Field(\n"
    parameters = project.path / "pipeline" / "parameters.py"
    if field not in parameters.read_text():
        field = "    seed: Seed = Field("
    new = (
        '    weight_decay: Rate = Field(0.0, description="part of each weight lost")\n'
    )
    replace(parameters, field, new + field)
    notebook = project.path / "notebooks" / "02_train.ipynb"
    node = nbformat.read(notebook, 4)
    for cell in node.cells:
        cell.source = cell.source.replace(
            "seed: int = 1 ", "weight_decay: float = 0.0  # part lost\nseed: int = 1 "
        ).replace(
            'options |= {"relu_grad_inactive": relu_grad_inactive}',
            'options |= {"relu_grad_inactive": relu_grad_inactive}\n'
            'options |= {"weight_decay": weight_decay}',
        )
    nbformat.write(node, notebook)
    helpers = project.path / "helpers.py"
    old = "    relu_grad_inactive: float = 1,\n    batch_size: int = 1,\n"
    replace(helpers, old, f"{old}    weight_decay: float = 0,\n")
    step = "matrix -= learning_rate * gradient"
    replace(helpers, step, f"{step} + weight_decay * matrix")
    digests = []
    for decay in (0, 0.01):
        options = make_options(OPTIONS | {"weight_decay": decay})
        folder = RunFolder(project.path / "runs" / str(decay))
        code, output = project.give("run", "--run-dir", folder.path, *options)
        assert code == 0, output
        digests.append(folder.read_metrics().weights_sha256)
    assert digests[0] != digests[1]
    assert "weight_decay 0.01" in output
