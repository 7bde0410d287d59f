"""The page of the lesson in a browser that is offline: five stops, and predictions."""

import re

import pytest
from playwright.sync_api import expect

from pipeline.network import published
from pipeline.paths import NOTEBOOKS
from tests import test_browser
from tests.reports.test_lesson import write_lesson
from tests.test_browser import FITS, OPEN, find_violations, open_page

pytestmark = test_browser.pytestmark
browser = test_browser.browser
STOPS = (".drawing", ".network-diagram", ".answer .network-diagram", ".steps")
STOPS += (".training .train", ".many")
# The place of each element from the top of the page, also of what is folded.
FIND_PLACES = """(selectors) => {
    const all = [...document.querySelectorAll("*")];
    return selectors.map((each) => all.indexOf(document.querySelector(each)));
}"""
ANSWERS = [  # what came out, of each question
    "learning rate 0.5: [0.    0.5   0.75  0.875]",
    "(c) is right",
    "A network of size 3-2-2, as it begins: score 2 and -2, target 1 and 0, error 5.",
    "gradients of W2: [[2.0, -4.0], [0.0, 0.0]]",
    "3,344 of 31,760 weights have a gradient other than 0",
    "slope by the nudge 0.02198, by backward 0.02198",
    "epoch 1: error 0.729, 527 correct",
    "after two epochs: 15 of 20 above 0",
    "shuffled once     [781, 832, 829, 840, 800], on average 816",
    "true slope       [902, 895, 894, 908, 896], on average 899",
]
REFUSE_STORAGE = """Object.defineProperty(window, "localStorage", {
    get() { throw new DOMException("refused", "SecurityError"); },
});"""
PRINT_NOTHING = "window.print = () => {};"


@pytest.fixture(scope="module")
def lesson(runs, tmp_path_factory):
    return write_lesson(tmp_path_factory.mktemp("lesson"), runs / "default")


COUNT_BEFORE = """(answer, fields) => fields.filter((field) =>
    answer.compareDocumentPosition(field) & Node.DOCUMENT_POSITION_PRECEDING
).length"""


def find_rows(page):
    return page.locator(".sheet tbody tr").all()


def find_answer(page, i):
    return page.locator("details.answer").nth(i)


def press(answer):
    answer.locator(":scope > summary").click()


def predict(page, i, words="I think so"):
    """Choose the second answer of a question if it has choices, else write words."""
    question = find_rows(page)[i].get_attribute("data-question")
    choices = page.locator(f"input[name='{question}']")
    if choices.count():
        choices.nth(1).check()
    else:
        fields = page.locator("label.prediction textarea")
        handles = fields.element_handles()
        before = find_answer(page, i).evaluate(COUNT_BEFORE, handles)
        fields.nth(before - 1).fill(words)


@pytest.mark.parametrize("width", [1280, 390])
def test_a_lesson_is_accessible_and_fits_the_screen(browser, lesson, width):
    with open_page(browser, lesson, width) as page:
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate(FITS)
            assert find_violations(page) == []
        page.emulate_media(media="print")
        assert not page.locator("nav, .action").filter(visible=True).count()
        assert page.locator(".prose p").filter(visible=True).count() > 50
        page.emulate_media(media="screen")
        page.locator("details").evaluate_all(OPEN)
        assert page.evaluate(FITS)
        assert find_violations(page) == []


def test_the_five_stops_stand_in_their_order_and_the_pad_on_the_first_screen(
    browser, lesson
):
    with open_page(browser, lesson, 390) as page:
        places = page.evaluate(FIND_PLACES, STOPS)
        assert places == sorted(places)
        assert places[0] > 0
        box = page.get_by_label("Drawing pad").bounding_box()
        assert box["y"] + box["height"] < 667  # the screen of a small phone
        headings = page.locator("h2").all_text_contents()
        names = ["Draw", "One weight", "A network on paper", "The real network"]
        assert [each for each in headings if each in [*names, "Many tries"]] == [
            *names,
            "Many tries",
        ]


def test_a_lesson_reads_makes_its_own_step_and_trains_to_the_digest(browser, lesson):
    with open_page(browser, lesson, 390) as page:
        test_browser.draw_with_keys(page)
        assert test_browser.read_answer(page).startswith("This network reads 7")
        for name in ("dropout", "slip"):
            page.locator(f".switches .{name}").uncheck()
        page.get_by_role("button", name="Next image").click()
        row = page.locator(".steps .rows button[value='5']")
        expect(row.locator("b")).to_have_text(["0.12", "1", "-0.88", "0.16"])
        page.get_by_role("button", name="Train again").click()
        outcome = test_browser.wait_for_training(page)
        trained = f"100 epochs. SHA-256 of the weights: {published.WEIGHTS_SHA256}."
        assert f"Equal: {trained} All errors and weights are the run's" in outcome
        expect(page.locator(".tries tbody tr")).to_have_count(1)


