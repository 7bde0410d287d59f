"""The page of the lesson in a browser that is offline: what it asks and trains."""

import json
import re

import pytest
from playwright.sync_api import expect

from tests import pages
from tests.pages import open_page
from tests.reports.test_lesson import write_lesson

browser = pages.browser
pytestmark = pages.pytestmark

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
COUNT_BEFORE = """(answer, fields) => fields.filter((field) =>
    answer.compareDocumentPosition(field) & Node.DOCUMENT_POSITION_PRECEDING
).length"""


@pytest.fixture(scope="module")
def run(pipeline, tmp_path_factory):
    """A run of three epochs."""
    folder = tmp_path_factory.mktemp("run")
    assert pipeline("run", "--run-dir", folder, "-p", "epochs", "3").returncode == 0
    return folder


@pytest.fixture(scope="module")
def path(run, tmp_path_factory):
    return write_lesson(tmp_path_factory.mktemp("lesson"), run)


class Sheet:
    """The questions of a lesson's page, and the rows that they have at its end."""

    def __init__(self, lesson):
        self.lesson = lesson
        self.rows = lesson.part("sheet tbody tr")
        self.answers = lesson.root.locator("details.answer")

    def row(self, i):
        return self.rows.nth(i)

    def press(self, i):
        self.answers.nth(i).locator(":scope > summary").click()

    def is_open(self, i):
        return self.answers.nth(i).evaluate("(each) => each.open")

    def predict(self, i, words="I think so"):
        """Choose the second answer of a question that has choices, else write words."""
        question = self.row(i).get_attribute("data-question")
        choices = self.lesson.root.locator(f"input[name='{question}']")
        if choices.count():
            choices.nth(1).check()
            return
        fields = self.lesson.root.locator("label.prediction textarea")
        before = self.answers.nth(i).evaluate(COUNT_BEFORE, fields.element_handles())
        fields.nth(before - 1).fill(words)


def test_a_lesson_is_accessible_fits_the_screen_and_begins_with_its_pad(browser, path):
    with open_page(browser, path) as lesson:
        box = lesson.pad.bounding_box()
        assert box["y"] + box["height"] < 667  # the screen of a small phone
        lesson.check_print()
        lesson.page.emulate_media(media="print")
        assert lesson.part("prose p").filter(visible=True).count() > 50
        lesson.page.emulate_media(media="screen")
        lesson.check_look()


def test_a_lesson_reads_makes_its_own_step_and_trains_to_the_digest_of_its_run(
    browser, path, run
):
    digest = json.loads((run / "metrics.json").read_text())["weights_sha256"]
    with open_page(browser, path) as lesson:
        lesson.draw_with_keys()
        assert lesson.read_answer().startswith("This network reads ")
        for name in ("dropout", "slip"):
            lesson.part(f"switches .{name}").uncheck()
        lesson.press("Next image")
        row = lesson.part("steps .rows button[value='5']")
        expect(row.locator("b")).to_have_text(["0.12", "1", "-0.88", "0.16"])
        outcome = f"Equal: 3 epochs. SHA-256 of the weights: {digest}."
        assert outcome in lesson.train()
        expect(lesson.part("tries tbody tr")).to_have_count(1)
        lesson.train(epochs=2, seed=3)
        lesson.press("Copy the links of these tries")
        links = lesson.part("to-copy").input_value().splitlines()
        address = "lesson.html#seed=3&epochs=2&validation_accuracy=0."
        assert links[1].startswith(address)
        lesson.part("many > summary").click()
        lesson.part("links").fill(links[1])
        lesson.part("one-try").click()
        assert lesson.wait_for_training().startswith("Equal to what was")
        expect(lesson.part("one-try")).to_have_attribute("data-verdict", "equal")


def test_an_answer_opens_after_a_prediction_which_stands_on_the_sheet(browser, path):
    with open_page(browser, path) as lesson:
        page, sheet = lesson.page, Sheet(lesson)
        lesson.button("Show all code").evaluate("(each) => each.click()")
        assert sheet.rows.count() == len(ANSWERS) == sheet.answers.count()
        for i, expected in enumerate(ANSWERS):
            sheet.press(i)
            assert not sheet.is_open(i), expected
            hint = lesson.part("hint").filter(has_text="your prediction first")
            expect(hint).to_have_count(1)
            sheet.predict(i)
            expect(hint).to_have_count(0)
            assert expected not in sheet.row(i).text_content()
            sheet.press(i)
            assert sheet.is_open(i), expected
            expect(sheet.row(i)).to_contain_text(expected)
        expect(sheet.row(0).locator("td").first).to_have_text("I think so")
        expect(sheet.row(5).locator("td").first).to_have_text("(b) Only the loss.")
        expect(sheet.row(5).locator("td").last).to_contain_text("(b) is right")
        page.evaluate(PRINT_NOTHING)
        lesson.press("Print my sheet")
        page.emulate_media(media="print")
        visible = page.locator("main > *").filter(visible=True)
        expect(visible).to_have_count(1)
        expect(visible).to_have_class("sheet")
        printed = page.pdf(format="A4", prefer_css_page_size=True)
        assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        expect(page.locator("section.notebook")).to_be_visible()


def test_a_reading_waits_too_and_what_was_opened_is_not_predicted_anew(browser, path):
    with open_page(browser, path) as lesson:
        page = lesson.page
        reading = page.get_by_text("Read on when you have your answer").nth(1)
        reading.click()
        expect(lesson.part("hint").filter(visible=True)).to_have_count(1)
        choice = page.get_by_label("(c) Both become 0.")
        choice.focus()
        page.keyboard.press("Space")
        expect(choice).to_be_checked()
        reading.click()
        verdict = page.get_by_text("First: (c) is right.")
        expect(verdict).to_be_visible()
        expect(choice).to_be_disabled()
        page.once("dialog", lambda dialog: dialog.dismiss())
        lesson.press("Begin a new sheet")
        expect(choice).to_be_checked()
        page.once("dialog", lambda dialog: dialog.accept())
        lesson.press("Begin a new sheet")
        expect(choice).to_be_enabled()
        expect(choice).not_to_be_checked()
        expect(verdict).to_be_hidden()
        expect(Sheet(lesson).row(1).locator("td")).to_have_text(["", ""])


def test_a_sheet_survives_a_reload_but_in_a_browser_that_stores_nothing(browser, path):
    """That a result survives, too, is tested in Firefox."""
    with open_page(browser, path) as lesson:
        sheet, name = Sheet(lesson), lesson.field("Name")
        predicted, result = sheet.row(0).locator("td").all()
        sheet.predict(0, "0.5, 0.75, 0.875")
        name.fill("Ada")
        lesson.page.reload()
        expect(name).to_have_value("Ada")
        expect(predicted).to_have_text("0.5, 0.75, 0.875")
        expect(result).to_have_text("")
        lesson.page.add_init_script(REFUSE_STORAGE)
        lesson.page.reload()
        expect(predicted).to_have_text("")
        sheet.predict(0, "again")
        sheet.press(0)
        expect(result).to_contain_text(ANSWERS[0])


def test_without_scripts_answers_open_as_in_other_pages(browser, path):
    with open_page(browser, path, java_script_enabled=False) as lesson:
        Sheet(lesson).press(0)
        answer = Sheet(lesson).answers.first
        expect(answer.get_by_text("learning rate 0.5: [0. ")).to_be_visible()
        fields = lesson.root.locator("textarea, input[type=radio]")
        expect(fields.filter(visible=True)).to_have_count(0)
