"""Kernels that are forked: each alone, none left behind."""

import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import nbformat
import psutil
import pytest
from jupyter_client.manager import AsyncKernelManager

from pipeline import kernels, limits, notebooks, signals, storage
from pipeline.errors import KernelDied, NotebookFailed
from tests.conftest import without_log

pytestmark = pytest.mark.skipif(not kernels.CAN_FORK, reason="kernels are forked on Linux alone")

WHO = """
import json, os, random, sys
import numpy as np
print(json.dumps({
    "pid": os.getpid(), "parent": os.getppid(), "marked": hasattr(np, "mark"), "folder": os.getcwd(),
    "variable": os.environ.get("ONE_OF_THIS_TEST"), "project": "helpers" in sys.modules,
    "random": [random.random(), np.random.rand()],
}))
np.mark = True
"""


def executed(folder, source=WHO):
    """Execute a notebook of one cell, and return what it prints, read as JSON."""
    folder.mkdir(exist_ok=True)
    node = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    node.metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
    }
    nbformat.write(node, folder / "in.ipynb")
    notebooks.execute(folder / "in.ipynb", folder / "out.ipynb")
    (output,) = nbformat.read(folder / "out.ipynb", 4).cells[0].outputs
    return json.loads(output.text)


def wait_until(reached, seconds=60):
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def gone(pid):
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_kernels_of_one_fork_server_share_nothing_that_a_notebook_did(tmp_path, monkeypatch):
    first = executed(tmp_path / "a")
    monkeypatch.setenv("ONE_OF_THIS_TEST", "set")
    monkeypatch.chdir(tmp_path)
    second = executed(tmp_path / "b")
    assert first["parent"] == second["parent"] != os.getpid()
    assert first["pid"] != second["pid"]
    assert (first["marked"], second["marked"], first["project"]) == (False, False, False)
    assert (first["variable"], second["variable"], second["folder"]) == (None, "set", str(tmp_path))
    assert not set(first["random"]) & set(second["random"])
    wait_until(lambda: gone(first["pid"]) and gone(second["pid"]))


def test_kernels_that_train_side_by_side_evaluate_on_one_core_each_and_another_on_all(tmp_path):
    source = "import json, helpers\nprint(json.dumps(helpers.config.NUMBA_NUM_THREADS))"
    code = f"""
import json
from pathlib import Path
from tests.test_kernels import executed, kernels
found = [executed(Path({str(tmp_path)!r}, "a"), {source!r})]
kernels.prepare(side_by_side=True)
print(json.dumps([*found, executed(Path({str(tmp_path)!r}, "b"), {source!r})]))"""
    done = subprocess.run([sys.executable, "-c", code], cwd=storage.ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [len(os.sched_getaffinity(0)), 1]


def test_what_is_replaced_of_jupyters_manager_is_there():
    replaced = {name for name in vars(kernels.ForkedKernelManager) if name.startswith("_async")}
    assert set() < replaced <= set(dir(AsyncKernelManager))


def test_a_kernel_is_reached_within_a_hundredth_of_a_second_after_it_listens(tmp_path):
    client = kernels.ForkedKernelManager(transport="ipc", ip=str(tmp_path / "kernel")).client()
    client.start_channels(hb=False)
    assert client.shell_channel.socket.reconnect_ivl == kernels.RECONNECT_INTERVAL == 10
    client.stop_channels()


def test_a_killed_kernel_is_reported_and_a_killed_fork_server_replaced(tmp_path):
    deaths = tmp_path / "deaths"
    dying = f"import os, signal\nopen({str(deaths)!r}, 'a').write('x')\nos.kill(os.getpid(), signal.SIGKILL)"
    with pytest.raises(KernelDied, match=r"in.ipynb: its kernel was killed by SIGKILL in the cell '\w+'\.$"):
        executed(tmp_path / "a", dying)
    assert deaths.read_text() == "xx"
    assert executed(tmp_path / "a", dying.replace("\nos.", f"\nif os.path.getsize({str(deaths)!r}) < 4: os.") + WHO)
    assert deaths.read_text() == "xxxx"
    first = executed(tmp_path / "b")
    assert not first["marked"]
    os.kill(first["parent"], signal.SIGKILL)
    assert executed(tmp_path / "c")["parent"] != first["parent"]
    with pytest.raises(KernelDied, match=r"its kernel died with its fork server, which was killed by SIGKILL in the"):
        executed(tmp_path / "d", "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nos._exit(1)")


def test_a_kernel_that_ends_while_it_is_looked_at_has_ended(monkeypatch):
    kernel = kernels._Kernel(os.getpid())
    assert kernel.poll() is None

    def gone(self):
        raise psutil.NoSuchProcess(self.pid)

    monkeypatch.setattr(psutil.Process, "status", gone)
    assert (kernel.poll(), kernel.wait()) == (-1, -1)


def test_fork_server_and_kernel_end_with_the_process_that_asked_for_them(tmp_path):
    pids = tmp_path / "pids"
    source = f"import os, time\nopen({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{os.getppid()}}.')\ntime.sleep(600)"
    script = (
        "import sys; from pathlib import Path; from tests import test_kernels\n"
        f"test_kernels.executed(Path({str(tmp_path / 'a')!r}), {source!r})"
    )
    owner = subprocess.Popen([sys.executable, "-c", script], cwd=storage.ROOT)
    wait_until(lambda: pids.exists() and pids.read_text().endswith("."))
    owner.kill()
    owner.wait()
    for pid in map(int, pids.read_text().rstrip(".").split()):
        wait_until(lambda pid=pid: gone(pid))


def test_a_kernel_that_is_being_started_when_a_signal_comes_is_ended(monkeypatch):
    sleeping = subprocess.Popen(["sleep", "60"])
    monkeypatch.setattr(signals, "_received", signal.SIGTERM)
    monkeypatch.setattr(signals, "_raised", True)  # so that no alarm is set
    with pytest.raises(signals.Stopped):
        kernels.SERVER.register("started", kernels._Kernel(sleeping.pid))
    assert sleeping.wait(10) == -signal.SIGKILL
    assert kernels.how_it_ended("started") is None  # by this process
    kernels.SERVER.kernels.pop("started")
    assert kernels.how_it_ended("started") == "did not start"


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        (
            "-v 600000",
            "Cannot allocate memory: 585 MB are allowed, 1500 MB needed. Free some memory or raise the limit",
        ),
        (
            "-d 200000",
            "Cannot allocate memory: 195 MB are allowed, 450 MB needed. Free some memory or raise the limit",
        ),
        ("-n 40", "Too many open files: 40 are allowed, 256 needed. Raise the limit of this shell"),
        (
            "-u 12",
            "Resource temporarily unavailable: 30 more processes or threads are needed. Raise the limit of processes",
        ),
    ],
)
def test_a_limit_that_kernels_could_not_live_with_is_named_and_the_run_has_failed(limit, message):
    run = Path(tempfile.mkdtemp()) / "run"
    command = ["bash", "-c", f"ulimit {limit}; exec {sys.executable} -m pipeline run --run-dir {run}"]
    if limit.startswith("-u") and os.getuid() == 0:  # whose processes have no limit, so another user's
        os.chown(run.parent, 31777, 31777)
        rights = ["--clear-groups", "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
        command = ["setpriv", "--reuid=31777", *rights, *command]
    done = without_log(subprocess.run(command, capture_output=True, text=True))
    assert done.returncode == 1
    assert f"Error: {message}" in done.stderr
    assert json.loads((run / "run.json").read_text())["status"] == "failed"
    shutil.rmtree(run.parent)


def test_without_proc_a_kernel_is_refused_in_words(monkeypatch):
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: path != Path("/proc/self/stat") and exists(path))
    with pytest.raises(NotebookFailed, match="Kernels need /proc, which is not there. Mount it: "):
        kernels._ForkServer().prepare()


