"""Finished runs side by side."""

import base64
import collections
import itertools
import json
import math
import re
import shutil

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

import helpers
from pipeline import comparison, datasets, notebooks, parameters, plots, provenance, runs, storage
from pipeline.errors import InvalidData, InvalidParameter, InvalidRecord
from pipeline.model import Model
from pipeline.records import Epoch, Metrics, RunRecord, Status
from pipeline.reports import rendering
from pipeline.run_folder import RunFolder
from tests.conftest import write_small_source

SMALL = {"num_samples": 40, "num_validation": 10, "hidden_size": 5, "epochs": 3}


def train(data, chosen):
    """Do what 02_train does."""
    (rng, input_rng), history = helpers.generators(chosen.seed), []
    model = Model(*helpers.initial_weights(rng, chosen.hidden_size), chosen.normalisation)
    names = ("normalisation", "learning_rate", "dropout_rate", "relu_grad_inactive")
    options = {name: getattr(chosen, name) for name in names}
    training, validation = (data.x_train, data.y_train), (data.x_validation, data.y_validation)
    for _ in range(chosen.epochs):
        metrics = helpers.train_epoch(*training, *model.weights, rng, input_rng, **options)
        for images in (training, validation):
            if len(images[0]):
                metrics += helpers.evaluate(*images, *model.weights, chosen.normalisation)
        history.append(Epoch(**dict(zip(Epoch.model_fields, metrics, strict=False))))
    return model, history


def make_run(path, source, keep_data=True, **changed):
    """Make a finished run by hand: as the notebooks and the pipeline leave one, but for what a reader looks at."""
    chosen = parameters.from_values(SMALL | {"source": str(source)} | changed)
    data = datasets.split_source(chosen.source, chosen.num_samples, chosen.num_validation)
    model, history = train(data, chosen)
    error, accuracy = helpers.evaluate(data.x_test, data.y_test, *model.weights, chosen.normalisation)
    folder, last = RunFolder(path), history[-1].model_dump(include=Metrics.model_fields.keys())
    if keep_data:  # a point of a sweep has none of its own
        folder.write_data(data)
    folder.write_model(model, history)
    folder.write_metrics(
        Metrics(
            **last, test_error=error, test_accuracy=accuracy, test_images=len(data.y_test), weights_sha256=model.sha256
        )
    )
    record = RunRecord.begin(chosen.model_dump(), provenance.inputs_of(chosen))
    folder.write_record(record.changed(status=Status.DONE, arrays=dict(data.source_sha256)))


def change(path, **changed):
    record = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps(record | changed))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    source, _ = write_small_source(folder)
    make_run(folder / "a", source)
    make_run(folder / "b", source, epochs=4, normalisation=128, keep_data=False)
    make_run(folder / "c", source, learning_rate=0.001, num_validation=0)
    return folder


@pytest.fixture
def finished(made, tmp_path):
    """Copies of three runs, a, b and c, that may be altered; b has no data.npz, c no validation images."""
    for name in "abc":
        shutil.copytree(made / name, tmp_path / name)
    return tmp_path


def read(folder, names):
    return list(comparison.read_runs([str(folder / name) for name in names]).values())


# ---- which runs are compared -----------------------------------------------------------------------------------


def test_each_run_is_read_under_a_letter_with_all_that_is_compared(finished):
    found = comparison.read_runs([str(finished / name) for name in "cab"])
    assert {letter: run.folder.path.name for letter, run in found.items()} == {"A": "c", "B": "a", "C": "b"}
    run = found["C"]
    assert (run.model.normalisation, run.record.status, len(run.history)) == (128, "done", 4)
    assert run.metrics.weights_sha256 == storage.sha256_of(*run.model.weights)


def test_too_many_and_the_same_folder_twice_are_refused(finished):
    with pytest.raises(InvalidParameter, match="Give 2 to 6 folders of runs, not 7"):
        comparison.read_runs([str(finished / f"{number}") for number in range(7)])
    for given in ([], [str(finished / "a")]):
        with pytest.raises(InvalidParameter, match=f"Give 2 to 6 folders of runs, not {len(given)}"):
            comparison.read_runs(given)
    (finished / "link").symlink_to(finished / "a")
    for same in ("a", "b/../a", "link"):
        with pytest.raises(InvalidParameter, match=f"{same}' is given twice. Each run is compared once"):
            comparison.read_runs([str(finished / "a"), f"{finished}/{same}"])


