"""What a reader meets in a browser: the notebooks in JupyterLab, each control driven, and the reports, offline."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import nbformat
import psutil
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

import helpers
from pipeline import storage
from pipeline.reports import pages
from pipeline.run_folder import EVALUATION, STAGES, TRAINING
from tests.conftest import MADE_ONCE
from tests.test_project import lab_command

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")  # the first is the lightest
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
MISSING = "needs a browser: none of chromium, chromium-browser and google-chrome is installed"
SCREENSHOTS = storage.ROOT / "runs" / "screenshots"  # to look at, where this folder exists; no test reads them
expect.set_options(timeout=30_000)  # the machine may be busy; what is expected is waited for and no longer

# In CI a missing browser must not pass for a success, so there the fixture below fails.
pytestmark = pytest.mark.skipif(CHROMIUM is None and os.environ.get("CI") != "true", reason=MISSING)


def kill(process):
    with contextlib.suppress(psutil.NoSuchProcess):
        for found in (*process.children(recursive=True), process):
            found.kill()


@contextlib.contextmanager
def patience(process):
    """Kill a process of another's program, and those that it has started, if a block waits for it for a minute."""
    timer = threading.Timer(60, kill, [process])
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@pytest.fixture(scope="module")
def browser(only_here):
    assert CHROMIUM, MISSING
    only_here("browser")
    before = psutil.Process().children()
    with sync_playwright() as playwright:
        (Page.driver,) = set(psutil.Process().children()) - set(before)
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-dev-shm-usage"],  # as root, and where /dev/shm is small
        )
        yield browser
        with patience(Page.driver):
            browser.close()


@pytest.fixture(scope="module")
def finished(runs):
    return runs / "default"


@pytest.fixture(scope="module")
def swept(runs):
    return runs / "small"


def points_of(swept):
    return sorted(str(path.parent) for path in swept.glob("*/report.html"))


class Page:
    """A page, with the messages of its console and the addresses that it requested."""

    def __init__(self, browser, address, **options):
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.console, self.requested = [], []
        self.page.on("console", lambda message: self.console.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.console.append(f"uncaught: {error}"))
        self.page.on("request", lambda request: self.requested.append(request.url))
        self.address = address

    def __enter__(self):
        if self.address.startswith("file:"):
            self.context.set_offline(True)
        self.page.goto(self.address)
        return self

    def __exit__(self, *_):
        with patience(self.driver):
            self.context.close()

    def outside(self):
        """Requests that leave the server, or the one file."""
        own = self.address if self.address.startswith("file:") else re.match("https?://[^/]+/", self.address)[0]
        return [url for url in self.requested if not url.startswith((own, "data:", "blob:"))]

    def screenshot(self, name, **options):
        if SCREENSHOTS.is_dir():
            self.page.screenshot(path=SCREENSHOTS / f"{name}.png", **options)


# ---- drawing -------------------------------------------------------------------------------------------------

DRAWINGS = json.loads((Path(__file__).parent / "data" / "drawings.json").read_text())
NEXT_FRAME = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
SEVEN = [[(0.3, 0.2), (0.5, 0.2), (0.7, 0.2), (0.45, 0.8)]]
ALL_OF_MNIST = "The all-of-MNIST network"


def places_on(pad, stroke):
    """Where a stroke's points, in fractions of the pad, stand on the screen."""
    box = pad.bounding_box()
    return [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]


def draw_with_mouse(page, strokes):
    for stroke in strokes:
        places = places_on(page.get_by_label("Drawing pad"), stroke)
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place)
        page.mouse.up()


DRAW_AT_ONCE = """(pad, strokes) => {
    const { left, top, width, height } = pad.getBoundingClientRect();
    for (const stroke of strokes) {
        stroke.forEach(([x, y], i) => {
            const place = { clientX: left + x * width, clientY: top + y * height, pointerId: 1, isPrimary: true };
            pad.dispatchEvent(new PointerEvent(i ? "pointermove" : "pointerdown", place));
        });
        pad.dispatchEvent(new PointerEvent("pointerup", { pointerId: 1, isPrimary: true }));
    }
}"""  # the events of a mouse, without the frame that the browser waits for between two of its own


def draw_with_finger(page, strokes):
    fingers = page.context.new_cdp_session(page)
    for stroke in strokes:
        places = [{"x": x, "y": y} for x, y in places_on(page.get_by_label("Drawing pad"), stroke)]
        for kind, touched in (("Start", places[:1]), *(("Move", [place]) for place in places[1:]), ("End", [])):
            fingers.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": touched})


def draw_with_keys(page):
    """A seven: from the middle of the pad to the top left, along the top, and down."""
    page.get_by_label("Drawing pad").focus()
    for key, count in (("ArrowUp", 8), ("ArrowLeft", 6)):
        for _ in range(count):
            page.keyboard.press(key)
    page.keyboard.press("Space")
    for _ in range(12):
        page.keyboard.press("ArrowRight")
    for _ in range(5):
        page.keyboard.down("ArrowDown")
        page.keyboard.down("ArrowLeft")
        page.keyboard.up("ArrowDown")
        page.keyboard.up("ArrowLeft")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")  # the pen is up