def test_many_tries_of_a_lesson_are_trained_at_its_training(browser, lesson):
    with open_page(browser, lesson) as page:
        page.locator("details.change > summary").click()
        test_browser.fill(page, epochs=2, seed=3)
        page.get_by_role("button", name="Train with these").click()
        test_browser.wait_for_training(page)
        page.get_by_role("button", name="Copy the links of these tries").click()
        link = page.locator(".to-copy").input_value()
        assert link.startswith("lesson.html#seed=3&epochs=2&validation_accuracy=0.")
        page.locator("details.many > summary").click()
        page.get_by_label("Paste links of tries, one a line").fill(link)
        page.locator(".one-try").click()
        assert test_browser.wait_for_training(page).startswith("Equal to what was")
        expect(page.locator(".one-try")).to_have_attribute("data-verdict", "equal")


def test_an_answer_opens_after_a_prediction_which_stands_on_the_sheet(browser, lesson):
    with open_page(browser, lesson, 390) as page:
        assert page.get_by_role("button", name="Show all code").count() == 1
        page.get_by_role("button", name="Show all code").evaluate(
            "(each) => each.click()"
        )
        rows = find_rows(page)
        assert len(rows) == len(ANSWERS) == page.locator("details.answer").count()
        for i, (row, expected) in enumerate(zip(rows, ANSWERS, strict=True)):
            answer = find_answer(page, i)
            press(answer)
            assert not answer.evaluate("(each) => each.open"), expected
            hint = page.locator(".hint").filter(has_text="your prediction first")
            expect(hint).to_have_count(1)
            predict(page, i)
            expect(hint).to_have_count(0)
            assert expected not in row.text_content()
            press(answer)
            assert answer.evaluate("(each) => each.open"), expected
            expect(row).to_contain_text(expected)
        expect(rows[0].locator("td").first).to_have_text("I think so")
        expect(rows[5].locator("td").first).to_have_text("(b) Only the loss.")
        expect(rows[5].locator("td").last).to_contain_text("(b) is right")
        assert find_violations(page, ".sheet") == []
        page.evaluate(PRINT_NOTHING)
        page.get_by_role("button", name="Print my sheet").click()
        page.emulate_media(media="print")
        visible = page.locator("main > *").filter(visible=True)
        expect(visible).to_have_count(1)
        expect(visible).to_have_class("sheet")
        printed = page.pdf(format="A4", prefer_css_page_size=True)
        assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert page.locator("main > *").filter(visible=True).count() == 4
        assert page.locator("section.notebook").is_visible()


def test_a_reading_waits_too_and_what_was_opened_is_not_predicted_anew(browser, lesson):
    with open_page(browser, lesson) as page:
        reading = page.get_by_text("Read on when you have your answer").nth(1)
        reading.click()
        expect(page.get_by_text("Choose your prediction first, above.")).to_be_visible()
        choice = page.get_by_label("(c) Both become 0.")
        choice.focus()
        page.keyboard.press("Space")
        assert choice.is_checked()
        reading.click()
        expect(page.get_by_text("First: (c) is right.")).to_be_visible()
        assert choice.is_disabled()
        renew = page.get_by_role("button", name="Begin a new sheet")
        page.once("dialog", lambda dialog: dialog.dismiss())
        renew.click()
        assert choice.is_checked()
        page.once("dialog", lambda dialog: dialog.accept())
        renew.click()
        assert choice.is_enabled()
        assert not choice.is_checked()
        expect(page.get_by_text("First: (c) is right.")).to_be_hidden()
        assert find_rows(page)[1].locator("td").all_inner_texts() == ["", ""]


def test_predictions_survive_a_reload_and_a_browser_that_stores_nothing(
    browser, lesson
):
    with open_page(browser, lesson) as page:
        predict(page, 0, "0.5, 0.75, 0.875")
        predict(page, 1)
        press(find_answer(page, 0))
        page.get_by_label("Name", exact=True).fill("Ada")
        page.reload()
        first, second, *_ = find_rows(page)
        expect(page.get_by_label("Name", exact=True)).to_have_value("Ada")
        expect(first.locator("td").first).to_have_text("0.5, 0.75, 0.875")
        expect(first.locator("td").last).to_contain_text(ANSWERS[0])
        assert second.locator("td").last.text_content() == ""
        assert page.get_by_label("(b) Only dL/dw becomes 0.").is_checked()
        press(find_answer(page, 1))
        expect(second).to_contain_text(ANSWERS[1])
        page.add_init_script(REFUSE_STORAGE)
        page.reload()
        expect(first.locator("td").first).to_have_text("")
        predict(page, 0, "again")
        press(find_answer(page, 0))
        expect(first).to_contain_text(ANSWERS[0])


def test_without_scripts_answers_open_as_in_other_pages(browser, lesson):
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(lesson.as_uri())
        answer = find_answer(page, 0)
        press(answer)
        expect(answer.get_by_text("learning rate 0.5: [0. ")).to_be_visible()
        assert (
            page.locator("textarea, input[type=radio]").filter(visible=True).count()
            == 0
        )


def test_the_committed_lesson_opens_as_it_is(browser):
    with open_page(browser, NOTEBOOKS / "lesson.html") as page:
        expect(page.locator("h1")).to_have_text("How one network learns")
        expect(page.locator(".network-diagram")).to_have_count(3)
