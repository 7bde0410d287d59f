"""Execute the command that the user typed, and exit with a code.

The commands are defined in commands.py. The exit code says how the command ended:

    0      The command succeeded.
    1      The command failed, for instance because a run or a point failed.
    2      A parameter or an argument is wrong, and nothing was started.
    128+n  The signal with the number n ended the command: 130 is Ctrl-C.
"""

import atexit
import contextlib
import importlib.util
import io
import os
import signal
import sys
from types import FrameType
from typing import Any

SECONDS_TO_END = 2  # after a signal, for recording that the run was interrupted
INTERRUPTED = "Interrupted. Give the same command again to continue."


def set_signal_handler(handler: Any) -> None:
    """Set the handler of each signal that ends a command.

    A signal that the process already ignores stays ignored: nohup makes a command
    ignore SIGHUP, and a shell may make a background job ignore SIGINT.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def open_closed_streams() -> None:
    """Open the null device in place of each standard stream that is closed.

    Otherwise the first file that the command opens would get the stream's number.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free


if __name__ == "__main__":
    open_closed_streams()
    # During the imports below, nothing needs to be recorded, so a signal exits at once.
    set_signal_handler(lambda number, frame: os._exit(128 + number))
    if importlib.util.find_spec("papermill") is None:
        sys.stderr.write("Activate the environment first: source .venv/bin/activate\n")
        sys.exit(2)

import click

from pipeline.commands import main
from pipeline.errors import InvalidInput, PipelineError


def call_main() -> int:
    """Execute the command in sys.argv, and return its exit code.

    If the command raises an error, the error is printed to stderr.
    """
    try:
        main(prog_name="python -m pipeline", standalone_mode=False)
        return 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (PipelineError, OSError) as error:
        click.echo(f"Error: {error}", err=True)
        return 2 if isinstance(error, InvalidInput) else 1
    except (KeyboardInterrupt, click.Abort) as error:
        click.echo(INTERRUPTED, err=True)
        # click raises an Abort, whose cause is the error of `raise_interrupted`.
        interruption = error.__cause__ or error
        return 128 + int(interruption.args[0])


def raise_interrupted(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt. This handles the signals that end a command.

    All further signals are ignored. If the command is still running after
    SECONDS_TO_END, an alarm ends the command: the exception may be lost, for instance
    in a finalizer, or the clean-up may take too long. Processes that execute notebooks
    end when the command ends, see shell.py.
    """
    set_signal_handler(signal.SIG_IGN)
    signal.signal(signal.SIGALRM, lambda *_: end_at_once(INTERRUPTED, 128 + number))
    signal.alarm(SECONDS_TO_END)
    raise KeyboardInterrupt(number)


def end_at_once(message: str, code: int) -> None:
    """Print a message to stderr, and exit without a clean-up."""
    with contextlib.suppress(OSError):
        os.write(2, f"{message}\n".encode())
    os._exit(code)


class StandardStream(io.TextIOWrapper):
    """Standard output or error, which falls silent when nobody reads it any more.

    For instance, `head` and `less` end before the command does. The command goes on. If
    the system refuses the output for another reason, such as a full disk, the command
    ends.

    number: 1 for standard output, 2 for standard error.
    """

    def __init__(self, number: int) -> None:
        binary = open(number, "wb", closefd=False)  # noqa: SIM115 - open until the end
        super().__init__(binary, errors="backslashreplace", line_buffering=True)

    def write(self, text: str) -> int:
        try:
            super().write(text)
        except OSError as error:
            self._handle(error)
        return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self._handle(error)

    def _handle(self, error: OSError) -> None:
        if not isinstance(error, BrokenPipeError):
            end_at_once(f"Error: the output cannot be written: {error.strerror}", 1)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


def command_line() -> None:
    """Run ``python -m pipeline``."""
    set_signal_handler(raise_interrupted)
    sys.stdout = StandardStream(1)
    sys.stderr = StandardStream(2)
    code = call_main()
    # A normal exit would also free each object, which takes 0.2 s.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    command_line()
