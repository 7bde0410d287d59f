"""A refused parameter stops all later cells, even if Jupyter has already sent them."""

import shutil

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel

from pipeline.paths import NOTEBOOKS
from pipeline.results.stages import RESULT_FILES, STAGES
from tests.commands import PATIENCE

REFUSED = {"01_prepare": "num_samples = 0", "02_train": "learning_rate = -0.5"}
REFUSED |= {"03_evaluate": "run_dir = ''"}
QUICK = {"02_train": "epochs = 2"}


@pytest.fixture
def lab(runs, tmp_path):
    """A folder in which notebooks have run alone."""
    folder = tmp_path / "runs" / "lab"
    folder.mkdir(parents=True)
    for name in (*RESULT_FILES, ".digits.lock"):
        shutil.copy(runs / "default" / name, folder)
    return folder


def run_all(client, stage, line=""):
    """Send all cells at once, with one line added to the parameters.

    Jupyter cancels the cells after an error only if they have already arrived, so here
    none is cancelled. Return what each has shown, and the kind of its reply.
    """
    cells = nbformat.read(stage.notebook, 4).cells
    ids = {}
    for cell in cells:
        if cell.cell_type == "code":
            more = f"\n{line}" if cell.id == "parameters" else ""
            message = client.execute(cell.source + more, stop_on_error=False)
            ids[message] = cell.id
    shown = {name: [] for name in ids.values()}
    replies = {}
    idle = 0
    while idle < len(ids):
        message = client.get_iopub_msg(timeout=PATIENCE)
        name = ids.get(message["parent_header"].get("msg_id"))
        if message["msg_type"] == "status":
            idle += bool(name) and message["content"]["execution_state"] == "idle"
        elif name and message["msg_type"] != "execute_input":
            shown[name].append(message["msg_type"])
    while len(replies) < len(ids):
        message = client.get_shell_msg(timeout=PATIENCE)
        if name := ids.get(message["parent_header"].get("msg_id")):
            replies[name] = message["content"]["status"]
    return shown, replies


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_no_cell_below_a_refused_value_shows_or_stores_anything(
    lab, stage, monkeypatch
):
    monkeypatch.setenv("DIGITS_BASE", str(lab.parent.parent))
    manager, client = start_new_kernel(cwd=str(NOTEBOOKS))
    try:
        _, replies = run_all(client, stage, QUICK.get(stage.name, ""))
        assert set(replies.values()) == {"ok"}  # now the kernel is a used one
        before = {path: path.stat().st_mtime_ns for path in lab.iterdir()}
        shown, replies = run_all(client, stage, REFUSED[stage.name])
        below = list(shown)[2:]  # the imports and the parameters
        assert [shown[name] for name in below] == [["error"]] * len(below)
        assert {path: path.stat().st_mtime_ns for path in lab.iterdir()} == before
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
