import re

import pytest

from pipeline import storage
from pipeline.errors import InvalidParameter
from pipeline.provenance import inputs_of
from pipeline.records import RunRecord, SweepRecord
from pipeline.run_folder import SweepFolder
from pipeline.sweeps import definition
from tests.sweeps.conftest import QUICK, write


def points_in(path):
    return definition.points_of(definition.read(path), SweepFolder(path.parent))


def points(tmp_path, **entries):
    return points_in(write(tmp_path / "sweep.yaml", **entries))


def test_a_grid_is_crossed_over_the_base_and_points_are_added_each_once(tmp_path):
    found = points(
        tmp_path,
        grid={"learning_rate": [0.01, 0.02], "seed": [1, 2]},
        points=[{"seed": 2, "learning_rate": 0.02}, {"epochs": 9}],
    )
    chosen = [(p.parameters.learning_rate, p.parameters.seed, p.parameters.epochs) for p in found]
    assert chosen == [(0.01, 1, 2), (0.01, 2, 2), (0.02, 1, 2), (0.02, 2, 2), (0.005, 1, 9)]
    assert all(p.parameters.hidden_size == 5 for p in found)
    assert len({p.id for p in found}) == 5


def test_the_seed_alone_is_left_out_of_a_configuration(tmp_path):
    added = {"learning_rate": 0.01, "epochs": 9}
    found = points(tmp_path, grid={"learning_rate": [0.01, 0.02], "seed": [1, 2]}, points=[added])
    groups = definition.configurations(found)
    assert [
        [(p.parameters.learning_rate, p.parameters.epochs) for p in group] for group in groups
    ] == [
        [(0.01, 2), (0.01, 2)],
        [(0.02, 2), (0.02, 2)],
        [(0.01, 9)],
    ]


def test_a_point_is_labelled_by_what_the_sweep_varies(tmp_path):
    found = points(tmp_path, grid={"learning_rate": [0.01], "seed": [1]}, points=[{"epochs": 9}])
    assert [p.label for p in found] == [
        "learning_rate 0.01, seed 1, epochs 2",
        "learning_rate 0.005, seed 1, epochs 9",
    ]
    (only,) = points(tmp_path)
    assert only.label == "the base"


def test_the_id_of_a_point_follows_from_its_parameters_alone(tmp_path):
    (first,) = points(tmp_path, grid={"seed": [3]})
    (same,) = points(tmp_path, name="other", base={"seed": 3} | QUICK)
    (other,) = points(tmp_path, grid={"seed": [4]})
    assert first.id == same.id != other.id
    assert re.fullmatch("[0-9a-f]{12}", first.id)


def test_numbers_are_numbers_however_they_are_written(tmp_path):
    (tmp_path / "sweep.yaml").write_text(
        'name: a\ngrid: {learning_rate: [1e-3, 2.0E-3, "0.003"], seed: ["4"]}'
    )
    found = points_in(tmp_path / "sweep.yaml")
    assert [(p.parameters.learning_rate, p.parameters.seed) for p in found] == [
        (0.001, 4),
        (0.002, 4),
        (0.003, 4),
    ]


