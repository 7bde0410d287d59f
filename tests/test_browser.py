"""Reports, opened from a disk in a browser that is offline: what they do when used."""

import itertools
import json
import re
import shutil
from decimal import Decimal
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import expect

import helpers
from pipeline.digests import digest_arrays
from pipeline.lessons.diagram import Diagram
from pipeline.network import compiled, published
from pipeline.paths import NOTEBOOKS
from pipeline.reports.page import write_notebook_report
from tests import pages
from tests.lessons.test_diagram import ON_PAPER
from tests.pages import DESKTOP, PHONE, open_page

browser = pages.browser
pytestmark = pages.pytestmark

DRAWINGS = Path(__file__).parent / "data" / "drawings.json"
TWO = json.loads(DRAWINGS.read_text())[12]  # which the published network reads as 8
LINES = {"training", "dropout", "validation"}  # in a run's plots
MANY = "Many tries on one screen"
NETWORKS = [
    "This run's network",
    "The published network",
    "A network trained on 55,000 digits",
]
PICTURE = "(canvas) => canvas.toDataURL()"
# Buttons and links whose ground is the colour of links.
FILLED = """() => {
    const ground = (element) => getComputedStyle(element).backgroundColor;
    const train = ground(document.querySelector(".train"));
    return Array.from(document.querySelectorAll("main :is(button, a)"))
        .filter((each) => each.checkVisibility() && ground(each) === train)
        .filter((each) => each.getBoundingClientRect().top < innerHeight)
        .map((each) => each.textContent);
}"""
# The colours of a canvas: red, green, blue and opacity of each pixel.
COLOURS = """(canvas) => {
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
    copy.drawImage(canvas, 0, 0);
    return Array.from(copy.getImageData(0, 0, canvas.width, canvas.height).data);
}"""
BOXES = """(svg) => [svg, ...svg.querySelectorAll(".end")].map((each) => {
    const { top, bottom, left, right } = each.getBoundingClientRect();
    return [top, bottom, left, right];
})"""
END_LABELS = """() => Array.from(
    document.querySelectorAll(".accuracy .end"),
    (text) => [text.textContent, getComputedStyle(text).fill],
)"""
CLICK_AND_COUNT_ROLLS = """(button) => {
    button.click();
    return document.querySelector(".curve .now").getAnimations().length;
}"""
ALL_FIT = "(all) => all.every((each) => each.scrollWidth <= each.clientWidth)"
FIRST_EPOCH = re.compile("error 0.8547, accuracy 0.332; equal to the first entry")
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


@pytest.fixture(scope="module")
def reports(runs, pipeline, tmp_path_factory):
    """A page of each kind, by its name."""
    folder = tmp_path_factory.mktemp("reports")
    names = {"run": "default", "other": "true-derivative", "sweep": "small"}
    run, other, _ = (folder / name for name in names.values())
    shutil.copytree(runs, folder, dirs_exist_ok=True)
    made = {name: folder / f"{name}.html" for name in ("why", "compare", "index")}
    notebook = NOTEBOOKS / "why.ipynb"
    assert pipeline("report", notebook, "--output", made["why"]).returncode == 0
    assert pipeline("compare", run, other, "--output", made["compare"]).returncode == 0
    assert pipeline("index", folder).returncode == 0
    return made | {name: folder / each / "report.html" for name, each in names.items()}


def use_all_parts(report):
    """Bring onto the screen what stands in a run's report only after it is used."""
    report.draw()
    expect(report.part("reads")).to_contain_text("reads 7")
    report.open_more()
    report.part("units button").first.press("Enter")
    report.press("Next image")
    steps = report.part("steps")
    steps.locator(".rows button").first.press("Enter")
    steps.locator(".about th button").first.press("Enter")
    expect(steps.locator(".curve")).to_be_visible()
    report.train(epochs=1)
    links = "#seed=3&validation_accuracy=0.8 #seed=4&validation_accuracy=0.7"
    report.part("links").evaluate("(field) => field.closest('details').open = true")
    report.part("links").fill(links)
    expect(report.part("first-plot .dot")).to_have_count(3)  # with the own one


