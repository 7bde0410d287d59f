"""What is said of a sweep: rankings that seeds and failures cannot fool, tables, pictures, and its report."""

import base64
import io
import json
import re

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from pipeline import parameters, study


def table(*rows):
    """Points of (hidden_size, learning_rate, seed, validation_accuracy); no accuracy where one failed."""
    names = ("hidden_size", "learning_rate", "seed", "validation_accuracy")
    base = parameters.Parameters().model_dump(exclude={"run_dir"})
    return pd.DataFrame(
        [
            {"id": f"p{number}", "status": "done" if row[3] is not None else "diverged"}
            | base
            | dict(zip(names, row, strict=True))
            for number, row in enumerate(rows)
        ]
    )


def test_settings_are_ranked_by_the_mean_over_their_seeds_and_not_by_one_lucky_seed():
    points = table((10, 0.1, 1, 0.9), (10, 0.1, 2, 0.5), (20, 0.1, 1, 0.8), (20, 0.1, 2, 0.7))
    assert study.swept(points) == ["hidden_size", "seed"]
    ranked = study.ranked(points, "validation_accuracy")
    assert list(ranked["hidden_size"]) == [20, 10]
    assert list(ranked["mean"]) == pytest.approx([0.75, 0.7])
    assert (ranked["lowest"][1], ranked["highest"][1]) == (0.5, 0.9)
    assert list(ranked["ids"]) == [("p2", "p3"), ("p0", "p1")]


def test_a_setting_with_a_failed_point_comes_after_all_whole_ones():
    points = table((10, 0.1, 1, 0.9), (10, 0.1, 2, None), (20, 0.1, 1, 0.6), (20, 0.1, 2, 0.6), (30, 0.1, 1, None))
    ranked = study.ranked(points, "validation_accuracy")
    assert list(ranked["hidden_size"]) == [20, 10, 30]
    assert list(ranked["finished"]) == [2, 1, 0]


def test_an_error_is_ranked_from_below():
    points = table((10, 0.1, 1, 0.4), (20, 0.1, 1, 0.3)).rename(columns={"validation_accuracy": "validation_error"})
    assert list(study.ranked(points, "validation_error")["hidden_size"]) == [20, 10]


def test_the_heat_map_takes_the_two_parameters_that_matter_and_the_best_of_each_cell():
    rows = [(h, r, 1, 0.5 + h / 100 + r) for h in (10, 20) for r in (0.1, 0.2)]
    points = table(*rows)
    points = pd.concat(
        [points, points.assign(dropout_rate=0.1, validation_accuracy=lambda t: t["validation_accuracy"] - 0.01)]
    )
    names = study.swept(points)
    cells = study.by_two(study.ranked(points, "validation_accuracy"), names, "validation_accuracy")
    assert (cells.index.name, cells.columns.name) == ("hidden_size", "learning_rate")
    assert cells.to_numpy().ravel() == pytest.approx([0.7, 0.8, 0.8, 0.9])


def test_effects_draw_a_line_for_each_setting_of_the_others_with_the_selected_one_marked():
    points = table(*[(h, r, s, h / 100 + r + s / 1000) for h in (10, 20, 30) for r in (0.1, 0.2) for s in (1, 2)])
    ranked = study.ranked(points, "validation_accuracy")
    figure = study.effects(ranked, ["hidden_size", "learning_rate"], "validation_accuracy")
    first, second = figure.axes
    assert (len(first.containers), len(second.containers)) == (2, 3)
    solid = [bars[0] for bars in first.containers if bars[0].get_linestyle() == "-"]
    assert len(solid) == 1
    assert list(solid[0].get_ydata()) == pytest.approx([0.3015, 0.4015, 0.5015])
    plt.close(figure)


def test_a_table_is_escaped_links_and_downloads_itself():
    shown = pd.DataFrame({"id": ["p1"], "error": ["<b> & co"], "validation_accuracy": [1 / 3]})
    page = BeautifulSoup(study.as_html(shown, "trial", "{}/report.html".format), "html.parser")
    assert [cell.text for cell in page.find_all("td")] == ["p1", "<b> & co", "0.3333"]
    assert page.table.a["href"] == "p1/report.html"
    download = page.find("a", download="trial.csv")["href"]
    csv = base64.b64decode(download.removeprefix("data:text/csv;base64,"))
    assert pd.read_csv(io.BytesIO(csv)).to_dict("records") == [
        {"id": "p1", "error": "<b> & co", "validation_accuracy": 0.333333}
    ]