def test_what_is_no_finished_run_is_refused_with_its_status(finished):
    change(finished / "b", status="failed")
    storage.write_whole(finished / "sweep" / "sweep.json", b"{}")
    for name, message in (
        ("none", "none/run.json is not there. Name the folder of a finished run"),
        ("b", "b holds no finished run: its status is failed. Name the folder"),
        ("sweep", "sweep is a whole sweep. Name the folder of one of its points"),
    ):
        with pytest.raises(InvalidRecord, match=message):
            read(finished, ["a", name])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("run.json", b"[]", "b/run.json is damaged"),
        ("metrics.json", b"{", "b/metrics.json is damaged"),
        ("history.json", b"[1]", "b/history.json is damaged"),
        ("model.npz", b"", "b/model.npz is not a whole .npz file"),
    ],
)
def test_damaged_files_are_refused_by_name(finished, name, content, message):
    (finished / "b" / name).write_bytes(content)
    with pytest.raises(InvalidRecord, match=message):
        read(finished, "ab")


def test_files_that_a_run_did_not_leave_are_refused(finished):
    change(finished / "b", outputs=RunFolder(finished / "b").digests())
    path = finished / "b" / "metrics.json"
    path.write_text(path.read_text().replace('"test_accuracy": 0', '"test_accuracy": 0.9'))
    with pytest.raises(InvalidRecord, match="b is no longer what its run left: metrics.json was removed or altered"):
        read(finished, "ab")


def test_a_run_of_another_version_and_a_model_of_another_run_are_refused(finished):
    shutil.copy(finished / "a" / "model.npz", finished / "b")
    with pytest.raises(InvalidRecord, match="b holds files of different runs: metrics.json was measured on another"):
        read(finished, "ab")
    change(finished / "b", parameters={"epohcs": 1})
    with pytest.raises(InvalidRecord, match="b was written by another version .*'epohcs'.*Did you mean epochs"):
        read(finished, "ab")


def test_the_default_runs_are_made_where_they_are_missing_and_no_others(finished, monkeypatch):
    ran = []

    def run(chosen, run_dir):
        ran.append((run_dir, chosen.relu_grad_inactive))
        shutil.copytree(finished / "b", finished / run_dir)

    monkeypatch.setattr(storage, "ROOT", finished)
    monkeypatch.setattr(runs, "run", run)
    shutil.copytree(finished / "a", finished / "runs" / "default")
    default = parameters.field_of("run_dirs").default
    assert [run.folder.place for run in comparison.read_runs(default).values()] == default
    with pytest.raises(InvalidRecord, match="is not there"):
        comparison.read_runs([*default, "runs/another"])
    assert ran == [("runs/true-derivative", 0)]


# ---- what is computed ------------------------------------------------------------------------------------------


def cell_of(name):
    """The source of one cell of the notebook."""
    (cell,) = [cell for cell in nbformat.read(comparison.NOTEBOOK, 4).cells if cell.id == name]
    return cell.source


def test_differing_has_a_row_for_what_is_not_equal_everywhere():
    (source,) = re.findall(r"^def differing.*?\n\n", cell_of("parameters-shown"), re.DOTALL)
    exec(source, names := {"pd": pd})
    columns = {
        "A": {"seed": 1, "epochs": 3, "size": 5},
        "B": {"seed": 2, "epochs": 3, "rate": 0.1},
        "C": {"seed": 2, "epochs": 3},
    }
    table = names["differing"](columns)
    assert list(table.columns) == ["A", "B", "C"]
    assert table.T.to_dict("list") == {"seed": [1, 2, 2], "size": [5, "none", "none"], "rate": ["none", 0.1, "none"]}
    assert names["differing"]({"A": {"seed": 1}, "B": {"seed": 1}}).empty


