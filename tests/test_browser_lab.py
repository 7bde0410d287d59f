"""Notebooks in JupyterLab: widgets and pictures, which nbval cannot check."""

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
from pipeline.results.files import atomic_write
from tests import pages
from tests.commands import wait_for
from tests.lesson.test_small_network import ON_PAPER

browser = pages.browser
pytestmark = pages.pytestmark

FAILED = '[data-mime-type$="jupyter.error"], [data-mime-type$="jupyter.stderr"]'
IDLE = "Python 3 (ipykernel) | Idle"
SETTINGS = "@jupyterlab/apputils-extension/notification.jupyterlab-settings"


def write_notebooks(folder, run_dir):
    """Write explore, and notebooks with a small network and with answers."""
    node = load_notebook_node(str(NOTEBOOKS / "explore.ipynb"))
    node = parameterize_notebook(node, {"run_dir": str(run_dir)})
    nbformat.write(node, folder / "explore.ipynb")
    network = (
        f"from lesson.diagram import Diagram\nDiagram({ON_PAPER}, [1, 2, 3], [0, 1])"
    )
    answer = (
        "from pipeline.reports.answers import fold_answer\n"
        f"fold_answer()\nprint('the number')\n{network}"
    )
    write_notebook(folder / "diagram.ipynb", network)
    write_notebook(folder / "answers.ipynb", answer, "print('no answer')")


def write_notebook(path, *sources):
    """Write a notebook with cells of code."""
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)"}
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    node = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(node, path)


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
def lab(browser, runs, tmp_path_factory):
    """A JupyterLab as `make lab` starts it, with copies of notebooks, and its tab."""
    folder = tmp_path_factory.mktemp("lab")
    settings = tmp_path_factory.mktemp("settings")
    write_notebooks(folder, runs / "default")
    (folder / ".jupyter").symlink_to(ROOT / ".jupyter")
    quiet = b'{"fetchNews": "false", "checkForUpdates": false}'
    atomic_write(settings / SETTINGS, quiet)
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
                yield Lab(page, *re.split(r"/lab.*\?", address))
        finally:
            server.terminate()


class Lab:
    """A tab with JupyterLab."""

    def __init__(self, page, address, token):
        self.page, self.address, self.token = page, address, token

    def open(self, stem):
        place = f"{self.address}/lab/tree/{stem}.ipynb"
        self.page.goto(f"{place}?reset&{self.token}")
        self.page.get_by_text(IDLE).wait_for()

    def choose(self, *items):
        for item in items:
            self.page.get_by_role("menuitem", name=item, exact=True).click()

    def run(self, count):
        """Clear the outputs of a notebook and run all; check that no cell fails.

        count: the number of code cells that have a number after they have run.
        """
        self.choose("Edit", "Clear Outputs of All Cells")
        self.choose("Run", "Run All Cells")
        prompts = self.page.locator(".jp-CodeCell .jp-InputPrompt")
        prompts = prompts.filter(has_text=re.compile(r"\d"))
        ended = self.page.locator(FAILED).or_(prompts.nth(count - 1)).first
        expect(ended).to_be_attached()
        assert self.page.locator(FAILED).all_text_contents() == []


def test_the_sliders_of_explore_drop_a_unit(lab):
    cells = nbformat.read(NOTEBOOKS / "explore.ipynb", 4).cells
    lab.open("explore")
    # JupyterLab shows no number beside a cell whose source is folded.
    code = [cell for cell in cells if cell.cell_type == "code"]
    folds = [cell.metadata.get("jupyter", {}).get("source_hidden") for cell in code]
    lab.run(folds.count(None) + 1)  # with the injected parameters
    panel = lab.page.locator(".widget-interact")
    expect(panel).to_contain_text("without unit 33 it is 7")
    panel.get_by_role("slider").last.press("ArrowRight")
    expect(panel).to_contain_text("without unit 34 it is 9")


def test_a_small_network_is_live(lab):
    page = lab.page
    live = pages.Page(page, page.locator(".live-panel"))
    lab.open("diagram")
    lab.run(1)
    expect(live.root).to_be_visible()
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


def test_all_of_an_answer_is_folded_when_its_cell_has_run(lab):
    page = lab.page
    lab.open("answers")
    lab.run(2)
    text = page.get_by_text("the number", exact=True)
    picture = page.locator(".live-panel")
    expect(page.get_by_text("no answer", exact=True).first).to_be_visible()
    for is_open in (False, True, False):
        expect(text).to_be_visible(visible=is_open)
        expect(picture).to_be_visible(visible=is_open)
        page.get_by_text("Show the answer", exact=True).click()
