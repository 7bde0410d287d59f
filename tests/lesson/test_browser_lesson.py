"""The lesson in an offline browser: draw, train, predict, compare."""

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from lesson.assets import FOLDER
from pipeline.network import compiled
from tests import pages
from tests.lesson.test_builder import write_lesson
from tests.pages import SEVEN, open_page, read_colours

browser = pages.browser
pytestmark = pages.pytestmark

SIZES = [(390, 844), (568, 320), (640, 400)]  # of screens
REFUSE_STORAGE = """for (const name of ["localStorage", "sessionStorage"])
    Object.defineProperty(window, name, {
        get() { throw new DOMException("refused", "SecurityError"); },
    });"""
THREE_CORES = """Object.defineProperty(navigator, "hardwareConcurrency",
    { get: () => 3 });"""
# Trains ten more of each, and presses Stop after two of them.
STOP_AFTER_TWO = """() => new Promise((done) => {
    const state = document.querySelector(".state");
    new MutationObserver(() => {
        if (!state.textContent.startsWith("2 of 20")) return;
        document.querySelector(".dots .stop").click();
        done(state.textContent);
    }).observe(state, { childList: true });
    document.querySelector(".more").click();
})"""
PRINT_NOTHING = "window.print = () => {};"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A lesson with trainings of five epochs."""
    return write_lesson(tmp_path_factory.mktemp("lesson"), epochs=5)


class Lesson(pages.Page):
    """The parts of a lesson, and what a pupil does with them."""

    def __init__(self, page):
        super().__init__(page)
        self.slip = self.field("learn when inactive (>=)").first
        self.seed = self.field("seed")
        self.rows = self.part("sheet tbody tr")
        self.questions = self.part("prediction")
        self.state = self.part("state")

    def choose(self, i, choice=1):
        """Predict: choose one of the answers to a question."""
        self.questions.nth(i).locator("summary").nth(choice).click()

    def train_once(self, seed=1):
        self.seed.fill(str(seed))
        self.press("Train")
        expect(self.part("outcome")).to_contain_text("Trained from a new start")

    def copy(self):
        """Copy all dots, and return the line."""
        self.press("Copy my dots")
        return self.field("One line for all your dots").input_value()

    def read_setting(self):
        """Return what the lines of the page's dots begin with."""
        return self.part("pasted").get_attribute("placeholder")[:8]

    def paste(self, *lines):
        self.unfold()
        self.part("pasted").fill("\n".join(lines))


def open_lesson(browser, path, *arguments, **options):
    return open_page(browser, path, *arguments, kind=Lesson, **options)


def read_dots(line):
    """Return the accuracies of a copied line: with the slip and without, by seed."""
    kinds = (re.findall(r"(\d+)=([\d.]+)", kind) for kind in line.split(" without"))
    return [{int(seed): float(value) for seed, value in kind} for kind in kinds]


def measure(sample, seed, inactive):
    """Return the accuracy on validation images that helpers and compiled give."""
    weights = pages.compute_weights(sample, 5, seed, relu_grad_inactive=inactive)
    images, labels = (sample[name][1000:2000] for name in ("x_train", "y_train"))
    return compiled.evaluate(images, labels, weights, 255.0)[1]


def test_a_lesson_is_accessible_and_fits_the_screen(browser, path):
    with open_lesson(browser, path) as lesson:
        lesson.check_print()
        lesson.choose(0)
        lesson.train_once()
        lesson.slip.uncheck()
        lesson.train_once()
        lesson.paste(lesson.copy(), "Good morning")
        lesson.check_look()
        lesson.page.set_viewport_size({"width": 320, "height": 844})
        assert lesson.page.evaluate(pages.FITS)


@pytest.fixture(scope="module", params=SIZES)
def screen(request, browser, path):
    """A lesson on a small screen."""
    width, height = request.param
    with open_lesson(browser, path, width) as lesson:
        lesson.page.set_viewport_size({"width": width, "height": height})
        yield lesson


