"""What reports do when they are used, opened from a disk in an offline browser."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from pipeline.network import published
from pipeline.paths import NOTEBOOKS
from pipeline.results.run_folder import RunFolder
from tests import pages
from tests.pages import DESKTOP, PHONE, open_page, read_colours

browser = pages.browser
pytestmark = pages.pytestmark

DRAWINGS = Path(__file__).parent / "data" / "drawings.json"
TWO = json.loads(DRAWINGS.read_text())[12]  # which the published network reads as 8
NETWORKS = ["This run's network", "A network trained on 55,000 digits"]
PICTURE = "(canvas) => canvas.toDataURL()"
# What is folded on a screen and printed: how many pieces, and how many are open.
COUNT_FOLDED = """() => {
    const all = [...document.querySelectorAll(":is(.origins, .glossary, .set-up)")];
    const pieces = all.filter((each) => each.matches("details"));
    return [pieces.length, pieces.filter(({ open }) => open).length];
}"""
RECORD_PRINTING = f"""addEventListener("beforeprint", () => {{
    window.printed = ({COUNT_FOLDED})();
}});"""


@pytest.fixture(scope="module")
def reports(runs, pipeline, tmp_path_factory):
    """A page of each kind, by its name."""
    folder = tmp_path_factory.mktemp("reports")
    names = {"run": "default", "other": "true-derivative", "sweep": "small"}
    run, other, _ = (folder / name for name in names.values())
    shutil.copytree(runs, folder, dirs_exist_ok=True)
    made = {name: folder / f"{name}.html" for name in ("why", "compare")}
    notebook = NOTEBOOKS / "why.ipynb"
    assert pipeline("report", notebook, "--output", made["why"]).returncode == 0
    assert pipeline("compare", run, other, "--output", made["compare"]).returncode == 0
    return made | {name: folder / each / "report.html" for name, each in names.items()}


def use_all_parts(report):
    """Bring onto the screen what a run's report shows only after it has been used."""
    report.draw()
    expect(report.part("reads")).to_contain_text("reads 7")
    report.train()


@pytest.mark.parametrize("name", ["run", "sweep", "why", "compare"])
def test_a_page_is_accessible_fits_the_screen_and_opens_offline(browser, reports, name):
    with open_page(browser, reports[name]) as report:
        report.check_print()
        if name == "run":
            use_all_parts(report)
        report.check_look()


def test_a_report_trains_to_the_published_digest(browser, reports):
    with open_page(browser, reports["run"]) as report:
        forming = report.part("forming")
        expect(forming).to_be_visible()
        picture = forming.evaluate(PICTURE)
        outcome = report.train()
        digest = published.WEIGHTS_SHA256
        assert f"Equal: 100 epochs. SHA-256 of the weights: {digest}." in outcome
        for name in ("masked", "fitted", "validation"):
            lines = [report.part(f"{whose}-{name}") for whose in ("live", "run")]
            assert len({line.get_attribute("points") for line in lines}) == 1
        choice = report.part("network option:checked")
        expect(choice).to_have_text("The network trained here")
        assert forming.evaluate(PICTURE) == picture  # the same weights, trained here


def test_red_weights_are_above_0_and_blue_ones_below(browser, reports):
    weights = RunFolder(reports["run"].parent).read_model().weights[0]
    with open_page(browser, reports["run"]) as report:
        expect(report.part("forming")).to_be_visible()
        colours = read_colours(report.part("forming")).reshape(150, 240, 4)[:28, :28]
        red, blue = (colours[..., i].astype(int) for i in (0, 2))
        first = weights[:, 0].reshape(28, 28)
        clear = np.abs(red - blue) > 20
        assert np.count_nonzero(clear & (first > 0)) > 10
        assert np.count_nonzero(clear & (first < 0)) > 10
        assert np.all((red > blue)[clear] == (first > 0)[clear])


def test_a_digit_is_drawn_read_and_taken_back_until_only_an_example_is_left(
    browser, reports
):
    with open_page(browser, reports["run"]) as report:
        reads, example = report.part("reads"), report.part("example")
        scores = report.part("scores li span:last-child")
        expect(example).to_contain_text("pale 3 is an example")
        expect(scores.nth(3)).to_have_text(re.compile(r"0\.[3-9]\d"))
        shown, empty = scores.all_text_contents(), report.pad.evaluate(PICTURE)
        assert max(shown, key=pages.read_number) == shown[3]
        for draw in (report.draw, report.draw_with_keys):
            expect(reads).to_have_text("Nothing is drawn yet.")
            expect(report.part("scores .answer")).to_have_count(0)
            draw()
            expect(reads).to_contain_text("This network reads 7, runner-up ")
            expect(report.part("scores .answer")).to_contain_text("7")
            expect(example).to_be_hidden()
            answer = report.read_answer()
            report.draw([[(0.2, 0.9), (0.8, 0.9)]])
            assert report.read_answer() != answer
            report.press("Undo")
            assert report.read_answer() == answer
            report.press("Clear", "Undo")
            assert report.read_answer() == answer
            report.press("Clear")
            expect(example).to_be_visible()
            expect(scores).to_have_text(shown)
            assert report.pad.evaluate(PICTURE) == empty