def test_every_wrong_entry_is_reported_before_anything_starts(tmp_path, pipeline):
    file = write(
        tmp_path / "s.yaml",
        grid={"learning_rte": [1], "epochs": [0, 3, "many"]},
        points=[{"dropout_rate": 1}],
    )
    refused = pipeline("sweep", file, "--sweep-dir", tmp_path / "out")
    assert refused.returncode == 2
    for part in (
        "learning_rte",
        "Did you mean learning_rate?",
        "epochs is '0'",
        "epochs is 'many'",
        "dropout_rate is '1'",
    ):
        assert part in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            "name: a\ngrid: {seed: [1}",
            "while parsing a flow sequence (line 2, column 14), expected ',' or ']', but got '}' (line 2, column 16)",
        ),
        (
            "name: 'a\ngrid: 1",
            "while scanning a quoted scalar (line 1, column 7), found unexpected end of stream",
        ),
        (
            "name: a\n--- 1",
            "expected a single document in the stream (line 1, column 1), but found another document",
        ),
        ("name: \x01", "unacceptable character #x0001: special characters are not allowed"),
        (
            "name: a\n\tgrid: 1",
            "found character '\\t' that cannot start any token (line 2, column 1)",
        ),
    ],
)
def test_where_yaml_is_not_well_formed_is_said(tmp_path, content, problem):
    (tmp_path / "s.yaml").write_text(content)
    with pytest.raises(InvalidParameter, match=re.escape(problem)):
        definition.read(tmp_path / "s.yaml")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"select": "test_accuracy"}, "A test metric must not be used to choose"),
        (
            {"select": "validation"},
            "select: It is 'validation', but must be 'validation_accuracy', 'validation_error', ",
        ),
        ({"grit": {}}, "grit: There is no such entry. Did you mean grid?"),
        ({"name": "a/b"}, "name: It is 'a/b', but may have letters, digits, - and _ only"),
        ({"grid": {"seed": 3}}, "grid.seed: It must be a list, such as [1, 2]."),
        ({"points": {"seed": 3}}, "points: It must be a list of maps, such as [{epochs: 20}]."),
        ({"grid": {"seed": []}}, "grid.seed: It is empty, but must have one value at least."),
        ({"points": [{"run_dir": "x"}]}, "run_dir cannot be set in a sweep"),
        ({"base": {"num_validation": 0}}, "select is validation_accuracy, but num_validation is 0"),
    ],
)
def test_a_wrong_definition_is_refused(tmp_path, entries, message):
    with pytest.raises(InvalidParameter, match=re.escape(message)):
        points(tmp_path, **entries)


@pytest.mark.parametrize(
    "path", sorted((storage.NOTEBOOKS / "sweeps").glob("*.yaml")), ids=lambda path: path.stem
)
def test_the_committed_definitions_are_sweeps(path):
    sweep = definition.read(path)
    assert sweep.name == path.stem
    assert definition.points_of(sweep, SweepFolder("runs/none"))


def test_the_readmes_example_is_a_sweep(tmp_path):
    (example,) = re.findall(r"```yaml\n(.*?)```", (storage.ROOT / "README.md").read_text(), re.S)
    (tmp_path / "s.yaml").write_text(example)
    found = points_in(tmp_path / "s.yaml")
    assert len(found) == 9
    assert found[-1].parameters.dropout_rate == 0.2
    assert {point.parameters.epochs for point in found} == {20}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name: a\ngrid: {seed: [1], epochs: [1], seed: [2]}", 'found duplicate key "seed"'),
        ("name: a\nname: b", 'found duplicate key "name"'),
        ("", "the file: It must consist of entries"),
        ("- name: a", "the file: It must consist of entries"),
        ("name: a\n1: 2", "1: It is 1, but must be text; quote it"),
    ],
)
def test_a_key_given_twice_and_a_file_without_entries_are_refused(tmp_path, content, message):
    (tmp_path / "s.yaml").write_text(content)
    with pytest.raises(InvalidParameter, match=message) as refused:
        definition.read(tmp_path / "s.yaml")
    assert str(refused.value).startswith(str(tmp_path / "s.yaml"))
    assert "suppress" not in str(refused.value)  # which is ruamel.yaml's advice to programmers


def test_the_record_of_the_largest_sweep_can_be_read_again(tmp_path):
    ids = [f"{number:012x}" for number in range(definition.MOST_POINTS)]
    record = SweepRecord(name="a" * 100, ids=ids, configurations=[[one] for one in ids])
    (tmp_path / "sweep.json").write_bytes(storage.json_bytes(record))
    assert SweepFolder(tmp_path).read_record().ids == ids


def test_a_file_that_is_no_yaml_or_not_there_is_refused(tmp_path, pipeline):
    (tmp_path / "s.yaml").write_text("name: [")
    for name, problem in (
        ("s.yaml", "cannot be read as a YAML file"),
        ("none.yaml", "is not there"),
    ):
        refused = pipeline("sweep", tmp_path / name)
        assert refused.returncode == 2
        assert f"{name} {problem}" in refused.stderr


def test_what_a_points_folder_has_of_another_point_is_no_result(tmp_path):
    first, second = definition.points_of(
        definition.read(write(tmp_path / "s.yaml", grid={"seed": [1, 2]})), SweepFolder(tmp_path)
    )
    record = RunRecord.begin(second.parameters.model_dump(), inputs_of(second.parameters, []))
    for point in (first, second):
        point.folder.write_record(record)
    assert (first.result.record, second.result.record) == (None, record)
