"""The page of the lesson in a browser that is offline: what it asks and trains."""

import datetime
import json
import re

import numpy as np
import pytest
from playwright.sync_api import expect

import helpers
from pipeline.paths import NOTEBOOKS
from tests import pages
from tests.lessons.test_lesson import write_lesson
from tests.pages import DESKTOP, PHONE, open_page

browser = pages.browser
pytestmark = pages.pytestmark

ANSWERS = [  # what came out, of each question
    "(a) is right. The score is 0.8 below",
    "(c) is right. A small change",
    "(c) is right. Five of them",
    "(c) is right. The first image moves 3,344",
    "(c) is right. They reach from",
]
REFUSE_STORAGE = """Object.defineProperty(window, "localStorage", {
    get() { throw new DOMException("refused", "SecurityError"); },
});"""
PRINT_NOTHING = "window.print = () => {};"
PRESS_AND_SEE_SILENT = """(button) => {
    button.click();
    return document.querySelector(".silent").checkVisibility();
}"""
# The words to read up to each stop, and the most between two things to press, without
# those of what is pressed, of figures, of tables, and of what is folded.
COUNT_WORDS = """() => {
    const pressed = "button, input, select, textarea, summary, canvas";
    const aside = `${pressed}, figure, label, fieldset, table`;
    const found = { most: 0, upTo: {} };
    let words = 0, since = 0;
    const walk = (node) => {
        if (node.nodeType === Node.TEXT_NODE) {
            const many = [...node.textContent.matchAll(/\\S*[\\p{L}\\p{N}]\\S*/gu)];
            words += many.length;
            since += many.length;
            found.most = Math.max(found.most, since);
        } else if (node.nodeType === Node.ELEMENT_NODE && node.checkVisibility()) {
            if (node.matches(".lesson-stop")) found.upTo[node.id] = words;
            const isPressed = node.matches(pressed) || node.querySelector(pressed);
            if (node.matches(aside)) since = isPressed ? 0 : since;
            else if (node.matches("details:not([open])")) since = 0;
            else node.childNodes.forEach(walk);
        }
    };
    walk(document.querySelector("main"));
    return { ...found, all: words };
}"""


@pytest.fixture(scope="module")
def run(pipeline, tmp_path_factory):
    """A run of three epochs."""
    folder = tmp_path_factory.mktemp("run")
    assert pipeline("run", "--run-dir", folder, "-p", "epochs", "3").returncode == 0
    return folder


@pytest.fixture(scope="module")
def path(run, tmp_path_factory):
    return write_lesson(tmp_path_factory.mktemp("lesson"), run)


@pytest.fixture(scope="module")
def original(runs, tmp_path_factory):
    """The lesson with the original's run, whose training asks about the slip."""
    return write_lesson(tmp_path_factory.mktemp("original"), runs / "default")


class Sheet:
    """The questions of a lesson's text, and the rows that they have at its end."""

    def __init__(self, lesson):
        self.lesson = lesson
        self.rows = lesson.part("sheet tbody tr:not([data-question=slip])")
        self.answers = lesson.root.locator("details.answer")

    def row(self, i):
        return self.rows.nth(i)

    def press(self, i):
        self.answers.nth(i).locator(":scope > summary").click()

    def is_open(self, i):
        return self.answers.nth(i).evaluate("(each) => each.open")

    def predict(self, i):
        """Choose the second answer of a question."""
        question = self.row(i).get_attribute("data-question")
        self.lesson.root.locator(f"input[name='{question}']").nth(1).check()


def test_a_lesson_is_accessible_fits_the_screen_and_begins_with_its_pad(browser, path):
    with open_page(browser, path) as lesson:
        box = lesson.pad.bounding_box()
        assert box["y"] + box["height"] < 667  # the screen of a small phone
        lesson.check_print()
        lesson.page.emulate_media(media="print")
        assert lesson.part("prose p").filter(visible=True).count() > 12
        lesson.page.emulate_media(media="screen")
        lesson.check_look()


