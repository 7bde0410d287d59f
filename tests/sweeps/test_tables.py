"""What is reported of a sweep: tables, plots, and its page, in which one configuration alone has its test metric."""

import base64
import csv
import html
import io
import json
import re
import shutil
from statistics import fmean
from types import SimpleNamespace

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from pipeline import notebooks, parameters, ranking, storage
from pipeline.errors import CellFailed
from pipeline.parameters import Parameters
from pipeline.ranking import PointResult
from pipeline.records import Inputs, RunRecord, Trained
from pipeline.run_folder import SweepFolder
from pipeline.statistics import rounded
from pipeline.sweeps import definition, execution, results, tables
from tests.conftest import write_small_source
from tests.sweeps.conftest import write


def result(identity, chosen, **measured):
    """Return what is known of a point that has finished with these metrics, or diverged where there are none."""
    record = RunRecord.begin(
        chosen.model_dump(), Inputs(data="", notebooks={}, code={}, versions={})
    )
    validated = any(name.startswith("validation") for name in measured)
    others = dict.fromkeys(Trained.model_fields, 0.5) | {"weights_sha256": "0" * 64}
    others |= {} if validated else {"validation_error": None, "validation_accuracy": None}
    outcome = (
        {"status": "done", "metrics": others | measured} if measured else {"status": "diverged"}
    )
    return PointResult(identity, record.parameters, record.changed(**outcome))


def table(*points, names=("hidden_size", "learning_rate")):
    """The ranking table of points, each its parameters and its validation accuracy, or None where it failed."""
    groups = {}
    for number, ((hidden_size, learning_rate, seed, *dropout_rate), accuracy) in enumerate(points):
        chosen = Parameters(
            hidden_size=hidden_size,
            learning_rate=learning_rate,
            seed=seed,
            dropout_rate=(dropout_rate or [0.5])[0],
        )
        measured = {} if accuracy is None else {"validation_accuracy": accuracy}
        groups.setdefault(chosen.model_dump_json(exclude={"seed"}), []).append(
            result(f"p{number}", chosen, **measured)
        )
    return tables.ranking_table(ranking.rank(groups.values(), "validation_accuracy"), names)


def test_the_ranking_table_has_a_row_for_each_configuration_with_its_spread_over_the_seeds():
    ranked = table(
        ((10, 0.1, 1), 0.9),
        ((10, 0.1, 2), 0.5),
        ((20, 0.1, 1), 0.8),
        ((20, 0.1, 2), 0.7),
        ((30, 0.1, 1), None),
    )
    assert list(ranked["hidden_size"]) == [20, 10, 30]
    assert list(ranked["points"]) == [2, 2, 1]
    assert list(ranked["finished"]) == [2, 2, 0]
    assert list(ranked["mean"].dropna()) == pytest.approx([0.75, 0.7])
    assert list(ranked["lowest"].dropna()) == [0.7, 0.5]
    assert list(ranked["highest"].dropna()) == [0.8, 0.9]


def test_the_heat_map_takes_the_two_parameters_that_matter_and_the_best_of_each_cell():
    rows = [(h, r, 0.5 + h / 100 + r) for h in (10, 20) for r in (0.1, 0.2)]
    names = ("hidden_size", "learning_rate", "dropout_rate")
    ranked = table(
        *[((h, r, 1, 0.5), accuracy) for h, r, accuracy in rows],
        *[((h, r, 1, 0.1), accuracy - 0.01) for h, r, accuracy in rows],
        names=names,
    )
    assert len(ranked) == 8
    cells = tables.by_two(ranked, names, "validation_accuracy")
    assert (cells.index.name, cells.columns.name) == ("hidden_size", "learning_rate")
    assert cells.to_numpy().ravel() == pytest.approx([0.7, 0.8, 0.8, 0.9])
    lowest = tables.by_two(ranked, names, "validation_error")
    assert lowest.to_numpy().ravel() == pytest.approx([0.69, 0.79, 0.79, 0.89])


