"""Pressing on networks in an offline browser: sums, steps and curves."""

import json
import re
from decimal import Decimal
from html import escape

import numpy as np
import pytest
from playwright.sync_api import expect

import helpers
from lesson.assets import LESSON
from lesson.small_network import SmallNetwork
from tests import pages
from tests.lesson.test_builder import write_lesson
from tests.lesson.test_small_network import ON_PAPER
from tests.pages import DESKTOP, open_page, read_colours

browser = pages.browser
pytestmark = pages.pytestmark

# Presses each button of a selector, and reads the tables that it shows.
READ_SUMS = """([root, buttons]) => Array.from(
    document.querySelectorAll(`${root} ${buttons}`),
    (button) => {
        button.click();
        const tables = document.querySelectorAll(`${root} .about table`);
        return Array.from(tables, (table) => Array.from(table.rows, (row) =>
            [row.className, row.lastElementChild.textContent.replace("−", "-")]));
    },
)"""
READ_WEIGHTS = """(root) => Array.from(
    document.querySelectorAll(`${root} .weight`),
    (button) => {
        button.click();
        const panel = document.querySelector(`${root} .panel`);
        const text = panel.textContent.replaceAll("−", "-");
        return [text, panel.querySelectorAll(".curve").length];
    },
)"""


def check_sums(page, root, buttons, values, signals):
    """Press buttons; check that each shows two sums that add up as they stand.

    values, signals: what the sums give.
    """
    shown = page.evaluate(READ_SUMS, [root, buttons])
    assert len(shown) == len(values)
    for tables, *expected in zip(shown, values, signals, strict=True):
        for rows, value in zip(tables, expected, strict=True):
            terms = [Decimal(text) for kind, text in rows if kind in ("term", "rest")]
            (total,) = (Decimal(text) for kind, text in rows if kind == "total")
            assert sum(terms) == total, rows
            assert abs(float(rows[-1][1]) - value) < 0.000501  # of the last digit


@pytest.fixture(scope="module")
def diagrams(tmp_path_factory):
    """A page that shows small networks, and these networks."""
    rng = np.random.default_rng(0)
    random = [rng.normal(size=shape) for shape in ((4, 5), (5, 3))]
    networks = [
        SmallNetwork([[[1.5]]], [2], [1]),
        SmallNetwork([[[0.8]], [[-1.2]]], [1.5], [0.5]),
        SmallNetwork(ON_PAPER, [1, 2, 3], [0, 1], learning_rate=0.05),
        SmallNetwork(random, rng.normal(size=4), [0, 1, 0], learning_rate=0.01),
    ]
    section = "<h1>Networks</h1>"
    for network in networks:
        state = escape(json.dumps(network.state))
        place = f'<div class="live" data-name="diagram" data-state="{state}"></div>'
        section += place
    values = {"title": "Networks", "headings": {}, "section": section}
    path = tmp_path_factory.mktemp("diagrams") / "page.html"
    path.write_text(
        LESSON.render(
            "page.html.j2", ["page", "diagrams"], ["live", "page", "network"], **values
        )
    )
    return path, networks


def compute(network):
    """Return the numbers of a network's layers after the first, and their signals."""
    layers = network.layers
    signals = [layers[-1] - network.targets]
    for matrix in map(np.array, network.weights[:0:-1]):
        slope = helpers.relu_derivative(layers[-2], 0)
        signals.insert(0, (matrix @ signals[0]) * slope)
    return np.concatenate(layers[1:]), np.concatenate(signals)


