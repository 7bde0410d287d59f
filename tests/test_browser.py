"""Reports, opened from a disk in a browser that is offline, and JupyterLab."""

import contextlib
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path

import nbformat
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

import helpers
from pipeline.digests import digest_arrays, digest_file
from pipeline.images import data
from pipeline.lessons.diagram import Diagram
from pipeline.network import compiled, published
from pipeline.paths import NOTEBOOKS, ROOT
from pipeline.reports import live
from pipeline.reports.page import render_run, write_notebook_report
from pipeline.results.files import write_whole
from pipeline.results.run_folder import RunFolder
from pipeline.results.stages import STAGES
from tests.lessons.test_diagram import ON_PAPER

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
DRAWINGS = json.loads((Path(__file__).parent / "data" / "drawings.json").read_text())
NEXT_FRAME = (
    "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
)
OPEN = "(all) => all.forEach((each) => { each.open = true; })"
PAD_HAS_INK = (
    "document.querySelector('.pad').getContext('2d')"
    ".getImageData(0, 0, 560, 560).data.some((value) => value > 0 && value < 255)"
)
FITS = "document.documentElement.scrollWidth <= innerWidth"
SEVEN = [[(0.3, 0.2), (0.5, 0.2), (0.7, 0.2), (0.45, 0.8)]]
NETWORKS = ("This run's network", "The published network", "The all-of-MNIST network")
FAILED = '[data-mime-type$="jupyter.error"], [data-mime-type$="jupyter.stderr"]'
# The events of a mouse are sent at once, since a browser waits a frame between its own.
DRAW_AND_READ = """async (strokes) => {
    const part = (name) => document.querySelector(`.drawing .${name}`);
    part("clear").click();
    const { left, top, width, height } = part("pad").getBoundingClientRect();
    const send = (type, [x, y]) => part("pad").dispatchEvent(new PointerEvent(type, {
        clientX: left + x * width, clientY: top + y * height,
        pointerId: 1, isPrimary: true,
    }));
    for (const stroke of strokes) {
        stroke.forEach((point, i) => send(i ? "pointermove" : "pointerdown", point));
        send("pointerup", stroke.at(-1));
    }
    const answers = [];
    for (const option of part("network").options) {
        option.selected = true;
        part("network").dispatchEvent(new Event("change"));
        await new Promise((done) =>
            requestAnimationFrame(() => requestAnimationFrame(done)));
        answers.push(part("reads").textContent);
    }
    return answers;
}"""
ONE_TOKEN_OF_EACH_COLOUR = """() => {
    const seen = new Set();
    for (const token of document.querySelectorAll(".highlight span"))
        seen.has(token.className) ? token.replaceWith("x") : seen.add(token.className);
}"""
# Buttons and links whose ground is the colour of links.
FILLED = """() => {
    const ground = (element) => getComputedStyle(element).backgroundColor;
    const train = ground(document.querySelector(".train"));
    return Array.from(document.querySelectorAll("main :is(button, a)"))
        .filter((each) => each.checkVisibility() && ground(each) === train)
        .filter((each) => each.getBoundingClientRect().top < innerHeight)
        .map((each) => each.textContent);
}"""
END_LABELS = """() => Array.from(
    document.querySelectorAll(".accuracy .end"),
    (text) => [text.textContent, getComputedStyle(text).fill],
)"""
FIRST_EPOCH = (
    "First epoch: error 0.8547, accuracy 0.332; "
    "equal to the first entry of the run's history."
)
PRESS = "(name) => document.querySelector(name).click()"
READ_SUMS = """(root) => Array.from(
    document.querySelectorAll(`${root} .about table`),
    (table) => [table.caption.textContent, Array.from(table.tBodies[0].rows, (row) =>
        [row.className, ...Array.from(row.cells, (cell) => cell.textContent)])],
)"""
TRAIN_IN_PAGE = """async (count) => {
    const { training: run } = JSON.parse(document.getElementById("run").textContent);
    const packed = [run.images, run.labels];
    const arrays = await Promise.all(packed.map(draw_js.unpackBytes));
    const training = new network_js.Training(...arrays, run.parameters);
    let weights;
    for (let step = 0; step < count; step++) {
        const { first, second } = training.weights;
        weights = [first.slice(), second.slice()];
        training.next();
    }
    const { hidden, scores, signal, delta, mask, image, scaled } = training;
    const { values, signals } = sums_js.measure({
        sizes: [784, hidden.length, 10],
        weights,
        inputs: Array.from(image, (pixel) => scaled[pixel]),
        targets: scores.map((score, digit) => Number(digit === arrays[1][count - 1])),
        mask,
        inactive: run.parameters.relu_grad_inactive,
    });
    const pairs = [
        [values[1], hidden], [values[2], scores],
        [signals[1], signal], [signals[2], delta],
    ];
    const isSame = pairs.every(([a, b]) => a.every((value, k) => value === b[k]));
    return {
        isSame,
        values: [[...hidden], [...scores]],
        signals: [[...signal], [...delta]],
    };
}"""
NO_SHADE = (
    ".scroll, .output_html, .formula, pre { background: var(--cover) !important }"
)

