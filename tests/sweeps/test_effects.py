"""The plots of a sweep's report."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from pipeline.parameters import NAMES
from pipeline.records import SweepDefinition
from pipeline.sweeps import effects
from tests.sweeps.conftest import make_ranking


@pytest.fixture
def draw():
    """Return a function that draws effects, and closes the figures in the end."""
    yield lambda *arguments: effects.draw_effects(*arguments, "validation_accuracy")
    plt.close("all")


def test_effects_draw_a_line_for_each_choice_of_the_others_and_mark_the_best(draw):
    sizes, rates = (10, 20, 30), (0.1, 0.2)
    values = {
        (s, r, n): s / 100 + r + n / 1000 for s in sizes for r in rates for n in (1, 2)
    }
    first, second = draw(make_ranking(values), ["hidden_size", "learning_rate"]).axes
    assert (len(first.containers), len(second.containers)) == (2, 3)
    assert first.get_xlabel() == "hidden_size, values swept"
    assert first.get_ylabel() == "validation accuracy (fraction)"
    assert [label.get_text() for label in second.get_xticklabels()] == ["0.1", "0.2"]
    solid = [bars[0] for bars in first.containers if bars[0].get_linestyle() == "-"]
    assert [list(line.get_ydata()) for line in solid] == [
        pytest.approx([0.3015, 0.4015, 0.5015])
    ]
    (mark,) = [line for line in first.lines if line.get_markersize() == 9]
    assert mark.get_ydata() == pytest.approx([0.5015])
    assert mark.get_xdata() == pytest.approx([1], abs=0.06)  # the place of 30


def test_effects_leave_out_a_configuration_of_which_a_point_failed(draw):
    values = {
        (10, 0.1, 1): 0.9,
        (10, 0.1, 2): None,
        (20, 0.1, 1): 0.6,
        (20, 0.1, 2): 0.6,
    }
    (axis,) = draw(make_ranking(values), ["hidden_size"]).axes
    assert [list(bars[0].get_ydata()) for bars in axis.containers] == [[0.6]]


def test_effects_of_many_parameters_stand_in_rows_of_three(draw):
    names = list(NAMES)[1:11]
    counts = {"complete": True, "mean": [0.5, 0.4], "lowest": 0.4, "highest": 0.5}
    figure = draw(pd.DataFrame({name: [1, 2] for name in names} | counts), names)
    assert [axis.get_title("left") + axis.get_title() for axis in figure.axes] == names
    assert sum(bool(axis.get_ylabel()) for axis in figure.axes) == 4
    figure.draw_without_rendering()
    boxes = [axis.xaxis.label.get_window_extent() for axis in figure.axes]
    assert not any(
        box.overlaps(other) for box in boxes for other in boxes if other is not box
    )


def test_values_stand_at_their_distances_and_labels_apart():
    assert effects.find_positions([3, 1, 2, 1], is_log=False) == {1: 0, 2: 0.5, 3: 1}
    places = effects.find_positions([0.1, 0.001, 0.01], is_log=True)
    assert places == pytest.approx({0.001: 0, 0.01: 0.5, 0.1: 1})
    assert effects.find_positions(["b", "a"], is_log=False) == {"a": 0, "b": 1}
    assert effects.find_positions([7], is_log=False) == {7: 0.5}
    assert effects.pick_labels({1.0: 0, 1.1: 0.05, 2.0: 1}) == {0: "1", 1: "2"}


def test_axes_are_logarithmic_as_values_were_drawn_or_from_a_factor_of_ten():
    columns = {"hidden_size": [20, 90], "dropout_rate": [0.01, 0.5], "epochs": [1, 10]}
    columns |= {
        "learning_rate": [0.01, 0.05],
        "input_dropout_rate": [0, 0.5],
        "source": ["a", "b"],
    }
    log = {"distribution": "log_uniform", "min": 0.01, "max": 0.1}
    drawn = {"learning_rate": log, "dropout_rate": {"min": 0, "max": 0.6}}
    sweep = SweepDefinition(name="a", random={"n_candidates": 2, "parameters": drawn})
    logs = effects.find_log_scales(pd.DataFrame(columns), columns, sweep)
    assert logs == {"learning_rate", "epochs"}


def test_a_search_is_drawn_by_its_candidates_and_by_its_rungs():
    names, metric = ["learning_rate", "epochs"], "validation_accuracy"
    table = {
        "learning_rate": [0.1, 0.1, 0.2],
        "epochs": [9, 3, 3],
        "mean": [0.9, 0.7, 0.6],
    }
    ranking = pd.DataFrame(table | {"seeds": 1})
    lines = effects.draw_candidates(ranking, names, metric).axes[0].lines
    # The best one is drawn last, so it lies on top.
    assert [list(line.get_ydata()) for line in lines[2:3]] == [[0, 1, 1]]
    (axis,) = effects.draw_rungs(ranking, names, metric).axes
    ends = sorted([*line.get_xdata()] for line in axis.lines)
    assert ends == [[3], [3, 9]]
    assert axis.get_xscale() == "log"
    assert axis.texts[0].get_text() == "learning_rate 0.1"
    plt.close("all")