# ---- JupyterLab ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lab(tmp_path_factory, finished, swept):
    """The address of a JupyterLab over copies of the notebooks, with nobody's settings and nobody's runs."""
    folder = tmp_path_factory.mktemp("lab")
    notebooks = folder / "root" / "notebooks"
    notebooks.mkdir(parents=True)
    for path in storage.NOTEBOOKS.glob("*.ipynb"):
        run_dir = finished if path.stem == "explore" else folder / "run"
        text = path.read_text()
        for place, other in {
            'run_dir: str = \\"runs/default\\"': f'run_dir: str = \\"{run_dir}\\"',
            'sweep_dir: str = \\"runs/sweeps/small\\"': f'sweep_dir: str = \\"{swept}\\"',
            '[\\"runs/default\\", \\"runs/true-derivative\\"]': json.dumps(points_of(swept)[:2]).replace('"', '\\"'),
        }.items():
            text = text.replace(place, other)
        assert not re.search(r'= \[?\\"runs/', text), f"{path.stem} would read or write this project's own runs"
        (notebooks / path.name).write_text(text)
    shutil.copytree(storage.NOTEBOOKS / "sweeps", notebooks / "sweeps")
    news = folder / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    storage.write_whole(news, storage.json_bytes({"fetchNews": "false", "checkForUpdates": False}))
    page_config = folder / "config" / "labconfig" / "page_config.json"
    storage.write_whole(page_config, storage.json_bytes({"buildCheck": False, "buildAvailable": False}))
    own = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime"}
    own |= {"JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces", "IPYTHONDIR": "ipython"}
    environment = os.environ | {name: str(folder / value) for name, value in own.items()}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyter", *lab_command(), "--LabApp.extension_manager=readonly"]
    command += ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--IdentityProvider.token=test"]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=folder / "root", env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api?token=test").close()
                break
            except urllib.error.URLError:
                assert server.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, "JupyterLab did not answer within a minute"
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        with patience(psutil.Process(server.pid)):
            server.wait()
    assert not re.search(r"^\[[WE] ", (folder / "log").read_text(), re.M), (folder / "log").read_text()


@pytest.fixture(scope="module")
def jupyterlab(browser, lab):
    """JupyterLab, opened once as `make lab` opens it; it takes longer to load than most notebooks to run."""
    address = f"{lab}/lab/tree/notebooks/{STAGES[0]}.ipynb?token=test"
    with Page(browser, address, viewport={"width": 1280, "height": 1000}) as opened:
        opened.page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        yield opened


@contextlib.contextmanager
def notebook(jupyterlab, stem):
    """Open a notebook from the list of files, as a reader does; it is not run yet. Close it afterwards."""
    page = jupyterlab.page
    jupyterlab.console.clear()
    already = page.locator(".jp-NotebookPanel").count()  # the first one, with which JupyterLab begins
    if already and stem != STAGES[0]:
        close_notebook(page)
    if not already or stem != STAGES[0]:
        page.get_by_role("button", name="Refresh the file browser").click()
        page.locator(".jp-DirListing-item", has_text=f"{stem}.ipynb").dblclick()
    try:
        page.locator(".jp-NotebookPanel").wait_for()
        yield page
    finally:  # else it would stand beside the next one
        close_notebook(page)


def put(lab, stem, node):
    """Put a notebook among the others, as an upload does."""
    content = json.dumps({"type": "notebook", "content": node}).encode()
    made = urllib.request.Request(f"{lab}/api/contents/notebooks/{stem}.ipynb?token=test", content, method="PUT")
    urllib.request.urlopen(made).close()


def close_notebook(page):
    """Close the notebook and end its kernel, without saving it."""
    page.get_by_role("menuitem", name="File", exact=True).click()
    page.get_by_role("menuitem", name="Close and Shut Down Notebook").click()
    page.get_by_role("button", name="Ok", exact=True).click()
    discard, closed = page.get_by_role("button", name="Discard", exact=True), page.locator(".jp-Launcher")
    expect(discard.or_(closed).first).to_be_visible()
    if discard.is_visible():
        discard.click()
    closed.wait_for()


def code_cells(stem):
    return sum(cell.cell_type == "code" for cell in nbformat.read(storage.NOTEBOOKS / f"{stem}.ipynb", 4).cells)


def run_all(page, count):
    """Clear what was committed, choose Run All as a reader does, and wait for all of its code cells, or a failure."""
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    for menu, item in (("Edit", "Clear Outputs of All Cells"), ("Run", "Run All Cells")):
        page.get_by_role("menuitem", name=menu, exact=True).click()
        page.get_by_role("menuitem", name=item, exact=True).click()
    page.wait_for_function(
        """([count, failed]) => {
            const prompts = [...document.querySelectorAll(".jp-CodeCell .jp-InputPrompt")];
            const ran = prompts.filter((prompt) => /[0-9]/.test(prompt.textContent)).length;
            return ran === count || document.querySelector(failed);
        }""",
        arg=[count, FAILED],
        polling=200,  # not at every frame, which would keep a core busy that the kernel needs
    )


FAILED = '[data-mime-type="application/vnd.jupyter.error"], [data-mime-type="application/vnd.jupyter.stderr"]'


def check_quiet(opened):
    """No cell failed, the console had nothing to complain of, and nothing was requested from another place."""
    assert opened.page.locator(FAILED).all_text_contents() == []
    slow = "is taking too long to activate"  # on a busy machine
    messages = [
        line for line in opened.console if not line.startswith(("debug:", "log:", "info:")) and slow not in line
    ]
    assert messages == []
    assert opened.outside() == []


def test_the_notebooks_of_runs_sweeps_and_comparisons_run_in_jupyterlab(jupyterlab):
    for stem in (*STAGES, "compare", "sweep"):
        with notebook(jupyterlab, stem) as page:
            run_all(page, code_cells(stem))
            check_quiet(jupyterlab)
            jupyterlab.screenshot(f"lab-{stem}")
            outputs = page.locator(".jp-OutputArea-output").all_text_contents()
            if stem == TRAINING:  # the line of progress, of which the last state alone is left
                assert re.findall(r"I:\d+", "".join(outputs)) == ["I:99"]
            if stem == EVALUATION:
                assert any("Test-Err:0.429 Test-Acc:0.7942" in text for text in outputs)


