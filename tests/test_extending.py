"""CONTRIBUTING's table of places is complete: a copy is extended by it."""

import json

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from pipeline.results.run_folder import RunFolder
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
    stages = project.path / "pipeline/results/stages.py"
    line = 'EVALUATION = Stage("03_evaluate", ("answers.npz", "metrics.json"))\n'
    replace(stages, line, f'{line}COUNTING = Stage("04_count", ("count.json",))\n')
    old = "STAGES = (PREPARATION, TRAINING, EVALUATION)"
    replace(stages, old, "STAGES = (PREPARATION, TRAINING, EVALUATION, COUNTING)")
    imports = "import json\nfrom pipeline.results.run_folder import RunFolder"
    parameters = new_code_cell('# Parameters\nrun_dir: str = "runs/default"  # where')
    parameters.metadata.tags = ["parameters"]
    count = (
        "folder = RunFolder.open(globals(), '04_count')\n"
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


def test_a_metric_stands_in_two_records_and_the_cell_that_measures_it(project):
    """The share of validation images whose label has one of the two largest scores."""
    records = project.path / "pipeline" / "records.py"
    field = "    validation_accuracy: Accuracy | None = None\n"
    name = "validation_top2_accuracy"
    replace(records, field, f"{field}    {name}: Accuracy | None = None\n")
    selection = '"validation_error", "validation_accuracy"\n'
    replace(records, selection, f'{selection.strip()}, "{name}"\n')
    notebook = project.path / "notebooks" / "02_train.ipynb"
    node = nbformat.read(notebook, 4)
    (loop,) = [cell for cell in node.cells if cell.id == "loop"]
    line = "    check_finite(metrics, epoch, rate)\n"
    assert loop.source.count(line) == 1
    measure = """\
    scores = predict(data.x_validation, weights, normalisation)
    two = scores.argsort(axis=1)[:, -2:] == data.y_validation[:, None]
    metrics["validation_top2_accuracy"] = two.any(axis=1).mean()
"""
    loop.source = loop.source.replace(line, measure + line)
    (imports,) = [cell for cell in node.cells if cell.id == "imports"]
    imports.source = imports.source.replace(
        "import evaluate, find_note,", "import evaluate, find_note, predict,"
    )
    nbformat.write(node, notebook)
    code, output = project.give("run", *make_options(OPTIONS))
    assert code == 0, output
    metrics = RunFolder(project.path / "runs" / "default").read_metrics()
    assert metrics.validation_accuracy is not None
    file = project.path / "runs" / "default" / "metrics.json"
    found = json.loads(file.read_text())
    assert found["validation_accuracy"] <= found[name] <= 1
    sweep = f"name: s\nbase: {json.dumps(OPTIONS)}\nseeds: [1, 2]\nselect: {name}\n"
    (project.path / "s.yaml").write_text(sweep)
    code, output = project.give("sweep", "s.yaml")
    assert code == 0, output
    assert f"\nselected: {name} " in output
    results = (project.path / "runs" / "sweeps" / "s" / "results.csv").read_text()
    assert name in results.splitlines()[0]


def test_a_source_stands_in_two_modules(project):
    """Images with one bright row, whose height tells the class."""
    parameters = project.path / "pipeline" / "parameters.py"
    names = 'NAMED_SOURCES = ("sample", *KERAS_SOURCES)'
    replace(parameters, names, 'NAMED_SOURCES = ("sample", "rows", *KERAS_SOURCES)')
    replace(parameters, "\"'sample', 'mnist',", "\"'sample', 'rows', 'mnist',")
    data = project.path / "pipeline/images/data.py"
    load = '    elif path.suffix.lower() == ".npz":\n        arrays = read'
    replace(
        data,
        load,
        f"""\
    elif source == "rows":
        labels = np.tile(np.arange(10, dtype=np.uint8), 9)
        images = np.zeros((90, 28, 28), np.uint8)
        images[np.arange(90), 2 * labels] = 255
        arrays = dict(zip(SOURCE, [images, labels, images, labels], strict=True))
{load}""",
    )
    digest = "    if path.is_file():\n        return digest_file(path)\n"
    rows = '    if source == "rows":\n        return "rows, first version"\n'
    replace(data, digest, rows + digest)
    options = make_options(OPTIONS | {"source": "rows", "epochs": 20})
    code, output = project.give("run", *options)
    assert code == 0, output
    folder = RunFolder(project.path / "runs" / "default")
    assert folder.read_record().inputs.data == "rows, first version"
    assert folder.read_metrics().test_images == 90
    refused = project.give("run", "-p", "source", "columns")[1]
    assert "'sample', 'rows', 'mnist'" in refused
