"""Finished runs side by side."""

import base64
import collections
import itertools
import json
import re
import shutil

import numpy as np
import pytest
from bs4 import BeautifulSoup
from scipy.stats import binomtest

import helpers
from pipeline import compare, figures, files, run
from pipeline.parameters import ParameterError, Parameters
from tests.conftest import write_small_source

SMALL = {"num_samples": 40, "num_validation": 10, "hidden_size": 5, "epochs": 3}


def make_run(folder, source, keep_data=True, **changed):
    """A finished run, made by hand: as the notebooks and the pipeline leave one, but for what a reader looks at."""
    chosen = Parameters(source=str(source), run_dir=str(folder), **(SMALL | changed))
    data = files.split(chosen.source, chosen.num_samples, chosen.num_validation, chosen.normalisation)
    rng = np.random.RandomState(chosen.seed)
    weights, history = helpers.initial_weights(rng, chosen.hidden_size), []
    for _ in range(chosen.epochs):
        error, accuracy = helpers.train_epoch(data.x_train, data.y_train, *weights, rng)
        history.append({"train_error": error, "train_accuracy": accuracy})
        if chosen.num_validation:
            error, accuracy = helpers.evaluate(data.x_validation, data.y_validation, *weights)
            history[-1] |= {"validation_error": error, "validation_accuracy": accuracy}
    error, accuracy = helpers.evaluate(data.x_test, data.y_test, *weights)
    figures = {"test_error": error, "test_accuracy": accuracy, "weights_sha256": files.sha256_of(*weights)}
    if keep_data:  # a point of a sweep has none of its own
        files.save_data(str(folder), data)
    files.save_model(str(folder), *weights, history)
    files.save_metrics(str(folder), history[-1] | figures)
    record = {"status": "done", "parameters": chosen.model_dump(), "inputs": run.inputs_of(chosen)}
    files.write_json(folder / "run.json", record | {"arrays": data.provenance["sha256"]})
    return folder


def change(folder, **changed):
    record = json.loads((folder / "run.json").read_text())
    files.write_json(folder / "run.json", record | changed)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    source, _ = write_small_source(folder)
    make_run(folder / "a", source)
    make_run(folder / "b", source, seed=2, epochs=4, keep_data=False)
    make_run(folder / "c", source, seed=3, num_validation=0)
    return folder


@pytest.fixture
def runs(made, tmp_path):
    """Copies of three runs, a, b and c, that may be altered; b has no data.npz, c no validation images."""
    for name in "abc":
        shutil.copytree(made / name, tmp_path / name)
    return tmp_path


def page_of(comparison, output):
    compare.write_report(comparison, output)
    return BeautifulSoup(output.read_text(), "html.parser")


def table(page, label):
    (region,) = page.select(f'.scroll[aria-label="{label}"]')
    return [[" ".join(cell.text.split()) for cell in row.find_all(["th", "td"])] for row in region.find_all("tr")]


# ---- what differs ----------------------------------------------------------------------------------------------


def test_parameters_and_inputs_that_differ_stand_side_by_side(runs):
    record = json.loads((runs / "b" / "run.json").read_text())
    record["inputs"]["code"]["helpers.py"] = "0" * 64
    record["inputs"]["versions"]["numpy"] = "1.0"
    change(runs / "b", inputs=record["inputs"])
    comparison = compare.compare([str(runs / "a"), str(runs / "b")])
    page = page_of(comparison, runs / "page.html")
    assert table(page, "Parameters that differ") == [["Parameter", "A", "B"], ["epochs", "3", "4"], ["seed", "1", "2"]]
    helpers_digest = files.sha256_of_file(files.ROOT / "helpers.py")[:12]
    assert table(page, "Inputs that differ") == [
        ["Input", "A", "B"],
        ["code helpers.py", helpers_digest, "0" * 12],
        ["versions numpy", np.__version__, "1.0"],
    ]
    told = " ".join(page.select_one("section").text.split())
    assert "All else is equal" not in told
    assert "Equal are data, notebooks and the parameters source" in told
    assert "hidden_size 5" in told


