"""Notebooks in JupyterLab: widgets and pictures, which nbval cannot check."""

import itertools
import os
import re
import shlex
import subprocess
import sys

import nbformat
import pytest
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from playwright.sync_api import expect

from pipeline.paths import NOTEBOOKS, ROOT
from tests import pages
from tests.commands import wait_for
from tests.lesson.test_small_network import ON_PAPER

browser = pages.browser
pytestmark = pages.pytestmark

FAILED = '[data-mime-type$="jupyter.error"], [data-mime-type$="jupyter.stderr"]'
IDLE = "Python 3 (ipykernel) | Idle"
SETTINGS = "@jupyterlab/apputils-extension/notification.jupyterlab-settings"


NETWORK = f"from lesson.diagram import Diagram\nDiagram({ON_PAPER}, [1, 2, 3], [0, 1])"
ANSWER = f"""from pipeline.reports.answers import fold_answer
fold_answer()
print('the number')
{NETWORK}"""


def write_notebook(path, run_dir):
    """Write explore, followed by a folded answer, with a small network, and no answer.

    Return the number of code cells beside which JupyterLab shows a number.
    """
    node = load_notebook_node(str(NOTEBOOKS / "explore.ipynb"))
    node = parameterize_notebook(node, {"run_dir": str(run_dir)})
    for source in (ANSWER, "print('no answer')"):
        node.cells.append(nbformat.v4.new_code_cell(source))
    nbformat.write(node, path)
    # It shows none beside a cell whose source is folded.
    code = [cell for cell in node.cells if cell.cell_type == "code"]
    folds = [cell.metadata.get("jupyter", {}).get("source_hidden") for cell in code]
    return len(folds) - folds.count(True)


def read_command(options):
    """Return the command of `make lab`, which another Python may carry out."""
    make = [
        "make",
        "--no-print-directory",
        "-n",
        "-o",
        ".venv/lab",
        "lab",
        f"OPTIONS={options}",
    ]
    command = subprocess.check_output(make, cwd=ROOT, text=True)
    _, *words = shlex.split(command.replace("\\\n", ""))
    return [sys.executable, "-m", "jupyter", *words]


@pytest.fixture(scope="module")
def page(browser, runs, tmp_path_factory):
    """A notebook that has run in a JupyterLab as `make lab` starts it."""
    folder = tmp_path_factory.mktemp("lab")
    settings = tmp_path_factory.mktemp("settings")
    count = write_notebook(folder / "explore.ipynb", runs / "default")
    (folder / ".jupyter").symlink_to(ROOT / ".jupyter")
    quiet = b'{"fetchNews": "false", "checkForUpdates": false}'
    (settings / SETTINGS).parent.mkdir(parents=True)
    (settings / SETTINGS).write_bytes(quiet)
    names = "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_WORKSPACES_DIR"
    environment = {name: f"{settings}/{name}" for name in (*names, "IPYTHONDIR")}
    environment["JUPYTERLAB_SETTINGS_DIR"] = str(settings)
    options = {"cwd": folder, "env": os.environ | environment, "text": True}
    command = read_command("--no-browser --port=0")
    with subprocess.Popen(command, stderr=subprocess.PIPE, **options) as server:
        try:
            address = wait_for(r"http://127\.0\.0\.1:\S+", server.stderr)
            with browser.new_page(viewport={"width": 1280, "height": 1000}) as page:
                page.set_default_timeout(pages.PATIENCE)
                server_address, token = re.split(r"/lab.*\?", address)
                page.goto(f"{server_address}/lab/tree/explore.ipynb?reset&{token}")
                run_all(page, count)
                yield page
        finally:
            server.terminate()


def run_all(page, count):
    """Clear the outputs of a notebook and run all; check that no cell fails.

    count: the number of code cells that have a number after they have run.
    """
    page.get_by_text(IDLE).wait_for()
    choices = ("Edit", "Clear Outputs of All Cells"), ("Run", "Run All Cells")
    for item in itertools.chain(*choices):
        page.get_by_role("menuitem", name=item, exact=True).click()
    prompts = page.locator(".jp-CodeCell .jp-InputPrompt")
    prompts = prompts.filter(has_text=re.compile(r"\d"))
    ended = page.locator(FAILED).or_(prompts.nth(count - 1)).first
    expect(ended).to_be_attached()
    assert page.locator(FAILED).all_text_contents() == []


def test_the_sliders_of_explore_drop_a_unit(page):
    panel = page.locator(".widget-interact")
    expect(panel).to_contain_text("without unit 33 it is 7")
    panel.get_by_role("slider").last.press("ArrowRight")
    expect(panel).to_contain_text("without unit 34 it is 9")


def test_an_answer_is_folded_when_its_cell_has_run_and_a_small_network_is_live(page):
    text = page.get_by_text("the number", exact=True)
    picture = page.locator(".live-panel")
    button = page.get_by_text("Show the answer", exact=True)
    expect(page.get_by_text("no answer", exact=True).first).to_be_visible()
    for is_open in (False, True, False):
        expect(text).to_be_visible(visible=is_open)
        expect(picture).to_be_visible(visible=is_open)
        button.click()

    live = pages.Page(page, picture)
    live.press("Back")
    expect(live.part("says")).to_contain_text("go back")
    expect(live.part("about")).to_contain_text("Forward: unit 1")
    weight = live.root.get_by_label("weight from input 1 to unit 1")
    weight.press("Enter")
    expect(weight).to_have_text("1")
    live.root.get_by_label("The weight", exact=True).press("ArrowRight")
    expect(weight).not_to_have_text("1")
    live.press("Error")
    expect(live.part("says")).to_contain_text("half the sum of their squares")
