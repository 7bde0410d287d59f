"""Know what networks and kernels need of this system: memory, open files, threads, and /proc."""

import errno
import os
import sys
import threading
from pathlib import Path

from pipeline.errors import InvalidParameter, NotebookFailed

# Elsewhere, forking a process that has loaded a BLAS is not safe.
CAN_FORK = sys.platform == "linux" and hasattr(os, "fork")
MIN_ADDRESSES, MIN_DATA = 1500 * 2**20, 450 * 2**20  # bytes to report an error; a run takes a third more of the first
MIN_OPEN_FILES, OPEN_FILES = 256, 65536  # that this process needs, and that it asks for
FILES_OF_ONE = 30  # open files that this process has for each kernel
MIN_THREADS = 30  # that this process, the fork server and a kernel start in all


def check() -> None:
    """Raise the limit of open files as far as need be. Raises OSError if that is not far enough, or memory too little.

    Raises NotebookFailed where there is no /proc. In too little memory a kernel may not even be able to answer that it
    has none left, and would be waited for without end. Where threads cannot be started ZeroMQ ends the process.
    """
    import resource  # which Windows does not have

    if not Path("/proc/self/stat").exists():
        raise NotebookFailed("Kernels need /proc, which is not there. Mount it: mount -t proc proc /proc")
    limited = False
    for kind, least in ((resource.RLIMIT_AS, MIN_ADDRESSES), (resource.RLIMIT_DATA, MIN_DATA)):
        memory, _ = resource.getrlimit(kind)
        limited |= memory != resource.RLIM_INFINITY
        if memory != resource.RLIM_INFINITY and memory < least:
            needed = f"{memory >> 20} MB are allowed, {least >> 20} MB needed"
            raise OSError(errno.ENOMEM, f"{os.strerror(errno.ENOMEM)}: {needed}")
    limit, highest = resource.getrlimit(resource.RLIMIT_NOFILE)
    if (most := _open_files()) < MIN_OPEN_FILES:
        raise OSError(errno.EMFILE, f"{os.strerror(errno.EMFILE)}: {most} are allowed, {MIN_OPEN_FILES} needed")
    if limit < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, highest))
    enough = threading.Event()
    try:
        for _ in range(MIN_THREADS):
            threading.Thread(target=enough.wait, daemon=True).start()
    except RuntimeError:
        needed = f"{MIN_THREADS} more processes or threads are needed"
        number = errno.ENOMEM if limited else errno.EAGAIN  # each thread takes addresses
        raise OSError(number, f"{os.strerror(number)}: {needed}") from None
    finally:
        enough.set()


def check_memory(hidden_size: int) -> None:
    """Refuse a network whose weights do not fit into this machine, before anything is replaced for it."""
    import psutil  # 0.01 s

    needed, total = 8 * (784 + 10) * hidden_size, psutil.virtual_memory().total
    if needed > total:
        memory = f"its weights take {needed / 1e9:,.0f} GB of memory, and this machine has {total / 1e9:,.0f} GB"
        raise InvalidParameter(f"hidden_size is {hidden_size}, but {memory}. Choose a smaller one.")


def is_full(folder: Path) -> bool:
    """Tell whether a file system has no room left for the files that a kernel makes."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize < 2**20 or (found.f_files > 0 and found.f_favail < FILES_OF_ONE)


def kernels_at_a_time(most: int) -> int:
    """Return for how many kernels at a time, at most so many, this process may have enough open files."""
    if not CAN_FORK:
        return most
    return max(1, min(most, (_open_files() - MIN_OPEN_FILES // 2) // FILES_OF_ONE))


def _open_files() -> int:
    """Return how many open files this process may ask for."""
    import resource

    _, highest = resource.getrlimit(resource.RLIMIT_NOFILE)
    return OPEN_FILES if highest == resource.RLIM_INFINITY else min(highest, OPEN_FILES)