def see(*parts):
    """Check that all of each part is on the screen."""
    for part in parts:
        expect(part).to_be_in_viewport(ratio=1)


def test_what_a_drawing_or_a_training_gives_is_on_the_screen(screen):
    screen.draw()
    screen.pad.evaluate("(pad) => pad.scrollIntoView()")
    see(screen.pad, screen.part("reads"))
    pad, reads = screen.pad.bounding_box(), screen.part("reads").bounding_box()
    assert pad["y"] + pad["height"] <= reads["y"]
    screen.choose(0)
    for is_on in (True, False):
        screen.slip.set_checked(is_on)
        screen.train_once()
        see(screen.part("outcome"), *screen.part("compared p:not([hidden])").all())
    for name in ("Train ten more of each", "Stop", "Copy my dots"):
        screen.within("dots").press(name)
        see(screen.state)


@pytest.mark.parametrize(
    ("i", "stop"), [(1, "one-weight"), (2, "a-chain"), (4, "the-real-step")]
)
def test_what_a_step_gives_is_on_the_screen(screen, i, stop):
    screen.choose(i)
    stop = screen.within(stop)
    update = stop.part("update").filter(visible=True)
    update.press("Enter")
    see(update, stop.part("says").filter(has_text="moved"))
    if i == 1 and screen.page.viewport_size == {"width": 390, "height": 844}:
        see(stop.part("curve").last)


def test_what_a_circle_says_is_on_the_screen(screen):
    paper = screen.within("on-paper")
    paper.part("weight").first.press("Enter")
    see(paper.part("about"))
    paper.part("place").nth(4).press("Enter")
    paper.field("Your value for unit 2:").fill("5")
    paper.press("Check")
    see(paper.part("ask p"), paper.part("ask input"))


def test_each_training_reads_the_drawing_and_is_a_dot(browser, path, sample):
    with open_lesson(browser, path) as lesson:
        lesson.draw_with_keys()
        assert lesson.read_answer().startswith("This network reads 7")
        expect(lesson.part("compared")).to_be_hidden()
        expect(lesson.part("accuracy polyline[points]")).to_have_count(0)
        lesson.train_once(seed=5)
        strip = lesson.part("strip li span")
        expect(strip).to_have_text(["0", "1", "2", "3", "5"])
        first = lesson.part("with-number")
        expect(first).to_have_text(f"{measure(sample, 5, 1):.1%}".replace("%", " %"))
        expect(lesson.part("luck")).to_be_hidden()
        lesson.choose(0)
        lesson.slip.uncheck()
        lesson.train_once(seed=5)
        expect(lesson.part("luck")).to_contain_text("Is it luck?")
        expect(lesson.part("accuracy polyline[points]")).to_have_count(2)
        expect(lesson.part("dots .dot")).to_have_count(2)


@pytest.fixture
def compared(browser, path):
    """A lesson with a prediction and a dot of each kind, of seed 1."""
    with open_lesson(browser, path) as lesson:
        lesson.choose(0)
        for is_on in (True, False):
            lesson.slip.set_checked(is_on)
            lesson.train_once()
        yield lesson


def test_dots_are_copied_as_a_line(compared, sample):
    line = compared.copy()
    assert read_dots(line) == [{1: measure(sample, 1, kind)} for kind in (1, 0)]
    expect(compared.state).to_have_text("Dots copied: 2.")
    compared.unfold()
    compared.part("pasted").press("Control+V")
    expect(compared.part("pasted")).to_have_value(line)


def test_ten_more_of_each_are_trained_by_all_cores_until_stop(compared):
    workers = []
    compared.page.on("worker", lambda worker: workers.append(worker))
    compared.page.evaluate(THREE_CORES)
    compared.page.evaluate(STOP_AFTER_TWO)
    expect(compared.state).to_have_text("Stopped after 2 of 20.")
    compared.page.wait_for_timeout(1000)
    assert len(workers) == 3
    assert sum(map(len, read_dots(compared.copy()))) == 4


