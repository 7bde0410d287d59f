"""Read the command line: arguments in, exit codes out.

Exit codes: 0 if the command succeeded; 1 if a run or a point failed; 2 if a parameter
or argument is wrong and nothing was started; 128 plus the number of the signal that
ended the command, for example 130 for Ctrl-C. The commands are defined in commands.py.
"""

import atexit
import importlib.util
import os
import signal
import sys
from types import FrameType
from typing import Any

SECONDS_TO_END = 2  # the time after a signal to record the interruption
INTERRUPTED = "Interrupted. Give the same command again to continue."


def set_signal_handler(handler: Any) -> None:
    """Set the handler of the signals that end a command, unless they are ignored.

    nohup lets a command ignore SIGHUP, and a shell lets a background job ignore SIGINT.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


if __name__ == "__main__":  # so far only imports run, so exit at once
    set_signal_handler(lambda number, frame: os._exit(128 + number))
    if importlib.util.find_spec("papermill") is None:
        sys.stderr.write("Activate the environment first: source .venv/bin/activate\n")
        sys.exit(2)

from pathlib import Path

import click

from pipeline.commands import main
from pipeline.errors import PipelineError


def call_main() -> int:
    """Execute the command that sys.argv contains, and return the exit code."""
    try:
        name = "digits" if Path(sys.argv[0]).stem == "digits" else "python -m pipeline"
        main(prog_name=name, standalone_mode=False)
        return 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (PipelineError, OSError) as error:
        click.echo(f"Error: {error}", err=True)
        return 2 if isinstance(error, ValueError) else 1
    except (KeyboardInterrupt, click.Abort) as error:
        # click turns Interrupted into an Abort, and keeps it as the cause.
        cause = error.__cause__ if isinstance(error, click.Abort) else error
        number = cause.number if isinstance(cause, Interrupted) else signal.SIGINT
        click.echo(INTERRUPTED, err=True)
        return 128 + number


class Interrupted(KeyboardInterrupt):
    """A signal has ended the command; `number` is the number of the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def raise_interrupted(number: int, frame: FrameType | None) -> None:
    """Handle a signal: raise Interrupted, and ignore all further signals.

    The exception may be lost, for instance in a finalizer, or the clean-up may take too
    long. In these cases, an alarm ends the command. The processes of notebooks end with
    the command, see shell.py.
    """
    set_signal_handler(signal.SIG_IGN)
    signal.signal(signal.SIGALRM, lambda *_: exit_at_once(128 + number))
    signal.alarm(SECONDS_TO_END)
    raise Interrupted(number)


def exit_at_once(code: int) -> None:
    """Print that the command was interrupted; exit with this code and no clean-up."""
    os.write(2, f"{INTERRUPTED}\n".encode())
    os._exit(code)


def command_line() -> None:
    """Entry point of ``python -m pipeline``, also installed as a command, digits."""
    set_signal_handler(raise_interrupted)
    code = call_main()
    # Python would now free each object, which takes 0.2 s.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    command_line()