expect.set_options(timeout=30_000)
no_browser = CHROMIUM is None and os.environ.get("CI") != "true"
skip = pytest.mark.skipif(no_browser, reason="needs Chromium")
pytestmark = [skip, pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def browser():
    assert CHROMIUM, "needs Chromium"
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
        with playwright.chromium.launch(
            executable_path=CHROMIUM, args=arguments
        ) as browser:
            yield browser


@contextlib.contextmanager
def open_page(browser, path, width=1280, **options):
    """Open a page offline; check that it logs no message and requests no other file."""
    size = {"width": width, "height": 900}
    with browser.new_context(offline=True, viewport=size, **options) as context:
        page = context.new_page()
        messages, requests = [], []
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        yield page
        assert messages == []
        assert all(url.startswith(("file:", "data:", "blob:")) for url in requests)


@pytest.fixture(scope="module")
def reports(runs, pipeline, tmp_path_factory):
    """A page of each kind, by its name."""
    folder = tmp_path_factory.mktemp("reports")
    run, other, sweep = (
        folder / name for name in ("default", "true-derivative", "small")
    )
    shutil.copytree(runs, folder, dirs_exist_ok=True)
    pages = {name: folder / f"{name}.html" for name in ("why", "compare", "index")}
    notebook = NOTEBOOKS / "why.ipynb"
    assert pipeline("report", notebook, "--output", pages["why"]).returncode == 0
    assert pipeline("compare", run, other, "--output", pages["compare"]).returncode == 0
    assert pipeline("index", folder).returncode == 0
    names = {"run": run, "other": other, "sweep": sweep}
    return pages | {name: path / "report.html" for name, path in names.items()}


def find_violations(page, where=None):
    """Return the violations of axe-core's rules of accessibility, an element a line."""
    page.evaluate(ONE_TOKEN_OF_EACH_COLOUR)  # the other thousands are alike
    page.add_style_tag(content=NO_SHADE)  # axe-core sees no contrast on a gradient
    rules = Axe().run(page, context=where).response["violations"]
    return [
        f"{rule['id']}: {node['html'][:120]}"
        for rule in rules
        for node in rule["nodes"]
    ]


def find_places(page, stroke):
    """Convert a stroke's points from fractions of the pad to places on the screen."""
    box = page.get_by_label("Drawing pad").bounding_box()
    return [
        (box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke
    ]


def draw_with_mouse(page, strokes):
    page.get_by_label("Drawing pad").scroll_into_view_if_needed()
    for stroke in strokes:
        first, *places = find_places(page, stroke)
        page.mouse.move(*first)
        page.mouse.down()
        for place in places:
            page.mouse.move(*place)
        page.mouse.up()


def draw_with_keys(page, strokes=SEVEN):
    """Draw a seven: from the middle to the top left, to the right, down to the left."""
    page.get_by_label("Drawing pad").focus()
    keys = ["Up"] * 8 + ["Left"] * 6 + [" "] + ["Right"] * 12
    for key in (*keys, *["Down", "Down", "Down", "Left"] * 5, " ", "Right"):
        page.keyboard.press("Space" if key == " " else f"Arrow{key}")


def read_answer(page):
    page.evaluate(NEXT_FRAME)
    return page.locator(".reads").text_content()


def wait_for_training(page):
    expect(page.get_by_role("button", name="Train again")).to_be_enabled(timeout=60_000)
    return page.locator(".outcome").text_content()


def fill(page, **values):
    for name, value in values.items():
        field = page.get_by_label(name, exact=True)
        is_choice = name == "relu_grad_inactive"
        (field.select_option if is_choice else field.fill)(str(value))


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", ["run", "sweep", "index", "why", "compare"])
def test_a_page_is_accessible_fits_the_screen_and_opens_offline(
    browser, reports, name, width
):
    with open_page(browser, reports[name], width) as page:
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (dark == "rgb(23, 24, 27)") == (scheme == "dark")
            assert page.evaluate(FITS)
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark
        # On paper the box of an exercise is a place to write.
        controls = page.locator("nav, .action, select, input:not(.prose *), textarea")
        assert not controls.filter(visible=True).count()
        page.emulate_media(media="screen")
        page.locator("details").evaluate_all(OPEN)
        assert page.evaluate(FITS)
        assert find_violations(page) == []


def test_a_report_trains_its_network_again_to_the_published_digest(browser, reports):
    with open_page(browser, reports["run"], 390) as page:
        page.get_by_role("button", name="Train again").press("Enter")
        expect(page.locator(".shown")).to_contain_text("epoch ")
        assert wait_for_training(page) == (
            "As good as the run: accuracy 0.800 on the validation images. "
            f"Equal: 100 epochs. SHA-256 of the weights: {published.WEIGHTS_SHA256}. "
            "All errors and weights are the run's, to the last bit. "
            "It reads what you draw now."
        )
        for name in ("masked", "fitted", "validation"):
            lines = [page.locator(f".{whose}-{name}") for whose in ("live", "run")]
            assert len({line.get_attribute("points") for line in lines}) == 1
        choice = page.locator("select.network option:checked")
        expect(choice).to_have_text("The network trained here")
        assert page.evaluate(FITS)
        assert find_violations(page, ".training") == []


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_the_pad_and_the_one_filled_button_are_on_the_first_screen(
    browser, reports, width, height
):
    with open_page(browser, reports["run"], width) as page:
        page.set_viewport_size({"width": width, "height": height})
        train = page.get_by_role("button", name="Train again")
        pad = page.get_by_label("Drawing pad")
        for part in (page.locator(".result").first, pad, train):
            box = part.bounding_box()
            assert box["y"] >= 0
            assert box["y"] + box["height"] <= height
        filled = page.evaluate(FILLED)
        assert filled == ["Train again"]
        assert page.evaluate("scrollY") == 0


def test_an_example_stands_on_the_pad_until_something_is_drawn(browser, reports):
    with open_page(browser, reports["run"]) as page:
        reads, example = page.locator(".reads"), page.locator(".example")
        scores = page.locator(".scores li span:last-child")
        expect(example).to_have_text("The pale 3 is an example, with its scores.")
        expect(reads).to_have_text("Nothing is drawn yet.")
        expect(scores.nth(3)).to_have_text(re.compile(r"0\.[3-9]\d"))
        shown = [float(text) for text in scores.all_text_contents()]
        assert max(shown) == shown[3]
        assert not page.locator(".scores .answer").count()
        page.get_by_role("button", name="Teach it").click()
        expect(page.locator(".taught")).to_have_text("Draw something first.")
        draw_with_mouse(page, SEVEN)
        expect(reads).to_contain_text("This network reads 7")
        expect(example).to_be_hidden()
        page.get_by_role("button", name="Clear").click()
        expect(example).to_be_visible()
        assert [float(text) for text in scores.all_text_contents()] == shown


def test_weights_have_one_scale_and_the_lines_of_tries_a_colour_of_their_own(
    browser, reports
):
    with open_page(browser, reports["run"]) as page:
        forming = page.locator(".forming")
        expect(forming).to_be_visible()
        before = forming.get_attribute("data-limit")
        drawn = forming.evaluate("(canvas) => canvas.toDataURL()")
        page.get_by_role("button", name="Train again").click()
        wait_for_training(page)
        assert forming.get_attribute("data-limit") == before
        again = forming.evaluate("(canvas) => canvas.toDataURL()")
        assert again == drawn  # the same weights, trained here
        page.get_by_role("button", name="Correct the slip").click()
        wait_for_training(page)
        assert forming.get_attribute("data-limit") == before
        assert forming.evaluate("(canvas) => canvas.toDataURL()") != drawn
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            lines = dict(page.evaluate(END_LABELS))
            assert lines["try 1"] == lines["try 2"]
            colours = {lines[name] for name in ("try 1", "validation", "training")}
            assert len(colours) == 3


def test_a_field_says_why_it_refuses_a_value(browser, reports):
    with open_page(browser, reports["run"]) as page:
        page.locator("details.change summary").click()
        for name, value, reason in (
            ("learning_rate", "0,01", "A decimal is written with a point: 0.01."),
            ("learning_rate", "0", "learning_rate must be a number above 0."),
            ("epochs", "1,000", "must be a whole number from 1 to 10,000 in a page"),
            ("epochs", "1.5", "must be a whole number from 1 to 10,000 in a page"),
            ("epochs", "1000000", "python -m pipeline run takes more."),
            ("dropout_rate", "", "must be a number from 0 to below 1."),
            ("dropout_rate", "half", "must be a number from 0 to below 1."),
            ("seed", "-1", "must be a whole number from 0 to 4294967295."),
        ):
            fill(page, **{name: value})
            page.get_by_role("button", name="Train with these").click()
            expect(page.locator(".outcome")).to_contain_text(reason)
            field = page.get_by_label(name, exact=True)
            expect(field).to_be_focused()
            page.get_by_role("button", name="Defaults").click()
        fill(page, dropout_rate="0.9995", epochs="1", learning_rate="5e-3")
        page.get_by_role("button", name="Train with these").click()
        assert "dropout_rate 0.9995, epochs 1: 1 epoch." in wait_for_training(page)


def test_a_training_can_be_stopped_and_changed(browser, reports, sample):
    with open_page(browser, reports["run"]) as page:
        train, stop = (
            page.get_by_role("button", name=name) for name in ("Train again", "Stop")
        )
        train.click()
        expect(page.locator(".shown")).to_contain_text("epoch ")
        stop.click()
        assert re.fullmatch(
            r"Stopped after \d+ epochs?\. This .* draw\.", wait_for_training(page)
        )
        page.locator("details.change summary").press("Enter")
        for name, wrong, right, allowed in (
            ("dropout_rate", 1, 0.9995, "a number from 0 to below 1."),
            ("learning_rate", 0, 0.005, "a number above 0."),
            ("hidden_size", 1001, 40, "a whole number from 1 to 1,000 in a page, "),
            ("epochs", 1_000_000, 100, "a whole number from 1 to 10,000 in a page, "),
        ):
            fill(page, **{name: wrong})
            train.click()  # which the browser refuses
            assert page.evaluate("document.activeElement.name") == name
            expect(page.locator(".outcome")).to_contain_text(
                f"{name} must be {allowed}"
            )
            fill(page, **{name: right})
        values = {
            "dropout_rate": 0.5,
            "input_dropout_rate": 0.2,
            "relu_grad_inactive": 0,
        }
        fill(page, epochs=5, **values)
        page.get_by_role("button", name="Train with these").click()
        rng, input_rng = helpers.generators(1)
        images, labels = sample["x_train"][:1000], sample["y_train"][:1000]
        weights = helpers.initial_weights(rng, 40)
        for _ in range(5):
            compiled.train_epoch(images, labels, weights, rng, input_rng, **values)
        found = wait_for_training(page)
        assert re.match(
            r"Worse than the run by 0\.\d{3}: accuracy 0\.\d{3} on the valid", found
        )
        assert (
            "Another training, with input_dropout_rate 0.2, relu_grad_inactive 0, "
            f"epochs 5: 5 epochs. SHA-256 of the weights: {digest_arrays(*weights)}."
        ) in found
        row, stopped = page.locator(".tries tbody tr").all()  # the latest first
        settings = "input_dropout_rate 0.2, relu_grad_inactive 0, epochs 5"
        expect(row).to_have_text(re.compile(f"^2{settings}50"))
        expect(stopped).to_have_text(re.compile(r"^1epochs (\d+)\1, stopped"))
        accuracy = re.search(r"accuracy (\S+) on", found)[1]
        address = row.get_by_role("link").get_attribute("href")
        assert address == (
            "#input_dropout_rate=0.2&relu_grad_inactive=0&epochs=5"
            f"&validation_accuracy={float(accuracy)}"
        )
        for kind in ("accuracy", "error"):
            ends = page.locator(f".{kind} .end").all_text_contents()
            assert {*ends} == {"training", "dropout", "validation", "try 1", "try 2"}
        fill(page, learning_rate=5)
        train.click()
        assert "no longer a number: make learning_rate smaller" in wait_for_training(
            page
        )
        expect(page.locator(".tries tbody tr").first).to_contain_text("1, diverged")
        for kind in ("accuracy", "error"):
            ends = page.locator(f".{kind} .end").all_text_contents()
            assert {*ends} == {"training", "dropout", "validation", "try 2", "try 3"}


def test_one_press_corrects_the_slip(browser, reports):
    with open_page(browser, reports["run"]) as page:
        page.get_by_role("button", name="Correct the slip").click()
        expect(page.locator(".shown")).to_contain_text("epoch ")
        page.get_by_role("button", name="Stop").click()
        wait_for_training(page)
        row = page.locator(".tries tbody tr")
        expect(row).to_contain_text("relu_grad_inactive 0")
        expect(page.get_by_label("relu_grad_inactive", exact=True)).to_have_value("0")


def test_many_tries_become_two_groups_and_one_press_trains_one_again(
    browser, reports, sample, tmp_path
):
    images, labels = sample["x_train"], sample["y_train"]
    rng, input_rng = helpers.generators(3)
    weights = helpers.initial_weights(rng, 40)
    for _ in range(5):
        compiled.train_epoch(
            images[:1000], labels[:1000], weights, rng, input_rng, relu_grad_inactive=0
        )
    right = float(helpers.evaluate(images[1000:], labels[1000:], weights)[1])
    draws = np.random.default_rng(5)
    accuracies = {
        derivative: draws.normal(mean, 0.05, 20).round(3)
        for derivative, mean in ((1, 0.7), (0, 0.75))
    }
    accuracies[0][2] = right
    lines = [
        f"Pupil {seed}: report.html#epochs=5&relu_grad_inactive={derivative}"
        f"&seed={seed}&validation_accuracy={accuracy}."
        for derivative, group in accuracies.items()
        for seed, accuracy in enumerate(group, 1)
    ]
    several = " and ".join(lines[:2])
    wrong = [
        "Good morning",
        "report.html#seed=1",
        "report.html#seed=-1&validation_accuracy=0.8",
        "report.html#seed=99&validation_accuracy=80",
        f"report.html#batch_size=2&validation_accuracy=0.8, {lines[0]}",
        "",
    ]
    (tmp_path / "class.txt").write_text("\n".join(lines[20:]))
    with open_page(browser, reports["run"], 390) as page:
        page.get_by_text("Many tries on one screen").press("Enter")
        field = page.get_by_label("Paste links of tries")
        field.fill("\n".join([several, *lines[2:20], *wrong]))
        expect(page.locator(".reading")).to_have_text(
            "20 tries, as reported. 5 lines have no link of a try, or a wrong one."
        )
        page.get_by_label("add a text file").set_input_files(tmp_path / "class.txt")
        expect(page.locator(".reading")).to_contain_text("40 tries, as reported.")
        pattern = r"([●■]) (\d): mean (\S+) ± (\S+), 20 tries"
        found = re.findall(pattern, page.locator(".groups").text_content())
        assert [line[:2] for line in found] == [("●", "0"), ("■", "1")]
        for _, derivative, *numbers in found:
            group = accuracies[int(derivative)]
            error = np.std(group, ddof=1) / np.sqrt(20)
            expected = pytest.approx([np.mean(group), error], abs=6e-5)
            assert [float(number) for number in numbers] == expected
        expect(page.locator(".grouped")).to_have_text("By relu_grad_inactive")
        expect(page.locator(".across")).to_have_text("Over seed")
        for plot in (".first-plot", ".second-plot"):
            assert page.locator(f"{plot} .dot").count() == 40
        again = page.get_by_role(
            "button", name="relu_grad_inactive 0, seed 3, epochs 5"
        )
        assert again.bounding_box()["height"] >= 44
        again.press("Enter")
        expect(page.locator(".outcome")).to_contain_text("Equal to what was reported")
        assert wait_for_training(page).startswith(
            f"Equal to what was reported: {right}. "
        )
        expect(page.get_by_label("seed", exact=True)).to_have_value("3")
        page.locator(".first-plot .dot").first.click()
        expect(page.locator(".outcome")).to_contain_text("NOT equal to what was rep")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert find_violations(page, ".training") == []
        assert page.evaluate(FITS)


def test_links_that_disagree_count_once_and_are_named(browser, reports):
    first, other = (
        f"report.html#seed=3&validation_accuracy={accuracy}" for accuracy in (0.8, 0.7)
    )
    with open_page(browser, reports["run"]) as page:
        page.get_by_text("Many tries on one screen").press("Enter")
        page.get_by_label("Paste links of tries").fill(f"{first}\n{other}\n{first}")
        expect(page.locator(".reading")).to_have_text(
            "1 try, as reported. "
            "1 try is reported with several accuracies; the first of them counts."
        )
        expect(page.locator(".groups")).to_contain_text("mean 0.8000, 1 try")


@pytest.mark.parametrize("is_allowed", [True, False])
def test_the_links_of_tries_are_copied_or_selected(browser, reports, is_allowed):
    permissions = ["clipboard-read", "clipboard-write"] if is_allowed else []
    with open_page(browser, reports["run"], permissions=permissions) as page:
        page.locator("details.change summary").click()
        for learning_rate in (0.01, 5):
            fill(page, epochs=1, learning_rate=learning_rate)
            page.get_by_role("button", name="Train with these").click()
            wait_for_training(page)
        page.get_by_role("button", name="Copy the links of these tries").press("Enter")
        if is_allowed:
            expect(page.locator(".copied")).to_have_text("Copied.")
            links = page.evaluate("navigator.clipboard.readText()")
        else:
            expect(page.locator(".copied")).to_have_text("Copy what is selected:")
            links = page.evaluate("getSelection().toString()")
        first, second = links.splitlines()
        assert re.fullmatch(
            r"report\.html#learning_rate=0\.01&epochs=1&validation_accuracy=0\.\d+",
            first,
        )
        assert second == (
            "report.html#learning_rate=5&epochs=1&validation_accuracy=diverged"
        )
        page.get_by_text("Many tries on one screen").click()
        page.get_by_label("Paste links of tries").fill(links)
        expect(page.locator(".groups")).to_have_text(re.compile("mean .*, 1 try$"))
        page.goto(reports["run"].as_uri() + first.removeprefix("report.html"))
        expect(page.get_by_label("learning_rate", exact=True)).to_have_value("0.01")
        expect(page.locator(".outcome")).not_to_contain_text("cannot be")


def test_an_address_has_the_settings_of_a_try_and_wrong_ones_are_refused(
    browser, reports
):
    with open_page(browser, reports["run"]) as page:
        page.goto(reports["run"].as_uri() + "#epochs=3&dropout_rate=2&seed=7&glossary")
        values = {
            "epochs": "3",
            "dropout_rate": "0.5",
            "seed": "7",
            "learning_rate": "0.005",
        }
        for name, value in values.items():
            expect(page.get_by_label(name, exact=True)).to_have_value(value)
        expect(page.locator(".outcome")).to_have_text(
            "The address has dropout_rate 2, which cannot be; "
            "the run's own value is kept."
        )
        link = page.locator(".from-link")
        expect(link).to_contain_text(
            "From the link: epochs 3, seed 7. Train again uses"
        )
        expect(link).to_be_in_viewport()
        page.get_by_role("button", name="Defaults").click()
        expect(page.get_by_label("seed", exact=True)).to_have_value("1")
        expect(link).to_be_hidden()
        page.reload()
        expect(link).to_be_visible()
        page.get_by_role("button", name="Correct the slip").click()
        expect(link).to_be_hidden()  # its settings have been replaced


def check_stops(steps):
    """Check that each stop shows what belongs to it, and not what is computed later."""
    row = steps.locator(".rows button").first
    caption = steps.get_by_text("Back: its error signal")
    for stop, numbers, says, legend in (
        ("Error", 3, "Only the score of the label has", "there are no lines"),
        ("Back", 3, "flow back through the same", "an error signal times its weight"),
        ("Update", 4, "by the learning rate (0.005) times", "Both show gradients now"),
        ("Forward", 1, "adds activations times weights", "a value times its weight"),
    ):
        steps.get_by_role("button", name=stop, exact=True).press("Enter")
        expect(steps.locator(".says p").filter(visible=True)).to_contain_text(says)
        shown = steps.locator(".legend span").filter(visible=True)
        expect(shown).to_contain_text(legend)
        assert bool(steps.locator(".lines line").count()) == (stop != "Error")
        expect(row.locator("b").filter(visible=True)).to_have_count(numbers)
        expect(caption).to_be_visible(visible=stop != "Forward")
    steps.locator(".row button").nth(3).press("Enter")
    expect(steps.locator(".about")).to_contain_text("Forward: hidden unit 3")
    expect(steps.locator(".about table").first).to_be_in_viewport()
    for stop in ("Error", "Back"):
        expect(caption).to_be_hidden()
        steps.get_by_role("button", name=stop, exact=True).press("Enter")
    expect(caption).to_be_visible()


def test_one_step_shows_what_each_update_is_made_of_and_an_epoch_equals_the_runs(
    browser, reports
):
    with open_page(browser, reports["run"], 390) as page:
        steps = page.locator(".steps")
        steps.get_by_role("button", name="Next image").press("Enter")
        expect(steps.locator(".place")).to_have_text("Image 1 of 1,000, labelled 5")
        scores, targets, signals, after = (
            [
                float(text)
                for text in steps.locator(
                    f".rows span:nth-child({n}) b"
                ).all_text_contents()
            ]
            for n in (2, 3, 4, 5)
        )
        assert targets == [float(d == 5) for d in range(10)]
        assert all(
            abs(s - t - e) < 0.011
            for s, t, e in zip(scores, targets, signals, strict=True)
        )
        assert abs(after[5] - 1) < abs(scores[5] - 1)
        expect(steps.locator(".rows .label")).to_contain_text("5")
        check_stops(steps)
        assert page.evaluate(FITS)
        assert find_violations(page, ".steps") == []
        steps.locator(".about th button").first.press("Enter")
        expect(steps.locator(".about")).to_contain_text("The slope is pixel row")
        loss = re.search(r"It is (\S+) now", steps.locator(".about").text_content())[1]
        highest, least = map(float, steps.locator(".scale").all_text_contents())
        assert least <= float(loss) <= highest
        assert page.evaluate(FITS)
        assert find_violations(page, ".steps") == []
        steps.get_by_role("button", name="Play").click()
        expect(steps.locator(".first-epoch")).to_have_text(FIRST_EPOCH, timeout=60_000)


def test_the_switches_of_one_step_say_whether_they_are_as_in_the_run(browser, reports):
    with open_page(browser, reports["run"]) as page:
        steps = page.locator(".steps")
        setting, first = steps.locator(".setting"), steps.locator(".first-epoch")
        dropout, slip = (steps.get_by_label(name) for name in ("dropout", "the slip"))
        expect(dropout).to_be_checked()
        expect(slip).to_be_checked()
        steps.get_by_label("Speed").select_option("all at once")
        steps.get_by_role("button", name="Play").click()
        expect(first).to_have_text(FIRST_EPOCH)
        expect(steps.locator(".recent")).to_have_text(
            re.compile(r"correct: \d+ of the last 100")
        )
        expect(setting).to_have_text("Both are as in this run.")
        steps.get_by_role("button", name="Play").click()
        expect(steps.locator(".place")).to_contain_text("Image 1,000 of 1,000, epoch 2")
        steps.get_by_role("button", name="Start again").click()
        expect(steps.locator(".place")).to_be_hidden()
        steps.get_by_role("button", name="Play").click()
        expect(first).to_have_text(FIRST_EPOCH)
        slip.uncheck()
        expect(setting).to_contain_text("This is not the run's setting.")
        expect(first).to_contain_text("With your setting the first epoch has error")
        expect(steps.locator(".place")).to_contain_text("Image 1,000 of 1,000")
        inactive = steps.locator(".row .inactive").first
        steps.get_by_role("button", name="Back", exact=True).click()
        expect(inactive).to_contain_text("0.00")
        dropout.uncheck()
        expect(steps.locator(".row .dropped")).to_have_count(0)
        slip.check()
        dropout.check()
        expect(first).to_have_text(FIRST_EPOCH)


def read_sums(page, root):
    """Read the two tables of what is pressed, and check that each adds up as it stands.

    Return the last number of each: of a unit or a score, and of its error signal.
    """
    results = []
    for caption, rows in page.evaluate(READ_SUMS, root):
        terms = [Decimal(row[-1]) for row in rows if row[0] in ("term", "rest")]
        (total,) = (Decimal(row[-1]) for row in rows if row[0] == "total")
        assert sum(terms) == total, (caption, rows)
        results.append(float(rows[-1][-1]))
    return results


def train_on(images, labels, count):
    """Train on some images, and return what helpers computes for the last one.

    That is the hidden units and the scores, and the error signals of both.
    """
    rng, _ = helpers.generators(1)
    weights = helpers.initial_weights(rng, 40)
    for index in range(count):
        inputs = helpers.scale(images[index : index + 1], 255)
        targets = helpers.one_hot(labels[index : index + 1])
        mask = helpers.dropout_mask(rng, (1, 40), 0.5)
        hidden, scores = helpers.forward(inputs, weights, mask)
        signals = (scores - targets) @ weights[1].T
        signals *= helpers.relu_derivative(hidden) * mask
        gradients = helpers.backward(inputs, targets, hidden, scores, weights, mask)
        for matrix, gradient in zip(weights, gradients, strict=True):
            matrix -= 0.005 * gradient
    return [hidden[0], scores[0]], [signals[0], (scores - targets)[0]]


def test_each_unit_and_score_of_the_run_is_a_sum_that_adds_up(browser, reports, sample):
    values, signals = train_on(sample["x_train"], sample["y_train"], 3)
    with open_page(browser, reports["run"]) as page:
        for _ in range(3):
            page.get_by_role("button", name="Next image").click()
        expect(page.locator(".steps .place")).to_contain_text("Image 3 of 1,000")
        in_page = page.evaluate(TRAIN_IN_PAGE, 3)
        assert in_page["isSame"]  # what is shown and what is trained, to the last bit
        for name, layer in (("row", 0), ("rows", 1)):
            np.testing.assert_allclose(in_page["values"][layer], values[layer])
            np.testing.assert_allclose(in_page["signals"][layer], signals[layer])
            count = page.locator(f".steps .{name} button").count()
            for unit in range(count):
                page.evaluate(PRESS, f".steps .{name} button:nth-child({unit + 1})")
                forward, back = read_sums(page, ".steps")
                assert abs(forward - in_page["values"][layer][unit]) < 0.000501
                assert abs(back - in_page["signals"][layer][unit]) < 0.000501
            assert count == len(values[layer])


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
        data, metadata = network._repr_mimebundle_()
        output = nbformat.v4.new_output("display_data", data, metadata=metadata)
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
    return layers[1:], signals


def test_each_number_of_a_small_network_is_a_sum_that_adds_up(browser, diagrams):
    path, networks = diagrams
    with open_page(browser, path) as page:
        for number, network in enumerate(networks):
            root = f"#network{number}"
            page.locator(".live").nth(number).evaluate(
                "(element, name) => { element.id = name; }", root[1:]
            )
            values, signals = compute(network)
            first = len(network.state["inputs"])
            buttons = page.locator(f"{root} .place")
            places = [
                (k, j) for k, layer in enumerate(values) for j in range(len(layer))
            ]
            assert buttons.count() == first + len(places)
            for at, (layer, unit) in enumerate(places, first):
                buttons.nth(at).evaluate("(button) => button.click()")
                forward, back = read_sums(page, root)
                assert abs(forward - values[layer][unit]) < 0.0000501
                assert abs(back - signals[layer][unit]) < 0.0000501
            weights = page.locator(f"{root} .weight")
            for at in range(weights.count()):
                weights.nth(at).evaluate("(button) => button.click()")
                text = page.locator(f"{root} .about").text_content()
                numbers = re.search(r": (\S+) \S (\S+) = (\S+)\.", text)
                value, signal, slope = (float(n.strip("()")) for n in numbers.groups())
                assert value * signal == pytest.approx(slope, rel=2e-3, abs=1e-9)
                assert page.locator(f"{root} .curve").count() == 1


@pytest.mark.parametrize("width", [1280, 390])
def test_a_small_network_makes_a_step_and_its_numbers_can_be_changed(
    browser, diagrams, width
):
    with open_page(browser, diagrams[0], width) as page:
        part = page.locator(".live").nth(2)
        says = part.get_by_role("status")
        for stop, text in (
            ("Forward", "Each score is such a sum"),
            ("Error", "the sum of their squares, 13."),
            ("Back", "An inactive unit lets none through"),
            ("Update", "The error was 13 and is 1."),
        ):
            part.get_by_role("button", name=stop, exact=True).press("Enter")
            expect(says).to_contain_text(text)
            assert page.evaluate(FITS)
        part.get_by_role("button", name="Start again").click()
        part.get_by_label("input 1:").press("Enter")
        expect(part.locator(".about")).to_contain_text("An input is given")
        expect(part.locator(".about")).to_be_in_viewport()
        part.get_by_role("button", name="Forward").click()
        expect(part.locator(".about")).to_contain_text("Forward: unit 1")
        expect(part.get_by_text("Back: its error signal")).to_be_hidden()
        expect(part.locator(".legend")).to_contain_text("A line is what flows")
        weight = part.get_by_label("weight from input 1 to unit 1")
        weight.press("Enter")
        expect(weight).to_have_text("1")
        part.get_by_label("Change the weight").fill("3")
        expect(weight).to_have_text("3")
        expect(part.get_by_label(re.compile("^score 1:"))).to_have_text("4")
        part.locator(".curve").scroll_into_view_if_needed()
        box = part.locator(".curve").bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 20)
        page.mouse.up()
        assert float(weight.text_content()) < 3
        part.get_by_label(re.compile("^score 2:")).press("Enter")
        part.get_by_label("Change the target").fill("-1")
        expect(part.locator(".target").nth(1)).to_have_text("target -1")
        page.emulate_media(color_scheme="dark")
        assert page.evaluate(FITS)
        assert find_violations(page) == []
        part = page.locator(".live").nth(0)
        part.get_by_label("learning rate").fill("1e100")
        for _ in range(3):
            part.get_by_role("button", name="Update").click()
        expect(part.locator(".about")).to_contain_text("no longer a number")


def test_without_a_script_a_page_shows_the_still_of_a_network(browser, diagrams):
    path, networks = diagrams
    with open_page(browser, path, java_script_enabled=False) as page:
        pictures = page.locator(".live img")
        assert pictures.count() == len(networks)
        for picture, network in zip(pictures.all(), networks, strict=True):
            expect(picture).to_have_attribute("alt", network.alt)


def write_idx(path, array):
    """Write an array as the official files hold it (Y. LeCun's page of MNIST)."""
    numbers = (2051 if array.ndim == 3 else 2049, *array.shape)
    content = b"".join(number.to_bytes(4) for number in numbers) + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def test_a_copy_of_mnist_is_compared_and_judges_what_is_trained_here(
    browser, reports, tmp_path
):
    with np.load(data.SAMPLE) as file:
        arrays = {
            name: file[name] for name in ("x_train", "y_train", "x_test", "y_test")
        }
    np.savez(tmp_path / "mnist.npz", **arrays)
    np.savez(tmp_path / "other.npz", **arrays | {"y_train": arrays["y_train"][::-1]})
    for name, suffix in zip(arrays, (".gz", "", "", ".gz"), strict=True):
        write_idx(tmp_path / f"{name}{suffix}", arrays[name])
    whole = (tmp_path / "mnist.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "cut").write_bytes((tmp_path / "x_test").read_bytes()[:-1])
    (tmp_path / "text").write_text("These are no images.")
    official = ["x_train.gz", "y_train", "x_test", "y_test.gz"]
    with open_page(browser, reports["run"]) as page:
        field, state = (
            page.get_by_label("Your own copy of MNIST"),
            page.locator(".check .state"),
        )
        for names, text in (
            (["cut.npz"], "cut.npz cannot be used: it is damaged."),
            (
                ["cut"],
                "cut cannot be used: "
                "its test images are cut short, or of another shape.",
            ),
            (
                ["text"],
                "text cannot be used: "
                "it is neither an .npz file nor one of the four off",
            ),
            (
                ["other.npz"],
                "The page's training and validation images are NOT those of your copy",
            ),
            (
                official,
                "The page's training and validation images are, "
                "byte for byte, those of",
            ),
            (
                ["mnist.npz"],
                "The page's training and validation images are, byte for byte, those",
            ),
        ):
            field.set_input_files([tmp_path / name for name in names])
            expect(state).to_contain_text(text)
        verdicts = page.locator(".check td:nth-child(3)").all_text_contents()
        assert [verdict[:3] for verdict in verdicts] == ["NOT", "NOT", "equ", "equ"]
        page.get_by_role("button", name="Train again").click()
        expect(page.locator(".check .result")).to_have_text(
            "Your copy: error 0.429, accuracy 0.7942 on its 10,000 test images. "
            "Published: 0.429, 0.7942: equal."
        )
        assert find_violations(page, ".check") == []
        # The field is our own button, and the keyboard reaches it.
        field.focus()
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Tab")
        expect(field).to_be_focused()
        with page.expect_file_chooser():
            page.locator(".check").get_by_text("Choose files").click()


def test_a_copy_of_fashion_mnist_is_known_by_its_files_as_they_are_downloaded(
    browser, runs, tmp_path, monkeypatch
):
    """Its files hold digits named as clothes; their digests replace the known ones."""
    shutil.copytree(runs / "default", tmp_path / "run")
    for name in ("data.npz", "model.npz"):
        with np.load(tmp_path / "run" / name) as file:
            arrays = {**file, "classes": np.array(data.CLOTHES)}
        np.savez(tmp_path / "run" / name, **arrays)
    with np.load(data.SAMPLE) as file:
        paths = {name: tmp_path / f"{name}.gz" for name in file if name in data.SOURCE}
        for name, path in paths.items():
            write_idx(path, file[name])
    digests = {name: digest_file(path) for name, path in paths.items()}
    monkeypatch.setitem(live.KNOWN, "Fashion-MNIST", {"unpacked": False} | digests)
    folder = RunFolder(tmp_path / "run")
    page_path = tmp_path / "page.html"
    record = folder.read_record()
    source = {"source": "fashion_mnist"}
    record = record.replace(parameters=record.parameters | source)
    page_path.write_text(render_run(folder, record))
    with open_page(browser, page_path) as page:
        field = page.get_by_label("Your own copy of Fashion-MNIST")
        field.set_input_files(list(paths.values()))
        expect(page.locator(".check .state")).to_contain_text(
            "byte for byte, those of your copy"
        )
        assert (
            page.locator(".check td:nth-child(3)").all_text_contents() == ["equal"] * 4
        )


def test_a_network_is_taught_a_mistake_and_forgets_it(browser, reports):
    with open_page(browser, reports["run"]) as page:
        teach, forget = (
            page.get_by_role("button", name=n) for n in ("Teach it", "Forget it")
        )
        taught, choice = page.locator(".taught"), page.get_by_label("This is a")
        teach.click()
        expect(taught).to_have_text("Draw something first.")
        draw_with_mouse(page, SEVEN)
        read_answer(page)
        teach.click()
        expect(taught).to_contain_text("First choose what it is")
        choice.select_option("7")
        teach.click()
        expect(taught).to_contain_text("One update was made")
        forget.click()
        page.get_by_role("button", name="Clear").click()
        expect(choice).to_have_value("")
        page.get_by_role("button", name="Show a mistake").click()
        expect(page.locator(".reads")).to_contain_text("This network reads ")
        said = f"labelled {choice.input_value()}, read as {read_answer(page)[19]}."
        expect(taught).to_contain_text(said)
        label, wrong = page.get_by_label("This is a").input_value(), read_answer(page)
        assert page.evaluate(PAD_HAS_INK)
        assert not wrong.startswith(f"This network reads {label}")
        for _ in range(5):
            teach.click()
            expect(page.locator(".taught")).to_contain_text("images: 0.")
            page.evaluate(NEXT_FRAME)
        assert read_answer(page).startswith(f"This network reads {label}")
        forget.click()
        assert read_answer(page) == wrong
        unit = page.locator(".units button[value='7']")
        for state in ("has the activation", "is dropped", "has the activation"):
            unit.press("Enter")
            expect(page.locator(".about-unit")).to_contain_text(state)
        assert find_violations(page, ".drawing") == []


@pytest.mark.parametrize("draw", [draw_with_mouse, draw_with_keys])
def test_a_digit_is_drawn_read_and_taken_back(browser, reports, draw):
    with open_page(browser, reports["run"], 390) as page:
        expect(page.locator(".reads")).to_have_text("Nothing is drawn yet.")
        draw(page, SEVEN)
        expect(page.locator(".reads")).to_contain_text(
            "This network reads 7, runner-up "
        )
        assert page.locator(".scores .answer").text_content().startswith("7")
        units = page.get_by_role("group", name="Hidden units").get_by_role("button")
        assert units.count() == 40
        units.first.press("Enter")
        expect(page.locator(".adds")).to_contain_text("To the scores it adds ")
        assert page.evaluate(FITS)
        assert find_violations(page, "section:has(.pad)") == []
        answer = read_answer(page)
        draw_with_mouse(page, [[(0.2, 0.9), (0.8, 0.9)]])
        assert read_answer(page) != answer
        page.get_by_role("button", name="Undo").click()
        assert read_answer(page) == answer
        page.get_by_role("button", name="Clear").click()
        assert read_answer(page) == "Nothing is drawn yet."


def test_fifty_drawings_are_read_by_each_of_three_networks(browser, reports):
    with open_page(browser, reports["other"]) as page:
        counts, remarks = Counter(), set()
        options = page.locator("select.network option").all_text_contents()
        assert [option.split(" (")[0] for option in options] == [*NETWORKS]
        page.get_by_label("Drawing pad").scroll_into_view_if_needed()
        for drawing in DRAWINGS:
            answers = page.evaluate(DRAW_AND_READ, drawing["strokes"])
            for name, text in zip(NETWORKS, answers, strict=True):
                counts[name] += f"reads {drawing['digit']}," in text[:22]
                remarks |= set(
                    re.findall(r"Not sure: .* close\.|The published .* \d", text)
                )
        assert len(DRAWINGS) == 50
        _, published_one, all_of_mnist = (counts[name] for name in NETWORKS)
        assert all_of_mnist >= 46
        assert all_of_mnist > published_one > 35
        assert "Not sure: their scores are close." in remarks
        assert len(remarks) > 1


def test_the_policy_lets_no_other_script_run_and_nothing_be_fetched(
    browser, reports, tmp_path
):
    foreign = (
        "<script>window.foreign = 1</script>"
        '<img src="https://example.org/x" onerror="x()">'
    )
    text = reports["run"].read_text().replace("</main>", f"{foreign}</main>")
    (tmp_path / "page.html").write_text(text)
    messages, page = [], browser.new_page()
    page.on("console", lambda message: messages.append(message.text))
    page.goto((tmp_path / "page.html").as_uri())
    assert page.evaluate("window.foreign === undefined")
    assert sum("Content Security Policy" in message for message in messages) == 3


@pytest.mark.parametrize("width", [1280, 390])
def test_code_opens_at_once_and_the_contents_lead_to_their_headings(
    browser, reports, width
):
    with open_page(browser, reports["run"], width) as page:
        code = page.locator("details.source .highlight:visible")
        expect(code).to_have_count(0)
        page.get_by_role("button", name="Show all code and answers").press("Enter")
        expect(code).to_have_count(page.locator("details.source").count())
        assert page.locator(".prose details").count() == 8  # readings of predictions
        expect(page.locator(".prose details:not([open])")).to_have_count(0)
        page.get_by_role("button", name="Hide all code and answers").click()
        if width == 390:
            page.locator("nav summary").press("Enter")
        for link in page.locator("nav a").all():
            link.click()
            heading = page.locator(f"[id='{link.get_attribute('href')[1:]}']")
            expect(heading).to_have_text(link.text_content())
            expect(heading).to_be_in_viewport()


def test_exercises_are_checked_and_answers_shown_in_the_page(browser, reports):
    with open_page(browser, reports["why"], 390) as page:
        answers = page.locator("details.answer")
        assert answers.count() > 8
        assert not answers.locator(".output").filter(visible=True).count()
        answers.first.locator("summary").press("Enter")
        expect(answers.first.locator(".output").first).to_be_visible()
        for answer, verdict in (("175", "correct"), (" 176", "not correct")):
            field = page.get_by_label("Answer to exercise 2")
            field.fill(answer)
            field.locator("xpath=following-sibling::button[1]").press("Enter")
            expect(field.locator("xpath=following-sibling::span[1]")).to_have_text(
                verdict
            )


def test_the_index_leads_to_every_report_and_they_lead_on(browser, reports):
    with open_page(browser, reports["index"]) as page:
        for name, title in (("default", "Run default"), ("small", "Sweep small")):
            page.goto(reports["index"].as_uri())
            page.get_by_role("link", name=name, exact=True).click()
            expect(page).to_have_title(title)
        page.locator("table a[href$='report.html']").first.click()
        expect(page).to_have_title(re.compile("Point .* of the sweep small"))


def test_the_table_of_a_sweep_sorts_by_keyboard_and_downloads_as_csv(browser, reports):
    with open_page(browser, reports["sweep"]) as page:
        table = page.locator("table.sortable").nth(1)
        column = (
            table.locator("thead th").all_text_contents().index("validation accuracy")
            + 1
        )
        cells = table.locator(f"tbody td:nth-child({column})")
        before = cells.all_text_contents()
        head = table.get_by_role("columnheader", name="validation accuracy")
        for order in ("ascending", "descending"):
            head.get_by_role("button").press("Enter")
            expect(head).to_have_attribute("aria-sort", order)
            rows = sorted(before, key=float, reverse=order == "descending")
            assert cells.all_text_contents() == rows
        with page.expect_download() as download:
            page.get_by_role("link", name="Download as CSV").nth(1).click()
        assert len(download.value.path().read_text().splitlines()) == 5


@pytest.fixture(scope="module")
def lab(browser, runs, tmp_path_factory):
    """The address of a JupyterLab as `make lab` starts it, with copies of notebooks."""
    folder, settings = (
        tmp_path_factory.mktemp("lab"),
        tmp_path_factory.mktemp("settings"),
    )
    for stem in (*[stage.name for stage in STAGES], "explore", "learn"):
        run_dir = runs / "default" if stem == "explore" else folder / "run"
        text = (NOTEBOOKS / f"{stem}.ipynb").read_text()
        text = text.replace(r"\"runs/default\"", rf"\"{run_dir}\"")
        (folder / f"{stem}.ipynb").write_text(text)
    imports = "from pipeline.lessons.diagram import Diagram"
    code = f"{imports}\nDiagram({ON_PAPER}, [1, 2, 3], [0, 1])"
    cells = [nbformat.v4.new_code_cell(code)]
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)"}
    node = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(node, folder / "diagram.ipynb")
    news = (
        settings
        / "@jupyterlab"
        / "apputils-extension"
        / "notification.jupyterlab-settings"
    )
    write_whole(news, b'{"fetchNews": "false", "checkForUpdates": false}')
    names = (
        "JUPYTER_CONFIG_DIR",
        "JUPYTER_RUNTIME_DIR",
        "JUPYTERLAB_WORKSPACES_DIR",
        "IPYTHONDIR",
    )
    environment = os.environ | {name: str(settings / name) for name in names}
    environment["JUPYTERLAB_SETTINGS_DIR"] = str(settings)
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root"]
    command += ["--ip=127.0.0.1", "--port=0", "--IdentityProvider.token=test"]
    command += [f"--LabApp.app_settings_dir={ROOT / '.jupyter'}"]
    options = {
        "cwd": folder,
        "env": environment,
        "stderr": subprocess.PIPE,
        "text": True,
    }
    with subprocess.Popen(command, **options) as server:
        try:
            line = next(line for line in server.stderr if "http://127.0.0.1" in line)
            yield f"{re.search('http://[^/]+', line)[0]}/lab/tree"
        finally:
            server.terminate()


def choose(page, *items):
    for item in items:
        page.get_by_role("menuitem", name=item, exact=True).click()


def open_in_lab(page, lab, stem):
    page.goto(f"{lab}/{stem}.ipynb?reset&token=test")
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=60_000)


