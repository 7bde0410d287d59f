"""Connect to a Dask cluster: one of this machine, or one elsewhere."""

import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Iterator

import dask
from distributed import Client, LocalCluster

from pipeline.errors import InvalidParameter

# Run by each local worker as it starts: Ctrl-C is for the client, which ends its workers, and that is no news.
LOCAL_WORKER = """
import logging, signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
logging.getLogger("distributed.worker.state_machine").setLevel(logging.ERROR)
"""


@contextlib.contextmanager
def connect(scheduler: str | None, count: int) -> Iterator[Client]:
    """Yield a client of the scheduler at this address, or of a cluster of this machine with `count` workers.

    Raises InvalidParameter if the scheduler does not answer.
    """
    with contextlib.ExitStack() as stack:
        for logger in map(logging.getLogger, ("distributed", "distributed.client")):
            stack.callback(logger.setLevel, logger.level)
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # what it logs is logged in our words
        # Code and data, some MB, travel as tasks: scattered data would be lost with the worker that holds it.
        stack.enter_context(dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 GB"}))
        if scheduler is not None:
            try:
                client = stack.enter_context(Client(scheduler))
            except (OSError, ValueError, TypeError) as error:
                raise InvalidParameter(
                    f"No Dask scheduler answers at {scheduler!r} ({error}). Start one first: dask scheduler"
                ) from None
        else:
            options = {"threads_per_worker": 1, "dashboard_address": "127.0.0.1:0", "preload": [LOCAL_WORKER]}
            with handling_interrupts(signal.SIG_IGN):  # which the workers take over
                client = stack.enter_context(Client(stack.enter_context(LocalCluster(n_workers=count, **options))))
        try:
            yield client
        finally:
            logging.getLogger("distributed").setLevel(logging.CRITICAL)  # that workers are ended, and how, is no news


@contextlib.contextmanager
def handling_interrupts(handler: Callable[..., None] | signal.Handlers) -> Iterator[None]:
    """Have Ctrl-C handled by this handler; only a main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