def test_a_lesson_reads_makes_its_own_step_and_trains_to_the_digest_of_its_run(
    browser, path, run
):
    digest = json.loads((run / "metrics.json").read_text())["weights_sha256"]
    with open_page(browser, path) as lesson:
        lesson.draw_with_keys()
        assert lesson.read_answer().startswith("This network reads ")
        lesson.press("Next image")  # without dropout and the slip
        Sheet(lesson).predict(3)
        lesson.root.locator("#step").get_by_role("button", name="Update").click()
        expect(lesson.part("steps .rows .label")).to_have_text("50.12→ 0.16")
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
        sheet = Sheet(lesson)
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
        expect(sheet.row(4).locator("td").first).to_contain_text("(b) By less")
        for i, expected in enumerate(ANSWERS):
            mark = "✓ right" if "(b)" in expected else "✗ wrong"
            expect(sheet.row(i).locator("td").last).to_have_text(mark)


def test_a_filled_sheet_with_name_and_date_prints_on_one_page(browser, original):
    with open_page(browser, original) as lesson:
        page, sheet = lesson.page, Sheet(lesson)
        today = datetime.date.today().isoformat()
        expect(lesson.field("Date")).to_have_value(today)
        lesson.field("Name").fill("Ada")
        lesson.stop_training("Train it here")
        lesson.press("Fewer", "Correct the slip")
        lesson.wait_for_training()
        page.get_by_label("(a) At 0.6.").check()
        for i in range(len(ANSWERS)):
            if i:
                sheet.predict(i)
            sheet.press(i)
        marks = lesson.part("sheet td:last-child").all_text_contents()
        assert marks == ["✗ wrong", "✓ right", *["✗ wrong"] * 4]
        page.evaluate(PRINT_NOTHING)
        lesson.press("Print my sheet")
        page.emulate_media(media="print")
        visible = page.locator("main > *").filter(visible=True)
        expect(visible).to_have_count(1)
        expect(visible).to_have_class("sheet")
        printed = page.pdf(format="A4", prefer_css_page_size=True)
        assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1
        page.emulate_media(media="screen")
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        expect(page.locator("#one-weight")).to_be_visible()


def test_what_was_opened_is_not_predicted_anew_but_on_a_new_sheet(browser, path):
    with open_page(browser, path) as lesson:
        page = lesson.page
        choice = page.get_by_label("(c) Neither.")
        choice.focus()
        page.keyboard.press("Space")
        expect(choice).to_be_checked()
        Sheet(lesson).press(1)
        verdict = page.get_by_text("A small change of either").first
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
        expect(Sheet(lesson).row(1).locator("td")).to_have_text(["", "", ""])


def test_an_update_waits_for_the_prediction_below_it(browser, path):
    with open_page(browser, path) as lesson:
        network = lesson.root.locator("#one-weight .live")
        update, weight = network.get_by_role("button", name="Update"), "button.weight"
        hint = network.locator(".hint")
        expect(hint).to_contain_text("waits for your prediction")
        update.press("Enter")
        expect(update).to_have_attribute("aria-disabled", "true")
        network.locator(weight).click()  # which does not say what the step will do
        panel = network.locator(".panel")
        expect(panel).to_contain_text("The slope is")
        expect(panel).not_to_contain_text("next step")
        expect(network.locator(weight)).to_have_text("0.2")
        expect(hint).to_contain_text("your prediction first")
        Sheet(lesson).predict(0)
        expect(hint).to_contain_text("Now press Update")
        update.click()
        expect(network.locator(weight)).to_have_text("0.6")
        lesson.press("Next image")  # of the real step, whose prediction is not made
        update = lesson.root.locator("#step").get_by_role("button", name="Update")
        expect(update).to_have_attribute("aria-disabled", "true")
        lesson.root.locator("#step .hint a").click()
        expect(lesson.page.get_by_label("(a) All of them.")).to_be_in_viewport()


def test_a_question_and_the_button_that_waits_for_it_are_on_one_screen(browser, path):
    with open_page(browser, path, PHONE) as lesson:
        room = 844 - lesson.part("lesson-bar").bounding_box()["height"]
        for stop, network in (("one-weight", 0), ("a-chain", 1)):
            part = lesson.root.locator(f"#{stop}")
            figure = part.locator(".live").nth(network)
            top = figure.get_by_role("button", name="Update").bounding_box()["y"]
            box = part.locator(".prediction").bounding_box()
            assert box["y"] + box["height"] - top <= room, stop