@contextlib.contextmanager
def run_notebook(browser, lab, stem, count=None):
    """Open a notebook, clear its outputs, choose Run All, and check that none fails.

    count: of its cells of code, unless it is one of the project's notebooks.
    """
    if count is None:
        cells = nbformat.read(NOTEBOOKS / f"{stem}.ipynb", 4).cells
        # JupyterLab shows no number beside a cell whose source is folded.
        count = sum(
            cell.cell_type == "code"
            and "source_hidden" not in cell.metadata.get("jupyter", {})
            for cell in cells
        )
    with browser.new_page(viewport={"width": 1280, "height": 1000}) as page:
        open_in_lab(page, lab, stem)
        choose(page, "Edit", "Clear Outputs of All Cells")
        choose(page, "Run", "Run All Cells")
        prompts = page.locator(".jp-CodeCell .jp-InputPrompt").filter(
            has_text=re.compile(r"\d")
        )
        ended = page.locator(FAILED).or_(prompts.nth(count - 1)).first
        expect(ended).to_be_attached(timeout=60_000)
        assert page.locator(FAILED).all_text_contents() == []
        yield page


def test_the_three_stages_run_in_jupyterlab(browser, lab):
    for stem in [stage.name for stage in STAGES]:
        with run_notebook(browser, lab, stem) as page:
            text = "".join(page.locator(".jp-OutputArea-output").all_text_contents())
    assert "Test-Err:0.429 Test-Acc:0.7942" in text


