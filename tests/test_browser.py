"""What reports do when they are used, opened from a disk in an offline browser."""

import re
import shutil

import pytest
from playwright.sync_api import expect

from pipeline.network import published
from pipeline.paths import NOTEBOOKS
from pipeline.reports import page
from tests import pages
from tests.pages import DESKTOP, PHONE, open_page

browser = pages.browser
pytestmark = pages.pytestmark

ADDRESS = "https://example.org/x"
PICTURE = "(canvas) => canvas.toDataURL()"

SIZES = """(main) => Array.from(main.querySelectorAll("*"), (each) => {
    const isText = [...each.childNodes].some((node) =>
        node.nodeName === "#text" && node.textContent.trim());
    const fold = each.closest("details");
    if (!isText || fold || !each.checkVisibility()) return 99;
    const svg = each.closest("svg");
    const width = svg?.getBoundingClientRect().width;
    const scale = svg ? width / svg.viewBox.baseVal.width : 1;
    return scale * parseFloat(getComputedStyle(each).fontSize);
})"""


@pytest.fixture(scope="module")
def reports(runs, pipeline, tmp_path_factory):
    """A page of each kind, by its name."""
    folder = tmp_path_factory.mktemp("reports")
    names = {"run": "default", "other": "true-derivative", "sweep": "small"}
    run, other, _ = (folder / name for name in names.values())
    shutil.copytree(runs, folder, dirs_exist_ok=True)
    made = {name: folder / f"{name}.html" for name in ("why", "compare")}
    page.write_notebook_page(NOTEBOOKS / "why.ipynb", made["why"])
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


@pytest.mark.parametrize("name", ["run", "sweep", "compare"])
def test_a_report_is_legible_on_a_phone(browser, reports, name):
    for width in (PHONE, DESKTOP):
        with open_page(browser, reports[name], width) as report:
            sizes = report.root.locator("main").evaluate(SIZES)
            assert len(sizes) > 20
            assert min(sizes) >= 9


def test_a_report_trains_to_the_published_digest(browser, reports):
    with open_page(browser, reports["run"]) as report:
        assert report.stop_training("Train it here") == "Stopped."
        outcome = report.train()
        digest = published.WEIGHTS_SHA256
        assert f"Equal: 100 epochs. SHA-256 of the weights: {digest}." in outcome
        for name in ("masked", "fitted"):
            lines = [report.part(f"{whose}-{name}") for whose in ("live", "run")]
            texts = [line.get_attribute("points") for line in lines]
            live, run = (list(map(float, re.split("[ ,]", text))) for text in texts)
            assert live == pytest.approx(run, abs=0.1)


def test_a_count_of_mistakes_shows_its_first_images_and_hides_them(browser, reports):
    with open_page(browser, reports["run"]) as report:
        images = report.part("kind").filter(visible=True)
        expect(images).to_have_count(0)
        for true, answer, words in ((3, 5, "the first 6 of 166"), (8, 9, "of 8")):
            count = report.part(f'confusion [data-kind="{true}-{answer}"] button')
            count.press("Enter")
            expect(images).to_have_count(1)
            expect(images).to_contain_text(words)
            expect(images).to_contain_text(f"True {true}, answer {answer}")
            expect(images).to_be_in_viewport()
            expect(report.part("confusion [aria-expanded=true]")).to_have_count(1)
        count.press("Enter")
        expect(images).to_have_count(0)


def test_bars_and_shades_keep_their_colours_if_the_system_forces_its_own(
    browser, reports
):
    with open_page(browser, reports["run"]) as report:
        report.page.emulate_media(forced_colors="active")
        style = "(each) => getComputedStyle(each).background"
        cell = report.part('confusion [data-kind="3-5"]').first.evaluate(style)
        assert cell.startswith("rgba(0, 114, 178, ")
        assert "gradient" in report.part("scores li").nth(3).evaluate(style)


def test_an_example_is_read_until_something_is_drawn(browser, reports):
    with open_page(browser, reports["run"]) as report:
        scores = report.part("scores li span:last-child")
        expect(report.part("example")).to_contain_text("pale 3 is an example")
        expect(scores.nth(3)).to_have_text(re.compile(r"0\.[3-9]\d"))
        shown, empty = scores.all_text_contents(), report.pad.evaluate(PICTURE)
        assert max(shown, key=pages.read_number) == shown[3]
        expect(report.part("scores .answer")).to_have_count(0)
        report.draw()
        expect(report.part("example")).to_be_hidden()
        report.press("Clear")
        expect(report.part("example")).to_be_visible()
        expect(scores).to_have_text(shown)
        assert report.pad.evaluate(PICTURE) == empty