def test_each_number_of_a_small_network_is_a_sum_that_adds_up(browser, diagrams):
    path, networks = diagrams
    with open_page(browser, path, DESKTOP) as report:
        for number, network in enumerate(networks):
            place = report.part("live").nth(number)
            place.evaluate("(element, id) => { element.id = id; }", f"live{number}")
            root = f"#live{number}"
            first = len(network.inputs)
            sums = f".place:nth-of-type(n + {first + 1})"
            check_sums(report.page, root, sums, *compute(network))
            for text, curves in report.page.evaluate(READ_WEIGHTS, root):
                numbers = re.search(r"Slope (\S+): .*, (\S+) . (\S+)\.", text)
                slope, value, signal = (float(n.strip("()")) for n in numbers.groups())
                assert value * signal == pytest.approx(slope, abs=0.005)
                assert curves == 1


def test_a_small_network_makes_a_step(browser, diagrams):
    with open_page(browser, diagrams[0]) as report:
        part = pages.Page(report.page, report.part("live").nth(2))
        part.press("Forward", "Error", "Back", "Update")
        expect(part.part("says")).to_contain_text("The loss was 6.5, and is now 0.")
        before = [weight for matrix in ON_PAPER for row in matrix for weight in row]
        weights = part.part("weight").all()
        moved = [weight.get_attribute("class").endswith("moved") for weight in weights]
        texts = [pages.read_number(weight.text_content()) for weight in weights]
        assert moved == [old != new for old, new in zip(before, texts, strict=True)]
        assert 0 < sum(moved) < 10
        part.press("Start again", "Forward")
        expect(part.part("about")).to_contain_text("Forward: unit 1")
        expect(part.root.get_by_text("Back: its error signal")).to_be_hidden()


def test_a_weight_of_a_small_network_is_changed_by_a_slider(browser, diagrams):
    with open_page(browser, diagrams[0]) as report:
        part = pages.Page(report.page, report.part("live").nth(2))
        weight = part.root.get_by_label("weight from input 1 to unit 1")
        weight.press("Enter")
        slider = part.field("The weight")
        slider.press("ArrowLeft")
        assert pages.read_number(weight.text_content()) < 1
        expect(slider).to_be_focused()
        report.check_look()


def test_a_number_that_is_too_large_is_called_so_and_a_wrong_rate_refused(
    browser, diagrams
):
    with open_page(browser, diagrams[0]) as report:
        smallest = pages.Page(report.page, report.part("live").first)
        rate = smallest.field("learning rate")
        for wrong in ("", "0", "-1"):
            rate.fill(wrong)
            smallest.press("Update")
            expect(rate).to_be_focused()
            expect(smallest.part("weight")).to_have_text("1.5")
        rate.fill("0,1")
        smallest.press("Update")
        expect(smallest.part("weight")).to_have_text("1.1")
        rate.fill("1" + "0" * 100)
        smallest.press("Update", "Update", "Update")
        expect(smallest.part("weight")).to_have_text("too large")
        expect(smallest.part("words")).to_contain_text("smaller learning rate")
        smallest.press("Start again")
        expect(rate).to_have_value("0.1")


@pytest.fixture(scope="module")
def lesson_path(tmp_path_factory):
    return write_lesson(tmp_path_factory.mktemp("lesson"))


def predict(lesson, place):
    """Choose one of the answers to the stop's question."""
    lesson.part("choice summary").nth(place).click()


def after_question(lesson):
    """Return the network that stands below the stop's question."""
    return pages.Page(lesson.page, lesson.part("prediction ~ .live"))


def test_a_finger_drags_a_weight_on_its_curve(browser, lesson_path):
    with open_page(browser, lesson_path) as page:
        lesson = page.within("one-weight")
        weight, words = (lesson.part(name).first for name in ("weight", "words"))
        expect(words).to_contain_text("Loss 0.32. Slope −0.8: ")
        lesson.part("curve").first.scroll_into_view_if_needed()
        dot = lesson.part("now").first.bounding_box()
        x, y = dot["x"] + dot["width"] / 2, dot["y"] + dot["height"] / 2
        page.drag(*[(x + step, y) for step in range(0, 150, 10)])
        value = float(weight.text_content())
        assert 1 < value == round(value, 2)
        loss, slope = (value - 1) ** 2 / 2, value - 1
        numbers = re.match(r"Loss (\S+)\. Slope (\S+):", words.text_content()).groups()
        assert [float(n) for n in numbers] == pytest.approx([loss, slope], abs=0.0005)