def test_the_heat_map_leaves_out_a_configuration_of_which_a_seed_failed():
    ranked = table(
        ((10, 0.1, 1), 0.9), ((10, 0.1, 2), None), ((20, 0.1, 1), 0.6), ((10, 0.2, 1), 0.5)
    )
    cells = tables.by_two(ranked, ("hidden_size", "learning_rate"), "validation_accuracy")
    assert cells.loc[20, 0.1] == 0.6
    assert cells.loc[10, 0.2] == 0.5
    assert pd.isna(cells.loc[10, 0.1])


def heat_map_of(ranked):
    """Return what the cell of sweep.ipynb shows of a ranking table."""
    cell = next(
        cell for cell in nbformat.read(execution.NOTEBOOK, 4).cells if cell.id == "heat-drawn"
    )
    given = {
        "best": True,
        "ranked": ranked,
        "names": ["hidden_size", "learning_rate"],
        "metric": "validation_accuracy",
    }
    given, shown = given | {"rounded": rounded}, []
    exec(
        cell.source,
        given | {"tables": tables, "html": html, "plots": SimpleNamespace(show_table=shown.append)},
    )
    return shown[0]


def test_the_heat_map_names_equally_good_cells_but_not_more_than_six():
    ranked = table(
        ((10, 0.1, 1), 0.9),
        ((10, 0.2, 1), 0.85),
        ((10, 0.2, 2), 0.95),
        ((20, 0.1, 1), 0.6),
        ((20, 0.2, 1), 0.9),
    )
    places = ("hidden_size 10 and learning_rate 0.1", "hidden_size 10 and learning_rate 0.2")
    places += ("hidden_size 20 and learning_rate 0.2",)
    assert (
        f"<p>The best validation_accuracy, 0.9000, is at {'; at '.join(places)}.</p>"
        in heat_map_of(ranked)
    )
    ranked = table(*(((size, rate, 1), 1.0) for size in (10, 20, 30) for rate in (0.1, 0.2, 0.3)))
    assert "; at hidden_size 20 and learning_rate 0.3; and at 3 more.</p>" in heat_map_of(ranked)


def test_effects_are_drawn_where_the_mean_of_equal_values_is_rounded_beyond_them():
    mean = fmean([0.094] * 3)
    assert mean > 0.094
    ranked = pd.DataFrame(
        {"epochs": [1, 2], "points": [3, 3], "finished": [3, 3], "mean": [mean, 0.05]}
    )
    tables.effects(
        ranked.assign(lowest=[0.094, 0.05], highest=[0.094, 0.05]),
        ["epochs"],
        "validation_accuracy",
    )


def test_of_a_random_search_dots_are_drawn_and_the_best_configurations_are_in_the_table():
    rng = np.random.default_rng(1)
    means = np.sort(rng.random(600))[::-1]
    found = {
        "learning_rate": rng.random(600),
        "dropout_rate": rng.random(600),
        "points": 1,
        "finished": 1,
    }
    ranked = pd.DataFrame(found | {"mean": means, "lowest": means, "highest": means})
    figure = tables.effects(ranked, ["learning_rate", "dropout_rate"], "validation_accuracy")
    assert [len(axis.get_xticks()) <= 8 for axis in figure.axes] == [True, True]
    assert [len(axis.containers) for axis in figure.axes] == [1, 1]
    cells = tables.by_two(ranked, ["learning_rate", "dropout_rate"], "validation_accuracy")
    assert cells.shape == (30, 30)
    assert cells.at[ranked["learning_rate"][0], ranked["dropout_rate"][0]] == means[0]


def test_of_a_random_search_the_table_has_the_parameters_that_matter():
    rng = np.random.default_rng(2)
    names = ["learning_rate_decay", "learning_rate", "dropout_rate"]
    ranked = pd.DataFrame({name: rng.random(60) for name in names} | {"points": 1, "finished": 1})
    ranked["mean"] = 0.5 + 0.3 * ranked["learning_rate"] + 0.2 * ranked["dropout_rate"]
    cells = tables.by_two(ranked.sort_values("mean", ascending=False), names, "validation_accuracy")
    assert (cells.index.name, cells.columns.name) == ("learning_rate", "dropout_rate")