def test_where_nothing_else_differs_that_is_said(runs):
    comparison = compare.compare([str(runs / "a"), str(runs / "b")])
    page = page_of(comparison, runs / "page.html")
    assert "All else is equal: code, data, notebooks, versions and the parameters" in " ".join(page.text.split())
    assert not page.select('[aria-label="Inputs that differ"]')


def test_the_figures_are_those_of_the_runs_and_their_difference(runs):
    comparison = compare.compare([str(runs / "a"), str(runs / "c")])
    rows = {name: cells for name, *cells in table(page_of(comparison, runs / "page.html"), "Figures")}
    first, second = (json.loads((runs / name / "metrics.json").read_text()) for name in "ac")
    assert list(rows) == ["Figure", *(name.replace("_", " ") for name in compare.FIGURES)]
    for name in ("train_error", "train_accuracy", "test_error", "test_accuracy"):
        a, b, difference = rows[name.replace("_", " ")]
        assert (a, b) == (f"{first[name]:.4f}", f"{second[name]:.4f}")
        assert float(difference.replace("\N{MINUS SIGN}", "-")) == pytest.approx(second[name] - first[name], abs=5.1e-5)
    assert rows["validation accuracy"][1:] == ["none", ""]


# ---- the digits ------------------------------------------------------------------------------------------------


def test_the_counts_are_those_of_a_plain_loop_over_the_images(runs):
    comparison = compare.compare([str(runs / name) for name in "abc"])
    data = files.load_data(str(runs / "a"))
    answers = []
    for name in "abc":
        weights_0_1, weights_1_2, _ = files.load_model(str(runs / name))
        hidden = [np.maximum(0, image / 255 @ weights_0_1) for image in data.x_test]
        answers.append([int(np.argmax(units @ weights_1_2)) for units in hidden])
    places = [(0, 1), (0, 2), (1, 2)]
    assert [(pair.first, pair.second) for pair in comparison.digits.pairs] == [("A", "B"), ("A", "C"), ("B", "C")]
    for pair, (i, j) in zip(comparison.digits.pairs, places, strict=True):
        kinds = collections.Counter(
            (a == label, b == label, a == b) for a, b, label in zip(answers[i], answers[j], data.y_test, strict=True)
        )
        assert pair.both_right == kinds[True, True, True]
        assert pair.only_first == kinds[True, False, False]
        assert pair.only_second == kinds[False, True, False]
        assert pair.both_wrong_alike == kinds[False, False, True]
        assert pair.both_wrong_differently == kinds[False, False, False]
    assert comparison.digits.disagreeing == sum(len(set(said)) > 1 for said in zip(*answers, strict=True))
    metrics = [json.loads((runs / name / "metrics.json").read_text()) for name in "abc"]
    assert [right / len(data.y_test) for right in comparison.digits.right] == [m["test_accuracy"] for m in metrics]


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 5), (5, 0), (3, 3), (3, 8), (121, 59), (926, 368)])
def test_mcnemars_test_is_the_binomial_one(first, second):
    expected = binomtest(first, first + second).pvalue if first + second else 1
    assert compare.mcnemar(first, second) == pytest.approx(expected, rel=1e-9)


def test_mcnemars_test_by_hand():
    assert compare.mcnemar(1, 5) == 2 * (1 + 6) / 2**6
    assert compare.mcnemar(0, 3000) == 0  # smaller than any float, and no overflow


def digits_of(answers, labels, gaps=None):
    """Digits from the runs' answers (R, N), each with a score of 1 at the answer, or of its gap."""
    scores = helpers.one_hot(np.array(answers)) * np.array(gaps if gaps is not None else 1.0)[..., None]
    images = np.arange(len(labels) * 784).reshape(-1, 784).astype(np.uint8)
    return compare.disagreement(images, np.array(labels), scores, compare.LETTERS[: len(answers)])


def test_the_most_telling_digits_are_those_on_which_the_scores_are_furthest_apart():
    labels = [1, 1, 1, 1, 1]
    answers = [[1, 1, 2, 1, 2], [1, 2, 1, 2, 2]]
    gaps = [[9, 0.5, 0.5, 0.2, 9], [1, 0.5, 0.8, 0.2, 1]]
    digits = digits_of(answers, labels, gaps)
    # answered alike: 0 and 4, however far the scores; else the sums of the gaps: 1.0, 1.3, 0.4
    assert digits.telling.tolist() == [2, 1, 3]
    assert digits.disagreeing == 3