@pytest.mark.parametrize("draw", ["draw", "draw_with_keys"])
def test_a_drawing_is_read_and_taken_back(browser, reports, draw):
    with open_page(browser, reports["run"]) as report:
        expect(report.part("reads")).to_have_text("Nothing is drawn yet.")
        getattr(report, draw)()
        expect(report.part("reads")).to_contain_text("This network reads 7, runner-up ")
        expect(report.part("scores .answer")).to_contain_text("7")
        answer = report.read_answer()
        report.draw([[(0.2, 0.9), (0.8, 0.9)]])
        assert report.read_answer() != answer
        report.press("Undo")
        assert report.read_answer() == answer
        report.press("Clear", "Undo")
        assert report.read_answer() == answer


def test_a_key_with_alt_is_the_browsers(browser, reports):
    with open_page(browser, reports["run"]) as report:
        report.pad.dispatch_event("keydown", {"key": " ", "altKey": True})
        report.pad.press("ArrowRight")
        assert report.read_answer() == "Nothing is drawn yet."


def test_a_pen_that_is_lifted_beyond_the_pad_draws_no_more(browser, reports):
    with open_page(browser, reports["run"]) as report:
        report.draw([[(0.5, 0.2), (0.5, -0.2)]])
        answer = report.read_answer()
        drawn = report.pad.evaluate(PICTURE)
        report.pad.hover()
        assert report.read_answer() == answer
        assert report.pad.evaluate(PICTURE) == drawn


def test_the_policy_lets_no_other_script_run_and_nothing_be_fetched(
    browser, reports, tmp_path
):
    foreign = (
        "<script>window.foreign = 1</script>"
        f'<img src="{ADDRESS}" onerror="window.failed = 1">'
    )
    text = reports["run"].read_text().replace("</main>", f"{foreign}</main>")
    (tmp_path / "page.html").write_text(text)
    with browser.new_page() as page:
        refused = []
        page.on("requestfailed", lambda request: refused.append(request.url))
        page.goto((tmp_path / "page.html").as_uri())
        assert page.evaluate("window.foreign === undefined")
        assert page.evaluate("window.failed === undefined")
        assert refused == [ADDRESS]


@pytest.mark.parametrize("name", ["run", "why"])
def test_the_contents_lead_to_their_headings(browser, reports, name):
    with open_page(browser, reports[name]) as page:
        page.root.locator("nav summary").press("Enter")
        for width in (PHONE, DESKTOP):
            page.page.set_viewport_size({"width": width, "height": 844})
            for link in page.root.locator("nav a").all():
                link.click()
                target = link.get_attribute("href")[1:]
                heading = page.root.locator(f"[id='{target}']")
                expect(heading).to_have_text(link.text_content())
                expect(heading).to_be_in_viewport()


def test_a_link_into_a_fold_opens_it(browser, reports):
    with open_page(browser, reports["run"]) as report:
        fold = report.root.locator("#made")
        expect(fold.locator("pre")).to_be_hidden()
        report.root.get_by_role("link", name="Digits by hand").first.click()
        expect(fold.locator("pre")).to_be_visible()
        expect(fold).to_be_in_viewport()


def test_an_answer_is_shown_when_it_is_pressed_or_with_all_others(browser, reports):
    with open_page(browser, reports["why"]) as report:
        answers = report.part("answer")
        assert not answers.locator(".output").filter(visible=True).count()
        answers.first.locator("summary").press("Enter")
        expect(answers.first.locator(".output").first).to_be_visible()
        report.press("Show all code and answers")
        hints = report.part("prose details")
        for folded in (answers, hints, report.part("source")):
            opened = folded.and_(report.root.locator("[open]"))
            assert folded.count() == opened.count() > 0


def test_all_answers_are_printed_and_then_open_are_those_that_were(browser, reports):
    with open_page(browser, reports["why"]) as report:
        report.part("answer summary").first.press("Enter")
        folded = report.part("answer:not([open])")
        count = folded.count()
        for event, number in (("beforeprint", 0), ("afterprint", count)):
            report.page.evaluate("(name) => dispatchEvent(new Event(name))", event)
            assert folded.count() == number < report.part("answer").count()


def test_a_printed_report_has_its_curves_and_no_empty_pad(browser, reports):
    with open_page(browser, reports["run"]) as report:
        report.page.emulate_media(media="print")
        expect(report.part("accuracy")).to_be_visible()
        expect(report.pad).to_be_hidden()  # on which nothing is drawn