def test_a_sweep_that_a_notebook_runs_shows_a_bar_and_its_failures_in_jupyterlab(jupyterlab, lab, tmp_path):
    base = {"num_samples": 60, "num_validation": 40, "epochs": 2, "hidden_size": 5}
    grid = {"learning_rate": [0.005, 1e6]}
    (tmp_path / "s.yaml").write_text(json.dumps({"name": "own", "base": base, "grid": grid}))
    cell = f"""
from pathlib import Path
from pipeline import console
from pipeline.sweeps import execution
console.show()
failed = execution.run_sweep(Path({str(tmp_path / "s.yaml")!r}), {str(tmp_path / "out")!r}, workers=1)
len(failed)"""
    own = nbformat.read(storage.NOTEBOOKS / "sweep.ipynb", 4)
    own.cells = [nbformat.v4.new_code_cell(cell.strip())]
    put(lab, "own", own)
    with notebook(jupyterlab, "own") as page:
        run_all(page, 1)
        expect(page.locator(".widget-hprogress")).to_have_count(1)
        (bar,) = page.locator(".jp-OutputArea-output .widget-hbox").all_text_contents()
        output = page.locator(".jp-OutputArea").inner_text()
        jupyterlab.screenshot("lab-own-sweep")
        assert page.locator(".widget-hprogress").bounding_box()["width"] > 200
        check_quiet(jupyterlab)
    assert re.search(r"100%.*2/2 \[00:\d\d, 1 failed, best 0\.\d{4}\]", bar.replace("\u2007", " "))
    assert re.search(r"\[2/2\] \w{12} diverged: learning_rate 1000000.0\n", output)
    assert re.search(r"best so far validation_accuracy 0\.\d{4}: learning_rate 0\.005\n", output)
    assert re.search(r"\n1$", output.strip())
    links = re.findall(r'href="([0-9a-f]{12}/[^"]+)"', (tmp_path / "out" / "report.html").read_text())
    assert len(links) == 1  # of the selected point
    assert all((tmp_path / "out" / link).exists() for link in links)


def test_an_error_is_brought_into_view_after_run_all_in_jupyterlab(jupyterlab, lab):
    wrong = nbformat.read(storage.NOTEBOOKS / "02_train.ipynb", 4)
    (cell,) = (cell for cell in wrong.cells if "parameters" in cell.metadata.get("tags", []))
    cell.source = cell.source.replace("learning_rate: float = 0.005", "learning_rate: float = -1.0")
    put(lab, "wrong", wrong)
    with notebook(jupyterlab, "wrong") as page:
        run_all(page, code_cells("02_train"))
        message = page.locator("pre", has_text="╭─ InvalidParameter")
        expect(message).to_contain_text("learning_rate is -1.0, but must be a number above 0.")
        expect(message).to_be_in_viewport()
        expect(page.get_by_text("Traceback", exact=True)).to_be_in_viewport()
        jupyterlab.screenshot("lab-wrong")


def drive_reading(page):
    """Go through the mistakes by the arrow keys, and drop units by typing."""
    panel = page.locator(".jp-OutputArea-output", has=page.get_by_text("Place among the chosen")).last
    sentence, picture = panel.get_by_role("status"), panel.locator("img")
    expect(sentence).to_contain_text("so that is a mistake. Of 40 hidden units")
    first = picture.get_attribute("src")
    panel.get_by_role("slider").press("ArrowRight")
    expect(picture).not_to_have_attribute("src", first)
    expect(sentence).to_contain_text("so that is a mistake. Of 40 hidden units")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(panel.get_by_role("textbox").last).to_be_focused()
    page.keyboard.type("40")
    page.keyboard.press("Enter")
    expect(sentence).to_contain_text("Dropped units has '40', but must be whole numbers from 0 to 39")
    panel.get_by_role("textbox").last.fill("0-39")
    page.keyboard.press("Enter")
    expect(sentence).to_contain_text("active: 0, inactive: 0, dropped: 40")


def drive_live(page):
    live = page.locator(".live-panel")
    live.evaluate(
        """(root) => {
            window.epochs = new Set();
            const shown = root.querySelector(".shown");
            new MutationObserver(() => window.epochs.add(shown.textContent)).observe(shown, {childList: true});
        }"""
    )
    outcome, reads = live.locator(".outcome"), live.locator(".reads")
    live.get_by_role("button", name="Train again").press("Enter")
    expect(outcome).to_contain_text("Equal: 100 epochs. SHA-256 of the weights: ebf6a5840e35")
    assert page.evaluate("window.epochs.size") > 50, "the curves did not grow before one's eyes"
    live.locator("details.change summary").press("Enter")
    live.get_by_label("hidden_size", exact=True).fill("5")
    live.get_by_label("epochs", exact=True).fill("20")
    live.get_by_role("button", name="Train again").press("Space")
    expect(outcome).to_contain_text("Another training, with hidden_size 5, epochs 20: 20 epochs.")
    live.get_by_label("learning_rate", exact=True).fill("5")
    live.get_by_role("button", name="Train again").press("Enter")
    expect(outcome).to_contain_text("The error is no longer a number: make learning_rate smaller.")
    draw_with_keys(page)
    expect(reads).to_contain_text("reads 7, runner-up")
    live.get_by_role("button", name="Clear").press("Enter")
    expect(reads).to_have_text("Nothing is drawn yet.")
    live.get_by_label("Network", exact=True).press("ArrowUp")
    live.get_by_label("Drawing pad").scroll_into_view_if_needed()
    draw_with_mouse(page, SEVEN)
    expect(reads).to_contain_text("reads 7, runner-up")
    assert live.locator("select").evaluate("(choice) => choice.selectedIndex") == 1


def run_again(page, text):
    """Run the code cell that holds the text once more, and return what it prints."""
    cell = page.locator(".jp-CodeCell", has_text=text)
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    return cell.locator(".jp-OutputArea-output pre").last


def test_every_control_of_explore_works(jupyterlab):
    with notebook(jupyterlab, "explore") as page:
        run_all(page, code_cells("explore"))
        expect(page.locator(".live-panel .pad")).to_be_visible()
        drive_reading(page)
        jupyterlab.screenshot("lab-explore-reading")
        drive_live(page)
        jupyterlab.screenshot("lab-explore-live")
        expect(run_again(page, "live_panel.image.any()")).to_contain_text("The network answers 7")
        check_quiet(jupyterlab)


# ---- the reports -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reports(shared, pipeline, finished, swept):
    """From a name to the file of a page, one of each kind."""
    points = points_of(swept)

    def make(folder):
        for command in (
            ("report", storage.NOTEBOOKS / "why.ipynb", "--output", folder / "why.html"),
            ("report", storage.NOTEBOOKS / "explore.ipynb", "--output", folder / "explore.html"),
            ("compare", finished, *points[:2], "--output", folder / "compare.html"),
            ("index", finished.parent),
        ):
            done = pipeline(*command)
            assert done.returncode == 0, done.stderr

    folder = shared("reports", make)
    made = {name: folder / f"{name}.html" for name in ("why", "explore", "compare")}
    return made | {
        "run": finished / "report.html",
        "sweep": swept / "report.html",
        "point": Path(points[0], "report.html"),
        "index": finished.parent / "index.html",
    }