def test_counts_are_those_of_a_plain_loop_over_the_images(finished):
    compared = read(finished, "abc")
    images, labels = comparison.test_images(compared)
    answers = []
    for run, normalisation in zip(compared, (255, 128, 255), strict=True):
        with np.load(run.folder.model) as model:
            hidden = [np.maximum(0, image / normalisation @ model["weights_0_1"]) for image in images]
            expected = [units @ model["weights_1_2"] for units in hidden]
        answers.append([int(np.argmax(each)) for each in expected])
    correct = np.array(answers) == labels
    assert [float(row.mean()) for row in correct] == [run.metrics.test_accuracy for run in compared]
    table = comparison.pairs(correct, np.array(answers))
    for name, (first, second) in zip(["A, B", "A, C", "B, C"], itertools.combinations(answers, 2), strict=True):
        kinds = collections.Counter(
            (a == label, b == label, a == b) for a, b, label in zip(first, second, labels, strict=True)
        )
        assert table.loc[name].to_dict() == {
            "both correct": kinds[True, True, True],
            "only first": kinds[True, False, False],
            "only second": kinds[False, True, False],
            "both wrong, alike": kinds[False, False, True],
            "both wrong, differently": kinds[False, False, False],
            "p": pytest.approx(mcnemar(kinds[True, False, False], kinds[False, True, False])),
        }


def mcnemar(first, second):
    """The probability of a split at least as uneven as this one, if both sides are equally likely."""
    n = first + second
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(min(first, second) + 1)) / 2**n)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (5, 0), (1, 5), (3, 3), (3, 8), (121, 59), (500, 441)])
def test_mcnemars_test_is_the_sum_of_binomial_coefficients(first, second):
    correct = np.array([[True] * first + [False] * second + [True], [False] * first + [True] * second + [True]])
    pair = comparison.pairs(correct, np.where(correct, 1, 2)).loc["A, B"]
    assert pair[["both correct", "only first", "only second"]].tolist() == [1, first, second]
    assert pair["p"] == pytest.approx(mcnemar(first, second), rel=1e-9)


def scores_of(answers, margins):
    """Scores (R, N, 10) from the runs' answers (R, N): the margin at the answer, else 0."""
    return helpers.one_hot(np.array(answers)) * np.broadcast_to(margins, np.shape(answers))[..., None]


def test_the_most_telling_images_are_those_on_which_the_scores_are_furthest_apart():
    answers = [[1, 1, 2, 1, 2], [1, 2, 1, 2, 2]]
    margins = [[9, 0.5, 0.5, 0.2, 9], [1, 0.5, 0.8, 0.2, 1]]
    telling = comparison.most_telling(scores_of(answers, margins), np.array([1, 1, 1, 1, 1]))
    # answered alike: 0 and 4, however far the scores; else the sums of the margins: 1.0, 1.3, 0.4
    assert telling.tolist() == [2, 1, 3]
    equal = scores_of([[1] * 50, [2] * 50], 1.0)
    assert comparison.most_telling(equal, np.ones(50, int)).tolist() == list(range(20))


def test_points_without_data_of_their_own_are_evaluated_on_their_source(finished):
    shutil.copytree(finished / "b", finished / "d")
    with np.load(finished / "a" / "data.npz") as data:
        for names in ("ab", "ba", "bd"):
            images, labels = comparison.test_images(read(finished, names))
            assert np.array_equal(images, data["x_test"])
            assert np.array_equal(labels, data["y_test"])


def test_test_images_that_are_different_gone_or_altered_are_refused(finished):
    source, arrays = write_small_source(finished)
    for name in "de":
        make_run(finished / name, source, keep_data=False)
    compared = read(finished, "de")
    assert len(comparison.test_images(compared)[1]) == 30
    np.savez(source, **arrays | {"y_test": arrays["y_test"][::-1]})
    with pytest.raises(InvalidData, match="test images in the source .* are not those that the runs were evaluated on"):
        comparison.test_images(compared)
    source.unlink()
    with pytest.raises(InvalidData, match=f"nothing of that kind at {source}"):
        comparison.test_images(compared)
    change(finished / "e", arrays={"x_test": "0" * 64, "y_test": "0" * 64})
    with pytest.raises(InvalidData, match="evaluated on different test images. Compare runs of one source"):
        comparison.test_images(read(finished, "de"))