def test_of_a_grid_each_value_counts_however_many():
    rows = [(h, r, 1, d) for h in (10, 20) for r in range(1, 11) for d in (0.1, 0.2)]
    found = [(row, 0.1 if row[1] == 10 else 0.6 + row[0] / 1000) for row in rows]
    names = ("hidden_size", "learning_rate", "dropout_rate")
    cells = tables.by_two(table(*found, names=names), names, "validation_accuracy")
    assert (cells.index.name, cells.columns.name) == ("hidden_size", "learning_rate")


@pytest.mark.parametrize(("count", "rows"), [(3, 1), (4, 2), (10, 4)])
def test_effects_of_many_parameters_stand_in_rows(count, rows):
    names = list(parameters.NAMES)[1 : count + 1]
    values = pd.DataFrame(
        {name: [1, 2] for name in names} | {"mean": [0.5, 0.4], "points": 1, "finished": 1}
    )
    figure = tables.effects(values.assign(lowest=0.4, highest=0.5), names, "validation_accuracy")
    assert [axis.get_title("left") + axis.get_title() for axis in figure.axes] == names
    assert len({axis.get_subplotspec().rowspan.start for axis in figure.axes}) == rows
    assert sum(bool(axis.get_ylabel()) for axis in figure.axes) == rows
    figure.draw_without_rendering()
    boxes = [axis.xaxis.label.get_window_extent() for axis in figure.axes]
    assert not any(box.overlaps(other) for box in boxes for other in boxes if other is not box)
    plt.close(figure)


def test_values_that_are_nearly_equal_have_labels_that_differ():
    values = [0.1 + step / 1e5 for step in range(12)]
    ranked = pd.DataFrame(
        {"learning_rate": values, "mean": 0.5, "lowest": 0.5, "highest": 0.5}
        | {"points": 1, "finished": 1}
    )
    (axis,) = tables.effects(ranked, ["learning_rate"], "validation_accuracy").axes
    labels = [label.get_text() for label in axis.get_xticklabels()]
    assert len(set(labels)) == len(labels) == 4
    assert max(map(len, labels)) == 7


def test_a_metric_that_no_point_has_and_one_that_is_large_are_short():
    shown = tables.as_html(
        pd.DataFrame({"seed": [1, 2], "error": [None, None], "validation_error": [4.8e190, None]}),
        "x",
    )
    assert re.findall("<td>(.*)</td>", shown) == ["1", "-", "4.800e+190", "2", "-", "-"]


def test_a_link_is_one_wherever_it_leads():
    shown = tables.as_html(pd.DataFrame({"id": ["1f"]}), "x", lambda identity: f'a#b "q/{identity}')
    assert '<td><a href="a%23b%20%22q/1f">1f</a></td>' in shown


def test_parameters_that_are_nearly_equal_do_not_look_alike():
    shown = tables.as_html(
        pd.DataFrame({"learning_rate_decay": [1.0, 0.99999], "mean": [0.5, 0.123456789]}), "x"
    )
    assert all(f"<td>{text}</td>" in shown for text in ("1", "0.99999", "0.5000", "0.1235"))
    downloaded = base64.b64decode(re.search(r"base64,([^\"]+)", shown)[1]).decode()
    assert downloaded.splitlines() == ["learning_rate_decay,mean", "1,0.5", "0.99999,0.123457"]


def test_effects_draw_a_line_for_each_configuration_of_the_others_with_the_selected_one_marked():
    ranked = table(
        *[
            ((h, r, s), h / 100 + r + s / 1000)
            for h in (10, 20, 30)
            for r in (0.1, 0.2)
            for s in (1, 2)
        ],
    )
    figure = tables.effects(ranked, ["hidden_size", "learning_rate"], "validation_accuracy")
    first, second = figure.axes
    assert (len(first.containers), len(second.containers)) == (2, 3)
    solid = [bars[0] for bars in first.containers if bars[0].get_linestyle() == "-"]
    assert len(solid) == 1
    assert list(solid[0].get_ydata()) == pytest.approx([0.3015, 0.4015, 0.5015])
    plt.close(figure)