def test_at_most_twenty_are_shown():
    digits = digits_of([[1] * 50, [2] * 50], [1] * 50)
    assert digits.telling.tolist() == list(range(compare.TELLING))


def test_margins_are_positive_exactly_where_the_answer_is_right():
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(3, 200, 10)), rng.integers(0, 10, 200)
    assert ((compare.label_margins(scores, labels) > 0) == (scores.argmax(axis=2) == labels)).all()


def test_what_is_said_of_chance_follows_from_the_counts(runs):
    comparison = compare.compare([str(runs / "a"), str(runs / "b")])
    for only, said in (
        ((6, 0), "A is better by more than chance explains."),  # 2 / 2**6 = 0.031
        ((0, 6), "B is better by more than chance explains."),
        ((5, 0), "Chance explains the difference."),  # 2 / 2**5 = 0.0625
        ((0, 0), "No digit tells the two apart"),
    ):
        answers = [[1] * only[0] + [2] * only[1] + [1], [2] * only[0] + [1] * only[1] + [1]]
        changed = vars(comparison) | {"digits": digits_of(answers, [1] * (sum(only) + 1))}
        page = page_of(compare.Comparison(**changed), runs / "page.html")
        assert said in " ".join(page.text.split())
    assert "at the level of 5 %" in page.text
    assert "Psychometrika 12" in page.text


def test_among_several_pairs_the_level_is_shared(runs):
    comparison = compare.compare([str(runs / name) for name in "abc"])
    changed = vars(comparison) | {"digits": digits_of([[1] * 6, [2] * 6, [2] * 6], [1] * 6)}
    page = page_of(compare.Comparison(**changed), runs / "page.html")
    # 0.031 is below 5 %, but not below 5 % / 3
    assert [row[-1] for row in table(page, "More than chance?")][1:] == ["Chance explains the difference."] * 3
    assert "at the level of 1.67 %, which is 5 % shared among 3 pairs" in " ".join(page.text.split())


def test_points_without_data_of_their_own_are_tried_on_their_source(made):
    one, other = (compare.compare([str(made / name) for name in names]).digits for names in ("ab", "ba"))
    shutil.copytree(made / "b", made / "d", dirs_exist_ok=True)
    neither = compare.compare([str(made / "b"), str(made / "d")])  # both without data.npz
    assert (one.images == neither.digits.images).all()
    assert one.pairs[0].only_first == other.pairs[0].only_second
    assert neither.digits.disagreeing == 0


# ---- where digits cannot be compared ---------------------------------------------------------------------------


def test_runs_of_different_test_images_are_compared_but_for_the_digits(runs):
    change(runs / "b", arrays={"x_test": "0" * 64, "y_test": "0" * 64})
    comparison = compare.compare([str(runs / "a"), str(runs / "b")])
    assert comparison.digits is None
    page = page_of(comparison, runs / "page.html")
    assert "A and B were tried on different test images" in page.text
    assert len(page.find_all("img")) == 2
    assert table(page, "Parameters that differ")
    assert {link["href"] for link in page.nav.find_all("a")} <= {f"#{x['id']}" for x in page.select("[id]")}


def test_test_images_that_are_gone_or_altered_are_told(runs, tmp_path):
    source, arrays = write_small_source(tmp_path)
    for name in "ad":
        make_run(runs / name, source, keep_data=False, seed=ord(name))
    folders = [str(runs / name) for name in "ad"]
    for name in "ad":
        (runs / name / "data.npz").unlink(missing_ok=True)
    assert compare.compare(folders).digits is not None
    np.savez(source, **arrays | {"y_test": arrays["y_test"][::-1]})
    comparison = compare.compare(folders)
    assert comparison.digits is None
    assert "are not those that the runs were tried on" in comparison.no_digits
    source.unlink()
    assert f"{source} is not there" in compare.compare(folders).no_digits


# ---- the page --------------------------------------------------------------------------------------------------