def test_ten_more_of_each_become_two_groups(compared, sample):
    for said in ("20 trained.", "All dots of the 10 seeds after 1 are there."):
        compared.press("Train ten more of each")
        expect(compared.state).to_have_text(said, timeout=pages.PATIENCE)
    ours, others = read_dots(compared.copy())
    assert [*ours] == [*others] == [*range(1, 12)]
    assert ours[11] == measure(sample, 11, 1)
    assert others[11] == measure(sample, 11, 0)
    low = min(others.values())
    reaching = sum(value >= low for value in ours.values())
    assert reaching  # of these seeds
    says = compared.part("dots .says")
    expect(says).to_contain_text(
        f"{reaching} of 11 dots with the slip reach the lowest"
    )
    expect(says).to_be_in_viewport(ratio=1)
    expect(compared.part("dots .dot")).to_have_count(22)


def test_a_link_sets_seed_and_switch_and_says_so_where_they_stand(browser, path):
    with open_lesson(browser, path) as lesson:
        lesson.page.goto(f"{path.as_uri()}#seed=700&slip=off")
        said = lesson.part("from-link")
        expect(said).to_contain_text("Seed 700, with >:")
        expect(lesson.part("pasted")).to_be_visible()
        expect(said).to_be_in_viewport()
        expect(lesson.seed).to_have_value("700")
        expect(lesson.slip).not_to_be_checked()
        bar = lesson.part("lesson-bar")
        expect(bar.locator("[aria-current]")).to_have_text("2 Train")
        bar.get_by_role("link", name="4 A chain").click()
        expect(bar.locator("[aria-current]")).to_have_text("4 A chain")
        expect(lesson.seed).to_have_value("700")
        lesson.seed.fill("701")
        expect(said).to_be_hidden()
        lesson.page.reload()
        expect(lesson.seed).to_have_value("701")
        for wrong in ("", "-1", "1.5", "4294967296"):
            lesson.seed.fill(wrong)
            lesson.press("Train")
            expect(lesson.seed).to_be_focused()
            expect(lesson.part("outcome")).to_contain_text("trains in this browser")


def test_the_first_choice_that_is_pressed_is_the_prediction(browser, path):
    """It opens, the right choice opens too, and the rest of the stop appears."""
    with open_lesson(browser, path) as lesson:
        questions = lesson.questions.all()
        assert lesson.rows.count() == len(questions) >= 5
        for i, question in [*enumerate(questions)][1:]:
            below = question.locator("xpath=following-sibling::*").first
            predicted, outcome, mark = lesson.rows.nth(i).locator("td").all()
            expect(below).to_be_hidden()
            lesson.choose(i, 0)
            expect(below).to_be_visible()
            chosen = question.locator("details").first
            is_right = "right" in chosen.get_attribute("class")
            opened = question.locator("details[open]")
            expect(opened).to_have_count(1 if is_right else 2)
            expect(question.locator(".chosen[open]")).to_have_count(1)
            expect(question.locator(".right[open]")).to_have_count(1)
            said = chosen.locator("summary").text_content()
            expect(predicted).to_have_text(said)
            expect(outcome).to_contain_text("Right.")
            expect(mark).to_have_text("✓ right" if is_right else "✗ wrong")
            lesson.choose(i, 1)
            expect(predicted).to_have_text(said)


