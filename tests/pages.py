"""Pages in Chromium: how tests open them, and what a reader presses and reads."""

import base64
import contextlib
import io
import os
import re
import shutil

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect, sync_playwright

import helpers
from pipeline.network import compiled

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
PHONE, DESKTOP = 390, 1280  # widths of screens
SEVEN = [[(0.3, 0.2), (0.5, 0.2), (0.7, 0.2), (0.45, 0.8)]]
# A phone widens the page if the content is too wide.
FITS = "Math.max(document.documentElement.scrollWidth, innerWidth) <= screen.width"
GROUND = "getComputedStyle(document.body).backgroundColor"
DARK = "rgb(23, 24, 27)"  # the ground in the dark scheme
NEXT_FRAME = (
    "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
)
OPEN = "(all) => all.forEach((each) => { each.open = true; })"
ONE_TOKEN_OF_EACH_COLOUR = """() => {
    const seen = new Set();
    for (const token of document.querySelectorAll(".highlight span"))
        seen.has(token.className) ? token.replaceWith("x") : seen.add(token.className);
}"""
# Presses Stop as soon as the training that a button begins shows a text.
PRESS_AND_STOP = """(button, text) => {
    const shown = document.querySelector(".shown");
    const observer = new MutationObserver(() => {
        if (!shown.textContent.includes(text)) return;
        observer.disconnect();
        document.querySelector(".stop").click();
    });
    observer.observe(shown, { childList: true });
    button.click();
}"""
PATIENCE = 120_000  # milliseconds until a page that does not answer fails a test
expect.set_options(timeout=20_000)  # milliseconds until a wrong text fails a test
no_browser = CHROMIUM is None and os.environ.get("CI") != "true"
skip = pytest.mark.skipif(no_browser, reason="needs Chromium")
pytestmark = [skip, pytest.mark.xdist_group("browser")]  # of each module that uses it


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
def open_page(browser, path, width=PHONE, kind=None, **options):
    """Open a page offline, and yield it as a `Page` or as a subclass of `Page`.

    A screen that is narrower than a desktop is a phone's.

    At the end, check that the page fits the screen, has logged no message, and has
    requested no other file.
    """
    size = {"width": width, "height": 844}
    options |= dict.fromkeys(["is_mobile", "has_touch"], width != DESKTOP)
    with browser.new_context(offline=True, viewport=size, **options) as context:
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        messages, requests = [], []
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        yield (kind or Page)(page)
        assert page.evaluate(FITS)
        assert messages == []
        assert all(url.startswith(("file:", "data:", "blob:")) for url in requests)


def count_pages(pdf):
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


def compute_weights(sample, epochs, seed=1, hidden_size=40, **options):
    """Train as in the default run, except for these options; return the weights."""
    rng, input_rng = helpers.generators(seed)
    weights = helpers.initial_weights(rng, hidden_size)
    images, labels = sample["x_train"][:1000], sample["y_train"][:1000]
    for _ in range(epochs):
        compiled.train_epoch(images, labels, weights, rng, input_rng, **options)
    return weights


def read_number(text):
    """Return the number in a text that may have a true minus sign."""
    return float(text.replace("−", "-"))


def read_colours(canvas):
    """Return red, green, blue and opacity of each pixel of a canvas, uint8 (N, 4)."""
    url = canvas.evaluate("(canvas) => canvas.toDataURL()")
    png = base64.b64decode(url.partition(",")[2])
    return np.array(Image.open(io.BytesIO(png)).convert("RGBA")).reshape(-1, 4)


class Page:
    """A page of a run or of a lesson, or the contents of `root` in JupyterLab."""

    def __init__(self, page, root=None):
        self.page = page
        self.root = root or page.locator("body")
        self.pad = self.root.get_by_label("Drawing pad")

    def part(self, name):
        """Find an element by its class, as the scripts do."""
        return self.root.locator(f".{name}")

    def within(self, name):
        """Return a section of the page, such as a stop of a lesson, by its id."""
        return Page(self.page, self.page.locator(f"#{name}"))

    def button(self, name):
        return self.root.get_by_role("button", name=name, exact=True)

    def press(self, *names):
        """Press buttons with the keyboard."""
        for name in names:
            self.button(name).press("Enter")

    def field(self, name):
        return self.root.get_by_label(name, exact=True)

    def unfold(self):
        self.root.locator("details").evaluate_all(OPEN)

    def draw(self, strokes=SEVEN):
        """Draw with the mouse. Points are fractions of the pad."""
        self.pad.scroll_into_view_if_needed()
        box = self.pad.bounding_box()
        mouse = self.page.mouse
        for stroke in strokes:
            for i, (x, y) in enumerate(stroke):
                mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
                if i == 0:
                    mouse.down()
            mouse.up()

    def drag(self, *places):
        """Drag a finger from place to place on the screen."""
        send = self.page.context.new_cdp_session(self.page).send
        kind = "touchStart"
        for x, y in places:
            points = [{"x": x, "y": y}]
            send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
            kind = "touchMove"
        send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    def draw_with_keys(self):
        """Draw a seven: from the middle to the top left, right, down to the left."""
        self.pad.focus()
        keys = ["Up"] * 8 + ["Left"] * 6 + [" "] + ["Right"] * 12
        for key in (*keys, *["Down", "Down", "Down", "Left"] * 5, " ", "Right"):
            self.page.keyboard.press("Space" if key == " " else f"Arrow{key}")

    def read_answer(self):
        self.page.evaluate(NEXT_FRAME)
        return self.part("reads").text_content()

    def train(self):
        """Repeat the run, and return the outcome."""
        self.part("train").press("Enter")
        return self.wait_for_training()

    def wait_for_training(self):
        expect(self.part("train")).to_be_enabled(timeout=PATIENCE)
        return self.part("outcome").text_content()

    def stop_training(self, name, text="epoch "):
        """Press a button that trains, and Stop as soon as it shows a text.

        Both are done in the page, where no training ends before it can be stopped.
        """
        self.button(name).evaluate(PRESS_AND_STOP, text)
        expect(self.part("outcome")).to_contain_text("Stopped")
        return self.wait_for_training()

    def find_violations(self):
        """Return the violations of axe-core's accessibility rules, one per line."""
        rules = Axe().run(self.page).response["violations"]
        return [
            f"{rule['id']}: {node['html'][:120]}"
            for rule in rules
            for node in rule["nodes"]
        ]

    def check_look(self):
        """Check that a page is accessible in each colour scheme, and fits each screen.

        Everything that is folded is opened first.
        """
        page = self.page
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        assert page.evaluate(FITS)
        page.evaluate("document.documentElement.style.fontSize = ''")
        assert page.evaluate(FITS)
        self.unfold()
        page.evaluate(ONE_TOKEN_OF_EACH_COLOUR)  # the other thousands are alike
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert (page.evaluate(GROUND) == DARK) == (scheme == "dark")
            assert self.find_violations() == []
        page.set_viewport_size({"width": DESKTOP, "height": 800})
        assert page.evaluate(FITS)
        page.evaluate("document.documentElement.style.fontSize = '200%'")
        assert page.evaluate(FITS)

    def check_print(self):
        """Check that a newly opened page prints in light colours, without controls."""
        self.page.emulate_media(media="print", color_scheme="dark")
        assert self.page.evaluate(GROUND) != DARK
        # A small network shows its weights on paper, too, and a sentence its words.
        fields = ":is(select, input, textarea):not(.live *, .sentence *)"
        controls = self.root.locator(f"nav, .action, {fields}")
        assert not controls.filter(visible=True).count()
        self.page.emulate_media(media="screen")