@pytest.mark.parametrize("name", ["run", "sweep", "index", "why", "compare"])
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
        limit, picture = forming.get_attribute("data-limit"), forming.evaluate(PICTURE)
        report.fill(seed=7, learning_rate="")  # which are not for this button
        report.press("Train it here")
        outcome = report.wait_for_training()
        assert "As good as the run: accuracy 0.800" in outcome
        digest = published.WEIGHTS_SHA256
        assert f"Equal: 100 epochs. SHA-256 of the weights: {digest}." in outcome
        for name in ("masked", "fitted", "validation"):
            lines = [report.part(f"{whose}-{name}") for whose in ("live", "run")]
            assert len({line.get_attribute("points") for line in lines}) == 1
        choice = report.part("network option:checked")
        expect(choice).to_have_text("The network trained here")
        assert forming.evaluate(PICTURE) == picture  # the same weights, trained here
        report.press("Clearly more")
        report.stop_training("Correct the slip")
        expect(report.part("tries tbody tr").first).to_contain_text(
            "relu_grad_inactive 0"
        )
        expect(report.field("relu_grad_inactive")).to_have_value("1")  # for once
        expect(report.field("seed")).to_have_value("1")
        assert forming.evaluate(PICTURE) != picture
        own_depth = measure_depth(forming)
        report.field("the weights in the same scale for all trainings").check()
        assert forming.get_attribute("data-limit") == limit
        assert measure_depth(forming) < own_depth / 1.5  # small weights are pale
        for scheme in ("light", "dark"):
            report.page.emulate_media(color_scheme=scheme)
            lines = dict(report.page.evaluate(END_LABELS))
            assert lines["try 1"] == lines["try 2"]
            colours = {lines[name] for name in ("try 1", "validation", "training")}
            assert len(colours) == 3


def test_the_pad_and_the_one_filled_button_are_on_the_first_screen(browser, reports):
    for width, height in ((DESKTOP, 800), (PHONE, 844)):
        with open_page(browser, reports["run"], width) as report:
            report.page.set_viewport_size({"width": width, "height": height})
            train = report.button("Train it here")
            for part in (report.part("result").first, report.pad, train):
                box = part.bounding_box()
                assert box["y"] >= 0
                assert box["y"] + box["height"] <= height
            assert report.page.evaluate(FILLED) == ["Train it here"]
            assert report.page.evaluate("scrollY") == 0


def test_a_digit_is_drawn_read_and_taken_back_until_only_an_example_is_left(
    browser, reports
):
    with open_page(browser, reports["run"]) as report:
        reads, example = report.part("reads"), report.part("example")
        scores = report.part("scores li span:last-child")
        expect(example).to_contain_text("pale 3 is an example")
        expect(scores.nth(3)).to_have_text(re.compile(r"0\.[3-9]\d"))
        shown, empty = scores.all_text_contents(), report.pad.evaluate(PICTURE)
        assert max(shown, key=float) == shown[3]
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
            report.press("Clear")
            expect(example).to_be_visible()
            expect(scores).to_have_text(shown)
            assert report.pad.evaluate(PICTURE) == empty


def test_a_pressed_unit_and_what_it_adds_are_both_in_view(browser, reports):
    with open_page(browser, reports["run"]) as report:
        report.draw()
        report.open_more()
        units, about = report.part("units button"), report.part("about-unit")
        expect(units).to_have_count(40)
        for state in ("has the activation", "is dropped", "has the activation"):
            units.nth(7).press("Enter")
            expect(about).to_contain_text(state)
        units.nth(39).scroll_into_view_if_needed()  # at the lower edge of the screen
        units.nth(39).click()
        expect(about).to_contain_text("Hidden unit 39")
        for part in (about, report.part("to-scores"), units.nth(39)):
            expect(part).to_be_in_viewport(ratio=1)
        bars, drawer = units.nth(39).bounding_box(), report.part("unit").bounding_box()
        assert bars["y"] + bars["height"] <= drawer["y"]
        report.press("Close")
        expect(about).to_be_hidden()
        expect(units.nth(39)).to_be_focused()


def test_a_drawing_is_read_by_each_of_three_networks(browser, reports):
    """The answers to fifty drawings are tested in Node."""
    with open_page(browser, reports["other"]) as report:
        report.open_more()
        networks, reads = report.field("Network"), report.part("reads")
        options = networks.locator("option").all_text_contents()
        assert [option.split(" (")[0] for option in options] == NETWORKS
        report.draw(TWO["strokes"])
        networks.select_option(options[1])
        expect(reads).to_contain_text("This network reads 8, runner-up 2.")
        expect(reads).to_contain_text("Not sure")
        expect(reads).to_contain_text("A network trained on 55,000 digits reads 2.")
        networks.select_option(options[2])
        expect(reads).to_contain_text("The published network reads 8.")


