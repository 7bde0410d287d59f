"""CONTRIBUTING's table of places is complete: a copy is extended by it."""

import json

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from pipeline.results.run_folder import RunFolder
from tests.commands import make_options

pytestmark = pytest.mark.xdist_group("extended")

VALUES = {"num_samples": 60, "num_validation": 20, "epochs": 2, "hidden_size": 5}
NEW_METRIC = "validation_top2_accuracy"
COUNT = """\
folder = RunFolder.open(globals(), '04_count')
count = sum(matrix.size for matrix in folder.read_model().weights)
_ = (folder.path / 'count.json').write_text(json.dumps(count))"""
MEASURE = f"""\
    scores = predict(data.x_validation, weights, normalisation)
    two = scores.argsort(axis=1)[:, -2:] == data.y_validation[:, None]
    metrics["{NEW_METRIC}"] = two.any(axis=1).mean()
"""
ROWS = """\
    elif source == "rows":
        labels = np.tile(np.arange(10, dtype=np.uint8), 9)
        images = np.zeros((90, 28, 28), np.uint8)
        images[np.arange(90), 2 * labels] = 255
        arrays = dict(zip(SOURCE, [images, labels, images, labels], strict=True))
"""
DIGEST = '    if source == "rows":\n        return "rows, first version"\n'
DECAY = '    weight_decay: Rate = Field(0.0, description="part of a weight lost")\n'
# By file: a text that stands there once, and what is added before and after it.
CODE = {
    "pipeline/results/stages.py": [
        ("STAGES = (", 'COUNT = Stage("04_count", ("count.json",))\n', ""),
        (", EVALUATION", "", ", COUNT"),
    ],
    "pipeline/parameters.py": [
        ("    seed: Seed = Field(", DECAY, ""),
        ('NAMED_SOURCES = ("sample"', "", ', "rows"'),
        ("\"'sample'", "", ", 'rows'"),
    ],
    "helpers.py": [
        ("    batch_size: int = 1,\n", "    weight_decay: float = 0,\n", ""),
        ("learning_rate * gradient\n", "weight_decay * matrix + ", ""),
    ],
    "pipeline/records.py": [
        (
            "    validation_accuracy: ",
            f"    {NEW_METRIC}: Accuracy | None = None\n",
            "",
        ),
        (', "validation_accuracy"', f', "{NEW_METRIC}"', ""),
    ],
    "pipeline/images/data.py": [
        ('    elif path.suffix.lower() == ".npz":\n        arrays', ROWS, ""),
        ("    if path.is_file():\n        return digest_file", DIGEST, ""),
    ],
}
# The same in the cells of 02_train, in which some of these stand several times.
CELLS = [
    ("seed: int = 1 ", "weight_decay: float = 0.0  # part lost\n", ""),
    ('"relu_grad_inactive": relu_grad_inactive', "", ', "weight_decay": weight_decay'),
    ("    check_finite(metrics, epoch, rate)\n", MEASURE, ""),
    ("import evaluate, find_note,", "", " predict,"),
]


def write_count(project):
    """Write the notebook of the new stage."""
    parameters = new_code_cell('# Parameters\nrun_dir: str = "runs/default"  # where')
    parameters.metadata.tags = ["parameters"]
    imports = "import json\nfrom pipeline.results.run_folder import RunFolder"
    cells = [new_markdown_cell("# Count the weights"), new_code_cell(imports)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    node = new_notebook(
        cells=[*cells, parameters, new_code_cell(COUNT)],
        metadata={"kernelspec": kernel},
    )
    project.write("notebooks/04_count.ipynb", nbformat.writes(node))


@pytest.fixture(scope="module")
def extended(copied_project):
    """A copy of the project with all four, and a function that makes a run in it."""
    project = copied_project
    for name, changes in CODE.items():
        for text, before, after in changes:
            project.replace(name, text, before + text + after)
    node = nbformat.read(project.path / "notebooks" / "02_train.ipynb", 4)
    for text, before, after in CELLS:
        assert any(text in cell.source for cell in node.cells), text
        for cell in node.cells:
            cell.source = cell.source.replace(text, before + text + after)
    project.write("notebooks/02_train.ipynb", nbformat.writes(node))
    write_count(project)

    def run(name, **values):
        place = ("--run-dir", f"runs/{name}")
        code, output = project.run("run", *place, *make_options(VALUES | values))
        assert code == 0, output
        return RunFolder(project.path / "runs" / name), output

    yield project, run
    project.restore()


def test_a_stage_is_a_line_of_the_table_and_its_notebook(extended):
    _, run = extended
    folder, _ = run("plain")
    assert json.loads((folder.path / "count.json").read_text()) == (784 + 10) * 5
    record = folder.read_record()
    assert {"count.json", "04_count.ipynb"} <= record.outputs.keys()
    assert "04_count" in record.inputs.notebooks
    assert "Count the weights" in folder.report_path.read_text()
    assert "nothing that it depends on has changed" in run("plain")[1]
    (folder.path / "count.json").write_text("0")
    assert "count.json, which has been removed or altered" in run("plain")[1]


def test_a_parameter_stands_in_three_places(extended):
    """Weight decay: its definition, the cell that declares it, and helpers.py."""
    _, run = extended
    without, _ = run("plain")
    decayed, output = run("1", weight_decay=0.01)
    assert "weight_decay 0.01" in output
    digests = {each.read_metrics().weights_sha256 for each in (without, decayed)}
    assert len(digests) == 2


def test_a_metric_stands_in_two_records_and_the_cell_that_measures_it(extended):
    """The share of validation images whose label has one of the two largest scores."""
    project, run = extended
    folder, _ = run("plain")
    found = json.loads(folder.metrics_path.read_text())
    assert 0 < found["validation_accuracy"] <= found[NEW_METRIC] <= 1
    sweep = {"name": "s", "base": VALUES, "seeds": [1, 2], "select": NEW_METRIC}
    (project.path / "s.yaml").write_text(json.dumps(sweep))
    code, output = project.run("sweep", "s.yaml")
    assert code == 0, output
    assert f"\nselected: {NEW_METRIC} " in output
    results = (project.path / "runs" / "sweeps" / "s" / "results.csv").read_text()
    assert NEW_METRIC in results.splitlines()[0]


def test_a_source_stands_in_two_modules(extended):
    """Images with one bright row, whose height tells the class."""
    project, run = extended
    folder, _ = run("rows", source="rows", epochs=20)
    assert folder.read_record().inputs.data == "rows, first version"
    assert folder.read_metrics().test_images == 90
    code, output = project.run("run", "-p", "source", "columns")
    assert code == 2
    assert "'sample', 'rows', 'mnist'" in output