def test_the_steps_of_one_weight_wait_for_the_prediction(browser, lesson_path):
    with open_page(browser, lesson_path) as page:
        lesson = page.within("one-weight")
        for hidden in (lesson.root.get_by_text("next step"), lesson.button("Update")):
            expect(hidden.filter(visible=True)).to_have_count(0)
        predict(lesson, 0)
        network = after_question(lesson)
        expect(network.part("words")).to_contain_text("next step")
        network.press("Update")
        expect(network.part("weight")).to_have_text("0.6")
        network.press(*["Update"] * 4)
        expect(network.part("weight")).to_have_text("0.975")
        expect(network.part("words")).to_contain_text("Loss almost 0. Slope −0.025:")


def test_before_the_question_about_a_chain_no_slope_is_shown(browser, lesson_path):
    with open_page(browser, lesson_path) as page:
        network = page.within("a-chain").part("live").first
        slopes = network.get_by_text(re.compile("slope|error signal", re.I))
        for name in ("weight", "place"):
            network.locator(f".{name}").last.press("Enter")
            expect(slopes.filter(visible=True)).to_have_count(0)


def test_the_slip_can_be_on_only_while_the_unit_is_inactive_and_moves_it_then(
    browser, lesson_path
):
    with open_page(browser, lesson_path) as page:
        lesson = page.within("a-chain")
        expect(lesson.button("Update")).to_be_hidden()
        predict(lesson, 2)
        lesson = after_question(lesson)
        inactive, slip = lesson.field("inactive unit"), lesson.field("the slip")
        weights, score = lesson.part("weight"), lesson.part("place").last
        says = lesson.part("says")
        expect(inactive).to_be_checked()
        inactive.uncheck()
        expect(slip).to_be_disabled()
        expect(weights).to_have_text(["1", "3"])
        inactive.check()
        expect(weights).to_have_text(["−1", "−3"])
        lesson.press("Update")
        expect(weights).to_have_text(["−1", "−3"])
        expect(says).to_contain_text("moved: 0 of 2.")
        slip.check()
        lesson.press("Update")
        expect(weights).to_have_text(["−1.15", "−3"])
        expect(score).to_have_text("0")
        expect(says).to_contain_text("The loss was 12.5, and is now 12.5.")
        inactive.uncheck()
        expect(slip).not_to_be_checked()
        expect(weights).to_have_text(["1", "3"])


def test_on_paper_a_circle_takes_a_number_and_judges_it(browser, lesson_path):
    with open_page(browser, lesson_path) as page:
        network = page.within("on-paper")
        circles = network.part("place")
        expect(circles).to_have_text(list("102????"))
        circles.nth(4).click()
        field = network.field("Your value for unit 2:")
        field.fill("5")
        network.press("Check")
        expect(network.part("ask p")).to_contain_text("Not yet")
        field.fill("0")
        network.press("Check")
        expect(circles.nth(4)).to_have_text("0")
        expect(network.part("says")).to_contain_text("Right.")
        for place, number in ((3, "2"), (5, "2"), (6, "-2")):
            circles.nth(place).click()
            expect(network.part("ask input")).to_be_focused()
            network.page.keyboard.type(f"{number}\n")
        expect(network.part("says")).to_contain_text("Now press Error")


