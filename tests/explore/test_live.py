"""What the panel that draws and trains gives to its page, and takes from it; the page itself is in test_browser.py."""

import re

import numpy as np
import pytest

from pipeline.errors import InvalidRecord
from pipeline.explore.live import LivePanel
from pipeline.images import DIGITS
from pipeline.records import Status
from pipeline.run_folder import RunFolder


@pytest.fixture(scope="module")
def run_dir(shared, pipeline):
    def make(folder):
        assert pipeline("run", "--run-dir", folder / "run", "-p", "epochs", "2").returncode == 0

    return shared("explored", make) / "run"


def test_the_page_has_the_runs_networks_and_training(run_dir):
    panel = LivePanel(str(run_dir))
    assert panel.page["training"]["parameters"]["epochs"] == 2
    assert panel.page["networks"][0]["name"] == "This run's network"
    assert 'aria-label="Drawing pad"' in panel.html
    assert "export default" in LivePanel._esm
    assert not re.search(r"^import ", LivePanel._esm, re.M)
    assert panel._repr_mimebundle_()[0]["text/plain"].startswith("A panel: draw a digit")


def test_what_was_drawn_and_trained_is_there_in_python(run_dir):
    panel = LivePanel(str(run_dir))
    assert not panel.image.any()
    assert panel.model is None
    panel.drawn = memoryview(bytes([*range(256)] * 3 + [7] * 16))  # as it comes from the browser
    assert (panel.image.shape, panel.image[-1]) == ((784,), 7)
    first, second = np.arange(784.0 * 2), np.arange(20.0)
    panel.trained = {"first": first.tobytes(), "second": second.tobytes(), "normalisation": 510}
    model = panel.model
    assert np.array_equal(model.weights_0_1, first.reshape(784, 2))
    assert np.array_equal(model.weights_1_2, second.reshape(2, 10))
    assert model.normalisation == 510


def test_files_of_notebooks_run_alone_can_be_read_but_not_trained_again(run_dir, tmp_path):
    for name in ("data.npz", "model.npz", "history.json"):
        (tmp_path / name).write_bytes((run_dir / name).read_bytes())
    panel = LivePanel(str(tmp_path))
    assert panel.page["training"] is None
    assert "so their parameters are not recorded" in panel.html
    assert "%)</option>" not in panel.html.split("</option>")[0]


@pytest.mark.parametrize(("status", "seed"), [(Status.CHANGED, 7), (Status.FAILED, None)])
def test_a_run_that_a_notebook_has_changed_can_be_trained_again_as_it_is_now(run_dir, tmp_path, status, seed):
    for name in ("data.npz", "model.npz", "history.json"):
        (tmp_path / name).write_bytes((run_dir / name).read_bytes())
    record = RunFolder(run_dir).read_record()
    RunFolder(tmp_path).write_record(record.changed(status=status, parameters=record.parameters | {"seed": 7}))
    page = LivePanel(str(tmp_path)).page["training"]
    assert (page and page["parameters"]["seed"]) == seed
    assert not page or page["digest"] == RunFolder(run_dir).read_model().sha256


def test_a_folder_without_a_network_is_refused(tmp_path):
    with pytest.raises(InvalidRecord, match="history.json is not there"):
        LivePanel(str(tmp_path))


def test_a_network_that_was_trained_in_the_browser_has_the_classes_of_the_run(pictures_run):
    panel = LivePanel(str(pictures_run / "run"))
    panel.trained = {"first": bytes(8 * 784), "second": bytes(8 * 10), "normalisation": 255}
    assert panel.model.classes == RunFolder(pictures_run / "run").read_model().classes != DIGITS