def test_curves_have_a_line_a_run_and_split_each_of_its_own_style(finished):
    compared = dict(zip("ABC", read(finished, "abc"), strict=True))
    exec(cell_of("curves-defined"), names := {"plt": plt, "plots": plots, "compared": compared})
    figure = names["draw_curves"]("accuracy", "accuracy (fraction)")
    validation, training = figure.axes
    assert [len(line.get_xdata()) for line in validation.lines if len(line.get_xdata())] == [3, 4]  # c has none
    assert [line.get_ydata()[-1] for line in training.lines] == [
        run.history[-1].train_accuracy_no_dropout for run in compared.values()
    ]
    looks, others = ([(line.get_color(), line.get_linestyle()) for line in axis.lines] for axis in figure.axes)
    assert looks == others
    assert [len(set(each)) for each in zip(*looks, strict=True)] == [3, 3]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["A", "B", "C"]
    plt.close(figure)


# ---- the page --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compared(shared, pipeline):
    """A folder with two finished runs, a and c, and out/page.html, which compares them, as the command line does."""

    def make(folder):
        source, _ = write_small_source(folder)
        make_run(folder / "a", source)
        make_run(folder / "c", source, learning_rate=0.001, num_validation=0)
        inputs = json.loads((folder / "c" / "run.json").read_text())["inputs"]
        inputs["code"]["helpers.py"] = "0" * 64
        inputs["versions"]["numpy"] = "1.0"
        change(folder / "c", inputs=inputs)
        done = pipeline("compare", folder / "a", folder / "c", "--output", folder / "out" / "page.html")
        assert done.returncode == 0, done.stderr
        (folder / "log").write_text(done.stdout)

    return shared("compared", make)


@pytest.fixture
def page(compared):
    return parsed(compared / "out" / "page.html")


def parsed(path):
    return BeautifulSoup(path.read_text(), "html.parser")


def table(page, *head):
    """The rows of the table whose first row begins with these cells; there must be one."""
    tables = [each.find_all("tr") for each in page.select("table.dataframe")]
    found = [[[cell.text for cell in row.find_all(["th", "td"])] for row in rows] for rows in tables]
    (rows,) = [rows for rows in found if rows[0][: len(head)] == list(head)]
    return rows


def printed(page):
    """What the notebook printed, without its prose and its code."""
    return " ".join(" ".join(output.text for output in page.select(".output_stdout")).split())


def test_the_command_writes_the_page_and_nothing_beside_it_and_names_it(compared, page):
    path = compared / "out" / "page.html"
    assert (compared / "log").read_text().endswith(f"report: {path}\n")
    assert [*path.parent.iterdir(), *compared.rglob("*.ipynb")] == [path]
    assert page.title.text == f"{compared / 'a'} and {compared / 'c'} compared"
    assert f"A {compared / 'a'} B {compared / 'c'}" in printed(page)


def test_parameters_and_inputs_that_differ_stand_side_by_side(page):
    assert table(page, "parameter") == [
        ["parameter", "A", "B"],
        ["num_validation", "10", "0"],
        ["learning_rate", "0.005", "0.001"],
    ]
    digest = storage.sha256_of_file(storage.ROOT / "helpers.py")[:12]
    assert table(page, "input") == [
        ["input", "A", "B"],
        ["code helpers.py", digest, "0" * 12],
        ["versions numpy", np.__version__, "1.0"],
    ]
    assert "These inputs differ, so a difference in the metrics may come from them" in printed(page)
    assert "All else is equal" not in printed(page)
    equal = r"Equal parameters: source \S+, num_samples 40, normalisation 255.0, hidden_size 5,"
    assert re.search(equal, printed(page))


def test_the_metrics_are_those_of_the_runs_and_their_difference(compared, page):
    head, *rows = table(page, "metric")
    first, second = (json.loads((compared / name / "metrics.json").read_text()) for name in "ac")
    names = ["train_error", "train_accuracy", "train_error_no_dropout", "train_accuracy_no_dropout"]
    names += [f"{split}_{measure}" for split in ("validation", "test") for measure in ("error", "accuracy")]
    assert head == ["metric", "A", "B", "B - A"]
    for name, (label, a, *others) in zip(names, rows, strict=True):
        assert (label, a) == (name.replace("_no", ", no").replace("_", " "), f"{first[name]:.4f}")
        if name.startswith("validation"):
            assert others == ["none", "none"]
        else:
            assert others[0] == f"{second[name]:.4f}"
            assert float(others[1]) == pytest.approx(second[name] - first[name], abs=5.1e-5)