@pytest.fixture(scope="module")
def swept(shared, pipeline):
    """A sweep of two settings and two seeds, and one point that diverges."""

    def make(folder):
        (folder / "s.yaml").write_text(
            "name: trial\nbase: {num_samples: 60, num_validation: 40, epochs: 2}\n"
            "grid: {hidden_size: [5, 9], learning_rate: [0.005, 0.02], seed: [1, 2]}\npoints: [{learning_rate: 1e6}]"
        )
        done = pipeline("sweep", folder / "s.yaml", "--sweep-dir", folder / "out")
        assert done.returncode == 1
        assert f"report: {folder / 'out' / 'report.html'}" in done.stdout

    return shared("study", make) / "out"


def test_the_report_of_a_sweep_tells_of_every_point_and_of_one_setting_the_test_figure(swept):
    page = BeautifulSoup((swept / "report.html").read_text(), "html.parser")
    metrics = {path.parent.name: json.loads(path.read_text()) for path in swept.glob("*/metrics.json")}
    records = {path.parent.name: json.loads(path.read_text()) for path in swept.glob("*/run.json")}
    ranking, points, failures = page.find_all("table", class_="sortable")
    assert len(ranking.find_all("tr")) == 6
    links = {link.text: link["href"] for link in points.find_all("a")}
    assert links.keys() == records.keys()
    assert all((swept / target).exists() for target in links.values())
    ((row),) = failures.tbody.find_all("tr")
    assert "Diverged" in row.text
    assert links[row.a.text] == f"{row.a.text}/report.html"
    assert "Diverged" in (swept / row.a.text / "report.html").read_text()
    text = page.main.text
    size, rate = re.search(r"selected: hidden_size (\d), learning_rate ([\d.]+)\n", text).groups()
    chosen = [
        identity
        for identity, record in records.items()
        if (record["parameters"]["hidden_size"], record["parameters"]["learning_rate"]) == (int(size), float(rate))
    ]
    tested = [metrics[identity]["test_accuracy"] for identity in chosen]
    assert f"test_accuracy {sum(tested) / 2:.4f} ({min(tested):.4f} to {max(tested):.4f})" in text
    others = {f"{figures['test_accuracy']:.4f}" for name, figures in metrics.items() if name not in chosen}
    assert not [figure for figure in others - {f"{figure:.4f}" for figure in tested} if figure in str(page)]
    assert re.search(rf"python -m pipeline run --run-dir \S+ .*-p hidden_size {size}.*\n", text)


def test_a_sweep_whose_points_all_fail_has_a_report_and_tells_of_each(tmp_path, pipeline):
    (tmp_path / "s.yaml").write_text(
        "name: hopeless\nbase: {num_samples: 60, num_validation: 40, epochs: 2}\n"
        "grid: {hidden_size: [5, 9], learning_rate: [1e6, 1e7]}"
    )
    done = pipeline("sweep", tmp_path / "s.yaml", "--sweep-dir", tmp_path / "out")
    assert done.returncode == 1
    assert "4 points did not finish" in done.stderr
    page = BeautifulSoup((tmp_path / "out" / "report.html").read_text(), "html.parser")
    assert "No point has finished, so there is nothing to select." in page.main.text
    assert len(page.find_all("table", class_="sortable")[-1].tbody.find_all("tr")) == 4


def test_each_point_has_a_report_that_names_the_sweep_and_how_to_run_it_again(swept):
    reports = list(swept.glob("*/report.html"))
    done = [path for path in reports if (path.parent / "metrics.json").exists()]
    assert (len(reports), len(done)) == (9, 8)
    page = BeautifulSoup(done[0].read_text(), "html.parser")
    assert page.title.text == f"Point {done[0].parent.name} of the sweep trial"
    assert "02_train" in done[0].read_text()
    assert not [path for path in reports if "/point-" in path.read_text()]


def test_the_notebook_refuses_a_sweep_that_is_not_there(tmp_path):
    from pipeline import run

    with pytest.raises(run.RunFailed, match=r"sweep.json is not there. Run the sweep: python -m pipeline sweep"):
        run.execute(run.NOTEBOOKS / "sweep.ipynb", tmp_path / "out.ipynb", {"sweep_dir": str(tmp_path / "none")})
