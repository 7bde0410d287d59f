"""Connect to a Dask cluster elsewhere."""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import dask
from distributed import Client
from distributed.comm.core import connect as open_connection
from distributed.security import Security

from pipeline.errors import InvalidParameter, shown


@contextlib.contextmanager
def connect(scheduler: str, timeout: float) -> Iterator[Client]:
    """Yield a client of the scheduler at this address. Raises InvalidParameter if none answers in so many seconds."""
    with contextlib.ExitStack() as stack:
        for logger in map(logging.getLogger, ("distributed", "distributed.client", "distributed.core")):
            stack.callback(logger.setLevel, logger.level)
        for name in ("distributed.client", "distributed.core"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what they log is logged in our words
        # Code and data, some MB, travel as tasks: scattered data would be lost with the worker that holds it.
        stack.enter_context(dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 GB"}))
        try:
            with ThreadPoolExecutor(1) as elsewhere:  # since this thread may have an event loop, in a notebook
                elsewhere.submit(asyncio.run, _greet(scheduler, timeout)).result()
            client = stack.enter_context(Client(scheduler, timeout=timeout))
        except Exception as error:  # noqa: BLE001 - whatever answers there may be no scheduler
            silent = f"nothing in {timeout:g} s" if isinstance(error, TimeoutError) else ""
            reason = (silent or str(error) or type(error).__name__)[:200]
            advice = "Start one with dask scheduler, and give the address that it prints. "
            advice += "--connect-timeout gives a slow one more time."
            raise InvalidParameter(
                f"No Dask scheduler answers at {shown(repr(scheduler))} ({reason}). {advice}"
            ) from None
        stack.callback(logging.getLogger("distributed").setLevel, logging.CRITICAL)  # its end is not logged
        yield client


async def _greet(scheduler: str, timeout: float) -> None:
    """Exchange greetings, for which Dask's own client waits without end, and ask who is there."""
    async with asyncio.timeout(timeout):
        arguments = Security().get_connection_args("client")  # from Dask's configuration
        connection = await open_connection(scheduler, timeout=timeout, **arguments)
        await connection.write({"op": "identity", "reply": True})
        kind = (await connection.read())["type"]
        await connection.close()
    if kind != "Scheduler":
        raise ValueError(f"a Dask {kind.lower()} does")