def test_the_page_is_one_file_that_everyone_can_read(runs):
    page = page_of(compare.compare([str(runs / name) for name in "abc"]), runs / "page.html")
    assert page.html["lang"] == "en"
    assert page.title.text == page.h1.text == "3 runs compared"
    levels = [int(heading.name[1]) for heading in page.find_all(re.compile("^h[1-6]$"))]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    anchors = [element["id"] for element in page.select("[id]")]
    assert len(anchors) == len(set(anchors))
    assert {link["href"][1:] for link in page.find_all("a")} <= set(anchors)
    assert {head["scope"] for head in page.find_all("th")} == {"row", "col"}
    assert all(parent.get("tabindex") == "0" for parent in (t.parent for t in page.find_all("table")))
    assert not page.find_all(["link", "iframe"])
    assert not page.find_all("script", src=True)


def test_pictures_are_there_at_their_size_and_their_alternative_says_what_they_show(runs):
    comparison = compare.compare([str(runs / "a"), str(runs / "c")])
    accuracy, error, digits = page_of(comparison, runs / "page.html").find_all("img")
    ends = [json.loads((runs / name / "history.json").read_text())[-1] for name in "ac"]
    assert accuracy["alt"] == (
        f"Accuracy by epoch: validation accuracy ends at A {ends[0]['validation_accuracy']:.3f} after 3 epochs; "
        f"training accuracy ends at A {ends[0]['train_accuracy']:.3f} after 3, "
        f"C {ends[1]['train_accuracy']:.3f} after 3 epochs."
    ).replace("C ", "B ")
    assert error["alt"].startswith("Error by epoch: ")
    shown = comparison.digits.telling
    assert digits["alt"].startswith(f"{len(shown)} handwritten digits on which the answers differ most decidedly")
    right = (comparison.digits.answers[:, shown] == comparison.digits.labels[shown]).sum(axis=1)
    assert f"answer rightly: A {right[0]}, B {right[1]}." in digits["alt"]
    for image in (accuracy, error, digits):
        png = base64.b64decode(image["src"].removeprefix("data:image/png;base64,"))
        assert png.startswith(b"\x89PNG")
        assert int(image["width"]) == int.from_bytes(png[16:20]) // 2


def test_the_digits_are_told_as_a_table_too(runs):
    comparison = compare.compare([str(runs / "a"), str(runs / "b")])
    (_, *rows) = table(page_of(comparison, runs / "page.html"), "The most telling digits")
    digits = comparison.digits
    assert [row[0] for row in rows] == [str(place) for place in digits.telling]
    for place, (_, label, *answers) in zip(digits.telling, rows, strict=True):
        assert label == str(digits.labels[place])
        assert answers == [f"{said}{' ✓' if str(said) == label else ''}" for said in digits.answers[:, place]]


def test_the_same_run_under_two_names_has_nothing_to_show(runs):
    shutil.copytree(runs / "a", runs / "copy")
    page = page_of(compare.compare([str(runs / "a"), str(runs / "copy")]), runs / "page.html")
    assert "No parameter differs." in page.text
    assert "No digit tells the two apart" in page.text
    assert len(page.find_all("img")) == 2


def test_curves_have_a_line_a_run_and_split_each_of_its_own_style(runs):
    histories = {letter: files.load_model(str(runs / name))[2] for letter, name in zip("ABC", "abc", strict=True)}
    validation, training = figures.compared_curves(histories, "accuracy").axes
    assert [len(line.get_xdata()) for line in validation.lines] == [3, 4]  # c has no validation images
    assert [len(line.get_xdata()) for line in training.lines] == [3, 4, 3]
    assert [line.get_ydata()[-1] for line in training.lines] == [h[-1]["train_accuracy"] for h in histories.values()]
    looks = [(line.get_color(), line.get_linestyle()) for line in training.lines]
    assert looks[:2] == [(line.get_color(), line.get_linestyle()) for line in validation.lines]
    assert len({style for _, style in looks}) == len({colour for colour, _ in looks}) == 3
    assert [text.get_text() for text in training.texts] == ["A", "B", "C"]