def test_what_a_comparison_shows_waits_for_a_dot_of_each_kind(browser, path):
    with open_lesson(browser, path) as lesson:
        answers = [
            lesson.part("dots"),
            lesson.root.get_by_text("So >= is a mistake"),
            lesson.questions.first.get_by_text("Right."),
            lesson.rows.first.get_by_text("Right."),
        ]

        def expect_answers(*, visible):
            for each in answers:
                expect(each).to_be_visible(visible=visible)

        lesson.choose(0)
        lesson.train_once(seed=3)
        expect_answers(visible=False)
        expect(lesson.questions.first.locator(".chosen")).to_be_visible()
        lesson.root.get_by_role("link", name="switch to >").click()
        expect(lesson.slip).not_to_be_checked()
        lesson.train_once(seed=4)
        expect_answers(visible=True)
        page = lesson.page
        page.once("dialog", lambda dialog: dialog.accept())
        lesson.press("Begin again")
        lesson.choose(0)
        expect_answers(visible=False)
        lesson.press("Train")
        lesson.part("training .stop").press("Enter")
        lesson.press("Show it without training")
        expect_answers(visible=True)


def test_a_filled_sheet_prints_on_one_page_alone(browser, path):
    with open_lesson(browser, path) as lesson:
        page = lesson.page
        for i in range(lesson.questions.count()):
            lesson.choose(i)
        lesson.train_once()
        page.evaluate(PRINT_NOTHING)
        for size in ("A4", "Letter"):
            lesson.press("Print my sheet")
            page.emulate_media(media="print")
            visible = page.locator("main > *").filter(visible=True)
            expect(visible).to_have_class("sheet")
            page.emulate_media(media="null")
            printed = page.pdf(format=size, prefer_css_page_size=True)
            assert pages.count_pages(printed) == 1
        page.once("dialog", lambda dialog: dialog.accept())
        lesson.press("Begin again")
        expect(lesson.part("dots .dot")).to_have_count(0)
        expect(lesson.part("sheet td").filter(has_text=re.compile("."))).to_have_count(
            0
        )
        expect(lesson.questions.first.locator("details[open]")).to_have_count(0)


@pytest.mark.parametrize("number", [1, 2])
def test_the_page_of_a_lesson_to_print_fits_one_sheet(browser, number):
    with open_lesson(browser, FOLDER / f"worksheet-{number}.html") as lesson:
        printed = lesson.page.pdf(prefer_css_page_size=True)
        assert pages.count_pages(printed) == 1
        assert lesson.find_violations() == []


def test_two_tabs_and_a_reload_lose_no_answer_dot_or_drawing(browser, path):
    with open_lesson(browser, path) as lesson:
        tab = lesson.page.context.new_page()
        tab.goto(path.as_uri())
        other = Lesson(tab)
        lesson.draw(SEVEN)
        drawn = lesson.read_answer()
        other.draw([[(0.5, 0.2), (0.5, 0.8)]])
        lesson.choose(0)
        other.choose(1)
        lesson.train_once(seed=3)
        other.slip.uncheck()
        other.train_once(seed=4)
        expect(lesson.part("dots .dot")).to_have_count(2)
        lesson.page.reload()
        for each in (lesson, other):
            expect(each.part("chosen")).to_have_count(2)
            expect(each.part("dots .dot")).to_have_count(2)
            assert [[*kind] for kind in read_dots(each.copy())] == [[3], [4]]
        expect(lesson.part("reads")).to_have_text(drawn)
        assert other.read_answer() != drawn
        tab.close()


def test_a_sentence_is_compared_once_it_is_written_and_is_kept(browser, path):
    with open_lesson(browser, path) as lesson:
        sentence = lesson.part("sentence").first
        compare = sentence.get_by_text("Compare", exact=True)
        expect(compare).not_to_be_visible()
        sentence.get_by_role("textbox").fill("counts")
        compare.click()
        expect(sentence).to_contain_text("for the answer; below 0, against it")
        lesson.page.reload()
        expect(sentence.get_by_role("textbox")).to_have_value("counts")


def test_a_browser_that_stores_nothing_forgets_only_when_the_page_closes(browser, path):
    with open_lesson(browser, path) as lesson:
        lesson.page.add_init_script(REFUSE_STORAGE)
        lesson.page.reload()
        lesson.choose(1)
        expect(lesson.rows.nth(1)).to_contain_text("Right.")
        lesson.train_once()
        expect(lesson.part("dots .dot")).to_have_count(1)
        lesson.page.reload()
        expect(lesson.part("dots .dot")).to_have_count(0)


