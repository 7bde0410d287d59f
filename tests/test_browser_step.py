"""Networks that are pressed, in a browser that is offline: sums, steps and curves."""

import re
from decimal import Decimal

import nbformat
import numpy as np
import pytest
from playwright.sync_api import expect

import helpers
from pipeline.lessons.diagram import Diagram
from pipeline.reports.page import write_notebook_report
from tests import pages
from tests.lessons.test_diagram import ON_PAPER
from tests.pages import DESKTOP, open_page

browser = pages.browser
pytestmark = pages.pytestmark

CLICK_AND_COUNT_ROLLS = """(button) => {
    button.click();
    return document.querySelector(".curve .now").getAnimations().length;
}"""
# Presses each button of a selector, and reads the tables that it shows.
READ_SUMS = """([root, buttons]) => Array.from(
    document.querySelectorAll(`${root} ${buttons}`),
    (button) => {
        button.click();
        const tables = document.querySelectorAll(`${root} .about table`);
        return Array.from(tables, (table) => Array.from(table.rows, (row) =>
            [row.className, row.lastElementChild.textContent]));
    },
)"""
READ_WEIGHTS = """(root) => Array.from(
    document.querySelectorAll(`${root} .weight`),
    (button) => {
        button.click();
        const panel = document.querySelector(`${root} .panel`);
        return [panel.textContent, panel.querySelectorAll(".curve").length];
    },
)"""


def check_sums(page, root, buttons, values, signals, error):
    """Press buttons; check that each shows two sums that add up as they stand.

    values, signals: what the sums give; error: half a unit of their last digit.
    """
    shown = page.evaluate(READ_SUMS, [root, buttons])
    assert len(shown) == len(values)
    for tables, *expected in zip(shown, values, signals, strict=True):
        for rows, value in zip(tables, expected, strict=True):
            terms = [Decimal(text) for kind, text in rows if kind in ("term", "rest")]
            (total,) = (Decimal(text) for kind, text in rows if kind == "total")
            assert sum(terms) == total, rows
            assert abs(float(rows[-1][1]) - value) < 1.001 * error


@pytest.fixture(scope="module")
def diagrams(tmp_path_factory):
    """The page of a notebook that shows small networks, and these networks."""
    rng = np.random.default_rng(0)
    random = [rng.normal(size=shape) for shape in ((4, 5), (5, 3))]
    networks = [
        Diagram([[[1.5]]], [2], [1]),
        Diagram([[[0.8]], [[-1.2]]], [1.5], [0.5]),
        Diagram(ON_PAPER, [1, 2, 3], [0, 1], learning_rate=0.05),
        Diagram(ON_PAPER, [1, 2, 3], [0, 1], relu_grad_inactive=1),
        Diagram(random, rng.normal(size=4), [0, 1, 0], learning_rate=0.01),
    ]
    cells = [nbformat.v4.new_markdown_cell("# Show networks")]
    for network in networks:
        bundle, metadata = network._repr_mimebundle_()
        output = nbformat.v4.new_output("display_data", bundle, metadata=metadata)
        cells.append(nbformat.v4.new_code_cell("network", outputs=[output]))
    folder = tmp_path_factory.mktemp("diagrams")
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "page.ipynb")
    write_notebook_report(folder / "page.ipynb", folder / "page.html")
    return folder / "page.html", networks


def compute(diagram):
    """Return the numbers of a diagram's layers after the first, and their signals."""
    state, layers = diagram.state, diagram.layers
    signals = [layers[-1] - state["targets"]]
    for matrix in map(np.array, state["weights"][:0:-1]):
        slope = helpers.relu_derivative(layers[-2], state["reluGradInactive"])
        signals.insert(0, (matrix @ signals[0]) * slope)
    return np.concatenate(layers[1:]), np.concatenate(signals)


def test_each_number_of_a_small_network_is_a_sum_that_adds_up(browser, diagrams):
    path, networks = diagrams
    with open_page(browser, path, DESKTOP) as report:
        for number, network in enumerate(networks):
            place = report.part("live").nth(number)
            place.evaluate("(element, id) => { element.id = id; }", f"live{number}")
            root = f"#live{number}"
            first = len(network.state["inputs"])
            sums = f".place:nth-of-type(n + {first + 1})"
            check_sums(report.page, root, sums, *compute(network), 0.00005)
            for text, curves in report.page.evaluate(READ_WEIGHTS, root):
                numbers = re.search(r": (\S+) \S (\S+) = (\S+)\.", text)
                value, signal, slope = (float(n.strip("()")) for n in numbers.groups())
                assert value * signal == pytest.approx(slope, rel=2e-3, abs=1e-9)
                assert curves == 1