def test_on_paper_error_signals_are_asked_one_by_one(browser, lesson_path):
    with open_page(browser, lesson_path) as page:
        network = page.within("on-paper")
        circles, says = network.part("place"), network.part("says")
        network.press("Error")
        network.field("Your error signal for score 1:").fill("1")
        network.press("Check")
        under = network.part("under").filter(has_text="error signal")
        expect(under).to_have_text(["error signal 1", "error signal ?"])
        network.press("Back", "Show it")
        expect(under).to_have_text([f"error signal {each}" for each in "3?1?"])
        circles.nth(4).click()
        network.part("ask input").fill("0")
        network.press("Check")
        expect(says).to_contain_text("predict below, and then press Update")
        predict(network, 2)
        network.press("Update")
        expect(circles).to_have_text(["1", "0", "2", "0.5", "0", "0.4", "−0.3"])
        expect(network.part("moved")).to_have_count(4)  # six of ten stay
        expect(says).to_contain_text("The loss was 2.5, and is now 0.225")
        network.press("Start again")
        expect(circles).to_have_text(list("102????"))


def test_a_drawing_that_fits_no_digit_is_read_as_a_guess(browser, lesson_path):
    with open_page(browser, lesson_path) as page:
        page.draw([[(0.2, 0.8), (0.5, 0.2), (0.8, 0.8)], [(0.3, 0.5), (0.7, 0.5)]])
        assert page.read_answer().endswith(
            "No score is near 1: little more than a guess."
        )


def test_the_real_step_of_the_first_image_has_the_numbers_of_helpers(
    browser, lesson_path
):
    with open_page(browser, lesson_path) as page:
        step = page.within("the-real-step")
        where, says = step.part("where"), step.part("says")
        expect(where).to_contain_text("Image 1 of 1,000, a 5.")
        step.press("Update")
        expect(says).to_contain_text("3,344 of 31,760 weights have moved")
        expect(says).to_contain_text("to 19 active and 0 inactive units, and 190 from")
        expect(step.part("rows .label")).to_have_text("50.12→ 0.16")
        slip = step.field("learn when inactive (>=)")
        expect(slip).to_be_hidden()
        predict(step, 2)
        step.press("Next image")
        slip.check()
        expect(where).to_contain_text("Image 1 of 1,000, a 5.")
        step.press("Update")
        expect(says).to_contain_text("6,830 of 31,760 weights have moved")
        expect(says).to_contain_text("to 19 active and 21 inactive units, and 190 from")
        for tile in step.part("row canvas").all():
            red, _, blue, _ = read_colours(tile).astype(int).T
            assert np.sum(red != blue) > 50  # of 166 pixels with ink; some are faint


def test_the_real_step_can_be_one_of_ones_own_drawing(browser, lesson_path):
    with open_page(browser, lesson_path) as page:
        step = page.within("the-real-step")
        says, choice = step.part("says"), step.field("Your drawing is a")
        page.draw()
        step.press("Next image")
        expect(choice).to_have_value("")
        step.press("Update")
        expect(says).to_have_text("First say which digit you have drawn.")
        choice.select_option("7")
        step.press("Update")
        ink = np.sum(read_colours(step.part("image canvas"))[:, 0] < 255)
        found = re.search(
            r"(\S+) of .* from (\d+) .* to (\d+) active", says.text_content()
        )
        moved, pixels, units = (int(n.replace(",", "")) for n in found.groups())
        assert pixels == ink
        assert moved == pixels * units + 10 * units
        expect(step.part("rows .label b")).to_have_text("7")
        check_ghost(step, ink)
        step.press("Next image")
        expect(step.part("where")).to_contain_text("Image 2 of 1,000, a 0.")
        predict(step, 2)
        step.field("learn when inactive (>=)").check()  # begins again
        step.press("Next image")
        expect(choice).to_be_visible()


def check_ghost(step, ink):
    """Check that the drawing is red where a unit's weights rise, and blue elsewhere."""
    tiles = step.part("row .active").all()
    assert len(tiles) > 5
    for tile in tiles:
        signal = pages.read_number(tile.text_content())
        if abs(signal) < 0.05:  # whose colours are pale
            continue
        red, _, blue, _ = read_colours(tile.locator("canvas")).astype(int).T
        assert np.all((red > blue) == (red != blue)) == (signal < 0)
        assert 0 < np.sum(red != blue) <= ink