def test_a_network_is_taught_a_mistake_and_forgets_it(browser, reports):
    with open_page(browser, reports["run"]) as report:
        report.open_more()
        taught, choice = report.part("taught"), report.field("This is a")
        report.press("Teach it")
        expect(taught).to_have_text("Draw something first.")
        report.draw()
        report.read_answer()
        report.press("Teach it")
        expect(taught).to_contain_text("First choose what it is")
        choice.select_option("7")
        report.press("Teach it")
        expect(taught).to_contain_text("One update was made")
        report.press("Forget it", "Clear")
        expect(choice).to_have_value("")
        expect(report.part("example")).to_be_visible()
        empty = report.pad.evaluate(PICTURE)
        report.press("Show a mistake")
        expect(report.part("reads")).to_contain_text("This network reads ")
        wrong, label = report.read_answer(), choice.input_value()
        assert f"It is labelled {label}." in wrong
        assert report.pad.evaluate(PICTURE) != empty
        assert wrong[19] != label
        for _ in range(5):
            report.press("Teach it")
            expect(taught).to_contain_text("images: 0.")
            report.page.evaluate(pages.NEXT_FRAME)
        assert report.read_answer().startswith(f"This network reads {label}")
        report.press("Forget it")
        assert report.read_answer() == wrong
        report.press("Clear")
        expect(report.part("reads")).to_have_text("Nothing is drawn yet.")
        assert report.pad.evaluate(PICTURE) == empty


def test_a_mistake_and_a_cleared_pad_are_taken_back(browser, reports):
    with open_page(browser, reports["run"]) as report:
        report.draw()
        drawn = report.read_answer()
        for _ in range(2):
            report.press("Show a mistake")
            expect(report.part("reads")).to_contain_text("It is labelled")
            expect(report.part("reads")).to_be_in_viewport()
            report.page.evaluate(pages.NEXT_FRAME)
        report.press("Undo", "Undo")
        assert report.read_answer() == drawn
        report.press("Clear", "Undo")
        assert report.read_answer() == drawn
        hint = report.root.get_by_text("The arrow keys move the pen")
        expect(hint).to_be_hidden()
        report.button("Undo").focus()
        report.page.keyboard.press("Shift+Tab")
        expect(hint).to_be_visible()


def test_a_field_says_why_it_refuses_a_value(browser, reports):
    with open_page(browser, reports["run"]) as report:
        for name, value, reason in (
            ("learning_rate", "0,01", "a point: 0.01."),
            ("learning_rate", "0", "a number above 0."),
            ("learning_rate", "", "a number above 0."),
            ("hidden_size", "1001", "a whole number from 1 to 1,000 in a page, "),
            ("epochs", "1,000", "a whole number from 1 to 10,000 in a page, "),
            ("epochs", "1.5", "a whole number from 1 to 10,000 in a page, "),
            ("epochs", "1000000", "python -m pipeline run takes more."),
            ("dropout_rate", "1", "a number from 0 to below 1."),
            ("seed", "-1", "a whole number from 0 to 4294967295."),
        ):
            report.fill(**{name: value})
            report.press("Train with these")
            outcome = report.part("outcome")
            expect(outcome).to_have_text(re.compile(f"^{name} .*{re.escape(reason)}"))
            expect(report.field(name)).to_be_focused()
            report.press("Defaults")
        report.fill(dropout_rate="0.9995", epochs="1", learning_rate="5e-3")
        report.press("Train with these")
        outcome = report.wait_for_training()
        assert "dropout_rate 0.9995, epochs 1: 1 epoch." in outcome


def read_colours(canvas):
    """Return the pixels of a canvas as an array, each with four bytes."""
    return np.array(canvas.evaluate(COLOURS), np.uint8).reshape(-1, 4)


def measure_depth(canvas):
    """Return how far the colours of a canvas are from white in the mean."""
    return 255 - read_colours(canvas)[:, :3].min(axis=1).mean()