def test_a_table_is_escaped_links_and_downloads_itself():
    shown = pd.DataFrame(
        {"id": ["p1"], "error": ["<b> & co"], "source": ["=1+1"], "validation_accuracy": [1 / 3]}
    )
    page = BeautifulSoup(tables.as_html(shown, "trial", "{}/report.html".format), "html.parser")
    assert [cell.text for cell in page.find_all("td")] == ["p1", "<b> & co", "=1+1", "0.3333"]
    assert page.table.a["href"] == "p1/report.html"
    download = page.find("a", download="trial.csv")["href"]
    content = base64.b64decode(download.removeprefix("data:text/csv;base64,"))
    assert pd.read_csv(io.BytesIO(content)).to_dict("records") == [
        {"id": "p1", "error": "<b> & co", "source": "'=1+1", "validation_accuracy": 0.333333}
    ]


def test_results_have_a_row_for_each_point_and_no_metric_that_was_not_measured(tmp_path):
    file = write(
        tmp_path / "s.yaml", base={"num_validation": 0}, grid={"seed": [1, 2]}, select="train_error"
    )
    first, second = definition.points_of(definition.read(file), SweepFolder(tmp_path))
    first.result = result(first.id, first.parameters, train_error=0.25)
    found = tables.results_table([first, second])
    assert list(found["seed"]) == [1, 2]
    assert list(found["status"]) == ["done", "not run"]
    assert found["train_error"][0] == 0.25
    assert pd.isna(found["train_error"][1])
    assert not [name for name in found if name.startswith(("validation", "test"))]


@pytest.mark.parametrize("text", ["=cmd|'/c calc'!A1.npz", "+1", "-1", "@sum", "\tx", "=\x1b[1m\r"])
def test_text_that_a_spreadsheet_would_compute_is_guarded_in_the_results(tmp_path, text):
    file = write(tmp_path / "s.yaml", grid={"seed": [1]})
    (point,) = definition.points_of(definition.read(file), SweepFolder(tmp_path))
    object.__setattr__(point.parameters, "source", text)
    results.write([point], SweepFolder(tmp_path))
    (row,) = csv.DictReader(
        io.StringIO((tmp_path / "results.csv").read_bytes().decode(), newline="")
    )
    assert row["source"] == "'" + text.replace("\x1b", r"\x1b").replace("\r", r"\r")
    assert row["learning_rate"] == "0.005"


# ---- the report ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def swept(shared, pipeline):
    """A sweep of four configurations with two seeds each, and of one point that diverges."""

    def make(folder):
        (folder / "s.yaml").write_text(
            "name: trial\nbase: {num_samples: 60, num_validation: 40, epochs: 2}\n"
            "grid: {hidden_size: [5, 9], learning_rate: [0.005, 0.02], seed: [1, 2]}\npoints: [{learning_rate: 1e6}]"
        )
        done = pipeline("sweep", folder / "s.yaml", "--workers", "1", "--sweep-dir", folder / "out")
        assert done.returncode == 1
        assert f"report: {folder / 'out' / 'report.html'}" in done.stdout

    return shared("tables", make) / "out"


@pytest.fixture
def page(swept):
    return BeautifulSoup((swept / "report.html").read_text(), "html.parser")