def test_a_kernel_starts_though_its_user_may_not_enter_the_folder():
    """As one that sudo has made of another, who stands in a folder of their own."""
    code = """if True:
        import os, sys
        from ipykernel import kernelapp
        from pipeline import fork_server
        def closed(folder):
            raise PermissionError(13, "Permission denied", folder)
        os.chdir, fork_server._PACKAGES = closed, []
        kernelapp.launch_new_instance = lambda: print("started", sys.argv[1], flush=True)
        fork_server._become_a_kernel(os.getppid(), ["of", "it"], dict(os.environ), "/closed")
    """
    done = subprocess.run([sys.executable, "-c", code], cwd=storage.ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "started of\n"), done.stderr


def test_a_fork_server_starts_though_tmpdir_was_cleared():
    code = "import os, shutil; from pipeline import kernels, storage; shutil.rmtree(storage.scratch_of(os.getpid())); "
    code += "kernels.prepare(); print(os.readlink(f'/proc/{kernels.SERVER.process.pid}/cwd')); "  # as it stays
    code += "print(kernels.SERVER.ask({'ended': 0}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=storage.ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "/\nNone\n"), done.stderr


def test_ctrl_c_is_nothing_to_the_fork_server(tmp_path, capfd):
    before = executed(tmp_path / "a")
    os.kill(before["parent"], signal.SIGINT)
    assert executed(tmp_path / "b")["parent"] == before["parent"]
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("highest", "most", "expected"), [(256, 20, 4), (256, 3, 3), (1024, 60, 29), (-1, 60, 60)])
def test_no_more_kernels_work_at_a_time_than_there_are_open_files_for(monkeypatch, highest, most, expected):
    assert resource.RLIM_INFINITY == -1
    monkeypatch.setattr(resource, "getrlimit", lambda _: (200, highest))
    assert limits.kernels_at_a_time(most) == expected


def test_where_addresses_are_limited_it_is_these_that_threads_lack(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (2**32 if kind == resource.RLIMIT_AS else -1, 2**16))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    monkeypatch.setattr("threading.Thread.start", mock.Mock(side_effect=RuntimeError))
    with pytest.raises(OSError, match="30 more processes or threads are needed") as caught:
        limits.check()
    assert caught.value.errno == errno.ENOMEM
