import contextlib
import errno
import hashlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from filelock import FileLock

from pipeline import readers, storage
from pipeline.errors import FolderBusy, InvalidParameter
from pipeline.records import Epoch, History
from tests import conftest

EPOCH = Epoch(**conftest.EPOCH)


def test_write_whole_makes_the_folder_and_leaves_nothing_else_in_it_also_when_it_fails(tmp_path):
    path = tmp_path / "new" / "file.bin"
    storage.write_whole(path, b"old")
    storage.write_whole(path, b"new")
    with pytest.raises(TypeError):
        storage.write_whole(path, "text, not bytes")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o644  # others may read it, as any file that a program writes
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("moment", ["fsync", "chmod", "replace"])
def test_a_kill_before_the_rename_leaves_the_old_file(tmp_path, moment):
    path = tmp_path / "file.bin"
    storage.write_whole(path, b"old")
    code = (
        "import os, signal, sys; from pathlib import Path; from pipeline import storage\n"
        f"os.{moment} = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
        "storage.write_whole(Path(sys.argv[1]), b'new' * 1000)"
    )
    (tmp_path / "temporary").mkdir()
    environment = os.environ | {"TMPDIR": str(tmp_path / "temporary")}
    assert subprocess.run([sys.executable, "-c", code, str(path)], env=environment).returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.glob(".*.part"))) == 1
    others = tmp_path / ".file.bin.mine.part"
    others.touch()
    storage.remove_parts(tmp_path, [path.name])
    assert list(tmp_path.glob(".*.part")) == [others]


def test_what_is_temporary_is_not_waited_for(tmp_path, monkeypatch):
    waited_for = []
    monkeypatch.setattr(os, "fsync", waited_for.append)
    storage.write_whole(tmp_path / "file.bin", b"new")
    assert waited_for == []
    monkeypatch.setattr(storage.tempfile, "tempdir", str(tmp_path / "temporary"))
    storage.write_whole(tmp_path / "file.bin", b"newer")
    assert len(waited_for) == 1


def test_a_record_comes_back_as_written_without_the_fields_that_are_none(tmp_path):
    path = tmp_path / "record.json"
    for record, kind in ((EPOCH, Epoch), ([EPOCH, EPOCH], History)):
        content = storage.json_bytes(record)
        assert b"null" not in content
        storage.write_whole(path, content)
        assert readers.read_record(path, kind, "") == record


def test_sha256_of_arrays_is_over_little_endian_bytes_in_c_order():
    array = np.arange(6.0).reshape(2, 3)
    expected = hashlib.sha256(b"".join(np.float64(value).astype("<f8").tobytes() for value in range(6))).hexdigest()
    assert storage.sha256_of(array) == expected
    assert storage.sha256_of(np.asfortranarray(array)) == expected
    assert storage.sha256_of(array.astype(">f8")) == expected
    assert storage.sha256_of(array[:1], array[1:]) == expected


def test_sha256_of_a_file_is_that_of_its_bytes(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    assert storage.sha256_of_file(tmp_path / "abc") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


@pytest.mark.parametrize(("place", "below"), [("runs/x", True), ("/elsewhere/x", False)])
def test_a_place_is_a_path_below_the_projects_root_or_absolute(place, below):
    path = storage.project_path(place)
    assert path.is_absolute()
    assert path.is_relative_to(storage.ROOT) == below
    assert storage.place_of(path) == place
    assert storage.project_path(str(path)) == path


@pytest.mark.parametrize("place", ["x" * 300, "a\0b", "link/x"])
def test_a_place_where_nothing_can_be_is_refused(tmp_path, place):
    (tmp_path / "link").symlink_to("link")
    with pytest.raises(InvalidParameter, match="is no path that can be used .* Choose another one."):
        storage.project_path(f"{tmp_path}/{place}")


def test_a_lock_in_what_is_no_folder_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(InvalidParameter, match="x/.lock cannot be made .* Choose another"),
        storage.lock(tmp_path / "file/x"),
    ):
        pass


def test_a_locked_folder_is_busy_until_the_block_ends_however_it_ends(tmp_path):
    folder = tmp_path / "a" / "b"
    assert not storage.is_locked(folder)
    assert not folder.exists()  # to look makes nothing
    with contextlib.suppress(KeyboardInterrupt), storage.lock(folder), storage.lock(tmp_path / "other"):
        message = f"Another command is writing to {folder}. Wait for it, or choose another"
        with pytest.raises(FolderBusy, match=message), storage.lock(folder):
            pass
        assert storage.is_locked(folder)
        raise KeyboardInterrupt
    assert not storage.is_locked(folder)


def test_a_lock_is_waited_for_as_long_as_one_likes(tmp_path):
    with contextlib.ExitStack() as held:
        held.enter_context(storage.lock(tmp_path))
        threading.Timer(0.5, held.close).start()
        with pytest.raises(FolderBusy), storage.lock(tmp_path, 0.05):
            pass
        with storage.lock(tmp_path, 20):
            pass