def test_counts_chance_and_digits_of_the_page_are_those_of_the_runs(compared, page):
    runs = read(compared, "ac")
    images, labels = comparison.test_images(runs)
    scores = np.stack([helpers.predict(images, *run.model.weights, run.model.normalisation) for run in runs])
    answers = scores.argmax(axis=2)
    counts = comparison.pairs(answers == labels, answers).loc["A, B"]
    *kinds, p = counts.tolist()
    assert table(page, "first, second", "both correct")[1:] == [["A, B", *(f"{kind:.0f}" for kind in kinds)]]
    ((*shown, verdict),) = table(page, "first, second", "only first")[1:]
    assert shown == ["A, B", *(f"{kind:.0f}" for kind in kinds[1:3]), f"{p:.4f}"]
    assert verdict.endswith(
        "Chance may explain the difference." if p >= 0.05 else "better by more than chance explains."
    )
    differ, (a, c) = sum(answers[0] != answers[1]), (answers == labels).sum(axis=1)
    assert f"30 test images; the answers differ on {differ} of them correct: A {a}, B {c}" in printed(page)
    head, *rows = table(page, "test image")
    assert head == ["test image", "true digit", "A", "B"]
    assert [row[:2] for row in rows] == [[str(i), str(labels[i])] for i in comparison.most_telling(scores, labels)]
    for place, label, *given in rows:
        assert given == [f"{answer}{' ✓' if str(answer) == label else ''}" for answer in answers[:, int(place)]]


def test_pictures_are_there_at_their_size_and_their_alternative_describes_them(compared, page):
    accuracy, error, digits = page.find_all("img")
    a, c = (json.loads((compared / name / "history.json").read_text())[-1] for name in "ac")
    assert accuracy["alt"] == (
        f"Accuracy by epoch: validation accuracy ends at {a['validation_accuracy']:.3f} for A; training "
        f"accuracy ends at {a['train_accuracy_no_dropout']:.3f} for A, at {c['train_accuracy_no_dropout']:.3f} for B."
    )
    assert error["alt"].startswith("Error by epoch: ")
    rows = table(page, "test image")[1:]
    first, second = (sum(row[column].endswith(" ✓") for row in rows) for column in (2, 3))
    assert digits["alt"] == (
        f"Images on which the networks are furthest apart; of these {len(rows)} the networks are correct: "
        f"A on {first}, B on {second}."
    )
    for image in (accuracy, error, digits):
        png = base64.b64decode(image["src"].removeprefix("data:image/png;base64,"))
        assert png.startswith(b"\x89PNG")
        assert int(image["width"]) == int.from_bytes(png[16:20]) // 2


def test_the_page_is_one_file_that_everyone_can_read(page):
    assert page.html["lang"] == "en"
    levels = [int(heading.name[1]) for heading in page.find_all(re.compile("^h[1-6]$"))]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    anchors = [element["id"] for element in page.select("[id]")]
    assert len(anchors) == len(set(anchors))
    assert {link["href"][1:] for link in page.find_all("a")} <= set(anchors)
    assert all(shown.parent.get("tabindex") == "0" for shown in page.select("table.dataframe"))
    assert not page.find_all(["link", "iframe"])
    assert not page.find_all("script", src=True)


def test_the_same_run_under_two_names_has_nothing_to_show(finished):
    shutil.copytree(finished / "a", finished / "copy")
    page = parsed(comparison.write_report([str(finished / "a"), str(finished / "copy")], finished / "page.html"))
    assert "No parameter differs." in printed(page)
    assert "All else is equal: data, notebooks, code and versions." in printed(page)
    (row,) = table(page, "first, second", "only first")[1:]
    assert row == ["A, B", "0", "0", "1.0000", "No image tells the two apart."]
    assert "There are no images to show." in printed(page)
    assert len(page.find_all("img")) == 2