def test_the_report_shows_every_point_and_of_one_configuration_alone_the_test_metric(swept, page):
    measured = {
        path.parent.name: json.loads(path.read_text()) for path in swept.glob("*/metrics.json")
    }
    records = {path.parent.name: json.loads(path.read_text()) for path in swept.glob("*/run.json")}
    configurations, points, failures = page.find_all("table", class_="sortable")
    assert len(configurations.find_all("tr")) == 6
    links = {link.text: link["href"] for link in points.find_all("a")}
    assert all(f">{identity}<" in str(points) for identity in records)
    assert all((swept / target).exists() for target in links.values())
    ((row),) = failures.tbody.find_all("tr")
    assert "Diverged" in row.text
    assert "Diverged" in (swept / row.td.text / "02_train.ipynb").read_text()
    text = page.main.text
    size, rate = re.search(r"selected: hidden_size (\d), learning_rate ([\d.]+)\n", text).groups()
    chosen = [
        identity
        for identity, record in records.items()
        if (record["parameters"]["hidden_size"], record["parameters"]["learning_rate"])
        == (int(size), float(rate))
    ]
    tested = [measured[identity]["test_accuracy"] for identity in chosen]
    assert f"test_accuracy {sum(tested) / 2:.4f} ({min(tested):.4f} to {max(tested):.4f})" in text
    assert measured.keys() == set(chosen)  # nobody else has met the test images
    assert links == {identity: f"{identity}/report.html" for identity in chosen}
    assert re.search(rf"python -m pipeline run --run-dir \S+ .*-p hidden_size {size}.*\n", text)


def test_the_heat_map_of_the_report_is_a_table_of_means_that_names_the_best(swept, page):
    means = {}
    for record in (json.loads(path.read_text()) for path in swept.glob("*/run.json")):
        place = str(record["parameters"]["hidden_size"]), str(record["parameters"]["learning_rate"])
        if "metrics" in record:
            means[place] = means.get(place, 0) + record["metrics"]["validation_accuracy"] / 2
    (caption,) = (
        found
        for found in page.find_all("p")
        if found.text.startswith("The best validation_accuracy")
    )
    (size, rate) = max(means, key=means.get)
    assert caption.text == (
        f"The best validation_accuracy, {means[size, rate]:.4f}, is at hidden_size {size} and learning_rate {rate}."
    )
    head, *rows = caption.parent.find_all("tr")
    rates = [cell.text for cell in head.find_all("th", class_="col_heading")]
    shown = {
        (row.th.text, column): cell.text
        for row in rows
        for column, cell in zip(rates, row.find_all("td"), strict=True)
    }
    assert shown == {place: f"{mean:.4f}" for place, mean in means.items()}


def test_a_sweep_whose_points_all_fail_has_a_report_that_shows_each(tmp_path, pipeline):
    (tmp_path / "s.yaml").write_text(
        "name: hopeless\nbase: {num_samples: 60, num_validation: 40, epochs: 2}\n"
        "grid: {hidden_size: [5, 9], learning_rate: [1e6, 1e7]}"
    )
    done = pipeline("sweep", tmp_path / "s.yaml", "--workers", "1", "--sweep-dir", tmp_path / "out")
    assert done.returncode == 1
    assert "4 points did not finish" in done.stderr
    page = BeautifulSoup((tmp_path / "out" / "report.html").read_text(), "html.parser")
    assert "No point has finished, so there is nothing to select." in page.main.text
    assert len(page.find_all("table", class_="sortable")[-1].tbody.find_all("tr")) == 4