ONE_TOKEN_OF_EACH_COLOUR = """() => {
    const seen = new Set();
    for (const token of document.querySelectorAll(".highlight span")) {
        if (seen.has(token.className)) token.replaceWith(...token.childNodes);
        seen.add(token.className);
    }
}"""  # else axe looks at thousands that are alike, for most of its time


NO_SHADE = ".scroll, .output_html, pre { background: var(--cover) !important }"  # axe sees no contrast on a gradient


def violations(page, where=None):
    """What axe-core finds against its rules for accessibility on a page, or a part of it, a line an element."""
    page.evaluate(ONE_TOKEN_OF_EACH_COLOUR)
    page.add_style_tag(content=NO_SHADE)
    found = Axe().run(page, context=where).response["violations"]
    return [f"{rule['id']}: {node['target']} {node['html'][:120]}" for rule in found for node in rule["nodes"]]


FITS = "document.documentElement.scrollWidth <= innerWidth"

each_page = pytest.mark.parametrize("name", ["run", "why", "explore", "sweep", "compare", "index"])
each_report = pytest.mark.parametrize("name", ["run", "explore", "sweep"])  # those with code


def report(browser, reports, name, width=1280):
    return Page(browser, reports[name].as_uri(), viewport={"width": width, "height": 900})


@pytest.mark.parametrize("width", [1280, 390])
@each_page
def test_a_page_is_accessible_fits_the_screen_and_asks_for_nothing(browser, reports, name, width):
    with report(browser, reports, name, width) as opened:
        page = opened.page
        for folded in (True, False):
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                assert page.evaluate(FITS)
                if folded:
                    opened.screenshot(f"report-{name}-{width}-{scheme}")
                elif (width, scheme) in ((390, "light"), (1280, "dark")):
                    assert violations(page) == []
            page.locator("details").evaluate_all("(folded) => folded.forEach((each) => { each.open = true; })")
        assert [url for url in opened.requested if not url.startswith("data:")] == [opened.address]
        assert opened.console == []


def trained_again(page):
    expect(page.get_by_role("button", name="Train again")).to_be_enabled(timeout=60_000)
    return page.locator(".outcome").text_content()


def test_a_report_trains_the_network_again_to_its_digest(browser, reports):
    with report(browser, reports, "run", 390) as opened:
        page = opened.page
        page.get_by_role("button", name="Train again").press("Enter")
        expect(page.locator(".shown")).to_contain_text("epoch ")
        assert trained_again(page) == (
            "Equal: 100 epochs. SHA-256 of the weights: "
            "ebf6a5840e35c96db0737370bf9e523cdf7a0522d11a06e747ebb00c2c9f03d6. "
            "All errors and weights are the run's, to the last bit. Validation accuracy: 0.8000, the run's 0.8000. "
            "It reads what you draw now."
        )
        assert page.locator(".shown").text_content() == (
            "Thick, this training: epoch 100, 0.947, under dropout 0.817, validation 0.800."
        )
        for name in ("masked", "fitted", "validation"):
            live, own = (page.locator(f".{whose}-{name}").get_attribute("points") for whose in ("live", "run"))
            assert live == own
            assert live.count(" ") == 99
        assert page.evaluate(FITS)
        assert violations(page, ".training") == []
        opened.screenshot("report-trained")
        assert [url for url in opened.requested if not url.startswith(("data:", "blob:"))] == [opened.address]
        assert opened.console == []


def test_a_training_in_a_report_can_be_stopped_and_changed(browser, reports, sample):
    with report(browser, reports, "run") as opened:
        page = opened.page
        page.get_by_role("button", name="Train again").click()
        expect(page.locator(".shown")).to_contain_text(re.compile(r"epoch \d"))
        page.get_by_role("button", name="Stop").click()
        expected = r"Stopped after \d+ epochs?\. This network is not kept, and does not read what you draw\."
        assert re.fullmatch(expected, trained_again(page))
        page.locator("details.change summary").press("Enter")
        page.get_by_label("dropout_rate", exact=True).fill("1")
        page.get_by_role("button", name="Train again").click()  # which the browser refuses, and names the field
        assert page.evaluate("document.activeElement.name") == "dropout_rate"
        changed = {"epochs": 5, "dropout_rate": 0.5, "input_dropout_rate": 0.2, "relu_grad_inactive": 0}
        for name, value in changed.items():
            page.get_by_label(name, exact=True).fill(str(value))
        page.get_by_role("button", name="Train again").click()
        rng, input_rng = helpers.generators(1)
        weights = helpers.initial_weights(rng, 40)
        for _ in range(changed.pop("epochs")):
            helpers.train_epoch(sample["x_train"][:1000], sample["y_train"][:1000], *weights, rng, input_rng, **changed)
        _, accuracy = helpers.evaluate(sample["x_train"][1000:], sample["y_train"][1000:], *weights)
        assert trained_again(page) == (
            "Another training, with input_dropout_rate 0.2, relu_grad_inactive 0, epochs 5: 5 epochs. "
            f"SHA-256 of the weights: {storage.sha256_of(*weights)}. Validation accuracy: {accuracy:.4f}, "
            "the run's 0.8000. It reads what you draw now."
        )
        expect(page.locator("text.epochs")).to_have_text("100")  # of the run, which has more
        for name, value in {"learning_rate": 5, "epochs": 150}.items():
            page.get_by_label(name, exact=True).fill(str(value))
        page.get_by_role("button", name="Train again").click()
        assert "The error is no longer a number: make learning_rate smaller." in trained_again(page)
        expect(page.locator("text.epochs")).to_have_text("150")
        expect(page.locator(".live canvas")).to_be_hidden()  # else it would show the training before
        for name, value in {"learning_rate": 2, "epochs": 3, "input_dropout_rate": 0}.items():
            page.get_by_label(name, exact=True).fill(str(value))
        page.get_by_role("button", name="Train again").click()  # of which the training error alone is infinite
        assert trained_again(page).startswith("Stopped after 1 epoch. The error is no longer a number: make")
        assert opened.console == []