def test_an_answer_can_be_shown_without_a_guess_which_the_sheet_says(browser, path):
    with open_page(browser, path) as lesson:
        sheet = Sheet(lesson)
        sheet.press(0)
        lesson.press("Show me without a guess")
        assert sheet.is_open(0)
        predicted, result, mark = sheet.row(0).locator("td").all()
        expect(predicted).to_have_text("shown without a guess")
        expect(result).to_contain_text(ANSWERS[0])
        expect(mark).to_have_text("")
        expect(lesson.page.get_by_label("(a) At 0.6.")).to_be_disabled()
        lesson.page.reload()
        expect(predicted).to_have_text("shown without a guess")


def test_the_guess_about_the_slip_stands_on_the_sheet_with_what_came_out(
    browser, original
):
    with open_page(browser, original) as lesson:
        guessed, outcome, mark = lesson.part("sheet [data-question=slip] td").all()
        waits = lesson.root.get_by_text("waits for your guess")
        expect(waits).to_be_hidden()
        lesson.press("Train it here")
        lesson.wait_for_training()
        expect(waits).to_be_visible()
        lesson.press("Fewer")
        expect(waits).to_be_hidden()
        expect(guessed).to_have_text("fewer")
        expect(mark).to_have_text("")
        lesson.press("Correct the slip")
        lesson.wait_for_training()
        expect(outcome).to_have_text("It reads clearly more.")
        expect(mark).to_have_text("✗ wrong")
        lesson.page.reload()
        expect(guessed).to_have_text("fewer")
        expect(mark).to_have_text("✗ wrong")


def count_silent(sample, inactive):
    """Return how many units of a network are active on none of its 1,000 images."""
    weights = pages.compute_weights(sample, 100, relu_grad_inactive=inactive)
    images = helpers.scale(sample["x_train"][1000:2000], 255)
    hidden, _ = helpers.forward(images, weights)
    return int(np.sum(~np.any(hidden > 0, axis=0)))


def test_the_correction_shows_its_accuracy_and_silent_units_and_leaves_no_trace(
    browser, original, sample
):
    with_slip, corrected = (count_silent(sample, inactive) for inactive in (1, 0))
    with open_page(browser, original) as lesson:
        silent, dots = lesson.part("silent"), lesson.part("first-plot .dot")
        lesson.fill(seed=7)
        lesson.press("Train it here")
        lesson.wait_for_training()
        expect(dots).to_have_count(1)
        lesson.press("Clearly more")
        was_shown = lesson.button("Correct the slip").evaluate(PRESS_AND_SEE_SILENT)
        assert not was_shown
        lesson.wait_for_training()
        assert corrected == 0
        expect(silent).to_contain_text(f"images: {with_slip} of 40 with the slip, none")
        text = lesson.root.locator("#a-chain").text_content()
        assert f"with the slip, {with_slip} of the 40 units end up silent" in text
        expect(lesson.field("relu_grad_inactive")).to_have_value("1")
        expect(lesson.field("seed")).to_have_value("1")
        expect(dots).to_have_count(2)
        groups = lesson.part("groups")
        expect(groups).to_have_text(
            re.compile(r"● 0: mean 0.8600, 1 try, corrected\n■ 1: .*, with the slip$")
        )
        names = lesson.part("first-plot .columns text").all_text_contents()
        assert names == ["corrected", "with the slip"]
        places = lesson.part("first-plot .grid text").all_text_contents()
        assert (places[0], places[-1]) == ("0.80", "0.86")
        lesson.page.reload()
        expect(lesson.part("tries tbody tr")).to_have_count(2)
        expect(lesson.part("tries tbody tr").first).to_contain_text("0.8600")
        expect(dots).to_have_count(2)
        lesson.page.once("dialog", lambda dialog: dialog.accept())
        lesson.press("Forget them")
        expect(dots.first).to_be_hidden()
        lesson.page.reload()
        expect(lesson.part("own-tries")).to_be_hidden()


def test_a_lesson_is_short_between_presses(browser, path):
    with open_page(browser, path) as lesson:
        count = lesson.page.evaluate(COUNT_WORDS)
        assert count["all"] <= 1500
        assert count["most"] <= 120
        assert 100 < count["upTo"]["a-chain"] <= 450  # that is, with One weight