def test_a_drawing_is_read_by_the_network_that_is_chosen(browser, reports):
    """The answers to fifty drawings are tested in Node."""
    with open_page(browser, reports["run"]) as report:
        networks, reads = report.field("Network"), report.part("reads")
        options = networks.locator("option").all_text_contents()
        assert [option.split(" (")[0] for option in options] == NETWORKS
        report.draw(TWO["strokes"])
        expect(reads).to_contain_text("This network reads 8, runner-up 2.")
        expect(reads).to_contain_text("Not sure")
        networks.select_option(options[1])
        expect(reads).to_contain_text("This network reads 2, runner-up ")


def test_a_network_is_taught_a_drawing_and_forgets_it(browser, reports):
    with open_page(browser, reports["run"]) as report:
        taught, choice = report.part("taught"), report.field("This is a")
        report.press("Teach it")
        expect(taught).to_have_text("Draw something first.")
        report.draw()
        report.read_answer()
        report.press("Teach it")
        expect(taught).to_contain_text("First choose what it is")
        choice.select_option("7")
        report.press("Teach it")
        expect(taught).to_contain_text("It has learned from your drawing")
        report.press("Forget it", "Clear")
        expect(choice).to_have_value("")
        report.draw(TWO["strokes"])
        expect(report.part("reads")).to_contain_text("This network reads 8, ")
        wrong = report.read_answer()
        choice.select_option("2")
        for _ in range(5):
            report.press("Teach it")
            expect(taught).to_contain_text(" before you taught it")
            report.page.evaluate(pages.NEXT_FRAME)
        assert report.read_answer().startswith("This network reads 2")
        report.press("Forget it")
        assert report.read_answer() == wrong


def test_a_stopped_training_leaves_the_network_as_it_was(browser, reports):
    with open_page(browser, reports["run"]) as report:
        assert report.stop_training("Train it here") == "Stopped."
        expect(report.part("network option")).to_have_count(len(NETWORKS))
        assert "Equal: 100 epochs." in report.train()


def test_a_pressed_plot_is_larger_on_a_phone(browser, reports):
    with open_page(browser, reports["run"], PHONE) as report:
        report.unfold()
        plot = report.part("plot .scroll").first
        width = plot.locator("img").bounding_box()["width"]
        plot.click()
        assert plot.locator("img").bounding_box()["width"] > 1.3 * width


def test_the_policy_lets_no_other_script_run_and_nothing_be_fetched(
    browser, reports, tmp_path
):
    foreign = (
        "<script>window.foreign = 1</script>"
        '<img src="https://example.org/x" onerror="x()">'
    )
    text = reports["run"].read_text().replace("</main>", f"{foreign}</main>")
    (tmp_path / "page.html").write_text(text)
    with browser.new_page() as page:
        messages = []
        page.on("console", lambda message: messages.append(message.text))
        page.goto((tmp_path / "page.html").as_uri())
        assert page.evaluate("window.foreign === undefined")
        assert sum("Content Security Policy" in message for message in messages) == 3


def test_code_opens_at_once_and_the_contents_lead_to_their_headings(browser, reports):
    with open_page(browser, reports["run"]) as report:
        code = report.part("highlight").filter(visible=True)
        expect(code).to_have_count(0)
        report.press("Show all code")
        expect(code).to_have_count(report.part("source").count())
        report.press("Hide all code")
        expect(code).to_have_count(0)
        report.root.locator("nav summary").press("Enter")
        for width in (PHONE, DESKTOP):
            report.page.set_viewport_size({"width": width, "height": 844})
            for link in report.root.locator("nav a").all():
                link.click()
                target = link.get_attribute("href")[1:]
                heading = report.root.locator(f"[id='{target}']")
                expect(heading).to_have_text(link.text_content())
                expect(heading).to_be_in_viewport()


def test_an_answer_is_shown_when_it_is_pressed_or_with_all_others(browser, reports):
    with open_page(browser, reports["why"]) as report:
        answers = report.part("answer")
        assert answers.count() > 8
        assert not answers.locator(".output").filter(visible=True).count()
        answers.first.locator("summary").press("Enter")
        expect(answers.first.locator(".output").first).to_be_visible()
        report.press("Show all code and answers")
        for folded in (answers, report.part("prose details")):  # such as hints
            opened = folded.and_(report.root.locator("[open]"))
            assert folded.count() == opened.count() > 0


def test_a_report_is_printed_with_all_that_is_folded_and_then_folds_it_again(
    browser, reports
):
    with open_page(browser, reports["run"]) as report:
        report.page.evaluate(RECORD_PRINTING)
        assert report.page.evaluate(COUNT_FOLDED)[1] == 0
        report.page.pdf()
        pieces, opened = report.page.evaluate("window.printed")
        assert opened == pieces > 4
        assert report.page.evaluate(COUNT_FOLDED) == [pieces, 0]
        report.page.emulate_media(media="print")
        expect(report.part("accuracy")).to_be_visible()
        expect(report.pad).to_be_hidden()  # on which nothing is drawn
