"""The boundary of the command line: standard streams in any state, and what nobody expected."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import pytest

from pipeline import parameters, storage, unexpected
from tests.conftest import without_log
from tests.test_runs import SMALL, contents, options, record_of


def index(folder, **settings):
    """List an empty folder, which needs no kernel, in a process of its own."""
    command = [sys.executable, "-m", "pipeline", "index", os.fsencode(folder)]
    return subprocess.run(command, cwd=storage.ROOT, **settings)


@pytest.mark.parametrize("closed", [[0], [1], [2], [0, 1, 2]])
def test_a_command_does_its_work_with_standard_streams_closed(tmp_path, closed):
    done = index(tmp_path, preexec_fn=lambda: [os.close(handle) for handle in closed])
    assert done.returncode == 0
    assert (tmp_path / "index.html").exists()


def test_a_command_does_its_work_when_its_output_is_full_or_its_reader_has_gone(tmp_path):
    read, write = os.pipe()
    os.close(read)
    with Path("/dev/full").open("w") as full:
        assert index(tmp_path, stdout=full, stderr=full).returncode == 0
    done = index(tmp_path, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_pipe_that_is_full_and_does_not_block_is_waited_for(tmp_path):
    read, write = os.pipe()
    os.set_blocking(write, False)
    fill = os.write(write, b"." * 2**20)
    done = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "index", tmp_path], cwd=storage.ROOT, stdout=write, stderr=subprocess.PIPE
    )
    os.close(write)
    with pytest.raises(subprocess.TimeoutExpired):
        done.wait(3)
    with open(read, "rb") as reader:  # noqa: PTH123
        assert reader.read()[fill:].startswith(b"index: ")
    assert (done.wait(), done.stderr.read()) == (0, b"")


def test_an_interrupt_ends_a_command_whose_output_nobody_reads(tmp_path):
    _, write = os.pipe()
    os.set_blocking(write, False)
    os.write(write, b"." * 2**20)
    command = [sys.executable, "-m", "pipeline", "index", tmp_path]
    done = subprocess.Popen(command, cwd=storage.ROOT, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    while not (tmp_path / "index.html").exists():
        time.sleep(0.05)
    with pytest.raises(subprocess.TimeoutExpired):
        done.wait(0.5)
    done.send_signal(signal.SIGINT)
    assert done.wait(20) == 130
    assert done.stderr.read().strip() == b"Interrupted. Give the same command again to go on."


def test_a_time_zone_that_is_none_is_refused(tmp_path):
    done = index(tmp_path, env=os.environ | {"TZ": "UTC+25"}, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Error: TZ is 'UTC+25', but an offset must be below 24 hours. Set: export TZ=UTC\n"


def test_a_umask_that_takes_the_owners_rights_is_refused(tmp_path):
    done = index(tmp_path, umask=0o777, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Error: umask is 0777, so not even you may use what you write. Set: umask 022\n"


def test_a_project_in_a_folder_that_a_path_variable_cannot_hold_is_refused(tmp_path, monkeypatch, pipeline):
    monkeypatch.setattr(parameters, "ROOT", Path("/of:one"))
    done = pipeline("index", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Error: The project is in /of:one, with ':', which PYTHONPATH cannot hold. Move it.\n"


def test_a_locale_of_ascii_does_not_matter_to_paths_and_files(tmp_path):
    folder = tmp_path / "Zürich 数"
    folder.mkdir()
    ascii_only = os.environ | {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = index(folder, env=ascii_only, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"index: ")
    assert (folder / "index.html").exists()


def test_python_is_started_again_for_its_locale_once_also_where_that_does_not_help():
    command = [sys.executable, "-X", "utf8=0", "-m", "pipeline", "--version"]
    environment = os.environ | {"LC_ALL": "C"}
    done = subprocess.run(command, cwd=storage.ROOT, env=environment, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")


def test_debug_shows_the_traceback_that_is_otherwise_in_a_log_alone(tmp_path, monkeypatch, pipeline):
    monkeypatch.setattr(unexpected, "LOGS", tmp_path / "logs")
    monkeypatch.setattr("pipeline.reports.index.write_index", mock.Mock(side_effect=ZeroDivisionError("of all things")))
    for option in ([], ["--debug"]):
        done = pipeline(*option, "index", tmp_path)
        assert done.returncode == 1
        assert ("Traceback" in done.stderr) == bool(option)
    assert len(list((tmp_path / "logs").glob("error-*.log"))) == 2


def test_a_package_that_is_missing_is_named_with_what_to_do(monkeypatch, pipeline):
    missing = ModuleNotFoundError("No module named 'numba'", name="numba")
    monkeypatch.setattr("pipeline.__main__.main.main", mock.Mock(side_effect=missing))
    done = pipeline("run")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: numba is not installed here. Activate the environment first: source ")


@pytest.mark.parametrize("since", [1, 2, 3, 7])
def test_a_disk_that_is_full_from_the_nth_write_on_leaves_no_false_status(
    tmp_path, small_source, monkeypatch, pipeline, since
):
    """The writes are run.json, twice, three notebooks, report.html and run.json; those of the kernels go on here."""
    monkeypatch.setattr(unexpected, "LOGS", tmp_path / "logs")
    folder, real, count = tmp_path / "run", Path.open, []
    arguments = ["run", "--run-dir", folder, *options({"source": small_source[0]} | SMALL)]

    def full(path, *how, **options):
        count.extend([1] * (path.suffix == ".part" and path.parent == folder))
        if len(count) >= since:
            raise OSError(28, os.strerror(28), str(folder))
        return real(path, *how, **options)

    with monkeypatch.context() as filled:
        filled.setattr(Path, "open", full)
        failed = pipeline(*arguments)
    assert failed.returncode == 1
    assert "No space left on device" in failed.stderr
    assert "Make room there, then give the same command again." in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not (folder / "metrics.json").exists()
    assert [(folder / "run.json").exists(), *folder.glob(".*.part")] == [since > 1]
    if since > 1:
        assert (record_of(folder)["status"], record_of(folder)["error"][:17]) == ("failed", "The disk was full")
    if since == 7:
        assert pipeline(*arguments).returncode == 0
        assert record_of(folder)["status"] == "done"
        assert not [name for name in contents(folder) if name.endswith(".part")]


def test_a_limit_of_file_sizes_ends_a_run_in_words(tmp_path, small_source):
    folder = tmp_path / "run"
    arguments = ["run", "--run-dir", folder, *options({"source": small_source[0]} | SMALL)]
    limited = f"ulimit -f 8; exec {sys.executable} -m pipeline " + " ".join(map(str, arguments))
    done = without_log(subprocess.run(["bash", "-c", limited], cwd=storage.ROOT, capture_output=True, text=True))
    assert done.returncode == 1
    assert (
        f"Error: File too large: {folder / '01_prepare.ipynb'}. Raise the limit of this shell (ulimit -f)"
        in done.stderr
    )
    assert record_of(folder)["status"] == "failed"