NO_WORKER = "() => { window.Worker = undefined; }"
WORKER_FAILS = """() => { window.Worker = class {
    postMessage() { for (const _ of "ab") setTimeout(() => this.onerror({ message: "no" })); }
    terminate() {}
}; }"""


@pytest.mark.parametrize("without", [NO_WORKER, WORKER_FAILS])
def test_a_report_trains_without_a_worker_too(browser, reports, without):
    with report(browser, reports, "run") as opened:
        page = opened.page
        page.evaluate(without)
        page.locator("details.change summary").press("Enter")
        page.get_by_label("epochs", exact=True).fill("1")
        page.get_by_role("button", name="Train again").click()
        assert trained_again(page).startswith("Another training, with epochs 1: 1 epoch.")


COUNT_WORKERS = """() => {
    window.started = 0;
    const Original = Worker;
    window.Worker = class extends Original { constructor(address) { super(address); window.started++; } };
}"""


def test_the_focus_stays_with_the_buttons_and_a_new_training_shows_nothing_of_the_last(browser, reports):
    with report(browser, reports, "run") as opened:
        page = opened.page
        again, stop = (page.get_by_role("button", name=name) for name in ("Train again", "Stop"))
        page.locator("details.change summary").press("Enter")
        page.get_by_label("epochs", exact=True).fill("1")
        again.press("Enter")
        page.keyboard.press("Enter")  # which does nothing while it trains, and trains once more when that has ended
        expect(page.locator(".outcome")).to_contain_text("Another training, with epochs 1")
        expect(again).to_be_focused()
        expect(page.locator(".shown")).to_contain_text("epoch 1")
        page.get_by_label("epochs", exact=True).fill("1000")
        page.evaluate("() => { window.DecompressionStream = class { constructor() { throw new Error('broken'); } }; }")
        page.get_by_role("button", name="Train with these").press("Enter")
        expect(page.locator(".outcome")).to_have_text("This browser could not train it: Error: broken")
        expect(page.get_by_role("button", name="Train with these")).to_be_focused()
        expect(page.locator(".shown")).to_have_text("")
        expect(page.locator(".live canvas")).to_be_hidden()
        assert page.locator(".live-fitted").get_attribute("points") == ""
        page.reload()
        page.locator("details.change summary").press("Enter")
        page.get_by_label("epochs", exact=True).fill("1000")
        again.press("Enter")
        expect(stop).to_be_enabled()
        expect(again).to_be_focused()
        expect(again).to_be_disabled()
        stop.press("Enter")
        expect(stop).to_be_focused()
        expect(again).to_be_enabled()


@pytest.mark.parametrize(("images", "digits"), [(16, 3), (32, 4), (2000, 3), (160, 4), (400, 3)])
def test_numbers_are_rounded_as_in_python(browser, images, digits):
    (line,) = (line for line in pages.script("train").split("\n") if line.startswith("const rounded"))
    page = browser.new_page()
    shares = [count / images for count in range(images + 1)]
    written = page.evaluate(
        f"(shares) => {{ {line}; return shares.map((share) => rounded(share, {digits})); }}", shares
    )
    page.close()
    assert written == [f"{share:.{digits}f}" for share in shares]


DARKEST = """(canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return data.filter((_, i) => i % 4 === 0 && data[i + 3] === 255).reduce((least, red) => Math.min(least, red), 255);
}"""  # of its opaque pixels, in red


def test_ink_ends_at_the_edge_of_the_pad_and_a_unit_that_is_pressed_twice_is_folded(browser, reports):
    with report(browser, reports, "run") as opened:
        page, images = opened.page, []
        for right in (1.0, 3.0):
            page.get_by_role("button", name="Clear").click()
            page.get_by_label("Drawing pad").evaluate(DRAW_AT_ONCE, [[[0.2, 0.2], [right, 0.2], [0.4, 0.9]]])
            page.evaluate(NEXT_FRAME)
            images.append(page.locator(".seen").evaluate("(canvas) => canvas.toDataURL()"))
        assert images[0] == images[1]
        for media in ({"color_scheme": "dark"}, {"media": "print"}):
            page.emulate_media(**media)
            page.evaluate(NEXT_FRAME)
            darkest = page.get_by_label("Drawing pad").evaluate(DARKEST)
            assert (darkest < 60) == ("media" in media)
        page.emulate_media(media="screen")
        unit = page.locator(".units button").first
        for shown in (True, False):
            unit.press("Enter")
            expect(page.locator("figure.unit")).to_be_visible(visible=shown)


def test_two_clicks_are_one_training(browser, reports):
    with report(browser, reports, "run") as opened:
        page = opened.page
        page.evaluate(COUNT_WORKERS)
        page.get_by_role("button", name="Train again").dblclick()
        expect(page.locator(".shown")).to_contain_text("epoch ")
        page.get_by_role("button", name="Stop").click()
        stopped = page.locator(".shown").text_content()
        assert page.evaluate("window.started") == 1
        page.wait_for_timeout(500)
        assert page.locator(".shown").text_content() == stopped


def reading_of(page):
    page.evaluate(NEXT_FRAME)
    return page.locator(".reads").text_content()


def test_fifty_drawings_are_read_by_each_network(browser, reports):
    with report(browser, reports, "run") as opened:
        page, read, said = opened.page, Counter(), set()
        page.get_by_label("Drawing pad").scroll_into_view_if_needed()
        names = ("This run's (published) network", ALL_OF_MNIST)
        networks = {name: network_option(page, name) for name in names}
        clear, pad, choice, reads = (
            found.element_handle()  # once, since to find them takes longer than to use them
            for found in (
                page.get_by_role("button", name="Clear"),
                page.get_by_label("Drawing pad"),
                page.get_by_label("Network", exact=True),
                page.locator(".reads"),
            )
        )
        for drawing in DRAWINGS:
            clear.evaluate("(button) => button.click()")
            if drawing["hand"] == "small in a corner":
                draw_with_mouse(page, drawing["strokes"])
            else:
                pad.evaluate(DRAW_AT_ONCE, drawing["strokes"])
            for network, option in networks.items():
                choice.evaluate(CHOOSE, option)
                page.evaluate(NEXT_FRAME)
                text = reads.text_content()
                read[network] += text.startswith(f"This network reads {drawing['digit']},")
                said |= set(re.findall(r"Not sure: their scores are close\.|The all-of-MNIST network reads \d", text))
        print(f"of {len(DRAWINGS)} drawings read: {dict(read)}")
        assert len(DRAWINGS) == 50
        assert read[ALL_OF_MNIST] >= 46
        assert read[ALL_OF_MNIST] > read["This run's (published) network"] > 35
        assert "Not sure: their scores are close." in said
        assert len(said) > 2  # and where another network reads another digit
        assert opened.console == []


