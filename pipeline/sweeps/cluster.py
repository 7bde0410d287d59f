"""Connect to a Dask cluster elsewhere."""

import contextlib
import logging
from collections.abc import Iterator

import dask
from distributed import Client

from pipeline.errors import InvalidParameter


@contextlib.contextmanager
def connect(scheduler: str) -> Iterator[Client]:
    """Yield a client of the scheduler at this address. Raises InvalidParameter if it does not answer."""
    with contextlib.ExitStack() as stack:
        for logger in map(logging.getLogger, ("distributed", "distributed.client")):
            stack.callback(logger.setLevel, logger.level)
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # what it logs is logged in our words
        # Code and data, some MB, travel as tasks: scattered data would be lost with the worker that holds it.
        stack.enter_context(dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 GB"}))
        try:
            client = stack.enter_context(Client(scheduler))
        except (OSError, ValueError, TypeError) as error:
            raise InvalidParameter(
                f"No Dask scheduler answers at {scheduler!r} ({error}). Start one first: dask scheduler"
            ) from None
        try:
            yield client
        finally:
            logging.getLogger("distributed").setLevel(logging.CRITICAL)  # how the connection ends is no news