def test_a_selected_point_has_a_report_and_any_other_is_given_one_on_demand(
    swept, tmp_path, pipeline
):
    shutil.copytree(swept, tmp_path / "out")
    (tmp_path / "out" / "report.html").unlink()
    records = {
        path.parent.name: json.loads(path.read_text())
        for path in (tmp_path / "out").glob("*/run.json")
    }
    selected = {path.parent.name for path in (tmp_path / "out").glob("*/report.html")}
    assert len(selected) == 2
    other = next(
        name for name in records if name not in selected and records[name]["status"] == "done"
    )
    (failed,) = (name for name in records if records[name]["status"] == "diverged")
    for identity in (min(selected), other, failed):
        path = tmp_path / "out" / identity / "report.html"
        assert path.exists() == (identity in selected)
        done = pipeline("report", path.parent)
        assert done.returncode == 0, done.stderr
        evaluated = r"03_evaluate\.ipynb  \d+\.\d s\n" if identity == other else ""
        assert re.fullmatch(f"{evaluated}report: {re.escape(str(path))}\n", done.stdout)
        page = BeautifulSoup(path.read_text(), "html.parser")
        assert "/point-" not in path.read_text()
        assert len(page.find_all("noscript")) == len(page.find_all(class_="pad"))
        assert not list(path.parent.glob("*data*"))
        if identity == failed:
            assert page.title.text == f"Point {identity} of the sweep trial: diverged"
        else:
            assert page.title.text == f"Point {identity} of the sweep trial"
            assert f"python -m pipeline run --run-dir runs/trial-{identity} " in page.text
            measured = json.loads((path.parent / "metrics.json").read_text())
            assert f"{measured['test_accuracy']:.4f}" in page.text
    before = {path: path.read_bytes() for path in (tmp_path / "out" / other).iterdir()}
    assert pipeline("report", tmp_path / "out" / other).returncode == 0
    assert {
        path: path.read_bytes() for path in (tmp_path / "out" / other).iterdir()
    } == before  # not evaluated again
    third = next(name for name in records if name not in {*selected, other, failed})
    for identity in (
        other,
        third,
    ):  # with the numbers of an older NumPy, only what was evaluated stands
        record = json.loads((tmp_path / "out" / identity / "run.json").read_text())
        record["inputs"]["versions"]["numpy"] = "1.0"
        (tmp_path / "out" / identity / "run.json").write_text(json.dumps(record))
        done = pipeline("report", tmp_path / "out" / identity)
        assert done.returncode == (0 if identity == other else 2)
        assert ("was trained with other versions numpy, which was 1.0" in done.stderr) == (
            identity == third
        )
        record["inputs"]["versions"]["numpy"] = np.__version__
        (tmp_path / "out" / identity / "run.json").write_text(json.dumps(record))
    model = tmp_path / "out" / third / "model.npz"
    trained = model.read_bytes()
    model.write_bytes(trained[:-1])  # else the record would have this as what was trained
    refused = pipeline("report", model.parent)
    assert refused.returncode == 2
    assert (
        "is no longer what its run left: model.npz was removed or altered. Run it again."
        in refused.stderr
    )
    assert not (model.parent / "metrics.json").exists()
    model.write_bytes(trained)
    again = pipeline(
        "sweep", swept.parent / "s.yaml", "--no-report", "--sweep-dir", tmp_path / "out"
    )
    assert again.stdout.startswith(
        "9 points: 8 done, 1 failed before (--retry-failed runs them again), 0 to run"
    )


def test_a_point_whose_source_has_changed_is_not_evaluated(tmp_path, pipeline):
    source, arrays = write_small_source(tmp_path)
    file = tmp_path / "s.yaml"
    base = f"{{source: {source}, num_samples: 20, num_validation: 20, epochs: 1}}"
    file.write_text(f"name: trial\nbase: {base}\ngrid: {{hidden_size: [3, 4]}}")
    assert (
        pipeline(
            "sweep", file, "--workers", "1", "--no-report", "--sweep-dir", tmp_path / "out"
        ).returncode
        == 0
    )
    (other,) = {path.parent for path in (tmp_path / "out").glob("*/run.json")} - {
        path.parent for path in (tmp_path / "out").glob("*/metrics.json")
    }
    before = {path.name for path in other.iterdir()}
    np.savez(source, **(arrays | {"x_test": arrays["x_test"] // 2}))
    refused = pipeline("report", other)
    assert refused.returncode == 2
    assert "was trained with other data, which was" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert {path.name for path in other.iterdir()} - {storage.LOCK} == before


def test_the_notebook_refuses_a_sweep_that_is_not_there(tmp_path):
    with pytest.raises(
        CellFailed, match=r"sweep.json is not there. Run the sweep: python -m pipeline sweep"
    ):
        notebooks.execute(
            execution.NOTEBOOK, tmp_path / "out.ipynb", {"sweep_dir": str(tmp_path / "none")}
        )