def test_the_bar_stays_in_view_names_the_stop_and_leads_to_each(browser, path):
    with open_page(browser, path) as lesson:
        bar = lesson.part("lesson-bar")
        here = bar.locator("[aria-current]")
        expect(here).to_have_text("1 Draw")
        for number, title in ((7, "Many tries"), (3, "One weight")):
            bar.get_by_role("link", name=f"{number} {title}").click()
            expect(here).to_have_text(f"{number} {title}")
            heading = lesson.root.get_by_role("heading", name=title, exact=True)
            top, bottom = heading.bounding_box()["y"], bar.bounding_box()["height"]
            assert bottom <= top < 200
            assert bar.bounding_box()["y"] == 0
        page = lesson.page
        third = (844 - bar.bounding_box()["height"]) / 3
        heading = lesson.root.get_by_role("heading", name="A chain")
        for place, name in ((third + 30, "3 One weight"), (third - 30, "4 A chain")):
            height = bar.bounding_box()["height"] + place
            page.evaluate("(y) => scrollBy(0, y)", heading.bounding_box()["y"] - height)
            expect(here).to_have_text(name)
        page.evaluate("location.hash = '#step'")  # a link from elsewhere
        expect(here).to_have_text("6 The real step")
        page.set_viewport_size({"width": 320, "height": 844})
        assert page.evaluate(pages.FITS)
        expect(bar.get_by_role("link").last).to_be_in_viewport(ratio=1)


def test_train_is_within_a_screen_and_a_silent_unit_learns_by_the_slip_alone(
    browser, path
):
    with open_page(browser, path) as lesson:
        box = lesson.root.locator("button.train").bounding_box()
        assert box["y"] + box["height"] <= 900
        chains = lesson.root.locator("#a-chain .live")
        Sheet(lesson).predict(1)
        for i, weight in ((1, "-1"), (2, "-1.15")):
            chains.nth(i).get_by_role("button", name="Update").click()
            expect(chains.nth(i).locator("button.weight")).to_have_text([weight, "-3"])
            expect(chains.nth(i).locator("button.place")).to_have_text(["2", "0", "0"])


PLAN = (NOTEBOOKS / "teaching.md").read_text().split("## Lesson 2")[0]
# What is shown of each stop after it was used: from the first element to the last.
SHOWN = {
    2: ("#train .actions", "#train .forming"),
    3: ("#one-weight .live", "#one-weight .live"),
    4: ("#a-chain .live >> nth=1", "#a-chain .live >> nth=1"),
    5: ("#on-paper .live", "#on-paper .live"),
    6: ("#step .real", "#step .rows"),
    7: ("#tries .dots", "#tries .groups"),
}