def test_a_small_network_makes_a_step_and_its_numbers_can_be_changed(browser, diagrams):
    with open_page(browser, diagrams[0]) as report:
        part = pages.Page(report.page, report.part("live").nth(2))
        about, says = part.part("about"), part.part("says")
        for stop, text in (
            ("Forward", "Each score is such a sum"),
            ("Error", "the sum of their squares"),
            ("Back", "An inactive unit lets none through"),
            ("Update", "against the slope"),
        ):
            part.press(stop)
            expect(says).to_contain_text(text)
        expect(part.part("errors")).to_contain_text("step: 13, after it: 1")
        expect(about.get_by_role("row")).to_have_count(10)
        part.press("Start again")
        part.root.get_by_label("input 1:").press("Enter")
        expect(part.part("words")).to_contain_text("An input is given")
        part.press("Forward")
        expect(about).to_contain_text("Forward: unit 1")
        expect(part.root.get_by_text("Back: its error signal")).to_be_hidden()
        expect(part.part("legend")).to_contain_text("A line is what flows")
        weight = part.root.get_by_label("weight from input 1 to unit 1")
        weight.press("Enter")
        expect(weight).to_have_text("1")
        part.root.get_by_label("Change the weight").fill("3")
        expect(weight).to_have_text("3")
        expect(part.root.get_by_label(re.compile("^score 1:"))).to_have_text("4")
        slider = part.root.get_by_label("The weight", exact=True)
        losses = part.part("curve .scale").all_text_contents()
        for _ in range(3):
            slider.press("ArrowLeft")
        assert float(weight.text_content()) < 3
        expect(slider).to_be_focused()
        assert part.part("curve .scale").all_text_contents() == losses
        part.root.get_by_label(re.compile("^score 2:")).press("Enter")
        part.root.get_by_label("Change the target").fill("-1")
        expect(part.part("target").nth(1)).to_have_text("target -1")
        report.check_look()


def test_a_weight_keeps_its_curve_on_which_a_rate_that_is_too_large_swings_out(
    browser, diagrams
):
    """The slope is 4 times the distance from 0.5, so 0.525 overshoots by a tenth."""
    with open_page(browser, diagrams[0]) as report:
        smallest = pages.Page(report.page, report.part("live").first)
        weight, old = smallest.part("weight"), smallest.part("curve .old")
        weight.press("Enter")
        smallest.field("learning rate").fill("0.525")
        scale = smallest.part("curve .scale")
        losses = scale.all_text_contents()
        for count in range(1, 5):
            smallest.press("Forward", "Error", "Back")
            assert smallest.button("Update").evaluate(CLICK_AND_COUNT_ROLLS) == 1
            expect(old).to_have_count(count)
        assert weight.get_attribute("aria-pressed") == "true"
        assert scale.all_text_contents() == losses
        places = [float(dot.get_attribute("cx")) for dot in old.all()]
        swings = np.abs(np.diff(places))
        assert swings[1:] == pytest.approx(1.1 * swings[:-1], rel=1e-3)
        expect(smallest.part("curve")).to_be_in_viewport(ratio=1)
        expect(smallest.part("picture")).to_be_in_viewport(ratio=1)
        report.page.emulate_media(reduced_motion="reduce")
        assert smallest.button("Update").evaluate(CLICK_AND_COUNT_ROLLS) == 0
        report.page.keyboard.press("Escape")
        expect(smallest.part("curve")).to_have_count(0)
        expect(weight).to_be_focused()


def test_a_small_network_refuses_a_wrong_rate_and_calls_numbers_too_large(
    browser, diagrams
):
    with open_page(browser, diagrams[0]) as report:
        smallest = pages.Page(report.page, report.part("live").first)
        rate, says = smallest.field("learning rate"), smallest.part("says")
        for wrong in ("", "0", "-1"):
            rate.fill(wrong)
            expect(says).to_contain_text("must be a number above 0")
            smallest.press("Update")
            expect(rate).to_be_focused()
            expect(smallest.part("weight")).to_have_text("1.5")
        rate.fill("1e100")
        smallest.press("Update", "Update", "Update")
        expect(smallest.part("errors")).to_contain_text("after it: too large")
        expect(smallest.part("weight")).to_have_text("too large")
        expect(smallest.part("place").last).to_have_text("too large")
        expect(smallest.part("about")).to_contain_text("smaller learning rate")
        smallest.press("Start again")
        expect(rate).to_have_value("0.1")
        rate.fill("2.1")
        smallest.press("Start again")
        expect(rate).to_have_value("2.1")  # only one that was too large is forgotten