def test_runs_of_different_test_images_are_compared_but_for_the_digits(finished):
    change(finished / "b", arrays={"x_test": "0" * 64, "y_test": "0" * 64})
    page = parsed(comparison.write_report([str(finished / name) for name in "abc"], finished / "page.html"))
    assert page.title.text == "3 runs compared"
    assert "The answers are not compared. The runs were evaluated on different test images." in printed(page)
    assert "There are no answers to test." in printed(page)
    assert len(page.find_all("img")) == 2
    assert table(page, "parameter")[0] == ["parameter", "A", "B", "C"]
    assert table(page, "metric")[0] == ["metric", "A", "B", "C"]  # the difference is of two
    page = parsed(comparison.write_report([str(finished / name) for name in "ab"], finished / "page.html"))
    assert table(page, "metric")[0] == ["metric", "A", "B"]  # of the same images


@pytest.mark.parametrize(
    ("only", "level", "expected"),
    [
        ([(6, 0)], "", ["A is better by more than chance explains."]),  # 2 / 2**6 = 0.031
        ([(0, 6)], "", ["B is better by more than chance explains."]),
        ([(5, 0)], "", ["Chance may explain the difference."]),  # 2 / 2**5 = 0.0625
        ([(0, 0)], "", ["No image tells the two apart."]),
        (
            [(6, 0), (8, 0), (0, 8)],  # 0.031 is below 5 %, but not below 5 % / 3
            ", shared among 3 pairs: 1.67 % each",
            ["Chance may explain the difference.", *(f"{run} is better by more than chance explains." for run in "AC")],
        ),
    ],
)
def test_what_is_stated_of_chance_follows_from_the_counts(only, level, expected):
    """The notebook's cell on chance, for pairs of which each alone is correct that often."""
    rows = [{"only first": first, "only second": second, "p": mcnemar(first, second)} for first, second in only]
    lines, shown = [], []
    counts = pd.DataFrame(rows, index=["A, B", "A, C", "B, C"][: len(only)])
    exec(cell_of("chance-shown"), {"counts": counts, "show": lambda *given: shown.append(given), "print": lines.append})
    assert lines == [f"level: 5 %{level}"]
    assert list(shown[0][0]["verdict"]) == expected


# ---- the command -----------------------------------------------------------------------------------------------


def test_what_is_wrong_has_its_exit_code_and_a_message(finished, pipeline):
    page = finished / "a" / "run.json" / "page.html"
    for given, message in (
        ([finished / "a"], r"Error: Give 2 to 6 folders of runs, not 1\.\n"),
        (
            [finished / "a", finished / "b", "--output", page],
            r"Error: --output is .*page\.html, but .*run\.json is not a folder that can be written to.*\n",
        ),
    ):
        refused = pipeline("compare", *given)
        assert refused.returncode == 2
        assert re.fullmatch(message, refused.stderr)
    assert not list(finished.rglob("*.html"))


def test_the_default_name_is_made_of_the_runs(finished, monkeypatch):
    written = []
    monkeypatch.setattr(notebooks, "execute", lambda *given: None)
    monkeypatch.setattr(rendering, "write_notebook_report", lambda _, *given: written.append(given))
    monkeypatch.setattr(storage, "ROOT", finished)
    monkeypatch.setattr(storage, "RUNS", finished / "runs")
    shutil.copytree(finished / "a", finished / "runs" / "sweeps" / "trial" / "1234")
    path = comparison.write_report(["runs/sweeps/trial/1234", str(finished / "b")])
    assert path == finished / "runs" / "reports" / "sweeps-trial-1234_and_b.html"
    assert written == [(path, "runs/sweeps/trial/1234 and b compared")]
    copies = [finished / "runs" / f"{'long' * 20}-{number}" for number in range(6)]
    for copy in copies:
        shutil.copytree(finished / "a", copy)
    comparison.write_report([str(copy) for copy in copies])
    path, title = written[1]
    assert len(path.name) < 255  # which is as long as a file's name may be
    assert comparison.write_report([str(copy) for copy in [*copies[:5], finished / "a"]]) != path
    assert title == "6 runs compared"