def test_what_a_projector_shows_fits_at_the_zoom_of_the_plan(browser, original):
    zooms = re.findall(r"stop (\d) at (?:a zoom of )?(\d+) %", PLAN)
    assert [int(stop) for stop, _ in zooms] == [*SHOWN]
    with open_page(browser, original, DESKTOP) as lesson:
        lesson.stop_training("Train it here")
        lesson.press("Clearly more", "Correct the slip", "Next image")
        lesson.wait_for_training()
        Sheet(lesson).predict(0)
        Sheet(lesson).predict(3)
        for name in ("one-weight", "step"):
            update = lesson.root.locator(f"#{name}").get_by_role(
                "button", name="Update"
            )
            update.press("Enter")
        for stop, zoom in zooms:
            size = {"width": 128000 // int(zoom), "height": 80000 // int(zoom)}
            lesson.page.set_viewport_size(size)
            first, last = (
                lesson.root.locator(each).first.bounding_box()
                for each in SHOWN[int(stop)]
            )
            room = size["height"] - lesson.part("lesson-bar").bounding_box()["height"]
            assert last["y"] + last["height"] - first["y"] <= room, stop


def test_a_pressed_dot_trains_its_try_again_and_stays_in_view(browser, path):
    with open_page(browser, path) as lesson:
        for seed in (2, 3):
            lesson.train(seed=seed, epochs=1)
        dot, verdict = lesson.part("first-plot .dot").last, lesson.part("verdict")
        dot.click()
        expect(verdict).to_contain_text("Equal to your try before: 0.")
        for part in (dot, verdict):
            expect(part).to_be_in_viewport()
        expect(lesson.part("tries tbody tr")).to_have_count(3)
        expect(lesson.part("first-plot .dot")).to_have_count(2)


def test_a_links_setting_is_said_at_the_top_and_stays_on_the_way_through_the_stops(
    browser, path
):
    with open_page(browser, path) as lesson:
        page = lesson.page
        page.goto(f"{path.as_uri()}#relu_grad_inactive=0")
        notice = lesson.part("link-notice")
        expect(notice).to_contain_text("relu_grad_inactive 0")
        expect(notice).to_be_in_viewport()
        lesson.part("lesson-bar").get_by_role("link").nth(3).click()
        expect(notice).to_contain_text("relu_grad_inactive 0")
        expect(lesson.field("relu_grad_inactive")).to_have_value("0")
        lesson.fill(relu_grad_inactive=1)
        expect(notice).to_be_hidden()
        example = lesson.part("links").get_attribute("placeholder")
        assert example.startswith("lesson.html#")


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_the_picture_beside_the_curves_covers_no_name_of_their_axis(
    browser, path, width
):
    with open_page(browser, path, width) as lesson:
        lesson.train()
        picture = lesson.part("watched")
        expect(picture).to_be_in_viewport(ratio=1)
        box = picture.bounding_box()
        texts = lesson.part("accuracy text").all()
        assert len(texts) > 5
        for text in texts:
            name = text.bounding_box()
            is_below = name["y"] >= box["y"] + box["height"]
            assert is_below or name["x"] >= box["x"] + box["width"]


def test_on_paper_a_circle_takes_a_number_and_judges_it(browser, path):
    with open_page(browser, path) as lesson:
        network = pages.Page(lesson.page, lesson.root.locator("#on-paper .live"))
        circles, errors = network.part("place"), network.part("errors")
        expect(circles).to_have_text(["1", "0", "2", "?", "?", "?", "?"])
        circles.nth(4).click()
        field, said = network.field("Your value for unit 2:"), network.part("ask p")
        for number, word in (("", "Write a number"), ("-3", "ReLU"), ("5", "Not yet")):
            field.fill(number)
            network.press("Check")
            expect(said).to_contain_text(word)
        field.fill("0")
        network.press("Check")
        expect(circles.nth(4)).to_have_text("0")
        expect(network.part("says")).to_contain_text("Right.")
        expect(network.part("picture")).to_be_in_viewport(ratio=1)
        circles.nth(4).click()
        expect(network.part("about")).to_contain_text("sum")
        for place, number in ((3, "2"), (5, "2"), (6, "-2")):
            circles.nth(place).click()
            expect(network.part("ask input")).to_be_focused()
            lesson.page.keyboard.type(f"{number}\n")
        expect(network.part("says")).to_contain_text("Now press Error")
        network.press("Error")
        network.field("Your error signal for score 1:").fill("1")
        network.press("Check")
        under = network.part("under").filter(has_text="error signal")
        expect(under).to_have_text(["error signal 1", "error signal ?"])
        network.press("Back", "Show it")
        expect(under).to_have_text([f"error signal {each}" for each in "3?1?"])
        expect(errors).to_be_empty()
        Sheet(lesson).predict(2)
        network.press("Update")
        expect(circles).to_have_text(["1", "0", "2", "0.5", "0", "0.4", "-0.3"])
        expect(errors).to_contain_text("5, after it: 0.45")
        network.press("Start again")
        expect(circles.nth(3)).to_have_text("?")


def test_a_sheet_survives_a_reload_but_in_a_browser_that_stores_nothing(browser, path):
    """That a result survives, too, is tested in Firefox."""
    with open_page(browser, path) as lesson:
        sheet, name = Sheet(lesson), lesson.field("Name")
        predicted, result, _ = sheet.row(0).locator("td").all()
        sheet.predict(0)
        name.fill("Ada")
        lesson.page.reload()
        expect(name).to_have_value("Ada")
        expect(predicted).to_have_text("(b) At 0.7.")
        expect(result).to_have_text("")
        lesson.page.add_init_script(REFUSE_STORAGE)
        lesson.page.reload()
        expect(predicted).to_have_text("")
        sheet.predict(0)
        sheet.press(0)
        expect(result).to_contain_text(ANSWERS[0])


def test_without_scripts_answers_open_as_in_other_pages(browser, path):
    with open_page(browser, path, java_script_enabled=False) as lesson:
        Sheet(lesson).press(0)
        answer = Sheet(lesson).answers.first
        expect(answer.get_by_text("The score is 0.8 below").first).to_be_visible()
        fields = lesson.root.locator("textarea, input[type=radio]")
        expect(fields.filter(visible=True)).to_have_count(0)