def test_a_folder_in_which_no_lock_can_be_made_is_not_left(tmp_path, monkeypatch):
    monkeypatch.setattr(storage.FileLock, "acquire", mock.Mock(side_effect=PermissionError(13, "Permission denied")))
    with (
        pytest.raises(InvalidParameter, match=r"\.lock cannot be made \(Permission denied\)"),
        storage.lock(tmp_path / "new"),
    ):
        pass
    with pytest.raises(InvalidParameter), storage.lock(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_cannot_be_looked_at_may_be_held(tmp_path, monkeypatch):
    (tmp_path / storage.LOCK).touch()
    monkeypatch.setattr(FileLock, "acquire", mock.Mock(side_effect=OSError(errno.EROFS, "Read-only file system")))
    assert storage.is_locked(tmp_path)


def test_a_lock_ends_with_the_process_that_has_it(tmp_path):
    code = (
        "import sys; from pathlib import Path; from pipeline import storage\n"
        "with storage.lock(Path(sys.argv[1])):\n    print('locked', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "locked\n"
        assert storage.is_locked(tmp_path)
        with pytest.raises(FolderBusy), storage.lock(tmp_path):
            pass
        process.kill()
    assert not storage.is_locked(tmp_path)


def test_to_look_at_a_lock_for_a_moment_keeps_no_run_out(tmp_path, monkeypatch):
    """The index looks at every folder's lock, for which it has to take it."""
    look = FileLock(tmp_path / storage.LOCK)
    look.acquire()
    monkeypatch.setattr(time, "sleep", lambda seconds: look.release())
    with storage.lock(tmp_path):
        assert not look.is_locked
        assert storage.is_locked(tmp_path)


# ---- what is temporary -----------------------------------------------------------------------------------------


def test_scratch_of_a_killed_process_is_removed_by_the_next_and_that_of_a_living_one_is_not(tmp_path):
    script = (
        "import sys\nfrom pipeline import storage\n"
        "with storage.scratch() as folder:\n    (folder / 'file').touch()\n    print(folder, flush=True)\n    input()"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    begin = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": storage.ROOT, "env": environment}
    processes, folders = [], []
    for _ in range(2):
        processes.append(subprocess.Popen([sys.executable, "-c", script], **begin))
        folders.append(Path(processes[-1].stdout.readline().strip()))
    assert [(folder / "file").exists() for folder in folders] == [True, True]
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in folders] == [0o700] * 2
    assert sorted(stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()) == [0o600] * 2 + [0o700] * 2
    assert {int(path.name.removeprefix(storage.SCRATCH_PREFIX).split("-")[0]) for path in tmp_path.iterdir()} == {
        process.pid for process in processes
    }
    killed, lives = processes
    killed.kill()
    killed.wait()
    processes.append(subprocess.Popen([sys.executable, "-c", script], **begin))
    processes[-1].stdout.readline()
    assert [folder.exists() for folder in folders] == [False, True]
    for process in (lives, processes[-1]):
        process.communicate("\n")
    assert list(tmp_path.iterdir()) == []


def test_what_is_left_of_a_process_that_was_killed_as_it_began_or_ended_is_removed_too(tmp_path):
    begun, half_removed = (tmp_path / f"{storage.SCRATCH_PREFIX}1-1-{name}{storage.SCRATCH_LOCK}" for name in "ab")
    begun.touch()
    half_removed.touch()
    storage.write_whole(half_removed.with_suffix("") / "ipython" / "history", b"")
    script = "from pipeline import storage\nwith storage.scratch() as folder: print(folder)"
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", script], cwd=storage.ROOT, env=environment, check=True, capture_output=True)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_anothers_in_tmpdir_is_left_alone_whatever_its_name(tmp_path):
    mine = tmp_path / f"{storage.SCRATCH_PREFIX}of-mine" / "file"
    mine.parent.mkdir()
    mine.touch()
    lock = mine.with_name(storage.LOCK)  # as of a run that has ended, which may be anywhere
    lock.touch()
    script = "from pipeline import storage\nwith storage.scratch() as folder: print(folder)"
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", script], cwd=storage.ROOT, env=environment, check=True, capture_output=True)
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == {mine, lock}


def test_another_users_folder_in_a_shared_tmpdir_is_left_alone():
    shared = Path(tempfile.mkdtemp())
    theirs = shared / f"{storage.SCRATCH_PREFIX}123-of-theirs"
    theirs.mkdir()
    lock = theirs.with_suffix(storage.SCRATCH_LOCK)
    lock.touch()
    lock.chmod(0)
    theirs.chmod(0)
    shared.chmod(0o1777)
    script = (
        "import codecs, os; from pipeline import storage\ncodecs.lookup('ascii')  # while Python can still be read\n"
    )
    script += "if os.getuid() == 0: os.setuid(31777)\n"  # root may look into it
    script += "with storage.scratch() as folder: print(folder)"
    environment = os.environ | {"TMPDIR": str(shared)}
    subprocess.run([sys.executable, "-c", script], cwd=storage.ROOT, env=environment, check=True)
    assert set(shared.iterdir()) == {theirs, lock}
    theirs.chmod(0o700)
    shutil.rmtree(shared)


def test_a_new_file_has_the_rights_that_new_files_have(tmp_path):
    code = "import os, sys; from pathlib import Path; os.umask(0o077); from pipeline import storage\n"
    code += "storage.write_whole(Path(sys.argv[1]), b'')"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "own")], cwd=storage.ROOT, check=True)
    assert (tmp_path / "own").stat().st_mode & 0o777 == 0o600