CHOOSE = """(choice, label) => {
    choice.selectedIndex = [...choice.options].findIndex((option) => option.label === label);
    choice.dispatchEvent(new Event("input", { bubbles: true }));
    choice.dispatchEvent(new Event("change", { bubbles: true }));
}"""  # as select_option does, which first waits for the page to rest


def network_option(page, name):
    labels = page.get_by_label("Network", exact=True).locator("option").all_text_contents()
    return next(label for label in labels if label.startswith(name))


@pytest.mark.parametrize("width", [1280, 390])
def test_a_digit_is_drawn_read_and_taken_back(browser, reports, width):
    with report(browser, reports, "run", width) as opened:
        page = opened.page
        pad = page.get_by_label("Drawing pad")
        expect(page.locator(".reads")).to_have_text("Nothing is drawn yet.")
        page.get_by_role("link", name="Draw a digit").first.click()
        pad.scroll_into_view_if_needed()
        (draw_with_finger if width == 390 else draw_with_mouse)(
            page, [[(0.3, 0.2), (0.5, 0.2), (0.7, 0.2), (0.45, 0.8)]]
        )
        expect(page.locator(".reads")).to_contain_text("reads 7, runner-up ")
        assert page.locator(".scores .answer").text_content().startswith("7")
        units = page.get_by_role("group", name="Hidden units").get_by_role("button")
        assert units.count() == 40
        active = page.locator('.units button:not([aria-label$=" 0.00"])').first
        active.press("Enter")
        expect(page.locator(".adds")).to_contain_text(re.compile(r"To the scores it adds -?\d\.\d\d for 0, .* for 9\."))
        expect(active).to_have_attribute("aria-pressed", "true")
        opened.screenshot(f"report-drawn-{width}")
        assert page.evaluate(FITS)
        assert violations(page, "section:has(.pad)") == []
        draw_with_mouse(page, [[(0.2, 0.9), (0.8, 0.9)]])
        changed = reading_of(page)
        page.get_by_role("button", name="Undo").click()
        assert reading_of(page) != changed
        page.get_by_role("button", name="Clear").click()
        assert reading_of(page) == "Nothing is drawn yet."
        page.get_by_role("button", name="Undo").click()  # of nothing
        assert reading_of(page) == "Nothing is drawn yet."
        assert [url for url in opened.requested if not url.startswith(("data:", "blob:"))] == [opened.address]
        assert opened.console == []


def test_classes_of_ones_own_are_read_by_their_names(browser, pictures_run):
    with Page(browser, (pictures_run / "run" / "report.html").as_uri()) as opened:
        page = opened.page
        page.get_by_role("link", name="Draw", exact=True).first.click()
        draw_with_mouse(page, SEVEN)
        expect(page.locator(".reads")).to_contain_text(re.compile(r"network reads (\w{3,5}), runner-up \w{3,5}\."))
        assert page.locator(".scores li").first.text_content().startswith("eight ")
        assert page.get_by_label("Network", exact=True).locator("option").count() == 1
        page.locator(".units button").first.click()
        expect(page.locator(".adds bdi")).to_have_count(10)  # which keeps a name that runs from right to left in place
        assert violations(page) == []
        assert opened.console == []


def test_a_digit_is_drawn_by_keyboard(browser, reports):
    with report(browser, reports, "run") as opened:
        draw_with_keys(opened.page)
        assert reading_of(opened.page).startswith("This network reads 7,")
        opened.screenshot("report-drawn-by-keyboard")
        opened.page.keyboard.press("Tab")
        assert opened.page.evaluate("document.activeElement.textContent") == "Undo"


def ink(page):
    """How much of the pad is drawn on."""
    page.evaluate(NEXT_FRAME)
    return page.get_by_label("Drawing pad").evaluate(
        "(pad) => pad.getContext('2d').getImageData(0, 0, pad.width, pad.height).data.filter((_, i) => i % 4 === 3)"
        ".reduce((sum, opacity) => sum + (opacity > 0), 0)"
    )


def test_only_what_is_pressed_draws(browser, reports):
    with report(browser, reports, "run", 390) as opened:
        page = opened.page
        pad = page.get_by_label("Drawing pad")
        pad.scroll_into_view_if_needed()
        (left, top), (right, bottom) = places_on(pad, [(0.1, 0.1), (0.9, 0.9)])
        pad.focus()
        page.keyboard.down("Space")
        page.keyboard.down("Space")  # the key repeats, while it is held
        page.keyboard.up("Space")
        drawn = ink(page)
        page.mouse.move(left, top)
        page.mouse.move(right, bottom)  # with no button
        assert ink(page) == drawn
        for _ in range(5):
            page.keyboard.press("ArrowRight")
        assert ink(page) > drawn + 1000
        page.get_by_role("button", name="Clear").click()
        page.mouse.move(left, top)
        page.mouse.down()
        assert 0 < (dot := ink(page)) < 10_000
        pad.dispatch_event("pointermove", {"pointerId": 1, "pointerType": "mouse", "buttons": 0})  # an end unseen
        page.mouse.move(right, bottom)
        assert ink(page) == dot
        page.mouse.up()
        page.get_by_role("button", name="Clear").click()
        page.evaluate("delete PointerEvent.prototype.getCoalescedEvents")  # which a page without https has not
        fingers = page.context.new_cdp_session(page)

        def touch(kind, *places):
            points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
            fingers.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})

        (left, top), (right, bottom) = places_on(pad, [(0.1, 0.1), (0.9, 0.9)])
        touch("Start", (left, top))
        touch("Start", (left, top), (right, top))  # a palm
        touch("Move", (left, top + 1))  # without the palm, which is lifted
        touch("Move", (right, bottom))
        touch("End")
        assert ink(page) > 10_000  # the finger's stroke, from corner to corner
        page.get_by_role("button", name="Clear").click()
        thumb = (385, top)  # beside the pad
        touch("Start", thumb)
        touch("Start", thumb, (left, top))
        touch("Move", thumb, (right, bottom))
        touch("End")
        assert ink(page) > 10_000
        assert [line for line in opened.console if "getImageData" not in line] == []  # which `ink` calls often