def test_the_controls_of_explore_work_in_jupyterlab(browser, lab):
    with run_notebook(browser, lab, "explore") as page:
        panel = page.locator(".widget-vbox").last
        sentence = panel.get_by_role("status")
        expect(sentence).to_contain_text("so that is a mistake. Of 40 hidden units")
        before = sentence.text_content()
        panel.get_by_role("slider").press("ArrowRight")
        expect(sentence).not_to_have_text(before)
        panel.locator("select").select_option(["0", "1"])
        expect(sentence).to_contain_text("dropped: 2.")
        live = page.locator(".live-panel")
        outcome, reads = live.locator(".outcome"), live.locator(".reads")
        live.get_by_role("button", name="Train again").press("Enter")
        expect(outcome).to_contain_text(f"the weights: {published.WEIGHTS_SHA256}")
        draw_with_keys(page)
        expect(reads).to_contain_text("reads 7, runner-up")
        live.get_by_role("button", name="Clear").press("Enter")
        expect(reads).to_have_text("Nothing is drawn yet.")
        draw_with_mouse(page, SEVEN)
        expect(reads).to_contain_text("reads 7, runner-up")
        cell = page.locator(".jp-CodeCell", has_text="live_panel.image.any()")
        cell.locator(".cm-content").click()
        page.keyboard.press("Control+Enter")
        expect(cell.locator(".jp-OutputArea-output pre").last).to_contain_text(
            "answers 7"
        )


