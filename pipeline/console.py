"""Show on the console what runs and sweeps log.

Everything in this package logs to the loggers ``pipeline.*`` of the standard library, and configures none of them. The
command line calls `show`; so does a notebook whose reader wants to follow a sweep.
"""

import logging
import sys


def show(level: int = logging.INFO) -> None:
    """Print the package's log: the messages alone, or with time and origin from level DEBUG on."""
    logging.raiseExceptions = False  # a run goes on when the reader of its log has gone, as with | head
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s" if level <= logging.DEBUG else None))
    logger = logging.getLogger("pipeline")
    logger.handlers = [handler]
    logger.setLevel(level)