def test_labels_are_moved_apart_as_little_as_it_takes():
    assert figures.apart({"a": 1.0, "b": 5.0}, 1) == {"a": 1.0, "b": 5.0}
    assert figures.apart({"a": 1.0, "b": 1.0}, 1) == {"a": 0.5, "b": 1.5}
    assert figures.apart({"a": 3.0, "b": 1.0, "c": 1.0, "d": 1.25}, 1) == pytest.approx(
        {"b": 0.0625, "c": 1.0625, "d": 2.0625, "a": 3.0625}
    )


# ---- the command -----------------------------------------------------------------------------------------------


def test_the_command_writes_the_page_and_says_where(runs, pipeline):
    done = pipeline("compare", runs / "a", runs / "b", "--output", runs / "out" / "page.html")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"report: {runs / 'out' / 'page.html'}\n"
    page = BeautifulSoup((runs / "out" / "page.html").read_text(), "html.parser")
    assert page.h1.text == f"{runs / 'a'} and {runs / 'b'} compared"
    refused = pipeline("compare", runs / "a", runs / "b", "--output", runs / "a" / "run.json" / "page.html")
    assert refused.returncode == 2
    assert "page.html cannot be written" in refused.stderr


def test_wrong_arguments_exit_with_2_and_a_message(runs, pipeline):
    refused = pipeline("compare", runs / "a")
    assert refused.returncode == 2
    assert f"compare was given 1 run folder: {runs / 'a'}, but takes 2 to 6. Name another" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not list(runs.glob("*.html"))


def test_too_many_and_the_same_folder_twice_are_refused(runs):
    with pytest.raises(ParameterError, match="given 7 run folders: .* takes 2 to 6. Leave some out"):
        compare.compare([str(runs / f"{number}") for number in range(7)])
    with pytest.raises(ParameterError, match="given 0 run folders, but"):
        compare.compare([])
    (runs / "link").symlink_to(runs / "a")
    for same in ("a", "b/../a", "link"):
        with pytest.raises(ParameterError, match=f"{same}' is the same folder as '{runs}/a'"):
            compare.compare([str(runs / "a"), f"{runs}/{same}"])


def test_what_is_no_finished_run_is_refused_with_its_status(runs):
    good = str(runs / "a")
    with pytest.raises(files.DataError, match="none/run.json is not there. compare takes folders of finished runs"):
        compare.compare([good, str(runs / "none")])
    change(runs / "b", status="failed")
    with pytest.raises(files.DataError, match="b holds no finished run: its status is 'failed'. compare takes"):
        compare.compare([good, str(runs / "b")])
    files.write_json(runs / "sweep" / "sweep.json", {})
    with pytest.raises(files.DataError, match="sweep is a whole sweep. Name the folders of some of its points"):
        compare.compare([good, str(runs / "sweep")])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("run.json", b"{", "run.json is damaged"),
        ("run.json", b"[]", "holds no finished run: its status is None"),
        ("run.json", b'{"status": "done", "parameters": {"epohcs": 1}}', "are not those of this project"),
        ("run.json", b'{"status": "done"}', "are not those of this project"),
        ("metrics.json", b"{", "metrics.json is damaged"),
        ("metrics.json", b"[]", "are not those of this project"),
        ("metrics.json", b'{"weights_sha256": ""}', "is not the model that .*metrics.json was measured on"),
        ("history.json", b"[1]", "are not those of this project"),
        ("model.npz", b"", "model.npz is not a whole .npz file"),
    ],
)
def test_damaged_files_are_refused_by_name(runs, name, content, message):
    (runs / "b" / name).write_bytes(content)
    with pytest.raises(files.DataError, match=message):
        compare.compare([str(runs / "a"), str(runs / "b")])


def test_the_default_name_is_made_of_the_runs(runs, monkeypatch):
    comparison = compare.compare([str(runs / "a"), str(runs / "b")])
    assert compare.default_output(comparison) == files.ROOT / "runs" / "reports" / "a_and_b.html"
    monkeypatch.setattr(files, "ROOT", runs)
    shutil.copytree(runs / "a", runs / "runs" / "sweeps" / "trial" / "1234")
    comparison = compare.compare([str(runs / "runs/sweeps/trial/1234"), str(runs / "b")])
    assert compare.default_output(comparison) == runs / "runs" / "reports" / "sweeps-trial-1234_and_b.html"
    assert [finished.name for finished in comparison.runs] == ["runs/sweeps/trial/1234", "b"]