def test_forced_colours_leave_pictures_and_bars(browser, reports):
    with Page(browser, reports["run"].as_uri(), forced_colors="active", color_scheme="dark") as opened:
        page = opened.page
        page.get_by_label("Drawing pad").scroll_into_view_if_needed()
        draw_with_mouse(page, SEVEN)
        expect(page.locator(".reads")).to_contain_text("reads 7")
        look = "(each, name) => getComputedStyle(each)[name]"
        assert page.locator(".plot img").first.evaluate(look, "mixBlendMode") == "normal"  # else it is black on black
        for bars in (".scores .answer", ".units button"):
            assert "gradient" in page.locator(bars).first.evaluate(look, "backgroundImage")


def test_on_a_small_screen_nothing_sticks_out_and_the_buttons_stay_where_they_are(browser, reports):
    with report(browser, reports, "run", 320) as opened:
        page = opened.page
        stop = page.get_by_role("button", name="Stop")
        before = stop.evaluate("(button) => button.offsetTop")
        page.get_by_role("button", name="Train again").click()
        expect(page.locator(".shown")).to_contain_text("epoch")
        assert stop.evaluate("(button) => button.offsetTop") == before
        stop.click()
        page.locator("details.change summary").press("Enter")
        page.get_by_label("Drawing pad").scroll_into_view_if_needed()
        draw_with_mouse(page, SEVEN)
        page.locator(".units button").first.click()
        expect(page.locator(".adds")).to_contain_text("Hidden unit ")
        assert page.evaluate(FITS)


def test_fewer_hidden_units_than_the_one_that_is_shown(browser, reports):
    with report(browser, reports, "run") as opened:
        page = opened.page
        page.locator("details.change summary").press("Enter")
        for units in ("20", "3"):
            page.get_by_label("hidden_size", exact=True).fill(units)
            page.get_by_label("epochs", exact=True).fill("2")
            page.get_by_role("button", name="Train again").click()
            assert f"hidden_size {units}, epochs 2" in trained_again(page)
            page.get_by_label("Drawing pad").scroll_into_view_if_needed()
            draw_with_mouse(page, SEVEN)
            assert reading_of(page).startswith("This network reads ")
            page.locator(".units button").last.click()
            expect(page.locator(".adds")).to_contain_text(f"Hidden unit {int(units) - 1}, its weights")
        assert opened.console == []


def test_a_unit_that_is_pressed_stays_also_where_another_drawing_makes_more_than_are_shown_more_active(
    browser, reports
):
    with report(browser, reports, "run") as opened:
        page = opened.page
        page.locator("details.change summary").press("Enter")
        for name, value in {"hidden_size": 90, "epochs": 1}.items():
            page.get_by_label(name, exact=True).fill(str(value))
        page.get_by_role("button", name="Train again").click()
        assert "hidden_size 90, epochs 1: 1 epoch." in trained_again(page)
        units, places = page.locator(".units button"), set()
        page.get_by_label("Drawing pad").scroll_into_view_if_needed()
        for stroke in (SEVEN[0], [(0.3, 0.8), (0.7, 0.8)], [(0.5, 0.1), (0.5, 0.9)], [(0.2, 0.5), (0.8, 0.5)]):
            page.get_by_role("button", name="Clear").click()
            draw_with_mouse(page, [stroke])
            if not places:
                units.last.click()
                pressed = units.last.get_attribute("value")
            expect(page.locator('.units [aria-pressed="true"]')).to_have_attribute("value", pressed)
            places.add(tuple(units.evaluate_all("(all) => all.map(({ value }) => value)")))
            assert units.count() == 40
        assert len(places) > 1  # others were shown


def test_what_is_printed_is_folded_again(browser, reports):
    with report(browser, reports, "run") as opened:
        page = opened.page
        page.locator("details.origins summary").first.press("Enter")
        count = "[...document.querySelectorAll('details[open]')].length"
        before = page.evaluate(count)
        for event in ("beforeprint", "beforeprint", "afterprint"):
            page.evaluate(f"window.dispatchEvent(new Event('{event}'))")
            assert (page.evaluate(count) > before) == (event == "beforeprint")
        assert page.evaluate(count) == before


def test_a_stop_counts_before_the_first_epoch_too(browser, reports):
    with report(browser, reports, "run") as opened:
        page = opened.page
        for _ in range(2):
            page.evaluate("for (const name of ['train', 'stop']) document.querySelector(`.${name}`).click()")
            page.wait_for_timeout(300)
            assert trained_again(page).startswith("Stopped after 0 epochs. This network is not kept")
            assert page.locator(".progress").evaluate("(bar) => bar.value") == 0


def test_a_network_that_was_trained_in_the_page_is_judged_and_reads_there(browser, reports):
    with report(browser, reports, "run") as opened:
        page = opened.page
        page.locator("details.change summary").press("Enter")
        page.get_by_label("epochs", exact=True).fill("30")
        page.get_by_label("relu_grad_inactive", exact=True).fill("0")
        page.get_by_role("button", name="Train with these").click()
        assert re.search(
            r" Validation accuracy: 0\.[78]\d{3}, the run's 0\.8000\. It reads what you draw now\.$",
            trained_again(page),
        )
        chosen = page.get_by_label("Network", exact=True).locator("option:checked")
        expect(chosen).to_have_text("The network trained here")
        page.get_by_label("Drawing pad").scroll_into_view_if_needed()
        draw_with_mouse(page, SEVEN)
        assert reading_of(page).startswith("This network reads 7,")