def read_strips(report, place):
    """Return the strips in a place, each as its epochs and answers."""
    lists = report.part(f"{place} .strip ol").all()
    return [
        dict(item.split() for item in each.locator("li").all_text_contents())
        for each in lists
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_drawn_is_read_after_certain_epochs(browser, reports, sample, scheme):
    options = {"color_scheme": scheme, "reduced_motion": "reduce"}
    with open_page(browser, reports["run"], **options) as report:
        expect(report.part("watch")).to_be_hidden()
        report.draw(TWO["strokes"])
        report.train(epochs=6, hidden_size=3)  # epochs too short to show each
        image = 255 - read_colours(report.part("watched"))[:, 0]
        weights = [
            pages.compute_weights(sample, n, hidden_size=3) for n in (0, 1, 2, 3, 5, 6)
        ]
        answers = [compiled.predict(image[None], each, 255.0)[0] for each in weights]
        right = [str(np.argmax(scores)) for scores in answers]
        strip = dict(zip("012356", right, strict=True))
        assert read_strips(report, "now") == [strip]
        expect(report.part("bars .answer")).to_have_text(right[-1])
        report.press("Clear")  # now the example is read
        report.train(epochs=1)
        assert read_strips(report, "earlier") == [strip]
        (latest,) = read_strips(report, "now")
        assert [*latest] == ["0", "1"]
        assert np.any(read_colours(report.part("watched"))[:, 0] != 255 - image)
        report.part("forming").scroll_into_view_if_needed()
        box = report.part("watched").bounding_box()
        assert (box["width"], box["height"]) == (72, 72)
        assert box["y"] >= 0
        report.part("tries").scroll_into_view_if_needed()
        report.page.mouse.wheel(0, 2000)
        expect(report.part("watched")).not_to_be_in_viewport()


def test_the_correction_is_guessed_before_it_is_made(browser, reports):
    record = pd.read_csv(NOTEBOOKS / "data" / "hundreds.csv").query("seed <= 40")
    means = record.groupby("relu_grad_inactive")["test"].mean() / 100
    hundreds = record[record["seed"] == 1].filter(like="hundred").sum(axis=1) / 10
    after, before = hundreds[record["relu_grad_inactive"] == 0], hundreds.iloc[0]
    with open_page(browser, reports["run"]) as report:
        correct = report.button("Correct the slip")
        expect(correct).to_be_hidden()
        report.stop_training("Train it here")
        expect(correct).to_have_attribute("aria-disabled", "true")
        report.press("Correct the slip")
        expect(report.part("compared")).to_be_hidden()
        report.press("Show me without a guess")
        expect(correct).to_have_attribute("aria-disabled", "false")
        report.press("Fewer", "Correct the slip")
        assert "Another training, with relu" in report.wait_for_training()
        numbers = report.part("compared dd")
        expect(numbers).to_have_text([f"{before} %", f"{after.iloc[0]} %"])
        size = "(element) => getComputedStyle(element).fontSize"
        headline = report.part("result strong").first.evaluate(size)
        assert numbers.last.evaluate(size) == headline
        note = report.part("compared .note")
        expect(note).to_contain_text(f"{means[1]:.1f} and {means[0]:.1f} %, of 10,000")
        expect(report.part("guessed")).to_have_text(re.compile("fewer.*clearly more"))
        report.fill(seed=3)
        report.stop_training("Train with these")
        expect(report.part("compared")).to_be_hidden()


def test_a_run_that_is_not_the_originals_asks_nothing(
    browser, runs, pipeline, tmp_path
):
    folder = tmp_path / "run"
    options = ["-p", "epochs", "2", "--run-dir", folder]
    assert pipeline("run", *options).returncode == 0
    with open_page(browser, folder / "report.html") as report:
        expect(report.part("guesses")).to_have_count(0)
        report.press("Correct the slip")
        assert "relu_grad_inactive 0, which corrects" in report.wait_for_training()


def test_a_stop_within_the_first_epoch_keeps_what_was_trained(browser, reports):
    with open_page(browser, reports["run"]) as report:
        report.fill(hidden_size=1000)
        outcome = report.stop_training("Train with these", "Epoch 1: ")
        place = int(re.search(r"after (\d+) of 1000 images", outcome)[1])
        expect(report.part("shown")).to_have_text(f"Epoch 1: {place} of 1000 images.")
        expect(report.part("progress")).to_have_js_property("value", place / 1000)
        choice = report.part("network option:checked")
        expect(choice).to_have_text("The network trained here")


def read_labels(report):
    """Return the names of the lines in the plots of accuracy and of error."""
    plots = report.part("accuracy .end"), report.part("error .end")
    return [{*labels.all_text_contents()} for labels in plots]


def check_names(boxes):
    """Check that the names of lines are within their plot, and do not overlap."""
    (top, bottom, left, right), *names = boxes
    for name in names:
        assert top <= name[0] < name[1] <= bottom
        assert left <= name[2] < name[3] <= right
    for above, below in itertools.pairwise(sorted(names)):
        assert above[1] <= below[0] + 1  # letters have room above and below them


def test_a_training_can_be_stopped_changed_and_may_diverge(browser, reports, sample):
    changes = {"input_dropout_rate": 0.2, "relu_grad_inactive": 0}
    digest = digest_arrays(*pages.compute_weights(sample, 5, **changes))
    with open_page(browser, reports["run"]) as report:
        tries = report.part("tries tbody tr")  # the latest first
        outcome = report.stop_training("Train it here")
        assert re.match(r"Stopped after \d+ epoch", outcome)
        expect(tries.first).to_have_text(
            re.compile(r"^10\.\d{4}epochs (\d+)\1, stopped")
        )
        outcome = report.train(epochs=5, dropout_rate=0.5, **changes)
        settings = "input_dropout_rate 0.2, relu_grad_inactive 0, epochs 5"
        assert f"{settings}: 5 epochs. SHA-256 of the weights: {digest}." in outcome
        accuracy = re.search(r"^Worse than .* accuracy (0\.\d{3}) on", outcome)[1]
        expect(tries.first).to_have_text(re.compile(f"^2{accuracy}0{settings}50"))
        table = report.part("tries")
        assert table.evaluate("(each) => each.scrollWidth <= each.clientWidth")
        address = tries.first.get_by_role("link").get_attribute("href")
        assert address == (
            "#input_dropout_rate=0.2&relu_grad_inactive=0&epochs=5"
            f"&validation_accuracy={float(accuracy)}"
        )
        assert read_labels(report) == [LINES | {"try 1", "try 2"}] * 2
        assert "make learning_rate smaller" in report.train(learning_rate=5)
        expect(tries.first).to_contain_text("1, diverged")
        assert read_labels(report) == [LINES | {"try 2", "try 3"}] * 2
        for plot in ("accuracy", "error"):
            check_names(report.part(f"plots .{plot}").evaluate(BOXES))
        report.train(learning_rate=0.0005, epochs=2)
        ticks = report.part("accuracy .grid line + text").all_text_contents()
        lowest = compiled.evaluate(
            sample["x_train"][1000:2000],
            sample["y_train"][1000:2000],
            pages.compute_weights(sample, 1, learning_rate=0.0005, **changes),
            255.0,
        )[1]
        assert float(ticks[0]) <= lowest < 0.3  # where the run's own axis begins


def test_many_tries_become_two_groups_and_one_press_trains_one_again(
    browser, reports, sample, tmp_path
):
    weights = pages.compute_weights(sample, 1, seed=3, relu_grad_inactive=0)
    others = sample["x_train"][1000:], sample["y_train"][1000:]
    right = float(helpers.evaluate(*others, weights)[1])
    groups = {"0": [0.812, 0.799, right], "1": [0.701, 0.655, 0.73]}
    lines = [
        f"Pupil {seed}: report.html#epochs=1&relu_grad_inactive={derivative}"
        f"&seed={seed}&validation_accuracy={accuracy}."
        for derivative, group in groups.items()
        for seed, accuracy in enumerate(group, 1)
    ]
    other = "report.html#epochs=1&seed=1&validation_accuracy=0.999"
    wrong = [
        "Good morning",
        "report.html#seed=1",
        "report.html#seed=-1&validation_accuracy=0.8",
        "report.html#seed=99&validation_accuracy=80",
        f"report.html#batch_size=2&validation_accuracy=0.8, {lines[0]}",
        "",
    ]
    (tmp_path / "class.txt").write_text("\n".join([*lines[3:], other]))
    with open_page(browser, reports["run"]) as report:
        report.page.get_by_text(MANY).press("Enter")
        several = f"{lines[0]} and {lines[1]}"
        report.part("links").fill("\n".join([several, lines[2], *wrong]))
        reading = report.part("reading")
        expect(reading).to_contain_text("3 tries, as reported. 5 lines")
        report.part("links-file").set_input_files(tmp_path / "class.txt")
        expect(reading).to_contain_text("6 tries, as reported.")
        expect(reading).to_contain_text("1 try is reported with several accuracies")
        pattern = r"([●■]) (\d): mean (\S+) ± (\S+), 3 tries"
        found = re.findall(pattern, report.part("groups").text_content())
        assert [line[:2] for line in found] == [("●", "0"), ("■", "1")]
        for _, derivative, *numbers in found:
            group = groups[derivative]
            expected = [np.mean(group), np.std(group, ddof=1) / np.sqrt(3)]
            assert [float(n) for n in numbers] == pytest.approx(expected, abs=6e-5)
        expect(report.part("grouped")).to_have_text("By relu_grad_inactive")
        expect(report.part("across")).to_have_text("Over seed")
        for plot in ("first-plot", "second-plot"):
            expect(report.part(f"{plot} .dot")).to_have_count(6)
        again = report.root.get_by_role("button", name="relu_grad_inactive 0, seed 3,")
        assert again.bounding_box()["height"] >= 44
        again.press("Enter")
        outcome = report.part("outcome")
        expect(outcome).to_contain_text(f"Equal to what was reported: {right}. ")
        report.wait_for_training()
        expect(report.field("seed")).to_have_value("3")
        dot, verdict = report.part("first-plot .dot").last, report.part("verdict")
        dot.click()
        expect(verdict).to_contain_text("NOT equal to what was reported: 0.73 there")
        expect(dot).to_be_in_viewport()
        expect(verdict).to_be_in_viewport()


def test_the_links_of_tries_are_copied_or_selected_and_read(browser, reports):
    permissions = ["clipboard-read", "clipboard-write"]
    with open_page(browser, reports["run"], permissions=permissions) as report:
        page = report.page
        report.train(epochs=1, learning_rate=0.01)
        report.train(epochs=1, learning_rate=5)
        report.press("Copy the links of these tries")
        expect(report.part("copied")).to_have_text("Copied.")
        links = page.evaluate("navigator.clipboard.readText()")
        page.context.clear_permissions()
        report.press("Copy the links of these tries")
        expect(report.part("copied")).to_have_text("Copy what is selected:")
        assert page.evaluate("getSelection().toString()") == links
        first, second = links.splitlines()
        settings = "report.html#learning_rate={}&epochs=1&validation_accuracy={}"
        assert first.startswith(settings.format(0.01, "0."))
        assert second == settings.format(5, "diverged")
        page.get_by_text(MANY).click()
        report.part("links").fill(links)
        expect(report.part("groups")).to_have_text(re.compile("mean .*, 1 try$"))


def test_an_address_has_the_settings_of_a_try_and_wrong_ones_are_refused(
    browser, reports
):
    with open_page(browser, reports["run"]) as report:
        address = "#epochs=3&dropout_rate=2&seed=7&glossary"
        report.page.goto(reports["run"].as_uri() + address)
        values = {"epochs": "3", "dropout_rate": "0.5", "learning_rate": "0.005"}
        for name, value in {"seed": "7", **values}.items():
            expect(report.field(name)).to_have_value(value)
        expect(report.part("outcome")).to_contain_text("dropout_rate 2, which cannot")
        link, notice = report.part("from-link"), report.part("link-notice")
        expect(link).to_contain_text("epochs 3, seed 7.")
        expect(notice).to_have_text(link.text_content())
        expect(notice).to_be_in_viewport()
        report.root.locator("nav summary").press("Enter")
        report.root.locator("nav a[href='#sees']").click()
        expect(link).to_contain_text("epochs 3, seed 7.")
        report.fill(seed=8)
        expect(notice).to_contain_text("From the link: epochs 3.")
        report.press("Defaults")
        expect(report.field("seed")).to_have_value("1")
        expect(link).to_be_hidden()
        report.page.goto(reports["run"].as_uri() + "#seed=7")
        expect(link).to_be_visible()
        expect(report.field("seed")).to_have_value("7")
        report.stop_training("Train it here")
        expect(link).to_be_visible()
        report.press("Fewer", "Correct the slip")
        expect(link).to_be_hidden()  # its settings have been replaced


def test_one_step_shows_what_each_update_is_made_of(browser, reports):
    with open_page(browser, reports["run"]) as report:
        report.press("Next image")
        steps = pages.Page(report.page, report.part("steps"))
        expect(steps.part("which")).to_have_text("Image 1 of 1,000, labelled 5.")
        label = steps.part("rows .label")
        expect(label).to_have_count(1)
        scores = [float(text) for text in steps.part("rows span").all_text_contents()]
        five = scores[5]
        caption = steps.root.get_by_text("Back: its error signal")
        for stop, text, rest in (
            ("Error", "score minus its target", f"- 1 = {five - 1:.2f}"),
            ("Back", "lets them through", f"- 1 = {five - 1:.2f}"),
            ("Update", "against the slope", "→ 0."),
            ("Forward", "the ReLU cuts", ""),
        ):
            steps.press(stop)
            expect(steps.part("says")).to_contain_text(text)
            expect(label.locator("small")).to_contain_text(rest)
            framed = (
                "(all) => all.filter(({ style }) => style.cssText !== '--part: 0;')"
            )
            units = steps.part("row button").evaluate_all(f"({framed})")
            assert bool(units) == (stop in ("Back", "Forward"))
        unit = steps.part("row button").nth(3)
        unit.press("Enter")
        expect(steps.part("about")).to_contain_text("Forward: hidden unit 3")
        expect(steps.part("about table").first).to_be_in_viewport()
        expect(unit).to_be_in_viewport(ratio=1)
        steps.press("Error")
        expect(caption).to_be_hidden()
        steps.press("Back")
        expect(caption).to_be_visible()
        steps.part("about th button").first.press("Enter")
        expect(steps.part("words")).to_contain_text("The slope is pixel row")
        loss = re.search(r"It is (\S+) now", steps.part("words").text_content())[1]
        highest, least = map(float, steps.part("scale").all_text_contents())
        assert least <= float(loss) <= highest
        expect(unit).to_have_attribute("aria-pressed", "true")
        steps.press("Update")  # the curve stays, and the dot moves
        expect(steps.part("curve .old")).to_have_count(1)
        expect(steps.part("errors")).to_contain_text("before the step: 0.")


@pytest.mark.parametrize(("width", "height"), [(PHONE, 844), (DESKTOP, 800)])
def test_the_real_step_fits_one_screen(browser, reports, width, height):
    still = {"reduced_motion": "reduce"}
    with open_page(browser, reports["run"], width, **still) as report:
        report.page.set_viewport_size({"width": width, "height": height})
        report.press("Next image", "Back")
        report.part("steps .controls").evaluate("(each) => each.scrollIntoView()")
        for part in ("phases", "image", "rows", "panel .errors"):
            expect(report.part(f"steps .{part}")).to_be_in_viewport(ratio=1)
        for unit in (0, 39):
            tile = report.part("steps .row button").nth(unit)
            expect(tile).to_be_in_viewport(ratio=1)
            assert tile.bounding_box()["width"] >= 43.5


def test_an_epoch_of_single_steps_equals_the_runs_and_says_so_of_its_setting(
    browser, reports
):
    with open_page(browser, reports["run"]) as report:
        steps = pages.Page(report.page, report.part("steps"))
        steps.unfold()
        setting, first = steps.part("setting"), steps.part("first-epoch")
        place, speed = steps.part("where"), steps.part("speed")
        dropout, slip = steps.field("dropout"), steps.part("slip")
        expect(dropout).to_be_checked()
        expect(slip).to_be_checked()
        steps.press("Play")
        expect(place).not_to_contain_text("Image 1 of 1,000")
        speed.select_option("all at once")
        expect(first).to_have_text(FIRST_EPOCH)
        expect(place).to_contain_text(re.compile(r"\d+ of the last 100"))
        expect(setting).to_have_text("Both are as in this run.")
        steps.press("Play")
        expect(place).to_contain_text("Image 1,000 of 1,000, epoch 2")
        steps.press("Start again")
        expect(place).to_contain_text("Image 1 of 1,000,")
        steps.press("Play")
        expect(first).to_have_text(FIRST_EPOCH)
        slip.uncheck()
        expect(setting).to_contain_text("other switches")
        expect(first).not_to_contain_text("equal to")
        expect(place).to_contain_text("Image 1,000 of 1,000")
        steps.press("Back")
        expect(steps.part("row .inactive").first).to_contain_text("0.00")
        dropout.uncheck()
        expect(steps.part("row .dropped")).to_have_count(0)
        slip.check()
        dropout.check()
        expect(first).to_have_text(FIRST_EPOCH)


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


def train_on(images, labels):
    """Train on some images, and return what helpers computes for the last one.

    That is the hidden units and the scores, and the error signals of both.
    """
    rng, _ = helpers.generators(1)
    weights = helpers.initial_weights(rng, 40)
    for image, label in zip(images, labels, strict=True):
        inputs, targets = helpers.scale(image[None], 255), helpers.one_hot([label])
        mask = helpers.dropout_mask(rng, (1, 40), 0.5)
        hidden, scores = helpers.forward(inputs, weights, mask)
        signals = (scores - targets) @ weights[1].T
        signals *= helpers.relu_derivative(hidden) * mask
        gradients = helpers.backward(inputs, targets, hidden, scores, weights, mask)
        for matrix, gradient in zip(weights, gradients, strict=True):
            matrix -= 0.005 * gradient
    return [hidden[0], scores[0]], [signals[0], (scores - targets)[0]]


def test_each_unit_and_score_of_the_run_is_a_sum_that_adds_up(browser, reports, sample):
    computed = train_on(sample["x_train"][:3], sample["y_train"][:3])
    with open_page(browser, reports["run"]) as report:
        for number in (1, 2, 3):
            report.press("Next image")
            expect(report.part("steps .which")).to_contain_text(f"Image {number} of")
        for name, values, signals in zip(("row", "rows"), *computed, strict=True):
            buttons = f".{name} button"
            check_sums(report.page, ".steps", buttons, values, signals, 0.0005)


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


def test_outputs_and_plots_fit_a_phone_and_a_pressed_plot_is_larger(browser, reports):
    with open_page(browser, reports["run"], PHONE) as report:
        report.unfold()
        for name in ("output pre", "plot .scroll"):
            assert report.part(name).count() > 2
            assert report.part(name).evaluate_all(ALL_FIT)
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
        readings = report.part("prose details")  # of predictions
        expect(code).to_have_count(0)
        report.press("Show all code and answers")
        expect(code).to_have_count(report.part("source").count())
        assert readings.count() == report.part("prose details[open]").count() > 0
        report.press("Hide all code and answers")
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


def test_a_word_of_the_glossary_is_explained_where_it_stands(browser, reports):
    with open_page(browser, reports["run"]) as report:
        report.press("Next image")
        note, steps = report.part("definition"), report.part("steps")
        steps.locator("details").evaluate_all(pages.OPEN)
        for word, entry in (("dropout", "dropout"), ("hidden unit", "hidden unit")):
            link = steps.get_by_role("link", name=word, exact=True)
            link.click()
            expect(note).to_have_text(re.compile(f"^{entry}: "))
            expect(note).to_be_in_viewport()
            expect(link).to_be_in_viewport()
            report.page.keyboard.press("Escape")
            expect(note).to_have_count(0)
            expect(link).to_be_focused()
        steps.get_by_role("link", name="target").click()
        expect(note).to_contain_text("1 for the correct class")
        note.get_by_role("button", name="Close").press("Enter")
        expect(note).to_have_count(0)


def test_exercises_are_checked_and_answers_shown_in_the_page(browser, reports):
    with open_page(browser, reports["why"]) as report:
        answers = report.part("answer")
        assert answers.count() > 8
        assert not answers.locator(".output").filter(visible=True).count()
        answers.first.locator("summary").press("Enter")
        expect(answers.first.locator(".output").first).to_be_visible()
        field = report.field("Answer to exercise 2")
        for answer, verdict in (("175", "correct"), (" 176", "not correct")):
            field.fill(answer)
            field.locator("xpath=following-sibling::button[1]").press("Enter")
            shown = field.locator("xpath=following-sibling::span[1]")
            expect(shown).to_have_text(verdict)


def test_the_index_leads_to_every_report_and_they_lead_on(browser, reports):
    with open_page(browser, reports["index"]) as report:
        page = report.page
        for name, title in (("default", "Run default"), ("small", "Sweep small")):
            page.goto(reports["index"].as_uri())
            page.get_by_role("link", name=name, exact=True).click()
            expect(page).to_have_title(title)
        page.locator("table a[href$='report.html']").first.click()
        expect(page).to_have_title(re.compile("Point .* of the sweep small"))


def test_the_table_of_a_sweep_sorts_by_keyboard_and_downloads_as_csv(browser, reports):
    with open_page(browser, reports["sweep"]) as report:
        table = report.part("sortable").nth(1)
        names = table.locator("thead th").all_text_contents()
        column = names.index("validation accuracy") + 1
        cells = table.locator(f"tbody td:nth-child({column})")
        before = cells.all_text_contents()
        head = table.get_by_role("columnheader", name="validation accuracy")
        for order in ("ascending", "descending"):
            head.get_by_role("button").press("Enter")
            expect(head).to_have_attribute("aria-sort", order)
            rows = sorted(before, key=float, reverse=order == "descending")
            assert cells.all_text_contents() == rows
        with report.page.expect_download() as download:
            report.root.get_by_role("link", name="Download as CSV").nth(1).click()
        assert len(download.value.path().read_text().splitlines()) == len(before) + 1