def write_class(setting):
    """Return the lines of a class of fifty, each with a dot of each kind."""
    return [
        f"[09:41] Pupil {i}: {setting} with {i}00={0.77 + i / 1000:.3f} "
        f"without {i}00={0.87 - i / 1000:.3f}, 2 dots"
        for i in range(1, 51)
    ]


def test_the_lines_of_a_class_become_two_groups(browser, path):
    with open_lesson(browser, path) as lesson:
        lines = write_class(lesson.read_setting())
        begin, _, end = lines[10].partition(" without")
        lines[10] = f"{begin.upper()}\n without{end}"  # wrapped by a messenger
        lines[11] = lines[11].replace(" ", "\N{NO-BREAK SPACE}") + '", she wrote'
        lines[12:14] = [lines[12] + lines[13]]
        lesson.paste(*lines, "Good morning, without any dots")
        expect(lesson.part("refused")).to_be_hidden()
        says = lesson.part("class .says")
        expect(says).to_contain_text("50 with the slip: from 77.1 % to 82.0 %, mean")
        expect(says).to_contain_text("50 without the slip: from 82.0 % to 86.9 %")
        words = "overlap: 1 of 50 dots with the slip reach the lowest dot "
        expect(says).to_contain_text(words)
        lesson.page.reload()
        expect(lesson.part("class .dot")).to_have_count(100)


def test_a_line_that_is_refused_is_named_with_the_reason(browser, path):
    with open_lesson(browser, path) as lesson:
        setting = lesson.read_setting()
        lines = write_class(setting)
        named = {
            lines[0]: "seed 100 is also in line 1",
            lines[1].replace(setting, "00000000"): "another setting",
            lines[2].replace("with 300", "with 99=0.9 300"): "not all the dots",
            lines[2].partition(" without")[0]: "not all the dots",
            lines[2].replace(setting, setting[1:]): "not all the dots",
            lines[3].replace("=0.", "=0,"): "need a point, not a comma",
            lines[4].replace("=0.775", "=80"): "seed 500, .*, is impossible",
            lines[5].replace("=0.776", "=0.1"): "another accuracy in line 6",
        }
        lesson.paste(*lines, *named)
        expect(lesson.part("class .dot")).to_have_count(100)
        reasons = [f"Line {51 + i}, .*{each}" for i, each in enumerate(named.values())]
        expect(lesson.part("refused li")).to_have_text(list(map(re.compile, reasons)))


def test_a_finger_draws_where_it_is_and_does_not_scroll(browser, path):
    with open_lesson(browser, path) as lesson:
        box = lesson.pad.bounding_box()
        x, y = box["x"] + box["width"] / 4, box["y"] + box["height"] / 2
        lesson.drag(*[(x, y - step) for step in range(0, 100, 10)])
        assert lesson.read_answer().startswith("This network reads")
        ink = read_colours(lesson.pad)[:, 3].reshape(560, 560)
        down, across = np.argwhere(ink).mean(axis=0) / 560
        middle = 0.5 - 45 / box["height"]
        assert [across, down] == pytest.approx([0.25, middle], abs=0.02)
        assert lesson.page.evaluate("scrollY") == 0
        lesson.press("Undo")
        assert lesson.read_answer() == "Nothing is drawn yet."


def test_without_scripts_answers_open_and_nothing_dead_is_shown(browser, path):
    with open_lesson(browser, path, java_script_enabled=False) as lesson:
        lesson.choose(0, 0)
        reason = lesson.questions.first.get_by_text("No.")
        expect(reason.filter(visible=True)).to_have_count(1)
        dead = lesson.root.locator("button, input, select, textarea, canvas")
        expect(dead.filter(visible=True)).to_have_count(0)