def test_what_prevents_training_and_reading_is_described(browser, reports):
    with report(browser, reports, "run") as opened:
        opened.page.evaluate("delete window.DecompressionStream")
        opened.page.get_by_role("button", name="Train again").click()
        assert trained_again(opened.page).startswith("This browser could not train it: ReferenceError")
        draw_with_keys(opened.page)
        expect(opened.page.locator(".reads")).to_contain_text(
            "This browser could not unpack the networks: ReferenceError"
        )


def test_a_page_that_cannot_train_says_why(browser, reports):
    with report(browser, reports, "point") as opened:
        expect(opened.page.locator("main")).to_contain_text("The training images of a point of a sweep are not kept")
        expect(opened.page.get_by_role("button", name="Train again")).to_have_count(0)


def test_a_script_that_is_not_the_pages_own_does_not_run(browser, reports, tmp_path):
    text = (
        reports["run"]
        .read_text()
        .replace("</main>", '<script>window.foreign = 1</script><img src="x" onerror="foreign = 2"></main>')
    )
    (tmp_path / "page.html").write_text(text)
    with Page(browser, (tmp_path / "page.html").as_uri()) as opened:
        assert opened.page.evaluate("window.foreign === undefined")
        assert len(opened.console) >= 2  # the browser reports each


def test_axe_finds_what_is_wrong(browser, tmp_path):
    style = "".join(map(pages.style, ("live", "page")))  # which shades what scrolls
    bad = f'<!DOCTYPE html><title>t</title><style>{style}</style><img src="data:,"><pre style="color: #ccc">pale'
    (tmp_path / "bad.html").write_text(bad)
    with Page(browser, (tmp_path / "bad.html").as_uri()) as opened:
        rules = {line.split(":")[0] for line in violations(opened.page)}
    assert {"html-has-lang", "image-alt", "color-contrast"} <= rules


@each_report
def test_code_opens_one_by_one_and_all_at_once(browser, reports, name):
    with report(browser, reports, name) as opened:
        page = opened.page
        sources = page.locator("details.source")
        shown = page.locator("details.source .highlight:visible")
        assert sources.count() > 5
        expect(shown).to_have_count(0)
        one = page.locator("details.source:visible").nth(2)  # others stand in a folded set-up
        one.locator("summary").press("Enter")
        expect(shown).to_have_count(1)
        expect(one.locator(".highlight")).to_be_visible()
        page.get_by_role("button", name="Show all code").press("Enter")
        expect(shown).to_have_count(sources.count())
        page.get_by_role("button", name="Hide all code").click()
        expect(shown).to_have_count(0)


@pytest.mark.parametrize("width", [1280, 390])
@each_report
def test_the_contents_lead_to_their_headings(browser, reports, name, width):
    with report(browser, reports, name, width) as opened:
        page = opened.page
        contents = page.locator("nav details")
        if width == 390:
            expect(contents).not_to_have_attribute("open", re.compile(""))
            contents.locator("summary").press("Enter")
        links = page.locator("nav a")
        assert links.count() >= 2
        for link in links.all():
            link.click()
            heading = page.locator(f"[id='{link.get_attribute('href').removeprefix('#')}']")
            expect(heading).to_have_text(link.text_content())
            expect(heading).to_be_in_viewport()
            assert heading.evaluate("(heading) => /^H[1-6]$/.test(heading.tagName)")


@each_report
def test_what_has_the_focus_is_seen(browser, reports, name):
    with report(browser, reports, name) as opened:
        page = opened.page
        seen = []
        for _ in range(40):
            page.keyboard.press("Tab")
            seen.append(
                page.evaluate(
                    """() => {
                        const [element, style] = [document.activeElement, getComputedStyle(document.activeElement)];
                        const box = element.getBoundingClientRect();
                        const drawn = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
                        const [right, below] = [box.left < innerWidth, box.top < innerHeight];
                        const within = box.right > 0 && box.bottom > 0 && right && below;
                        return [element.tagName, element.textContent.slice(0, 40), drawn && within];
                    }"""
                )
            )
        unseen = [where for *where, visible in seen if not visible and where[0] != "BODY"]
        assert unseen == []
        assert {"A", "BUTTON", "SUMMARY"} <= {tag for tag, *_ in seen}


def test_the_index_leads_to_every_report_and_they_lead_on(browser, reports):
    with report(browser, reports, "index") as opened:
        page = opened.page
        links = {link.text_content(): link.get_attribute("href") for link in page.locator("main table a").all()}
        assert links == {name: f"{name}/report.html" for name in MADE_ONCE}
        page.get_by_role("link", name="small").click()
        expect(page).to_have_title("Sweep small")
        point = reports["point"].parent.name
        page.get_by_role("link", name=point).click()
        expect(page).to_have_title(f"Point {point} of the sweep small")
        page.goto(opened.address)
        page.get_by_role("link", name="default").click()
        expect(page).to_have_title("Run default")
        assert opened.console == []


def test_the_table_of_a_sweep_sorts_by_keyboard_and_downloads_as_csv(browser, reports):
    with report(browser, reports, "sweep") as opened:
        page = opened.page
        table = page.locator("table.sortable").nth(1)
        column = [head.text_content() for head in table.locator("thead th").all()].index("validation accuracy")

        def shown():
            return [float(row.locator("td").nth(column).text_content()) for row in table.locator("tbody tr").all()]

        before = shown()
        head = table.get_by_role("columnheader", name="validation accuracy")
        head.get_by_role("button").press("Enter")
        expect(head).to_have_attribute("aria-sort", "ascending")
        assert shown() == sorted(before) != before
        head.get_by_role("button").press("Enter")
        expect(head).to_have_attribute("aria-sort", "descending")
        assert shown() == sorted(before, reverse=True)
        table.locator("thead th").first.get_by_role("button").click()
        expect(head).not_to_have_attribute("aria-sort", "descending")
        with page.expect_download() as download:
            page.get_by_role("link", name="Download as CSV").nth(1).click()
        assert download.value.suggested_filename == "small-points.csv"
        rows = download.value.path().read_text().splitlines()
        assert len(rows) == 5
        assert "dropout_rate" in rows[0]