def test_a_small_network_is_live_in_jupyterlab(browser, lab):
    with run_notebook(browser, lab, "diagram", count=1) as page:
        live = page.locator(".live-panel")
        live.get_by_role("button", name="Back", exact=True).press("Enter")
        expect(live.get_by_role("status")).to_contain_text("flow to the left")
        expect(live.locator(".about")).to_contain_text("Forward: unit 1")
        weight = live.get_by_label("weight from input 1 to unit 1")
        weight.press("Enter")
        live.get_by_label("Change the weight").fill("2.5")
        expect(weight).to_have_text("2.5")


@pytest.mark.parametrize("stem", ["learn", "explore"])
def test_a_notebook_that_is_opened_without_a_kernel_shows_its_pictures(
    browser, lab, stem
):
    cells = nbformat.read(NOTEBOOKS / f"{stem}.ipynb", 4).cells
    outputs = [
        output
        for cell in cells
        if not cell.metadata.get("jupyter", {}).get("outputs_hidden")
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    with browser.new_page(viewport={"width": 1280, "height": 1000}) as page:
        open_in_lab(page, lab, stem)
        choose(page, "Kernel", "Shut Down Kernel")
        expect(page.get_by_text("No Kernel").first).to_be_visible()
        panel, shown = page.locator(".jp-WindowedPanel-outer").first, set()
        for place in range(0, 40_000, 500):  # cells out of sight are not there
            panel.evaluate("(panel, top) => { panel.scrollTop = top; }", place)
            page.evaluate(NEXT_FRAME)
            pictures = page.locator(".jp-OutputArea-output img")
            shown |= {*pictures.evaluate_all("(all) => all.map(({ src }) => src)")}
            expect(page.get_by_text("Error displaying widget")).to_have_count(0)
            if len(shown) == len(outputs):
                break
        assert shown == {
            f"data:image/png;base64,{output.data['image/png'].strip()}"
            for output in outputs
        }


def test_a_saved_widget_is_live_when_the_notebook_is_opened_again(browser, lab):
    with run_notebook(browser, lab, "diagram", count=1) as page:
        expect(page.locator(".live-panel")).to_be_visible()
        with page.expect_response(lambda answer: answer.request.method == "PUT"):
            page.keyboard.press("Control+s")
        choose(page, "Kernel", "Shut Down Kernel")
        expect(page.get_by_text("No Kernel").first).to_be_visible()
        open_in_lab(page, lab, "diagram")
        part = page.locator(".live-panel")
        part.get_by_role("button", name="Error", exact=True).press("Enter")
        expect(part.get_by_role("status")).to_contain_text("the sum of their squares")
        expect(page.get_by_text("Error displaying widget")).to_have_count(0)
